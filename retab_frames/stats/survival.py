"""How long until a job is done, where some still run and some fail before."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from retab_frames.stats.estimates import Estimate, Floats, Ints, checked_confidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

__all__ = [
    "CumulativeIncidence",
    "Survival",
    "cumulative_incidence",
    "kaplan_meier_quantile",
]

Cause = TypeVar("Cause", int, str)

ROUNDING = 1e-12
"""Below this two shares are equal: a curve is a product of rounded factors."""


@dataclass(frozen=True, eq=False, repr=False)
class Survival:
    """The Kaplan-Meier curve of one sample (Kaplan and Meier 1958), fitted once by scipy.

    A job censored at the moment of another's event counts as at risk then, as is the convention.

    Attributes:
        times: The time until each event, or until a job was last seen without one; at least 0 and
            finite, in any unit and order.
        observed: Of the same length, true where the event was seen; false is right-censored, still
            running. Whether a job is censored must not depend on how long it still takes.

    Raises:
        ValueError: If the lengths differ, or a time is negative, NaN or infinite.
    """

    times: ArrayLike
    observed: ArrayLike

    def __post_init__(self) -> None:
        _checked(self.times, np.size(self.observed))

    @cached_property
    def _curve(self) -> Any:
        from scipy.stats import CensoredData, ecdf  # noqa: PLC0415 - scipy is slow to import

        times = np.asarray(self.times, dtype=np.float64)
        censored = ~np.asarray(self.observed, dtype=np.bool_)
        return ecdf(CensoredData.right_censored(times, censored)).sf

    def quantile(self, q: float, confidence: float = 0.95) -> Estimate:
        """Return the time by which a share q has had the event.

        It is the first time at which the curve is at or below 1 - q; without censoring that is the
        inverse of the empirical distribution function (type 1), an observed value, which lies up
        to one gap between values from the linear quantile of `Groups`. The interval inverts the
        pointwise log-log band, as Brookmeyer and Crowley (1982) do with the plain one: its ends
        are the first times at which the lower and the upper band are at or below 1 - q. The curve
        lies between the bands, so the estimate lies in its interval.

        Args:
            q: Above 0 and below 1.
            confidence: Between 0 and 1.

        Returns:
            The estimate in the unit of the times; NaN where the curve does not fall that far, and
            then the lower end may still bound the truth from below. An end that its band does not
            reach is open. All NaN without times.

        Raises:
            ValueError: If q or the confidence does not lie between 0 and 1.
        """
        checked_confidence(confidence)
        if not 0 < q < 1:
            raise ValueError(f"q lies between 0 and 1, not {q!r}")
        if not np.size(self.times):
            return Estimate(np.nan, np.nan, np.nan)
        with warnings.catch_warnings():
            # the band has no value where the curve is 0 or still 1: it reaches nothing there
            warnings.filterwarnings("ignore", "The confidence interval is undefined")
            band = self._curve.confidence_interval(confidence, method="log-log")
        return Estimate(*(_first(edge, 1 - q) for edge in (self._curve, band.low, band.high)))


def kaplan_meier_quantile(
    times: ArrayLike, observed: ArrayLike, q: float, confidence: float = 0.95
) -> Estimate:
    """Return one quantile of times with right-censoring; see `Survival.quantile`."""
    return Survival(times, observed).quantile(q, confidence)


@dataclass(frozen=True, eq=False)
class CumulativeIncidence(Generic[Cause]):
    """The share that each of several competing causes has claimed by each time.

    The incidences and the share still open add up to 1 at each time.

    Attributes:
        times: The distinct times of events, rising.
        at_risk: How many had neither event nor censoring before each time.
        incidence: By cause, its share at and after each time.
        still_open: The share without any event, the Kaplan-Meier curve of all causes together.
    """

    times: Floats
    at_risk: Ints
    incidence: dict[Cause, Floats]
    still_open: Floats

    def at(self, time: float) -> dict[Cause, float]:
        """Return the share of each cause at a time; 0 before the first event.

        After the last event it is that of the last event, which says nothing of what is still
        open then.
        """
        last = int(np.searchsorted(self.times, time, side="right")) - 1
        return {c: float(s[last]) if last >= 0 else 0.0 for c, s in self.incidence.items()}


def cumulative_incidence(
    times: ArrayLike, cause: ArrayLike, causes: Sequence[Cause]
) -> CumulativeIncidence[Cause]:
    """Return the Aalen-Johansen estimate of the incidence of competing causes.

    A job that failed will never be done; to treat its failure as censoring (one minus
    Kaplan-Meier) claims that it would have been, and overstates the share done. Aalen and Johansen
    (1978): at each time a cause claims its share of those at risk, times the share open before.

    Args:
        times: The time of the event or the censoring of each job; at least 0, finite, any order.
        cause: Of the same length, what happened to each: one of the causes, or 0 or "" for
            censored.
        causes: The causes to tell apart, all ints or all strings; one may have no event.

    Returns:
        One array per cause, in the order given; of length 0 where there is no event.

    Raises:
        ValueError: If the lengths differ, a time is negative, NaN or infinite, or a cause is
            neither among the causes nor the mark of censoring.
    """
    label = np.asarray(cause)
    time = _checked(times, len(label))
    claimed = [label == c for c in causes]
    event = np.logical_or.reduce(claimed) if claimed else np.zeros(len(label), dtype=np.bool_)
    unknown = label[~event & (label != 0) & (label != "")]
    if len(unknown):
        raise ValueError(
            f"{unknown.tolist()[0]!r} is none of the causes {', '.join(map(str, causes))}"
        )
    moments = np.unique(time[event])
    at_risk = len(time) - np.searchsorted(np.sort(time), moments, side="left")
    deaths = [
        np.bincount(np.searchsorted(moments, time[c]), minlength=len(moments)) for c in claimed
    ]
    still_open = np.cumprod(1 - np.sum(deaths, axis=0) / at_risk) if deaths else np.ones(0)
    before = np.concatenate([[1.0], still_open])[: len(moments)]
    incidence = [np.cumsum(before * d / at_risk) for d in deaths]
    return CumulativeIncidence(
        moments, at_risk, dict(zip(causes, incidence, strict=True)), still_open
    )


def _first(edge: Any, share: float) -> float:
    """Return the first time at which an edge is at or below the share; NaN if it never is."""
    reached = np.flatnonzero(edge.probabilities <= share + ROUNDING)
    return float(edge.quantiles[reached[0]]) if len(reached) else np.nan


def _checked(times: ArrayLike, length: int) -> Floats:
    array = np.asarray(times, dtype=np.float64)
    if array.shape != (length,):
        raise ValueError(f"{length} outcomes do not fit times of shape {array.shape}")
    wrong = ~(np.isfinite(array) & (array >= 0))
    if wrong.any():
        raise ValueError(f"{int(wrong.sum())} of {length} times are negative, NaN or infinite")
    return array
