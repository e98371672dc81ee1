"""Responses: recognised by their shape, and cut into pieces that are decoded one after another.

A large response of `/content` is looked at once. What stands before its rows says whose they are,
and is decoded by itself; the rows are cut where one seems to end and the next to begin. A wrong
guess cannot go unseen: within a row, or beyond the last, the brackets of a piece do not balance,
and no decoder takes it. Whoever meets such a piece reads the `rows` instead, which are told apart
by decoding the whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from retab_frames.errors import MalformedResponseError
from retab_frames.text.messages import printable
from retab_frames.wire.records import NOTHING, array, as_json, beginning, check

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "RecordsResponse",
    "RowsResponse",
    "cuts",
    "listing",
    "parse_rows_response",
    "payload",
    "record",
]

_HEAD_BYTES = 4_096
_TAIL_BYTES = 64
"""How much of a response of `/content` stands before and behind its rows, at most."""

_BEFORE_ROWS = re.compile(rb'"content"\s*:\s*\{\s*"jobs"\s*:\s*(?=\[)')
_BEHIND_ROWS = re.compile(rb"(?<=\])\s*\}\s*\}\s*\Z")
_NO_ROWS = re.compile(rb"\[\s*\]")
_SCALAR = rb'(?:"(?:[^"\\]|\\.)*"|[-+.\w]+)'
_FIRST_ROW = re.compile(rb'\s*\{\s*("\w+")\s*:\s*%b\s*,\s*("\w+")\s*:' % _SCALAR)


class _Jobs(Struct):
    jobs: Raw


class _ListMetadata(Struct):
    after: str | None = None
    has_more: Raw = NOTHING


class _Envelope(Struct):
    """The keys that tell one shape of response that holds jobs from another."""

    content: _Jobs | None = None
    data: Raw = NOTHING
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


@dataclass(frozen=True)
class RowsResponse:
    """One response that holds jobs.

    Attributes:
        experiment_id: From the envelope of `/content`; None for pages.
        run_id: From the envelope of `/content`, "" if the experiment was never run; None for pages.
        after: The cursor of the next page; None on the last one and for `/content`.
        enveloped: True for `/content`, whose envelope names the run of every row.
        array: The JSON text of the array of the rows, a part of the response that is not copied;
            if the response was not checked, no more than a good guess.
        response: The whole response.
    """

    experiment_id: str | None
    run_id: str | None
    after: str | None
    enveloped: bool
    array: memoryview
    response: bytes = field(repr=False, compare=False)

    @cached_property
    def rows(self) -> list[Raw]:
        """The JSON text of each row, a part of the response that is not copied.

        Raises:
            MalformedResponseError: If the response is not JSON, or names two runs.
        """
        try:
            return msgspec.json.decode(self.array, type=list[Raw])
        except (msgspec.DecodeError, RecursionError):
            pass
        whole = parse_rows_response(self.response)
        if (whole.experiment_id, whole.run_id) != (self.experiment_id, self.run_id):
            raise MalformedResponseError("the response names its run or experiment twice")
        return as_json(whole.array, list[Raw], "the rows")

    @property
    def is_empty(self) -> bool:
        """True if there are no rows; of a response that was not checked, a guess too."""
        return _NO_ROWS.fullmatch(self.array) is not None


class RecordsResponse(NamedTuple):
    """One page of run or experiment records, as plain dicts, and the cursor of the next."""

    records: list[dict[str, Any]]
    after: str | None

    @property
    def is_empty(self) -> bool:
        """True if there are no records."""
        return not self.records


def payload(body: bytes) -> RowsResponse:
    """Recognise a response that holds jobs, by its shape; its rows are checked when they are read.

    Raises:
        MalformedResponseError: If it holds no jobs, or what stands before them is not JSON.
    """
    return _guess(body) or parse_rows_response(body)


def parse_rows_response(body: bytes) -> RowsResponse:
    """Do the same, and refuse now what is not JSON: for a response that can be asked for again.

    Raises:
        MalformedResponseError: If it is not JSON, or holds no jobs.
    """
    if body.lstrip()[:1] == b"[":
        envelope = _Envelope(data=as_json(body, Raw, "the response"))
    else:
        envelope = as_json(body, _Envelope, "the response")
    if envelope.content is not None:
        rows = _array(envelope.content.jobs, "$.content.jobs")
        return RowsResponse(
            envelope.experiment_id, envelope.run_id, None, enveloped=True, array=rows, response=body
        )
    if bytes(envelope.data):
        rows, after = _array(envelope.data, "$.data"), _next(envelope.list_metadata)
    elif bytes(envelope.id) and bytes(envelope.document_id):
        rows, after = memoryview(array([Raw(body)])), None
    else:
        hint = "; these are run records, see load_runs" if bytes(envelope.runs) else ""
        raise MalformedResponseError(
            "the response holds no jobs: it has neither `content.jobs` nor `data`, "
            f"and is not a job itself{hint}; it begins {printable(beginning(body))!r}"
        )
    return RowsResponse(None, None, after, enveloped=False, array=rows, response=body)


def _guess(body: bytes) -> RowsResponse | None:
    """Recognise a response of `/content` by what stands around its rows; None if it is not plain.

    Its run and experiment stand before the rows, and two brackets behind them. If more stands
    behind the rows, what is taken for them is no JSON.
    """
    before = _BEFORE_ROWS.search(body, 0, _HEAD_BYTES)
    behind = _BEHIND_ROWS.search(body, max(0, len(body) - _TAIL_BYTES))
    if before is None or behind is None:
        return None
    try:
        check(body)
        envelope = msgspec.json.decode(body[: before.end()] + b"[]}}", type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if envelope.experiment_id is None or envelope.run_id is None:
        return None
    rows = memoryview(body)[before.end() : behind.start()]
    return RowsResponse(
        envelope.experiment_id, envelope.run_id, None, enveloped=True, array=rows, response=body
    )


def _array(rows: Raw, where: str) -> memoryview:
    """Return the text of an array, or raise MalformedResponseError if it is something else."""
    text = memoryview(rows)
    if bytes(text[:1]) == b"[":
        return text
    kinds = {b"{": "object", b'"': "str", b"n": "null", b"t": "bool", b"f": "bool"}
    came = kinds.get(bytes(text[:1]), "number")
    problem = f"the response does not fit at {where}: Expected `array`, got `{came}`"
    raise MalformedResponseError(problem, where=where)


def cuts(rows: memoryview, size: int) -> Iterator[memoryview]:
    """Yield the rows some at a time: what stands in an array, as JSON text, between its brackets.

    A row begins like the first one, with two keys in the same order. Where that is true of
    something within a row, or the array is not JSON, there is a piece that is not JSON. Where the
    first key holds no text or number, all rows are one piece.

    Args:
        rows: The rows, without the brackets around them.
        size: The bytes that a piece has at least, but for the last.
    """
    at = 0
    first = _FIRST_ROW.match(rows)
    if first is not None:
        keys = rb"\{\s*%b\s*:\s*%b\s*,\s*%b\s*:" % (first[1], _SCALAR, first[2])
        between = re.compile(rb"\}\s*(,)\s*(?=%b)" % keys)
        while (cut := between.search(rows, at + size)) is not None:
            yield rows[at : cut.start(1)]
            at = cut.end()
    yield rows[at:]


def record(body: bytes) -> dict[str, Any]:
    """Recognise one run or experiment record.

    Raises:
        MalformedResponseError: If it is not JSON, or not one record with an id.
    """
    return _identified([as_json(body, dict[str, Any], "the record")])[0]


def listing(body: bytes) -> RecordsResponse:
    """Recognise a page of run or experiment records: a bare array, `runs`, or `data`.

    Raises:
        MalformedResponseError: If it is not JSON, holds no records, or one has no id.
    """
    if body.lstrip()[:1] == b"[":
        return RecordsResponse(
            _identified(as_json(body, list[dict[str, Any]], "the listing")), None
        )
    found = as_json(body, _Records, "the listing")
    for records in (found.data, found.runs):
        if records is not UNSET:
            return RecordsResponse(_identified(records), _next(found.list_metadata))
    raise MalformedResponseError(
        f"the response holds no records; it begins {printable(beginning(body))!r}"
    )


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
                f"record {n} has no `id`: expected text, got {printable(one.get('id', 'nothing'))}",
                where=f"$[{n}].id",
            )
    return records


def record_id(record: dict[str, Any]) -> str:
    """Return the id of a run or experiment record; `record` and `listing` accept none without."""
    found: str = record["id"]
    return found


def record_owner(record: dict[str, Any], kind: str) -> Any:
    """Return the id of the "experiment" or "workflow" that a record names; None if it names none.

    It stands under `<kind>_id`; early runs of the flat routes have it in an object `<kind>`.
    """
    owner = record.get(f"{kind}_id")
    nested = record.get(kind)
    return owner or (nested.get(f"{kind}_id") if isinstance(nested, dict) else None)


def error_detail(body: str) -> str:
    """Return what the body of an error response says, in each form that the API uses.

    A body of no such form is given by its beginning, on one line.
    """
    try:
        error = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return " ".join(body[:200].split())
    detail = error.get("detail", error) if isinstance(error, dict) else error
    if isinstance(detail, list):
        return "; ".join(_field_error(item) for item in detail if isinstance(item, dict))
    if isinstance(detail, dict):
        detail = detail.get("message") or detail.get("code")
    return detail if isinstance(detail, str) else ""


def _field_error(item: dict[str, Any]) -> str:
    where = item.get("loc")
    path = ".".join(map(str, where)) if isinstance(where, list) else ""
    return f"{path}: {item.get('msg')}"


class _RunOfRow(Struct):
    run_id: Any = None
    experiment_run_id: Any = None


def is_row(value: Any) -> bool:
    """Return whether a decoded JSON object is a row, and not a response that holds rows."""
    return "document_id" in value


def run_of_rows(response: RowsResponse) -> str | None:
    """Return the first run that a row of a page names; None if none does.

    Raises:
        MalformedResponseError: If the rows are not JSON objects.
    """
    rows = as_json(response.array, list[_RunOfRow], "the rows")
    names = (row.run_id or row.experiment_run_id for row in rows)
    return next((name for name in names if isinstance(name, str)), None)
