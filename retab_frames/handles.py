"""Handle inputs and outputs: the long table, and the columns that they add to the jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.columns import Misfit, json_texts, texts, wholes
from retab_frames.rows import beyond, goes_beyond
from retab_frames.schemas import HandlesSchema, arrow_schema
from retab_frames.wire import NOTHING, Handle

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from msgspec import UnsetType

__all__ = [
    "MOST_WIDE",
    "Fields",
    "Indices",
    "LongHandles",
    "explode",
    "fields_by_run",
    "filenames",
    "long_handles",
    "united",
]

MOST_WIDE = 200
"""How many handles become columns of the jobs frame; the rest stand in the long frame only."""

_FILE_FIELDS = ("filename", "file_id", "mime_type")

Fields = dict[str, tuple[str, ...]]
"""The fields of each handle that become columns, handles in order of appearance."""

Indices = np.ndarray[Any, np.dtype[np.int64]]


class LongHandles(NamedTuple):
    """The handles of one side of all the jobs.

    Attributes:
        table: Fits HandlesSchema, in the order of the jobs and of the handles within each.
        job: The index of the job of each row of the table.
        misfits: The values that did not fit; their row is that of the table.
    """

    table: pa.Table
    job: Indices
    misfits: list[tuple[str, Misfit]]


def long_handles(
    sides: Sequence[dict[str, Handle] | UnsetType | None], jobs: dict[str, pa.Array]
) -> LongHandles:
    """Return one row per job and handle.

    Args:
        sides: The handles of each job; None where they are null, UNSET where they were not sent.
        jobs: The columns of the jobs, for the ids.
    """
    schema = arrow_schema(HandlesSchema)
    if not any(sides):
        return LongHandles(schema.empty_table(), np.empty(0, np.int64), [])
    counts = np.array([len(side) if side else 0 for side in sides], dtype=np.int64)
    present = [side for side in sides if side]
    handles = [handle for side in present for handle in side.values()]
    documents = [handle.document for handle in handles]
    job = np.repeat(np.arange(len(sides)), counts)
    ends = np.cumsum(counts)
    own, inner = (texts([d and d.filename for d in group]).array for group in (handles, documents))
    size = wholes([d and d.size_bytes for d in documents], least=0)
    ids = ("experiment_id", "run_id", "job_id", "document_id")
    columns = {name: _taken(jobs[name], job) for name in ids} | {
        "handle": texts([name for side in present for name in side]).array,
        "position": pa.array(np.arange(len(job)) - np.repeat(ends - counts, counts)),
        "type": texts([handle.type for handle in handles]).array,
        "filename": pc.coalesce(own, inner),
        "file_id": texts([d and (d.id or d.original_id) for d in documents]).array,
        "mime_type": texts([d and d.mime_type for d in documents]).array,
        "size_bytes": size.array,
        "content_fingerprint": texts([d and d.content_fingerprint for d in documents]).array,
        "data": json_texts([h.text if h.data is NOTHING else h.data for h in handles]),
        "extra": _extras(handles),
    }
    table = pa.table([columns[name] for name in schema.names], schema=schema)
    return LongHandles(table, job, [("document.size_bytes", misfit) for misfit in size.misfits])


def _taken(column: pa.Array, rows: Indices) -> pa.Array:
    """Return these rows of a column: the column itself if they are all, one after another."""
    if len(rows) == len(column) and (rows == np.arange(len(rows))).all():
        return column
    return column.take(pa.array(rows, mask=rows < 0))


def _extras(handles: list[Handle]) -> pa.Array:
    documents = [handle.document for handle in handles]
    if goes_beyond(handles) or goes_beyond(documents):
        return pa.array([_extra(handle) for handle in handles], pa.string())
    if _may_say_twice(handles):
        return pa.array([_extra(h) if _says_twice(h) else None for h in handles], pa.string())
    return pa.nulls(len(handles), pa.string())


def _may_say_twice(handles: list[Handle]) -> bool:
    """Return whether any handle has a second name for something; few do, and this is quick."""
    texts_beside = [handle.text for handle in handles if handle.text is not NOTHING]
    names = [handle.filename for handle in handles if handle.filename]
    documents = [handle.document for handle in handles if handle.document is not None]
    return bool(texts_beside or names or [one for one in documents if one.original_id])


def _says_twice(handle: Handle) -> bool:
    """Return whether a handle has two values where there is one column."""
    document = handle.document
    if document is None:
        return handle.text is not NOTHING and handle.data is not NOTHING
    return bool(
        (handle.text is not NOTHING and handle.data is not NOTHING)
        or (handle.filename and document.filename)
        or (document.original_id and document.id)
    )


def _extra(handle: Handle) -> str | None:
    """Return the JSON of what has no column; the texts of the values are kept as they came."""
    document = handle.document
    outer = beyond(handle)
    inner: dict[str, msgspec.Raw | str] = {**beyond(document)}
    if handle.data is not NOTHING and handle.text is not NOTHING:
        outer["text"] = handle.text
    if document is not None:
        if handle.filename and document.filename and document.filename != handle.filename:
            inner["filename"] = document.filename
        if document.id and document.original_id and document.id != document.original_id:
            inner["original_id"] = document.original_id
    both: dict[str, Any] = {**outer, **({"document": inner} if inner else {})}
    return msgspec.json.encode(both).decode() if both else None


def fields_by_run(long: LongHandles, run: Indices) -> dict[int, Fields]:
    """Return which fields of which handles become columns: of each run that has any.

    `type` always; the fields of a file where any job has a file there; `data` where any has JSON
    or text.

    Args:
        long: The handles.
        run: The number of the run of each job.
    """
    table = long.table
    if not len(table):
        return {}
    codes = pc.dictionary_encode(table.column("handle").combine_chunks())
    names = codes.dictionary.to_pylist()
    key = run[long.job] * len(names) + codes.indices.to_numpy()
    keys, first, place = np.unique(key, return_index=True, return_inverse=True)
    files = _has(table, ("file",), _FILE_FIELDS, place)
    values = _has(table, ("json", "text"), ("data",), place)
    found: dict[int, Fields] = {}
    for at in np.argsort(first).tolist():
        number, code = divmod(int(keys[at]), len(names))
        found.setdefault(number, {})[names[code]] = (
            "type",
            *(_FILE_FIELDS if at in files else ()),
            *(("data",) if at in values else ()),
        )
    return found


def _has(
    table: pa.Table, types: tuple[str, ...], names: tuple[str, ...], place: Indices
) -> set[int]:
    """Return the places that have a row of one of the types, or with one of the values."""
    kinds = table.column("type")
    found = pc.is_in(kinds, pa.array(types)).to_numpy(zero_copy_only=False)
    for name in names:
        column = table.column(name)
        if column.null_count < len(column):
            found = found | column.is_valid().to_numpy(zero_copy_only=False)
    return set(np.unique(place[found]).tolist())


def explode(long: LongHandles, fields: Fields, jobs: int) -> dict[tuple[str, str], pa.Array]:
    """Return the column of each field of each handle: one row per job, null where it has none."""
    codes = pc.dictionary_encode(long.table.column("handle").combine_chunks())
    names = codes.dictionary.to_pylist()
    code = codes.indices.to_numpy()
    table = long.table.combine_chunks()
    found: dict[tuple[str, str], pa.Array] = {}
    for handle, wanted in fields.items():
        where = np.full(jobs, -1, dtype=np.int64)
        if handle in names:
            rows = np.flatnonzero(code == names.index(handle))
            where[long.job[rows]] = rows
        for name in wanted:
            found[handle, name] = _taken(table.column(name).combine_chunks(), where)
    return found


def filenames(long: LongHandles, jobs: int) -> pa.Array:
    """Return the name of the first file of each job that has one."""
    column = long.table.column("filename").combine_chunks()
    named = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    where = np.full(jobs, -1, dtype=np.int64)
    where[long.job[named][::-1]] = named[::-1]
    return _taken(column, where)


def united(runs: Iterable[Fields]) -> Fields:
    """Return the fields of the handles of all the runs together, at most MOST_WIDE handles."""
    handles: dict[str, set[str]] = {}
    for fields in runs:
        for handle, names in fields.items():
            handles.setdefault(handle, set()).update(names)
    order = ("type", *_FILE_FIELDS, "data")
    return {
        handle: tuple(name for name in order if name in names) for handle, names in handles.items()
    }
