"""Pairs of hashes, against comparing all of them."""

import itertools

import numpy as np
import pytest

from components.segmentation_validator.duplicates import groups_of_equal, near_pairs


@pytest.mark.parametrize("distance", [0, 1, 4, 7])
def test_near_pairs_are_those_that_comparing_all_finds(distance):
    rng = np.random.default_rng(distance)
    random = rng.integers(0, 2**64, 300, dtype=np.uint64)
    crowded = rng.integers(0, 2**10, 200, dtype=np.uint64) << np.uint64(27)  # most agree in most stretches
    near = random[:50] ^ (np.uint64(1) << rng.integers(0, 64, 50, dtype=np.uint64))
    hashes = rng.permutation(np.unique(np.concatenate([random, crowded, near])))
    every = [
        [one, other]
        for one, other in itertools.combinations(range(len(hashes)), 2)
        if (int(hashes[one]) ^ int(hashes[other])).bit_count() <= distance
    ]
    assert near_pairs(hashes, distance).tolist() == every
    assert bool(every) == (distance > 0)


def test_no_hashes_have_no_pairs():
    assert near_pairs(np.empty(0, np.uint64), 4).shape == (0, 2)


def test_groups_of_equal_keep_the_order():
    groups = groups_of_equal(np.array([9, 2**64 - 1, 9, 3, 2**64 - 1, 9], np.uint64))
    assert [group.tolist() for group in groups] == [[0, 2, 5], [1, 4]]
