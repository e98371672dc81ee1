"""A store that someone else made: whatever is in it, nothing outside of it is read or changed."""

from __future__ import annotations

import io
import json
import os
import shutil
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import retab_frames as rf
from retab_frames.store.manifest import data_name, sha256

from .test_verification import manifest_of, resealed, run_of

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.filterwarnings("ignore:left out")

PLACES = (
    *("revisions", "jobs", "raw", "compacted", "retab-frames.json", "revisions/{run}"),
    *("jobs/{experiment}", "jobs/{experiment}/{run}.parquet", "revisions/{run}/000001.json"),
    *("revisions/{run}/{jobs}", "compacted/jobs", "compacted/{experiment}.json"),
    *("compacted/parts", "compacted/parts/{experiment}", "compacted/jobs/{experiment}"),
)


def calls_of(store: rf.SnapshotStore) -> dict[str, Callable[[], object]]:
    now = timedelta(0)
    return {
        "list": store.list,
        "read": lambda: store.read("exprun_1").jobs.to_dict("records"),
        "verify": lambda: store.verify("full"),
        "scan": lambda: rf.scan(store, since="2020-01-01T00:00:00Z").to_table(),
        "scan all": lambda: rf.scan(store).to_table(),
        "query": lambda: rf.query(store, "select * from snapshots"),
        "clean": lambda: store.clean(older_than=now, dry_run=False),
        "publish": store.publish,
        "prune": lambda: store.prune(keep_revisions=1, dry_run=False),
        "compact": lambda: store.compact("exp_1"),
        "write": lambda: store.write(run_of("exprun_1", 8)),
        "write more": lambda: store.write(run_of("exprun_3", 8)),
        "remove": lambda: store.remove("exprun_1", dry_run=False),
    }


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "store"
    store = rf.SnapshotStore(root)
    store.write(run_of("exprun_1", 1, 2))
    store.write(run_of("exprun_2", 5))
    store.compact("exp_1")
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "store"))


def content_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return the bytes of every file below a folder, and when it was changed."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


@pytest.mark.parametrize("place", PLACES)
def test_link_out_of_the_store_is_not_followed(
    template: Path, root: Path, tmp_path: Path, place: str
) -> None:
    """The link leads to the same place in another store, which has all that is looked for."""
    victim = Path(shutil.copytree(template, tmp_path / "victim"))
    run, experiment = manifest_of(root, "exprun_1").parent.name, next(root.glob("jobs/*")).name
    jobs = json.loads(manifest_of(root, "exprun_1").read_bytes())["files"]["jobs"]["name"]
    name = place.format(run=run, experiment=experiment, jobs=jobs)
    for file in (victim / name, victim / name / "mine"):
        if file.parent.is_dir() and not file.exists():
            file.write_bytes(b"theirs")
    before = content_of(victim)
    path = root / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(victim / name)
    for what, call in calls_of(rf.SnapshotStore(root)).items():
        with suppress(rf.RetabFramesError):
            call()
        assert content_of(victim) == before, what


@pytest.mark.parametrize("kind", ["folder", "fifo", "bloated", "empty", "junk"])
@pytest.mark.parametrize("place", PLACES)
def test_whatever_has_the_name_of_a_file_raises_no_foreign_error(
    root: Path, place: str, kind: str
) -> None:
    run, experiment = manifest_of(root, "exprun_1").parent.name, next(root.glob("jobs/*")).name
    jobs = json.loads(manifest_of(root, "exprun_1").read_bytes())["files"]["jobs"]["name"]
    name = place.format(run=run, experiment=experiment, jobs=jobs)
    path = root / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "junk":
        path.write_bytes(b"[" * 200_000)
    else:
        path.write_bytes(b"")
        os.truncate(path, 2**42 if kind == "bloated" else 0)
    store = rf.SnapshotStore(root)
    for call in calls_of(store).values():
        with suppress(rf.RetabFramesError):
            call()


Edit = dict[str, Any]
MANIFESTS: dict[str, Edit] = {
    "jobs: 2**70": {"jobs": 2**70},
    "jobs: -5": {"jobs": -5},
    "statuses": {"statuses": {"completed": -1}},
    "run_created_at: no time": {"run_created_at": "no time"},
    "fetched_at: no time": {"fetched_at": "no time"},
    "run_created_at without zone": {"run_created_at": "2024-01-01T00:00:00"},
    "run_created_at of the year 1": {"run_created_at": "0001-01-01T00:00:00+14:00"},
    "a week as a time": {"run_created_at": "2024-W01-1T00:00:00+00:00"},
    "version: -1": {"version": -1},
    "removed: 1": {"removed": 1},
    "no files": {"files": {}},
    "an id that is a number": {"run_id": 1},
    "a terminal escape": {"workflow_id": "\x1b[2J\udcff".encode("utf-8", "replace").decode()},
}
ENTRIES: dict[str, Edit] = {
    "size: 2**80": {"size": 2**80},
    "size: 0": {"size": 0},
    "rows: 2**60": {"rows": 2**60},
    "schema_version: 0": {"schema_version": 0},
    "schema_version: 99": {"schema_version": 99},
    "columns that are not there": {"columns": ["job_id", "more"]},
    "name of another run": {"name": "../exprun_2/jobs.parquet"},
}


def assert_own_errors(root: Path) -> None:
    """Everything raises our errors alone; the other run is listed and read all the same."""
    store = rf.SnapshotStore(root)
    calls = calls_of(store)
    for name in ("list", "read", "verify", "scan", "query", "scan all", "clean", "publish"):
        try:
            calls[name]()
        except rf.SchemaError:
            pytest.fail(f"{name} fails as a whole")
        except rf.RetabFramesError:
            assert name not in {"list", "verify", "query"}
    assert "exprun_2" in store.list()["run_id"].tolist()
    assert store.read("exprun_2").jobs["duration_ms"].tolist() == [5]


@pytest.mark.parametrize("edit", MANIFESTS.values(), ids=MANIFESTS)
def test_sealed_nonsense_costs_its_own_run(root: Path, edit: Edit) -> None:
    resealed(manifest_of(root, "exprun_1"), **edit)
    assert_own_errors(root)


@pytest.mark.parametrize("edit", ENTRIES.values(), ids=ENTRIES)
def test_sealed_nonsense_of_a_file_costs_its_own_run(root: Path, edit: Edit) -> None:
    path = manifest_of(root, "exprun_1")
    files = json.loads(path.read_bytes())["files"]
    files["jobs"] |= edit
    resealed(path, files=files)
    with pytest.raises(rf.SnapshotError):
        rf.SnapshotStore(root).read("exprun_1")
    assert len(rf.SnapshotStore(root).verify("full")) > 0
    assert_own_errors(root)


JOBS = run_of("exprun_1", 1, 2).tables.jobs
NOT_TEXT = pa.Array.from_buffers(
    pa.string(), 2, pa.array([b"\xff", b"\xfe"], pa.binary()).buffers()
)
TABLES_OF_OTHERS: dict[str, pa.Table] = {
    "a column twice": pa.Table.from_arrays(
        [*JOBS.columns, JOBS.column(0)], names=[*JOBS.column_names, "status"]
    ),
    "a struct": JOBS.append_column("more", pa.array([{"a": 1}] * 2)),
    "text that is not UTF-8": JOBS.set_column(
        JOBS.schema.get_field_index("status"), "status", NOT_TEXT
    ),
    "a required column missing": JOBS.drop_columns(["job_id"]),
    "no columns": pa.table({}),
}


@pytest.mark.parametrize("table", TABLES_OF_OTHERS.values(), ids=TABLES_OF_OTHERS)
def test_sealed_file_that_is_no_table_of_ours_is_refused(root: Path, table: pa.Table) -> None:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    body, path = sink.getvalue(), manifest_of(root, "exprun_1")
    name = data_name("jobs", sha256(body))
    path.with_name(name).write_bytes(body)
    files = json.loads(path.read_bytes())["files"]
    columns = list(dict.fromkeys(table.column_names))
    files["jobs"] |= {"name": name, "size": len(body), "sha256": sha256(body), "columns": columns}
    resealed(path, files=files)
    store = rf.SnapshotStore(root)
    with pytest.raises(rf.SnapshotCorruptError):
        store.read("exprun_1")
    assert "damaged" in store.verify("full")["kind"].tolist()
    assert_own_errors(root)


def test_files_of_another_run_are_not_read(root: Path) -> None:
    others = json.loads(manifest_of(root, "exprun_2").read_bytes())["files"]
    resealed(manifest_of(root, "exprun_1"), files=others)
    store = rf.SnapshotStore(root)
    with pytest.raises(rf.SnapshotCorruptError, match="is missing"):
        store.read("exprun_1")
    store.write(run_of("exprun_1", 8))
    seen = pq.ParquetDataset(root / "jobs").read(["run_id"])["run_id"].to_pylist()
    assert sorted(seen) == ["exprun_1", "exprun_2"]


def test_manifest_of_a_number_beyond_all_numbers_is_not_one(root: Path) -> None:
    (manifest_of(root, "exprun_1").with_name("9" * 30 + ".json")).write_text("{}")
    assert_own_errors(root)


def test_name_that_is_not_text_is_shown_escaped(root: Path) -> None:
    (root / "jobs" / os.fsdecode(b"\xff\xfe.parquet")).write_bytes(b"")
    found = rf.SnapshotStore(root).verify()
    assert found["file"].tolist() == ["jobs/\\udcff\\udcfe.parquet"]
    assert found["kind"].tolist() == ["stray"]
    assert_own_errors(root)


def test_store_of_format_1_says_what_to_do(root: Path) -> None:
    (root / "retab-frames.json").write_text('{"format":"retab-frames-store","version":1}\n')
    store = rf.SnapshotStore(root)
    with pytest.raises(rf.SnapshotError, match=r"format 1, .* pull its runs again"):
        store.list()
    assert store.verify()["file"].tolist() == ["retab-frames.json"]
