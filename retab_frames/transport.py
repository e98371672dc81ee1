"""One GET over HTTP: the key, retries, the deadline and the size cap; the only user of httpx.

The key is put on a request at the last moment, below everything that logs, keeps or shows requests,
and only for the configured origin. Errors are raised after their `except` block has ended, so that
no traceback leads to a frame of httpx that holds a header.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote

import httpx
import msgspec
import stamina

from retab_frames.credentials import KEY_VARIABLE, Secret
from retab_frames.errors import (
    ApiStatusError,
    AuthError,
    DeadlineError,
    MalformedResponseError,
    NotFoundError,
    RateLimitError,
    RequestError,
    ResponseTooLargeError,
    RetabFramesError,
    TransportError,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Answer", "Transport"]

T = TypeVar("T")

MAX_BODY_BYTES = 2**30
MAX_RETRY_AFTER_S = 60.0
RETRIED_STATUSES = frozenset((408, 425, 429, 500, 502, 503, 504))
_MANY_DIGITS = 10
_TIMEOUTS_S = {"connect": 5.0, "read": 30.0, "write": 10.0, "pool": 10.0}


class Answer(NamedTuple):
    """A body, and when it arrived (UTC)."""

    body: bytes
    arrived: datetime


class _FailedError(Exception):
    """One attempt failed; carries the error to raise, and whether and when to try again."""

    def __init__(
        self, error: RetabFramesError, *, retry: bool, wait_s: float | None = None
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry = retry
        self.wait_s = wait_s


def _pause(error: Exception) -> bool | float:
    """Tell stamina whether to try again, and after how many seconds where the server says so."""
    if not isinstance(error, _FailedError) or not error.retry:
        return False
    return True if error.wait_s is None else error.wait_s


class _KeyedTransport(httpx.HTTPTransport):
    """Adds the key to requests of one origin; what httpx logs and keeps has none of it."""

    def __init__(self, origin: httpx.URL, key: Secret, token: Secret | None, verify: Any) -> None:
        super().__init__(
            verify=verify,
            # a proxy of the environment would see the key of a plain http request
            trust_env=origin.scheme == "https",
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

    Each thread has a connection of its own: one shared pool scans all its connections at every
    event, and slows down beyond about 16 of them.
    """

    def __init__(
        self, url: str, key: Secret, *, token: Secret | None, timeout: float, retries: int
    ) -> None:
        self.url = httpx.URL(url)
        self._key = key
        self._token = token
        self._timeout = timeout
        self._attempts = retries + 1
        self._local = threading.local()
        self._lock = threading.Lock()
        self._clients: list[httpx.Client] = []
        self._verify: Any = None
        self._closed = False

    def get(
        self,
        segments: Sequence[str],
        params: Mapping[str, str | int | None],
        read: Callable[[bytes], T],
    ) -> tuple[T, Answer]:
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
        path = _path(segments)
        query = {name: str(value) for name, value in params.items() if value is not None}
        deadline = time.monotonic() + self._timeout
        number = 1
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
                    number = attempt.num
                    return self._attempt(path, query, read, deadline, number)
        except _FailedError as failed:
            error = failed.error
        if isinstance(error, RequestError):
            error.attempts = number
        raise error

    def close(self) -> None:
        """Close every connection; a request after this raises RuntimeError."""
        with self._lock:
            self._closed = True
            clients, self._clients = self._clients, []
        for client in clients:
            client.close()

    def _attempt(
        self,
        path: str,
        query: dict[str, str],
        read: Callable[[bytes], T],
        deadline: float,
        number: int,
    ) -> tuple[T, Answer]:
        try:
            answer = self._send(path, query, deadline)
            return read(answer.body), answer
        except _FailedError as error:
            failed = error
        except MalformedResponseError as error:
            message = f"GET {path}: {self._masked(str(error))}"
            malformed = MalformedResponseError(message, where=error.where)
            failed = _FailedError(malformed, retry=number == 1)
        except (httpx.HTTPError, httpx.StreamError) as error:
            failed = self._transport_failure(path, error, deadline)
        raise failed

    def _send(self, path: str, query: dict[str, str], deadline: float) -> Answer:
        left = deadline - time.monotonic()
        timeout = httpx.Timeout(**{k: max(0.001, min(s, left)) for k, s in _TIMEOUTS_S.items()})
        url = self.url.copy_with(raw_path=(self.url.path.rstrip("/") + path).encode())
        with self._client().stream("GET", url, params=query or None, timeout=timeout) as response:
            body = self._read_body(response, path, deadline)
        arrived = datetime.now(UTC)
        if response.status_code != httpx.codes.OK:
            raise self._status_failure(response, body, path)
        return Answer(body, arrived)

    def _read_body(self, response: httpx.Response, path: str, deadline: float) -> bytes:
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip"):
            message = (
                f"GET {path}: refused Content-Encoding {shown(encoding)!r}; gzip was asked for"
            )
            raise _FailedError(TransportError(message, path=path), retry=False)
        announced = response.headers.get("content-length", "")
        received = int(announced) if announced.isdecimal() else 0
        if received > MAX_BODY_BYTES:
            raise self._too_large(path)
        received, chunks = 0, []
        for chunk in response.iter_bytes():
            chunks.append(chunk)
            received += len(chunk)
            if received > MAX_BODY_BYTES:
                raise self._too_large(path)
            if time.monotonic() > deadline:
                raise self._late(path)
        return b"".join(chunks)

    def _client(self) -> httpx.Client:
        client: httpx.Client | None = getattr(self._local, "client", None)
        if client is not None and not client.is_closed:
            return client
        with self._lock:
            if self._closed:
                raise RuntimeError("this Client is closed; make a new one")
            if self._verify is None:
                # reading the certificates takes longer than a request, and http needs none
                self._verify = httpx.create_ssl_context() if self.url.scheme == "https" else False
            client = httpx.Client(
                transport=_KeyedTransport(self.url, self._key, self._token, self._verify),
                headers={"Accept": "application/json", "Accept-Encoding": "gzip"},
                follow_redirects=False,
            )
            self._clients.append(client)
        self._local.client = client
        return client

    def _masked(self, text: str) -> str:
        text = self._key.masked(text)
        return self._token.masked(text) if self._token is not None else text

    def _late(self, path: str) -> _FailedError:
        message = f"GET {path}: not done within {self._timeout:g} s; give Client a longer timeout"
        return _FailedError(DeadlineError(message, path=path), retry=False)

    def _too_large(self, path: str) -> _FailedError:
        message = f"GET {path}: the body is larger than {MAX_BODY_BYTES:,} bytes"
        return _FailedError(ResponseTooLargeError(message, path=path), retry=False)

    def _transport_failure(self, path: str, error: Exception, deadline: float) -> _FailedError:
        if isinstance(error, httpx.TimeoutException) and time.monotonic() >= deadline:
            return self._late(path)
        text = shown(self._masked(str(error)) or type(error).__name__, 200)
        where = f"{self.url.host}:{self.url.port}" if self.url.port else self.url.host
        message = f"GET {path}: no whole response from {where}: {text}"
        # a certificate that is refused now is refused a second later, too
        retry = "CERTIFICATE" not in text.upper() and not isinstance(error, httpx.InvalidURL)
        return _FailedError(TransportError(message, path=path), retry=retry)

    def _status_failure(self, response: httpx.Response, body: bytes, path: str) -> _FailedError:
        code = response.status_code
        said = shown(self._masked(_detail(body)), 200)
        message = f"GET {path}: {code} {response.reason_phrase}".rstrip()
        message += f": {said}" if said else ""
        facts: dict[str, Any] = {
            "path": path,
            "status_code": code,
            "request_id": response.headers.get("x-request-id"),
        }
        kind: type[ApiStatusError] = {
            401: AuthError,
            403: AuthError,
            404: NotFoundError,
            429: RateLimitError,
        }.get(code, ApiStatusError)
        if kind is AuthError:
            message += f"; check the key in {KEY_VARIABLE} or Client(api_key=...)"
        if kind is NotFoundError:
            message += "; load_experiments and load_runs list what there is"
        if response.is_redirect:
            target = httpx.URL(response.headers.get("location", "")).host or "itself"
            message += f"; redirects (here to {shown(target)}) are not followed: mend base_url"
        wait = _retry_after(response) if code in RETRIED_STATUSES else None
        if wait is not None and wait > MAX_RETRY_AFTER_S:
            message += f"; the server asks to wait {wait:.0f} s: try again then"
            return _FailedError(kind(message, **facts), retry=False)
        return _FailedError(kind(message, **facts), retry=code in RETRIED_STATUSES, wait_s=wait)


def _path(segments: Sequence[str]) -> str:
    """Return `/v1/...`, each segment escaped as one.

    Raises:
        ValueError: If one is empty or a relative path, which no escape makes safe.
    """
    for segment in segments:
        if segment in ("", ".", ".."):
            raise ValueError(f"{segment!r} is not an id")
    return "/v1/" + "/".join(quote(segment, safe="") for segment in segments)


def _detail(body: bytes) -> str:
    """Return what an error body says, in the forms that the API uses; "" if it is none of them."""
    try:
        error = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return " ".join(body[:200].decode(errors="backslashreplace").split())
    detail = error.get("detail", error) if isinstance(error, dict) else error
    if isinstance(detail, list):
        detail = "; ".join(
            f"{'.'.join(map(str, item.get('loc', ())))}: {item.get('msg')}"
            for item in detail
            if isinstance(item, dict)
        )
    if isinstance(detail, dict):
        detail = detail.get("message") or detail.get("code")
    return detail if isinstance(detail, str) else ""


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds to wait; None where the header is missing or makes no sense."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal() and len(text) < _MANY_DIGITS:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
