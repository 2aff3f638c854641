"""What SegmentationValidator is told: what masks mean, what counts as odd, and what to do about each kind of finding.

Nothing here imports TensorFlow or TFX.
"""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from components.segmentation_validator.kinds import Kind


class Policy(StrEnum):
    """What to do about a kind of finding."""

    IGNORE = "ignore"
    WARN = "warn"
    DROP = "drop"
    """Leave the example out, and go on."""

    FAIL = "fail"


class ValidatorSettings(BaseModel):
    """The component's parameters; it travels through TFX as JSON.

    The fields mean what those of the same name in `trainer_module.config.DataConfig` and `ValidationConfig` mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    class_names: tuple[str, ...]
    mask_values: tuple[int, ...]
    ignore_values: tuple[int, ...] = ()
    slice_features: tuple[str, ...] = ()
    evaluation_split: str = ""
    """The split that decides, which must not share images with others (`separate_splits`); empty where none does."""

    background: str | None = None
    policies: dict[Kind, Policy]
    """Of each kind."""

    nearly_blank_share: float
    min_side: int
    max_side: int
    max_aspect_ratio: float
    near_duplicate_distance: int
    max_dropped_share: float
    code_digest: str = ""
    """Identifies the component's code, so that a change to it re-runs the component."""

    @model_validator(mode="after")
    def _has_all_policies(self) -> Self:
        if missing := set(Kind) - set(self.policies):
            raise ValueError(f"no policy for {', '.join(sorted(missing))}")
        return self
