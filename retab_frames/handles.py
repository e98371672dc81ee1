"""Handle inputs and outputs: the long table, and the columns that they add to the jobs."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.columns import Misfit, json_texts, texts, wholes
from retab_frames.rows import beyond, goes_beyond
from retab_frames.schemas import HandlesSchema, arrow_schema
from retab_frames.wire import NOTHING, Document, Handle, cells

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

Cells = dict[str, list[Any]]
"""The values of structs, field by field."""


class LongHandles(NamedTuple):
    """The handles of one side of all the jobs.

    Attributes:
        columns: Those of HandlesSchema, in the order of the jobs and of the handles within each.
        job: The index of the job of each handle.
        misfits: The values that did not fit; their row is that of the handle.
    """

    columns: dict[str, pa.Array]
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
    if not any(sides):
        none = {field.name: pa.nulls(0, field.type) for field in arrow_schema(HandlesSchema)}
        return LongHandles(none, np.empty(0, np.int64), [])
    counts = np.array([len(side) if side else 0 for side in sides], dtype=np.int64)
    present = [side for side in sides if side]
    handles = [handle for side in present for handle in side.values()]
    outer = cells(handles, Handle)
    inner = cells(outer["document"], Document)
    job = np.repeat(np.arange(len(sides)), counts)
    ends = np.cumsum(counts)
    names = (texts(each["filename"]).array for each in (outer, inner))
    size = wholes(inner["size_bytes"], least=0)
    ids = ("experiment_id", "run_id", "job_id", "document_id")
    columns = {name: _taken(jobs[name], job) for name in ids} | {
        "handle": texts([*chain.from_iterable(present)]).array,
        "position": pa.array(np.arange(len(job)) - np.repeat(ends - counts, counts)),
        "type": texts(outer["type"]).array,
        "filename": pc.coalesce(*names),
        "file_id": texts(
            [one or old for one, old in zip(inner["id"], inner["original_id"], strict=True)]
        ).array,
        "mime_type": texts(inner["mime_type"]).array,
        "size_bytes": size.array,
        "content_fingerprint": texts(inner["content_fingerprint"]).array,
        "data": json_texts(
            [
                text if data is NOTHING else data
                for data, text in zip(outer["data"], outer["text"], strict=True)
            ]
        ),
        "extra": _extras(handles, outer, inner),
    }
    return LongHandles(columns, job, [("document.size_bytes", misfit) for misfit in size.misfits])


def _taken(column: pa.Array, rows: Indices) -> pa.Array:
    """Return these rows of a column: the column itself if they are all, one after another."""
    if len(rows) == len(column) and (rows == np.arange(len(rows))).all():
        return column  # the same object, which is joined once
    return column.take(pa.array(rows, mask=rows < 0))


def _extras(handles: list[Handle], outer: Cells, inner: Cells) -> pa.Array:
    """Return what has no column; most handles have nothing, and that is soon seen."""
    if goes_beyond(handles) or goes_beyond(outer["document"]):
        return pa.array([_extra(handle) for handle in handles], pa.string())
    seconds = (outer["filename"], None), (inner["original_id"], None), (outer["text"], NOTHING)
    if any(names.count(absent) < len(names) for names, absent in seconds):
        return pa.array([_extra(h) if _says_twice(h) else None for h in handles], pa.string())
    return pa.nulls(len(handles), pa.string())


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
    if not len(long.job):
        return {}
    handle = long.columns["handle"].dictionary_encode()
    names = handle.dictionary.to_pylist()
    # a number for each handle of each run, in order of appearance
    keys = pa.array(run[long.job] * len(names) + handle.indices.to_numpy()).dictionary_encode()
    place = keys.indices.to_numpy()
    files = _has(long.columns, ("file",), _FILE_FIELDS, place)
    values = _has(long.columns, ("json", "text"), ("data",), place)
    found: dict[int, Fields] = {}
    for at, key in enumerate(keys.dictionary.to_pylist()):
        number, code = divmod(key, len(names))
        found.setdefault(number, {})[names[code]] = (
            "type",
            *(_FILE_FIELDS if at in files else ()),
            *(("data",) if at in values else ()),
        )
    return found


def _has(
    columns: dict[str, pa.Array],
    types: tuple[str, ...],
    names: tuple[str, ...],
    place: np.ndarray[Any, np.dtype[np.int32]],
) -> set[int]:
    """Return the places that have a row of one of the types, or with one of the values."""
    found = pc.is_in(columns["type"], pa.array(types)).to_numpy(zero_copy_only=False)
    for name in names:
        if columns[name].null_count < len(place):
            found = found | columns[name].is_valid().to_numpy(zero_copy_only=False)
    return set(np.flatnonzero(np.bincount(place[found])).tolist())


def explode(long: LongHandles, fields: Fields, jobs: int) -> dict[tuple[str, str], pa.Array]:
    """Return the column of each field of each handle: one row per job, null where it has none."""
    handles = long.columns["handle"].dictionary_encode()
    code = handles.indices.to_numpy()
    names = handles.dictionary.to_pylist()
    found: dict[tuple[str, str], pa.Array] = {}
    for handle, wanted in fields.items():
        where = np.full(jobs, -1, dtype=np.int64)
        if handle in names:
            rows = np.flatnonzero(code == names.index(handle))
            where[long.job[rows]] = rows
        for name in wanted:
            found[handle, name] = _taken(long.columns[name], where)
    return found


def filenames(long: LongHandles, jobs: int) -> pa.Array:
    """Return the name of the first file of each job that has one."""
    column = long.columns["filename"]
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
