"""Compiles the graph for Kubeflow Pipelines: TFX's own compiler, and what the open-source server needs beyond it.

TFX compiles for Vertex AI. The open-source server ignores driver hooks, drops nothing in silence that it could refuse,
and knows neither the defaults of runtime parameters nor retries unless they are written down; so they are added here.
"""

import copy
import json
from collections.abc import Mapping
from typing import Any, Final

import yaml
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from components.artifact_properties import TRAINS
from components.kubernetes_api import IN_CLUSTER
from components.model_pusher.origin import Recipe
from petseg.processes import OPTIONS
from pipeline.beam.arguments import check_pods
from pipeline.config.kserve import KServeConfig
from pipeline.config.kubeflow import POD_SCRATCH
from pipeline.config.schema import Config
from pipeline.graph import create_pipeline
from pipeline.kubeflow.attempts import retry_environment
from pipeline.kubeflow.conditional_dag import put_under_condition
from pipeline.kubeflow.dags import RETRAINING
from pipeline.kubeflow.entrypoint import COMPONENT_FLAG, DRIVER_FLAG, OUTPUTS_FLAG
from pipeline.kubeflow.lint import check_package
from pipeline.kubeflow.package import Package, code_arguments
from pipeline.kubeflow.parameters import (
    ONLY_IF_NEEDED,
    RECIPE,
    RUNTIME_PARAMETERS,
    RuntimeParameter,
    check_push_destination,
)
from pipeline.kubeflow.pod_output import SYSTEM_TYPES
from pipeline.kubeflow.pods import kubernetes_config, resource_spec
from pipeline.nodes import COMPONENTS, EXAMPLE_GEN_DRIVER, RETRAINING_DECIDER, RUN_REPORT, TRAINER, Driver, component_of
from pipeline.tracking.pods import pod_environment
from trainer_module.errors import ConfigError

CHECKPOINT_DIR_VARIABLE: Final = "PETSEG_CHECKPOINT_DIR"


_COMMAND: Final = ("python", *OPTIONS, "pipeline.kubeflow.entrypoint")
_SYSTEM_SCHEMA_VERSION: Final = "0.0.1"
_STRING: Final = {"parameterType": "STRING"}


def compile_package(config: Config) -> Package:
    """Compiles the pipeline for open-source Kubeflow Pipelines v2; equal configurations make equal packages.

    Raises:
      ConfigError: A setting does not fit a cluster, or the result would not run on one.
    """
    config = _for_pods(config)
    decides = config.schedule.cron is not None and config.schedule.only_if_needed
    pipeline_spec = _pipeline_job(config, vertex=False, decides=decides)["pipelineSpec"]
    _complete(pipeline_spec, config)
    for task in _tasks(pipeline_spec):
        _add_environment(pipeline_spec, task, retry_environment(config.kubeflow.retry) | pod_environment(config))
    executors = {_executor_label(task): kubernetes_config(config.kubeflow, task) for task in _tasks(pipeline_spec)}
    if decides:
        put_under_condition(pipeline_spec, RETRAINING_DECIDER, TRAINS, RETRAINING)
    package = Package(pipeline_spec, {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}})
    check_package(package)
    return package


def compile_vertex_job(config: Config) -> dict[str, Any]:
    """Compiles the pipeline to the job that Vertex AI Pipelines takes, as JSON.

    Raises:
      ConfigError: A setting does not fit Vertex AI.
    """
    _check_for_vertex(config)
    unmounted = config.kubeflow.model_copy(update={"data_cache": None, "serving_volume": None})
    config = _for_pods(config.model_copy(update={"kubeflow": unmounted}))
    job = _pipeline_job(config, vertex=True, decides=False)
    _complete(job["pipelineSpec"], config)
    check_package(Package(job["pipelineSpec"], {}))
    job["runtimeConfig"]["parameterValues"] = {
        name: definition["defaultValue"]
        for name, definition in job["pipelineSpec"]["root"]["inputDefinitions"]["parameters"].items()
    }
    return job


def _for_pods(config: Config) -> Config:
    """Returns the configuration with the paths that pods see."""
    kubeflow, name = config.kubeflow, config.pipeline.name
    data_dir = config.data.data_dir
    if data_dir is None:
        data_dir = f"{kubeflow.data_cache.mount_path if kubeflow.data_cache else POD_SCRATCH}/data"
    elif not data_dir.startswith(("/", "gs://")):
        raise ConfigError(
            f"data.data_dir is {data_dir!r}, a path of this machine: give an absolute path on a mounted volume, such "
            "as /cache/data, or a gs:// URI"
        )
    destination = config.push.destination
    if destination is None and kubeflow.serving_volume:
        destination = f"{kubeflow.serving_volume.mount_path}/{name}"
    if destination is None:
        raise ConfigError("pods have nowhere to push models to: set kubeflow.serving_volume or push.destination")
    check_push_destination(destination)
    check_pods(config.pipeline.beam_args, {"kubeflow.pipeline_root": kubeflow.pipeline_root, "data.data_dir": data_dir})
    return config.model_copy(
        update={
            "data": config.data.model_copy(update={"data_dir": data_dir}),
            "push": config.push.model_copy(update={"destination": destination, "kserve": _kserve(config, destination)}),
        }
    )


def _kserve(config: Config, destination: str) -> KServeConfig:
    """Returns the settings of KServe for a pod: by its service account, from the volume that it pushes to."""
    changes: dict[str, Any] = {"kubeconfig": IN_CLUSTER, "context": None}
    volume = config.kubeflow.serving_volume
    if config.push.kserve.storage_uri is None and volume and destination.startswith(f"{volume.mount_path}/"):
        changes["storage_uri"] = f"pvc://{volume.claim}{destination.removeprefix(volume.mount_path)}"
    return config.push.kserve.model_copy(update=changes)


def _check_for_vertex(config: Config) -> None:
    wanted = {"kubeflow.pipeline_root": config.kubeflow.pipeline_root, "push.destination": config.push.destination}
    for key, value in wanted.items():
        if not (value or "").startswith("gs://"):
            raise ConfigError(f"{key} is {value!r}, but Vertex AI reads and writes gs:// only")
    if config.push.kserve.enabled:
        raise ConfigError(
            "push.kserve.enabled deploys to the cluster that a pod runs in, and Vertex AI has none; unset it"
        )
    if config.kubeflow.secrets:
        raise ConfigError("kubeflow.secrets are Kubernetes secrets, which Vertex AI has not; unset them")


def _pipeline_job(config: Config, *, vertex: bool, decides: bool) -> dict[str, Any]:
    """Compiles the graph with TFX; nothing is read or written."""
    kubeflow = config.kubeflow
    pipeline = create_pipeline(
        config, pipeline_root=kubeflow.pipeline_root, enable_cache=kubeflow.enable_cache, retrain=decides
    )
    _check_component_names(kubeflow.component_resources, [component.id for component in pipeline.components])
    for component in pipeline.components:
        component.with_platform_config(resource_spec(kubeflow, component.id, vertex=vertex))
    images = {"default_image_path": kubeflow.image}
    if kubeflow.gpu_image and kubeflow.trainer.gpus:
        images[TRAINER] = kubeflow.gpu_image
    runner_config = kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
        display_name=config.pipeline.name,
        default_image=images,
        default_commands=list(_COMMAND),
        use_pipeline_spec_2_1=True,
    )
    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(config=runner_config)
    return dict(runner.run(pipeline, write_out=False))


def _complete(pipeline_spec: dict[str, Any], config: Config) -> None:
    """Adds to TFX's specification what it leaves out."""
    for task_id, node in COMPONENTS.items():
        if node.driver and node.driver.component in _tasks(pipeline_spec):
            _add_driver_task(pipeline_spec, task_id, node.driver)
    _name_system_types(pipeline_spec)
    for parameter in RUNTIME_PARAMETERS:
        if parameter.name != ONLY_IF_NEEDED or RETRAINING_DECIDER in _tasks(pipeline_spec):
            _add_runtime_parameter(pipeline_spec, parameter, parameter.default(config))
    retry = config.kubeflow.retry
    for task_id, task in _tasks(pipeline_spec).items():
        outputs = pipeline_spec["components"][task["componentRef"]["name"]].get("outputDefinitions", {})
        _shorten(pipeline_spec, task_id)
        declared = [OUTPUTS_FLAG, ",".join(sorted(outputs.get("artifacts", {})))]
        _container(pipeline_spec, task_id)["command"] += [COMPONENT_FLAG, task_id, *code_arguments(task_id), *declared]
        if retry.max_count:
            task["retryPolicy"] = {
                "maxRetryCount": retry.max_count,
                "backoffDuration": f"{retry.backoff_seconds}s",
                "backoffFactor": retry.backoff_factor,
                "backoffMaxDuration": f"{retry.backoff_max_seconds}s",
            }
        if not COMPONENTS[task_id].is_cacheable:
            task["cachingOptions"] = {}
    if config.kubeflow.data_cache:
        directory = f"{config.kubeflow.data_cache.mount_path}/checkpoints/{config.pipeline.name}"
        _add_environment(pipeline_spec, TRAINER, {CHECKPOINT_DIR_VARIABLE: directory})


def _shorten(pipeline_spec: dict[str, Any], task_id: str) -> None:
    """Takes the white space out of the JSON of a task: a workflow of the server has it six times, and 1 MiB in all."""
    arguments = _container(pipeline_spec, task_id)["args"]
    arguments[:] = map(_compact, arguments)
    for source in _tasks(pipeline_spec)[task_id]["inputs"].get("parameters", {}).values():
        value = source.get("runtimeValue", {})
        if isinstance(value.get("constant"), str):
            value["constant"] = _compact(value["constant"])


def _compact(text: str) -> str:
    """Returns JSON without white space between its parts; another text as it is."""
    if not text.startswith(("{", "[")):
        return text
    try:
        return json.dumps(json.loads(text), separators=(",", ":"))
    except ValueError:  # as the placeholder {{$}}
        return text


def _add_driver_task(pipeline_spec: dict[str, Any], task_id: str, driver: Driver) -> None:
    """Makes a component's driver a task of its own, whose result is an input of the component.

    The server looks up its cache before anything of ours runs. The driver, never cached, looks at the world; where it
    finds the same, the component has the same inputs, and comes from the cache with all that follows.
    """
    component = _tasks(pipeline_spec)[driver.component]
    definitions = pipeline_spec["components"][driver.component]["inputDefinitions"]["parameters"]
    parameters = component["inputs"]["parameters"]
    container = _container(pipeline_spec, driver.component)
    after = component.get("dependentTasks", [])
    pipeline_spec["components"][task_id] = {
        "executorLabel": _executor_label(task_id),
        "inputDefinitions": {"parameters": copy.deepcopy(definitions)},
        "outputDefinitions": {"parameters": {driver.adds: dict(_STRING)}},
    }
    _tasks(pipeline_spec)[task_id] = {
        "componentRef": {"name": task_id},
        "inputs": {"parameters": copy.deepcopy(parameters)},
        "taskInfo": {"name": task_id},
        **({"dependentTasks": list(after)} if after else {}),
    }
    pipeline_spec["deploymentSpec"]["executors"][_executor_label(task_id)] = {
        "container": {
            **copy.deepcopy({key: container[key] for key in ("image", "command", "resources")}),
            "args": [DRIVER_FLAG, "--json_serialized_invocation_args", "{{$}}"],
        }
    }
    definitions[driver.adds] = dict(_STRING)
    parameters[driver.adds] = {"taskOutputParameter": {"producerTask": task_id, "outputParameterKey": driver.adds}}
    component["dependentTasks"] = sorted([*after, task_id])


def _name_system_types(pipeline_spec: dict[str, Any]) -> None:
    """Writes the types of the server's own artifacts, such as `system.Metrics`, as the server's SDK does."""
    for component in pipeline_spec["components"].values():
        for output in component.get("outputDefinitions", {}).get("artifacts", {}).values():
            title = yaml.safe_load(output["artifactType"].get("instanceSchema", "{}")).get("title", "")
            if title.startswith(SYSTEM_TYPES):
                output["artifactType"] = {"schemaTitle": title, "schemaVersion": _SYSTEM_SCHEMA_VERSION}


def _add_runtime_parameter(pipeline_spec: dict[str, Any], parameter: RuntimeParameter, default: Any) -> None:
    """Makes a parameter an input of the pipeline, with its default, and of the components that it concerns.

    The driver of a component gets it, too, and who is told the recipe. The first component runs before all that takes
    long, so it checks what does not concern it. RunReport tells every setting.
    """
    definition = {"parameterType": parameter.type, "description": parameter.description}
    root = pipeline_spec["root"].setdefault("inputDefinitions", {}).setdefault("parameters", {})
    root[parameter.name] = definition | {"defaultValue": default, "isOptional": True}
    concerned = [task_id for task_id in pipeline_spec["components"] if component_of(task_id) in parameter.components]
    knowing = _knowing_the_recipe(pipeline_spec) if parameter.name in Recipe.model_fields else []
    first = RETRAINING_DECIDER if RETRAINING_DECIDER in _tasks(pipeline_spec) else EXAMPLE_GEN_DRIVER
    inputs = [
        *((task_id, parameter.component_input) for task_id in concerned),
        *((task_id, parameter.recipe_input) for task_id in knowing),
        *([(first, parameter.checked_input)] if first not in (*concerned, *knowing) else []),
        *([(RUN_REPORT, parameter.reported_input)] if parameter.is_reported else []),
    ]
    for task_id, name in inputs:
        pipeline_spec["components"][task_id]["inputDefinitions"]["parameters"][name] = {"parameterType": parameter.type}
        _tasks(pipeline_spec)[task_id]["inputs"]["parameters"][name] = {"componentInputParameter": parameter.name}


def _knowing_the_recipe(pipeline_spec: dict[str, Any]) -> list[str]:
    """Returns the components that are told how the model is trained and judged."""
    components = pipeline_spec["components"].items()
    return [
        task_id for task_id, component in components if RECIPE in component["inputDefinitions"].get("parameters", {})
    ]


def _check_component_names(configured: Mapping[str, Any], component_ids: list[str]) -> None:
    for name in configured:
        if name not in component_ids:
            raise ConfigError(
                f"kubeflow.component_resources has {name!r}, but the components are {', '.join(component_ids)}"
            )


def _tasks(pipeline_spec: dict[str, Any]) -> dict[str, Any]:
    tasks: dict[str, Any] = pipeline_spec["root"]["dag"]["tasks"]
    return tasks


def _container(pipeline_spec: dict[str, Any], task_id: str) -> dict[str, Any]:
    container: dict[str, Any] = pipeline_spec["deploymentSpec"]["executors"][_executor_label(task_id)]["container"]
    return container


def _add_environment(pipeline_spec: dict[str, Any], task_id: str, variables: Mapping[str, str]) -> None:
    if variables:
        environment = _container(pipeline_spec, task_id).setdefault("env", [])
        environment += [{"name": name, "value": value} for name, value in variables.items()]


def _executor_label(task_id: str) -> str:
    return f"{task_id}_executor"
