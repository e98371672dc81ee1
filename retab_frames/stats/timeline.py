"""How many jobs ran and waited at each moment of a run, and what that says of its parallelism."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retab_frames.schemas.frames import FLOAT64, INT64, TIME, arrow_column
from retab_frames.schemas.vocabulary import COMPLETED, TERMINAL
from retab_frames.stats.samples import (
    check_jobs,
    groups_of,
    has_status,
    last_seen,
    to_microseconds,
    with_group_keys,
)

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.schemas.moments import Moment
    from retab_frames.stats.estimates import Flags, Ints

__all__ = ["timeline"]

_NEEDED = ("run_id", "status", "is_placeholder", "created_at", "started_at", "completed_at")


@dataclass(frozen=True, eq=False)
class JobIntervals:
    """When each job waited and ran, in µs since 1970; one element per job.

    Attributes:
        run: The number of the job's run.
        created: When it began to wait; its start, where it never did.
        started: When it left the queue; its end, where it ended without a start.
        ended: When it was over; for one that is not, when it was last seen.
        is_started: Whether it ran; else it waited all the time.
        is_over: Whether it has ended.
    """

    run: Ints
    created: Ints
    started: Ints
    ended: Ints
    is_started: Flags
    is_over: Flags


def timeline(jobs: pd.DataFrame, *, as_of: Moment = None) -> pd.DataFrame:
    """Return how many jobs of each run were waiting and running, from moment to moment.

    A job waits from `created_at` to `started_at` (not at all where it was not told when it was
    created) and runs to `completed_at`. One that has not ended, or is of a status that this library
    does not know, goes on to the last row of its run: the last event, or the last time that such a
    job was seen. One that ended without a start (cancelled while it waited) never runs. A span that
    would be negative has length 0.

    Left out are placeholders and jobs whose times do not tell when they ran: completed ones without
    start, ended ones without end, running ones without start, and those without any time.

    Args:
        jobs: A frame with the columns of JobsSchema; of one run or several.
        as_of: When the jobs that have not ended were last seen, with a time zone; None takes
            `fetched_at` of each job.

    Returns:
        One row per run and distinct moment, the runs in order of first appearance, the moments
        rising: `run_id`, `at` (UTC), `waiting`, `running`, `ended` (counts from this moment until
        the next; an end and a start at the same moment are one row), `wall_clock_ms` (since the
        first start of the run; 0 before), `work_ms` (the time all its jobs have run so far, added
        up), `parallelism` (work / wall clock: jobs running on average; null where that is 0).
        The last row of a run has its totals.

    Raises:
        ValueError: If a column is missing, `as_of` is none, or an unfinished job was last seen at
            an unknown time.

    Example:
        >>> import retab_frames as rf
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         where = (sandbox.workflow_id, "exp_invoices")
        ...         jobs = rf.load_jobs(*where, run_id="exprun_invoices_4", client=client)
        >>> rf.timeline(jobs)["running"].max()
        4
    """
    check_jobs(jobs, _NEEDED, "timeline")
    keys, run = groups_of(jobs, "run_id")
    return _sweep(_job_intervals(jobs, run, as_of), keys)


def _job_intervals(jobs: pd.DataFrame, run: Ints, as_of: Moment) -> JobIntervals:
    created, is_created = to_microseconds(jobs, "created_at")
    started, is_started = to_microseconds(jobs, "started_at")
    ended, is_ended = to_microseconds(jobs, "completed_at")
    is_over = has_status(jobs, TERMINAL)
    may_wait = is_created & ~has_status(jobs, (*COMPLETED, "running"))
    real = ~jobs["is_placeholder"].to_numpy(dtype=bool, na_value=False)
    kept = real & (is_started | may_wait) & (is_ended | ~is_over)
    created = np.where(is_created, created, started)
    begun = np.where(is_started, started, created)
    unseen = kept & ~is_over
    ended[unseen] = last_seen(jobs[unseen], as_of)
    # with the clocks of several machines a job may end before it began
    ended = np.maximum(ended, begun)
    started = np.where(is_started, started, ended)
    return JobIntervals(
        run=run[kept],
        created=np.minimum(created, started)[kept],
        started=started[kept],
        ended=ended[kept],
        is_started=is_started[kept],
        is_over=is_over[kept],
    )


def _sweep(intervals: JobIntervals, keys: pd.DataFrame) -> pd.DataFrame:
    """Return a row per run and moment, from the changes that each job brings."""
    started, over = intervals.is_started, intervals.is_over
    none = np.zeros(len(intervals.run), dtype=np.int64)
    changes = {
        "waiting": (none + 1, none - (started | over), none),
        "running": (none, none + started, none - (started & over)),
        "ended": (none, none, none + over),
    }
    run = np.tile(intervals.run, 3)
    at = np.concatenate([intervals.created, intervals.started, intervals.ended])
    order = np.lexsort((at, run))
    run, at = run[order], at[order]
    is_last = np.ones(len(run), dtype=np.bool_)
    is_last[:-1] = (run[1:] != run[:-1]) | (at[1:] != at[:-1])
    run, at = run[is_last], at[is_last]
    first = np.flatnonzero(np.diff(run, prepend=-1))
    length = np.diff(first, append=len(run))
    counts = {
        name: _anew(np.cumsum(np.concatenate(change)[order])[is_last], first, length)
        for name, change in changes.items()
    }
    begin = np.full(len(keys), np.iinfo(np.int64).max)
    np.minimum.at(begin, intervals.run[started], intervals.started[started])
    wall = np.maximum(at, begin[run]) - begin[run]
    work = _work(counts["running"], at, first, length)
    columns = {
        "at": arrow_column(at, TIME),
        **{name: arrow_column(count, INT64) for name, count in counts.items()},
        "wall_clock_ms": arrow_column(wall / 1000, FLOAT64),
        "work_ms": arrow_column(work / 1000, FLOAT64),
        "parallelism": arrow_column(work / np.where(wall > 0, wall, np.nan), FLOAT64),
    }
    return with_group_keys(keys.iloc[run].reset_index(drop=True), columns)


def _anew(total: Ints, first: Ints, length: Ints) -> Ints:
    """Return a running total that begins anew with each run."""
    before = np.concatenate([[0], total])[first]
    return np.asarray(total - np.repeat(before, length))


def _work(running: Ints, at: Ints, first: Ints, length: Ints) -> Ints:
    """Return how long all jobs of a run together have run before each moment, in µs."""
    # whole microseconds: a sum of many doubles is not exact
    spent = running[:-1] * np.diff(at)
    work = np.concatenate([[0], np.cumsum(spent)])[: len(at)]
    return np.asarray(work - np.repeat(work[first], length))
