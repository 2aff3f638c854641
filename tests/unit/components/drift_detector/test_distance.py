"""The distance of two samples, by hand and by plain NumPy, and what chance explains."""

from math import comb

import numpy as np
import pytest

from components.drift_detector.distance import distance, distance_by_chance, grouped


def counts(*numbers):
    return np.array(numbers, np.int64)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (counts(5, 5), counts(1, 1), 0.0),
        (counts(3, 0), counts(0, 8), 1.0),
        # p = (1, 0), q = (1/2, 1/2), m = (3/4, 1/4): D = (log2(4/3) + (log2(2/3) + log2(2)) / 2) / 2 = 0.3113 bits
        (counts(2, 0), counts(3, 3), 0.3112781244591328**0.5),
    ],
)
def test_the_distance_by_hand(first, second, expected):
    assert distance(first, second) == pytest.approx(expected, abs=1e-12)
    assert distance(second, first) == pytest.approx(expected, abs=1e-12)


def test_the_distance_by_numpy():
    first, second = counts(7, 0, 3, 11, 1), counts(1, 4, 0, 6, 2)
    p, q = first / first.sum(), second / second.sum()
    divergence = sum(
        0.5 * each[i] * np.log2(each[i] / (p[i] + q[i]) * 2) for each in (p, q) for i in range(5) if each[i] > 0
    )
    assert distance(first, second) == pytest.approx(np.sqrt(divergence), rel=1e-12)


def test_what_chance_explains_is_that_of_all_ways_to_deal_the_examples_out():
    """40 heads and 40 tails, dealt out to two samples of 40: the heads in the first are hypergeometric."""
    probability = {heads: comb(40, heads) ** 2 / comb(80, 40) for heads in range(41)}
    by_distance = sorted(
        (distance(counts(heads, 40 - heads), counts(40 - heads, heads)), p) for heads, p in probability.items()
    )
    exact = next(found for found, _ in by_distance if sum(p for other, p in by_distance if other > found) <= 0.001)
    assert distance_by_chance(counts(20, 20), counts(20, 20)) == pytest.approx(exact, abs=0.04)
    assert distance_by_chance(counts(31, 9), counts(9, 31)) == distance_by_chance(counts(20, 20), counts(20, 20))


@pytest.mark.parametrize(("first", "second"), [(30, 30), (30, 3000), (400, 400)])
def test_samples_of_one_population_seldom_exceed_chance(first, second):
    random = np.random.default_rng(1)
    exceeded = 0
    for _ in range(200):
        population = random.dirichlet(np.full(40, 0.5))
        samples = grouped(random.multinomial(first, population), random.multinomial(second, population))
        exceeded += distance(*samples) > distance_by_chance(*samples)
    assert exceeded <= 2


def test_neighbours_are_put_together_into_groups_of_about_equal_count():
    first, second = counts(*([1] * 20), 0, 30), counts(*([1] * 20), 0, 30)
    one, other = grouped(first, second)
    # 100 examples, ten to a group: five bins of two fill each of the first four, the last bin the one of its median.
    assert one.tolist() == other.tolist() == [5, 5, 5, 5, 0, 0, 0, 30, 0, 0]
    shifted = grouped(counts(1, 0, 0, 9), counts(0, 1, 9, 0))
    assert shifted[0].sum() == shifted[1].sum() == 10
    assert distance(*shifted) == pytest.approx(distance(counts(1, 9, 0), counts(1, 0, 9)))
