from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from retab_frames.stats.run_effects import (
    RunEffect,
    effect_against,
    run_variance,
    typical_log_ratio,
    typical_log_ratios,
)

EFFECTS = st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=2, max_size=8)


def against(effects: Any, candidate: float, **options: Any) -> RunEffect:
    """Return the change of a run from runs that are known by one number each."""
    runs = np.asarray(effects, dtype=float)
    return effect_against(candidate - runs, runs[:, None] - runs, **options)


@settings(deadline=None)
@given(EFFECTS, st.floats(-1, 1))
def test_of_one_number_per_run_it_is_the_prediction_interval(
    effects: list[float], candidate: float
) -> None:
    k, s = len(effects), np.std(effects, ddof=1)
    ours = against(effects, candidate)
    center = candidate - np.mean(effects)
    assert ours.log_ratio == pytest.approx(center, abs=1e-12)
    if len(set(effects)) == 1:
        return
    half = stats.t.ppf(0.975, k - 1) * s * math.sqrt(1 + 1 / k)
    assert_allclose(
        [math.log(ours.ratio_low), math.log(ours.ratio_high)], [center - half, center + half]
    )


@pytest.mark.parametrize("candidate", [-0.4, -0.03, 0.0, 0.02, 0.21, 0.5])
def test_p_values_are_those_of_student(candidate: float) -> None:
    effects = [0.0, 0.03, -0.02, 0.05]
    ours = against(effects, candidate, margin=0.1)
    t = stats.t(3)
    error = np.std(effects, ddof=1) * math.sqrt(1.25)
    center, bound = candidate - np.mean(effects), math.log(1.1)
    below, above = t.cdf((center - bound) / error), t.sf((center + bound) / error)
    expected = [1 - below, 1 - above, max(below, above), 2 * t.sf(abs(center) / error)]
    assert_allclose([ours.slower_p, ours.faster_p, ours.equivalent_p, ours.p_value], expected)


@settings(deadline=None)
@given(EFFECTS, st.floats(-1, 1), st.sampled_from([0.5, 0.9, 0.95]), st.floats(0, 0.5))
def test_verdict_and_p_values_agree(
    effects: list[float], candidate: float, confidence: float, margin: float
) -> None:
    ours = against(effects, candidate, margin=margin, confidence=confidence)
    p_values = {"slower": ours.slower_p, "faster": ours.faster_p, "equivalent": ours.equivalent_p}
    found = {name for name, p in p_values.items() if 2 * p < 1 - confidence - 1e-9}
    assert found <= {ours.verdict}
    if ours.verdict != "inconclusive":
        assert 2 * p_values[ours.verdict] < 1 - confidence + 1e-9


@settings(deadline=None)
@given(EFFECTS, st.floats(-1, 1), st.randoms())
def test_neither_order_nor_direction_matters(
    effects: list[float], candidate: float, chance: Any
) -> None:
    ours = against(effects, candidate)
    shuffled = against(chance.sample(effects, len(effects)), candidate)
    swapped = against([-x for x in effects], -candidate)
    assert shuffled == ours
    assert (swapped.log_ratio, swapped.error) == (-ours.log_ratio, ours.error)
    p_values = [swapped.faster_p, swapped.slower_p, swapped.equivalent_p, swapped.p_value]
    assert_allclose(p_values, [ours.slower_p, ours.faster_p, ours.equivalent_p, ours.p_value])
    mirrored = {"slower": "faster", "faster": "slower"}
    assert swapped.verdict == mirrored.get(ours.verdict, ours.verdict)


def test_the_ends_of_the_interval_decide() -> None:
    error, reach = 0.01, float(stats.t.ppf(0.975, 4)) * 0.01
    margin = math.expm1(0.1)
    for log_ratio, verdict in (
        (0.1 + reach + 1e-9, "slower"),
        (0.1 + reach - 1e-9, "inconclusive"),
        (0.1 - reach + 1e-9, "inconclusive"),
        (0.1 - reach - 1e-9, "equivalent"),
        (-0.1 - reach - 1e-9, "faster"),
    ):
        assert RunEffect(log_ratio, error, 5, margin, 0.95).verdict == verdict


@pytest.mark.parametrize("candidate", [0.0, 2.0])
def test_equal_runs_do_not_tell_their_scatter(candidate: float) -> None:
    ours = against([0.0, 0.0, 0.0], candidate)
    assert ours.ratio == math.exp(candidate)
    assert ours.verdict == "inconclusive"
    unknown = [ours.ratio_low, ours.ratio_high, ours.slower_p, ours.equivalent_p, ours.p_value]
    assert np.isnan(unknown).all()


@pytest.mark.parametrize(
    ("candidate", "between", "message"),
    [
        ([0.1], [[0.0]], "compared with 2 runs or more, not 1"),
        ([], np.empty((0, 0)), "compared with 2 runs or more, not 0"),
        ([0.1, 0.2], [[0.0]], "2 ratios of the candidate need 2 x 2 .* not 1 x 1"),
        ([0.1, math.nan], np.zeros((2, 2)), "no document in common with 1 of the 2 runs"),
        ([0.1, 0.2], [[0, math.nan], [math.nan, 0]], "two of the runs have no document in common"),
    ],
)
def test_what_cannot_be_told_is_refused(candidate: Any, between: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        effect_against(candidate, between)


@pytest.mark.parametrize("options", [{"margin": -0.1}, {"margin": math.inf}, {"confidence": 1}])
def test_margin_and_confidence_are_checked(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        against([0, 1], 0, **options)


def test_typical_ratios_are_medians_of_walsh_averages() -> None:
    chance = np.random.default_rng(3)
    durations = np.exp(chance.normal(8, 1, (9, 4)))
    durations[0, 1] = durations[4, 2] = math.nan
    found = typical_log_ratios(durations)
    for i in range(4):
        for j in range(4):
            logs = np.log(durations[:, i]) - np.log(durations[:, j])
            logs = logs[~np.isnan(logs)]
            walsh = [(a + b) / 2 for n, a in enumerate(logs) for b in logs[: n + 1]]
            assert found[i, j] == pytest.approx(np.median(walsh), abs=1e-11)
    assert (found == -found.T).all()
    squares = [found[i, j] ** 2 for i, j in combinations(range(4), 2)]
    assert run_variance(found) == pytest.approx(sum(squares) / 12)


def test_zeros_count_and_missing_documents_do_not() -> None:
    nan = math.nan
    assert typical_log_ratio([1, 1, nan, 4], [2, 2, 3, nan]) == pytest.approx(math.log(2))
    assert typical_log_ratio([0], [1]) == pytest.approx(math.log(2))
    assert math.isnan(typical_log_ratio([1, nan], [nan, 1]))
    assert math.isnan(typical_log_ratios([[1, nan], [nan, 1]])[0, 1])
