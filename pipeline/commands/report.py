"""`petseg report`: the report of a run."""

import os
from pathlib import Path

import click

from pipeline.commands.options import pipeline_root_option
from pipeline.config import DEFAULT_PIPELINE_ROOT
from pipeline.output_capture import captured_output
from pipeline.output_streams import say
from pipeline.run_store import LATEST, RunStore


@click.command("report")
@click.argument("run", default=LATEST, required=False)
@pipeline_root_option(f"Directory that the runs are under; {DEFAULT_PIPELINE_ROOT} when not given.")
@click.option("--open", "open_page", is_flag=True, help="Show it in the browser.")
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The HTML file; report.html in the run's directory when not given.",
)
def report(run: str, pipeline_root: str | None, open_page: bool, output: Path | None) -> None:
    """Write the report of a run: one HTML file that needs no network, and the model card beside it.

    RUN is the id of a run; the one that started last when not given. `petseg run` writes the report of its own run.
    """
    store = RunStore(pipeline_root or DEFAULT_PIPELINE_ROOT)
    record = store.record(run)
    with captured_output(Path(os.devnull)) as (stdout, _):
        from pipeline.report.writing import write_report

        written = write_report(record, store.runs_dir / record.run_id, output)
        say(str(written.page), stdout)
        say(str(written.model_card), stdout)
    if open_page:
        click.launch(str(written.page.resolve()))
