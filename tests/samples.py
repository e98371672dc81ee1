"""Payloads that several tests share, and frames as plain rows to compare with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    from retab_frames import RunContent

JsonObject = dict[str, Any]

TEXT = pd.ArrowDtype(pa.string())
WHOLE = pd.ArrowDtype(pa.int64())
REAL = pd.ArrowDtype(pa.float64())
FLAG = pd.ArrowDtype(pa.bool_())
TIME = pd.ArrowDtype(pa.timestamp("us", tz="UTC"))

DOCUMENTED = (
    b'{"experiment_id":"exp_abc","run_id":"exprun_1","content":{"jobs":[{"id":"expjob_1",'
    b'"run_id":"exprun_1","experiment_id":"exp_abc","document_id":"expdoc_1","status":"completed",'
    b'"block_kind":"extract","handle_inputs":{"input-document-0":{"type":"file",'
    b'"filename":"invoice_q1.pdf"}},"artifact":{"operation":"extraction","id":"ext_xyz"},'
    b'"duration_ms":4120,"attempt":0,"is_placeholder":false}]}}'
)
"""The sample of the API's documentation for `/content`."""

DOCUMENTED_JOB: JsonObject = {
    "workflow_id": None,
    "experiment_id": "exp_abc",
    "run_id": "exprun_1",
    "job_id": "expjob_1",
    "document_id": "expdoc_1",
    "filename": "invoice_q1.pdf",
    "block_kind": "extract",
    "status": "completed",
    "attempt": 0,
    "is_placeholder": False,
    "artifact_operation": "extraction",
    "artifact_id": "ext_xyz",
    "duration_ms": 4120,
    "created_at": None,
    "started_at": None,
    "completed_at": None,
    "error_message": None,
    "error_details": None,
    "fetched_at": None,
    "handle_inputs.input-document-0.type": "file",
    "handle_inputs.input-document-0.filename": "invoice_q1.pdf",
    "handle_inputs.input-document-0.file_id": None,
    "handle_inputs.input-document-0.mime_type": None,
}
"""The row of the jobs frame that DOCUMENTED becomes."""


def job(number: int = 1, **fields: object) -> JsonObject:
    """Return a job that fits; `fields` are added, or replace its own."""
    return {
        "id": f"expjob_{number}",
        "run_id": "exprun_1",
        "experiment_id": "exp_abc",
        "document_id": f"expdoc_{number}",
        "status": "completed",
        "block_kind": "extract",
        **fields,
    }


def content(*jobs: object, run_id: str | None = "exprun_1") -> JsonObject:
    """Return a response of `/content`."""
    return {"experiment_id": "exp_abc", "run_id": run_id, "content": {"jobs": list(jobs)}}


def page(*rows: object, after: str | None = None) -> JsonObject:
    """Return a page of results."""
    return {"data": list(rows), "list_metadata": {"before": None, "after": after}}


def encoded(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def around(fields: str) -> bytes:
    """Return a response of `/content` with one job, to which the JSON text is added as it is."""
    start, end = encoded(content(job())).rsplit(b"}]", 1)
    return start + f",{fields}}}]".encode() + end


def rows_of(frame: pd.DataFrame) -> list[JsonObject]:
    """Return the rows of a frame as plain values, None where it is null."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    rows: list[JsonObject] = table.to_pylist()
    return rows


def issues_of(found: RunContent) -> list[tuple[str | None, ...]]:
    """Return job, field, value and action of each issue."""
    names = ("job_id", "field", "value", "action")
    return [tuple(row[name] for name in names) for row in rows_of(found.issues)]
