"""What is asked of a dry-run, the record that it starts with, and the tasks of its package.

Both documents of the package are parsed as strictly as the server does, to the same messages.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.config.kubeflow import KEPT_DRY_RUNS
from pipeline.kubeflow.dags import Condition, Dag, inner_dag, root_dag
from pipeline.kubeflow.lint import check_package
from pipeline.kubeflow.package import Package, package_settings
from pipeline.runs.record import RunRecord
from trainer_module.errors import ConfigError

_NOT_EXECUTED: Final = ("artifact_iterator", "parameter_iterator")


@dataclass(frozen=True)
class DryRunRequest:
    """How to execute a package."""

    root: str
    """Directory for everything that it leaves."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Values of runtime parameters, on top of the package's defaults."""

    use_cache: bool = True
    """Whether tasks that the package lets be cached are."""

    keep_pods: bool = False
    """Whether the directories of the pods stay when they are done."""

    keep_runs: int = KEPT_DRY_RUNS
    """How many complete runs keep their artifacts, the newest ones."""

    show_on_stderr: bool = False
    """Whether the display goes to standard error, to keep standard output for a machine."""


@dataclass(frozen=True)
class AnyTask:
    """One task of a DAG."""

    id: str
    spec: pipeline_spec_pb2.PipelineTaskSpec
    component: pipeline_spec_pb2.ComponentSpec


@dataclass(frozen=True)
class Task(AnyTask):
    """A task that runs a container, with all that belongs to it."""

    container: pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec
    kubernetes: kubernetes_executor_config_pb2.KubernetesExecutorConfig
    """Empty when the platform document says nothing of it."""

    @property
    def volumes(self) -> dict[str, str]:
        """The claim of each volume by the path it is mounted at."""
        return {mount.mount_path: mount.constant for mount in self.kubernetes.pvc_mount}


@dataclass(frozen=True)
class DagTask(AnyTask):
    """A task that is a DAG of others."""

    tasks: tuple[AnyTask, ...]
    """In an order in which they can run."""

    @property
    def condition(self) -> Condition | None:
        """What it is run under; None where it always is."""
        return Condition.parse(self.spec.trigger_policy.condition)


def container_tasks(tasks: Iterable[AnyTask]) -> Iterator[Task]:
    """Yields the tasks that run a container, those in inner DAGs in their places."""
    for task in tasks:
        if isinstance(task, DagTask):
            yield from container_tasks(task.tasks)
        elif isinstance(task, Task):
            yield task


def parse_tasks(package: Package) -> tuple[AnyTask, ...]:
    """Returns the tasks of a package's outermost DAG in an order in which they can run.

    Raises:
      ConfigError: The server would not run the package, or the dry-run cannot; the message names the places.
    """
    check_package(package)
    return _Parser(package).tasks(root_dag(package.pipeline_spec))


class _Parser:
    """Parses the tasks of one package."""

    def __init__(self, package: Package) -> None:
        self._specification = package.pipeline_spec
        self._spec = json_format.ParseDict(package.pipeline_spec, pipeline_spec_pb2.PipelineSpec())
        self._deployment = json_format.ParseDict(
            package.pipeline_spec["deploymentSpec"], pipeline_spec_pb2.PipelineDeploymentConfig()
        )
        self._kubernetes = _kubernetes_configs(package)

    def tasks(self, dag: Dag) -> tuple[AnyTask, ...]:
        """Returns the tasks of a DAG.

        Raises:
          ConfigError: The dry-run does not execute one.
        """
        return tuple(self._task(dag, task_id) for task_id in dag.ordered)

    def _task(self, dag: Dag, task_id: str) -> AnyTask:
        spec = json_format.ParseDict(dag.tasks[task_id], pipeline_spec_pb2.PipelineTaskSpec())
        component = self._spec.components[spec.component_ref.name]
        for feature in _NOT_EXECUTED:
            if spec.HasField(feature):
                raise ConfigError(f"task {task_id!r} has a {feature}, which the dry-run does not execute")
        inner = inner_dag(self._specification, dag, task_id)
        if inner is not None:
            return DagTask(task_id, spec, component, self.tasks(inner))
        label = component.executor_label
        kubernetes = self._kubernetes.get(label, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
        _check_mounts(task_id, kubernetes)
        return Task(task_id, spec, component, self._deployment.executors[label].container, kubernetes)


def _kubernetes_configs(package: Package) -> dict[str, Any]:
    platform = json_format.ParseDict(package.platform_spec, pipeline_spec_pb2.PlatformSpec())
    executors = platform.platforms["kubernetes"].deployment_spec.executors
    configs = {}
    for label, struct in executors.items():
        config = json_format.ParseDict(
            json_format.MessageToDict(struct), kubernetes_executor_config_pb2.KubernetesExecutorConfig()
        )
        for mount in config.pvc_mount:
            mount.constant = mount.constant or mount.pvc_name_parameter.runtime_value.constant.string_value
        configs[label] = config
    return configs


def _check_mounts(task_id: str, config: kubernetes_executor_config_pb2.KubernetesExecutorConfig) -> None:
    for mount in config.pvc_mount:
        if not mount.constant or not mount.mount_path.startswith("/"):
            raise ConfigError(
                f"task {task_id!r} mounts {mount.constant or 'a claim that is named at run time'!r} at "
                f"{mount.mount_path!r}; the dry-run needs the name of a claim and an absolute path"
            )


def new_record(package: Package, parameters: Mapping[str, Any], run_id: str, log: Path) -> RunRecord:
    """Returns the record of a dry-run that starts now.

    Its settings are what the package tells of the configuration, and the runtime parameters.
    """
    identity = {"name": package.name, "digest": package.digest}
    return RunRecord(
        run_id=run_id,
        pipeline=package.name,
        preset=None,
        started=datetime.now(UTC),
        settings=package_settings(package) | {"parameters": dict(parameters), "package": identity},
        log=str(log),
    )
