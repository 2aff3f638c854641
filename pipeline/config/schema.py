"""The one configuration object: what the user may set, with types, bounds and defaults.

Defaults < preset < data set and encoder < file < command line (`pipeline.config.loading`). Nothing here imports
TensorFlow or TFX.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from components.tfds_example_gen.splits import separate_splits, surely_overlap
from pipeline.config.evaluation import EvaluationConfig
from pipeline.config.housekeeping import HousekeepingConfig
from pipeline.config.kserve import KServeConfig
from pipeline.config.kubeflow import KubeflowConfig
from pipeline.config.notification import NotificationConfig
from pipeline.config.paths import check_name, check_no_pattern
from pipeline.config.retraining import RetrainingConfig
from pipeline.config.schedule import ScheduleConfig
from pipeline.config.tracking import TrackingConfig
from pipeline.suggestions import nearest
from trainer_module.config import IMAGE_SIZES, DataConfig, Location, OptionalLocation, TrainerConfig
from trainer_module.encoder_catalogue import ENCODERS
from trainer_module.errors import ConfigError
from trainer_module.section import Section
from trainer_module.segmentation_metrics import metric_names

DEFAULT_PIPELINE_ROOT = "pipeline_root"


class PushConfig(Section):
    """Where blessed models go."""

    destination: OptionalLocation = None
    """Directory in TensorFlow Serving's layout (`<destination>/<version>/saved_model.pb`). None:
    `serving_model/<pipeline name>` under the pipeline root."""

    keep_versions: int | None = Field(5, ge=1)
    """How many complete versions stay there, the highest; a push removes the others. None: all."""

    pinned_versions: tuple[int, ...] = ()
    """Versions that stay besides, as those that a server is told to load by number."""

    kserve: KServeConfig = KServeConfig()
    """The server of the pushed models."""


class ProbeConfig(Section):
    """What a model may cost to serve: it is measured on the machine of the run, without a GPU, one image at a time.

    The defaults only catch a model that hangs; None: whatever it costs.
    """

    max_load_seconds: float | None = Field(120.0, gt=0)
    max_latency_p50_ms: float | None = Field(10_000.0, gt=0)
    """Half of the requests are answered sooner."""

    max_latency_p99_ms: float | None = Field(30_000.0, gt=0)
    max_memory_mb: float | None = Field(8_000.0, gt=0)
    """What loading and answering add to a process, in 10⁶ bytes."""

    examples: int = Field(8, ge=1)
    """Images of `evaluation.split` whose answers are compared with those on the training's way."""


class PipelineConfig(Section):
    """The run as a whole."""

    name: Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")] = "petseg"
    """Names the pipeline in metadata; caches, runs and served models belong to it. A label of DNS, since schedules, and
    the objects of Kubernetes that are named after it, must have one (RFC 1035)."""

    root: Location = DEFAULT_PIPELINE_ROOT
    """Directory that holds everything a run leaves: metadata, artifacts, logs, data, pushed models."""

    beam_args: tuple[str, ...] = ()
    """Arguments of Apache Beam for every component that runs on it (docs/beam_runners.md); without any, it runs inside
    the component's process with one worker."""


class Config(Section):
    """The resolved configuration of a run."""

    preset: str | None = None
    """The preset it started from; None when it started from the defaults."""

    pipeline: PipelineConfig = PipelineConfig()
    data: DataConfig = DataConfig()
    trainer: TrainerConfig = TrainerConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    probe: ProbeConfig = ProbeConfig()
    push: PushConfig = PushConfig()
    kubeflow: KubeflowConfig = KubeflowConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    retraining: RetrainingConfig = RetrainingConfig()
    housekeeping: HousekeepingConfig = HousekeepingConfig()
    notification: NotificationConfig = NotificationConfig()
    tracking: TrackingConfig = TrackingConfig()

    @property
    def data_dir(self) -> str:
        return self.data.data_dir or str(Path(self.pipeline.root) / "data")

    @property
    def serving_model_dir(self) -> str:
        return self.push.destination or str(Path(self.pipeline.root) / "serving_model" / self.pipeline.name)

    def _check_paths(self) -> None:
        try:
            check_no_pattern("pipeline.root", self.pipeline.root)
            check_no_pattern("kubeflow.pipeline_root", self.kubeflow.pipeline_root)
            check_name("data.data_dir", self.data.data_dir or "")
            check_no_pattern("push.destination", self.push.destination or "")
        except ConfigError as error:
            raise ValueError(str(error)) from error

    def _check_normalization(self) -> None:
        trainer, given = self.trainer, self.data.normalization
        if trainer.encoder_name is None or trainer.encoder_weights is None:
            return
        expected = ENCODERS[trainer.encoder_name].normalization
        if given != expected:
            raise ValueError(
                f"data.normalization is {given!r}, and the weights of trainer.encoder_weights = "
                f"{trainer.encoder_weights!r} for the encoder {trainer.encoder_name!r} were trained with {expected!r}, "
                "which is what it gets where nothing is set: leave data.normalization out, or set it to "
                f"{expected!r}, or trainer.encoder_weights to none"
            )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        evaluation, data = self.evaluation, self.data
        self._check_paths()
        self._check_normalization()
        if evaluation.split not in data.splits:
            setting = "data.splits" if data.hash_split is None else "data.hash_split.shares"
            raise ValueError(f"evaluation.split is {evaluation.split!r}, but {setting} has {sorted(data.splits)}")
        for feature in evaluation.slices:
            if feature not in data.slice_features:
                hint = f"; did you mean {nearest(feature, data.slice_features)!r}?" if data.slice_features else ""
                raise ValueError(
                    f"evaluation.slices has {feature!r}, but data.slice_features has {list(data.slice_features)}{hint}"
                )
        for pair in separate_splits(evaluation.split):
            one, other = data.splits.get(pair.first, ""), data.splits.get(pair.second, "")
            if data.hash_split is None and surely_overlap(one, other) and (pair.is_strict or data.duplicates != "warn"):
                raise ValueError(
                    f"data.splits.{pair.first} is {one!r} and data.splits.{pair.second} is {other!r}: they share "
                    f"examples, and {pair.reason}. {pair.way_out}"
                )
        least, multiple = IMAGE_SIZES[self.trainer.model]
        if data.image_size < least or data.image_size % multiple:
            raise ValueError(
                f"data.image_size is {data.image_size}, which trainer.model {self.trainer.model!r} cannot take: "
                f"it needs a multiple of {multiple} from {least} on"
            )
        weights = self.trainer.class_weights
        if isinstance(weights, tuple) and len(weights) != data.num_classes:
            raise ValueError(
                f"trainer.class_weights has {len(weights)} numbers, and data.class_names has {data.num_classes}: "
                f"{', '.join(data.class_names)}; give one for each class, in that order"
            )
        evaluation.check_metrics(metric_names(data.class_names))
        kserve = self.push.kserve
        if kserve.enabled:
            by = "push.kserve.name" if kserve.name else "pipeline.name"
            kserve.check_names(by, kserve.name or self.pipeline.name, kserve.namespace or self.kubeflow.namespace)
        return self
