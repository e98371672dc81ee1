"""Statistics that ignore running and failed jobs are biased; the estimators here are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import lognorm

from retab_frames.stats.survival import CumulativeIncidence, Survival, cumulative_incidence

from .noise import generator, percents

if TYPE_CHECKING:
    from collections.abc import Callable

TRIALS = 2_000
MEDIAN, LOG_SD = 19.7, 0.73
WINDOW = 55.0
"""Jobs start evenly over so many seconds before the run is observed."""


@pytest.mark.parametrize("jobs", [30, 200])
def test_median_of_a_run_that_still_runs(jobs: int, figure: Callable[[str], None]) -> None:
    chance = generator(8, jobs)
    durations = MEDIAN * chance.lognormal(0, LOG_SD, (TRIALS, jobs))
    seen_for = chance.uniform(0, WINDOW, (TRIALS, jobs))
    done = durations <= seen_for
    medians = [
        Survival(times, observed).quantile(0.5)
        for times, observed in zip(np.minimum(durations, seen_for), done, strict=True)
    ]
    completed_only = np.mean([np.median(t[d]) for t, d in zip(durations, done, strict=True)])
    reached = np.array([median.value for median in medians])
    covered = float(np.mean([not (m.low > MEDIAN or m.high < MEDIAN) for m in medians]))
    ours = float(np.nanmean(reached))
    figure(
        f"median of {jobs} jobs, {percents(1 - done.mean())} % still running: truth {MEDIAN} s, "
        f"Kaplan-Meier {ours:.1f} s, completed only {completed_only:.1f} s; "
        f"95 % intervals hold the truth in {percents(covered)} %"
    )
    assert done.mean() == pytest.approx(0.57, abs=0.01)
    assert ours == pytest.approx(MEDIAN, rel=0.05)
    assert completed_only == pytest.approx(0.75 * MEDIAN, rel=0.04)
    assert np.isnan(reached).mean() < 0.005
    assert covered >= 0.93


def share_by(time: float, found: CumulativeIncidence) -> float:
    """Return the share that the first cause has by a time after the first event."""
    return float(found.incidence[1][np.searchsorted(found.times, time, side="right") - 1])


def test_errors_compete(figure: Callable[[str], None]) -> None:
    jobs, by, error_after, log_sd = 200, 60.0, 80.0, 0.7
    typical = by / np.exp(1.645 * log_sd)  # so that 95 % of what never fails is done by then
    truth = quad(lambda t: lognorm.pdf(t, log_sd, scale=typical) * np.exp(-t / error_after), 0, by)[
        0
    ]
    chance = generator(9)
    ends = np.stack(
        [
            chance.uniform(20, 150, (TRIALS, jobs)),  # when the run is observed
            typical * chance.lognormal(0, log_sd, (TRIALS, jobs)),
            chance.exponential(error_after, (TRIALS, jobs)),
        ]
    )
    times, causes = ends.min(axis=0), ends.argmin(axis=0)
    competing, censored = [], []
    for time, cause in zip(times, causes, strict=True):
        competing.append(share_by(by, cumulative_incidence(time, cause, [1, 2])))
        alone = cumulative_incidence(time, np.where(cause == 1, 1, 0), [1])
        censored.append(share_by(by, alone))
    figure(
        f"share done by {by:.0f} s where errors compete: truth {truth:.2f}, Aalen-Johansen "
        f"{np.mean(competing):.2f}, errors taken for censored {np.mean(censored):.2f}"
    )
    assert np.mean(competing) == pytest.approx(truth, abs=0.01)
    assert np.mean(censored) == pytest.approx(0.95, abs=0.01)
