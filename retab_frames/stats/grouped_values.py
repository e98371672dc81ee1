"""Values in groups, and the statistics of all groups at once.

The values are sorted within each group, one group after the other, so that a statistic is index
arithmetic on arrays and none loops over groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["Flags", "Floats", "GroupedValues", "Ints", "group_values"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

_OUTLIER_SCORE = 3.5


@dataclass(frozen=True)
class GroupedValues:
    """Values in groups; made by `group_values`.

    Attributes:
        values: Sorted within each group, one group after the other.
        group: The number of the group of each value.
        sizes: The number of values of each group; may be 0.
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
        """Return the sample standard deviation (n - 1) of each group; NaN below two values."""
        deviation = self.values - self.mean()[self.group]
        squares = np.bincount(self.group, weights=deviation**2, minlength=len(self.sizes))
        return np.where(self.sizes > 1, np.sqrt(squares / np.maximum(self.sizes - 1, 1)), np.nan)

    def quantile(self, q: float) -> Floats:
        """Return the linear quantile of each group, as `Series.quantile`; NaN for an empty one.

        Type 7 of Hyndman and Fan (1996).
        """
        position = q * np.maximum(self.sizes - 1, 0)
        below = np.floor(position).astype(np.int64)
        low, high = self._at_rank(below), self._at_rank(np.ceil(position).astype(np.int64))
        return low + (high - low) * (position - below)

    def quantile_interval(self, q: float, confidence: float) -> tuple[Floats, Floats]:
        """Return the two order statistics that enclose the quantile with at least the confidence.

        Distribution-free (Conover, Practical Nonparametric Statistics, 3.2): the number of values
        below the quantile is binomial. An end is NaN, which means unbounded, if the group is too
        small for it.
        """
        from scipy.stats import binom  # noqa: PLC0415 - scipy is slow to import

        tail = (1 - confidence) / 2
        # many groups have the same size
        sizes, which = np.unique(self.sizes, return_inverse=True)
        low = np.asarray(binom.ppf(tail, sizes, q)) - 1
        high = np.asarray(binom.isf(tail, sizes, q))
        estimate = self.quantile(q)
        # in a tiny group the linear estimate may lie just outside the order statistics; the
        # interval is widened to contain it, which keeps its coverage
        return (
            np.minimum(self._at_rank(low[which]), estimate),
            np.maximum(self._at_rank(high[which]), estimate),
        )

    def is_outlier(self, values: Floats, group: Ints) -> Flags:
        """Return whether each value is an outlier of its group; the values may be in any order.

        Modified z-scores on the log scale (Iglewicz and Hoaglin 1993) of 3.5 or more. Where half
        the values are equal, so that the median absolute deviation is 0, the interquartile range
        takes its place; where that is 0 too, there are no outliers. A value below 1 counts as 1.
        """
        logs = GroupedValues(np.log(np.maximum(self.values, 1.0)), self.group, self.sizes)
        center = logs.quantile(0.5)
        distance = np.abs(logs.values - center[self.group])
        mad = group_values(distance, self.group, len(self.sizes)).quantile(0.5) * 1.4826
        iqr = (logs.quantile(0.75) - logs.quantile(0.25)) / 1.349
        scale = np.where(mad > 0, mad, iqr)[group]
        deviation = np.abs(np.log(np.maximum(values, 1.0)) - center[group])
        is_far: Flags = (scale > 0) & (deviation >= _OUTLIER_SCORE * scale)
        return is_far

    def outliers(self) -> Ints:
        """Return the number of outliers of each group, by `is_outlier`."""
        is_far = self.is_outlier(self.values, self.group)
        return np.bincount(self.group[is_far], minlength=len(self.sizes))

    def _at_rank(self, rank: Ints | Floats) -> Floats:
        """Return the value of each group at a rank from 0; NaN where the group has no such rank."""
        inside = (rank >= 0) & (rank < self.sizes)
        index = np.where(inside, self.starts + rank, 0).astype(np.int64)
        if not len(self.values):
            return np.full(len(self.sizes), np.nan)
        return np.where(inside, self.values[index], np.nan)


def group_values(values: Floats, group: Ints, groups: int) -> GroupedValues:
    """Return the values sorted by group and then by size.

    Args:
        values: Must not contain NaN.
        group: The number of the group of each value, from 0.
        groups: How many groups there are.
    """
    order = np.argsort(values)
    # integers of 16 bits are sorted without comparisons (radix sort); lexsort would take twice as
    # long
    narrow = group.astype(np.min_scalar_type(max(groups - 1, 0)))
    order = order[np.argsort(narrow[order], kind="stable")]
    return GroupedValues(values[order], group[order], np.bincount(group, minlength=groups))
