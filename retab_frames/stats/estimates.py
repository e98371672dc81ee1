"""Estimates with intervals: of one sample, or of many groups at once.

The values of groups come sorted and one group after the other, so that every estimate is index
arithmetic and none loops over groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "Estimate",
    "Flags",
    "Floats",
    "Groups",
    "Ints",
    "checked_confidence",
    "geometric_mean",
    "grouped",
    "mean",
    "proportion",
    "quantile",
    "student_interval",
]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

OUTLIER_SCORE = 3.5
RESAMPLES = 9_999
RESAMPLED_AT_ONCE = 2_000_000
"""Values drawn in one go by a bootstrap, 16 MB of them."""
MOST_BOOTSTRAPPED = 5_000
"""Values above which a mean's interval is Student's t: the jackknife of BCa is quadratic."""


@dataclass(frozen=True)
class Estimate:
    """A number and the interval that holds the truth at the stated confidence.

    Attributes:
        value: The estimate, in the unit of the values; NaN where there is nothing to estimate.
        low: The lower end, never above the value. NaN is an open end: the sample is too small, or
            too much of it censored, to bound the truth on this side.
        high: The upper end, never below the value; NaN likewise.
    """

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        # a bootstrap or a rounded bound may stop short of the estimate; a wider interval still
        # holds, and a comparison with NaN is false, so that open ends stay open
        if self.low > self.value:
            object.__setattr__(self, "low", self.value)
        if self.high < self.value:
            object.__setattr__(self, "high", self.value)


def mean(values: ArrayLike, confidence: float = 0.95, *, seed: int = 0) -> Estimate:
    """Return the arithmetic mean with a bootstrap interval.

    The interval is the bias-corrected and accelerated bootstrap (Efron 1987) of 9,999 resamples.
    It is rough below 30 values: of long-tailed durations it covers about 82 % at n = 8 and 91 % at
    n = 30 where 95 % is claimed. Above 5,000 values it is Student's t, which by then differs by a
    few hundredths of its width.

    Args:
        values: Finite, in any order; one dimension.
        confidence: Between 0 and 1.
        seed: Of the resampling; the same values and seed give the same interval.

    Returns:
        The mean in the unit of the values. All NaN without values; both ends open with one value;
        the interval is the point where all values are equal.

    Raises:
        ValueError: If a value is not finite, or the confidence not between 0 and 1.
    """
    # sorted, so that the order of rows changes no resample
    sample = np.sort(_checked(values, confidence))
    if len(sample) < 2 or sample[0] == sample[-1]:  # noqa: PLR2004 - one value has no scatter
        return _point(sample)
    value = float(sample.mean())
    if len(sample) > MOST_BOOTSTRAPPED:
        return Estimate(value, *student_interval(sample, confidence))
    from scipy.stats import bootstrap  # noqa: PLC0415 - scipy is slow to import

    # to a power of two, which rounds nothing and keeps the cubes of huge values finite
    exponent = int(np.frexp(np.abs(sample).max())[1])
    interval = bootstrap(
        (np.ldexp(sample, -exponent),),
        np.mean,
        n_resamples=RESAMPLES,
        batch=max(1, RESAMPLED_AT_ONCE // len(sample)),
        confidence_level=confidence,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(value, *np.ldexp([interval.low, interval.high], exponent).tolist())


def geometric_mean(values: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Return the geometric mean, with Student's t interval of the logarithms.

    It is the mean to quote for long-tailed durations; of log-normal ones it estimates the median.

    Args:
        values: Above 0 and finite; one dimension.
        confidence: Between 0 and 1.

    Returns:
        The mean in the unit of the values. All NaN without values; both ends open with one value;
        the interval is the point where all values are equal.

    Raises:
        ValueError: If a value is not above 0 and finite, or the confidence not between 0 and 1.
    """
    sample = _checked(values, confidence)
    if (sample <= 0).any():
        count = int((sample <= 0).sum())
        raise ValueError(f"a geometric mean takes values above 0; {count} of {len(sample)} are not")
    if len(sample) < 2 or sample.min() == sample.max():  # noqa: PLR2004
        return _point(sample)
    logs = np.log(sample)
    ends = (logs.mean(), *student_interval(logs, confidence))
    with np.errstate(over="ignore"):  # two values that are worlds apart bound nothing
        return Estimate(*np.exp(ends).tolist())


def proportion(successes: int, total: int, confidence: float = 0.95) -> Estimate:
    """Return a share with its Wilson score interval (Wilson 1927), which holds near 0 and 1 too.

    Args:
        successes: How many of the total, at least 0.
        total: At least the successes.
        confidence: Between 0 and 1.

    Returns:
        A share between 0 and 1; all NaN where the total is 0.

    Raises:
        ValueError: If the counts contradict each other, or the confidence is not between 0 and 1.
    """
    checked_confidence(confidence)
    if not 0 <= successes <= total:
        raise ValueError(f"there is no share of {successes} in {total}")
    if not total:
        return Estimate(np.nan, np.nan, np.nan)
    from scipy.stats import binomtest  # noqa: PLC0415 - scipy is slow to import

    interval = binomtest(int(successes), int(total)).proportion_ci(confidence, method="wilson")
    return Estimate(successes / total, float(interval.low), float(interval.high))


def quantile(values: ArrayLike, q: float, confidence: float = 0.95) -> Estimate:
    """Return a quantile with an interval of order statistics, as `Groups` does for many samples.

    Args:
        values: Finite, in any order; one dimension.
        q: Between 0 and 1.
        confidence: Between 0 and 1.

    Returns:
        The linear quantile (type 7) in the unit of the values; an end is open where no value of so
        small a sample bounds the quantile; all NaN without values.

    Raises:
        ValueError: If a value is not finite, or q or the confidence not between 0 and 1.
    """
    if not 0 <= q <= 1:
        raise ValueError(f"a quantile lies between 0 and 1, not {q!r}")
    sample = _checked(values, confidence)
    group = grouped(sample, np.zeros(len(sample), dtype=np.int64), 1)
    low, high = group.quantile_interval(q, confidence)
    return Estimate(float(group.quantile(q)[0]), float(low[0]), float(high[0]))


def student_interval(values: Floats, confidence: float) -> tuple[float, float]:
    """Return Student's t interval of the mean of two values or more."""
    from scipy.special import stdtrit  # noqa: PLC0415 - scipy is slow to import

    error = float(values.std(ddof=1)) / len(values) ** 0.5
    reach = float(stdtrit(len(values) - 1, (1 + confidence) / 2)) * error
    return float(values.mean()) - reach, float(values.mean()) + reach


def checked_confidence(confidence: float) -> float:
    """Return the confidence, or raise ValueError if it is not between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence lies between 0 and 1, not {confidence!r}")
    return confidence


def _checked(values: ArrayLike, confidence: float) -> Floats:
    checked_confidence(confidence)
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1:
        raise ValueError(f"a sample has one dimension, not {sample.ndim}")
    if not np.isfinite(sample).all():
        count = int((~np.isfinite(sample)).sum())
        raise ValueError(f"{count} of {len(sample)} values are NaN or infinite: leave them out")
    return sample


def _point(sample: Floats) -> Estimate:
    """Return the estimate of a sample without scatter: none, one value, or equal ones."""
    if not len(sample):
        return Estimate(np.nan, np.nan, np.nan)
    end = float(sample[0]) if len(sample) > 1 else np.nan
    return Estimate(float(sample[0]), end, end)


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

    def is_outlier(self, values: Floats, group: Ints) -> Flags:
        """Tell which values are far from the rest of their group, in any order.

        Modified z-scores on the log scale (Iglewicz and Hoaglin 1993), 3.5 or more; where half the
        values are equal, so that the median absolute deviation is 0, the interquartile range takes
        its place, and where that is 0 too there are none. A value of 0 counts as 1.
        """
        logs = Groups(np.log(np.maximum(self.values, 1.0)), self.group, self.sizes)
        center = logs.quantile(0.5)
        distance = np.abs(logs.values - center[self.group])
        mad = grouped(distance, self.group, len(self.sizes)).quantile(0.5) * 1.4826
        iqr = (logs.quantile(0.75) - logs.quantile(0.25)) / 1.349
        scale = np.where(mad > 0, mad, iqr)[group]
        away = np.abs(np.log(np.maximum(values, 1.0)) - center[group])
        far: Flags = (scale > 0) & (away >= OUTLIER_SCORE * scale)
        return far

    def outliers(self) -> Ints:
        """Return how many values of each group are far from the rest, as `is_outlier` says."""
        far = self.is_outlier(self.values, self.group)
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
    order = np.argsort(values)
    # numbers of 16 bits are sorted without comparing them; lexsort would take twice as long
    narrow = group.astype(np.min_scalar_type(max(groups - 1, 0)))
    order = order[np.argsort(narrow[order], kind="stable")]
    return Groups(values[order], group[order], np.bincount(group, minlength=groups))
