"""`petseg pictures`: the learning curves and sample predictions of a run as picture files."""

import os
from pathlib import Path

import click

from pipeline.commands.options import pipeline_root_option
from pipeline.config import DEFAULT_PIPELINE_ROOT
from pipeline.output_capture import captured_output
from pipeline.output_streams import say
from pipeline.run_store import LATEST, RunStore


@click.command("pictures")
@click.argument("run", default=LATEST, required=False)
@pipeline_root_option(f"Directory that the runs are under; {DEFAULT_PIPELINE_ROOT} when not given.")
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the files go; pictures in the run's directory when not given.",
)
def pictures(run: str, pipeline_root: str | None, output: Path | None) -> None:
    """Draw the learning curves and sample predictions of a run as picture files.

    Curves are drawn as SVG and PNG; predictions as two sheets, PNG: a random sample with the worst images, and the same
    images before, during and after training. What a run does not have is named and left out.

    RUN is the id of a run; the one that started last when not given.
    """
    store = RunStore(pipeline_root or DEFAULT_PIPELINE_ROOT)
    record = store.record(run)
    directory = store.runs_dir / record.run_id
    with captured_output(Path(os.devnull)) as (stdout, stderr):
        from pipeline.report.picture_files import write_pictures

        written = write_pictures(record, directory, output or directory / "pictures")
        for file in written.files:
            say(str(file), stdout)
        for reason in written.missing:
            say(f"left out: {reason}", stderr)
