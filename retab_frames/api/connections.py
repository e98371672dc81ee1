"""Connections to one server, direct or through a proxy; the only user of httpx and httpcore.

The key is added to a request at the last moment, below everything that logs, stores or shows
requests, and only for the server that it is for.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
import time
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import httpcore
import httpx
from httpcore._backends.sync import TLSinTLSStream

from retab_frames.errors import ConfigError
from retab_frames.forks import delay_forks
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from retab_frames.api.credentials import Secret
    from retab_frames.api.proxies import Proxy

__all__ = [
    "Certificates",
    "Connection",
    "ExchangeError",
    "Response",
    "check_certificates",
    "hide_frames",
    "make_ssl_context",
    "parse_url",
]

Certificates = bool | str | os.PathLike[str] | ssl.SSLContext
"""What a server's certificate is checked with; see `make_ssl_context`."""

Response = httpx.Response

_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "User-Agent": f"retab-frames python-httpx/{httpx.__version__}",
}
"""Sent with every request, beside those that hold the key."""
_CERTIFICATE_VARIABLES = {"cafile": "SSL_CERT_FILE", "capath": "SSL_CERT_DIR"}
_KEEPALIVE = {"SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""A peer that has vanished is noticed within 35 s; one that is only slow is waited for."""
_KEYED_PACKAGES = frozenset(("httpx", "httpcore", "h11"))
"""The frames of these, and of this module, hold the key."""


class ExchangeError(Exception):
    """A request got no complete response.

    Attributes:
        timed_out: Whether a wait was over.
        may_pass: False where the next attempt would fail in the same way.
    """

    def __init__(self, problem: str, *, timed_out: bool = False, may_pass: bool = True) -> None:
        super().__init__(problem)
        self.timed_out = timed_out
        self.may_pass = may_pass


class Connection(httpx.HTTPTransport):
    """One connection, which adds the key to requests of one origin.

    It is used without httpx's client around it: redirects are not followed and cookies not kept,
    and a request takes a fifth less time.
    """

    def __init__(
        self,
        origin: httpx.URL,
        key: Secret,
        token: Secret | None,
        context: ssl.SSLContext,
        proxy: Proxy | None,
    ) -> None:
        through = None
        if proxy is not None:
            proxy_context = context if proxy.is_tls else None
            through = httpx.Proxy(proxy.url.reveal(), ssl_context=proxy_context)
        super().__init__(
            verify=context,
            proxy=through,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            socket_options=_list_socket_options(),
        )
        pool: Any = self._pool
        # httpx has no argument for these two; a signal may leave the lock held, which hangs whoever
        # takes it next, and a connection has one user at a time
        self._backend = pool._network_backend = _TimedBackend(pool._network_backend)  # noqa: SLF001
        pool._optional_thread_lock = nullcontext()  # noqa: SLF001
        self._is_tls_in_tls = proxy is not None and proxy.is_tls
        self._origin = (origin.scheme, origin.host, origin.port)
        self._key = key
        self._token = token

    @contextmanager
    def exchange(
        self, url: httpx.URL, query: Mapping[str, str], *, deadline: float, connect_s: float
    ) -> Iterator[httpx.Response]:
        """Send a GET, and yield the response; its body is read with `iter_raw`.

        Args:
            url: Where to.
            query: The query parameters.
            deadline: When all of it must be over, on the monotonic clock, whatever comes until
                then.
            connect_s: How many seconds the connection may take to come about.

        Raises:
            ExchangeError: If no complete response comes, also while the body is read.
        """
        known = sys.exception()
        self._backend.deadline = deadline
        request = httpx.Request(
            "GET",
            url,
            params=query or None,
            headers=_HEADERS,
            extensions={"timeout": {"connect": connect_s}},
        )
        failed: BaseException | None = None
        try:
            with closing(self.handle_request(request)) as response:
                yield response
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
            failed = _translate(error)
        except BaseException as error:  # noqa: BLE001 - raised below, whatever it is
            hide_frames(error, known)
            failed = error
        if failed is not None:
            raise failed

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

    def close(self) -> None:
        """Close the socket."""
        if self._backend.stream is not None:
            self._backend.stream.close()

    @property
    def is_clean(self) -> bool:
        """Whether nothing came after the last response.

        What came would be taken for the beginning of the next one. httpx does not tell, so this
        looks into httpcore; where that looks otherwise than expected, the answer is False, and the
        connection is not used again.
        """
        if self._is_tls_in_tls:
            return False  # there it may wait in a second buffer
        connections = self._pool.connections
        inner: Any = connections[0] if len(connections) == 1 else None
        while inner is not None and not hasattr(inner, "_h11_state"):
            inner = getattr(inner, "_connection", None)
        if inner is None:
            return False
        left_over, _ = inner._h11_state.trailing_data  # noqa: SLF001
        return not left_over


class _TimedBackend(httpcore.NetworkBackend):
    """Opens streams of which every step ends at the deadline.

    httpcore's own limits are for one step each, so that a response may trickle in for ever.

    Attributes:
        deadline: When the request that runs must be over, on the monotonic clock.
        stream: The stream that was opened last.
    """

    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend
        self.deadline = 0.0
        self.stream: httpcore.NetworkStream | None = None

    def limit(self, timeout: float | None, kind: type[httpcore.TimeoutException]) -> float:
        """Return how many seconds a step may take, or raise if there are none left."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise kind("timed out")
        return left if timeout is None else min(timeout, left)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of the host that accepts; they share the time."""
        until = time.monotonic() + self.limit(timeout, httpcore.ConnectTimeout)
        addresses = _resolve(host, port)
        for n, address in enumerate(addresses):
            share = max(until - time.monotonic(), 0.001) / (len(addresses) - n)
            try:
                self.stream = self._backend.connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if n == len(addresses) - 1:
                    raise
            else:
                return _TimedStream(self.stream, self)
        raise httpcore.ConnectError(f"no address for {host}")


class _TimedStream(httpcore.NetworkStream):
    """A stream of which every step ends at the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, backend: _TimedBackend) -> None:
        self._stream = stream
        self._backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._backend.limit(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._backend.limit(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        limit = self._backend.limit(timeout, httpcore.ConnectTimeout)
        with delay_forks():
            if self._stream.get_extra_info("ssl_object") is None:
                stream = self._stream.start_tls(ssl_context, server_hostname, limit)
            else:
                stream = self._start_inner_tls(ssl_context, server_hostname)
        self._backend.stream = stream
        return _TimedStream(stream, self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _start_inner_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None
    ) -> httpcore.NetworkStream:
        """Encrypt what goes through a proxy that is reached by TLS itself."""
        socket_like: Any = _Steps(self)
        try:
            return TLSinTLSStream(socket_like, ssl_context, server_hostname)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error


class _Steps:
    """What TLS within TLS takes for a socket: each of its steps ends at the deadline."""

    def __init__(self, stream: _TimedStream) -> None:
        self.recv = stream.read
        self.sendall = stream.write
        self.close = stream.close
        self.fileno = stream.get_extra_info("socket").fileno

    def settimeout(self, timeout: float | None) -> None:
        """Do nothing: the steps have their own limit."""


def _resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, each once."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _list_socket_options() -> list[tuple[int, int, int]]:
    levels = {"SO": socket.SOL_SOCKET, "TCP": socket.IPPROTO_TCP}
    return [
        (levels[name.partition("_")[0]], getattr(socket, name), value)
        for name, value in _KEEPALIVE.items()
        if hasattr(socket, name)
    ]


def check_certificates(choice: object) -> None:
    """Check what was given as `verify`.

    Raises:
        TypeError: If it is neither a path nor a context nor True.
        ValueError: If it is False: the key would go to whoever answers.
    """
    if choice is False:
        raise ValueError(
            "verify=False would send the key to whoever answers in place of the server: give the "
            "path to its CA certificate instead, verify='ca.pem'"
        )
    if choice is not True and not isinstance(choice, str | os.PathLike | ssl.SSLContext):
        raise TypeError(
            f"verify takes a path, an ssl.SSLContext or True, not {type(choice).__name__}"
        )


def make_ssl_context(choice: Certificates) -> ssl.SSLContext:
    """Return what a server's certificate is checked with.

    Args:
        choice: True takes the CA certificates that SSL_CERT_FILE or SSL_CERT_DIR names, else those
            of certifi, as httpx does. A path names a file or a folder of them. A context is taken
            as it is.

    Raises:
        ConfigError: If they cannot be read.
    """
    if isinstance(choice, ssl.SSLContext):
        return choice
    if not isinstance(choice, bool):
        path = os.fspath(choice)
        kind = "capath" if os.path.isdir(path) else "cafile"  # noqa: PTH112 - no need of a Path
        return _read_certificates(kind, path, "Client(verify=...)")
    for kind, variable in _CERTIFICATE_VARIABLES.items():
        if path := os.environ.get(variable, ""):
            return _read_certificates(kind, path, variable)
    return httpx.create_ssl_context()


def _read_certificates(kind: str, path: str, named_by: str) -> ssl.SSLContext:
    problem = None
    try:
        if kind == "capath":
            os.scandir(path).close()  # OpenSSL takes one that is missing for one without files
        context = ssl.create_default_context(
            cafile=path if kind == "cafile" else None, capath=path if kind == "capath" else None
        )
        if kind == "cafile" and not context.cert_store_stats()["x509"]:
            problem = "it holds no certificate"
    except (OSError, ValueError) as error:  # of ssl too
        problem = getattr(error, "strerror", None) or str(error)
    if problem is None:
        return context
    raise ConfigError(
        f"cannot read the CA certificates {printable(path, 300)}, which {named_by} names: "
        f"{printable(problem)}"
    )


def hide_frames(error: BaseException, known: BaseException | None) -> None:
    """Cut the traceback of an error, and of those behind it, before the frames that hold the key.

    Whatever the error is, and wherever it comes from: a signal may raise at any moment.

    Args:
        error: The error.
        known: The error that was being handled before the request; it is left as it is.
    """
    seen: list[BaseException] = [] if known is None else [known]
    behind: list[BaseException | None] = [error]
    while behind:
        one = behind.pop()
        if one is None or any(one is other for other in seen):
            continue
        seen.append(one)
        behind += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
        trace = one.__traceback__
        if trace is not None and _holds_key(trace):
            one.__traceback__ = None
        while trace is not None:
            if trace.tb_next is not None and _holds_key(trace.tb_next):
                trace.tb_next = None
            trace = trace.tb_next


def _holds_key(trace: Any) -> bool:
    module = str(trace.tb_frame.f_globals.get("__name__", ""))
    return module == __name__ or module.partition(".")[0] in _KEYED_PACKAGES


def _translate(error: Exception) -> ExchangeError:
    """Return what an exception of httpx means."""
    problem = str(error) or type(error).__name__
    # a certificate that is not valid now will not be valid a second later
    bad_certificate = _is_caused_by(error, ssl.SSLCertVerificationError)
    # nor a password that a proxy refuses: httpx gives its status in the text alone
    bad_password = isinstance(error, httpx.ProxyError) and problem.startswith("407")
    if bad_certificate:
        problem += (
            " (where a proxy decrypts the traffic, name the CA certificates of your organization "
            "by SSL_CERT_FILE)"
        )
    return ExchangeError(
        problem,
        timed_out=isinstance(error, httpx.TimeoutException),
        may_pass=not (bad_certificate or bad_password),
    )


def _is_caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Return whether the error, or one that it was raised from or during, is of the kind."""
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def parse_url(url: str) -> httpx.URL:
    """Return the base URL as httpx has it.

    Raises:
        ConfigError: If it is not valid.
    """
    try:
        return httpx.URL(url)
    except httpx.InvalidURL as error:
        problem = str(error)
    raise ConfigError(f"the base URL is not valid: {printable(problem)}")
