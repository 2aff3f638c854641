"""When `petseg retrain`, and a firing of a schedule, has a reason to train."""

from typing import Annotated, Literal

from pydantic import Field

from trainer_module.section import Section

Reason = Literal["data", "drift", "recipe", "age", "gate"]


class RetrainingConfig(Section):
    """What is a reason to train again, and what the new model has to be better in."""

    reasons: tuple[Reason, ...] = ("data", "drift", "recipe", "age", "gate")
    """`data`: other examples to learn from, by a new version or a window that moved. `drift`: they are beyond
    `data.drift.thresholds` from what the served model was trained on. `recipe`: other settings or code of preprocessing
    and training. `age`: see `max_age`. `gate`: the served model misses a bound of the gate on the newest data, or the
    bounds have changed. Without `data`, a new version alone is no reason, but drift and gate are measured on it."""

    max_age: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}[dw]$")] | None = None
    """How long ago the last training may be: days, `90d`, or weeks, `26w`. None: for ever."""

    better_in: Literal["mean_iou", "accuracy"] = "mean_iou"
    """The metric in which a model has to be better than the served one, beyond noise, to take its place; as good is
    enough where the served one misses the gate."""

    smaller_data: Literal["refuse", "warn"] = "refuse"
    """What becomes of data with fewer examples than the last that was trained on, though no window asks for it."""
