"""What is done about findings, by policy."""

import pytest

from components.data_statistics import DataStatistics, SplitSummary
from components.segmentation_validator.comparison import Defect, ExamplePlace
from components.segmentation_validator.kinds import Kind
from components.segmentation_validator.settings import Policy
from components.segmentation_validator.verdict import (
    Verdict,
    absent_classes,
    check,
    shared_images,
    summary_line,
    unlabelled_splits,
)
from trainer_module.errors import DataError


def defect(kind, number=0, split="train", partner=None, name=None):
    return Defect(kind, split, f"id_{number}", name or f"{number}.png", f"it is {kind}", partner)


def verdict(*defects, examples=None, **policies):
    chosen = {kind: Policy(policies.get(kind, "warn")) for kind in Kind}
    return Verdict([*defects], chosen, examples or {"train": 100, "test": 40})


def test_an_example_is_dropped_once_whatever_it_has():
    found = verdict(
        defect(Kind.BLANK_MASK, 1), defect(Kind.EXTREME_SIZE, 1), defect(Kind.BLANK_MASK, 2, "test"),
        defect(Kind.DUPLICATE, 3), blank_mask="drop", extreme_size="drop",
    )  # fmt: skip
    assert found.dropped == {"train": {"id_1"}, "test": {"id_2"}}
    assert (found.num_dropped, found.remaining("train"), found.remaining("test")) == (2, 99, 39)
    assert found.refusals(0.05) == []
    assert summary_line(found.counts, found.num_dropped) == (
        "2 dropped; 2 blank masks, 1 image of extreme size, 1 duplicate"
    )


def test_more_than_may_be_dropped_of_a_split_is_refused():
    defects = [defect(Kind.BLANK_MASK, number, "test") for number in range(3)]
    found = verdict(*defects, defect(Kind.NEAR_DUPLICATE, 7), blank_mask="drop")
    assert found.refusals(0.075) == []
    [refusal] = found.refusals(0.07)
    assert refusal.startswith(
        "3 of the 40 examples of the split 'test' would be dropped (3 blank masks), which is 7.5%; "
        "data.validation.max_dropped_share is 0.07"
    )


def test_no_split_is_dropped_as_a_whole():
    found = verdict(defect(Kind.BLANK_MASK), examples={"train": 1}, blank_mask="drop")
    assert len(found.refusals(0.999)) == 1


def test_a_refusal_lists_the_first_of_each_kind_by_name_and_says_what_to_do():
    blank = [defect(Kind.BLANK_MASK, number) for number in range(12)]
    blank.append(defect(Kind.BLANK_MASK, 12, "test"))
    other = defect(Kind.UNREADABLE_IMAGE, 50)
    refusals = verdict(other, *blank, blank_mask="fail", unreadable_image="fail").refusals(0.05)
    assert refusals[0] == (
        "1 unreadable image: '50.png' of train: it is unreadable_image. Mend the data, or set "
        'data.validation.unreadable_image to "drop"'
    )
    names = ", ".join(f"'{number}.png' of train" for number in range(10))
    assert refusals[1].startswith(f"13 blank masks: {names}: it is blank_mask; and 3 more. Mend the data")
    with pytest.raises(DataError, match=r"1 unreadable image: .*13 blank masks: .*All findings: here/findings\.csv$"):
        check(refusals, "here/findings.csv")
    check([], "nowhere")


def test_examples_of_the_same_name_are_told_apart():
    same = [defect(Kind.BLANK_MASK, number, name="image.jpg") for number in range(2)]
    [refusal] = verdict(*same, blank_mask="fail").refusals(0.05)
    assert "'image.jpg (id_0)' of train, 'image.jpg (id_1)' of train: it is" in refusal


def test_shared_images_are_counted_by_splits_and_say_what_to_do():
    to_test, to_eval = ExamplePlace("test", "x"), ExamplePlace("eval", "x")
    found = verdict(
        defect(Kind.SHARED_IMAGE, 1, partner=to_test), defect(Kind.SHARED_IMAGE, 2, partner=to_test),
        defect(Kind.SHARED_IMAGE, 3, partner=to_eval), defect(Kind.NEAR_SHARED_IMAGE, 4, partner=to_test),
        shared_image="fail",
    )  # fmt: skip
    assert shared_images(found.defects) == [("train", "test", 2), ("train", "eval", 1)]
    [refusal] = found.refusals(0.05)
    assert refusal.endswith('dropped from the first with data.duplicates = "drop", or accept them with "warn"')


def test_classes_without_a_pixel_and_splits_without_a_label():
    statistics = DataStatistics(("ground", "tree"), {name: SplitSummary(2, 3) for name in ("train", "eval", "test")})
    statistics.splits["train"].class_pixels += [5, 0]
    statistics.splits["test"].class_pixels += [5, 5]
    statistics.splits["eval"].ignored_pixels = 1234
    assert [(each.split, each.detail) for each in absent_classes(statistics)] == [
        ("train", "no pixel is 'tree'"), ("eval", "no pixel is 'ground'"), ("eval", "no pixel is 'tree'"),
    ]  # fmt: skip
    [refusal] = unlabelled_splits(statistics)
    assert refusal.startswith("no pixel of the split 'eval' is labelled: all 1,234 have a value of data.ignore_values")
    found = verdict(*absent_classes(statistics), absent_class="fail")
    assert found.dropped == {"train": set(), "test": set()}
    assert "split 'train', split 'eval': no pixel is 'tree'; split 'eval'" in found.refusals(0.05)[0]
