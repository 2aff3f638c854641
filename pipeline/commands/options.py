"""How a command ends that has executed a run: its record as JSON, what went wrong, and the exit code.

A group of commands that are imported only when they are called, so that help and mistakes are answered at once.

Options that several commands share.
"""

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from pipeline.config.loading import DEFAULT_PRESET, load_config, preset_names
from pipeline.config.schema import Config
from pipeline.runs.record import NodeState, RunRecord, RunState
from pipeline.terminal.streams import INTERRUPTED, json_text, notify, unread_is_no_failure


class SuggestingGroup(click.Group):
    """A group that shows its commands in the order of their declaration, and the nearest where one is misspelt."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            from pipeline.suggestions import nearest

            ctx.fail(f"there is no command {args[0]!r}; did you mean {nearest(args[0], names)!r}?")
        return super().resolve_command(ctx, args)


class LazyGroup(SuggestingGroup):
    """A group that knows its commands by name only."""

    def __init__(self, *args: Any, commands_table: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        """Constructs the group.

        Args:
          *args: Of `click.Group`.
          commands_table: Command name to where its click command is, as `module:attribute`, and its line in the help.
          **kwargs: Of `click.Group`.
        """
        super().__init__(*args, **kwargs)
        self._table = commands_table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._table:
            return None
        module, _, attribute = self._table[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in self._table.items()])


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


NOT_BLESSED: Final = 3
_EXIT_CODES: Final = {RunState.COMPLETE: 0, RunState.FAILED: 1, RunState.INTERRUPTED: INTERRUPTED}


def end_with(ctx: click.Context, record: RunRecord, *, as_json: bool) -> NoReturn:
    """Ends the command with the exit code of a run, after its record on standard output where that is wanted."""
    if as_json:
        with unread_is_no_failure(sys.stdout):
            click.echo(json_text(record))
    _explain_end(record)
    ctx.exit(NOT_BLESSED if record.refused and record.state is RunState.COMPLETE else _EXIT_CODES[record.state])


def _explain_end(record: RunRecord) -> None:
    """Says on standard error what went wrong, and where, and when the gate was overruled."""
    if record.force_blessed is not None:
        notify(f"notice: the model did not pass the gate and is blessed by force: {record.force_blessed}", "yellow")
    if record.state is RunState.FAILED:
        failed = next((node.id for node in record.nodes if node.state is NodeState.FAILED), "the run")
        notify(f"error: {failed} failed: {record.error}", "red")
    if record.state is RunState.INTERRUPTED:
        notify(f"{record.error}; run again to go on after the last component that finished", "yellow")
