"""Rows of the API, decoded: strictly where they fit, cell by cell where they do not.

Most rows are decoded at full speed into structs that refuse what they do not know. If that fails,
the keys of all the rows are looked at, and the structs get the unknown fields among them; so a new
field on every row slows nothing down, and none is dropped unseen. Only a row with a value that does
not fit its field is decoded cell by cell: that cell becomes null, the rest of the row stays, and a
`Misfit` reports it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import Raw, Struct

from retab_frames.errors import MalformedResponseError
from retab_frames.text.messages import printable
from retab_frames.wire.json_text import decode_json, join_array
from retab_frames.wire.misfits import LOST, Misfit
from retab_frames.wire.records import (
    DOCUMENT,
    HANDLE,
    MISSING,
    NESTED_IN_ROW,
    ROW,
    SIDES,
    Row,
    Unknown,
    fields_of,
    known_keys,
    row_struct,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["RowReader", "split_rows"]

_MAX_UNKNOWN_FIELDS = 64
"""How many unknown fields get a place in the structs; a response may make up a new one per row."""

_NOT_A_FIELD_NAME = re.compile(r'["\\\x00-\x1f]')
"""What msgspec does not accept in the name of a field."""

_SCALAR = rb'(?:"(?:[^"\\]|\\.)*"|[-+.\w]+)'
_FIRST_ROW = re.compile(rb'\s*\{\s*("\w+")\s*:\s*%b\s*,\s*("\w+")\s*:' % _SCALAR)


@dataclass
class RowReader:
    """Decodes the rows of a run, and remembers the unknown fields that it met.

    Attributes:
        unknown: The unknown fields that have a place in the structs.
        counts: How often the rows that were counted have each unknown field.
    """

    unknown: Unknown = ()
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def read(self, rows: bytes) -> tuple[list[Row], list[Misfit]]:
        """Return the rows of an array, given as JSON text, and the cells that did not fit.

        Raises:
            MalformedResponseError: If it is not JSON, or if a row is not an object, or has no id
                or document id.
        """
        try:
            return self._read(rows)
        except RecursionError:
            # how deep one can decode depends on how deep the caller's stack is already
            problem = "a row is nested too deep to decode"
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            problem = f"the rows cannot be decoded: {error}"
        raise MalformedResponseError(problem)

    def count(self, rows: Sequence[Row]) -> None:
        """Count the unknown fields of the rows."""
        for n, (level, key) in enumerate(self.unknown):
            structs = _structs_of(rows, level)
            values = (getattr(one, f"unknown_{n}", MISSING) for one in structs)
            self.counts[level, key] += sum(value is not MISSING for value in values)

    def _read(self, rows: bytes) -> tuple[list[Row], list[Misfit]]:
        misfits: list[Misfit] = []
        try:
            return self._decode(rows), misfits
        except msgspec.ValidationError:
            self._collect_unknown(rows)
        try:
            return self._decode(rows), misfits
        except msgspec.ValidationError:
            texts = msgspec.json.decode(rows, type=list[Raw])
        return [self._read_row(n, bytes(text), misfits) for n, text in enumerate(texts)], misfits

    def _decode(self, rows: bytes) -> list[Row]:
        kind: Any = list.__class_getitem__(row_struct(self.unknown))
        return cast("list[Row]", msgspec.json.decode(rows, type=kind))

    def _collect_unknown(self, rows: bytes) -> None:
        """Give the unknown fields among the keys of the rows a place in the structs."""
        for level, key in _keys_met(rows):
            is_full = len(self.unknown) >= _MAX_UNKNOWN_FIELDS
            if not (is_full or (level, key) in self.unknown or _NOT_A_FIELD_NAME.search(key)):
                self.unknown += ((level, key),)

    def _read_row(self, n: int, text: bytes, misfits: list[Misfit]) -> Row:
        """Decode one row strictly if that is possible, else cell by cell."""
        try:
            return self._decode(join_array([text]))[0]
        except msgspec.ValidationError:
            cells = decode_json(text, dict[str, Raw], f"row {n}")
        for key in ("id", "document_id"):
            came = bytes(cells.get(key, MISSING)) or b"nothing"
            if came[:1] != b'"':
                raise MalformedResponseError(
                    f"row {n} has no `{key}`: expected text, got {printable(came.decode())}",
                    where=f"$[{n}].{key}",
                )
        # what has no place in the structs is counted here, and is in the raw row
        self.counts.update(set(_keys_met(join_array([text]))) - set(self.unknown))
        struct = cast("type[Struct]", row_struct(self.unknown))
        return cast("Row", self._decode_fields(text, struct, n, "", misfits))

    def _decode_fields(
        self, text: bytes, struct: type[Struct], n: int, where: str, misfits: list[Misfit]
    ) -> Struct:
        """Decode an object field by field; one that does not fit keeps its default."""
        cells = decode_json(text, dict[str, Raw], where)
        values: dict[str, Any] = {}
        for one in fields_of(struct):
            if one.encode_name not in cells:
                continue
            cell = bytes(cells[one.encode_name])
            path = f"{where}.{one.encode_name}".lstrip(".")
            try:
                values[one.name] = msgspec.json.decode(cell, type=one.type)
            except msgspec.ValidationError as error:
                nested = _nested_struct(one.type)
                if nested is None or cell[:1] != b"{":
                    misfits.append(_misfit(n, path, str(error), cell, LOST))
                elif one.name in SIDES:
                    values[one.name] = self._decode_handles(cell, nested, n, path, misfits)
                else:
                    values[one.name] = self._decode_fields(cell, nested, n, path, misfits)
        return struct(**values)

    def _decode_handles(
        self, text: bytes, struct: type[Struct], n: int, where: str, misfits: list[Misfit]
    ) -> dict[str, Struct]:
        handles: dict[str, Struct] = {}
        for name, cell in decode_json(text, dict[str, Raw], where).items():
            value, path = bytes(cell), f"{where}.{name}"
            if value[:1] == b"{":
                handles[name] = self._decode_fields(value, struct, n, path, misfits)
            else:
                problem = "a handle that is not an object"
                misfits.append(_misfit(n, path, problem, value, "kept as data"))
                handles[name] = struct(data=Raw(value))
        return handles


def split_rows(rows: memoryview, size: int) -> Iterator[memoryview]:
    """Yield the rows some at a time, without decoding them.

    A row is taken to begin where the first two keys of the first row follow one another. If that
    happens inside a row, the brackets of the two parts do not balance, and no decoder accepts them.
    If the first value of a row is not text or a number, all rows are one part.

    Args:
        rows: What stands between the brackets of an array, as JSON text.
        size: The bytes that each part has at least, the last one aside.
    """
    start = 0
    first = _FIRST_ROW.match(rows)
    if first is not None:
        keys = rb"\{\s*%b\s*:\s*%b\s*,\s*%b\s*:" % (first[1], _SCALAR, first[2])
        between = re.compile(rb"\}\s*(,)\s*(?=%b)" % keys)
        while (found := between.search(rows, start + size)) is not None:
            yield rows[start : found.start(1)]
            start = found.end()
    yield rows[start:]


def _keys_met(rows: bytes) -> Iterator[tuple[str, str]]:
    """Yield the level and key of each field of the rows that is not known.

    All objects of a level are decoded together, which costs little per row.
    """
    levels = {ROW: _decode_objects(msgspec.json.decode(rows, type=list[Raw]))}
    for level in NESTED_IN_ROW:
        levels[level] = _decode_objects(row[level] for row in levels[ROW] if level in row)
    sides = _decode_objects(row[side] for row in levels[ROW] for side in SIDES if side in row)
    levels[HANDLE] = _decode_objects(handle for side in sides for handle in side.values())
    levels[DOCUMENT] = _decode_objects(one[DOCUMENT] for one in levels[HANDLE] if DOCUMENT in one)
    for level, objects in levels.items():
        met = dict.fromkeys(chain.from_iterable(objects))
        yield from ((level, key) for key in met if key not in known_keys(level))


def _decode_objects(texts: Iterable[Raw]) -> list[dict[str, Raw]]:
    """Return those of the texts that are objects, one level decoded."""
    objects = [text for text in map(bytes, texts) if text.lstrip()[:1] == b"{"]
    return msgspec.json.decode(join_array(objects), type=list[dict[str, Raw]])


def _structs_of(rows: Sequence[Row], level: str) -> Iterator[Any]:
    """Yield the structs of one level in all the rows, None where a row has none."""
    if level in (HANDLE, DOCUMENT):
        sides = ((row.handle_inputs, row.handle_outputs) for row in rows)
        handles = (handle for pair in sides for side in pair if side for handle in side.values())
        yield from handles if level == HANDLE else (handle.document for handle in handles)
    else:
        yield from rows if level == ROW else (getattr(row, level) for row in rows)


def _nested_struct(kind: Any) -> type[Struct] | None:
    """Return the struct in `Struct | None` or `dict[str, Struct] | None`, if there is one."""
    for option in getattr(kind, "__args__", ()):
        inner = option.__args__[1] if hasattr(option, "__args__") else option
        if isinstance(inner, type) and issubclass(inner, Struct):
            return inner
    return None


def _misfit(row: int, field: str, problem: str, value: bytes, action: str) -> Misfit:
    problem = problem.partition(" - at `")[0]
    came = printable(value.decode(errors="backslashreplace"), 200)
    return Misfit(row, field, problem, came, action)
