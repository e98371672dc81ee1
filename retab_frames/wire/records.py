"""What the API sends: its records as msgspec structs, and JSON text checked before it is decoded.

The API has had three wire generations, and a server may mix them: jobs under `/content` (A), then
results with `lifecycle` and `timing` objects beside flat copies (B), then flat routes with other
names for the same things (C). One set of structs, the union of the three, reads them all; which of
two names a value has is settled per column in `columns`.

The structs refuse unknown fields: `rows` learns those, so that none is dropped unseen.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec
import pyarrow as pa
from msgspec import UNSET, Raw, Struct, UnsetType

from retab_frames.errors import MalformedResponseError
from retab_frames.text.messages import printable

__all__ = [
    "NOTHING",
    "Artifact",
    "Cells",
    "Document",
    "Handle",
    "Lifecycle",
    "Row",
    "Timing",
    "array",
    "as_json",
    "beginning",
    "check",
]

T = TypeVar("T")

Cells = dict[str, Sequence[Any]]
"""What records hold, by path on the wire, or by column where a path does not tell.

Lists of values, or the Arrow arrays of a reader that makes such; a path that no record has may be
left out.
"""

_SAFE_RECURSION_LIMIT = 3_000
_SAFE_DEPTH = 200
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)

NOTHING = Raw()
"""The value of a Raw field that was not sent; `null` is Raw(b"null")."""


class Timing(Struct, forbid_unknown_fields=True, gc=False):
    """When a job ran (B, C)."""

    created_at: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    duration_ms: int | float | None = None


class Lifecycle(Struct, forbid_unknown_fields=True, gc=False):
    """How a job stands (B, C)."""

    status: str | None = None
    message: str | None = None
    reason: str | None = None
    details: Raw = NOTHING


class Artifact(Struct, forbid_unknown_fields=True, gc=False):
    """A reference to what the block produced."""

    operation: str | None = None
    id: str | None = None


class Document(Struct, forbid_unknown_fields=True, gc=False):
    """The file of a handle; `original_id` is the older name of `id`."""

    id: str | None = None
    original_id: str | None = None
    filename: str | None = None
    mime_type: str | None = None
    size_bytes: int | None = None
    content_fingerprint: str | None = None


class Handle(Struct, forbid_unknown_fields=True, gc=False):
    """A named input or output: a file, JSON or text, or a type newer than this library."""

    type: str | None = None
    filename: str | None = None
    document: Document | None = None
    data: Raw = NOTHING
    text: Raw = NOTHING


class Row(Struct, forbid_unknown_fields=True, gc=False):
    """One job, under the names of every generation."""

    id: str
    document_id: str
    experiment_id: str | None = None
    run_id: str | None = None
    experiment_run_id: str | None = None
    status: str | None = None
    lifecycle: Lifecycle | None = None
    block_kind: str | None = None
    block_type: str | None = None
    handle_inputs: dict[str, Handle] | UnsetType | None = UNSET
    handle_outputs: dict[str, Handle] | UnsetType | None = UNSET
    artifact: Artifact | None = None
    error: Raw = NOTHING
    attempt: int | None = None
    is_placeholder: bool | None = None
    timing: Timing | None = None
    duration_ms: int | float | None = None
    created_at: str | None = None
    started_at: str | None = None
    completed_at: str | None = None


def as_json(body: bytes | memoryview | Raw, kind: type[T], what: str) -> T:
    """Decode JSON text, or raise the one error that says what came instead.

    Raises:
        MalformedResponseError: If it is not UTF-8, not JSON, nested too deep, or not of the kind.
    """
    try:
        check(body)
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        message, where = _located(str(error))
        problem = f"{what} does not fit at {where}: {message}"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        half = " (a lone surrogate escape is half a character)" if "escape" in str(error) else ""
        where = None
        problem = f"{what} is not JSON: {error}{half}; it begins {printable(beginning(body))!r}"
    except RecursionError:
        where, problem = None, f"{what} is nested too deep to decode"
    raise MalformedResponseError(problem, where=where)


def array(rows: Iterable[Raw]) -> bytes:
    """Return the JSON text of an array of the rows."""
    return b"[" + b",".join(rows) + b"]"


def check(body: bytes | memoryview | Raw) -> None:
    """Refuse what the decoder would not see, for it does not look inside text that it skips.

    Raises:
        UnicodeDecodeError: If it is not UTF-8.
        RecursionError: If it is nested deeper than the default limit of Python allows, where a
            higher one would not stop it in time.
    """
    _check_text(body)
    _guard_stack(body)


def beginning(body: bytes | memoryview | Raw) -> str:
    """Return how it begins, for messages."""
    return bytes(memoryview(body)[:60]).decode(errors="backslashreplace")


def _check_text(body: bytes | memoryview | Raw) -> None:
    """Refuse what is not UTF-8, without a copy of it."""
    ends = pa.array((0, len(body)), pa.int64()).buffers()[1]
    text = pa.Array.from_buffers(pa.large_string(), 1, [None, ends, pa.py_buffer(body)])
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        bytes(body).decode()  # says where


def _guard_stack(body: bytes | memoryview | Raw) -> None:
    """Refuse deep nesting: the decoder recurses in C.

    A recursion limit that someone raised lets it run into the end of the stack, which no exception
    survives.
    """
    if sys.getrecursionlimit() <= _SAFE_RECURSION_LIMIT:
        return
    depth = deepest = 0
    for token in _BRACKETS.finditer(memoryview(body)):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token[0], 0)
        deepest = max(deepest, depth)
    if deepest > _SAFE_DEPTH:
        raise RecursionError


def _located(message: str) -> tuple[str, str]:
    """Split msgspec's message into what is wrong and the JSON path."""
    what, _, where = message.rpartition(" - at `")
    return (what, where[:-1]) if what else (message, "$")
