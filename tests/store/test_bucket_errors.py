"""Real errors of the installed obstore, classified; the check runs with its oldest release too."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import obstore
import pytest
from buckets import KEY_ID, SECRET, FaultyProxy, point_at, s3_server
from obstore import exceptions
from obstore.store import S3Store

from retab_frames.store.files import bucket_errors
from retab_frames.store.files.bucket_errors import Failure, call_bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BROKEN_OFF = Failure("interrupted", "the connection broke off")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture(autouse=True)
def environment(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(server, monkeypatch)


def open_bucket(url: str, name: str = "bucket", *, allow_http: bool = True) -> S3Store:
    options = {"timeout": "500ms", "connect_timeout": "500ms", "allow_http": allow_http}
    return S3Store(name, endpoint=url, client_options=options, retry_config={"max_retries": 0})


def put(store: S3Store) -> Failure:
    failed = call_bucket(obstore.put, store, "a", b"data", mode="create", use_multipart=False)
    assert isinstance(failed, Failure)
    return failed


def head(store: S3Store) -> Failure:
    failed = call_bucket(obstore.head, store, "a")
    assert isinstance(failed, Failure)
    return failed


def walk(store: S3Store) -> Failure:
    failed = call_bucket(lambda: [list(page) for page in obstore.list(store)])
    assert isinstance(failed, Failure)
    return failed


@pytest.mark.parametrize(
    ("fault", "on_put", "on_list"),
    [
        ("400", Failure("refused", "HTTP 400"), Failure("refused", "HTTP 400")),
        ("401", Failure("refused", "HTTP 401"), Failure("refused", "HTTP 401")),
        ("403", Failure("refused", "HTTP 403 SignatureDoesNotMatch"), None),
        ("404", Failure("absent", "HTTP 404"), Failure("refused", "HTTP 404")),
        ("408", Failure("unclear", "HTTP 408"), Failure("unclear", "HTTP 408")),
        ("409", Failure("taken", "HTTP 409"), Failure("unclear", "HTTP 409")),
        ("412", Failure("taken", "HTTP 412"), Failure("refused", "HTTP 412")),
        ("429", Failure("unclear", "HTTP 429"), Failure("unclear", "HTTP 429")),
        ("500", Failure("unclear", "HTTP 500"), Failure("unclear", "HTTP 500")),
        ("503", Failure("unclear", "HTTP 503"), Failure("unclear", "HTTP 503")),
        ("never", BROKEN_OFF, BROKEN_OFF),
        ("lost", BROKEN_OFF, BROKEN_OFF),
        ("hang", Failure("unclear", "no answer in time"), None),
    ],
)
def test_what_a_server_answers(
    server: str, fault: str, on_put: Failure, on_list: Failure | None
) -> None:
    with FaultyProxy(server) as proxy:
        proxy.faults = {"PUT": [fault], "GET": [fault]}
        store = open_bucket(proxy.url)
        found = put(store), walk(store)
    assert found == (on_put, on_list or on_put)
    assert KEY_ID not in repr(found)
    assert SECRET not in repr(found)


def test_an_answer_that_ends_early(server: str) -> None:
    with FaultyProxy(server) as proxy:
        proxy.faults = {"GET": ["cut"]}
        assert walk(open_bucket(proxy.url)) == BROKEN_OFF


def test_a_missing_bucket_is_not_a_missing_object(server: str) -> None:
    missing = Failure("refused", "there is no such bucket")
    store = open_bucket(server, "no-bucket")
    assert (put(store), walk(store)) == (missing, missing)
    # the answer to HEAD has no body that would say which of the two is missing
    assert head(store) == Failure("absent", "HTTP 404")


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert put(open_bucket(f"http://127.0.0.1:{port}")) == Failure("unsent", "no connection")


def test_plain_http_is_not_allowed(server: str) -> None:
    failed = put(open_bucket(server, allow_http=False))
    assert failed.kind == "refused"
    assert failed.reason.startswith("plain http is refused")


# Errors that no server here can make: their text is that of obstore's source


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        (
            "Error performing PUT http://169.254.169.254/token - status code: 403 Forbidden",
            Failure("unsent", "there are no credentials in the environment"),
        ),
        (
            "Received redirect without LOCATION, [...] an incorrectly configured region",
            Failure("refused", "the bucket is in another region, set AWS_REGION"),
        ),
        (
            "status code: 404 Not Found: <Code>ContainerNotFound</Code>",
            Failure("refused", "there is no such container"),
        ),
        ("Account must be specified", Failure("unclear", "GenericError")),
    ],
)
def test_a_generic_error_is_classified_by_its_text(text: str, failure: Failure) -> None:
    assert call_bucket(raises(exceptions.GenericError(text))) == failure


@pytest.mark.parametrize(
    ("kind", "failure"),
    [
        ("AlreadyExistsError", "taken"),
        ("NotFoundError", "absent"),
        ("PermissionDeniedError", "refused"),
        ("UnauthenticatedError", "refused"),
        ("PreconditionError", "refused"),
        ("NotSupportedError", "refused"),
        ("InvalidPathError", "refused"),
        ("UnknownConfigurationKeyError", "refused"),
        ("JoinError", "unclear"),
        ("GenericError", "unclear"),
    ],
)
def test_the_class_decides(kind: str, failure: str) -> None:
    # text that says otherwise: it might be in a path
    text = "kind: Connect status code: 500" if failure not in {"absent", "unclear"} else ""
    found = call_bucket(raises(getattr(exceptions, kind)(text)))
    assert isinstance(found, Failure)
    assert found.kind == failure


def test_every_fragment_is_tested() -> None:
    assert set(bucket_errors._FRAGMENTS) == {
        "169.254.169.254",
        "BadScheme",
        "NoSuchBucket",
        "ContainerNotFound",
        "incorrectly configured region",
        "kind: Connect",
        "kind: Timeout",
        "kind: Interrupted",
        "kind: Request",
    }


def raises(error: Exception) -> Callable[[], None]:
    def call() -> None:
        raise error

    return call
