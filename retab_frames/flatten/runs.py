"""Run and experiment records -> Arrow tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from retab_frames.flatten.columns import Column, fit
from retab_frames.schemas.models import ExperimentsSchema, RunsSchema, arrow_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from retab_frames.flatten.columns import Misfit
    from retab_frames.flatten.issues import Issue
    from retab_frames.schemas.models import Model

__all__ = ["TERMINAL_RUN", "Record", "expected_jobs", "experiments_table", "runs_table"]

Record = dict[str, Any]
Paths = dict[str, tuple[str, ...]]

RUN_PATHS: Paths = {
    "workflow_id": ("workflow_id", "workflow.workflow_id"),
    "experiment_id": ("experiment_id",),
    "run_id": ("id",),
    "parent_run_id": ("parent_run_id",),
    "block_id": ("block_id",),
    "block_kind": ("block_kind", "block_type"),
    "status": ("status", "lifecycle.status"),
    "error_message": ("error", "lifecycle.message", "lifecycle.reason"),
    "trigger_type": ("trigger.type",),
    "n_consensus": ("n_consensus",),
    "document_count": ("document_count",),
    "total_document_count": ("total_document_count",),
    "completed_document_count": ("completed_document_count",),
    "error_count": ("error_count",),
    "score": ("score",),
    "duration_ms": ("timing.duration_ms", "duration_ms"),
    "created_at": ("timing.created_at", "created_at"),
    "started_at": ("timing.started_at", "started_at"),
    "completed_at": ("timing.completed_at", "completed_at"),
    "definition_fingerprint": ("block_execution_fingerprint", "definition_fingerprint"),
    "documents_fingerprint": ("documents_fingerprint",),
    "metrics_validity_fingerprint": ("metrics_validity_fingerprint",),
    "metrics_validity_fingerprint_version": ("metrics_validity_fingerprint_version",),
    "workflow_version_id": ("workflow_version_id", "workflow.version_id"),
    "requested_version": ("workflow.requested_version",),
    "workflow_name": ("workflow.name_at_run_time",),
    "block_version_id": ("block_version_id",),
    "block_config": ("block_config",),
    "server_job_id": ("job_id",),
}
"""Where each column of the runs stands on the wire; the first that is present counts."""

EXPERIMENT_PATHS: Paths = {
    "workflow_id": ("workflow_id",),
    "experiment_id": ("id",),
    "name": ("name",),
    "block_id": ("block_id",),
    "block_kind": ("block_kind", "block_type"),
    "status": ("status",),
    "n_consensus": ("n_consensus",),
    "document_count": ("document_count",),
    "rerunnable_document_count": ("rerunnable_document_count",),
    "last_run_id": ("last_run_id",),
    "score": ("score",),
    "created_at": ("created_at",),
    "updated_at": ("updated_at",),
    "is_stale": ("is_stale",),
    "schema_drift": ("schema_drift",),
    "schema_drift_detail": ("schema_drift_detail",),
    "drift_status": ("drift.status",),
    "drift_detail": ("drift.detail",),
    "drift_targets": ("drift.affected_targets",),
    "freshness_status": ("freshness.status", "freshness_state"),
    "freshness_reasons": ("freshness.reasons", "freshness_reasons"),
    "freshness_baseline_run_id": ("freshness.baseline_run_id",),
    "validity_fingerprint": ("freshness.validity_fingerprint",),
    "input_fingerprint": ("freshness.input_fingerprint",),
    "run_plan_mode": ("run_plan_mode",),
    "server_job_id": ("job_id",),
}
"""Where each column of the experiments stands on the wire."""

TERMINAL_RUN = ("completed", "error", "cancelled")
"""The statuses of a run that will not change any more."""

_JSON_COLUMNS = frozenset(("block_config", "drift_targets", "freshness_reasons"))
_MAY_BE_NEGATIVE = frozenset(("metrics_validity_fingerprint_version",))


def runs_table(
    records: Sequence[Record],
    *,
    workflow_id: str | None,
    experiment_id: str | None,
    fetched_at: datetime | None,
) -> tuple[pa.Table, list[Issue]]:
    """Return the runs in the order they came, and the cells that did not fit."""
    known = {"workflow_id": workflow_id, "experiment_id": experiment_id, "fetched_at": fetched_at}
    return _table(records, RunsSchema, RUN_PATHS, known)


def experiments_table(
    records: Sequence[Record], *, workflow_id: str | None, fetched_at: datetime | None
) -> tuple[pa.Table, list[Issue]]:
    """Return the experiments in the order they came, and the cells that did not fit."""
    known = {"workflow_id": workflow_id, "fetched_at": fetched_at}
    return _table(records, ExperimentsSchema, EXPERIMENT_PATHS, known)


def _value_of(record: Record, column: str) -> Any:
    """Return what the record of a run says for a column, as it came; None where it is silent."""
    found = (_at(record, path) for path in RUN_PATHS[column])
    return next((value for value in found if value is not None), None)


def expected_jobs(record: Record) -> int | None:
    """Return how many jobs a run that has ended should have; None where that is not known."""
    counts = (_value_of(record, f"{name}document_count") for name in ("total_", ""))
    count = next((n for n in counts if isinstance(n, int) and n > 0), None)
    return count if _value_of(record, "status") in TERMINAL_RUN else None


def _table(
    records: Sequence[Record], model: Model, paths: Paths, known: Mapping[str, object]
) -> tuple[pa.Table, list[Issue]]:
    schema = arrow_schema(model)
    issues: list[Issue] = []
    columns = []
    for field in schema:
        values, origins = _values(records, field.name, paths.get(field.name, ()))
        least = None if field.name in _MAY_BE_NEGATIVE else 0
        if field.name == "fetched_at":
            arrived = pa.scalar(known["fetched_at"], field.type)
            column = Column(pa.repeat(arrived, len(records)), [])
        else:
            filled = [known.get(field.name) if value is None else value for value in values]
            column = fit(filled, field.type, least=least)
        columns.append(column.array)
        issues += [_issue(records[m.row], origins[m.row], m) for m in column.misfits]
    return pa.table(columns, schema=schema), issues


def _values(
    records: Sequence[Record], name: str, paths: tuple[str, ...]
) -> tuple[list[Any], list[str]]:
    values: list[Any] = []
    origins: list[str] = []
    for record in records:
        found = ((path, _at(record, path)) for path in paths)
        origin, value = next(((p, v) for p, v in found if v is not None), (name, None))
        if name in _JSON_COLUMNS and value is not None:
            value = msgspec.json.encode(value).decode()
        values.append(value)
        origins.append(origin)
    return values, origins


def _at(record: Record, path: str) -> Any:
    value: Any = record
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _issue(record: Record, path: str, misfit: Misfit) -> Issue:
    return {
        "run_id": record["id"],
        "job_id": None,
        "field": path,
        "problem": misfit.problem,
        "value": misfit.value,
        "action": misfit.action,
    }
