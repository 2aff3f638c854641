"""TFDS slices that share examples, as their text tells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.split_overlap import surely_overlap


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
