"""The shares of jobs that are completed, failed and still open after each duration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retab_frames.schemas.frames import FLOAT64, INT64, arrow_column
from retab_frames.schemas.intake import take_columns
from retab_frames.schemas.vocabulary import FAILED, STOPPED
from retab_frames.stats.groups import group_jobs, rows_by_group, with_group_keys
from retab_frames.stats.measures import check_measure, list_columns
from retab_frames.stats.samples import FOR_LAST_SEEN, has_status, make_censored_sample
from retab_frames.stats.survival import cumulative_incidence as aalen_johansen

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.schemas.moments import Moment
    from retab_frames.stats.grouped_values import Floats, Ints
    from retab_frames.stats.groups import Grouping
    from retab_frames.stats.measures import Measure

__all__ = ["cumulative_incidence"]

_CENSORED_END, _COMPLETED_END, _FAILED_END = range(3)
"""How the time of a job ends; 0 means censored."""
_TYPES = {
    "after_ms": FLOAT64,
    "completed": FLOAT64,
    "failed": FLOAT64,
    "open": FLOAT64,
    "at_risk": INT64,
}


def cumulative_incidence(
    jobs: pd.DataFrame,
    by: Grouping = None,
    *,
    measure: Measure = "elapsed",
    as_of: Moment = None,
) -> pd.DataFrame:
    """Return the shares of jobs that are completed, failed and still open after each duration.

    A failed job will never be completed. To leave it out, or to treat it as still running,
    overestimates the share that will be completed. The estimate of Aalen and Johansen (1978) counts
    completion and failure as competing events; jobs that still run are censored, as in
    `duration_stats(..., unfinished="censor")`.

    Args:
        jobs: A frame with the columns of JobsSchema.
        by: As for `duration_stats`.
        measure: "elapsed", "turnaround" or "duration", which few failed jobs have. Not "queue",
            which does not end in failure.
        as_of: As for `duration_stats`.

    Returns:
        For each group in order of first appearance, one row at 0, at each distinct duration after
        which a job was completed or failed, and at the longest duration of any job: the group's
        columns; `after_ms` (double); `completed`, `failed` (error, cancelled or skipped) and
        `open`, shares that add up to 1; `at_risk` (count), the jobs that were completed, failed or
        censored at or after that duration. Left out are jobs without the measure, with a status
        that this library does not know, and unfinished ones that have not started; the `at_risk` of
        a group's first row is the number of jobs that count. A group without such jobs has no rows.

    Raises:
        TypeError, ValueError: As `duration_stats`.

    Example:
        >>> import retab_frames as rf
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         where = (sandbox.workflow_id, "exp_invoices")
        ...         jobs = rf.load_jobs(*where, run_id="exprun_invoices_4", client=client)
        >>> rf.cumulative_incidence(jobs)[["completed", "failed", "open"]].iloc[-1].tolist()
        [0.75, 0.25, 0.0]
    """
    check_measure(measure, ("duration", "elapsed", "turnaround"))
    needed = ("status", "is_placeholder", *list_columns(measure, censored=True))
    optional = FOR_LAST_SEEN if as_of is None else ()
    jobs = take_columns(jobs, needed, reader="cumulative_incidence", optional=optional)
    keys, group = group_jobs(jobs, by)
    sample = make_censored_sample(jobs, measure, as_of)
    failed = has_status(jobs, (*FAILED, *STOPPED)) & ~np.isnan(sample.ms)
    end = np.select([sample.observed, failed], [_COMPLETED_END, _FAILED_END], _CENSORED_END)
    is_counted = sample.observed | failed | sample.censored
    parts = [
        (number, _estimate_incidence(sample.ms[rows], end[rows]))
        for number, rows in rows_by_group(is_counted, group)
    ]
    numbers = [number for number, part in parts for _ in part["after_ms"]]
    columns = {
        name: arrow_column(np.concatenate([[], *(part[name] for _, part in parts)]), kind)
        for name, kind in _TYPES.items()
    }
    return with_group_keys(keys.iloc[numbers].reset_index(drop=True), columns)


def _estimate_incidence(ms: Floats, end: Ints) -> dict[str, Floats | Ints]:
    """Return the columns of one group."""
    curves = aalen_johansen(ms, end, (_COMPLETED_END, _FAILED_END))
    after = np.unique(np.concatenate([[0.0], curves.times, [ms.max()]]))
    step = np.searchsorted(curves.times, after, side="right")
    shares = {
        "completed": np.concatenate([[0.0], curves.incidence[_COMPLETED_END]])[step],
        "failed": np.concatenate([[0.0], curves.incidence[_FAILED_END]])[step],
        "open": np.concatenate([[1.0], curves.event_free])[step],
    }
    at_risk = len(ms) - np.searchsorted(np.sort(ms), after, side="left")
    return {"after_ms": after, **shares, "at_risk": at_risk}
