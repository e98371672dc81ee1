"""The JSON path and the JSON type of each column in what the API sends.

This is the only declaration of these facts: the structs that decode rows, the schema of Arrow's
JSON reader and the columns all follow from it. The API has had three generations, and a server may
mix them, so a value may stand in several places; the first place that has one counts.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["EXPERIMENTS", "HANDLES", "JOBS", "OPAQUE", "RUNS", "Paths", "Source"]

JsonType = Literal["string", "integer", "number", "boolean", "json"]


class Source(NamedTuple):
    """Where the values of a column stand.

    Attributes:
        json_type: What is sent; "json" is any value, kept as JSON text.
        paths: The places, keys joined by dots; the first that has a value counts.
        skip_empty: Whether empty text counts as no value.
    """

    json_type: JsonType
    paths: tuple[str, ...]
    skip_empty: bool = False


Paths = dict[str, Source]
"""The source of each column."""


def _at(json_type: JsonType, *paths: str, skip_empty: bool = False) -> Source:
    return Source(json_type, paths, skip_empty)


OPAQUE = ("error",)
"""Fields that hold text or an object; they are decoded as JSON, and `values` reads their parts."""

JOBS: Paths = {
    "workflow_id": _at("string", "workflow_id", skip_empty=True),
    "experiment_id": _at("string", "experiment_id", skip_empty=True),
    "job_id": _at("string", "id"),
    "document_id": _at("string", "document_id"),
    "block_kind": _at("string", "block_kind", "block_type"),
    "status": _at("string", "status", "lifecycle.status"),
    "attempt": _at("integer", "attempt"),
    "is_placeholder": _at("boolean", "is_placeholder"),
    "artifact_operation": _at("string", "artifact.operation"),
    "artifact_id": _at("string", "artifact.id"),
    "duration_ms": _at("number", "timing.duration_ms", "duration_ms"),
    "created_at": _at("string", "timing.created_at", "created_at"),
    "started_at": _at("string", "timing.started_at", "started_at"),
    "completed_at": _at("string", "timing.completed_at", "completed_at"),
    "error_message": _at(
        "string", "error.message", "lifecycle.message", "lifecycle.reason", skip_empty=True
    ),
    "error_details": _at("json", "lifecycle.details", "error.details"),
}
"""The columns of a job that are read from its row; the run of a row is checked, not a column."""

RUN_OF_ROW = _at("string", "run_id", "experiment_run_id", skip_empty=True)
"""The run that a row names; the column `run_id` is that of the response."""

HANDLES: Paths = {
    "type": _at("string", "type"),
    "filename": _at("string", "filename", "document.filename"),
    "file_id": _at("string", "document.id", "document.original_id", skip_empty=True),
    "mime_type": _at("string", "document.mime_type"),
    "size_bytes": _at("integer", "document.size_bytes"),
    "content_fingerprint": _at("string", "document.content_fingerprint"),
    "data": _at("json", "data", "text"),
}
"""The columns of a handle; a value at a later place that differs is kept in `extra`."""

RUNS: Paths = {
    "workflow_id": _at("string", "workflow_id", "workflow.workflow_id"),
    "experiment_id": _at("string", "experiment_id"),
    "run_id": _at("string", "id"),
    "parent_run_id": _at("string", "parent_run_id"),
    "block_id": _at("string", "block_id"),
    "block_kind": _at("string", "block_kind", "block_type"),
    "status": _at("string", "status", "lifecycle.status"),
    "error_message": _at("string", "error", "lifecycle.message", "lifecycle.reason"),
    "trigger_type": _at("string", "trigger.type"),
    "n_consensus": _at("integer", "n_consensus"),
    "document_count": _at("integer", "document_count"),
    "total_document_count": _at("integer", "total_document_count"),
    "completed_document_count": _at("integer", "completed_document_count"),
    "error_count": _at("integer", "error_count"),
    "score": _at("number", "score"),
    "duration_ms": _at("number", "timing.duration_ms", "duration_ms"),
    "created_at": _at("string", "timing.created_at", "created_at"),
    "started_at": _at("string", "timing.started_at", "started_at"),
    "completed_at": _at("string", "timing.completed_at", "completed_at"),
    "definition_fingerprint": _at(
        "string", "block_execution_fingerprint", "definition_fingerprint"
    ),
    "documents_fingerprint": _at("string", "documents_fingerprint"),
    "metrics_validity_fingerprint": _at("string", "metrics_validity_fingerprint"),
    "metrics_validity_fingerprint_version": _at("integer", "metrics_validity_fingerprint_version"),
    "workflow_version_id": _at("string", "workflow_version_id", "workflow.version_id"),
    "requested_version": _at("string", "workflow.requested_version"),
    "workflow_name": _at("string", "workflow.name_at_run_time"),
    "block_version_id": _at("string", "block_version_id"),
    "block_config": _at("json", "block_config"),
    "server_job_id": _at("string", "job_id"),
}
"""The columns of a run record."""

EXPERIMENTS: Paths = {
    "workflow_id": _at("string", "workflow_id"),
    "experiment_id": _at("string", "id"),
    "name": _at("string", "name"),
    "block_id": _at("string", "block_id"),
    "block_kind": _at("string", "block_kind", "block_type"),
    "status": _at("string", "status"),
    "n_consensus": _at("integer", "n_consensus"),
    "document_count": _at("integer", "document_count"),
    "rerunnable_document_count": _at("integer", "rerunnable_document_count"),
    "last_run_id": _at("string", "last_run_id"),
    "score": _at("number", "score"),
    "created_at": _at("string", "created_at"),
    "updated_at": _at("string", "updated_at"),
    "is_stale": _at("boolean", "is_stale"),
    "schema_drift": _at("string", "schema_drift"),
    "schema_drift_detail": _at("string", "schema_drift_detail"),
    "drift_status": _at("string", "drift.status"),
    "drift_detail": _at("string", "drift.detail"),
    "drift_targets": _at("json", "drift.affected_targets"),
    "freshness_status": _at("string", "freshness.status", "freshness_state"),
    "freshness_reasons": _at("json", "freshness.reasons", "freshness_reasons"),
    "freshness_baseline_run_id": _at("string", "freshness.baseline_run_id"),
    "validity_fingerprint": _at("string", "freshness.validity_fingerprint"),
    "input_fingerprint": _at("string", "freshness.input_fingerprint"),
    "run_plan_mode": _at("string", "run_plan_mode"),
    "server_job_id": _at("string", "job_id"),
}
"""The columns of an experiment record."""
