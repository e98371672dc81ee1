"""Samples: a measure of each job in ms, and whether the job has reached the end of it.

The jobs here came through the door of `schemas.intake`: their columns have their types.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.schemas.frames import FLOAT64, INT64, STRING
from retab_frames.schemas.moments import Moment, count_microseconds, parse_moment
from retab_frames.schemas.vocabulary import COMPLETED, OPEN, RUNNING
from retab_frames.stats.measures import SPANS
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from retab_frames.stats.grouped_values import Flags, Floats, Ints

    Kinds = np.ndarray[Any, np.dtype[np.uint8]]

__all__ = [
    "FOR_LAST_SEEN",
    "Sample",
    "find_kinds",
    "find_last_seen",
    "has_status",
    "make_censored_sample",
    "make_sample",
    "measure_jobs",
    "to_microseconds",
]

FOR_LAST_SEEN = ("run_id", "fetched_at")
"""The columns that `find_last_seen` reads if they are there and no time is given."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A measure of each job of a frame, one element per job.

    Attributes:
        ms: The measure; of a censored job the time that it has taken so far; NaN if unknown.
        observed: Whether the measure is complete, so that `ms` is its value.
        completed: Whether it is, and the job was completed; the queue time of a running job is
            complete too.
        censored: Whether the job is unfinished, so that the measure is at least `ms`.
        start_unknown: Whether the job is unfinished and lacks the time at which the measure begins,
            so that nothing is known of it.
    """

    ms: Floats
    observed: Flags
    completed: Flags
    censored: Flags
    start_unknown: Flags


def has_status(jobs: pd.DataFrame, statuses: Sequence[str]) -> Flags:
    """Return whether each job has one of the statuses; a placeholder has none."""
    found: Flags = find_kinds(jobs, [statuses]) == 0
    return found


def find_kinds(jobs: pd.DataFrame, kinds: Sequence[Sequence[str]]) -> Kinds:
    """Return the number of the kind of each job's status.

    Args:
        jobs: The jobs.
        kinds: The statuses of each kind; no status is of two.

    Returns:
        One number per job: from 0 for the kinds, then `len(kinds)` for a placeholder, and one more
        for a status of no kind.
    """
    words = [status for kind in kinds for status in kind]
    of_word = [number for number, kind in enumerate(kinds) for _ in kind]
    of_index = np.array([*of_word, len(kinds) + 1], dtype=np.uint8)
    index = pc.index_in(pa.array(jobs["status"]), pa.array(words, STRING))
    found: Kinds = of_index[pc.fill_null(index, len(words)).to_numpy(zero_copy_only=False)]
    found[jobs["is_placeholder"].to_numpy(dtype=bool)] = len(kinds)
    return found


def measure_jobs(jobs: pd.DataFrame, measure: str) -> Floats:
    """Return the measure of each job in ms; NaN where a time is missing or the span is negative."""
    if measure == "duration":
        return jobs["duration_ms"].to_numpy(dtype=np.float64, na_value=np.nan)
    begin, end = (pa.array(jobs[name]) for name in SPANS[measure])
    # in whole microseconds: the difference of two doubles would not be exact
    span = pc.subtract(end, begin).cast(INT64)
    span = pc.if_else(pc.greater_equal(span, 0), span, None)
    # from 285 years on, a double does not hold every microsecond
    millis = pc.divide(span.cast(FLOAT64, safe=False), 1000)
    return np.asarray(millis.to_numpy(zero_copy_only=False), dtype=np.float64)


def make_sample(jobs: pd.DataFrame, measure: str) -> Sample:
    """Return the sample of the completed jobs; no job is censored."""
    ms = measure_jobs(jobs, measure)
    none = np.zeros(len(jobs), dtype=np.bool_)
    completed = has_status(jobs, COMPLETED) & ~np.isnan(ms)
    return Sample(ms, completed, completed, none, none)


def make_censored_sample(jobs: pd.DataFrame, measure: str, as_of: Moment) -> Sample:
    """Return the sample of the completed jobs, with the unfinished ones right-censored.

    Censored are running jobs since `started_at`; for the turnaround all unfinished jobs since
    `created_at`. The queue time of a job that has started is observed, that of an unfinished job
    that has not started is censored. A job last seen before its start (clocks differ) has taken
    0 ms.

    Raises:
        TypeError, ValueError: As `find_last_seen`.
    """
    done = make_sample(jobs, measure)
    begins_created = measure in {"queue", "turnaround"}
    unfinished = has_status(jobs, OPEN if begins_created else RUNNING)
    observed = done.observed
    if measure == "queue":
        observed = observed | (unfinished & ~np.isnan(done.ms))
        unfinished &= ~to_microseconds(jobs, "started_at")[1]
    begin, has_begun = to_microseconds(jobs, "created_at" if begins_created else "started_at")
    censored = unfinished & has_begun
    ms = done.ms.copy()
    last_seen = find_last_seen(jobs, as_of, among=censored)
    ms[censored] = np.maximum(last_seen - begin[censored], 0) / 1000
    return Sample(ms, observed, done.completed, censored, unfinished & ~has_begun)


def to_microseconds(jobs: pd.DataFrame, name: str) -> tuple[Ints, Flags]:
    """Return a column of times in µs since 1970 UTC, 0 for null, and which of them are not null."""
    times = pa.array(jobs[name])
    values = pc.fill_null(times.cast(INT64), 0).to_numpy(zero_copy_only=False)
    is_known = pc.is_valid(times).to_numpy(zero_copy_only=False)
    return values.astype(np.int64), is_known.astype(np.bool_)


def find_last_seen(jobs: pd.DataFrame, as_of: Moment, *, among: Flags | None = None) -> Ints:
    """Return when each job was last seen, in µs since 1970 UTC.

    Args:
        jobs: The jobs.
        as_of: The time at which all were seen; None takes each job's `fetched_at`.
        among: Which of the jobs have not ended and are asked for; None if all are.

    Raises:
        TypeError: If `as_of` is neither a datetime nor text.
        ValueError: If it is not a valid time or has no time zone, or if it is None and a job has no
            `fetched_at`.
    """
    moment = parse_moment(as_of, "as_of")
    if moment is not None:
        rows = len(jobs) if among is None else np.count_nonzero(among)
        return np.full(rows, count_microseconds(moment), dtype=np.int64)
    # of the other columns Arrow may have a type of which it cannot take some rows
    jobs = jobs[[name for name in FOR_LAST_SEEN if name in jobs.columns]]
    jobs = jobs if among is None else jobs[among]
    if "fetched_at" in jobs.columns:
        seen, is_known = to_microseconds(jobs, "fetched_at")
    else:
        seen, is_known = np.zeros(len(jobs), dtype=np.int64), np.zeros(len(jobs), dtype=np.bool_)
    if not is_known.all():
        unseen = jobs[~is_known]
        runs = unseen["run_id"].drop_duplicates().tolist() if "run_id" in jobs.columns else []
        names = f" of {', '.join(printable(run) for run in runs[:3])}" if runs else ""
        more = f" and {len(runs) - 3} more" if len(runs) > 3 else ""  # noqa: PLR2004
        raise ValueError(
            f"{len(unseen)} unfinished jobs{names}{more} have no fetched_at, so it is unknown when "
            "they were last seen: give as_of, for example as_of='2026-09-29T08:30:00Z'"
        )
    return seen
