"""The change of a total and of a quantile over paired values, with bootstrap intervals."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from retab_frames.stats.estimates import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retab_frames.stats.grouped_values import Floats, Ints

__all__ = ["MIN_QUANTILE_PAIRS", "quantile_ratio", "total_ratio"]

_RESAMPLES = 1_999
"""One less than a multiple of 40, so that the ends of usual intervals are resamples."""
_MIN_PAIRS = 6
"""Fewer pairs have no interval here, as they have none of signed ranks."""
_MAX_BOOTSTRAP_PAIRS = 5_000
"""Above so many pairs the interval is the normal one, which then differs by little."""
_MAX_CACHED_PAIRS = 250
_BATCH_VALUES = 2_000_000
"""Counts that the bootstrap makes at a time, 16 MB of them."""
_NO_SCATTER = 1e-24
"""Squared relative errors below this are rounding."""
MIN_QUANTILE_PAIRS = 72
"""From so many pairs on the 95th percentile has an interval of order statistics."""


def total_ratio(baseline: Floats, candidate: Floats, confidence: float) -> Estimate:
    """Return the sum of the candidate over the sum of the baseline, with its interval.

    The interval is the bootstrap-t (Efron and Tibshirani 1993, 12.5) of the logarithm: 1,999
    resamples of pairs, each with its linearised standard error, always the same ones. In
    simulations its 95 % interval holds the truth in 87 to 95 %: it is rough below 30 pairs, and
    where few long documents make up the total. Above 5,000 pairs it is the normal interval.

    Args:
        baseline: The values of the pairs, 0 or more and finite.
        candidate: The values of the same pairs in the same order.
        confidence: Between 0 and 1.

    Returns:
        NaN if the baseline's sum is 0; without ends below 6 pairs, or if the candidate's sum is 0;
        an end is NaN, unbounded, if too many resamples have no scatter.
    """
    pairs, old, new = len(baseline), float(baseline.sum()), float(candidate.sum())
    ratio = new / old if old > 0 else np.nan
    if pairs < _MIN_PAIRS or not (old > 0 and new > 0):
        return Estimate(ratio, np.nan, np.nan)
    before, after = _sort_pairs(baseline, candidate)
    before, after = before / old, after / new
    error = _linear_error(pairs, np.ones((1, pairs)), before, after)[1][0]
    if error <= 0:
        return Estimate(ratio, ratio, ratio)
    if pairs > _MAX_BOOTSTRAP_PAIRS:
        from scipy.special import stdtrit  # noqa: PLC0415 - scipy is slow to import

        reach = float(stdtrit(pairs - 1, (1 + confidence) / 2)) * error
        return Estimate(ratio, ratio * np.exp(-reach), ratio * np.exp(reach))
    found = [_linear_error(pairs, counts, before, after) for counts in _iterate_counts(pairs)]
    logs, errors = (np.concatenate(part) for part in zip(*found, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        # a resample without scatter is infinitely far from the ratio, unless it has it; one of
        # nothing but zeros says nothing
        scores = np.where((logs == 0) | np.isnan(logs), 0.0, logs / errors)
    low, high = _find_ends(scores, confidence)
    with np.errstate(over="ignore"):
        ends = ratio * np.exp(-high * error), ratio * np.exp(-low * error)
    return Estimate(ratio, *(float(end) if 0 < end < np.inf else np.nan for end in ends))


def quantile_ratio(baseline: Floats, candidate: Floats, q: float, confidence: float) -> Estimate:
    """Return a quantile of the candidate over that of the baseline, with its interval.

    The quantiles are linear (type 7) ones of all values of a side. The interval is the percentile
    bootstrap of 1,999 resamples of pairs, always the same ones.

    Args:
        baseline: The values of the pairs, 0 or more and finite.
        candidate: The values of the same pairs in the same order.
        q: Between 0 and 1.
        confidence: Between 0 and 1.

    Returns:
        All NaN below 72 pairs, and if a quantile is 0; without ends above 5,000, and if that of a
        resample is 0.
    """
    pairs = len(baseline)
    if pairs < MIN_QUANTILE_PAIRS:
        return Estimate(np.nan, np.nan, np.nan)
    ratio = float(_divide(*(np.atleast_1d(np.quantile(v, q)) for v in (candidate, baseline)))[0])
    if pairs > _MAX_BOOTSTRAP_PAIRS or np.isnan(ratio):
        return Estimate(ratio, np.nan, np.nan)
    before, after = _sort_pairs(baseline, candidate)
    chance = np.random.default_rng(0)
    found = []
    for rows in _iterate_batches(pairs):
        drawn = chance.integers(0, pairs, (rows, pairs))
        found.append(
            _divide(np.quantile(after[drawn], q, axis=1), np.quantile(before[drawn], q, axis=1))
        )
    ratios = np.concatenate(found)
    if np.isnan(ratios).any():
        return Estimate(ratio, np.nan, np.nan)
    return Estimate(ratio, *_find_ends(ratios, confidence))


def _sort_pairs(baseline: Floats, candidate: Floats) -> tuple[Floats, Floats]:
    """Return the pairs in an order of their own, so that the given one changes no resample."""
    order = np.lexsort((baseline - candidate, np.abs(baseline - candidate), baseline + candidate))
    return baseline[order], candidate[order]


def _divide(after: Floats, before: Floats) -> Floats:
    """Return the ratios; NaN where a side is 0."""
    known = (after > 0) & (before > 0)
    return np.where(known, after / np.where(known, before, 1.0), np.nan)


def _linear_error(
    pairs: int, counts: Floats, before: Floats, after: Floats
) -> tuple[Floats, Floats]:
    """Return the log ratio of each resample's totals, relative to that of all, and its error.

    Args:
        pairs: How many pairs a resample has.
        counts: How often each resample has each pair, one resample per row.
        before: The baseline of each pair as a share of the total.
        after: The candidate likewise.
    """
    # by what differs, so that little is lost to rounding where all ratios are nearly equal
    excess = after - before
    sums = counts @ np.stack([before, excess, before**2, before * excess, excess**2], axis=1)
    old, more, old_squares, products, more_squares = sums.T
    new = old + more
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = 1 / new - 1 / old
        squares = more_squares / new**2 + 2 * products * slope / new + old_squares * slope**2
        logs = np.log(new / old)
    squares = np.where(squares > _NO_SCATTER, squares, 0.0)
    return logs, np.sqrt(pairs / (pairs - 1) * squares)


def _find_ends(values: Floats, confidence: float) -> tuple[float, float]:
    """Return the two resamples that leave the same share outside on either side."""
    ordered = np.sort(values)
    rank = max(int((1 - confidence) / 2 * (len(ordered) + 1) + 1e-9), 1)
    return float(ordered[rank - 1]), float(ordered[-rank])


def _iterate_counts(pairs: int) -> Iterator[Floats]:
    """Yield how often each resample has each pair, some resamples at a time."""
    if pairs <= _MAX_CACHED_PAIRS:
        yield _draw_counts(pairs)
        return
    chance = np.random.default_rng(0)
    for rows in _iterate_batches(pairs):
        yield _count(chance.integers(0, pairs, (rows, pairs)), pairs)


def _iterate_batches(pairs: int) -> Iterator[int]:
    most = max(1, _BATCH_VALUES // pairs)
    for start in range(0, _RESAMPLES, most):
        yield min(most, _RESAMPLES - start)


@lru_cache(maxsize=4)
def _draw_counts(pairs: int) -> Floats:
    """Return the counts of all resamples; many comparisons have the same number of pairs."""
    return _count(np.random.default_rng(0).integers(0, pairs, (_RESAMPLES, pairs)), pairs)


def _count(drawn: Ints, pairs: int) -> Floats:
    rows = np.arange(len(drawn))[:, None] * pairs
    counted = np.bincount((drawn + rows).ravel(), minlength=len(drawn) * pairs)
    return counted.reshape(len(drawn), pairs).astype(np.float64)
