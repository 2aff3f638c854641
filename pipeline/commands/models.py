"""`petseg models`: the versions that were pushed, and what can be done with them.

Nothing here imports TensorFlow unless the push destination is an object store: a directory is looked at at once.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from components.model_pusher.ledger import Ledger
from components.model_pusher.push import remove_version
from pipeline.commands.options import SuggestingGroup, config_options, json_option, pipeline_root_option, resolve_config
from pipeline.config.paths import check_name
from pipeline.config.schema import Config
from pipeline.models.pushed import damages, pushed_versions, roll_back, versions_table
from pipeline.terminal.streams import captured_output, json_text, notify, say
from pipeline.terminal.tables import print_table
from trainer_module.errors import PetsegError

_Command = Callable[..., Any]
_DAMAGED: Final = 1


@click.group(cls=SuggestingGroup)
def models() -> None:
    """Look after the versions that were pushed, of which servers take the highest."""


@dataclass(frozen=True)
class PushedModels:
    """Where the versions are, and which of them stay whatever comes."""

    directory: str
    config: Config

    @property
    def pinned(self) -> tuple[int, ...]:
        return self.config.push.pinned_versions

    @classmethod
    def of(
        cls,
        model_dir: str | None,
        preset: str | None,
        config_file: Path | None,
        overrides: tuple[str, ...],
        pipeline_root: str | None,
    ) -> "PushedModels":
        """Returns the directory that the options of `directory_options` name."""
        config = resolve_config(preset, config_file, overrides, pipeline_root, announce_default=model_dir is None)
        check_name("--model", model_dir or "")
        return cls(model_dir or config.serving_model_dir, config)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Keeps what libraries log from the terminal, and says what is wrong with a directory that cannot be used."""
        with captured_output(Path(os.devnull)):
            try:
                yield
            except OSError as error:
                raise PetsegError(f"cannot work on the versions in {self.directory!r}: {error}") from error


def directory_options(command: _Command) -> _Command:
    """Adds `--model`, the options of the configuration, and `--json`; `PushedModels.of` takes all but the last."""
    model = click.option(
        "--model",
        "model_dir",
        metavar="DIR",
        help="The directory of versions; without it, the push destination of the configuration.",
    )
    root = pipeline_root_option("Directory that runs leave everything in; overrides pipeline.root.")
    return config_options(root(model(json_option("Print the result as JSON.")(command))))


@models.command("list", short_help="List the versions, the newest first.")
@directory_options
def list_models(as_json: bool, **options: Any) -> None:
    """List the versions, the newest, which servers take, first; every file is read to tell damaged ones."""
    place = PushedModels.of(**options)
    with place.at_work():
        versions, frozen = pushed_versions(place.directory), Ledger.of(place.directory).freeze
    if frozen is not None:
        notify(frozen.summary, "yellow")
    if as_json:
        click.echo(json_text([version.model_dump(mode="json") for version in versions]))
    elif versions:
        print_table(versions_table(versions))
    else:
        click.echo(f"no versions in {place.directory!r}; `petseg run` pushes one")


@models.command(short_help="Serve an earlier version again.")
@click.argument("version", type=click.IntRange(min=0), required=False)
@directory_options
def rollback(version: int | None, as_json: bool, **options: Any) -> None:
    """Push VERSION again, under a new number, so that servers take it; without VERSION the one before the newest.

    The model that it replaces stays among the versions. No run pushes it again, nor one that it trains on the same data
    by the same recipe; rolling back to it, or --force-bless, undoes that.
    """
    place = PushedModels.of(**options)
    with place.at_work():
        new, record = roll_back(place.directory, version)
    if Path(place.directory).resolve() == Path(place.config.serving_model_dir).resolve():
        from pipeline.tracking.rollouts import rolled_back

        if untold := rolled_back(place.config, new, record.copy_of):
            notify(f"warning: {untold}", "yellow")
    withdrawn = record.withdrawn.version if record.withdrawn else None
    if as_json:
        click.echo(json_text({"version": new, "copy_of": record.copy_of, "withdrawn": withdrawn}))
    else:
        click.echo(f"version {new}, the model of version {record.copy_of}, takes the place of {withdrawn}")


@models.command(short_help="Remove a version.")
@click.argument("version", type=click.IntRange(min=0))
@click.option("--force", is_flag=True, help="Remove it even if it is the newest, which servers hold, or pinned.")
@directory_options
def remove(version: int, force: bool, as_json: bool, **options: Any) -> None:
    """Remove VERSION; the newest only with --force."""
    place = PushedModels.of(**options)
    with place.at_work():
        newest = remove_version(place.directory, version, force=force, pinned=place.pinned)
    if as_json:
        click.echo(json_text({"removed": version, "newest": newest}))
    else:
        following = "nothing is served any more" if newest is None else f"servers take version {newest}"
        click.echo(f"removed version {version}; {following}")


@models.command(short_help="Check that versions are as they were pushed.")
@click.argument("version", type=click.IntRange(min=0), required=False)
@click.option("--all", "every", is_flag=True, help="Verify all versions.")
@directory_options
@click.pass_context
def verify(ctx: click.Context, /, version: int | None, every: bool, as_json: bool, **options: Any) -> None:
    """Compare the files of VERSION with the checksums of its push; without VERSION those of the newest.

    Exit codes: 0 all is as it was pushed, 1 something differs, and is named, 2 bad usage or configuration.
    """
    if every and version is not None:
        raise click.UsageError(f"--all takes no version; did you mean: petseg models verify {version}")
    place = PushedModels.of(**options)
    with place.at_work():
        found = damages(place.directory, version, every=every)
    if as_json:
        click.echo(json_text(found))
    else:
        for number, lines in found.items():
            for line in lines or ["as it was pushed"]:
                say(f"{number}: {line}")
    ctx.exit(_DAMAGED if any(found.values()) else 0)
