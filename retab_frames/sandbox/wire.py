"""One client's connection, on which replies are sent well or badly."""

from __future__ import annotations

import os
import socket
import struct
from http import HTTPStatus
from http.client import responses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from retab_frames.sandbox.exchange import Reply

_BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Wire:
    """The sending side of a connection.

    Args:
        connection: The client's socket.
        stopping: Set when the server stops, which ends every pause.
        request_id: What the x-request-id header says.
    """

    def __init__(
        self, connection: socket.socket, stopping: threading.Event, request_id: str
    ) -> None:
        """Take over the sending side."""
        self._connection = connection
        self._stopping = stopping
        self._request_id = request_id
        self.ended = False

    def send(self, reply: Reply) -> None:
        """Send a whole reply."""
        self._connection.sendall(self._head(reply, len(reply.body)) + reply.body)

    def send_head(self, reply: Reply, *, length: int | None = -1) -> None:
        """Send the head alone.

        Args:
            reply: Its status and headers are sent.
            length: What Content-Length says; -1 for the body's length, None for
                no such header, which makes the close of the connection the end.
        """
        self._connection.sendall(self._head(reply, len(reply.body) if length == -1 else length))

    def send_bytes(self, data: bytes) -> None:
        """Send some bytes of a body."""
        self._connection.sendall(data)

    def pause(self, seconds: float) -> None:
        """Wait, and raise ConnectionAbortedError if the server stops meanwhile."""
        if seconds > 0 and self._stopping.wait(seconds):
            raise ConnectionAbortedError("the sandbox stops")

    def end(self) -> None:
        """Let the connection be closed after this reply."""
        self.ended = True

    def reset(self) -> None:
        """Close the connection at once with RST."""
        self.ended = True
        no_linger = struct.pack("ii", 1, 0)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        # Closing the descriptor itself: the handler's own end would send FIN first.
        os.close(self._connection.detach())

    def _head(self, reply: Reply, length: int | None) -> bytes:
        headers = {**reply.headers, "x-request-id": self._request_id}
        if length is None:
            headers["connection"] = "close"
        elif reply.status not in _BODILESS:
            headers.setdefault("content-length", str(length))
        lines = [f"HTTP/1.1 {reply.status} {responses.get(reply.status, '')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
