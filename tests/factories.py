"""Rows as the API sends them, runs of them, and frames of jobs: what the tests are made of."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

import retab_frames as rf
from retab_frames.flatten.runs import runs_table

if TYPE_CHECKING:
    from collections.abc import Sequence

# Rows and responses

DEEPEST = sys.getrecursionlimit() if sys.version_info < (3, 12) else 12_000
"""A depth that no Python decodes: from 3.12 on what recurses in C has a limit of its own."""

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


def issues_of(found: rf.RunContent) -> list[tuple[str | None, ...]]:
    """Return job, field, value and action of each issue."""
    names = ("job_id", "field", "value", "action")
    return [tuple(row[name] for name in names) for row in rows_of(found.issues)]


# Runs to compare, and hypothesis strategies of pairs of them

ENDED = ("completed", "completed", "completed", "error", "cancelled", "skipped")
PLACEHOLDER = "(placeholder)"
"""Stands for the status of a placeholder."""


def run(*jobs: dict[str, Any], run_id: str | None = "r", **record: Any) -> rf.RunContent:
    """Return the content of a run of the given jobs, each with what it needs at least.

    `record` are fields of its run record; without any it has none.
    """
    rows = [
        {
            "id": f"{run_id}/job_{n}",
            "run_id": run_id,
            "experiment_id": "exp",
            "document_id": f"doc_{n}",
            "status": "completed",
            "duration_ms": 1000,
            **job,
        }
        for n, job in enumerate(jobs)
    ]
    content = rf.read_content({"experiment_id": "exp", "run_id": run_id, "content": {"jobs": rows}})
    if not record:
        return content
    table, _ = runs_table(
        [{"id": run_id, **record}], workflow_id=None, experiment_id="exp", fetched_at=None
    )
    return replace(content, run_table=table)


def timed(*durations: int | None, run_id: str = "r") -> rf.RunContent:
    """Return a run whose documents completed in so many milliseconds."""
    return run(*({"duration_ms": ms} for ms in durations), run_id=run_id)


def ended(*statuses: str, run_id: str = "r") -> rf.RunContent:
    """Return a run whose documents have the statuses."""
    return run(*({"status": status} for status in statuses), run_id=run_id)


def never_run(documents: int = 1) -> rf.RunContent:
    """Return the content of an experiment that was never run."""
    blank = {"id": "", "status": "pending", "is_placeholder": True, "duration_ms": None}
    return run(*[blank] * documents, run_id=None)


def file(**document: Any) -> dict[str, Any]:
    """Return a job with one file among its inputs."""
    return {"handle_inputs": {"in": {"type": "file", "document": document}}}


def data(value: Any) -> dict[str, Any]:
    """Return a job with one JSON among its inputs."""
    return {"handle_inputs": {"in": {"type": "json", "data": value}}}


@dataclass(frozen=True)
class Outcome:
    """What a run made of a document."""

    status: str | None
    duration_ms: int | None


def outcome_jobs(outcomes: dict[str, Outcome], run_id: str) -> pd.DataFrame:
    """Return a bare frame of jobs with these outcomes, by document."""
    statuses = [outcome.status for outcome in outcomes.values()]
    columns: dict[str, tuple[list[Any], pd.ArrowDtype]] = {
        "run_id": ([run_id] * len(outcomes), TEXT),
        "job_id": ([f"{run_id}/{document}" for document in outcomes], TEXT),
        "document_id": (list(outcomes), TEXT),
        "filename": ([f"{document}.pdf" for document in outcomes], TEXT),
        "status": ([None if s == PLACEHOLDER else s for s in statuses], TEXT),
        "is_placeholder": ([s == PLACEHOLDER for s in statuses], FLAG),
        "duration_ms": ([outcome.duration_ms for outcome in outcomes.values()], WHOLE),
    }
    return pd.DataFrame({n: pd.Series(v, dtype=kind) for n, (v, kind) in columns.items()})


STATUSES = st.sampled_from([*ENDED, "running", "queued", "hibernating", None, PLACEHOLDER])
DURATIONS = st.one_of(st.none(), st.integers(0, 100_000), st.integers(900, 1_100))
OUTCOMES = st.builds(Outcome, STATUSES, DURATIONS)
COMPLETED = st.builds(Outcome, st.just("completed"), st.integers(900, 1_200))
SIDES = st.dictionaries(
    st.sampled_from([f"d{n}" for n in range(12)]),
    st.one_of(OUTCOMES, COMPLETED),
    min_size=1,
    max_size=12,
)


# Frames of jobs

TIME_TYPE = pa.timestamp("us", tz="UTC")
SECOND = 1_000_000


def arrow(values: Sequence[object], kind: pa.DataType) -> pd.Series[Any]:
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values, kind)))


def texts(*values: str | None) -> pd.Series[Any]:
    return arrow(values, pa.string())


def times(*micros: int | None) -> pd.Series[Any]:
    return arrow(micros, TIME_TYPE)


def seconds(*values: float | None) -> pd.Series[Any]:
    """Return times so many seconds after the epoch."""
    return times(*[None if value is None else round(value * SECOND) for value in values])


def jobs_of(duration_ms: Sequence[int | None], **columns: pd.Series[Any]) -> pd.DataFrame:
    """Return completed jobs with these durations; `columns` replace or add to theirs."""
    count = len(duration_ms)
    numbers = range(1, count + 1)
    plain = {
        "run_id": texts(*["exprun_1"] * count),
        "job_id": texts(*[f"expjob_{n}" for n in numbers]),
        "document_id": texts(*[f"expdoc_{n}" for n in numbers]),
        "filename": texts(*[f"invoice_{n}.pdf" for n in numbers]),
        "status": texts(*["completed"] * count),
        "is_placeholder": arrow([False] * count, pa.bool_()),
        "duration_ms": arrow(duration_ms, pa.int64()),
        "created_at": times(*[None] * count),
        "started_at": times(*[None] * count),
        "completed_at": times(*[None] * count),
        "error_message": texts(*[None] * count),
        "fetched_at": times(*[None] * count),
    }
    return pd.DataFrame(plain | columns)


def timed_jobs(*rows: tuple[str, float | None, float | None, float | None]) -> pd.DataFrame:
    """Return jobs with these statuses that were created, started and completed at these seconds."""
    status, created, started, completed = zip(*rows, strict=True) if rows else ([], [], [], [])
    return jobs_of(
        [None] * len(rows),
        status=texts(*status),
        created_at=seconds(*created),
        started_at=seconds(*started),
        completed_at=seconds(*completed),
    )
