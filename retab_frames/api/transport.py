"""One GET over HTTP: the key, retries, the deadline and the size cap; the only user of httpx.

The key is put on a request at the last moment, below everything that logs, keeps or shows requests,
and only for the configured origin. Errors are raised after their `except` block has ended, so that
no traceback leads to a frame of httpx that holds a header.
"""

from __future__ import annotations

import logging
import threading
import time
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote

import httpx
import stamina

from retab_frames.api.status_errors import FailedError, status_failure
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
    from collections.abc import Callable, Mapping, Sequence

    from retab_frames.api.credentials import Secret

__all__ = ["HttpResponse", "Transport"]

T = TypeVar("T")

MAX_BODY_BYTES = 2**30
_GZIP = 16 + zlib.MAX_WBITS
_TIMEOUTS_S = {"connect": 5.0, "read": 30.0, "write": 10.0, "pool": 10.0}
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "User-Agent": f"retab-frames python-httpx/{httpx.__version__}",
}
_CHECK_ADDRESS = "check base_url and RETAB_API_BASE_URL"

_log = logging.getLogger(__name__)
# without a handler Python would print stamina's bare event names to stderr
logging.getLogger("stamina").addHandler(logging.NullHandler())


class HttpResponse(NamedTuple):
    """A body, and when it arrived (UTC)."""

    body: bytes
    arrived: datetime


@dataclass
class _Exchange:
    """One request, over all its tries."""

    path: str
    query: dict[str, str]
    deadline: float
    tries: int = 1
    malformed: int = 0

    @property
    def left_s(self) -> float:
        return self.deadline - time.monotonic()


class _Connection(httpx.HTTPTransport):
    """One connection, which adds the key to requests of one origin.

    It is used without httpx's client around it: we follow no redirect, keep no cookie and take no
    proxy from the environment, and without all that a request takes a fifth less.
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

    Each request that runs has a connection of its own, taken from the idle ones or new: one shared
    pool of httpx scans all its connections at every event, and slows down beyond about 16 of them.

    Args:
        url: The base URL.
        key: Sent as `Api-Key` and as bearer token, to that origin only.
        token: Sent as the query parameter `access_token`, if there is one.
        timeout: Seconds that one request may take, tries and waits included.
        retries: How many times it is tried again.
    """

    def __init__(
        self, url: str, key: Secret, *, token: Secret | None, timeout: float, retries: int
    ) -> None:
        self.url = _parsed(url)
        self._key = key
        self._token = token
        self._timeout = timeout
        self._attempts = retries + 1
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._verify: Any = None
        self._closed = False

    def get(
        self,
        segments: Sequence[str],
        params: Mapping[str, str | int | None],
        read: Callable[[bytes], T],
    ) -> tuple[T, HttpResponse]:
        """Return what `read` makes of the body, and the body.

        Args:
            segments: The path after `/v1`; each is escaped as one segment, whatever it holds.
            params: The query; None leaves one out.
            read: Decodes the body. If it raises MalformedResponseError the request is repeated
                once, since a body that was cut may look like that.

        Raises:
            RequestError: If no usable answer came; the subclass tells what to do about it.
            MalformedResponseError: If what came twice is not what `read` takes.
        """
        query = {name: str(value) for name, value in params.items() if value is not None}
        asked = _Exchange(_path(segments), query, time.monotonic() + self._timeout)
        try:
            for attempt in stamina.retry_context(
                on=_pause,
                attempts=self._attempts,
                timeout=self._timeout,
                wait_initial=0.5,
                wait_max=8.0,
                wait_jitter=0.5,
            ):
                with attempt:
                    asked.tries = attempt.num
                    return self._attempt(asked, read)
        except FailedError as failed:
            error = failed.error
        if isinstance(error, RequestError):
            error.attempts = asked.tries
        raise error

    def close(self) -> None:
        """Close every connection; a request after this raises RuntimeError."""
        with self._lock:
            self._closed = True
            connections, self._idle = self._idle, []
        for connection in connections:
            connection.close()

    def _attempt(self, asked: _Exchange, read: Callable[[bytes], T]) -> tuple[T, HttpResponse]:
        failed: BaseException
        try:
            answer = self._send(asked)
            return read(answer.body), answer
        except FailedError as error:
            failed = error
        except MalformedResponseError:
            failed = self._malformed(asked, answer.body, read)
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
            failed = self._unreachable(asked, error)
        except KeyboardInterrupt:
            # a new one, without the frames of httpx
            failed = KeyboardInterrupt()
        raise failed

    def _send(self, asked: _Exchange) -> HttpResponse:
        timeouts = {phase: max(0.001, min(s, asked.left_s)) for phase, s in _TIMEOUTS_S.items()}
        path = self.url.raw_path.rstrip(b"/") + asked.path.encode()
        request = httpx.Request(
            "GET",
            self.url.copy_with(raw_path=path),
            params=asked.query or None,
            headers=_HEADERS,
            extensions={"timeout": timeouts},
        )
        connection = self._borrow()
        try:
            response = connection.handle_request(request)
            try:
                body = self._body(response, asked)
            finally:
                response.close()
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)
        arrived = datetime.now(UTC)
        _log.debug("GET %s: %d, %d bytes", asked.path, response.status_code, len(body))
        if response.status_code != httpx.codes.OK:
            said = response.extensions.get("reason_phrase", b"").decode(errors="backslashreplace")
            status = (response.status_code, said)
            text = body.decode(errors="backslashreplace")
            raise status_failure(
                asked.path, status, response.headers, text, masked=self._masked, left_s=asked.left_s
            )
        return HttpResponse(body, arrived)

    def _body(self, response: httpx.Response, asked: _Exchange) -> bytes:
        """Read the body piece by piece, with an eye on the clock and the size.

        The inflating is ours: httpx makes of a small body a piece of any size before it hands it
        over, hands over nothing while a slow one inflates to nothing, and takes a cut one as whole.
        """
        fine = response.status_code == httpx.codes.OK
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip"):
            if not fine:
                return b""
            message = f"GET {asked.path}: refused Content-Encoding {printable(encoding)!r}"
            error = TransportError(f"{message}; gzip was asked for", path=asked.path)
            raise FailedError(error, retry=False)
        announced = response.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
            raise self._too_large(asked)
        inflater = zlib.decompressobj(_GZIP) if encoding == "gzip" else None
        body = bytearray()
        for raw in response.iter_raw():
            room = MAX_BODY_BYTES + 1 - len(body)
            body += raw if inflater is None else self._inflated(inflater, raw, room, asked)
            if len(body) > MAX_BODY_BYTES:
                raise self._too_large(asked)
            if asked.left_s < 0:
                raise self._late(asked)
        if fine and inflater is not None and (not inflater.eof or inflater.unused_data):
            raise self._broken(asked, "its gzip does not end where the body ends", retry=True)
        return bytes(body)

    def _inflated(self, inflater: Any, raw: bytes, room: int, asked: _Exchange) -> bytes:
        try:
            piece: bytes = inflater.decompress(raw, room)
        except zlib.error as error:
            problem = str(error)
        else:
            return piece
        raise self._broken(asked, f"its gzip is damaged: {problem}", retry=True)

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

    def _masked(self, text: str) -> str:
        text = self._key.masked(text)
        return self._token.masked(text) if self._token is not None else text

    def _late(self, asked: _Exchange) -> FailedError:
        message = f"GET {asked.path}: not done within {self._timeout:g} s"
        error = DeadlineError(f"{message}; give Client a longer timeout", path=asked.path)
        return FailedError(error, retry=False)

    def _too_large(self, asked: _Exchange) -> FailedError:
        message = f"GET {asked.path}: the body is larger than {MAX_BODY_BYTES:,} bytes"
        return FailedError(ResponseTooLargeError(message, path=asked.path), retry=False)

    def _broken(self, asked: _Exchange, problem: str, *, retry: bool) -> FailedError:
        where = f"{self.url.host}:{self.url.port}" if self.url.port else self.url.host
        message = f"GET {asked.path}: no whole response from {where}: {problem}; {_CHECK_ADDRESS}"
        return FailedError(TransportError(message, path=asked.path), retry=retry)

    def _unreachable(self, asked: _Exchange, error: Exception) -> FailedError:
        if isinstance(error, httpx.TimeoutException) and asked.left_s <= 0:
            return self._late(asked)
        text = printable(self._masked(str(error)) or type(error).__name__, 200)
        # a certificate that is refused now is refused a second later, too
        return self._broken(asked, text, retry="CERTIFICATE" not in text.upper())

    def _malformed(
        self, asked: _Exchange, body: bytes, read: Callable[[bytes], object]
    ) -> FailedError:
        """Tell what is wrong with a body, as told of one without the secrets it may echo."""
        message, where = "the body is not what was asked for", None
        try:
            read(
                self._masked(body.decode(errors="surrogateescape")).encode(errors="surrogateescape")
            )
        except MalformedResponseError as error:
            message, where = str(error), error.where
        hint = f"; {_CHECK_ADDRESS}" if body.lstrip()[:1] == b"<" else ""
        asked.malformed += 1
        told = MalformedResponseError(f"GET {asked.path}: {message}{hint}", where=where)
        return FailedError(told, retry=asked.malformed == 1)


def _pause(error: Exception) -> bool | float:
    """Tell stamina whether to try again, and after how many seconds where the server says so."""
    if not isinstance(error, FailedError) or not error.retry:
        return False
    _log.info("a failure that may pass: %s", error)
    return True if error.wait_s is None else error.wait_s


def _parsed(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except httpx.InvalidURL as error:
        problem = str(error)
    raise ConfigError(f"the base URL cannot be used: {printable(problem)}")


def _path(segments: Sequence[str]) -> str:
    """Return `/v1/...`, each segment escaped as one.

    Raises:
        TypeError: If one is not text.
        ValueError: If one is empty or a relative path, which no escape makes safe.
    """
    for segment in segments:
        if not isinstance(segment, str):
            raise TypeError(f"an id is text, not {type(segment).__name__}")
        if segment in ("", ".", ".."):
            raise ValueError(f"{segment!r} is not an id")
    return "/v1/" + "/".join(quote(segment, safe="") for segment in segments)
