"""The copy of the list of a large store: never believed beyond what its manifests say."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import retab_frames as rf
from retab_frames.store.catalog import Catalog
from retab_frames.store.files.local import LocalStorage
from retab_frames.store.listing import list_runs
from retab_frames.store.removal import mark_removed
from store.test_verification import run_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUNS = ["exprun_1", "exprun_2", "exprun_3"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "store"
    store = rf.SnapshotStore(root)
    for n, run_id in enumerate(RUNS):
        store.write(run_of(run_id, n))
    time.sleep(0.15)  # a folder that changed right now is not copied
    return root


def listed(root: Path, *, worth_a_copy: int = 2) -> list[tuple[str, int, int]]:
    """Return run, revision and jobs of each run."""
    files = LocalStorage(root)
    table = list_runs(files, Catalog(files), worth_a_copy=worth_a_copy)
    assert table.column_names == rf.SnapshotStore(root).list().columns.tolist()
    names = ("run_id", "revision", "jobs")
    return list(zip(*(table.column(name).to_pylist() for name in names), strict=True))


def no_manifest_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    real = LocalStorage.read

    def read(self: LocalStorage, name: str, size: int | None = None) -> bytes:
        assert not name.startswith("revisions/"), name
        return real(self, name, size)

    monkeypatch.setattr(LocalStorage, "read", read)


def test_nothing_is_opened_again_that_did_not_change(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = listed(root)
    assert [run_id for run_id, *_ in first] == RUNS
    assert (root / "listing.parquet").exists()
    whole = rf.SnapshotStore(root).list()
    no_manifest_is_read(monkeypatch)
    assert listed(root) == first
    assert rf.SnapshotStore(root).list().equals(whole)


def test_a_small_store_has_no_copy(root: Path) -> None:
    listed(root, worth_a_copy=4)
    assert not (root / "listing.parquet").exists()


def test_what_changed_since_is_read_from_its_manifest(root: Path) -> None:
    listed(root)
    store = rf.SnapshotStore(root)
    store.write(run_of("exprun_2", 7, 8))
    store.write(run_of("exprun_0", 1))
    expected = [("exprun_0", 1, 1), ("exprun_1", 1, 1), ("exprun_2", 2, 2), ("exprun_3", 1, 1)]
    assert listed(root, worth_a_copy=99) == expected
    assert store.list()["revision"].tolist() == [1, 1, 2, 1]


def test_a_removed_run_is_in_no_copy(root: Path) -> None:
    listed(root)
    left = root / f".listing.parquet.{'0' * 32}.tmp"
    left.write_bytes(b"of a writer that was killed")
    rf.SnapshotStore(root).remove("exprun_2", dry_run=False)
    assert not left.exists()
    assert not (root / "listing.parquet").exists()
    assert [run_id for run_id, *_ in listed(root)] == ["exprun_1", "exprun_3"]


def test_a_run_that_is_being_removed_is_in_no_copy(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = LocalStorage.put

    def put(self: LocalStorage, name: str, data: bytes) -> None:
        # the removal begins before the copy is there, and ends after it
        files = LocalStorage(root)
        last = Catalog(files).last("exprun_2")
        assert last is not None
        mark_removed(files, last)
        real(self, name, data)

    monkeypatch.setattr(LocalStorage, "put", put)
    listed(root)
    assert not (root / "listing.parquet").exists()


def change(root: Path, name: str, values: list[Any]) -> None:
    path = root / "listing.parquet"
    table = pq.read_table(path)
    at = table.column_names.index(name)
    pq.write_table(table.set_column(at, name, pa.array(values, table.schema.types[at])), path)


FORGED: dict[str, Callable[[Path], object]] = {
    "garbage": lambda root: (root / "listing.parquet").write_bytes(b"garbage"),
    "another table": lambda root: pq.write_table(pa.table({"a": [1]}), root / "listing.parquet"),
    "other times": partial(change, name="changed", values=[1, 2, 3]),
    "times of none": partial(change, name="changed", values=[None] * 3),
    "runs of others": partial(change, name="run_id", values=["a", "b", "c"]),
    "fewer than no jobs": partial(change, name="jobs", values=[-1, -1, -1]),
    "no jobs": partial(change, name="jobs", values=[None] * 3),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_copy_that_is_not_right_is_not_used(root: Path, forge: Callable[[Path], object]) -> None:
    expected = listed(root)
    forge(root)
    assert listed(root, worth_a_copy=99) == expected


def test_a_link_in_its_place_is_not_read(root: Path, tmp_path: Path) -> None:
    expected = listed(root)
    path = root / "listing.parquet"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert listed(root) == expected
    assert not path.is_symlink()
    assert (tmp_path / "elsewhere").exists()
