from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import quantile_test

from retab_frames.stats.grouped_values import group_values

from .values import DURATIONS, long_tailed, one_group

QUANTILES = [0.0, 0.01, 0.1, 0.25, 1 / 3, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0]


def quantile_by_hand(values: list[float], q: float) -> float:
    """Return the type 7 quantile as Hyndman and Fan define it."""
    ordered = sorted(values)
    position = q * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def outliers_by_hand(values: list[float]) -> float:
    """Count the values that are far on the log scale, one after the other."""
    size = len(values)
    if size < 12:
        return math.nan
    logs = [math.log(max(value, 1.0)) for value in values]
    median = quantile_by_hand(logs, 0.5)
    distances = [abs(value - median) for value in logs]
    scale = quantile_by_hand(distances, 0.5) * 1.4826
    if scale == 0:
        scale = (quantile_by_hand(logs, 0.75) - quantile_by_hand(logs, 0.25)) / 1.349
    score = max(3.5, NormalDist().inv_cdf((1 + 0.95 ** (1 / size)) / 2)) * size / (size - 0.8)
    return sum(scale > 0 and distance / scale >= score for distance in distances)


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
    groups = group_values(np.concatenate(samples), number, 200)
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
    groups = group_values(values, np.repeat(np.arange(trials), size), trials)
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
    groups = one_group([250.0] * 12)
    assert groups.std().tolist() == [0.0]
    assert groups.outliers().tolist() == [0]


CLOSE = [*map(float, range(100, 210, 10))]


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ([*CLOSE, 210.0], 0),
        ([*CLOSE, 100_000.0], 1),
        ([*CLOSE, 1.0, 100_000.0], 2),
        ([*CLOSE], math.nan),
        ([*CLOSE[1:], 100_000.0], math.nan),
        ([100.0] * 8 + [110.0] * 3 + [5_000.0], 1),
        ([100.0] * 11 + [5_000.0], 0),
        # 3.75 of the scale from the median, log(1.1) / 1.349
        ([100.0] * 7 + [110.0] * 4 + [130.0], 0),
        ([100.0] * 7 + [110.0] * 4 + [131.0], 1),
        ([0.0] * 8 + [1.0] * 4, 0),
        ([5.0], math.nan),
    ],
)
def test_outliers_of_known_values(values: list[float], count: float) -> None:
    assert_array_equal(one_group(values).outliers(), [count])
    assert_array_equal([outliers_by_hand(values)], [count])


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.sampled_from([0.0, 1, 2, 90, 100, 101, 105, 120, 5_000, 10**6]) | st.integers(80, 130),
        min_size=1,
        max_size=60,
    )
)
def test_outliers_are_those_found_one_by_one(values: list[float]) -> None:
    groups = one_group(values)
    assert_array_equal(groups.outliers(), [outliers_by_hand(values)])
    far, told = groups.is_outlier(np.array(values, float), np.zeros(len(values), np.int64))
    assert told.all() == (len(values) >= 12) == told.any()
    assert not told.any() or far.sum() == groups.outliers()[0]


@pytest.mark.parametrize("size", [3, 5, 8, 11, 12, 13, 14, 21, 100, 110, 150, 1_000])
def test_at_most_a_tenth_of_clean_samples_have_outliers(size: int) -> None:
    trials = max(2_000, min(20_000, 1_000_000 // size))
    values = np.random.default_rng(9).lognormal(9, 0.8, trials * size)
    found = group_values(values, np.repeat(np.arange(trials), size), trials).outliers()
    assert np.isnan(found).all() == (size < 12)
    # 0.003 is the standard error of a rate of 0.1 of 10,000 samples
    assert np.mean(found > 0) < 0.1 + 0.004
    assert size < 12 or np.mean(found > 0) > 0.04


@pytest.mark.parametrize("size", [12, 13, 200])
def test_a_job_that_takes_ten_times_as_long_is_an_outlier(size: int) -> None:
    values = np.random.default_rng(3).lognormal(9, 0.15, size - 1)
    slow = 10 * values.max()
    far, told = one_group([*values, slow]).is_outlier(np.array([slow]), np.array([0]))
    assert (far.tolist(), told.tolist()) == ([True], [True])


def test_empty_groups_have_no_estimates() -> None:
    groups = group_values(np.array([5.0, 3.0]), np.array([1, 1]), 4)
    nan = math.nan
    assert groups.sizes.tolist() == [0, 2, 0, 0]
    assert_array_equal(groups.total(), [nan, 8, nan, nan])
    assert_array_equal(groups.mean(), [nan, 4, nan, nan])
    assert_allclose(groups.std(), [nan, math.sqrt(2), nan, nan])
    assert_array_equal(groups.quantile(0.5), [nan, 4, nan, nan])
    low, high = groups.quantile_interval(0.5, 0.4)
    assert_array_equal(low, [nan, 3, nan, nan])
    assert_array_equal(high, [nan, 5, nan, nan])
    assert np.isnan(groups.outliers()).all()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_no_values_at_all(count: int) -> None:
    groups = group_values(np.array([]), np.array([], dtype=np.int64), count)
    estimates = [
        groups.total(),
        groups.mean(),
        groups.std(),
        groups.quantile(0.9),
        *groups.quantile_interval(0.9, 0.95),
    ]
    for estimate in estimates:
        assert_array_equal(estimate, np.full(count, math.nan))
    assert_array_equal(groups.outliers(), np.full(count, math.nan))


def test_many_groups_are_each_as_if_alone() -> None:
    rng = np.random.default_rng(7)
    number = rng.integers(0, 400, 6_000)
    number = number[number % 10 != 3]  # so that some groups are empty
    values = np.round(rng.lognormal(8, 1, len(number)))
    together = group_values(values, number, 400)
    lows, highs = together.quantile_interval(0.9, 0.95)
    for n in range(400):
        alone = one_group(values[number == n])
        for estimate in ("total", "mean", "std", "outliers"):
            assert_allclose(
                getattr(together, estimate)()[n], getattr(alone, estimate)()[0], rtol=1e-12
            )
        assert_array_equal(together.quantile(0.9)[n], alone.quantile(0.9)[0])
        assert_array_equal((lows[n], highs[n]), np.ravel(alone.quantile_interval(0.9, 0.95)))


def test_values_are_sorted_within_groups_and_the_arguments_are_unchanged() -> None:
    values, number = np.array([3.0, 1, 2, 0]), np.array([1, 0, 1, 0])
    groups = group_values(values, number, 2)
    assert list(groups.values) == [0, 1, 2, 3]
    assert groups.starts.tolist() == [0, 2]
    assert values.tolist() == [3, 1, 2, 0]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([3.0, 1, 2, 0, 2, 2**31 - 1, 2**31, 2**32 + 1], id="whole"),
        pytest.param([2.0**53, 2.0**53 - 1, 1, 0, 2.0**52 + 1, 7, 7, 2.0**53], id="largest"),
        pytest.param([0.001, 3.999, 2, 1e9 + 0.001, 1e9 + 0.002, 5, 0.5, 4e9], id="micro"),
        pytest.param([math.pi, 1e-300, 1e300, 3, 2, 0.1 + 0.2, 0.3, 0], id="any"),
        pytest.param([-1.0, -0.5, 3, 2, 1, -7, 2.0**60, 0], id="negative"),
        pytest.param([math.inf, 0.0, 1, 2, 3, -math.inf, 5, 6], id="infinite"),
    ],
)
@pytest.mark.parametrize("groups", [2, 3, 2_000, 5_000_000])
def test_no_bit_of_a_value_is_lost_between_groups(values: list[float], groups: int) -> None:
    number = np.array([groups - 1, 0, 1, groups - 1, 0, 1, 0, groups - 1])
    found = group_values(np.array(values), number, groups)
    rows = sorted(zip(number.tolist(), values, strict=True))
    assert list(found.values) == [value for _, value in rows]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2**53) | st.integers(0, 99)), max_size=40),
    st.sampled_from([1, 1_000, 7]),
)
def test_groups_are_sorted_as_python_sorts(rows: list[tuple[int, int]], parts: int) -> None:
    exact = sorted((group, value / parts) for group, value in rows)
    values = np.array([value / parts for _, value in rows], np.float64)
    found = group_values(values, np.array([group for group, _ in rows], np.int64), 5)
    assert list(found.values) == [value for _, value in exact]
    assert found.sizes.tolist() == [sum(g == n for g, _ in rows) for n in range(5)]
