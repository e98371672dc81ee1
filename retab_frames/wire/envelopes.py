"""Responses, recognised by their shape: rows of jobs, or records of runs and experiments."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from retab_frames.errors import MalformedResponseError
from retab_frames.text.messages import printable
from retab_frames.wire.json_text import (
    NotUtf8Error,
    check_text,
    decode_json,
    join_array,
    show_beginning,
)
from retab_frames.wire.paths import RUN_OF_ROW
from retab_frames.wire.records import MISSING

__all__ = [
    "CURSOR",
    "Record",
    "RecordsResponse",
    "RowsResponse",
    "RunResponses",
    "error_detail",
    "is_row",
    "parse_record",
    "parse_records",
    "parse_rows_response",
    "record_id",
    "record_owner",
    "run_of_rows",
]

if TYPE_CHECKING:
    from datetime import datetime

Record = dict[str, Any]
"""A record of a run or an experiment, as the API sent it."""

CURSOR = "list_metadata.after"
"""Where a page has the cursor of the next one."""

_NO_ROWS = re.compile(rb"\[\s*\]")
_BEFORE_ROWS = re.compile(rb'"content"\s*:\s*\{\s*"jobs"\s*:\s*(?=\[)')
_BEHIND_ROWS = re.compile(rb"(?<=\])\s*\}\s*\}\s*\Z")
_HEAD_BYTES, _TAIL_BYTES = 4_096, 64  # where these two are looked for


class _Jobs(Struct):
    jobs: Raw


class _ListMetadata(Struct):
    after: str | None = None
    has_more: Raw = MISSING


class _Envelope(Struct):
    """The keys that tell one shape of response that holds jobs from another."""

    content: _Jobs | None = None
    data: Raw = MISSING
    list_metadata: _ListMetadata | None = None
    workflow_id: Any = None
    experiment_id: str | None = None
    run_id: str | None = None
    runs: Raw = MISSING
    id: Raw = MISSING
    document_id: Raw = MISSING


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
        has_envelope: True for `/content`, whose envelope names the run of every row.
        array: The JSON text of the array of the rows, a part of the response that is not copied.
        unchecked: The whole response, if its rows were not decoded yet, and may be no JSON; None if
            they were.
        workflow_id: From the envelope of `/content`, where it names one; it need not.
    """

    experiment_id: str | None
    run_id: str | None
    after: str | None
    has_envelope: bool
    array: memoryview
    unchecked: bytes | None = None
    workflow_id: Any = None

    @cached_property
    def rows(self) -> list[Raw]:
        """The JSON text of each row, a part of the response that is not copied.

        Raises:
            MalformedResponseError: If they are nested too deep: the caller may have less stack left
                than when the response was parsed. If the rows were not checked: if the response is
                not JSON, or names two runs or experiments.
        """
        try:
            return msgspec.json.decode(self.array, type=list[Raw])
        except RecursionError:
            problem = "the rows are nested too deep to decode"
        except msgspec.DecodeError:
            if self.unchecked is None:
                raise
            whole = parse_rows_response(self.unchecked)
            if (whole.experiment_id, whole.run_id) == (self.experiment_id, self.run_id):
                return whole.rows
            problem = "the response names its run or experiment twice"
        raise MalformedResponseError(problem)

    @property
    def is_empty(self) -> bool:
        """True if there are no rows."""
        return _NO_ROWS.fullmatch(self.array) is not None


class RunResponses(NamedTuple):
    """All the responses of one run.

    Attributes:
        workflow_id: From the call; None where it is not known.
        experiment_id: From the call or the envelope; None if only the rows tell.
        run_id: From the call or the envelope; None if only the rows tell, or if it was never run.
        responses: In the order they came.
        fetched_at: When they arrived; None if not read from the API.
        source: Which route of which server answered; None if not read from the API.
    """

    workflow_id: str | None
    experiment_id: str | None
    run_id: str | None
    responses: tuple[RowsResponse, ...]
    fetched_at: datetime | None
    source: str | None = None

    @property
    def rows(self) -> list[Raw]:
        """The JSON texts of the rows, parts of the responses that are not copied."""
        return [*chain.from_iterable(response.rows for response in self.responses)]

    @property
    def size(self) -> int:
        """The bytes of the rows."""
        return sum(len(response.array) for response in self.responses)


class RecordsResponse(NamedTuple):
    """One page of run or experiment records, as plain dicts, and the cursor of the next."""

    records: list[dict[str, Any]]
    after: str | None

    @property
    def is_empty(self) -> bool:
        """True if there are no records."""
        return not self.records


def parse_rows_response(body: bytes, *, check_rows: bool = True) -> RowsResponse:
    """Recognise a response that holds jobs; the rows themselves are decoded later.

    Args:
        body: The response.
        check_rows: Whether all of it must be JSON now. If not, and it is a plain response of
            `/content`, only what stands around its rows is decoded, which takes a fifth less time
            in all; rows that are not JSON are then found when they are read.

    Raises:
        MalformedResponseError: If it is not JSON, or holds no jobs.
    """
    if not check_rows and (plain := _parse_around_rows(body)):
        return plain
    if body.lstrip()[:1] == b"[":
        envelope = _Envelope(data=decode_json(body, Raw, "the response"))
    else:
        envelope = decode_json(body, _Envelope, "the response")
    if envelope.content is not None:
        rows = _check_array(envelope.content.jobs, "$.content.jobs")
        ids = (envelope.experiment_id, envelope.run_id)
        return RowsResponse(
            *ids, None, has_envelope=True, array=rows, workflow_id=envelope.workflow_id
        )
    if bytes(envelope.data):
        rows, after = _check_array(envelope.data, "$.data"), _next_cursor(envelope.list_metadata)
    elif bytes(envelope.id) and bytes(envelope.document_id):
        rows, after = memoryview(join_array([body])), None
    else:
        hint = "; these are run records, see load_runs" if bytes(envelope.runs) else ""
        raise MalformedResponseError(
            "the response holds no jobs: it has neither `content.jobs` nor `data`, "
            f"and is not a job itself{hint}; it begins {show_beginning(body)}"
        )
    return RowsResponse(None, None, after, has_envelope=False, array=rows)


def _parse_around_rows(body: bytes) -> RowsResponse | None:
    """Recognise a response of `/content` by what stands around its rows; None if it is not plain.

    Its run and experiment stand before the rows, and two brackets behind them. If the rows end
    earlier or later than that, their brackets do not balance, and no decoder accepts them.
    """
    before = _BEFORE_ROWS.search(body, 0, _HEAD_BYTES)
    behind = _BEHIND_ROWS.search(body, max(0, len(body) - _TAIL_BYTES))
    if before is None or behind is None:
        return None
    try:
        check_text(body)
        envelope = msgspec.json.decode(body[: before.end()] + b"[]}}", type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, NotUtf8Error, RecursionError):
        return None
    ids = (envelope.experiment_id, envelope.run_id)
    if None in ids:
        return None
    rows = memoryview(body)[before.end() : behind.start()]
    return RowsResponse(*ids, None, has_envelope=True, array=rows, unchecked=body)


def parse_record(body: bytes) -> dict[str, Any]:
    """Recognise one run or experiment record.

    Raises:
        MalformedResponseError: If it is not JSON, or not one record with an id.
    """
    return _check_ids([decode_json(body, dict[str, Any], "the record")])[0]


def parse_records(body: bytes) -> RecordsResponse:
    """Recognise a page of run or experiment records: a bare array, `runs`, or `data`.

    Raises:
        MalformedResponseError: If it is not JSON, holds no records, or one has no id.
    """
    if body.lstrip()[:1] == b"[":
        return RecordsResponse(
            _check_ids(decode_json(body, list[dict[str, Any]], "the listing")), None
        )
    found = decode_json(body, _Records, "the listing")
    for records in (found.data, found.runs):
        if records is not UNSET:
            return RecordsResponse(_check_ids(records), _next_cursor(found.list_metadata))
    raise MalformedResponseError(f"the response holds no records; it begins {show_beginning(body)}")


def _check_array(rows: Raw, where: str) -> memoryview:
    """Return the text of an array, or raise MalformedResponseError if it is something else."""
    text = memoryview(rows)
    if bytes(text[:1]) == b"[":
        return text
    kinds = {b"{": "object", b'"': "str", b"n": "null", b"t": "bool", b"f": "bool"}
    came = kinds.get(bytes(text[:1]), "number")
    problem = f"the response does not fit at {where}: Expected `array`, got `{came}`"
    raise MalformedResponseError(problem, where=where)


def _next_cursor(metadata: _ListMetadata | None) -> str | None:
    """Return the cursor of the next page, None on the last one."""
    if metadata is None:
        return None
    if not metadata.after and bytes(metadata.has_more) == b"true":
        raise MalformedResponseError(
            "the response says that there are more pages, and gives no cursor to ask for them",
            where=f"$.{CURSOR}",
        )
    return metadata.after


def _check_ids(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for n, one in enumerate(records):
        if not isinstance(one.get("id"), str) or not one["id"]:
            raise MalformedResponseError(
                f"record {n} has no `id`: expected text, got {printable(one.get('id', 'nothing'))}",
                where=f"$[{n}].id",
            )
    return records


def record_id(record: dict[str, Any]) -> str:
    """Return the id of a run or experiment record; the parsers reject a record without one."""
    found: str = record["id"]
    return found


def record_owner(record: dict[str, Any], kind: str) -> Any:
    """Return the id of the "experiment" or "workflow" that a record names; None if it names none.

    It stands under `<kind>_id`; early runs of the flat routes have it in an object `<kind>`.
    """
    owner = record.get(f"{kind}_id")
    nested = record.get(kind)
    if owner or not isinstance(nested, dict):
        return owner
    return nested.get(f"{kind}_id") or nested.get("id")


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


_RunOfRow = msgspec.defstruct("_RunOfRow", [(key, Any, None) for key in RUN_OF_ROW.paths])


def is_row(value: Any) -> bool:
    """Return whether a decoded JSON object is a row, and not a response that holds rows."""
    return "document_id" in value


def run_of_rows(response: RowsResponse) -> str | None:
    """Return the first run that a row of a page names; None if none does.

    Raises:
        MalformedResponseError: If the rows are not JSON objects.
    """
    rows: list[Any] = decode_json(response.array, list[_RunOfRow], "the rows")  # type: ignore[valid-type]
    names = (getattr(row, key) for row in rows for key in RUN_OF_ROW.paths)
    return next((name for name in names if name and isinstance(name, str)), None)
