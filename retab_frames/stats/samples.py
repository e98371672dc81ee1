"""What is measured of a job, in which groups, and what is known of one that has not ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.schemas.frames import FLOAT64, INT64, TIME
from retab_frames.schemas.moments import Moment, parse_moment
from retab_frames.schemas.vocabulary import COMPLETED, OPEN
from retab_frames.text.messages import did_you_mean, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retab_frames.stats.estimates import Flags, Floats, Ints

__all__ = [
    "COUNTS",
    "MEASURES",
    "SPANS",
    "Grouping",
    "Measure",
    "Sample",
    "censored_sample",
    "check_jobs",
    "check_measure",
    "columns_of",
    "completed_sample",
    "counts_of",
    "groups_of",
    "has_status",
    "last_seen",
    "measured",
    "rows_by_group",
    "to_microseconds",
    "with_group_keys",
]

Measure = Literal["duration", "queue", "elapsed", "turnaround"]
Grouping = str | Sequence[str] | pd.Series | None

SPANS: dict[str, tuple[str, str]] = {
    "queue": ("created_at", "started_at"),
    "elapsed": ("started_at", "completed_at"),
    "turnaround": ("created_at", "completed_at"),
}
"""The measures that are the time between two others."""
MEASURES = ("duration", *SPANS)

COUNTED_STATUSES: dict[str, tuple[str, ...]] = {
    "completed": COMPLETED,
    "error": ("error",),
    "cancelled": ("cancelled",),
    "unfinished": OPEN,
}
COUNTS = (*COUNTED_STATUSES, "placeholders", "other")
"""What the jobs of a group are counted as; together they are its jobs."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Sample:
    """What is known of a measure, for each job of a frame.

    Attributes:
        ms: The measure; of a censored job the time that it has taken so far.
        observed: Which jobs have come to the end of the measure.
        censored: Which have not, and are known to take at least so long.
        lost: Which have not, and have no time at which they began.
    """

    ms: Floats
    observed: Flags
    censored: Flags
    lost: Flags


def check_jobs(jobs: pd.DataFrame, needed: Sequence[str], reader: str) -> None:
    """Check that this is a frame of jobs that has the columns a function reads.

    Raises:
        TypeError: If it is no frame.
        ValueError: If a column is missing.
    """
    if not isinstance(jobs, pd.DataFrame):
        hint = "; give its .jobs" if isinstance(getattr(jobs, "jobs", None), pd.DataFrame) else ""
        raise TypeError(f"{reader} takes a frame of jobs, not {type(jobs).__name__}{hint}")
    missing = [name for name in needed if name not in jobs.columns]
    if missing:
        raise ValueError(
            f"this is no frame of jobs: it has no column {', '.join(missing)}"
            f"{did_you_mean(missing[0], map(str, jobs.columns), 3)}; load_jobs and "
            f"RunContent.jobs give frames that {reader} can read"
        )


def check_measure(measure: str, measures: Sequence[str] = MEASURES) -> None:
    """Check that a measure is one of these.

    Raises:
        ValueError: If it is not.
    """
    if measure not in measures:
        raise ValueError(f"measure must be {', '.join(measures)}, not {measure!r}")


def has_status(jobs: pd.DataFrame, statuses: Sequence[str]) -> Flags:
    """Tell which jobs have one of the statuses; a placeholder is no job and has none."""
    placeholder = jobs["is_placeholder"].to_numpy(dtype=bool, na_value=False)
    found: Flags = jobs["status"].isin(statuses).to_numpy(dtype=bool) & ~placeholder
    return found


def counts_of(jobs: pd.DataFrame, group: Ints, groups: int) -> dict[str, Ints]:
    """Return the jobs of each group, and how many of them count as what."""
    masks = {name: has_status(jobs, statuses) for name, statuses in COUNTED_STATUSES.items()}
    masks["placeholders"] = jobs["is_placeholder"].to_numpy(dtype=bool, na_value=False)
    masks["other"] = ~np.logical_or.reduce(list(masks.values()))
    counts = {name: np.bincount(group[mask], minlength=groups) for name, mask in masks.items()}
    return {"jobs": np.bincount(group, minlength=groups), **counts}


def measured(jobs: pd.DataFrame, measure: str) -> Floats:
    """Return the measure of each job in ms; NaN where there is none, or where it is negative."""
    if measure == "duration":
        return jobs["duration_ms"].to_numpy(dtype=np.float64, na_value=np.nan)
    begin, end = (_times(jobs, name) for name in SPANS[measure])
    # in whole microseconds: the difference of two doubles would not be exact
    span = pc.subtract(end, begin).cast(INT64)
    span = pc.if_else(pc.greater_equal(span, 0), span, None)
    millis = pc.divide(span.cast(FLOAT64), 1000)
    return np.asarray(millis.to_numpy(zero_copy_only=False), dtype=np.float64)


def columns_of(measure: str, *, censored: bool = False) -> tuple[str, ...]:
    """Return the columns that a measure is taken from, for jobs that have not ended too or not."""
    columns = SPANS.get(measure, ("duration_ms",))
    return ("started_at", *columns) if censored and measure == "duration" else columns


def completed_sample(jobs: pd.DataFrame, measure: str) -> Sample:
    """Return the measure of the completed jobs that have it."""
    ms = measured(jobs, measure)
    none = np.zeros(len(jobs), dtype=np.bool_)
    return Sample(ms, has_status(jobs, COMPLETED) & ~np.isnan(ms), none, none)


def censored_sample(jobs: pd.DataFrame, measure: str, as_of: Moment) -> Sample:
    """Return the measure of the completed jobs, and what is known of those that have not ended.

    A running job has taken the time since `started_at`; for the turnaround, any that has not ended
    the time since `created_at`. The queue of a job that has started has ended, that of one that has
    not is censored. A job last seen before it began (clocks differ) has taken 0 ms.

    Raises:
        ValueError: As `last_seen`.
    """
    done = completed_sample(jobs, measure)
    waiting = has_status(jobs, OPEN if measure in {"queue", "turnaround"} else ("running",))
    observed = done.observed
    if measure == "queue":
        observed = observed | (waiting & ~np.isnan(done.ms))
        waiting &= ~to_microseconds(jobs, "started_at")[1]
    begin, began = to_microseconds(
        jobs, "created_at" if measure in {"queue", "turnaround"} else "started_at"
    )
    censored = waiting & began
    ms = done.ms.copy()
    seen = last_seen(jobs[censored], as_of)
    ms[censored] = np.maximum(seen - begin[censored], 0) / 1000
    return Sample(ms, observed, censored, waiting & ~began)


def to_microseconds(jobs: pd.DataFrame, name: str) -> tuple[Ints, Flags]:
    """Return a column of times in µs since 1970 UTC, and which of them are there; 0 elsewhere."""
    times = _times(jobs, name)
    values = pc.fill_null(times.cast(INT64), 0).to_numpy(zero_copy_only=False)
    there = pc.is_valid(times).to_numpy(zero_copy_only=False)
    return values.astype(np.int64), there.astype(np.bool_)


def last_seen(jobs: pd.DataFrame, as_of: Moment) -> Ints:
    """Return when each job was last seen, in µs since 1970 UTC.

    Args:
        jobs: The jobs that have not ended.
        as_of: The moment of observation; None takes each job's `fetched_at`.

    Raises:
        TypeError: If `as_of` is neither a datetime nor text.
        ValueError: If it is not a valid time or has no time zone, or if it is None and a job has no
            `fetched_at`.
    """
    moment = parse_moment(as_of, "as_of")
    if moment is not None:
        return np.full(len(jobs), (moment - _EPOCH) // timedelta(microseconds=1), dtype=np.int64)
    if "fetched_at" in jobs.columns:
        seen, there = to_microseconds(jobs, "fetched_at")
    else:
        seen, there = np.zeros(len(jobs), dtype=np.int64), np.zeros(len(jobs), dtype=np.bool_)
    if not there.all():
        unseen = jobs[~there]
        runs = unseen["run_id"].drop_duplicates().tolist() if "run_id" in jobs.columns else []
        names = f" of {', '.join(printable(run) for run in runs[:3])}" if runs else ""
        more = f" and {len(runs) - 3} more" if len(runs) > 3 else ""  # noqa: PLR2004
        raise ValueError(
            f"{len(unseen)} unfinished jobs{names}{more} have no fetched_at, so it is not known "
            "when they were last seen: give as_of, e.g. as_of='2026-09-29T08:30:00Z'"
        )
    return seen


def groups_of(jobs: pd.DataFrame, by: Grouping) -> tuple[pd.DataFrame, Ints]:
    """Return a row of keys for each group, and the number of the group of each job.

    Groups come in order of first appearance; null is a key like any other. A Series goes by its
    index where that holds the index of the jobs, and by position where it has no labels of its own
    (0, 1, 2, ...) or the very labels of the jobs.

    Raises:
        ValueError: If a column is missing, or a Series does not fit the jobs.
    """
    if by is None:
        return pd.DataFrame(index=pd.RangeIndex(1)), np.zeros(len(jobs), dtype=np.int64)
    if isinstance(by, pd.Series):
        name = by.name if by.name is not None else "group"
        keys = _aligned(by, jobs).reset_index(drop=True).to_frame(name)
    else:
        keys = _columns(jobs, by)
    grouper = keys.groupby(list(keys.columns), sort=False, dropna=False, observed=True)
    number = grouper.ngroup().to_numpy().astype(np.int64)
    # any job of a group has its keys
    example = np.zeros(number.max(initial=-1) + 1, dtype=np.int64)
    example[number] = np.arange(len(number))
    return keys.iloc[example].reset_index(drop=True), number


def rows_by_group(kept: Flags, group: Ints) -> Iterator[tuple[int, Ints]]:
    """Yield the number of each group that has some of the jobs, and which they are."""
    rows = kept.nonzero()[0]
    rows = rows[np.argsort(group[rows], kind="stable")]
    numbers, starts = np.unique(group[rows], return_index=True)
    yield from zip(numbers.tolist(), np.split(rows, starts[1:]), strict=bool(len(numbers)))


def with_group_keys(keys: pd.DataFrame, columns: dict[str, pd.Series[Any]]) -> pd.DataFrame:
    """Return the columns beside the keys of their groups.

    Raises:
        ValueError: If a key has the name of a column.
    """
    taken = [name for name in keys.columns if name in columns]
    if taken:
        raise ValueError(f"a group cannot be named {taken[0]!r}, as a column is: rename it")
    return pd.DataFrame(keys.to_dict("series") | columns)


def _columns(jobs: pd.DataFrame, by: str | Sequence[str]) -> pd.DataFrame:
    names = [by] if isinstance(by, str) else list(dict.fromkeys(by))
    if not names:
        raise ValueError("`by` names no column; None takes all jobs as one group")
    missing = [name for name in names if name not in jobs.columns]
    if missing:
        names_of = printable(", ".join(map(str, missing)))
        hint = did_you_mean(str(missing[0]), map(str, jobs.columns), 3)
        raise ValueError(f"there is no column {names_of} to group by{hint}")
    return jobs[names].reset_index(drop=True)


def _aligned(by: pd.Series[Any], jobs: pd.DataFrame) -> pd.Series[Any]:
    if by.index.equals(jobs.index):
        return by
    if by.index.is_unique and jobs.index.is_unique and jobs.index.isin(by.index).all():
        return by.loc[jobs.index]
    if len(by) != len(jobs):
        raise ValueError(
            f"`by` has {len(by)} values for {len(jobs)} jobs, and its index lacks some of theirs"
        )
    if not by.index.equals(pd.RangeIndex(len(by))):
        raise ValueError(
            "`by` has another index than the jobs: give it theirs, or none of its own "
            "(by.reset_index(drop=True)) to go by position"
        )
    return by


def _times(jobs: pd.DataFrame, name: str) -> Any:
    # cast after the conversion: older pyarrow takes the numbers of another unit as they are
    options = pc.CastOptions(target_type=TIME, allow_time_truncate=True)
    return pc.cast(pa.array(jobs[name], from_pandas=True), options=options)
