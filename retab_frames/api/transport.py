"""GET over HTTP: headers, retries, the deadline and the size limit; the only user of httpx.

The key is added to a request at the last moment, below everything that logs, stores or shows
requests, and only for the configured origin. Errors are raised after their `except` block has
ended, so that no traceback leads to a frame of httpx that holds a header.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import httpx
import stamina

from retab_frames.api.credentials import URL_VARIABLE
from retab_frames.api.retries import BACKOFF, AttemptError, decide_retry
from retab_frames.api.status_errors import build_status_error
from retab_frames.errors import (
    ConfigError,
    DeadlineError,
    MalformedResponseError,
    RequestError,
    ResponseTooLargeError,
    TransportError,
)
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from retab_frames.api.credentials import Secret
    from retab_frames.api.routes import Route

__all__ = ["HttpResponse", "Transport"]

T = TypeVar("T")

MAX_BODY_BYTES = 2**30
_MAX_ERROR_BYTES = 2**20
"""Of the body of an error response; what follows is not read."""
_MAX_QUOTED_BYTES, _QUOTED_BYTES = 2**24, 4096
_GZIP = 16 + zlib.MAX_WBITS
_TIMEOUTS_S = {"connect": 5.0, "read": 30.0, "write": 10.0, "pool": 10.0}
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "User-Agent": f"retab-frames python-httpx/{httpx.__version__}",
}
"""Sent with every request; `_Connection` adds those that hold the key."""
_CHECK_URL = f"check base_url and {URL_VARIABLE}"

_log = logging.getLogger(__name__)
# without a handler Python would print stamina's event names to stderr
logging.getLogger("stamina").addHandler(logging.NullHandler())


class HttpResponse(NamedTuple):
    """A body, and when it arrived (UTC)."""

    body: bytes
    arrived: datetime


@dataclass
class _Request:
    """One GET, over all its attempts."""

    path: str
    query: dict[str, str]
    deadline: float
    attempts: int = 1
    malformed_bodies: int = 0

    @property
    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()


class _Connection(httpx.HTTPTransport):
    """One connection, which adds the key to requests of one origin.

    It is used without httpx's client around it: redirects are not followed, cookies not kept and
    proxies not taken from the environment, and a request takes a fifth less time.
    """

    def __init__(self, origin: httpx.URL, key: Secret, token: Secret | None, verify: Any) -> None:
        super().__init__(
            verify=verify,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
        )
        self._origin = (origin.scheme, origin.host, origin.port)
        self._key = key
        self._token = token

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request with the key."""
        url = request.url
        if (url.scheme, url.host, url.port) != self._origin:
            raise httpx.UnsupportedProtocol("the key is for another origin")
        if self._token is not None:
            url = url.copy_merge_params({"access_token": self._token.reveal()})
        keyed = httpx.Request("GET", url, headers=request.headers, extensions=request.extensions)
        keyed.headers["Api-Key"] = self._key.reveal()
        keyed.headers["Authorization"] = f"Bearer {self._key.reveal()}"
        return super().handle_request(keyed)


class Transport:
    """GETs from one origin, from any number of threads.

    Each request that runs has a connection of its own, an idle one or a new one: one shared pool of
    httpx scans all its connections at every event, and slows down beyond about 16 of them.

    Args:
        url: The base URL.
        key: Sent as `Api-Key` and as bearer token, to that origin only.
        token: Sent as the query parameter `access_token`, if there is one.
        timeout: Seconds that one request may take, all attempts and waits included.
        retries: How many times a failed request is tried again.
    """

    def __init__(
        self, url: str, key: Secret, *, token: Secret | None, timeout: float, retries: int
    ) -> None:
        self.url = _parse_url(url)
        self._key = key
        self._token = token
        self._timeout = timeout
        self._max_attempts = retries + 1
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._verify: Any = None
        self._closed = False

    def get(self, route: Route, decode: Callable[[bytes], T]) -> tuple[T, HttpResponse]:
        """Return the decoded body, and the response.

        Args:
            route: The path and the query.
            decode: Makes a value of the body. If it raises MalformedResponseError the request is
                repeated once, since an incomplete body may look malformed.

        Raises:
            RequestError: If there was no usable response; the subclass says what can be done.
            MalformedResponseError: If `decode` did not accept the body twice.
        """
        query = {name: value for name, value in route.query.items() if value is not None}
        request = _Request(route.path, query, time.monotonic() + self._timeout)
        try:
            for attempt in stamina.retry_context(
                on=decide_retry,
                attempts=self._max_attempts,
                timeout=self._timeout,
                **BACKOFF,
            ):
                with attempt:
                    request.attempts = attempt.num
                    return self._attempt(request, decode)
        except AttemptError as failed:
            error = failed.error
        if isinstance(error, RequestError):
            error.attempts = request.attempts
        raise error

    def close(self) -> None:
        """Close every connection; a request after this raises RuntimeError."""
        with self._lock:
            self._closed = True
            connections, self._idle = self._idle, []
        for connection in connections:
            connection.close()

    def _attempt(self, request: _Request, decode: Callable[[bytes], T]) -> tuple[T, HttpResponse]:
        failed: BaseException
        try:
            response = self._send(request)
            return decode(response.body), response
        except AttemptError as error:
            failed = error
        except MalformedResponseError:
            failed = self._build_malformed_error(request, response.body, decode)
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
            failed = self._translate(request, error)
        except KeyboardInterrupt:
            # a new one, without the frames of httpx
            failed = KeyboardInterrupt()
        raise failed

    def _send(self, request: _Request) -> HttpResponse:
        left = request.seconds_left
        timeouts = {phase: max(0.001, min(s, left)) for phase, s in _TIMEOUTS_S.items()}
        path = self.url.raw_path.rstrip(b"/") + request.path.encode()
        http_request = httpx.Request(
            "GET",
            self.url.copy_with(raw_path=path),
            params=request.query or None,
            headers=_HEADERS,
            extensions={"timeout": timeouts},
        )
        connection = self._borrow()
        try:
            response = connection.handle_request(http_request)
            try:
                body = self._read_body(response, request)
            finally:
                response.close()
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)
        arrived = datetime.now(UTC)
        _log.debug("GET %s: %d, %d bytes", request.path, response.status_code, len(body))
        if response.status_code != httpx.codes.OK:
            reason = response.extensions.get("reason_phrase", b"")
            raise build_status_error(
                request.path,
                (response.status_code, reason.decode(errors="backslashreplace")),
                response.headers,
                body.decode(errors="backslashreplace"),
                mask=self._mask,
                seconds_left=request.seconds_left,
            )
        return HttpResponse(body, arrived)

    def _read_body(self, response: httpx.Response, request: _Request) -> bytes:
        """Return the body, decompressed; stop at the deadline and at the size limit.

        We decompress it ourselves: httpx makes of a small chunk one of any size before it hands it
        over, hands over nothing while a slow body decompresses to nothing, and takes an incomplete
        one for complete.
        """
        is_ok = response.status_code == httpx.codes.OK
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip"):
            if not is_ok:
                return b""
            message = f"GET {request.path}: unexpected Content-Encoding {printable(encoding)!r}"
            error = TransportError(f"{message}; only gzip was requested", path=request.path)
            raise AttemptError(error, retry=False)
        announced = response.headers.get("content-length", "")
        if is_ok and announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
            raise _build_size_error(request)
        decompressor = zlib.decompressobj(_GZIP) if encoding == "gzip" else None
        limit = MAX_BODY_BYTES if is_ok else _MAX_ERROR_BYTES
        body = BytesIO()  # unlike a bytearray it gives its bytes away without a copy
        for chunk in response.iter_raw():
            if decompressor is None:
                body.write(chunk)
            else:
                room = limit + 1 - body.tell()
                body.write(self._decompress(decompressor, chunk, room, request))
            if body.tell() > limit:
                if not is_ok:
                    return body.getvalue()[:limit]
                raise _build_size_error(request)
            if request.seconds_left < 0:
                raise self._build_deadline_error(request)
        if (
            is_ok
            and decompressor is not None
            and (not decompressor.eof or decompressor.unused_data)
        ):
            problem = "the gzip data does not end where the body ends"
            raise self._build_transport_error(request, problem, retry=True)
        return body.getvalue()

    def _decompress(self, decompressor: Any, chunk: bytes, room: int, request: _Request) -> bytes:
        """Return the decompressed chunk, at most `room` bytes of it."""
        try:
            data: bytes = decompressor.decompress(chunk, room)
        except zlib.error as error:
            problem = str(error)
        else:
            return data
        problem = f"the gzip data is damaged: {problem}"
        raise self._build_transport_error(request, problem, retry=True)

    def _borrow(self) -> _Connection:
        with self._lock:
            if self._closed:
                raise RuntimeError("this Client is closed; make a new one")
            if self._idle:
                return self._idle.pop()
            if self._verify is None:
                # reading the certificates takes longer than a request, and http needs none
                self._verify = httpx.create_ssl_context(verify=self.url.scheme == "https")
            return _Connection(self.url, self._key, self._token, self._verify)

    def _give_back(self, connection: _Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _mask(self, text: str) -> str:
        text = self._key.mask(text)
        return self._token.mask(text) if self._token is not None else text

    def _translate(self, request: _Request, error: Exception) -> AttemptError:
        """Return what an exception of httpx means."""
        if isinstance(error, httpx.TimeoutException) and request.seconds_left <= 0:
            return self._build_deadline_error(request)
        problem = printable(self._mask(str(error)) or type(error).__name__, 200)
        # a certificate that is not valid now will not be valid a second later
        retry = not _is_caused_by(error, ssl.SSLCertVerificationError)
        return self._build_transport_error(request, problem, retry=retry)

    def _build_deadline_error(self, request: _Request) -> AttemptError:
        message = f"GET {request.path}: not finished within {self._timeout:g} s"
        error = DeadlineError(f"{message}; give Client a longer timeout", path=request.path)
        return AttemptError(error, retry=False)

    def _build_transport_error(
        self, request: _Request, problem: str, *, retry: bool
    ) -> AttemptError:
        host = f"{self.url.host}:{self.url.port}" if self.url.port else self.url.host
        message = f"GET {request.path}: no complete response from {host}: {problem}; {_CHECK_URL}"
        return AttemptError(TransportError(message, path=request.path), retry=retry)

    def _build_malformed_error(
        self, request: _Request, body: bytes, decode: Callable[[bytes], object]
    ) -> AttemptError:
        """Return what is wrong with a body, without the secrets that it may repeat.

        The message quotes the body, so the body is masked and decoded once more to get it; of a
        large one, which would take several times its memory, it only has the beginning.
        """
        message, where = "the body is not what was requested", None
        if len(body) > _MAX_QUOTED_BYTES:
            begin = self._mask(body[:_QUOTED_BYTES].decode(errors="backslashreplace"))
            message = f"{message}: {len(body):,} bytes that begin {printable(begin, 60)!r}"
        else:
            masked = self._mask(body.decode(errors="surrogateescape"))
            try:
                decode(masked.encode(errors="surrogateescape"))
            except MalformedResponseError as error:
                message, where = str(error), error.where
        hint = f"; {_CHECK_URL}" if body.lstrip()[:1] == b"<" else ""
        request.malformed_bodies += 1
        malformed = MalformedResponseError(f"GET {request.path}: {message}{hint}", where=where)
        return AttemptError(malformed, retry=request.malformed_bodies == 1)


def _build_size_error(request: _Request) -> AttemptError:
    message = f"GET {request.path}: the body is larger than {MAX_BODY_BYTES:,} bytes"
    return AttemptError(ResponseTooLargeError(message, path=request.path), retry=False)


def _is_caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Return whether the error, or one that it was raised from or during, is of the kind."""
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def _parse_url(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except httpx.InvalidURL as error:
        problem = str(error)
    raise ConfigError(f"the base URL is not valid: {printable(problem)}")
