"""A compacted store is the same store: to us the same in every respect, to plain readers too."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import duckdb
import msgspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from buckets import point_at, s3_server
from click.testing import CliRunner
from factories import run

import retab_frames as rf
from retab_frames.cli import main
from retab_frames.store import compaction, packs
from retab_frames.store.files.local import LocalStorage
from retab_frames.store.files.storage import open_storage
from retab_frames.store.manifest import Manifest, folder_name, seal
from retab_frames.store.packs import Pack, Packs
from retab_frames.store.scan.scan import Engine, scan
from retab_frames.store.scan.selection import newest_revisions, select
from retab_frames.store.scan.sql import query
from retab_frames.store.table_versions import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXPERIMENT = "exp"
FOLDER = folder_name(EXPERIMENT)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make small packs worth what large ones are."""
    monkeypatch.setattr(compaction, "MOST_RUNS", 3)
    monkeypatch.setattr(packs, "WORTH_OPENING", 1)


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
        made.pull(sandbox.workflow_id, sandbox.experiment_ids[0], run_id="all", client=client)
    return folder


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "store"))


@pytest.fixture
def store(root: Path) -> rf.SnapshotStore:
    return rf.SnapshotStore(root)


def arrow(found: Any) -> pa.Table:
    """Return what any engine found as an Arrow table."""
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


def scans(store: rf.SnapshotStore, **filters: Any) -> dict[tuple[str, str], Any]:
    """Return what every engine finds in every table: names, types, rows, and their order."""
    told: dict[tuple[str, str], Any] = {}
    for table in TABLES:
        for engine in get_args(Engine):
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
        scans(store),
        scans(store, since="2026-01-03T00:00Z", until="2026-01-08T00:00Z"),
        scans(store, run_id=["run_3", "run_1", "run_8"]),
        [query(store, counted.format(table)).to_dict() for table in TABLES],
    ]


def assert_same(before: list[Any], after: list[Any]) -> None:
    pd.testing.assert_frame_equal(before[0], after[0])
    assert before[1:] == after[1:]


def plain(root: Path) -> dict[str, dict[str, list[int]]]:
    """Return the durations of each run as three readers of plain Parquet find them."""
    files = (root / "jobs/**/*.parquet").as_posix()
    lazy = pl.scan_parquet(files, missing_columns="insert", extra_columns="ignore")
    relation = duckdb.read_parquet(files, union_by_name=True)
    frames = {
        "pandas": pd.read_parquet(root / "jobs"),
        "polars": lazy.select("run_id", "duration_ms").collect().to_pandas(),
        "duckdb": relation.select("run_id, duration_ms").df(),
    }
    told: dict[str, dict[str, list[int]]] = {reader: {} for reader in frames}
    for reader, frame in frames.items():
        for run_id, duration in frame[["run_id", "duration_ms"]].itertuples(index=False):
            told[reader].setdefault(run_id, []).append(-1 if pd.isna(duration) else int(duration))
        told[reader] = {run_id: sorted(found) for run_id, found in told[reader].items()}
    return told


def files_of(root: Path, table: str = "jobs") -> list[str]:
    return sorted(path.name for path in (root / table / FOLDER).iterdir())


def problems(store: rf.SnapshotStore) -> list[tuple[str, str]]:
    found = store.verify("full")
    return list(zip(found["kind"], found["problem"], strict=True))


def index_of(store: rf.SnapshotStore) -> Pack:
    pack = Packs(open_storage(store.root)).newest(EXPERIMENT)
    assert pack is not None
    return pack


def packed_runs(store: rf.SnapshotStore) -> list[list[str]]:
    return [[one.run_id for one in part.runs] for part in index_of(store).parts]


def everything_else(root: Path) -> dict[str, bytes]:
    """Return the bytes of every file but the packs, wherever it stands."""
    return {
        path.relative_to(root).as_posix().removeprefix("archive/"): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith("pack-") and "packs" not in path.parts
    }


# what stays the same


def test_nothing_that_is_read_through_us_changes(store: rf.SnapshotStore, root: Path) -> None:
    before, own, seen = everything(store), everything_else(root), plain(root)
    done = store.compact(EXPERIMENT)

    assert done == rf.Compaction(EXPERIMENT, packed=7, left=1, files=24, files_before=48)
    assert packed_runs(store) == [
        ["run_1", "run_2", "run_3"],
        ["run_4", "run_5"],
        ["run_7", "run_8"],
    ]
    assert_same(before, everything(store))
    assert_same(before, everything(rf.SnapshotStore(root)))
    assert everything_else(root) == own
    assert plain(root) == seen
    assert problems(store) == []


@pytest.mark.parametrize("table", TABLES)
def test_scans_read_packs_where_all_of_a_part_is_asked_for(
    store: rf.SnapshotStore, table: str
) -> None:
    store.compact(EXPERIMENT)
    storage = open_storage(store.root)

    def found(**filters: Any) -> list[tuple[bool, int]]:
        manifests = newest_revisions(storage, experiment_id=EXPERIMENT, **filters)
        return [
            ("/pack-" in source.file, source.run_id is None)
            for source in select(storage, manifests, table).sources
        ]

    assert found() == [(True, True), (True, True), (False, False), (True, True)]
    assert found(since="2026-01-02T00:00Z") == [(False, False)] * 2 + found()[1:]
    assert found(run_id=["run_1", "run_2"]) == [(False, False)] * 2


def test_raw_has_the_run_in_front_and_issues_are_as_they_were(
    store: rf.SnapshotStore, root: Path
) -> None:
    store.compact(EXPERIMENT)
    [first, *_] = (root / "raw" / FOLDER).glob("pack-*")
    assert pd.read_parquet(first).columns.tolist() == ["run_id", "job_id", "position", "body"]
    [issues, *_] = (root / "issues" / FOLDER).glob("pack-*")
    assert pd.read_parquet(issues)["field"].unique().tolist() == ["unheard_of"]


# again


def test_twice_writes_nothing(store: rf.SnapshotStore, root: Path) -> None:
    first = store.compact(EXPERIMENT)
    state = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    again = store.compact(EXPERIMENT)

    assert (again.packed, again.files, again.files_before) == (7, first.files, first.files)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == state


def test_new_runs_are_packed_alone(store: rf.SnapshotStore, root: Path) -> None:
    store.compact(EXPERIMENT)
    old = set(files_of(root))
    for number in (9, 10):
        store.write(run_of(number, 1, 2))
    before = everything(store)
    assert plain(root)["pandas"]["run_9"] == [1, 2]
    store.compact(EXPERIMENT)

    assert packed_runs(store)[2:] == [["run_7", "run_8", "run_9"], ["run_10"]]
    assert len(old & set(files_of(root))) == 3  # two parts, and the run that runs still
    assert_same(before, everything(store))
    assert problems(store) == []


def test_a_revision_leaves_the_pack(store: rf.SnapshotStore, root: Path) -> None:
    store.compact(EXPERIMENT)
    old = set(files_of(root))
    assert store.write(run_of(2, 100)).action == "revised"

    assert packed_runs(store) == [["run_1"], ["run_3"], ["run_4", "run_5"], ["run_7", "run_8"]]
    assert len(old & set(files_of(root))) == 3
    assert [found["run_2"] for found in plain(root).values()] == [[100]] * 3
    assert {len(found) for found in plain(root).values()} == {8 + 5}
    assert problems(store) == []
    before, seen = everything(store), plain(root)

    store.compact(EXPERIMENT)
    assert packed_runs(store)[0] == ["run_1", "run_2", "run_3"]
    assert_same(before, everything(store))
    assert plain(root) == seen
    assert problems(store) == []
    assert len(list((root / "packs" / FOLDER).iterdir())) == 1


def test_a_revision_that_is_not_complete_leaves_the_pack_for_good(
    store: rf.SnapshotStore, root: Path
) -> None:
    store.compact(EXPERIMENT)
    store.write(run_of(8, 1, status="running"))
    before = everything(store)
    done = store.compact(EXPERIMENT)

    assert (done.packed, done.left) == (6, 2)
    assert plain(root)["duckdb"]["run_8"] == [1]
    assert_same(before, everything(store))


def test_writing_the_same_again_leaves_it_in_the_pack(store: rf.SnapshotStore, root: Path) -> None:
    store.compact(EXPERIMENT)
    names = files_of(root)
    assert store.write(run_of(3, *range(3))).action == "unchanged"
    assert files_of(root) == names


def test_an_experiment_that_is_not_there(store: rf.SnapshotStore) -> None:
    with pytest.raises(rf.SnapshotNotFoundError, match=r"no run of experiment exp_0 .* list"):
        store.compact("exp_0")


def test_nothing_to_pack(tmp_path: Path) -> None:
    store = rf.SnapshotStore(tmp_path)
    store.write(run_of(1, 1, status="running"))
    assert store.compact(EXPERIMENT) == rf.Compaction(EXPERIMENT, 0, 1, 6, 6)
    assert not (tmp_path / "packs").exists()


@pytest.mark.parametrize(("limit", "most"), [("MOST_ROWS", 5), ("MOST_BYTES", 1)])
def test_a_file_has_no_more_than_a_partition(
    store: rf.SnapshotStore, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(compaction, limit, most)
    store.compact(EXPERIMENT)
    alone = [[f"run_{n}"] for n in (3, 4, 5, 7, 8)]
    first = [["run_1", "run_2"]] if limit == "MOST_ROWS" else [["run_1"], ["run_2"]]
    assert packed_runs(store) == first + alone


def test_a_table_that_the_library_did_not_have(store: rf.SnapshotStore, root: Path) -> None:
    file = next((root / "manifests").glob("run_1-*/000001.json"))
    manifest = Manifest.parse(file.read_bytes(), f"manifests/{file.parent.name}/{file.name}")
    fewer = {name: entry for name, entry in manifest.files.items() if name != "issues"}
    for left in root.glob("issues/*/run_1-*"):
        left.unlink()
    file.write_bytes(seal(msgspec.structs.replace(manifest, files=fewer)))
    before = scans(store)
    store.compact(EXPERIMENT)

    assert packed_runs(store)[0] == ["run_1", "run_2", "run_3"]
    assert scans(store) == before
    assert problems(store) == []


# damage


def damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def index_file(root: Path) -> Path:
    [file] = (root / "packs" / FOLDER).iterdir()
    return file


@pytest.mark.parametrize("spoil", [damaged, emptied, Path.unlink])
def test_a_damaged_index_loses_nothing(
    store: rf.SnapshotStore, root: Path, spoil: Callable[[Path], None]
) -> None:
    store.compact(EXPERIMENT)
    before, seen = everything(store), plain(root)
    spoil(index_file(root))
    other = rf.SnapshotStore(root)

    assert_same(before, everything(other))
    found = other.verify()
    assert len(found) > 0
    if spoil is not Path.unlink:
        assert found[["kind", "file"]].to_numpy().tolist() == [
            ["damaged", f"packs/{FOLDER}/000001.json"]
        ]
        assert "compact the experiment again" in found["action"][0]
        assert other.clean(older_than=timedelta(0))["action"].tolist() == []
        with pytest.raises(rf.SnapshotCorruptError, match=r"000001.json.*compact the experiment"):
            other.write(run_of(3, 7))
    other.compact(EXPERIMENT)
    assert_same(before, everything(other))
    assert plain(root) == seen
    assert problems(other) == []


def test_the_index_of_another_experiment_is_refused(store: rf.SnapshotStore, root: Path) -> None:
    store.compact(EXPERIMENT)
    other = store.list()["experiment_id"].drop_duplicates().tolist()[-1]
    before = everything(store)
    (root / "packs" / folder_name(other)).mkdir()
    shutil.copy(index_file(root), root / "packs" / folder_name(other) / "000001.json")

    assert_same(before, everything(rf.SnapshotStore(root)))
    assert store.verify()["problem"].str.contains("index of another pack").tolist() == [True]


def test_an_index_cannot_name_files_elsewhere(store: rf.SnapshotStore, root: Path) -> None:
    store.compact(EXPERIMENT)
    pack = index_of(store)
    entry = msgspec.structs.replace(pack.parts[0].files["jobs"], name=f"{FOLDER}/../../x.parquet")
    part = msgspec.structs.replace(pack.parts[0], files={"jobs": entry})
    index_file(root).write_bytes(seal(msgspec.structs.replace(pack, parts=(part,))))

    assert "names files that are not of one" in store.verify()["problem"][0]


def test_a_newer_index_is_left_alone(store: rf.SnapshotStore, root: Path) -> None:
    store.compact(EXPERIMENT)
    before = everything(store)
    newer = seal(msgspec.structs.replace(index_of(store), version=2))
    index_file(root).write_bytes(newer)
    other = rf.SnapshotStore(root)

    assert_same(before, everything(other))
    assert other.verify()[["kind", "action"]].to_numpy().tolist() == [
        ["newer", "upgrade retab-frames"]
    ]
    for change in (lambda: other.compact(EXPERIMENT), lambda: other.write(run_of(3, 7))):
        with pytest.raises(rf.SnapshotError, match="upgrade"):
            change()
    assert len(other.clean(older_than=timedelta(0), dry_run=False)) == 0


@pytest.mark.parametrize("spoil", [damaged, Path.unlink])
def test_a_damaged_pack_is_made_anew(
    store: rf.SnapshotStore, root: Path, spoil: Callable[[Path], None]
) -> None:
    store.compact(EXPERIMENT)
    before, seen = everything(store), plain(root)
    for table in TABLES:
        spoil(next((root / table / FOLDER).glob("pack-*")))
    found = store.verify()
    assert found["kind"].tolist() == ["damaged"] * 6
    assert set(found["action"]) == {
        "compact the experiment again, which makes it anew from the files of the runs"
    }
    store.compact(EXPERIMENT)

    assert_same(before, everything(store))
    assert plain(root) == seen
    assert problems(store) == []


def test_a_missing_pack_is_read_from_the_runs(store: rf.SnapshotStore, root: Path) -> None:
    store.compact(EXPERIMENT)
    before = everything(store)
    for path in root.glob(f"*/{FOLDER}/pack-*"):
        path.unlink()
    assert_same(before, everything(store))


def test_a_pack_with_rows_of_its_own_is_found(store: rf.SnapshotStore, root: Path) -> None:
    store.compact(EXPERIMENT)
    pack = index_of(store)
    first = pack.parts[0]
    other = compaction.read_rows
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compaction, "read_rows", lambda *a: other(*a)[::-1])
        wrong = compaction._made(open_storage(root), first.runs)
    mixed = msgspec.structs.replace(first, files={**first.files, "jobs": wrong.files["jobs"]})
    changed = msgspec.structs.replace(pack, parts=(mixed, *pack.parts[1:]))
    index_file(root).write_bytes(seal(changed))

    assert any("other rows of run run_2" in problem for _, problem in problems(store))
    assert not any("other rows" in problem for problem in store.verify("hash")["problem"])


def test_a_damaged_run_is_not_packed(store: rf.SnapshotStore, root: Path) -> None:
    before = plain(root)
    damaged(next((root / "raw" / FOLDER).glob("run_3-*")))
    with pytest.raises(rf.SnapshotCorruptError, match=r"raw/.* of run run_3 is damaged"):
        store.compact(EXPERIMENT)
    assert plain(root) == before
    assert not (root / "packs").exists()


def test_damage_of_one_run_does_not_keep_another_from_a_revision(
    store: rf.SnapshotStore, root: Path
) -> None:
    store.compact(EXPERIMENT)
    seen = plain(root)["pandas"]
    damaged(next((root / "archive/raw" / FOLDER).glob("run_3-*")))
    assert store.write(run_of(2, 100)).action == "revised"

    assert packed_runs(store) == [["run_1"], ["run_4", "run_5"], ["run_7", "run_8"]]
    assert plain(root)["pandas"] == {**seen, "run_2": [100]}


@pytest.mark.parametrize("spoil", [damaged, Path.unlink])
def test_a_manifest_that_is_lost_though_packed(
    store: rf.SnapshotStore, root: Path, spoil: Callable[[Path], None]
) -> None:
    store.compact(EXPERIMENT)
    file = next((root / "manifests").glob("run_1-*/000001.json"))
    text = file.read_bytes()
    spoil(file)
    kept = everything_else(root)
    listed = store.list()["run_id"].tolist()

    assert ("run_1" in listed) == (spoil is damaged)  # the index has it too
    found = store.verify()
    assert found["kind"].tolist() == ["damaged"]
    assert found["file"].tolist() == [file.relative_to(root).as_posix()]
    if spoil is Path.unlink:
        assert store.clean(older_than=timedelta(0), dry_run=False).empty
        store.compact(EXPERIMENT)
        assert plain(root)["pandas"]["run_1"] == [0]
        assert set(store.verify()["kind"]) == {"stray"}
        store.clean(older_than=timedelta(0), dry_run=False)
    assert everything_else(root) == kept
    file.write_bytes(text)
    store.compact(EXPERIMENT)
    assert problems(store) == []


# others at the same time


class Meddled(LocalStorage):
    """Lets someone else come in right before or after the index of a pack is written."""

    def __init__(self, root: Path, meddle: Callable[[], None], *, after: bool) -> None:
        super().__init__(root)
        self._meddle, self._after, self._done = meddle, after, False

    def create(self, name: str, data: bytes) -> bool:
        if self._done or not name.startswith("packs/"):
            return super().create(name, data)
        self._done = True
        if not self._after:
            self._meddle()
        created = super().create(name, data)
        if self._after:
            self._meddle()
        return created


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("what", ["revision", "compaction", "new run"])
def test_someone_else_comes_between(root: Path, what: str, *, after: bool, packed: bool) -> None:
    other = rf.SnapshotStore(root)
    if packed:
        other.compact(EXPERIMENT)
        other.write(run_of(10, 1))

    def meddle() -> None:
        if what == "compaction":
            other.compact(EXPERIMENT)
        else:
            other.write(run_of(3 if what == "revision" else 9, 100))

    files = Meddled(root, meddle, after=after)
    compaction.compact(files, EXPERIMENT, progress=None)

    seen = plain(root)["pandas"]
    assert seen["run_3"] == ([100] if what == "revision" else [0, 1, 2])
    assert seen.get("run_9") == ([100] if what == "new run" else None)
    assert sum(map(len, packed_runs(other))) == 7 + packed + (what == "new run")
    before = everything(other)
    for path in root.glob("packs/*/*"):
        path.unlink()
    assert_same(everything(other), before)


def test_two_libraries_that_write_other_bytes_agree(root: Path) -> None:
    other = rf.SnapshotStore(root)

    def otherwise(table: pa.Table) -> bytes:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="snappy", store_schema=False)
        return bytes(sink.getvalue())

    def meddle() -> None:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(compaction, "encode", otherwise)
            other.compact(EXPERIMENT)

    compaction.compact(Meddled(root, meddle, after=False), EXPERIMENT, progress=None)
    assert other.compact(EXPERIMENT).packed == 7
    assert index_of(other).number == 1
    assert other.clean(older_than=timedelta(0), dry_run=False)["problem"].unique().tolist() == [
        "is named by no manifest"
    ]
    assert problems(other) == []


# elsewhere


def bucket(place: str) -> Iterator[str]:
    if place == "memory":
        yield "memory://packs"
        return
    with s3_server() as url, pytest.MonkeyPatch.context() as environment:
        point_at(url, environment)
        yield "s3://bucket/packs"


@pytest.mark.parametrize("place", ["memory", "s3"])
def test_in_a_bucket(place: str) -> None:
    for url in bucket(place):
        store = rf.SnapshotStore(url)
        for number in range(1, 6):
            store.write(run_of(number, *range(number)))
        before = [store.list(), contents(store), arrow(scan(store)), arrow(scan(store, "raw"))]
        assert store.compact(EXPERIMENT).files == 12
        store.write(run_of(2, 0, 1))
        assert sum(map(len, packed_runs(store))) == 5

        after = [store.list(), contents(store), arrow(scan(store)), arrow(scan(store, "raw"))]
        assert_same(before, after)
        assert problems(store) == []
        store.write(run_of(2, 100))
        assert packed_runs(store) == [["run_1"], ["run_3"], ["run_4", "run_5"]]
        assert problems(store) == []
        assert store.read("run_2").jobs["duration_ms"].tolist() == [100]


# from the shell


def shell(*arguments: str) -> Any:
    return CliRunner(env={"COLUMNS": "80"}).invoke(main, arguments)


def test_the_command(root: Path) -> None:
    result = shell("compact", EXPERIMENT, "--store", str(root))
    assert result.exit_code == 0, result.output
    assert result.output == (
        "Packed 7 runs of exp: 24 files instead of 48.\nIncomplete runs, not packed: 1.\n"
    )
    again = shell("compact", EXPERIMENT, "--store", str(root), "--json")
    assert '"files_before":24' in again.output.replace(" ", "")


def test_the_command_finds_nothing(root: Path) -> None:
    result = shell("compact", "exp_0", "--store", str(root))
    assert result.exit_code == 2
    assert "no run of experiment exp_0" in result.output


def test_a_progress_bar_where_it_is_asked_for(
    store: rf.SnapshotStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.compact(EXPERIMENT, progress=True)
    assert "Packing runs" in (shown := capsys.readouterr().err)
    assert "7/7" in shown
