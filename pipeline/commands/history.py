"""`petseg history`: what happened to a pipeline over time."""

import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Group
from rich.text import Text

from pipeline.commands.options import config_options, json_option, pipeline_root_option, resolve_config
from pipeline.config.schema import DEFAULT_PIPELINE_ROOT, Config
from pipeline.runs.store import RunStore
from pipeline.terminal.streams import captured_output, json_text, notify, say
from pipeline.terminal.tables import console
from trainer_module.errors import PetsegError

if TYPE_CHECKING:
    from pipeline.history.timeline import History

_AGO: Final = re.compile(r"([1-9][0-9]{0,3})([dw])")
_DAYS: Final = {"d": 1, "w": 7}
_PICTURES: Final = (".svg", ".png", ".pdf")


class Since(click.ParamType[datetime]):
    """A day, a time, or how long ago."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        if ago := _AGO.fullmatch(value):
            return datetime.now(UTC) - timedelta(days=int(ago[1]) * _DAYS[ago[2]])
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no date: give a day as 2026-11-29, a time as 2026-11-29T03:00, or days ago as 90d")
        return time if time.tzinfo else time.replace(tzinfo=UTC)


def _picture(_ctx: click.Context, _parameter: click.Parameter, file: Path | None) -> Path | None:
    if file is not None and file.suffix not in _PICTURES:
        raise click.BadParameter(f"{str(file)!r} has to end in {', '.join(_PICTURES[:-1])} or {_PICTURES[-1]}")
    return file


@click.command("history")
@config_options
@pipeline_root_option(f"Directory that the runs are under; pipeline.root, or {DEFAULT_PIPELINE_ROOT} when not given.")
@click.option(
    "--since",
    type=Since(),
    metavar="DATE",
    help="Leave out what was before: a day (2026-11-29), a time (2026-11-29T03:00), both in UTC, or days or weeks ago "
    "(90d, 26w).",
)
@click.option("--last", metavar="N", type=click.IntRange(min=1), help="Only the last N lines of each pipeline.")
@click.option("--all", "unfolded", is_flag=True, help="A line for each firing that had nothing to do.")
@json_option("Print everything that is known as JSON.")
@click.option(
    "--html",
    "page",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write it as a page, with the metrics over time.",
)
@click.option("--open", "open_page", is_flag=True, help="Show the page in the browser.")
@click.option(
    "--plot",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_picture,
    help="Also draw the metrics over time as a picture file: .svg, .png or .pdf. Of one pipeline.",
)
def history(
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    pipeline_root: str | None,
    since: datetime | None,
    last: int | None,
    *,
    unfolded: bool,
    as_json: bool,
    page: Path | None,
    open_page: bool,
    plot: Path | None,
) -> None:
    """Show what happened over time, the latest last: runs, pushes, rollbacks and freezes.

    A line a run says for which reason it trained, on what data, how good the model became, what became of it, and how
    far the data is from what the served model was trained on. It is told by the records of the runs, by ML Metadata
    where those are gone, and by the push destination, which knows of runs elsewhere, too.

    With --preset, --config or --set it is the history of that pipeline; else of all pipelines under the root.

    A change is that of the mean IoU against the model that was served then, on the same images; ~ marks one that may be
    chance.

    Exit codes: 0 done, 1 nothing is there or a file cannot be written, 2 bad usage or configuration.
    """
    if open_page and page is None:
        raise click.UsageError("--open shows the page, which needs a name: --html FILE")
    config = _config(preset, config_file, overrides, pipeline_root)
    store = RunStore(config.pipeline.root if config else pipeline_root or DEFAULT_PIPELINE_ROOT)
    histories = [_window(one, since, last, unfolded=unfolded) for one in _read(store, config)]
    if as_json:
        click.echo(json_text({"root": str(store.root), "pipelines": [_as_json(one) for one in histories]}))
    else:
        _print(histories, unfolded=unfolded)
    written = _write(histories, store, page, plot, unfolded=unfolded)
    for name, file in written.items():
        say(f"{name}: {file}", sys.stderr if as_json else sys.stdout)
    if open_page and page is not None:
        click.launch(str(page.resolve()))


def _config(
    preset: str | None, config_file: Path | None, overrides: tuple[str, ...], pipeline_root: str | None
) -> Config | None:
    """Returns the configuration of the one pipeline that is wanted; None where none is named."""
    if preset is None and config_file is None and not overrides:
        return None
    return resolve_config(preset, config_file, overrides, pipeline_root)


def _read(store: RunStore, config: Config | None) -> "list[History]":
    """Returns the histories.

    Raises:
      PetsegError: There is none.
    """
    from pipeline.history.reading import read_histories

    warnings: list[str] = []
    with captured_output(Path(os.devnull)):
        histories = read_histories(store, config, warnings.append)
    for warning in warnings:
        notify(f"warning: {warning}", "yellow")
    if not histories:
        of_pipeline = f" of the pipeline {config.pipeline.name!r}" if config else ""
        raise PetsegError(f"there are no runs{of_pipeline} under {str(store.root)!r}; `petseg run` starts one")
    return histories


def _window(one: "History", since: datetime | None, last: int | None, *, unfolded: bool) -> "History":
    cut = one.since(since) if since else one
    return cut.last(last, unfolded=unfolded) if last else cut


def _as_json(one: "History") -> dict[str, Any]:
    return {
        **one.model_dump(mode="json", exclude={"entries"}),
        "served_now": one.served_now and one.served_now.model_dump(mode="json"),
        "freeze": one.freeze and one.freeze.model_dump(mode="json"),
        "counts": one.counts.model_dump(mode="json"),
        "reasons": [counts.model_dump(mode="json") for counts in one.reason_counts],
        "entries": [entry.model_dump(mode="json") for entry in one.entries],
    }


def _print(histories: "list[History]", *, unfolded: bool) -> None:
    from pipeline.history.tables import history_report

    drawn = console()
    reports = [history_report(one, width=drawn.width, unfolded=unfolded) for one in histories]
    drawn.print(Group(*(part for report in reports for part in (report, Text()))), end="")


def _write(
    histories: "list[History]", store: RunStore, page: Path | None, plot: Path | None, *, unfolded: bool
) -> dict[str, Path]:
    """Writes the files that are wanted; returns them by what they are."""
    if page is None and plot is None:
        return {}
    with captured_output(Path(os.devnull)):
        from pipeline.history.page import save_plot, write_page

        if page is not None:
            write_page(histories, store.root, page, unfolded=unfolded)
        if plot is not None:
            save_plot(histories, plot)
    return {name: file for name, file in (("page", page), ("plot", plot)) if file is not None}
