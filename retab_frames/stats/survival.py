"""Times to an event with right-censoring and competing causes: Kaplan-Meier, Aalen-Johansen."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from retab_frames.stats.estimates import Estimate, check_confidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from retab_frames.stats.grouped_values import Floats, Ints

__all__ = ["CumulativeIncidence", "Survival", "cumulative_incidence"]

_TOLERANCE = 1e-12
"""Shares that differ by less are equal: a curve is a product of rounded factors."""


@dataclass(frozen=True, eq=False, repr=False)
class Survival:
    """The Kaplan-Meier curve of one sample (Kaplan and Meier 1958), computed once by scipy.

    A job that is censored at the time of another's event counts as at risk at that time, as is the
    convention.

    Attributes:
        times: The time until each event or censoring; at least 0 and finite, in any unit and order.
        observed: Of the same length; true for an event, false for a right-censored job, which was
            still running. Whether a job is censored must not depend on how long it still takes.

    Raises:
        ValueError: If the lengths differ, or a time is negative, NaN or infinite.
    """

    times: ArrayLike
    observed: ArrayLike

    def __post_init__(self) -> None:
        _check_times(self.times, np.size(self.observed))

    @cached_property
    def _curve(self) -> Any:
        from scipy.stats import CensoredData, ecdf  # noqa: PLC0415 - scipy is slow to import

        times = np.asarray(self.times, dtype=np.float64)
        censored = ~np.asarray(self.observed, dtype=np.bool_)
        return ecdf(CensoredData.right_censored(times, censored)).sf

    def quantile(self, q: float, confidence: float = 0.95) -> Estimate:
        """Return the time by which a share q has had the event, with its interval.

        The quantile is the first time at which the curve is below 1 - q. Where a step of the curve
        lies exactly at 1 - q, it is the middle of the step, whose last time is that of the next
        event, or of the last job if there is none; so do `quantile.survfit` of R and LIFETEST of
        SAS. Without censoring that is type 2 of Hyndman and Fan (1996), whose median is the usual
        one; it differs from the linear quantile of `GroupedValues` by at most the gap to the next
        value. The interval inverts the pointwise log-log confidence band, as Brookmeyer and Crowley
        (1982) do with the plain band: its ends are found in the lower and the upper band by the
        same rule. The curve lies between the bands, and so the estimate between the ends.

        Args:
            q: Above 0 and below 1.
            confidence: Between 0 and 1.

        Returns:
            The estimate in the unit of the times. NaN where the curve does not fall that far; the
            lower end may then still be known. An end is NaN, unbounded, where its band does not
            fall that far. All NaN without times.

        Raises:
            ValueError: If q or the confidence is not between 0 and 1.
        """
        check_confidence(confidence)
        if not 0 < q < 1:
            raise ValueError(f"q must be between 0 and 1, not {q!r}")
        if not np.size(self.times):
            return Estimate(np.nan, np.nan, np.nan)
        with warnings.catch_warnings():
            # the log-log band is undefined where the curve is 0 or 1, and NaN is never at or below
            warnings.filterwarnings("ignore", "The confidence interval is undefined")
            band = self._curve.confidence_interval(confidence, method="log-log")
        return Estimate(
            *(_find_crossing(edge, 1 - q) for edge in (self._curve, band.low, band.high))
        )


@dataclass(frozen=True, eq=False)
class CumulativeIncidence:
    """The share of jobs that have had each of several competing events by each time.

    The incidences and the share without an event add up to 1 at each time.

    Attributes:
        times: The distinct times of events, ascending.
        at_risk: How many jobs had neither an event nor been censored before each time.
        incidence: The share of each cause at each time, and until the next.
        event_free: The share without any event, the Kaplan-Meier curve of all causes together.
    """

    times: Floats
    at_risk: Ints
    incidence: dict[int, Floats]
    event_free: Floats


def cumulative_incidence(
    times: ArrayLike, cause: ArrayLike, causes: Sequence[int]
) -> CumulativeIncidence:
    """Return the Aalen-Johansen estimate of the incidence of competing causes.

    A failed job will never be completed. One minus the Kaplan-Meier curve treats its failure as
    censoring, as if it could still be completed, and overestimates the share that is. Aalen and
    Johansen (1978): at each time the incidence of a cause rises by the share of jobs at risk that
    have this event, times the share without any event before.

    Args:
        times: The time of the event or the censoring of each job; at least 0, finite, any order.
        cause: Of the same length, the cause of each job's event; 0 for censored.
        causes: All causes; one may have no event.

    Returns:
        One array per cause, in the order given; of length 0 where there is no event.

    Raises:
        ValueError: If the lengths differ, a time is negative, NaN or infinite, or a cause is
            neither among the causes nor 0.
    """
    cause = np.asarray(cause)
    time = _check_times(times, len(cause))
    is_event = np.isin(cause, list(causes))
    unknown = cause[~is_event & (cause != 0)]
    if len(unknown):
        raise ValueError(f"{unknown[0]} is not one of the causes {', '.join(map(str, causes))}")
    moments = np.unique(time[is_event])
    at_risk = len(time) - np.searchsorted(np.sort(time), moments, side="left")
    events = [
        np.bincount(np.searchsorted(moments, time[cause == c]), minlength=len(moments))
        for c in causes
    ]
    event_free = np.cumprod(1 - np.sum(events, axis=0) / at_risk)
    before = np.concatenate([[1.0], event_free])[: len(moments)]
    # a sum of rounded shares may come to lie above 1
    incidence = {
        c: np.minimum(np.cumsum(before * count / at_risk), 1.0)
        for c, count in zip(causes, events, strict=True)
    }
    return CumulativeIncidence(moments, at_risk, incidence, event_free)


def _find_crossing(curve: Any, share: float) -> float:
    """Return the time at which a curve falls to the share; NaN if it never does.

    A step that lies at the share is crossed in its middle.
    """
    reached = np.flatnonzero(curve.probabilities <= share + _TOLERANCE)
    if not len(reached):
        return np.nan
    passed = np.flatnonzero(curve.probabilities < share - _TOLERANCE)
    first, last = curve.quantiles[reached[0]], curve.quantiles[passed[0] if len(passed) else -1]
    return float(first + (last - first) / 2)


def _check_times(times: ArrayLike, length: int) -> Floats:
    array = np.asarray(times, dtype=np.float64)
    if array.shape != (length,):
        raise ValueError(f"{length} outcomes do not fit times of shape {array.shape}")
    wrong = ~(np.isfinite(array) & (array >= 0))
    if wrong.any():
        raise ValueError(f"{int(wrong.sum())} of {length} times are negative, NaN or infinite")
    return array
