from __future__ import annotations

import gzip
import http.client
import json
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from retab_frames.sandbox import Sandbox
from retab_frames.sandbox.faults import (
    CloseDelimitedCut,
    CutBody,
    Drip,
    Empty,
    EmptyPageWithCursor,
    Encoding,
    Fault,
    GzipBomb,
    Hang,
    Html,
    Redirect,
    RepeatCursor,
    Reset,
    Status,
)

from .visitor import FLAT, NESTED, ask, bearer, connect, visit

CONTENT = f"{NESTED}/exp_invoices/content"
RESULTS = f"{FLAT}/results?run_id=exprun_packets_2&limit=5"


def raw(sandbox: Sandbox, path: str) -> bytes:
    """Return all bytes that come until the connection ends."""
    address = urlsplit(sandbox.url)
    request = f"GET {path} HTTP/1.1\r\nApi-Key: {sandbox.api_key}\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=5) as client:
        client.sendall(request.encode())
        parts = []
        while part := client.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def head_and_body(answer: bytes) -> tuple[str, bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.decode().lower(), body


@pytest.mark.parametrize("code", [400, 408, 429, 500, 502, 503, 504, 599])
def test_status_once(sandbox: Sandbox, code: int) -> None:
    sandbox.misbehave(Status(code))
    answer = visit(sandbox, CONTENT)
    assert answer.status == code
    assert list(answer.json) == ["detail"]
    assert "retry-after" not in answer.headers
    assert visit(sandbox, CONTENT).status == 200


@pytest.mark.parametrize(("given", "sent"), [(2, "2"), (0.5, "0.5"), ("soon", "soon")])
def test_status_with_retry_after(sandbox: Sandbox, given: float | str, sent: str) -> None:
    sandbox.misbehave(Status(429, retry_after=given))
    assert visit(sandbox, CONTENT).headers["retry-after"] == sent


@pytest.mark.parametrize(
    ("body", "sent"), [("<html>", b"<html>"), (b"\xff", b"\xff"), ({"a": 1}, b'{"a": 1}')]
)
def test_status_with_body(sandbox: Sandbox, body: object, sent: bytes) -> None:
    sandbox.misbehave(Status(502, body=body))
    assert visit(sandbox, CONTENT).body == sent


@pytest.mark.parametrize(("keep", "kept"), [(0, 0), (10, 10), (0.25, None), (0.0, 0)])
def test_cut_body_is_shorter_than_its_length(
    sandbox: Sandbox, keep: float, kept: int | None
) -> None:
    whole = visit(sandbox, CONTENT).body
    sandbox.misbehave(CutBody(keep))
    with pytest.raises(http.client.IncompleteRead) as caught:
        visit(sandbox, CONTENT)
    expected = len(whole) // 4 if kept is None else kept
    assert len(caught.value.partial) == expected
    assert len(caught.value.partial) + (caught.value.expected or 0) == len(whole)
    assert visit(sandbox, CONTENT).body == whole


def test_reset_comes_as_rst(sandbox: Sandbox) -> None:
    sandbox.misbehave(Reset())
    with pytest.raises(ConnectionResetError):
        raw(sandbox, CONTENT)
    assert visit(sandbox, CONTENT).status == 200


def test_close_delimited_cut_looks_like_the_end(sandbox: Sandbox) -> None:
    whole = visit(sandbox, CONTENT).body
    sandbox.misbehave(CloseDelimitedCut(100))
    head, body = head_and_body(raw(sandbox, CONTENT))
    assert head.startswith("http/1.1 200 ok")
    assert "content-length" not in head
    assert "connection: close" in head
    assert body == whole[:100]


def test_hang_is_silent_for_a_while(sandbox: Sandbox) -> None:
    sandbox.misbehave(Hang(0.3))
    begin = time.monotonic()
    assert visit(sandbox, CONTENT).status == 200
    assert time.monotonic() - begin >= 0.3


def test_hang_outlasts_a_timeout_and_not_the_sandbox() -> None:
    with Sandbox() as sandbox:
        sandbox.misbehave(Hang(60))
        with pytest.raises(TimeoutError):
            visit(sandbox, CONTENT, timeout=0.2)
        begin = time.monotonic()
    assert time.monotonic() - begin < 2


def test_drip_sends_one_byte_at_a_time(sandbox: Sandbox) -> None:
    sandbox.answer(CONTENT, "12345")
    sandbox.misbehave(Drip(0.05))
    connection = connect(sandbox)
    connection.request("GET", CONTENT)
    response = connection.getresponse()
    begin = time.monotonic()
    assert [response.read1(100) for _ in range(5)] == [b"1", b"2", b"3", b"4", b"5"]
    assert time.monotonic() - begin >= 0.2
    connection.close()


def test_repeat_cursor_gives_the_first_page_for_ever(sandbox: Sandbox) -> None:
    first = visit(sandbox, RESULTS).json
    sandbox.misbehave(RepeatCursor())
    cursor = first["list_metadata"]["after"]
    for path in (RESULTS, f"{RESULTS}&after={cursor}", f"{RESULTS}&after={cursor}"):
        page = visit(sandbox, path).json
        assert page["data"] == first["data"]
        assert page["list_metadata"]["after"] == cursor


def test_repeat_cursor_on_a_listing_of_one_page(sandbox: Sandbox) -> None:
    sandbox.misbehave(RepeatCursor())
    page = visit(sandbox, f"{FLAT}/results?run_id=exprun_packets_2").json
    assert page["list_metadata"]["after"] == page["data"][-1]["id"]


@pytest.mark.parametrize("times", [1, 3])
def test_empty_pages_have_a_new_cursor_each_and_lose_no_row(sandbox: Sandbox, times: int) -> None:
    expected = visit(sandbox, f"{FLAT}/results?run_id=exprun_packets_2").json["data"]
    sandbox.misbehave(EmptyPageWithCursor(), times=times, after=1)
    rows: list[Any] = []
    cursors: list[str] = []
    sizes = []
    path = RESULTS
    while True:
        page = visit(sandbox, path).json
        rows += page["data"]
        sizes.append(len(page["data"]))
        cursor = page["list_metadata"]["after"]
        if cursor is None:
            break
        cursors.append(cursor)
        path = f"{RESULTS}&after={cursor}"
    assert rows == expected
    assert sizes == [5, *[0] * times, 5, 2]
    assert len(set(cursors)) == len(cursors)


@pytest.mark.parametrize("fault", [RepeatCursor(), EmptyPageWithCursor()])
def test_paging_faults_leave_other_answers_alone(sandbox: Sandbox, fault: Fault) -> None:
    content = visit(sandbox, CONTENT).body
    sandbox.misbehave(fault, times=2)
    assert visit(sandbox, CONTENT).body == content
    assert visit(sandbox, "/v1/nothing").status == 404


def test_html(sandbox: Sandbox) -> None:
    sandbox.misbehave(Html())
    answer = visit(sandbox, CONTENT)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert b"<html>" in answer.body


def test_empty(sandbox: Sandbox) -> None:
    sandbox.misbehave(Empty())
    answer = visit(sandbox, CONTENT)
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("code", [301, 302, 307])
def test_redirect(sandbox: Sandbox, code: int) -> None:
    sandbox.misbehave(Redirect("https://elsewhere.example/v1", code))
    answer = visit(sandbox, CONTENT)
    assert answer.status == code
    assert answer.headers["location"] == "https://elsewhere.example/v1"


@pytest.mark.parametrize("name", ["br", "gzip", "gzip, gzip", "foo"])
def test_encoding_is_only_announced(sandbox: Sandbox, name: str) -> None:
    whole = visit(sandbox, CONTENT).body
    sandbox.misbehave(Encoding(name))
    answer = visit(sandbox, CONTENT, {**bearer(sandbox), "Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == name
    assert answer.body == whole


@pytest.mark.parametrize("size", [0, 1_000, 2**20, 5 * 2**20 + 7])
def test_gzip_bomb(sandbox: Sandbox, size: int) -> None:
    sandbox.misbehave(GzipBomb(size))
    answer = visit(sandbox, CONTENT)
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.body) < 100 + size / 500
    assert gzip.decompress(answer.body) == b" " * size


def test_faults_affect_set_responses_too(sandbox: Sandbox) -> None:
    sandbox.answer("/any", "0123456789")
    sandbox.misbehave(CutBody(3))
    with pytest.raises(http.client.IncompleteRead) as caught:
        visit(sandbox, "/any")
    assert caught.value.partial == b"012"


def statuses(sandbox: Sandbox, *paths: str) -> list[int]:
    return [visit(sandbox, path).status for path in paths]


def test_times_and_after(sandbox: Sandbox) -> None:
    sandbox.misbehave(Status(503), times=2, after=1)
    assert statuses(sandbox, *[CONTENT] * 5) == [200, 503, 503, 200, 200]


def test_times_none_is_for_ever(sandbox: Sandbox) -> None:
    sandbox.misbehave(Status(503), times=None)
    assert set(statuses(sandbox, *[CONTENT] * 10)) == {503}


def test_faults_are_used_in_turn(sandbox: Sandbox) -> None:
    sandbox.misbehave(Status(429))
    sandbox.misbehave(Status(503), after=1)
    sandbox.misbehave(Status(500))
    assert statuses(sandbox, *[CONTENT] * 5) == [429, 200, 503, 500, 200]


def test_fault_for_one_path(sandbox: Sandbox) -> None:
    sandbox.misbehave(Status(503), path=CONTENT)
    sandbox.misbehave(Status(500), path=NESTED, after=1)
    paths = (f"{FLAT}/runs", NESTED, f"{CONTENT}?run_id=exprun_invoices_1", CONTENT, NESTED)
    assert statuses(sandbox, *paths) == [200, 200, 503, 200, 500]


def test_connection_stays_open_after_a_complete_response(sandbox: Sandbox) -> None:
    connection = connect(sandbox)
    for fault in (Status(503), Html(), Empty(), Redirect("/"), Encoding("br"), Hang(0.01)):
        sandbox.misbehave(fault)
        ask(connection, CONTENT, bearer(sandbox))
    first = connection.sock
    assert json.loads(ask(connection, CONTENT, bearer(sandbox)).body)["run_id"]
    assert connection.sock is first
    connection.close()


def test_plain_fault_does_no_harm(sandbox: Sandbox) -> None:
    sandbox.misbehave(Fault())
    assert visit(sandbox, CONTENT).status == 200
