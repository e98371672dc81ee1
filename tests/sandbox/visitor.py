"""A client of the sandbox that knows no more than http.client does."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from retab_frames.sandbox import Sandbox

NESTED = "/v1/workflows/wf_sandbox/experiments"
FLAT = "/v1/workflows/experiments"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def connect(sandbox: Sandbox, *, timeout: float = 10) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(sandbox.url).netloc, timeout=timeout)


def ask(
    connection: http.client.HTTPConnection,
    path: str,
    headers: Mapping[str, str],
    *,
    method: str = "GET",
) -> Answer:
    connection.request(method, path, headers=dict(headers))
    response = connection.getresponse()
    given = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, given, response.read())


def visit(
    sandbox: Sandbox,
    path: str,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    timeout: float = 10,
) -> Answer:
    """Ask one thing on a connection of its own, with the key if no headers are given."""
    connection = connect(sandbox, timeout=timeout)
    try:
        return ask(connection, path, bearer(sandbox) if headers is None else headers, method=method)
    finally:
        connection.close()


def bearer(sandbox: Sandbox) -> dict[str, str]:
    return {"Authorization": f"Bearer {sandbox.api_key}"}
