from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from factories import arrow, jobs_of, seconds, texts, timed_jobs, times
from hypothesis import given, settings, strategies as st

from retab_frames.schemas.vocabulary import COMPLETED, FAILED, OPEN, STOPPED
from retab_frames.stats.samples import (
    find_last_seen,
    has_status,
    make_censored_sample,
    make_sample,
    measure_jobs,
    to_microseconds,
)


def test_a_placeholder_has_no_status() -> None:
    jobs = jobs_of(
        [1, 2, 3],
        status=texts("completed", "completed", None),
        is_placeholder=arrow([False, True, False], pa.bool_()),
    )
    assert has_status(jobs, COMPLETED).tolist() == [True, False, False]
    assert set(COMPLETED) | set(FAILED) | set(STOPPED) | set(OPEN) == {
        *("completed", "error", "cancelled", "skipped"),
        *("pending", "queued", "running"),
    }


def test_times_as_microseconds() -> None:
    values, there = to_microseconds(jobs_of([1, 2], created_at=times(5, None)), "created_at")
    assert (values.tolist(), there.tolist()) == ([5, 0], [True, False])


def test_a_span_needs_both_ends_and_the_right_order() -> None:
    jobs = timed_jobs(("x", 0, 1.5, None), ("x", None, 1, 2), ("x", 2, 1, 1))
    assert measure_jobs(jobs, "queue").tolist() == pytest.approx(
        [1_500, np.nan, np.nan], nan_ok=True
    )
    assert measure_jobs(jobs, "elapsed").tolist() == pytest.approx([np.nan, 1_000, 0], nan_ok=True)


def test_samples_worked_by_hand() -> None:
    jobs = timed_jobs(
        ("completed", 0, 1, 3),
        ("running", 0, 4, None),
        ("running", 0, None, None),
        ("pending", 0, None, None),
        ("error", 0, 1, 2),
    )
    done = make_sample(jobs, "elapsed")
    sample = make_censored_sample(jobs, "elapsed", "1970-01-01T00:00:10Z")

    assert done.observed.tolist() == [True, False, False, False, False]
    assert not done.censored.any()
    assert sample.observed.tolist() == done.observed.tolist()
    assert sample.censored.tolist() == [False, True, False, False, False]
    assert sample.start_unknown.tolist() == [False, False, True, False, False]
    assert sample.ms[[0, 1, 4]].tolist() == [2_000, 6_000, 1_000]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(OPEN), *[st.none() | st.integers(0, 20)] * 3)))
def test_a_job_is_observed_or_censored_or_of_unknown_start(
    rows: list[tuple[str, int | None, int | None, int | None]],
) -> None:
    """No job is two of them; what is censored has a time of at least 0 and no more than passed."""
    jobs = timed_jobs(*rows)
    for measure in ("duration", "queue", "elapsed", "turnaround"):
        sample = make_censored_sample(jobs, measure, "1970-01-01T00:00:10Z")
        states = np.stack([sample.observed, sample.censored, sample.start_unknown])
        assert (states.sum(axis=0) <= 1).all()
        assert (sample.ms[sample.censored] >= 0).all()
        assert (sample.ms[sample.censored] <= 10_000).all()


def test_last_seen_takes_each_job_at_its_own_time() -> None:
    jobs = jobs_of([1, 2], fetched_at=seconds(3, 4))
    assert find_last_seen(jobs, None).tolist() == [3_000_000, 4_000_000]
    assert find_last_seen(jobs, "1970-01-01T00:00:05Z").tolist() == [5_000_000] * 2
    assert find_last_seen(jobs.iloc[:0].drop(columns="fetched_at"), None).tolist() == []
