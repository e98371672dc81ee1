"""Estimates of one sample, each with its confidence interval.

There are three kinds, each with its interval:

- means: arithmetic (`mean`) and geometric (`geometric_mean`), computed here;
- shares: `proportion`, computed here;
- quantiles, by two methods. Linear, type 7 (`quantile` here) is computed for all groups at once by
  `GroupedValues.quantile` and `quantile_interval` in grouped_values.py. That of a sample with
  censored values, type 2 of the Kaplan-Meier curve, is `Survival.quantile` in survival.py.

`duration_stats` (durations.py) chooses the method of a quantile by its argument `unfinished`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from retab_frames.stats.grouped_values import group_values

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from retab_frames.stats.grouped_values import Floats

__all__ = [
    "Estimate",
    "check_confidence",
    "check_margin",
    "geometric_mean",
    "is_number",
    "mean",
    "proportion",
    "quantile",
    "student_interval",
]

_MIN_MEAN_VALUES = 8
"""The fewest values of which the interval of a mean is said; see `mean`."""
_RESAMPLES = 9_999
_BATCH_VALUES = 2_000_000
"""Values that the bootstrap draws at a time, 16 MB of them."""
_MAX_BOOTSTRAP_VALUES = 5_000
"""Above so many values the interval of a mean is Student's t: the jackknife of BCa is quadratic."""


@dataclass(frozen=True)
class Estimate:
    """An estimate and its confidence interval.

    Attributes:
        value: The estimate, in the unit of the values; NaN where there is nothing to estimate.
        low: The lower end, never above the value; NaN means unbounded: the sample is too small, or
            too much of it is censored.
        high: The upper end, never below the value; NaN means unbounded.
    """

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        # the ends of a bootstrap, or rounded ones, may stop short of the estimate; a wider interval
        # keeps its coverage, and NaN compares false, so that unbounded ends stay unbounded
        if self.low > self.value:
            object.__setattr__(self, "low", self.value)
        if self.high < self.value:
            object.__setattr__(self, "high", self.value)


def mean(values: ArrayLike, confidence: float = 0.95, *, seed: int = 0) -> Estimate:
    """Return the arithmetic mean with a bootstrap interval.

    The interval is the bias-corrected and accelerated (BCa) bootstrap (Efron 1987) of 9,999
    resamples. For long-tailed durations (log-normal, log-sd 0.8) the 95 % interval holds the truth
    in 44, 63, 73, 79 % of samples of 2, 3, 4, 5, which is no interval, in 82 % of samples of 6, 7
    and 8, 85 % of 10 and 91 % of 30. Below 8 values, where chance moves the resamples most, both
    ends are unbounded; below 30 the interval is rough. Above 5,000 values it is Student's t, which
    then differs by a few hundredths of its width.

    Args:
        values: Finite, in any order; one dimension.
        confidence: Between 0 and 1.
        seed: Of the resampling; the same values and seed give the same interval.

    Returns:
        The mean in the unit of the values. All NaN without values; unbounded below 8 values; from
        there on an interval of width 0 where all values are equal.

    Raises:
        ValueError: If a value is not finite, or the confidence not between 0 and 1.
    """
    # sorted, so that the order of the rows does not change the resamples
    sample = np.sort(_check_sample(values, confidence))
    if not len(sample) or sample[0] == sample[-1]:
        return _estimate_without_scatter(sample)
    value = float(sample.mean())
    if len(sample) < _MIN_MEAN_VALUES:
        return Estimate(value, np.nan, np.nan)
    if len(sample) > _MAX_BOOTSTRAP_VALUES:
        return Estimate(value, *student_interval(sample, confidence))
    from scipy.stats import bootstrap  # noqa: PLC0415 - scipy is slow to import

    # scaled by a power of two, which rounds nothing and keeps the cubes of huge values finite
    exponent = int(np.frexp(np.abs(sample).max())[1])
    interval = bootstrap(
        (np.ldexp(sample, -exponent),),
        np.mean,
        n_resamples=_RESAMPLES,
        batch=max(1, _BATCH_VALUES // len(sample)),
        confidence_level=confidence,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(value, *np.ldexp([interval.low, interval.high], exponent).tolist())


def geometric_mean(values: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Return the geometric mean, with Student's t interval of the logarithms.

    It suits long-tailed durations; for log-normal ones it estimates the median, and the 95 %
    interval holds it in 95 % of samples of any size from 2 on. That few values are equal does not
    say that all are: below 8 equal values the interval is unbounded, as that of `mean`.

    Args:
        values: Above 0 and finite; one dimension.
        confidence: Between 0 and 1.

    Returns:
        The mean in the unit of the values. All NaN without values; unbounded with one value or
        fewer than 8 equal ones; an interval of width 0 where more are equal.

    Raises:
        ValueError: If a value is not above 0 and finite, or the confidence not between 0 and 1.
    """
    sample = _check_sample(values, confidence)
    if (sample <= 0).any():
        count = int((sample <= 0).sum())
        raise ValueError(f"a geometric mean takes values above 0; {count} of {len(sample)} are not")
    if not len(sample) or sample.min() == sample.max():
        return _estimate_without_scatter(sample)
    logs = np.log(sample)
    ends = (logs.mean(), *student_interval(logs, confidence))
    with np.errstate(over="ignore"):  # the interval of two very different values may be infinite
        return Estimate(*np.exp(ends).tolist())


def proportion(successes: int, total: int, confidence: float = 0.95) -> Estimate:
    """Return a share with its Wilson score interval (Wilson 1927), which suits shares near 0 and 1.

    Args:
        successes: How many of the total, at least 0.
        total: At least the successes.
        confidence: Between 0 and 1.

    Returns:
        A share between 0 and 1; all NaN where the total is 0.

    Raises:
        ValueError: If the counts contradict each other, or the confidence is not between 0 and 1.
    """
    check_confidence(confidence)
    if not 0 <= successes <= total:
        raise ValueError(f"successes must be from 0 to the total of {total}, not {successes}")
    if not total:
        return Estimate(np.nan, np.nan, np.nan)
    from scipy.special import ndtri  # noqa: PLC0415 - scipy is slow to import

    share, z = successes / total, float(ndtri((1 + confidence) / 2))
    center = 2 * total * share + z**2
    reach = z * (4 * total * share * (1 - share) + z**2) ** 0.5
    low, high = ((center + end) / (2 * (total + z**2)) for end in (-reach, reach))
    # at the ends the formula misses 0 and 1 by a rounding error
    return Estimate(share, low if successes else 0.0, high if successes < total else 1.0)


def quantile(values: ArrayLike, q: float, confidence: float = 0.95) -> Estimate:
    """Return a quantile with an interval of order statistics, as `GroupedValues` does for groups.

    Args:
        values: Finite, in any order; one dimension.
        q: Between 0 and 1.
        confidence: Between 0 and 1.

    Returns:
        The linear quantile (type 7) in the unit of the values; an end is NaN, unbounded, where the
        sample is too small for it; all NaN without values.

    Raises:
        ValueError: If a value is not finite, or q or the confidence not between 0 and 1.
    """
    if not 0 <= q <= 1:
        raise ValueError(f"q must be between 0 and 1, not {q!r}")
    sample = _check_sample(values, confidence)
    group = group_values(sample, np.zeros(len(sample), dtype=np.int64), 1)
    low, high = group.quantile_interval(q, confidence)
    return Estimate(float(group.quantile(q)[0]), float(low[0]), float(high[0]))


def student_interval(values: Floats, confidence: float) -> tuple[float, float]:
    """Return Student's t interval of the mean of two values or more."""
    from scipy.special import stdtrit  # noqa: PLC0415 - scipy is slow to import

    error = float(values.std(ddof=1)) / len(values) ** 0.5
    reach = float(stdtrit(len(values) - 1, (1 + confidence) / 2)) * error
    return float(values.mean()) - reach, float(values.mean()) + reach


def check_confidence(confidence: float) -> None:
    """Check that a confidence is a number between 0 and 1.

    Raises:
        ValueError: If it is not.
    """
    if not (is_number(confidence) and 0 < confidence < 1):
        raise ValueError(f"confidence must be between 0 and 1, not {confidence!r}")


def check_margin(margin: float) -> None:
    """Check that a margin is a number of 0 or more, and finite.

    Raises:
        ValueError: If it is not.
    """
    if not (is_number(margin) and 0 <= margin < math.inf):
        raise ValueError(f"margin must be 0 or more, such as 0.05 for 5 %, not {margin!r}")


def is_number(value: object) -> bool:
    """Return whether this is a real number; a truth value is none, though Python counts with it."""
    return isinstance(value, Real) and not isinstance(value, bool)


def _check_sample(values: ArrayLike, confidence: float) -> Floats:
    check_confidence(confidence)
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1:
        raise ValueError(f"a sample must have one dimension, not {sample.ndim}")
    if not np.isfinite(sample).all():
        count = int((~np.isfinite(sample)).sum())
        raise ValueError(f"{count} of {len(sample)} values are NaN or infinite: leave them out")
    return sample


def _estimate_without_scatter(sample: Floats) -> Estimate:
    """Return the estimate of a sample that has no values, or equal values only."""
    if not len(sample):
        return Estimate(np.nan, np.nan, np.nan)
    end = float(sample[0]) if len(sample) >= _MIN_MEAN_VALUES else np.nan
    return Estimate(float(sample[0]), end, end)
