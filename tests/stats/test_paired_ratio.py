from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from retab_frames.stats.paired_ratio import (
    PairedRatio,
    adjust_p_values,
    mcnemar,
    one_sided_mcnemar,
    paired_ratio,
)
from retab_frames.stats.verdicts import find_verdict

MARGIN = math.log(1.05)
DURATION = st.integers(1, 10**7).map(float)
PAIRS = st.lists(st.tuples(DURATION, DURATION), max_size=30)
# ratios near 1, so that every verdict comes up
CLOSE = st.lists(
    st.tuples(st.integers(900, 1_100), st.integers(900, 1_250)), min_size=2, max_size=30
)


def compared(pairs: list[Any], **options: Any) -> PairedRatio:
    return paired_ratio([a for a, _ in pairs], [b for _, b in pairs], **options)


def noisy(pairs: int, ratio: float, seed: int = 0) -> tuple[Any, Any]:
    chance = np.random.default_rng(seed)
    baseline = chance.lognormal(9, 1, pairs)
    return baseline, baseline * ratio * chance.lognormal(0, 0.15, pairs)


def walsh_averages(logs: Any) -> Any:
    first, second = np.triu_indices(len(logs))
    return np.sort((logs[first] + logs[second]) / 2)


# wilcox.test(log(candidate / baseline), mu = log(1.05), conf.int = TRUE, exact = TRUE) of R 4.2
# gives the median of the Walsh averages and the averages of rank qsignrank(0.025, n) from either
# end; its p-value with alternative = "greater" is psignrank(n * (n + 1) / 2 - V, n)
R_RANKS = {6: 1, 8: 4, 10: 9, 12: 14, 15: 26, 20: 53, 30: 138, 49: 416}


@pytest.mark.parametrize("pairs", R_RANKS)
def test_ratio_and_interval_are_those_of_r(pairs: int) -> None:
    baseline, candidate = noisy(pairs, 1.1, pairs)
    ours = paired_ratio(baseline, candidate)
    averages = walsh_averages(np.log(candidate / baseline))
    rank = R_RANKS[pairs]
    expected = [np.median(averages), averages[rank - 1], averages[-rank]]
    assert_allclose([ours.ratio, ours.ratio_low, ours.ratio_high], np.exp(expected), rtol=1e-9)
    assert ours.interval == "signed_rank"


@pytest.mark.parametrize("pairs", [6, 15, 49])
def test_p_values_are_those_of_scipy(pairs: int) -> None:
    baseline, candidate = noisy(pairs, 1.08, pairs)
    ours = paired_ratio(baseline, candidate)
    logs = np.log(candidate / baseline)
    above, below = (
        [
            stats.wilcoxon(logs - bound, alternative=side, method="exact").pvalue
            for bound in (-MARGIN, 0, MARGIN)
        ]
        for side in ("greater", "less")
    )
    assert ours.slower_p == pytest.approx(above[2], rel=1e-9)
    assert ours.faster_p == pytest.approx(below[0], rel=1e-9)
    assert ours.equivalent_p == pytest.approx(max(above[0], below[2]), rel=1e-9)
    assert ours.p_value == pytest.approx(stats.wilcoxon(logs, method="exact").pvalue, rel=1e-9)
    assert ours.median_delta == pytest.approx(np.median(candidate - baseline))
    assert (ours.pairs, ours.left_out, ours.zeros, ours.margin) == (pairs, 0, 0, 0.05)


@pytest.mark.parametrize("pairs", [2, 3, 5])
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_few_pairs_have_the_interval_of_student(pairs: int, confidence: float) -> None:
    baseline, candidate = noisy(pairs, 1.1, pairs)
    ours = paired_ratio(baseline, candidate, confidence=confidence)
    logs = np.log(candidate / baseline)
    center = np.median(walsh_averages(logs))
    reach = stats.t.ppf((1 + confidence) / 2, pairs - 1) * stats.sem(logs)
    expected = np.exp([center, center - reach, center + reach])
    assert_allclose([ours.ratio, ours.ratio_low, ours.ratio_high], expected, rtol=1e-9)
    above = stats.t.sf((center - MARGIN) / stats.sem(logs), pairs - 1)
    assert ours.slower_p == pytest.approx(above, rel=1e-9)
    assert ours.p_value == pytest.approx(
        2 * stats.t.sf(abs(center) / stats.sem(logs), pairs - 1), rel=1e-9
    )
    assert ours.interval == "student_t"
    assert math.isnan(ours.total.low)


@pytest.mark.parametrize(
    ("confidence", "smallest"), [(0.8, 4), (0.9, 5), (0.95, 6), (0.99, 8), (0.999, 11)]
)
def test_signed_ranks_need_so_many_pairs(confidence: float, smallest: int) -> None:
    for pairs, method in ((smallest - 1, "student_t"), (smallest, "signed_rank")):
        assert paired_ratio(*noisy(pairs, 1.1), confidence=confidence).interval == method


@pytest.mark.parametrize(
    ("ratio", "scatter", "verdict"),
    [
        (1.25, 0.05, "slower"),
        (0.80, 0.05, "faster"),
        (1.00, 0.03, "equivalent"),
        (1.03, 0.01, "equivalent"),
        (1.05, 0.05, "inconclusive"),
        (1.00, 0.50, "inconclusive"),
        (1.25, 0.90, "inconclusive"),
    ],
)
def test_verdicts(ratio: float, scatter: float, verdict: str) -> None:
    logs = np.linspace(-scatter, scatter, 30)
    assert paired_ratio(np.ones(30), ratio * np.exp(logs)).verdict == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.04, 0.04, "equivalent"),
        (-0.05, 0.04, "inconclusive"),
        (0.05, 0.06, "inconclusive"),
        (0.051, 0.06, "slower"),
        (-0.06, -0.051, "faster"),
        (math.nan, math.nan, "inconclusive"),
    ],
)
def test_an_end_at_the_margin_is_neither_within_nor_beyond(
    low: float, high: float, verdict: str
) -> None:
    assert find_verdict(low, high, 0.05) == verdict


@settings(deadline=None, max_examples=300)
@given(CLOSE, st.sampled_from([0.0, 0.01, 0.05, 0.1]), st.sampled_from([0.5, 0.9, 0.95]))
def test_verdicts_and_p_values_are_duals(
    pairs: list[tuple[int, int]], margin: float, confidence: float
) -> None:
    ours = compared(pairs, margin=margin, confidence=confidence)
    assume(ours.interval != "none")
    level = (1 - confidence) / 2
    p_values = {"slower": ours.slower_p, "faster": ours.faster_p, "equivalent": ours.equivalent_p}
    if ours.interval == "student_t":
        assume(all(abs(p - level) > 1e-9 for p in p_values.values()))
    shown = [verdict for verdict, p in p_values.items() if p <= level]
    assert shown == ([] if ours.verdict == "inconclusive" else [ours.verdict])
    assert (ours.p_value <= 1 - confidence) == (not ours.ratio_low <= 1 <= ours.ratio_high)


@settings(deadline=None)
@given(PAIRS, st.sampled_from([0.0, 0.05]), st.integers(0, 3), st.integers(0, 3))
def test_swapping_the_sides_negates_log_ratios_and_keeps_p(
    pairs: list[tuple[float, float]], margin: float, broken: int, fixed: int
) -> None:
    ours = compared(pairs, margin=margin, broken=broken, fixed=fixed)
    swapped = compared([(b, a) for a, b in pairs], margin=margin, broken=fixed, fixed=broken)
    assert_array_equal(swapped.log_units, -ours.log_units)
    with np.errstate(divide="ignore"):
        inverted = 1 / np.array(
            [ours.ratio, ours.ratio_high, ours.ratio_low, ours.composite_high, ours.composite_low]
        )
    ends = [swapped.ratio_low, swapped.ratio_high, swapped.composite_low, swapped.composite_high]
    assert_allclose([swapped.ratio, *ends], inverted, rtol=1e-12)
    assert_array_equal(
        [swapped.p_value, swapped.slower_p, swapped.faster_p, swapped.equivalent_p],
        [ours.p_value, ours.faster_p, ours.slower_p, ours.equivalent_p],
    )
    assert_array_equal(swapped.median_delta, -ours.median_delta)
    assert_allclose(swapped.detectable_ratio, ours.detectable_ratio)
    assert (swapped.much_slower, swapped.movers_p) == (ours.much_faster, ours.movers_p)
    opposite = {"slower": "faster", "faster": "slower"}
    assert swapped.verdict == opposite.get(ours.verdict, ours.verdict)


def facts(ours: PairedRatio) -> list[float]:
    intervals = [ours.ratio, ours.ratio_low, ours.ratio_high, ours.detectable_ratio]
    p_values = [ours.slower_p, ours.faster_p, ours.equivalent_p, ours.p_value, ours.movers_p]
    total = [ours.total.value, ours.total.low, ours.total.high]
    return [*intervals, *p_values, *total, ours.pairs, ours.left_out]


@settings(deadline=None)
@given(PAIRS, st.integers(1, 1_000), st.randoms(use_true_random=False))
def test_scale_and_order_change_no_ratio(
    pairs: list[tuple[float, float]], c: int, chance: Any
) -> None:
    ours = compared(pairs)
    scaled = compared([(c * a, c * b) for a, b in pairs])
    shuffled = compared(chance.sample(pairs, len(pairs)))
    assert_allclose(facts(scaled), facts(ours), rtol=1e-9)
    assert_array_equal(facts(shuffled), facts(ours))
    assert_allclose(scaled.median_delta, c * ours.median_delta)
    assert shuffled.median_delta == ours.median_delta or not pairs


@settings(deadline=None)
@given(PAIRS, st.sampled_from([0.5, 0.8, 0.95]))
def test_an_interval_contains_its_estimate(
    pairs: list[tuple[float, float]], confidence: float
) -> None:
    ours = compared(pairs, confidence=confidence)
    if ours.interval != "none":
        assert ours.ratio_low <= ours.ratio <= ours.ratio_high
        assert ours.detectable_ratio >= 1.05 - 1e-12
    assert not ours.total.low > ours.total.value
    assert not ours.total.high < ours.total.value


@settings(deadline=None, max_examples=30)
@given(PAIRS, st.sampled_from([(-1.0, 5.0), (math.nan, 5.0), (5.0, math.inf)]))
def test_pairs_without_a_ratio_are_left_out_and_counted(
    pairs: list[tuple[float, float]], unusable: tuple[float, float]
) -> None:
    with_unusable = facts(compared([*pairs, unusable, unusable]))
    assert_array_equal(with_unusable, [*facts(compared(pairs))[:-1], 2])


def test_a_duration_of_0_counts_as_half_a_millisecond() -> None:
    ours = paired_ratio([0, 0, 4, 8, 8, 8, 8], [0, 2, 0, 8, 8, 8, 8])
    assert_allclose(np.exp(ours.log_ratios), [1, 4, 0.125, 1, 1, 1, 1])
    assert (ours.pairs, ours.zeros, ours.left_out) == (7, 3, 0)
    # and as nothing in a total
    assert ours.total.value == 34 / 36


@pytest.mark.parametrize("zeros", [80, 97, 100])
def test_a_95th_percentile_of_0_has_no_ratio(zeros: int) -> None:
    baseline, candidate = noisy(100, 1.1)
    known = paired_ratio(baseline, candidate).p95
    assert known.value == pytest.approx(
        np.quantile(candidate, 0.95) / np.quantile(baseline, 0.95), rel=1e-12
    )
    assert known.low < known.value < known.high
    baseline[:zeros] = 0
    found = paired_ratio(baseline, candidate).p95
    assert math.isnan(found.value) == (zeros > 95)
    assert math.isnan(found.low) == math.isnan(found.high)


def test_many_documents_that_fall_to_0_are_faster() -> None:
    baseline, candidate = noisy(100, 1.0)
    candidate[:60] = 0
    ours = paired_ratio(baseline, candidate)
    assert (ours.verdict, ours.zeros, ours.pairs) == ("faster", 60, 100)


def test_what_has_no_interval() -> None:
    cases: Any = (([], [], math.nan), ([4], [6], 1.5), ([4] * 5, [6] * 5, 1.5))
    for ours, ratio in ((paired_ratio(a, b), ratio) for a, b, ratio in cases):
        assert_allclose(facts(ours)[:8], [ratio, *[math.nan] * 7])
        assert (ours.verdict, ours.interval) == ("inconclusive", "none")
    assert paired_ratio([4], [6]).median_delta == 2.0


def test_six_equal_ratios_are_known() -> None:
    ours = paired_ratio([4] * 6, [6] * 6)
    assert (ours.verdict, ours.ratio_low, ours.ratio_high) == ("slower", ours.ratio, ours.ratio)
    assert (ours.slower_p, ours.p_value) == (2**-6, 2**-5)


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "equivalent"), (1.04, "equivalent"), (1.05, "inconclusive")]
)
def test_equal_ratios(factor: float, verdict: str) -> None:
    baseline = np.random.default_rng(3).lognormal(9, 1, 30)
    ours = paired_ratio(baseline, baseline * factor)
    assert ours.verdict == verdict
    assert ours.ratio_low == ours.ratio == ours.ratio_high == pytest.approx(factor)
    assert ours.detectable_ratio == pytest.approx(1.05)


def test_detectable_ratio_reaches_beyond_the_interval() -> None:
    for pairs, reach in ((3, 2.02), (6, 1.61), (30, 1.46), (200, 1.43), (1_000, 1.43)):
        ours = paired_ratio(*noisy(pairs, 1.0))
        half = math.log(ours.ratio_high / ours.ratio_low) / 2
        assert ours.detectable_ratio == pytest.approx(1.05 * math.exp(reach * half), rel=1e-9)
    between = paired_ratio(*noisy(20, 1.0))
    half = math.log(between.ratio_high / between.ratio_low) / 2
    reach = math.log(between.detectable_ratio / 1.05) / half
    # linear in 1 / n: 1 / 20 is half way from 1 / 30 to 1 / 15
    assert reach == pytest.approx(1.48, abs=0.001)


def test_broken_documents_are_the_slowest() -> None:
    baseline, candidate = noisy(60, 1.0)
    ours = paired_ratio(baseline, candidate, broken=20)
    logs = np.log(candidate / baseline)
    averages = walsh_averages(np.r_[logs, np.full(20, 1e9)])
    # of 80 values, by the normal distribution
    rank = int(80 * 81 / 4 + stats.norm.ppf(0.025) * math.sqrt(80 * 81 * 161 / 24) - 0.5) + 1
    assert math.log(ours.composite_low) == pytest.approx(averages[rank - 1], abs=1e-11)
    assert averages[-rank] > 1e8
    assert ours.composite_high == math.inf
    assert ours.composite_low > ours.ratio_low
    most = paired_ratio(baseline, candidate, broken=60)
    assert (most.composite_high, most.composite_verdict) == (math.inf, "slower")
    both = paired_ratio(baseline, candidate, broken=2, fixed=2)
    assert both.composite_low < 1 < both.composite_high
    none = paired_ratio(baseline, candidate)
    assert (none.composite_low, none.composite_high) == (none.ratio_low, none.ratio_high)
    assert math.isnan(paired_ratio([4], [4], broken=2).composite_low)


def test_movers_are_beyond_one_and_a_half() -> None:
    ours = paired_ratio([10] * 7, [15, 16, 16, 16, 7, 6, 10])
    assert (ours.much_slower, ours.much_faster) == (3, 1)
    assert ours.movers_p == mcnemar(3, 1) == 0.625


def test_ratios_that_differ_by_rounding_alone_are_equal() -> None:
    baseline = np.random.default_rng(1).lognormal(0, 3, 40)
    assert len(set(np.log(1.1 * baseline) - np.log(baseline))) > 1
    assert len(set(paired_ratio(baseline, 1.1 * baseline).log_units)) == 1


def test_two_very_different_pairs() -> None:
    ours = paired_ratio([1, 1e300], [1e300, 1])
    assert (ours.ratio_low, ours.ratio_high, ours.verdict) == (0.0, math.inf, "inconclusive")


def test_its_repr_shows_verdict_and_interval() -> None:
    shown = "<PairedRatio slower: 1.5 [1.5, 1.5] of 6 pairs>"
    assert repr(paired_ratio([2] * 6, [3] * 6)) == shown


@pytest.mark.parametrize("changed", range(11))
def test_mcnemar_is_that_of_enumeration(changed: int) -> None:
    outcomes = [sum(coins) for coins in product((0, 1), repeat=changed)]
    for broken in range(changed + 1):
        farther = [abs(n - changed / 2) >= abs(broken - changed / 2) for n in outcomes]
        assert mcnemar(broken, changed - broken) == pytest.approx(sum(farther) / len(outcomes))


def test_mcnemar_keeps_p_when_the_sides_are_swapped() -> None:
    assert mcnemar(3, 17) == mcnemar(17, 3) == pytest.approx(0.002577, abs=1e-6)


@pytest.mark.parametrize("changed", range(9))
def test_one_sided_mcnemar_is_that_of_enumeration(changed: int) -> None:
    outcomes = [sum(coins) for coins in product((0, 1), repeat=changed)]
    for broken in range(changed + 1):
        as_many = sum(n >= broken for n in outcomes) / len(outcomes)
        assert one_sided_mcnemar(broken, changed - broken) == pytest.approx(as_many)


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
    baseline: list[Any], candidate: list[Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        paired_ratio(baseline, candidate, **options)


def test_wrong_counts_and_p_values() -> None:
    with pytest.raises(ValueError, match="counts must be 0 or more, not broken -1, fixed 2"):
        mcnemar(-1, 2)
    with pytest.raises(ValueError, match=r"between 0\.? and 1"):
        adjust_p_values([-0.5])


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_a_margin_of_few_digits_is_still_a_margin(kind: Any) -> None:
    before = np.arange(1_000, 1_012)

    found = paired_ratio(before, before * 1.01, margin=kind(0.05))

    assert found.verdict == "equivalent"
    assert found.slower_p == 1.0
