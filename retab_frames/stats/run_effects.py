"""The change of a run against several runs of one definition, with what shifts whole runs.

Of two runs alone, a shift of a run as a whole (load, the hour of the day) looks like a change of
its definition, however many documents there are. Several runs of one definition show how far such
runs lie apart, so the unit here is the run: each is known by its typical log ratios to the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from retab_frames.stats.estimates import check_confidence, check_margin
from retab_frames.stats.log_ratios import LOG_UNIT, compute_log_ratios
from retab_frames.stats.signed_rank import SignedRank
from retab_frames.stats.verdicts import find_verdict, scale_reach

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from retab_frames.stats.grouped_values import Floats
    from retab_frames.stats.verdicts import Verdict

__all__ = [
    "RunEffect",
    "effect_against",
    "run_variance",
    "typical_log_ratio",
    "typical_log_ratios",
]

_MIN_RUNS = 2


@dataclass(frozen=True, repr=False)
class RunEffect:
    """The change of a run against several runs of one definition, with its interval and tests.

    Student's t with one degree of freedom less than there are runs, on the log scale. Where all the
    runs are equal to the last digit, their scatter is not known: the ends and p-values are NaN, and
    the verdict is `inconclusive`. Verdict and p-values agree: the verdict is `slower` if
    2 * slower_p < 1 - confidence, and `faster` and `equivalent` likewise.

    Attributes:
        log_ratio: The mean of the typical log ratios of the run to each of the others.
        error: Its standard error, the scatter of the run itself included.
        runs: How many runs it is compared with, at least 2.
        margin: The change that is too small to matter: 0.05 means from 1 / 1.05 to 1.05.
        confidence: Of the interval and the verdict.
    """

    log_ratio: float
    error: float
    runs: int
    margin: float
    confidence: float

    def __repr__(self) -> str:
        interval = f"{self.ratio:.4g} [{self.ratio_low:.4g}, {self.ratio_high:.4g}]"
        return f"<RunEffect {self.verdict}: {interval} against {self.runs} runs>"

    @property
    def ratio(self) -> float:
        """By how much a typical document takes longer than in the other runs; 1 is as long."""
        return _exp(self.log_ratio)

    @property
    def ratio_low(self) -> float:
        """The lower end of the interval."""
        return _exp(self._log_interval[0])

    @property
    def ratio_high(self) -> float:
        """The upper end of the interval."""
        return _exp(self._log_interval[1])

    @property
    def verdict(self) -> Verdict:
        """`slower` or `faster` if the interval lies wholly beyond the margin.

        `equivalent` if it lies wholly within, without touching it; else `inconclusive`.
        """
        return find_verdict(*self._log_interval, self._log_margin)

    @property
    def slower_p(self) -> float:
        """The one-sided p of the hypothesis that the ratio is at most 1 + margin."""
        return self._p_beyond(self.log_ratio - self._log_margin)

    @property
    def faster_p(self) -> float:
        """The one-sided p of the hypothesis that the ratio is at least 1 / (1 + margin)."""
        return self._p_beyond(-self.log_ratio - self._log_margin)

    @property
    def equivalent_p(self) -> float:
        """The p of the hypothesis that the ratio lies beyond the margin: that of the nearer end."""
        return self._p_beyond(self._log_margin - abs(self.log_ratio))

    @property
    def p_value(self) -> float:
        """The two-sided p of no change; it does not use the margin."""
        return 2 * self._p_beyond(abs(self.log_ratio))

    @property
    def detectable_ratio(self) -> float:
        """The slowdown that so many runs with this scatter would probably show as `slower`."""
        low, high = self._log_interval
        reach = scale_reach(self.runs, self.confidence)
        return _exp(self._log_margin + reach * (high - low) / 2)

    @cached_property
    def _log_margin(self) -> float:
        return math.log1p(self.margin)

    @cached_property
    def _log_interval(self) -> tuple[float, float]:
        from scipy.special import stdtrit  # noqa: PLC0415 - scipy is slow to import

        reach = float(stdtrit(self.runs - 1, (1 + self.confidence) / 2)) * self._known_error
        return self.log_ratio - reach, self.log_ratio + reach

    @property
    def _known_error(self) -> float:
        return self.error or math.nan

    def _p_beyond(self, distance: float) -> float:
        """Return the one-sided p of a distance from a bound."""
        from scipy.special import stdtr  # noqa: PLC0415 - as above

        return float(stdtr(self.runs - 1, -distance / self._known_error))


def effect_against(
    candidate: ArrayLike, between: ArrayLike, *, margin: float = 0.05, confidence: float = 0.95
) -> RunEffect:
    """Return the change of a run against k runs of one definition.

    The estimate is the mean of the candidate's typical log ratios; its variance is that of one run,
    `run_variance`, times 1 + 1 / k: the candidate varies as the others do. If all signs change, the
    ratio and its interval are inverted; the order of the runs makes no difference.

    Args:
        candidate: The typical log ratio of the candidate to each of the k runs.
        between: Those of the k runs to each other, k x k, antisymmetric, as `typical_log_ratios`
            gives them: in row i and column j the change from run j to run i.
        margin: The relative change that is too small to matter; symmetric on the log scale.
        confidence: Of the interval and the verdict, between 0 and 1.

    Raises:
        ValueError: If there are fewer than two runs, the shapes do not fit, a ratio is not known,
            the margin is negative or not finite, or the confidence not between 0 and 1.
    """
    check_confidence(confidence)
    check_margin(margin)
    logs, matrix = (np.asarray(side, dtype=np.float64) for side in (candidate, between))
    runs = len(logs)
    if logs.ndim != 1 or matrix.shape != (runs, runs):
        raise ValueError(
            f"{runs} ratios of the candidate need {runs} x {runs} ratios between the runs, not "
            f"{' x '.join(map(str, matrix.shape))}"
        )
    if runs < _MIN_RUNS:
        raise ValueError(f"a run is compared with {_MIN_RUNS} runs or more, not {runs}")
    if not np.isfinite(logs).all():
        raise ValueError(
            f"the candidate has no document in common with {np.count_nonzero(~np.isfinite(logs))} "
            f"of the {runs} runs: leave these out"
        )
    error = math.sqrt(run_variance(matrix) * (1 + 1 / runs))
    return RunEffect(math.fsum(logs) / runs, error, runs, margin, confidence)


def run_variance(between: Floats) -> float:
    """Return the variance of one run's typical log duration: its shift, and its documents' noise.

    The sum of the squared log ratios of every two of k runs, divided by k (k - 1). If the ratios
    were differences of k numbers, it would be the variance of these.

    Args:
        between: As for `effect_against`.

    Raises:
        ValueError: If there are fewer than two runs, or two have no document in common.
    """
    runs = len(between)
    if runs < _MIN_RUNS:
        raise ValueError(f"the variance between runs takes {_MIN_RUNS} runs or more, not {runs}")
    logs = between[np.triu_indices(runs, 1)]
    if not np.isfinite(logs).all():
        raise ValueError("two of the runs have no document in common: leave one of them out")
    # summed exactly, so that the order of the runs makes no difference
    return math.fsum(logs**2) / (runs * (runs - 1))


def typical_log_ratios(durations: ArrayLike) -> Floats:
    """Return the typical log ratio of every two runs.

    Args:
        durations: Documents x runs, in ms; NaN where a run lacks a document.

    Returns:
        Runs x runs, antisymmetric: in row i and column j the change from run j to run i; NaN where
        two runs have no document in common.
    """
    columns = np.asarray(durations, dtype=np.float64).T
    result = np.zeros((len(columns), len(columns)))
    for i, j in zip(*np.triu_indices(len(columns), 1), strict=True):
        result[i, j] = typical_log_ratio(columns[j], columns[i])
        result[j, i] = -result[i, j]
    return result


def typical_log_ratio(before: ArrayLike, after: ArrayLike) -> float:
    """Return the Hodges-Lehmann estimate of log(after / before) of paired durations.

    Args:
        before: A duration per document in ms; a pair with NaN on a side is left out.
        after: The durations of the same documents in the same order.

    Returns:
        The estimate; NaN without pairs.
    """
    return SignedRank(compute_log_ratios(before, after).values).center() * LOG_UNIT


def _exp(log: float) -> float:
    """Return the exponential; infinite if it is too large, as for two very different runs."""
    with np.errstate(over="ignore"):
        return float(np.exp(log))
