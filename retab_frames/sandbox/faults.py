"""Faults: ways in which the sandbox misbehaves, each on the real socket."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.client import responses
from typing import TYPE_CHECKING, Any

from retab_frames.sandbox.messages import make_json_response, make_verbatim_response

if TYPE_CHECKING:
    from retab_frames.sandbox.connections import Connection
    from retab_frames.sandbox.messages import Request, Response

_SIGN_IN_PAGE = (
    b"<!doctype html><html><head><title>Sign in</title></head><body>Sign in</body></html>"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """The base of all faults; on its own it changes nothing.

    A fault overrides the steps of a response that it affects.
    """

    def change_request(self, request: Request) -> Request:
        """Return the request that is answered instead of the one that arrived."""
        return request

    def change_response(self, request: Request, response: Response) -> Response:  # noqa: ARG002
        """Return the response that is sent instead of the correct one."""
        return response

    def send(self, connection: Connection, response: Response) -> None:
        """Send the response."""
        connection.send(response)


@dataclass(frozen=True, slots=True)
class Status(Fault):
    """Responds with another status.

    Attributes:
        code: The HTTP status, such as 429 or 503.
        retry_after: The value of the header Retry-After, None for no header.
        body: Bytes or text sent as they are, anything else as JSON; None for a `detail` with the
            name of the status.
    """

    code: int
    retry_after: float | str | None = None
    body: object = None

    def change_response(self, request: Request, response: Response) -> Response:  # noqa: ARG002
        """Return the response with this status."""
        headers = {} if self.retry_after is None else {"retry-after": str(self.retry_after)}
        body = {"detail": responses.get(self.code, "Error")} if self.body is None else self.body
        return make_verbatim_response(body, self.code, headers)


@dataclass(frozen=True, slots=True)
class CutBody(Fault):
    """Closes the connection before all of the body that Content-Length announces was sent.

    Attributes:
        keep: How much of the body is sent: an int is bytes, a float a share of it.
    """

    keep: float = 0.5

    def send(self, connection: Connection, response: Response) -> None:
        """Send the head and a part of the body, then close."""
        connection.send_head(response)
        connection.send_bytes(_cut(response.body, self.keep))
        connection.closing = True


@dataclass(frozen=True, slots=True)
class Reset(Fault):
    """Resets the connection in the middle of the body.

    Attributes:
        keep: How much of the body is sent: an int is bytes, a float a share of it.
    """

    keep: float = 0.5

    def send(self, connection: Connection, response: Response) -> None:
        """Send the head and a part of the body, then RST."""
        connection.send_head(response)
        connection.send_bytes(_cut(response.body, self.keep))
        connection.reset()


@dataclass(frozen=True, slots=True)
class CloseDelimitedCut(Fault):
    """Sends no Content-Length and closes early, so that the cut looks like the end of the body.

    Attributes:
        keep: How much of the body is sent: an int is bytes, a float a share of it.
    """

    keep: float = 0.5

    def send(self, connection: Connection, response: Response) -> None:
        """Send the head without a length and a part of the body, then close."""
        connection.send_head(response, with_length=False)
        connection.send_bytes(_cut(response.body, self.keep))
        connection.closing = True


@dataclass(frozen=True, slots=True)
class Hang(Fault):
    """Waits before it responds.

    Attributes:
        seconds: How long it waits.
    """

    seconds: float

    def send(self, connection: Connection, response: Response) -> None:
        """Wait, then send the response."""
        connection.pause(self.seconds)
        connection.send(response)


@dataclass(frozen=True, slots=True)
class Drip(Fault):
    """Sends the body one byte at a time.

    Attributes:
        interval: Seconds before each byte.
    """

    interval: float = 0.05

    def send(self, connection: Connection, response: Response) -> None:
        """Send the head at once, then the body byte by byte."""
        connection.send_head(response)
        for byte in response.body:
            connection.pause(self.interval)
            connection.send_bytes(bytes([byte]))


@dataclass(frozen=True, slots=True)
class RepeatCursor(Fault):
    """Responds with the first page to every cursor, and always with the same next cursor."""

    def change_request(self, request: Request) -> Request:
        """Return the request without its cursor."""
        query = {name: values for name, values in request.query.items() if name != "after"}
        return replace(request, query=query)

    def change_response(self, request: Request, response: Response) -> Response:  # noqa: ARG002
        """Return the page with its last id as the next cursor, even on the last page."""
        page = _parse_page(response)
        return (
            response
            if not page or not page["data"]
            else _change_page(page, after=page["data"][-1]["id"])
        )


@dataclass(frozen=True, slots=True)
class EmptyPageWithCursor(Fault):
    """Responds with no rows and a new cursor; the cursor leads to the rows."""

    def change_response(self, request: Request, response: Response) -> Response:
        """Return an empty page whose next cursor is the beginning of this page."""
        page = _parse_page(response)
        place, _, turn = (request.query.get("after") or [""])[-1].partition("~")
        cursor = f"{place}~{int(turn or 0) + 1}"
        return response if page is None else _change_page(page, after=cursor, data=[])


@dataclass(frozen=True, slots=True)
class Html(Fault):
    """Responds with 200 and an HTML sign-in page."""

    def change_response(self, request: Request, response: Response) -> Response:  # noqa: ARG002
        """Return the HTML page."""
        return make_verbatim_response(
            _SIGN_IN_PAGE, HTTPStatus.OK, {"content-type": "text/html; charset=utf-8"}
        )


@dataclass(frozen=True, slots=True)
class Empty(Fault):
    """Responds with 200 and an empty body."""

    def change_response(self, request: Request, response: Response) -> Response:  # noqa: ARG002
        """Return the empty response."""
        return make_verbatim_response(b"", HTTPStatus.OK)


@dataclass(frozen=True, slots=True)
class Redirect(Fault):
    """Redirects the client.

    Attributes:
        location: The URL to redirect to.
        code: The HTTP status.
    """

    location: str
    code: int = HTTPStatus.TEMPORARY_REDIRECT

    def change_response(self, request: Request, response: Response) -> Response:  # noqa: ARG002
        """Return the redirect."""
        return make_verbatim_response(b"", self.code, {"location": self.location})


@dataclass(frozen=True, slots=True)
class Encoding(Fault):
    """Announces an encoding of the body, and sends it without.

    Attributes:
        name: The value of the header Content-Encoding.
    """

    name: str

    def change_response(self, request: Request, response: Response) -> Response:  # noqa: ARG002
        """Return the response with a false Content-Encoding."""
        headers = {**response.headers, "content-encoding": self.name}
        return replace(response, headers=headers, verbatim=True)


@dataclass(frozen=True, slots=True)
class GzipBomb(Fault):
    """Sends a small gzip body that decompresses to a large one of blanks.

    Attributes:
        decoded_bytes: Size of the decompressed body, in bytes.
    """

    decoded_bytes: int

    def change_response(self, request: Request, response: Response) -> Response:  # noqa: ARG002
        """Return the response with the compressed blanks."""
        gzip_format = 31  # zlib writes a gzip header for this number of window bits
        compressor = zlib.compressobj(9, zlib.DEFLATED, gzip_format)
        chunk = b" " * 2**20
        whole, rest = divmod(self.decoded_bytes, len(chunk))
        parts = [compressor.compress(chunk) for _ in range(whole)]
        body = b"".join([*parts, compressor.compress(chunk[:rest]), compressor.flush()])
        return make_verbatim_response(body, HTTPStatus.OK, {"content-encoding": "gzip"})


def _cut(body: bytes, keep: float) -> bytes:
    return body[: keep if isinstance(keep, int) else int(len(body) * keep)]


def _parse_page(response: Response) -> dict[str, Any] | None:
    """Return the JSON of a page of a listing, None for any other response."""
    try:
        value = json.loads(response.body)
    except ValueError:
        return None
    paged = isinstance(value, dict) and "data" in value and "list_metadata" in value
    return value if paged else None


def _change_page(page: dict[str, Any], *, after: str, data: list[object] | None = None) -> Response:
    rows = page["data"] if data is None else data
    metadata = {**page["list_metadata"], "after": after}
    return make_json_response({**page, "data": rows, "list_metadata": metadata})
