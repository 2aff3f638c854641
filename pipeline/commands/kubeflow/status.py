"""`petseg kubeflow status`: a run on the server, or the newest ones."""

import sys
from pathlib import Path

import click

from pipeline.commands.kubeflow.ending import explain_end
from pipeline.commands.options import config_options, json_option, resolve_config
from pipeline.config import Config
from pipeline.json_text import json_text
from pipeline.kubeflow.client import connect
from pipeline.kubeflow.following import follow
from pipeline.kubeflow.remote_run import RemoteRun, brief_record
from pipeline.run_record import RunRecord, RunState
from pipeline.run_tables import remote_runs_table, run_details
from pipeline.tables import print_table


@click.command("status")
@click.argument("run", required=False)
@config_options
@click.option("--experiment", metavar="NAME", help="Without RUN: list this experiment; else that of the settings.")
@click.option(
    "--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="Without RUN: how many to list."
)
@click.option("--follow", "follow_run", is_flag=True, help="Follow the run until it ends; Ctrl-C leaves it alone.")
@json_option("Print the record, or the list of records, as JSON.")
@click.pass_context
def status(
    ctx: click.Context,
    run: str | None,
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    experiment: str | None,
    limit: int,
    follow_run: bool,
    as_json: bool,
) -> None:
    """Show the run with the id RUN; without RUN, list the newest runs of the experiment.

    The experiment is kubeflow.experiment, or named after the pipeline.

    Exit codes: 0 done; with --follow 1 when the run failed and 130 when it was interrupted or cancelled.
    """
    config = resolve_config(preset, config_file, overrides, announce_default=False)
    if run is None:
        if follow_run:
            raise click.UsageError("--follow needs the id of a run")
        _list(config, experiment, limit, as_json)
        return
    remote = RemoteRun.load(connect(config.kubeflow), run)
    code = 0
    if follow_run:
        has_ended = follow(remote, sys.stderr if as_json else sys.stdout)
        code = explain_end(remote.record, was_followed_to_its_end=has_ended)
    elif remote.record.state is RunState.FAILED:
        remote.record.error = remote.explain_failure().message
    _show(remote.record, as_json, was_followed=follow_run)
    ctx.exit(code)


def _show(record: RunRecord, as_json: bool, *, was_followed: bool) -> None:
    if as_json:
        click.echo(json_text(record))
    elif not was_followed:
        print_table(run_details(record))


def _list(config: Config, experiment: str | None, limit: int, as_json: bool) -> None:
    client = connect(config.kubeflow)
    name = experiment or config.kubeflow.experiment or config.pipeline.name
    records = [brief_record(run) for run in client.runs(client.experiment_id(name, create=False), limit)]
    if as_json:
        click.echo(json_text([record.model_dump(mode="json") for record in records]))
    elif records:
        print_table(remote_runs_table(records))
    else:
        click.echo(f"no runs in the experiment {name!r}; `petseg kubeflow submit` starts one")
