"""File systems that lack something: what the store does there, and what it says."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import retab_frames as rf

from .test_verification import manifest_of, run_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def durations(store: rf.SnapshotStore, run_id: str = "exprun_1") -> list[int]:
    return store.read(run_id).jobs["duration_ms"].tolist()


def temporary(root: Path) -> list[Path]:
    return list(root.rglob("*.tmp"))


def assert_all_works(root: Path) -> None:
    store = rf.SnapshotStore(root)
    assert store.write(run_of("exprun_1", 1, 2)).action == "created"
    assert store.write(run_of("exprun_1", 1, 3)).action == "revised"
    assert store.write(run_of("exprun_1", 1, 3)).action == "unchanged"
    store.write(run_of("exprun_2", 5))
    store.compact("exp_1")
    assert sorted(rf.scan(store).to_table()["duration_ms"].to_pylist()) == [1, 3, 5]
    assert sorted(pd.read_parquet(root / "jobs")["duration_ms"]) == [1, 3, 5]
    assert store.verify("full").empty
    assert set(store.prune(keep_revisions=1, dry_run=False)["action"]) == {"removed"}
    assert durations(store) == [1, 3]
    store.remove("exprun_1", dry_run=False)
    store.clean(older_than=timedelta(0), dry_run=False)
    assert store.list()["run_id"].tolist() == ["exprun_2"]
    assert store.verify("full").empty
    assert not [path for path in root.rglob("*") if "exprun_1" in path.name]
    assert temporary(root) == []


def refusing(name: str, code: int, of: Callable[..., bool], patch: pytest.MonkeyPatch) -> None:
    """Make a call of the system fail for some arguments."""
    real = getattr(os, name)

    def call(*arguments: Any, **options: Any) -> Any:
        if of(*arguments):
            raise OSError(code, os.strerror(code))
        return real(*arguments, **options)

    patch.setattr(os, name, call)


def is_folder(handle: int) -> bool:
    return stat.S_ISDIR(os.fstat(handle).st_mode)


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_hard_links(root: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing("link", code, lambda *_: True, monkeypatch)
    assert_all_works(root)
    assert {path.stat().st_nlink for path in root.rglob("*.parquet")} == {1}


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_without_flushing_of_folders(
    root: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing("fsync", code, is_folder, monkeypatch)
    assert_all_works(root)


def test_folder_that_the_disk_fails_to_flush_is_an_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing("fsync", errno.EIO, is_folder, monkeypatch)
    with pytest.raises(rf.SnapshotWriteError, match="EIO"):
        rf.SnapshotStore(root).write(run_of("exprun_1", 1))


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Make the rules those of Windows; return the names of files that someone has open."""
    held: set[str] = set()

    def is_held(path: Any) -> bool:
        if not os.path.lexists(path):
            return False
        return Path(path).name in held or not os.lstat(path).st_mode & stat.S_IWUSR

    refusing("open", errno.EACCES, lambda path, *_: Path(path).is_dir(), monkeypatch)
    refusing("replace", errno.EACCES, lambda _, target, *__: is_held(target), monkeypatch)
    refusing("unlink", errno.EACCES, lambda path, *_: is_held(path), monkeypatch)
    return held


@pytest.mark.usefixtures("held")
def test_where_the_rules_are_those_of_windows(root: Path) -> None:
    assert_all_works(root)


@pytest.mark.parametrize("how", ["open", "read-only"])
def test_view_that_windows_does_not_replace(root: Path, held: set[str], how: str) -> None:
    """A revision is committed before its views, and `publish` renews them later."""
    store = rf.SnapshotStore(root)
    store.write(run_of("exprun_1", 1))
    [view] = root.glob("jobs/*/*.parquet")
    old = view.read_bytes()
    held.add(view.name) if how == "open" else view.chmod(0o444)
    with pytest.raises(rf.SnapshotWriteError, match=r"is committed, .*EACCES.* publish\(\) renews"):
        store.write(run_of("exprun_1", 2))
    assert (durations(store), view.read_bytes(), temporary(root)) == ([2], old, [])
    assert set(store.verify("full")["kind"]) <= {"stale"}
    held.clear()
    view.chmod(0o644)
    store.publish()
    assert pd.read_parquet(root / "jobs")["duration_ms"].tolist() == [2]


def test_index_that_windows_does_not_replace(root: Path, held: set[str]) -> None:
    store = rf.SnapshotStore(root)
    store.write(run_of("exprun_1", 1))
    store.compact("exp_1")
    store.write(run_of("exprun_1", 2))
    [index] = root.glob("compacted/*.json")
    held.add(index.name)
    with pytest.raises(rf.SnapshotWriteError, match="EACCES"):
        store.compact("exp_1")
    assert rf.scan(store).to_table()["duration_ms"].to_pylist() == [2]
    assert temporary(root) == []
    held.clear()
    store.compact("exp_1")
    assert rf.scan(store).to_table()["duration_ms"].to_pylist() == [2]


@pytest.mark.parametrize("finish", ["remove", "clean"])
def test_removal_of_a_file_that_someone_has_open_on_windows(
    root: Path, held: set[str], finish: str
) -> None:
    store = rf.SnapshotStore(root)
    store.write(run_of("exprun_1", 1))
    store.write(run_of("exprun_2", 5))
    held.update(path.name for path in manifest_of(root, "exprun_1").parent.glob("raw-*"))
    with pytest.raises(rf.SnapshotWriteError, match=r"cannot delete revisions/.*EACCES"):
        store.remove("exprun_1", dry_run=False)
    with pytest.raises(rf.SnapshotNotFoundError):
        store.read("exprun_1")
    assert store.list()["run_id"].tolist() == ["exprun_2"]
    held.clear()
    store.remove("exprun_1", dry_run=False) if finish == "remove" else store.clean(dry_run=False)
    assert not [path for path in root.rglob("*") if "exprun_1" in path.name]


OTHER_USER = """
import os, sys
import polars as pl
import retab_frames as rf
from store.test_verification import run_of
old, new = run_of("exprun_1", 1), run_of("exprun_1", 9)

def use(store):
    yield "list", lambda: store.list()["run_id"].tolist()
    yield "read", lambda: store.read("exprun_1").jobs["duration_ms"].tolist()
    yield "scan", lambda: sorted(rf.scan(store).to_table()["duration_ms"].to_pylist())
    yield "polars", lambda: rf.scan(store, engine="polars").collect().height
    yield "query", lambda: rf.query(store, "select sum(duration_ms) as n from jobs")["n"].tolist()
    yield "verify", lambda: store.verify("full")["kind"].tolist()
    yield "write equal", lambda: store.write(old).action
    yield "write", lambda: store.write(new).action
    yield "compact", lambda: store.compact("exp_1").packed
    yield "remove", lambda: store.remove("exprun_1", dry_run=False).size
    yield "clean", lambda: store.clean(dry_run=False).size

# all that is imported late is imported while it can be
for _, call in use(rf.SnapshotStore(sys.argv[2])):
    call()
if os.geteuid() == 0:
    os.setuid(65534)
for name, call in use(rf.SnapshotStore(sys.argv[1])):
    try:
        print(name, call())
    except (rf.SnapshotWriteError, rf.SnapshotCorruptError, pl.exceptions.ComputeError) as error:
        # older versions of Polars pass on the name and the words of an error of ours
        is_ours = "SnapshotCorruptError:" in str(error)
        kind = "SnapshotCorruptError" if is_ours else type(error).__name__
        print(name, kind, "Permission denied" in str(error))
"""


@pytest.fixture
def shared() -> Iterator[Path]:
    """Return a store of two runs in a folder that other users may enter, but not change."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        store = rf.SnapshotStore(Path(name) / "store")
        store.write(run_of("exprun_1", 1))
        store.write(run_of("exprun_2", 5))
        shutil.copytree(store.root, Path(name) / "other")
        folders = [Path(store.root), *(p for p in Path(store.root).rglob("*") if p.is_dir())]
        for folder in folders:
            folder.chmod(0o555)
        yield Path(store.root)
        for folder in folders:
            folder.chmod(0o755)


def told_to_another_user(root: Path) -> list[str]:
    script = [sys.executable, "-c", OTHER_USER, str(root), str(root.with_name("other"))]
    paths = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        script, check=False, capture_output=True, text=True, timeout=100, env=paths
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


needs_modes = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX modes")


@needs_modes
def test_store_that_can_only_be_read(shared: Path) -> None:
    before = {path: path.read_bytes() for path in shared.rglob("*") if path.is_file()}
    assert told_to_another_user(shared) == [
        "list ['exprun_1', 'exprun_2']",
        "read [1]",
        "scan [1, 5]",
        "polars 2",
        "query [6]",
        "verify []",
        "write equal unchanged",
        *(f"{n} SnapshotWriteError True" for n in ("write", "compact", "remove", "clean")),
    ]
    assert {path: path.read_bytes() for path in shared.rglob("*") if path.is_file()} == before


@needs_modes
def test_file_that_may_not_be_read(shared: Path) -> None:
    for path in manifest_of(shared, "exprun_1").parent.glob("jobs-*"):
        path.chmod(0)
    told = told_to_another_user(shared)
    assert told[0] == "list ['exprun_1', 'exprun_2']"
    assert told[5] == "verify ['damaged']"
    assert [line for line in told if line.endswith("SnapshotCorruptError True")] == [
        f"{name} SnapshotCorruptError True" for name in ("read", "scan", "polars", "query")
    ]
