"""What the dry-run's driver gives, beside what a real one gave the components of the demo."""

import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2
from recordings import recorded

from pipeline.kubeflow.dry_run.driver import Scope, executor_input
from pipeline.kubeflow.dry_run.metadata import Artifact, Execution, Metadata
from pipeline.kubeflow.dry_run.specification import Task, parse_tasks
from pipeline.kubeflow.package import Package

GOLDEN = Path(__file__).parents[1] / "golden" / "gpu.yaml"
RUN = "minio://mlpipeline/v2/artifacts/petseg-demo/c0a5aeb7-787d-457c-9f5c-1c08daffb49a"
RECORDED = recorded("launcher_arguments")
PRODUCERS = {"examples": "TfdsExampleGen", "schema": "ImportSchema"}
TODAY = {"examples": ("SegmentationValidator", "checked_examples"), "schema": ("ImportSchema", "schema")}
"""Who gives what was recorded in the graph of today, and as what."""

ADDED_BY_SERVER = ("display_name", "store_session_info")
_EXECUTION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(?=/[^/]+$)")


@pytest.fixture
def upstream(tmp_path) -> dict[str, Execution]:
    """Executions that left the artifacts which the real StatisticsGen was given, as their components described them."""
    metadata = Metadata(tmp_path / "executions.jsonl", "petseg-demo", "run")
    executions = {}
    for name, channel in RECORDED["StatisticsGen"]["executor_input"]["inputs"]["artifacts"].items():
        [artifact] = channel["artifacts"]
        said = {key: value for key, value in artifact["metadata"].items() if key not in ADDED_BY_SERVER}
        if name == "examples":
            said["duplicates"] = False
        output = pipeline_spec_pb2.RuntimeArtifact(uri=artifact["uri"])
        json_format.ParseDict(said, output.metadata)
        for task, key in {(PRODUCERS[name], name), TODAY[name]}:
            execution = metadata.start(task, pipeline_spec_pb2.ExecutorInput(), None)
            metadata.complete(execution, [Artifact.of(key, output)], {})
            executions[execution.task] = execution
    return executions


def recorded_task(task_id: str) -> Task:
    """Returns a task of the component that a real driver was given, with its values."""
    component = json_format.ParseDict(RECORDED[task_id]["component_spec"], pipeline_spec_pb2.ComponentSpec())
    component.output_definitions.artifacts.pop("executor-logs", None)
    inputs = RECORDED[task_id]["executor_input"]["inputs"]
    parameters = {
        name: {"runtimeValue": {"constant": value}} for name, value in inputs.get("parameterValues", {}).items()
    }
    artifacts = {
        name: {"taskOutputArtifact": {"producerTask": PRODUCERS[name], "outputArtifactKey": name}}
        for name in inputs.get("artifacts", {})
    }
    spec = {"inputs": {"parameters": parameters, "artifacts": artifacts}}
    return Task(
        task_id,
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineTaskSpec()),
        component,
        pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec(),
        kubernetes_executor_config_pb2.KubernetesExecutorConfig(),
    )


@pytest.mark.parametrize("task_id", RECORDED)
def test_it_gives_what_a_real_one_gave(task_id, upstream):
    given = json_format.MessageToDict(
        executor_input(recorded_task(task_id), Scope({}, upstream=upstream), f"{RUN}/{task_id}")
    )
    assert comparable(given) == comparable(RECORDED[task_id]["executor_input"])


@pytest.mark.parametrize("task_id", RECORDED)
def test_also_to_a_component_of_the_package_that_is_compiled_today(task_id, upstream):
    package = Package.load(GOLDEN)
    [task] = [task for task in parse_tasks(package) if task.id == task_id]
    values = {name: spec.default for name, spec in package.parameters.items()}
    given = comparable(
        json_format.MessageToDict(executor_input(task, Scope(values, upstream=upstream), f"{RUN}/{task_id}"))
    )
    real = comparable(RECORDED[task_id]["executor_input"])
    assert given["outputs"] == real["outputs"]
    assert set(given["inputs"]["parameterValues"]) == set(task.component.input_definitions.parameters)
    for name, channel in given["inputs"].get("artifacts", {}).items():
        expected = comparable(RECORDED["StatisticsGen"]["executor_input"])["inputs"]["artifacts"][name]
        expected["artifacts"][0]["metadata"]["display_name"] = TODAY[name][1]
        assert channel == expected


def comparable(message: dict[str, Any]) -> dict[str, Any]:
    """Returns the message with a word for what is another in each execution or object store, and for truth values."""
    return {key: _comparable(key, value) for key, value in message.items()}


def _comparable(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return comparable(value)
    if isinstance(value, list):
        return [_comparable(key, inner) for inner in value]
    if isinstance(value, bool):  # equal to 0 and 1, which is what the server makes of them
        return f"<{value}>"
    if key == "store_session_info" and isinstance(value, str):
        return "<session>"
    if key == "name" and value.isdecimal():
        return "<artifact>"
    return _EXECUTION.sub("<execution>", value) if key in ("uri", "outputFile") else value
