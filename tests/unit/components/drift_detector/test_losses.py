"""Which classes data has lost, by the statistics of two data sets."""

import pytest
from data_samples import made_statistics

from components.drift_detector.losses import lost_classes, one_class_splits

SPLITS = ("train", "test")


def both(train, test, **more):
    """Statistics of two splits, of the shares of the classes in each."""
    one, other = (
        made_statistics(10, shares=shares, split=name, **more)
        for name, shares in zip(SPLITS, (train, test), strict=True)
    )
    return one.merged(other)


WHOLE = (0.3, 0.6, 0.1)
WITHOUT = (0.4, 0.6, 0)


@pytest.mark.parametrize(
    ("before", "now", "lost"),
    [
        ((WHOLE, WHOLE), (WHOLE, WHOLE), []),
        ((WHOLE, WHOLE), (WITHOUT, WHOLE), ["train"]),
        ((WHOLE, WHOLE), (WHOLE, WITHOUT), ["test"]),
        ((WHOLE, WHOLE), (WITHOUT, WITHOUT), ["train", "test"]),
        ((WHOLE, WITHOUT), (WHOLE, WITHOUT), []),
        ((WITHOUT, WITHOUT), (WHOLE, WHOLE), []),
    ],
)
def test_a_class_is_lost_to_the_split_that_had_it(before, now, lost):
    found = lost_classes("version 17", both(*before), both(*now), SPLITS)
    assert found == [
        f"no pixel of 'border' is in the 10 images of {split!r}, and version 17 had 1,000 in 10 of 10 images there"
        for split in lost
    ]


def test_a_class_that_the_data_does_not_know_is_lost_and_one_that_is_new_is_not():
    renamed = both(WHOLE, WHOLE, class_names=("animal", "background", "border"))
    found = lost_classes("version 17", both(WHOLE, WHOLE), renamed, SPLITS)
    assert found == ["data.class_names has no 'pet' any more, which version 17 was trained on"]


def test_splits_that_one_side_lacks():
    train = made_statistics(10)
    assert lost_classes("it", train, both(WHOLE, WITHOUT), SPLITS) == []
    assert [loss.count("0 images of 'test'") for loss in lost_classes("it", both(WHOLE, WHOLE), train, SPLITS)] == [
        1
    ] * 3


def test_one_class_alone_is_told_of_each_split():
    found = one_class_splits(both((0, 1, 0), WITHOUT), SPLITS)
    assert found == ["all 10,000 labelled pixels of the 10 images of 'train' are 'background'"]
    assert one_class_splits(both(WHOLE, (1, 0, 0)), ("train",)) == []
