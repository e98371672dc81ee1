from __future__ import annotations

import copy
import io
import json
import logging
import os
import pickle
import signal
import threading
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest

from retab_frames import (
    ApiStatusError,
    Client,
    ConfigError,
    MalformedResponseError,
    RetabFramesError,
    Sandbox,
    iter_content,
    load_content,
    load_experiments,
    load_handle_inputs,
    load_jobs,
    load_runs,
)
from retab_frames.sandbox.faults import (
    CutBody,
    Drip,
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "rt_live_c4n4ryK3Y/7Zq"
TOKEN = "t0k3n_c4n4ry+x/y=="  # noqa: S105 - a canary
SECRETS = (KEY, TOKEN)
WORKFLOW = "wf_sandbox"
EXPERIMENT = "exp_invoices"
EXPERIMENTS = "/v1/workflows/wf_sandbox/experiments"
CONTENT = f"{EXPERIMENTS}/exp_invoices/content"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(api_key=KEY) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with Client(KEY, base_url=sandbox.url, access_token=TOKEN, timeout=20) as made:
        yield made


def assert_clean(text: str) -> None:
    """No secret stands in the text: not whole, not as in a URL, not the first half of it."""
    for secret in SECRETS:
        for form in (secret, quote(secret, safe=""), secret[: len(secret) // 2]):
            assert form not in text


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error, and all that stand behind it, suppressed or not."""
    if error is not None:
        yield error
        yield from chain(error.__cause__)
        yield from chain(error.__context__)


def with_locals(error: BaseException) -> str:
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def seen(value: object) -> str:
    try:
        return repr(value)
    except AttributeError:  # half made
        return "?"


def told(error: BaseException) -> str:
    """Return all that a nosy reporter would find out from an error."""
    found: list[object] = []
    for each in chain(error):
        found += [str(each), repr(each), each.args, vars(each)]
        for frame, _ in traceback.walk_tb(each.__traceback__):
            found += map(seen, frame.f_locals.values())
            if frame.f_code.co_filename != __file__:
                found += [getattr(value, "__dict__", None) for value in frame.f_locals.values()]
    return "\n".join(map(str, found))


def failure(call: Callable[[], object], kind: type[BaseException]) -> BaseException:
    with pytest.raises(kind) as caught:
        call()
    return caught.value


def test_the_canaries_sing(client: Client, sandbox: Sandbox) -> None:
    load_jobs(WORKFLOW, EXPERIMENT, client=client)
    (request,) = sandbox.requests
    assert request.headers["api-key"] == KEY
    assert request.query["access_token"] == [TOKEN]
    for form in (KEY, TOKEN, quote(TOKEN, safe=""), KEY[:12]):
        with pytest.raises(AssertionError):
            assert_clean(f"so {form} it is")


@pytest.mark.parametrize("used", [False, True])
def test_nothing_shows_in_a_client(client: Client, *, used: bool) -> None:
    if used:
        client.content(WORKFLOW, EXPERIMENT, None)
    http = client._http
    assert len(http._idle) == used
    for thing in (client, http, *http._idle):
        assert_clean(f"{thing} {thing!r} {vars(thing)}")


@pytest.mark.parametrize("travel", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_client_does_not_travel(client: Client, travel: Any) -> None:
    assert_clean(told(failure(lambda: travel(client), TypeError)))


@pytest.mark.parametrize("travel", [pickle.dumps, copy.deepcopy])
def test_its_transport_does_not_travel_either(client: Client, travel: Any) -> None:
    assert_clean(told(failure(lambda: travel(client._http), TypeError)))


FAULTS = [
    Status(400),
    Status(401),
    Status(403),
    Status(404),
    Status(429, retry_after=600),
    Status(503),
    CutBody(),
    Reset(),
    Html(),
    Encoding("br"),
    Encoding("gzip"),
    GzipBomb(3_000_000),
    Redirect("https://elsewhere.example/"),
    Redirect("http://[::1"),
    RepeatCursor(),
]


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize("load", [load_runs, load_jobs, load_content])
@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_nothing_shows_in_an_error(
    monkeypatch: pytest.MonkeyPatch, fault: Fault, load: Any
) -> None:
    monkeypatch.setattr("retab_frames.api.transport.MAX_BODY_BYTES", 1_000_000)
    with (
        Sandbox(api_key=KEY, generations=("C4",), page_limit=2) as sandbox,
        Client(KEY, base_url=sandbox.url, access_token=TOKEN, api="results") as client,
    ):
        sandbox.misbehave(fault, times=None)
        error = failure(lambda: load(WORKFLOW, EXPERIMENT, client=client), RetabFramesError)
    assert len(list(chain(error))) == 1
    assert_clean(told(error) + with_locals(error))
    assert_clean(repr(pickle.dumps(error)))
    restored = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(restored), str(restored)) == (type(error), str(error))


@pytest.mark.parametrize("fault", [Hang(30), Drip(0.05)], ids=repr)
def test_nothing_shows_in_an_error_of_time(sandbox: Sandbox, fault: Fault) -> None:
    sandbox.answer(f"{EXPERIMENTS}/exp_invoices/runs", b"[]".ljust(100))
    sandbox.misbehave(fault, times=None)
    with Client(KEY, base_url=sandbox.url, access_token=TOKEN, timeout=0.2) as client:
        error = failure(lambda: load_runs(WORKFLOW, EXPERIMENT, client=client), RetabFramesError)
    assert_clean(told(error))


@pytest.mark.usefixtures("no_waits")
def test_nothing_shows_when_the_server_is_down(client: Client, sandbox: Sandbox) -> None:
    sandbox.close()
    error = failure(lambda: load_jobs(WORKFLOW, EXPERIMENT, client=client), RetabFramesError)
    assert_clean(told(error))


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"base_url": "ftp://api.retab.com"}, ConfigError),
        ({"base_url": "http://api.retab.com"}, ConfigError),
        ({"access_token": "a b"}, ConfigError),
        ({"timeout": 0}, ValueError),
        ({"api": "v3"}, ValueError),
    ],
)
def test_nothing_shows_when_a_client_cannot_be_made(
    settings: dict[str, Any], error: type[Exception]
) -> None:
    assert_clean(told(failure(lambda: Client(KEY, **settings), error)))


def test_the_locals_can_be_shown_when_a_client_cannot_be_made() -> None:
    error = failure(lambda: Client("key", base_url="ftp://api.retab.com"), ConfigError)
    assert "the base URL is not valid" in with_locals(error)


def test_nothing_shows_of_a_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAB_API_KEY", KEY)
    monkeypatch.setenv("RETAB_API_BASE_URL", "ftp://api.retab.com")
    assert_clean(told(failure(Client, ConfigError)))


@pytest.mark.parametrize("odd", ["{}\nX-Evil: 1", "key {}", "{}é"])
def test_nothing_shows_of_a_key_that_cannot_be_used(odd: str) -> None:
    assert_clean(told(failure(lambda: Client(odd.format(KEY)), ConfigError)))


@pytest.mark.parametrize(
    "echo",
    [
        {"detail": f"no such key: {KEY}"},
        {"detail": {"message": f"Bearer {KEY} is unknown, {TOKEN} too"}},
        {"detail": [{"loc": ["header", KEY], "msg": f"bad {TOKEN}"}]},
        json.dumps({"detail": f"key {KEY}"}).replace("_", "\\u005f"),
        f"<html>Api-Key: {KEY}\r\nAuthorization: Bearer {KEY}</html>",
        f"{KEY}{KEY}{TOKEN}",
        {"detail": "x" * 190 + KEY},
        pytest.param(
            "x" * 185 + KEY,
        ),
        pytest.param(
            {"detail": f"GET /v1/workflows?access_token={quote(TOKEN, safe='')}"},
        ),
    ],
)
@pytest.mark.parametrize("code", [400, 401, 500])
def test_an_error_body_that_echoes_the_secrets_is_masked(
    sandbox: Sandbox, echo: object, code: int
) -> None:
    sandbox.misbehave(Status(code, body=echo), times=None)
    with Client(KEY, base_url=sandbox.url, access_token=TOKEN, retries=0) as client:
        error = failure(lambda: load_jobs(WORKFLOW, EXPERIMENT, client=client), ApiStatusError)
    assert f"GET {CONTENT}: {code} " in str(error)
    assert_clean(told(error))


@pytest.mark.parametrize(
    "echo",
    [
        f"<html>{KEY} {TOKEN}</html>",
        f"{KEY} {TOKEN}",
        f'{{"experiment_id": 5, "run_id": "{KEY}"}}',
        pytest.param(
            "x" * 45 + KEY,
        ),
    ],
)
def test_a_body_that_echoes_the_secrets_and_is_no_content_is_masked(
    sandbox: Sandbox, echo: str
) -> None:
    sandbox.answer(CONTENT, echo)
    with Client(KEY, base_url=sandbox.url, access_token=TOKEN, retries=0) as client:
        error = failure(
            lambda: load_jobs(WORKFLOW, EXPERIMENT, client=client), MalformedResponseError
        )
    assert_clean(told(error))


@pytest.mark.usefixtures("no_waits")
def test_nothing_shows_in_any_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        Sandbox(api_key=KEY) as sandbox,
        Client(KEY, base_url=sandbox.url, access_token=TOKEN, retries=4) as client,
    ):
        for fault in (Html(), Reset(), CutBody(), Status(503, body={"detail": KEY})):
            sandbox.misbehave(fault)
        load_experiments(WORKFLOW, client=client)
        load_jobs(WORKFLOW, EXPERIMENT, run_id=sandbox.run_ids(EXPERIMENT), client=client)
        assert [request.path for request in sandbox.requests[:5]] == [EXPERIMENTS] * 5
        sandbox.misbehave(Status(400, body={"detail": TOKEN}))
        failure(lambda: load_runs(WORKFLOW, EXPERIMENT, client=client), ApiStatusError)
    loggers = {record.name.partition(".")[0] for record in caplog.records}
    assert {"retab_frames", "httpcore", "stamina"} <= loggers
    for record in caplog.records:
        assert_clean(f"{record.getMessage()} {vars(record)}")


def test_nothing_shows_in_a_frame(client: Client, sandbox: Sandbox) -> None:
    ids = sandbox.run_ids(EXPERIMENT)
    for frame in (
        load_experiments(WORKFLOW, client=client),
        load_runs(WORKFLOW, EXPERIMENT, client=client),
        load_jobs(WORKFLOW, EXPERIMENT, run_id=ids, client=client),
        load_handle_inputs(WORKFLOW, EXPERIMENT, run_id=ids, client=client),
    ):
        parquet = io.BytesIO()
        frame.to_parquet(parquet, compression=None)
        assert frame.attrs == {}
        assert_clean(f"{frame!r} {frame.to_csv()} {frame.attrs} {vars(frame)}")
        assert_clean(parquet.getvalue().decode("latin-1"))


@pytest.mark.parametrize("run_id", ["exprun_invoices_2", "exprun_gone"])
def test_nothing_shows_in_a_content(client: Client, run_id: str) -> None:
    (content,) = iter_content(
        WORKFLOW, EXPERIMENT, run_id=[run_id], client=client, errors="collect"
    )
    assert_clean(f"{content} {vars(content)} {content.issues.to_csv()} {content.raw.to_csv()}")
    assert_clean(content.run.to_csv() + content.jobs.to_csv())


def test_an_interrupt_passes_through_and_shows_nothing(client: Client, sandbox: Sandbox) -> None:
    sandbox.misbehave(Hang(30), times=None)
    interrupt = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    error = failure(lambda: load_runs(WORKFLOW, EXPERIMENT, client=client), KeyboardInterrupt)
    interrupt.join()
    assert_clean(told(error))


def test_the_key_goes_to_no_other_origin(client: Client, sandbox: Sandbox) -> None:
    with Sandbox() as elsewhere:
        sandbox.misbehave(Redirect(f"{elsewhere.url}{CONTENT}"), times=None)
        failure(lambda: load_jobs(WORKFLOW, EXPERIMENT, client=client), ApiStatusError)
        inner = client._http._borrow()
        with pytest.raises(Exception, match="the key is for another origin"):
            inner.handle_request(httpx.Request("GET", f"{elsewhere.url}{CONTENT}"))
        inner.close()
        assert elsewhere.requests == []
