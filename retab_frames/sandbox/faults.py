"""Ways in which the sandbox misbehaves, each for real on the socket."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.client import responses
from typing import TYPE_CHECKING, Any

from retab_frames.sandbox.exchange import Reply

if TYPE_CHECKING:
    from retab_frames.sandbox.exchange import Request
    from retab_frames.sandbox.wire import Wire

_HTML = b"<!doctype html><html><head><title>Sign in</title></head><body>Sign in</body></html>"


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to misbehave; as it is, it does not."""

    def ask(self, request: Request) -> Request:
        """Return the request that is answered in place of the one that came."""
        return request

    def amend(self, request: Request, reply: Reply) -> Reply:  # noqa: ARG002
        """Return the reply that is sent in place of the right one."""
        return reply

    def deliver(self, wire: Wire, reply: Reply) -> None:
        """Put the reply on the wire."""
        wire.send(reply)


@dataclass(frozen=True, slots=True)
class Status(Fault):
    """Answers with a status of its own.

    Attributes:
        code: The HTTP status, such as 429 or 503.
        retry_after: What stands in the Retry-After header, None for no header.
        body: Bytes or text sent as they are, anything else as JSON; None for
            the usual `detail`.
    """

    code: int
    retry_after: float | str | None = None
    body: object = None

    def amend(self, request: Request, reply: Reply) -> Reply:  # noqa: ARG002
        """Return the failure."""
        headers = {} if self.retry_after is None else {"retry-after": str(self.retry_after)}
        body = {"detail": responses.get(self.code, "Error")} if self.body is None else self.body
        return Reply.of(body, self.code, headers)


@dataclass(frozen=True, slots=True)
class CutBody(Fault):
    """Closes the connection before the body is as long as Content-Length says.

    Attributes:
        keep: How much of the body is sent: an int in bytes, a float as a share.
    """

    keep: float = 0.5

    def deliver(self, wire: Wire, reply: Reply) -> None:
        """Send the whole head and a part of the body."""
        wire.send_head(reply)
        wire.send_bytes(_part(reply.body, self.keep))
        wire.end()


@dataclass(frozen=True, slots=True)
class Reset(Fault):
    """Resets the connection in the middle of the body.

    Attributes:
        keep: How much of the body is sent: an int in bytes, a float as a share.
    """

    keep: float = 0.5

    def deliver(self, wire: Wire, reply: Reply) -> None:
        """Send the whole head and a part of the body, then RST."""
        wire.send_head(reply)
        wire.send_bytes(_part(reply.body, self.keep))
        wire.reset()


@dataclass(frozen=True, slots=True)
class CloseDelimitedCut(Fault):
    """Says no length and closes early, so that the cut looks like the end.

    Attributes:
        keep: How much of the body is sent: an int in bytes, a float as a share.
    """

    keep: float = 0.5

    def deliver(self, wire: Wire, reply: Reply) -> None:
        """Send a head without length and a part of the body."""
        wire.send_head(reply, length=None)
        wire.send_bytes(_part(reply.body, self.keep))
        wire.end()


@dataclass(frozen=True, slots=True)
class Hang(Fault):
    """Says nothing for a while, then answers.

    Attributes:
        seconds: How long.
    """

    seconds: float

    def deliver(self, wire: Wire, reply: Reply) -> None:
        """Wait, then send."""
        wire.pause(self.seconds)
        wire.send(reply)


@dataclass(frozen=True, slots=True)
class Drip(Fault):
    """Sends the body one byte at a time.

    Attributes:
        interval: The seconds before each byte.
    """

    interval: float = 0.05

    def deliver(self, wire: Wire, reply: Reply) -> None:
        """Send the head at once and the body in drops."""
        wire.send_head(reply)
        for byte in reply.body:
            wire.pause(self.interval)
            wire.send_bytes(bytes([byte]))


@dataclass(frozen=True, slots=True)
class RepeatCursor(Fault):
    """Gives the first page again and again, always with the same cursor."""

    def ask(self, request: Request) -> Request:
        """Return the request without its cursor."""
        query = {name: values for name, values in request.query.items() if name != "after"}
        return replace(request, query=query)

    def amend(self, request: Request, reply: Reply) -> Reply:  # noqa: ARG002
        """Return the page with its last id as cursor, though it were the last page."""
        page = _page(reply)
        return reply if not page or not page["data"] else _with(page, after=page["data"][-1]["id"])


@dataclass(frozen=True, slots=True)
class EmptyPageWithCursor(Fault):
    """Gives no rows but a new cursor, from which the rows can still be had."""

    def amend(self, request: Request, reply: Reply) -> Reply:
        """Return an empty page whose cursor points to where this page begins."""
        page = _page(reply)
        place, _, turn = (request.query.get("after") or [""])[-1].partition("~")
        cursor = f"{place}~{int(turn or 0) + 1}"
        return reply if page is None else _with(page, after=cursor, data=[])


@dataclass(frozen=True, slots=True)
class Html(Fault):
    """Answers 200 with a sign-in page."""

    def amend(self, request: Request, reply: Reply) -> Reply:  # noqa: ARG002
        """Return the page."""
        return Reply.of(_HTML, HTTPStatus.OK, {"content-type": "text/html; charset=utf-8"})


@dataclass(frozen=True, slots=True)
class Empty(Fault):
    """Answers 200 with no body."""

    def amend(self, request: Request, reply: Reply) -> Reply:  # noqa: ARG002
        """Return nothing."""
        return Reply.of(b"", HTTPStatus.OK)


@dataclass(frozen=True, slots=True)
class Redirect(Fault):
    """Sends the client elsewhere.

    Attributes:
        location: Where to.
        code: The HTTP status.
    """

    location: str
    code: int = HTTPStatus.TEMPORARY_REDIRECT

    def amend(self, request: Request, reply: Reply) -> Reply:  # noqa: ARG002
        """Return the redirect."""
        return Reply.of(b"", self.code, {"location": self.location})


@dataclass(frozen=True, slots=True)
class Encoding(Fault):
    """Says that the body is encoded, and sends it plain.

    Attributes:
        name: What stands in Content-Encoding.
    """

    name: str

    def amend(self, request: Request, reply: Reply) -> Reply:  # noqa: ARG002
        """Return the reply under a false flag."""
        headers = {**reply.headers, "content-encoding": self.name}
        return replace(reply, headers=headers, verbatim=True)


@dataclass(frozen=True, slots=True)
class GzipBomb(Fault):
    """Sends a small gzip body that decodes to a large one of blanks.

    Attributes:
        decoded_bytes: How large.
    """

    decoded_bytes: int

    def amend(self, request: Request, reply: Reply) -> Reply:  # noqa: ARG002
        """Return the bomb."""
        gzip_format = 31
        packer = zlib.compressobj(9, zlib.DEFLATED, gzip_format)
        chunk = b" " * 2**20
        whole, rest = divmod(self.decoded_bytes, len(chunk))
        parts = [packer.compress(chunk) for _ in range(whole)]
        body = b"".join([*parts, packer.compress(chunk[:rest]), packer.flush()])
        return Reply.of(body, HTTPStatus.OK, {"content-encoding": "gzip"})


def _part(body: bytes, keep: float) -> bytes:
    return body[: keep if isinstance(keep, int) else int(len(body) * keep)]


def _page(reply: Reply) -> dict[str, Any] | None:
    """Return the reply's JSON if it is a page of a listing."""
    try:
        value = json.loads(reply.body)
    except ValueError:
        return None
    paged = isinstance(value, dict) and "data" in value and "list_metadata" in value
    return value if paged else None


def _with(page: dict[str, Any], *, after: str, data: list[object] | None = None) -> Reply:
    rows = page["data"] if data is None else data
    metadata = {**page["list_metadata"], "after": after}
    return Reply.of_json({**page, "data": rows, "list_metadata": metadata})
