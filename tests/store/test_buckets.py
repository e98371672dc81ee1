from __future__ import annotations

import pickle
import socket
import subprocess
import sys
import threading
import time
import traceback
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from buckets import KEY_ID, SECRET, FaultyProxy, point_at, s3_server

import retab_frames as rf
from retab_frames.errors import (
    MissingExtraError,
    SnapshotConflictError,
    SnapshotCorruptError,
    SnapshotError,
    SnapshotWriteError,
)
from retab_frames.store.files import buckets
from retab_frames.store.files.buckets import BucketStorage
from retab_frames.store.files.local import LocalStorage
from retab_frames.store.files.storage import Storage, open_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAME = "jobs/exp/run.parquet"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of an empty place in the bucket."""
    point_at(server, monkeypatch)
    return f"s3://bucket/{abs(hash(request.node.name)):x}"


@pytest.fixture
def bucket(url: str) -> BucketStorage:
    return BucketStorage(url)


@pytest.fixture
def proxy(server: str, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """Put a proxy before the bucket, which so far passes everything on."""
    assert url
    monkeypatch.setattr(buckets, "_FIRST_WAIT_S", 0.01)
    with FaultyProxy(server) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        yield running


@pytest.fixture
def spoiled(proxy: FaultyProxy, url: str) -> BucketStorage:
    """Return a storage behind the proxy that has seen that its server refuses taken names."""
    storage = BucketStorage(url, timeout=20)
    storage.create("first", b"")
    proxy.seen.clear()
    return storage


@pytest.fixture(params=["local", "memory", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return open_storage(tmp_path / "store")
    if request.param == "memory":
        return open_storage(f"memory://{request.node.name.translate({91: '-', 93: ''})}/prefix")
    return open_storage(request.getfixturevalue("url"))


# What every storage does


@pytest.mark.parametrize("data", [b"", b"a", b"\x00\xff" * 70_000])
def test_a_file_has_its_bytes_and_nothing_stands_beside_it(storage: Storage, data: bytes) -> None:
    assert storage.create(NAME, data) is True
    assert storage.read(NAME) == data
    assert storage.size(NAME) == len(data)
    assert list(storage.walk()) == [NAME]


def test_a_taken_name_keeps_its_bytes(storage: Storage) -> None:
    storage.create(NAME, b"first")
    before = storage.modified(NAME)
    for data in (b"second", b"first"):
        assert storage.create(NAME, data) is False
    assert (storage.read(NAME), storage.modified(NAME)) == (b"first", before)
    assert list(storage.walk()) == [NAME]


def test_when_a_file_was_written(storage: Storage) -> None:
    storage.create(NAME, b"")
    assert storage.modified(NAME).tzinfo is UTC or storage.modified(NAME).utcoffset() == timedelta()
    # S3 tells whole seconds
    assert abs(datetime.now(UTC) - storage.modified(NAME)) < timedelta(seconds=5)


@pytest.mark.parametrize("name", [NAME, "jobs/exp", "jobs/exp/run.parquet/below", "run.parquet"])
def test_what_is_not_there(storage: Storage, name: str) -> None:
    storage.create("jobs/exp/other", b"")
    storage.create("jobs/exp/run.parquet2", b"")
    for ask in (storage.size, storage.modified):
        with pytest.raises(FileNotFoundError) as caught:
            ask(name)
        assert caught.value.args == (name,)
    if name != "jobs/exp":
        with pytest.raises(FileNotFoundError):
            storage.read(name)


def test_names_are_sorted(storage: Storage) -> None:
    for name in ("b", "a/x", "C", "a10", "a9/y/z"):
        storage.create(f"jobs/{name}", b"")
    assert storage.names("jobs") == ["C", "a", "a10", "a9", "b"]
    assert storage.names("") == ["jobs"]
    assert storage.names("nothing") == []
    assert storage.names("job") == []
    assert storage.names("jobs/b") == []


def test_a_walk_names_all_files_from_the_root(storage: Storage) -> None:
    for name in ("jobs/b", "jobs/a/x", "jobs/a-b", "top", "jobs2/c", "jobs/.b.0f.tmp"):
        storage.create(name, b"")
    below = ["jobs/.b.0f.tmp", "jobs/a-b", "jobs/a/x", "jobs/b"]
    assert list(storage.walk("jobs")) == below
    assert list(storage.walk()) == [*below, "jobs2/c", "top"]
    assert list(storage.walk("nothing")) == []
    assert list(storage.walk("top")) == []


def test_a_put_takes_a_taken_name(storage: Storage) -> None:
    storage.create(NAME, b"damaged")
    storage.put(NAME, b"good")
    assert list(storage.walk()) == [NAME]
    assert storage.read(NAME) == b"good"


def test_a_view_has_the_bytes_of_its_source(storage: Storage) -> None:
    for name in ("revisions/a", "revisions/b"):
        storage.create(name, name.encode())
        storage.put_view("jobs/run", name, lambda: storage.read("revisions/a"))
    assert list(storage.walk()) == ["jobs/run", "revisions/a", "revisions/b"]
    is_link = storage.is_same("jobs/run", "revisions/b")
    assert storage.read("jobs/run") == (b"revisions/b" if is_link else b"revisions/a")


def test_no_more_is_read_than_was_expected(storage: Storage) -> None:
    storage.create(NAME, b"five!")
    assert storage.read(NAME, 5) == b"five!"
    with pytest.raises(SnapshotCorruptError, match="5 bytes, more than 4"):
        storage.read(NAME, 4)


def test_a_touch_makes_a_file_young(storage: Storage) -> None:
    storage.create(NAME, b"data")
    before = storage.modified(NAME)
    # S3 tells whole seconds
    time.sleep(1.1)
    storage.touch(NAME)
    assert before < storage.modified(NAME) <= storage.now()
    assert (storage.read(NAME), list(storage.walk())) == (b"data", [NAME])
    with pytest.raises(FileNotFoundError):
        storage.touch("nothing")


def test_a_deletion(storage: Storage) -> None:
    storage.create("jobs/a", b"")
    storage.create("jobs/ab", b"")
    for name in ("jobs/a", "jobs/a", "nothing/x", "jobs/ab/x"):
        storage.delete(name)
    assert list(storage.walk()) == ["jobs/ab"]
    assert storage.create("jobs/a", b"again") is True


def test_nothing_is_in_a_new_store(storage: Storage) -> None:
    assert (storage.names(""), list(storage.walk())) == ([], [])


@pytest.mark.parametrize("size", [10, 20 * 2**20], ids=["small", "20MiB"])
def test_of_sixteen_writers_one_wins(storage: Storage, size: int) -> None:
    """Exactly one create of a name returns True, and its bytes are the ones that stay."""
    start = threading.Barrier(16)

    def write(writer: int) -> bool:
        data = bytes([writer]) * size
        start.wait()
        return storage.create(NAME, data)

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(write, range(16)))
    assert won.count(True) == 1
    assert storage.read(NAME) == bytes([won.index(True)]) * size
    assert list(storage.walk()) == [NAME]


# Which storage


@pytest.mark.parametrize(
    ("url", "kind", "config"),
    [
        ("s3://my-bucket/a/b/", "S3Store", {"bucket": "my-bucket"}),
        ("s3://bucket", "S3Store", {"bucket": "bucket"}),
        ("gs://bucket_1/a", "GCSStore", {"bucket": "bucket_1"}),
        ("az://container/a", "AzureStore", {"container_name": "container"}),
        ("memory://name/a b/ä%20", "MemoryStore", None),
    ],
)
def test_a_url_opens_its_bucket(
    url: str, kind: str, config: dict[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gs:// and az:// are only opened here; no server of theirs is asked."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    storage = open_storage(url)
    assert isinstance(storage, BucketStorage)
    assert str(storage) == url.rstrip("/")
    assert storage._key("jobs/x") == f"{url.rstrip('/')}/jobs/x".split("/", 3)[3]
    assert type(storage._store).__name__ == kind
    for key, value in (config or {}).items():
        assert {**storage._store.config}[key] == value


@pytest.mark.parametrize("root", ["x", "./s3:x", "C:/x", "~/x", "memory:", "s3:/x"])
def test_text_without_a_scheme_is_a_folder(root: str) -> None:
    assert isinstance(open_storage(root), LocalStorage)


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a b%"
    storage = open_storage(folder.as_uri())
    assert isinstance(storage, LocalStorage)
    assert storage.root == folder


@pytest.mark.parametrize("url", ["s3a://b/x", "http://b/x", "abfs://b", "://x", "S3 ://b"])
def test_other_schemes_are_refused_by_name(url: str) -> None:
    with pytest.raises(ValueError, match=r"file://, s3://, gs://, az://, memory://; not "):
        open_storage(url)


@pytest.mark.parametrize("url", ["file://host/x", "file:///x?y", "file:///x#y"])
def test_a_file_url_with_more_than_a_path_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="has only a path"):
        open_storage(url)


def test_a_path_made_of_a_url_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"loses slashes of a URL, give it as text: s3:/bucket/x"):
        open_storage(type(tmp_path)("s3://bucket/x"))


@pytest.mark.parametrize(
    "url",
    [
        f"s3://{KEY_ID}:{SECRET}@bucket/x",
        f"s3://bucket/x?key={SECRET}",
        f"az://container/x?sig={SECRET}",
        f"s3://bucket/x#{SECRET}",
        f"s3://bucket:9000/{SECRET}",
        "s3://",
        "s3:///x",
        "s3://bucket//x",
        "s3://bucket/../x",
        "s3://bucket/a/./x",
        "s3://bucket/a\nb",
        "s3://bucket/a\\b",
    ],
)
def test_a_url_with_more_than_bucket_and_prefix_is_refused_unseen(url: str) -> None:
    with pytest.raises(
        ValueError, match=r"the URL of a store is (s3|az)://bucket/prefix"
    ) as caught:
        open_storage(url)
    assert (
        "canary"
        not in "".join(traceback.format_exception(caught.value)).lower().split("valueerror")[1]
    )


def test_settings_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(SnapshotError, match=r"cannot open az://c: the settings .* \(AZURE_\*\)"):
        open_storage("az://c")


def test_without_the_extra(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['obstore'] = None\n"
        "from retab_frames.store.files.storage import open_storage\n"
        "open_storage(sys.argv[1])\n"
        "try: open_storage('s3://bucket')\n"
        "except ImportError as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        f"{MissingExtraError.__name__} a store in a bucket needs the extra `cloud`: "
        "pip install 'retab-frames[cloud]'\n"
    )


def test_memory_is_shared_by_name_alone() -> None:
    open_storage("memory://shared/a").create("x", b"1")
    assert list(open_storage("memory://shared").walk()) == ["a/x"]
    assert open_storage("memory://shared/a").read("x") == b"1"
    assert list(open_storage("memory://other").walk()) == []


# What a bucket does beyond that


def test_more_names_than_a_page_has(
    server: str, bucket: BucketStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "20")
    names = [f"{n:04}" for n in range(70)]
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(lambda name: _plain_put(f"{server}/bucket/{bucket.prefix}/m/{name}/x"), names)
        )
    assert bucket.names("m") == names
    assert list(bucket.walk("m")) == [f"m/{name}/x" for name in names]


def test_folders_made_by_a_console_are_no_files(server: str, bucket: BucketStorage) -> None:
    bucket.create("jobs/a/x", b"")
    for folder in ("", "jobs/", "jobs/a/"):
        _plain_put(f"{server}/bucket/{bucket.prefix}/{folder}")
    assert (bucket.names(""), bucket.names("jobs"), bucket.names("jobs/a")) == (
        ["jobs"],
        ["a"],
        ["x"],
    )
    assert list(bucket.walk()) == ["jobs/a/x"]


def test_a_neighbour_with_a_longer_prefix_is_not_seen(bucket: BucketStorage) -> None:
    BucketStorage(f"{bucket}-2").create("x", b"")
    assert (bucket.names(""), list(bucket.walk())) == ([], [])


def test_a_pickle_has_the_url_alone(bucket: BucketStorage) -> None:
    bucket.create(NAME, b"data")
    pickled = pickle.dumps(bucket)
    assert b"obstore" not in pickled
    assert KEY_ID.encode() not in pickled
    assert SECRET.encode() not in pickled
    assert pickle.loads(pickled).read(NAME) == b"data"  # noqa: S301


# Answers that do not come


@pytest.mark.parametrize(
    ("faults", "puts"),
    [
        (["lost"], 1),
        (["stored 500"], 1),
        (["never"], 2),
        (["500"], 2),
        (["500", "lost"], 2),
        (["never", "500", "409", "stored 500"], 4),
        (["409"], 2),
    ],
    ids=str,
)
def test_an_unclear_answer_is_cleared_up(
    proxy: FaultyProxy, spoiled: BucketStorage, faults: list[str], puts: int
) -> None:
    proxy.faults["PUT"] = faults
    assert spoiled.create(NAME, b"ours") is True
    assert proxy.count("PUT") == puts
    assert spoiled.read(NAME) == b"ours"


@pytest.mark.parametrize("fault", ["lost", "stored 500", "500", "never"])
@pytest.mark.parametrize("theirs", [b"their", b"theirs"])
def test_an_unclear_answer_is_not_taken_for_a_win(
    proxy: FaultyProxy, spoiled: BucketStorage, fault: str, theirs: bytes
) -> None:
    spoiled.create(NAME, theirs)
    proxy.faults["PUT"] = [fault]
    assert spoiled.create(NAME, b"other") is False
    assert spoiled.read(NAME) == theirs


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("never", "the connection broke off; it was not"),
        ("500", "HTTP 500; it was not there when last"),
        ("409", "HTTP 409; what was there"),
    ],
)
def test_a_file_that_never_arrives(
    proxy: FaultyProxy, spoiled: BucketStorage, fault: str, reason: str
) -> None:
    proxy.faults["PUT"] = [fault] * 100
    with pytest.raises(SnapshotWriteError, match=rf"cannot write {NAME} in s3://.*: {reason}"):
        spoiled.create(NAME, b"ours")
    assert proxy.count("PUT") == buckets._ATTEMPTS
    assert list(spoiled.walk()) == ["first"]


def test_what_is_not_known_is_said(proxy: FaultyProxy, spoiled: BucketStorage) -> None:
    proxy.faults = {"PUT": ["lost"], "GET": ["403"]}
    with pytest.raises(
        SnapshotWriteError, match=r"HTTP 403 SignatureDoesNotMatch; it is not known whether it was"
    ):
        spoiled.create(NAME, b"ours")
    assert spoiled.create(NAME, b"ours") is False
    assert spoiled.read(NAME) == b"ours"


def test_a_server_that_overwrites_is_refused(proxy: FaultyProxy, url: str) -> None:
    proxy.faults["PUT"] = ["overwrite"] * 2
    with pytest.raises(SnapshotWriteError, match=r"its server overwrites what is there"):
        BucketStorage(url).create(NAME, b"ours")


def test_a_server_is_tried_once(proxy: FaultyProxy, url: str) -> None:
    storage = BucketStorage(url)
    for n in range(3):
        storage.create(f"{n}", b"")
    assert proxy.count("PUT") == 4


@pytest.mark.parametrize("fault", ["500", "never", "cut"])
@pytest.mark.parametrize("times", [1, 3])
def test_reading_is_tried_again(
    proxy: FaultyProxy, spoiled: BucketStorage, fault: str, times: int
) -> None:
    data = bytes(range(256)) * 100
    spoiled.create(NAME, data)
    proxy.faults = {"GET": [fault] * times, "HEAD": [fault] * times if fault != "cut" else []}
    assert spoiled.read(NAME) == data
    assert spoiled.size(NAME) == len(data)
    proxy.faults = {"GET": [fault] * times}
    assert list(spoiled.walk()) == ["first", NAME]


@pytest.mark.parametrize("fault", ["500", "lost", "stored 500", "never"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_view_through_a_bad_line(
    proxy: FaultyProxy, spoiled: BucketStorage, times: int, fault: str
) -> None:
    spoiled.put("view", b"old")
    proxy.faults = {"PUT": [fault] * times}
    spoiled.put_view("view", "first", lambda: b"new")
    assert spoiled.read("view") == b"new"


CALLS: dict[str, Callable[[Storage], object]] = {
    "create": lambda storage: storage.create(NAME, b"data"),
    "read": lambda storage: storage.read("first"),
    "size": lambda storage: storage.size("first"),
    "modified": lambda storage: storage.modified("first"),
    "names": lambda storage: storage.names("jobs"),
    "walk": lambda storage: storage.walk(),
    "put": lambda storage: storage.put("first", b"data"),
    "touch": lambda storage: storage.touch("first"),
    "now": lambda storage: storage.now(),
    "delete": lambda storage: storage.delete("first"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_refused_credentials_are_told_once_and_not_shown(
    proxy: FaultyProxy, spoiled: BucketStorage, call: Callable[[Storage], object]
) -> None:
    proxy.faults = {method: ["403"] * 9 for method in ("GET", "PUT", "POST", "HEAD", "DELETE")}
    with pytest.raises(SnapshotError, match=r"cannot .* s3://bucket/\w+: HTTP 403") as caught:
        call(spoiled)
    assert len(proxy.seen) == 1
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    shown = "".join(traceback.format_exception(caught.value)) + repr(vars(spoiled))
    assert KEY_ID not in shown
    assert SECRET not in shown
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_server_that_is_down_is_told_within_seconds(
    url: str, call: Callable[[Storage], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    began = time.monotonic()
    with pytest.raises(SnapshotError, match=r"s3://bucket/\w+: no connection") as caught:
        call(BucketStorage(url))
    assert time.monotonic() - began < 20
    assert not isinstance(caught.value, SnapshotCorruptError)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_server_that_is_silent_is_told_in_bounded_time(
    proxy: FaultyProxy, url: str, call: Callable[[Storage], object]
) -> None:
    proxy.faults = {method: ["hang"] * 99 for method in ("GET", "PUT", "POST", "HEAD", "DELETE")}
    began = time.monotonic()
    with pytest.raises(SnapshotError, match="no answer in time"):
        call(BucketStorage(url, timeout=0.5))
    assert time.monotonic() - began < 6


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_bucket_that_is_not_there(url: str, call: Callable[[Storage], object]) -> None:
    storage = BucketStorage(url.replace("bucket", "no-bucket"))
    with pytest.raises((SnapshotError, FileNotFoundError)) as caught:
        call(storage)
    # the answer to HEAD has no body that says what was not there
    told = caught.value.args == ("first",) or "there is no such bucket" in str(caught.value)
    assert told, caught.value


def test_plain_http_is_refused_unless_allowed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    with pytest.raises(SnapshotWriteError, match="plain http is refused unless AWS_ALLOW_HTTP"):
        BucketStorage(url).create(NAME, b"")


def _plain_put(url: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, b"", method="PUT"), timeout=10):
        pass


# The store in a bucket


def run_of(*durations: int) -> rf.RunContent:
    rows = [
        {"id": f"job_{n}", "run_id": "exprun_1", "document_id": f"doc_{n}", "status": "completed"}
        | {"duration_ms": duration, "block_kind": "extract"}
        for n, duration in enumerate(durations)
    ]
    envelope = {"experiment_id": "exp_1", "run_id": "exprun_1", "content": {"jobs": rows}}
    return rf.read_content(envelope, workflow_id="wf_1")


@pytest.fixture(params=["memory", "s3"])
def root(request: pytest.FixtureRequest) -> str:
    if request.param == "memory":
        return f"memory://{request.node.name.translate({91: '-', 93: ''})}/prefix"
    return str(request.getfixturevalue("url"))


def test_a_store_in_a_bucket(root: str) -> None:
    store = rf.SnapshotStore(root)
    assert repr(store) == f"SnapshotStore({root!r})"
    assert not store.exists()
    actions = [store.write(run_of(*jobs)).action for jobs in ((10, 20), (10, 20), (10, 30))]
    assert actions == ["created", "unchanged", "revised"]
    other = rf.SnapshotStore(root)
    assert other.list()[["run_id", "revision", "jobs"]].to_numpy().tolist() == [["exprun_1", 2, 2]]
    assert other.read("exprun_1").jobs["duration_ms"].tolist() == [10, 30]
    assert other.read("exprun_1", revision=1).jobs["duration_ms"].tolist() == [10, 20]
    assert other.verify("full").empty
    assert len(list(open_storage(root).walk("jobs"))) == 1
    assert other.publish().empty
    assert len(other.prune(keep_revisions=1, dry_run=False)) == 3
    assert other.verify("full").empty
    other.remove("exprun_1", dry_run=False)
    assert list(open_storage(root).walk()) == ["retab-frames.json"]


def test_a_store_in_a_bucket_without_views(root: str) -> None:
    store = rf.SnapshotStore(root, views=False)
    store.write(run_of(10, 20))
    assert list(open_storage(root).walk("jobs")) == []
    assert store.read("exprun_1").jobs["duration_ms"].tolist() == [10, 20]
    assert store.publish()["action"].tolist() == ["written", "written"]
    assert len(list(open_storage(root).walk("jobs"))) == 1


def test_a_damaged_object_is_refused(root: str) -> None:
    store, files = rf.SnapshotStore(root), open_storage(root)
    store.write(run_of(10, 20))
    [file] = [name for name in files.walk("revisions") if "/jobs-" in name]
    data = bytearray(files.read(file))
    data[len(data) // 2] ^= 1
    files.delete(file)
    files.create(file, bytes(data))
    with pytest.raises(SnapshotCorruptError, match="damaged") as caught:
        store.read("exprun_1")
    assert caught.value.file == file
    assert store.write(run_of(10, 20)).action == "repaired"
    assert store.read("exprun_1").jobs["duration_ms"].tolist() == [10, 20]


@pytest.mark.parametrize("same", [True, False])
def test_of_two_stores_that_write_a_run_one_wins(root: str, same: bool) -> None:  # noqa: FBT001
    start = threading.Barrier(4)

    def write(writer: int) -> str:
        content, store = run_of(10, 20 if same else writer), rf.SnapshotStore(root)
        start.wait()
        try:
            return store.write(content).action
        except SnapshotConflictError:
            return "conflict"

    with ThreadPoolExecutor(4) as pool:
        actions = sorted(pool.map(write, range(4)))
    assert actions.count("created") == 1
    assert set(actions) <= {"created", "unchanged" if same else "conflict", "revised"}
    # those who lost may leave a file behind, which no reader sees
    problems = rf.SnapshotStore(root).verify("full")
    assert set(problems["kind"]) <= {"leftover"}
    assert len(list(open_storage(root).walk("jobs"))) == 1


def test_a_store_through_a_bad_line(proxy: FaultyProxy, url: str) -> None:
    proxy.faults["PUT"] = ["pass", "lost", "stored 500", "never", "500", "pass"] * 20
    store = rf.SnapshotStore(url)
    assert store.write(run_of(10, 20)).action == "created"
    assert store.write(run_of(10, 30)).action == "revised"
    assert store.read("exprun_1").jobs["duration_ms"].tolist() == [10, 30]
    assert store.verify("full").empty
