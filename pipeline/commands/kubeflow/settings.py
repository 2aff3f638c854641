"""What the commands that talk to a Kubeflow server share: its settings, and how a followed run ends."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from pipeline.config import Config
from pipeline.config_loading import DEFAULT_PRESET, load_config
from pipeline.kubeflow.following import how_to_go_on
from pipeline.run_record import RunRecord, RunState

INTERRUPTED: Final = 130
_EXIT_CODES: Final = {RunState.COMPLETE: 0, RunState.FAILED: 1, RunState.INTERRUPTED: INTERRUPTED}

_Command = Callable[..., Any]


def server_options(command: _Command) -> _Command:
    """Adds `--preset`, `--config` and `--set`, of which a command reads where the server is: `server_config`."""
    for option in (
        click.option(
            "--set",
            "overrides",
            metavar="KEY=VALUE",
            multiple=True,
            help="Override one setting, as in --set kubeflow.host=http://localhost:8888; may be repeated.",
        ),
        click.option(
            "--config",
            "config_file",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="TOML file whose [kubeflow] says where the server is.",
        ),
        click.option("--preset", metavar="NAME", help="Settings that come with petseg, instead of a file."),
    ):
        command = option(command)
    return command


def server_config(preset: str | None, config_file: Path | None, overrides: tuple[str, ...]) -> Config:
    """Returns the configuration that the options describe."""
    if preset is None and config_file is None:
        preset = DEFAULT_PRESET
    return load_config(preset=preset, file=config_file, overrides=overrides)


def explain_end(record: RunRecord, *, was_followed_to_its_end: bool) -> int:
    """Says on standard error how a followed run ended, if not well; returns the exit code."""
    if not was_followed_to_its_end:
        click.secho(how_to_go_on(record.run_id), fg="yellow", err=True)
        return INTERRUPTED
    if record.error is not None:
        click.secho(f"error: {record.error}", fg="red", err=True)
    return _EXIT_CODES[record.state]
