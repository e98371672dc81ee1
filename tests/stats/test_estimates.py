from __future__ import annotations

import math
import tracemalloc
from functools import partial
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import bootstrap, ttest_1samp

from retab_frames.stats.estimates import Estimate, geometric_mean, mean, proportion, quantile

from .values import DURATIONS, long_tailed, one_group

if TYPE_CHECKING:
    from collections.abc import Callable


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


@pytest.mark.parametrize("size", [8, 9, 30, 400])
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


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_mean_of_too_few_values_is_unbounded(size: int) -> None:
    values = long_tailed(size, size)
    ours = mean(values)
    assert ours.value == pytest.approx(values.mean(), rel=1e-13)
    assert np.isnan(ends(ours)).all()


@pytest.mark.parametrize("center", [mean, geometric_mean])
@pytest.mark.parametrize("size", [2, 3, 7, 8, 30])
def test_few_equal_values_are_no_certainty(
    center: Callable[[list[float]], Estimate], size: int
) -> None:
    ours = center([250.1] * size)
    assert ours.value == 250.1
    assert_array_equal(ends(ours), [math.nan if size < 8 else 250.1] * 2)


def test_a_geometric_mean_of_two_values_has_an_interval() -> None:
    expected = ttest_1samp(np.log([100.0, 130.0]), 0).confidence_interval()
    assert_allclose(ends(geometric_mean([100.0, 130.0])), np.exp(ends(expected)), rtol=1e-12)


@pytest.mark.parametrize("center", [mean, geometric_mean, partial(quantile, q=0.5)])
def test_samples_without_scatter(center: Callable[[list[float]], Estimate]) -> None:
    none, one, equal = center([]), center([250.1]), center([250.1] * 30)
    assert np.isnan((none.value, *ends(none))).all()
    assert one.value == 250.1
    assert np.isnan(ends(one)).all()
    assert equal == Estimate(250.1, 250.1, 250.1)


def test_two_very_different_values() -> None:
    assert ends(geometric_mean([1e-300, 1e300])) == [0.0, math.inf]
    assert mean([0.0, 0.0, 0.0, 1e300]).value == 2.5e299
    assert mean([0.0] * 7 + [1e300]).high > 1e299


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
        (lambda: mean([1.0], 1.0), "confidence must be between 0 and 1, not 1.0"),
        (lambda: geometric_mean([1.0, 0.0, -1.0]), "above 0; 2 of 3 are not"),
        (lambda: proportion(3, 2), "from 0 to the total of 2, not 3"),
        (lambda: proportion(-1, 2), "from 0 to the total of 2, not -1"),
        (lambda: proportion(1, 2, 0.0), "confidence must be between"),
        (lambda: quantile([1.0], 1.1), "q must be between 0 and 1, not 1.1"),
    ],
)
def test_wrong_samples(wrong: Callable[[], Estimate], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wrong()
