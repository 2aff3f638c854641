"""Which split a picture is in: stable, by groups, and with every class in each."""

from collections import Counter

import pytest
from drawn_source import bring_in, draw, numbered, splits_of
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.importing.splitting import SplitRule, petsegs_name, stratified
from trainer_module.errors import ConfigError, DataError

RULE = SplitRule()


def test_the_shares_are_met_and_a_name_alone_decides():
    names = [f"image {number}.jpg" for number in range(4000)]
    counts = Counter(map(RULE.by_hash, names))
    for split, share in RULE.shares.items():
        assert counts[split] / len(names) == pytest.approx(share, abs=0.02)
    assert RULE.by_hash("a.jpg") == SplitRule().by_hash("a.jpg")


def test_a_name_is_the_same_however_unicode_writes_it():
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert all(RULE.by_hash(f"{composed} {number}") == RULE.by_hash(f"{decomposed} {number}") for number in range(50))


def test_a_group_stays_together():
    rule = SplitRule(group=r"patient_(\d+)")
    splits = {patient: {rule.by_hash(f"patient_{patient}/slice {n}.png") for n in range(9)} for patient in range(60)}
    assert all(len(found) == 1 for found in splits.values())
    assert len(set.union(*splits.values())) == 3
    assert SplitRule(group=r"scene\d+").key("scene7_2.jpg") == "scene7"
    assert SplitRule(group="nowhere").key("a.jpg") == "a.jpg"


@pytest.mark.parametrize(
    "fields",
    [
        {"shares": {"train": 0.5, "eval": 0.4}},
        {"shares": {"train": 0.5, "test": 0.5}},
        {"shares": {"train": 1.0, "eval": 0.0}},
        {"shares": {"train": 0.5, "eval": 0.25, "my test": 0.25}},
        {"group": "("},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(fields):
    with pytest.raises(ConfigError, match=r"--split|--group"):
        SplitRule(**fields)


def test_what_people_call_splits():
    found = [petsegs_name(name) for name in ("Training", "val", "valid", "validation", "TEST", "night")]
    assert found == ["train", "eval", "eval", "eval", "test", "night"]
    with pytest.raises(DataError, match="my split"):
        petsegs_name("my split")


def test_a_rare_class_is_in_every_split():
    classes = {f"{number}": ("0", "rare") if number % 10 == 0 else ("0",) for number in range(100)}
    found = stratified(classes, RULE)
    assert Counter(found.values()) == {"train": 80, "eval": 10, "test": 10}
    assert Counter(found[name] for name, each in classes.items() if "rare" in each) == {
        "train": 8,
        "eval": 1,
        "test": 1,
    }


@given(st.lists(st.frozensets(st.sampled_from("abcd")), min_size=1, max_size=40))
def test_stratified_gives_each_picture_one_split_and_depends_on_no_order(presence):
    classes = {f"{number}": each for number, each in enumerate(presence)}
    found = stratified(classes, RULE)
    assert found.keys() == classes.keys()
    assert stratified(dict(reversed(classes.items())), RULE) == found


def test_stratified_groups_stay_together():
    classes = {f"g{number // 5}/{number}": ("0", str(number % 3)) for number in range(100)}
    found = stratified(classes, SplitRule(group="g[0-9]+"))
    by_group = {
        name.split("/")[0]: {found[other] for other in found if other.split("/")[0] == name.split("/")[0]}
        for name in found
    }
    assert all(len(splits) == 1 for splits in by_group.values())


def test_settled_pictures_count():
    settled = [("train", ("0",))] * 80 + [("eval", ("0",))] * 10
    assert set(stratified({f"{n}": ("0",) for n in range(10)}, RULE, settled).values()) == {"test"}


def test_stratified_import_keeps_old_pictures_in_their_splits(tmp_path):
    rule = SplitRule({"train": 0.5, "eval": 0.5}, stratify=True)
    source = draw(tmp_path / "field", *numbered(1, 10), values=(0, 1))
    draw(source, *numbered(11, 14), values=(0, 2))
    bring_in(source, tmp_path / "data", rule=rule)
    before = splits_of(tmp_path / "data", "1.0.0")
    assert Counter(before.values()) == {"train": 7, "eval": 7}
    assert Counter(before[f"images/{name}.jpg"] for name in numbered(11, 14)) == {"train": 2, "eval": 2}
    draw(source, *numbered(15, 18), values=(0, 2))
    bring_in(source, tmp_path / "data", rule=rule)
    after = splits_of(tmp_path / "data", "1.1.0")
    assert before.items() <= after.items()
    assert Counter(after.values()) == {"train": 9, "eval": 9}


def test_folders_part_and_their_names_become_petsegs(tmp_path):
    for folder, last in (("train", 6), ("val", 2), ("test", 3)):
        draw(tmp_path / "field" / folder, *(f"{folder} {number}" for number in range(last)))
    report = bring_in(tmp_path / "field", tmp_path / "data").report
    assert report.splits == {"train": 6, "eval": 2, "test": 3}


def test_without_a_split_to_select_weights_by_some_of_train_becomes_it(tmp_path):
    for folder, last in (("train", 40), ("test", 3)):
        draw(tmp_path / "field" / folder, *(f"{folder} {number}" for number in range(last)), size=(4, 4))
    report = bring_in(tmp_path / "field", tmp_path / "data").report
    assert report.splits["test"] == 3
    assert 1 <= report.splits["eval"] <= 10
    assert report.splits["train"] + report.splits["eval"] == 40
    assert any("no split to select weights by" in note for note in report.notes)


def test_the_hash_can_part_what_folders_do(tmp_path):
    for folder, last in (("train", 20), ("test", 1)):
        draw(tmp_path / "field" / folder, *(f"{folder} {number}" for number in range(last)), size=(4, 4))
    report = bring_in(tmp_path / "field", tmp_path / "data", split_by="hash").report
    assert set(report.splits) == {"train", "eval"}
