from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from retab_frames.stats.paired_ratio import PairedRatio, adjust_p_values, mcnemar, paired_ratio

MARGIN = math.log(1.05)
DURATION = st.integers(1, 10**7).map(float)
PAIRS = st.lists(st.tuples(DURATION, DURATION), max_size=30)
# ratios near 1, so that every verdict comes up
CLOSE = st.lists(
    st.tuples(st.integers(900, 1_100), st.integers(900, 1_250)), min_size=2, max_size=30
)


def compared(pairs: list[Any], **options: float) -> PairedRatio:
    return paired_ratio([a for a, _ in pairs], [b for _, b in pairs], **options)


def noisy(pairs: int, ratio: float, seed: int = 0) -> tuple[Any, Any]:
    chance = np.random.default_rng(seed)
    baseline = chance.lognormal(9, 1, pairs)
    return baseline, baseline * ratio * chance.lognormal(0, 0.15, pairs)


def signed_rank_by_enumeration(values: list[float]) -> float:
    """Return twice the smaller tail of the rank sum over every choice of signs."""
    sizes = [abs(value) for value in values]
    ranks = [sum(b < a for b in sizes) + (sizes.count(a) + 1) / 2 for a in sizes]
    ours = sum(rank for rank, value in zip(ranks, values, strict=True) if value > 0)
    sums = [
        sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign)
        for signs in product((0, 1), repeat=len(values))
    ]
    tails = (sum(s <= ours for s in sums), sum(s >= ours for s in sums))
    return min(1.0, 2 * min(tails) / len(sums))


@pytest.mark.parametrize("pairs", [2, 3, 8, 30, 200])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_ratio_and_tests_are_those_of_scipy(pairs: int, confidence: float) -> None:
    baseline, candidate = noisy(pairs, 1.1, pairs)
    ours = paired_ratio(baseline, candidate, confidence=confidence)
    logs = np.log(candidate / baseline)
    interval = stats.ttest_rel(np.log(candidate), np.log(baseline)).confidence_interval(confidence)
    expected = [stats.gmean(candidate / baseline), math.exp(interval.low), math.exp(interval.high)]
    assert_allclose([ours.ratio, ours.ratio_low, ours.ratio_high], expected, rtol=1e-9)
    above, below = (
        [stats.ttest_1samp(logs, bound, alternative=side).pvalue for bound in (-MARGIN, MARGIN)]
        for side in ("greater", "less")
    )
    assert ours.slower_p == pytest.approx(above[1], rel=1e-6)
    assert ours.faster_p == pytest.approx(below[0], rel=1e-6)
    assert ours.equivalent_p == pytest.approx(max(above[0], below[1]), rel=1e-6)
    assert ours.wilcoxon_p == pytest.approx(stats.wilcoxon(logs).pvalue, rel=1e-9)
    assert ours.median_delta == pytest.approx(np.median(candidate - baseline))
    assert (ours.pairs, ours.left_out, ours.margin) == (pairs, 0, 0.05)


@pytest.mark.parametrize(
    ("ratio", "scatter", "verdict"),
    [
        (1.25, 0.05, "slower"),
        (0.80, 0.05, "faster"),
        (1.00, 0.05, "equivalent"),
        (1.03, 0.01, "equivalent"),
        (1.05, 0.05, "inconclusive"),
        (1.00, 0.50, "inconclusive"),
        (1.25, 0.90, "inconclusive"),
    ],
)
def test_verdicts(ratio: float, scatter: float, verdict: str) -> None:
    logs = np.tile([-scatter, scatter], 15)
    assert paired_ratio(np.ones(30), ratio * np.exp(logs)).verdict == verdict


@settings(deadline=None, max_examples=300)
@given(CLOSE, st.sampled_from([0.0, 0.01, 0.05, 0.1]), st.sampled_from([0.5, 0.9, 0.95]))
def test_verdicts_and_p_values_are_duals(
    pairs: list[tuple[int, int]], margin: float, confidence: float
) -> None:
    ours = compared(pairs, margin=margin, confidence=confidence)
    level = (1 - confidence) / 2
    p_values = {"slower": ours.slower_p, "faster": ours.faster_p, "equivalent": ours.equivalent_p}
    assume(all(abs(p - level) > 1e-9 for p in p_values.values()))
    shown = [verdict for verdict, p in p_values.items() if p < level]
    assert shown == ([] if ours.verdict == "inconclusive" else [ours.verdict])


@settings(deadline=None)
@given(PAIRS, st.sampled_from([0.0, 0.05]))
def test_swapping_the_sides_negates_log_ratios_and_keeps_p(
    pairs: list[tuple[float, float]], margin: float
) -> None:
    ours = compared(pairs, margin=margin)
    swapped = compared([(b, a) for a, b in pairs], margin=margin)
    assert_array_equal(swapped.log_ratios, -ours.log_ratios)
    with np.errstate(divide="ignore"):
        inverted = 1 / np.array([ours.ratio, ours.ratio_high, ours.ratio_low])
    assert_allclose([swapped.ratio, swapped.ratio_low, swapped.ratio_high], inverted, rtol=1e-9)
    assert_allclose(
        [swapped.wilcoxon_p, swapped.slower_p, swapped.faster_p, swapped.equivalent_p],
        [ours.wilcoxon_p, ours.faster_p, ours.slower_p, ours.equivalent_p],
        rtol=1e-9,
    )
    assert_array_equal(swapped.median_delta, -ours.median_delta)
    assert_allclose(swapped.detectable_ratio, ours.detectable_ratio)
    assert swapped.skewed == ours.skewed
    opposite = {"slower": "faster", "faster": "slower"}
    assert swapped.verdict == opposite.get(ours.verdict, ours.verdict)


def facts(ours: PairedRatio) -> list[float]:
    intervals = [ours.ratio, ours.ratio_low, ours.ratio_high, ours.detectable_ratio]
    p_values = [ours.slower_p, ours.faster_p, ours.equivalent_p, ours.wilcoxon_p]
    return [*intervals, *p_values, ours.skewed, ours.pairs, ours.left_out]


@settings(deadline=None)
@given(PAIRS, st.floats(1e-3, 1e3), st.randoms(use_true_random=False))
def test_scale_and_order_change_no_ratio(
    pairs: list[tuple[float, float]], c: float, chance: Any
) -> None:
    ours = compared(pairs)
    scaled = compared([(c * a, c * b) for a, b in pairs])
    shuffled = compared(chance.sample(pairs, len(pairs)))
    assert_allclose(facts(scaled), facts(ours), rtol=1e-6, atol=1e-9)
    assert_allclose(facts(shuffled), facts(ours), rtol=1e-9, atol=1e-12)
    assert_allclose(scaled.median_delta, c * ours.median_delta, rtol=1e-9, atol=1e-6)
    assert shuffled.median_delta == ours.median_delta or not pairs


@settings(deadline=None)
@given(PAIRS)
def test_an_interval_contains_its_estimate(pairs: list[tuple[float, float]]) -> None:
    ours = compared(pairs)
    assert len(pairs) < 2 or ours.ratio_low <= ours.ratio <= ours.ratio_high
    assert len(pairs) < 2 or ours.detectable_ratio >= 1.05 - 1e-12


@settings(deadline=None, max_examples=30)
@given(
    PAIRS, st.sampled_from([(0.0, 5.0), (5.0, 0.0), (-1.0, 5.0), (math.nan, 5.0), (5.0, math.inf)])
)
def test_pairs_without_a_ratio_are_left_out_and_counted(
    pairs: list[tuple[float, float]], unusable: tuple[float, float]
) -> None:
    with_unusable = facts(compared([*pairs, unusable, unusable]))
    assert_array_equal(with_unusable, [*facts(compared(pairs))[:-1], 2])


@pytest.mark.parametrize("pairs", range(1, 11))
@pytest.mark.parametrize("seed", range(4))
def test_wilcoxon_is_that_of_enumeration(pairs: int, seed: int) -> None:
    baseline, candidate = noisy(pairs, 1.05, seed)
    ours = paired_ratio(baseline, candidate)
    logs = np.log(candidate / baseline).tolist()
    assert ours.wilcoxon_p == pytest.approx(signed_rank_by_enumeration(logs), rel=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 999), st.integers(-3, 3)), min_size=1, max_size=10))
def test_wilcoxon_with_ties_is_that_of_enumeration(steps: list[tuple[int, int]]) -> None:
    ours = compared([(a, a * 1.1**step) for a, step in steps])
    changed = [float(step) for _, step in steps if step]
    if changed:
        assert ours.wilcoxon_p == pytest.approx(signed_rank_by_enumeration(changed), rel=1e-12)
    else:
        assert math.isnan(ours.wilcoxon_p)


def test_wilcoxon_leaves_out_ratios_of_one() -> None:
    with_ones = paired_ratio([5, 6, 7, 1, 1, 1], [5, 6, 7, 2, 3, 4])
    assert with_ones.wilcoxon_p == 0.25 == paired_ratio([1, 1, 1], [2, 3, 4]).wilcoxon_p


def test_below_two_pairs_the_verdict_is_inconclusive() -> None:
    for ours, ratio in ((paired_ratio([], []), math.nan), (paired_ratio([4], [6]), 1.5)):
        assert_allclose(facts(ours)[:7], [ratio, *[math.nan] * 6])
        assert ours.verdict == "inconclusive"
        assert not ours.skewed
    assert math.isnan(paired_ratio([], []).wilcoxon_p)
    assert paired_ratio([4], [6]).wilcoxon_p == 1.0
    assert paired_ratio([4], [6]).median_delta == 2.0


@pytest.mark.parametrize(
    ("factor", "verdict", "slower_p", "faster_p", "equivalent_p"),
    [
        (1.0, "equivalent", 1, 1, 0),
        (1.04, "equivalent", 1, 1, 0),
        (1.1, "slower", 0, 1, 1),
        (0.9, "faster", 1, 0, 1),
    ],
)
@pytest.mark.parametrize("pairs", [2, 3, 30])
def test_equal_ratios(
    factor: float, verdict: str, slower_p: int, faster_p: int, equivalent_p: int, pairs: int
) -> None:
    baseline = np.random.default_rng(3).lognormal(9, 1, pairs)
    ours = paired_ratio(baseline, baseline * factor)
    assert (ours.slower_p, ours.faster_p, ours.equivalent_p) == (slower_p, faster_p, equivalent_p)
    assert ours.verdict == verdict
    assert ours.ratio_low == ours.ratio == ours.ratio_high == pytest.approx(factor)
    assert ours.detectable_ratio == pytest.approx(1.05)
    assert not ours.skewed


@pytest.mark.parametrize("pairs", [2, 30])
def test_no_change_at_all_is_equivalent_within_no_margin(pairs: int) -> None:
    ours = paired_ratio(np.arange(1, pairs + 1), np.arange(1, pairs + 1), margin=0.0)
    assert (ours.verdict, ours.equivalent_p, ours.slower_p, ours.faster_p) == (
        "equivalent",
        0,
        1,
        1,
    )


@pytest.mark.parametrize("pairs", [8, 15, 30, 200])
@pytest.mark.parametrize("margin", [0.0, 0.05])
def test_detectable_ratio_has_80_percent_power(pairs: int, margin: float) -> None:
    baseline, candidate = noisy(pairs, 1.0)
    ours = paired_ratio(baseline, candidate, margin=margin)
    error = stats.sem(np.log(candidate / baseline))
    critical = stats.t.ppf(0.975, pairs - 1)
    expected = (1 + margin) * math.exp((critical + stats.t.ppf(0.8, pairs - 1)) * error)
    assert ours.detectable_ratio == pytest.approx(expected, rel=1e-9)
    # the exact power of the t test, were the scatter known: the noncentral t
    beyond = math.log(ours.detectable_ratio / (1 + margin)) / error
    assert stats.nct.sf(critical, pairs - 1, beyond) == pytest.approx(0.8, abs=0.015)


@pytest.mark.parametrize(("pairs", "skewed"), [(7, False), (60, True)])
def test_skew_is_flagged(pairs: int, *, skewed: bool) -> None:
    logs = np.random.default_rng(2).exponential(0.2, pairs)
    assert paired_ratio(np.ones(pairs), np.exp(logs)).skewed is skewed
    assert bool(stats.skewtest(logs).pvalue < 0.01) is skewed if pairs > 7 else True
    assert not paired_ratio(*noisy(pairs, 1.2)).skewed


def test_skew_of_large_ratios_that_nearly_agree() -> None:
    # scipy takes values this close for equal ones, and warns, unless they lie about 0
    assert not paired_ratio(np.ones(9), np.exp(600 + 1e-12 * (np.arange(9) % 2))).skewed


def test_ratios_that_differ_by_rounding_alone_are_equal() -> None:
    baseline = np.random.default_rng(1).lognormal(0, 3, 40)
    assert len(set(np.log(1.1 * baseline) - np.log(baseline))) > 1
    assert len(set(paired_ratio(baseline, 1.1 * baseline).log_ratios)) == 1


def test_two_very_different_pairs() -> None:
    ours = paired_ratio([1, 1e300], [1e300, 1])
    assert (ours.ratio_low, ours.ratio_high, ours.verdict) == (0.0, math.inf, "inconclusive")


def test_its_repr_shows_verdict_and_interval() -> None:
    shown = "<PairedRatio slower: 1.5 [1.5, 1.5] of 2 pairs>"
    assert repr(paired_ratio([2, 4], [3, 6])) == shown


@pytest.mark.parametrize("changed", range(11))
def test_mcnemar_is_that_of_enumeration(changed: int) -> None:
    outcomes = [sum(coins) for coins in product((0, 1), repeat=changed)]
    for broken in range(changed + 1):
        farther = [abs(n - changed / 2) >= abs(broken - changed / 2) for n in outcomes]
        assert mcnemar(broken, changed - broken) == pytest.approx(sum(farther) / len(outcomes))


def test_mcnemar_keeps_p_when_the_sides_are_swapped() -> None:
    assert mcnemar(3, 17) == mcnemar(17, 3) == pytest.approx(0.002577, abs=1e-6)


@given(st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), max_size=20))
def test_adjusted_p_values_are_benjamini_and_hochberg(p_values: list[float]) -> None:
    ours = adjust_p_values(p_values)
    tested = sorted(p for p in p_values if not math.isnan(p))
    for p, q in zip(p_values, ours, strict=True):
        # the least over all p that are no smaller, each times m over its rank
        candidates = [x * len(tested) / (n + 1) for n, x in enumerate(tested) if x >= p]
        expected = min([1.0, *candidates]) if not math.isnan(p) else math.nan
        assert q == pytest.approx(expected, nan_ok=True)


def test_adjusting_leaves_its_argument_unchanged() -> None:
    given_p = np.array([0.01, math.nan, 0.04])
    assert_allclose(adjust_p_values(given_p), [0.02, math.nan, 0.04])
    assert_array_equal(given_p, [0.01, math.nan, 0.04])


@pytest.mark.parametrize(
    ("baseline", "candidate", "options", "message"),
    [
        ([1, 2], [1], {}, r"same length, not of shape \(2,\) and \(1,\)"),
        ([[1]], [[1]], {}, "two lists of the same length"),
        ([1], [1], {"margin": -0.1}, "margin must be 0 or more, such as 0.05 for 5 %, not -0.1"),
        ([1], [1], {"margin": math.nan}, "not nan"),
        ([1], [1], {"confidence": 1.0}, "confidence must be between 0 and 1, not 1.0"),
    ],
)
def test_wrong_pairs(
    baseline: list[Any], candidate: list[Any], options: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        paired_ratio(baseline, candidate, **options)


def test_wrong_counts_and_p_values() -> None:
    with pytest.raises(ValueError, match="counts must be 0 or more, not broken -1, fixed 2"):
        mcnemar(-1, 2)
    with pytest.raises(ValueError, match=r"between 0\.? and 1"):
        adjust_p_values([-0.5])
