"""`petseg kubeflow`: the pipeline on Kubeflow Pipelines v2.

What compiles, what runs a package, and the client of the server are imported by the commands that need them, so that
help and mistakes are answered at once.
"""

import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pipeline.commands.options import (
    NOT_BLESSED,
    SuggestingGroup,
    config_options,
    end_with,
    gate_options,
    json_option,
    pipeline_root_option,
    resolve_config,
)
from pipeline.config.kubeflow import KEPT_DRY_RUNS
from pipeline.config.schema import Config
from pipeline.terminal.streams import INTERRUPTED, captured_output, json_text, notify
from trainer_module.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.kubeflow.client import KubeflowClient
    from pipeline.kubeflow.runs import RemoteRun

DEFAULT_ROOT: Final = "kubeflow_dry_run"

_KUBEFLOW, _VERTEX = "kubeflow", "vertex"
_SUFFIXES: Final = {_KUBEFLOW: (".yaml", ".yml"), _VERTEX: (".json",)}


@click.group(cls=SuggestingGroup)
def kubeflow() -> None:
    """Compile, try, submit and follow the pipeline on Kubeflow Pipelines v2."""


@kubeflow.command("compile", short_help="Compile the pipeline to one file.")
@config_options
@click.option(
    "--output",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the package: .yaml, or .json for Vertex AI.",
)
@click.option(
    "--target",
    type=click.Choice([_KUBEFLOW, _VERTEX]),
    default=_KUBEFLOW,
    show_default=True,
    help="Open-source Kubeflow Pipelines v2, or Vertex AI Pipelines.",
)
def compile_pipeline(
    preset: str | None, config_file: Path | None, overrides: tuple[str, ...], output: Path, target: str
) -> None:
    """Compile the pipeline to one file, checked for what the server would refuse or ignore in silence.

    The same configuration makes the same file. Nothing is read but the configuration, and nothing is contacted.
    Secrets appear by name only.
    """
    if output.suffix not in _SUFFIXES[target]:
        raise ConfigError(f"--output {output}: for --target {target} it must end in {' or '.join(_SUFFIXES[target])}")
    config = resolve_config(preset, config_file, overrides)
    with captured_output(Path(os.devnull)) as (stdout, _):
        from pipeline.kubeflow.compiler import compile_package, compile_vertex_job

        if target == _VERTEX:
            job = compile_vertex_job(config)
            try:
                output.write_text(json.dumps(job, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            except OSError as error:
                raise ConfigError(f"cannot write {str(output)!r}: {error.strerror}") from error
            click.echo(f"{output}: job of {config.pipeline.name} for Vertex AI Pipelines", file=stdout)
            return
        package = compile_package(config)
        package.save(output)
        lines = [f"{output}: pipeline {package.name}, {len(package.task_ids)} components, digest {package.digest}"]
        lines += [f"  {name} = {spec.default!r}  ({spec.type})" for name, spec in package.parameters.items()]
        click.echo("\n".join(lines), file=stdout)


@kubeflow.command("dry-run", short_help="Execute a compiled file on this machine.")
@click.argument("package", type=click.Path(path_type=Path))
@click.option(
    "--parameter",
    "assignments",
    metavar="NAME=VALUE",
    multiple=True,
    help="Value of a runtime parameter, as in --parameter epochs=1; may be repeated.",
)
@gate_options
@pipeline_root_option(f"Directory for everything that dry-runs leave; {DEFAULT_ROOT} when not given.")
@click.option("--no-cache", is_flag=True, help="Run every component, also those whose result is known.")
@click.option("--keep-pods", is_flag=True, help="Keep the files that each component saw and wrote.")
@click.option(
    "--keep-runs",
    type=click.IntRange(min=1),
    default=KEPT_DRY_RUNS,
    show_default=True,
    help="Complete runs of the pipeline whose artifacts stay; those of older ones are removed.",
)
@click.option("--docker", is_flag=True, help="Run the images of the package under kfp.local; needs Docker.")
@json_option("Print the run's record as JSON on standard output, and all else on standard error.")
@click.pass_context
def dry_run(
    ctx: click.Context,
    package: Path,
    assignments: tuple[str, ...],
    reset_baseline: bool,
    force_bless: str | None,
    pipeline_root: str | None,
    no_cache: bool,
    keep_pods: bool,
    keep_runs: int,
    docker: bool,
    as_json: bool,
) -> None:
    """Execute the compiled PACKAGE on this machine, without a cluster.

    Every component runs in a process of its own, by its container's command, with what the driver and the launcher of
    Kubeflow Pipelines would give it. Volumes, object store and metadata are under the root; petseg runs --pipeline-root
    DIR lists the dry-runs.

    Exit codes: 0 done, 1 failure, 2 bad usage or configuration, 3 done but the model was not blessed, or cannot be
    served, so nothing was pushed, 130 interrupted. With --force-bless a model that did not pass the gate is pushed and
    the exit code is 0.
    """
    from pipeline.kubeflow.arguments import gate_assignments, parse_arguments
    from pipeline.kubeflow.dry_run.specification import DryRunRequest
    from pipeline.kubeflow.package import Package

    if docker and (no_cache or keep_pods):
        raise ConfigError("--docker has neither cache nor pods to keep: kfp.local runs every component, in containers")
    compiled = Package.load(package)
    request = DryRunRequest(
        root=pipeline_root or DEFAULT_ROOT,
        parameters=parse_arguments(compiled, (*assignments, *gate_assignments(reset_baseline, force_bless))),
        use_cache=not no_cache,
        keep_pods=keep_pods,
        keep_runs=keep_runs,
        show_on_stderr=as_json,
    )
    if docker:
        from pipeline.kubeflow.dry_run.docker import docker_run as execute
    else:
        from pipeline.kubeflow.dry_run.runner import dry_run as execute
    end_with(ctx, execute(compiled, request), as_json=as_json, goes_on=not docker)


@kubeflow.command("submit", short_help="Upload a compiled file, run it, and follow the run.")
@click.argument("package_file", metavar="PACKAGE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--parameter", "assignments", metavar="NAME=VALUE", multiple=True, help="Set a runtime parameter; may be repeated."
)
@gate_options
@config_options
@click.option("--run-name", metavar="NAME", help="Name of the run; the package's name and the time when not given.")
@click.option("--no-wait", is_flag=True, help="Do not follow the run.")
@click.option("--upload-only", is_flag=True, help="Upload the package as the newest version, and run nothing.")
@json_option("Print the run's record as JSON on standard output, and all else on standard error.")
@click.pass_context
def submit(
    ctx: click.Context,
    package_file: Path,
    assignments: tuple[str, ...],
    reset_baseline: bool,
    force_bless: str | None,
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    run_name: str | None,
    no_wait: bool,
    upload_only: bool,
    as_json: bool,
) -> None:
    """Upload PACKAGE, a file that `petseg kubeflow compile` wrote, run it, and follow the run.

    A package that the server has already is not uploaded again. Ctrl-C stops following; the run goes on.

    Exit codes: 0 the run succeeded, also where it found no reason to train, 1 it failed, 2 bad usage or configuration,
    3 it succeeded but the model was not blessed, or cannot be served, so nothing was pushed, 130 interrupted. With
    --force-bless a model that did not pass the gate is pushed and the code is 0. What became of the model is read from
    ML Metadata (kubeflow.metadata_host), else from the logs of the pods; where neither can be read that is said, and
    the code is 0.
    """
    if upload_only and (assignments or reset_baseline or force_bless or run_name is not None or no_wait):
        raise click.UsageError(
            "--upload-only runs nothing; it goes with no --parameter, --reset-baseline, --force-bless, --run-name or "
            "--no-wait"
        )
    from pipeline.kubeflow.arguments import gate_assignments, parse_arguments
    from pipeline.kubeflow.package import Package, check_compiled_by_this_code
    from pipeline.kubeflow.runs import RemoteRun

    package = Package.load(package_file)
    parameters = parse_arguments(package, (*assignments, *gate_assignments(reset_baseline, force_bless)))
    check_compiled_by_this_code(package.pipeline_spec)
    client = _client(preset, config_file, overrides)
    version = client.upload(package)
    what = "uploaded" if version.is_new else "the server has it already:"
    notify(f"{what} {version.name} of the pipeline {package.name}")
    if upload_only:
        if as_json:
            click.echo(json_text(asdict(version)))
        return
    experiment_id = client.experiment_id(client.config.experiment or package.name, create=True)
    name = run_name or f"{package.name} {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    run = client.create_run(version, name=name, experiment_id=experiment_id, parameters=parameters)
    notify(f"started {name!r} on {client.access.host}: run {run.run_id}")
    remote = RemoteRun(client, run)
    code = 0
    if not no_wait:
        code = _follow(remote, as_json)
    elif not as_json:
        click.echo(remote.record.run_id)
    if as_json:
        click.echo(json_text(remote.record))
    ctx.exit(code)


@kubeflow.command("status", short_help="Show a run on the server.")
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

    Exit codes with RUN, also with --json: 0 the run goes on or succeeded, 1 it failed, 3 it succeeded but the model was
    not blessed, or cannot be served, so nothing was pushed, 130 it was cancelled, or following it was interrupted. What
    became of the model is read as by submit.
    """
    from pipeline.kubeflow.client import connect
    from pipeline.kubeflow.runs import RemoteRun
    from pipeline.runs.tables import run_details
    from pipeline.terminal.tables import print_table

    config = resolve_config(preset, config_file, overrides, announce_default=False)
    if run is None:
        if follow_run:
            raise click.UsageError("--follow needs the id of a run")
        _list_runs(config, experiment, limit, as_json)
        return
    remote = RemoteRun.load(connect(config.kubeflow), run)
    if follow_run:
        code = _follow(remote, as_json)
    else:
        remote.read_all()
        code = _exit_code(remote)
    if as_json:
        click.echo(json_text(remote.record))
    elif not follow_run:
        print_table(run_details(remote.record))
        if remote.is_being_cancelled:
            notify("the run is being cancelled", "yellow")
    ctx.exit(code)


@kubeflow.command("logs", short_help="Print the log of a component of a run.")
@click.argument("run")
@click.argument("component")
@config_options
@click.option(
    "--attempt", type=click.IntRange(min=1), metavar="N", help="Of several attempts the Nth; else the latest."
)
@click.option("--follow", is_flag=True, help="Go on until the component has ended; Ctrl-C leaves it alone.")
@click.pass_context
def logs(
    ctx: click.Context,
    run: str,
    component: str,
    preset: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    attempt: int | None,
    follow: bool,
) -> None:
    """Print the log of COMPONENT, such as Trainer, of the run with the id RUN.

    A driver has a log, too: Trainer-driver, and root-driver for that of the whole pipeline.

    The log is read by the Kubernetes API while the pod is there (kubeflow.kubeconfig), else from the archive of the
    server, else from the object store (kubeflow.object_store); standard error says from where.
    """
    from pipeline.kubeflow.logs import ComponentLog
    from pipeline.kubeflow.runs import RemoteRun

    remote = RemoteRun.load(_client(preset, config_file, overrides), run)
    log = ComponentLog(remote, component, attempt, notify)
    try:
        for text in log.follow() if follow else [log.read()]:
            click.echo(text, nl=False)
    except KeyboardInterrupt:
        ctx.exit(INTERRUPTED)


@kubeflow.command("cancel", short_help="Stop a run on the server.")
@click.argument("run")
@config_options
def cancel(run: str, preset: str | None, config_file: Path | None, overrides: tuple[str, ...]) -> None:
    """Stop the run with the id RUN; what its components have finished stays, and later runs may use it.

    A run that has ended, or is being cancelled, is left as it is.
    """
    from pipeline.kubeflow.following import cancel_run

    click.echo(cancel_run(_client(preset, config_file, overrides), run))


def _client(preset: str | None, config_file: Path | None, overrides: tuple[str, ...]) -> "KubeflowClient":
    from pipeline.kubeflow.client import connect

    return connect(resolve_config(preset, config_file, overrides, announce_default=False).kubeflow)


def _follow(remote: "RemoteRun", as_json: bool) -> int:
    """Follows a run, says on standard error how it ended if not well, and returns the exit code."""
    from pipeline.kubeflow.following import follow, how_to_go_on

    if not follow(remote, sys.stderr if as_json else sys.stdout):
        notify(how_to_go_on(remote.record.run_id), "yellow")
        return INTERRUPTED
    if remote.record.error is not None:
        notify(f"error: {remote.record.error}", "red")
    return _exit_code(remote)


def _exit_code(remote: "RemoteRun") -> int:
    """Returns the exit code that the state of a run asks for; says it on standard error where that is not sure."""
    from pipeline.runs.record import RunState

    record = remote.record
    if record.state is RunState.COMPLETE and not remote.outcome.is_known:
        notify(f"what became of the model is not known here: {remote.outcome.why_unknown}", "yellow")
    if record.state is RunState.COMPLETE and record.refused:
        return NOT_BLESSED
    return {RunState.FAILED: 1, RunState.INTERRUPTED: INTERRUPTED}.get(record.state, 0)


def _list_runs(config: Config, experiment: str | None, limit: int, as_json: bool) -> None:
    from pipeline.kubeflow.client import connect
    from pipeline.kubeflow.metadata_service import MetadataError
    from pipeline.kubeflow.outcome import add_verdicts
    from pipeline.kubeflow.runs import brief_record
    from pipeline.runs.tables import remote_runs_table
    from pipeline.terminal.tables import print_table

    client = connect(config.kubeflow)
    name = experiment or config.kubeflow.experiment or config.pipeline.name
    records = [brief_record(run) for run in client.runs(client.experiment_id(name, create=False), limit)]
    try:
        add_verdicts(records, client.artifacts)
        has_verdicts = True
    except MetadataError as error:
        notify(f"verdicts are not shown: {error}")
        has_verdicts = False
    if as_json:
        click.echo(json_text([record.model_dump(mode="json") for record in records]))
    elif records:
        print_table(remote_runs_table(records, has_verdicts=has_verdicts))
    else:
        click.echo(f"no runs in the experiment {name!r}; `petseg kubeflow submit` starts one")
