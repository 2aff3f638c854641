"""What is compared, and what of it is drift: distances are those of plain NumPy."""

import numpy as np
import pytest
from data_samples import compared, made_statistics

from components.data_statistics import EDGES
from components.drift_detector.comparison import Sample, compare
from components.drift_detector.report import DriftVerdict
from trainer_module.drift_config import DriftThresholds

THRESHOLDS = DriftThresholds().model_dump()


def by_name(comparison):
    return {one.name: one for one in comparison.quantities}


def test_every_quantity_has_a_threshold_and_none_is_left_out():
    found = compared(made_statistics(), made_statistics(seed=1))
    names = [*EDGES, "share of 'pet'", "share of 'background'", "share of 'border'", "species"]
    assert [one.name for one in found.quantities] == names
    assert {one.setting for one in found.quantities} == {*THRESHOLDS}
    assert (found.reference_examples, found.current_examples) == (200, 200)
    assert (found.drifted, found.not_compared) == ([], ())


def test_darker_images_drift_in_brightness_alone():
    reference, current = made_statistics(), made_statistics(seed=1, brightness=0.35)
    found = compared(reference, current)
    assert [one.name for one in found.drifted] == ["brightness"]
    brightness = by_name(found)["brightness"]
    assert brightness.before == pytest.approx(0.5, abs=0.02)
    assert brightness.now == pytest.approx(0.35, abs=0.02)
    assert brightness.reference == tuple(reference.splits["train"].histograms["brightness"])
    assert brightness.current == tuple(current.splits["train"].histograms["brightness"])
    assert brightness.bins[:3] == ("0", "0.02", "0.04")
    assert brightness.verdict is DriftVerdict.DRIFTED
    assert [one.name for one in compared(reference, current, brightness=1.0).drifted] == []


def test_labels_are_compared_value_by_value():
    found = by_name(compared(made_statistics(dogs=0.5), made_statistics(dogs=0.0)))["species"]
    p, q = np.array([0.5, 0.5]), np.array([1.0, 0.0])  # Cat, Dog
    middle = (p + q) / 2
    divergence = (sum(p * np.log2(p / middle)) + np.log2(1 / middle[0])) / 2
    assert found.distance == pytest.approx(np.sqrt(divergence), rel=1e-12)
    assert (found.bins, found.reference, found.current) == (("Cat", "Dog"), (100, 100), (200, 0))
    assert found.change == "Cat: 50.0% → 100.0%"
    assert found.drifted


def test_a_class_is_known_by_its_name_and_its_share():
    reference = made_statistics(class_names=("pet", "border", "old"), shares=(0.3, 0.1, 0.6))
    current = made_statistics(class_names=("border", "pet", "new"), shares=(0.1, 0.5, 0.4))
    found = compared(reference, current)
    shares = by_name(found)
    assert (shares["share of 'border'"].distance, shares["share of 'pet'"].distance) == (0.0, 1.0)
    assert shares["share of 'pet'"].change == "30.0% → 50.0%"
    assert found.not_compared == (
        "the class 'old', which this data has not", "the class 'new', which the model was not trained with",
    )  # fmt: skip


def test_few_examples_are_far_apart_by_chance():
    found = by_name(compared(made_statistics(20), made_statistics(20, seed=3)))["contrast"]
    assert found.distance > found.threshold
    assert found.distance <= found.chance == found.bound
    assert found.verdict is DriftVerdict.CHANCE
    assert not found.drifted


def test_halves_of_the_same_data_do_not_drift_and_small_samples_of_darker_data_do():
    drifted = sum(
        bool(compared(made_statistics(30, seed=seed), made_statistics(30, seed=-seed - 1 & 0xFFFF)).drifted)
        for seed in range(20)
    )
    assert drifted <= 1
    dark = [
        compared(made_statistics(30, seed=seed), made_statistics(30, seed=seed + 50, brightness=0.25))
        for seed in range(5)
    ]
    assert all("brightness" in [one.name for one in found.drifted] for found in dark)


def test_a_split_that_is_not_there_has_no_examples():
    found = compare(Sample.of(made_statistics(), "train"), Sample.of(made_statistics(), "other"), THRESHOLDS)
    assert (found.current_examples, found.quantities) == (0, ())
