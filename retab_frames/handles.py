"""Handle inputs and outputs: the long table, and the columns that they add to the jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.columns import Misfit, texts, wholes
from retab_frames.schemas import HandlesSchema, arrow_schema
from retab_frames.wire import NOTHING, Handle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from msgspec import UnsetType

    from retab_frames.rows import RowReader

__all__ = ["MOST_WIDE", "LongHandles", "explode", "long_handles"]

MOST_WIDE = 200
"""How many handles become columns of the jobs frame; the rest stand in the long frame only."""

_FILE_FIELDS = ("filename", "file_id", "mime_type")


class LongHandles(NamedTuple):
    """The handles of one side of all the jobs.

    Attributes:
        table: Fits HandlesSchema, in the order of the jobs and of the handles within each.
        job: The index of the job of each row of the table.
        misfits: The values that did not fit; their row is that of the table.
    """

    table: pa.Table
    job: np.ndarray[Any, np.dtype[np.int64]]
    misfits: list[tuple[str, Misfit]]


def long_handles(
    sides: Sequence[dict[str, Handle] | UnsetType | None], jobs: pa.Table, reader: RowReader
) -> LongHandles:
    """Return one row per job and handle.

    Args:
        sides: The handles of each job; None where they are null, UNSET where they were not sent.
        jobs: The jobs table, for the ids.
        reader: What decoded the rows, for the fields that it learned.
    """
    present = [(n, side) for n, side in enumerate(sides) if side]
    handles = [handle for _, side in present for handle in side.values()]
    job = np.repeat(
        np.array([n for n, _ in present], dtype=np.int64), [len(side) for _, side in present]
    )
    document = [handle.document for handle in handles]
    size = wholes([d and d.size_bytes for d in document], least=0)
    columns = {
        name: jobs.column(name).take(pa.array(job))
        for name in ("experiment_id", "run_id", "job_id", "document_id")
    } | {
        "handle": texts([name for _, side in present for name in side]).array,
        "position": pa.array([n for _, side in present for n in range(len(side))], pa.int64()),
        "type": texts([handle.type for handle in handles]).array,
        "filename": pc.coalesce(
            texts([handle.filename for handle in handles]).array,
            texts([d and d.filename for d in document]).array,
        ),
        "file_id": texts([d and (d.id or d.original_id) for d in document]).array,
        "mime_type": texts([d and d.mime_type for d in document]).array,
        "size_bytes": size.array,
        "content_fingerprint": texts([d and d.content_fingerprint for d in document]).array,
        "data": texts([_data(handle) for handle in handles]).array,
        "extra": texts([_extra(handle, reader) for handle in handles]).array,
    }
    schema = arrow_schema(HandlesSchema)
    table = pa.table([columns[name] for name in schema.names], schema=schema)
    return LongHandles(table, job, [("document.size_bytes", misfit) for misfit in size.misfits])


def _data(handle: Handle) -> str | None:
    value = handle.data if handle.data is not NOTHING else handle.text
    return None if value is NOTHING else bytes(value).decode()


def _extra(handle: Handle, reader: RowReader) -> str | None:
    """Return the JSON of what has no column; the texts of the values are kept as they came."""
    document = handle.document
    both_texts = handle.data is not NOTHING and handle.text is not NOTHING
    both_names = document is not None and handle.filename and document.filename
    both_ids = document is not None and document.id and document.original_id
    if not (reader.learned or both_texts or both_names or both_ids):
        return None
    beyond = reader.beyond(handle, "handle")
    if both_texts:
        beyond["text"] = handle.text
    inner: dict[str, msgspec.Raw | str | None] = dict(reader.beyond(document, "document"))
    if document is not None and both_names and document.filename != handle.filename:
        inner["filename"] = document.filename
    if document is not None and both_ids and document.id != document.original_id:
        inner["original_id"] = document.original_id
    both: dict[str, Any] = {**beyond, **({"document": inner} if inner else {})}
    return msgspec.json.encode(both).decode() if both else None


def explode(side: str, long: LongHandles, jobs: int) -> Iterator[tuple[str, pa.Array]]:
    """Yield the columns `<side>.<handle>.<field>` of the jobs, handles in order of appearance.

    `type` always; the fields of a file where any job has a file there; `data` where any has JSON
    or text. At most MOST_WIDE handles are exploded.
    """
    table = long.table.combine_chunks()
    codes = pc.dictionary_encode(table.column("handle")).combine_chunks()
    names = codes.dictionary.to_pylist() if len(table) else []
    code = codes.indices.to_numpy() if names else np.empty(0, dtype=np.int32)
    for n, handle in enumerate(names[:MOST_WIDE]):
        rows = np.flatnonzero(code == n)
        where = np.full(jobs, -1, dtype=np.int64)
        where[long.job[rows]] = rows
        index = pa.array(where, mask=where < 0)
        for field in ("type", *_fields(table.take(pa.array(rows)))):
            yield f"{side}.{handle}.{field}", table.column(field).take(index).combine_chunks()


def _fields(rows: pa.Table) -> tuple[str, ...]:
    types = set(rows.column("type").unique().to_pylist())
    is_file = "file" in types or any(_has_values(rows, name) for name in _FILE_FIELDS)
    is_data = types & {"json", "text"} or _has_values(rows, "data")
    return (*(_FILE_FIELDS if is_file else ()), *(("data",) if is_data else ()))


def _has_values(rows: pa.Table, name: str) -> bool:
    return bool(rows.column(name).null_count < rows.num_rows)
