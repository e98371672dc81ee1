"""The pandera models of every frame: the published contract, and its data dictionary.

Each field has its dtype, whether it may be null, its unit and its meaning. The Arrow schemas are
derived from the models, never written a second time. Columns a model does not know are allowed,
so that a frame with a column of the user's own still validates.
"""

# No `from __future__ import annotations` here: pandera reads the annotations.
from functools import cache
from typing import Annotated, Any, TypeAlias

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
from pandera.typing import Series

__all__ = [
    "ExperimentsSchema",
    "HandlesSchema",
    "IssuesSchema",
    "JobsSchema",
    "RawSchema",
    "RunsSchema",
    "SnapshotsSchema",
    "arrow_schema",
    "empty_table",
    "lower_bounds",
]

Text: TypeAlias = Series[Annotated[pd.ArrowDtype, pa.string()]]
Whole: TypeAlias = Series[Annotated[pd.ArrowDtype, pa.int64()]]
Real: TypeAlias = Series[Annotated[pd.ArrowDtype, pa.float64()]]
Flag: TypeAlias = Series[Annotated[pd.ArrowDtype, pa.bool_()]]
Time: TypeAlias = Series[Annotated[pd.ArrowDtype, pa.timestamp("us", tz="UTC")]]


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

    workflow_id: Text = _cell("the workflow, from the call or the run record")
    experiment_id: Text = _key("the experiment")
    run_id: Text = _cell("the run; null only for placeholders of an experiment never run")
    job_id: Text = _key("the job; `placeholder:<document_id>` where a placeholder has no id")
    document_id: Text = _key("the document; jobs of two runs are paired by it")
    filename: Text = _cell("the name of the first file among the handle inputs")
    block_kind: Text = _cell(
        "extract, classifier, split, for_each, or a value unknown to this library"
    )
    status: Text = _cell(
        "pending, queued, running, completed, error, cancelled, skipped, or unknown"
    )
    attempt: Whole = _measure("number of retries, 0 for the first attempt", "retries")
    is_placeholder: Flag = _key("true where no job was ever run for the document")
    artifact_operation: Text = _cell("the operation that produced the artifact, e.g. extraction")
    artifact_id: Text = _cell("the id of what the block produced")
    duration_ms: Whole = _measure("how long the job took, as the API reports it", "ms")
    created_at: Time = _cell("when the job was created (UTC)")
    started_at: Time = _cell("when it started (UTC)")
    completed_at: Time = _cell("when it ended (UTC)")
    error_message: Text = _cell("why it failed or was cancelled, in words")
    error_details: Text = _cell("the details of the failure (JSON)")
    fetched_at: Time = _cell("when the response arrived (UTC); null if not read from the API")
    input_type: Text | None = _handle("handle_inputs", "type", "file, json, text, or unknown")
    input_filename: Text | None = _handle("handle_inputs", "filename", "name of the file")
    input_file_id: Text | None = _handle("handle_inputs", "file_id", "id of the file")
    input_mime_type: Text | None = _handle("handle_inputs", "mime_type", "MIME type of the file")
    input_data: Text | None = _handle("handle_inputs", "data", "the value (JSON)")
    output_type: Text | None = _handle("handle_outputs", "type", "file, json, text, or unknown")
    output_filename: Text | None = _handle("handle_outputs", "filename", "name of the file")
    output_file_id: Text | None = _handle("handle_outputs", "file_id", "id of the file")
    output_mime_type: Text | None = _handle("handle_outputs", "mime_type", "MIME type")
    output_data: Text | None = _handle("handle_outputs", "data", "the value (JSON)")

    class Config:
        """The key of the frame."""

        unique = ("run_id", "job_id")


class HandlesSchema(pandera.DataFrameModel):
    """One row per job and handle; the key is `run_id, job_id, handle`."""

    experiment_id: Text = _key("the experiment")
    run_id: Text = _cell("the run; null only for placeholders of an experiment never run")
    job_id: Text = _key("the job")
    document_id: Text = _key("the document")
    handle: Text = _key("the name of the input or output, e.g. input-file-document")
    position: Whole = pandera.Field(ge=0, description="its position among the handles of its job")
    type: Text = _cell("file, json, text, or unknown")
    filename: Text = _cell("the name of the file")
    file_id: Text = _cell("the id of the file")
    mime_type: Text = _cell("the MIME type of the file")
    size_bytes: Whole = _measure("the size of the file", "bytes")
    content_fingerprint: Text = _cell("the fingerprint of the file's content")
    data: Text = _cell("the JSON or text, exactly as received (JSON)")
    extra: Text = _cell("every key that has no column (JSON)")

    class Config:
        """The key of the frame."""

        unique = ("run_id", "job_id", "handle")


class RunsSchema(pandera.DataFrameModel):
    """One row per run; the key is `run_id`."""

    workflow_id: Text = _cell("the workflow, from the record or the call")
    experiment_id: Text = _cell("the experiment, from the record or the call")
    run_id: Text = pandera.Field(unique=True, description="the run")
    parent_run_id: Text = _cell("the run that this one continues")
    block_id: Text = _cell("the block that was run")
    block_kind: Text = _cell("extract, classifier, split, for_each, or unknown")
    status: Text = _cell("pending, queued, running, completed, error, cancelled, or unknown")
    error_message: Text = _cell("why it failed or was cancelled, in words")
    trigger_type: Text = _cell("what started the run")
    n_consensus: Whole = _measure("how many votes were taken for each document", "votes")
    document_count: Whole = _measure("documents of the run", "documents")
    total_document_count: Whole = _measure(
        "documents of the run, where the API counts them apart", "documents"
    )
    completed_document_count: Whole = _measure("documents completed", "documents")
    error_count: Whole = _measure("documents that failed", "documents")
    score: Real = _cell("consensus score of the run, null until there are metrics")
    duration_ms: Whole = _measure("wall clock of the run, not the sum of its jobs", "ms")
    created_at: Time = _cell("when the run was created (UTC)")
    started_at: Time = _cell("when it started (UTC)")
    completed_at: Time = _cell("when it ended (UTC)")
    definition_fingerprint: Text = _cell("fingerprint of the block as it was run")
    documents_fingerprint: Text = _cell("fingerprint of the set of documents")
    metrics_validity_fingerprint: Text = _cell("fingerprint of what its metrics depend on")
    metrics_validity_fingerprint_version: Whole = _cell("version of that fingerprint")
    workflow_version_id: Text = _cell("the version of the workflow")
    requested_version: Text = _cell("the version that was requested, e.g. production")
    workflow_name: Text = _cell("the name of the workflow at run time")
    block_version_id: Text = _cell("the version of the block")
    block_config: Text = _cell("the configuration of the block (JSON)")
    server_job_id: Text = _cell("the id of the server's own background job")
    fetched_at: Time = _cell("when the response arrived (UTC)")


class ExperimentsSchema(pandera.DataFrameModel):
    """One row per experiment; the key is `experiment_id`."""

    workflow_id: Text = _cell("the workflow, from the record or the call")
    experiment_id: Text = pandera.Field(unique=True, description="the experiment")
    name: Text = _cell("the display name")
    block_id: Text = _cell("the block it runs")
    block_kind: Text = _cell("extract, classifier, split, for_each, or unknown")
    status: Text = _cell("draft, processing, completed, failed, cancelled, or unknown")
    n_consensus: Whole = _measure("how many votes are taken for each document", "votes")
    document_count: Whole = _measure("documents of the experiment", "documents")
    rerunnable_document_count: Whole = _measure(
        "documents that a new run would process again", "documents"
    )
    last_run_id: Text = _cell("the latest run; null if never run")
    score: Real = _cell("consensus score of the latest run with metrics")
    created_at: Time = _cell("when it was created (UTC)")
    updated_at: Time = _cell("when it was last changed (UTC)")
    is_stale: Flag = _cell("true where the latest run no longer fits the draft")
    schema_drift: Text = _cell("none, partial, drifted or unknown")
    schema_drift_detail: Text = _cell("what drifted, in words")
    drift_status: Text = _cell("none, drifted, broken or unknown")
    drift_detail: Text = _cell("what drifted, in words")
    drift_targets: Text = _cell("the targets that drifted (JSON)")
    freshness_status: Text = _cell("fresh, stale or unknown")
    freshness_reasons: Text = _cell("why it is stale (JSON)")
    freshness_baseline_run_id: Text = _cell("the run that freshness is measured from")
    validity_fingerprint: Text = _cell("fingerprint that freshness compares")
    input_fingerprint: Text = _cell("fingerprint of the inputs that freshness compares")
    run_plan_mode: Text = _cell("what a new run would do: run, noop, conflict or unknown")
    server_job_id: Text = _cell("the id of the server's own background job")
    fetched_at: Time = _cell("when the response arrived (UTC)")


class IssuesSchema(pandera.DataFrameModel):
    """One row per value that did not fit or is not known, and how it was handled."""

    run_id: Text = _cell("the run, where known")
    job_id: Text = _cell("the job; null for what concerns the whole run")
    field: Text = _cell("the field, e.g. timing.duration_ms, or the column")
    problem: Text = _key("what is wrong")
    value: Text = _cell("the value received, cut short, or how often it occurred")
    action: Text = _key("how it was handled")


class RawSchema(pandera.DataFrameModel):
    """One row per row of the API, as it came; the key is `job_id`."""

    job_id: Text = pandera.Field(unique=True, description="the job")
    position: Whole = pandera.Field(ge=0, description="the position of the row in the response")
    body: Text = _key("the row as received, byte for byte (JSON)")


class SnapshotsSchema(pandera.DataFrameModel):
    """One row per run in a store: its newest revision; the key is `run_id`."""

    workflow_id: Text = _cell("the workflow")
    experiment_id: Text = _cell("the experiment")
    run_id: Text = pandera.Field(unique=True, description="the run")
    block_kind: Text = _cell("extract, classifier, split, for_each, or unknown")
    revision: Whole = pandera.Field(ge=1, description="its newest revision, from 1")
    complete: Flag = _key("true where every job had ended and nothing was missing")
    jobs: Whole = pandera.Field(ge=0, description="how many jobs it has")
    completed: Whole = pandera.Field(ge=0, description="jobs that were completed")
    error: Whole = pandera.Field(ge=0, description="jobs that failed")
    run_created_at: Time = _cell("when the run was created (UTC)")
    fetched_at: Time = _cell("when the response arrived (UTC)")
    written_at: Time = _cell("when the revision was written (UTC)")
    size_bytes: Whole = _measure("the size of its files", "bytes")


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
