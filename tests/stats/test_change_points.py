from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from retab_frames.stats.change_points import compute_cusum, find_changes


def series(*levels: tuple[int, float], seed: int = 0, spread: float = 0.05) -> Any:
    """Return so many numbers at each level, with normal scatter."""
    chance = np.random.default_rng(seed)
    return np.concatenate([chance.normal(level, spread, count) for count, level in levels])


def largest_t(values: Any) -> tuple[int, float]:
    """Return the split with the largest two-sample t, at least three a side."""
    splits = range(3, len(values) - 2)
    ts = [abs(stats.ttest_ind(values[:at], values[at:]).statistic) for at in splits]
    return splits[int(np.argmax(ts))], max(ts)


@pytest.mark.parametrize("seed", range(5))
def test_a_change_is_the_split_with_the_largest_t(seed: int) -> None:
    values = series((14, 0.0), (9, 0.2), seed=seed)
    (found,) = find_changes(values)
    assert found.position == largest_t(values)[0]
    before, after = values[: found.position], values[found.position :]
    expected = stats.ttest_ind(after, before).confidence_interval(0.95)
    assert found.difference == pytest.approx(after.mean() - before.mean())
    assert [found.low, found.high] == pytest.approx([expected.low, expected.high])
    assert found.p_value == 0.0005


def test_its_p_value_is_that_of_all_orders() -> None:
    values = np.array([1.0, 2, 3, 11, 12, 13, 14, 15, 16, 17])
    reached = largest_t(values)[1]
    # the largest t of an order depends on its splits alone: enough to draw many orders
    chance = np.random.default_rng(1)
    orders = [chance.permutation(values) for _ in range(2_000)]
    share = np.mean([largest_t(order)[1] >= reached * (1 - 1e-9) for order in orders])
    found = find_changes(values)
    exact = 2 * math.factorial(3) * math.factorial(7) / math.factorial(10)
    assert share == pytest.approx(exact, abs=0.006)
    assert found == []  # 0.0167 is not below 0.01
    longer = np.r_[values, 18.0, 19, 20]
    assert find_changes(longer)[0].p_value < 0.01


@pytest.mark.parametrize("count", [9, 10])
def test_it_takes_ten_numbers(count: int) -> None:
    values = np.r_[np.zeros(count // 2), np.ones(count - count // 2)]
    values += np.random.default_rng(0).normal(0, 1e-3, count)
    assert len(find_changes(values)) == (count == 10)


@pytest.mark.parametrize("odd", [0, 3, 10, 19])
def test_one_odd_number_is_no_change(odd: int) -> None:
    values = series((20, 0.0))
    values[odd] += 1.0
    assert find_changes(values) == []


@pytest.mark.parametrize("levels", [((20, 0.0), (2, 1.0)), ((2, 0.0), (20, 1.0))])
def test_each_side_has_three_numbers(levels: Any) -> None:
    found = find_changes(series(*levels))
    assert all(3 <= change.position <= 19 for change in found)


def test_several_changes_are_told_each_against_the_part_before_it() -> None:
    values = series((20, 0.0), (20, 0.3), (20, 0.1))
    found = find_changes(values)
    assert [change.position for change in found] == [20, 40]
    means = [values[:20].mean(), values[20:40].mean(), values[40:].mean()]
    assert_allclose([change.difference for change in found], np.diff(means))


def test_the_same_series_gives_the_same_changes() -> None:
    values = series((20, 0.0), (20, 0.05))
    assert find_changes(values) == find_changes(values.tolist())
    mirrored = find_changes(-values)
    assert [c.difference for c in mirrored] == [-c.difference for c in find_changes(values)]


@pytest.mark.parametrize("values", [[], [1.0], [1.0] * 30])
def test_where_nothing_varies_nothing_changes(values: list[float]) -> None:
    assert find_changes(values) == []
    assert not compute_cusum(values).alarms.any()


def test_a_change_without_scatter_has_no_interval() -> None:
    (found,) = find_changes([0.0] * 10 + [1.0] * 10)
    assert (found.position, found.difference) == (10, 1.0)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_sums_are_those_of_page_against_the_past() -> None:
    values = series((12, 0.0), (6, 0.06), seed=3)
    up = down = 0.0
    expected = []
    for n in range(2, len(values)):
        past = values[:n]
        t = (values[n] - past.mean()) / (past.std(ddof=1) * math.sqrt(1 + 1 / n))
        z = float(stats.norm.ppf(stats.t.cdf(t, n - 1)))
        assert abs(z) < 3
        up, down = max(0, up + z - 0.5), max(0, down - z - 0.5)
        expected.append(up if up >= down else -down)
    found = compute_cusum(values)
    assert np.isnan(found.sums[:2]).all()
    assert_allclose(found.sums[2:], expected)
    assert (found.alarms == (np.abs(found.sums) > 5)).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_lasting_change_raises_an_alarm_and_one_odd_number_none(sign: int) -> None:
    values = sign * series((20, 0.0), (4, 0.15))
    found = compute_cusum(values)
    assert not found.alarms[:20].any()
    assert found.alarms[23]
    assert math.copysign(1, found.sums[23]) == sign
    odd = sign * series((20, 0.0))
    odd[10] += sign
    watched = compute_cusum(odd)
    assert not watched.alarms.any()
    assert watched.deviates[10] * sign > 3
    # nor does it blind the sums: as wide as before, a lasting change still shows
    assert compute_cusum(np.r_[odd, sign * series((5, 0.2), seed=1)]).alarms[-1]


def test_what_the_margin_allows_for_raises_no_alarm() -> None:
    values = series((20, 0.0), (10, 0.02), spread=0.005)
    assert compute_cusum(values).alarms.any()
    assert not compute_cusum(values, margin=math.log1p(0.05)).alarms.any()
