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
    assert groups.outliers().tolist() == [0, 0, 0, 0]


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
    assert_array_equal(groups.outliers(), np.zeros(count))


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
    assert groups.group.tolist() == [0, 0, 1, 1]
    assert groups.starts.tolist() == [0, 2]
    assert values.tolist() == [3, 1, 2, 0]
