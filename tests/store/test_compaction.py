"""A compacted store is the same store: to us the same in every respect, to plain readers too."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import duckdb
import msgspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from buckets import point_at, s3_server
from click.testing import CliRunner
from factories import run

import retab_frames as rf
from retab_frames.cli import main
from retab_frames.store import compaction
from retab_frames.store.catalog import Catalog
from retab_frames.store.compacted import Index, indexes, read_index, unused_parts
from retab_frames.store.files.local import LocalStorage
from retab_frames.store.files.storage import open_storage
from retab_frames.store.manifest import folder_name
from retab_frames.store.scan import selection
from retab_frames.store.scan.scan import Engine, scan
from retab_frames.store.scan.selection import PartRuns, newest_revisions, select
from retab_frames.store.scan.sql import query
from retab_frames.store.table_versions import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

EXPERIMENT = "exp"
FOLDER = folder_name(EXPERIMENT)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make small parts worth what large ones are."""
    monkeypatch.setattr(compaction, "MOST_RUNS", 3)
    monkeypatch.setattr(selection, "_WORTH_AN_INDEX", 1)


def run_of(number: int, *durations: int, status: str = "completed") -> rf.RunContent:
    """Return a run made on a day of January; every other has a handle of its own."""
    jobs = [
        {
            "id": f"job_{number}_{n}",
            "duration_ms": duration,
            "status": status,
            "handle_inputs": {f"in-{number % 2}": {"type": "json", "data": {"n": n}}},
            "unheard_of": n,
        }
        for n, duration in enumerate(durations)
    ]
    made = f"2026-01-{number:02}T10:00:00Z"
    return run(*jobs, run_id=f"run_{number}", created_at=made, status="completed")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight runs, one of them in two revisions, one that runs still; and a run of another."""
    folder = tmp_path_factory.mktemp("template")
    made = rf.SnapshotStore(folder)
    made.write(run_of(2, 5))
    for number in range(1, 9):
        status = "running" if number == 6 else "completed"
        made.write(run_of(number, *range(number), status=status))
    with rf.Sandbox() as sandbox, rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        made.pull(sandbox.workflow_id, sandbox.experiment_ids[0], client=client)
    return folder


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "store"))


@pytest.fixture
def store(root: Path) -> rf.SnapshotStore:
    return rf.SnapshotStore(root)


def arrow(found: Any) -> pa.Table:
    """Return what any engine found as an Arrow table."""
    if isinstance(found, pd.DataFrame):
        return pa.Table.from_pandas(found, preserve_index=False)
    if isinstance(found, pl.LazyFrame):
        return found.collect().to_arrow()
    if hasattr(found, "compute"):
        return pa.Table.from_pandas(found.compute(scheduler="synchronous"), preserve_index=False)
    return found.to_arrow_table() if hasattr(found, "to_arrow_table") else found.to_table()


def contents(store: rf.SnapshotStore) -> dict[tuple[str, int], list[Any]]:
    """Return what is read of every revision of every run."""
    told = {}
    for run_id, newest in store.list()[["run_id", "revision"]].itertuples(index=False):
        for revision in range(1, newest + 1):
            content = store.read(run_id, revision=revision)
            tables = (*content.tables, content.run_table, content.raw_rows)
            told[run_id, revision] = [content.complete, content.fetched_at, *tables]
    return told


def scans(
    store: rf.SnapshotStore, engines: Sequence[Engine] = get_args(Engine), **filters: Any
) -> dict[tuple[str, str], Any]:
    """Return what the engines find in every table: names, types, rows, and their order."""
    told: dict[tuple[str, str], Any] = {}
    for table in TABLES:
        for engine in engines:
            found = arrow(scan(store, table, engine=engine, **filters))
            rows = found.to_pylist()
            # SQL promises no order
            told[table, engine] = sorted(rows, key=str) if engine == "duckdb" else rows
            told[table, f"{engine} schema"] = [(f.name, f.type) for f in found.schema]
    return told


def everything(store: rf.SnapshotStore) -> list[Any]:
    """Return all that is seen through us."""
    counted = "select run_id, count(*) as n from {} group by run_id order by run_id nulls first"
    return [
        store.list(),
        contents(store),
        scans(store, ("arrow", "polars")),
        scans(store, ("arrow",), since="2026-01-03T00:00:00Z", until="2026-01-08T00:00:00Z"),
        scans(store, ("arrow",), run_id=["run_3", "run_1", "run_8"]),
        [query(store, counted.format(table)).to_dict() for table in TABLES],
    ]


def assert_same(before: list[Any], after: list[Any]) -> None:
    pd.testing.assert_frame_equal(before[0], after[0])
    assert before[1:] == after[1:]


def plain(root: Path, *, compacted: bool = False) -> dict[str, dict[str, list[int]]]:
    """Return the durations of each run as three readers of plain Parquet find them."""
    folder = root / "compacted/jobs" if compacted else root / "jobs"
    files = (folder / "**/*.parquet").as_posix()
    relation = duckdb.read_parquet(files, union_by_name=True)
    frames = {
        "pandas": pd.read_parquet(folder),
        "polars": pl.concat(map(pl.scan_parquet, folder.rglob("*.parquet")), how="diagonal")
        .select("run_id", "duration_ms")
        .collect()
        .to_pandas(),
        "duckdb": relation.select("run_id, duration_ms").df(),
    }
    told: dict[str, dict[str, list[int]]] = {reader: {} for reader in frames}
    for reader, frame in frames.items():
        for run_id, duration in frame[["run_id", "duration_ms"]].itertuples(index=False):
            told[reader].setdefault(run_id, []).append(-1 if pd.isna(duration) else int(duration))
        told[reader] = {run_id: sorted(found) for run_id, found in told[reader].items()}
    return told


def part_files(root: Path, table: str = "jobs") -> dict[str, str]:
    """Return the part behind each compacted file that plain readers see."""
    names = {
        path.stat().st_ino: path.name for path in (root / "compacted/parts").rglob("*.parquet")
    }
    views = (root / "compacted" / table / FOLDER).iterdir()
    return {path.name: names[path.stat().st_ino] for path in sorted(views)}


def problems(store: rf.SnapshotStore) -> list[tuple[str, str]]:
    """Return what is wrong; a part that was made anew is there for the scans that read it."""
    found = store.verify("full")
    found = found[found["problem"] != "is of no compacted part"]
    return list(zip(found["kind"], found["problem"], strict=True))


def index_of(store: rf.SnapshotStore) -> Index:
    index = read_index(open_storage(store.root), FOLDER)
    assert index is not None
    return index


def packed_runs(store: rf.SnapshotStore) -> list[list[str]]:
    return [[one.run_id for one in part.runs] for part in index_of(store).parts]


def parts_read(store: rf.SnapshotStore, **filters: Any) -> list[list[str]]:
    """Return the runs of each part that a scan reads."""
    chosen = newest_revisions(open_storage(store.root), experiment_id=EXPERIMENT, **filters)
    parts = [one.part for one in chosen if isinstance(one, PartRuns)]
    return [[run.run_id for run in part.runs] for part in parts]


def everything_else(root: Path) -> dict[str, tuple[bytes, int]]:
    """Return the bytes and the time of every file that is not of `compacted/`."""
    return {
        path.relative_to(root).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file() and "compacted" not in path.parts
    }


# what stays the same


def test_nothing_that_is_read_through_us_changes(store: rf.SnapshotStore, root: Path) -> None:
    before, own, seen = everything(store), everything_else(root), plain(root)
    by_engine = scans(store)
    done = store.compact(EXPERIMENT)

    assert scans(store) == by_engine
    [left] = [one for one in Catalog(open_storage(root)).all() if one.run_id == "run_6"]
    assert (done.experiment_id, done.packed, done.left) == (EXPERIMENT, 7, 1)
    assert done.files == sum(len(part.files) for part in index_of(store).parts) + len(left.files)
    assert done.files < done.files_before
    assert packed_runs(store) == [
        ["run_1", "run_2", "run_3"],
        ["run_4", "run_5"],
        ["run_7", "run_8"],
    ]
    assert parts_read(store) == packed_runs(store)
    assert_same(before, everything(store))
    assert_same(before, everything(rf.SnapshotStore(root)))
    assert everything_else(root) == own
    assert plain(root) == seen
    assert problems(store) == []


def test_plain_readers_find_each_complete_run_once(store: rf.SnapshotStore, root: Path) -> None:
    expected = {run: found for run, found in plain(root)["pandas"].items() if run[:4] == "run_"}
    del expected["run_6"]
    store.compact(EXPERIMENT)
    assert list(plain(root, compacted=True).values()) == [expected] * 3


@pytest.mark.parametrize("table", TABLES)
def test_scans_read_parts_where_all_of_one_is_asked_for(
    store: rf.SnapshotStore, table: str
) -> None:
    store.compact(EXPERIMENT)
    storage = open_storage(store.root)

    def found(**filters: Any) -> list[tuple[str, ...] | str | None]:
        chosen = newest_revisions(storage, experiment_id=EXPERIMENT, **filters)
        return [source.runs or source.run_id for source in select(storage, chosen, table).sources]

    first, second, third = (("run_1", "run_2", "run_3"), ("run_4", "run_5"), ("run_7", "run_8"))
    if table == "handle_outputs":
        assert found() == []
        return
    assert found() == [first, second, "run_6", third]
    assert found(since="2026-01-02T00:00:00Z") == ["run_2", "run_3", second, "run_6", third]
    assert found(run_id=["run_1", "run_2"]) == ["run_1", "run_2"]
    assert found(run_id=["run_2", "run_3", "run_1"]) == [first]


def test_raw_has_the_run_in_front_and_issues_are_as_they_were(
    store: rf.SnapshotStore, root: Path
) -> None:
    store.compact(EXPERIMENT)
    raw = pd.read_parquet(root / "compacted/raw")
    assert raw.columns.tolist() == ["run_id", "job_id", "position", "body"]
    assert raw["run_id"].nunique() == 7
    issues = pd.read_parquet(root / "compacted/issues")
    assert issues["field"].unique().tolist() == ["unheard_of"]


@pytest.mark.parametrize("what", ["compacted", f"compacted/{FOLDER}.json", "compacted/parts"])
def test_deleting_it_loses_nothing(store: rf.SnapshotStore, root: Path, what: str) -> None:
    store.compact(EXPERIMENT)
    before = everything(store)
    path = root / what
    path.unlink() if path.is_file() else shutil.rmtree(path)

    assert_same(before, everything(store))
    assert "damaged" not in dict(problems(store)) or what == "compacted/parts"
    store.compact(EXPERIMENT)
    assert_same(before, everything(store))
    assert problems(store) == []
    assert list(plain(root, compacted=True)["pandas"]) == [
        f"run_{n}" for n in (1, 2, 3, 4, 5, 7, 8)
    ]


# the index


def test_what_did_not_change_since_is_not_read_to_plan(
    store: rf.SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    time.sleep(0.2)  # the time of what changed just now is not relied on
    store.compact(EXPERIMENT)
    store.write(run_of(8, 1))
    before = scans(store)
    storage = open_storage(store.root)
    read: list[str] = []
    real = storage.read

    def note(name: str, *size: int) -> bytes:
        read.append(name)
        return real(name, *size)

    monkeypatch.setattr(storage, "read", note)
    chosen = newest_revisions(storage, experiment_id=EXPERIMENT)

    opened = {name.split("/")[1].rpartition("-")[0] for name in read if "revisions/" in name}
    assert {one for one in opened if one.startswith("run_")} == {"run_6", "run_7", "run_8"}
    assert [type(one).__name__ for one in chosen] == ["PartRuns"] * 2 + ["Manifest"] * 3
    assert scans(store) == before


def test_a_run_made_anew_under_the_same_number_is_noticed(
    store: rf.SnapshotStore, root: Path
) -> None:
    time.sleep(0.2)
    store.compact(EXPERIMENT)
    [folder] = (root / "revisions").glob("run_4-*")
    shutil.rmtree(folder)
    store.write(run_of(4, 77))

    assert [name.name for name in sorted(folder.glob("*.json"))] == ["000001.json"]
    found = arrow(scan(store, run_id=None)).filter(pc.field("run_id") == "run_4")
    assert found.column("duration_ms").to_pylist() == [77]
    assert parts_read(store) == [["run_1", "run_2", "run_3"], ["run_7", "run_8"]]


def resealed(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change an index, and give it the hash that matches."""
    file = index_file(root)
    index = json.loads(file.read_bytes())
    change(index)
    index.pop("seal")
    text = msgspec.json.encode(index, order="sorted")
    index["seal"] = hashlib.sha256(text).hexdigest()
    file.write_bytes(msgspec.json.encode(index, order="sorted"))


def first_part(index: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = index["parts"][0]
    return part


NONSENSE: dict[str, Callable[[dict[str, Any]], None]] = {
    "another experiment": lambda index: index.update(experiment_id="exp_2"),
    "no parts": lambda index: index.update(parts=None),
    "parts twice": lambda index: index["parts"].extend(index["parts"]),
    "a file elsewhere": lambda index: first_part(index)["files"]["jobs"].update(
        name="../x.parquet"
    ),
    "the file of another table": lambda index: first_part(index)["files"]["jobs"].update(
        name=first_part(index)["files"]["raw"]["name"]
    ),
    "no such table": lambda index: first_part(index)["files"].update(
        more=first_part(index)["files"]["jobs"]
    ),
    "no runs": lambda index: first_part(index).update(runs=[]),
    "a size of another": lambda index: first_part(index)["files"]["jobs"].update(size=2**40),
    "a negative size": lambda index: first_part(index)["files"]["jobs"].update(size=-1),
    "a huge number": lambda index: first_part(index).update(number=2**70),
    "no time": lambda index: first_part(index)["runs"][0].update(run_created_at="no time"),
    "no zone": lambda index: first_part(index)["runs"][0].update(run_created_at="2026-01-01"),
    "the order of others": lambda index: first_part(index)["runs"].reverse(),
    "another seal": lambda index: first_part(index)["runs"][0].update(seal="0" * 64, changed=0),
    "another version of a table": lambda index: first_part(index)["files"]["jobs"].update(
        schema_version=9
    ),
    "a newer format": lambda index: index.update(version=9),
    "a format of others": lambda index: index.update(format="x"),
    "nested deep": lambda index: index.update(library=json.loads("[" * 400 + "]" * 400)),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_an_index_with_nonsense_is_not_used(store: rf.SnapshotStore, root: Path, what: str) -> None:
    store.compact(EXPERIMENT)
    before = everything(store)
    resealed(root, NONSENSE[what])

    assert ["run_1", "run_2", "run_3"] not in parts_read(store) or "size" in what
    assert_same(before, everything(store))
    assert {kind for kind, _ in problems(store)} <= {"damaged", "leftover", "newer"}
    store.compact(EXPERIMENT)
    assert_same(before, everything(store))
    assert problems(store) == []


# again


def test_twice_writes_nothing(store: rf.SnapshotStore, root: Path) -> None:
    time.sleep(0.2)
    first = store.compact(EXPERIMENT)
    state = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    again = store.compact(EXPERIMENT)

    assert (again.packed, again.files, again.files_before) == (7, first.files, first.files)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == state


def test_a_new_run_changes_the_last_part_alone(store: rf.SnapshotStore, root: Path) -> None:
    store.compact(EXPERIMENT)
    old = part_files(root)
    for number in (9, 10):
        store.write(run_of(number, 1, 2))
    before = everything(store)
    assert parts_read(store) == packed_runs(store)
    store.compact(EXPERIMENT)

    assert packed_runs(store)[2:] == [["run_7", "run_8", "run_9"], ["run_10"]]
    new = part_files(root)
    assert [number for number, name in new.items() if old.get(number) != name] == [
        "000003.parquet",
        "000004.parquet",
    ]
    assert_same(before, everything(store))
    assert problems(store) == []


def test_a_revised_run_is_read_from_its_own_files(store: rf.SnapshotStore, root: Path) -> None:
    store.compact(EXPERIMENT)
    old = part_files(root)
    assert store.write(run_of(2, 100)).action == "revised"

    assert part_files(root) == old
    assert parts_read(store) == [["run_4", "run_5"], ["run_7", "run_8"]]
    assert [found["run_2"] for found in plain(root).values()] == [[100]] * 3
    assert problems(store) == []
    before, seen = everything(store), plain(root)

    store.compact(EXPERIMENT)
    assert packed_runs(store)[0] == ["run_1", "run_2", "run_3"]
    new = part_files(root)
    assert [number for number, name in new.items() if old[number] != name] == ["000001.parquet"]
    assert_same(before, everything(store))
    assert plain(root) == seen
    assert plain(root, compacted=True)["duckdb"]["run_2"] == [100]
    assert problems(store) == []


def test_a_run_that_comes_late_into_the_order(store: rf.SnapshotStore, root: Path) -> None:
    store.compact(EXPERIMENT)
    old = part_files(root)
    late = run(run_id="run_1b", created_at="2026-01-01T11:00:00Z", status="completed")
    store.write(late)
    before = everything(store)
    assert parts_read(store) == [["run_4", "run_5"], ["run_7", "run_8"]]
    store.compact(EXPERIMENT)

    assert packed_runs(store) == [
        ["run_1", "run_1b", "run_2"],
        ["run_3"],
        ["run_4", "run_5"],
        ["run_7", "run_8"],
    ]
    new = part_files(root)
    assert {number for number, name in new.items() if old.get(number) != name} == {
        "000001.parquet",
        "000004.parquet",
    }
    assert_same(before, everything(store))
    assert problems(store) == []


def test_parts_that_became_small_are_joined(
    store: rf.SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.compact(EXPERIMENT)
    monkeypatch.setattr(compaction, "MOST_RUNS", 10)
    store.compact(EXPERIMENT)
    assert packed_runs(store) == [[f"run_{n}" for n in range(1, 6)], ["run_7", "run_8"]]


def test_a_revision_that_is_not_complete_leaves_the_part(
    store: rf.SnapshotStore, root: Path
) -> None:
    store.compact(EXPERIMENT)
    store.write(run_of(8, 1, status="running"))
    before = everything(store)
    done = store.compact(EXPERIMENT)

    assert (done.packed, done.left) == (6, 2)
    assert "run_8" not in plain(root, compacted=True)["duckdb"]
    assert_same(before, everything(store))
    store.write(run_of(6, 1))
    store.compact(EXPERIMENT)
    assert packed_runs(store)[1] == ["run_4", "run_5", "run_6"]


def test_an_experiment_that_is_not_there(store: rf.SnapshotStore) -> None:
    with pytest.raises(rf.SnapshotNotFoundError, match=r"no run of experiment exp_0 .*list\(\)"):
        store.compact("exp_0")


def test_nothing_to_compact(tmp_path: Path) -> None:
    store = rf.SnapshotStore(tmp_path)
    store.write(run_of(1, 1, status="running"))
    done = store.compact(EXPERIMENT)
    assert (done.packed, done.left, done.files) == (0, 1, done.files_before)
    assert not (tmp_path / "compacted").exists()


@pytest.mark.parametrize(("limit", "most"), [("MOST_ROWS", 5), ("MOST_BYTES", 1)])
def test_a_file_has_no_more_than_a_partition(
    store: rf.SnapshotStore, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(compaction, limit, most)
    store.compact(EXPERIMENT)
    alone = [[f"run_{n}"] for n in (3, 4, 5, 7, 8)]
    first = [["run_1", "run_2"]] if limit == "MOST_ROWS" else [["run_1"], ["run_2"]]
    assert packed_runs(store) == first + alone


# removal


def test_a_removed_run_is_in_no_file(store: rf.SnapshotStore, root: Path) -> None:
    store.compact(EXPERIMENT)
    store.write(run_of(2, 100))
    store.compact(EXPERIMENT)  # so that a part of before has it too
    assert list(unused_parts(open_storage(root)))
    name = f".jobs-0000000000000000.parquet.{'0123' * 8}.tmp"
    left = root / "compacted/parts" / FOLDER / name
    left.write_bytes(b"of a compaction that was killed")

    store.remove("run_2", dry_run=False)

    assert packed_runs(store) == [["run_1", "run_3"], ["run_4", "run_5"], ["run_7", "run_8"]]
    files = [path for path in (root / "compacted").rglob("*") if path.is_file()]
    assert not [path for path in files if b"run_2" in path.read_bytes()]
    tables = [pq.read_table(path) for path in files if path.suffix == ".parquet"]
    assert not ["run_2" for one in tables if "run_2" in str(one.to_pylist())]
    assert not left.exists()
    assert "run_2" not in plain(root, compacted=True)["pandas"]
    assert problems(store) == []


def test_old_revisions_leave_the_parts_too(store: rf.SnapshotStore, root: Path) -> None:
    store.compact(EXPERIMENT)
    store.write(run_of(2, 100))
    before = scans(store)

    store.prune(keep_revisions=1, dry_run=False)

    assert packed_runs(store)[0] == ["run_1", "run_2", "run_3"]
    assert plain(root, compacted=True)["pandas"]["run_2"] == [100]
    assert list(unused_parts(open_storage(root))) == []
    assert scans(store) == before
    assert problems(store) == []


def test_damage_of_one_run_does_not_keep_another_from_being_removed(
    store: rf.SnapshotStore, root: Path
) -> None:
    store.compact(EXPERIMENT)
    damaged(next((root / "revisions").glob("run_3-*/raw-*")))
    store.remove("run_2", dry_run=False)

    assert packed_runs(store) == [["run_4", "run_5"], ["run_7", "run_8"]]
    assert "run_2" not in plain(root, compacted=True)["pandas"]


# damage


def damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def index_file(root: Path) -> Path:
    return root / "compacted" / f"{FOLDER}.json"


@pytest.mark.parametrize("spoil", [damaged, emptied])
def test_a_damaged_index_loses_nothing(
    store: rf.SnapshotStore, root: Path, spoil: Callable[[Path], None]
) -> None:
    store.compact(EXPERIMENT)
    before, seen = everything(store), plain(root)
    spoil(index_file(root))
    other = rf.SnapshotStore(root)

    assert_same(before, everything(other))
    assert ("damaged", f"compacted/{FOLDER}.json") in list(
        other.verify()[["kind", "file"]].itertuples(index=False, name=None)
    )
    other.write(run_of(3, 0, 1, 2))
    other.compact(EXPERIMENT)
    assert_same(before, everything(other))
    assert plain(root) == seen
    assert problems(other) == []


@pytest.mark.parametrize("spoil", [damaged, emptied, Path.unlink])
def test_a_damaged_part_is_made_anew(
    store: rf.SnapshotStore, root: Path, spoil: Callable[[Path], None]
) -> None:
    store.compact(EXPERIMENT)
    before, seen = everything(store), plain(root, compacted=True)
    for table in ("jobs", "raw"):
        spoil(next((root / "compacted/parts" / FOLDER).glob(f"{table}-*")))
    found = store.verify()
    assert found["kind"].tolist() == ["damaged"] * 2
    assert found["action"].str.contains("compact the experiment again").all()
    if spoil is not damaged:
        assert_same(before, everything(store))
    store.compact(EXPERIMENT)

    assert_same(before, everything(store))
    assert plain(root, compacted=True) == seen
    assert problems(store) == []


def test_a_part_with_rows_of_its_own_is_found(
    store: rf.SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = compaction._read_rows
    monkeypatch.setattr(compaction, "_read_rows", lambda *a: other(*a)[::-1])
    store.compact(EXPERIMENT)

    assert any("run_2" in problem for _, problem in problems(store))
    assert store.verify("hash").empty


def test_a_damaged_run_is_not_compacted(store: rf.SnapshotStore, root: Path) -> None:
    before = plain(root)
    damaged(next((root / "revisions").glob("run_3-*/raw-*")))
    with pytest.raises(rf.SnapshotCorruptError, match=r"raw-.* of run run_3 is damaged"):
        store.compact(EXPERIMENT)
    assert plain(root) == before
    assert list(indexes(open_storage(root))) == []


@pytest.mark.parametrize("place", ["compacted", "compacted/parts", "compacted/jobs"])
def test_a_link_is_not_followed(store: rf.SnapshotStore, root: Path, place: str) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "mine.txt").write_text("not of this library")
    (root / place).parent.mkdir(exist_ok=True)
    (root / place).symlink_to(outside)
    before = everything(store)

    with pytest.raises(rf.SnapshotError, match="link"):
        store.compact(EXPERIMENT)
    assert [path.name for path in outside.rglob("*")] == ["mine.txt"]
    assert_same(before, everything(store))


# others at the same time


class Meddled(LocalStorage):
    """Lets someone else come in right before or after the index is written."""

    def __init__(self, root: Path, meddle: Callable[[], None], *, after: bool) -> None:
        super().__init__(root)
        self._meddle, self._after, self._done = meddle, after, False

    def put(self, name: str, data: bytes) -> None:
        meddles = not self._done and name.startswith("compacted/")
        self._done = self._done or meddles
        if meddles and not self._after:
            self._meddle()
        super().put(name, data)
        if meddles and self._after:
            self._meddle()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("what", ["revision", "compaction", "new run", "removal"])
def test_someone_else_comes_between(root: Path, what: str, *, after: bool, packed: bool) -> None:
    other = rf.SnapshotStore(root)
    if packed:
        other.compact(EXPERIMENT)
        other.write(run_of(10, 1))

    def meddle() -> None:
        if what == "compaction":
            other.compact(EXPERIMENT)
        elif what == "removal":
            other.remove("run_3", dry_run=False)
        else:
            other.write(run_of(3 if what == "revision" else 9, 100))

    files = Meddled(root, meddle, after=after)
    compaction.compact(files, EXPERIMENT, progress=None)

    seen, before = plain(root)["pandas"], everything(other)
    assert seen.get("run_3") == {"revision": [100], "removal": None}.get(what, [0, 1, 2])
    assert seen.get("run_9") == ([100] if what == "new run" else None)
    if what == "removal":
        assert "run_3" not in plain(root, compacted=True)["pandas"]
        assert "run_3" not in index_file(root).read_text()
    other.compact(EXPERIMENT)
    assert_same(everything(other), before)
    complete = {one: found for one, found in seen.items() if one[:4] == "run_" and one != "run_6"}
    assert plain(root, compacted=True)["pandas"] == complete
    shutil.rmtree(root / "compacted")
    assert_same(everything(other), before)


# elsewhere


def bucket(place: str) -> Iterator[str]:
    if place == "memory":
        yield "memory://compacted"
        return
    with s3_server() as url, pytest.MonkeyPatch.context() as environment:
        point_at(url, environment)
        yield "s3://bucket/compacted"


@pytest.mark.parametrize("place", ["memory", "s3"])
def test_in_a_bucket(place: str) -> None:
    for url in bucket(place):
        store = rf.SnapshotStore(url)
        for number in range(1, 6):
            store.write(run_of(number, *range(number)))
        before = [store.list(), contents(store), arrow(scan(store)), arrow(scan(store, "raw"))]
        assert store.compact(EXPERIMENT).packed == 5
        assert parts_read(store) == [["run_1", "run_2", "run_3"], ["run_4", "run_5"]]
        store.write(run_of(2, 0, 1))

        after = [store.list(), contents(store), arrow(scan(store)), arrow(scan(store, "raw"))]
        assert_same(before, after)
        assert problems(store) == []
        lazy = scan(store)
        store.write(run_of(2, 100))
        assert parts_read(store) == [["run_4", "run_5"]]
        store.compact(EXPERIMENT)
        assert arrow(lazy).equals(before[2])
        assert problems(store) == []
        assert store.read("run_2").jobs["duration_ms"].tolist() == [100]


# from the shell


def shell(*arguments: str) -> Any:
    return CliRunner(env={"COLUMNS": "80"}).invoke(main, arguments)


def test_the_command(root: Path) -> None:
    result = shell("compact", EXPERIMENT, "--store", str(root))
    assert result.exit_code == 0, result.output
    assert "Compacted 7 runs of exp" in result.output
    assert "Incomplete runs, left out: 1." in result.output
    again = shell("compact", EXPERIMENT, "--store", str(root), "--json")
    assert '"packed":7' in again.output.replace(" ", "")


def test_the_command_finds_nothing(root: Path) -> None:
    result = shell("compact", "exp_0", "--store", str(root))
    assert result.exit_code == 2
    assert "no run of experiment exp_0" in result.output


def test_a_progress_bar_where_it_is_asked_for(
    store: rf.SnapshotStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.compact(EXPERIMENT, progress=True)
    assert "Compacting runs" in (shown := capsys.readouterr().err)
    assert "7/7" in shown
