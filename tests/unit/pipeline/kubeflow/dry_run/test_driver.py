"""What the dry-run's driver gives, beside what a real one gave."""

import json
import re
from pathlib import Path

import pytest
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.dry_run.driver import executor_input
from pipeline.kubeflow.dry_run.specification import Task

RECORDED = Path(__file__).parents[1] / "recorded" / "driver_2.17.0.json"
RUN = "minio://mlpipeline/v2/artifacts/petseg-demo/c0a5aeb7-787d-457c-9f5c-1c08daffb49a"


@pytest.mark.parametrize("task_id", ["TfdsExampleGenDriver", "ImportSchema"])
def test_it_gives_what_a_real_one_gave(task_id):
    recorded = json.loads(RECORDED.read_text())["tasks"][task_id]
    component = json_format.ParseDict(recorded["component_spec"], pipeline_spec_pb2.ComponentSpec())
    component.output_definitions.artifacts.pop("executor-logs", None)
    values = recorded["executor_input"]["inputs"]["parameterValues"]
    constants = {name: {"runtimeValue": {"constant": value}} for name, value in values.items()}
    spec = json_format.ParseDict({"inputs": {"parameters": constants}}, pipeline_spec_pb2.PipelineTaskSpec())
    container = pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec()
    task = Task(task_id, spec, component, container, kubernetes_executor_config_pb2.KubernetesExecutorConfig())

    given = json_format.MessageToDict(executor_input(task, {}, {}, f"{RUN}/{task_id}"))
    assert _without_uuid(given, task_id) == _without_uuid(recorded["executor_input"], task_id)


def _without_uuid(message: dict, task_id: str) -> dict:
    return json.loads(re.sub(rf"(?<={task_id}/)[0-9a-f-]{{36}}", "<uuid>", json.dumps(message)))
