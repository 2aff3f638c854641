"""The console command `petseg`; every subcommand is imported only when it is called.

Exit codes: 0 done, 1 failure, 2 bad usage or configuration, 3 a run is done but its model was not blessed, 130
interrupted.
"""

import atexit
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

import click

from trainer_module.errors import ConfigError, PetsegError

FAILURE: Final = 1
BAD_USAGE: Final = 2
INTERRUPTED: Final = 130

_COMMANDS: Final = {
    "run": ("pipeline.commands.run:run", "Run the pipeline on this machine, from data to pushed model."),
    "runs": ("pipeline.commands.runs:runs", "List the runs so far, or show one."),
    "evaluate": ("pipeline.commands.evaluate:evaluate", "Evaluate an exported model on any data set."),
    "predict": ("pipeline.commands.predict:predict", "Write masks and overlays of image files."),
    "show-config": ("pipeline.commands.show_config:show_config", "Print the resolved configuration."),
}
"""Command name to where its click command is, and the line that the help shows."""


class _LazyGroup(click.Group):
    """A group that knows its commands by name only."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from pipeline.suggestions import nearest

            ctx.fail(f"there is no command {args[0]!r}; did you mean {nearest(args[0], _COMMANDS)!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="petseg", prog_name="petseg", message="%(prog)s %(version)s")
def cli() -> None:
    """Train, gate and push a U-Net for semantic segmentation, as one TFX pipeline."""


def main(args: Sequence[str] | None = None) -> None:
    """Runs the command line and exits."""
    _leave(exit_code(args))


def exit_code(args: Sequence[str] | None = None) -> int:
    """Runs the command line; errors that are the user's to mend become a message and an exit code."""
    try:
        code = cli.main(args=args, prog_name="petseg", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except PetsegError as error:
        click.secho(f"error: {error}", fg="red", err=True)
        return BAD_USAGE if isinstance(error, ConfigError) else FAILURE
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on, as in `petseg runs | head -1`
        return FAILURE
    return code if isinstance(code, int) else 0


def _leave(code: int) -> None:
    """Exits; with TensorFlow loaded at once: taking it down costs seconds, and threads of Beam may not end at all."""
    if "tensorflow" not in sys.modules:
        sys.exit(code)
    if code != INTERRUPTED:
        atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
