"""Raw rows -> Arrow tables: the jobs, their handles, and a list of what was odd.

Many runs are flattened in one go, because building the columns costs far more than a row does.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.columns import Misfit, fit, texts
from retab_frames.errors import MalformedResponseError, shown
from retab_frames.handles import LongHandles, explode, long_handles
from retab_frames.issues import of_cells, of_handles, of_run, of_values
from retab_frames.rows import Oddity, RowReader
from retab_frames.schemas import IssuesSchema, JobsSchema, RawSchema, arrow_schema
from retab_frames.wire import NOTHING, Payload, Row, raw_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from retab_frames.issues import Issue

__all__ = ["RunPayloads", "Tables", "flatten", "raw_table"]

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


class RunPayloads(NamedTuple):
    """All the responses of one run.

    Attributes:
        workflow_id: From the call; None where it is not known.
        experiment_id: From the call or the envelope; None if only the rows tell.
        run_id: From the call or the envelope; None if only the rows tell, or if it was never run.
        payloads: In the order they came.
        fetched_at: When they arrived; None for a source in hand.
    """

    workflow_id: str | None
    experiment_id: str | None
    run_id: str | None
    payloads: tuple[Payload, ...]
    fetched_at: datetime | None


class Tables(NamedTuple):
    """The Arrow tables of some runs: the jobs with exploded handles, and the long tables."""

    jobs: pa.Table
    handle_inputs: pa.Table
    handle_outputs: pa.Table
    issues: pa.Table


class _Run(NamedTuple):
    """A run whose rows are decoded: one row per job, each with its index among all that came."""

    source: RunPayloads
    run_id: str | None
    rows: list[Row]
    kept: Sequence[int]
    job_ids: list[str]


def flatten(runs: Sequence[RunPayloads]) -> Tables:
    """Return the tables of the runs, in their order, rows in the order they came.

    Raises:
        MalformedResponseError: If a row contradicts the contract of the API: not an object, no id,
            an id twice with different content, a row of another run.
    """
    reader = RowReader()
    issues: list[Issue] = []
    decoded = []
    for source in runs:
        run = _decode(source, reader)
        issues += of_run(run.run_id, [*reader.oddities, *reader.unknown(run.rows)])
        reader.oddities.clear()
        decoded.append(run)
    rows = [row for run in decoded for row in run.rows]
    jobs, misfits = _jobs(rows, decoded)
    inputs = long_handles([row.handle_inputs for row in rows], jobs, reader)
    outputs = long_handles([row.handle_outputs for row in rows], jobs, reader)
    jobs = _with_filename(jobs, inputs)
    issues += of_cells(jobs, misfits + _null_handles(rows)) + of_values(jobs)
    for side, long in (("handle_inputs", inputs), ("handle_outputs", outputs)):
        issues += of_handles(side, long)
        for name, column in explode(side, long, len(rows)):
            jobs = jobs.append_column(name, column)
    table = pa.Table.from_pylist(issues, schema=arrow_schema(IssuesSchema))
    return Tables(jobs, inputs.table, outputs.table, table)


def raw_table(source: RunPayloads, jobs: pa.Table) -> pa.Table:
    """Return every row of a run as it came, under the job id that it has in the jobs table."""
    bodies = _bodies(source)
    every: Sequence[int] = range(len(bodies))
    # which of the rows that came twice were kept is the one thing that must be worked out again
    kept = every if len(bodies) == len(jobs) else _decode(source, RowReader()).kept
    positions = pa.array(kept, pa.int64())
    whole = pa.array([bodies[n].decode() for n in kept], pa.string())
    schema = arrow_schema(RawSchema)
    return pa.table([jobs.column("job_id"), positions, whole], schema=schema)


def _decode(source: RunPayloads, reader: RowReader) -> _Run:
    rows = [row for payload in source.payloads for row in reader.read(payload.rows)]
    kept: Sequence[int] = range(len(rows))
    if len({row.id for row in rows}) != len(rows):
        kept = _once(rows, source)
        rows = [rows[n] for n in kept]
    return _Run(source, _run_id(rows, source, reader), rows, kept, _job_ids(rows))


def _once(rows: list[Row], source: RunPayloads) -> list[int]:
    """Keep a row that came twice, byte for byte, once; refuse two different rows of one id."""
    bodies = _bodies(source)
    first: dict[str, int] = {}
    kept = []
    for n, row in enumerate(rows):
        # placeholders are no jobs: theirs may be repeated, or taken by a job
        known = n if row.is_placeholder else first.setdefault(row.id, n)
        if known == n:
            kept.append(n)
        elif bodies[known] != bodies[n]:
            raise MalformedResponseError(
                f"rows {known} and {n} of run {shown(source.run_id)} both have the id "
                f"{shown(row.id)}, with different content",
                where=f"$[{n}].id",
            )
    return kept


def _bodies(source: RunPayloads) -> list[bytes]:
    # bytes() copies: a slice would keep the whole response alive
    return [bytes(raw) for payload in source.payloads for raw in raw_rows(payload.rows)]


def _run_id(rows: list[Row], source: RunPayloads, reader: RowReader) -> str | None:
    """Return the run of all the rows: the envelope's on `/content`, else the one asked for."""
    own = [row.run_id or row.experiment_run_id or None for row in rows]
    run_id = source.run_id or next((run for run in own if run), None)
    others = [n for n, run in enumerate(own) if run and run != run_id]
    for n in others:
        if not source.payloads[0].enveloped:
            raise MalformedResponseError(
                f"row {n} ({shown(rows[n].id)}) is of run {shown(own[n])}, not of {shown(run_id)}: "
                "a page holds the rows of one run; for pages of several use read_contents",
                where=f"$[{n}].run_id",
            )
        reader.oddities.append(
            Oddity(rows[n].id, "run_id", "row of an earlier run", own[n], "kept in this run")
        )
    homeless = next(
        (n for n, row in enumerate(rows) if not run_id and not row.is_placeholder), None
    )
    if homeless is not None:
        raise MalformedResponseError(
            f"row {homeless} ({shown(rows[homeless].id)}) names no run, and neither does the "
            "response; give read_content the whole response, or the run with each row",
            where=f"$[{homeless}].run_id",
        )
    return run_id


def _job_ids(rows: list[Row]) -> list[str]:
    """Return the ids, a placeholder with an empty or repeated one named after its document."""
    ids = [row.id for row in rows]
    if "" not in ids and len(set(ids)) == len(ids):
        return ids
    taken = {row.id for row in rows if not row.is_placeholder}
    for n, row in enumerate(rows):
        if row.is_placeholder and (not row.id or row.id in taken):
            ids[n] = name = f"placeholder:{row.document_id}"
            again = 1
            while ids[n] in taken:
                again += 1
                ids[n] = f"{name}:{again}"
        elif not row.id:
            raise MalformedResponseError(f"row {n} has an empty id", where=f"$[{n}].id")
        taken.add(ids[n])
    return ids


def _jobs(rows: list[Row], runs: list[_Run]) -> tuple[pa.Table, list[tuple[str, Misfit]]]:
    """Return the jobs table without its handles, and the cells that did not fit it."""
    schema = arrow_schema(JobsSchema)
    misfits: list[tuple[str, Misfit]] = []
    columns: dict[str, pa.Array] = {
        "workflow_id": _per_run(runs, [run.source.workflow_id for run in runs]),
        "experiment_id": _experiment_ids(rows, runs),
        "run_id": _per_run(runs, [run.run_id for run in runs]),
        "job_id": texts([job_id for run in runs for job_id in run.job_ids]).array,
        "document_id": texts([row.document_id for row in rows]).array,
        "filename": pa.nulls(len(rows), pa.string()),
        "is_placeholder": pa.array([bool(row.is_placeholder) for row in rows], pa.bool_()),
        "fetched_at": _per_run(
            runs, [r.source.fetched_at for r in runs], pa.timestamp("us", "UTC")
        ),
    }
    columns["error_message"], columns["error_details"], odd = _errors(rows)
    misfits += [("error", misfit) for misfit in odd]
    parents: dict[str, list[Any]] = {}
    for name, paths in JOB_PATHS.items():
        options = []
        for path in paths:
            column = fit(_values(rows, path, parents), schema.field(name).type, least=0)
            options.append(column.array)
            misfits += [(path, misfit) for misfit in column.misfits]
        columns[name] = pc.coalesce(*options)
    return pa.table([columns[name] for name in schema.names], schema=schema), misfits


def _values(rows: list[Row], path: str, parents: dict[str, list[Any]]) -> list[Any]:
    parent, _, name = path.rpartition(".")
    if not parent:
        return list(map(attrgetter(name), rows))
    if parent not in parents:
        parents[parent] = list(map(attrgetter(parent), rows))
    get = attrgetter(name)
    return [None if value is None else get(value) for value in parents[parent]]


def _per_run(runs: list[_Run], values: Sequence[Any], kind: pa.DataType | None = None) -> pa.Array:
    """Return a column that has one value for all the rows of a run; text unless told."""
    kind = pa.string() if kind is None else kind
    parts = [
        pa.repeat(pa.scalar(value, kind), len(run.rows))
        for run, value in zip(runs, values, strict=True)
    ]
    return pa.concat_arrays(parts) if parts else pa.array([], kind)


def _experiment_ids(rows: list[Row], runs: list[_Run]) -> pa.Array:
    own = texts([row.experiment_id or None for row in rows]).array
    ids = pc.coalesce(own, _per_run(runs, [run.source.experiment_id for run in runs]))
    if ids.null_count:
        n = ids.is_null().index(pa.scalar(value=True)).as_py()
        raise MalformedResponseError(
            f"row {shown(rows[n].id)} names no experiment, and neither does the response",
            where="$.experiment_id",
        )
    return ids


def _errors(rows: list[Row]) -> tuple[pa.Array, pa.Array, list[Misfit]]:
    """Return messages and details: `error` first, then the lifecycle's message or reason.

    An `error` that is not text is kept as the details, unless the lifecycle has some.
    """
    odd: list[Misfit] = []
    messages: list[str | None] = [None] * len(rows)
    details: list[str | None] = [None] * len(rows)
    for n, row in enumerate(rows):
        life, error = row.lifecycle, row.error
        if life is not None:
            messages[n] = life.message or life.reason
            details[n] = _text(life.details)
        if error is not NOTHING and (text := _text(error)) is not None:
            messages[n] = _message(text) or messages[n]
            if not text.startswith('"'):
                action = "kept in error_details" if details[n] is None else "kept in raw"
                odd.append(Misfit(n, "an error that is not text", shown(text, 200), action))
                details[n] = details[n] or text
    return pa.array(messages, pa.string()), pa.array(details, pa.string()), odd


def _null_handles(rows: list[Row]) -> list[tuple[str, Misfit]]:
    """Tell of a null in place of the handles; handles that were not sent are UNSET."""
    return [
        (side, Misfit(n, "null, expected an object", "null", "kept as no handles"))
        for side in ("handle_inputs", "handle_outputs")
        for n, value in enumerate(map(attrgetter(side), rows))
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


def _with_filename(jobs: pa.Table, inputs: LongHandles) -> pa.Table:
    """Fill in the name of the first file that has one."""
    named = inputs.table.column("filename").is_valid().to_numpy(zero_copy_only=False).nonzero()[0]
    names: list[str | None] = [None] * len(jobs)
    for row in named[::-1].tolist():
        names[inputs.job[row]] = inputs.table.column("filename")[row].as_py()
    at = jobs.column_names.index("filename")
    return jobs.set_column(at, "filename", pa.array(names, pa.string()))
