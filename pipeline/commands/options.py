"""What commands share: groups of them, the options for a configuration, and how they end."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from pipeline.config.loading import DEFAULT_PRESET, load_config, preset_names
from pipeline.config.schema import Config
from pipeline.runs.record import NodeState, RunRecord, RunState
from pipeline.terminal.streams import INTERRUPTED, discard, json_text, notify, unread_is_no_failure
from trainer_module.errors import ConfigError, PetsegError

_Command = Callable[..., Any]

FAILURE: Final = 1
BAD_USAGE: Final = 2
NOT_BLESSED: Final = 3
_EXIT_CODES: Final = {RunState.COMPLETE: 0, RunState.FAILED: FAILURE, RunState.INTERRUPTED: INTERRUPTED}


class SuggestingGroup(click.Group):
    """A group that names the nearest of its commands where one is misspelt, and lists them as they are written."""

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
    """A group that imports a command only when it is called, so that help and mistakes are answered at once."""

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


def gate_options(command: _Command) -> _Command:
    """Adds `--force-bless` and `--reset-baseline`; an empty reason is refused."""
    force = click.option(
        "--force-bless",
        metavar="REASON",
        callback=_reason,
        help="Push the model even if it does not pass the gate; the reason is recorded with the model and the run.",
    )
    reset = click.option("--reset-baseline", is_flag=True, help="Judge the model as if none were served.")
    return reset(force(command))


def _reason(_ctx: click.Context, _parameter: click.Parameter, reason: str | None) -> str | None:
    if reason is not None and not reason.strip():
        raise ConfigError("--force-bless needs a reason, which is recorded; got an empty one")
    return reason and reason.strip()


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


@dataclass
class FiredRun:
    """What a firing that starts `petseg run` in its own process learns of it; the firing tells people of the run."""

    config: Config | None = None
    """None until it is resolved."""

    record: RunRecord | None = None
    """None until the run has ended, and where it could not start."""

    error: PetsegError | None = None
    """Why it could not start, or ended without a record."""


def exit_code(command: click.Command, args: Sequence[str] | None, fired: FiredRun | None = None) -> int:
    """Runs a command as `petseg`; errors that are the user's to mend become a message and an exit code.

    Args:
      command: Of the whole command line.
      args: What follows its name. None: what the process was started with.
      fired: Learns of the run where a firing starts one.
    """
    try:
        code = command.main(args=args, prog_name="petseg", standalone_mode=False, obj=fired)
    except click.ClickException as error:
        with unread_is_no_failure(sys.stderr):
            error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        notify("interrupted")
        return INTERRUPTED
    except PetsegError as error:
        if fired is not None:
            fired.error = error
        notify(f"error: {error}", "red")
        return BAD_USAGE if isinstance(error, ConfigError) else FAILURE
    except BrokenPipeError:
        discard(sys.stdout)
        return FAILURE
    return code if isinstance(code, int) else 0


def end_with(ctx: click.Context, record: RunRecord, *, as_json: bool, goes_on: bool = True) -> NoReturn:
    """Ends the command with the exit code of a run.

    Before that the record goes to standard output where that is wanted, and to standard error what went wrong, and
    where, and whether the gate was overruled.

    Args:
      ctx: Of the command.
      record: Of the run.
      as_json: Whether the record is wanted.
      goes_on: Whether the run after an interrupted one takes what that had finished.
    """
    if as_json:
        with unread_is_no_failure(sys.stdout):
            click.echo(json_text(record))
    if record.force_blessed is not None:
        notify(f"notice: the model did not pass the gate and is blessed by force: {record.force_blessed}", "yellow")
    if record.state is RunState.FAILED:
        failed = next((node.id for node in record.nodes if node.state is NodeState.FAILED), "the run")
        notify(f"error: {failed} failed: {record.error}", "red")
    if record.state is RunState.INTERRUPTED:
        again = "run again to go on after the last component that finished"
        notify(f"{record.error}; {again if goes_on else 'the next run begins with the first component'}", "yellow")
    ctx.exit(NOT_BLESSED if record.refused and record.state is RunState.COMPLETE else _EXIT_CODES[record.state])
