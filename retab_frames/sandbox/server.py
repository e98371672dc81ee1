"""The sandbox: a local HTTP server that speaks the Retab API."""

from __future__ import annotations

import gzip
import itertools
import os
import socket
import sys
import threading
from dataclasses import replace
from functools import lru_cache
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from retab_frames.sandbox.connections import Connection
from retab_frames.sandbox.messages import Request, Response, make_verbatim_response
from retab_frames.sandbox.overrides import Overrides
from retab_frames.sandbox.router import Router
from retab_frames.sandbox.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from retab_frames.sandbox.faults import Fault

_API_KEY = "rt_test_5Qm2vYx8LbK4nTfW"
_GZIP_FROM_BYTES = 1_000
"""Shorter bodies are sent uncompressed, as gzip hardly makes them smaller."""


class Sandbox:
    """A Retab API on 127.0.0.1 with a synthetic workspace; a context manager.

    The workspace depends only on the seed and the number of documents. Its workflow has an
    extract, a classifier and a split experiment with five runs each (a baseline with one failed
    document, a fix, a slow run, a run with many failures, a run still in progress), and an extract
    experiment that was never run.

    Args:
        seed: The seed of the random data.
        generations: The generations of the API to serve: at most one of A1, A2, A3 and at most one
            of B, C1, C2, C3, C4.
        documents: How many documents each experiment has, at least 1.
        latency: Seconds before each response.
        port: The port to listen on, 0 for any free port.
        page_limit: The largest number of rows per page, from 1 to 100, whatever limit is asked for;
            a small value gives many pages.
        api_key: The key that requests must have; None for a fixed key, see the attribute.

    Attributes:
        api_key: The key that requests must have.
        workspace: The records that are served.
        requests: All requests, in order of arrival.

    Raises:
        ValueError: The generations are unknown or cannot be served together, there are no
            documents, or the page limit is not from 1 to 100.

    Example:
        >>> import retab_frames as rf
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         len(rf.load_jobs(sandbox.workflow_id, "exp_invoices", client=client))
        12
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        generations: Sequence[str] = ("A1", "C4"),
        documents: int = 12,
        latency: float = 0.0,
        port: int = 0,
        page_limit: int = 100,
        api_key: str | None = None,
    ) -> None:
        self.workspace = Workspace(seed, documents=documents)
        self.api_key = _API_KEY if api_key is None else api_key
        self.requests: list[Request] = []
        self._generations = tuple(generations)
        self._router = Router(
            self.workspace, self._generations, page_limit=page_limit, api_key=self.api_key
        )
        self._overrides = Overrides()
        self._latency = latency
        self._port = port
        self._server: _Server | None = None
        self._process: int | None = None

    def __repr__(self) -> str:
        """Return the address and the generations, without the key."""
        where = "stopped" if self._server is None else self.url
        return f"<Sandbox {where} generations={self._generations!r}>"

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.close()

    @property
    def url(self) -> str:
        """The base URL, `http://127.0.0.1:PORT`.

        Raises:
            RuntimeError: The sandbox is not running.
        """
        if self._server is None:
            raise RuntimeError(
                "the sandbox is not running: use it in a with statement, or call start()"
            )
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def workflow_id(self) -> str:
        """The id of the workflow that holds the experiments."""
        return self.workspace.workflow.id

    @property
    def experiment_ids(self) -> tuple[str, ...]:
        """The ids of the extract, classifier and split experiments and of the one never run."""
        return self.workspace.experiment_ids

    def run_ids(self, experiment_id: str) -> tuple[str, ...]:
        """Return the ids of the runs of an experiment, oldest first.

        Raises:
            KeyError: There is no such experiment.
        """
        return self.workspace.run_ids(experiment_id)

    def start(self) -> None:
        """Start the server; no effect if it runs already.

        Raises:
            OSError: The port is in use.
        """
        if self._server is None:
            self._process = os.getpid()
            self._server = _Server(self._port, self)
            threading.Thread(
                target=self._server.serve_forever, args=(0.02,), name="sandbox", daemon=True
            ).start()

    def close(self) -> None:
        """Stop the server and close all connections; no effect if it does not run.

        In a process forked from that of the server, this closes its copies of the sockets alone.
        """
        server, self._server = self._server, None
        if server is None:
            return
        if os.getpid() == self._process:
            server.stop()
        else:
            server.server_close()

    def __reduce__(self) -> tuple[object, ...]:
        """Refuse to be pickled: another process reaches the server by its URL."""
        raise TypeError("a Sandbox cannot be pickled; pass its url and its api_key")

    def answer(
        self,
        path: str,
        body: object,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        times: int | None = None,
    ) -> None:
        """Set the response to a path, whatever the key or the query of the request.

        Several responses to one path are used in turn, then the correct response again; a response
        for ever is replaced by the next one that is set.

        Args:
            path: The path, percent-encoded.
            body: Bytes or text sent as they are; anything else is sent as JSON.
            status: The HTTP status.
            headers: Headers to add, or to use instead of the usual ones.
            times: How many requests get this response, None for ever.
        """
        self._overrides.add_response(path, make_verbatim_response(body, status, headers), times)

    def misbehave(
        self,
        fault: Fault,
        *,
        path: str | None = None,
        times: int | None = 1,
        after: int = 0,
    ) -> None:
        """Queue a fault of `retab_frames.sandbox.faults`.

        Of the faults queued for the path of a request, the first affects it; the others wait until
        the first is used up.

        Args:
            fault: The fault.
            path: The path, percent-encoded; None for any.
            times: How many requests are affected, None for all.
            after: How many requests are not affected before that.
        """
        self._overrides.add_fault(fault, path, times, after)

    def handle(self, request: Request, connection: Connection) -> None:
        """Respond to one request on its connection."""
        self.requests.append(request)
        connection.pause(self._latency)
        set_response = self._overrides.take_response(request)
        fault = self._overrides.take_fault(request)
        response = set_response or self._router.respond(fault.change_request(request))
        response = fault.change_response(request, response)
        fault.send(connection, _encode_body(response, request))


class _Server(ThreadingTCPServer):
    # Not http.server.HTTPServer: that resolves the name of the host, which can take seconds.
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, port: int, sandbox: Sandbox) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.sandbox = sandbox
        self.stopping = threading.Event()
        self.request_numbers = itertools.count(1)
        self.connections: set[socket.socket] = set()

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection in self.connections.copy():
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client may close its connection at any time: not worth a traceback.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def respond(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        # Not self.path, in which a leading "//" has become "/".
        path, _, query = self.requestline.split()[1].partition("?")
        request = Request(
            method=self.command,
            path=path,
            query=parse_qs(query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
        )
        request_id = f"req_{next(self.server.request_numbers):08x}"
        connection = Connection(self.connection, self.server.stopping, request_id)
        self.server.sandbox.handle(request, connection)
        self.close_connection = self.close_connection or connection.closing

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = respond  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""


def _encode_body(response: Response, request: Request) -> Response:
    """Return the response with the body that is sent: none for HEAD, gzip where accepted."""
    if request.method == "HEAD":
        return replace(response, body=b"")
    accepted = request.headers.get("accept-encoding", "")
    if response.verbatim or "gzip" not in accepted or len(response.body) < _GZIP_FROM_BYTES:
        return response
    headers = {**response.headers, "content-encoding": "gzip"}
    return replace(response, body=_compress(response.body), headers=headers)


@lru_cache(maxsize=16)
def _compress(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=1, mtime=0)
