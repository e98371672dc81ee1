"""What the API sends: its records as msgspec structs, recognised by their shape.

The API has had three wire generations, and a server may mix them: jobs under `/content` (A), then
results with `lifecycle` and `timing` objects beside flat copies (B), then flat routes with other
names for the same things (C). One set of structs, the union of the three, reads them all; which of
two names a value has is settled per column in `flatten`.

The structs refuse unknown fields: `rows` learns those, so that none is dropped unseen.
"""

from __future__ import annotations

import re
import sys
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
import pyarrow as pa
from msgspec import UNSET, Raw, Struct, UnsetType

from retab_frames.errors import MalformedResponseError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "NOTHING",
    "Artifact",
    "Document",
    "Handle",
    "Lifecycle",
    "Listing",
    "Payload",
    "Row",
    "Timing",
    "array",
    "as_json",
    "cells",
    "listing",
    "payload",
    "record",
]

T = TypeVar("T")

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


class Payload(NamedTuple):
    """One response that holds jobs.

    Attributes:
        experiment_id: From the envelope of `/content`; None for pages.
        run_id: From the envelope of `/content`, "" if the experiment was never run; None for pages.
        rows: The JSON text of each row, a part of the response that is not copied.
        after: The cursor of the next page; None on the last one and for `/content`.
        enveloped: True for `/content`, whose envelope names the run of every row.
    """

    experiment_id: str | None
    run_id: str | None
    rows: list[Raw]
    after: str | None
    enveloped: bool

    @property
    def is_empty(self) -> bool:
        """True if there are no rows."""
        return not self.rows


class Listing(NamedTuple):
    """One page of run or experiment records, as plain dicts, and the cursor of the next."""

    records: list[dict[str, Any]]
    after: str | None

    @property
    def is_empty(self) -> bool:
        """True if there are no records."""
        return not self.records


class _Jobs(Struct):
    jobs: list[Raw]


class _ListMetadata(Struct):
    after: str | None = None
    has_more: Raw = NOTHING


class _Envelope(Struct):
    """The keys that tell one shape of response that holds jobs from another."""

    content: _Jobs | None = None
    data: list[Raw] | UnsetType = UNSET
    list_metadata: _ListMetadata | None = None
    experiment_id: str | None = None
    run_id: str | None = None
    runs: Raw = NOTHING
    id: Raw = NOTHING
    document_id: Raw = NOTHING


class _Records(Struct):
    """The keys of a listing of runs or experiments."""

    data: list[dict[str, Any]] | UnsetType = UNSET
    runs: list[dict[str, Any]] | UnsetType = UNSET
    list_metadata: _ListMetadata | None = None


def as_json(body: bytes | Raw, kind: type[T], what: str) -> T:
    """Decode JSON text, or raise the one error that says what came instead.

    Raises:
        MalformedResponseError: If it is not UTF-8, not JSON, nested too deep, or not of the kind.
    """
    try:
        # msgspec does not look inside text that it skips, so the whole is checked first
        _check_text(body)
        _guard_stack(body)
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        message, where = _located(str(error))
        problem = f"{what} does not fit at {where}: {message}"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        half = " (a lone surrogate escape is half a character)" if "escape" in str(error) else ""
        where = None
        problem = f"{what} is not JSON: {error}{half}; it begins {shown(_head(body))!r}"
    except RecursionError:
        where, problem = None, f"{what} is nested too deep to decode"
    raise MalformedResponseError(problem, where=where)


def payload(body: bytes) -> Payload:
    """Recognise a response that holds jobs, by its shape.

    Raises:
        MalformedResponseError: If it is not JSON, or holds no jobs.
    """
    if body.lstrip()[:1] == b"[":
        return Payload(None, None, as_json(body, list[Raw], "the response"), None, enveloped=False)
    envelope = as_json(body, _Envelope, "the response")
    if envelope.content is not None:
        rows = envelope.content.jobs
        return Payload(envelope.experiment_id, envelope.run_id, rows, None, enveloped=True)
    if envelope.data is not UNSET:
        after = _next(envelope.list_metadata)
        return Payload(None, None, envelope.data, after, enveloped=False)
    if bytes(envelope.id) and bytes(envelope.document_id):
        return Payload(None, None, [Raw(body)], None, enveloped=False)
    hint = "; these are run records, see load_runs" if bytes(envelope.runs) else ""
    raise MalformedResponseError(
        "the response holds no jobs: it has neither `content.jobs` nor `data`, "
        f"and is not a job itself{hint}; it begins {shown(_head(body))!r}"
    )


def array(rows: Iterable[Raw]) -> bytes:
    """Return the JSON text of an array of the rows."""
    return b"[" + b",".join(rows) + b"]"


def cells(structs: Sequence[Any], base: type[Struct]) -> dict[str, list[Any]]:
    """Return the values of the structs, field by field; None stands for one with its defaults.

    Args:
        structs: Of the base, or grown from it.
        base: Whose fields are wanted; all have defaults where a struct may be None.
    """
    kinds = set(map(type, structs))
    if type(None) in kinds:
        kinds -= {type(None)}
        blank = kinds.pop()() if len(kinds) == 1 else base()
        return cells([blank if one is None else one for one in structs], base)
    names = base.__struct_fields__
    if len(kinds) > 1:
        return {name: [getattr(one, name) for one in structs] for name in names}
    every = structs[0].__struct_fields__ if structs else names
    # one pass over all that the structs hold takes half the time of one for each field
    flat = [*chain.from_iterable(map(msgspec.structs.astuple, structs))]
    return {name: flat[every.index(name) :: len(every)] for name in names}


def record(body: bytes) -> dict[str, Any]:
    """Recognise one run or experiment record.

    Raises:
        MalformedResponseError: If it is not JSON, or not one record with an id.
    """
    return _identified([as_json(body, dict[str, Any], "the record")])[0]


def listing(body: bytes) -> Listing:
    """Recognise a page of run or experiment records: a bare array, `runs`, or `data`.

    Raises:
        MalformedResponseError: If it is not JSON, holds no records, or one has no id.
    """
    if body.lstrip()[:1] == b"[":
        return Listing(_identified(as_json(body, list[dict[str, Any]], "the listing")), None)
    found = as_json(body, _Records, "the listing")
    for records in (found.data, found.runs):
        if records is not UNSET:
            return Listing(_identified(records), _next(found.list_metadata))
    raise MalformedResponseError(f"the response holds no records; it begins {shown(_head(body))!r}")


def _next(metadata: _ListMetadata | None) -> str | None:
    """Return the cursor of the next page, None on the last one."""
    if metadata is None:
        return None
    if not metadata.after and bytes(metadata.has_more) == b"true":
        raise MalformedResponseError(
            "the response says that there are more pages, and gives no cursor to ask for them",
            where="$.list_metadata.after",
        )
    return metadata.after


def _identified(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for n, one in enumerate(records):
        if not isinstance(one.get("id"), str) or not one["id"]:
            raise MalformedResponseError(
                f"record {n} has no `id`: expected text, got {shown(one.get('id', 'nothing'))}",
                where=f"$[{n}].id",
            )
    return records


def _check_text(body: bytes | Raw) -> None:
    """Refuse what is not UTF-8, without a copy of it.

    Raises:
        UnicodeDecodeError: If it is none.
    """
    ends = pa.array((0, len(body)), pa.int64()).buffers()[1]
    text = pa.Array.from_buffers(pa.large_string(), 1, [None, ends, pa.py_buffer(body)])
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        bytes(body).decode()  # says where


def _guard_stack(body: bytes | Raw) -> None:
    """Refuse deep nesting where Python's own limit would not stop it in time.

    The decoder recurses in C. A recursion limit that someone raised lets it run into the end of
    the stack, which no exception survives.

    Raises:
        RecursionError: If the nesting is deeper than the default limit allows.
    """
    if sys.getrecursionlimit() <= _SAFE_RECURSION_LIMIT:
        return
    depth = deepest = 0
    for token in _BRACKETS.finditer(memoryview(body)):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token[0], 0)
        deepest = max(deepest, depth)
    if deepest > _SAFE_DEPTH:
        raise RecursionError


def _head(body: bytes | Raw) -> str:
    return bytes(memoryview(body)[:60]).decode(errors="backslashreplace")


def _located(message: str) -> tuple[str, str]:
    """Split msgspec's message into what is wrong and the JSON path."""
    what, _, where = message.rpartition(" - at `")
    return (what, where[:-1]) if what else (message, "$")
