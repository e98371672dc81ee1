from __future__ import annotations

import errno
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from retab_frames.errors import SnapshotCorruptError, SnapshotWriteError
from retab_frames.storage import LocalStorage

if TYPE_CHECKING:
    from pathlib import Path

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
    with pytest.raises(SnapshotCorruptError, match=r"cannot read jobs/exp/run\.parquet: Is a dir"):
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
from retab_frames.storage import LocalStorage
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
from retab_frames.storage import LocalStorage
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setuid(65534)
storage = LocalStorage(".")
for name in ("new", "jobs/new", "jobs/old", "other/new"):
    try:
        print(name, storage.create(name, b"data"))
    except SnapshotWriteError as error:
        print(name, "EACCES" in str(error) and "Permission denied" in str(error))
try:
    storage.move("jobs/old", "jobs/moved")
except SnapshotWriteError as error:
    print("move", "cannot move jobs/old to jobs/moved: Permission denied" in str(error))
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
        "move True",
    ]
    assert files_in(root) == {"jobs/old": b"old"}


RACE = """
import sys
from retab_frames.storage import LocalStorage
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
from retab_frames.storage import LocalStorage
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


def test_move(storage: LocalStorage) -> None:
    storage.create("jobs/exp/old", b"data")
    storage.move("jobs/exp/old", "archive/jobs/exp/old")
    assert files_in(storage.root) == {"archive/jobs/exp/old": b"data"}


def test_move_of_what_is_gone(storage: LocalStorage) -> None:
    storage.create("archive/jobs/old", b"data")
    storage.move("jobs/old", "archive/jobs/old")
    assert files_in(storage.root) == {"archive/jobs/old": b"data"}


def test_move_over_a_folder(storage: LocalStorage) -> None:
    storage.create("jobs/old", b"data")
    storage.create("archive/jobs/old/x", b"")
    with pytest.raises(SnapshotWriteError, match="cannot move jobs/old to archive/jobs/old: Is a"):
        storage.move("jobs/old", "archive/jobs/old")
    assert storage.read("jobs/old") == b"data"


def test_text_of_a_storage_is_its_folder(storage: LocalStorage) -> None:
    assert str(storage) == str(storage.root)


def test_error_names_control_characters_without_sending_them(storage: LocalStorage) -> None:
    (storage.root).mkdir()
    (storage.root / "jobs").write_bytes(b"")
    with pytest.raises(SnapshotWriteError, match=r"cannot write jobs/\\x1b\[2J") as caught:
        storage.create("jobs/\x1b[2J", b"")
    assert errno.errorcode[errno.EEXIST] in str(caught.value)
    assert "\x1b" not in str(caught.value)
