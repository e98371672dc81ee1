from __future__ import annotations

import numpy as np
import pytest
from factories import jobs_of, seconds, texts, timed_jobs
from hypothesis import given, settings, strategies as st
from pandas.testing import assert_frame_equal

import retab_frames as rf

STATUSES = [
    *("completed", "error", "cancelled", "skipped", "pending", "queued", "running"),
    *("paused_by_hand", "", None),
]


def test_incidence_worked_by_hand() -> None:
    jobs = timed_jobs(
        ("completed", 0, 0, 1),
        ("error", 0, 0, 2),
        ("running", 0, 7, None),
        ("completed", 0, 0, 4),
        ("cancelled", 0, 0, 4),
        ("pending", 0, None, None),
        ("cancelled", 0, None, 3),
        ("paused_by_hand", 0, 0, 3),
    )
    found = rf.cumulative_incidence(jobs, as_of="1970-01-01T00:00:10Z")

    assert list(found.columns) == ["after_ms", "completed", "failed", "open", "at_risk"]
    assert found["after_ms"].tolist() == [0, 1_000, 2_000, 4_000]
    assert found["at_risk"].tolist() == [5, 5, 4, 2]
    assert found["completed"].tolist() == pytest.approx([0, 1 / 5, 1 / 5, 1 / 5 + 3 / 5 / 2])
    assert found["failed"].tolist() == pytest.approx([0, 0, 1 / 5, 1 / 5 + 3 / 5 / 2])
    assert found["open"].tolist() == pytest.approx([1, 4 / 5, 3 / 5, 0], abs=1e-12)


def test_incidence_ends_with_the_last_time_known() -> None:
    jobs = timed_jobs(("completed", 0, 0, 0), ("running", 0, 0, None))
    found = rf.cumulative_incidence(jobs, as_of="1970-01-01T00:00:10Z")

    assert found.to_numpy().tolist() == [[0, 0.5, 0, 0.5, 2], [10_000, 0.5, 0, 0.5, 1]]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(STATUSES),
            st.none() | st.integers(0, 9),
            st.none() | st.integers(0, 9),
            st.sampled_from(["a", "b", None]),
        ),
        max_size=30,
    )
)
def test_shares_add_up_and_never_fall(
    rows: list[tuple[str | None, int | None, int | None, str | None]],
) -> None:
    """At each time the shares completed, failed and open are those of all jobs: 1."""
    jobs = jobs_of(
        [None] * len(rows),
        status=texts(*[row[0] for row in rows]),
        run_id=texts(*[row[3] for row in rows]),
        started_at=seconds(*[row[1] for row in rows]),
        completed_at=seconds(*[row[2] for row in rows]),
    )
    found = rf.cumulative_incidence(jobs, "run_id", as_of="1970-01-01T00:00:10Z")

    assert ((found["completed"] + found["failed"] + found["open"] - 1).abs() < 1e-12).all()
    for _, group in found.groupby("run_id", dropna=False):
        assert group["after_ms"].is_monotonic_increasing
        assert group["after_ms"].is_unique
        for name, sign in (("completed", 1), ("failed", 1), ("open", -1), ("at_risk", -1)):
            assert (group[name].diff().dropna() * sign >= 0).all(), name


def test_incidence_without_censoring_is_the_share_of_jobs() -> None:
    rng = np.random.default_rng(2)
    status = rng.choice(["completed", "error"], 60)
    took = rng.integers(1, 20, 60)
    jobs = timed_jobs(*[(s, 0, 0, float(t)) for s, t in zip(status, took, strict=True)])
    found = rf.cumulative_incidence(jobs)

    for after, completed, failed in found[["after_ms", "completed", "failed"]].to_numpy():
        by_then = took * 1_000 <= after
        assert completed == pytest.approx((by_then & (status == "completed")).mean())
        assert failed == pytest.approx((by_then & (status == "error")).mean())


def test_incidence_of_groups_and_of_none() -> None:
    jobs = timed_jobs(("completed", 0, 0, 1), ("pending", 0, None, None), ("error", 0, 0, 2))
    jobs["run_id"] = texts("b", "c", "a")
    found = rf.cumulative_incidence(jobs, "run_id")
    none = rf.cumulative_incidence(jobs.iloc[:0], "run_id")

    assert found["run_id"].tolist() == ["b", "b", "a", "a"]
    assert found["failed"].tolist() == [0, 0, 0, 1]
    assert_frame_equal(none, found.iloc[:0])


def test_incidence_of_a_queue_is_refused() -> None:
    with pytest.raises(ValueError, match="measure must be duration, elapsed, turnaround"):
        rf.cumulative_incidence(jobs_of([1]), measure="queue")
