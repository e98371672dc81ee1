"""The columns of every frame: the published contract, and its data dictionary.

Each field has its type, whether it may be null, its unit and its meaning. The Arrow schemas and the
pandera models (`pandera_models`) are derived from these classes, never written a second time: to
import pandera takes longer than most commands may take. Columns a model does not know are allowed,
so that a frame with a column of the user's own still validates.
"""

# No `from __future__ import annotations` here: the types are read from the annotations.
import re
from dataclasses import dataclass
from functools import cache
from typing import Annotated, ClassVar, TypeAlias

import pyarrow as pa

from retab_frames.schemas.frames import BOOL, FLOAT64, INT64, STRING, TIME

__all__ = [
    "Column",
    "Declared",
    "ExperimentsSchema",
    "HandlesSchema",
    "IssuesSchema",
    "JobsSchema",
    "Model",
    "PulledSchema",
    "RawSchema",
    "RunsSchema",
    "SnapshotsSchema",
    "arrow_schema",
    "arrow_type",
    "empty_table",
    "lower_bounds",
]


@dataclass(frozen=True)
class Column:
    """What is declared of a column.

    Attributes:
        meaning: What its values are, in words.
        nullable: Whether it may be null.
        least: Its least valid number; None where any is.
        unit: The unit of its numbers.
        unique: Whether no value may stand in it twice.
        pattern: The names of the columns that it stands for, none or more of them, as a regular
            expression; None where it is one column, named as its attribute.
    """

    meaning: str
    nullable: bool = False
    least: int | None = None
    unit: str | None = None
    unique: bool = False
    pattern: str | None = None


class Declared:
    """A frame; its attributes with an annotation are its columns, and the annotation their type.

    Attributes:
        columns: The columns, by the name of the attribute.
        kinds: Their types, likewise.
        key: The columns that no two rows may have in common; empty where it is one column or none.
        schema: The columns in order, without those of a pattern.
        least: The least valid number of each column that has one.
        patterns: The patterns of columns, with their types.
    """

    columns: ClassVar[dict[str, Column]]
    kinds: ClassVar[dict[str, pa.DataType]]
    key: ClassVar[tuple[str, ...]] = ()
    schema: ClassVar[pa.Schema]
    least: ClassVar[dict[str, int]]
    patterns: ClassVar[tuple[tuple[str, pa.DataType], ...]]

    def __init_subclass__(cls) -> None:
        cls.columns = {name: vars(cls)[name] for name in cls.__annotations__}
        cls.kinds = {name: kind.__metadata__[0] for name, kind in cls.__annotations__.items()}
        cls.schema = pa.schema(
            pa.field(name, cls.kinds[name], nullable=column.nullable)
            for name, column in cls.columns.items()
            if column.pattern is None
        )
        columns = cls.columns.items()
        cls.least = {name: column.least for name, column in columns if column.least is not None}
        cls.patterns = tuple(
            (column.pattern, cls.kinds[name]) for name, column in columns if column.pattern
        )


Model: TypeAlias = type[Declared]

String: TypeAlias = Annotated[Column, STRING]
Int64: TypeAlias = Annotated[Column, INT64]
Float64: TypeAlias = Annotated[Column, FLOAT64]
Bool: TypeAlias = Annotated[Column, BOOL]
Timestamp: TypeAlias = Annotated[Column, TIME]


def _key(meaning: str) -> Column:
    return Column(meaning)


def _cell(meaning: str) -> Column:
    return Column(meaning, nullable=True)


def _measure(meaning: str, unit: str) -> Column:
    return Column(meaning, nullable=True, least=0, unit=unit)


def _handle(side: str, field: str, meaning: str) -> Column:
    return Column(meaning, nullable=True, pattern=rf"^{side}\..*\.{field}$")


class JobsSchema(Declared):
    """One row per job; the key is `run_id, job_id`."""

    workflow_id: String = _cell("the workflow, from the call or the run record")
    experiment_id: String = _key("the experiment")
    run_id: String = _cell("the run; null only for placeholders of an experiment never run")
    job_id: String = _key("the job; `placeholder:<document_id>` where a placeholder has no id")
    document_id: String = _key("the document; jobs of two runs are paired by it")
    filename: String = _cell("the name of the first file among the handle inputs")
    block_kind: String = _cell(
        "extract, classifier, split, for_each, or a value unknown to this library"
    )
    status: String = _cell(
        "pending, queued, running, completed, error, cancelled, skipped, or unknown"
    )
    attempt: Int64 = _measure("number of retries, 0 for the first attempt", "retries")
    is_placeholder: Bool = _key("true where no job was ever run for the document")
    artifact_operation: String = _cell("the operation that produced the artifact, e.g. extraction")
    artifact_id: String = _cell("the id of what the block produced")
    duration_ms: Int64 = _measure("how long the job took, as the API reports it", "ms")
    created_at: Timestamp = _cell("when the job was created (UTC)")
    started_at: Timestamp = _cell("when it started (UTC)")
    completed_at: Timestamp = _cell("when it ended (UTC)")
    error_message: String = _cell("why it failed or was cancelled, in words")
    error_details: String = _cell("the details of the failure (JSON)")
    fetched_at: Timestamp = _cell("when the response arrived (UTC); null if not read from the API")
    input_type: String = _handle("handle_inputs", "type", "file, json, text, or unknown")
    input_filename: String = _handle("handle_inputs", "filename", "name of the file")
    input_file_id: String = _handle("handle_inputs", "file_id", "id of the file")
    input_mime_type: String = _handle("handle_inputs", "mime_type", "MIME type of the file")
    input_data: String = _handle("handle_inputs", "data", "the value (JSON)")
    output_type: String = _handle("handle_outputs", "type", "file, json, text, or unknown")
    output_filename: String = _handle("handle_outputs", "filename", "name of the file")
    output_file_id: String = _handle("handle_outputs", "file_id", "id of the file")
    output_mime_type: String = _handle("handle_outputs", "mime_type", "MIME type")
    output_data: String = _handle("handle_outputs", "data", "the value (JSON)")

    key = ("run_id", "job_id")


class HandlesSchema(Declared):
    """One row per job and handle; the key is `run_id, job_id, handle`."""

    experiment_id: String = _key("the experiment")
    run_id: String = _cell("the run; null only for placeholders of an experiment never run")
    job_id: String = _key("the job")
    document_id: String = _key("the document")
    handle: String = _key("the name of the input or output, e.g. input-file-document")
    position: Int64 = Column("its position among the handles of its job", least=0)
    type: String = _cell("file, json, text, or unknown")
    filename: String = _cell("the name of the file")
    file_id: String = _cell("the id of the file")
    mime_type: String = _cell("the MIME type of the file")
    size_bytes: Int64 = _measure("the size of the file", "bytes")
    content_fingerprint: String = _cell("the fingerprint of the file's content")
    data: String = _cell("the JSON or text, exactly as received (JSON)")
    extra: String = _cell("every key that has no column (JSON)")

    key = ("run_id", "job_id", "handle")


class RunsSchema(Declared):
    """One row per run; the key is `run_id`."""

    workflow_id: String = _cell("the workflow, from the record or the call")
    experiment_id: String = _cell("the experiment, from the record or the call")
    run_id: String = Column("the run", unique=True)
    parent_run_id: String = _cell("the run that this one continues")
    block_id: String = _cell("the block that was run")
    block_kind: String = _cell("extract, classifier, split, for_each, or unknown")
    status: String = _cell("pending, queued, running, completed, error, cancelled, or unknown")
    error_message: String = _cell("why it failed or was cancelled, in words")
    trigger_type: String = _cell("what started the run")
    n_consensus: Int64 = _measure("how many votes were taken for each document", "votes")
    document_count: Int64 = _measure("documents of the run", "documents")
    total_document_count: Int64 = _measure(
        "documents of the run, where the API counts them apart", "documents"
    )
    completed_document_count: Int64 = _measure("documents completed", "documents")
    error_count: Int64 = _measure("documents that failed", "documents")
    score: Float64 = _cell("consensus score of the run, null until there are metrics")
    duration_ms: Int64 = _measure("wall clock of the run, not the sum of its jobs", "ms")
    created_at: Timestamp = _cell("when the run was created (UTC)")
    started_at: Timestamp = _cell("when it started (UTC)")
    completed_at: Timestamp = _cell("when it ended (UTC)")
    definition_fingerprint: String = _cell("fingerprint of the block as it was run")
    documents_fingerprint: String = _cell("fingerprint of the set of documents")
    metrics_validity_fingerprint: String = _cell("fingerprint of what its metrics depend on")
    metrics_validity_fingerprint_version: Int64 = _cell("version of that fingerprint")
    workflow_version_id: String = _cell("the version of the workflow")
    requested_version: String = _cell("the version that was requested, e.g. production")
    workflow_name: String = _cell("the name of the workflow at run time")
    block_version_id: String = _cell("the version of the block")
    block_config: String = _cell("the configuration of the block (JSON)")
    server_job_id: String = _cell("the id of the server's own background job")
    fetched_at: Timestamp = _cell("when the response arrived (UTC)")


class ExperimentsSchema(Declared):
    """One row per experiment; the key is `experiment_id`."""

    workflow_id: String = _cell("the workflow, from the record or the call")
    experiment_id: String = Column("the experiment", unique=True)
    name: String = _cell("the display name")
    block_id: String = _cell("the block it runs")
    block_kind: String = _cell("extract, classifier, split, for_each, or unknown")
    status: String = _cell("draft, processing, completed, failed, cancelled, or unknown")
    n_consensus: Int64 = _measure("how many votes are taken for each document", "votes")
    document_count: Int64 = _measure("documents of the experiment", "documents")
    rerunnable_document_count: Int64 = _measure(
        "documents that a new run would process again", "documents"
    )
    last_run_id: String = _cell("the latest run; null if never run")
    score: Float64 = _cell("consensus score of the latest run with metrics")
    created_at: Timestamp = _cell("when it was created (UTC)")
    updated_at: Timestamp = _cell("when it was last changed (UTC)")
    is_stale: Bool = _cell("true where the latest run no longer fits the draft")
    schema_drift: String = _cell("none, partial, drifted or unknown")
    schema_drift_detail: String = _cell("what drifted, in words")
    drift_status: String = _cell("none, drifted, broken or unknown")
    drift_detail: String = _cell("what drifted, in words")
    drift_targets: String = _cell("the targets that drifted (JSON)")
    freshness_status: String = _cell("fresh, stale or unknown")
    freshness_reasons: String = _cell("why it is stale (JSON)")
    freshness_baseline_run_id: String = _cell("the run that freshness is measured from")
    validity_fingerprint: String = _cell("fingerprint that freshness compares")
    input_fingerprint: String = _cell("fingerprint of the inputs that freshness compares")
    run_plan_mode: String = _cell("what a new run would do: run, noop, conflict or unknown")
    server_job_id: String = _cell("the id of the server's own background job")
    fetched_at: Timestamp = _cell("when the response arrived (UTC)")


class IssuesSchema(Declared):
    """One row per value that did not fit or is not known, and how it was handled."""

    run_id: String = _cell("the run, where known")
    job_id: String = _cell("the job; null for what concerns the whole run")
    field: String = _cell("the field, e.g. timing.duration_ms, or the column")
    problem: String = _key("what is wrong")
    value: String = _cell("the value received, cut short, or how often it occurred")
    action: String = _key("how it was handled")


class RawSchema(Declared):
    """One row per job, as JSON text exactly as received; the key is `job_id`."""

    job_id: String = Column("the job", unique=True)
    position: Int64 = Column("the position of the row in the response", least=0)
    body: String = _key("the row as received, byte for byte (JSON)")


class SnapshotsSchema(Declared):
    """One row per run in a store: its newest revision; the key is `run_id`."""

    workflow_id: String = _cell("the workflow")
    experiment_id: String = _cell("the experiment")
    run_id: String = Column("the run", unique=True)
    block_kind: String = _cell("extract, classifier, split, for_each, or unknown")
    revision: Int64 = Column("its newest revision, from 1", least=1)
    complete: Bool = _key("true where every job had ended and nothing was missing")
    jobs: Int64 = Column("how many jobs it has", least=0)
    completed: Int64 = Column("jobs that were completed", least=0)
    error: Int64 = Column("jobs that failed", least=0)
    run_created_at: Timestamp = _cell("when the run was created (UTC)")
    fetched_at: Timestamp = _cell("when the response arrived (UTC)")
    written_at: Timestamp = _cell("when the revision was written (UTC)")
    size_bytes: Int64 = _measure("the size of its files", "bytes")
    labels: String = _cell("the labels of the run, sorted, with a comma and a space between")


class PulledSchema(Declared):
    """One row per run that a pull was to bring into a store; the key is `experiment_id, run_id`."""

    experiment_id: String = _cell("the experiment; null for a run that no experiment has")
    run_id: String = _cell("the run; null for an experiment that has none, or cannot be listed")
    action: String = _cell(
        "created, revised, repaired or unchanged (fetched and written), kept (complete in the "
        "store, not fetched), failed; null where there is no run to fetch"
    )
    complete: Bool = _key("true where every job has ended and nothing is missing")
    jobs: Int64 = _measure("how many jobs it has; null where it is not loaded", "jobs")
    revision: Int64 = _measure(
        "its newest revision in the store; null where it failed", "revisions"
    )
    note: String = _cell("why it failed, is not complete, or there is no run to fetch")

    key = ("experiment_id", "run_id")


def arrow_schema(model: Model) -> pa.Schema:
    """Return the Arrow schema of a model: its columns in order, without those of a pattern."""
    return model.schema


def arrow_type(model: Model, name: object) -> pa.DataType | None:
    """Return the type of a column, those of a pattern among them; None if the model has none."""
    if not isinstance(name, str):
        return None
    if name in model.schema.names:
        return model.kinds[name]
    return _match(model.patterns, name)


@cache
def _match(patterns: tuple[tuple[str, pa.DataType], ...], name: str) -> pa.DataType | None:
    found = (kind for pattern, kind in patterns if re.fullmatch(pattern, name, re.DOTALL))
    return next(found, None)


def lower_bounds(model: Model) -> dict[str, int]:
    """Return the least valid value of each column that has one."""
    return model.least


def empty_table(model: Model) -> pa.Table:
    """Return a table of zero rows that has every column of the model."""
    return model.schema.empty_table()
