from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpcore
import httpx
import pytest
from httpcore._backends.sync import SyncStream
from servers import HOST, content_body, http_ok, make_identity, proxy, raw_server

import retab_frames as rf
from retab_frames import Client, ConfigError, DeadlineError, TransportError
from retab_frames.api.routes import Route

if TYPE_CHECKING:
    from pathlib import Path

KEY = "rt_canary_7f3a9b1c2d"
PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")

Answer = Callable[[socket.socket, int, bytes], object]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXY_VARIABLES, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def load(port: int, **settings: Any) -> int:
    """Return how many jobs a server on this machine gives."""
    settings = {"base_url": f"http://127.0.0.1:{port}", "timeout": 5, "retries": 0, **settings}
    with Client(KEY, api="content", **settings) as client:
        return ask(client)


def ask(client: Client) -> int:
    return len(client.content("wf", "exp_1", "run_1").responses.rows)


def whole(connection: socket.socket, number: int, head: bytes) -> None:
    del number, head
    connection.sendall(http_ok(content_body()))


# The deadline


def trickle(begin: bytes, piece: bytes, pause: float = 0.05) -> Answer:
    def answer(connection: socket.socket, number: int, head: bytes) -> None:
        del number, head
        connection.sendall(begin)
        while True:
            connection.sendall(piece)
            time.sleep(pause)

    return answer


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "nothing": lambda connection, *_: connection.recv(1),
    "interim responses": trickle(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "interim responses at full speed": trickle(
        b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 50, 0
    ),
    "a status line": trickle(b"HTTP/1.1 200 ", b"O"),
    "a header": trickle(b"HTTP/1.1 200 OK\r\nX-Pad: ", b"a"),
    "the size of a chunk": trickle(CHUNKED, b"0"),
    "the extension of a chunk": trickle(CHUNKED + b"5;", b"a"),
    "empty pieces of a chunk": trickle(CHUNKED, b"1\r\n \r\n"),
    "trailers": trickle(
        CHUNKED + b"%x\r\n%b\r\n0\r\n" % (len(content_body()), content_body()), b"X: a\r\n"
    ),
    "a body": trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
}


@pytest.mark.parametrize("answer", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_request_ends_at_its_deadline_whatever_trickles_in(answer: Answer) -> None:
    with raw_server(answer) as (port, _):
        begin = time.monotonic()
        with pytest.raises(DeadlineError, match=r"not finished within 0\.5 s"):
            load(port, timeout=0.5)
        assert 0.5 <= time.monotonic() - begin < 1


def test_a_tls_handshake_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        begin = time.monotonic()
        with pytest.raises(DeadlineError):
            load(0, base_url=url, timeout=0.5)
        assert 0.5 <= time.monotonic() - begin < 1


def test_a_proxy_that_trickles_ends_at_the_deadline() -> None:
    with raw_server(trickle(b"HTTP/1.1 200 OK\r\nX-Pad: ", b"a")) as (port, _):
        begin = time.monotonic()
        with pytest.raises(DeadlineError):
            load(0, base_url=f"https://{HOST}", proxy=f"http://127.0.0.1:{port}", timeout=0.5)
        assert 0.5 <= time.monotonic() - begin < 1


def test_the_addresses_of_a_host_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first address that swallows everything does not use up the time of the second."""
    with raw_server(whole) as (port, _):
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("192.0.2.1", "127.0.0.1")
        ]
        resolve = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *rest, **more: (
                found if host == "localhost" else resolve(host, *rest, **more)
            ),
        )
        connect = httpcore.SyncBackend.connect_tcp

        def swallow(self: Any, host: str, port: int, timeout: float, *rest: Any) -> Any:
            if host == "192.0.2.1":
                time.sleep(timeout)
                raise httpcore.ConnectTimeout("timed out")
            return connect(self, host, port, timeout, *rest)

        monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", swallow)
        begin = time.monotonic()
        assert load(0, base_url=f"http://localhost:{port}", timeout=2) == 2
        assert 1 <= time.monotonic() - begin < 1.5


def test_a_wait_that_the_deadline_would_cut_is_not_begun() -> None:
    """The failure at hand says more than the deadline would."""
    begin = time.monotonic()
    with (
        raw_server(lambda connection, *_: connection.close()) as (port, _),
        pytest.raises(TransportError, match="disconnected without sending") as caught,
    ):
        load(port, timeout=1, retries=9)
    assert time.monotonic() - begin < 1.2
    assert type(caught.value) is TransportError


@pytest.mark.parametrize("wrong", [float("inf"), float("nan"), 1e10, 0, -1, "3", None])
def test_a_timeout_is_a_number_of_seconds(wrong: Any) -> None:
    with pytest.raises(ValueError, match="timeout takes seconds, more than 0 and at most 604,800"):
        Client(KEY, timeout=wrong)


# What is left over


@pytest.mark.parametrize("left", [http_ok(content_body(jobs=7)), b"x", b"HTTP/1.1 200 OK\r\n"])
def test_what_comes_behind_a_response_answers_no_request(left: bytes) -> None:
    def answer(connection: socket.socket, number: int, _: bytes) -> None:
        connection.sendall(http_ok(content_body()) + (left if number == 1 else b""))

    with raw_server(answer) as (port, heads):
        with Client(KEY, base_url=f"http://127.0.0.1:{port}", retries=0, api="content") as client:
            for _ in range(3):
                assert ask(client) == 2
        assert len(heads) == 3


@pytest.mark.parametrize("kind", ["length", "chunked"])
def test_a_clean_connection_is_used_again(kind: str) -> None:
    """This fails if httpcore no longer shows whether something is left over."""
    ports = set()
    body = content_body()
    chunked = CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)

    def answer(connection: socket.socket, *_: object) -> None:
        ports.add(connection.getpeername()[1])
        connection.sendall(http_ok(body) if kind == "length" else chunked)

    with (
        raw_server(answer) as (port, heads),
        Client(KEY, base_url=f"http://127.0.0.1:{port}", api="content") as client,
    ):
        for _ in range(3):
            ask(client)
    assert (len(heads), len(ports)) == (3, 1)


def test_a_connection_that_cannot_be_looked_into_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(httpcore.ConnectionPool, "connections", [object()])
    ports = set()

    def answer(connection: socket.socket, number: int, head: bytes) -> None:
        ports.add(connection.getpeername()[1])
        whole(connection, number, head)

    with (
        raw_server(answer) as (port, _),
        Client(KEY, base_url=f"http://127.0.0.1:{port}", api="content") as client,
    ):
        for _ in range(2):
            ask(client)
    assert len(ports) == 2


# Proxies


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_the_proxy_of_the_environment_leads_to_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    identity = make_identity(tmp_path)
    with raw_server(whole, identity.context) as (port, heads), proxy(port) as (way, asked):
        monkeypatch.setenv(variable, f"127.0.0.1:{way}")
        assert load(0, base_url=f"https://{HOST}", verify=identity.ca) == 2
    assert asked[0].startswith(b"CONNECT api.retab.test:443 HTTP/1.1")
    assert KEY.encode() not in asked[0]
    assert f"api-key: {KEY}".encode() in heads[0].lower()


def test_a_proxy_that_is_given_goes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = make_identity(tmp_path)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", HOST)
    with raw_server(whole, identity.context) as (port, _), proxy(port) as (way, asked):
        url = f"http://user:pass%20word@127.0.0.1:{way}"
        assert load(0, base_url=f"https://{HOST}", verify=identity.ca, proxy=url) == 2
    # user:pass word
    assert b"proxy-authorization: basic dxnlcjpwyxnzihdvcmq=" in asked[0].lower()


@pytest.mark.parametrize("number", [1, 3])
def test_a_proxy_that_is_reached_by_tls(tmp_path: Path, number: int) -> None:
    """What comes behind a response through it is not taken for the next one either."""
    identity = make_identity(tmp_path)

    def answer(connection: socket.socket, n: int, _: bytes) -> None:
        connection.sendall(http_ok(content_body()))
        if n == 1:
            connection.sendall(http_ok(content_body(jobs=7)))

    with (
        raw_server(answer, identity.context) as (port, heads),
        proxy(port, context=identity.context) as (way, asked),
        Client(
            KEY,
            base_url=f"https://{HOST}",
            verify=identity.ca,
            proxy=f"https://127.0.0.1:{way}",
            api="content",
            timeout=5,
        ) as client,
    ):
        assert [ask(client) for _ in range(number)] == [2] * number
    assert len(heads) == len(asked) == number


@pytest.mark.parametrize("answer", [ENDLESS["a header"], ENDLESS["nothing"]])
def test_what_trickles_through_a_tls_proxy_ends_at_the_deadline(
    tmp_path: Path, answer: Answer
) -> None:
    identity = make_identity(tmp_path)
    with (
        raw_server(answer, identity.context) as (port, _),
        proxy(port, context=identity.context) as (way, _),
    ):
        begin = time.monotonic()
        with pytest.raises(DeadlineError):
            load(
                0,
                base_url=f"https://{HOST}",
                verify=identity.ca,
                proxy=f"https://127.0.0.1:{way}",
                timeout=0.7,
            )
        assert 0.7 <= time.monotonic() - begin < 1.5


@pytest.mark.parametrize("exception", ["127.0.0.1", "*", "example.org, 127.0.0.1"])
def test_the_environment_may_except_a_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exception: str
) -> None:
    identity = make_identity(tmp_path)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", exception)
    with raw_server(whole, identity.context) as (port, _):
        assert load(0, base_url=f"https://127.0.0.1:{port}", verify=identity.ca) == 2


def test_no_proxy_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = make_identity(tmp_path)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with raw_server(whole, identity.context) as (port, _):
        url = f"https://127.0.0.1:{port}"
        assert load(0, base_url=url, verify=identity.ca, proxy=False) == 2


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_plain_http_of_this_machine_shows_no_proxy_the_key(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with raw_server(whole) as (port, _), proxy(port) as (way, asked):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{way}")
        assert load(port) == 2
        assert asked == []
        # unless the caller asks for it
        assert load(port, proxy=f"http://127.0.0.1:{way}") == 2
        assert asked[0].startswith(f"GET http://127.0.0.1:{port}/v1/".encode())


def test_a_refused_password_is_not_tried_again_and_not_shown() -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required hunter2!\r\nContent-Length: 0\r\n\r\n"
    with proxy(0, refusal) as (way, asked):
        url = f"http://user:hunter2!@127.0.0.1:{way}"
        with pytest.raises(TransportError) as caught:
            load(0, base_url=f"https://{HOST}", proxy=url, retries=3)
        assert len(asked) == 1
    assert f"no complete response from {HOST} through the proxy 127.0.0.1:{way}: 407 " in str(
        caught.value
    )
    assert str(caught.value).endswith(
        "check the proxy, which Client(proxy=...) names, and base_url"
    )
    assert "hunter2" not in str(caught.value)


@pytest.mark.usefixtures("no_waits")
def test_a_proxy_out_of_order_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
    with proxy(0, refusal) as (way, asked):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{way}")
        with pytest.raises(TransportError, match=r"502 Bad Gateway; .*which HTTPS_PROXY names"):
            load(0, base_url=f"https://{HOST}", retries=2)
        assert len(asked) == 3


# Certificates


def test_certificates_of_the_caller_and_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = make_identity(tmp_path)
    with raw_server(whole, identity.context) as (port, _):
        url = f"https://127.0.0.1:{port}"
        with pytest.raises(TransportError, match=r"certificate verify failed.*SSL_CERT_FILE"):
            load(0, base_url=url)
        assert load(0, base_url=url, verify=str(identity.ca)) == 2
        monkeypatch.setenv("SSL_CERT_FILE", str(identity.ca))
        assert load(0, base_url=url) == 2


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", None])
@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"\xff\x00"])
def test_certificates_that_cannot_be_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None, content: bytes | None
) -> None:
    path = tmp_path / "junk.pem"
    if content is not None:
        path.write_bytes(content)
    if variable:
        monkeypatch.setenv(variable, str(path))
    named = variable or r"Client\(verify=\.\.\.\)"
    with pytest.raises(ConfigError, match=f"junk.pem, which {named} names: .+"):
        load(0, base_url="https://127.0.0.1:9", **({} if variable else {"verify": path}))


def test_verification_cannot_be_switched_off() -> None:
    with pytest.raises(ValueError, match="verify=False would send the key to whoever answers"):
        Client(KEY, verify=False)
    wrong: Any = 3
    with pytest.raises(
        TypeError, match=r"verify takes a path, an ssl\.SSLContext or True, not int"
    ):
        Client(KEY, verify=wrong)


# The key


def keyed_locals(error: BaseException | None) -> set[str]:
    """Return the locals of all tracebacks of an error, and of those behind it, with the key."""
    found, seen = set(), set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        trace = error.__traceback__
        while trace is not None:
            for name, value in [*trace.tb_frame.f_locals.items()]:
                if trace.tb_frame.f_code.co_filename == __file__:
                    continue
                with suppress(Exception):  # of an object that is half made
                    if KEY in repr(value):
                        found.add(f"{trace.tb_frame.f_code.co_qualname}: {name}")
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
    return found


class Stop(SystemExit):
    """What a signal handler raises."""


def raise_stop(*_: object) -> None:
    raise Stop


@pytest.mark.parametrize("step", ["connect_tcp", "write", "read"])
def test_whatever_is_raised_while_a_request_is_sent_shows_no_key(
    monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    owner = httpcore.SyncBackend if step == "connect_tcp" else SyncStream
    monkeypatch.setattr(owner, step, raise_stop)
    with raw_server(whole) as (port, _), pytest.raises(Stop) as caught:
        load(port)
    assert keyed_locals(caught.value) == set()


# a socket that is being made when the signal comes is closed by the collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_signals_at_any_moment_show_no_key() -> None:
    """Law: the key stands in no frame of a traceback, whenever an exception comes."""
    before = signal.signal(signal.SIGALRM, raise_stop)
    shown: set[str] = set()
    stopped = 0
    try:
        with (
            raw_server(whole) as (port, _),
            Client(KEY, base_url=f"http://127.0.0.1:{port}", api="content") as client,
        ):
            for n in range(400):
                try:
                    try:
                        signal.setitimer(signal.ITIMER_REAL, 0.00001 + 0.00001 * (n % 200))
                        ask(client)
                    finally:
                        signal.setitimer(signal.ITIMER_REAL, 0)
                except Stop as error:
                    stopped += 1
                    shown |= keyed_locals(error)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert shown == set()
    assert stopped > 100


def test_recursion_errors_show_no_key() -> None:
    def descend(levels: int, ask: Callable[[], object]) -> object:
        return descend(levels - 1, ask) if levels else ask()

    shown: set[str] = set()
    raised = 0
    with (
        raw_server(whole) as (port, _),
        Client(KEY, base_url=f"http://127.0.0.1:{port}", retries=0, api="content") as client,
    ):
        used = len(list(iter_frames()))
        for room in range(5, 120):
            try:
                descend(
                    sys.getrecursionlimit() - used - room,
                    lambda: ask(client),
                )
            except RecursionError as error:
                raised += 1
                shown |= keyed_locals(error)
            except rf.RetabFramesError:
                pass
    assert shown == set()
    assert raised > 10


def iter_frames() -> Any:
    frame = sys._getframe()
    while frame:
        yield frame
        frame = frame.f_back  # type: ignore[assignment]


def test_the_callers_own_error_keeps_its_traceback() -> None:
    """What is behind an error, and was there before the request, is not ours to cut."""
    with raw_server(lambda connection, *_: connection.close()) as (port, _):
        try:
            # with frames of httpx, which could hold the key if they were ours
            httpx.HTTPTransport(proxy="foo://127.0.0.1")
        except ValueError as error:
            own, trace = error, error.__traceback__
            with pytest.raises(TransportError) as caught:
                load(port)
    assert caught.value.__context__ is own
    assert own.__traceback__ is trace
    assert trace is not None
    assert trace.tb_next is not None


def test_an_error_of_ours_keeps_the_frames_that_hold_no_key() -> None:
    def decode(_: bytes) -> None:
        raise ZeroDivisionError

    with (
        raw_server(whole) as (port, _),
        Client(KEY, base_url=f"http://127.0.0.1:{port}") as client,
        pytest.raises(ZeroDivisionError) as caught,
    ):
        client._http.get(Route(("x",)), decode)
    assert caught.traceback[-1].name == "decode"
