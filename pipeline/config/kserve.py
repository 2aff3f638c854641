"""Settings of the deployment on KServe: what serves the model, with what, and how the cluster is reached."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from components.kserve_deployer.service import CANARY_NAMES
from components.kubernetes_api import IN_CLUSTER
from pipeline.config.kubeflow import Memory, ObjectName
from trainer_module.config import OptionalLocation
from trainer_module.section import Section

TENSORFLOW_SERVING: Final = "2.21.0"
"""The release of TensorFlow Serving that a model is served by when nobody says otherwise; KServe's own default, 2.6.2,
is too old for it."""

_GPU_SUFFIX: Final = "-gpu"
_STORAGE: Final = r"^(pvc|gs|s3)://[a-z0-9][\w.-]*(/[^/\s]+)*$"

_LONGEST_LABEL: Final = 63
"""Of DNS, and of the labels of Kubernetes' objects."""

ServiceName = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""Of an InferenceService; `KServeConfig.check_names` says how long."""


class KServeWatchConfig(Section):
    """How a canary is watched, by a run or by `petseg kserve watch`, and what it has to keep to be promoted."""

    requests: int = Field(200, ge=20, le=10_000)
    """How many requests are sent to each version; then it is decided."""

    minutes: float = Field(30, gt=0, le=1440)
    """After which it is decided on as many as were sent by then."""

    min_requests: int = Field(50, ge=20)
    """With fewer nothing is decided, and the canary stays as it is."""

    pause_seconds: float = Field(1.0, ge=0, le=60)
    """Between two images, each of which is sent to both versions."""

    timeout_seconds: float = Field(10.0, gt=0, le=300)
    """A request that is not answered by then has failed."""

    images: int = Field(64, ge=8, le=1000)
    """How many different images are sent, in turns."""

    max_error_share: float = Field(0.01, ge=0, lt=1)
    """Greatest share of requests to the canary that may fail; in any case no more than of those to the stable version,
    but for chance."""

    max_latency_ratio: float = Field(1.5, gt=0, le=100)
    """How many times as long as the stable version's the canary's answers may take."""

    max_difference: float | None = Field(None, gt=0, le=1)
    """Greatest share of pixels to which both versions may give another class, as a mean over the images. None: as many
    as two models with the accuracies of their evaluations can differ in."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.min_requests > self.requests:
            raise ValueError(
                f"push.kserve.watch.min_requests is {self.min_requests}, more than push.kserve.watch.requests, "
                f"{self.requests}: nothing could be decided"
            )
        return self


class KServeConfig(Section):
    """The InferenceService of a pushed model."""

    enabled: bool = False
    """Whether each pushed model is deployed, as the last step of a run."""

    name: ServiceName | None = None
    """Of the InferenceService, and of the model in its URLs. None: the pipeline's name."""

    namespace: ObjectName | None = None
    """Of the InferenceService, and of the claim in `storage_uri`. None: that of the runs, `kubeflow.namespace`."""

    storage_uri: OptionalLocation = Field(None, pattern=_STORAGE)
    """Where the cluster sees the push destination: `pvc://claim/path`, or a bucket. None: under the push destination's
    own `gs://` URI."""

    runtime: ObjectName | None = None
    """ServingRuntime or ClusterServingRuntime. None: KServe takes the one for TensorFlow."""

    runtime_version: str | None = Field(None, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")
    """Tag of the image `tensorflow/serving`; for GPUs one that ends in `-gpu`. None: 2.21.0, or 2.21.0-gpu."""

    deployment_mode: Literal["Knative", "Standard", "Serverless", "RawDeployment"] | None = None
    """How KServe runs the pods; `Serverless` and `RawDeployment` are the older names. None: the cluster's default."""

    cpu: float = Field(2.0, gt=0)
    """Cores of each pod."""

    memory: Memory = "4Gi"

    gpus: int = Field(0, ge=0, le=16)
    """GPUs of each pod."""

    min_replicas: int = Field(1, ge=0)
    """Least number of pods; with 0 Knative stops the last one while nobody asks."""

    max_replicas: int = Field(3, ge=1)

    service_account_name: ObjectName | None = None
    """Of the pods, with the keys to a bucket. None: the namespace's default."""

    canary_percent: int | None = Field(None, ge=1, le=99)
    """Share of the traffic that a new model gets until `petseg kserve promote`. None: all of it at once."""

    promote: Literal["manual", "auto"] = "manual"
    """Who decides on a canary: people, by `petseg kserve promote`, `rollback` or `watch`, or the run that deployed it,
    which watches it."""

    watch: KServeWatchConfig = KServeWatchConfig()
    """How a canary is watched."""

    timeout_seconds: int = Field(600, ge=1, le=86400)
    """Longest wait until the model is served."""

    force_conflicts: bool = False
    """Whether to take over fields of the InferenceService that somebody else has set to another value."""

    kubeconfig: str | None = None
    """File of kubectl's settings, or `in-cluster`: the service account of the pod. None: in a pod its service account,
    else kubectl's own default."""

    context: str | None = Field(None, min_length=1)
    """Which of the file's contexts. None: its current one."""

    @property
    def is_standard(self) -> bool:
        return self.deployment_mode in ("Standard", "RawDeployment")

    @property
    def tensorflow_serving(self) -> str:
        """The tag of the image."""
        return self.runtime_version or TENSORFLOW_SERVING + (_GPU_SUFFIX if self.gpus else "")

    def check_names(self, setting: str, name: str, namespace: str) -> None:
        """Checks that what KServe and Knative name after an InferenceService is no longer than Kubernetes allows.

        KServe takes a longer name, and then cannot serve under it. In the mode `Standard` it makes a Deployment and a
        Service `PredictorServiceName`, a label `GetRawServiceLabel`
        (https://github.com/kserve/kserve/blob/v0.20.0/pkg/constants/constants.go) and a host by its `domainTemplate`,
        here the default one; a promoted canary's predictor has a name of its own. Knative numbers its revisions.

        Args:
          setting: What the name is set by.
          name: Of the InferenceService.
          namespace: Where it is.

        Raises:
          ValueError: Something of it is too long.
        """
        longest_name = max(CANARY_NAMES, key=len)
        predictor = f"{name}-predictor" if self.canary_percent is None else f"{name}-{longest_name}-predictor"
        of_knative = [f"{name}-{namespace}", f"{name}-predictor-00001"]
        of_standard = [f"{predictor}-{namespace}", f"isvc.{predictor}"]
        by_mode = {"Knative": of_knative, "Serverless": of_knative, None: of_knative + of_standard}
        longest = max(by_mode.get(self.deployment_mode, of_standard), key=len)
        if len(longest) > _LONGEST_LABEL:
            raise ValueError(
                f"{setting} is {name!r}, of which KServe makes {longest!r}: {len(longest)} characters, and Kubernetes "
                f"allows {_LONGEST_LABEL}; set push.kserve.name to at most "
                f"{len(name) - len(longest) + _LONGEST_LABEL} characters"
            )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"push.kserve.min_replicas is {self.min_replicas}, more than push.kserve.max_replicas, "
                f"{self.max_replicas}"
            )
        if self.gpus and not self.tensorflow_serving.endswith(_GPU_SUFFIX):
            raise ValueError(
                f"push.kserve.runtime_version is {self.runtime_version!r}, an image without CUDA, but push.kserve.gpus "
                f"is {self.gpus}; did you mean {self.tensorflow_serving + _GPU_SUFFIX!r}?"
            )
        if self.kubeconfig == IN_CLUSTER and self.context is not None:
            raise ValueError(
                f"push.kserve.context is {self.context!r}, but push.kserve.kubeconfig is {IN_CLUSTER!r}, which has none"
            )
        if self.is_standard and not self.min_replicas:
            raise ValueError(
                f"push.kserve.min_replicas is 0, but only Knative stops the last pod, and push.kserve.deployment_mode "
                f"is {self.deployment_mode!r}"
            )
        if self.canary_percent is not None and self.deployment_mode in (None, "RawDeployment"):
            raise ValueError(
                f"push.kserve.canary_percent is {self.canary_percent}, but push.kserve.deployment_mode is "
                f"{self.deployment_mode!r}: a canary has one form on Knative, another in the mode Standard from KServe "
                "0.20 on, and none elsewhere; set it to 'Knative' or 'Standard'"
            )
        self._check_promote()
        return self

    def _check_promote(self) -> None:
        if self.promote != "auto":
            return
        if self.canary_percent is None:
            raise ValueError(
                "push.kserve.promote is 'auto', but push.kserve.canary_percent is not set, so that a new model has all "
                "traffic at once and there is no canary to decide on; set it, such as to 10"
            )
        if not self.min_replicas:
            raise ValueError(
                "push.kserve.promote is 'auto', but push.kserve.min_replicas is 0, so that there may be no pod to ask; "
                "set it to 1 at least"
            )
