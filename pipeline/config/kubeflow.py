"""Settings of a run on Kubeflow Pipelines: where the server is, what the pods get, and where the Trainer runs."""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pipeline.nodes import TRAINER
from trainer_module.config import Location
from trainer_module.section import Section

DEFAULT_PIPELINE_ROOT: Final = "minio://mlpipeline/v2/artifacts"
"""Where Kubeflow Pipelines keeps artifacts when nobody says otherwise."""

REMOTE_SCHEMES: Final = ("gs", "s3", "minio")
"""The object stores that the launcher of Kubeflow Pipelines reads and writes."""

POD_SCRATCH: Final = "/tmp/petseg"
"""Directory of a pod that nothing outlives."""

KEPT_DRY_RUNS: Final = 10
"""How many complete dry-runs of a pipeline keep their artifacts when nobody says otherwise."""

_DNS_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_LABEL_VALUE: Final = re.compile(r"([A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?)?", re.ASCII)
_LABEL_KEY: Final = re.compile(rf"({_DNS_LABEL}(\.{_DNS_LABEL})*/)?[A-Za-z0-9]([\w.-]{{0,61}}[A-Za-z0-9])?", re.ASCII)


def _label_key(key: str) -> str:
    if not _LABEL_KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no Kubernetes label key, such as cloud.google.com/gke-accelerator")
    return key


def _label_value(value: str) -> str:
    if not _LABEL_VALUE.fullmatch(value):
        raise ValueError(
            f"{value!r} is no Kubernetes label value: at most 63 letters, digits, '-', '_' and '.', "
            "starting and ending with a letter or digit"
        )
    return value


ObjectName = Annotated[str, Field(pattern=rf"^{_DNS_LABEL}(\.{_DNS_LABEL})*$", max_length=253)]
LabelKey = Annotated[str, AfterValidator(_label_key)]
LabelValue = Annotated[str, AfterValidator(_label_value)]
Memory = Annotated[str, Field(pattern=r"^[1-9]\d*(\.\d+)?(Mi|Gi|Ti|M|G|T)$")]
"""A Kubernetes quantity of bytes, such as `4Gi`."""


class Resources(Section):
    """What the container of a component is given."""

    cpu: float = Field(1.0, gt=0)
    """Cores that it is sure to have; a node that has fewer left does not take it."""

    cpu_limit: float | None = Field(None, gt=0)
    """Most cores that it uses. None: those that the node has to spare, which costs nobody anything."""

    memory: Memory = "4Gi"
    """What it is sure to have, and the most that it uses."""

    @model_validator(mode="after")
    def _is_within_its_limit(self) -> Self:
        if self.cpu_limit is not None and self.cpu_limit < self.cpu:
            raise ValueError(f"cpu_limit is {self.cpu_limit:g}, which is less than cpu, {self.cpu:g}")
        return self


class Toleration(Section):
    """A taint of a node pool that the Trainer's pod puts up with."""

    key: LabelKey | None = None
    """None tolerates every key; then the operator is `Exists`."""

    operator: Literal["Equal", "Exists"] = "Exists"
    value: LabelValue | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """None tolerates every effect."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.operator == "Equal" and (self.key is None or self.value is None):
            raise ValueError("a toleration with operator Equal needs key and value")
        if self.operator == "Exists" and self.value is not None:
            raise ValueError("a toleration with operator Exists takes no value; did you mean operator = 'Equal'?")
        return self


class SecretVariable(Section):
    """One environment variable whose value Kubernetes takes from a Secret; the value itself never appears."""

    variable: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    secret: ObjectName
    """Name of the Secret."""

    key: str = Field(pattern=r"^[\w.-]+$")
    """Which of its entries."""


class Volume(Section):
    """A PersistentVolumeClaim, and where the components that need it mount it."""

    claim: ObjectName
    mount_path: Location = Field(pattern=r"^/[^:]+$")


class Retry(Section):
    """How often, and after what pause, a component is tried again that failed and may succeed later.

    Failures that may pass, such as those of the network, are tried again in the pod; pods that were lost are started
    again by Kubeflow Pipelines from 2.17 on. Releases before it start every pod again that failed, and none that was
    lost: that is up to the installation of the server.
    """

    max_count: int = Field(2, ge=0, le=10)
    backoff_seconds: int = Field(60, ge=0)
    backoff_factor: float = Field(2.0, ge=1)
    backoff_max_seconds: int = Field(3600, ge=0, le=3600)
    """Longest pause; the server caps it at an hour, too."""


class TrainerPod(Section):
    """The pod of the Trainer, the one component that wants a GPU."""

    resources: Resources = Resources(cpu=4, memory="16Gi")

    gpus: int = Field(0, ge=0, le=16)
    """GPUs of the pod; with more than one the Trainer mirrors the network over them."""

    gpu_resource: str = Field("nvidia.com/gpu", pattern=rf"^{_DNS_LABEL}(\.{_DNS_LABEL})*/[\w.-]+$")
    """Kubernetes' name of the resource, as the device plugin registers it."""

    node_selector: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    """Labels of the node pool, such as `cloud.google.com/gke-accelerator = "nvidia-tesla-t4"`."""

    tolerations: tuple[Toleration, ...] = ()

    shared_memory: Memory | None = None
    """Size of `/dev/shm`. None: the node's default of 64 MB."""

    deadline_seconds: int | None = Field(None, ge=60)
    """Longest life of the pod, with all tries in it; a pod that takes its place has as long. None: no limit."""

    @model_validator(mode="after")
    def _has_a_pool(self) -> Self:
        if self.gpus and not self.node_selector:
            raise ValueError(
                f"kubeflow.trainer.gpus is {self.gpus}, but kubeflow.trainer.node_selector names no node pool; "
                "give the labels of the pool that has them"
            )
        return self


class KubeflowConfig(Section):
    """Where and how the pipeline runs on Kubeflow Pipelines v2."""

    host: str | None = Field(None, pattern=r"^https?://\S+$")
    """URL of the API, or of the pages, which have it, too, such as `http://localhost:8888` after a port-forward. None:
    the in-cluster service."""

    metadata_host: str | None = Field(None, pattern=r"^([\w.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}$")
    """Address of ML Metadata, which keeps what a run found, such as `localhost:8081` after a port-forward; needed where
    `host` is the API server itself. None: it is asked by `host`, in the cluster by its service."""

    namespace: ObjectName = "kubeflow"
    """Namespace of the runs; with multi-user Kubeflow that of your profile."""

    experiment: str | None = Field(None, min_length=1)
    """Experiment that groups the runs. None: the pipeline's name."""

    service_account: ObjectName | None = None
    """Of the pods. None: the server's default."""

    ca_certificate: str | None = None
    """File with the certificate authority of an `https` host. None: the system's."""

    token_variable: str = Field("KFP_TOKEN", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Environment variable that holds the bearer token, when the API wants one; the token itself is no setting."""

    kubeconfig: str | None = None
    """File of kubectl's settings, or `in-cluster`, for what only the cluster tells: the logs of running pods, and why a
    pod waits. None: kubectl's default."""

    context: str | None = None
    """Which of the file's contexts. None: its current one."""

    object_store: str | None = Field(None, pattern=r"^https?://\S+$")
    """URL at which this machine reaches the store of an `s3://` or `minio://` root, such as `http://localhost:9000`
    after a port-forward; only logs are read there, with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment.
    None: AWS."""

    pipeline_root: Location = Field(DEFAULT_PIPELINE_ROOT, pattern=rf"^({'|'.join(REMOTE_SCHEMES)})://[^/\s]+(/\S*)?$")
    """URI that the artifacts of all runs are stored under."""

    image: str = Field("petseg:latest", pattern=r"^\S+$")
    """Container image of all components."""

    gpu_image: str | None = Field(None, pattern=r"^\S+$")
    """Image of the Trainer when it has GPUs. None: `image`."""

    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"

    enable_cache: bool = True
    """Re-use what a component made of the same inputs; ingestion and push always look for themselves."""

    retry: Retry = Retry()

    resources: Resources = Resources()
    """Of every component that has no entry of its own."""

    component_resources: dict[str, Resources] = Field(default_factory=dict)
    """By component: `component_resources.Transform = { cpu = 4, memory = "8Gi" }`."""

    trainer: TrainerPod = TrainerPod()

    data_cache: Volume | None = Volume(claim="petseg-data", mount_path="/cache")
    """Volume that keeps prepared data sets and training checkpoints between pods; without it every run prepares the
    data again, and a pre-empted training starts again."""

    serving_volume: Volume | None = Volume(claim="petseg-serving", mount_path="/serving")
    """Volume that models are pushed to, when `push.destination` does not name another place."""

    secrets: tuple[SecretVariable, ...] = ()
    """Environment variables of every component."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if TRAINER in self.component_resources:
            raise ValueError("kubeflow.component_resources has Trainer; its settings are in kubeflow.trainer.resources")
        variables = [secret.variable for secret in self.secrets]
        repeated = sorted({variable for variable in variables if variables.count(variable) > 1})
        if repeated:
            raise ValueError(f"kubeflow.secrets sets {', '.join(repeated)} more than once")
        volumes = [volume for volume in (self.data_cache, self.serving_volume) if volume]
        if len(volumes) == 2 and volumes[0].mount_path == volumes[1].mount_path:
            raise ValueError("kubeflow.data_cache and kubeflow.serving_volume have the same mount_path")
        return self
