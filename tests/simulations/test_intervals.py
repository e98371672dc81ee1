"""Intervals of one run contain the true value at their confidence."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pytest

from retab_frames.stats.estimates import Estimate, geometric_mean, mean
from retab_frames.stats.grouped_values import group_values

from .noise import AT, SIZES, generator, percents

if TYPE_CHECKING:
    from collections.abc import Callable

TRIALS = 20_000
BOOTSTRAPS = 500
LOG_SD = 0.8


@pytest.mark.parametrize("q", [0.5, 0.9, 0.95])
def test_quantiles(q: float, figure: Callable[[str], None]) -> None:
    truth = np.exp(9 + LOG_SD * NormalDist().inv_cdf(q))
    covered, unbounded = [], []
    for size in SIZES:
        values = generator(1, size).lognormal(9, LOG_SD, TRIALS * size)
        groups = group_values(values, np.repeat(np.arange(TRIALS), size), TRIALS)
        low, high = groups.quantile_interval(q, 0.95)
        # an end that is shown as open excludes nothing
        covered.append(float(np.mean(~(low > truth) & ~(high < truth))))
        if np.isnan(high).all():
            unbounded.append(size)
    opened = f"; no upper end at n = {', '.join(map(str, unbounded))}" if unbounded else ""
    figure(
        f"95 % intervals of p{100 * q:.0f} hold the truth {AT}: in {percents(*covered)} %{opened}"
    )
    assert min(covered) >= 0.93
    assert max(unbounded, default=0) < {0.5: 8, 0.9: 36, 0.95: 72}[q]


def coverage(center: Callable[..., Estimate], truth: float, size: int, trials: int) -> float:
    samples = generator(2, size).lognormal(9, LOG_SD, (trials, size))
    intervals = [center(sample) for sample in samples]
    return float(np.mean([interval.low <= truth <= interval.high for interval in intervals]))


def test_means(figure: Callable[[str], None]) -> None:
    bootstrapped = [coverage(mean, np.exp(9 + LOG_SD**2 / 2), n, BOOTSTRAPS) for n in SIZES]
    on_logs = [coverage(geometric_mean, np.exp(9), n, 10 * BOOTSTRAPS) for n in SIZES]
    for name, covered in (("mean (BCa bootstrap)", bootstrapped), ("geometric mean", on_logs)):
        figure(f"95 % intervals of the {name} hold the truth {AT}: in {percents(*covered)} %")
    assert min(on_logs) >= 0.93
    # rough where the docstring says so, and only there
    assert 0.75 < bootstrapped[0] < 0.90
    assert min(bootstrapped[2:]) > 0.87
