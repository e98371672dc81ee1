from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from retab_frames.stats.signed_rank import SignedRank, find_rank

WHOLE = st.lists(st.integers(-40, 40), min_size=1, max_size=12)


def ranked(values: Any) -> SignedRank:
    return SignedRank(np.asarray(values, dtype=np.int64))


def walsh_averages(values: list[Any]) -> list[float]:
    return sorted((a + b) / 2 for n, a in enumerate(values) for b in values[: n + 1])


def distribution(n: int) -> list[int]:
    """Return how many of the 2**n choices of signs give each rank sum."""
    sums = [sum(r for r, s in enumerate(signs, 1) if s) for signs in product((0, 1), repeat=n)]
    return [sums.count(total) for total in range(n * (n + 1) // 2 + 1)]


@pytest.mark.parametrize("n", range(1, 13))
@pytest.mark.parametrize("tail", [0.005, 0.025, 0.05, 0.25])
def test_the_rank_of_an_end_is_that_of_enumeration(n: int, tail: float) -> None:
    below = np.cumsum(distribution(n))
    assert find_rank(n, tail) == sum(count <= tail * 2**n for count in below)


@settings(deadline=None)
@given(WHOLE, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_estimate_and_interval_are_walsh_averages(values: list[int], confidence: float) -> None:
    averages, ours = walsh_averages(values), ranked(values)
    assert ours.center() == np.median(averages)
    below = np.cumsum(distribution(len(values)))
    rank = sum(count <= (1 - confidence) / 2 * 2 ** len(values) for count in below)
    expected = (averages[rank - 1], averages[len(averages) - rank]) if rank else None
    assert ours.interval(confidence) == expected


@settings(deadline=None)
@given(WHOLE, st.integers(-40, 40))
def test_p_values_are_those_of_enumeration(values: list[int], bound: int) -> None:
    averages, below = walsh_averages(values), np.cumsum(distribution(len(values)))
    at_most = sum(average <= bound for average in averages)
    at_least = sum(average >= bound for average in averages)
    chance = [0.0, *(below / 2 ** len(values))]
    expected = [chance[min(count + 1, len(below))] for count in (at_most, at_least)]
    assert_allclose([ranked(values).p_above(bound), ranked(values).p_below(bound)], expected)


@pytest.mark.parametrize("n", [6, 20, 49, 60])
def test_p_without_ties_is_that_of_scipy(n: int) -> None:
    values = np.random.default_rng(n).normal(0.05, 0.2, n)
    ours = ranked(np.round(values * 1e12))
    expected = [
        stats.wilcoxon(values, alternative=side, method="exact").pvalue
        for side in ("greater", "less")
    ]
    assert_allclose([ours.p_above(0), ours.p_below(0)], expected, rtol=1e-9)


def test_the_normal_distribution_continues_the_exact_one() -> None:
    exact = np.cumsum(rank_sums(61)) / 2.0**61
    values = np.random.default_rng(0).normal(0, 1e9, 61)
    averages = walsh_averages(np.round(values).tolist())
    for bound in (-200_000_000, 0, 100_000_000):
        at_most = sum(average <= bound for average in averages)
        p_above = ranked(np.round(values)).p_above(bound)
        assert p_above == pytest.approx(exact[at_most], abs=0.002)
        assert p_above != exact[at_most]


def rank_sums(n: int) -> Any:
    counts = np.ones(1, dtype=object)
    for rank in range(1, n + 1):
        counts = np.convolve(counts, np.r_[1, np.zeros(rank - 1, dtype=object), 1])
    return counts.astype(float)


@pytest.mark.parametrize("spread", [3, 10**12])
def test_searched_sums_are_those_of_sorting(spread: int) -> None:
    values = np.random.default_rng(spread).integers(-spread, spread, 1_500)
    first, second = np.triu_indices(len(values))
    sums = np.sort(values[first] + values[second])
    ours = ranked(values)
    low, high = ours.interval(0.95) or (0, 0)
    rank = find_rank(1_500, 0.025)
    assert ours.center() == np.median(sums) / 2
    assert (low, high) == (sums[rank - 1] / 2, sums[-rank] / 2)
    assert ours.p_above(0) == ranked(-values).p_below(0)
    extreme = ranked(np.r_[values, np.full(600, 2**60)])
    assert (extreme.interval(0.95) or (0, 0))[1] > 2**58


@pytest.mark.parametrize("n", range(6))
def test_below_six_there_is_no_interval(n: int) -> None:
    assert ranked(range(n)).interval(0.95) is None
    assert math.isnan(ranked([]).center())
    assert (ranked(range(5)).interval(0.9) is None, ranked(range(7)).interval(0.99)) == (
        False,
        None,
    )
