"""How far two samples are apart, and how far they would be if they were drawn from one population.

The distance is the square root of the Jensen–Shannon divergence in bits: 0 for equal distributions, 1 for those that
have nothing in common, and a metric (Lin 1991, IEEE Trans. Inf. Theory 37, 145–151; Endres & Schindelin 2003, ibid. 49,
1858–1860). Two samples of one population are never at 0: the fewer examples, the farther apart. So beside each
distance stands the one that chance alone seldom exceeds, by a permutation test (Efron & Tibshirani 1993, chapter 15):
whichever of all examples are called the first sample, the counts of both together stay.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon

Counts = NDArray[np.int64]
"""[bins]: how many examples have each value."""

GROUPS: Final = 10
"""Histograms are compared in that many groups of about equal count, as deciles are in scoring."""

CHANCE: Final = 0.001
"""How often chance alone may exceed the distance that is laid to it."""

_PERMUTATIONS: Final = 1999


def distance(first: Counts, second: Counts) -> float:
    """Returns the Jensen–Shannon distance of two samples, 0…1.

    Args:
      first: int [bins]: counts of one sample, not all 0.
      second: int [bins]: of the other, likewise.

    Example:
      >>> distance(np.array([4, 0]), np.array([0, 9])), distance(np.array([1, 3]), np.array([2, 6]))
      (1.0, 0.0)
    """
    return float(_distances(first[np.newaxis], second[np.newaxis])[0])


def distance_by_chance(first: Counts, second: Counts) -> float:
    """Returns the distance that two samples of these sizes exceed once in a thousand times if one population has both.

    The same counts give the same number.

    Args:
      first: int [bins]: counts of one sample, not all 0.
      second: int [bins]: of the other, likewise.
    """
    pooled = first + second
    drawn = np.random.default_rng(0).multivariate_hypergeometric(
        pooled, int(first.sum()), size=_PERMUTATIONS, method="marginals"
    )
    return float(np.quantile(_distances(drawn, pooled - drawn), 1 - CHANCE))


def grouped(first: Counts, second: Counts) -> tuple[Counts, Counts]:
    """Returns two histograms over the same bins with neighbours put together, so that few examples fill them, too.

    A bin goes into the group of the median of its examples among those of both samples together: which bins are put
    together does not depend on which sample an example is of, as the permutation test wants.

    Args:
      first: int [bins]: counts of one sample, not all 0, the bins in the order of their values.
      second: int [bins]: of the other, likewise.

    Returns:
      Two arrays [`GROUPS`].

    Example:
      >>> grouped(np.array([0, 5, 0, 0]), np.array([5, 0, 0, 0]))[0].tolist()
      [0, 0, 0, 0, 0, 0, 0, 5, 0, 0]
    """
    pooled = first + second
    ranks = (np.cumsum(pooled) - pooled / 2) / pooled.sum()
    group = np.minimum((GROUPS * ranks).astype(np.int64), GROUPS - 1)
    parts = (np.bincount(group, sample, minlength=GROUPS).astype(np.int64) for sample in (first, second))
    return next(parts), next(parts)


def _distances(first: Counts, second: Counts) -> NDArray[np.float64]:
    """Returns the distance of each row of two arrays [samples, bins]."""
    found: NDArray[np.float64] = jensenshannon(first, second, base=2, axis=1)
    return np.nan_to_num(found)  # a divergence that rounding makes negative has no root
