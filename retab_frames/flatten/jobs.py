"""Decoded rows -> the columns of the jobs, without their handles."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.errors import MalformedResponseError
from retab_frames.flatten.columns import Misfit, first_sent, is_sent, listed, texts
from retab_frames.schemas.models import JobsSchema, arrow_schema
from retab_frames.text.messages import printable
from retab_frames.wire.records import NOTHING, Cells, Lifecycle, Row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["Known", "job_cells", "job_columns"]

JOB_PATHS: dict[str, tuple[str, ...]] = {
    "document_id": ("document_id",),
    "block_kind": ("block_kind", "block_type"),
    "status": ("status", "lifecycle.status"),
    "attempt": ("attempt",),
    "artifact_operation": ("artifact.operation",),
    "artifact_id": ("artifact.id",),
    "duration_ms": ("timing.duration_ms", "duration_ms"),
    "created_at": ("timing.created_at", "created_at"),
    "started_at": ("timing.started_at", "started_at"),
    "completed_at": ("timing.completed_at", "completed_at"),
    "error_message": ("error_message",),
    "error_details": ("error_details",),
}
"""Where each column of the jobs stands on the wire; the first that is present counts."""

_NULL = msgspec.Raw(b"null")


class Known(NamedTuple):
    """What a response says of all its rows.

    Attributes:
        workflow_id: From the call.
        experiment_id: From the call or the envelope.
        run_id: The run.
        fetched_at: When it arrived.
    """

    workflow_id: str | None
    experiment_id: str | None
    run_id: str | None
    fetched_at: datetime | None


def job_cells(rows: Sequence[Row], job_ids: list[str]) -> tuple[Cells, list[Misfit]]:
    """Return what the rows hold of the jobs, and the errors that are not text."""
    lifecycles = [row.lifecycle for row in rows]
    messages, details, odd = _errors(rows, lifecycles)
    cells: Cells = {
        "job_id": job_ids,
        "document_id": [row.document_id for row in rows],
        "experiment_id": [row.experiment_id for row in rows],
        "status": [row.status for row in rows],
        "block_kind": [row.block_kind for row in rows],
        "block_type": [row.block_type for row in rows],
        "attempt": [row.attempt for row in rows],
        "is_placeholder": [row.is_placeholder for row in rows],
        "duration_ms": [row.duration_ms for row in rows],
        "created_at": [row.created_at for row in rows],
        "started_at": [row.started_at for row in rows],
        "completed_at": [row.completed_at for row in rows],
        "error_message": messages,
        "error_details": details,
    }
    if is_sent(artifacts := [row.artifact for row in rows]):
        cells["artifact.operation"] = [one.operation if one else None for one in artifacts]
        cells["artifact.id"] = [one.id if one else None for one in artifacts]
    if is_sent(lifecycles):
        cells["lifecycle.status"] = [one.status if one else None for one in lifecycles]
    if is_sent(timings := [row.timing for row in rows]):
        cells["timing.duration_ms"] = [one.duration_ms if one else None for one in timings]
        cells["timing.created_at"] = [one.created_at if one else None for one in timings]
        cells["timing.started_at"] = [one.started_at if one else None for one in timings]
        cells["timing.completed_at"] = [one.completed_at if one else None for one in timings]
    return cells, odd


def job_columns(
    cells: Cells, known: Sequence[tuple[Known, int]]
) -> tuple[dict[str, pa.Array], list[tuple[str, Misfit]]]:
    """Return the columns of the jobs, by name, and the cells that did not fit.

    Args:
        cells: What the rows hold.
        known: What the responses say of the rows, and of how many; in the order of the rows.

    Raises:
        MalformedResponseError: If neither a row nor its response names the experiment.
    """
    schema = arrow_schema(JobsSchema)
    lengths = [length for _, length in known]
    rows = sum(lengths)

    def of_response(name: str) -> pa.Array:
        values = pa.array([getattr(one, name) for one, _ in known], schema.field(name).type)
        if len(known) == 1:
            return pa.repeat(values[0], rows)
        return values.take(pa.array(np.repeat(np.arange(len(known)), lengths)))

    placeholders, _ = first_sent(("is_placeholder",), pa.bool_(), cells, rows)
    columns = {
        "workflow_id": of_response("workflow_id"),
        "experiment_id": _experiment_ids(cells, of_response("experiment_id")),
        "run_id": of_response("run_id"),
        "job_id": texts(cells["job_id"]).array,
        "is_placeholder": pc.fill_null(placeholders, fill_value=False),
        "fetched_at": of_response("fetched_at"),
    }
    misfits: list[tuple[str, Misfit]] = []
    for name, paths in JOB_PATHS.items():
        columns[name], odd = first_sent(paths, schema.field(name).type, cells, rows)
        misfits += odd
    return columns, misfits


def _experiment_ids(cells: Cells, known: pa.Array) -> pa.Array:
    if "experiment_id" not in cells:
        ids = known
    else:
        ids = texts(cells["experiment_id"]).array
        if {None, ""} & {*ids.unique().to_pylist()}:
            ids = pc.if_else(pc.equal(ids, ""), pa.scalar(None, pa.string()), ids)
            ids = pc.coalesce(ids, known)
    if ids.null_count:
        n = ids.is_null().index(pa.scalar(value=True)).as_py()
        raise MalformedResponseError(
            f"row {printable(listed(cells['job_id'])[n])} names no experiment, and neither does "
            "the response",
            where="$.experiment_id",
        )
    return ids


def _errors(
    rows: Sequence[Row], lifecycles: list[Lifecycle | None]
) -> tuple[list[str | None], list[str | None], list[Misfit]]:
    """Return messages and details: `error` first, then the lifecycle's message or reason.

    An `error` that is not text is kept as the details, unless the lifecycle has some.
    """
    odd: list[Misfit] = []
    messages: list[str | None] = [None] * len(rows)
    details: list[str | None] = [None] * len(rows)
    if is_sent(lifecycles):
        messages = [(one.message or one.reason) if one else None for one in lifecycles]
        details = [_text(one.details) if one else None for one in lifecycles]
    errors = [(n, row.error) for n, row in enumerate(rows) if row.error is not NOTHING]
    for n, text in [(n, bytes(error).decode()) for n, error in errors if error != _NULL]:
        messages[n] = _message(text) or messages[n]
        if not text.startswith('"'):
            action = "kept in error_details" if details[n] is None else "kept in raw"
            odd.append(Misfit(n, "an error that is not text", printable(text, 200), action))
            details[n] = details[n] or text
    return messages, details, odd


def _message(error: str) -> str | None:
    """Return the words of an error: text, or the `message` of an object."""
    if error.startswith("{"):
        message = msgspec.json.decode(error, type=dict[str, msgspec.Raw]).get("message", NOTHING)
        error = bytes(message).decode()
    return msgspec.json.decode(error, type=str) if error.startswith('"') else None


def _text(raw: msgspec.Raw) -> str | None:
    """Return JSON text, None for `null` and for what was not sent."""
    text = "" if raw is NOTHING else bytes(raw).decode()
    return None if text in ("", "null") else text
