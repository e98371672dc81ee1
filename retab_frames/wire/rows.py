"""Rows of the API, decoded: strictly where they fit, cell by cell where they do not.

Rows are decoded strictly, at full speed. An unknown field is learned: the structs grow by it, so
that something new on every row sends no row the slow way, and nothing is dropped unseen. Only a row
with a value that does not fit its field is read again cell by cell; that cell becomes null, the
rest of the row stays, and an `Oddity` tells of it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from retab_frames.errors import MalformedResponseError
from retab_frames.text.messages import printable
from retab_frames.wire.records import (
    NOTHING,
    Artifact,
    Document,
    Handle,
    Lifecycle,
    Row,
    Timing,
    array,
    as_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Oddity", "RowReader", "beyond", "goes_beyond"]

_MOST_LEARNED = 64
"""A payload that makes up a new field on every row is not worth a struct for each."""

_STRUCTS: dict[str, type[Struct]] = {
    "": Row,
    "timing": Timing,
    "lifecycle": Lifecycle,
    "artifact": Artifact,
    "handle": Handle,
    "document": Document,
}
_UNKNOWN_FIELD = re.compile(
    r"^Object contains unknown field `(.*)` - at `\$\[\d+\](.*)`$", re.DOTALL
)

_UNLEARNABLE = re.compile(r'["\\\x00-\x1f]')
"""What msgspec does not take in the name of a field."""

Learned = tuple[tuple[str, str], ...]
"""The unknown fields, each as (level, name), in the order they were met."""


class Oddity(NamedTuple):
    """Something that does not fit, and what was done about it; without a job it is of the run."""

    job_id: str | None
    field: str | None
    problem: str
    value: str | None
    action: str


_fields = lru_cache(maxsize=512)(msgspec.structs.fields)
"""The fields of a struct; msgspec works out the annotations anew at every call."""


@lru_cache(maxsize=64)
def _grown_row(learned: Learned) -> type[Row]:
    """Return the row struct with the learned fields added; the n-th is attribute `learned_n`."""

    def grow(level: str, **nested: object) -> Any:
        added = {f"learned_{n}": name for n, (at, name) in enumerate(learned) if at == level}
        fields: list[Any] = [(attribute, Raw, NOTHING) for attribute in added]
        fields += [
            (attribute, kind, UNSET if attribute.startswith("handle_") else None)
            for attribute, kind in nested.items()
        ]
        struct = _STRUCTS[level]
        return msgspec.defstruct(
            struct.__name__,
            fields,
            bases=(struct,),
            rename=added,
            forbid_unknown_fields=True,
            gc=False,
        )

    handle = grow("handle", document=grow("document") | None)
    handles = dict.__class_getitem__((str, handle)) | UnsetType | None
    row = grow(
        "",
        timing=grow("timing") | None,
        lifecycle=grow("lifecycle") | None,
        artifact=grow("artifact") | None,
        handle_inputs=handles,
        handle_outputs=handles,
    )
    return cast("type[Row]", row)


@dataclass
class RowReader:
    """Decodes rows, and remembers the fields that it had to learn.

    Attributes:
        learned: The unknown fields met so far.
        met: How often the rows that were counted have each of them.
        unlearned: How often those were met that are one too many, or have a name that no struct
            takes.
        oddities: The cells that did not fit, in the order they were met.
    """

    learned: Learned = ()
    met: Counter[tuple[str, str]] = field(default_factory=Counter)
    unlearned: Counter[tuple[str, str]] = field(default_factory=Counter)
    oddities: list[Oddity] = field(default_factory=list)

    def read(self, rows: bytes) -> list[Row]:
        """Return the rows of an array, given as JSON text.

        Raises:
            MalformedResponseError: If it is not JSON, or if a row is not an object, or has no id
                or document id.
        """
        try:
            try:
                return self._decode(rows)
            except msgspec.ValidationError:
                texts = msgspec.json.decode(rows, type=list[Raw])
                return [self._read_row(n, bytes(text)) for n, text in enumerate(texts)]
        except RecursionError:
            # how deep one can decode depends on how deep the caller's stack is already
            problem = "a row is nested too deep to decode"
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            problem = f"the rows cannot be decoded: {error}"
        raise MalformedResponseError(problem)

    def count(self, rows: list[Row]) -> None:
        """Count the unknown fields of the rows."""
        for n, (level, name) in enumerate(self.learned):
            values = (getattr(one, f"learned_{n}", NOTHING) for one in _structs(rows, level))
            self.met[level, name] += sum(value is not NOTHING for value in values)

    def told(self) -> list[Oddity]:
        """Return all that was odd: the cells, then each unknown field with how often it came."""
        unknown = [*((one, self.met[one]) for one in self.learned), *self.unlearned.items()]
        return [*self.oddities, *(_unknown(*one, count) for one, count in unknown)]

    def _decode(self, rows: bytes) -> list[Row]:
        """Decode strictly, learning one field at a time; msgspec names only the first."""
        while True:
            try:
                return msgspec.json.decode(rows, type=list[_grown_row(self.learned)])  # type: ignore[misc,no-any-return]
            except msgspec.ValidationError as error:
                match = _UNKNOWN_FIELD.match(str(error))
                if match is None or not self._learn(_level(match[2]), match[1]):
                    raise

    def _learn(self, level: str, name: str) -> bool:
        known = level not in _STRUCTS or (level, name) in self.learned
        if known or len(self.learned) >= _MOST_LEARNED or _UNLEARNABLE.search(name):
            return False
        self.learned += ((level, name),)
        return True

    def _read_row(self, n: int, text: bytes) -> Row:
        try:
            return self._decode(array([Raw(text)]))[0]
        except msgspec.ValidationError:
            cells = as_json(text, dict[str, Raw], f"row {n}")
            self._survey(text, "")
        return self._mend(n, text, cells)

    def _survey(self, text: bytes, level: str) -> None:
        """Learn all the unknown fields of a row that is going to be mended."""
        known = {item.encode_name for item in _fields(_STRUCTS[level])}
        for name, raw in as_json(text, dict[str, Raw], "a row").items():
            cell = bytes(raw)
            if name not in known:
                if not self._learn(level, name) and (level, name) not in self.learned:
                    self.unlearned[level, name] += 1
            elif cell[:1] == b"{" and name in _STRUCTS:
                self._survey(cell, name)
            elif cell[:1] == b"{" and name.startswith("handle_"):
                for handle in as_json(cell, dict[str, Raw], name).values():
                    if bytes(handle)[:1] == b"{":
                        self._survey(bytes(handle), "handle")

    def _mend(self, n: int, text: bytes, cells: dict[str, Raw]) -> Row:
        for key in ("id", "document_id"):
            came = bytes(cells.get(key, NOTHING)) or b"nothing"
            if came[:1] != b'"':
                raise MalformedResponseError(
                    f"row {n} has no `{key}`: expected text, got {printable(came.decode())}",
                    where=f"$[{n}].{key}",
                )
        job_id = msgspec.json.decode(cells["id"], type=str)
        return cast("Row", self._fit(text, _grown_row(self.learned), job_id, ""))

    def _fit(self, text: bytes, struct: type[Struct], job_id: str, where: str) -> Struct:
        """Decode an object field by field; one that does not fit keeps its default."""
        cells = as_json(text, dict[str, Raw], where)
        values: dict[str, Any] = {}
        for item in _fields(struct):
            if item.encode_name not in cells:
                continue
            cell = bytes(cells[item.encode_name])
            path = f"{where}.{item.encode_name}".lstrip(".")
            try:
                values[item.name] = msgspec.json.decode(cell, type=item.type)
            except msgspec.ValidationError as error:
                nested = _nested(item.type)
                if nested is None or cell[:1] != b"{":
                    self._odd(job_id, path, str(error), cell, "null, kept in raw")
                elif item.name.startswith("handle_"):
                    values[item.name] = self._fit_handles(cell, nested, job_id, path)
                else:
                    values[item.name] = self._fit(cell, nested, job_id, path)
        return struct(**values)

    def _fit_handles(
        self, text: bytes, struct: type[Struct], job_id: str, where: str
    ) -> dict[str, Struct]:
        handles: dict[str, Struct] = {}
        for name, cell in as_json(text, dict[str, Raw], where).items():
            value, path = bytes(cell), f"{where}.{name}"
            if value[:1] == b"{":
                handles[name] = self._fit(value, struct, job_id, path)
            else:
                self._odd(job_id, path, "a handle that is not an object", value, "kept as data")
                handles[name] = struct(data=Raw(value))
        return handles

    def _odd(self, job_id: str, field: str, problem: str, value: bytes, action: str) -> None:
        problem = problem.partition(" - at `")[0]
        came = printable(value.decode(errors="backslashreplace"), 200)
        self.oddities.append(Oddity(job_id, field, problem, came, action))


def beyond(struct: Struct | None) -> dict[str, Raw]:
    """Return the unknown fields that a struct has, by their names on the wire."""
    kind: Any = type(struct)
    values = ((name, getattr(struct, attribute)) for name, attribute in _added(kind))
    return {name: value for name, value in values if value is not NOTHING}


def goes_beyond(structs: Iterable[Struct | None]) -> bool:
    """Return whether any of the structs may have unknown fields."""
    kinds: set[Any] = {type(struct) for struct in structs}
    return any(map(_added, kinds))


@lru_cache(maxsize=512)
def _added(kind: Any) -> tuple[tuple[str, str], ...]:
    """Return the names of the learned fields of a struct: on the wire, and in Python."""
    fields = _fields(kind) if issubclass(kind, Struct) else ()
    return tuple((f.encode_name, f.name) for f in fields if f.name.startswith("learned_"))


def _unknown(level: str, name: str, count: int) -> Oddity:
    dotted = f"{level}.{name}".lstrip(".")
    return Oddity(None, dotted, "unknown field", f"{count} times", "kept in raw")


def _level(path: str) -> str:
    """Return the level of a JSON path below a row: `.handle_inputs[...].document` -> document."""
    last = path.replace("[...]", "").rpartition(".")[2]
    return "handle" if last.startswith("handle_") else last


def _nested(kind: Any) -> type[Struct] | None:
    """Return the struct in `Struct | None` or `dict[str, Struct] | None`, if there is one."""
    for option in getattr(kind, "__args__", ()):
        inner = option.__args__[1] if hasattr(option, "__args__") else option
        if isinstance(inner, type) and issubclass(inner, Struct):
            return inner
    return None


def _structs(rows: list[Row], level: str) -> Iterator[Struct | None]:
    """Yield the structs of one level in all the rows."""
    if level in ("handle", "document"):
        sides = ((row.handle_inputs, row.handle_outputs) for row in rows)
        handles = (handle for pair in sides for side in pair if side for handle in side.values())
        yield from handles if level == "handle" else (handle.document for handle in handles)
    else:
        yield from rows if level == "" else (getattr(row, level) for row in rows)
