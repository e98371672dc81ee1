"""What decoded rows hold: the values at each path, a list per path."""

from __future__ import annotations

from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pyarrow as pa
from msgspec import UNSET, Raw

from retab_frames.text.messages import printable
from retab_frames.wire.misfits import Misfit
from retab_frames.wire.paths import HANDLES, JOBS, OPAQUE, RUN_OF_ROW
from retab_frames.wire.records import (
    DOCUMENT,
    MISSING,
    SIDES,
    has_unknown_fields,
    unknown_fields,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from msgspec import UnsetType

    from retab_frames.wire.paths import Source
    from retab_frames.wire.records import Handle, Row

__all__ = [
    "HandleValues",
    "ValuesByPath",
    "find_value",
    "has_values",
    "list_runs",
    "read_handles",
    "read_jobs",
    "report_null_handles",
    "to_list",
]

ValuesByPath = dict[str, "Sequence[Any] | pa.Array"]
"""The values at each path: lists, or the Arrow arrays of a reader that makes such.

None, or MISSING for JSON, stands where a record has no value; a path that no record has may be left
out.
"""

_NULL = Raw(b"null")
_ERROR_MESSAGE, _ERROR_DETAILS = "error.message", "error.details"
_LIFECYCLE_DETAILS = "lifecycle.details"
_JOB_PATHS = [
    path
    for source in JOBS.values()
    for path in source.paths
    if path.rpartition(".")[0] not in OPAQUE
]
_HANDLE_PATHS = [path for source in HANDLES.values() for path in source.paths]
_HANDLE_CHOICES = [source.paths for source in HANDLES.values() if len(source.paths) > 1]
"""The places of columns that have several."""


class HandleValues(NamedTuple):
    """What the handles of one side of some jobs hold.

    Attributes:
        counts: How many handles each job has.
        values: Their values by path, in the order of the jobs and of the handles within each; also
            `handle`, their names, and `extra`, the JSON text of what has no column.
    """

    counts: Sequence[int]
    values: ValuesByPath


def read_jobs(rows: Sequence[Row]) -> tuple[ValuesByPath, list[Misfit]]:
    """Return the values of the rows, the handles aside, and the errors that are not text."""
    values = _read_paths(rows, _JOB_PATHS)
    details = values.get(_LIFECYCLE_DETAILS, ())
    if has_values(details):
        values[_LIFECYCLE_DETAILS] = [MISSING if one in (None, _NULL) else one for one in details]
    sent = enumerate(map(attrgetter("error"), rows))
    errors = [(n, error) for n, error in sent if error not in (MISSING, _NULL)]
    if not errors:
        return values, []
    messages: list[str | None] = [None] * len(rows)
    objects: list[Raw] = [MISSING] * len(rows)
    misfits = []
    for n, error in errors:
        messages[n] = _message_of(error)
        if bytes(error)[:1] != b'"':
            objects[n] = error
            has_details = len(details) > 0 and details[n] not in (None, MISSING, _NULL)
            action = "kept in raw" if has_details else "kept in error_details"
            came = printable(bytes(error).decode(), 200)
            misfits.append(Misfit(n, "error", "an error that is not text", came, action))
    return {**values, _ERROR_MESSAGE: messages, _ERROR_DETAILS: objects}, misfits


def list_runs(rows: Sequence[Row]) -> set[str | None]:
    """Return the runs that the rows name, under any key; None is among them if one names none."""
    return {*chain.from_iterable(map(attrgetter(key), rows) for key in RUN_OF_ROW.paths)}


def read_handles(sides: Sequence[dict[str, Handle] | UnsetType | None]) -> HandleValues:
    """Return the values of the handles of one side, in the order of the jobs and their handles."""
    if sides.count(UNSET) == len(sides):
        return HandleValues([0] * len(sides), {})
    handles = [handle for side in sides if side for handle in side.values()]
    values = _read_paths(handles, _HANDLE_PATHS)
    values["handle"] = [name for side in sides if side for name in side]
    values["extra"] = _read_extras(handles, values)
    return HandleValues([len(side) if side else 0 for side in sides], values)


def report_null_handles(rows: Sequence[Row]) -> list[Misfit]:
    """Report each null in place of handles; handles that were not sent are UNSET."""
    return [
        Misfit(n, side, "null, expected an object", "null", "kept as no handles")
        for side in SIDES
        for n, handles in enumerate(map(attrgetter(side), rows))
        if handles is None
    ]


def has_values(values: Sequence[Any] | pa.Array) -> bool:
    """Return whether any of the values is there."""
    if isinstance(values, pa.Array):
        return bool(values.null_count < len(values))
    if len(values) == 0:
        return False
    first = values[0]
    if first is not None and first is not MISSING:
        return True
    none = values.count(None)
    return none < len(values) and none + values.count(MISSING) < len(values)


def to_list(values: Sequence[Any] | pa.Array) -> Sequence[Any]:
    """Return the values one by one."""
    each: Sequence[Any] = values.to_pylist() if isinstance(values, pa.Array) else values
    return each


def find_value(record: dict[str, Any], source: Source) -> tuple[str, Any]:
    """Return the first place in a record that has a value, and the value.

    JSON is encoded. Where the record has none, the value is None, and the place the first one.
    """
    for path in source.paths:
        value: Any = record
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            is_json = source.json_type == "json"
            return path, msgspec.json.encode(value).decode() if is_json else value
    return source.paths[0], None


def _read_paths(structs: Sequence[Any], paths: Iterable[str]) -> ValuesByPath:
    """Return the values at each path; a path where no struct has a value is left out."""
    levels = {"": _read_fields(structs)}
    values: ValuesByPath = {}
    for path in paths:
        parent, _, key = path.rpartition(".")
        if parent not in levels:
            levels[parent] = _read_fields(_fill_gaps(levels[""].get(parent, ())))
        found = levels[parent].get(key, ())
        if has_values(found):
            values[path] = found
    return values


def _read_fields(structs: Sequence[Any]) -> dict[str, Sequence[Any]]:
    """Return the values of each field; those that only some of the structs have are left out."""
    if not structs:
        return {}
    # unknown fields are the last ones of a struct, so the others have the same places in all
    names = type(structs[0]).__struct_fields__
    columns = zip(*map(msgspec.structs.astuple, structs), strict=False)
    return dict(zip(names, columns, strict=False))


def _fill_gaps(structs: Sequence[Any]) -> Sequence[Any]:
    """Return the structs with an empty one in the place of each None; none if all are None."""
    if all(structs):
        return structs
    present = next(filter(None, structs), None)
    empty = type(present)() if present is not None else None
    return [one or empty for one in structs] if empty is not None else []


def _message_of(error: Raw) -> str | None:
    """Return the words of an error: its text, or the `message` of an object."""
    text = bytes(error)
    if text[:1] == b"{":
        text = bytes(msgspec.json.decode(text, type=dict[str, Raw]).get("message", MISSING))
    return msgspec.json.decode(text, type=str) if text[:1] == b'"' else None


def _read_extras(handles: list[Handle], values: ValuesByPath) -> list[str | None]:
    """Return what each handle holds that has no column, as JSON text; most hold nothing."""
    documents = [*map(attrgetter(DOCUMENT), handles)]
    choices = [
        paths
        for paths in _HANDLE_CHOICES
        if sum(has_values(values.get(path, ())) for path in paths) > 1
    ]
    if not choices and not has_unknown_fields(handles) and not has_unknown_fields(documents):
        return [None] * len(handles)
    extras: list[str | None] = []
    for n, document in enumerate(documents):
        outer: dict[str, Any] = {**unknown_fields(handles[n])}
        inner: dict[str, Any] = {**unknown_fields(document)}
        for paths in choices:
            sent = ((path, values[path][n]) for path in paths if path in values)
            present = [(path, value) for path, value in sent if value not in (None, MISSING, "")]
            for path, value in present[1:]:
                if isinstance(value, Raw) or value != present[0][1]:
                    parent, _, key = path.rpartition(".")
                    (inner if parent else outer)[key] = value
        both = {**outer, **({DOCUMENT: inner} if inner else {})}
        extras.append(msgspec.json.encode(both).decode() if both else None)
    return extras
