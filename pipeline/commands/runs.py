"""`petseg runs`: what was run under a pipeline root."""

import click

from pipeline.commands.options import json_option, pipeline_root_option
from pipeline.config import DEFAULT_PIPELINE_ROOT
from pipeline.json_text import json_text
from pipeline.output_streams import notify
from pipeline.run_record import RunRecord
from pipeline.run_store import LATEST, RunStore
from pipeline.run_tables import run_details, runs_table
from pipeline.tables import print_table
from trainer_module.errors import PetsegError


@click.command("runs")
@click.argument("action", type=click.Choice(["list", "show"]), default="list", required=False)
@click.argument("run", required=False)
@pipeline_root_option(f"Directory that the runs are under; {DEFAULT_PIPELINE_ROOT} when not given.")
@json_option("Print the records as JSON.")
def runs(action: str, run: str | None, pipeline_root: str | None, as_json: bool) -> None:
    """List the runs so far, the latest first (list), or show one (show RUN).

    RUN is the id of a run, or: latest.
    """
    if action == "list" and run is not None:
        raise click.UsageError(f"list takes no run; did you mean: petseg runs show {run}")
    store = RunStore(pipeline_root or DEFAULT_PIPELINE_ROOT)
    if action == "show":
        _show(store.record(run or LATEST), as_json)
    else:
        _list(store, as_json)


def _show(record: RunRecord, as_json: bool) -> None:
    if as_json:
        click.echo(json_text(record))
    else:
        print_table(run_details(record))


def _list(store: RunStore, as_json: bool) -> None:
    records = []
    for run_id in store.run_ids():
        try:
            records.append(store.record(run_id))
        except PetsegError as error:
            notify(f"warning: {error}")
    if as_json:
        click.echo(json_text([record.model_dump(mode="json") for record in records]))
    elif records:
        print_table(runs_table(records))
    else:
        click.echo(f"no runs under {str(store.root)!r}; `petseg run` starts one")
