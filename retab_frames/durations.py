"""How long jobs take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.errors import shown
from retab_frames.estimates import Groups, grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

    Grouping = str | Sequence[str] | pd.Series | None

__all__ = ["COUNTS", "Measure", "duration_stats"]

Measure = Literal["duration", "queue", "elapsed", "turnaround"]

SPANS: dict[str, tuple[str, str]] = {
    "queue": ("created_at", "started_at"),
    "elapsed": ("started_at", "completed_at"),
    "turnaround": ("created_at", "completed_at"),
}
"""The measures that are the time between two others."""

COUNTED_STATUSES: dict[str, tuple[str, ...]] = {
    "completed": ("completed",),
    "error": ("error",),
    "cancelled": ("cancelled",),
    "unfinished": ("pending", "queued", "running"),
}
COUNTS = (*COUNTED_STATUSES, "placeholders", "other")
"""The counts of a row of `duration_stats`; together they are its jobs."""


def duration_stats(
    jobs: pd.DataFrame,
    by: Grouping = None,
    *,
    measure: Measure = "duration",
    quantiles: Sequence[float] = (0.5, 0.9, 0.95, 0.99),
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Return counts and duration statistics of groups of jobs.

    The statistics are of the completed jobs that have the measure; all others are counted beside
    them, so that a group's counts add up to its jobs. Outliers are counted, never dropped.

    Args:
        jobs: A frame with the columns of JobsSchema.
        by: A column, a list of columns, or a Series of the same length; None is one group of all.
        measure: "duration" is `duration_ms` as the API reports it, "queue" the time from created to
            started, "elapsed" from started to completed, "turnaround" from created to completed.
            They need not agree. A negative span is not measured.
        quantiles: Between 0 and 1; linear (type 7), equal to `Series.quantile`.
        confidence: Of the intervals of the quantiles, which are order statistics and hold for any
            distribution. An end that a group is too small for is null: unbounded.

    Returns:
        One row per group in order of first appearance: the group's columns; `jobs`, `completed`,
        `error`, `cancelled`, `unfinished`, `placeholders`, `other` (skipped, null, or a status
        newer than this library) and `measured` (counts);
        `total_ms`, `mean_ms`, `std_ms` (n - 1), `min_ms`, then `p50_ms`, `p50_low_ms`,
        `p50_high_ms` for each quantile, `max_ms` (doubles, null where nothing was measured);
        `outliers` (count; modified z of 3.5 on the log scale).

    Raises:
        ValueError: If a column is missing, or a quantile, the confidence or the measure is none.

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
    """
    _check(jobs, measure, quantiles, confidence)
    keys, group = _groups(jobs, by)
    counted = _counts(jobs, group, len(keys))
    values = _measured(jobs, measure)
    kept = (counted.pop("is_completed") & ~np.isnan(values)).nonzero()[0]
    groups = grouped(values[kept], group[kept], len(keys))
    columns = {name: _column(count, pa.int64()) for name, count in counted.items()}
    columns["measured"] = _column(groups.sizes, pa.int64())
    for name, value in _statistics(groups, quantiles, confidence).items():
        columns[f"{name}_ms"] = _column(value, pa.float64())
    columns["outliers"] = _column(groups.outliers(), pa.int64())
    taken = [name for name in keys.columns if name in columns]
    if taken:
        raise ValueError(f"a group cannot be named {taken[0]!r}, as a statistic is: rename it")
    return pd.DataFrame(keys.to_dict("series") | columns)


def _statistics(
    groups: Groups, quantiles: Sequence[float], confidence: float
) -> dict[str, np.ndarray[Any, Any]]:
    statistics = {
        "total": groups.total(),
        "mean": groups.mean(),
        "std": groups.std(),
        "min": groups.quantile(0),
    }
    for q in quantiles:
        name = f"p{100 * q:.10g}"
        statistics[name] = groups.quantile(q)
        low, high = groups.quantile_interval(q, confidence)
        statistics[f"{name}_low"], statistics[f"{name}_high"] = low, high
    return statistics | {"max": groups.quantile(1)}


def _check(jobs: pd.DataFrame, measure: str, quantiles: Sequence[float], confidence: float) -> None:
    if not isinstance(jobs, pd.DataFrame):
        raise TypeError(f"duration_stats takes a frame of jobs, not {type(jobs).__name__}")
    if measure != "duration" and measure not in SPANS:
        raise ValueError(f"measure must be duration, {', '.join(SPANS)}, not {measure!r}")
    if isinstance(quantiles, float | int) or not all(0 <= q <= 1 for q in quantiles):
        raise ValueError(f"quantiles lie between 0 and 1, not {quantiles!r}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence lies between 0 and 1, not {confidence!r}")
    needed = ("status", "is_placeholder", *SPANS.get(measure, ("duration_ms",)))
    missing = [name for name in needed if name not in jobs.columns]
    if missing:
        raise ValueError(f"this is no frame of jobs: it has no column {', '.join(missing)}")


def _groups(
    jobs: pd.DataFrame, by: Grouping
) -> tuple[pd.DataFrame, np.ndarray[Any, np.dtype[np.int64]]]:
    """Return a row of keys for each group, and the number of the group of each job."""
    if by is None:
        return pd.DataFrame(index=pd.RangeIndex(1)), np.zeros(len(jobs), dtype=np.int64)
    if isinstance(by, pd.Series):
        if len(by) != len(jobs):
            raise ValueError(f"`by` has {len(by)} values for {len(jobs)} jobs")
        keys = by.reset_index(drop=True).to_frame(by.name if by.name is not None else "group")
    else:
        names = [by] if isinstance(by, str) else list(dict.fromkeys(by))
        if not names:
            raise ValueError("`by` names no column; None takes all jobs as one group")
        missing = [name for name in names if name not in jobs.columns]
        if missing:
            raise ValueError(
                f"there is no column {shown(', '.join(map(str, missing)))} to group by"
            )
        keys = jobs[names].reset_index(drop=True)
    number = keys.groupby(list(keys.columns), sort=False, dropna=False).ngroup().to_numpy()
    first = np.unique(number, return_index=True)[1]
    return keys.iloc[first].reset_index(drop=True), number.astype(np.int64)


def _counts(
    jobs: pd.DataFrame, group: np.ndarray[Any, np.dtype[np.int64]], groups: int
) -> dict[str, np.ndarray[Any, Any]]:
    """Return the counts of each group, and which jobs are completed."""
    placeholder = jobs["is_placeholder"].to_numpy(dtype=bool, na_value=False)
    status = jobs["status"]
    masks = {
        name: status.isin(statuses).to_numpy(dtype=bool) & ~placeholder
        for name, statuses in COUNTED_STATUSES.items()
    }
    masks["placeholders"] = placeholder
    masks["other"] = ~np.logical_or.reduce(list(masks.values()))
    counts = {name: np.bincount(group[mask], minlength=groups) for name, mask in masks.items()}
    jobs_of = np.bincount(group, minlength=groups)
    return {"jobs": jobs_of, **counts, "is_completed": masks["completed"]}


def _measured(jobs: pd.DataFrame, measure: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the measure of each job in ms; NaN where there is none."""
    if measure == "duration":
        return jobs["duration_ms"].to_numpy(dtype=np.float64, na_value=np.nan)
    # cast after the conversion: older pyarrow takes the numbers of another unit as they are
    times = (pa.array(jobs[name], from_pandas=True) for name in SPANS[measure])
    begin, end = (array.cast(pa.timestamp("us", tz="UTC")) for array in times)
    # in whole microseconds: the difference of two doubles would not be exact
    micros = pc.subtract(end, begin).cast(pa.int64())
    micros = pc.if_else(pc.greater_equal(micros, 0), micros, None)
    spans = pc.divide(micros.cast(pa.float64()), 1000)
    return np.asarray(spans.to_numpy(zero_copy_only=False), dtype=np.float64)


def _column(values: np.ndarray[Any, Any], kind: pa.DataType) -> pd.Series[Any]:
    array = pa.array(values, kind, from_pandas=True)
    return pd.Series(pd.arrays.ArrowExtensionArray(array))
