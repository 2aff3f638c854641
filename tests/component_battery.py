"""What every component must have, checked the same way for each, and one way to run it: `check_component`, `execute`.

A component of TFX's own classes breaks late: what the compiled pipeline says of it is not what was meant, or the class
that it names cannot be imported where it is to run. So everything here goes by the compiled form.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tfx import types
from tfx.dsl.compiler import compiler
from tfx.dsl.components.base import base_beam_executor, base_driver, base_executor, base_node
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import base_driver as portable_driver
from tfx.proto.orchestration import executable_spec_pb2, pipeline_pb2
from tfx.utils import import_utils

CODE_DIGEST = "the-digest-of-its-code"
"""What tests give a component for one; `check_component` looks for it."""


class Compiled(NamedTuple):
    """A component as runners see it."""

    node: pipeline_pb2.PipelineNode
    executor: type[base_executor.BaseExecutor]
    driver: type[portable_driver.BaseDriver] | None
    """Its own; None: TFX's."""


def given(artifact_type: type[types.Artifact]) -> types.BaseChannel:
    """Returns a channel to construct a component with, of a producer that no test runs."""
    importer = Importer(source_uri="nowhere", artifact_type=artifact_type)
    return importer.with_id(f"{artifact_type.__name__}Source").outputs["result"]


def artifact(artifact_type: type[types.Artifact], uri: str | Path = "", **properties: str | int) -> types.Artifact:
    """Returns an artifact with its place and its custom properties."""
    made = artifact_type()
    made.uri = str(uri)
    for name, value in properties.items():
        put = made.set_int_custom_property if isinstance(value, int) else made.set_string_custom_property
        put(name, value)
    return made


def compiled(component: base_node.BaseNode, pipeline: Pipeline | None = None) -> Compiled:
    """Compiles the pipeline, or one of the component and its `given` inputs, and imports what the result names."""
    if pipeline is None:
        nodes = [component, *(channel.producer_component for channel in component.inputs.values())]
        pipeline = Pipeline(pipeline_name="battery", pipeline_root="nowhere", components=nodes)
    ir = _compile(pipeline)
    [node] = [each.pipeline_node for each in ir.nodes if each.pipeline_node.node_info.id == component.id]
    deployment = pipeline_pb2.IntermediateDeploymentConfig()
    ir.deployment_config.Unpack(deployment)
    packed = deployment.executor_specs[component.id]
    beam = executable_spec_pb2.BeamExecutableSpec()
    executor = executable_spec_pb2.PythonClassExecutableSpec()
    if packed.Is(beam.DESCRIPTOR):
        packed.Unpack(beam)
        executor = beam.python_executor_spec
    else:
        packed.Unpack(executor)
    driver = None
    if component.id in deployment.custom_driver_specs:
        spec = executable_spec_pb2.PythonClassExecutableSpec()
        deployment.custom_driver_specs[component.id].Unpack(spec)
        driver = import_utils.import_class_by_path(spec.class_path)
    return Compiled(node, import_utils.import_class_by_path(executor.class_path), driver)


@functools.cache
def _compile(pipeline: Pipeline) -> pipeline_pb2.Pipeline:
    return compiler.Compiler().compile(pipeline)


def check_component(
    component: base_node.BaseNode,
    pipeline: Pipeline | None = None,
    *,
    module: str,
    outputs: Mapping[str, type[types.Artifact]],
    driver: type[base_driver.BaseDriver] | None = None,
    code_digest: str = CODE_DIGEST,
) -> None:
    """Checks a component as it is compiled.

    Args:
      component: Constructed with `given` inputs, or one of `pipeline`.
      pipeline: What it belongs to.
      module: Where its executor is.
      outputs: Key to artifact type, of all its outputs.
      driver: Its own driver, if it has one.
      code_digest: What has to be among its properties, so that the cache notices an edit of the code; empty where the
        component is never cached or TFX sees to it.
    """
    node, executor_class, driver_class = compiled(component, pipeline)

    # The executor: found by its name where it will run, of the component's own code, and constructible.
    assert executor_class.__module__ == module
    assert isinstance(made_executor(executor_class), base_executor.BaseExecutor)
    is_beam = issubclass(executor_class, base_beam_executor.BaseBeamExecutor)
    assert is_beam == hasattr(component, "with_beam_pipeline_args"), "arguments of Beam would not reach its executor"

    # The driver: what TFX checks at construction, and what it runs.
    assert driver_class is driver
    if driver is not None:
        assert isinstance(driver(None), base_driver.BaseDriver)
        assert isinstance(driver(None), portable_driver.BaseDriver)

    # The contract: inputs, outputs and parameters survive the compilation.
    assert {*node.inputs.inputs} == {*component.inputs}
    found = {key: spec.artifact_spec.type.name for key, spec in node.outputs.outputs.items()}
    assert found == {key: kind.TYPE_NAME for key, kind in outputs.items()}
    properties = {key: value for key, value in component.exec_properties.items() if value is not None}
    assert compiled_properties(node) == properties
    assert code_digest in str(properties)


def compiled_properties(node: pipeline_pb2.PipelineNode) -> dict[str, Any]:
    """Returns a compiled node's execution properties, as its executor will get them."""
    values = {key: value.field_value for key, value in node.parameters.parameters.items()}
    return {key: getattr(value, value.WhichOneof("value")) for key, value in values.items()}


def made_executor(executor_class: type[base_executor.BaseExecutor], directory: str | Path = "") -> Any:
    """Returns an executor as TFX constructs it; what it keeps for itself goes to the directory."""
    beam = issubclass(executor_class, base_beam_executor.BaseBeamExecutor)
    contexts = base_beam_executor.BaseBeamExecutor if beam else base_executor.BaseExecutor
    more = {"beam_pipeline_args": ["--runner=DirectRunner"]} if beam else {}
    return executor_class(contexts.Context(tmp_dir=str(directory), unique_id="1", pipeline_run_id="run-1", **more))


def execute(
    component: base_node.BaseNode, directory: Path, inputs: Mapping[str, types.Artifact], **properties: Any
) -> dict[str, types.Artifact]:
    """Runs a component's executor as it is compiled, with an artifact for each input; its drivers are not asked.

    Args:
      component: Constructed with `given` inputs.
      directory: Outputs are written below it, each in a directory of its key.
      inputs: Key to artifact; those that are left out are not there.
      **properties: What its driver would add.

    Returns:
      Key to artifact, of all outputs; each has something in it.
    """
    node, executor_class, _ = compiled(component)
    outputs = {key: [artifact(channel.type, directory / key)] for key, channel in component.outputs.items()}
    for [output] in outputs.values():
        Path(output.uri).mkdir(parents=True, exist_ok=True)
    made_executor(executor_class, directory / ".temporary").Do(
        {key: [each] for key, each in inputs.items()}, outputs, compiled_properties(node) | properties
    )
    for key, [output] in outputs.items():
        assert any(path.is_file() for path in Path(output.uri).rglob("*")), f"nothing was written to {key!r}"
    return {key: output for key, [output] in outputs.items()}
