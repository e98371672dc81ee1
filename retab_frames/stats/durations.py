"""Statistics of how long jobs take: per group, and of the slowest jobs."""

from __future__ import annotations

from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from retab_frames.schemas.frames import BOOL, FLOAT64, INT64, STRING, arrow_column
from retab_frames.schemas.intake import take_columns
from retab_frames.stats.estimates import check_confidence
from retab_frames.stats.grouped_values import group_values
from retab_frames.stats.groups import (
    count_by_group,
    count_statuses,
    group_jobs,
    rows_by_group,
    with_group_keys,
)
from retab_frames.stats.measures import check_measure, list_columns
from retab_frames.stats.on_dask import apply_by_group, is_distributed
from retab_frames.stats.samples import (
    FOR_LAST_SEEN,
    make_censored_sample,
    make_sample,
)
from retab_frames.stats.survival import Survival
from retab_frames.stats.units import check_unit, convert_durations
from retab_frames.text.messages import printable
from retab_frames.text.tables import format_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dask.dataframe as dd

    from retab_frames.schemas.moments import Moment
    from retab_frames.stats.grouped_values import Flags, Floats, GroupedValues, Ints
    from retab_frames.stats.groups import Grouping
    from retab_frames.stats.measures import Measure
    from retab_frames.stats.samples import Sample
    from retab_frames.stats.units import Unit

__all__ = ["Unfinished", "duration_stats", "name_quantile", "slowest"]

Unfinished = Literal["exclude", "censor"]

_CENSORED_STATES = {"queue": "waiting", "turnaround": "unfinished"}
"""What notes call a censored job; for the other measures it is running."""
_ID_COLUMNS = ("run_id", "document_id", "job_id", "filename")
_MIN_Q = 1e-9
"""A curve has no quantile of 0 or 1; this close to them it gives its first and its last step."""


def duration_stats(
    jobs: pd.DataFrame | dd.DataFrame,
    by: Grouping = None,
    *,
    measure: Measure = "duration",
    quantiles: Sequence[float] = (0.5, 0.9, 0.95, 0.99),
    confidence: float = 0.95,
    unfinished: Unfinished = "exclude",
    as_of: Moment = None,
    unit: Unit = "ms",
) -> pd.DataFrame:
    """Return counts and duration statistics of groups of jobs.

    The statistics are of the completed jobs that have the measure. All other jobs are counted too,
    so that the counts of a group add up to its jobs. Outliers are counted, never dropped.

    While a run is still running, its short jobs are completed first, so that its statistics are too
    low. `unfinished="censor"` corrects the quantiles: a job that has taken 8 s so far takes at
    least 8 s, which the estimate of Kaplan and Meier (1958) takes into account. Failed jobs are
    left out either way: a failure is a competing event, not a long duration; see
    `cumulative_incidence`.

    Args:
        jobs: A frame with the columns of JobsSchema, whatever it was read from; or a Dask frame of
            them, as `scan(engine="dask")` gives it, whose statistics the cluster computes.
        by: A column, a list of columns, or a Series: aligned by its index if that contains the
            index of the jobs, else by position if its index is 0, 1, 2, ...; None is one group of
            all jobs.
        measure: "duration" is `duration_ms` as the API reports it, "queue" the time from created to
            started, "elapsed" from started to completed, "turnaround" from created to completed.
            They need not agree. A negative span is not measured.
        quantiles: Between 0 and 1; linear (type 7), equal to `Series.quantile`.
        confidence: Of the intervals of the quantiles, which are order statistics and valid for any
            distribution. An end is null, unbounded, where a group is too small for it.
        unfinished: "exclude" leaves out jobs that have not ended. "censor" estimates the quantiles
            of each group that has such jobs from its Kaplan-Meier curve (type 2: an observed value,
            or the middle of two, as in R and SAS), and the intervals from the log-log band; a
            quantile that the curve does not reach is null, and `note` says so. Censored are running
            jobs since `started_at`; for "turnaround" all unfinished jobs since `created_at`; for
            "queue" those that have not started, while the queue of a running job has ended. Total,
            mean, std, min, max and outliers remain those of completed jobs. A group without
            unfinished jobs is the same either way.
        as_of: When the unfinished jobs were last seen: a datetime or ISO 8601 text with a time
            zone; None takes `fetched_at` of each job. A time before the start (clocks differ)
            counts as the start.
        unit: Of the durations in the result: "ms", or "s", whose columns end in `_s`.

    Returns:
        One row per group in order of first appearance: the group's columns; `jobs`, `completed`,
        `error`, `cancelled`, `skipped`, `unfinished`, `placeholders`, `other` (null, or a status
        that this library does not know), `measured` (completed and with the measure) and `censored`
        (counts); `total_ms`, `mean_ms`, `std_ms` (n - 1), `min_ms`, then `p50_ms`, `p50_low_ms`,
        `p50_high_ms` for each quantile, `max_ms` (doubles, null where nothing was measured);
        `outliers` (count; modified z-score of 3.5 or more on the log scale, Iglewicz and Hoaglin
        1993, corrected so that at any size at most a tenth of log-normal samples have one; null
        below 12 measured jobs, which are too few to tell); `note` (text on
        unfinished jobs, and on completed ones without the measure; null if there are none).

    Raises:
        TypeError: If `jobs` is not a frame of pandas or Dask, or `as_of` neither a datetime nor
            text.
        ValueError: If a column is missing or holds what does not fit its type (the message names
            the rows); if a quantile, the confidence, the measure, `unfinished`, `as_of` or the unit
            is not valid; if `as_of` is None and an unfinished job has no `fetched_at`.

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
    check_unit(unit)
    _check_arguments(quantiles, confidence, unfinished, as_of)
    censoring = unfinished == "censor"
    needed = ("status", "is_placeholder", *list_columns(measure, censored=censoring))
    optional = FOR_LAST_SEEN if censoring and as_of is None else ()
    if is_distributed(jobs):
        settings: Any = {"measure": measure, "quantiles": quantiles, "confidence": confidence}
        settings |= {"unfinished": unfinished, "as_of": as_of, "unit": unit}
        statistic = partial(duration_stats, by=by, **settings)
        return apply_by_group(jobs, by, statistic, columns=(*needed, *optional))
    jobs = take_columns(jobs, needed, reader="duration_stats", optional=optional)
    keys, group = group_jobs(jobs, by)
    sample = make_censored_sample(jobs, measure, as_of) if censoring else make_sample(jobs, measure)
    completed = observed = _group_sample(sample.ms, group, sample.completed, len(keys))
    if sample.completed is not sample.observed:
        observed = _group_sample(sample.ms, group, sample.observed, len(keys))
    counts = count_statuses(jobs, group, len(keys))
    counts["measured"] = completed.sizes
    counts["censored"] = count_by_group(sample.censored, group, len(keys))
    estimates = _estimate_quantiles(observed, quantiles, confidence)
    _apply_censoring(estimates, sample, group, quantiles, confidence)
    if censoring:
        start_unknown = count_by_group(sample.start_unknown, group, len(keys))
        notes = _describe_censored(counts, observed.sizes, estimates, start_unknown, measure)
    else:
        notes = _describe(counts["unfinished"], "unfinished job", "left out: results biased low")
    unmeasured = counts["completed"] - counts["measured"]
    missing = _describe(unmeasured, "completed job", f"left out: no {measure} known")
    notes = ["; ".join(filter(None, parts)) or None for parts in zip(notes, missing, strict=True)]
    statistics = {
        "total": completed.total(),
        "mean": completed.mean(),
        "std": completed.std(),
        "min": completed.quantile(0),
        **estimates,
        "max": completed.quantile(1),
    }
    columns = {name: arrow_column(count, INT64) for name, count in counts.items()}
    columns |= {f"{name}_ms": arrow_column(ms, FLOAT64) for name, ms in statistics.items()}
    columns["outliers"] = arrow_column(completed.outliers(), INT64)
    columns["note"] = arrow_column(notes, STRING)
    return with_group_keys(keys, convert_durations(columns, unit))


def slowest(
    jobs: pd.DataFrame, n: int = 10, *, measure: Measure = "duration", unit: Unit = "ms"
) -> pd.DataFrame:
    """Return the completed jobs that took longest, compared with the median of their run.

    Args:
        jobs: A frame with the columns of JobsSchema.
        n: How many jobs to return at most.
        measure: As for `duration_stats`.
        unit: As for `duration_stats`.

    Returns:
        One row per job, the longest first, ties by run and job: `run_id`, `document_id`, `job_id`,
        `filename`; the measure, as `duration_ms`, `queue_ms`, ... (double); `ratio_to_run_median`,
        its ratio to the median of the completed jobs of its run (double, null where that is 0);
        `is_outlier`, whether `duration_stats(jobs, by="run_id")` counts it as an outlier (bool;
        null in a run of fewer than 12 measured jobs, which are too few to tell).

    Raises:
        TypeError: If `jobs` is not a frame of pandas.
        ValueError: If a column is missing or does not fit its type, the measure or the unit is not
            valid, or n is negative.
    """
    check_measure(measure)
    check_unit(unit)
    if n < 0:
        raise ValueError(f"n must be 0 or more, not {n}")
    needed = (*_ID_COLUMNS, "status", "is_placeholder", *list_columns(measure))
    jobs = take_columns(jobs, needed, reader="slowest")
    sample = make_sample(jobs, measure)
    rows = sample.observed.nonzero()[0]
    ms, ids = sample.ms[rows], jobs[list(_ID_COLUMNS)].iloc[rows]
    runs, run = group_jobs(ids, "run_id")
    values = group_values(ms, run, len(runs))
    median = values.quantile(0.5)[run]
    is_outlier, is_told = values.is_outlier(ms, run)
    measured = {
        f"{measure}_ms": arrow_column(ms, FLOAT64),
        "ratio_to_run_median": arrow_column(ms / np.where(median > 0, median, np.nan), FLOAT64),
        "is_outlier": arrow_column(pa.array(is_outlier, mask=~is_told), BOOL),
    }
    frame = pd.DataFrame({**ids.reset_index(drop=True), **convert_durations(measured, unit)})
    # select the few rows first: to sort all jobs would be slow
    shortest = np.partition(ms, -n)[-n] if 0 < n < len(ms) else -np.inf
    order = [f"{measure}_{unit}", "run_id", "job_id"]
    top = frame[ms >= shortest].sort_values(order, ascending=[False, True, True], kind="stable")
    return top.head(n).reset_index(drop=True)


def _check_arguments(
    quantiles: Sequence[float], confidence: float, unfinished: str, as_of: Moment
) -> None:
    is_sequence = hasattr(quantiles, "__len__") and not isinstance(quantiles, str | bytes)
    if not is_sequence or not all(isinstance(q, Real) and 0 <= q <= 1 for q in quantiles):
        raise ValueError(
            "quantiles must be a sequence of numbers between 0 and 1, such as (0.5, 0.9), not "
            f"{printable(quantiles)}"
        )
    check_confidence(confidence)
    if unfinished not in {"exclude", "censor"}:
        raise ValueError(f"unfinished must be exclude or censor, not {unfinished!r}")
    if as_of is not None and unfinished != "censor":
        raise ValueError('as_of is used only with unfinished="censor"')


def name_quantile(q: float) -> str:
    """Return the name of a quantile in columns of `duration_stats`, such as `p50` or `p99.9`."""
    return f"p{100 * q:.10g}"


def _group_sample(ms: Floats, group: Ints, mask: Flags, groups: int) -> GroupedValues:
    """Return the values that the mask selects, in their groups."""
    if mask.all():
        return group_values(ms, group, groups)
    return group_values(ms[mask], group[mask], groups)


def _estimate_quantiles(
    values: GroupedValues, quantiles: Sequence[float], confidence: float
) -> dict[str, Floats]:
    """Return each quantile and the ends of its interval, an array with an element per group."""
    estimates = {}
    for q in quantiles:
        name = name_quantile(q)
        estimates[name] = values.quantile(q)
        low, high = values.quantile_interval(q, confidence)
        estimates[f"{name}_low"], estimates[f"{name}_high"] = low, high
    return estimates


def _apply_censoring(
    estimates: dict[str, Floats],
    sample: Sample,
    group: Ints,
    quantiles: Sequence[float],
    confidence: float,
) -> None:
    """Replace, in place, the quantiles of the groups with censored jobs by Kaplan-Meier ones."""
    in_censored_group = np.isin(group, group[sample.censored])
    is_counted = (sample.observed | sample.censored) & in_censored_group
    for number, rows in rows_by_group(is_counted, group):
        curve = Survival(sample.ms[rows], sample.observed[rows])
        for q in quantiles:
            found = curve.quantile(min(max(q, _MIN_Q), 1 - _MIN_Q), confidence)
            for end, value in (("", found.value), ("_low", found.low), ("_high", found.high)):
                estimates[f"{name_quantile(q)}{end}"][number] = value


def _describe(counts: Ints, noun: str, what: str) -> list[str | None]:
    """Return a text per group on so many jobs; None on none."""
    return [f"{format_count(n, noun)} {what}" if n else None for n in counts.tolist()]


def _describe_censored(
    counts: dict[str, Ints],
    observed: Ints,
    estimates: dict[str, Floats],
    start_unknown: Ints,
    measure: str,
) -> list[str | None]:
    """Return, for each group with unfinished jobs, which jobs its statistics are of."""
    notes: list[str | None] = [None] * len(observed)
    state = _CENSORED_STATES.get(measure, "running")
    names = [name for name in estimates if not name.endswith(("_low", "_high"))]
    for number in (counts["censored"] + start_unknown).nonzero()[0].tolist():
        censored, measured = int(counts["censored"][number]), int(counts["measured"][number])
        parts = []
        if censored:
            missing = [name for name in names if np.isnan(estimates[name][number])]
            reached = f"{', '.join(missing)} not reached: " if missing else ""
            parts.append(f"{reached}{censored} of {censored + observed[number]} still {state}")
        if start_unknown[number]:
            jobs = format_count(int(start_unknown[number]), "job")
            parts.append(f"{jobs} with unknown start left out: results biased low")
        if censored and measured:
            parts.append(f"mean, total and extremes are of the {measured} completed")
        notes[number] = "; ".join(parts)
    return notes
