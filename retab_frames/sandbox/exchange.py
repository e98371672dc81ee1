"""What passes over HTTP: a request that came, a reply to send."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came.

    Attributes:
        method: The HTTP method.
        path: The path as on the wire, without the query, percent-encoding kept.
        query: Decoded query parameters, each with all its values.
        headers: Headers by lower-case name; not shown, as they hold the key.
    """

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer before it is put on the wire.

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

    @classmethod
    def of(cls, body: object, status: int, headers: Mapping[str, str] | None = None) -> Reply:
        """Return a reply to be sent verbatim: bytes, text, or anything else as JSON."""
        content = body if isinstance(body, bytes | str) else json.dumps(body, ensure_ascii=False)
        encoded = content if isinstance(content, bytes) else content.encode()
        given = {name.lower(): value for name, value in (headers or {}).items()}
        return cls(status, encoded, {"content-type": "application/json", **given}, verbatim=True)

    @classmethod
    def of_json(cls, value: object, status: int = HTTPStatus.OK, **headers: str) -> Reply:
        """Return a reply that holds a value as JSON."""
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        return cls(status, body, {"content-type": "application/json", **headers})


class Refusal(Exception):  # noqa: N818 - not an error of ours
    """The API's own way of saying no.

    Args:
        status: The HTTP status.
        detail: What stands under `detail` in the body.
    """

    def __init__(self, status: int, detail: object, **headers: str) -> None:
        """Keep what the reply will say."""
        super().__init__(status, detail)
        self.reply = Reply.of_json({"detail": detail}, status, **headers)
