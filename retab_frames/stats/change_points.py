"""Changes in a series of one number per run: since when, and whether just now."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from retab_frames.stats.grouped_values import Flags, Floats

__all__ = ["MIN_RUNS", "MIN_WATCHED", "ODD", "Change", "Cusum", "compute_cusum", "find_changes"]

MIN_RUNS = 10
"""Of fewer numbers, too few orders are different for any change to reach p < 0.01."""
_MIN_SIDE = 3
_LEVEL = 0.01
_PERMUTATIONS = 1_999
ODD = 3.0
"""A number further from those before it, in standard deviations, is odd, and counts as so far."""
MIN_WATCHED = 5
"""The first number at which the sums can be beyond their limit."""
_ALLOWANCE, _LIMIT = 0.5, 5.0
"""In standard deviations. A false alarm comes once in some 460 numbers, and a change of two
standard deviations is seen after four."""
_MIN_HISTORY = 2


@dataclass(frozen=True)
class Change:
    """A change of the level of a series.

    Attributes:
        position: Of the first number at the new level.
        difference: The mean after less the mean before, each up to the next change.
        low: The lower end of its interval; NaN where the numbers do not scatter.
        high: The upper end.
        p_value: Of the hypothesis that the order of the numbers is chance.
    """

    position: int
    difference: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, eq=False)
class Cusum:
    """Two cumulative sums, one against increases and one against decreases.

    Attributes:
        deviates: How far each number is from those before it, in standard deviations; NaN for the
            first two.
        sums: That which is further from 0, in standard deviations, below 0 for a decrease; NaN as
            above.
        alarms: Where it is beyond its limit.
    """

    deviates: Floats
    sums: Floats
    alarms: Flags


def find_changes(values: ArrayLike, confidence: float = 0.95, *, seed: int = 0) -> list[Change]:
    """Return the changes of the level of a series, in order.

    The split with the largest two-sample t, at least three numbers a side, is a change if random
    orders of the numbers give one as large with p < 0.01 (1,999 permutations); then both parts are
    searched likewise. One odd number is no change, and levels that go up and down in turn may be
    missed. A change that is found is placed right or one number off in about nine of ten series.
    Hunter (2023) and Daly et al. (2020) do so for series of benchmarks, with other statistics.

    The interval is Student's t of two samples. It takes the place of the change for known.

    Args:
        values: Finite, in order.
        confidence: Of the intervals.
        seed: Of the permutations.
    """
    series = np.asarray(values, dtype=np.float64)
    found = sorted(_split(series, 0, np.random.default_rng(seed)))
    ends = [0, *(position for position, _ in found), len(series)]
    return [
        Change(position, *_compare(series[begin:position], series[position:end], confidence), p)
        for (position, p), begin, end in zip(found, ends, ends[2:], strict=False)
    ]


def compute_cusum(values: ArrayLike, *, margin: float = 0.0) -> Cusum:
    """Return the cumulative sums of a series against its own past (Page 1954; Hawkins 1987).

    Each number is compared with the mean and standard deviation of those before it, as the normal
    deviate of its Student's t, so that a short past gives no more false alarms than a long one. It
    counts for at most 3 standard deviations, so that one odd number gives no alarm. Half a standard
    deviation is allowed for, or half the margin if that is more.

    Args:
        values: Finite, in order, without a change that is known.
        margin: A change that is too small to matter, in the unit of the values.
    """
    from scipy.special import ndtr, ndtri, stdtr, stdtrit  # noqa: PLC0415 - scipy is slow to import

    past = np.array(values, dtype=np.float64)
    deviates, sums = (np.full(len(past), np.nan) for _ in range(2))
    up = down = 0.0
    for n in range(_MIN_HISTORY, len(past)):
        center, spread = past[:n].mean(), past[:n].std(ddof=1) * math.sqrt(1 + 1 / n)
        distance, allowed = past[n] - center, _ALLOWANCE
        deviates[n] = 0.0  # where all so far are equal, it is not known what is far
        if spread > 0:
            deviates[n] = math.copysign(
                -float(ndtri(stdtr(n - 1, -abs(distance) / spread))), distance
            )
            allowed = max(_ALLOWANCE, margin / 2 / spread)
            # an odd number does not blind the sums for those after it
            reach = float(stdtrit(n - 1, ndtr(ODD))) * spread
            past[n] = np.clip(past[n], center - reach, center + reach)
        counted = float(np.clip(deviates[n], -ODD, ODD))
        up, down = max(0.0, up + counted - allowed), max(0.0, down - counted - allowed)
        sums[n] = up if up >= down else -down
    return Cusum(deviates, sums, np.abs(sums) > _LIMIT)


def _split(series: Floats, offset: int, chance: np.random.Generator) -> list[tuple[int, float]]:
    """Return the position and p of each change within a part of the series."""
    if len(series) < MIN_RUNS:
        return []
    squares = _compute_squares(series[None])[0]
    at = int(squares.argmax())
    shuffled = chance.permuted(np.tile(series, (_PERMUTATIONS, 1)), axis=1)
    # equal sums may differ in their last digits
    reached = _compute_squares(shuffled).max(axis=1) >= squares[at] * (1 - 1e-9)
    p_value = (1 + int(reached.sum())) / (1 + _PERMUTATIONS)
    if p_value >= _LEVEL:
        return []
    cut = at + _MIN_SIDE
    before = _split(series[:cut], offset, chance)
    return [*before, (offset + cut, p_value), *_split(series[cut:], offset + cut, chance)]


def _compute_squares(rows: Floats) -> Floats:
    """Return the sum of squares between both sides of each split, which grows with their t."""
    length = rows.shape[1]
    before = np.arange(_MIN_SIDE, length - _MIN_SIDE + 1)
    sums = np.cumsum(rows - rows.mean(axis=1, keepdims=True), axis=1)[:, before - 1]
    squares: Floats = sums**2 * length / (before * (length - before))
    return squares


def _compare(before: Floats, after: Floats, confidence: float) -> tuple[float, float, float]:
    """Return the difference of two means with Student's interval."""
    from scipy.special import stdtrit  # noqa: PLC0415 - as above

    difference = float(after.mean() - before.mean())
    free = len(before) + len(after) - 2
    squares = sum(float(((side - side.mean()) ** 2).sum()) for side in (before, after))
    error = math.sqrt(squares / free * (1 / len(before) + 1 / len(after)))
    reach = float(stdtrit(free, (1 + confidence) / 2)) * (error or math.nan)
    return difference, difference - reach, difference + reach
