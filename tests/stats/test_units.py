from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from factories import jobs_of, texts, timed_jobs

from retab_frames.stats.durations import duration_stats, slowest
from retab_frames.stats.incidence import cumulative_incidence
from retab_frames.stats.timeline import timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

JOBS = timed_jobs(("completed", 0, 1, 3.5), ("error", 0, 2, 4), ("completed", 1, 1.5, 61.5))
STATISTICS: list[Callable[..., pd.DataFrame]] = [
    lambda **options: duration_stats(JOBS, "status", measure="turnaround", **options),
    lambda **options: slowest(JOBS, 2, measure="elapsed", **options),
    lambda **options: cumulative_incidence(JOBS, "status", **options),
    lambda **options: timeline(JOBS, **options),
]


@pytest.mark.parametrize("statistic", STATISTICS)
def test_seconds_are_a_thousandth_and_the_rest_is_the_same(
    statistic: Callable[..., pd.DataFrame],
) -> None:
    in_ms, in_s = statistic(), statistic(unit="s")

    names = [str(name) for name in in_ms]
    durations = [name for name in names if name.endswith("_ms")]
    assert durations
    assert list(in_s) == [name.removesuffix("_ms") + "_s" * (name in durations) for name in names]
    for ms, s in zip(names, map(str, in_s), strict=True):
        assert in_s.dtypes[s] == in_ms.dtypes[ms]
        expected = in_ms[ms] / 1000 if ms in durations else in_ms[ms]
        assert in_s[s].equals(expected)


def test_a_job_of_a_minute_takes_60_seconds() -> None:
    assert slowest(JOBS, 1, measure="elapsed", unit="s")["elapsed_s"].tolist() == [60.0]


def test_the_column_of_a_group_is_not_a_duration_of_ours() -> None:
    jobs = jobs_of([1500, 2500], expected_ms=texts("a", "b"))
    found = duration_stats(jobs, "expected_ms", quantiles=(), unit="s")

    assert found["expected_ms"].tolist() == ["a", "b"]
    assert found["total_s"].tolist() == [1.5, 2.5]


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("unit", ["min", "S", None, ["s"]])
def test_another_unit(statistic: Callable[..., pd.DataFrame], unit: Any) -> None:
    with pytest.raises(ValueError, match="unit must be ms or s, not"):
        statistic(unit=unit)
