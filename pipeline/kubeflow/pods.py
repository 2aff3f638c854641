"""What the pods of the components get: resources in the specification, the rest in the platform document."""

from typing import Any, Final

from google.protobuf import message
from kfp import kubernetes
from kfp.pipeline_spec import pipeline_spec_pb2
from kubernetes.utils import parse_quantity

from pipeline.config.kubeflow import KubeflowConfig, TrainerPod, Volume
from pipeline.nodes import (
    DRIFT_DETECTOR,
    EXAMPLE_GEN,
    KSERVE_DEPLOYER,
    PUSHER,
    RETRAINING_DECIDER,
    SERVED_MODEL_RESOLVER,
    TRAINER,
    WARM_START_RESOLVER,
    component_of,
)
from trainer_module.errors import ConfigError

GKE_ACCELERATOR_LABEL: Final = "cloud.google.com/gke-accelerator"

_SHARED_MEMORY_VOLUME: Final = "shared-memory"
_SHARED_MEMORY_PATH: Final = "/dev/shm"
_DATA_CACHE_COMPONENTS: Final = (RETRAINING_DECIDER, EXAMPLE_GEN, TRAINER)
_SERVING_VOLUME_COMPONENTS: Final = (
    RETRAINING_DECIDER,
    DRIFT_DETECTOR,
    SERVED_MODEL_RESOLVER,
    WARM_START_RESOLVER,
    PUSHER,
    KSERVE_DEPLOYER,
)
_BYTES_PER_GB: Final = 10**9

_ResourceSpec = pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec


class _Task:
    """What `kfp.kubernetes` writes to: any object with this attribute."""

    def __init__(self) -> None:
        self.platform_config: dict[str, Any] = {}


def resource_spec(config: KubeflowConfig, task_id: str, *, vertex: bool = False) -> message.Message:
    """Returns what a component's container is given, in the old fields and in the new ones: servers read either.

    Args:
      config: The settings.
      task_id: The component.
      vertex: Whether it is for Vertex AI, which names GPUs in its own way, and picks the machine by the limits.
    """
    trainer = config.trainer
    resources = trainer.resources if task_id == TRAINER else config.component_resources.get(task_id, config.resources)
    cpu, gigabytes = resources.cpu, float(parse_quantity(resources.memory)) / _BYTES_PER_GB
    cpu_limit = resources.cpu_limit or (cpu if vertex else None)
    spec = _ResourceSpec(
        cpu_limit=cpu_limit,
        cpu_request=cpu,
        memory_limit=gigabytes,
        memory_request=gigabytes,
        resource_cpu_limit=cpu_limit and f"{cpu_limit:g}",
        resource_cpu_request=f"{cpu:g}",
        resource_memory_limit=resources.memory,
        resource_memory_request=resources.memory,
    )
    if task_id == TRAINER and trainer.gpus:
        accelerator = _vertex_accelerator(trainer) if vertex else trainer.gpu_resource
        spec.accelerator.type = spec.accelerator.resource_type = accelerator
        spec.accelerator.count, spec.accelerator.resource_count = trainer.gpus, str(trainer.gpus)
    return spec


def kubernetes_config(config: KubeflowConfig, task_id: str) -> dict[str, Any]:
    """Returns the `KubernetesExecutorConfig` of a component, or of its driver, as JSON."""
    task = _Task()
    kubernetes.set_image_pull_policy(task, config.image_pull_policy)
    for secret in config.secrets:
        kubernetes.use_secret_as_env(task, secret.secret, {secret.key: secret.variable})
    if component_of(task_id) in _DATA_CACHE_COMPONENTS:
        _mount(task, config.data_cache)
    if component_of(task_id) in _SERVING_VOLUME_COMPONENTS:
        _mount(task, config.serving_volume)
    if task_id == TRAINER:
        _configure_trainer(task, config.trainer)
    return dict(task.platform_config["kubernetes"])


def _configure_trainer(task: _Task, trainer: TrainerPod) -> None:
    for key, value in sorted(trainer.node_selector.items()):
        kubernetes.add_node_selector(task, key, value)
    for toleration in trainer.tolerations:
        kubernetes.add_toleration(
            task, key=toleration.key, operator=toleration.operator, value=toleration.value, effect=toleration.effect
        )
    if trainer.shared_memory:
        kubernetes.empty_dir_mount(
            task,
            volume_name=_SHARED_MEMORY_VOLUME,
            mount_path=_SHARED_MEMORY_PATH,
            medium="Memory",
            size_limit=trainer.shared_memory,
        )
    if trainer.deadline_seconds:
        kubernetes.set_timeout(task, trainer.deadline_seconds)


def _mount(task: _Task, volume: Volume | None) -> None:
    if volume:
        kubernetes.mount_pvc(task, pvc_name=volume.claim, mount_path=volume.mount_path)


def _vertex_accelerator(trainer: TrainerPod) -> str:
    """Writes GKE's label of the GPU, such as `nvidia-tesla-t4`, in Vertex AI's way: `NVIDIA_TESLA_T4`."""
    label = trainer.node_selector.get(GKE_ACCELERATOR_LABEL)
    if label is None:
        raise ConfigError(
            f"Vertex AI needs the type of the GPU: set kubeflow.trainer.node_selector.{GKE_ACCELERATOR_LABEL!r}, "
            "for example to nvidia-tesla-t4"
        )
    return label.upper().replace("-", "_")
