from __future__ import annotations

import errno
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from retab_frames.errors import SnapshotCorruptError, SnapshotWriteError
from retab_frames.store.files.local import LocalStorage

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "jobs/exp/run.parquet"


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "store")


def files_in(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, temporary ones included."""
    paths = (path for path in folder.rglob("*") if not path.is_dir())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def child(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a Python that runs a script."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(running: subprocess.Popen[str]) -> str:
    """Return what a child printed, once it has ended well."""
    out, err = running.communicate(timeout=30)
    assert running.returncode == 0, err
    return out


@pytest.mark.parametrize("data", [b"", b"a", b"\x00\xff" * 70_000])
def test_created_file_has_its_bytes_and_nothing_stands_beside_it(
    storage: LocalStorage, data: bytes
) -> None:
    assert storage.create(NAME, data) is True
    assert storage.read(NAME) == data
    assert files_in(storage.root) == {NAME: data}


def test_taken_name_keeps_its_bytes(storage: LocalStorage) -> None:
    storage.create(NAME, b"first")
    before = (storage.root / NAME).stat()
    assert storage.create(NAME, b"second") is False
    after = (storage.root / NAME).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert files_in(storage.root) == {NAME: b"first"}


def test_name_taken_by_a_folder(storage: LocalStorage) -> None:
    (storage.root / NAME).mkdir(parents=True)
    assert storage.create(NAME, b"data") is False
    assert files_in(storage.root) == {}
    with pytest.raises(
        SnapshotCorruptError, match=r"cannot read jobs/exp/run\.parquet: it is not a"
    ):
        storage.read(NAME)


def test_name_taken_by_a_dangling_link_is_not_followed(
    storage: LocalStorage, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (storage.root / "jobs/exp").mkdir(parents=True)
    (storage.root / NAME).symlink_to(elsewhere)
    assert storage.create(NAME, b"data") is False
    assert not elsewhere.exists()
    assert storage.names("jobs/exp") == ["run.parquet"]


@pytest.mark.parametrize("taken", ["", "jobs", "jobs/exp"])
def test_folder_that_is_a_file(storage: LocalStorage, taken: str) -> None:
    path = storage.root / taken
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"in the way")
    with pytest.raises(
        SnapshotWriteError, match=r"cannot write jobs/exp/run\.parquet .*\((EEXIST|ENOTDIR)\); what"
    ):
        storage.create(NAME, b"data")
    assert files_in(storage.root.parent) == {f"store/{taken}".rstrip("/"): b"in the way"}


def test_name_too_long(storage: LocalStorage) -> None:
    with pytest.raises(SnapshotWriteError, match=r"\(ENAMETOOLONG\)"):
        storage.create(f"jobs/exp/{'n' * 300}", b"data")
    assert files_in(storage.root) == {}


FULL_DISK = """
import resource, sys
from retab_frames.errors import SnapshotWriteError
from retab_frames.store.files.local import LocalStorage
storage = LocalStorage(sys.argv[1])
for limit in (0, 1, 999, 1_000, 1_001):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        print(limit, storage.create(f"jobs/{limit}", b"x" * 1_000))
    except SnapshotWriteError as error:
        print(limit, str(error).partition("(")[2].partition(")")[0])
try:
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
    storage.create("jobs/1000", b"x" * 2_000)
except SnapshotWriteError as error:
    print("old", "untouched" in str(error))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
def test_no_room_leaves_nothing(tmp_path: Path) -> None:
    out = said(child(FULL_DISK, str(tmp_path)))
    assert out.splitlines() == [
        "0 EFBIG",
        "1 EFBIG",
        "999 EFBIG",
        "1000 True",
        "1001 True",
        "old True",
    ]
    assert files_in(tmp_path) == {"jobs/1000": b"x" * 1_000, "jobs/1001": b"x" * 1_000}


# the folder is entered while that is still allowed: those above it may be closed to others
READ_ONLY = """
import os, sys
from retab_frames.errors import SnapshotWriteError
from retab_frames.store.files.local import LocalStorage
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setuid(65534)
storage = LocalStorage(".")
for name in ("new", "jobs/new", "jobs/old", "other/new"):
    try:
        print(name, storage.create(name, b"data"))
    except SnapshotWriteError as error:
        print(name, "EACCES" in str(error) and "Permission denied" in str(error))
for put in (
    lambda: storage.put("jobs/old", b"new"),
    lambda: storage.put_view("jobs/view", "jobs/old", lambda: b"old"),
    lambda: storage.now(),
):
    try:
        put()
    except SnapshotWriteError as error:
        print("put", "EACCES" in str(error))
try:
    storage.delete("jobs/old")
except SnapshotWriteError as error:
    print("delete", "cannot delete jobs/old: Permission denied (EACCES)" in str(error))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX modes")
def test_read_only_folder_stays_as_it_is(tmp_path: Path) -> None:
    root = tmp_path / "store"
    (root / "jobs").mkdir(parents=True)
    (root / "jobs/old").write_bytes(b"old")
    folders = (root / "jobs", root)
    for folder in folders:
        folder.chmod(0o555)
    try:
        out = said(child(READ_ONLY, str(root)))
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert out.splitlines() == [
        "new True",
        "jobs/new True",
        "jobs/old True",
        "other/new True",
        "put True",
        "put True",
        "put True",
        "delete True",
    ]
    assert files_in(root) == {"jobs/old": b"old"}


CLOSED = """
import os, sys
from retab_frames.errors import SnapshotCorruptError
from retab_frames.store.files.local import LocalStorage
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setuid(65534)
storage = LocalStorage(".")
for ask in (storage.names, storage.walk, storage.read, storage.size, storage.modified):
    try:
        print(ask.__name__, ask("closed" if ask.__name__ in ("names", "walk") else "closed/x"))
    except SnapshotCorruptError as error:
        print(ask.__name__, error, error.file)
try:
    print("walk all", list(storage.walk()))
except SnapshotCorruptError as error:
    print("walk all", error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX modes")
def test_closed_folder_is_not_an_empty_one(tmp_path: Path) -> None:
    root = tmp_path / "store"
    (root / "closed").mkdir(parents=True)
    (root / "closed/x").write_bytes(b"data")
    (root / "closed").chmod(0)
    try:
        out = said(child(CLOSED, str(root)))
    finally:
        (root / "closed").chmod(0o755)
    denied = "Permission denied (EACCES)"
    assert out.splitlines() == [
        f"names cannot list closed: {denied} closed",
        f"walk cannot list closed: {denied} closed",
        f"read cannot read closed/x: {denied} closed/x",
        f"size cannot read closed/x: {denied} closed/x",
        f"modified cannot read closed/x: {denied} closed/x",
        f"walk all cannot list .: {denied}",
    ]


NO_HANDLES = """
import os, resource, sys
from retab_frames.errors import SnapshotCorruptError, SnapshotWriteError
from retab_frames.store.files.local import LocalStorage
storage = LocalStorage(sys.argv[1])
storage.create("jobs/old", b"old")
list(storage.walk())
calls = {
    "create": lambda: storage.create("new/file", b"data"),
    "put": lambda: storage.put("jobs/old", b"new"),
    "flush": lambda: storage.flush_folder("jobs"),
    "read": lambda: storage.read("jobs/old"),
    "names": lambda: storage.names("jobs"),
    "walk": lambda: list(storage.walk()),
}
used = max(map(int, os.listdir("/proc/self/fd")))
resource.setrlimit(resource.RLIMIT_NOFILE, (used, used))
for name in ("read", "names", "walk", "create", "put", "flush"):
    try:
        print(name, calls[name]())
    except (SnapshotCorruptError, SnapshotWriteError) as error:
        print(name, type(error).__name__, "EMFILE" in str(error))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts its handles in /proc")
def test_no_free_handles(tmp_path: Path) -> None:
    out = said(child(NO_HANDLES, str(tmp_path)))
    assert out.splitlines() == [
        "read SnapshotCorruptError True",
        "names SnapshotCorruptError True",
        "walk SnapshotCorruptError True",
        "create SnapshotWriteError True",
        "put SnapshotWriteError True",
        "flush SnapshotWriteError True",
    ]


STEPS = ("open", "fsync", "close", "link", "unlink", "mkdir", "replace", "rename", "stat")
FAULTS = [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, errno.EMFILE, errno.EINTR]


def fail_at(number: int, error: BaseException, environment: pytest.MonkeyPatch) -> list[str]:
    """Make one call to the system fail, by its number; return the list that the calls go to."""
    calls: list[str] = []

    def failing(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            # a handle that cannot be closed is closed all the same
            done = real(*args, **kwargs) if name == "close" else None
            if len(calls) == number:
                raise error
            return done if name == "close" else real(*args, **kwargs)

        return call

    for name in STEPS:
        environment.setattr(os, name, failing(name, getattr(os, name)))
    return calls


@pytest.mark.parametrize("fault", FAULTS, ids=errno.errorcode.get)
def test_a_failure_at_any_step_of_a_write_leaves_all_or_nothing(tmp_path: Path, fault: int) -> None:
    """Whatever step fails, the file is there whole or not at all, and only our error is raised."""
    told = []
    for number in range(1, 40):
        storage = LocalStorage(tmp_path / str(number))
        with pytest.MonkeyPatch.context() as environment:
            calls = fail_at(number, OSError(fault, os.strerror(fault)), environment)
            try:
                created = storage.create(NAME, b"data")
            except SnapshotWriteError as error:
                created = None
                assert errno.errorcode[fault] in str(error)  # noqa: PT017
        left = files_in(storage.root) if storage.root.exists() else {}
        assert {name for name in left if not name.endswith(".tmp")} <= {NAME}
        assert set(left.values()) <= {b"data"}
        if created is not None:
            assert (created, left[NAME]) == (True, b"data")
        if set(left) - {NAME}:
            assert calls[number - 1] == "unlink"
        told.append(created)
        assert storage.create(NAME, b"data") is (NAME not in left)
        if len(calls) < number:
            break
    assert told.count(None) >= 10
    assert told[-1] is True


@pytest.mark.parametrize("fault", FAULTS, ids=errno.errorcode.get)
def test_a_failure_at_any_step_of_a_view_leaves_the_old_one_or_the_new_one(
    tmp_path: Path, fault: int
) -> None:
    for number in range(1, 40):
        storage = LocalStorage(tmp_path / str(number))
        storage.create("a/x", b"old")
        storage.put_view("view/x", "a/x", lambda: b"old")
        storage.create("a/y", b"new")
        with pytest.MonkeyPatch.context() as environment:
            calls = fail_at(number, OSError(fault, os.strerror(fault)), environment)
            try:
                storage.put_view("view/x", "a/y", lambda: b"new")
            except SnapshotWriteError as error:
                assert errno.errorcode[fault] in str(error)  # noqa: PT017
        left = files_in(storage.root)
        assert left.pop("view/x") in (b"old", b"new")
        assert {name for name in left if not name.endswith(".tmp")} == {"a/x", "a/y"}
        storage.put_view("view/x", "a/y", lambda: b"new")
        assert storage.read("view/x") == b"new"
        if len(calls) < number:
            return
    pytest.fail("a view has more steps than were tried")


def test_an_interrupt_at_any_step_leaves_nothing_beside_the_file(tmp_path: Path) -> None:
    for number in range(1, 40):
        storage = LocalStorage(tmp_path / str(number))
        with pytest.MonkeyPatch.context() as environment:
            calls = fail_at(number, KeyboardInterrupt(), environment)
            try:
                storage.create(NAME, b"data")
            except KeyboardInterrupt:
                assert len(calls) >= number
        left = files_in(storage.root) if storage.root.exists() else {}
        if calls[number - 1 : number] != ["unlink"]:
            assert left in ({}, {NAME: b"data"})
        if len(calls) < number:
            return
    pytest.fail("a write has more steps than were tried")


@pytest.mark.skipif(sys.platform != "linux", reason="finds its handles in /proc")
def test_folders_and_names_are_flushed_whoever_made_them(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that was killed may have left folders and names that no power cut would keep."""
    storage.create(NAME, b"data")
    flushed = []
    flush = os.fsync

    def note(handle: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        flush(handle)

    monkeypatch.setattr(os, "fsync", note)
    again = LocalStorage(storage.root)
    assert again.create(NAME, b"data") is False
    again.flush_folder("jobs/exp")
    folders = [name for name in flushed if not name.endswith(".tmp")]
    root = str(storage.root)
    assert folders == [root, f"{root}/jobs", f"{root}/jobs/exp"]


RACE = """
import sys
from retab_frames.store.files.local import LocalStorage
storage, own = LocalStorage(sys.argv[1]), sys.argv[2].encode() * 5_000
print("ready", flush=True)
sys.stdin.readline()
print("".join(str(int(storage.create(f"jobs/{n}", own))) for n in range(100)))
"""


def test_of_two_processes_one_wins_each_name(tmp_path: Path) -> None:
    racers = [child(RACE, str(tmp_path), letter) for letter in "ab"]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    wins = [said(racer).strip() for racer in racers]
    assert [int(a) + int(b) for a, b in zip(*wins, strict=True)] == [1] * 100
    owner = [b"a" if won == "1" else b"b" for won in wins[0]]
    assert files_in(tmp_path) == {f"jobs/{n}": owner[n] * 5_000 for n in range(100)}


KILLED = """
import itertools, sys
from retab_frames.store.files.local import LocalStorage
storage = LocalStorage(sys.argv[1])
for n in itertools.count():
    storage.create(f"jobs/{n}", b"%08d" % n * 100_000)
    print(n, flush=True)
"""


@pytest.mark.parametrize("files", [1, 4, 9])
def test_killed_writer_leaves_whole_files(tmp_path: Path, files: int) -> None:
    writer = child(KILLED, str(tmp_path))
    assert writer.stdout is not None
    told = [int(writer.stdout.readline()) for _ in range(files)]
    writer.kill()
    writer.communicate()
    left = {name: data for name, data in files_in(tmp_path).items() if not name.endswith(".tmp")}
    assert {f"jobs/{n}" for n in told} <= set(left)
    assert left == {name: b"%08d" % int(name[5:]) * 100_000 for name in left}


def test_read_of_no_file(storage: LocalStorage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.read(NAME)


def test_names_are_sorted(storage: LocalStorage) -> None:
    for name in ("b", "a/x", "C", "a10", "a9"):
        storage.create(f"jobs/{name}", b"")
    assert storage.names("jobs") == ["C", "a", "a10", "a9", "b"]
    assert storage.names("nothing") == []
    assert storage.names("jobs/b") == []


def test_put_takes_the_place_of_a_file_whole(storage: LocalStorage) -> None:
    storage.create(NAME, b"old")
    with (storage.root / NAME).open("rb") as reader:
        storage.put(NAME, b"new")
        assert reader.read() == b"old"
    assert files_in(storage.root) == {NAME: b"new"}


def test_view_is_a_second_name_of_the_file(storage: LocalStorage) -> None:
    storage.create(NAME, b"data")
    for _ in range(2):
        storage.put_view("view/x", NAME, lambda: pytest.fail("the bytes are not needed"))
    assert storage.is_same("view/x", NAME)
    assert files_in(storage.root) == {NAME: b"data", "view/x": b"data"}


def test_view_over_a_folder(storage: LocalStorage) -> None:
    storage.create("jobs/old", b"data")
    storage.create("view/old/x", b"")
    with pytest.raises(SnapshotWriteError, match=r"cannot write view/old in .*\(EISDIR\)"):
        storage.put_view("view/old", "jobs/old", lambda: b"data")
    assert files_in(storage.root) == {"jobs/old": b"data", "view/old/x": b""}


@pytest.fixture(params=[errno.EOPNOTSUPP, errno.EPERM, errno.ENOSYS], ids=errno.errorcode.get)
def without_links(
    request: pytest.FixtureRequest, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> LocalStorage:
    """Return a storage on a file system that refuses hard links, as exFAT and SMB do."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(os, "link", refuse)
    return storage


def test_without_hard_links_a_name_is_taken_once(without_links: LocalStorage) -> None:
    assert without_links.create(NAME, b"first") is True
    assert without_links.create(NAME, b"second") is False
    without_links.put_view("view/x", NAME, lambda: b"first")
    assert files_in(without_links.root) == {NAME: b"first", "view/x": b"first"}
    assert not without_links.is_same("view/x", NAME)


def test_without_hard_links_what_was_written_is_read_back(
    without_links: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer took an unfinished file away, and put its own in the place."""
    real = os.fsync

    def replace_meanwhile(handle: int) -> None:
        real(handle)
        if (without_links.root / NAME).exists():
            (without_links.root / "other").write_bytes(b"other")
            (without_links.root / "other").replace(without_links.root / NAME)

    monkeypatch.setattr(os, "fsync", replace_meanwhile)
    assert without_links.create(NAME, b"ours") is False
    assert files_in(without_links.root) == {NAME: b"other"}


def test_without_hard_links_a_refused_file_leaves_nothing(
    without_links: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    without_links.create("jobs/old", b"old")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(SnapshotWriteError, match="ENOSPC"):
        without_links.create(NAME, b"data")
    assert files_in(without_links.root) == {"jobs/old": b"old"}


def test_where_folders_cannot_be_opened_they_are_not_flushed(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows refuses to open a folder."""
    real = os.open

    def open_as_on_windows(path: Any, *arguments: Any, **options: Any) -> int:
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", open_as_on_windows)
    assert storage.create(NAME, b"data") is True
    storage.flush_folder("jobs/exp")
    assert storage.read(NAME) == b"data"


@pytest.mark.parametrize("linked", ["jobs", "jobs/exp"])
def test_linked_folder_is_not_followed(storage: LocalStorage, tmp_path: Path, linked: str) -> None:
    outside = tmp_path / "outside"
    (outside / "exp").mkdir(parents=True)
    for path in (outside / "run.parquet", outside / "exp/run.parquet"):
        path.write_bytes(b"theirs")
    (storage.root / linked).parent.mkdir(parents=True)
    (storage.root / linked).symlink_to(outside)
    storage.create("own", b"ours")
    before = files_in(outside)
    calls: list[Callable[[], Any]] = [
        lambda: storage.create(NAME, b"ours"),
        lambda: storage.put(NAME, b"ours"),
        lambda: storage.put_view(NAME, "own", lambda: b"ours"),
        lambda: storage.put_view("view", NAME, lambda: b"ours"),
        lambda: storage.read(NAME),
        lambda: storage.size(NAME),
        lambda: storage.modified(NAME),
        lambda: storage.touch(NAME),
        lambda: storage.delete(NAME),
        lambda: storage.names("jobs/exp"),
        lambda: list(storage.walk("jobs/exp")),
    ]
    for call in calls:
        with pytest.raises(SnapshotCorruptError, match="is a link, and links below the root"):
            call()
    assert files_in(outside) == before
    assert list(storage.walk()) == sorted(["own", linked])


def test_linked_file_is_not_read_and_its_target_stays(
    storage: LocalStorage, tmp_path: Path
) -> None:
    target = tmp_path / "theirs"
    target.write_bytes(b"theirs")
    (storage.root / "jobs/exp").mkdir(parents=True)
    (storage.root / NAME).symlink_to(target)
    with pytest.raises(SnapshotCorruptError, match="it is a link"):
        storage.read(NAME)
    for call in (storage.size, storage.modified, storage.touch):
        with pytest.raises(FileNotFoundError):
            call(NAME)
    assert storage.create(NAME, b"ours") is False
    storage.put(NAME, b"ours")
    assert (target.read_bytes(), storage.read(NAME)) == (b"theirs", b"ours")


@pytest.mark.skipif(sys.platform == "win32", reason="needs FIFOs")
def test_only_regular_files_are_opened(storage: LocalStorage) -> None:
    (storage.root / "jobs/exp").mkdir(parents=True)
    os.mkfifo(storage.root / NAME)
    with pytest.raises(SnapshotCorruptError, match="is not a file"):
        storage.read(NAME)
    with pytest.raises(FileNotFoundError):
        storage.size(NAME)


def test_no_more_is_read_than_was_expected(storage: LocalStorage) -> None:
    storage.create(NAME, b"four")
    os.truncate(storage.root / NAME, 2**40)
    with pytest.raises(SnapshotCorruptError, match=r"has 1,099,511,627,776 bytes, more than 4"):
        storage.read(NAME, 4)


def test_time_of_the_store_is_that_of_its_files(storage: LocalStorage) -> None:
    storage.create(NAME, b"")
    os.utime(storage.root / NAME, (0, 0))
    storage.touch(NAME)
    assert abs((storage.now() - storage.modified(NAME)).total_seconds()) < 5
    assert list(storage.walk()) == [NAME]


def test_folder_is_removed_if_it_is_empty(storage: LocalStorage) -> None:
    storage.create(NAME, b"")
    storage.delete_folder("jobs/exp")
    assert storage.read(NAME) == b""
    storage.delete(NAME)
    storage.delete_folder("jobs/exp")
    assert storage.names("jobs") == []
    assert storage.create(NAME, b"again") is True


def test_size_and_time(storage: LocalStorage) -> None:
    storage.create(NAME, b"four")
    os.utime(storage.root / NAME, (0, 1_700_000_000.5))
    assert storage.size(NAME) == 4
    assert storage.modified(NAME) == datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=UTC)


def test_walk_does_not_follow_links_to_folders(storage: LocalStorage) -> None:
    storage.create("a/b/x", b"")
    (storage.root / "a/b/back").symlink_to(storage.root / "a")
    assert list(storage.walk()) == ["a/b/back", "a/b/x"]


def test_delete_of_a_folder(storage: LocalStorage) -> None:
    storage.create(NAME, b"data")
    with pytest.raises(SnapshotWriteError, match=r"cannot delete jobs/exp: .*\((EISDIR|EPERM)\)"):
        storage.delete("jobs/exp")
    assert storage.read(NAME) == b"data"


def test_folder_that_is_gone_from_under_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(SnapshotWriteError, match="ENOENT"):
        LocalStorage("store").create(NAME, b"")


def test_text_of_a_storage_is_its_folder(storage: LocalStorage) -> None:
    assert str(storage) == str(storage.root)


def test_error_names_control_characters_without_sending_them(storage: LocalStorage) -> None:
    (storage.root).mkdir()
    (storage.root / "jobs").write_bytes(b"")
    with pytest.raises(SnapshotWriteError, match=r"cannot write jobs/\\x1b\[2J") as caught:
        storage.create("jobs/\x1b[2J", b"")
    assert errno.errorcode[errno.EEXIST] in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_times_of_a_linked_folder_are_not_looked_at(storage: LocalStorage, tmp_path: Path) -> None:
    storage.create("jobs/x", b"")
    assert storage.change_times("jobs") == {"x": (storage.root / "jobs/x").stat().st_mtime_ns}
    assert storage.change_times("absent") == {}
    (storage.root / "linked").symlink_to(tmp_path)
    with pytest.raises(SnapshotCorruptError, match="is a link"):
        storage.change_times("linked")
