"""Handle inputs and outputs: one row per handle, and the columns that they add to the jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.flatten.columns import build_column, coalesce_paths
from retab_frames.schemas.frames import STRING
from retab_frames.schemas.models import HandlesSchema, arrow_schema, lower_bounds
from retab_frames.wire.paths import HANDLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from retab_frames.wire.misfits import Misfit
    from retab_frames.wire.values import HandleValues

__all__ = [
    "MAX_HANDLE_COLUMNS",
    "HandleFields",
    "HandleTable",
    "Indices",
    "choose_fields",
    "first_filenames",
    "handle_table",
    "union_fields",
    "wide_columns",
]

MAX_HANDLE_COLUMNS = 200
"""How many handles become columns of the jobs frame; the rest stand in the handles frame only."""

_FILE_FIELDS = ("filename", "file_id", "mime_type")
_WIDE_FIELDS = ("type", *_FILE_FIELDS, "data")

HandleFields = dict[str, tuple[str, ...]]
"""The fields of each handle that become columns, handles in order of appearance."""

_IDS = ("experiment_id", "run_id", "job_id", "document_id")

Indices = np.ndarray[Any, np.dtype[np.int64]]


class HandleTable(NamedTuple):
    """The handles of one side of some jobs.

    Attributes:
        columns: Those of HandlesSchema, in the order of the jobs and of the handles within each.
        job: The index of the job of each handle.
        misfits: The values that did not fit; their row is that of the handle.
    """

    columns: dict[str, pa.Array]
    job: Indices
    misfits: list[Misfit]


def handle_table(found: HandleValues, jobs: dict[str, pa.Array]) -> HandleTable:
    """Return one row per job and handle.

    Args:
        found: What the handles of the jobs hold.
        jobs: The columns of the jobs, for the ids.
    """
    schema = arrow_schema(HandlesSchema)
    if not found.values:
        none = {field.name: pa.nulls(0, field.type) for field in schema}
        return HandleTable(none, np.empty(0, np.int64), [])
    counts = np.array(found.counts, dtype=np.int64)
    job = np.repeat(np.arange(len(counts)), counts)
    columns = {name: _take(jobs[name], job) for name in _IDS}
    for name in ("handle", "extra"):
        columns[name] = build_column(found.values.get(name, [None] * len(job)), STRING, name).array
    misfits: list[Misfit] = []
    for name, source in HANDLES.items():
        least = lower_bounds(HandlesSchema).get(name)
        kind = schema.field(name).type
        columns[name], odd = coalesce_paths(source, kind, found.values, len(job), least)
        misfits += odd
    first = np.repeat(np.cumsum(counts) - counts, counts)
    columns["position"] = pa.array(np.arange(len(job)) - first)
    return HandleTable(columns, job, misfits)


def _take(column: pa.Array, rows: Indices) -> pa.Array:
    """Return these rows of a column: the column itself if they are all, one after another."""
    if len(rows) == len(column) and (rows == np.arange(len(rows))).all():
        return column  # the same object, which is joined once
    return column.take(pa.array(rows, mask=rows < 0))


def choose_fields(handles: HandleTable, run: Indices) -> dict[int, HandleFields]:
    """Return which fields of which handles become columns, for each run that has handles.

    `type` always; the fields of a file if any job has a file there; `data` if any has JSON or text.

    Args:
        handles: The handles of some jobs.
        run: The number of the run of each job.
    """
    if not len(handles.job):
        return {}
    handle = handles.columns["handle"].dictionary_encode()
    names = handle.dictionary.to_pylist()
    # a number for each handle of each run, in order of appearance
    keys = pa.array(run[handles.job] * len(names) + handle.indices.to_numpy()).dictionary_encode()
    place = keys.indices.to_numpy()
    files = _has(handles.columns, ("file",), _FILE_FIELDS, place)
    values = _has(handles.columns, ("json", "text"), ("data",), place)
    found: dict[int, HandleFields] = {}
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


def wide_columns(
    handles: HandleTable, fields: HandleFields, jobs: int
) -> dict[tuple[str, str], pa.Array]:
    """Return the column of each field of each handle: one row per job, null where it has none."""
    encoded = handles.columns["handle"].dictionary_encode()
    code = encoded.indices.to_numpy()
    names = encoded.dictionary.to_pylist()
    found: dict[tuple[str, str], pa.Array] = {}
    for handle, wanted in fields.items():
        where = np.full(jobs, -1, dtype=np.int64)
        if handle in names:
            rows = np.flatnonzero(code == names.index(handle))
            where[handles.job[rows]] = rows
        for name in wanted:
            found[handle, name] = _take(handles.columns[name], where)
    return found


def first_filenames(handles: HandleTable, jobs: int) -> pa.Array:
    """Return the name of the first file of each job that has one."""
    column = handles.columns["filename"]
    named = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    where = np.full(jobs, -1, dtype=np.int64)
    where[handles.job[named][::-1]] = named[::-1]
    return _take(column, where)


def union_fields(runs: Iterable[HandleFields]) -> HandleFields:
    """Return the fields of the handles of all the runs together."""
    handles: dict[str, set[str]] = {}
    for fields in runs:
        for handle, names in fields.items():
            handles.setdefault(handle, set()).update(names)
    return {
        handle: tuple(name for name in _WIDE_FIELDS if name in names)
        for handle, names in handles.items()
    }
