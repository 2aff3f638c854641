"""Settings of the comparison of data with what a served model was trained on."""

from typing import Annotated, Literal

from pydantic import Field

from trainer_module.section import Section

Distance = Annotated[float, Field(ge=0, le=1)]


class DriftThresholds(Section):
    """Greatest Jensen–Shannon distance, 0…1, to what the served model was trained on (docs/drift.md); 1: any will do.

    A distance that the number of examples explains is no drift, whatever the threshold.
    """

    height: Distance = 0.15
    width: Distance = 0.15
    aspect: Distance = 0.15
    """Of width by height."""

    brightness: Distance = 0.15
    contrast: Distance = 0.15
    sharpness: Distance = 0.15
    class_shares: Distance = 0.15
    """Of the share of each class in the pixels of an image."""

    labels: Distance = 0.15
    """Of the values of each of `slice_features`."""


class DriftConfig(Section):
    """What becomes of data that is not what the served model was trained on."""

    action: Literal["warn", "refuse", "off"] = "warn"
    """`warn`: the run says so and goes on. `refuse`: it ends before the training. `off`: nothing is compared."""

    thresholds: DriftThresholds = DriftThresholds()
