from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from retab_frames.stats.run_noise import (
    MIN_DOCUMENTS,
    RunNoise,
    choose_pairs,
    count_documents,
    detectable_ratio,
    estimate_noise,
)

NAN = math.nan

SECTION_6 = {
    (0, 1): (25, 17, 11, 9, 7),
    (0, 3): (16, 12, 9, 7, 6),
    (0.02, 1): (27, 20, 16, 15, 14),
    (0.02, 3): (17, 14, 11, 10, 10),
    (0.05, 1): (37, 32, 29, 28, 28),
    (0.05, 3): (22, 20, 18, 18, 18),
    (0.05, 10): (14, 13, 12, 12, 12),
}
"""The smallest slowdown that shows, in %, at 12, 30, 100, 300 and 1000 documents."""


def runs_of(
    documents: int, runs: int, *, within: float, between: float = 0.0, outliers: float = 0.0
) -> Any:
    """Return durations in ms, documents x runs."""
    chance = np.random.default_rng([documents, runs])
    shape = (documents, runs)
    logs = chance.normal(9, 1, (documents, 1)) + chance.normal(0, within, shape)
    logs += chance.normal(0, between, (1, runs)) if between else 0
    return np.exp(logs + math.log(10) * (chance.random(shape) < outliers))


def contrasts(durations: Any) -> list[float]:
    """Return the absolute contrast of every two documents in every two runs that have both."""
    logs = np.log(durations)
    found = []
    for a, b in combinations(range(logs.shape[0]), 2):
        for i, j in combinations(range(logs.shape[1]), 2):
            contrast = logs[a, i] - logs[a, j] - logs[b, i] + logs[b, j]
            if not math.isnan(contrast):
                found.append(abs(contrast))
    return sorted(found)


@pytest.mark.parametrize(("spread", "expected"), SECTION_6.items())
def test_the_slowdowns_of_the_specification(
    spread: tuple[float, int], expected: tuple[int, ...]
) -> None:
    between, runs = spread
    found = [
        100 * (detectable_ratio(0.15, between, documents=n, runs=runs, margin=0.05) - 1)
        for n in (12, 30, 100, 300, 1000)
    ]
    assert found == pytest.approx(expected, abs=0.6)  # the specification rounds


def test_no_number_of_documents_shows_less_than_the_shifts_of_runs() -> None:
    limit = detectable_ratio(0.15, 0.05, documents=math.inf, runs=1, margin=0.05)
    assert limit == pytest.approx(1.05 * math.exp(2.8016 * 0.05 * math.sqrt(2)), rel=1e-4)
    assert count_documents(limit - 1 - 1e-9, 0.15, 0.05, runs=1, margin=0.05) is None
    assert count_documents(limit - 1 + 0.01, 0.15, 0.05, runs=1, margin=0.05) is not None


@settings(deadline=None)
@given(
    st.floats(0.06, 3),
    st.floats(0, 1),
    st.floats(0, 0.3),
    st.integers(1, 20),
    st.floats(0, 0.05),
    st.sampled_from([0.8, 0.95, 0.99]),
)
def test_so_many_documents_show_it_and_one_fewer_does_not(
    detect: float, within: float, between: float, runs: int, margin: float, confidence: float
) -> None:
    options = {"runs": runs, "margin": margin, "confidence": confidence}
    needed = count_documents(detect, within, between, **options)  # type: ignore[arg-type]

    def shown(documents: float) -> float:
        return detectable_ratio(within, between, documents=documents, **options) - 1  # type: ignore[arg-type]

    if needed is None:
        assert shown(math.inf) >= detect * (1 - 1e-9)
        return
    assert shown(needed) <= detect * (1 + 1e-9)
    assert needed == MIN_DOCUMENTS or shown(needed - 1) > detect * (1 - 1e-9)


@pytest.mark.parametrize("missing", [0, 0.3])
def test_within_is_the_median_contrast_of_enumeration(missing: float) -> None:
    durations = runs_of(9, 4, within=0.2, between=0.1)
    durations[np.random.default_rng(5).random(durations.shape) < missing] = NAN
    found = contrasts(durations)
    lower_median = found[(len(found) + 1) // 2 - 1]
    expected = lower_median / (2 * stats.norm.ppf(0.75))
    assert estimate_noise(durations).within.value == pytest.approx(expected, abs=1e-11)


def test_between_is_the_excess_of_the_typical_ratios() -> None:
    durations = runs_of(9, 4, within=0.05, between=0.2)
    durations[0, 0] = NAN
    logs = np.log(durations)
    ratios, noise = [], []
    for i, j in combinations(range(4), 2):
        change = logs[:, i] - logs[:, j]
        change = change[~np.isnan(change)]
        walsh = [(a + b) / 2 for n, a in enumerate(change) for b in change[: n + 1]]
        ratios.append(np.median(walsh) ** 2 / 2)
        noise.append(1.05 / len(change))
    ours = estimate_noise(durations)
    explained = ours.within.value**2 * np.mean(noise)
    assert ours.between.value == pytest.approx(math.sqrt(np.mean(ratios) - explained), abs=1e-9)
    low, high = (
        math.sqrt(max(0, np.mean(ratios) * 3 / stats.chi2.ppf(q, 3) - explained))
        for q in (0.975, 0.025)
    )
    assert [ours.between.low, ours.between.high] == pytest.approx([low, high])
    free = 0.86 * (35 - 9 - 4 + 1)
    ends = [ours.within.value * math.sqrt(free / stats.chi2.ppf(q, free)) for q in (0.975, 0.025)]
    assert [ours.within.low, ours.within.high] == pytest.approx(ends)
    assert (ours.runs, ours.documents) == (4, 9)


@pytest.mark.parametrize("runs", [10, 40])
def test_the_truth_is_found(runs: int) -> None:
    ours = estimate_noise(runs_of(100, runs, within=0.15, between=0.05))
    assert ours.within.value == pytest.approx(0.15, rel=0.05)
    assert ours.between.low < 0.05 < ours.between.high
    assert ours.between.value == pytest.approx(0.05, rel=0.35)


@pytest.mark.parametrize("runs", [2, 25, 26, 40, 101, 400])
def test_of_many_runs_each_is_in_as_many_pairs(runs: int) -> None:
    pairs = choose_pairs(runs)
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)
    counts = np.bincount(np.ravel(pairs), minlength=runs)
    assert set(counts) == {2 * len(pairs) // runs}
    assert counts[0] >= min(runs - 1, 6)
    assert len(pairs) <= max(300, 3 * runs)


def test_outliers_do_not_carry_it_away() -> None:
    clean = estimate_noise(runs_of(100, 8, within=0.15)).within.value
    ours = estimate_noise(runs_of(100, 8, within=0.15, outliers=0.05)).within.value
    assert 1.15 < ours / clean < 1.45
    # the standard deviation of the same logarithms is nearly four times as high
    logs = np.log(runs_of(100, 8, within=0.15, outliers=0.05))
    assert (logs - logs.mean(axis=1, keepdims=True)).std() > 3 * clean


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 30), st.integers(2, 8), st.randoms())
def test_order_and_unit_make_no_difference(documents: int, runs: int, chance: Any) -> None:
    durations = runs_of(documents, runs, within=0.2, between=0.1)
    rows = chance.sample(range(documents), documents)
    columns = chance.sample(range(runs), runs)
    assert estimate_noise(durations[rows][:, columns]) == estimate_noise(durations)
    scaled = estimate_noise(durations * 2)
    assert scaled.within.value == pytest.approx(estimate_noise(durations).within.value, abs=1e-11)


def test_where_runs_do_not_shift_between_is_zero() -> None:
    found = [estimate_noise(runs_of(n, 5, within=0.15)).between for n in range(20, 40)]
    assert sum(one.value == 0 for one in found) > 5
    assert all(one.low == 0 for one in found if one.value == 0)


def test_two_runs_know_nearly_nothing_of_their_shifts() -> None:
    between = estimate_noise(runs_of(100, 2, within=0.15, between=0.05)).between
    assert between.low == 0
    assert between.high > 0.25


def test_runs_and_documents_that_stand_alone_do_not_count() -> None:
    durations = np.full((4, 4), NAN)
    durations[:3, :2] = [[100, 120], [200, 260], [300, 310]]
    durations[3, 2] = 500
    assert estimate_noise(durations) == estimate_noise(durations[:3, :2])
    assert (estimate_noise(durations).runs, estimate_noise(durations).documents) == (2, 3)


@pytest.mark.parametrize(
    "durations", [np.empty((0, 0)), [[1.0], [2.0]], [[1.0, 2.0]], [[1, NAN], [NAN, 1], [2, 3]]]
)
def test_without_contrasts_there_is_no_estimate(durations: Any) -> None:
    with pytest.raises(ValueError, match="no two runs have two documents in common"):
        estimate_noise(durations)


def test_equal_runs_have_no_noise() -> None:
    ours = estimate_noise([[100, 100], [200, 200], [0, 0]])
    assert isinstance(ours, RunNoise)
    assert (ours.within.value, ours.between.value) == (0, 0)
    assert count_documents(0.1, 0, 0, runs=1, margin=0.05) == MIN_DOCUMENTS
