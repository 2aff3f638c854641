"""What makes two executions of a task the same to the server, which then takes the outputs of the earlier one.

The key covers: the ids in ML Metadata of the input artifacts; the values of the input parameters; type and metadata of
the output artifacts, and the type of the output parameters; image, command and arguments of the container; the claims
of its volumes. It covers neither its environment variables, nor what is on the volumes or under a URI
(`GenerateCacheKey` of https://github.com/kubeflow/pipelines/blob/2.16.1/backend/src/v2/cacheutils/cache.go).

It is taken before any path is replaced by one of this machine, so that it is the same wherever the dry-run is.
"""

import hashlib
import json
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.dry_run.specification import Task


def cache_key(task: Task, executor_input: pipeline_spec_pb2.ExecutorInput) -> str:
    """Returns the fingerprint of an execution: 64 hexadecimal digits."""
    inputs, outputs = executor_input.inputs, executor_input.outputs
    key: dict[str, Any] = {
        "inputArtifactNames": {
            name: [artifact.name for artifact in channel.artifacts] for name, channel in inputs.artifacts.items()
        },
        "inputParameterValues": {
            name: json_format.MessageToDict(value) for name, value in inputs.parameter_values.items()
        },
        "outputArtifactsSpec": {
            name: [_without_uri(artifact) for artifact in channel.artifacts]
            for name, channel in outputs.artifacts.items()
        },
        "outputParametersSpec": {
            name: definition.parameter_type for name, definition in task.component.output_definitions.parameters.items()
        },
        "image": task.container.image,
        "cmdArgs": [*task.container.command, *task.container.args],
        "pvcNames": sorted(set(task.volumes.values())),
    }
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _without_uri(artifact: pipeline_spec_pb2.RuntimeArtifact) -> dict[str, Any]:
    return {name: value for name, value in json_format.MessageToDict(artifact).items() if name != "uri"}
