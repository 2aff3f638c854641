"""A strict look at a package before a server sees it: what the server would refuse, or ignore in silence.

Every finding says where it is, as the path of keys in the document. The rules come from reading the server's compiler
and driver, releases 2.14 to 2.17 (https://github.com/kubeflow/pipelines/tree/master/backend/src/v2).
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf import json_format, message
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.dags import Condition, Dag, all_dags
from pipeline.kubeflow.package import Package, ParameterSpec
from trainer_module.errors import ConfigError

MAX_ARGUMENT_BYTES: Final = 128 * 1024
"""Longest single argument that Linux gives to a process (`MAX_ARG_STRLEN`)."""

SCHEMA_VERSION: Final = "2.1.0"

_ARGO_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
_PIPELINE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_PARAMETER_NAME: Final = re.compile(r"[A-Za-z_]\w*")
_EXECUTOR_INPUT_SLACK_BYTES: Final = 16 * 1024
"""What URIs, metadata and keys add to the parameters in the ExecutorInput."""

_KINDS: Final = ("parameters", "artifacts")
_Findings = Iterator[tuple[str, str]]


def check_package(package: Package) -> None:
    """Checks that the open-source server would run the package as it is meant.

    Raises:
      ConfigError: It would not; names every finding and where it is.
    """
    findings = [f"{where}: {what}" for where, what in lint(package)]
    if findings:
        count = "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
        raise ConfigError("\n  ".join([f"Kubeflow Pipelines would not run this package ({count}):", *findings]))


def lint(package: Package) -> _Findings:
    """Yields each finding: where it is, and what is wrong."""
    malformed = list(_malformed(package))
    yield from malformed
    if malformed:
        return
    spec = package.pipeline_spec
    yield from _pipeline(spec)
    yield from _parameters(package.parameters)
    yield from _dags(spec)
    yield from _executors(spec)
    yield from _platform(package)


def _malformed(package: Package) -> _Findings:
    """Parses both documents strictly; a field that the server does not know is dropped there without a word."""
    spec = dict(package.pipeline_spec)
    deployment = spec.pop("deploymentSpec", {})
    yield from _parsed(spec, pipeline_spec_pb2.PipelineSpec(), "pipeline")
    yield from _parsed(deployment, pipeline_spec_pb2.PipelineDeploymentConfig(), "deploymentSpec")
    if package.platform_spec:
        yield from _parsed(package.platform_spec, pipeline_spec_pb2.PlatformSpec(), "platform document")
    for label, config in _platform_executors(package.platform_spec).items():
        empty = kubernetes_executor_config_pb2.KubernetesExecutorConfig()
        yield from _parsed(config, empty, f"platforms.kubernetes.deploymentSpec.executors.{label}")


def _parsed(document: dict[str, Any], into: message.Message, where: str) -> _Findings:
    try:
        json_format.ParseDict(document, into)
    except json_format.ParseError as error:
        yield where, str(error)


def _pipeline(spec: Mapping[str, Any]) -> _Findings:
    if spec.get("schemaVersion") != SCHEMA_VERSION:
        yield "schemaVersion", f"is {spec.get('schemaVersion')!r}; the server takes {SCHEMA_VERSION}"
    if not _PIPELINE_NAME.fullmatch(spec["pipelineInfo"].get("name", "")):
        yield "pipelineInfo.name", f"{spec['pipelineInfo'].get('name')!r} is no name of small letters, digits and '-'"


def _parameters(parameters: Mapping[str, ParameterSpec]) -> _Findings:
    for name, parameter in parameters.items():
        where = f"root.inputDefinitions.parameters.{name}"
        if not _PARAMETER_NAME.fullmatch(name):
            yield where, "is no name of letters, digits and '_'"
        if parameter.default is None:
            yield where, "has no default; a run that does not set it is refused"
        elif not parameter.accepts(parameter.default):
            yield where, f"its default {parameter.default!r} is no {parameter.type}"


def _dags(spec: Mapping[str, Any]) -> _Findings:
    try:
        dags = list(all_dags(spec))
    except ConfigError as error:
        yield "components", str(error)
        return
    seen: dict[str, str] = {}
    for dag in dags:
        if not dag.tasks:
            yield dag.where, "there are none"
        for task_id in dag.tasks:
            where = f"{dag.where}.{task_id}"
            if task_id in seen:
                yield where, f"{seen[task_id]} has the same name, and petseg knows tasks by their names"
            seen.setdefault(task_id, where)
            yield from _task(spec, dag, task_id, where)


def _task(spec: Mapping[str, Any], dag: Dag, task_id: str, where: str) -> _Findings:
    task = dag.tasks[task_id]
    if not _ARGO_NAME.fullmatch(task_id):
        yield where, "Argo rejects the name: it takes 63 letters, digits and '-', first a letter or digit"
    component = spec.get("components", {}).get(task.get("componentRef", {}).get("name"))
    if component is None:
        yield f"{where}.componentRef", f"there is no component {task.get('componentRef', {}).get('name')!r}"
        return
    yield from _trigger(task, component, where)
    for dependency in task.get("dependentTasks", []):
        if dependency not in dag.tasks:
            yield f"{where}.dependentTasks", f"there is no task {dependency!r}"
    for kind in _KINDS:
        defined = component.get("inputDefinitions", {}).get(kind, {})
        given = task.get("inputs", {}).get(kind, {})
        for name in sorted(set(defined) - set(given)):
            yield f"{where}.inputs.{kind}", f"{name!r} is defined by the component, but nothing gives it"
        for name in sorted(set(given) - set(defined)):
            yield f"{where}.inputs.{kind}.{name}", "is not defined by the component"
        for name, source in given.items():
            yield from _source(spec, dag, task, f"{where}.inputs.{kind}.{name}", source)
    size = sum(len(json.dumps(source, ensure_ascii=False).encode()) for source in _constants(task))
    if size + _EXECUTOR_INPUT_SLACK_BYTES > MAX_ARGUMENT_BYTES:
        yield (
            f"{where}.inputs.parameters",
            f"they take {size:,} bytes, but with all else they must fit into one argument of {MAX_ARGUMENT_BYTES:,}",
        )


def _trigger(task: Mapping[str, Any], component: Mapping[str, Any], where: str) -> _Findings:
    """Checks what a task is run under: a condition on a whole DAG alone, for what is left out has no outputs."""
    policy = task.get("triggerPolicy", {})
    if "strategy" in policy:
        yield f"{where}.triggerPolicy", "the server resolves runtime parameters wrongly under a strategy"
    if "condition" not in policy:
        return
    condition = Condition.parse(policy["condition"])
    if "dag" not in component:
        yield f"{where}.triggerPolicy.condition", "whoever takes an output of the task fails where it is left out"
    elif condition is None:
        example = Condition("NAME")
        yield f"{where}.triggerPolicy.condition", f"is {policy['condition']!r}; petseg reads {str(example)!r} alone"
    else:
        defined = component.get("inputDefinitions", {}).get("parameters", {}).get(condition.parameter, {})
        if defined.get("parameterType") != "BOOLEAN":
            yield f"{where}.triggerPolicy.condition", f"the task has no BOOLEAN input {condition.parameter!r}"


def _source(
    spec: Mapping[str, Any], dag: Dag, task: Mapping[str, Any], where: str, source: Mapping[str, Any]
) -> _Findings:
    """Checks where an input comes from."""
    for kind, key in zip(_KINDS, ("componentInputParameter", "componentInputArtifact"), strict=True):
        name = source.get(key)
        if name is not None and name not in dag.inputs.get(kind, {}):
            whose = f"{dag.path[-1]} has no input" if dag.path else "there is no runtime parameter"
            yield where, f"{whose} {name!r}"
    for kind, key in (("taskOutputParameter", "outputParameterKey"), ("taskOutputArtifact", "outputArtifactKey")):
        if kind not in source:
            continue
        producer, output = source[kind].get("producerTask"), source[kind].get(key)
        if producer not in dag.tasks:
            yield f"{where}.{kind}.producerTask", f"there is no task {producer!r}"
        elif producer not in task.get("dependentTasks", []):
            yield f"{where}.{kind}.producerTask", f"{producer!r} is not among the task's dependentTasks"
        elif output not in _outputs(
            spec, dag.tasks[producer], "parameters" if kind.endswith("Parameter") else "artifacts"
        ):
            yield f"{where}.{kind}", f"{producer} has no output {output!r}"


def _executors(spec: Mapping[str, Any]) -> _Findings:
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    components = {name: component for name, component in spec.get("components", {}).items() if "dag" not in component}
    labels = {component.get("executorLabel"): name for name, component in components.items()}
    for label, component in labels.items():
        if label not in executors:
            yield f"components.{component}.executorLabel", f"there is no executor {label!r}"
    for label, executor in executors.items():
        where = f"deploymentSpec.executors.{label}"
        if label not in labels:
            yield where, "no component has this label"
        if "container" not in executor:
            kinds = ", ".join(executor) or "nothing"
            yield where, f"is no container ({kinds}); the open-source server runs containers only, no resolvers"
            continue
        yield from _container(where, executor["container"])


def _container(where: str, container: Mapping[str, Any]) -> _Findings:
    where = f"{where}.container"
    if not container.get("image"):
        yield f"{where}.image", "is empty"
    if "lifecycle" in container:
        yield f"{where}.lifecycle", "the server ignores hooks, as those of a driver"
    for position, argument in enumerate([*container.get("command", []), *container.get("args", [])]):
        if len(argument.encode()) > MAX_ARGUMENT_BYTES:
            yield where, f"argument {position} has {len(argument.encode()):,} bytes; Linux takes {MAX_ARGUMENT_BYTES:,}"
    resources = container.get("resources", {})
    for old, new in (("cpuLimit", "resourceCpuLimit"), ("memoryLimit", "resourceMemoryLimit")):
        if (old in resources) != (new in resources):
            yield f"{where}.resources", f"{old} and {new} must both be set: servers read either"
    accelerator = resources.get("accelerator", {})
    if accelerator and not {"type", "count", "resourceType", "resourceCount"} <= set(accelerator):
        yield f"{where}.resources.accelerator", "type, count, resourceType and resourceCount must all be set"


def _platform(package: Package) -> _Findings:
    platforms = package.platform_spec.get("platforms", {})
    for name in sorted(set(platforms) - {"kubernetes"}):
        yield f"platforms.{name}", "the server knows kubernetes only"
    executors = package.pipeline_spec.get("deploymentSpec", {}).get("executors", {})
    for label, config in _platform_executors(package.platform_spec).items():
        where = f"platforms.kubernetes.deploymentSpec.executors.{label}"
        if label not in executors:
            yield where, "matches no executor, so the server would ignore it"
            continue
        plain = {variable["name"] for variable in executors[label].get("container", {}).get("env", [])}
        for secret in config.get("secretAsEnv", []):
            for entry in secret.get("keyToEnv", []):
                if entry.get("envVar") in plain:
                    yield f"{where}.secretAsEnv", f"{entry['envVar']} is set by the container, in plain text, too"


def _constants(task: Mapping[str, Any]) -> list[Any]:
    parameters = task.get("inputs", {}).get("parameters", {})
    return [source.get("runtimeValue", {}).get("constant", "") for source in parameters.values()]


def _outputs(spec: Mapping[str, Any], task: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    component = spec["components"].get(task.get("componentRef", {}).get("name"), {})
    outputs: Mapping[str, Any] = component.get("outputDefinitions", {}).get(kind, {})
    return outputs


def _platform_executors(platform_spec: Mapping[str, Any]) -> dict[str, Any]:
    kubernetes = platform_spec.get("platforms", {}).get("kubernetes", {})
    executors: dict[str, Any] = kubernetes.get("deploymentSpec", {}).get("executors", {})
    return executors
