"""A bucket over real HTTP on loopback: moto's S3 server, and a proxy that spoils its answers."""

from __future__ import annotations

import logging
import threading
import urllib.request
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

__all__ = ["FaultyProxy", "point_at", "s3_server"]

KEY_ID = "AKIACANARY0f3b71c2d4"
SECRET = "canary/secret/0f3b71c2d4e5"  # noqa: S105

DENIED = f"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SignatureDoesNotMatch</Code><Message>No.</Message>
<AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId><StringToSign>AWS4 {SECRET}</StringToSign></Error>"""

HOPS = {"transfer-encoding", "connection", "server", "date"}
"""Headers that belong to one connection."""


@contextmanager
def s3_server() -> Iterator[str]:
    """Serve S3 with an empty bucket `bucket`; yield the URL."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = make_server("127.0.0.1", 0, _OneAtATime(), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.port}"
        make_bucket(url, "bucket")
        yield url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _OneAtATime:
    """Moto's S3, one request after the other.

    Moto looks whether a name is taken and writes later, so that of two conditional puts at once it
    lets both win now and then; S3 promises that it does not.
    """

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        with self._lock:
            return self._moto(environ, start_response)


def make_bucket(url: str, bucket: str) -> None:
    asked = urllib.request.Request(f"{url}/{bucket}", method="PUT")
    with urllib.request.urlopen(asked, timeout=10):
        pass


def point_at(url: str, environment: pytest.MonkeyPatch) -> None:
    """Make S3 the one at a URL, as a user would: by the environment."""
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }.items():
        environment.setenv(name, value)


class FaultyProxy:
    """Stands before a server and spoils what is asked of it.

    Faults, by method, one for each request in turn; then all goes well:
        "lost": passed on, and the connection is closed instead of an answer.
        "never": not passed on, and the connection is closed.
        "stored 500", "500", "409", "403", "404": passed on or not, and that is the answer.
        "overwrite": passed on without its condition.
        "cut": the answer ends in the middle.
        "hang": not passed on, and never answered.
        "hold": passed on when `released` is set.
        "pass": passed on.
    """

    def __init__(self, upstream: str) -> None:
        self.faults: dict[str, list[str]] = {}
        self.seen: list[tuple[str, str]] = []
        self.closing = threading.Event()
        self.released = threading.Event()
        handler = partial(_Handler, self, upstream.removeprefix("http://"))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def count(self, method: str) -> int:
        """Return how many requests of a method came."""
        return sum(seen == method for seen, _ in self.seen)

    def fault_for(self, method: str) -> str:
        """Return what is to happen to a request that has come."""
        due = self.faults.get(method)
        fault = due.pop(0) if due else "pass"
        self.seen.append((method, fault))
        return fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, proxy: FaultyProxy, upstream: str, *args: Any) -> None:
        self._proxy, self._upstream = proxy, upstream
        super().__init__(*args)

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self._proxy.fault_for(self.command)
        self.close_connection = True
        if fault == "hold":
            self._proxy.released.wait(30)
        if fault == "hang":
            self._proxy.closing.wait()
        elif fault.isdigit():
            self._tell(int(fault), [], DENIED.encode() if fault == "403" else b"")
        elif fault != "never":
            status, headers, data = self._passed_on(body, overwrite=fault == "overwrite")
            if fault == "stored 500":
                self._tell(500, [], b"")
            elif fault != "lost":
                self._tell(status, headers, data[: len(data) // 2] if fault == "cut" else data)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _passed_on(
        self, body: bytes, *, overwrite: bool
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = dict(self.headers.items())
        if overwrite:
            del headers["if-none-match"]
        connection = HTTPConnection(self._upstream, timeout=30)
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOPS]
        return answer.status, kept, data

    def _tell(self, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
        self.send_response(status)
        for name, value in headers or [("Content-Length", str(len(data)))]:
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
