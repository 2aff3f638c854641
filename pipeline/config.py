"""The one configuration object: what the user may set, with types, bounds and defaults.

Defaults < preset < file < command line (`pipeline.config_loading`). Nothing here imports TensorFlow or TFX.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from pipeline.kubeflow.config import KubeflowConfig
from pipeline.scheduling.config import ScheduleConfig
from trainer_module.config import IMAGE_SIZES, DataConfig, Section, TrainerConfig
from trainer_module.segmentation_metrics import metric_names

DEFAULT_PIPELINE_ROOT = "pipeline_root"


class Threshold(Section):
    """The bounds of one metric; the model is blessed when every bound of every metric holds."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _is_satisfiable(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a threshold needs min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"no value satisfies min = {self.min} and max = {self.max}")
        return self


class EvaluationConfig(Section):
    """What the Evaluator measures and what a model must reach to be pushed."""

    split: str = "test"
    """The split that decides; nothing is tuned on it."""

    min_accuracy: float | None = Field(None, ge=0, le=1)
    """Least pixel accuracy (the blog's val_accuracy)."""

    min_mean_iou: float | None = Field(None, ge=0, le=1)

    min_accuracy_gain: float = Field(0.05, ge=0, le=1)
    """Least lead of the accuracy over answering the largest class of the evaluated data everywhere."""

    thresholds: dict[str, Threshold] = Field(default_factory=dict)
    """Further bounds: `thresholds.iou_border = { min = 0.3 }`, `thresholds.loss = { max = 0.5 }`."""

    slices: tuple[str, ...] = ("species", "label")
    """Features by whose values the metrics are reported too; each is one of `data.slice_features`."""

    def bounds(self) -> dict[str, Threshold]:
        """Returns the bounds that decide, by metric name."""
        shorthands = {
            "accuracy_gain": self.min_accuracy_gain,
            "accuracy": self.min_accuracy,
            "mean_iou": self.min_mean_iou,
        }
        named = {metric: Threshold(min=bound) for metric, bound in shorthands.items() if bound is not None}
        return named | self.thresholds


class PushConfig(Section):
    """Where blessed models go."""

    destination: str | None = None
    """Directory in TensorFlow Serving's layout (`<destination>/<version>/saved_model.pb`). None:
    `serving_model/<pipeline name>` under the pipeline root."""


class PipelineConfig(Section):
    """The run as a whole."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")] = "petseg"
    """Names the pipeline in metadata; caches, runs and served models belong to it."""

    root: str = DEFAULT_PIPELINE_ROOT
    """Directory that holds everything a run leaves: metadata, artifacts, logs, data, pushed models."""

    beam_args: tuple[str, ...] = ("--direct_running_mode=in_memory", "--direct_num_workers=1")
    """Arguments of Apache Beam for every component that runs on it."""


class Config(Section):
    """The resolved configuration of a run."""

    preset: str | None = None
    """The preset it started from; None when it started from the defaults."""

    pipeline: PipelineConfig = PipelineConfig()
    data: DataConfig = DataConfig()
    trainer: TrainerConfig = TrainerConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    push: PushConfig = PushConfig()
    kubeflow: KubeflowConfig = KubeflowConfig()
    schedule: ScheduleConfig = ScheduleConfig()

    @property
    def data_dir(self) -> str:
        return self.data.data_dir or str(Path(self.pipeline.root) / "data")

    @property
    def serving_model_dir(self) -> str:
        return self.push.destination or str(Path(self.pipeline.root) / "serving_model" / self.pipeline.name)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        evaluation, data = self.evaluation, self.data
        if evaluation.split not in data.splits:
            raise ValueError(f"evaluation.split is {evaluation.split!r}, but data.splits has {sorted(data.splits)}")
        for feature in evaluation.slices:
            if feature not in data.slice_features:
                raise ValueError(
                    f"evaluation.slices has {feature!r}, but data.slice_features has {list(data.slice_features)}"
                )
        least, multiple = IMAGE_SIZES[self.trainer.model]
        if data.image_size < least or data.image_size % multiple:
            raise ValueError(
                f"data.image_size is {data.image_size}, which trainer.model {self.trainer.model!r} cannot take: "
                f"it needs a multiple of {multiple} from {least} on"
            )
        known = metric_names(data.class_names)
        for metric in evaluation.thresholds:
            if metric not in known:
                raise ValueError(f"evaluation.thresholds has no metric {metric!r}; there are {', '.join(known)}")
        for metric, setting in {"accuracy": evaluation.min_accuracy, "mean_iou": evaluation.min_mean_iou}.items():
            if setting is not None and metric in evaluation.thresholds:
                raise ValueError(f"evaluation.min_{metric} and evaluation.thresholds.{metric} are both set; keep one")
        return self
