"""HTTP messages: a request that arrived, a response to send, an error response."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it arrived.

    Attributes:
        method: The HTTP method.
        path: The path without the query, percent-encoding kept.
        query: Decoded query parameters, each with all its values.
        headers: Headers by lower-case name; left out of the repr, as they hold the key.
    """

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """A response before it is sent.

    Attributes:
        status: The HTTP status.
        body: The bytes of the body.
        headers: Headers by lower-case name.
        verbatim: Whether the body must be sent as it is, never compressed.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    verbatim: bool = False


class ApiError(Exception):
    """An error response of the API.

    Args:
        status: The HTTP status.
        detail: The value of `detail` in the body.
        headers: Headers to add.
    """

    def __init__(self, status: int, detail: object, **headers: str) -> None:
        super().__init__(status, detail)
        self.response = make_json_response({"detail": detail}, status, **headers)


def make_json_response(value: object, status: int = HTTPStatus.OK, **headers: str) -> Response:
    """Return a response with a value as compact JSON, as the API sends it."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(status, body, {"content-type": "application/json", **headers})


def make_verbatim_response(
    body: object, status: int, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response that is sent as it is: bytes, text, or anything else as JSON."""
    content = body if isinstance(body, bytes | str) else json.dumps(body, ensure_ascii=False)
    encoded = content if isinstance(content, bytes) else content.encode()
    given = {name.lower(): value for name, value in (headers or {}).items()}
    all_headers = {"content-type": "application/json", **given}
    return Response(status, encoded, all_headers, verbatim=True)
