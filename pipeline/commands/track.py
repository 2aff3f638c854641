"""`petseg track`: what an MLflow server has not heard of runs, and how it comes to hear of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pipeline.commands.options import SuggestingGroup, json_option, pipeline_root_option
from pipeline.config.schema import DEFAULT_PIPELINE_ROOT
from pipeline.runs.store import RunStore
from pipeline.terminal.streams import json_text, notify, say
from trainer_module.errors import ConfigError, PetsegError

if TYPE_CHECKING:
    from pipeline.tracking.address import Address
    from pipeline.tracking.outbox import Outbox

_WAITS: Final = 1


@click.group(cls=SuggestingGroup)
def track() -> None:
    """Tell an MLflow server of runs that it has not heard of.

    A run whose configuration names a server (tracking.mlflow, or MLFLOW_TRACKING_URI) is sent there while it goes on.
    What cannot be sent then is kept with the run.
    """


_root_option = pipeline_root_option(f"Directory that the runs are under; {DEFAULT_PIPELINE_ROOT} when not given.")


@track.command("status", short_help="Show what waits to be sent.")
@_root_option
@json_option("Print what waits as JSON.")
def status(pipeline_root: str | None, as_json: bool) -> None:
    """Show what an MLflow server has not heard of each run, and why; nothing is asked of the server."""
    from pipeline.tracking.rollouts import waiting_moves

    store = RunStore(pipeline_root or DEFAULT_PIPELINE_ROOT)
    outboxes = {run_id: outbox for run_id in store.run_ids() if (outbox := _outbox(store, run_id)) is not None}
    moves = waiting_moves(store.root)
    if as_json:
        runs = [_as_json(run_id, outbox) for run_id, outbox in outboxes.items()]
        click.echo(json_text({"runs": runs, "aliases": [move.model_dump(mode="json") for move in moves]}))
        return
    _show(outboxes)
    for move in moves:
        say(f"aliases of {move.address.registered_model} for {move.address.uri} wait")


@track.command("sync", short_help="Send what waits.")
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@_root_option
@click.option("--mlflow", "uri", metavar="URL", help="Send to this server, and not to that of the runs' settings.")
@click.option("--again", is_flag=True, help="Send everything of the runs, also what was sent before.")
@click.pass_context
def sync(ctx: click.Context, runs: tuple[str, ...], pipeline_root: str | None, uri: str | None, again: bool) -> None:
    """Send what an MLflow server has not heard of: of each RUN, or without one of all runs of which something waits.

    A RUN may be one that no server heard of. What is there already stays as it is: no run, metric or model comes twice.

    Exit codes: 0 the server has everything, 1 something waits on, 2 bad usage or configuration.
    """
    if again and not runs:
        raise click.UsageError(
            "--again needs the runs that are to be sent again; did you mean: petseg track sync RUN --again"
        )
    from pipeline.tracking.errors import TrackerError
    from pipeline.tracking.rollouts import send_waiting_moves

    store = RunStore(pipeline_root or DEFAULT_PIPELINE_ROOT)
    active, waits = store.active_run(), False
    wanted = [store.record(run).run_id for run in runs] or _with_items(store)
    for run_id in wanted:
        if run_id == active:
            say(f"{run_id}: the run goes on, and sends by itself")
            continue
        try:
            line, is_done = _send(store, run_id, uri, again=again)
        except TrackerError as error:
            line, is_done = str(error), False
        (say if is_done else notify)(f"{run_id}: {line}")
        waits = waits or not is_done
    for problem in send_waiting_moves(store.root):
        notify(problem)
        waits = True
    if not wanted:
        say("nothing of a run waits")
    ctx.exit(_WAITS if waits else 0)


def _send(store: RunStore, run_id: str, uri: str | None, *, again: bool) -> tuple[str, bool]:
    """Sends what waits of a run; returns what came of it, and whether the server has everything."""
    from pipeline.tracking.delivery import left_over
    from pipeline.tracking.local import send_later

    outbox = send_later(store, run_id, address=_address(store, run_id, uri), again=again)
    left = left_over(outbox)
    place = outbox.state.place
    return (f"{left}" if left else f"sent: {place.url if place else ''}"), left is None


def _address(store: RunStore, run_id: str, uri: str | None) -> "Address | None":
    """Returns the server that the command names, with the names that the run has there; None where it names none."""
    if uri is None:
        return None
    from pydantic import ValidationError

    from pipeline.config.tracking import TrackingConfig
    from pipeline.tracking.address import Address

    record = store.record(run_id)
    try:
        tracking = TrackingConfig.model_validate(
            {**record.settings.get("tracking", {}), "mlflow": uri, "enabled": True}
        )
    except ValidationError as error:
        raise ConfigError(f"--mlflow {uri}: {error.errors()[0]['msg']}; give one such as http://mlflow:5000") from error
    return Address.of(tracking, record.pipeline)


def _outbox(store: RunStore, run_id: str) -> "Outbox | None":
    from pipeline.tracking.outbox import DIRECTORY, Outbox

    try:
        return Outbox.open(store.runs_dir / run_id / Path(DIRECTORY))
    except PetsegError as error:
        notify(f"warning: {error}")
        return None


def _with_items(store: RunStore) -> list[str]:
    """Returns the runs of which something waits, the first first, so that aliases end with the last."""
    return [run_id for run_id in reversed(store.run_ids()) if (outbox := _outbox(store, run_id)) and outbox.waits]


def _show(outboxes: "dict[str, Outbox]") -> None:
    from pipeline.terminal.tables import PlainTable, print_table
    from pipeline.tracking.delivery import left_over, obstacles

    waiting = {run_id: outbox for run_id, outbox in outboxes.items() if outbox.waits}
    if not waiting:
        say("nothing of a run waits")
        return
    table = PlainTable()
    for column in ("run", "waits"):
        table.add_column(column, no_wrap=column == "run", overflow="fold")
    for run_id, outbox in waiting.items():
        left = left_over(outbox) or "the end of the run, which was killed or goes on"
        for row, line in enumerate([left, *(line for line in obstacles(outbox) if line not in left)]):
            table.add_row("" if row else run_id, line)
    print_table(table)


def _as_json(run_id: str, outbox: "Outbox") -> dict[str, object]:
    state = outbox.state
    return {
        "run_id": run_id,
        "server": state.address.uri,
        "page": state.place.url if state.place else None,
        "waiting": len(outbox.waiting()),
        "is_complete": not outbox.waits,
        "problem": state.problem,
        "refused": {outbox.item(number).title: reason for number, reason in state.refused.items()},
    }
