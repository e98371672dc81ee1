from __future__ import annotations

import math
import tracemalloc
from functools import partial
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import bootstrap, quantile_test, ttest_1samp

from retab_frames.stats.estimates import (
    Estimate,
    Groups,
    geometric_mean,
    grouped,
    mean,
    proportion,
    quantile,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from retab_frames.stats.estimates import Floats

QUANTILES = [0.0, 0.01, 0.1, 0.25, 1 / 3, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0]
DURATIONS = st.lists(st.integers(0, 10**7).map(float), min_size=1, max_size=60)


def one_group(values: Floats | list[float]) -> Groups:
    array = np.asarray(values, dtype=np.float64)
    return grouped(array, np.zeros(len(array), dtype=np.int64), 1)


def long_tailed(size: int, seed: int) -> Floats:
    return np.round(np.random.default_rng(seed).lognormal(9, 0.8, size))


def quantile_by_hand(values: list[float], q: float) -> float:
    """Return the type 7 quantile as Hyndman and Fan define it."""
    ordered = sorted(values)
    position = q * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def outliers_by_hand(values: list[float]) -> int:
    """Count the values that are far on the log scale, one after the other."""
    logs = [math.log(max(value, 1.0)) for value in values]
    median = quantile_by_hand(logs, 0.5)
    distances = [abs(value - median) for value in logs]
    scale = quantile_by_hand(distances, 0.5) * 1.4826
    if scale == 0:
        scale = (quantile_by_hand(logs, 0.75) - quantile_by_hand(logs, 0.25)) / 1.349
    return sum(scale > 0 and distance / scale >= 3.5 for distance in distances)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 10, 11, 100, 101, 1_000])
@pytest.mark.parametrize("q", QUANTILES)
def test_quantile_is_that_of_numpy_and_pandas(size: int, q: float) -> None:
    values = long_tailed(size, seed=size)
    ours = one_group(values).quantile(q)
    assert_allclose(ours, [np.quantile(values, q)], rtol=1e-13)
    assert_allclose(ours, [pd.Series(values).quantile(q)], rtol=1e-13)


@settings(deadline=None)
@given(DURATIONS, st.floats(0, 1))
def test_quantile_of_any_values(values: list[float], q: float) -> None:
    assert one_group(values).quantile(q)[0] == pytest.approx(quantile_by_hand(values, q), rel=1e-9)


@pytest.mark.parametrize("q", [0.05, 0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_interval_is_that_of_scipy(q: float, confidence: float) -> None:
    samples = [long_tailed(size, seed=size) for size in range(1, 201)]
    number = np.repeat(np.arange(200), range(1, 201))
    groups = grouped(np.concatenate(samples), number, 200)
    low, high = groups.quantile_interval(q, confidence)
    tests: list[Any] = [quantile_test(x, p=q) for x in samples]
    expected = [test.confidence_interval(confidence) for test in tests]
    # in a tiny group the linear estimate may lie outside the order statistics: the wider one holds
    estimate = [np.quantile(x, q) for x in samples]
    lows, highs = ([getattr(interval, end) for interval in expected] for end in ("low", "high"))
    assert_allclose(low, np.minimum(lows, estimate), rtol=1e-13)
    assert_allclose(high, np.maximum(highs, estimate), rtol=1e-13)
    inside = (low < estimate) & (estimate < high)
    assert_array_equal(low[inside], np.array(lows)[inside])
    assert_array_equal(high[inside], np.array(highs)[inside])


@pytest.mark.parametrize(("q", "last_unbounded"), [(0.5, 5), (0.9, 35), (0.95, 71), (0.99, 367)])
def test_upper_end_exists_from_enough_values(q: float, last_unbounded: int) -> None:
    sizes = (last_unbounded, last_unbounded + 1)
    highs = [one_group(long_tailed(n, 1)).quantile_interval(q, 0.95)[1][0] for n in sizes]
    assert np.isnan(highs).tolist() == [True, False]
    assert highs[1] == long_tailed(sizes[1], 1).max()


@settings(deadline=None)
@given(DURATIONS, st.floats(0, 1), st.sampled_from([0.5, 0.8, 0.95, 0.99]))
def test_interval_contains_its_estimate(values: list[float], q: float, confidence: float) -> None:
    groups = one_group(values)
    low, high = groups.quantile_interval(q, confidence)
    estimate = groups.quantile(q)[0]
    assert np.isnan(low[0]) or low[0] <= estimate
    assert np.isnan(high[0]) or high[0] >= estimate


def test_far_quantile_of_two_values() -> None:
    # at 98 % the 99th percentile is above both, and the linear estimate is below one
    low, high = one_group([10.0, 20.0]).quantile_interval(0.99, 0.95)
    assert low.tolist() == [pytest.approx(19.9)]
    assert np.isnan(high).tolist() == [True]


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_interval_contains_the_truth_at_the_nominal_rate(q: float) -> None:
    trials, size = 4_000, 50
    values = np.random.default_rng(20260701).lognormal(9, 0.8, trials * size)
    groups = grouped(values, np.repeat(np.arange(trials), size), trials)
    low, high = groups.quantile_interval(q, 0.95)
    truth = math.exp(9 + 0.8 * NormalDist().inv_cdf(q))
    covered = np.mean((low <= truth) & (truth <= high))
    # 0.0035 is the standard error of a rate of 0.95 over the trials
    assert 0.95 - 0.01 < covered < 0.99


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1_001])
def test_moments_are_those_of_numpy(size: int) -> None:
    values = long_tailed(size, seed=size)
    groups = one_group(values)
    assert_allclose(groups.total(), [values.sum()], rtol=1e-13)
    assert_allclose(groups.mean(), [values.mean()], rtol=1e-13)
    expected = values.std(ddof=1) if size > 1 else math.nan
    assert_allclose(groups.std(), [expected], rtol=1e-12)


def test_spread_of_large_close_values_is_kept() -> None:
    values = np.array([4.0, 7.0, 13.0, 16.0]) + 1e12
    assert_allclose(one_group(values).std(), [math.sqrt(30)], rtol=1e-9)


def test_equal_values_have_no_spread_and_no_outliers() -> None:
    groups = one_group([250.0] * 9)
    assert groups.std().tolist() == [0.0]
    assert groups.outliers().tolist() == [0]


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ([100.0, 110, 120, 130, 140], 0),
        ([100.0, 110, 120, 130, 140, 100_000], 1),
        ([1.0, 100, 110, 120, 130, 140, 100_000], 2),
        ([100.0] * 6 + [110.0] * 3 + [5_000.0], 1),
        ([100.0] * 9 + [5_000.0], 0),
        ([100.0] * 6 + [110.0] * 3 + [128.0], 0),
        ([100.0] * 6 + [110.0] * 3 + [129.0], 1),
        ([0.0, 0, 0, 1, 1], 0),
        ([5.0], 0),
    ],
)
def test_outliers_of_known_values(values: list[float], count: int) -> None:
    assert one_group(values).outliers().tolist() == [count] == [outliers_by_hand(values)]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from([0.0, 1, 2, 90, 100, 101, 105, 120, 5_000, 10**6]), max_size=40))
def test_outliers_are_those_found_one_by_one(values: list[float]) -> None:
    expected = outliers_by_hand(values) if values else 0
    assert one_group(values).outliers().tolist() == [expected]


def test_empty_groups_have_no_estimates() -> None:
    groups = grouped(np.array([5.0, 3.0]), np.array([1, 1]), 4)
    nan = math.nan
    assert groups.sizes.tolist() == [0, 2, 0, 0]
    assert_array_equal(groups.total(), [nan, 8, nan, nan])
    assert_array_equal(groups.mean(), [nan, 4, nan, nan])
    assert_allclose(groups.std(), [nan, math.sqrt(2), nan, nan])
    assert_array_equal(groups.quantile(0.5), [nan, 4, nan, nan])
    low, high = groups.quantile_interval(0.5, 0.4)
    assert_array_equal(low, [nan, 3, nan, nan])
    assert_array_equal(high, [nan, 5, nan, nan])
    assert groups.outliers().tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_no_values_at_all(count: int) -> None:
    groups = grouped(np.array([]), np.array([], dtype=np.int64), count)
    estimates = [
        groups.total(),
        groups.mean(),
        groups.std(),
        groups.quantile(0.9),
        *groups.quantile_interval(0.9, 0.95),
    ]
    for estimate in estimates:
        assert_array_equal(estimate, np.full(count, math.nan))
    assert_array_equal(groups.outliers(), np.zeros(count))


def test_many_groups_are_each_as_if_alone() -> None:
    rng = np.random.default_rng(7)
    number = rng.integers(0, 400, 6_000)
    number = number[number % 10 != 3]  # so that some groups are empty
    values = np.round(rng.lognormal(8, 1, len(number)))
    together = grouped(values, number, 400)
    lows, highs = together.quantile_interval(0.9, 0.95)
    for n in range(400):
        alone = one_group(values[number == n])
        for estimate in ("total", "mean", "std", "outliers"):
            assert_allclose(
                getattr(together, estimate)()[n], getattr(alone, estimate)()[0], rtol=1e-12
            )
        assert_array_equal(together.quantile(0.9)[n], alone.quantile(0.9)[0])
        assert_array_equal((lows[n], highs[n]), np.ravel(alone.quantile_interval(0.9, 0.95)))


def test_grouped_sorts_within_groups_and_keeps_what_it_was_given() -> None:
    values, number = np.array([3.0, 1, 2, 0]), np.array([1, 0, 1, 0])
    groups = grouped(values, number, 2)
    assert list(groups.values) == [0, 1, 2, 3]
    assert groups.group.tolist() == [0, 0, 1, 1]
    assert groups.starts.tolist() == [0, 2]
    assert values.tolist() == [3, 1, 2, 0]


def ends(interval: Any) -> list[float]:
    """Return both ends of an interval, ours or scipy's."""
    return [interval.low, interval.high]


def holds_its_value(estimate: Estimate) -> bool:
    return not (estimate.low > estimate.value or estimate.high < estimate.value)


def test_an_estimate_widens_to_hold_its_value_and_keeps_open_ends() -> None:
    assert Estimate(2.0, 3.0, 1.0) == Estimate(2.0, 2.0, 2.0)
    assert Estimate(2.0, 1.0, 3.0) != Estimate(2.0, 2.0, 2.0)
    assert np.isnan(ends(Estimate(2.0, math.nan, math.nan))).all()
    assert Estimate(math.nan, 1.0, math.nan).low == 1.0


@pytest.mark.parametrize("size", [2, 3, 8, 30, 400])
@pytest.mark.parametrize("seed", [0, 7])
def test_mean_interval_is_the_bca_of_scipy(size: int, seed: int) -> None:
    values = np.sort(long_tailed(size, size))
    expected = bootstrap(
        (values,), np.mean, n_resamples=9_999, method="BCa", rng=np.random.default_rng(seed)
    ).confidence_interval
    ours = mean(values, seed=seed)
    assert ours.value == pytest.approx(values.mean(), rel=1e-13)
    assert ends(ours) == ends(expected)


def test_mean_interval_of_many_values_is_students() -> None:
    values = long_tailed(100_000, 1)
    expected = ttest_1samp(values, 0).confidence_interval(0.9)
    assert_allclose(ends(mean(values, 0.9)), ends(expected), rtol=1e-12)


def test_mean_interval_changes_little_where_the_method_changes() -> None:
    values = long_tailed(5_000, 2)
    student = ttest_1samp(values, 0).confidence_interval()
    width = np.ptp(ends(student))
    assert_allclose(ends(mean(values)), ends(student), rtol=0, atol=0.05 * width)
    assert ends(mean(values)) != ends(student)


def test_mean_of_many_values_takes_little_memory() -> None:
    peaks = []
    for size in (5_000, 100_000):
        values = long_tailed(size, 3)
        tracemalloc.start()
        mean(values)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 120e6


@settings(deadline=None, max_examples=50)
@given(DURATIONS, st.randoms(use_true_random=False), st.sampled_from([2.0**-9, 4.0]))
def test_order_changes_no_mean_and_scale_scales_it(
    values: list[float], chance: Any, c: float
) -> None:
    shuffled = chance.sample(values, len(values))
    ours, again, scaled = mean(values), mean(shuffled), mean([c * value for value in values])
    assert_array_equal((ours.value, *ends(ours)), (again.value, *ends(again)))
    assert_allclose((scaled.value, *ends(scaled)), (c * ours.value, *np.multiply(c, ends(ours))))
    assert holds_its_value(ours)


@settings(deadline=None)
@given(st.lists(st.floats(1e-3, 1e9), min_size=2, max_size=60), st.sampled_from([0.5, 0.95, 0.99]))
def test_geometric_mean_is_that_of_the_logs(values: list[float], confidence: float) -> None:
    ours, logs = geometric_mean(values, confidence), np.log(values)
    assert ours.value == pytest.approx(math.exp(logs.mean()), rel=1e-12)
    assert holds_its_value(ours)
    if np.ptp(logs) > 1e-9:
        expected = ttest_1samp(logs, 0).confidence_interval(confidence)
        with np.errstate(over="ignore"):
            assert_allclose(ends(ours), np.exp(ends(expected)), rtol=1e-6)
    inverse = geometric_mean([1 / value for value in values], confidence)
    assert inverse.value == pytest.approx(1 / ours.value, rel=1e-9)


@pytest.mark.parametrize("center", [mean, geometric_mean, partial(quantile, q=0.5)])
def test_samples_without_scatter(center: Callable[[list[float]], Estimate]) -> None:
    none, one, equal = center([]), center([250.1]), center([250.1] * 30)
    assert np.isnan((none.value, *ends(none))).all()
    assert one.value == 250.1
    assert np.isnan(ends(one)).all()
    assert equal == Estimate(250.1, 250.1, 250.1)


def test_two_values_that_are_worlds_apart() -> None:
    assert ends(geometric_mean([1e-300, 1e300])) == [0.0, math.inf]
    assert mean([0.0, 0.0, 0.0, 1e300]).value == 2.5e299


@pytest.mark.parametrize("total", [1, 2, 12, 100])
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_proportion_interval_is_wilsons(total: int, confidence: float) -> None:
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    for successes in range(total + 1):
        p = successes / total
        center = (p + z**2 / (2 * total)) / (1 + z**2 / total)
        reach = z / (1 + z**2 / total) * math.sqrt(p * (1 - p) / total + (z / (2 * total)) ** 2)
        ours = proportion(successes, total, confidence)
        assert ours.value == p
        assert_allclose(ends(ours), (center - reach, center + reach), atol=1e-12)
        assert 0 <= ours.low <= p <= ours.high <= 1
        failures = proportion(total - successes, total, confidence)
        assert_allclose(ends(failures), (1 - ours.high, 1 - ours.low), atol=1e-12)


def test_no_proportion_of_nothing() -> None:
    nothing = proportion(0, 0)
    assert np.isnan((nothing.value, *ends(nothing))).all()


@pytest.mark.parametrize("size", [1, 5, 6, 40, 72])
@pytest.mark.parametrize("q", [0.5, 0.9, 0.95])
def test_quantile_of_one_sample_is_that_of_its_group(size: int, q: float) -> None:
    values = long_tailed(size, size)
    low, high = one_group(values).quantile_interval(q, 0.9)
    ours = quantile(values, q, 0.9)
    assert_array_equal((ours.value, *ends(ours)), (np.quantile(values, q), low[0], high[0]))


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9, 0.95])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_quantile_interval_covers_by_enumeration(q: float, confidence: float) -> None:
    # of the ranks 1..n as values, the truth lies in [low, high) where so many are at or below it
    for size in range(1, 61):
        interval = quantile(np.arange(1.0, size + 1), q, confidence)
        low = 0 if math.isnan(interval.low) else math.ceil(interval.low)
        high = size + 1 if math.isnan(interval.high) else math.floor(interval.high)
        chances = (math.comb(size, k) * q**k * (1 - q) ** (size - k) for k in range(low, high))
        assert sum(chances) >= confidence - 1e-9


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: mean([1.0, math.nan, math.inf]), "2 of 3 values are NaN or infinite"),
        (lambda: mean([[1.0]]), "one dimension, not 2"),
        (lambda: mean([1.0], 1.0), "confidence lies between 0 and 1, not 1.0"),
        (lambda: geometric_mean([1.0, 0.0, -1.0]), "above 0; 2 of 3 are not"),
        (lambda: proportion(3, 2), "no share of 3 in 2"),
        (lambda: proportion(-1, 2), "no share of -1 in 2"),
        (lambda: proportion(1, 2, 0.0), "confidence lies between"),
        (lambda: quantile([1.0], 1.1), "between 0 and 1, not 1.1"),
    ],
)
def test_what_is_no_sample(wrong: Callable[[], Estimate], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wrong()
