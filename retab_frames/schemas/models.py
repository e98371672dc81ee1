"""The pandera models of every frame: the published contract, and its data dictionary.

Each field has its dtype, whether it may be null, its unit and its meaning. The Arrow schemas are
derived from the models, never written a second time. Columns a model does not know are allowed,
so that a frame with a column of the user's own still validates.
"""

# No `from __future__ import annotations` here: pandera reads the annotations.
import re
from functools import cache
from typing import Annotated, Any, TypeAlias

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
from pandera.typing import Series

from retab_frames.schemas.frames import BOOL, FLOAT64, INT64, STRING, TIME

__all__ = [
    "ExperimentsSchema",
    "HandlesSchema",
    "IssuesSchema",
    "JobsSchema",
    "RawSchema",
    "RunsSchema",
    "SnapshotsSchema",
    "arrow_schema",
    "arrow_type",
    "empty_table",
    "lower_bounds",
]

String: TypeAlias = Series[Annotated[pd.ArrowDtype, STRING]]
Int64: TypeAlias = Series[Annotated[pd.ArrowDtype, INT64]]
Float64: TypeAlias = Series[Annotated[pd.ArrowDtype, FLOAT64]]
Bool: TypeAlias = Series[Annotated[pd.ArrowDtype, BOOL]]
Timestamp: TypeAlias = Series[Annotated[pd.ArrowDtype, TIME]]


def _key(meaning: str) -> Any:
    return pandera.Field(description=meaning)


def _cell(meaning: str) -> Any:
    return pandera.Field(nullable=True, description=meaning)


def _measure(meaning: str, unit: str) -> Any:
    return pandera.Field(nullable=True, ge=0, description=meaning, metadata={"unit": unit})


def _handle(side: str, field: str, meaning: str) -> Any:
    return pandera.Field(
        alias=rf"^{side}\..*\.{field}$", regex=True, nullable=True, description=meaning
    )


class JobsSchema(pandera.DataFrameModel):
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
    input_type: String | None = _handle("handle_inputs", "type", "file, json, text, or unknown")
    input_filename: String | None = _handle("handle_inputs", "filename", "name of the file")
    input_file_id: String | None = _handle("handle_inputs", "file_id", "id of the file")
    input_mime_type: String | None = _handle("handle_inputs", "mime_type", "MIME type of the file")
    input_data: String | None = _handle("handle_inputs", "data", "the value (JSON)")
    output_type: String | None = _handle("handle_outputs", "type", "file, json, text, or unknown")
    output_filename: String | None = _handle("handle_outputs", "filename", "name of the file")
    output_file_id: String | None = _handle("handle_outputs", "file_id", "id of the file")
    output_mime_type: String | None = _handle("handle_outputs", "mime_type", "MIME type")
    output_data: String | None = _handle("handle_outputs", "data", "the value (JSON)")

    class Config:
        """The key of the frame."""

        unique = ("run_id", "job_id")


class HandlesSchema(pandera.DataFrameModel):
    """One row per job and handle; the key is `run_id, job_id, handle`."""

    experiment_id: String = _key("the experiment")
    run_id: String = _cell("the run; null only for placeholders of an experiment never run")
    job_id: String = _key("the job")
    document_id: String = _key("the document")
    handle: String = _key("the name of the input or output, e.g. input-file-document")
    position: Int64 = pandera.Field(ge=0, description="its position among the handles of its job")
    type: String = _cell("file, json, text, or unknown")
    filename: String = _cell("the name of the file")
    file_id: String = _cell("the id of the file")
    mime_type: String = _cell("the MIME type of the file")
    size_bytes: Int64 = _measure("the size of the file", "bytes")
    content_fingerprint: String = _cell("the fingerprint of the file's content")
    data: String = _cell("the JSON or text, exactly as received (JSON)")
    extra: String = _cell("every key that has no column (JSON)")

    class Config:
        """The key of the frame."""

        unique = ("run_id", "job_id", "handle")


class RunsSchema(pandera.DataFrameModel):
    """One row per run; the key is `run_id`."""

    workflow_id: String = _cell("the workflow, from the record or the call")
    experiment_id: String = _cell("the experiment, from the record or the call")
    run_id: String = pandera.Field(unique=True, description="the run")
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


class ExperimentsSchema(pandera.DataFrameModel):
    """One row per experiment; the key is `experiment_id`."""

    workflow_id: String = _cell("the workflow, from the record or the call")
    experiment_id: String = pandera.Field(unique=True, description="the experiment")
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


class IssuesSchema(pandera.DataFrameModel):
    """One row per value that did not fit or is not known, and how it was handled."""

    run_id: String = _cell("the run, where known")
    job_id: String = _cell("the job; null for what concerns the whole run")
    field: String = _cell("the field, e.g. timing.duration_ms, or the column")
    problem: String = _key("what is wrong")
    value: String = _cell("the value received, cut short, or how often it occurred")
    action: String = _key("how it was handled")


class RawSchema(pandera.DataFrameModel):
    """One row per job, as JSON text exactly as received; the key is `job_id`."""

    job_id: String = pandera.Field(unique=True, description="the job")
    position: Int64 = pandera.Field(ge=0, description="the position of the row in the response")
    body: String = _key("the row as received, byte for byte (JSON)")


class SnapshotsSchema(pandera.DataFrameModel):
    """One row per run in a store: its newest revision; the key is `run_id`."""

    workflow_id: String = _cell("the workflow")
    experiment_id: String = _cell("the experiment")
    run_id: String = pandera.Field(unique=True, description="the run")
    block_kind: String = _cell("extract, classifier, split, for_each, or unknown")
    revision: Int64 = pandera.Field(ge=1, description="its newest revision, from 1")
    complete: Bool = _key("true where every job had ended and nothing was missing")
    jobs: Int64 = pandera.Field(ge=0, description="how many jobs it has")
    completed: Int64 = pandera.Field(ge=0, description="jobs that were completed")
    error: Int64 = pandera.Field(ge=0, description="jobs that failed")
    run_created_at: Timestamp = _cell("when the run was created (UTC)")
    fetched_at: Timestamp = _cell("when the response arrived (UTC)")
    written_at: Timestamp = _cell("when the revision was written (UTC)")
    size_bytes: Int64 = _measure("the size of its files", "bytes")
    labels: String = _cell("the labels of the run, sorted, with a comma and a space between")


Model = type[pandera.DataFrameModel]


@cache
def arrow_schema(model: Model) -> pa.Schema:
    """Return the Arrow schema of a model: its columns in order, without the regex columns."""
    return pa.schema(
        pa.field(name, column.dtype.type.pyarrow_dtype, nullable=column.nullable)
        for name, column in model.to_schema().columns.items()
        if not column.regex
    )


@cache
def arrow_type(model: Model, name: object) -> pa.DataType | None:
    """Return the type of a column, those of a regex among them; None if the model has none."""
    if not isinstance(name, str):
        return None
    for known, column in model.to_schema().columns.items():
        if name == known or (column.regex and re.fullmatch(known, name, re.DOTALL)):
            return column.dtype.type.pyarrow_dtype
    return None


@cache
def lower_bounds(model: Model) -> dict[str, int]:
    """Return the least valid value of each column that has one."""
    return {
        name: check.statistics["min_value"]
        for name, column in model.to_schema().columns.items()
        for check in column.checks
        if "min_value" in (check.statistics or {})
    }


@cache
def empty_table(model: Model) -> pa.Table:
    """Return a table of zero rows that has every column of the model."""
    return arrow_schema(model).empty_table()
