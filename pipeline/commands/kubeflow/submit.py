"""`petseg kubeflow submit`: uploads a package, runs it, and follows the run."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from pipeline.commands.kubeflow.ending import explain_end
from pipeline.commands.options import config_options, json_option, resolve_config
from pipeline.json_text import json_text
from pipeline.kubeflow.client import KubeflowClient, UploadedVersion, connect
from pipeline.kubeflow.compatibility import check_compiled_by_this_code
from pipeline.kubeflow.following import follow
from pipeline.kubeflow.package import Package
from pipeline.kubeflow.remote_run import RemoteRun
from pipeline.kubeflow.run_arguments import parse_arguments
from pipeline.output_streams import notify


@click.command("submit")
@click.argument("package_file", metavar="PACKAGE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--parameter", "assignments", metavar="NAME=VALUE", multiple=True, help="Set a runtime parameter; may be repeated."
)
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

    Exit codes: 0 the run succeeded, 1 it failed, 2 bad usage or configuration, 130 interrupted. Whether the model was
    blessed is in the run's artifacts and not known here.
    """
    if upload_only and (assignments or run_name is not None or no_wait):
        raise click.UsageError("--upload-only runs nothing; it goes with no --parameter, --run-name or --no-wait")
    package = Package.load(package_file)
    parameters = parse_arguments(package, assignments)
    check_compiled_by_this_code(package.pipeline_spec)
    client = connect(resolve_config(preset, config_file, overrides, announce_default=False).kubeflow)
    version = _upload(client, package)
    if upload_only:
        if as_json:
            click.echo(json_text(asdict(version)))
        return
    remote = RemoteRun(client, _start(client, package, version, run_name, parameters))
    code = 0
    if not no_wait:
        has_ended = follow(remote, sys.stderr if as_json else sys.stdout)
        code = explain_end(remote.record, was_followed_to_its_end=has_ended)
    elif not as_json:
        click.echo(remote.record.run_id)
    if as_json:
        click.echo(json_text(remote.record))
    ctx.exit(code)


def _upload(client: KubeflowClient, package: Package) -> UploadedVersion:
    version = client.upload(package)
    what = "uploaded" if version.is_new else "the server has it already:"
    notify(f"{what} {version.name} of the pipeline {package.name}")
    return version


def _start(
    client: KubeflowClient, package: Package, version: UploadedVersion, name: str | None, parameters: dict[str, Any]
) -> Any:
    experiment_id = client.experiment_id(client.config.experiment or package.name, create=True)
    run_name = name or f"{package.name} {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    run = client.create_run(version, name=run_name, experiment_id=experiment_id, parameters=parameters)
    notify(f"started {run_name!r} on {client.access.host}: run {run.run_id}")
    return run
