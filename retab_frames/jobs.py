"""Decoded rows -> the columns of the jobs, without their handles."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.columns import Misfit, fit, texts
from retab_frames.errors import MalformedResponseError, shown
from retab_frames.schemas import JobsSchema, arrow_schema
from retab_frames.wire import NOTHING, Artifact, Lifecycle, Row, Timing, cells

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["Part", "job_columns", "null_handles"]

JOB_PATHS: dict[str, tuple[str, ...]] = {
    "block_kind": ("block_kind", "block_type"),
    "status": ("status", "lifecycle.status"),
    "attempt": ("attempt",),
    "artifact_operation": ("artifact.operation",),
    "artifact_id": ("artifact.id",),
    "duration_ms": ("timing.duration_ms", "duration_ms"),
    "created_at": ("timing.created_at", "created_at"),
    "started_at": ("timing.started_at", "started_at"),
    "completed_at": ("timing.completed_at", "completed_at"),
}
"""Where each column of the jobs stands on the wire; the first that is present counts."""

_NESTED: dict[str, type[msgspec.Struct]] = {
    "lifecycle": Lifecycle,
    "timing": Timing,
    "artifact": Artifact,
}

_NULL = msgspec.Raw(b"null")

Cells = dict[str, list[Any]]
"""The values of rows, or of the structs in them, field by field."""


class Part(NamedTuple):
    """Rows of one run that follow one another, and what the run says of all of them.

    Attributes:
        run: The number of the run among those that are flattened together.
        workflow_id: From the call.
        experiment_id: From the call or the envelope.
        run_id: The run.
        fetched_at: When its response arrived.
        rows: The rows.
        job_ids: The ids of their jobs.
    """

    run: int
    workflow_id: str | None
    experiment_id: str | None
    run_id: str | None
    fetched_at: datetime | None
    rows: list[Row]
    job_ids: list[str]


def job_columns(
    rows: list[Row], parts: Sequence[Part]
) -> tuple[dict[str, pa.Array], list[tuple[str, Misfit]]]:
    """Return the columns of the jobs, by name, and the cells that did not fit.

    Args:
        rows: The rows of the parts.
        parts: What they are parts of.

    Raises:
        MalformedResponseError: If neither a row nor its response names the experiment.
    """
    schema = arrow_schema(JobsSchema)
    lengths = [len(part.rows) for part in parts]

    def of_part(name: str) -> pa.Array:
        values = pa.array([getattr(part, name) for part in parts], schema.field(name).type)
        return values.take(pa.array(np.repeat(np.arange(len(parts)), lengths)))

    row = cells(rows, Row)
    messages, details, odd = _errors(row)
    misfits = [("error", misfit) for misfit in odd]
    columns = {
        "workflow_id": of_part("workflow_id"),
        "experiment_id": _experiment_ids(row, of_part("experiment_id")),
        "run_id": of_part("run_id"),
        "job_id": texts([*chain.from_iterable(part.job_ids for part in parts)]).array,
        "document_id": texts(row["document_id"]).array,
        "is_placeholder": pa.array([one is True for one in row["is_placeholder"]], pa.bool_()),
        "error_message": messages,
        "error_details": details,
        "fetched_at": of_part("fetched_at"),
    }
    inner: dict[str, Cells] = {"": row}
    for name, paths in JOB_PATHS.items():
        columns[name], odd_cells = _first(paths, schema.field(name).type, inner)
        misfits += odd_cells
    return columns, misfits


def _first(
    paths: tuple[str, ...], kind: pa.DataType, inner: dict[str, Cells]
) -> tuple[pa.Array, list[tuple[str, Misfit]]]:
    """Return the first value that is present of each row, and those that did not fit.

    Args:
        paths: Where it may be.
        kind: The type of the column.
        inner: The values of the rows, and of each struct in them that was looked at so far.
    """
    options: list[pa.Array] = []
    misfits: list[tuple[str, Misfit]] = []
    for path in paths:
        parent, _, name = path.rpartition(".")
        if parent not in inner:
            structs = inner[""][parent]
            inner[parent] = cells(structs, _NESTED[parent]) if _is_sent(structs) else {}
        values = inner[parent].get(name)
        if values is not None and _is_sent(values):
            column = fit(values, kind, least=0)
            options.append(column.array)
            misfits += [(path, misfit) for misfit in column.misfits]
    if not options:
        return pa.nulls(len(inner[""]["id"]), kind), []
    return options[0] if len(options) == 1 else pc.coalesce(*options), misfits


def _is_sent(values: list[Any]) -> bool:
    return values.count(None) < len(values)


def _experiment_ids(row: Cells, known: pa.Array) -> pa.Array:
    ids = pc.coalesce(texts([one or None for one in row["experiment_id"]]).array, known)
    if ids.null_count:
        n = ids.is_null().index(pa.scalar(value=True)).as_py()
        raise MalformedResponseError(
            f"row {shown(row['id'][n])} names no experiment, and neither does the response",
            where="$.experiment_id",
        )
    return ids


def _errors(row: Cells) -> tuple[pa.Array, pa.Array, list[Misfit]]:
    """Return messages and details: `error` first, then the lifecycle's message or reason.

    An `error` that is not text is kept as the details, unless the lifecycle has some.
    """
    odd: list[Misfit] = []
    errors, lives = row["error"], row["lifecycle"]
    messages: list[str | None] = [None] * len(errors)
    details: list[str | None] = [None] * len(errors)
    for n, life in enumerate(lives if _is_sent(lives) else ()):
        if life is not None:
            messages[n] = life.message or life.reason
            details[n] = _text(life.details)
    for n in [n for n, error in enumerate(errors) if error is not NOTHING and error != _NULL]:
        text = _text(errors[n])
        if text is not None:
            messages[n] = _message(text) or messages[n]
            if not text.startswith('"'):
                action = "kept in error_details" if details[n] is None else "kept in raw"
                odd.append(Misfit(n, "an error that is not text", shown(text, 200), action))
                details[n] = details[n] or text
    return pa.array(messages, pa.string()), pa.array(details, pa.string()), odd


def null_handles(rows: list[Row]) -> list[tuple[str, Misfit]]:
    """Tell of a null in place of the handles; handles that were not sent are UNSET."""
    sides = {
        "handle_inputs": [row.handle_inputs for row in rows],
        "handle_outputs": [row.handle_outputs for row in rows],
    }
    return [
        (side, Misfit(n, "null, expected an object", "null", "kept as no handles"))
        for side, values in sides.items()
        if None in values
        for n, value in enumerate(values)
        if value is None
    ]


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
