"""How much the masks of two versions may differ, by what they say of themselves."""

import json

import pytest

from components.kserve_deployer.canary.expected import MARGIN, expected_difference

PETS, CATS = ("background", "pet"), ("background", "cat")


@pytest.fixture
def destination(tmp_path):
    return tmp_path / "serving"


@pytest.fixture
def push(destination):
    def write(version, accuracy, classes=PETS, *, below=""):
        assets = destination / below / version / "assets.extra"
        assets.mkdir(parents=True)
        metrics = {} if accuracy is None else {"accuracy": accuracy}
        record = {"pushed_at": "2026-01-01T00:00:00Z", "metrics": metrics}
        (assets / "petseg_push.json").write_text(json.dumps(record))
        card = {"class_names": classes, "mask_values": list(range(len(classes))), "image_size": 64}
        (assets / "petseg_model.json").write_text(json.dumps(card))

    return write


def test_it_is_what_both_have_wrong_and_a_margin(push, destination):
    push("1", 0.93)
    push("2", 0.9)
    found = expected_difference(str(destination), "1", "2", None)
    assert found.share == pytest.approx(0.07 + 0.1 + MARGIN)
    assert expected_difference(str(destination), "1", "2", 0.05).share == 0.05


def test_a_version_that_is_not_kept_is_found_where_kserve_reads_it(push, destination):
    push("1", 0.9, below=".kserve/1-only")
    push("2", 0.9)
    assert expected_difference(str(destination), "1", "2", None).share == pytest.approx(0.2 + MARGIN)


def test_never_more_than_all(push, destination):
    push("1", 0.1)
    push("2", 0.2)
    assert expected_difference(str(destination), "1", "2", None).share == 1


def test_without_accuracies_it_is_not_known_unless_it_is_set(push, destination):
    push("1", 0.9)
    push("2", None)
    found = expected_difference(str(destination), "1", "2", None)
    assert found.share is None
    assert (
        f"since {destination}/2 cannot be asked for the accuracy; set push.kserve.watch.max_diff" in found.why_unknown
    )
    assert expected_difference(str(destination / "gone"), "1", "2", None).share is None
    assert expected_difference(str(destination / "gone"), "1", "2", 0.3).share == 0.3


def test_masks_of_other_classes_are_not_compared_whatever_is_set(push, destination):
    push("1", 0.9)
    push("2", 0.9, CATS)
    for max_difference in (None, 0.3):
        found = expected_difference(str(destination), "1", "2", max_difference)
        assert found.share is None
        assert "the canary has the classes ['background', 'cat']" in found.why_unknown
