"""Tests of paired values, such as the durations of the same documents in two runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from retab_frames.stats.estimates import check_confidence, student_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from retab_frames.stats.grouped_values import Floats

__all__ = ["PairedRatio", "Verdict", "adjust_p_values", "mcnemar", "paired_ratio"]

Verdict = Literal["faster", "slower", "equivalent", "inconclusive"]

_LOG_DECIMALS = 12
"""Log ratios are rounded to so many decimals, so that equal ratios have equal logarithms."""
_POWER = 0.8
_MIN_PAIRS_FOR_SKEW = 8
_SKEW_P = 0.01


@dataclass(frozen=True, eq=False, repr=False)
class PairedRatio:
    """The ratio of paired values, candidate / baseline, with its interval, tests and verdict.

    The estimand is the geometric mean of candidate / baseline over documents like these. The
    interval, the one-sided p-values and the detectable ratio are Student's t on the log ratios;
    below two pairs they are NaN. Verdict and p-values agree: the verdict is `slower` if
    2 * slower_p < 1 - confidence, and `faster` and `equivalent` likewise.

    Attributes:
        log_ratios: The natural logarithm of each ratio used, in the order given.
        left_out: How many pairs were not used: those with a value of 0 or less, NaN or infinity.
        median_delta: The median of candidate - baseline over the pairs used, in the unit of the
            values; NaN without pairs.
        margin: The change that is too small to matter: 0.05 means from 1 / 1.05 to 1.05.
        confidence: Of the interval and the verdict.
    """

    log_ratios: Floats
    left_out: int
    median_delta: float
    margin: float
    confidence: float

    def __repr__(self) -> str:
        interval = f"{self.ratio:.4g} [{self.ratio_low:.4g}, {self.ratio_high:.4g}]"
        return f"<PairedRatio {self.verdict}: {interval} of {self.pairs} pairs>"

    @property
    def pairs(self) -> int:
        """How many pairs were used."""
        return len(self.log_ratios)

    @property
    def ratio(self) -> float:
        """The geometric mean ratio, above 1 if the candidate is slower; NaN without pairs."""
        return _exp(self._log_ratio)

    @property
    def ratio_low(self) -> float:
        """The lower end of the interval, which has width 0 if all ratios are equal."""
        return _exp(self._log_interval[0])

    @property
    def ratio_high(self) -> float:
        """The upper end of the interval."""
        return _exp(self._log_interval[1])

    @property
    def verdict(self) -> Verdict:
        """The verdict that the interval allows.

        `equivalent` if it lies within the margin, `slower` or `faster` if it lies wholly beyond the
        margin, else, and below two pairs, `inconclusive`.
        """
        low, high = self._log_interval
        if -self._log_margin <= low and high <= self._log_margin:
            return "equivalent"
        if low > self._log_margin:
            return "slower"
        return "faster" if high < -self._log_margin else "inconclusive"

    @property
    def slower_p(self) -> float:
        """The one-sided p of the null hypothesis that the ratio is at most 1 + margin."""
        return self._p_beyond(self._log_ratio - self._log_margin)

    @property
    def faster_p(self) -> float:
        """The one-sided p of the null hypothesis that the ratio is at least 1 / (1 + margin)."""
        return self._p_beyond(-self._log_ratio - self._log_margin)

    @property
    def equivalent_p(self) -> float:
        """The p of the null hypothesis that the ratio lies beyond the margin.

        Two one-sided tests (Schuirmann 1987): the larger of both p-values, which is that of the
        nearer bound. The verdict compares it with half of 1 - confidence, so that one interval
        gives all verdicts.
        """
        inside = self._log_margin - abs(self._log_ratio)
        if inside == 0 == self._error:  # all ratios equal the margin: within it
            return 0.0
        return self._p_beyond(inside)

    @property
    def detectable_ratio(self) -> float:
        """The smallest true slowdown for which these pairs give `slower` with 80 % probability.

        exp(log(1 + margin) + (t[1 - alpha / 2] + t[0.8]) * s / sqrt(n)), the minimum detectable
        effect (Bloom 1995) beyond the margin, with n - 1 degrees of freedom and the standard
        deviation s of these log ratios. For a speedup it is the reciprocal.
        """
        if math.isnan(self._error):
            return math.nan
        from scipy.special import stdtrit  # noqa: PLC0415 - scipy is slow to import

        quantiles = stdtrit(self.pairs - 1, [(1 + self.confidence) / 2, _POWER])
        return _exp(self._log_margin + float(sum(quantiles)) * self._error)

    @cached_property
    def wilcoxon_p(self) -> float:
        """The two-sided Wilcoxon signed-rank p of no change; it does not use the margin.

        Ratios of 1 are left out before ranking, as Wilcoxon (1945) did; NaN if no other is left.
        Exact up to 50 pairs without ties and 13 with ties, else the normal approximation, corrected
        for ties.
        """
        from scipy.stats import wilcoxon  # noqa: PLC0415 - scipy is slow to import

        changed = self.log_ratios[self.log_ratios != 0]
        return float(wilcoxon(changed).pvalue) if len(changed) else math.nan

    @cached_property
    def skewed(self) -> bool:
        """Whether the log ratios are so skewed that the coverage of t intervals may be too low.

        D'Agostino's test of skewness (1970) with p below 0.01. False below 8 pairs, which the test
        needs. Heavy tails on both sides may also give True.
        """
        if self.pairs < _MIN_PAIRS_FOR_SKEW or self._error == 0:
            return False
        from scipy.stats import skewtest  # noqa: PLC0415 - scipy is slow to import

        # centred on 0, or scipy would treat ratios that are close to each other as equal
        return bool(skewtest(self.log_ratios - self._log_ratio).pvalue < _SKEW_P)

    @cached_property
    def _log_margin(self) -> float:
        return math.log1p(self.margin)

    @cached_property
    def _log_ratio(self) -> float:
        if not self.pairs:
            return math.nan
        return float(self.log_ratios[0] if self._are_equal else self.log_ratios.mean())

    @cached_property
    def _are_equal(self) -> bool:
        return bool((self.log_ratios == self.log_ratios[:1]).all())

    @cached_property
    def _error(self) -> float:
        """The standard error of the log ratio; 0 where all are equal, NaN below two pairs."""
        if self.pairs < 2:  # noqa: PLR2004 - one value has no scatter
            return math.nan
        return 0.0 if self._are_equal else float(self.log_ratios.std(ddof=1)) / self.pairs**0.5

    @cached_property
    def _log_interval(self) -> tuple[float, float]:
        if math.isnan(self._error) or self._error == 0:
            return self._log_ratio + self._error, self._log_ratio + self._error
        return student_interval(self.log_ratios, self.confidence)

    def _p_beyond(self, distance: float) -> float:
        """Return the one-sided p of a distance from a bound; 0 or 1 if all ratios are equal."""
        if self._error == 0:
            return float(distance <= 0)
        from scipy.special import stdtr  # noqa: PLC0415 - scipy is slow to import

        return float(stdtr(max(self.pairs - 1, 1), -distance / self._error))


def paired_ratio(
    baseline: ArrayLike, candidate: ArrayLike, *, margin: float = 0.05, confidence: float = 0.95
) -> PairedRatio:
    """Return the ratio of paired values, one pair per document, with its tests.

    If the sides are swapped, the ratio and its interval are inverted, and the p-value of no change
    is the same. A factor common to both sides and the order of the pairs make no difference.

    Args:
        baseline: A value per document, in any unit.
        candidate: The values of the same documents in the same order and unit.
        margin: The relative change that is too small to matter; symmetric on the log scale.
        confidence: Of the interval and the verdict, between 0 and 1.

    Raises:
        ValueError: If the lengths differ, the margin is negative or not finite, or the confidence
            not between 0 and 1.
    """
    check_confidence(confidence)
    if not 0 <= margin < math.inf:
        raise ValueError(f"margin must be 0 or more, such as 0.05 for 5 %, not {margin!r}")
    before, after = (np.asarray(side, dtype=np.float64) for side in (baseline, candidate))
    if before.ndim != 1 or before.shape != after.shape:
        raise ValueError(
            "baseline and candidate must be two lists of the same length, not of shape "
            f"{before.shape} and {after.shape}"
        )
    used = (before > 0) & (after > 0) & np.isfinite(before) & np.isfinite(after)
    before, after = before[used], after[used]
    return PairedRatio(
        log_ratios=np.round(np.log(after) - np.log(before), _LOG_DECIMALS) + 0.0,  # no -0.0
        left_out=int((~used).sum()),
        median_delta=float(np.median(after - before)) if len(before) else math.nan,
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
    if min(broken, fixed) < 0:
        raise ValueError(f"counts must be 0 or more, not broken {broken}, fixed {fixed}")
    from scipy.stats import binomtest  # noqa: PLC0415 - scipy is slow to import

    changed = int(broken) + int(fixed)
    return float(binomtest(int(broken), changed).pvalue) if changed else 1.0


def adjust_p_values(p_values: ArrayLike) -> Floats:
    """Return p-values adjusted for multiple tests (Benjamini and Hochberg 1995).

    If all tests with an adjusted p below 0.05 are called significant, the expected share of false
    ones among them is at most 5 %, for independent or positively dependent tests.

    Args:
        p_values: Between 0 and 1. NaN stays NaN and does not count as a test.

    Raises:
        ValueError: If a p-value is not between 0 and 1.
    """
    from scipy.stats import false_discovery_control  # noqa: PLC0415 - scipy is slow to import

    result = np.array(p_values, dtype=np.float64)
    tested = ~np.isnan(result)
    if tested.any():
        result[tested] = false_discovery_control(result[tested])
    return result


def _exp(log: float) -> float:
    """Return the exponential; infinite if it is too large, as for two very different pairs."""
    with np.errstate(over="ignore"):
        return float(np.exp(log))
