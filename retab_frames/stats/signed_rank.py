"""The Hodges-Lehmann estimate of paired differences, with the interval and tests of signed ranks.

All of them are order statistics of the Walsh averages, the means of every two differences and of
each with itself. The differences are whole numbers here, so that equal ones are equal and every
count is exact; the averages are kept as sums of two, and never all in memory above a bound.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from retab_frames.stats.grouped_values import Floats, Ints

__all__ = ["SignedRank", "find_rank"]

_MAX_EXACT = 60
"""Above so many differences the distribution of the rank sum is taken as normal."""
_MAX_ALL_SUMS = 1_000
"""Up to so many differences all their sums are made and sorted."""
_SAMPLE = 500
"""Of so many differences the sums are made to find out where a wanted sum lies."""


class SignedRank:
    """Differences, and the order statistics of their Walsh averages.

    The estimate is the median of the averages (Hodges and Lehmann 1963). The interval inverts
    Wilcoxon's signed-rank test (1945; Hollander, Wolfe and Chicken 2014, 3.1 to 3.3): its ends are
    averages, not interpolated ones. Both suppose that the differences scatter evenly about their
    center, and no distribution. Ties and zeros only widen the interval.

    Attributes:
        values: The differences, whole numbers, ascending; between -2**60 and 2**60.
    """

    def __init__(self, values: Ints) -> None:
        self.values = np.sort(values)
        self._sums: Ints | None = None

    @property
    def sums(self) -> int:
        """How many Walsh averages there are."""
        n = len(self.values)
        return n * (n + 1) // 2

    def center(self) -> float:
        """Return the Hodges-Lehmann estimate; NaN without differences."""
        if not len(self.values):
            return np.nan
        low, high = ((self.sums + more) // 2 for more in (1, 2))
        # exact as Python integers; a sum is twice an average
        return (self._find_sum(low) + self._find_sum(high)) / 4

    def interval(self, confidence: float) -> tuple[float, float] | None:
        """Return the closed interval; None where there are too few differences for one."""
        rank = find_rank(len(self.values), (1 - confidence) / 2)
        if rank < 1:
            return None
        return self._find_sum(rank) / 2, self._find_sum(self.sums + 1 - rank) / 2

    def p_above(self, bound: int) -> float:
        """Return the one-sided p of the hypothesis that the center is at most the bound.

        An average at the bound counts for the hypothesis.
        """
        return count_tail(len(self.values), self._count_at_most(2 * bound))

    def p_below(self, bound: int) -> float:
        """Return the one-sided p of the hypothesis that the center is at least the bound."""
        return count_tail(len(self.values), self.sums - self._count_at_most(2 * bound - 1))

    def _find_sum(self, rank: int) -> int:
        """Return the sum of this rank, from 1."""
        if len(self.values) <= _MAX_ALL_SUMS:
            if self._sums is None:
                self._sums = _sort_sums(self.values)
            return int(self._sums[rank - 1])
        return self._search_sum(rank)

    def _search_sum(self, rank: int) -> int:
        """Return the sum of this rank by bisection, in memory proportional to the differences."""
        low, high = 2 * int(self.values[0]), 2 * int(self.values[-1])
        # every so manieth value represents its neighbours: their sums bracket the wanted one
        thin = self.values[np.linspace(0, len(self.values) - 1, _SAMPLE).round().astype(np.int64)]
        sums = _sort_sums(thin)
        middle = round(rank / self.sums * (len(sums) - 1))
        for reach in (len(sums) // 200, len(sums) // 20):
            below, above = max(middle - reach, 0), min(middle + reach, len(sums) - 1)
            if (
                self._count_at_most(int(sums[below]))
                < rank
                <= self._count_at_most(int(sums[above]))
            ):
                low, high = int(sums[below]) + 1, int(sums[above])
                break
        while low < high:
            at = (low + high) // 2
            if self._count_at_most(at) >= rank:
                high = at
            else:
                low = at + 1
        return low

    def _count_at_most(self, total: int) -> int:
        """Return how many sums of two, and of one with itself, are at most the total."""
        values = self.values
        partners = np.searchsorted(values, total - values, side="right")
        alone = int(np.count_nonzero(2 * values <= total))
        return (int(partners.sum()) + alone) // 2


def count_tail(n: int, count: int) -> float:
    """Return P(W <= count) of the signed-rank sum of n differences without a center of their own.

    Exact up to 60 differences, above normal with a correction for continuity.
    """
    total = n * (n + 1) // 2
    if count < 0:
        return 0.0
    if count >= total:
        return 1.0
    if n <= _MAX_EXACT:
        return float(_cumulate(n)[count])
    from scipy.special import ndtr  # noqa: PLC0415 - scipy is slow to import

    return float(ndtr((count + 0.5 - total / 2) / _spread(n)))


def find_rank(n: int, tail: float) -> int:
    """Return the largest rank C with P(W <= C - 1) <= tail, 0 if there is none."""
    if n <= _MAX_EXACT:
        return int(np.searchsorted(_cumulate(n), tail, side="right"))
    from scipy.special import ndtri  # noqa: PLC0415 - as above

    rank = int(n * (n + 1) / 4 + ndtri(tail) * _spread(n) - 0.5) + 1
    # the p-values decide, in whose rounding the formula may be off by one
    while count_tail(n, rank) <= tail:
        rank += 1
    while rank > 0 and count_tail(n, rank - 1) > tail:
        rank -= 1
    return rank


@lru_cache(maxsize=_MAX_EXACT + 1)
def _cumulate(n: int) -> Floats:
    """Return P(W <= w) for each w from 0: every sign of every rank is as likely as the other."""
    chances = np.zeros(n * (n + 1) // 2 + 1)
    chances[0] = 1.0
    for rank in range(1, n + 1):
        chances[rank:] += chances[:-rank].copy()
        chances /= 2
    return np.cumsum(chances)


def _spread(n: int) -> float:
    return float((n * (n + 1) * (2 * n + 1) / 24) ** 0.5)


def _sort_sums(values: Ints) -> Ints:
    first, second = np.triu_indices(len(values))
    return np.sort(values[first] + values[second])
