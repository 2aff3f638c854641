"""Findings between examples, of rosters made by hand."""

import numpy as np

from components.segmentation_validator.comparison import ExamplePlace, Roster, equal_images, near_images
from components.segmentation_validator.kinds import Kind
from components.tfds_example_gen.splits import separate_splits

SEPARATE = separate_splits("test")


def rosters(**splits):
    """Returns rosters of (digest, hash) pairs; the first example of `train` is `train_0`."""
    return {
        split: Roster(
            split,
            [f"id_{split}_{position}" for position in range(len(images))],
            [f"{split}_{position}" for position in range(len(images))],
            np.array([digest for digest, _ in images], np.uint64),
            np.array([found for _, found in images], np.uint64),
            np.array([0.0 if found == FLAT else 0.2 for _, found in images], np.float32),
        )
        for split, images in splits.items()
    }


FLAT = 0
A, A_LIKE, A_LESS_LIKE, B = 0xABCDEF, 0xABCDE0, 0xABCD11, 0xFFFF_0000_FFFF_0000


def named(defects):
    return [(each.kind, each.file_name, each.partner.example_id.removeprefix("id_")) for each in defects]


def test_equal_images_in_one_split_are_found_once_each_but_the_first():
    given = rosters(train=[(1, A), (2, B), (1, A), (1, A)], eval=[(3, B)], test=[(4, B)])
    found = [*equal_images(given, SEPARATE)]
    assert named(found) == [(Kind.DUPLICATE, "train_2", "train_0"), (Kind.DUPLICATE, "train_3", "train_0")]
    assert found[0].detail == "the image is the same, byte by byte, as 'train_0'"


def test_images_in_two_splits_are_findings_of_the_one_that_is_trained_on():
    given = rosters(train=[(1, A), (2, A)], eval=[(3, B)], test=[(2, A), (3, B), (2, A)])
    found = [each for each in equal_images(given, SEPARATE) if each.kind is Kind.SHARED_IMAGE]
    assert named(found) == [
        (Kind.SHARED_IMAGE, "train_1", "test_0"),
        (Kind.SHARED_IMAGE, "eval_0", "test_1"),
    ]
    assert found[0].detail == "the image is the same, byte by byte, as 'test_0' of the split 'test'"
    assert found[0].partner == ExamplePlace("test", "id_test_0")


def test_splits_that_may_share_images_are_not_compared():
    given = rosters(train=[(1, A)], eval=[(2, B)], test=[(3, B)], more=[(1, A)])
    assert [*equal_images(given, SEPARATE)] == []
    of_two = {name: given[name] for name in ("train", "more")}
    assert [*near_images(of_two, SEPARATE, 4)] == []


def test_near_images_are_found_up_to_the_distance():
    given = rosters(train=[(1, A), (2, A_LIKE), (3, A_LESS_LIKE)], eval=[(4, A)], test=[(5, B)])
    found = [*near_images(given, SEPARATE, 4)]
    assert named(found) == [
        (Kind.NEAR_DUPLICATE, "train_1", "train_0"),
        (Kind.NEAR_SHARED_IMAGE, "train_0", "eval_0"),
        (Kind.NEAR_SHARED_IMAGE, "train_1", "eval_0"),
    ]
    assert found[0].detail == "the image looks like 'train_0' (4 of 64 bits differ)"
    assert len([*near_images(given, SEPARATE, 8)]) > len(found)


def test_equal_images_are_not_near_ones_too():
    given = rosters(train=[(1, A), (1, A), (2, A)], eval=[(1, A)], test=[])
    found = [*near_images(given, SEPARATE, 4)]
    assert named(found) == [
        (Kind.NEAR_DUPLICATE, "train_2", "train_0"),
        (Kind.NEAR_SHARED_IMAGE, "train_2", "eval_0"),
    ]


def test_flat_images_have_nothing_to_be_alike_in():
    given = rosters(train=[(1, FLAT), (2, FLAT)], eval=[(3, FLAT)], test=[])
    assert [*near_images(given, SEPARATE, 4)] == []


def test_many_images_that_look_the_same_are_told_in_no_time():
    """Frames of a camera that does not move: half a billion pairs, and 30,000 findings."""
    given = rosters(train=[(position, A ^ (position % 2)) for position in range(30_000)])
    found = [*near_images(given, SEPARATE, 4)]
    assert len(found) == 29_999
    assert {each.partner.example_id for each in found} == {"id_train_0"}
