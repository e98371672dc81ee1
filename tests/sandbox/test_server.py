from __future__ import annotations

import gzip
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from retab_frames.sandbox import Sandbox

from .visitor import FLAT, NESTED, ask, bearer, connect, visit

CONTENT = f"{NESTED}/exp_invoices/content"
UNAUTHORIZED = {"detail": {"code": "unauthorized", "message": "Invalid API key", "details": None}}


@pytest.mark.parametrize("path", [NESTED, CONTENT, f"{FLAT}/runs", f"{FLAT}/exp_invoices"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Api-Key": "KEY"}, 200),
        ({"Authorization": "Bearer KEY"}, 200),
        ({"Api-Key": "KEY", "Authorization": "Bearer KEY"}, 200),
        ({}, 401),
        ({"Api-Key": "other"}, 401),
        ({"Authorization": "KEY"}, 401),
        ({"Authorization": "Bearer other"}, 401),
        ({"Api-Key": "KEY", "Authorization": "Bearer other"}, 401),
    ],
)
def test_key(sandbox: Sandbox, path: str, headers: dict[str, str], status: int) -> None:
    given = {name: value.replace("KEY", sandbox.api_key) for name, value in headers.items()}
    answer = visit(sandbox, path, given)
    assert answer.status == status
    if status == 401:
        assert answer.json == UNAUTHORIZED


def test_own_key() -> None:
    with Sandbox(api_key="rt_test_mine") as sandbox:
        assert visit(sandbox, NESTED, {"Api-Key": "rt_test_mine"}).status == 200
        assert visit(sandbox, NESTED, {"Api-Key": Sandbox().api_key}).status == 401


def test_access_token_is_ignored_and_is_no_key(sandbox: Sandbox) -> None:
    assert visit(sandbox, f"{CONTENT}?access_token=x").json == visit(sandbox, CONTENT).json
    assert visit(sandbox, f"{CONTENT}?access_token={sandbox.api_key}", {}).status == 401


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/", "Not Found"),
        ("/v1", "Not Found"),
        ("/workflows/wf_sandbox/experiments", "Not Found"),
        (f"{NESTED}/", "Experiment  not found"),
        (f"/{NESTED}", "Not Found"),
        (f"{NESTED}/exp_x", "Experiment exp_x not found"),
        (f"{NESTED}/exp_x/content", "Experiment exp_x not found"),
        ("/v1/workflows/wf_x/experiments", "Workflow wf_x not found"),
        (f"{CONTENT}?run_id=exprun_x", "Experiment run exprun_x not found"),
        (f"{CONTENT}?run_id=exprun_packets_1", "Experiment run exprun_packets_1 not found"),
        (f"{FLAT}?workflow_id=wf_x", "Workflow wf_x not found"),
        (f"{FLAT}/exp_x", "Experiment exp_x not found"),
        (f"{FLAT}/runs/exprun_x", "Experiment run exprun_x not found"),
        (f"{FLAT}/results?run_id=exprun_x", "Experiment run exprun_x not found"),
        (f"{FLAT}/results/expjob_x", "Experiment result expjob_x not found"),
        (f"{NESTED}/exp_invoices/runs/exprun_invoices_1/documents/d", "Document d not found"),
    ],
)
def test_not_found(sandbox: Sandbox, path: str, detail: str) -> None:
    answer = visit(sandbox, path)
    assert (answer.status, answer.json) == (404, {"detail": detail})


def test_unknown_route_needs_no_key_and_unknown_experiment_does(sandbox: Sandbox) -> None:
    assert visit(sandbox, "/v1/nothing", {}).status == 404
    assert visit(sandbox, f"{NESTED}/exp_x", {}).status == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_wrong_method(sandbox: Sandbox, method: str) -> None:
    answer = visit(sandbox, CONTENT, method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET"
    if method != "HEAD":
        assert answer.json == {"detail": "Method Not Allowed"}


def test_body_of_a_refused_request_is_read(sandbox: Sandbox) -> None:
    connection = connect(sandbox)
    connection.request("POST", CONTENT, body=b"x" * 100_000, headers=bearer(sandbox))
    assert connection.getresponse().read() == b'{"detail":"Method Not Allowed"}'
    assert ask(connection, CONTENT, bearer(sandbox)).status == 200
    connection.close()


@pytest.mark.parametrize(
    ("segment", "shown"),
    [("a%2Fb", "a/b"), ("..%2F..", "../.."), ("%C3%A9", "é"), ("a+b", "a+b"), ("a%3Fb", "a?b")],
)
def test_path_segments_are_decoded_one_by_one(sandbox: Sandbox, segment: str, shown: str) -> None:
    answer = visit(sandbox, f"{NESTED}/{segment}/content")
    assert answer.json == {"detail": f"Experiment {shown} not found"}
    assert sandbox.requests[-1].path == f"{NESTED}/{segment}/content"


def test_headers_of_an_answer(sandbox: Sandbox) -> None:
    answers = [visit(sandbox, path) for path in (CONTENT, "/v1/nothing")]
    assert {answer.headers["content-type"] for answer in answers} == {"application/json"}
    request_ids = [answer.headers["x-request-id"] for answer in answers]
    assert request_ids == ["req_00000001", "req_00000002"]


def test_gzip_when_accepted_and_worth_it(sandbox: Sandbox) -> None:
    plain = visit(sandbox, CONTENT)
    assert "content-encoding" not in plain.headers
    accepting = {**bearer(sandbox), "Accept-Encoding": "gzip, deflate"}
    packed = visit(sandbox, CONTENT, accepting)
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < len(plain.body) / 2
    assert gzip.decompress(packed.body) == plain.body
    small = visit(sandbox, f"{NESTED}/exp_x", accepting)
    assert "content-encoding" not in small.headers


def test_one_connection_serves_many_requests(sandbox: Sandbox) -> None:
    connection = connect(sandbox)
    for _ in range(20):
        assert ask(connection, CONTENT, bearer(sandbox)).status == 200
    first = connection.sock
    assert ask(connection, "/v1/nothing", {}).status == 404
    assert connection.sock is first
    connection.close()


def test_log_of_requests(sandbox: Sandbox) -> None:
    visit(sandbox, f"{CONTENT}?run_id=a%20b&run_id=c&x=", {"X-Thing": "Yes"})
    (request,) = sandbox.requests
    assert (request.method, request.path) == ("GET", CONTENT)
    assert request.query == {"run_id": ["a b", "c"], "x": [""]}
    assert request.headers["x-thing"] == "Yes"


def test_key_is_in_no_repr(sandbox: Sandbox) -> None:
    visit(sandbox, CONTENT)
    assert sandbox.api_key not in repr(sandbox)
    assert sandbox.api_key not in repr(sandbox.requests)
    assert sandbox.url in repr(sandbox)


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (b"\x00\xff", b"\x00\xff"),
        ("no json", b"no json"),
        ({"a": [1, "é"]}, '{"a": [1, "é"]}'.encode()),
        ([], b"[]"),
        (None, b"null"),
        ("", b""),
    ],
)
def test_set_body(sandbox: Sandbox, body: object, sent: bytes) -> None:
    sandbox.answer(CONTENT, body)
    answer = visit(sandbox, f"{CONTENT}?run_id=any", {})
    assert (answer.status, answer.body) == (200, sent)
    assert answer.headers["content-type"] == "application/json"
    assert sandbox.requests[-1].query == {"run_id": ["any"]}


def test_set_status_and_headers(sandbox: Sandbox) -> None:
    sandbox.answer("/any", "hi", status=418, headers={"Content-Type": "text/plain", "X-A": "b"})
    answer = visit(sandbox, "/any", {})
    assert answer.status == 418
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["x-a"] == "b"


def test_set_answers_are_given_in_turn_and_used_up(sandbox: Sandbox) -> None:
    sandbox.answer(CONTENT, "one", times=2)
    sandbox.answer(CONTENT, "two", times=1)
    bodies = [visit(sandbox, CONTENT).body for _ in range(3)]
    assert bodies == [b"one", b"one", b"two"]
    assert visit(sandbox, CONTENT).json["experiment_id"] == "exp_invoices"


def test_response_for_ever_can_be_replaced(sandbox: Sandbox) -> None:
    sandbox.answer(CONTENT, "one")
    sandbox.answer(CONTENT, "two")
    assert {visit(sandbox, CONTENT).body for _ in range(3)} == {b"two"}


def test_set_body_is_never_packed(sandbox: Sandbox) -> None:
    sandbox.answer(CONTENT, b"x" * 5_000)
    answer = visit(sandbox, CONTENT, {"Accept-Encoding": "gzip"})
    assert answer.body == b"x" * 5_000


def test_latency() -> None:
    with Sandbox(latency=0.1) as sandbox:
        begin = time.monotonic()
        visit(sandbox, CONTENT)
        assert 0.1 <= time.monotonic() - begin < 0.5


def test_many_clients_at_once_get_the_same(sandbox: Sandbox) -> None:
    paths = [f"{FLAT}/results?run_id={run.id}" for run in sandbox.workspace.runs()] * 8
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda path: visit(sandbox, path), paths))
    assert {answer.status for answer in answers} == {200}
    assert [answer.body for answer in answers[:15]] * 8 == [answer.body for answer in answers]
    assert len(sandbox.requests) == len(paths)


def test_client_that_disconnects_is_not_reported(
    sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    address = urlsplit(sandbox.url)
    for data in (b"", b"GET ", f"GET {CONTENT} HTTP/1.1\r\n\r\n".encode()):
        with socket.create_connection((address.hostname, address.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            client.sendall(data)
    assert visit(sandbox, CONTENT).status == 200
    time.sleep(0.1)
    assert capfd.readouterr() == ("", "")


def test_not_running_without_start() -> None:
    sandbox = Sandbox()
    with pytest.raises(RuntimeError, match="not running"):
        _ = sandbox.url
    assert "stopped" in repr(sandbox)
    sandbox.close()


def test_start_and_close_may_be_repeated() -> None:
    sandbox = Sandbox()
    sandbox.start()
    url = sandbox.url
    sandbox.start()
    assert sandbox.url == url
    sandbox.close()
    sandbox.close()
    with sandbox:
        assert visit(sandbox, CONTENT).status == 200


def test_port_of_choice_is_free_again_after_close() -> None:
    with Sandbox() as sandbox:
        port = urlsplit(sandbox.url).port or 0
        visit(sandbox, CONTENT)
    with Sandbox(port=port) as sandbox:
        assert sandbox.url == f"http://127.0.0.1:{port}"
        assert visit(sandbox, CONTENT).status == 200


def test_close_ends_kept_connections() -> None:
    sandbox = Sandbox()
    sandbox.start()
    connection = connect(sandbox)
    headers = bearer(sandbox)
    assert ask(connection, CONTENT, headers).status == 200
    sandbox.close()
    with pytest.raises(ConnectionError):
        ask(connection, CONTENT, headers)
    connection.close()


def test_large_workspace_is_served_soon() -> None:
    begin = time.monotonic()
    with Sandbox(documents=5_000) as sandbox:
        content = visit(sandbox, f"{CONTENT}?run_id=exprun_invoices_4").json
        assert len(content["content"]["jobs"]) == 5_000
    assert time.monotonic() - begin < 5


def test_it_imports_nothing_from_the_rest_of_the_package() -> None:
    probe = (
        "import sys, retab_frames; before = set(sys.modules); import retab_frames.sandbox; "
        "import retab_frames.sandbox.faults; print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, check=True)
    loaded = done.stdout.decode().split()
    assert "retab_frames.sandbox.server" in loaded
    roots = {name.partition(".")[0] for name in loaded} - {"retab_frames"}
    assert roots <= sys.stdlib_module_names
    ours = [name for name in loaded if name.startswith("retab_frames.")]
    assert [name for name in ours if not name.startswith("retab_frames.sandbox")] == []
