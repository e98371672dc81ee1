"""Timelines: how many jobs of a run waited and ran at each moment, and its parallelism."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from retab_frames.schemas.frames import FLOAT64, INT64, TIME, arrow_column
from retab_frames.schemas.intake import take_columns
from retab_frames.schemas.vocabulary import COMPLETED, FAILED, RUNNING, STOPPED, TERMINAL
from retab_frames.stats.groups import group_jobs, with_group_keys
from retab_frames.stats.samples import (
    FOR_LAST_SEEN,
    find_last_seen,
    has_status,
    to_microseconds,
)
from retab_frames.stats.units import check_unit, convert_durations

if TYPE_CHECKING:
    from collections.abc import Iterable

    from retab_frames.schemas.moments import Moment
    from retab_frames.stats.grouped_values import Flags, Ints
    from retab_frames.stats.units import Unit

__all__ = ["sweep", "take_times", "timeline"]

_NEEDED = ("run_id", "status", "is_placeholder", "created_at", "started_at", "completed_at")


@dataclass(frozen=True, eq=False)
class JobIntervals:
    """When each job waited and ran, in µs since 1970 UTC; one element per job.

    It waits from `created` to `started` and runs from `started` to `ended`.

    Attributes:
        run: The number of the job's run.
        created: When it was created; equal to `started` if it never waited.
        started: When it started; equal to `ended` if it never ran.
        ended: When it ended; for an unfinished job when it was last seen.
        is_started: Whether it ran at all.
        is_over: Whether it has ended.
    """

    run: Ints
    created: Ints
    started: Ints
    ended: Ints
    is_started: Flags
    is_over: Flags


def timeline(jobs: pd.DataFrame, *, as_of: Moment = None, unit: Unit = "ms") -> pd.DataFrame:
    """Return how many jobs of each run were waiting and running at each moment.

    A job waits from `created_at` to `started_at` (not at all if `created_at` is null) and runs
    until `completed_at`. A job that has not ended, or whose status this library does not know, goes
    on to the last row of its run: the last event, or the last time that such a job was seen. A job
    that failed or was stopped without a start never runs: it waits until its end, or only ends if
    `created_at` is null too. A negative span counts as 0.

    Left out, and counted as such, are jobs whose times do not say when they ran: completed or
    running ones without a start, ended ones without an end, and those without any time.
    Placeholders are no jobs yet.

    Args:
        jobs: A frame with the columns of JobsSchema, of one run or several.
        as_of: When the jobs that have not ended were last seen: a datetime or ISO 8601 text with a
            time zone; None takes `fetched_at` of each job.
        unit: As for `duration_stats`.

    Returns:
        One row per run and distinct moment, the runs in order of first appearance, the moments
        ascending: `run_id`, `at` (UTC); `waiting`, `running`, `ended` (counts from this moment
        until the next); `wall_clock_ms` (since the first start of the run; 0 before), `work_ms`
        (the total time that its jobs have run so far), `parallelism` (work / wall clock: the mean
        number of running jobs; null where the wall clock is 0); `left_out` (count, the same in all
        rows of a run). The last row of a run has its totals. A run of which all jobs are left out
        has no rows.

    Raises:
        TypeError: If `jobs` is not a frame of pandas, or `as_of` neither a datetime nor text.
        ValueError: If a column is missing or does not fit its type, the unit is not valid, `as_of`
            is not a valid time or has no time zone, or it is None and an unfinished job has no
            `fetched_at`.

    Example:
        >>> import retab_frames as rf
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         where = (sandbox.workflow_id, "exp_invoices")
        ...         jobs = rf.load_jobs(*where, run_id="exprun_invoices_4", client=client)
        >>> rf.timeline(jobs)["running"].max()
        4
    """
    check_unit(unit)
    jobs = take_times(jobs, as_of)
    keys, run = group_jobs(jobs, "run_id")
    counts = sweep(jobs, keys, run, as_of)
    return pd.DataFrame(convert_durations({str(k): v for k, v in counts.items()}, unit))


def take_times(jobs: pd.DataFrame, as_of: Moment, *, optional: Iterable[str] = ()) -> pd.DataFrame:
    """Return the jobs with the types of what a timeline reads.

    Args:
        jobs: As for `timeline`.
        as_of: As for `timeline`.
        optional: Further columns that are read if they are there.
    """
    last_seen = FOR_LAST_SEEN if as_of is None else ()
    return take_columns(jobs, _NEEDED, reader="timeline", optional=(*last_seen, *optional))


def sweep(jobs: pd.DataFrame, keys: pd.DataFrame, group: Ints, as_of: Moment) -> pd.DataFrame:
    """Return the timeline of each group of jobs, as `timeline` does of each run.

    Args:
        jobs: Jobs as `take_times` returns them.
        keys: The columns that name the groups, one row per group.
        group: The number of each job's group.
        as_of: As for `timeline`.
    """
    intervals = _make_intervals(jobs, group, as_of)
    is_placeholder = jobs["is_placeholder"].to_numpy(dtype=bool)
    placed = np.bincount(intervals.run, minlength=len(keys))
    left_out = np.bincount(group[~is_placeholder], minlength=len(keys)) - placed
    return _sweep(intervals, keys, left_out)


def _make_intervals(jobs: pd.DataFrame, run: Ints, as_of: Moment) -> JobIntervals:
    created, is_created = to_microseconds(jobs, "created_at")
    started, is_started = to_microseconds(jobs, "started_at")
    ended, is_ended = to_microseconds(jobs, "completed_at")
    is_over = has_status(jobs, TERMINAL)
    may_wait = is_created & ~has_status(jobs, (*COMPLETED, *RUNNING))
    only_ends = is_ended & has_status(jobs, (*FAILED, *STOPPED))
    is_placeholder = jobs["is_placeholder"].to_numpy(dtype=bool)
    kept = ~is_placeholder & (is_started | may_wait | only_ends) & (is_ended | ~is_over)
    created = np.where(is_created, created, np.where(is_started, started, ended))
    unfinished = kept & ~is_over
    ended[unfinished] = find_last_seen(jobs, as_of, among=unfinished)
    # if the clocks of several machines differ, a job may end before its start
    ended = np.maximum(ended, np.where(is_started, started, created))
    started = np.where(is_started, started, ended)
    return JobIntervals(
        run=run[kept],
        created=np.minimum(created, started)[kept],
        started=started[kept],
        ended=ended[kept],
        is_started=is_started[kept],
        is_over=is_over[kept],
    )


def _sweep(intervals: JobIntervals, keys: pd.DataFrame, left_out: Ints) -> pd.DataFrame:
    """Return the timeline: the running totals of what each job changes at its three times."""
    started, over = intervals.is_started, intervals.is_over
    zero = np.zeros(len(intervals.run), dtype=np.int64)
    changes = {  # when the job is created, starts and ends
        "waiting": (zero + 1, zero - (started | over), zero),
        "running": (zero, zero + started, zero - (started & over)),
        "ended": (zero, zero, zero + over),
    }
    run = np.tile(intervals.run, 3)
    at = np.concatenate([intervals.created, intervals.started, intervals.ended])
    order = np.lexsort((at, run))
    run, at = run[order], at[order]
    # the counts of a moment are those after the last of its changes
    is_last = np.ones(len(run), dtype=np.bool_)
    is_last[:-1] = (run[1:] != run[:-1]) | (at[1:] != at[:-1])
    run, at = run[is_last], at[is_last]
    first = np.flatnonzero(np.diff(run, prepend=-1))  # the first row of each run
    length = np.diff(first, append=len(run))
    counts = {
        name: _restart_totals(np.cumsum(np.concatenate(change)[order])[is_last], first, length)
        for name, change in changes.items()
    }
    begin = np.full(len(keys), np.iinfo(np.int64).max)
    np.minimum.at(begin, intervals.run[started], intervals.started[started])
    wall = np.maximum(at, begin[run]) - begin[run]
    # in whole microseconds: a sum of many doubles is not exact
    spent = np.concatenate([[0], np.cumsum(counts["running"][:-1] * np.diff(at))])[: len(at)]
    work = spent - np.repeat(spent[first], length)
    columns = {
        "at": arrow_column(at, TIME),
        **{name: arrow_column(count, INT64) for name, count in counts.items()},
        "wall_clock_ms": arrow_column(wall / 1000, FLOAT64),
        "work_ms": arrow_column(work / 1000, FLOAT64),
        "parallelism": arrow_column(work / np.where(wall > 0, wall, np.nan), FLOAT64),
        "left_out": arrow_column(left_out[run], INT64),
    }
    return with_group_keys(keys.iloc[run].reset_index(drop=True), columns)


def _restart_totals(total: Ints, first: Ints, length: Ints) -> Ints:
    """Return running totals that restart at 0 with each run."""
    before = np.concatenate([[0], total])[first]
    return np.asarray(total - np.repeat(before, length))
