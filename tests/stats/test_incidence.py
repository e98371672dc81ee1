from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from factories import arrow, jobs_of, seconds, texts, timed_jobs
from hypothesis import given, settings, strategies as st
from pandas.testing import assert_frame_equal

import retab_frames as rf

if TYPE_CHECKING:
    from retab_frames.stats.measures import Measure

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
        ("completed", 0, None, 4),
        ("paused_by_hand", 0, 0, 3),
    )
    found = rf.cumulative_incidence(jobs, as_of="1970-01-01T00:00:10Z")

    shares = ["completed", "failed", "stopped", "open"]
    assert list(found.columns) == ["after_ms", *shares, "at_risk", "left_out"]
    assert found["after_ms"].tolist() == [0, 1_000, 2_000, 4_000]
    assert found["at_risk"].tolist() == [5, 5, 4, 2]
    assert found["left_out"].tolist() == [3, 3, 3, 3]
    assert found["completed"].tolist() == pytest.approx([0, 1 / 5, 1 / 5, 1 / 5 + 3 / 5 / 2])
    assert found["failed"].tolist() == pytest.approx([0, 0, 1 / 5, 1 / 5])
    assert found["stopped"].tolist() == pytest.approx([0, 0, 0, 3 / 5 / 2])
    assert found["open"].tolist() == pytest.approx([1, 4 / 5, 3 / 5, 0], abs=1e-12)


@pytest.mark.parametrize("status", ["error", "cancelled", "skipped"])
@pytest.mark.parametrize(
    ("measure", "ended", "expected"),
    [
        # it ran for 0 ms, whether or not its end is known
        ("elapsed", 6, [[0, 0.5, 2], [2_000, 0, 1]]),
        ("elapsed", None, [[0, 0.5, 2], [2_000, 0, 1]]),
        ("duration", 6, [[0, 0.5, 2], [2_000, 0, 1]]),
        # since it was created, 5 s
        ("turnaround", 6, [[0, 1, 2], [3_000, 0.5, 2], [5_000, 0, 1]]),
        ("turnaround", None, [[0, 1, 1], [3_000, 0, 1]]),
    ],
)
def test_an_end_without_a_start_is_an_end(
    status: str, measure: Measure, ended: int | None, expected: list[list[float]]
) -> None:
    jobs = timed_jobs((status, 1, None, ended), ("completed", 1, 2, 4))
    jobs["duration_ms"] = arrow([None, 2_000], pa.int64())
    found = rf.cumulative_incidence(jobs, measure=measure)

    assert found[["after_ms", "open", "at_risk"]].to_numpy().tolist() == expected
    last = found.iloc[-1]
    known = found["left_out"].iloc[0] == 0
    assert known == (measure != "turnaround" or ended is not None)
    share = 0.5 if known else 0
    assert last["completed"] == 1 - share
    assert last["failed"] == (share if status == "error" else 0)
    assert last["stopped"] == (0 if status == "error" else share)


def test_a_failed_job_that_started_needs_its_time() -> None:
    jobs = timed_jobs(("error", 0, 1, None), ("error", 0, 5, 2), ("completed", 0, 1, 2))
    found = rf.cumulative_incidence(jobs)
    assert found[["failed", "left_out"]].to_numpy().tolist() == [[0, 2], [0, 2]]


def test_incidence_ends_with_the_last_time_known() -> None:
    jobs = timed_jobs(("completed", 0, 0, 0), ("running", 0, 0, None))
    found = rf.cumulative_incidence(jobs, as_of="1970-01-01T00:00:10Z")

    assert found.to_numpy().tolist() == [
        [0, 0.5, 0, 0, 0.5, 2, 0],
        [10_000, 0.5, 0, 0, 0.5, 1, 0],
    ]


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
    """At each time the shares completed, failed, stopped and open are those of all jobs: 1."""
    jobs = jobs_of(
        [None] * len(rows),
        status=texts(*[row[0] for row in rows]),
        run_id=texts(*[row[3] for row in rows]),
        started_at=seconds(*[row[1] for row in rows]),
        completed_at=seconds(*[row[2] for row in rows]),
    )
    found = rf.cumulative_incidence(jobs, "run_id", as_of="1970-01-01T00:00:10Z")

    shares = found[["completed", "failed", "stopped", "open"]].to_numpy(float, na_value=np.nan)
    none_counts = found["at_risk"].to_numpy() == 0
    assert (np.abs(shares.sum(axis=1) - 1)[~none_counts] < 1e-12).all()
    assert np.isnan(shares[none_counts]).all()
    assert ((shares >= 0) & (shares <= 1))[~none_counts].all()
    assert set(found["run_id"].fillna("null")) == {row[3] or "null" for row in rows}
    for key, group in found.groupby("run_id", dropna=False):
        assert group["after_ms"].is_monotonic_increasing
        assert group["after_ms"].is_unique
        signs = (("completed", 1), ("failed", 1), ("stopped", 1), ("open", -1), ("at_risk", -1))
        for name, sign in signs:
            assert (group[name].diff().dropna() * sign >= 0).all(), name
        mine = [row for row in rows if row[3] == (None if pd.isna(key) else key)]
        assert group["at_risk"].iloc[0] + group["left_out"].iloc[0] == len(mine)


@pytest.mark.parametrize("count", [3, 7, 49, 107])
def test_no_share_leaves_its_bounds_by_rounding(count: int) -> None:
    """Sums of rounded shares do: at 49 jobs that were completed one after the other."""
    jobs = timed_jobs(*[("completed", 0, 0, n) for n in range(count)])
    found = rf.cumulative_incidence(jobs)
    assert found["completed"].max() <= 1
    assert found["completed"].iloc[-1] == pytest.approx(1, abs=1e-12)
    assert found["open"].min() >= 0


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

    assert found["run_id"].tolist() == ["b", "b", "c", "a", "a"]
    assert pa.array(found["failed"]).to_pylist() == [0, 0, None, 0, 1]
    assert found["left_out"].tolist() == [0, 0, 1, 0, 0]
    assert_frame_equal(none, found.iloc[:0])


def test_incidence_of_a_queue_is_refused() -> None:
    with pytest.raises(ValueError, match="measure must be duration, elapsed, turnaround"):
        rf.cumulative_incidence(jobs_of([1]), measure="queue")
