"""Which share of jobs is completed, failed or open after a time, where failing ends a job too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retab_frames.schemas.frames import FLOAT64, INT64, arrow_column
from retab_frames.schemas.vocabulary import FAILED
from retab_frames.stats.samples import (
    censored_sample,
    check_jobs,
    check_measure,
    columns_of,
    groups_of,
    has_status,
    rows_by_group,
    with_group_keys,
)
from retab_frames.stats.survival import cumulative_incidence as aalen_johansen

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.schemas.moments import Moment
    from retab_frames.stats.estimates import Floats, Ints
    from retab_frames.stats.samples import Grouping, Measure

__all__ = ["cumulative_incidence"]

_CENSORED_END, _COMPLETED_END, _FAILED_END = range(3)
_INCIDENCE = {
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
    """Return the share of jobs that are completed, failed and still open after each duration.

    A failed job will never be completed: to leave it out overstates the share that will be, and to
    take it as still running does so too. Aalen and Johansen (1978) count both ends side by side;
    jobs that still run are censored, as in `duration_stats(..., unfinished="censor")`.

    Args:
        jobs: A frame with the columns of JobsSchema.
        by: As for `duration_stats`.
        measure: "elapsed", "turnaround" or "duration", which few failed jobs have; a queue has one
            end only.
        as_of: As for `duration_stats`.

    Returns:
        For each group in order of first appearance, a row at 0, at each distinct time of an end,
        and at the last time that is known of any job: the group's columns; `after_ms` (double);
        `completed`, `failed` (error, cancelled or skipped) and `open`, shares that add up to 1;
        `at_risk` (count), the jobs whose end lies at or after that time. Jobs without the measure,
        of a status that this library does not know, or not begun are left out: `at_risk` in the
        first row of a group is how many count. A group without any has no rows.

    Raises:
        ValueError: As `duration_stats`.

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
    needed = ("status", "is_placeholder", *columns_of(measure, censored=True))
    check_jobs(jobs, needed, "cumulative_incidence")
    keys, group = groups_of(jobs, by)
    sample = censored_sample(jobs, measure, as_of)
    failed = has_status(jobs, FAILED) & ~np.isnan(sample.ms)
    end = np.select([sample.observed, failed], [_COMPLETED_END, _FAILED_END], _CENSORED_END)
    known = sample.observed | failed | sample.censored
    parts = [
        (number, _incidence(sample.ms[mine], end[mine]))
        for number, mine in rows_by_group(known, group)
    ]
    rows = [number for number, part in parts for _ in part["after_ms"]]
    columns = {
        name: arrow_column(np.concatenate([[], *(part[name] for _, part in parts)]), kind)
        for name, kind in _INCIDENCE.items()
    }
    return with_group_keys(keys.iloc[rows].reset_index(drop=True), columns)


def _incidence(ms: Floats, end: Ints) -> dict[str, Floats | Ints]:
    """Return the columns of one group's curve."""
    found = aalen_johansen(ms, end, (_COMPLETED_END, _FAILED_END))
    after = np.unique(np.concatenate([[0.0], found.times, [ms.max()]]))
    step = np.searchsorted(found.times, after, side="right")
    shares = {
        "completed": np.concatenate([[0.0], found.incidence[_COMPLETED_END]])[step],
        "failed": np.concatenate([[0.0], found.incidence[_FAILED_END]])[step],
        "open": np.concatenate([[1.0], found.still_open])[step],
    }
    at_risk = len(ms) - np.searchsorted(np.sort(ms), after, side="left")
    return {"after_ms": after, **shares, "at_risk": at_risk}
