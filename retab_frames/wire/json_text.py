"""JSON text before it is decoded: checked, joined, and shown in messages."""

from __future__ import annotations

import re
import sys
from codecs import getincrementaldecoder
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pyarrow as pa

from retab_frames.errors import MalformedResponseError
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from msgspec import Raw

__all__ = ["NotUtf8Error", "check_text", "decode_json", "join_array", "show_beginning"]

T = TypeVar("T")

_SAFE_RECURSION_LIMIT = 3_000
_SAFE_DEPTH = 200
_PIECE_BYTES = 2**20
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class NotUtf8Error(ValueError):
    """A text is not UTF-8."""

    def __init__(self, byte: int, where: int, reason: str) -> None:
        super().__init__(f"it is not UTF-8: byte 0x{byte:02x} in position {where:,}: {reason}")


def decode_json(body: bytes | memoryview | Raw, kind: type[T], what: str) -> T:
    """Decode JSON text, or raise the one error that says what came instead.

    Args:
        body: The text.
        kind: The type to decode it to, as for `msgspec.json.decode`.
        what: What the text is, for the message: "the response".

    Raises:
        MalformedResponseError: If it is not UTF-8, not JSON, nested too deep, or not of the kind.
    """
    try:
        check_text(body)
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        message, where = _split_location(str(error))
        problem = f"{what} does not fit at {where}: {message}"
    except (msgspec.DecodeError, UnicodeDecodeError, NotUtf8Error) as error:
        half = (
            " (a lone surrogate escape is not a valid character)" if "escape" in str(error) else ""
        )
        shown = f"{error}{half}; it begins {show_beginning(body)}"
        where = None
        problem = f"{what} is not JSON: {shown if bytes(body).strip() else 'it is empty'}"
    except RecursionError:
        where, problem = None, f"{what} is nested too deep to decode"
    raise MalformedResponseError(problem, where=where)


def join_array(rows: Iterable[Raw | bytes]) -> bytes:
    """Return the JSON text of an array of the rows."""
    return b"[" + b",".join(rows) + b"]"


def check_text(body: bytes | memoryview | Raw) -> None:
    """Refuse what msgspec would not notice, because it does not look inside text that it skips.

    Raises:
        NotUtf8Error: If it is not UTF-8.
        RecursionError: If it is nested deeper than the default limit of Python allows, and a higher
            limit is set.
    """
    ends = pa.array((0, len(body)), pa.int64()).buffers()[1]
    text = pa.Array.from_buffers(pa.large_string(), 1, [None, ends, pa.py_buffer(body)])
    try:
        text.validate(full=True)  # checks UTF-8 without a copy
    except pa.ArrowInvalid:
        _raise_not_utf8(body)
    if sys.getrecursionlimit() > _SAFE_RECURSION_LIMIT:
        _check_depth(body)


def _raise_not_utf8(body: bytes | memoryview | Raw) -> None:
    """Raise the error that says where the text is not UTF-8.

    The error holds what was decoded, so that is a piece of the text and not a copy of all.
    """
    decoder = getincrementaldecoder("utf-8")()
    text = memoryview(body)
    for at in range(0, len(text), _PIECE_BYTES):
        pending = len(decoder.getstate()[0])
        piece = bytes(text[at : at + _PIECE_BYTES])
        try:
            decoder.decode(piece, final=at + _PIECE_BYTES >= len(text))
        except UnicodeDecodeError as error:
            where = at - pending + error.start
            raise NotUtf8Error(error.object[error.start], where, error.reason) from None


def show_beginning(body: bytes | memoryview | Raw) -> str:
    """Return how the text begins, quoted and printable, for messages."""
    return repr(printable(bytes(memoryview(body)[:60]).decode(errors="backslashreplace")))


def _check_depth(body: bytes | memoryview | Raw) -> None:
    """Refuse deep nesting: msgspec recurses in C.

    A recursion limit that someone raised lets it run into the end of the stack, which no exception
    survives.
    """
    depth = deepest = 0
    for token in _BRACKETS.finditer(memoryview(body)):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token[0], 0)
        deepest = max(deepest, depth)
    if deepest > _SAFE_DEPTH:
        raise RecursionError


def _split_location(message: str) -> tuple[str, str]:
    """Split a message of msgspec into the problem and the JSON path."""
    problem, _, where = message.rpartition(" - at `")
    return (problem, where[:-1]) if problem else (message, "$")
