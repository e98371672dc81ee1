"""The change of paired durations, such as those of the same documents in two runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from retab_frames.stats.estimates import check_confidence, check_margin
from retab_frames.stats.log_ratios import LOG_UNIT, compute_log_ratios, to_log_units
from retab_frames.stats.signed_rank import SignedRank, find_rank
from retab_frames.stats.total_ratio import quantile_ratio, total_ratio
from retab_frames.stats.verdicts import find_verdict, scale_reach

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from retab_frames.stats.estimates import Estimate
    from retab_frames.stats.grouped_values import Flags, Floats, Ints
    from retab_frames.stats.verdicts import Verdict

__all__ = [
    "MOVER",
    "PairedRatio",
    "adjust_p_values",
    "mcnemar",
    "one_sided_mcnemar",
    "paired_ratio",
]

IntervalMethod = Literal["signed_rank", "student_t", "none"]

MOVER = 1.5
"""A document moved if its ratio is above this, or below the reciprocal."""
_BEYOND_ALL = 2**60
"""The log ratio of a document that broke; a sum of two of them is still a 64-bit integer."""


@dataclass(frozen=True, eq=False, repr=False)
class PairedRatio:
    """The typical change of paired durations, candidate / baseline, with interval and verdict.

    The estimand is the pseudo-median: by so much did a typical document become slower; a few that
    changed wildly do not move it. Exactly, it is the exponential of the median, over all pairs of
    documents, of the mean of their two log ratios (Hodges and Lehmann 1963); where the log ratios
    scatter evenly it equals their median and their mean. It breaks down when 29 % of the documents
    change wildly.

    The interval inverts Wilcoxon's signed-rank test (1945), exactly up to 60 pairs, and by the
    normal distribution above. Below 6 pairs (at 95 %; 5 at 90 %, 8 at 99 %) no interval holds for
    every distribution: there it is Student's t of the log ratios about the same estimate, which
    assumes even scatter; it is open where all ratios are equal, and for one pair. The p-values are
    those of the test that the interval inverts, so that the verdict is `slower` if and only if
    2 * slower_p <= 1 - confidence, and `faster` and `equivalent` likewise.

    Attributes:
        baseline: The duration of each pair that is used, in ms, in the order given.
        candidate: The durations of the same pairs.
        log_units: The natural logarithm of each ratio, in units of 1e-12; a duration of 0 counts
            as 0.5 ms.
        used: Which of the pairs given are used.
        zeros: How many of the pairs used have a duration of 0 on a side.
        broken: How many other documents were completed in the baseline only.
        fixed: How many other documents were completed in the candidate only.
        margin: The change that is too small to matter: 0.05 means from 1 / 1.05 to 1.05.
        confidence: Of the intervals and the verdict.
    """

    baseline: Floats
    candidate: Floats
    log_units: Ints
    used: Flags
    zeros: int
    broken: int
    fixed: int
    margin: float
    confidence: float

    def __repr__(self) -> str:
        interval = f"{self.ratio:.4g} [{self.ratio_low:.4g}, {self.ratio_high:.4g}]"
        return f"<PairedRatio {self.verdict}: {interval} of {self.pairs} pairs>"

    @property
    def pairs(self) -> int:
        """How many pairs are used."""
        return len(self.log_units)

    @property
    def left_out(self) -> int:
        """How many pairs are not used: those with a negative value, NaN or infinity."""
        return len(self.used) - self.pairs

    @property
    def log_ratios(self) -> Floats:
        """The natural logarithm of each ratio, in the order given."""
        return np.asarray(self.log_units * LOG_UNIT, dtype=np.float64)

    @property
    def ratio(self) -> float:
        """The typical ratio, above 1 if the candidate is slower; NaN without pairs."""
        return _exp(self._center)

    @property
    def ratio_low(self) -> float:
        """The lower end of the closed interval; NaN, open, where there is none."""
        return _exp(self._ends[0])

    @property
    def ratio_high(self) -> float:
        """The upper end of the closed interval; NaN, open, where there is none."""
        return _exp(self._ends[1])

    @cached_property
    def interval(self) -> IntervalMethod:
        """What the interval comes from: "signed_rank", "student_t", or "none": it is open."""
        if find_rank(self.pairs, (1 - self.confidence) / 2):
            return "signed_rank"
        return "none" if self.pairs < 2 or self._are_equal else "student_t"  # noqa: PLR2004

    @property
    def verdict(self) -> Verdict:
        """The verdict that the interval allows.

        `equivalent` if it lies within the margin, `slower` or `faster` if it lies wholly beyond the
        margin, else, and where it is open, `inconclusive`.
        """
        return find_verdict(*self._ends, self._margin)

    @property
    def composite_verdict(self) -> Verdict:
        """The verdict of the composite interval."""
        return find_verdict(*self._composite_ends, self._margin)

    @property
    def composite_low(self) -> float:
        """The lower end of the interval with broken documents as the slowest, fixed as the fastest.

        Death as the worst rank (ICH E9(R1) 2019): a broken document has an infinite ratio, a fixed
        one a ratio of 0, and the interval is that of signed ranks. The ends are 0 and infinity
        where so many broke or were fixed. NaN, open, where there are too few documents for it.
        """
        return _exp(self._composite_ends[0])

    @property
    def composite_high(self) -> float:
        """The upper end of the same interval."""
        return _exp(self._composite_ends[1])

    @property
    def slower_p(self) -> float:
        """The one-sided p of the hypothesis that the ratio is at most 1 + margin."""
        return self._p_beyond(1, self._margin)

    @property
    def faster_p(self) -> float:
        """The one-sided p of the hypothesis that the ratio is at least 1 / (1 + margin)."""
        return self._p_beyond(-1, self._margin)

    @property
    def equivalent_p(self) -> float:
        """The p of the hypothesis that the ratio lies at or beyond the margin.

        Two one-sided tests (Schuirmann 1987): the larger of both p-values. The verdict compares it
        with half of 1 - confidence, so that one interval gives all verdicts.
        """
        return max(self._p_beyond(1, -self._margin), self._p_beyond(-1, -self._margin))

    @property
    def p_value(self) -> float:
        """The two-sided p of no change at all; it does not use the margin."""
        one_sided = (self._p_beyond(1, 0), self._p_beyond(-1, 0))
        return math.nan if math.isnan(one_sided[0]) else min(1.0, 2 * min(one_sided))

    @property
    def detectable_ratio(self) -> float:
        """The slowdown that so many pairs with this scatter would probably give as `slower`.

        (1 + margin) * exp(k * half the width of the log interval), where k is such that a true
        slowdown of this size gets the verdict in about 80 of 100 pairs of runs with normal noise.
        For a speedup it is the reciprocal. NaN where the interval is open.
        """
        low, high = self._ends
        return _exp(self._margin + scale_reach(self.pairs, self.confidence) * (high - low) / 2)

    @cached_property
    def total(self) -> Estimate:
        """The ratio of the total durations of the pairs; see `total_ratio`."""
        return total_ratio(self.baseline, self.candidate, self.confidence)

    @property
    def total_delta(self) -> float:
        """The total of the candidate less that of the baseline, in ms."""
        return float(self.candidate.sum() - self.baseline.sum())

    @cached_property
    def p95(self) -> Estimate:
        """The ratio of the 95th percentiles of the durations of the pairs; see `quantile_ratio`."""
        return quantile_ratio(self.baseline, self.candidate, 0.95, self.confidence)

    @property
    def much_slower(self) -> int:
        """How many documents have a ratio above 1.5."""
        return int((self.log_units > self._mover).sum())

    @property
    def much_faster(self) -> int:
        """How many documents have a ratio below 1 / 1.5."""
        return int((self.log_units < -self._mover).sum())

    @property
    def movers_p(self) -> float:
        """The exact two-sided p that as many documents became much slower as much faster."""
        return mcnemar(self.much_slower, self.much_faster)

    @property
    def median_delta(self) -> float:
        """The median of candidate - baseline over the pairs, in ms; NaN without pairs."""
        return float(np.median(self.candidate - self.baseline)) if self.pairs else math.nan

    @cached_property
    def _margin(self) -> int:
        return int(to_log_units(math.log1p(self.margin)))

    @cached_property
    def _mover(self) -> int:
        return int(to_log_units(np.log(MOVER)))

    @cached_property
    def _ranks(self) -> SignedRank:
        return SignedRank(self.log_units)

    @cached_property
    def _center(self) -> float:
        """The typical log ratio in log units."""
        return float(self._ranks.center())

    @cached_property
    def _are_equal(self) -> bool:
        return bool((self.log_units == self.log_units[:1]).all())

    @cached_property
    def _error(self) -> float:
        """The standard error of the mean log ratio, in log units."""
        # exactly, in whole numbers, so that neither the order nor the sign makes a difference
        n, values = self.pairs, self.log_units.tolist()
        squares = sum((n * value - sum(values)) ** 2 for value in values)
        return math.sqrt(squares / (n - 1) / n) / n

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """The ends of the interval in log units."""
        if self.interval == "none":
            return math.nan, math.nan
        ranked = self._ranks.interval(self.confidence)
        if ranked is not None:
            return ranked
        from scipy.special import stdtrit  # noqa: PLC0415 - scipy is slow to import

        reach = float(stdtrit(self.pairs - 1, (1 + self.confidence) / 2)) * self._error
        return self._center - reach, self._center + reach

    @cached_property
    def _composite_ends(self) -> tuple[float, float]:
        if not (self.broken or self.fixed):
            return self._ends
        beyond = np.repeat([_BEYOND_ALL, -_BEYOND_ALL], [self.broken, self.fixed])
        ranks = SignedRank(np.concatenate([self.log_units, beyond]))
        return ranks.interval(self.confidence) or (math.nan, math.nan)

    def _p_beyond(self, sign: int, bound: int) -> float:
        """Return the one-sided p that the log ratio, or its negative, is at most the bound."""
        if self.interval == "none":
            return math.nan
        if self.interval == "signed_rank":
            ranks = self._ranks
            return ranks.p_above(bound) if sign > 0 else ranks.p_below(-bound)
        from scipy.special import stdtr  # noqa: PLC0415 - scipy is slow to import

        return float(stdtr(self.pairs - 1, (bound - sign * self._center) / self._error))


def paired_ratio(
    baseline: ArrayLike,
    candidate: ArrayLike,
    *,
    broken: int = 0,
    fixed: int = 0,
    margin: float = 0.05,
    confidence: float = 0.95,
) -> PairedRatio:
    """Return the change of paired durations, one pair per document, with its tests.

    If the sides are swapped, the ratio and its interval are inverted, and the p-value of no change
    is the same. A factor common to both sides and the order of the pairs make no difference, but
    that a duration of 0 counts as 0.5 ms.

    Args:
        baseline: A duration per document, in ms.
        candidate: The durations of the same documents in the same order.
        broken: How many further documents were completed in the baseline only.
        fixed: How many further documents were completed in the candidate only.
        margin: The relative change that is too small to matter; symmetric on the log scale.
        confidence: Of the intervals and the verdict, between 0 and 1.

    Raises:
        ValueError: If the lengths differ, the margin is negative or not finite, a count is
            negative, or the confidence not between 0 and 1.
    """
    check_confidence(confidence)
    check_margin(margin)
    _check_counts(broken, fixed)
    before, after = (np.asarray(side, dtype=np.float64) for side in (baseline, candidate))
    if before.ndim != 1 or before.shape != after.shape:
        raise ValueError(
            "baseline and candidate must be two lists of the same length, not of shape "
            f"{before.shape} and {after.shape}"
        )
    logs = compute_log_ratios(before, after)
    return PairedRatio(
        baseline=before[logs.used],
        candidate=after[logs.used],
        log_units=logs.values,
        used=logs.used,
        zeros=logs.zeros,
        broken=int(broken),
        fixed=int(fixed),
        margin=margin,
        confidence=confidence,
    )


def mcnemar(broken: int, fixed: int) -> float:
    """Return the exact two-sided p of the hypothesis that as many documents broke as were fixed.

    McNemar's test (1947), as a binomial test of the documents that changed; those with the same
    outcome in both runs carry no information on a difference.

    Args:
        broken: Documents completed in the baseline only.
        fixed: Documents completed in the candidate only.

    Returns:
        Between 0 and 1; 1 where no document changed.

    Raises:
        ValueError: If a count is negative.
    """
    _check_counts(broken, fixed)
    from scipy.special import bdtr  # noqa: PLC0415 - scipy is slow to import

    fewer = min(int(broken), int(fixed))
    return min(1.0, 2 * float(bdtr(fewer, int(broken) + int(fixed), 0.5)))


def one_sided_mcnemar(broken: int, fixed: int) -> float:
    """Return the exact one-sided p that no more documents broke than were fixed, as by chance.

    Raises:
        ValueError: If a count is negative.
    """
    _check_counts(broken, fixed)
    from scipy.special import bdtrc  # noqa: PLC0415 - scipy is slow to import

    return float(bdtrc(int(broken) - 1, int(broken) + int(fixed), 0.5))


def adjust_p_values(p_values: ArrayLike) -> Floats:
    """Return p-values adjusted for multiple tests (Benjamini and Hochberg 1995).

    If all tests with an adjusted p below 0.05 are called significant, the expected share of false
    ones among them is at most 5 %, for independent or positively dependent tests.

    Args:
        p_values: Between 0 and 1. NaN stays NaN and does not count as a test.

    Raises:
        ValueError: If a p-value is not between 0 and 1.
    """
    result = np.array(p_values, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(result))
    p = result[tested]
    if ((p < 0) | (p > 1)).any():
        raise ValueError("p-values must be between 0 and 1")
    order = np.argsort(p)
    scaled = p[order] * (len(p) / np.arange(1, len(p) + 1))
    result[tested[order]] = np.minimum.accumulate(scaled[::-1])[::-1]
    return result


def _check_counts(broken: int, fixed: int) -> None:
    if min(broken, fixed) < 0:
        raise ValueError(f"counts must be 0 or more, not broken {broken}, fixed {fixed}")


def _exp(log_units: float) -> float:
    """Return the ratio; infinite if it is too large, as for two very different pairs."""
    with np.errstate(over="ignore"):
        return float(np.exp(log_units * LOG_UNIT))
