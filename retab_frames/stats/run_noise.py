"""The noise within runs and between runs of one definition, and what can be shown against it.

The model is two-way, documents x runs, on log durations: that of a job is the document's, plus the
shift of its run as a whole, plus noise (Searle, Casella and McCulloch 1992; for benchmarks Kalibera
and Jones 2013). A document may be missing in some runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from retab_frames.stats.estimates import Estimate, check_confidence
from retab_frames.stats.log_ratios import LOG_UNIT, compute_log_ratios
from retab_frames.stats.signed_rank import SignedRank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from retab_frames.stats.grouped_values import Ints

__all__ = [
    "MIN_DOCUMENTS",
    "RunNoise",
    "choose_pairs",
    "count_documents",
    "detectable_ratio",
    "estimate_noise",
]

MIN_DOCUMENTS = 6
"""Fewer have no interval that would hold for every distribution, see `SignedRank`."""
_POWER = 0.8
_HODGES_LEHMANN = 1.05
"""The variance of the Hodges-Lehmann estimate of normal values over that of their mean, pi / 3."""
_MEDIAN_OF_CONTRAST = 2 * NormalDist().inv_cdf(0.75)
"""The median of the absolute sum of four normal values of standard deviation 1."""
_MAX_PAIRS, _MIN_STEPS = 300, 3
"""Of runs that are looked at."""
_EFFICIENCY = 0.86
"""Of the median of absolute differences, relative to the standard deviation (Shamos 1976)."""


@dataclass(frozen=True)
class RunNoise:
    """How much log durations vary, as standard deviations.

    Attributes:
        within: Of the jobs of one document, apart from the shifts of their runs.
        between: Of the shifts of whole runs; 0 where the runs lie no further apart than the noise
            within them explains.
        runs: How many runs are known.
        documents: How many documents are known in two runs or more.
    """

    within: Estimate
    between: Estimate
    runs: int
    documents: int


def estimate_noise(durations: ArrayLike, confidence: float = 0.95) -> RunNoise:
    """Return the noise within and between runs.

    - Within: every two documents in every two runs give one contrast, the change of one document
      less that of the other, in which neither a document nor a run counts. The median of their
      absolute values is as robust as the Hodges-Lehmann estimate: up to 29 % of wild contrasts do
      not carry it away. With one job in 20 ten times as long it is 1.3 times as high, as the error
      of that estimate is.
    - Between: the mean square of the typical log ratios of every two runs (Hodges-Lehmann), less
      what the noise within explains of it.

    Of more than 25 runs, some hundred pairs stand for all.

    The intervals are those of a variance, with chi-square: exact for even normal noise, else rough.
    That of two runs is nearly unbounded above.

    Args:
        durations: Documents x runs, in ms; NaN where a run lacks a document.
        confidence: Of the intervals, between 0 and 1.

    Raises:
        ValueError: If no two runs have two documents in common.
    """
    check_confidence(confidence)
    columns = np.asarray(durations, dtype=np.float64).T
    pairs, known = [], np.zeros(len(columns), dtype=np.bool_)
    for i, j in choose_pairs(len(columns)):
        logs = np.sort(compute_log_ratios(columns[i], columns[j]).values)
        if len(logs) > 1:
            pairs.append(logs)
            known[[i, j]] = True
    if not pairs:
        raise ValueError("no two runs have two documents in common")
    measured = np.isfinite(columns[known]).sum(axis=0)
    documents, jobs = int((measured > 1).sum()), int(measured[measured > 1].sum())
    runs = int(known.sum())
    within = _find_median_contrast(pairs) * LOG_UNIT / _MEDIAN_OF_CONTRAST
    free = _EFFICIENCY * max(1, jobs - documents - runs + 1)
    noise = _HODGES_LEHMANN * within**2 * float(np.mean([1 / len(logs) for logs in pairs]))
    squares = [(SignedRank(logs).center() * LOG_UNIT) ** 2 for logs in pairs]
    of_runs = math.fsum(squares) / len(squares) / 2
    between = (of_runs, *_bound_variance(of_runs, runs - 1, confidence))
    return RunNoise(
        Estimate(within, *(math.sqrt(end) for end in _bound_variance(within**2, free, confidence))),
        Estimate(*(math.sqrt(max(0.0, one - noise)) for one in between)),
        runs,
        documents,
    )


def detectable_ratio(
    within: float,
    between: float,
    *,
    documents: float,
    runs: int,
    margin: float,
    confidence: float = 0.95,
) -> float:
    """Return the smallest slowdown that shows with 80 % probability, as a ratio.

    exp(log(1 + margin) + 2.8 sqrt(2 between² / runs + 2 * 1.05 within² / (documents * runs))), the
    minimum detectable effect (Bloom 1995) beyond the margin. It takes both noises for known.

    Args:
        within: The standard deviation within runs.
        between: That between runs.
        documents: How many documents each run has; infinity for any number.
        runs: How many runs there are on each side.
        margin: The slowdown that is too small to matter.
        confidence: Of the interval that shows it; 2.8 is that of 0.95.
    """
    variance = 2 * between**2 / runs + 2 * _HODGES_LEHMANN * within**2 / (documents * runs)
    return (1 + margin) * math.exp(_sum_quantiles(confidence) * math.sqrt(variance))


def count_documents(
    detect: float,
    within: float,
    between: float,
    *,
    runs: int,
    margin: float,
    confidence: float = 0.95,
) -> int | None:
    """Return how many documents show a slowdown with 80 % probability; None if no number does.

    Args:
        detect: The slowdown: 0.1 for 10 %, more than the margin.
        within: As for `detectable_ratio`, like the others.
        between: As above.
        runs: As above.
        margin: As above.
        confidence: As above.
    """
    reach = (math.log1p(detect) - math.log1p(margin)) / _sum_quantiles(confidence)
    left = runs * reach**2 - 2 * between**2
    if left <= 0:
        return None
    # above what a double counts to, no number that anyone has
    needed = 2 * _HODGES_LEHMANN * within**2 / left
    return max(MIN_DOCUMENTS, math.ceil(needed)) if needed < 2**53 else None


def choose_pairs(runs: int) -> list[tuple[int, int]]:
    """Return the pairs of runs to look at: all, or each run with some at even distances."""
    if runs * (runs - 1) // 2 <= _MAX_PAIRS:
        return list(combinations(range(runs), 2))
    steps = np.linspace(1, (runs - 1) // 2, max(_MIN_STEPS, _MAX_PAIRS // runs)).round()
    return [(n, (n + step) % runs) for step in steps.astype(int).tolist() for n in range(runs)]


def _sum_quantiles(confidence: float) -> float:
    normal = NormalDist()
    return normal.inv_cdf((1 + confidence) / 2) + normal.inv_cdf(_POWER)


def _bound_variance(variance: float, free: float, confidence: float) -> tuple[float, float]:
    """Return the interval of a variance that is known with so many degrees of freedom."""
    from scipy.special import chdtri  # noqa: PLC0415 - scipy is slow to import

    low, high = chdtri(free, [(1 - confidence) / 2, (1 + confidence) / 2])
    return variance * free / float(low), variance * free / float(high)


def _find_median_contrast(pairs: Sequence[Ints]) -> int:
    """Return the median of the absolute differences within each of some sorted arrays, of all.

    Found by bisection, in memory proportional to the values.
    """
    rank = (sum(len(logs) * (len(logs) - 1) // 2 for logs in pairs) + 1) // 2
    low, high = 0, max(int(logs[-1] - logs[0]) for logs in pairs)
    while low < high:
        at = (low + high) // 2
        if sum(_count_near(logs, at) for logs in pairs) >= rank:
            high = at
        else:
            low = at + 1
    return low


def _count_near(logs: Ints, distance: int) -> int:
    """Return how many pairs of sorted values lie at most this far apart."""
    ends = np.searchsorted(logs, logs + distance, side="right")
    return int(ends.sum()) - len(logs) * (len(logs) + 1) // 2
