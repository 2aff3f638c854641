"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pipeline.config import Config
from pipeline.config_loading import DEFAULT_PRESET, load_config, preset_names
from pipeline.output_streams import notify

_Command = Callable[..., Any]


def config_options(command: _Command) -> _Command:
    """Adds `--preset`, `--config` and `--set`, which `resolve_config` takes."""
    for option in (
        click.option(
            "--set",
            "overrides",
            metavar="KEY=VALUE",
            multiple=True,
            help="Override one setting, as in --set trainer.epochs=3; may be repeated.",
        ),
        click.option(
            "--config",
            "config_file",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help='TOML file with settings; it may start from a preset with: preset = "pets".',
        ),
        click.option(
            "--preset",
            metavar="NAME",
            help=f"Settings that come with petseg: {', '.join(preset_names())}. "
            f"Without --preset and --config: {DEFAULT_PRESET}.",
        ),
    ):
        command = option(command)
    return command


def pipeline_root_option(help_text: str) -> Callable[[_Command], _Command]:
    """Adds `--pipeline-root`."""
    return click.option("--pipeline-root", metavar="DIR", help=help_text)


def json_option(help_text: str) -> Callable[[_Command], _Command]:
    """Adds `--json`."""
    return click.option("--json", "as_json", is_flag=True, help=help_text)


def resolve_config(
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    pipeline_root: str | None = None,
    *,
    announce_default: bool = True,
) -> Config:
    """Loads the configuration that the options describe; the default preset when they name nothing to start from."""
    if preset is None and config_file is None:
        preset = DEFAULT_PRESET
        if announce_default:
            notify(f"no --preset or --config given: using the preset {preset}")
    return load_config(preset=preset, file=config_file, overrides=overrides, pipeline_root=pipeline_root)
