from __future__ import annotations

import math
import warnings
from collections import Counter
from fractions import Fraction
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from retab_frames.stats.estimates import Estimate
from retab_frames.stats.survival import Survival, cumulative_incidence

# Remission of leukaemia under 6-mercaptopurine, weeks (Freireich et al. 1963; the 6-MP arm)
EVENTS = [6, 6, 6, 7, 10, 13, 16, 22, 23]
CENSORED = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
TIMES = np.array(EVENTS + CENSORED, dtype=np.float64)
OBSERVED = np.array([True] * len(EVENTS) + [False] * len(CENSORED))
# time, at risk, events, survival worked by hand
TABLE = [
    (6, 21, 3, 18 / 21),
    (7, 17, 1, 18 / 21 * 16 / 17),
    (10, 15, 1, 18 / 21 * 16 / 17 * 14 / 15),
    (13, 12, 1, 18 / 21 * 16 / 17 * 14 / 15 * 11 / 12),
    (16, 11, 1, 18 / 21 * 16 / 17 * 14 / 15 * 11 / 12 * 10 / 11),
    (22, 7, 1, 18 / 21 * 16 / 17 * 14 / 15 * 11 / 12 * 10 / 11 * 6 / 7),
    (23, 6, 1, 18 / 21 * 16 / 17 * 14 / 15 * 11 / 12 * 10 / 11 * 6 / 7 * 5 / 6),
]

JOBS = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 2)), min_size=1, max_size=30)


def by_hand(q: float, confidence: float) -> Estimate:
    """Invert the curve of the table and its log-log band, one row after the other."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    found = {"value": math.nan, "low": math.nan, "high": math.nan}
    greenwood = 0.0
    for time, at_risk, events, share in TABLE:
        greenwood += events / (at_risk * (at_risk - events))
        reach = math.exp(z * math.sqrt(greenwood) / abs(math.log(share)))
        edges = {"value": share, "low": share**reach, "high": share ** (1 / reach)}
        for name, edge in edges.items():
            if edge <= 1 - q and math.isnan(found[name]):
                found[name] = time
    return Estimate(**found)


def numbers(estimate: Estimate) -> list[float]:
    return [estimate.value, estimate.low, estimate.high]


@pytest.mark.parametrize("q", [0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.55, 0.6, 0.7, 0.9])
@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95])
def test_quantiles_of_a_table_worked_by_hand(q: float, confidence: float) -> None:
    curve = Survival(TIMES, OBSERVED)
    assert_array_equal(numbers(curve.quantile(q, confidence)), numbers(by_hand(q, confidence)))


def test_median_of_the_table() -> None:
    assert_array_equal(numbers(Survival(TIMES, OBSERVED).quantile(0.5)), [23, 13, math.nan])


def test_a_quantile_that_the_curve_does_not_reach_is_bounded_from_below() -> None:
    assert_array_equal(numbers(Survival(TIMES, OBSERVED).quantile(0.6)), [math.nan, 16, math.nan])


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(1, 99))
def test_without_censoring_it_is_the_averaged_inverse_ecdf(values: list[int], percent: int) -> None:
    ours = Survival(values, [True] * len(values)).quantile(percent / 100)
    expected = float(np.quantile(values, percent / 100, method="averaged_inverted_cdf"))
    position, ordered = Fraction(percent * len(values), 100), sorted(values)
    if position.denominator == 1:  # where numpy's own product may be rounded
        expected = (ordered[int(position) - 1] + ordered[int(position)]) / 2
    assert ours.value == expected


@settings(deadline=None)
@given(st.lists(st.integers(0, 99), min_size=1, max_size=60))
def test_without_censoring_the_median_is_the_usual_one(values: list[int]) -> None:
    assert Survival(values, [True] * len(values)).quantile(0.5).value == np.median(values)


@pytest.mark.parametrize(
    ("times", "observed", "q", "expected"),
    [
        # S is 3/4 from 10, 1/2 from 20, 1/4 from 40, 0 from 70
        ([10, 20, 40, 70], [1, 1, 1, 1], 0.25, 15),
        ([10, 20, 40, 70], [1, 1, 1, 1], 0.5, 30),
        ([10, 20, 40, 70], [1, 1, 1, 1], 0.6, 40),
        ([10, 20, 40, 70], [1, 1, 1, 1], 0.75, 55),
        # a censored job within the step ends no step: 1/2 from 20 to the event at 70
        ([10, 20, 40, 70], [1, 1, 0, 1], 0.5, 45),
        # after the last event the step ends with the last job
        ([10, 20, 40, 70], [1, 1, 0, 0], 0.5, 45),
        ([10, 20, 40, 70], [1, 1, 0, 0], 0.25, 15),
        ([10, 20, 40, 70], [1, 1, 0, 0], 0.51, math.nan),
        # 5/6 from 1, 5/6 * 3/5 = 1/2 from 4 to 8, and two jobs were censored before
        ([1, 4, 4, 8, 9, 9], [1, 1, 1, 1, 0, 0], 0.5, 6),
        # jobs censored at the same time as the event were at risk: 1/2 from 5
        ([5, 5, 7, 9], [1, 1, 0, 0], 0.5, 7),
    ],
)
def test_a_step_at_the_share_is_crossed_in_its_middle(
    times: list[float], observed: list[int], q: float, expected: float
) -> None:
    assert_array_equal(Survival(times, observed).quantile(q).value, expected)


def as_survfit(times: list[float], shares: list[float], q: float) -> float:
    """Return the quantile of a curve by the rule of R's survfit, one time after the other."""
    height = 1 - q
    for n, share in enumerate(shares):
        if abs(share - height) < 1e-9:
            later = [t for t, s in zip(times, shares, strict=True) if s < share - 1e-9]
            return (times[n] + min(later, default=times[-1])) / 2
        if share < height:
            return times[n]
    return math.nan


@settings(deadline=None, max_examples=300)
@given(JOBS, st.sampled_from([0.1, 0.2, 0.25, 1 / 3, 0.5, 0.6, 0.75, 0.8]))
def test_quantiles_are_those_of_survfit(jobs: list[tuple[int, int]], q: float) -> None:
    moments, shares, share = sorted({time for time, _ in jobs}), [], Fraction(1)
    for moment in moments:
        at_risk = sum(time >= moment for time, _ in jobs)
        share *= 1 - Fraction(sum(job[1] > 0 and job[0] == moment for job in jobs), at_risk)
        shares.append(float(share))
    times, causes = np.array(jobs).T
    ours = Survival(times, causes > 0).quantile(q).value
    assert_array_equal(ours, as_survfit(list(map(float, moments)), shares, q))


@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize(("row", "between"), [(0, (6, 7)), (2, (10, 13)), (5, (22, 23))])
def test_a_step_of_a_band_is_crossed_in_its_middle(
    end: int, row: int, between: tuple[float, float]
) -> None:
    curve = Survival(TIMES, OBSERVED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        band = curve._curve.confidence_interval(0.95, method="log-log")
    edge = (band.low, band.high)[end]
    height = edge.probabilities[edge.quantiles == TABLE[row][0]][0]
    found = numbers(curve.quantile(1 - height))[1 + end]
    assert found == sum(between) / 2


@pytest.mark.parametrize("jobs", [10, 20, 60, 100])
def test_no_rounding_moves_a_quantile_to_the_next_value(jobs: int) -> None:
    # with one still running the curve is a product of rounded factors
    curve = Survival(np.arange(jobs), np.arange(jobs) < jobs - 1)
    for percent in range(1, 100 - 100 // jobs):
        rank = Fraction(percent * jobs, 100)
        middle = Fraction(1, 2) if rank.denominator == 1 else 0
        assert curve.quantile(percent / 100).value == float(math.ceil(rank) - 1 + middle)


@settings(deadline=None)
@given(JOBS, st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from([0.5, 0.95]))
def test_the_bands_enclose_the_curve_so_that_no_interval_needs_widening(
    jobs: list[tuple[int, int]], q: float, confidence: float
) -> None:
    times, causes = np.array(jobs).T
    curve = Survival(times, causes > 0)
    value, low, high = numbers(curve.quantile(q, confidence))
    assert not low > value
    assert not high < value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        band = curve._curve.confidence_interval(confidence, method="log-log")
    edge = list(band.high.quantiles), list(np.nan_to_num(band.high.probabilities, nan=2.0))
    assert_array_equal(high, as_survfit(*edge, q))


@settings(deadline=None)
@given(JOBS, st.randoms(use_true_random=False), st.sampled_from([0.25, 0.5, 0.9]))
def test_order_changes_no_quantile_and_scale_scales_it(
    jobs: list[tuple[int, int]], chance: Any, q: float
) -> None:
    times, causes = np.array(jobs).T
    shuffled, moved = np.array(chance.sample(jobs, len(jobs))).T
    ours = numbers(Survival(times, causes > 0).quantile(q))
    assert_array_equal(numbers(Survival(shuffled, moved > 0).quantile(q)), ours)
    assert_array_equal(
        numbers(Survival(1_000 * times, causes > 0).quantile(q)), np.multiply(1_000, ours)
    )


@pytest.mark.parametrize(
    ("times", "observed", "expected"),
    [
        ([], [], [math.nan] * 3),
        ([5], [True], [5, math.nan, math.nan]),
        ([5], [False], [math.nan] * 3),
        ([5, 7], [False, False], [math.nan] * 3),
        ([5, 5, 5], [True] * 3, [5, math.nan, math.nan]),
        # one done and one still running at the same moment: the running one was at risk
        ([5, 5], [True, False], [5, 5, math.nan]),
    ],
)
def test_tiny_samples(times: list[float], observed: list[bool], expected: list[float]) -> None:
    assert_array_equal(numbers(Survival(times, observed).quantile(0.5)), expected)


def test_quantiles_share_one_fit() -> None:
    curve = Survival(TIMES, OBSERVED)
    curve.quantile(0.5)
    first = curve._curve
    curve.quantile(0.9)
    assert curve._curve is first


def test_competing_causes_of_a_table_worked_by_hand() -> None:
    times = [2, 3, 3, 5, 5, 6, 8, 8, 9, 12]
    cause = [1, 2, 1, 0, 1, 2, 0, 1, 2, 0]
    found = cumulative_incidence(times, cause, [1, 2])
    # time, at risk, share of 1, share of 2, without event
    table = [
        (2, 10, 1 / 10, 0, 9 / 10),
        (3, 9, 1 / 10 + 1 / 10, 1 / 10, 7 / 10),
        (5, 7, 3 / 10, 1 / 10, 6 / 10),
        (6, 5, 3 / 10, 1 / 10 + 6 / 50, 24 / 50),
        (8, 4, 3 / 10 + 6 / 50, 11 / 50, 18 / 50),
        (9, 2, 21 / 50, 11 / 50 + 9 / 50, 9 / 50),
    ]
    columns = (found.times, found.at_risk, *found.incidence.values(), found.event_free)
    assert_allclose(np.array(columns).T, table, rtol=1e-14)
    assert list(found.incidence) == [1, 2]


@settings(deadline=None)
@given(JOBS)
def test_incidences_are_those_of_exact_arithmetic(jobs: list[tuple[int, int]]) -> None:
    times, causes = np.array(jobs).T
    found = cumulative_incidence(times, causes, [1, 2])
    event_free, shares = Fraction(1), {1: Fraction(0), 2: Fraction(0)}
    for n, moment in enumerate(sorted({time for time, cause in jobs if cause})):
        at_risk = sum(time >= moment for time, _ in jobs)
        now = Counter(cause for time, cause in jobs if time == moment and cause)
        for cause, share in found.incidence.items():
            shares[cause] += event_free * Fraction(now[cause], at_risk)
            assert share[n] == pytest.approx(float(shares[cause]), abs=1e-13)
        event_free *= 1 - Fraction(now.total(), at_risk)
        assert found.event_free[n] == pytest.approx(float(event_free), abs=1e-13)
        assert (found.times[n], found.at_risk[n]) == (moment, at_risk)


@settings(deadline=None)
@given(JOBS)
def test_incidences_and_the_share_without_event_add_up(jobs: list[tuple[int, int]]) -> None:
    times, causes = np.array(jobs).T
    found = cumulative_incidence(times, causes, [1, 2])
    whole = sum(found.incidence.values()) + found.event_free
    assert_allclose(whole, np.ones(len(found.times)), rtol=0, atol=1e-12)
    curve = Survival(times, causes > 0)._curve
    assert_allclose(found.event_free, curve.evaluate(found.times), atol=1e-12)


def test_a_hundred_thousand_jobs_add_up() -> None:
    chance = np.random.default_rng(5)
    times, cause = chance.lognormal(9, 1, 100_000), chance.integers(0, 4, 100_000)
    found = cumulative_incidence(times, cause, [1, 2, 3])
    whole = sum(found.incidence.values()) + found.event_free
    assert np.abs(whole - 1).max() < 1e-12


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 2)), min_size=1, max_size=30))
def test_without_censoring_an_incidence_is_a_share(jobs: list[tuple[int, int]]) -> None:
    times, causes = np.array(jobs).T
    found = cumulative_incidence(times, causes, [1, 2])
    for cause in (1, 2):
        shares = [sum(j <= (t, 9) and j[1] == cause for j in jobs) / len(jobs) for t in found.times]
        assert_allclose(found.incidence[cause], shares, atol=1e-12)


def test_no_events_at_all() -> None:
    for times, cause in (([], []), ([3.0, 4.0], [0, 0])):
        found = cumulative_incidence(times, cause, [1, 2])
        assert found.times.tolist() == found.event_free.tolist() == []
        assert {c: share.tolist() for c, share in found.incidence.items()} == {1: [], 2: []}


def test_a_cause_without_events_has_incidence_0() -> None:
    found = cumulative_incidence([1, 2], [1, 1], [1, 2])
    assert found.incidence[2].tolist() == [0.0, 0.0]
    assert found.incidence[1].tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    ("times", "observed", "message"),
    [
        ([1.0], [True, False], r"2 outcomes do not fit times of shape \(1,\)"),
        ([1.0, -1.0], [1, 1], "1 of 2 times are negative, NaN or infinite"),
        ([math.nan, math.inf], [1, 1], "2 of 2 times are negative, NaN or infinite"),
    ],
)
def test_wrong_times(times: list[float], observed: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Survival(times, observed)
    with pytest.raises(ValueError, match=message):
        cumulative_incidence(times, observed, [1])


def test_wrong_quantiles_confidences_and_causes() -> None:
    with pytest.raises(ValueError, match="q must be between 0 and 1, not 1"):
        Survival([1], [True]).quantile(1)
    with pytest.raises(ValueError, match="confidence must be between 0 and 1, not 2"):
        Survival([1], [True]).quantile(0.5, 2)
    with pytest.raises(ValueError, match="3 is not one of the causes 1, 2"):
        cumulative_incidence([1, 2], [1, 3], [1, 2])
