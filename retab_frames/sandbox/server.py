"""The sandbox: a local HTTP server that speaks the Retab API."""

from __future__ import annotations

import gzip
import itertools
import socket
import sys
import threading
from dataclasses import replace
from functools import lru_cache
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from retab_frames.sandbox.exchange import Reply, Request
from retab_frames.sandbox.routes import Routes
from retab_frames.sandbox.script import Script
from retab_frames.sandbox.wire import Wire
from retab_frames.sandbox.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from retab_frames.sandbox.faults import Fault

_API_KEY = "rt_test_5Qm2vYx8LbK4nTfW"
_GZIP_FROM_BYTES = 1_000


class Sandbox:
    """A Retab API on 127.0.0.1 with a synthetic workspace, to be used in a `with`.

    The workspace is the same for the same seed: a workflow, an extract, a
    classifier and a split experiment of five runs each (a baseline with one
    failure, a fix, a slow run, a broken one, one still running), and an extract
    experiment that never ran.

    Args:
        seed: What the workspace is drawn from.
        generations: Which forms of the API are served: at most one of A1, A2,
            A3 and at most one of B, C1, C2, C3, C4.
        documents: How many documents each experiment has.
        latency: Seconds before each answer.
        port: The port to listen on, 0 for a free one.
        page_limit: The largest page given, whatever limit from 1 to 100 is asked
            for; small values make many pages of few documents.
        api_key: The key to accept, None for a fixed one.

    Attributes:
        workspace: The records that are served, in no generation's form.
        requests: Every request that came, in order of arrival.

    Raises:
        ValueError: The generations cannot be served together, there are no
            documents, or the page limit is not from 1 to 100.
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
        """Prepare the workspace and the routes; nothing listens yet."""
        self.workspace = Workspace(seed, documents=documents)
        self.api_key = _API_KEY if api_key is None else api_key
        self.requests: list[Request] = []
        self._generations = tuple(generations)
        self._routes = Routes(
            self.workspace, self._generations, page_limit=page_limit, api_key=self.api_key
        )
        self._script = Script()
        self._latency = latency
        self._port = port
        self._server: _Server | None = None

    def __repr__(self) -> str:
        """Return what is served and where, without the key."""
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
            raise RuntimeError("the sandbox is not running: use it in a with, or call start()")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def workflow_id(self) -> str:
        """The id of the workflow that holds the experiments."""
        return self.workspace.workflow.id

    @property
    def experiment_ids(self) -> tuple[str, ...]:
        """The ids of the extract, classifier, split and never-run experiments."""
        return self.workspace.experiment_ids

    def run_ids(self, experiment_id: str) -> tuple[str, ...]:
        """Return the ids of an experiment's runs, oldest first."""
        return self.workspace.run_ids(experiment_id)

    def start(self) -> None:
        """Listen on 127.0.0.1; without effect when it does already."""
        if self._server is None:
            self._server = _Server(self._port, self)
            threading.Thread(
                target=self._server.serve_forever, args=(0.02,), name="sandbox", daemon=True
            ).start()

    def close(self) -> None:
        """Stop listening and close all connections; without effect when stopped."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def answer(
        self,
        path: str,
        body: object,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        times: int | None = None,
    ) -> None:
        """Answer a path with something of your own, whatever the key or the query.

        Several answers for one path are given in turn; the path's own answer
        comes back after the last, unless that one is for ever.

        Args:
            path: The path as on the wire, percent-encoding included.
            body: Bytes or text sent as they are; anything else is sent as JSON.
            status: The HTTP status.
            headers: Headers to add, or to have in place of the usual ones.
            times: How many requests get it, None for ever.
        """
        self._script.add_answer(path, Reply.of(body, status, headers), times)

    def misbehave(
        self,
        fault: Fault,
        *,
        path: str | None = None,
        times: int | None = 1,
        after: int = 0,
    ) -> None:
        """Queue a fault, see `retab_frames.sandbox.faults`.

        Of the faults queued for a request's path the first one decides: it lets
        the request pass, or acts on it and is used up in the end.

        Args:
            fault: What goes wrong.
            path: The path as on the wire, None for any.
            times: How many requests it acts on, None for all.
            after: How many matching requests it lets pass first.
        """
        self._script.add_fault(fault, path, times, after)

    def handle(self, request: Request, wire: Wire) -> None:
        """Answer one request on its wire, as the routes and the script have it."""
        self.requests.append(request)
        wire.pause(self._latency)
        canned = self._script.take_answer(request)
        fault = self._script.take_fault(request)
        reply = canned or self._routes.answer(fault.ask(request))
        fault.deliver(wire, _encoded(fault.amend(request, reply), request))


class _Server(ThreadingTCPServer):
    # Not http.server.HTTPServer, which looks up the host's name when it binds.
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, port: int, sandbox: Sandbox) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.sandbox = sandbox
        self.stopping = threading.Event()
        self.serial = itertools.count(1)
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
        # A client may hang up at any time; that is no news.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def respond(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        # Not self.path, in which a leading "//" has been made one slash.
        path, _, query = self.requestline.split()[1].partition("?")
        request = Request(
            method=self.command,
            path=path,
            query=parse_qs(query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
        )
        wire = Wire(self.connection, self.server.stopping, f"req_{next(self.server.serial):08x}")
        self.server.sandbox.handle(request, wire)
        self.close_connection = self.close_connection or wire.ended

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = respond  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing on the terminal."""


def _encoded(reply: Reply, request: Request) -> Reply:
    if request.method == "HEAD":
        return replace(reply, body=b"")
    accepted = request.headers.get("accept-encoding", "")
    if reply.verbatim or "gzip" not in accepted or len(reply.body) < _GZIP_FROM_BYTES:
        return reply
    headers = {**reply.headers, "content-encoding": "gzip"}
    return replace(reply, body=_compressed(reply.body), headers=headers)


@lru_cache(maxsize=16)
def _compressed(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=1, mtime=0)
