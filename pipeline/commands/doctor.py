"""`petseg doctor`: whether everything is there that runs, schedules, submissions and servers need."""

import sys
from pathlib import Path

import click

from pipeline.commands.options import FAILURE, config_options, json_option, pipeline_root_option, resolve_config
from pipeline.terminal.streams import json_text


@click.command()
@config_options
@pipeline_root_option("Directory that runs leave everything in; overrides pipeline.root.")
@click.option("--offline", is_flag=True, help="Ask no other machine: leave out Kubeflow, KServe, MLflow and the like.")
@json_option("Print the findings as JSON.")
@click.pass_context
def doctor(
    ctx: click.Context,
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    pipeline_root: str | None,
    offline: bool,
    as_json: bool,
) -> None:
    """Look at all that a configuration needs here, and say what is wrong and what to do about it.

    That is the machine, what is installed, the directories, the data set, the pushed models, the servers that the
    configuration names, and the schedules of this machine. Nothing is changed, downloaded or sent. It takes about as
    long as TensorFlow and TFX take to be imported.

    Exit codes: 0 nothing is wrong, though there may be warnings, 1 there is a problem, 2 bad usage or configuration.
    """
    from pipeline.doctor.examination import checks_of
    from pipeline.doctor.findings import State, examine, findings_tables, summary
    from pipeline.terminal.tables import print_table, progress_bar

    config = resolve_config(preset, config_file, overrides, pipeline_root)
    checks = checks_of(config, offline=offline)
    with progress_bar(sys.stderr) as bar:
        task = bar.add_task("looking", total=len(checks))
        findings = examine(checks, lambda: bar.advance(task))
    if as_json:
        click.echo(json_text({"summary": summary(findings), "findings": findings}))
    else:
        print_table(findings_tables(findings))
    ctx.exit(FAILURE if any(finding.state is State.PROBLEM for finding in findings) else 0)
