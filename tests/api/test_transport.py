from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding as PemEncoding,
    NoEncryption,
    PrivateFormat,
)
from stamina.instrumentation import RetryDetails, get_on_retry_hooks, set_on_retry_hooks

from retab_frames import (
    ApiStatusError,
    AuthError,
    Client,
    DeadlineError,
    MalformedResponseError,
    NotFoundError,
    RateLimitError,
    RequestError,
    ResponseTooLargeError,
    RetabFramesError,
    Sandbox,
    TransportError,
    load_jobs,
)
from retab_frames.api import connections
from retab_frames.sandbox.faults import (
    CloseDelimitedCut,
    CutBody,
    Drip,
    Empty,
    Encoding,
    Fault,
    GzipBomb,
    Hang,
    Html,
    Redirect,
    Reset,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORKFLOW = "wf_sandbox"
EXPERIMENT = "exp_invoices"
RUN = "exprun_invoices_2"
CONTENT = "/v1/workflows/wf_sandbox/experiments/exp_invoices/content"
RESULTS = "/v1/workflows/experiments/results"

Paged = tuple[Sandbox, Client]
REQUESTS_OF_A_RUN = 4  # its record and three pages


@pytest.fixture
def paged() -> Iterator[Paged]:
    with (
        Sandbox(generations=("C4",), page_limit=5) as sandbox,
        Client(sandbox.api_key, base_url=sandbox.url, api="results") as client,
    ):
        yield sandbox, client


@pytest.fixture
def waits() -> Iterator[list[float]]:
    """Collect the waits before each retry."""
    found: list[float] = []

    def remember(details: RetryDetails) -> None:
        found.append(details.wait_for)

    hooks = get_on_retry_hooks()
    set_on_retry_hooks([remember])
    yield found
    set_on_retry_hooks(hooks)


def jobs_of(client: Client) -> pd.DataFrame:
    frame = load_jobs(WORKFLOW, EXPERIMENT, run_id=RUN, client=client)
    return frame.drop(columns="fetched_at")


def content_of(client: Client) -> list[dict[str, Any]]:
    """Return the rows of a run that comes in one response."""
    found = client.content(WORKFLOW, EXPERIMENT, RUN)
    return [json.loads(bytes(row)) for row in found.responses.rows]


def client_of(sandbox: Sandbox, **settings: Any) -> Client:
    return Client(sandbox.api_key, base_url=sandbox.url, **settings)


PASSING = [
    CutBody(),
    CutBody(0),
    CutBody(0.99),
    Reset(),
    Reset(0),
    CloseDelimitedCut(),
    CloseDelimitedCut(0),
    CloseDelimitedCut(0.9),
    Html(),
    Empty(),
    Encoding("gzip"),
    *map(Status, (408, 425, 429, 500, 502, 503, 504, 522, 599)),
]


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize("place", range(REQUESTS_OF_A_RUN))
@pytest.mark.parametrize("fault", PASSING, ids=repr)
def test_a_passing_fault_costs_a_request_and_no_row(paged: Paged, fault: Fault, place: int) -> None:
    sandbox, client = paged
    expected = jobs_of(client)
    without = [(request.path, request.query) for request in sandbox.requests]
    assert len(without) == REQUESTS_OF_A_RUN
    sandbox.requests.clear()
    sandbox.misbehave(fault, after=place)
    pd.testing.assert_frame_equal(jobs_of(client), expected)
    asked = [(request.path, request.query) for request in sandbox.requests]
    assert asked == [*without[: place + 1], *without[place:]]


@pytest.mark.usefixtures("no_waits")
def test_a_fault_at_every_request_costs_a_request_each(paged: Paged) -> None:
    sandbox, client = paged
    expected = jobs_of(client)
    sandbox.requests.clear()
    for n, fault in enumerate((Reset(), Status(503), CutBody(), Status(429))):
        sandbox.misbehave(fault, after=1 if n else 0)
    pd.testing.assert_frame_equal(jobs_of(client), expected)
    assert len(sandbox.requests) == 2 * REQUESTS_OF_A_RUN


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize("retries", [0, 1, 3])
@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (Status(503), ApiStatusError, "503 Service Unavailable: Service Unavailable"),
        (Status(429), RateLimitError, "429 Too Many Requests"),
        (CutBody(), TransportError, r"received \d+ bytes, expected \d+"),
        (Reset(), TransportError, "no complete response from 127.0.0.1:"),
    ],
    ids=repr,
)
def test_a_lasting_fault_is_tried_as_often_as_said(
    sandbox: Sandbox, fault: Fault, error: type[RequestError], message: str, retries: int
) -> None:
    sandbox.misbehave(fault, times=None)
    with (
        client_of(sandbox, retries=retries) as client,
        pytest.raises(error, match=f"GET {CONTENT}: .*{message}") as caught,
    ):
        content_of(client)
    assert type(caught.value) is error
    assert caught.value.path == CONTENT
    assert caught.value.attempts == len(sandbox.requests) == retries + 1


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize("fault", [Html(), Empty()], ids=repr)
def test_a_lasting_body_that_is_no_json_is_tried_twice(
    client: Client, sandbox: Sandbox, fault: Fault
) -> None:
    sandbox.misbehave(fault, times=None)
    with pytest.raises(MalformedResponseError, match=f"GET {CONTENT}: the response is not JSON"):
        content_of(client)
    assert len(sandbox.requests) == 2


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize("keep", [0, 10, 0.5, -4])
def test_a_gzip_that_is_cut_is_no_whole_response(
    client: Client, sandbox: Sandbox, keep: float
) -> None:
    sandbox.misbehave(CloseDelimitedCut(keep), times=None)
    with pytest.raises(TransportError, match="gzip data does not end where the body ends"):
        content_of(client)
    assert len(sandbox.requests) == 4


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize("fault", [CloseDelimitedCut(), Html(), Empty()], ids=repr)
def test_a_body_that_is_no_json_is_tried_again_after_another_fault(
    client: Client, sandbox: Sandbox, fault: Fault
) -> None:
    sandbox.misbehave(Status(503))
    sandbox.misbehave(fault)
    assert len(content_of(client)) == 12
    assert len(sandbox.requests) == 3


def test_no_beginning_of_a_page_passes_for_the_page(sandbox: Sandbox) -> None:
    page = b'{"data": [{"id": "j", "document_id": "d"}], "list_metadata": {"after": null}}'
    sandbox.answer(RESULTS, page)
    with client_of(sandbox, api="results", retries=0) as client:
        for end in range(len(page)):
            sandbox.misbehave(CloseDelimitedCut(end))
            with pytest.raises(MalformedResponseError):
                client.pages(RUN)
        sandbox.misbehave(CloseDelimitedCut(len(page)))
        (payload,), _ = client.pages(RUN)
    assert [*map(bytes, payload.rows)] == [b'{"id": "j", "document_id": "d"}']
    assert len(sandbox.requests) == len(page) + 1


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (400, ApiStatusError),
        (401, AuthError),
        (403, AuthError),
        (404, NotFoundError),
        (405, ApiStatusError),
        (409, ApiStatusError),
        (410, ApiStatusError),
        (422, ApiStatusError),
        (501, ApiStatusError),
        (204, ApiStatusError),
        (206, ApiStatusError),
    ],
)
def test_a_status_that_will_not_pass_fails_at_once(
    sandbox: Sandbox, code: int, error: type[ApiStatusError]
) -> None:
    sandbox.misbehave(Status(code, body={"detail": "because of that"}))
    with (
        client_of(sandbox, api="content") as client,
        pytest.raises(ApiStatusError, match=f"GET {CONTENT}: {code} ") as caught,
    ):
        content_of(client)
    assert type(caught.value) is error
    assert (caught.value.status_code, caught.value.attempts) == (code, 1)
    assert caught.value.request_id == "req_00000001"
    assert ("because of that" in str(caught.value)) == (code != 204)
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"detail": "in words"}, ": in words"),
        ({"detail": {"code": "c", "message": "in an object", "details": None}}, ": in an object"),
        ({"detail": {"code": "only_a_code"}}, ": only_a_code"),
        ({"message": "without detail"}, ": without detail"),
        (
            {"detail": [{"loc": ["query", "limit"], "msg": "too large"}, {"msg": "and more"}]},
            ": query.limit: too large; : and more",
        ),
        ({"detail": []}, ""),
        ({"detail": [1, None]}, ""),
        ({"detail": 5}, ""),
        ({"detail": None}, ""),
        ({"detail": {"message": {"a": 1}}}, ""),
        ([], ""),
        (b"null", ""),
        ("<html>\n  <b>Bad</b></html>", ": <html> <b>Bad</b></html>"),
        (b"\xff\xfe", r": \xff\xfe"),
        ("[" * 2_000, ": " + "[" * 200),
        ("", ""),
        ({"detail": "\x1b[2J\u202e\n"}, r": \x1b[2J\u202e\n"),
        ({"detail": "long" * 100}, ": " + ("long" * 50)[:199] + "…"),
    ],
)
def test_an_error_body_is_told_in_one_printable_line(
    sandbox: Sandbox, body: Any, said: str
) -> None:
    sandbox.misbehave(Status(400, body=body))
    with (
        client_of(sandbox, api="content") as client,
        pytest.raises(ApiStatusError) as caught,
    ):
        content_of(client)
    assert str(caught.value) == f"GET {CONTENT}: 400 Bad Request{said}"
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("where", [None, 5, True])
def test_an_error_body_of_an_unknown_form_keeps_the_status(sandbox: Sandbox, where: object) -> None:
    sandbox.misbehave(Status(422, body={"detail": [{"loc": where, "msg": "too large"}]}))
    with (
        client_of(sandbox, api="content") as client,
        pytest.raises(ApiStatusError, match=r"422 Unprocessable \w+: .*too large"),
    ):
        content_of(client)


def test_waits_grow_and_vary(sandbox: Sandbox, waits: list[float]) -> None:
    sandbox.misbehave(Status(503), times=2)
    begin = time.monotonic()
    with client_of(sandbox, retries=2) as client:
        assert len(content_of(client)) == 12
    assert 0.5 <= waits[0] <= 1.0 <= waits[1] <= 1.5
    assert time.monotonic() - begin >= sum(waits)


def test_retry_after_is_obeyed(sandbox: Sandbox, waits: list[float]) -> None:
    sandbox.misbehave(Status(429, retry_after=1))
    sandbox.misbehave(Status(503, retry_after=0))
    begin = time.monotonic()
    with client_of(sandbox) as client:
        assert len(content_of(client)) == 12
    assert waits == [1.0, 0.0]
    assert 1.0 <= time.monotonic() - begin < 1.5
    assert len(sandbox.requests) == 3


@pytest.mark.parametrize(
    "date",
    ["Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 -0000", "21 Oct 2015 07:28 +0200"],
)
def test_a_date_that_is_over_is_no_wait(sandbox: Sandbox, waits: list[float], date: str) -> None:
    sandbox.misbehave(Status(429, retry_after=date))
    with client_of(sandbox) as client:
        assert len(content_of(client)) == 12
    assert waits == [0.0]


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize(
    "value",
    [
        "soon",
        "",
        "-1",
        "0.5",
        "1e3",
        "inf",
        "nan",
        "1, 2",
        "9" * 400,
        "Fri, 31 Dec 99999 23:59:59 GMT",
        pytest.param(
            "Mon, 01 Jan 2024 00:00:00 +99999999999999999",
        ),
    ],
)
def test_a_retry_after_that_makes_no_sense_is_passed_over(
    client: Client, sandbox: Sandbox, value: str
) -> None:
    sandbox.misbehave(Status(429, retry_after=value))
    assert len(content_of(client)) == 12
    assert len(sandbox.requests) == 2


def test_a_retry_after_that_makes_no_sense_leaves_our_own_wait(
    sandbox: Sandbox, waits: list[float]
) -> None:
    sandbox.misbehave(Status(429, retry_after="soon"))
    with client_of(sandbox) as client:
        content_of(client)
    assert len(waits) == 1
    assert 0.5 <= waits[0] <= 1.0


@pytest.mark.usefixtures("no_waits")
def test_the_longest_wait_that_is_obeyed(client: Client, sandbox: Sandbox) -> None:
    sandbox.misbehave(Status(429, retry_after=60))
    assert len(content_of(client)) == 12
    assert len(sandbox.requests) == 2


@pytest.mark.parametrize(
    ("code", "error", "wait", "told"),
    [
        (429, RateLimitError, "61", "asks to wait 61 s: try again then"),
        (503, ApiStatusError, "86400", "asks to wait 86400 s"),
        (429, RateLimitError, "Fri, 31 Dec 9999 23:59:59 GMT", r"asks to wait \d{12} s"),
    ],
)
def test_a_wait_too_long_fails_at_once_and_is_told(
    client: Client, sandbox: Sandbox, code: int, error: type[Exception], wait: str, told: str
) -> None:
    sandbox.misbehave(Status(code, retry_after=wait))
    begin = time.monotonic()
    with pytest.raises(ApiStatusError, match=f"{code} .*{told}") as caught:
        content_of(client)
    assert type(caught.value) is error
    assert time.monotonic() - begin < 0.5
    assert len(sandbox.requests) == 1


def test_retry_after_does_not_hold_up_a_status_that_will_not_pass(
    client: Client, sandbox: Sandbox
) -> None:
    sandbox.misbehave(Status(400, retry_after=5))
    with pytest.raises(ApiStatusError, match=r"400 Bad Request: Bad Request$"):
        content_of(client)
    assert len(sandbox.requests) == 1


def test_a_wait_beyond_the_deadline_fails_at_once_and_keeps_the_status(sandbox: Sandbox) -> None:
    sandbox.misbehave(Status(429, retry_after=1))
    begin = time.monotonic()
    with (
        client_of(sandbox, timeout=0.5) as client,
        pytest.raises(RateLimitError, match="asks to wait 1 s"),
    ):
        content_of(client)
    assert time.monotonic() - begin < 0.4
    assert len(sandbox.requests) == 1


def test_silence_ends_at_the_deadline(sandbox: Sandbox) -> None:
    sandbox.misbehave(Hang(30), times=None)
    begin = time.monotonic()
    with (
        client_of(sandbox, timeout=0.4) as client,
        pytest.raises(DeadlineError, match=f"GET {CONTENT}: not finished within 0.4 s.*longer"),
    ):
        content_of(client)
    assert 0.4 <= time.monotonic() - begin < 0.8
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"{}".ljust(500),
        pytest.param(
            gzip.compress(json.dumps(list(range(500))).encode()),
        ),
    ],
    ids=["identity", "gzip"],
)
def test_drops_end_at_the_deadline(sandbox: Sandbox, body: bytes) -> None:
    encoding = "gzip" if body.startswith(b"\x1f\x8b") else "identity"
    sandbox.answer(CONTENT, body, headers={"Content-Encoding": encoding})
    sandbox.misbehave(Drip(0.02), times=None)
    begin = time.monotonic()
    with (
        client_of(sandbox, timeout=0.4) as client,
        pytest.raises(DeadlineError, match=r"not finished within 0\.4 s"),
    ):
        content_of(client)
    assert 0.4 <= time.monotonic() - begin < 0.8
    assert len(sandbox.requests) == 1


def test_retries_share_one_deadline(sandbox: Sandbox) -> None:
    sandbox.misbehave(Status(503), times=1)
    sandbox.misbehave(Hang(30), times=None)
    begin = time.monotonic()
    with client_of(sandbox, timeout=1.5) as client, pytest.raises(DeadlineError):
        content_of(client)
    assert 1.5 <= time.monotonic() - begin < 2.0
    assert len(sandbox.requests) == 2


def test_a_slow_response_is_waited_for(sandbox: Sandbox) -> None:
    """The timeout is the only limit: a retry would begin the same long work again."""
    with client_of(sandbox, timeout=2, retries=3) as client:
        sandbox.misbehave(Hang(1.2))
        begin = time.monotonic()
        assert len(content_of(client)) == 12
    assert time.monotonic() - begin > 1.2
    assert len(sandbox.requests) == 1


@pytest.mark.usefixtures("no_waits")
def test_a_server_that_is_down(client: Client, sandbox: Sandbox) -> None:
    host = sandbox.url.removeprefix("http://")
    sandbox.close()
    with pytest.raises(TransportError, match=f"no complete response from {host}: ") as caught:
        content_of(client)
    assert type(caught.value) is TransportError
    assert caught.value.attempts == 4


def self_signed(folder: Path) -> ssl.SSLContext:
    """Return a context for a server whose certificate nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(PemEncoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(PemEncoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@contextmanager
def serving_tls(context: ssl.SSLContext | None) -> Iterator[tuple[str, list[str]]]:
    """Yield the URL of a TLS server, and what came of each connection; None hangs up at once."""
    outcomes: list[str] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    try:
                        if context is not None:
                            context.wrap_socket(connection, server_side=True).close()
                    except ssl.SSLError as error:
                        outcomes.append(type(error).__name__)
                    else:
                        outcomes.append("closed")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}", outcomes
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.mark.usefixtures("no_waits")
def test_a_certificate_that_is_not_trusted_is_not_tried_again(tmp_path: Path) -> None:
    with (
        serving_tls(self_signed(tmp_path)) as (url, outcomes),
        Client("key", base_url=url, retries=3) as client,
        pytest.raises(TransportError, match=r"no complete response from 127\.0\.0\.1:") as caught,
    ):
        content_of(client)
    assert caught.value.attempts == 1
    assert outcomes == ["SSLError"]


@pytest.mark.usefixtures("no_waits")
def test_a_handshake_that_breaks_off_is_tried_again() -> None:
    with (
        serving_tls(None) as (url, outcomes),
        Client("key", base_url=url, retries=2) as client,
        pytest.raises(TransportError) as caught,
    ):
        content_of(client)
    assert caught.value.attempts == 3
    assert outcomes == ["closed"] * 3


@pytest.mark.parametrize("link", ["cause", "context"])
@pytest.mark.parametrize(
    ("reason", "retry"),
    [
        (ssl.SSLCertVerificationError("no word of it"), False),
        (ssl.SSLError("certificate verify failed"), True),
        (None, True),
    ],
    ids=repr,
)
def test_a_certificate_error_is_known_by_its_type(
    reason: Exception | None, link: str, *, retry: bool
) -> None:
    """Law: no decision depends on the words of a library."""
    inner, outer = OSError("CERTIFICATE"), httpx.ConnectError("CERTIFICATE_VERIFY_FAILED")
    setattr(inner, f"__{link}__", reason)
    setattr(outer, f"__{link}__", inner)
    assert connections._translate(outer).may_pass is retry


def test_a_connection_gone_stale_is_made_anew(client: Client, sandbox: Sandbox) -> None:
    rows = content_of(client)
    port = int(sandbox.url.rpartition(":")[2])
    sandbox.close()
    with Sandbox(port=port) as risen:
        assert content_of(client) == rows
        assert len(risen.requests) == 1


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(client: Client, sandbox: Sandbox, code: int) -> None:
    with Sandbox(api_key=sandbox.api_key) as elsewhere:
        sandbox.misbehave(Redirect(f"{elsewhere.url}/v1/stolen", code))
        with pytest.raises(ApiStatusError, match=r"here to 127.0.0.1\) are not followed") as caught:
            content_of(client)
        assert elsewhere.requests == []
    assert caught.value.status_code == code
    assert len(sandbox.requests) == 1


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/v1/elsewhere", "the same host"),
        ("", "the same host"),
        ("//elsewhere.example/v1", "elsewhere.example"),
        ("https://elsewhere.example/?access_token=t0k3n", "elsewhere.example"),
        ("http://[::1", "an invalid URL"),
    ],
)
def test_a_redirect_tells_the_host_alone(
    client: Client, sandbox: Sandbox, location: str, target: str
) -> None:
    sandbox.misbehave(Redirect(location), times=None)
    with pytest.raises(ApiStatusError, match=rf"\(here to {target}\)") as caught:
        content_of(client)
    assert "t0k3n" not in str(caught.value)
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("name", ["br", "zstd", "deflate", "gzip, gzip", "foo\x1b"])
def test_an_encoding_not_asked_for_is_refused_by_name(
    client: Client, sandbox: Sandbox, name: str
) -> None:
    sandbox.misbehave(Encoding(name))
    with pytest.raises(
        TransportError, match=r"unexpected Content-Encoding '.*'; only gzip"
    ) as caught:
        content_of(client)
    assert name.strip("\x1b") in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("name", ["identity", "Identity", "gzip", "GZIP"])
def test_an_encoding_has_no_case(client: Client, sandbox: Sandbox, name: str) -> None:
    body = b'{"content": {"jobs": [{"id": "j"}]}}'
    packed = gzip.compress(body) if name.lower() == "gzip" else body
    sandbox.answer(CONTENT, packed, headers={"Content-Encoding": name})
    assert content_of(client) == [{"id": "j"}]


CAP = 100_000


@pytest.fixture
def low_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retab_frames.api.transport.MAX_BODY_BYTES", CAP)


@pytest.mark.usefixtures("low_cap")
@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"{}", GzipBomb(CAP + 1)),
        (b"{}", GzipBomb(50 * 2**20)),
        (b"[" * (CAP + 1), Fault()),
        (b"[" * (CAP + 1), CloseDelimitedCut(CAP + 1)),
        # what Content-Length says is enough: the body never comes
        (b"[" * (CAP + 1), CutBody(0)),
    ],
)
def test_a_body_too_large_is_refused(
    client: Client, sandbox: Sandbox, body: bytes, fault: Fault
) -> None:
    sandbox.answer(CONTENT, body)
    sandbox.misbehave(fault)
    with pytest.raises(ResponseTooLargeError, match=f"GET {CONTENT}: .*larger than 100,000 bytes"):
        content_of(client)
    assert len(sandbox.requests) == 1


@pytest.mark.usefixtures("low_cap")
def test_a_body_as_large_as_the_cap_is_taken(client: Client, sandbox: Sandbox) -> None:
    sandbox.answer(CONTENT, b'{"content": {"jobs": []}}'.ljust(CAP))
    assert content_of(client) == []


def test_a_large_body_that_cannot_be_read_is_quoted_by_its_beginning(
    client: Client, sandbox: Sandbox
) -> None:
    begin = b'{"key": "%b", ' % sandbox.api_key.encode()
    sandbox.answer(CONTENT, begin + b" " * 2**24)
    size = f"{len(begin) + 2**24:,}"
    with pytest.raises(MalformedResponseError, match=f"{size} bytes that begin") as caught:
        content_of(client)
    assert """{"key": "***", """ in str(caught.value)
    assert len(str(caught.value)) < 300


def test_of_a_large_error_only_the_beginning_is_read(client: Client, sandbox: Sandbox) -> None:
    detail = json.dumps({"detail": "not for you"}).encode()
    for body in (detail, detail + b" " * 2**22):
        sandbox.answer(CONTENT, body, status=403)
        with pytest.raises(ApiStatusError, match="not for you"):
            content_of(client)


def test_every_failure_is_of_the_family() -> None:
    family = [DeadlineError, TransportError, ApiStatusError, ResponseTooLargeError]
    assert all(issubclass(error, RequestError) for error in family)
    assert issubclass(RequestError, RetabFramesError)
    assert issubclass(MalformedResponseError, RetabFramesError)
