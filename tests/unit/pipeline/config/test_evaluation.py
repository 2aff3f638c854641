"""The settings of the gate become its bounds."""

import pytest

from components.model_evaluator.gate import Bound
from pipeline.config.loading import load_config

GAIN = Bound(metric="accuracy_gain", kind="min", bound=0.05)
CHANGE = Bound(metric="accuracy", kind="min_change", bound=-0.01)


@pytest.mark.parametrize(
    ("overrides", "bounds"),
    [
        ([], [GAIN, CHANGE]),
        (["min_accuracy=0.8"], [GAIN, Bound(metric="accuracy", kind="min", bound=0.8), CHANGE]),
        (["min_accuracy=0"], [GAIN, Bound(metric="accuracy", kind="min", bound=0), CHANGE]),
        (["min_mean_iou=0.5"], [GAIN, Bound(metric="mean_iou", kind="min", bound=0.5), CHANGE]),
        (
            ["thresholds.accuracy_gain={min = -1}"],
            [Bound(metric="accuracy_gain", kind="min", bound=-1), CHANGE],
        ),
        (["thresholds.accuracy_gain={max = 0.9}"], [Bound(metric="accuracy_gain", kind="max", bound=0.9), CHANGE]),
        (
            ["change_thresholds={loss = {min = -1, max = 0.02}}"],
            [
                GAIN,
                Bound(metric="loss", kind="min_change", bound=-1),
                Bound(metric="loss", kind="max_change", bound=0.02),
            ],
        ),
        (
            [
                'slice_thresholds=[{feature="species",metric="loss",max=1,max_change=0.1},'
                '{feature="label",value="Bengal",metric="accuracy",min=0.3}]'
            ],
            [
                GAIN,
                CHANGE,
                Bound(metric="loss", kind="max", bound=1, slice={"species": None}),
                Bound(metric="loss", kind="max_change", bound=0.1, slice={"species": None}),
                Bound(metric="accuracy", kind="min", bound=0.3, slice={"label": "Bengal"}),
            ],
        ),
    ],
)
def test_what_is_set_is_a_bound(overrides, bounds):
    config = load_config(overrides=[f"evaluation.{override}" for override in overrides])
    assert config.evaluation.bounds() == bounds
