"""A side of a comparison: one run, with the final job of each document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retab_frames.compare.inputs import INPUT_COLUMNS, extract_inputs
from retab_frames.load.content import RunContent
from retab_frames.schemas.frames import FLOAT64, arrow_column
from retab_frames.schemas.intake import check_columns, list_handle_columns, take_columns
from retab_frames.schemas.models import JobsSchema, arrow_type
from retab_frames.stats import measures
from retab_frames.stats.measures import SPANS, check_measure
from retab_frames.stats.samples import measure_jobs
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retab_frames.stats.grouped_values import Flags
    from retab_frames.stats.measures import Measure

__all__ = ["Side", "list_columns", "make_side", "sort_by_time"]

_REQUIRED = ("run_id", "job_id", "document_id", "status", "is_placeholder")
"""Beside the columns of the measure."""
_OPTIONAL = (
    *("experiment_id", "filename", "block_kind", "artifact_id", "attempt", "error_message"),
    *("created_at", "started_at", "completed_at"),
)
"""What a comparison reads where a side has it; null where it has not."""
_SHARED = ("experiment_id",)
"""Columns of jobs that say something of their run."""
_RANKED = ("attempt", "completed_at", "job_id")
"""What the final job of a document is chosen by."""


@dataclass(frozen=True, eq=False)
class Side:
    """One of two runs.

    Attributes:
        run_id: The run; None if all its jobs are placeholders.
        jobs: Its jobs in the order given. Every column that a comparison reads is present and
            Arrow-backed.
        measure: What is compared: "duration", "queue", "elapsed" or "turnaround".
        final: The final job of each document, indexed by `document_id`, with the measure in ms.
        inputs: One row per handle input of the final jobs; None for a bare frame without such
            columns.
        record: The fields of its run record that are not null; empty for a bare frame.
        complete: As RunContent.complete; None for a bare frame.
    """

    run_id: str | None
    jobs: pd.DataFrame
    measure: Measure
    final: pd.DataFrame
    inputs: pd.DataFrame | None
    record: dict[str, Any]
    complete: bool | None

    @property
    def began_at(self) -> Any:
        """When the first of its jobs was created, or else the run; NaT if that is not known."""
        created = self.jobs["created_at"].min()
        return self.record.get("created_at", pd.NaT) if pd.isna(created) else created

    def read_fact(self, field: str) -> Any:
        """Return a field of the run record, or else what all its jobs say of it; else None."""
        if field in self.record:
            return self.record[field]
        # a job has a status and times of its own, and those of its run under other names
        is_of_job = field not in _SHARED and arrow_type(JobsSchema, field) is not None
        for name in (f"run_{field}",) if is_of_job else (f"run_{field}", field):
            values = self.jobs[name].dropna().unique().tolist() if name in self.jobs else []
            if len(values) == 1:
                return values[0]
        return None

    @property
    def placeholders(self) -> Flags:
        """Which of the final jobs are placeholders."""
        return self.final["is_placeholder"].to_numpy(dtype=bool)


def make_side(run: RunContent | pd.DataFrame, name: str, measure: Measure = "duration") -> Side:
    """Return a run as a side of a comparison.

    Args:
        run: The content of a run, or a frame of its jobs.
        name: What error messages call it, such as "baseline".
        measure: As for `duration_stats`.

    Raises:
        TypeError: If it is neither a RunContent nor a frame.
        ValueError: If the measure is not valid, or the run holds several runs, is not a jobs
            frame, or has values that do not fit.
    """
    check_measure(measure)
    jobs = _take_jobs(run.jobs if isinstance(run, RunContent) else run, name, measure)
    run_id = _find_run_id(jobs, name)
    final = _select_final_jobs(jobs)
    if measure in SPANS:
        # as an array, since pandas would align a column by its index
        spans = arrow_column(measure_jobs(final, measure), FLOAT64).array
        final = final.assign(**{f"{measure}_ms": spans})
    if isinstance(run, RunContent):
        inputs: pd.DataFrame | None = run.handle_inputs[INPUT_COLUMNS]
        records = run.run_table.to_pylist()
        record = {k: v for k, v in records[0].items() if v is not None} if records else {}
        run_id, complete = run_id or run.run_id, run.complete
    else:
        inputs, record, complete = extract_inputs(jobs), {}, None
    if inputs is not None:
        inputs = inputs[inputs["job_id"].isin(final["job_id"])]
    return Side(run_id, jobs, measure, final, inputs, record, complete)


def sort_by_time(sides: Sequence[Side]) -> list[Side]:
    """Return the runs in the order in which they began; as given if one does not say when."""
    began = pd.DatetimeIndex([side.began_at for side in sides], tz="UTC")
    if began.hasnans:
        return list(sides)
    return [sides[n] for n in np.argsort(began, kind="stable")]


def list_columns(jobs: pd.DataFrame, measure: Measure) -> list[str]:
    """Return the columns that a comparison reads and a frame, of pandas or Dask, has.

    The fields of run records are among them, which the schema of jobs does not know.
    """
    of_measure = measures.list_columns(measure)
    read = {*_REQUIRED, *of_measure, *_OPTIONAL, *list_handle_columns(jobs)}
    names = dict.fromkeys(name for name in jobs.columns if isinstance(name, str))
    return [name for name in names if name in read or arrow_type(JobsSchema, name) is None]


def _take_jobs(jobs: pd.DataFrame, name: str, measure: Measure) -> pd.DataFrame:
    """Return the jobs with the columns and types that a comparison reads."""
    needed = (*_REQUIRED, *measures.list_columns(measure))
    check_columns(jobs, needed, reader="a comparison", called=name)
    names = list_columns(jobs, measure)
    jobs = take_columns(jobs, names, reader="a comparison", called=name)
    # a level of the index may have the name of a column, which pandas calls ambiguous
    jobs = jobs[names].reset_index(drop=True)
    missing = {column: [None] * len(jobs) for column in _OPTIONAL if column not in jobs.columns}
    nulls = {
        column: arrow_column(values, arrow_type(JobsSchema, column))
        for column, values in missing.items()
    }
    return jobs.assign(**nulls)


def _find_run_id(jobs: pd.DataFrame, name: str) -> str | None:
    runs = jobs["run_id"].dropna().unique().tolist()
    if len(runs) > 1:
        one = printable(repr(runs[0]))
        raise ValueError(f"{name} holds {len(runs)} runs; choose one: jobs[jobs.run_id == {one}]")
    return runs[0] if runs else None


def _select_final_jobs(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return the final job of each document, by document, in the order of first appearance.

    Any job is preferred to a placeholder; then the highest attempt and the latest completion
    decide, and last the job id, so that the result does not depend on the order of the rows.
    """
    ranked = jobs.sort_values(list(_RANKED), kind="stable", na_position="first")
    ranked = ranked.sort_values("is_placeholder", ascending=False, kind="stable")
    final = ranked.drop_duplicates("document_id", keep="last").set_index("document_id")
    return final.loc[jobs["document_id"].drop_duplicates()]
