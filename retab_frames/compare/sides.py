"""A side of a comparison: one run, with the final job of each document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retab_frames.compare.inputs import INPUT_COLUMNS, extract_inputs
from retab_frames.load.content import RunContent
from retab_frames.schemas.frames import arrow_column
from retab_frames.schemas.intake import check_columns, list_handle_columns, take_columns
from retab_frames.schemas.models import JobsSchema, arrow_type
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.stats.grouped_values import Flags

__all__ = ["Side", "list_columns", "make_side"]

_REQUIRED = ("run_id", "job_id", "document_id", "status", "is_placeholder", "duration_ms")
_SHOWN = ("experiment_id", "filename", "block_kind", "artifact_id")
"""What a comparison shows where a side has it; null where it has not."""
_RANKED = ("attempt", "completed_at", "job_id")
"""What the final job of a document is chosen by, those that are there."""


@dataclass(frozen=True, eq=False)
class Side:
    """One of two runs.

    Attributes:
        run_id: The run; None if all its jobs are placeholders.
        jobs: Its jobs in the order given. Every column that a comparison reads is present and
            Arrow-backed.
        final: The final job of each document, indexed by `document_id`.
        inputs: One row per handle input of the final jobs; None for a bare frame without such
            columns.
        record: The fields of its run record that are not null; empty for a bare frame.
        complete: As RunContent.complete; None for a bare frame.
    """

    run_id: str | None
    jobs: pd.DataFrame
    final: pd.DataFrame
    inputs: pd.DataFrame | None
    record: dict[str, Any]
    complete: bool | None

    @property
    def placeholders(self) -> Flags:
        """Which of the final jobs are placeholders."""
        return self.final["is_placeholder"].to_numpy(dtype=bool)


def make_side(run: RunContent | pd.DataFrame, name: str) -> Side:
    """Return a run as a side of a comparison.

    Args:
        run: The content of a run, or a frame of its jobs.
        name: What error messages call it, such as "baseline".

    Raises:
        TypeError: If it is neither a RunContent nor a frame.
        ValueError: If it holds several runs, is not a jobs frame, or has values that do not fit.
    """
    jobs = _take_jobs(run.jobs if isinstance(run, RunContent) else run, name)
    run_id = _find_run_id(jobs, name)
    final = _select_final_jobs(jobs)
    if isinstance(run, RunContent):
        inputs: pd.DataFrame | None = run.handle_inputs[INPUT_COLUMNS]
        records = run.run_table.to_pylist()
        record = {k: v for k, v in records[0].items() if v is not None} if records else {}
        run_id, complete = run_id or run.run_id, run.complete
    else:
        inputs, record, complete = extract_inputs(jobs), {}, None
    if inputs is not None:
        inputs = inputs[inputs["job_id"].isin(final["job_id"])]
    return Side(run_id, jobs, final, inputs, record, complete)


def list_columns(jobs: pd.DataFrame) -> list[str]:
    """Return the columns that a comparison reads and a frame, of pandas or Dask, has.

    The fields of run records are among them, which the schema of jobs does not know.
    """
    read = {*_REQUIRED, *_SHOWN, *_RANKED, *list_handle_columns(jobs)}
    names = dict.fromkeys(name for name in jobs.columns if isinstance(name, str))
    return [name for name in names if name in read or arrow_type(JobsSchema, name) is None]


def _take_jobs(jobs: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the jobs with the columns and types that a comparison reads."""
    check_columns(jobs, _REQUIRED, reader="a comparison", called=name)
    names = list_columns(jobs)
    jobs = take_columns(jobs, names, reader="a comparison", called=name)
    # a level of the index may have the name of a column, which pandas calls ambiguous
    jobs = jobs[names].reset_index(drop=True)
    missing = {column: [None] * len(jobs) for column in _SHOWN if column not in jobs.columns}
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
    order = [name for name in _RANKED if name in jobs.columns]
    ranked = jobs.sort_values(order, kind="stable", na_position="first")
    ranked = ranked.sort_values("is_placeholder", ascending=False, kind="stable")
    final = ranked.drop_duplicates("document_id", keep="last").set_index("document_id")
    return final.loc[jobs["document_id"].drop_duplicates()]
