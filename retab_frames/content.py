"""The content of one run: its frames, its rows as they came, and whether it is complete."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.flatten import RunPayloads, Tables, flatten, raw_table
from retab_frames.issues import of_run
from retab_frames.records import TERMINAL_RUN
from retab_frames.rows import Oddity
from retab_frames.schemas import (
    HandlesSchema,
    IssuesSchema,
    JobsSchema,
    RawSchema,
    RunsSchema,
    arrow_schema,
    empty_table,
    to_frame,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import pandas as pd

    from retab_frames.issues import Issue

__all__ = ["TERMINAL", "RunContent", "content_of", "failed_content"]

TERMINAL = ("completed", "error", "cancelled", "skipped")
"""The statuses of a job that will not change any more."""


@dataclass(frozen=True, eq=False, repr=False)
class RunContent:
    """All there is of one run.

    The frames are made, and validated, when they are first asked for.

    Attributes:
        experiment_id: The experiment; None only for an empty source that does not say.
        run_id: The run; None for an experiment never run.
        complete: True when every job is terminal, none is a placeholder, all pages are there, and
            the count agrees with the run record where there is one.
        fetched_at: When the response arrived (UTC); None for a source in hand.
        tables: The Arrow tables behind the frames.
        run_table: The run record: one row that fits RunsSchema, or none.
        raw_source: Makes the table behind `raw`.
        failed: True where `iter_content(errors="collect")` could not load the run.
    """

    experiment_id: str | None
    run_id: str | None
    complete: bool
    fetched_at: datetime | None
    tables: Tables
    run_table: pa.Table
    raw_source: Callable[[], pa.Table]
    failed: bool = False

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {status}" for status, n in self.statuses.items())
        return (
            f"RunContent({self.experiment_id!r}, {self.run_id!r}: {self.tables.jobs.num_rows} jobs"
            f"{f' ({counts})' if counts else ''}, {'complete' if self.complete else 'incomplete'}, "
            f"{self.tables.issues.num_rows} issues)"
        )

    @property
    def statuses(self) -> dict[str, int]:
        """How many jobs have each status; placeholders and null stand in parentheses."""
        jobs = self.tables.jobs
        status = jobs.column("status").fill_null("(none)")
        label = pc.if_else(jobs.column("is_placeholder"), "(placeholder)", status)
        counts = pc.value_counts(label).to_pylist()
        return {str(count["values"]): count["counts"] for count in counts}

    @cached_property
    def jobs(self) -> pd.DataFrame:
        """One row per job, fits JobsSchema; rows in the order they came."""
        return to_frame(self.tables.jobs, JobsSchema)

    @cached_property
    def handle_inputs(self) -> pd.DataFrame:
        """One row per job and input, fits HandlesSchema."""
        return to_frame(self.tables.handle_inputs, HandlesSchema)

    @cached_property
    def handle_outputs(self) -> pd.DataFrame:
        """One row per job and output, fits HandlesSchema; empty where the API sends none."""
        return to_frame(self.tables.handle_outputs, HandlesSchema)

    @cached_property
    def run(self) -> pd.DataFrame:
        """The run record: one row that fits RunsSchema, or none."""
        return to_frame(self.run_table, RunsSchema)

    @cached_property
    def issues(self) -> pd.DataFrame:
        """What was odd and what was done about it, fits IssuesSchema."""
        return to_frame(self.tables.issues, IssuesSchema)

    @cached_property
    def raw_rows(self) -> pa.Table:
        """The Arrow table behind `raw`; built from the responses when first asked for."""
        return self.raw_source()

    @property
    def raw(self) -> pd.DataFrame:
        """Every row as it came, byte for byte, fits RawSchema."""
        return to_frame(self.raw_rows, RawSchema)


def content_of(
    source: RunPayloads,
    *,
    run_table: pa.Table | None = None,
    run_issues: list[Issue] | None = None,
) -> RunContent:
    """Return the content of one run.

    Raises:
        MalformedResponseError: If a row contradicts the contract of the API.
    """
    tables = flatten([source])
    jobs = tables.jobs
    record = empty_table(RunsSchema) if run_table is None else run_table
    missing = _missing(source, jobs, record)
    issues = (run_issues or []) + missing
    if issues:
        more = pa.Table.from_pylist(issues, schema=arrow_schema(IssuesSchema))
        tables = tables._replace(issues=pa.concat_tables([tables.issues, more]))
    run_id = jobs.column("run_id")[0].as_py() if jobs.num_rows else source.run_id
    experiment_id = source.experiment_id
    if jobs.num_rows:
        experiment_id = jobs.column("experiment_id")[0].as_py()
    return RunContent(
        experiment_id=experiment_id,
        run_id=run_id,
        complete=run_id is not None and not missing and _all_ended(jobs),
        fetched_at=source.fetched_at,
        tables=tables,
        run_table=record,
        raw_source=lambda: raw_table(source, jobs),
    )


def failed_content(
    workflow_id: str, experiment_id: str, run_id: str | None, error: Exception
) -> RunContent:
    """Return a content without jobs whose one issue says why the run could not be loaded."""
    source = RunPayloads(workflow_id, experiment_id, run_id, (), None)
    told = Oddity(None, None, "the run could not be loaded", type(error).__name__, str(error))
    empty = content_of(source, run_issues=of_run(run_id, [told]))
    return replace(empty, complete=False, failed=True)


def _missing(source: RunPayloads, jobs: pa.Table, record: pa.Table) -> list[Issue]:
    """Tell of pages that are not there, and of what the run record contradicts."""
    found = []
    if source.payloads and source.payloads[-1].after:
        problem = "there are more pages"
        found.append(Oddity(None, "list_metadata.after", problem, None, "marked incomplete"))
    if record.num_rows:
        counts = (record.column(f"{name}document_count")[0].as_py() for name in ("total_", ""))
        expected = next((count for count in counts if count), None)
        if expected is not None and expected != jobs.num_rows:
            problem = f"the run record says {expected} documents, {jobs.num_rows} jobs came"
            found.append(Oddity(None, "total_document_count", problem, None, "marked incomplete"))
        status = record.column("status")[0].as_py()
        if status not in (None, *TERMINAL_RUN) and jobs.num_rows and _all_ended(jobs):
            problem = "every job has ended, but the run had not when its record was read"
            found.append(Oddity(None, "status", problem, status, "marked incomplete"))
    return of_run(source.run_id, found)


def _all_ended(jobs: pa.Table) -> bool:
    ended = pc.is_in(jobs.column("status"), pa.array(TERMINAL))
    return bool(
        pc.all(pc.and_(ended, pc.invert(jobs.column("is_placeholder"))), min_count=0).as_py()
    )
