"""Servers on loopback whose bytes a test chooses: plain, behind TLS, and a proxy."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["Identity", "content_body", "http_ok", "make_identity", "proxy", "raw_server"]

HOST = "api.retab.test"
"""A name that only the proxy knows."""


class Identity(NamedTuple):
    """A TLS server's certificate, for 127.0.0.1 and HOST, which is its own CA.

    Attributes:
        context: For the server.
        ca: The PEM file that clients trust.
    """

    context: ssl.SSLContext
    ca: Path


def content_body(run_id: str = "run_1", jobs: int = 2) -> bytes:
    """Return a response of `/content`."""
    rows = [
        {"id": f"j{n}", "run_id": run_id, "document_id": f"d{n}", "status": "completed"}
        for n in range(jobs)
    ]
    return json.dumps(
        {"experiment_id": "exp_1", "run_id": run_id, "content": {"jobs": rows}}
    ).encode()


def http_ok(body: bytes, headers: str = "") -> bytes:
    """Return a whole response with the body."""
    return f"HTTP/1.1 200 OK\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def raw_server(
    answer: Callable[[socket.socket, int, bytes], object], context: ssl.SSLContext | None = None
) -> Iterator[tuple[int, list[bytes]]]:
    """Serve with a function that writes what it wants to each connection, for each request.

    Args:
        answer: Takes the connection, the number of the request from 1, and its head.
        context: For TLS; None is plain.

    Yields:
        The port, and the heads of the requests.
    """
    heads: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), connection, _encrypt(connection, context) as stream:
            while head := _read_head(stream):
                heads.append(head)
                answer(stream, len(heads), head)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, serve), daemon=True).start()
        yield listener.getsockname()[1], heads
        listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(
    to_port: int, refusal: bytes = b"", context: ssl.SSLContext | None = None
) -> Iterator[tuple[int, list[bytes]]]:
    """Serve as a proxy that connects every host to one port of this machine.

    Args:
        to_port: The port.
        refusal: What it answers instead.
        context: For TLS to the proxy itself; None is plain.

    Yields:
        Its port, and the heads of the requests.
    """
    heads: list[bytes] = []

    def serve(accepted: socket.socket) -> None:
        with suppress(OSError), accepted, _encrypt(accepted, context) as connection:
            head = _read_head(connection)
            heads.append(head)
            if refusal:
                connection.sendall(refusal)
                return
            with socket.create_connection(("127.0.0.1", to_port)) as server:
                if head.startswith(b"CONNECT"):
                    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    server.sendall(head)
                back = threading.Thread(target=_pump, args=(server, connection), daemon=True)
                back.start()
                _pump(connection, server)
                back.join(5)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, serve), daemon=True).start()
        yield listener.getsockname()[1], heads
        listener.shutdown(socket.SHUT_RDWR)


def make_identity(folder: Path) -> Identity:
    """Make a certificate in the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    names = x509.SubjectAlternativeName(
        [x509.DNSName(HOST), x509.IPAddress(ip_address("127.0.0.1"))]
    )
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca, server = folder / "ca.pem", folder / "server.pem"
    ca.write_bytes(certificate.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    server.write_bytes(private + ca.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server)
    return Identity(context, ca)


def _encrypt(connection: socket.socket, context: ssl.SSLContext | None) -> socket.socket:
    return connection if context is None else context.wrap_socket(connection, server_side=True)


def _accept(listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


def _read_head(connection: socket.socket) -> bytes:
    """Return the head of a request, b"" if the connection was closed."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return b""
        head += byte
    return head


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
