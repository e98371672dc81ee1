from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from factories import SECOND, TIME_TYPE as TIME, arrow, seconds, texts, timed_jobs
from hypothesis import given, settings, strategies as st
from pandas.testing import assert_frame_equal

import retab_frames as rf
from retab_frames.schemas.vocabulary import FAILED, STOPPED

if TYPE_CHECKING:
    from random import Random

AT_20 = "1970-01-01T00:00:20Z"
Row = tuple[str, int | None, int | None, int | None]


def plain(frame: pd.DataFrame) -> list[list[Any]]:
    """Return the rows with seconds and None, without the run."""
    at = (frame["at"].astype(pd.ArrowDtype(pa.int64())) / SECOND).tolist()
    rest = frame.drop(columns=["run_id", "at", "left_out"]).astype(object)
    rows = rest.where(rest.notna(), None).to_numpy().tolist()
    return [[moment, *row] for moment, row in zip(at, rows, strict=True)]


def test_worked_by_hand() -> None:
    jobs = timed_jobs(
        ("completed", 0, 1, 4),
        ("error", 0, 2, 4),
        ("completed", 0, 4, 5),
        ("completed", 8, 8, 10),
    )
    assert plain(rf.timeline(jobs)) == [
        # at, waiting, running, ended, wall clock, work, parallelism
        [0, 3, 0, 0, 0, 0, None],
        [1, 2, 1, 0, 0, 0, None],
        [2, 1, 2, 0, 1_000, 1_000, 1.0],
        [4, 0, 1, 2, 3_000, 5_000, 5 / 3],
        [5, 0, 0, 3, 4_000, 6_000, 1.5],
        [8, 0, 1, 3, 7_000, 6_000, 6 / 7],
        [10, 0, 0, 4, 9_000, 8_000, 8 / 9],
    ]


def test_columns_and_their_types() -> None:
    found = rf.timeline(timed_jobs(("completed", 0, 1, 4)))
    count, real = pa.int64(), pa.float64()
    assert {name: dtype.pyarrow_dtype for name, dtype in found.dtypes.items()} == {
        "run_id": pa.string(),
        "at": TIME,
        "waiting": count,
        "running": count,
        "ended": count,
        "wall_clock_ms": real,
        "work_ms": real,
        "parallelism": real,
        "left_out": count,
    }
    assert_frame_equal(rf.timeline(timed_jobs()), found.iloc[:0])


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        # not over: until it was last seen
        (("running", 0, 1, None), [[0, 1, 0], [1, 0, 1], [20, 0, 1]]),
        (("pending", 0, None, None), [[0, 1, 0], [20, 1, 0]]),
        (("paused_by_hand", 0, 1, None), [[0, 1, 0], [1, 0, 1], [20, 0, 1]]),
        # over without a start
        (("cancelled", 0, None, 3), [[0, 1, 0], [3, 0, 0]]),
        (("skipped", 3, None, 1), [[3, 0, 0]]),
        (("error", None, None, 3), [[3, 0, 0]]),
        (("cancelled", None, None, 3), [[3, 0, 0]]),
        # created_at is null
        (("completed", None, 1, 2), [[1, 0, 1], [2, 0, 0]]),
        # clocks that differ
        (("completed", 5, 1, 2), [[1, 0, 1], [2, 0, 0]]),
        (("completed", 0, 2, 1), [[0, 1, 0], [2, 0, 0]]),
        (("running", 30, 30, None), [[30, 0, 1]]),
        # unknown when they ran
        (("completed", 0, None, 2), []),
        (("completed", 0, 1, None), []),
        (("running", 0, None, None), []),
        (("pending", None, None, None), []),
        (("paused_by_hand", None, None, 3), []),
        (("cancelled", 0, None, None), []),
    ],
)
def test_jobs_with_missing_or_contradicting_times(row: Row, expected: list[list[int]]) -> None:
    found = plain(rf.timeline(timed_jobs(row), as_of=AT_20))
    assert [moment[:3] for moment in found] == expected


def test_placeholders_are_no_jobs_yet() -> None:
    jobs = timed_jobs(("pending", 0, None, None), ("completed", 1, 1, 2))
    jobs["is_placeholder"] = arrow([True, False], pa.bool_())
    found = rf.timeline(jobs)
    assert [row[:3] for row in plain(found)] == [[1, 0, 1], [2, 0, 0]]
    assert found["left_out"].tolist() == [0, 0]


def test_jobs_whose_times_are_not_known_are_counted() -> None:
    a = timed_jobs(("completed", 0, 1, 4), ("completed", 0, None, 4), ("error", 0, 1, None))
    b = timed_jobs(("cancelled", 0, None, 2)).assign(run_id=texts("b"))
    found = rf.timeline(pd.concat([a, b], ignore_index=True))
    assert found["left_out"].tolist() == [2, 2, 2, 0, 0]
    assert found["ended"].tolist() == [0, 0, 1, 0, 1]


def test_an_unfinished_job_goes_on_until_the_last_moment_known_of_its_run() -> None:
    jobs = timed_jobs(
        ("running", 0, 1, None), ("running", 0, 1, None), ("completed", 0, 1, 9), ("x", 0, 1, None)
    )
    jobs["run_id"] = texts("a", "a", "a", "b")
    jobs["fetched_at"] = seconds(3, 4, None, 5)
    found = rf.timeline(jobs).groupby("run_id", sort=False).tail(1)

    assert plain(found) == [[9, 0, 2, 1, 8_000, 24_000, 3.0], [5, 0, 1, 0, 4_000, 4_000, 1.0]]


def test_an_unfinished_job_that_was_last_seen_at_an_unknown_time() -> None:
    jobs = timed_jobs(("running", 0, 1, None), ("completed", 0, 1, 9))
    with pytest.raises(ValueError, match=r"1 unfinished jobs of exprun_1 have no fetched_at"):
        rf.timeline(jobs)


def test_runs_come_in_order_of_first_appearance_and_do_not_mix() -> None:
    one = timed_jobs(("completed", 0, 1, 4), ("completed", 0, 3, 6))
    two = timed_jobs(("completed", 2, 3, 5)).assign(run_id=texts("exprun_0"))
    both = rf.timeline(pd.concat([one.iloc[:1], two, one.iloc[1:]], ignore_index=True))

    expected = pd.concat([rf.timeline(one), rf.timeline(two)], ignore_index=True)
    assert_frame_equal(both, expected)


def test_totals_are_those_of_the_jobs() -> None:
    rng = np.random.default_rng(4)
    start = rng.uniform(0, 100, 300).round(3)
    end = start + rng.lognormal(1, 1, 300).round(3)
    jobs = timed_jobs(*[("completed", 0, s, e) for s, e in zip(start, end, strict=True)])
    last = rf.timeline(jobs).iloc[-1]

    elapsed = rf.duration_stats(jobs, measure="elapsed")["total_ms"][0]
    assert last["work_ms"] == pytest.approx(elapsed, rel=1e-12)
    assert last["wall_clock_ms"] == pytest.approx(1_000 * (end.max() - start.min()))
    assert last["parallelism"] == pytest.approx(last["work_ms"] / last["wall_clock_ms"])
    assert last[["waiting", "running", "ended"]].tolist() == [0, 0, 300]


def test_long_runs_are_exact_to_the_microsecond() -> None:
    year = 365 * 24 * 3600
    jobs = timed_jobs(*[("completed", 0, 0, year)] * 1_000, ("completed", 0, 0, 1e-6))
    assert rf.timeline(jobs)["work_ms"].iloc[-1] == (1_000 * year * SECOND + 1) / 1_000


moment = st.integers(0, 12)
row = st.tuples(
    st.sampled_from(["completed", "error", "cancelled", "running", "pending", "unheard_of"]),
    *[st.none() | moment] * 3,
)


@settings(deadline=None)
@given(st.lists(row, max_size=12))
def test_equal_to_counting_the_jobs_at_each_moment(rows: list[Row]) -> None:
    """At any moment a job waits, runs, has ended, or is not there yet."""
    found = plain(rf.timeline(timed_jobs(*rows), as_of=AT_20))
    intervals = [interval for interval in map(interval_of, rows) if interval]
    moments = sorted({at for s in intervals for at in (s.created, s.started, s.ended)})

    assert [entry[0] for entry in found] == moments
    left_out = rf.timeline(timed_jobs(*rows), as_of=AT_20)["left_out"]
    assert left_out.tolist() == [len(rows) - len(intervals)] * len(moments)
    first = min((interval.started for interval in intervals if interval.ran), default=99)
    for at, *counted, wall, work, parallelism in found:
        waiting = [s.created <= at and (at < s.started or s.waits_on) for s in intervals]
        running = [s.ran and s.started <= at and (at < s.ended or not s.over) for s in intervals]
        ended = [s.over and s.ended <= at for s in intervals]
        assert counted == [sum(waiting), sum(running), sum(ended)]
        assert wall == 1_000 * max(at - first, 0)
        assert work == 1_000 * sum(max(min(at, s.ended) - s.started, 0) for s in intervals if s.ran)
        assert parallelism == (pytest.approx(work / wall) if wall else None)


class Interval(NamedTuple):
    created: int
    started: int
    ended: int
    ran: bool
    over: bool

    @property
    def waits_on(self) -> bool:
        return not self.ran and not self.over


def interval_of(row: Row) -> Interval | None:
    status, created, started, completed = row
    over = status in {"completed", *FAILED, *STOPPED}
    begun = created if started is None else started
    if begun is None and status in {*FAILED, *STOPPED}:
        begun = completed
    if begun is None or (over and completed is None):
        return None
    if started is None and status in {"completed", "running"}:
        return None
    ended = max(completed, begun) if over and completed is not None else 20
    left = ended if started is None else started
    came = left if created is None else min(created, left)
    return Interval(came, left, ended, started is not None, over)


@settings(deadline=None)
@given(st.lists(row, max_size=12), st.randoms())
def test_the_order_of_rows_changes_nothing(rows: list[Row], random: Random) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    first, second = (rf.timeline(timed_jobs(*each), as_of=AT_20) for each in (rows, shuffled))
    assert_frame_equal(second, first)
