"""The shares of jobs that are completed, failed, stopped and open after each duration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retab_frames.schemas.frames import FLOAT64, INT64, arrow_column
from retab_frames.schemas.intake import take_columns
from retab_frames.schemas.vocabulary import FAILED, STOPPED
from retab_frames.stats.groups import count_by_group, group_jobs, rows_by_group, with_group_keys
from retab_frames.stats.measures import check_measure, list_columns
from retab_frames.stats.samples import (
    FOR_LAST_SEEN,
    has_status,
    make_censored_sample,
    to_microseconds,
)
from retab_frames.stats.survival import cumulative_incidence as aalen_johansen
from retab_frames.stats.units import check_unit, convert_durations

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.schemas.moments import Moment
    from retab_frames.stats.grouped_values import Floats, Ints
    from retab_frames.stats.groups import Grouping
    from retab_frames.stats.measures import Measure
    from retab_frames.stats.samples import Sample
    from retab_frames.stats.units import Unit

__all__ = ["cumulative_incidence"]

_CENSORED_END = 0
_ENDS = {"completed": 1, "failed": 2, "stopped": 3}
"""How the time of a job ends, by the name of the share."""
_TYPES = {
    "after_ms": FLOAT64,
    **dict.fromkeys(_ENDS, FLOAT64),
    "open": FLOAT64,
    "at_risk": INT64,
    "left_out": INT64,
}


def cumulative_incidence(
    jobs: pd.DataFrame,
    by: Grouping = None,
    *,
    measure: Measure = "elapsed",
    as_of: Moment = None,
    unit: Unit = "ms",
) -> pd.DataFrame:
    """Return the shares of jobs that are completed, failed, stopped and open after each duration.

    A failed job will never be completed, nor will one that was cancelled or skipped, of which
    nobody knows whether it would have failed. To leave them out, or to treat them as still running,
    overestimates the share that will be completed. The estimate of Aalen and Johansen (1978) counts
    the three ends as competing events; jobs that still run are censored, as in
    `duration_stats(..., unfinished="censor")`.

    A job that failed or was stopped before it started has ended, too: it ran for 0 ms, and so its
    "elapsed" and "duration" are 0 unless the API reports another. Its "turnaround" is the time
    until it ended.

    Args:
        jobs: A frame with the columns of JobsSchema.
        by: As for `duration_stats`.
        measure: "elapsed", "turnaround" or "duration", which few jobs have that failed after their
            start. Not "queue", which does not end in failure.
        as_of: As for `duration_stats`.
        unit: As for `duration_stats`.

    Returns:
        For each group in order of first appearance, one row at 0, at each distinct duration after
        which a job ended, and at the longest duration of any job: the group's columns; `after_ms`
        (double); `completed`, `failed` (error), `stopped` (cancelled or skipped) and `open`, shares
        that add up to 1; `at_risk` (count), the jobs that ended or were censored at or after that
        duration; `left_out` (count, the same in all rows of a group), the jobs that are in no
        share: those without the measure, with a status that this library does not know,
        placeholders, and unfinished ones that have not started. In the first row `at_risk` and
        `left_out` add up to the jobs of the group. A group of which all jobs are left out has one
        row, at 0, whose shares are null.

    Raises:
        TypeError, ValueError: As `duration_stats`.

    Example:
        >>> import retab_frames as rf
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         where = (sandbox.workflow_id, "exp_invoices")
        ...         jobs = rf.load_jobs(*where, run_id="exprun_invoices_4", client=client)
        >>> shares = ["completed", "failed", "stopped", "open"]
        >>> rf.cumulative_incidence(jobs)[shares].iloc[-1].tolist()
        [0.75, 0.25, 0.0, 0.0]
    """
    check_measure(measure, ("duration", "elapsed", "turnaround"))
    check_unit(unit)
    needed = ("status", "is_placeholder", *list_columns(measure, censored=True))
    optional = FOR_LAST_SEEN if as_of is None else ()
    jobs = take_columns(jobs, needed, reader="cumulative_incidence", optional=optional)
    keys, group = group_jobs(jobs, by)
    sample = make_censored_sample(jobs, measure, as_of)
    ms, end = _find_ends(jobs, sample, measure)
    is_counted = (end != _CENSORED_END) | sample.censored
    left_out = count_by_group(~is_counted, group, len(keys))
    none = _estimate_incidence(np.empty(0), np.empty(0, dtype=np.int64))
    parts = dict.fromkeys(range(len(keys)), none)
    for number, rows in rows_by_group(is_counted, group):
        parts[number] = _estimate_incidence(ms[rows], end[rows])
    numbers = np.repeat(np.arange(len(keys)), [len(part["after_ms"]) for part in parts.values()])
    columns = {
        name: np.concatenate([[], *(part[name] for part in parts.values())])
        for name in ("after_ms", *_ENDS, "open", "at_risk")
    }
    columns["left_out"] = left_out[numbers]
    typed = {name: arrow_column(columns[name], kind) for name, kind in _TYPES.items()}
    columns_in_unit = convert_durations(typed, unit)
    return with_group_keys(keys.iloc[numbers].reset_index(drop=True), columns_in_unit)


def _find_ends(jobs: pd.DataFrame, sample: Sample, measure: Measure) -> tuple[Floats, Ints]:
    """Return the measure of each job, and how it ended; censored where that is not known."""
    statuses = {"failed": FAILED, "stopped": STOPPED}
    ended = {name: has_status(jobs, words) for name, words in statuses.items()}
    ms = sample.ms
    if measure != "turnaround":
        _, is_started = to_microseconds(jobs, "started_at")
        never_ran = np.logical_or.reduce(list(ended.values())) & ~is_started
        ms = np.where(never_ran & np.isnan(ms), 0.0, ms)
    ended = {"completed": sample.completed, **ended}
    masks = [ended[name] & ~np.isnan(ms) for name in _ENDS]
    return ms, np.select(masks, list(_ENDS.values()), _CENSORED_END)


def _estimate_incidence(ms: Floats, end: Ints) -> dict[str, Floats | Ints]:
    """Return the columns of one group; its shares are NaN without jobs."""
    curves = aalen_johansen(ms, end, list(_ENDS.values()))
    after = np.unique([0.0, *curves.times, ms.max(initial=0.0)])
    step = np.searchsorted(curves.times, after, side="right")
    none, all_jobs = (0.0, 1.0) if len(ms) else (np.nan, np.nan)
    shares = {
        name: np.concatenate([[none], curves.incidence[cause]])[step]
        for name, cause in _ENDS.items()
    }
    shares["open"] = np.concatenate([[all_jobs], curves.event_free])[step]
    at_risk = len(ms) - np.searchsorted(np.sort(ms), after, side="left")
    return {"after_ms": after, **shares, "at_risk": at_risk}
