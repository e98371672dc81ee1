"""Estimates with intervals, for many groups at once: numpy arrays in, numpy arrays out.

Values come sorted within groups that lie one after the other, so that every estimate is index
arithmetic and none loops over groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["Groups", "grouped"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

OUTLIER_SCORE = 3.5


@dataclass(frozen=True)
class Groups:
    """Values in groups.

    Attributes:
        values: Sorted within each group, the groups one after the other.
        group: The number of the group of each value.
        sizes: How many values each group has; may be 0.
    """

    values: Floats
    group: Ints
    sizes: Ints

    @cached_property
    def starts(self) -> Ints:
        """The index of the first value of each group."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)

    def total(self) -> Floats:
        """Return the sum of each group; NaN for an empty one."""
        sums = np.bincount(self.group, weights=self.values, minlength=len(self.sizes))
        return np.where(self.sizes > 0, sums, np.nan)

    def mean(self) -> Floats:
        """Return the mean of each group; NaN for an empty one."""
        return self.total() / np.maximum(self.sizes, 1)

    def std(self) -> Floats:
        """Return the sample standard deviation (n - 1); NaN below two values."""
        deviation = self.values - self.mean()[self.group]
        squares = np.bincount(self.group, weights=deviation**2, minlength=len(self.sizes))
        return np.where(self.sizes > 1, np.sqrt(squares / np.maximum(self.sizes - 1, 1)), np.nan)

    def quantile(self, q: float) -> Floats:
        """Return the linear quantile (Hyndman and Fan 1996, type 7), the one of `Series.quantile`.

        NaN for an empty group.
        """
        position = q * np.maximum(self.sizes - 1, 0)
        below = np.floor(position).astype(np.int64)
        low, high = self._ranked(below), self._ranked(np.ceil(position).astype(np.int64))
        return low + (high - low) * (position - below)

    def quantile_interval(self, q: float, confidence: float) -> tuple[Floats, Floats]:
        """Return the order statistics that enclose the quantile with at least the confidence.

        Distribution-free (Conover, Practical Nonparametric Statistics, 3.2): the number of values
        below the quantile is binomial. An end that no value of so small a group can give is NaN,
        which means unbounded, not unknown.
        """
        from scipy.stats import binom  # noqa: PLC0415 - scipy is slow to import

        tail = (1 - confidence) / 2
        # many groups have the same size
        sizes, which = np.unique(self.sizes, return_inverse=True)
        low = np.asarray(binom.ppf(tail, sizes, q)) - 1
        high = np.asarray(binom.isf(tail, sizes, q))
        estimate = self.quantile(q)
        # in a tiny group the linear estimate may lie just outside; a wider interval still holds
        return (
            np.minimum(self._ranked(low[which]), estimate),
            np.maximum(self._ranked(high[which]), estimate),
        )

    def outliers(self) -> Ints:
        """Return how many values of each group are far from the rest.

        Modified z-scores on the log scale (Iglewicz and Hoaglin 1993), 3.5 or more; where half the
        values are equal, so that the median absolute deviation is 0, the interquartile range takes
        its place, and where that is 0 too there are none. A value of 0 counts as 1.
        """
        logs = Groups(np.log(np.maximum(self.values, 1.0)), self.group, self.sizes)
        distance = np.abs(logs.values - logs.quantile(0.5)[self.group])
        mad = grouped(distance, self.group, len(self.sizes)).quantile(0.5) * 1.4826
        iqr = (logs.quantile(0.75) - logs.quantile(0.25)) / 1.349
        scale = np.where(mad > 0, mad, iqr)[self.group]
        far = (scale > 0) & (distance >= OUTLIER_SCORE * scale)
        return np.bincount(self.group[far], minlength=len(self.sizes))

    def _ranked(self, rank: Ints | Floats) -> Floats:
        """Return the value of each group at a rank from 0; NaN where it has no such rank."""
        inside = (rank >= 0) & (rank < self.sizes)
        index = np.where(inside, self.starts + rank, 0).astype(np.int64)
        if not len(self.values):
            return np.full(len(self.sizes), np.nan)
        return np.where(inside, self.values[index], np.nan)


def grouped(values: Floats, group: Ints, groups: int) -> Groups:
    """Return the values sorted by group, then by size; no value may be NaN."""
    order = np.lexsort((values, group))
    return Groups(values[order], group[order], np.bincount(group, minlength=groups))
