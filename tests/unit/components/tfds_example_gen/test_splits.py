"""TFDS slices that share examples, as their text tells."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.tfds_example_gen.splits import surely_overlap
from pipeline.config.loading import load_config
from trainer_module.errors import ConfigError


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("train", "train"),
        ("train", "train[90%:]"),
        ("train[:90%]", "train[89%:]"),
        ("train[:90%]", "train[-11%:]"),
        ("train[:100]", "train[99:]"),
        ("train[:100]", "train[:5%]"),
        ("train[-100:]", "train[-1:]"),
        ("train[-100:]", "train[50%:]"),
        ("train[10:20]", "train"),
        ("train[20%:30%]+test", "validation + test[:1]"),
        ("train[:50%]", "train[:-100]"),
    ],
)
def test_shared_examples_are_seen(one, other):
    assert surely_overlap(one, other)
    assert surely_overlap(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("train", "test"),
        ("train[:90%]", "train[90%:]"),
        ("train[:90%]", "train[-10%:]"),
        ("train[:100]", "train[100:]"),
        ("train[:-100]", "train[-100:]"),
        ("train[20%:30%]+test[:10]", "train[30%:]+test[10:20]+train[:20%]"),
    ],
)
def test_neighbours_share_nothing(one, other):
    assert not surely_overlap(one, other)
    assert not surely_overlap(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("train[:100]", "train[90%:]"),
        ("train[:100]", "train[-100:]"),
        ("train[:3shard]", "train[:3shard]"),
        ("train[:50%](pct1_dropremainder)", "train"),
    ],
)
def test_what_cannot_be_told_is_not_refused(one, other):
    assert not surely_overlap(one, other)
    assert not surely_overlap(other, one)


@given(st.tuples(*[st.integers(0, 100)] * 4))
def test_percentages_share_what_ranges_share(bounds):
    a, b, c, d = bounds
    shared = set(range(a, b)) & set(range(c, d))
    if a < b and c < d:
        assert surely_overlap(f"x[{a}%:{b}%]", f"x[{c}%:{d}%]") is bool(shared)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["data.splits.test=train[:10%]"],
            "data.splits.train is 'train[:90%]' and data.splits.test is 'train[:10%]': they",
        ),
        (["data.splits.eval=train[:10%]"], "weights must not be selected by what they were trained on. Choose slices"),
        (["data.splits.eval=test"], "a model must not be judged by what it was selected by. Choose slices"),
        (["evaluation.split=train"], "a model must not be judged by what it was trained on. Choose slices"),
    ],
)
def test_splits_that_must_be_separate_are_refused_when_the_configuration_is_read(overrides, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_config(overrides=overrides)


def test_who_accepts_duplicates_may_watch_what_decides_but_not_train_on_it():
    load_config(overrides=["data.splits.eval=test", "data.duplicates=warn"])
    load_config(overrides=["data.splits.eval=train[:10%]", "data.duplicates=warn"])
    assert load_config(preset="blog", overrides=["data.splits.test=test", "evaluation.split=test"])
    with pytest.raises(ConfigError, match=r"they share examples.*Choose slices without common examples\."):
        load_config(overrides=["data.splits.test=train", "data.duplicates=warn"])
