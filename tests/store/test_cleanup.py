"""What is deleted: leftovers of crashes, removed runs and old revisions; of others nothing."""

from __future__ import annotations

import errno
import json
import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

import retab_frames as rf
from retab_frames.store import cleanup, removal
from retab_frames.store.files import local
from retab_frames.store.files.local import LocalStorage

from .test_verification import manifest_of, run_of

if TYPE_CHECKING:
    from collections.abc import Callable

COLUMNS = ["file", "size_bytes", "modified_at", "problem", "action"]
HEX = "0" * 32
NOW = timedelta(0)
ROOT_FILES = {"retab-frames.json"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> rf.SnapshotStore:
    """Return a store of two runs, one of them with three revisions and a label."""
    made = rf.SnapshotStore(root)
    made.write(run_of("exprun_1", 1, 2))
    made.write(run_of("exprun_1", 1, 3))
    made.write(run_of("exprun_1", 1, 4))
    made.write(run_of("exprun_2", 5))
    made.label("exprun_1", "best: exprun_1")
    return made


def files_of(root: Path) -> dict[str, bytes]:
    paths = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def make_old(path: Path, days: float = 9) -> None:
    then = (datetime.now(UTC) - timedelta(days=days)).timestamp()
    os.utime(path, (then, then))


def durations(store: rf.SnapshotStore, run_id: str, revision: int | None = None) -> list[int]:
    return store.read(run_id, revision=revision).jobs["duration_ms"].tolist()


# clean


def leftovers(root: Path, *, hours: int) -> dict[str, Path]:
    """Leave behind what a crash does, some time ago."""
    [view] = root.glob("jobs/*/exprun_2-*.parquet")
    folder = manifest_of(root).parent
    made = {
        "view": view.with_name(f".{view.name}.{HEX}.tmp"),
        "marker": root / f".retab-frames.json.{HEX}.tmp",
        "clock": root / f".clock.{HEX}.tmp",
        "manifest": folder / f".000002.json.{HEX}.tmp",
        "data": folder / f".jobs-{'0' * 16}.parquet.{HEX}.tmp",
        "never named": folder / f"jobs-{'0' * 16}.parquet",
        "never committed": root / f"revisions/other-{'1' * 16}/raw-{'0' * 16}.parquet",
        "compacted": root / f"compacted/jobs/{view.parent.name}/.000001.parquet.{HEX}.tmp",
        "part": root / f"compacted/parts/{view.parent.name}/jobs-{'0' * 16}.parquet",
    }
    for path in made.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"leftover")
        make_old(path, hours / 24)
    return made


def test_leftovers_are_listed(store: rf.SnapshotStore, root: Path) -> None:
    names = {path.relative_to(root).as_posix() for path in leftovers(root, hours=48).values()}
    found = store.verify()
    assert set(found["file"]) == names
    assert set(found["kind"]) == {"leftover"}
    listed = store.clean()
    assert set(listed["file"]) == names
    assert listed.columns.tolist() == COLUMNS
    assert set(listed["action"]) == {"would be removed"}
    assert listed["size_bytes"].tolist() == [8] * len(names)
    assert all((root / name).exists() for name in names)


def test_leftovers_go_when_asked(store: rf.SnapshotStore, root: Path) -> None:
    before = files_of(root)
    leftovers(root, hours=48)
    assert set(store.clean(dry_run=False)["action"]) == {"removed"}
    assert files_of(root) == before
    assert store.verify("full").empty
    assert len(store.clean()) == 0


def test_young_leftovers_stay(store: rf.SnapshotStore, root: Path) -> None:
    made = leftovers(root, hours=2)
    assert set(store.clean(dry_run=False)["action"]) == {"kept: it is young, and may be in use"}
    assert all(path.exists() for path in made.values())
    assert set(store.clean(older_than=timedelta(hours=1), dry_run=False)["action"]) == {"removed"}


def test_files_of_a_run_stay_while_its_manifest_cannot_be_read(
    store: rf.SnapshotStore, root: Path
) -> None:
    path = leftovers(root, hours=48)["never named"]
    manifest_of(root).write_bytes(b"damaged")
    for one in path.parent.glob("*.parquet"):
        make_old(one)
    listed = store.clean(dry_run=False)
    assert set(listed["action"]) == {"removed"}
    assert not listed["file"].str.contains("/exprun_2[^/]*/jobs").any()
    assert path.exists()


def test_files_whose_manifest_was_lost_stay(store: rf.SnapshotStore, root: Path) -> None:
    manifest = manifest_of(root)
    body = manifest.read_bytes()
    manifest.unlink()
    assert len(store.clean(older_than=NOW, dry_run=False)) == 0
    manifest.write_bytes(body)
    assert store.verify("full").empty


def test_files_of_others_stay_wherever_they_are(store: rf.SnapshotStore, root: Path) -> None:
    run = manifest_of(root).parent
    [view] = root.glob("jobs/*/exprun_2-*.parquet")
    theirs = [
        root / "archive/photos/2019/wedding.jpg",
        root / "archive/jobs/notes.txt",
        root / "thesis.docx",
        root / f"own/.000001.json.{HEX}.tmp",
        root / f"revisions/.000001.json.{HEX}.tmp",
        root / f"revisions/mine/jobs-{'0' * 16}.parquet",
        root / f"revisions/Run-{'0' * 16}/jobs-{'0' * 16}.parquet",
        run / "notes.txt",
        run / "jobs.parquet",
        run / f"jobs-{'0' * 15}.parquet",
        run / f"more/jobs-{'0' * 16}.parquet",
        run / f".mine.{HEX}.tmp",
        run / ".000002.json.tmp",
        view.with_name("own.parquet"),
        view.with_name(f".own.parquet.{HEX}.tmp"),
        root / "compacted/own.parquet",
        root / f"compacted/parts/{view.parent.name}/.own.tmp",
        root / f"compacted/jobs/{view.parent.name}/.own.tmp",
    ]
    for path in theirs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("not of this library")
        make_old(path)
    before = files_of(root)
    assert len(store.clean(older_than=NOW, dry_run=False)) == 0
    store.prune(keep_revisions=3, dry_run=False)
    assert files_of(root) == before
    store.remove("exprun_2", dry_run=False)
    assert all(path.exists() for path in theirs)


@pytest.mark.parametrize("what", ["link", "folder", "fifo"])
def test_only_regular_files_are_deleted(
    store: rf.SnapshotStore, root: Path, tmp_path: Path, what: str
) -> None:
    path = manifest_of(root).with_name(f"jobs-{'0' * 16}.parquet")
    target = tmp_path / "theirs"
    target.write_text("theirs")
    make_old(target)
    if what == "link":
        path.symlink_to(target)
    elif what == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    assert len(store.clean(older_than=NOW, dry_run=False)) == 0
    assert target.read_text() == "theirs"
    assert path.is_symlink() or path.exists()


@pytest.mark.parametrize("days", [-9, 9])
def test_age_is_told_by_the_clock_of_the_store(
    store: rf.SnapshotStore, root: Path, days: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are on a server whose clock is days off from that of this machine."""
    old, young = (manifest_of(root).with_name(f"jobs-{digit * 16}.parquet") for digit in ("0", "1"))
    old.write_bytes(b"")
    young.write_bytes(b"")
    make_old(old, 2 - days)
    make_old(young, -days)
    real = LocalStorage.now
    monkeypatch.setattr(LocalStorage, "now", lambda self: real(self) + timedelta(days=days))
    actions = store.clean(dry_run=False)["action"].tolist()
    assert actions == ["removed", "kept: it is young, and may be in use"]


@pytest.mark.parametrize("days", [-9, 9])
def test_cleaner_whose_own_clock_is_off(
    store: rf.SnapshotStore, root: Path, days: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Off(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(days=days)

    old, young = (manifest_of(root).with_name(f"jobs-{digit * 16}.parquet") for digit in ("0", "1"))
    old.write_bytes(b"")
    young.write_bytes(b"")
    make_old(old, 2)
    for module in (cleanup, local, removal):
        monkeypatch.setattr(module, "datetime", Off)
    actions = store.clean(dry_run=False)["action"].tolist()
    assert actions == ["removed", "kept: it is young, and may be in use"]
    assert young.exists()
    assert not store.prune(older_than=timedelta(days=1), dry_run=False).size
    store.remove("exprun_1", dry_run=False)
    assert store.list()["run_id"].tolist() == ["exprun_2"]


def test_file_that_is_taken_up_meanwhile_stays(
    store: rf.SnapshotStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer touches a file between the look at its age and its deletion, or names it."""
    path = manifest_of(root).with_name(f"jobs-{'0' * 16}.parquet")
    path.write_bytes(b"")
    make_old(path)
    real = LocalStorage.modified
    looks: list[str] = []

    def touch_after_two_looks(self: LocalStorage, name: str) -> datetime:
        looks.append(name)
        if len(looks) == 3:
            os.utime(path)
        return real(self, name)

    monkeypatch.setattr(LocalStorage, "modified", touch_after_two_looks)
    assert store.clean(dry_run=False)["action"].tolist() == ["kept: it is in use"]
    assert path.exists()


def test_writer_that_a_cleaner_overtook_says_so(
    store: rf.SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever cleans with no patience at all takes a writer's files; that is never acknowledged."""
    real = LocalStorage.flush_folder

    def clean_before(self: LocalStorage, name: str) -> None:
        monkeypatch.setattr(LocalStorage, "flush_folder", real)
        real(self, name)
        # the time of a file is not finer than that of the clock
        assert set(store.clean(older_than=-timedelta(1), dry_run=False)["action"]) == {"removed"}

    monkeypatch.setattr(LocalStorage, "flush_folder", clean_before)
    with pytest.raises(rf.SnapshotCorruptError, match="disappeared right after it was written"):
        store.write(run_of("exprun_2", 6))
    assert durations(store, "exprun_2") == [5]
    assert store.write(run_of("exprun_2", 6)).action == "revised"
    assert durations(store, "exprun_2") == [6]


def test_old_file_that_a_writer_takes_up_becomes_young(store: rf.SnapshotStore, root: Path) -> None:
    store.write(run_of("exprun_2", 6))
    for path in (root / "revisions").rglob("*.parquet"):
        make_old(path)
    before = datetime.now(UTC) - timedelta(days=1)
    store.write(run_of("exprun_2", 5))
    files = json.loads(manifest_of(root, revision=3).read_bytes())["files"]
    for entry in files.values():
        path = manifest_of(root).with_name(entry["name"])
        assert datetime.fromtimestamp(path.stat().st_mtime, UTC) > before


def test_clean_of_no_store(tmp_path: Path) -> None:
    with pytest.raises(rf.SnapshotNotFoundError, match="there is no store in"):
        rf.SnapshotStore(tmp_path).clean()
    with pytest.raises(TypeError, match="older_than takes a timedelta, not int"):
        rf.SnapshotStore(tmp_path).clean(older_than=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("call", ["clean", "remove", "prune"])
def test_dry_run_writes_nothing_where_nothing_can_be_written(
    store: rf.SnapshotStore, root: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    leftovers(root, hours=48)
    before = files_of(root)
    real = Path.open

    def refuse_to_write(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        return refuse() if "r" not in mode else real(path, mode, *arguments, **options)

    for name in ("link", "unlink", "replace", "mkdir", "utime"):
        monkeypatch.setattr(os, name, refuse)
    monkeypatch.setattr(Path, "open", refuse_to_write)
    calls: dict[str, Callable[[], Any]] = {
        "clean": store.clean,
        "remove": lambda: store.remove("exprun_1"),
        "prune": lambda: store.prune(keep_revisions=1, older_than=NOW),
    }
    listed = calls[call]()
    assert set(listed["action"]) == {"would be removed"}
    monkeypatch.undo()
    assert files_of(root) == before


# remove


def test_remove_lists_first(store: rf.SnapshotStore, root: Path) -> None:
    before = files_of(root)
    listed = store.remove("exprun_1")
    assert listed.columns.tolist() == COLUMNS
    assert set(listed["action"]) == {"would be removed"}
    assert set(listed["file"]) == {name for name in before if "exprun_1" in name}
    assert files_of(root) == before


def test_removed_run_leaves_no_byte(store: rf.SnapshotStore, root: Path) -> None:
    before = files_of(root)
    removed = store.remove("exprun_1", dry_run=False)
    assert set(removed["action"]) == {"removed"}
    assert files_of(root) == {name: data for name, data in before.items() if "exprun_1" not in name}
    assert not [path for path in root.rglob("*") if "exprun_1" in path.name]
    with pytest.raises(rf.SnapshotNotFoundError):
        store.read("exprun_1")
    assert store.list()["run_id"].tolist() == ["exprun_2"]
    assert store.verify("full").empty
    store.remove("exprun_2", dry_run=False)
    assert set(files_of(root)) == ROOT_FILES
    with pytest.raises(rf.SnapshotNotFoundError, match="there is no snapshot of run exprun_1"):
        store.remove("exprun_1")


def test_removed_run_is_not_in_compacted_files(store: rf.SnapshotStore, root: Path) -> None:
    store.compact("exp_1")
    assert b"exprun_1" in b"".join(files_of(root / "compacted").values())
    store.remove("exprun_1", dry_run=False)
    for path in root.rglob("*"):
        assert "exprun_1" not in path.name
        assert not path.is_file() or b"exprun_1" not in path.read_bytes()
    assert rf.scan(store).to_table()["run_id"].to_pylist() == ["exprun_2"]


@pytest.mark.parametrize("left", ["a killed compaction", "a damaged index"])
def test_removed_run_is_not_in_an_index_that_nobody_reads(
    store: rf.SnapshotStore, root: Path, left: str
) -> None:
    store.compact("exp_1")
    [index] = root.glob("compacted/*.json")
    if left == "a killed compaction":
        shutil.copyfile(index, index.with_name(f".{index.name}.{HEX}.tmp"))
    else:
        index.write_bytes(index.read_bytes()[:-9])
    store.remove("exprun_1", dry_run=False)
    assert not [name for name, data in files_of(root).items() if b"exprun_1" in data]
    assert rf.scan(store).to_table()["run_id"].to_pylist() == ["exprun_2"]
    assert store.compact("exp_1").packed == 1


class CutShortError(BaseException):
    """What a kill is here."""


CHANGES = ("link", "unlink", "replace", "rmdir", "fsync", "utime")


@pytest.mark.parametrize("finish", ["remove", "clean", "write"])
def test_removal_cut_at_any_step_is_finished(
    store: rf.SnapshotStore, root: Path, tmp_path: Path, finish: str
) -> None:
    store.compact("exp_1")
    gone = steps = 0
    for number in range(1, 400):
        copy = rf.SnapshotStore(shutil.copytree(root, tmp_path / str(number)))
        with pytest.MonkeyPatch.context() as environment:
            calls = cut_at(number, environment)
            try:
                copy.remove("exprun_1", dry_run=False)
            except CutShortError:
                steps += 1
        if len(calls) < number:
            break
        try:
            assert durations(copy, "exprun_1") == [1, 4]
        except rf.SnapshotNotFoundError:
            gone += 1
            assert "exprun_1" not in copy.list()["run_id"].tolist()
        else:
            assert gone == 0, "a run that was gone came back"
        assert durations(copy, "exprun_2") == [5]
        assert set(copy.verify()["kind"]) <= {"leftover", "stray"}
        if finish == "write":
            assert copy.write(run_of("exprun_1", 9)).action == ("created" if gone else "revised")
            assert durations(copy, "exprun_1") == [9]
        elif finish == "clean" and gone:
            copy.clean(older_than=-timedelta(1), dry_run=False)
        else:
            # nothing but its empty folder may be left
            with suppress(rf.SnapshotNotFoundError):
                copy.remove("exprun_1", dry_run=False)
        if finish != "write":
            left = list(Path(copy.root).rglob("*"))
            assert not [path for path in left if "exprun_1" in str(path.relative_to(copy.root))]
            left = [path for path in left if path.is_file()]
            assert not [path for path in left if b"exprun_1" in path.read_bytes()], number
        shutil.rmtree(copy.root)
    assert gone > 10
    assert steps > gone


def cut_at(number: int, environment: pytest.MonkeyPatch) -> list[str]:
    """End the process, as far as it can tell, before a change of the file system, by its number."""
    calls: list[str] = []

    def cutting(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            calls.append(name)
            if len(calls) >= number:
                raise CutShortError
            return real(*arguments, **options)

        return call

    for name in CHANGES:
        environment.setattr(os, name, cutting(name, getattr(os, name)))
    return calls


def test_run_that_is_written_while_it_is_removed(
    store: rf.SnapshotStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def write_first(source: Any, target: Any, **options: Any) -> None:
        monkeypatch.setattr(os, "link", real)
        if str(target).endswith("000002.json"):
            rf.SnapshotStore(root).write(run_of("exprun_2", 6))
        real(source, target, **options)

    monkeypatch.setattr(os, "link", write_first)
    with pytest.raises(rf.SnapshotConflictError, match=r"wrote revision 2 .* remove it again"):
        store.remove("exprun_2", dry_run=False)
    assert durations(store, "exprun_2") == [6]


def test_run_that_is_removed_while_it_is_written(
    store: rf.SnapshotStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = LocalStorage.flush_folder

    def remove_first(self: LocalStorage, name: str) -> None:
        monkeypatch.setattr(LocalStorage, "flush_folder", real)
        real(self, name)
        rf.SnapshotStore(root).remove("exprun_2", dry_run=False)

    monkeypatch.setattr(LocalStorage, "flush_folder", remove_first)
    with pytest.raises(rf.SnapshotError):
        store.write(run_of("exprun_2", 6))
    assert store.write(run_of("exprun_2", 6)).action == "created"
    assert durations(store, "exprun_2") == [6]


# prune


def test_prune_keeps_the_newest_revisions(store: rf.SnapshotStore, root: Path) -> None:
    before = files_of(root)
    listed = store.prune(keep_revisions=2)
    assert set(listed["action"]) == {"would be removed"}
    assert files_of(root) == before
    done = store.prune(keep_revisions=2, dry_run=False)
    assert done["file"].tolist() == listed["file"].tolist()
    assert files_of(root) == {n: d for n, d in before.items() if n not in set(done["file"])}
    with pytest.raises(rf.SnapshotNotFoundError):
        store.read("exprun_1", revision=1)
    assert durations(store, "exprun_1", 2) == [1, 3]
    assert durations(store, "exprun_1") == [1, 4]
    assert store.verify("full").empty
    assert store.write(run_of("exprun_1", 7)).revision == 4


def test_prune_keeps_files_that_newer_revisions_share(store: rf.SnapshotStore) -> None:
    store.prune(keep_revisions=1, dry_run=False)
    assert store.verify("full").empty
    assert store.read("exprun_1").handle_inputs["job_id"].tolist() == ["job_0", "job_1"]
    assert len(store.prune(keep_revisions=1)) == 0


def test_prune_by_age_and_completeness(store: rf.SnapshotStore) -> None:
    assert len(store.prune(older_than=timedelta(days=1))) == 0
    assert len(store.prune(incomplete=True)) == 0
    assert len(store.prune(older_than=NOW, incomplete=False)) == 6
    assert len(store.prune(keep_revisions=9, incomplete=False)) == 0
    for arguments, match in (
        ({}, "give keep_revisions, older_than or incomplete"),
        ({"keep_revisions": 0}, "keep_revisions is at least 1"),
    ):
        with pytest.raises(ValueError, match=match):
            store.prune(**arguments)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="older_than takes a timedelta"):
        store.prune(older_than=1)  # type: ignore[arg-type]


def test_run_with_a_damaged_manifest_is_not_pruned(store: rf.SnapshotStore, root: Path) -> None:
    manifest_of(root, "exprun_1", 1).write_bytes(b"damaged")
    assert len(store.prune(keep_revisions=1)) == 0


@pytest.mark.usefixtures("store")
def test_pruning_cut_at_any_step_loses_nothing_newer(root: Path, tmp_path: Path) -> None:
    for number in range(1, 100):
        copy = rf.SnapshotStore(shutil.copytree(root, tmp_path / str(number)))
        with pytest.MonkeyPatch.context() as environment:
            calls = cut_at(number, environment)
            with suppress(CutShortError):
                copy.prune(keep_revisions=1, dry_run=False)
        assert durations(copy, "exprun_1") == [1, 4]
        assert set(copy.verify("full")["kind"]) <= {"leftover"}
        copy.prune(keep_revisions=1, dry_run=False)
        copy.clean(older_than=-timedelta(1), dry_run=False)
        assert copy.verify("full").empty
        assert len(list(Path(copy.root).glob("revisions/exprun_1-*/*"))) == 4
        if len(calls) < number:
            return
    pytest.fail("a removal has more steps than were tried")


def test_pruning_cut_at_any_step_leaves_no_old_rows(
    store: rf.SnapshotStore, root: Path, tmp_path: Path
) -> None:
    store.compact("exp_1")
    store.write(run_of("exprun_1", 1, 6))
    for number in range(1, 200):
        copy = rf.SnapshotStore(shutil.copytree(root, tmp_path / str(number)))
        with pytest.MonkeyPatch.context() as environment:
            calls = cut_at(number, environment)
            with suppress(CutShortError):
                copy.prune(keep_revisions=1, dry_run=False)
        copy.prune(keep_revisions=1, dry_run=False)
        copy.clean(older_than=-timedelta(1), dry_run=False)
        files = Path(copy.root).rglob("jobs*/**/*.parquet")
        assert {n for file in files for n in pq.read_table(file)["duration_ms"].to_pylist()} <= {
            *(1, 5, 6)
        }, number
        shutil.rmtree(copy.root)
        if len(calls) < number:
            return
    pytest.fail("a removal has more steps than were tried")


# publish


def test_views_are_made_again(store: rf.SnapshotStore, root: Path) -> None:
    before = files_of(root)
    assert len(store.publish()) == 0
    for table in ("jobs", "raw", "handle_inputs"):
        shutil.rmtree(root / table)
    assert durations(store, "exprun_1") == [1, 4]
    published = store.publish()
    assert published.columns.tolist() == COLUMNS
    assert set(published["action"]) == {"written"}
    assert files_of(root) == before


@pytest.mark.parametrize("damage", [b"", b"torn"])
def test_torn_views_are_made_again(store: rf.SnapshotStore, root: Path, damage: bytes) -> None:
    before = files_of(root)
    for view in [*(root / "jobs").rglob("*.parquet")]:
        view.unlink()
        view.write_bytes(damage)
    assert len(store.publish()) == 2
    assert files_of(root) == before


def test_view_of_an_unknown_run_is_listed_and_kept(store: rf.SnapshotStore, root: Path) -> None:
    shutil.rmtree(manifest_of(root).parent)
    before = files_of(root)
    assert set(store.publish()["action"]) == {"kept: restore its manifest, or delete it"}
    assert files_of(root) == before


def test_store_without_views(root: Path) -> None:
    store = rf.SnapshotStore(root, views=False)
    store.write(run_of("exprun_1", 1, 2))
    assert {path.name for path in root.iterdir()} == {"revisions", "retab-frames.json"}
    assert durations(store, "exprun_1") == [1, 2]
    assert store.verify("full").empty
    assert len(store.publish()) == 3
