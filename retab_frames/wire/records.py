"""One row of the API as a msgspec struct, under the names of every generation.

The structs are built from the declarations in `paths`. They refuse unknown fields, so that none
is lost: `rows` collects those, and then uses structs that have them too.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from retab_frames.wire.paths import HANDLES, JOBS, OPAQUE, RUN_OF_ROW

if TYPE_CHECKING:
    from collections.abc import Iterable

    from retab_frames.wire.paths import Source

__all__ = [
    "DOCUMENT",
    "HANDLE",
    "MISSING",
    "NESTED_IN_ROW",
    "ROW",
    "SIDES",
    "Handle",
    "Row",
    "Unknown",
    "fields_of",
    "has_unknown_fields",
    "json_type_of",
    "known_keys",
    "row_struct",
    "run_of",
    "unknown_fields",
]

MISSING = Raw()
"""The value of a JSON field that was not sent; `null` is Raw(b"null")."""

SIDES = ("handle_inputs", "handle_outputs")
"""The two fields of a row that hold its handles by name."""

ROW, HANDLE, DOCUMENT = "", "handle", "document"
"""Levels: the row itself, a handle, the document of a handle; the others are named by their key."""

Unknown = tuple[tuple[str, str], ...]
"""Unknown fields, each as (level, key), in the order they were met."""

_PYTHON_TYPES: dict[str, Any] = {
    "string": str | None,
    "integer": int | None,
    "number": int | float | None,
    "boolean": bool | None,
    "json": Raw,
}
_REQUIRED = {(ROW, JOBS["job_id"].paths[0]), (ROW, JOBS["document_id"].paths[0])}


class Row(Protocol):
    """One job; what the code reads of it by name. The other fields are read by their paths."""

    id: str
    document_id: str
    is_placeholder: bool | None
    error: Raw
    handle_inputs: dict[str, Handle] | UnsetType | None
    handle_outputs: dict[str, Handle] | UnsetType | None


class Handle(Protocol):
    """A named input or output: a file, JSON or text, or a type newer than this library."""

    document: Struct | None


def _collect_fields(sources: Iterable[Source], root: str) -> dict[str, dict[str, Any]]:
    """Return the Python type of each field, by level and key."""
    levels: dict[str, dict[str, Any]] = {root: {}}
    for source in sources:
        for path in source.paths:
            parent, _, key = path.rpartition(".")
            if parent in OPAQUE:
                levels[root][parent] = Raw
            else:
                levels.setdefault(parent or root, {})[key] = _PYTHON_TYPES[source.json_type]
    return levels


_FIELDS = {
    **_collect_fields([*JOBS.values(), RUN_OF_ROW], ROW),
    **_collect_fields(HANDLES.values(), HANDLE),
}
NESTED_IN_ROW = [level for level in _collect_fields(JOBS.values(), ROW) if level != ROW]


@lru_cache(maxsize=64)
def row_struct(unknown: Unknown = ()) -> type[Row]:
    """Return the struct of a row that also has these unknown fields.

    The n-th unknown field is the attribute `unknown_<n>` of the struct of its level.
    """

    def define(level: str, **nested: object) -> Any:
        added = {f"unknown_{n}": key for n, (at, key) in enumerate(unknown) if at == level}
        fields: list[Any] = [
            (key, str)
            if (level, key) in _REQUIRED
            else (key, kind, MISSING if kind is Raw else None)
            for key, kind in _FIELDS[level].items()
        ]
        fields += [(key, kind, UNSET if key in SIDES else None) for key, kind in nested.items()]
        fields += [(attribute, Raw, MISSING) for attribute in added]
        return msgspec.defstruct(
            level.capitalize() or "Row",
            fields,
            rename=added,
            forbid_unknown_fields=True,
            kw_only=True,
            gc=False,
        )

    handle = define(HANDLE, document=define(DOCUMENT) | None)
    handles = dict.__class_getitem__((str, handle)) | UnsetType | None
    nested = {level: define(level) | None for level in NESTED_IN_ROW}
    row: type[Row] = define(ROW, **nested, **dict.fromkeys(SIDES, handles))
    return row


def run_of(row: Row) -> str | None:
    """Return the run that a row names; None if it names none."""
    named = (getattr(row, key) for key in RUN_OF_ROW.paths)
    return next(filter(None, named), None)


fields_of = lru_cache(maxsize=512)(msgspec.structs.fields)
"""The fields of a struct; msgspec works out the annotations anew at every call."""


def json_type_of(kind: Any) -> str:
    """Return the JSON type of a field of a struct: one of `paths`, or "object"."""
    return next((name for name, one in _PYTHON_TYPES.items() if one == kind), "object")


@cache
def known_keys(level: str) -> frozenset[str]:
    """Return the known keys of a level."""
    nested = {ROW: (*NESTED_IN_ROW, *SIDES), HANDLE: (DOCUMENT,)}.get(level, ())
    return frozenset((*_FIELDS[level], *nested))


def unknown_fields(struct: Any) -> dict[str, Raw]:
    """Return the unknown fields that a struct has, by key."""
    kind: Any = type(struct)
    values = ((key, getattr(struct, attribute)) for key, attribute in _added_fields(kind))
    return {key: value for key, value in values if value is not MISSING}


def has_unknown_fields(structs: Iterable[Any]) -> bool:
    """Return whether any of the structs may have unknown fields."""
    kinds: set[Any] = set(map(type, structs))
    return any(map(_added_fields, kinds))


@lru_cache(maxsize=512)
def _added_fields(kind: Any) -> tuple[tuple[str, str], ...]:
    """Return the unknown fields of a struct: their keys and attributes."""
    fields = fields_of(kind) if issubclass(kind, Struct) else ()
    return tuple((f.encode_name, f.name) for f in fields if f.name.startswith("unknown_"))
