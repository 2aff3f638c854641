"""`petseg kubeflow dry-run`: executes a compiled package on this machine."""

from pathlib import Path

import click

from pipeline.commands.options import json_option, pipeline_root_option
from pipeline.commands.run_outcome import end_with
from trainer_module.errors import ConfigError

DEFAULT_ROOT = "kubeflow_dry_run"


@click.command("dry-run")
@click.argument("package", type=click.Path(path_type=Path))
@click.option(
    "--parameter",
    "assignments",
    metavar="NAME=VALUE",
    multiple=True,
    help="Value of a runtime parameter, as in --parameter epochs=1; may be repeated.",
)
@pipeline_root_option(f"Directory for everything that dry-runs leave; {DEFAULT_ROOT} when not given.")
@click.option("--no-cache", is_flag=True, help="Run every component, also those whose result is known.")
@click.option("--keep-pods", is_flag=True, help="Keep the files that each component saw and wrote.")
@click.option("--docker", is_flag=True, help="Run the images of the package under kfp.local; needs Docker.")
@json_option("Print the run's record as JSON on standard output, and all else on standard error.")
@click.pass_context
def dry_run(
    ctx: click.Context,
    package: Path,
    assignments: tuple[str, ...],
    pipeline_root: str | None,
    no_cache: bool,
    keep_pods: bool,
    docker: bool,
    as_json: bool,
) -> None:
    """Execute the compiled PACKAGE on this machine, without a cluster.

    Every component runs in a process of its own, by its container's command, with what the driver and the launcher of
    Kubeflow Pipelines would give it. Volumes, object store and metadata are under the root; petseg runs --pipeline-root
    DIR lists the dry-runs.

    Exit codes: 0 done, 1 failure, 2 bad usage or configuration, 3 done but the model was not blessed, or cannot be
    served, so nothing was pushed, 130 interrupted.
    """
    from pipeline.kubeflow.dry_run.request import DryRunRequest
    from pipeline.kubeflow.package import Package
    from pipeline.kubeflow.run_arguments import parse_arguments

    if docker and (no_cache or keep_pods):
        raise ConfigError("--docker has neither cache nor pods to keep: kfp.local runs every component, in containers")
    compiled = Package.load(package)
    request = DryRunRequest(
        root=pipeline_root or DEFAULT_ROOT,
        parameters=parse_arguments(compiled, assignments),
        use_cache=not no_cache,
        keep_pods=keep_pods,
        show_on_stderr=as_json,
    )
    if docker:
        from pipeline.kubeflow.dry_run.docker import docker_run as execute
    else:
        from pipeline.kubeflow.dry_run.runner import dry_run as execute
    end_with(ctx, execute(compiled, request), as_json=as_json)
