"""GET over HTTP: attempts, the deadline and the size limit, and what an error says.

Errors are raised after their `except` block has ended, and tracebacks are cut before the frames of
a connection, which hold the key.
"""

from __future__ import annotations

import logging
import ssl
import sys
import threading
import time
import weakref
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import stamina

from retab_frames.api.connections import (
    Connection,
    ExchangeError,
    hide_frames,
    make_ssl_context,
    parse_url,
)
from retab_frames.api.credentials import URL_VARIABLE
from retab_frames.api.retries import AttemptError, decide_retry
from retab_frames.api.status_errors import build_status_error
from retab_frames.errors import (
    DeadlineError,
    MalformedResponseError,
    RequestError,
    ResponseTooLargeError,
    TransportError,
)
from retab_frames.forks import call_in_child, delay_forks
from retab_frames.text.messages import printable
from retab_frames.text.next_steps import NextStep

if TYPE_CHECKING:
    from collections.abc import Callable

    from retab_frames.api.connections import Certificates, Response
    from retab_frames.api.credentials import Secret
    from retab_frames.api.proxies import Proxy
    from retab_frames.api.routes import Route

__all__ = ["HttpResponse", "Transport"]

T = TypeVar("T")

MAX_BODY_BYTES = 2**30
_MAX_ERROR_BYTES = 2**20
"""Of the body of an error response; what follows is not read."""
_MAX_QUOTED_BYTES, _QUOTED_BYTES = 2**24, 4096
_GZIP = 16 + zlib.MAX_WBITS
_OK = 200
_CHECK_URL = NextStep(f"check base_url and {URL_VARIABLE}", f"check --base-url and {URL_VARIABLE}")
_WAIT_LONGER = NextStep("give Client a longer timeout", "--timeout takes more seconds")

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
        proxy: What requests go through; None for a direct connection.
        verify: What the server's certificate is checked with, see `make_ssl_context`.
    """

    def __init__(
        self,
        url: str,
        key: Secret,
        *,
        token: Secret | None,
        timeout: float,
        retries: int,
        proxy: Proxy | None,
        verify: Certificates,
    ) -> None:
        self.url = parse_url(url)
        self._key = key
        self._token = token
        self._timeout = timeout
        self._max_attempts = retries + 1
        self._proxy = proxy
        self._verify = verify
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False
        _OPEN.add(self)

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
        known = sys.exception()
        try:
            return self._try(route, decode)
        except BaseException as error:
            hide_frames(error, known)
            raise

    def close(self) -> None:
        """Close every connection; a request after this raises RuntimeError."""
        with self._lock:
            self._closed = True
            connections, self._idle = self._idle, []
        for connection in connections:
            connection.close()

    def forget_connections(self) -> None:
        """Let go of the connections, which belong to the parent of this forked process."""
        # a thread of the parent may have held the lock
        self._lock = threading.Lock()
        connections, self._idle = self._idle, []
        for connection in connections:
            connection.close()  # this process's copies of the sockets alone

    def _try(self, route: Route, decode: Callable[[bytes], T]) -> tuple[T, HttpResponse]:
        query = {name: value for name, value in route.query.items() if value is not None}
        request = _Request(route.path, query, time.monotonic() + self._timeout)
        try:
            for attempt in stamina.retry_context(
                on=decide_retry,
                attempts=self._max_attempts,
                timeout=None,  # `decide_retry` knows the deadline
            ):
                with attempt:
                    request.attempts = attempt.num
                    return self._attempt(request, decode)
        except AttemptError as failed:
            error = failed.error
        if isinstance(error, RequestError):
            error.attempts = request.attempts
        raise error

    def _attempt(self, request: _Request, decode: Callable[[bytes], T]) -> tuple[T, HttpResponse]:
        failed: BaseException
        try:
            response = self._send(request)
            return decode(response.body), response
        except AttemptError as error:
            failed = error
        except MalformedResponseError:
            failed = self._build_malformed_error(request, response.body, decode)
        except ExchangeError as error:
            failed = self._build_exchange_error(request, error)
        if isinstance(failed, AttemptError):
            failed.attempts, failed.seconds_left = request.attempts, request.seconds_left
        raise failed

    def _send(self, request: _Request) -> HttpResponse:
        left = request.seconds_left
        attempts_left = self._max_attempts - request.attempts + 1
        url = self.url.copy_with(raw_path=self.url.raw_path.rstrip(b"/") + request.path.encode())
        connection = self._borrow()
        try:
            with connection.exchange(
                url,
                request.query,
                deadline=request.deadline,
                # a host that does not answer is better tried again than waited for
                connect_s=max(left / attempts_left, 0.001),
            ) as response:
                body = self._read_body(response, request)
            self._give_back(connection)
        except BaseException:
            connection.close()
            raise
        arrived = datetime.now(UTC)
        _log.debug("GET %s: %d, %d bytes", request.path, response.status_code, len(body))
        if response.status_code != _OK:
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

    def _read_body(self, response: Response, request: _Request) -> bytes:
        """Return the body, decompressed; stop at the deadline and at the size limit.

        We decompress it ourselves: httpx makes of a small chunk one of any size before it hands it
        over, hands over nothing while a slow body decompresses to nothing, and takes an incomplete
        one for complete.
        """
        is_ok = response.status_code == _OK
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

    def _borrow(self) -> Connection:
        with self._lock:
            if self._closed:
                raise RuntimeError("this Client is closed; make a new one")
            if self._idle:
                return self._idle.pop()
            if self._context is None:
                self._context = self._make_context()
            return Connection(self.url, self._key, self._token, self._context, self._proxy)

    def _make_context(self) -> ssl.SSLContext:
        # reading the certificates takes longer than a request, and http needs none
        if self.url.scheme == "https" or (self._proxy is not None and self._proxy.is_tls):
            with delay_forks():
                return make_ssl_context(self._verify)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def _give_back(self, connection: Connection) -> None:
        if connection.is_clean:
            with self._lock:
                if not self._closed:
                    self._idle.append(connection)
                    return
        connection.close()

    def _mask(self, text: str) -> str:
        secrets = (self._key, self._token, *(self._proxy.secrets if self._proxy else ()))
        for secret in filter(None, secrets):
            text = secret.mask(text)
        return text

    def _build_exchange_error(self, request: _Request, error: ExchangeError) -> AttemptError:
        if error.timed_out and request.seconds_left <= 0:
            return self._build_deadline_error(request)
        problem = printable(self._mask(str(error)), 300)
        return self._build_transport_error(request, problem, retry=error.may_pass)

    def _build_deadline_error(self, request: _Request) -> AttemptError:
        message = f"GET {request.path}: not finished within {self._timeout:g} s"
        error = DeadlineError(message, path=request.path).advise(_WAIT_LONGER)
        return AttemptError(error, retry=False)

    def _build_transport_error(
        self, request: _Request, problem: str, *, retry: bool
    ) -> AttemptError:
        host = f"{self.url.host}:{self.url.port}" if self.url.port else self.url.host
        check = _CHECK_URL
        if self._proxy is not None:
            host += f" through the proxy {self._proxy.host}"
            proxy = f"check the proxy, which {self._proxy.named_by} names, and"
            check = NextStep(f"{proxy} base_url", f"{proxy} --base-url")
        message = f"GET {request.path}: no complete response from {host}: {problem}"
        error = TransportError(message, path=request.path).advise(check)
        return AttemptError(error, retry=retry)

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
        request.malformed_bodies += 1
        malformed = MalformedResponseError(f"GET {request.path}: {message}", where=where)
        if body.lstrip()[:1] == b"<":
            malformed.advise(_CHECK_URL)
        return AttemptError(malformed, retry=request.malformed_bodies == 1)


def _build_size_error(request: _Request) -> AttemptError:
    message = f"GET {request.path}: the body is larger than {MAX_BODY_BYTES:,} bytes"
    return AttemptError(ResponseTooLargeError(message, path=request.path), retry=False)


_OPEN: weakref.WeakSet[Transport] = weakref.WeakSet()
"""Every transport of this process, for the processes that are forked from it."""


def _forget_connections() -> None:
    for transport in list(_OPEN):
        transport.forget_connections()


call_in_child(_forget_connections)
