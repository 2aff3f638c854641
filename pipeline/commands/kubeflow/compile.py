"""`petseg kubeflow compile`: the pipeline as one file for the server."""

import json
import os
from pathlib import Path

import click

from pipeline.commands.options import config_options, resolve_config
from pipeline.output_capture import captured_output
from trainer_module.errors import ConfigError

_KUBEFLOW, _VERTEX = "kubeflow", "vertex"
_SUFFIXES = {_KUBEFLOW: (".yaml", ".yml"), _VERTEX: (".json",)}


@click.command("compile")
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
def compile_package(
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
        from pipeline.kubeflow.compiler import compile_package as compile_for_kubeflow
        from pipeline.kubeflow.compiler import compile_vertex_job

        if target == _VERTEX:
            _write_job(compile_vertex_job(config), output)
            click.echo(f"{output}: job of {config.pipeline.name} for Vertex AI Pipelines", file=stdout)
            return
        package = compile_for_kubeflow(config)
        package.save(output)
        lines = [f"{output}: pipeline {package.name}, {len(package.task_ids)} components, digest {package.digest}"]
        lines += [f"  {name} = {spec.default!r}  ({spec.type})" for name, spec in package.parameters.items()]
        click.echo("\n".join(lines), file=stdout)


def _write_job(job: dict[str, object], output: Path) -> None:
    try:
        output.write_text(json.dumps(job, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {str(output)!r}: {error.strerror}") from error
