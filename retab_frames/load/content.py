"""The content of one run: its frames, its rows as they came, and whether it is complete."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.errors import RetabFramesError, SchemaError
from retab_frames.flatten.issues import Issue, issues_table
from retab_frames.flatten.run_tables import Tables
from retab_frames.flatten.tables import flatten, flatten_runs, raw_table
from retab_frames.load.notices import describe_count_mismatch, have_ended
from retab_frames.schemas.frames import frame_of
from retab_frames.schemas.models import (
    HandlesSchema,
    IssuesSchema,
    JobsSchema,
    RawSchema,
    RunsSchema,
    empty_table,
)
from retab_frames.schemas.validation import to_frame
from retab_frames.schemas.vocabulary import TERMINAL_RUN
from retab_frames.text.tables import escape_html, render_html
from retab_frames.wire.envelopes import CURSOR, RunResponses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import pandas as pd

    from retab_frames.schemas.models import Model

__all__ = [
    "RunContent",
    "RunStore",
    "Validated",
    "content_of",
    "contents_of",
    "make_unloaded_content",
]

_JOBS_SHOWN = 5


class Validated:
    """Tables of several runs, each table validated once for all the runs.

    If all the rows fit a model, those of each run do, the key included. If they do not, most runs
    may still fit, so the rows of each run are validated by themselves.
    """

    def __init__(self, tables: dict[str, pa.Table]) -> None:
        self._tables = tables
        self._fits: dict[str, bool] = {}

    def frame(self, name: str, part: pa.Table, model: Model) -> pd.DataFrame:
        """Return the part of a run as a validated frame.

        Raises:
            SchemaError: If it does not fit the model.
        """
        if name in self._tables and name not in self._fits:
            try:
                to_frame(self._tables[name], model)
                self._fits[name] = True
            except SchemaError:
                self._fits[name] = False
        return frame_of(part) if self._fits.get(name) else to_frame(part, model)


class RunStore(Protocol):
    """Stored runs, as a comparison looks for more of them."""

    def list(self) -> pd.DataFrame:
        """Return one row per run; fits SnapshotsSchema."""

    def read(self, run_id: str, /) -> RunContent:
        """Return the content of a run."""


@dataclass(frozen=True, eq=False, repr=False)
class RunContent:
    """The frames of one run, its rows as they came, and whether it is complete.

    The frames are made and validated when they are first used.

    Attributes:
        experiment_id: The experiment; None only for an empty source that does not say.
        run_id: The run; None for an experiment never run.
        complete: True when every job is terminal, none is a placeholder, all pages are there, and
            the count agrees with the run record where there is one.
        fetched_at: When the response arrived (UTC); None if not read from the API.
        tables: The Arrow tables that the frames are made of.
        run_table: The run record: one row that fits RunsSchema, or none.
        raw_source: Makes the table behind `raw`.
        not_loaded: True where `iter_content(errors="collect")` could not load the run.
        source: The server and the route that it came from; None if not read from the API.
        validated: The tables of which these are parts, where runs were flattened together.
        store: The store that it was read from, which may have more runs; None if there is none, or
            after pickling or copying, since a store may hold credentials.
    """

    experiment_id: str | None
    run_id: str | None
    complete: bool
    fetched_at: datetime | None
    tables: Tables
    run_table: pa.Table
    raw_source: Callable[[], pa.Table]
    not_loaded: bool = False
    source: str | None = None
    validated: Validated = field(default_factory=lambda: Validated({}))
    store: RunStore | None = None

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the tables, with the rows as they came; frames are made again where it arrives."""
        tables = [_pack_table(table) for table in (*self.tables, self.run_table)]
        packed = ("tables", "run_table", "raw_source", "validated", "store")
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        plain = {name: value for name, value in plain.items() if name not in packed}
        # the source may be a file or a response
        plain["raw_source"] = partial(_unpack_table, _pack_table(self.raw_rows))
        return _unpack_content, (tables, plain)

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {status}" for status, n in self.statuses.items())
        return (
            f"RunContent({self.experiment_id!r}, {self.run_id!r}: {self.tables.jobs.num_rows} jobs"
            f"{f' ({counts})' if counts else ''}, {'complete' if self.complete else 'incomplete'}, "
            f"{self.tables.issues.num_rows} issues)"
        )

    def _repr_html_(self) -> str:
        """Return the same with the first jobs; the content of documents is escaped."""
        names = ["filename", "status", "duration_ms", "error_message"]
        jobs = render_html(self.jobs[names].head(_JOBS_SHOWN))
        more = max(0, self.tables.jobs.num_rows - _JOBS_SHOWN)
        rest = f"<div>and {more} more</div>" if more else ""
        return f"<div><b>{escape_html(repr(self))}</b>{jobs}{rest}</div>"

    @property
    def statuses(self) -> dict[str, int]:
        """How many jobs have each status; placeholders and null are in parentheses."""
        jobs = self.tables.jobs
        status = jobs.column("status").fill_null("(none)")
        label = pc.if_else(jobs.column("is_placeholder"), "(placeholder)", status)
        counts = pc.value_counts(label).to_pylist()
        return {str(count["values"]): count["counts"] for count in counts}

    @cached_property
    def jobs(self) -> pd.DataFrame:
        """One row per job, fits JobsSchema; rows in the order they came."""
        return self.validated.frame("jobs", self.tables.jobs, JobsSchema)

    @cached_property
    def handle_inputs(self) -> pd.DataFrame:
        """One row per job and input, fits HandlesSchema."""
        return self.validated.frame("handle_inputs", self.tables.handle_inputs, HandlesSchema)

    @cached_property
    def handle_outputs(self) -> pd.DataFrame:
        """One row per job and output, fits HandlesSchema; empty where the API sends none."""
        return self.validated.frame("handle_outputs", self.tables.handle_outputs, HandlesSchema)

    @cached_property
    def run(self) -> pd.DataFrame:
        """The run record: one row that fits RunsSchema, or none."""
        return self.validated.frame("run", self.run_table, RunsSchema)

    @cached_property
    def issues(self) -> pd.DataFrame:
        """What did not fit or is not known, and how it was handled; fits IssuesSchema."""
        return self.validated.frame("issues", self.tables.issues, IssuesSchema)

    @cached_property
    def raw_rows(self) -> pa.Table:
        """The Arrow table behind `raw`; built from the responses when first asked for."""
        return self.raw_source()

    @property
    def raw(self) -> pd.DataFrame:
        """Every row as it came, byte for byte, fits RawSchema."""
        return to_frame(self.raw_rows, RawSchema)


def _pack_table(table: pa.Table) -> bytes:
    """Return a table for pickle, which would take along all of what a slice was cut from."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _unpack_table(packed: bytes) -> pa.Table:
    with pa.ipc.open_stream(packed) as reader:
        return reader.read_all()


def _unpack_content(tables: list[bytes], plain: dict[str, Any]) -> RunContent:
    *of_run, run_table = map(_unpack_table, tables)
    return RunContent(tables=Tables(*of_run), run_table=run_table, **plain)


def content_of(
    source: RunResponses,
    *,
    run_table: pa.Table | None = None,
    run_issues: list[Issue] | None = None,
) -> RunContent:
    """Return the content of one run.

    Raises:
        MalformedResponseError: If a row contradicts the contract of the API.
    """
    record = empty_table(RunsSchema) if run_table is None else run_table
    return _build_content(source, flatten([source]), record, run_issues or [], Validated({}))


def contents_of(
    sources: Sequence[RunResponses],
    *,
    run_tables: Sequence[pa.Table] | None = None,
    run_issues: Sequence[list[Issue]] | None = None,
) -> list[RunContent | RetabFramesError]:
    """Return the content of each run, or why there is none; all are flattened together.

    Args:
        sources: The responses of each run.
        run_tables: The record of each, a slice of one table; None if there are none.
        run_issues: The issues of each record.
    """
    records = run_tables or [empty_table(RunsSchema)] * len(sources)
    issues_of_records = run_issues or [[]] * len(sources)
    try:
        batch = flatten_runs(sources) if len(sources) > 1 else None
    except RetabFramesError:
        batch = None
    if batch is None or not batch.is_divisible:
        contents: list[RunContent | RetabFramesError] = []
        for source, record, issues in zip(sources, records, issues_of_records, strict=True):
            try:
                contents.append(content_of(source, run_table=record, run_issues=issues))
            except RetabFramesError as error:
                contents.append(error)
        return contents
    shared = {**batch.tables._asdict(), "run": pa.concat_tables(records)}
    validated = Validated(shared)
    return [
        _build_content(source, tables, record, issues, validated)
        for source, tables, record, issues in zip(
            sources, batch.split(), records, issues_of_records, strict=True
        )
    ]


def _build_content(
    source: RunResponses,
    tables: Tables,
    record: pa.Table,
    run_issues: list[Issue],
    validated: Validated,
) -> RunContent:
    jobs = tables.jobs
    gaps = _find_gaps(source, jobs, record)
    if more := run_issues + gaps:
        tables = tables._replace(issues=pa.concat_tables([tables.issues, issues_table(more)]))
    run_id = jobs.column("run_id")[0].as_py() if jobs.num_rows else source.run_id
    experiment_id = source.experiment_id
    if jobs.num_rows:
        experiment_id = jobs.column("experiment_id")[0].as_py()
    return RunContent(
        experiment_id=experiment_id,
        run_id=run_id,
        complete=run_id is not None and not gaps and _have_all_ended(jobs),
        fetched_at=source.fetched_at,
        tables=tables,
        run_table=record,
        raw_source=partial(raw_table, source, jobs),
        source=source.source,
        validated=validated,
    )


def make_unloaded_content(
    workflow_id: str, experiment_id: str | None, run_id: str | None, error: Exception
) -> RunContent:
    """Return a content without jobs whose one issue says why the run was not loaded."""
    source = RunResponses(workflow_id, experiment_id, run_id, (), None)
    problem = "the run was not loaded"
    issue = Issue(run_id, None, None, problem, type(error).__name__, str(error))
    empty = content_of(source, run_issues=[issue])
    return replace(empty, complete=False, not_loaded=True)


def _find_gaps(source: RunResponses, jobs: pa.Table, record: pa.Table) -> list[Issue]:
    """Return why the content is not complete: pages that are missing, a record that disagrees."""
    gaps: list[Issue] = []

    def add(field: str, problem: str, value: str | None = None) -> None:
        gaps.append(Issue(source.run_id, None, field, problem, value, "marked incomplete"))

    if source.responses and source.responses[-1].after:
        add(CURSOR, "there are more pages")
    if record.num_rows:
        if mismatch := describe_count_mismatch(record, jobs.num_rows):
            add("total_document_count", mismatch)
        status = record.column("status")[0].as_py()
        if status not in (None, *TERMINAL_RUN) and jobs.num_rows and _have_all_ended(jobs):
            problem = "every job has ended, but the run had not when its record was read"
            add("status", problem, status)
    return gaps


def _have_all_ended(jobs: pa.Table) -> bool:
    return bool(pc.all(have_ended(jobs), min_count=0).as_py())
