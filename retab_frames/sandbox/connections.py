"""A client's connection, on which responses are sent whole, in parts, or not at all."""

from __future__ import annotations

import os
import socket
import struct
from http import HTTPStatus
from http.client import responses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from retab_frames.sandbox.messages import Response

_WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Connection:
    """The sending side of a connection.

    Args:
        client: The client's socket.
        stopping: Set when the server stops, which ends every pause.
        request_id: The value of the header x-request-id.

    Attributes:
        closing: Whether the connection must be closed after this response.
    """

    def __init__(self, client: socket.socket, stopping: threading.Event, request_id: str) -> None:
        self._client = client
        self._stopping = stopping
        self._request_id = request_id
        self.closing = False

    def send(self, response: Response) -> None:
        """Send a whole response."""
        self._client.sendall(self._format_head(response, len(response.body)) + response.body)

    def send_head(self, response: Response, *, with_length: bool = True) -> None:
        """Send the status line and the headers.

        Args:
            response: Its status and headers are sent.
            with_length: Whether Content-Length is sent; without it, the end of the body is the end
                of the connection.
        """
        length = len(response.body) if with_length else None
        self._client.sendall(self._format_head(response, length))

    def send_bytes(self, data: bytes) -> None:
        """Send some bytes of a body."""
        self._client.sendall(data)

    def pause(self, seconds: float) -> None:
        """Wait; raise ConnectionAbortedError if the server stops meanwhile."""
        if seconds > 0 and self._stopping.wait(seconds):
            raise ConnectionAbortedError("the sandbox stops")

    def reset(self) -> None:
        """Close the connection at once with RST."""
        self.closing = True
        no_linger = struct.pack("ii", 1, 0)
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        # Close the descriptor itself: the request handler would send FIN first.
        os.close(self._client.detach())

    def _format_head(self, response: Response, length: int | None) -> bytes:
        headers = {**response.headers, "x-request-id": self._request_id}
        if length is None:
            headers["connection"] = "close"
        elif response.status not in _WITHOUT_BODY:
            headers.setdefault("content-length", str(length))
        lines = [f"HTTP/1.1 {response.status} {responses.get(response.status, '')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
