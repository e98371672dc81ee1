"""How long jobs take."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from retab_frames.schemas.frames import BOOL, FLOAT64, INT64, STRING, arrow_column
from retab_frames.schemas.vocabulary import COMPLETED
from retab_frames.stats.estimates import checked_confidence, grouped
from retab_frames.stats.on_dask import by_group, is_distributed
from retab_frames.stats.samples import (
    censored_sample,
    check_jobs,
    check_measure,
    columns_of,
    completed_sample,
    counts_of,
    groups_of,
    has_status,
    rows_by_group,
    with_group_keys,
)
from retab_frames.stats.survival import Survival

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import dask.dataframe as dd

    from retab_frames.schemas.moments import Moment
    from retab_frames.stats.estimates import Flags, Floats, Groups, Ints
    from retab_frames.stats.samples import Grouping, Measure, Sample

__all__ = ["Unfinished", "duration_stats", "slowest"]

Unfinished = Literal["exclude", "censor"]

_STILL = {"queue": "waiting", "turnaround": "unfinished"}
"""What a censored job still is; by default running."""
_NAMES = ("run_id", "document_id", "job_id", "filename")
_INSIDE = 1e-9
"""A curve knows no quantile of 0 or 1; this near to them it gives its first and its last step."""


def duration_stats(
    jobs: pd.DataFrame | dd.DataFrame,
    by: Grouping = None,
    *,
    measure: Measure = "duration",
    quantiles: Sequence[float] = (0.5, 0.9, 0.95, 0.99),
    confidence: float = 0.95,
    unfinished: Unfinished = "exclude",
    as_of: Moment = None,
) -> pd.DataFrame:
    """Return counts and duration statistics of groups of jobs.

    The statistics are of the completed jobs that have the measure; all others are counted beside
    them, so that a group's counts add up to its jobs. Outliers are counted, never dropped.

    Of a run that still runs the short jobs are completed first, so that its statistics are too low.
    `unfinished="censor"` corrects the quantiles: a job that has taken 8 s so far takes at least
    8 s, and Kaplan and Meier (1958) say what that tells of the quantiles. Failed jobs stay out:
    failing is another end, not a long duration, and `cumulative_incidence` shows both.

    Args:
        jobs: A frame with the columns of JobsSchema; or a Dask frame of them, as
            `scan(engine="dask")` gives it, which is worked on where it lies.
        by: A column, a list of columns, or a Series: by its index where that holds the index of
            the jobs, by position where it has none of its own; None is one group of all.
        measure: "duration" is `duration_ms` as the API reports it, "queue" the time from created to
            started, "elapsed" from started to completed, "turnaround" from created to completed.
            They need not agree. A negative span is not measured.
        quantiles: Between 0 and 1; linear (type 7), equal to `Series.quantile`.
        confidence: Of the intervals of the quantiles, which are order statistics and hold for any
            distribution. An end that a group is too small for is null: unbounded.
        unfinished: "exclude" leaves out jobs that have not ended. "censor" takes the quantiles of
            each group that has some from its Kaplan-Meier curve (type 1: an observed value), the
            intervals from the log-log band; a quantile that the curve does not reach is null, and
            `note` says so. Censored are running jobs since `started_at` (for "turnaround" all
            unfinished ones since `created_at`; for "queue" those that have not started, while a
            running one counts as started). Total, mean, std, min, max and outliers stay those of
            completed jobs. A group without unfinished jobs is the same either way.
        as_of: When the unfinished jobs were last seen, with a time zone; None takes `fetched_at`
            of each job. A moment before the start (clocks differ) counts as the start.

    Returns:
        One row per group in order of first appearance: the group's columns; `jobs`, `completed`,
        `error`, `cancelled`, `unfinished`, `placeholders`, `other` (skipped, null, or a status
        newer than this library), `measured` (completed and with the measure) and `censored`
        (counts);
        `total_ms`, `mean_ms`, `std_ms` (n - 1), `min_ms`, then `p50_ms`, `p50_low_ms`,
        `p50_high_ms` for each quantile, `max_ms` (doubles, null where nothing was measured);
        `outliers` (count; modified z of 3.5 on the log scale); `note` (text, null where there is
        nothing to say of unfinished jobs).

    Raises:
        ValueError: If a column is missing; if a quantile, the confidence, the measure, `unfinished`
            or `as_of` is none; if an unfinished job was last seen at an unknown time.

    Example:
        >>> import retab_frames as rf
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         runs = rf.load_runs(sandbox.workflow_id, "exp_invoices", client=client)
        ...         jobs = rf.load_jobs(
        ...             sandbox.workflow_id, "exp_invoices", run_id=runs.run_id, client=client
        ...         )
        >>> rf.duration_stats(jobs, by="run_id")[["run_id", "jobs", "completed", "measured"]].shape
        (5, 4)
        >>> late = rf.duration_stats(jobs, unfinished="censor", as_of="2026-09-29T08:18:58Z")
        >>> late[["measured", "censored"]].iloc[0].tolist()
        [47, 4]
    """
    check_measure(measure)
    _check_arguments(quantiles, confidence, unfinished, as_of)
    censoring = unfinished == "censor"
    needed = ("status", "is_placeholder", *columns_of(measure, censored=censoring))
    if is_distributed(jobs):
        settings: Any = {"measure": measure, "quantiles": quantiles, "confidence": confidence}
        settings |= {"unfinished": unfinished, "as_of": as_of}
        last_seen = ("run_id", "fetched_at") if censoring else ()
        statistic = partial(duration_stats, by=by, **settings)
        return by_group(jobs, by, statistic, columns=(*needed, *last_seen))
    check_jobs(jobs, needed, "duration_stats")
    keys, group = groups_of(jobs, by)
    sample = censored_sample(jobs, measure, as_of) if censoring else completed_sample(jobs, measure)
    seen = grouped(sample.ms[sample.observed], group[sample.observed], len(keys))
    completed = has_status(jobs, COMPLETED) & sample.observed
    more = len(seen.values) > completed.sum()
    done = grouped(sample.ms[completed], group[completed], len(keys)) if more else seen
    counts = counts_of(jobs, group, len(keys))
    counts |= {"measured": done.sizes, "censored": _sums(sample.censored, group, len(keys))}
    points = _quantiles(seen, quantiles, confidence)
    for number, curve in _curves(sample, group):
        _follow(points, number, curve, quantiles, confidence)
    lost = _sums(sample.lost, group, len(keys))
    notes = (
        _censored_notes(counts, seen.sizes, points, lost, measure) if censoring else _notes(counts)
    )
    columns = {name: arrow_column(count, INT64) for name, count in counts.items()}
    for name, value in _statistics(done, points).items():
        columns[f"{name}_ms"] = arrow_column(value, FLOAT64)
    columns["outliers"] = arrow_column(done.outliers(), INT64)
    columns["note"] = arrow_column(notes, STRING)
    return with_group_keys(keys, columns)


def slowest(jobs: pd.DataFrame, n: int = 10, *, measure: Measure = "duration") -> pd.DataFrame:
    """Return the completed jobs that took longest, and how far each is from the rest of its run.

    Args:
        jobs: A frame with the columns of JobsSchema.
        n: At most so many rows.
        measure: As for `duration_stats`.

    Returns:
        The longest first, ties by run and job: `run_id`, `document_id`, `job_id`, `filename`; the
        measure, as `duration_ms`, `queue_ms`, ... (double); `ratio_to_run_median`, its ratio to the
        median of its run's completed jobs (null where that is 0); `is_outlier`, whether it is one
        of the outliers that `duration_stats(jobs, by="run_id")` counts.

    Raises:
        ValueError: If a column is missing, the measure is none, or n is negative.
    """
    check_measure(measure)
    if n < 0:
        raise ValueError(f"n is how many jobs to return, not {n}")
    check_jobs(jobs, (*_NAMES, "status", "is_placeholder", *columns_of(measure)), "slowest")
    sample = completed_sample(jobs, measure)
    kept = sample.observed.nonzero()[0]
    ms, names = sample.ms[kept], jobs[list(_NAMES)].iloc[kept]
    keys, group = groups_of(names, "run_id")
    groups = grouped(ms, group, len(keys))
    median = groups.quantile(0.5)[group]
    frame = pd.DataFrame(
        {
            **names.reset_index(drop=True),
            f"{measure}_ms": arrow_column(ms, FLOAT64),
            "ratio_to_run_median": arrow_column(ms / np.where(median > 0, median, np.nan), FLOAT64),
            "is_outlier": arrow_column(groups.is_outlier(ms, group), BOOL),
        }
    )
    # sorting all jobs for the sake of a few would be slow
    last = np.partition(ms, -n)[-n] if 0 < n < len(ms) else -np.inf
    order = [f"{measure}_ms", "run_id", "job_id"]
    top = frame[ms >= last].sort_values(order, ascending=[False, True, True], kind="stable")
    return top.head(n).reset_index(drop=True)


def _statistics(done: Groups, points: dict[str, Floats]) -> dict[str, Floats]:
    return {
        "total": done.total(),
        "mean": done.mean(),
        "std": done.std(),
        "min": done.quantile(0),
        **points,
        "max": done.quantile(1),
    }


def _quantiles(seen: Groups, quantiles: Sequence[float], confidence: float) -> dict[str, Floats]:
    points = {}
    for q in quantiles:
        points[_name(q)] = seen.quantile(q)
        low, high = seen.quantile_interval(q, confidence)
        points[f"{_name(q)}_low"], points[f"{_name(q)}_high"] = low, high
    return points


def _name(q: float) -> str:
    return f"p{100 * q:.10g}"


def _curves(sample: Sample, group: Ints) -> Iterator[tuple[int, Survival]]:
    """Yield the Kaplan-Meier curve of each group that has censored jobs."""
    concerned = np.isin(group, group[sample.censored])
    for number, mine in rows_by_group((sample.observed | sample.censored) & concerned, group):
        yield number, Survival(sample.ms[mine], sample.observed[mine])


def _follow(
    points: dict[str, Floats],
    number: int,
    curve: Survival,
    quantiles: Sequence[float],
    confidence: float,
) -> None:
    """Replace the quantiles of one group by those of its curve."""
    for q in quantiles:
        found = curve.quantile(min(max(q, _INSIDE), 1 - _INSIDE), confidence)
        for end, value in (("", found.value), ("_low", found.low), ("_high", found.high)):
            points[f"{_name(q)}{end}"][number] = value


def _notes(counts: dict[str, Ints]) -> list[str | None]:
    return [f"{n} unfinished left out: biased low" if n else None for n in counts["unfinished"]]


def _censored_notes(
    counts: dict[str, Ints], sizes: Ints, points: dict[str, Floats], lost: Ints, measure: str
) -> list[str | None]:
    """Say of each group with unfinished jobs what its statistics are of."""
    notes: list[str | None] = [None] * len(sizes)
    still = _STILL.get(measure, "running")
    names = [name for name in points if not name.endswith(("_low", "_high"))]
    for number in (counts["censored"] + lost).nonzero()[0].tolist():
        count, measured = int(counts["censored"][number]), int(counts["measured"][number])
        said = []
        if count:
            missing = [name for name in names if np.isnan(points[name][number])]
            reached = f"{', '.join(missing)} not reached: " if missing else ""
            said.append(f"{reached}{count} of {count + sizes[number]} still {still}")
        if lost[number]:
            said.append(f"{lost[number]} more left out, it is not known since when: biased low")
        if count and measured:
            said.append(f"mean, total and extremes are of the {measured} completed")
        notes[number] = "; ".join(said)
    return notes


def _check_arguments(
    quantiles: Sequence[float], confidence: float, unfinished: str, as_of: Moment
) -> None:
    if isinstance(quantiles, float | int) or not all(0 <= q <= 1 for q in quantiles):
        raise ValueError(f"quantiles lie between 0 and 1, not {quantiles!r}")
    checked_confidence(confidence)
    if unfinished not in {"exclude", "censor"}:
        raise ValueError(f"unfinished must be exclude or censor, not {unfinished!r}")
    if as_of is not None and unfinished != "censor":
        raise ValueError('as_of is of use only with unfinished="censor"')


def _sums(mask: Flags, group: Ints, groups: int) -> Ints:
    return np.bincount(group[mask], minlength=groups)
