"""Handle inputs and outputs: the long table, and the columns that they add to the jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import UNSET

from retab_frames.flatten.columns import Misfit, first_sent, is_sent, json_texts
from retab_frames.schemas.models import HandlesSchema, arrow_schema
from retab_frames.wire.records import NOTHING, Cells, Handle
from retab_frames.wire.rows import beyond, goes_beyond

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from msgspec import UnsetType

__all__ = [
    "MAX_HANDLE_COLUMNS",
    "Fields",
    "Indices",
    "LongHandles",
    "explode",
    "fields_by_run",
    "filenames",
    "handle_cells",
    "long_handles",
    "null_handles",
    "union_fields",
]

MAX_HANDLE_COLUMNS = 200
"""How many handles become columns of the jobs frame; the rest stand in the long frame only."""

_FILE_FIELDS = ("filename", "file_id", "mime_type")

HANDLE_PATHS: dict[str, tuple[str, ...]] = {
    "handle": ("handle",),
    "type": ("type",),
    "filename": ("filename", "document.filename"),
    "file_id": ("document.id",),
    "mime_type": ("document.mime_type",),
    "size_bytes": ("document.size_bytes",),
    "content_fingerprint": ("document.content_fingerprint",),
    "extra": ("extra",),
}
"""Where each column of the handles stands on the wire; the first that is present counts."""

Fields = dict[str, tuple[str, ...]]
"""The fields of each handle that become columns, handles in order of appearance."""

_IDS = ("experiment_id", "run_id", "job_id", "document_id")

Indices = np.ndarray[Any, np.dtype[np.int64]]
Side: TypeAlias = "dict[str, Handle] | UnsetType | None"


class HandleCells(NamedTuple):
    """What the handles of one side of some jobs hold.

    Attributes:
        counts: How many handles each job has.
        cells: What they hold, in the order of the jobs and of the handles within each.
    """

    counts: Sequence[int]
    cells: Cells


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


def handle_cells(sides: Sequence[Side]) -> HandleCells:
    """Return what the handles of one side hold, in the order of the jobs and of their handles."""
    if sides.count(UNSET) == len(sides):
        return HandleCells([0] * len(sides), {})
    present = [side for side in sides if side]
    counts = [*map(len, present if len(present) == len(sides) else (side or () for side in sides))]
    handles = [handle for side in present for handle in side.values()]
    documents = [handle.document for handle in handles]
    data, texts = [handle.data for handle in handles], [handle.text for handle in handles]
    cells: Cells = {
        "handle": [name for side in present for name in side],
        "type": [handle.type for handle in handles],
        "filename": [handle.filename for handle in handles],
    }
    if is_sent(documents):
        cells |= {
            "document.filename": [one.filename if one else None for one in documents],
            "document.id": [one.id or one.original_id if one else None for one in documents],
            "document.mime_type": [one.mime_type if one else None for one in documents],
            "document.size_bytes": [one.size_bytes if one else None for one in documents],
            "document.content_fingerprint": [
                one.content_fingerprint if one else None for one in documents
            ],
        }
    cells["extra"] = _extras(handles, documents, cells, texts)
    if texts.count(NOTHING) < len(texts):
        data = [
            text if datum is NOTHING else datum for datum, text in zip(data, texts, strict=True)
        ]
    if data.count(NOTHING) < len(data):
        cells["data"] = data
    return HandleCells(counts, cells)


def null_handles(side: str, handles: Sequence[Side]) -> list[tuple[str, Misfit]]:
    """Tell of a null in place of the handles; handles that were not sent are UNSET."""
    if all(handles) or handles.count(UNSET) == len(handles):
        return []
    return [
        (side, Misfit(n, "null, expected an object", "null", "kept as no handles"))
        for n, one in enumerate(handles)
        if one is None
    ]


def long_handles(found: HandleCells, jobs: dict[str, pa.Array]) -> LongHandles:
    """Return one row per job and handle.

    Args:
        found: What the handles of the jobs hold.
        jobs: The columns of the jobs, for the ids.
    """
    schema = arrow_schema(HandlesSchema)
    if not found.cells:
        none = {field.name: pa.nulls(0, field.type) for field in schema}
        return LongHandles(none, np.empty(0, np.int64), [])
    counts = np.array(found.counts, dtype=np.int64)
    job = np.repeat(np.arange(len(counts)), counts)
    columns = {name: _taken(jobs[name], job) for name in _IDS}
    misfits: list[tuple[str, Misfit]] = []
    for name, paths in HANDLE_PATHS.items():
        columns[name], odd = first_sent(paths, schema.field(name).type, found.cells, len(job))
        misfits += odd
    columns["position"] = pa.array(
        np.arange(len(job)) - np.repeat(np.cumsum(counts) - counts, counts)
    )
    data = found.cells.get("data")
    columns["data"] = json_texts(data) if data else pa.nulls(len(job), pa.string())
    return LongHandles(columns, job, misfits)


def _taken(column: pa.Array, rows: Indices) -> pa.Array:
    """Return these rows of a column: the column itself if they are all, one after another."""
    if len(rows) == len(column) and (rows == np.arange(len(rows))).all():
        return column  # the same object, which is joined once
    return column.take(pa.array(rows, mask=rows < 0))


def _extras(
    handles: list[Handle], documents: list[Any], cells: Cells, texts: list[msgspec.Raw]
) -> list[str | None]:
    """Return what has no column; most handles have nothing, and that is soon seen."""
    if goes_beyond(handles) or goes_beyond(documents):
        return [_extra(handle) for handle in handles]
    older = [one.original_id if one else None for one in documents]
    if is_sent(cells["filename"]) or is_sent(older) or texts.count(NOTHING) < len(texts):
        return [_extra(handle) if _says_twice(handle) else None for handle in handles]
    return [None] * len(handles)


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


def union_fields(runs: Iterable[Fields]) -> Fields:
    """Return the fields of the handles of all the runs together."""
    handles: dict[str, set[str]] = {}
    for fields in runs:
        for handle, names in fields.items():
            handles.setdefault(handle, set()).update(names)
    order = ("type", *_FILE_FIELDS, "data")
    return {
        handle: tuple(name for name in order if name in names) for handle, names in handles.items()
    }
