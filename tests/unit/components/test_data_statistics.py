"""Sums and histograms of a data set, against counts by hand."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from components.data_statistics import (
    EDGES,
    MOST_VALUES,
    OTHER_VALUES,
    SHARE_EDGES,
    DataStatistics,
    SplitSummary,
    total,
)
from trainer_module.errors import DataError


@dataclass(frozen=True)
class Measured:
    class_pixels: tuple[int, ...]
    ignored_pixels: int = 0
    height: int = 100
    width: int = 200
    brightness: float = 0.5
    contrast: float = 0.2
    sharpness: float = 0.01


EXAMPLES = [
    (Measured((30, 70)), {"site": "north"}),
    (Measured((0, 40), 60), {"site": "south"}),
    (Measured((0, 0), 100, height=8, width=4096, brightness=1.0, contrast=0.9, sharpness=0.0), {"site": "north"}),
]


@pytest.fixture
def statistics():
    made = DataStatistics(("ground", "tree"))
    for measured, labels in EXAMPLES:
        made.add("train", measured, labels)
    made.add("test", *EXAMPLES[0])
    return made


def test_examples_are_added_up_by_split(statistics):
    train = statistics.splits["train"]
    assert (train.examples, train.unlabelled_examples, train.ignored_pixels, train.labelled_pixels) == (3, 1, 160, 140)
    assert train.class_pixels.tolist() == [30, 110]
    assert train.images_with_class.tolist() == [1, 2]
    assert train.values == {"site": {"north": 2, "south": 1}}
    assert train.mean("width") == pytest.approx((200 + 200 + 4096) / 3)
    assert statistics.splits["test"].class_pixels.tolist() == [30, 70]
    assert SplitSummary(2).mean("width") is None


def test_shares_are_those_of_labelled_pixels_without_images_that_have_none(statistics):
    shares = statistics.splits["train"].shares
    assert shares.sum(axis=1).tolist() == [2, 2]
    assert shares[0, 0] == 1, "the second image is without ground"
    assert shares[0, 1 + 6] == 1, "0.3 is in the bin from 0.3 to 0.35"
    assert shares[1, 1 + 14] == shares[1, -1] == 1, "0.7, and 1.0 in the last bin"


def test_what_is_beyond_the_edges_is_in_the_outermost_bins(statistics):
    histograms = statistics.splits["train"].histograms
    assert {name: int(counts.sum()) for name, counts in histograms.items()} == dict.fromkeys(EDGES, 3)
    assert histograms["aspect"][-1] == 1, "512 is beyond 16"
    assert (histograms["sharpness"][0], histograms["contrast"][-1], histograms["brightness"][-1]) == (1, 1, 1)
    assert histograms["height"][0] == 1
    expected, _ = np.histogram([200, 200, 4096], EDGES["width"])
    assert histograms["width"].tolist() == expected.tolist()


def test_edges_ascend():
    assert all(np.all(np.diff(edges) > 0) for edges in (*EDGES.values(), SHARE_EDGES))


def test_merging_is_adding_all(statistics):
    one, other = DataStatistics(("ground", "tree")), DataStatistics(("ground", "tree"))
    for measured, labels in EXAMPLES[:1]:
        one.add("train", measured, labels)
    for measured, labels in EXAMPLES[1:]:
        other.add("train", measured, labels)
    other.add("test", *EXAMPLES[0])
    before = one.to_json()
    assert one.merged(other) == statistics != one
    assert one.to_json() == before
    with pytest.raises(ValueError, match="cannot be merged"):
        one.merged(DataStatistics(("a", "b")))
    whole = total(statistics.splits.values(), 2)
    assert (whole.examples, whole.class_pixels.tolist()) == (4, [60, 180])


def test_they_survive_json(statistics):
    again = DataStatistics.from_json(statistics.to_json(), "here")
    assert again == statistics
    again.add("train", *EXAMPLES[0])
    assert again != statistics


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1, "class_names": ["a"], "splits": {"train": {}}}'])
def test_damaged_ones_are_refused(text):
    with pytest.raises(DataError, match=r"^here: no statistics of data, or damaged ones"):
        DataStatistics.from_json(text, "here")


def test_another_version_is_refused(statistics):
    text = json.dumps(json.loads(statistics.to_json()) | {"version": 99})
    with pytest.raises(DataError, match=r"^here: statistics of data in version 99, and this petseg reads version 1"):
        DataStatistics.from_json(text, "here")


def test_memory_does_not_grow_with_the_values_of_a_feature():
    summary = SplitSummary(2)
    for number in range(MOST_VALUES + 50):
        summary.add(EXAMPLES[0][0], {"patient": f"P{number}"})
    assert len(summary.values["patient"]) == MOST_VALUES + 1
    assert summary.values["patient"][OTHER_VALUES] == 50
