from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

import retab_frames as rf
from retab_frames.store.manifest import folder_name, sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from retab_frames.load.choosing import RunIds

CANARY = "rt_live_CANARY0f3b71c2d4e5"
TABLES = ("jobs", "handle_inputs", "handle_outputs", "issues", "raw", "runs")
WITH_ROWS = ("jobs", "handle_inputs", "issues", "raw")
FRAMES = ("jobs", "handle_inputs", "handle_outputs", "run", "issues", "raw")
NEVER_RUN = "exp_contracts"
HOSTILE_IDS = [
    "../../x",
    "..",
    "a/b",
    "a\\b",
    "/etc/passwd",
    "Run",
    "run",
    "é",
    "e\u0301",
    "_x",
    ".x",
    "CON",
    "001",
    "1",
    "run_id=7",
    "nul\x00",
    "line\nbreak",
    "🧾",
    "\u202e",
    "*?",
    "x" * 5_000,
    "x" * 5_001,
]


@pytest.fixture(params=[("A1", "C4"), ("C4",)], ids=["content", "results"], scope="module")
def snapshot_sandbox(request: pytest.FixtureRequest) -> Iterator[rf.Sandbox]:
    with rf.Sandbox(generations=request.param, api_key=CANARY) as running:
        yield running


@pytest.fixture(scope="module")
def snapshot_client(snapshot_sandbox: rf.Sandbox) -> Iterator[rf.Client]:
    with rf.Client(snapshot_sandbox.api_key, base_url=snapshot_sandbox.url) as made:
        yield made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> rf.SnapshotStore:
    return rf.SnapshotStore(root)


def run_of(
    run_id: str = "exprun_1", *durations: int | None, experiment_id: str = "exp_1"
) -> rf.RunContent:
    """Return a run in hand: a job for each duration, two if none is given."""
    rows = [
        {
            "id": f"job_{n}",
            "run_id": run_id,
            "document_id": f"doc_{n}",
            "status": "error" if duration is None else "completed",
            "duration_ms": duration,
            "block_kind": "extract",
            "handle_inputs": {
                "input-json-context": {"type": "json", "data": {"n": n, "odd": "é\x00"}},
                "input-file-document": {"type": "file", "filename": f"{n}.pdf"},
            },
            "new_field": n,
        }
        for n, duration in enumerate(durations or (10, 20))
    ]
    envelope = {"experiment_id": experiment_id, "run_id": run_id, "content": {"jobs": rows}}
    return rf.read_content(envelope, workflow_id="wf_1")


def assert_same(one: rf.RunContent, other: rf.RunContent) -> None:
    for name in FRAMES:
        assert_frame_equal(getattr(one, name), getattr(other, name), check_exact=True, obj=name)
    for name in ("experiment_id", "run_id", "complete", "fetched_at", "statuses"):
        assert getattr(one, name) == getattr(other, name), name


def read_all(store: rf.SnapshotStore, run_id: str = "exprun_1") -> list[pd.DataFrame]:
    """Read every frame of a run; `raw` is read when it is asked for."""
    content = store.read(run_id)
    return [getattr(content, name) for name in FRAMES]


def listing(root: Path) -> dict[str, tuple[int, int, int]]:
    """Return what would show that a file was written: inode, time and size."""
    found = {path.relative_to(root).as_posix(): path.stat() for path in root.rglob("*")}
    return {name: (s.st_ino, s.st_mtime_ns, s.st_size) for name, s in found.items()}


def files_of(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def visible(root: Path) -> dict[str, str]:
    """Return the hash of each data file that a plain reader of a table finds."""
    paths = (path for table in TABLES for path in (root / table).rglob("*.parquet"))
    return {path.relative_to(root).as_posix(): sha256(path.read_bytes()) for path in paths}


def told(root: Path) -> dict[str, str]:
    """Return the hash of each data file that the newest manifests name, by the name of its view."""
    folders = (root / "revisions").iterdir()
    newest = [json.loads(max(folder.glob("*.json")).read_bytes()) for folder in folders]
    return {
        f"{table}/{folder_name(one['experiment_id'])}/{folder_name(one['run_id'])}.parquet": entry[
            "sha256"
        ]
        for one in newest
        for table, entry in one["files"].items()
    }


def file_of(root: Path, table: str) -> str:
    """Return the name of the only data file of a table."""
    [path] = (root / "revisions").rglob(f"{table}-*.parquet")
    return path.relative_to(root).as_posix()


def only_manifest(root: Path) -> Path:
    [path] = (root / "revisions").rglob("*.json")
    return path


@pytest.mark.parametrize("experiment", [0, 1, 2])
@pytest.mark.parametrize("run", [0, 3, 4])
def test_read_gives_what_was_written(
    snapshot_sandbox: rf.Sandbox,
    snapshot_client: rf.Client,
    store: rf.SnapshotStore,
    experiment: int,
    run: int,
) -> None:
    experiment_id = snapshot_sandbox.experiment_ids[experiment]
    run_id = snapshot_sandbox.run_ids(experiment_id)[run]
    content = rf.load_content(
        snapshot_sandbox.workflow_id, experiment_id, run_id=run_id, client=snapshot_client
    )
    snapshot = store.write(content)
    assert snapshot == rf.Snapshot(run_id, experiment_id, 1, "created", run != 4, 12)
    assert_same(store.read(run_id), content)
    assert len(content.raw) == len(content.jobs) == 12
    assert len(content.run) == 1


def test_read_gives_a_response_in_hand(store: rf.SnapshotStore) -> None:
    content = run_of("exprun_1", 2**62, None, 0)
    assert store.write(content).complete is True
    back = store.read("exprun_1")
    assert_same(back, content)
    assert back.fetched_at is None
    assert back.jobs["duration_ms"].tolist() == [2**62, pd.NA, 0]
    assert json.loads(back.raw["body"][1])["new_field"] == 1
    assert back.issues["field"].tolist() == ["new_field"]
    assert len(back.run) == 0


def test_what_was_read_can_be_written_elsewhere(store: rf.SnapshotStore, tmp_path: Path) -> None:
    store.write(run_of())
    content = store.read("exprun_1")
    assert store.write(content).action == "unchanged"
    other = rf.SnapshotStore(tmp_path / "other")
    assert other.write(content).action == "created"
    assert_same(other.read("exprun_1"), content)
    assert visible(tmp_path / "other") == visible(tmp_path / "store")


def test_run_without_jobs(store: rf.SnapshotStore) -> None:
    content = rf.read_content({"experiment_id": "exp_1", "run_id": "r", "content": {"jobs": []}})
    assert store.write(content).jobs == 0
    assert_same(store.read("r"), content)


def test_text_of_a_store(root: Path) -> None:
    assert repr(rf.SnapshotStore(root)) == f"SnapshotStore({str(root)!r})"


def test_nothing_is_made_before_something_is_written(store: rf.SnapshotStore, root: Path) -> None:
    assert len(store.list()) == 0
    with pytest.raises(rf.SnapshotNotFoundError):
        store.read("exprun_1")
    assert not root.exists()


@pytest.mark.parametrize("ids", [["exprun_1"], ("exprun_1",), pd.Series(["exprun_1"]), None, 1])
def test_a_call_reads_one_run(store: rf.SnapshotStore, ids: Any) -> None:
    kind = type(ids).__name__
    with pytest.raises(TypeError, match=f"^run_id must be the id of a run, not {kind}: one call "):
        store.read(ids)


def test_equal_content_again_writes_nothing(
    snapshot_sandbox: rf.Sandbox, snapshot_client: rf.Client, store: rf.SnapshotStore, root: Path
) -> None:
    experiment_id = snapshot_sandbox.experiment_ids[0]
    first, second = (
        rf.load_content(snapshot_sandbox.workflow_id, experiment_id, client=snapshot_client)
        for _ in range(2)
    )
    assert first.fetched_at != second.fetched_at
    created = store.write(first)
    before = listing(root)
    assert store.write(second) == rf.Snapshot(
        created.run_id, experiment_id, 1, "unchanged", complete=False, jobs=12
    )
    assert listing(root) == before
    assert store.read(created.run_id).fetched_at == first.fetched_at


def test_rows_in_another_order_are_equal(store: rf.SnapshotStore, root: Path) -> None:
    rows = [{"id": f"job_{n}", "document_id": "d", "status": "error"} for n in range(5)]
    envelope = {"experiment_id": "e", "run_id": "r", "content": {"jobs": rows}}
    store.write(rf.read_content(envelope))
    before = listing(root)
    envelope["content"] = {"jobs": rows[::-1]}
    assert store.write(rf.read_content(envelope)).action == "unchanged"
    assert listing(root) == before


def test_different_content_is_a_new_revision(store: rf.SnapshotStore, root: Path) -> None:
    old, new = run_of("exprun_1", 10, 20), run_of("exprun_1", 10, 21)
    store.write(old)
    before = files_of(root / "revisions")
    assert store.write(new) == rf.Snapshot("exprun_1", "exp_1", 2, "revised", complete=True, jobs=2)
    assert visible(root) == told(root)
    after = files_of(root / "revisions")
    assert before.items() < after.items()
    made = {name.rpartition("/")[2].partition("-")[0] for name in after.keys() - before.keys()}
    assert made == {"000002.json", "jobs", "raw"}
    assert_same(store.read("exprun_1"), new)
    assert_same(store.read("exprun_1", revision=2), new)
    assert_same(store.read("exprun_1", revision=1), old)


def test_what_only_the_raw_rows_have_makes_a_revision(store: rf.SnapshotStore) -> None:
    row = {"id": "job_1", "document_id": "doc_1", "status": "completed", "new_field": 1}
    envelope = {"experiment_id": "e", "run_id": "r", "content": {"jobs": [row]}}
    store.write(rf.read_content(envelope))
    row["new_field"] = 2
    assert store.write(rf.read_content(envelope)).action == "revised"
    assert json.loads(store.read("r").raw["body"][0])["new_field"] == 2
    assert json.loads(store.read("r", revision=1).raw["body"][0])["new_field"] == 1


def test_content_that_comes_back_is_a_revision_of_its_own(
    store: rf.SnapshotStore, root: Path
) -> None:
    contents = [run_of("exprun_1", n) for n in (1, 2, 1, 2)]
    assert [store.write(one).revision for one in contents] == [1, 2, 3, 4]
    for revision, content in enumerate(contents, start=1):
        assert_same(store.read("exprun_1", revision=revision), content)
    assert visible(root) == told(root)


def test_content_read_before_a_new_revision_still_has_its_raw_rows(store: rf.SnapshotStore) -> None:
    old = run_of("exprun_1", 10)
    store.write(old)
    read = store.read("exprun_1")
    store.write(run_of("exprun_1", 11))
    assert_same(read, old)


def test_manifests_are_chained(store: rf.SnapshotStore, root: Path) -> None:
    store.write(run_of("exprun_1", 1))
    store.write(run_of("exprun_1", 2))
    first, second = (json.loads(p.read_bytes()) for p in sorted(root.rglob("00000?.json")))
    assert (first["revision"], first["previous"]) == (1, None)
    assert (second["revision"], second["previous"]) == (2, first["seal"])
    assert first["files"]["jobs"]["rows"] == 1
    assert first["statuses"] == {"completed": 1}


def test_plain_readers_see_each_run_once(store: rf.SnapshotStore, root: Path) -> None:
    for durations in ((1, 2), (1, 3), (4, 5, 6)):
        store.write(run_of("exprun_1", *durations))
        store.write(run_of("exprun_2", *durations))
    jobs = pd.read_parquet(root / "jobs")
    assert jobs.groupby("run_id")["duration_ms"].apply(list).to_dict() == {
        "exprun_1": [4, 5, 6],
        "exprun_2": [4, 5, 6],
    }


@pytest.mark.parametrize("revision", [0, 2, -1, 999_999])
def test_unknown_revision(store: rf.SnapshotStore, revision: int) -> None:
    store.write(run_of())
    with pytest.raises(
        rf.SnapshotNotFoundError, match=f"there is no revision {revision} of run exprun_1 in "
    ):
        store.read("exprun_1", revision=revision)


@pytest.mark.parametrize("run_id", ["exprun_2", "EXPRUN_1", "", "../exprun_1", "exprun_1\n"])
def test_unknown_run(store: rf.SnapshotStore, run_id: str) -> None:
    store.write(run_of())
    with pytest.raises(rf.SnapshotNotFoundError, match=r"there is no run or label .*list\(\)"):
        store.read(run_id)


@pytest.mark.parametrize(
    ("run_id", "numbers"),
    [
        (None, [5]),
        ("exprun_invoices_2", [2]),
        (["exprun_invoices_4", "exprun_invoices_1"], [4, 1]),
        (pd.Series(["exprun_invoices_3"]), [3]),
        ("all", [5, 4, 3, 2, 1]),
    ],
)
def test_pull(
    snapshot_sandbox: rf.Sandbox,
    snapshot_client: rf.Client,
    store: rf.SnapshotStore,
    run_id: RunIds,
    numbers: list[int],
) -> None:
    ids = [f"exprun_invoices_{n}" for n in numbers]
    workflow_id = snapshot_sandbox.workflow_id
    pulled = store.pull(workflow_id, "exp_invoices", run_id=run_id, client=snapshot_client)
    assert [one.run_id for one in pulled] == ids
    assert {one.action for one in pulled} == {"created"}
    assert store.list()["run_id"].tolist() == sorted(ids)
    again = store.pull(workflow_id, "exp_invoices", run_id=run_id, client=snapshot_client)
    assert [(one.run_id, one.action) for one in again] == [(one, "unchanged") for one in ids]
    loaded = rf.load_jobs(workflow_id, "exp_invoices", run_id=ids, client=snapshot_client)
    stored = pd.concat([store.read(one).jobs for one in ids], ignore_index=True)
    assert_frame_equal(
        stored.drop(columns="fetched_at"), loaded.drop(columns="fetched_at"), check_exact=True
    )


def test_pull_of_an_unknown_run_writes_nothing(
    snapshot_sandbox: rf.Sandbox, snapshot_client: rf.Client, store: rf.SnapshotStore, root: Path
) -> None:
    with pytest.raises(rf.NotFoundError):
        store.pull(
            snapshot_sandbox.workflow_id, "exp_invoices", run_id="nope", client=snapshot_client
        )
    assert not root.exists()


@pytest.mark.parametrize("run_id", [None, "all"])
def test_experiment_never_run(
    snapshot_sandbox: rf.Sandbox,
    snapshot_client: rf.Client,
    store: rf.SnapshotStore,
    root: Path,
    run_id: str | None,
) -> None:
    workflow_id = snapshot_sandbox.workflow_id
    with pytest.warns(UserWarning, match=f"experiment {NEVER_RUN} was never run: no snapshot"):
        pulled = store.pull(workflow_id, NEVER_RUN, run_id=run_id, client=snapshot_client)
    assert pulled == []
    content = rf.load_content(workflow_id, NEVER_RUN, client=snapshot_client)
    with pytest.raises(ValueError, match="an experiment never run has none"):
        store.write(content)
    assert not root.exists()


def test_pull_of_no_runs_does_not_say_that_there_were_none(
    snapshot_sandbox: rf.Sandbox, snapshot_client: rf.Client, store: rf.SnapshotStore
) -> None:
    workflow_id = snapshot_sandbox.workflow_id
    assert store.pull(workflow_id, "exp_invoices", run_id=[], client=snapshot_client) == []


def test_list(
    snapshot_sandbox: rf.Sandbox, snapshot_client: rf.Client, store: rf.SnapshotStore, root: Path
) -> None:
    before = datetime.now(UTC)
    for experiment_id in snapshot_sandbox.experiment_ids[2::-1]:
        store.pull(
            snapshot_sandbox.workflow_id, experiment_id, run_id="all", client=snapshot_client
        )
    listed = store.list()
    rf.SnapshotsSchema.validate(listed)
    runs = [r for e in snapshot_sandbox.experiment_ids for r in snapshot_sandbox.run_ids(e)]
    assert listed["run_id"].tolist() == runs
    records = [snapshot_sandbox.workspace.run(run_id) for run_id in runs]
    assert listed["experiment_id"].tolist() == [one.experiment_id for one in records]
    assert listed["block_kind"].tolist() == [one.block.kind for one in records]
    assert listed["completed"].tolist() == [one.completed_count for one in records]
    assert listed["error"].tolist() == [one.error_count for one in records]
    assert listed["run_created_at"].tolist() == [one.timing.created_at for one in records]
    assert listed["complete"].tolist() == [True, True, True, True, False] * 3
    assert set(listed["workflow_id"]) == {"wf_sandbox"}
    assert (listed[["revision", "jobs"]].to_numpy() == [1, 12]).all()
    assert (listed["fetched_at"] >= before).all()
    assert (listed["written_at"] >= listed["fetched_at"]).all()
    sizes = sum(path.stat().st_size for path in (root / "revisions").rglob("*.parquet"))
    assert listed["size_bytes"].sum() == sizes


def test_list_of_an_empty_store_has_its_columns(store: rf.SnapshotStore) -> None:
    empty = store.list()
    store.write(run_of())
    assert_frame_equal(empty, store.list().iloc[:0])


def test_list_tells_the_newest_revision(store: rf.SnapshotStore) -> None:
    for durations in ((1,), (1, None), (1, None, None)):
        store.write(run_of("exprun_1", *durations))
    columns = ["run_id", "revision", "jobs", "completed", "error"]
    assert store.list()[columns].to_numpy().tolist() == [["exprun_1", 3, 3, 1, 2]]


def test_run_of_a_year_that_python_has_not(store: rf.SnapshotStore) -> None:
    with rf.Sandbox() as sandbox, rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        records = client.runs(sandbox.workflow_id, "exp_invoices").records
        sandbox.answer(
            f"/v1/workflows/{sandbox.workflow_id}/experiments/exp_invoices/runs",
            {"runs": [{**one, "created_at": "0000-01-01T00:00:00Z"} for one in records]},
        )
        content = rf.load_content(
            sandbox.workflow_id, "exp_invoices", run_id="exprun_invoices_1", client=client
        )
    assert content.run["created_at"].isna().all()
    assert content.issues["field"].tolist() == ["created_at"]
    assert store.write(content).action == "created"


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x01
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def replaced_by_a_good_file(path: Path) -> None:
    pq.write_table(pa.table({"job_id": ["job_0"]}), path)


def replaced_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replaced_by_a_link(path: Path) -> None:
    other = path.with_name("other")
    path.rename(other)
    path.symlink_to(other)


def replaced_by_a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def bloated(path: Path) -> None:
    os.truncate(path, 2**40)


DAMAGES = [
    *(Path.unlink, flipped, cut, emptied, replaced_by_a_good_file, replaced_by_a_folder),
    *(replaced_by_a_link, replaced_by_a_fifo, bloated),
]


@pytest.mark.parametrize("table", WITH_ROWS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_data_file(
    store: rf.SnapshotStore, root: Path, table: str, damage: Callable[[Path], None]
) -> None:
    store.write(run_of())
    name = file_of(root, table)
    damage(root / name)
    with pytest.raises(rf.SnapshotCorruptError, match=table) as caught:
        read_all(store)
    assert caught.value.file == name


def test_any_byte_of_a_data_file_counts(store: rf.SnapshotStore, root: Path) -> None:
    store.write(run_of())
    path = root / file_of(root, "jobs")
    whole = path.read_bytes()
    for at in range(0, len(whole), 29):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x04]) + whole[at + 1 :])
        with pytest.raises(rf.SnapshotCorruptError, match=r"damaged: its SHA-256 .*; pull the run"):
            store.read("exprun_1")
    path.write_bytes(whole)
    assert_same(store.read("exprun_1"), run_of())


def test_damaged_file_of_an_old_revision(store: rf.SnapshotStore, root: Path) -> None:
    store.write(run_of("exprun_1", 1))
    store.write(run_of("exprun_1", 2))
    old = json.loads(next(root.rglob("000001.json")).read_bytes())["files"]["jobs"]["name"]
    [archived] = (root / "revisions").rglob(old)
    archived.unlink()
    with pytest.raises(rf.SnapshotCorruptError, match="is missing") as caught:
        store.read("exprun_1", revision=1)
    assert caught.value.file == archived.relative_to(root).as_posix()
    assert_same(store.read("exprun_1"), run_of("exprun_1", 2))


@pytest.mark.parametrize("damage", DAMAGES[1:])
def test_one_damaged_manifest_does_not_hide_the_other_runs(
    store: rf.SnapshotStore, root: Path, damage: Callable[[Path], None]
) -> None:
    store.write(run_of())
    damage(only_manifest(root))
    store.write(run_of("exprun_2"))
    with pytest.warns(rf.RetabFramesWarning, match=r"left out: .*000001\.json"):
        assert store.list()["run_id"].tolist() == ["exprun_2"]


def test_a_run_of_another_experiment_is_refused(store: rf.SnapshotStore) -> None:
    store.write(rf.read_content(payload("exp_1")))
    with pytest.raises(rf.SnapshotConflictError, match="already, as a run of exp_1"):
        store.write(rf.read_content(payload("exp_2")))


def payload(experiment_id: str) -> dict[str, object]:
    job = {"id": "j", "document_id": "d", "experiment_id": experiment_id, "status": "completed"}
    return {"experiment_id": experiment_id, "run_id": "r", "content": {"jobs": [job]}}


@pytest.mark.parametrize(
    ("damage", "verb"),
    [
        *((damage, "read") for damage in DAMAGES[1:]),
        *((damage, "write") for damage in DAMAGES[1:] if damage not in (cut, emptied)),
    ],
)
def test_damaged_manifest(
    store: rf.SnapshotStore, root: Path, damage: Callable[[Path], None], verb: str
) -> None:
    store.write(run_of())
    manifest = only_manifest(root)
    damage(manifest)
    calls: dict[str, Callable[[], object]] = {
        "read": lambda: store.read("exprun_1"),
        "write": lambda: store.write(run_of("exprun_1", 9)),
    }
    with pytest.raises(rf.SnapshotCorruptError, match=r"000001\.json") as caught:
        calls[verb]()
    assert caught.value.file == manifest.relative_to(root).as_posix()


@pytest.mark.parametrize("damage", [cut, emptied])
def test_manifest_cut_short_was_never_committed(
    store: rf.SnapshotStore, root: Path, damage: Callable[[Path], None]
) -> None:
    """Where there are no hard links, a writer that is killed leaves the beginning of a manifest."""
    store.write(run_of("exprun_1", 1))
    damage(only_manifest(root))
    assert store.write(run_of("exprun_1", 2)).action == "created"
    assert_same(store.read("exprun_1"), run_of("exprun_1", 2))
    damage(next(root.rglob("000002.json")))
    store.write(run_of("exprun_1", 3))
    assert_same(store.read("exprun_1"), run_of("exprun_1", 3))
    store.write(run_of("exprun_1", 4))
    damage(next(root.rglob("000004.json")))
    with pytest.warns(rf.RetabFramesWarning, match=r"left out: .*000004\.json is damaged: it ends"):
        assert_same(store.read("exprun_1"), run_of("exprun_1", 3))


def test_without_its_manifest_a_run_is_not_there(store: rf.SnapshotStore, root: Path) -> None:
    store.write(run_of())
    only_manifest(root).unlink()
    with pytest.raises(rf.SnapshotNotFoundError):
        store.read("exprun_1")
    assert len(store.list()) == 0
    assert store.write(run_of()).action == "created"
    assert_same(store.read("exprun_1"), run_of())


def test_manifest_of_another_run_is_found(store: rf.SnapshotStore, root: Path) -> None:
    store.write(run_of("exprun_1", 1))
    own = only_manifest(root)
    store.write(run_of("exprun_2", 2))
    [other] = set((root / "revisions").rglob("*.json")) - {own}
    shutil.copy(other, own)
    with pytest.raises(rf.SnapshotCorruptError):
        store.read("exprun_1")


def test_manifest_of_another_revision_is_found(store: rf.SnapshotStore, root: Path) -> None:
    store.write(run_of("exprun_1", 1))
    old = only_manifest(root)
    store.write(run_of("exprun_1", 2))
    shutil.copy(old, old.with_name("000002.json"))
    with pytest.raises(rf.SnapshotCorruptError):
        store.read("exprun_1")


@pytest.mark.parametrize("table", WITH_ROWS)
@pytest.mark.parametrize("damage", [Path.unlink, flipped, replaced_by_a_link])
def test_run_pulled_again_is_whole_again(
    store: rf.SnapshotStore, root: Path, table: str, damage: Callable[[Path], None]
) -> None:
    # "pull the run again" is what the error of a damaged file advises
    store.write(run_of())
    damage(root / file_of(root, table))
    store.write(run_of())
    assert_same(store.read("exprun_1"), run_of())


def test_foreign_files_are_ignored(store: rf.SnapshotStore, root: Path) -> None:
    store.write(run_of())
    folder = only_manifest(root).parent
    for path in (
        root / ".DS_Store",
        root / "notes.txt",
        root / "revisions/.DS_Store",
        root / "revisions/stray.json",
        folder / ".000002.json.tmp",
        folder / "._000001.json",
        folder / "Thumbs.db",
        folder / "000001.json.bak",
    ):
        path.write_bytes(b"junk")
    assert_same(store.read("exprun_1"), run_of())
    assert store.list()["run_id"].tolist() == ["exprun_1"]
    assert store.write(run_of("exprun_1", 7)).revision == 2


@pytest.mark.parametrize(
    "marker",
    [
        b'{"format":"retab-frames-store","version":3}',
        b'{"format":"another-store","version":2}',
        b'{"version":2}',
        b"{}",
        b"[" * 200_000,
        b"[]",
        b"null",
        b"",
        b"not json",
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("verb", ["write", "read", "read_revision", "list"])
def test_folder_that_is_no_store_of_ours(
    store: rf.SnapshotStore, root: Path, marker: bytes, verb: str
) -> None:
    store.write(run_of())
    (root / "retab-frames.json").write_bytes(marker)
    before = listing(root)
    calls: dict[str, Callable[[], object]] = {
        "write": lambda: store.write(run_of("exprun_2")),
        "read": lambda: store.read("exprun_1"),
        "read_revision": lambda: store.read("exprun_1", revision=1),
        "list": store.list,
    }
    with pytest.raises(rf.SnapshotError, match=r"retab-frames\.json should have version 2, and"):
        calls[verb]()
    assert listing(root) == before


def test_marker_says_what_it_is(store: rf.SnapshotStore, root: Path) -> None:
    store.write(run_of())
    marker = json.loads((root / "retab-frames.json").read_bytes())
    assert marker == {"format": "retab-frames-store", "version": 2}


def test_store_without_its_marker_gets_it_back(store: rf.SnapshotStore, root: Path) -> None:
    store.write(run_of())
    (root / "retab-frames.json").unlink()
    assert_same(store.read("exprun_1"), run_of())
    store.write(run_of("exprun_2"))
    assert (root / "retab-frames.json").exists()


def test_root_that_is_a_file(store: rf.SnapshotStore, root: Path) -> None:
    root.write_bytes(b"in the way")
    with pytest.raises(rf.SnapshotError):
        store.write(run_of())
    assert root.read_bytes() == b"in the way"


def overtaken(root: Path, ours: rf.RunContent, theirs: rf.RunContent) -> rf.Snapshot:
    """Write ours, and theirs right before the manifest of ours gets its name."""
    real = os.link

    def link(source: Path, target: Path, **options: bool) -> None:
        if target.suffix == ".json" and target.parent.name.startswith("exprun"):
            os.link = real
            rf.SnapshotStore(root).write(theirs)
        real(source, target, **options)

    os.link = link  # type: ignore[assignment]
    try:
        return rf.SnapshotStore(root).write(ours)
    finally:
        os.link = real


def test_overtaken_by_different_content(store: rf.SnapshotStore, root: Path) -> None:
    ours, theirs = run_of("exprun_1", 1), run_of("exprun_1", 2)
    with pytest.raises(
        rf.SnapshotConflictError, match=r"wrote revision 1 of run exprun_1 first, with different"
    ):
        overtaken(root, ours, theirs)
    assert_same(store.read("exprun_1"), theirs)
    assert only_manifest(root).name == "000001.json"


def test_overtaken_at_a_later_revision(store: rf.SnapshotStore, root: Path) -> None:
    store.write(run_of("exprun_1", 1))
    with pytest.raises(rf.SnapshotConflictError, match="wrote revision 2 of run exprun_1 first"):
        overtaken(root, run_of("exprun_1", 2), run_of("exprun_1", 3))
    assert_same(store.read("exprun_1"), run_of("exprun_1", 3))


@pytest.fixture
def twice() -> tuple[rf.RunContent, rf.RunContent]:
    """One run that was fetched twice."""
    with rf.Sandbox() as sandbox, rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        one, other = (
            rf.load_content(sandbox.workflow_id, "exp_invoices", client=client) for _ in range(2)
        )
    return one, other


def test_overtaken_by_equal_content(
    store: rf.SnapshotStore, root: Path, twice: tuple[rf.RunContent, rf.RunContent]
) -> None:
    ours, theirs = twice
    assert overtaken(root, ours, theirs).action == "unchanged"
    assert_same(store.read("exprun_invoices_5"), theirs)


def test_plain_readers_see_nothing_of_a_conflict(root: Path) -> None:
    with pytest.raises(rf.SnapshotConflictError):
        overtaken(root, run_of("exprun_1", 1), run_of("exprun_1", 2))
    assert visible(root) == told(root)


def test_plain_readers_see_a_run_once_that_two_wrote(
    root: Path, twice: tuple[rf.RunContent, rf.RunContent]
) -> None:
    overtaken(root, *twice)
    assert visible(root) == told(root)


def test_plain_readers_see_a_run_once_after_a_failed_write(
    store: rf.SnapshotStore, root: Path, twice: tuple[rf.RunContent, rf.RunContent]
) -> None:
    root.mkdir()
    (root / "revisions").write_bytes(b"in the way")
    with pytest.raises(rf.SnapshotWriteError, match=r"cannot write revisions/.*\(EEXIST\)"):
        store.write(twice[0])
    (root / "revisions").unlink()
    assert store.write(twice[1]).action == "created"
    assert visible(root) == told(root)


def test_next_write_renews_the_views_that_a_crash_left(store: rf.SnapshotStore, root: Path) -> None:
    store.write(run_of("exprun_1", 1))
    old = {name: (root / name).read_bytes() for name in visible(root)}
    store.write(run_of("exprun_1", 2))
    for name, data in old.items():
        (root / name).unlink()
        (root / name).write_bytes(data)
    assert visible(root) != told(root)
    assert store.write(run_of("exprun_1", 2)).action == "unchanged"
    assert visible(root) == told(root)


def test_threads_that_write_one_run(root: Path) -> None:
    for number in range(12):
        run_id = f"exprun_{number}"
        contents = [run_of(run_id, 1), run_of(run_id, 2)]
        barrier = threading.Barrier(2)

        def write(content: rf.RunContent, barrier: threading.Barrier = barrier) -> str:
            store = rf.SnapshotStore(root)
            barrier.wait(timeout=10)
            try:
                return store.write(content).action
            except rf.SnapshotConflictError:
                return "conflict"

        with ThreadPoolExecutor(2) as pool:
            actions = list(pool.map(write, contents))
        assert sorted(actions) in (["conflict", "created"], ["created", "revised"])
        newest = actions.index("revised" if "revised" in actions else "created")
        assert_same(rf.SnapshotStore(root).read(run_id), contents[newest])


def test_hostile_ids(store: rf.SnapshotStore, root: Path) -> None:
    for n, identifier in enumerate(HOSTILE_IDS):
        content = run_of(identifier, n, experiment_id=HOSTILE_IDS[-1 - n])
        assert store.write(content).action == "created"
    for n, identifier in enumerate(HOSTILE_IDS):
        back = store.read(identifier)
        assert (back.run_id, back.experiment_id) == (identifier, HOSTILE_IDS[-1 - n])
        assert back.jobs["duration_ms"].tolist() == [n]
        assert set(back.jobs["run_id"]) == {identifier}
    assert set(store.list()["run_id"]) == set(HOSTILE_IDS)
    assert {path.name for path in root.parent.iterdir()} == {"store"}
    made = {*WITH_ROWS, "revisions", "retab-frames.json"}
    assert {path.name for path in root.iterdir()} == made
    names = [path.name for path in root.rglob("*")]
    assert all(name.isascii() and name[0].isalnum() and len(name) <= 90 for name in names)
    assert visible(root) == told(root)
    assert len(visible(root)) == len(WITH_ROWS) * len(HOSTILE_IDS)
    assert set(pd.read_parquet(root / "jobs")["run_id"]) == set(HOSTILE_IDS)


def test_key_is_nowhere_in_the_store(
    snapshot_sandbox: rf.Sandbox, snapshot_client: rf.Client, store: rf.SnapshotStore, root: Path
) -> None:
    assert snapshot_client.runs(snapshot_sandbox.workflow_id, "exp_invoices").records
    store.pull(snapshot_sandbox.workflow_id, "exp_invoices", run_id="all", client=snapshot_client)
    assert any(CANARY in str(request.headers) for request in snapshot_sandbox.requests)
    files = [path for path in root.rglob("*") if path.is_file()]
    # the marker, and of each run a manifest, and each table with rows under two names
    assert len(files) == 1 + 5 + 2 * len(visible(root))
    for path in files:
        assert CANARY.encode() not in path.read_bytes(), path
        assert CANARY not in path.name
    for name in visible(root):
        table = pq.read_table(root / name, partitioning=None)
        assert CANARY not in f"{table.to_pydict()}{table.schema.metadata}", name


# threads seldom take turns here, so that those of pyarrow have work left when Python ends
READER = """
import sys
import retab_frames as rf
store = rf.SnapshotStore(sys.argv[1])
sys.setswitchinterval(0.3)
print(len(store.read("exprun_1").jobs))
"""


def test_process_that_has_read_ends_well(store: rf.SnapshotStore, root: Path) -> None:
    store.write(run_of("exprun_1", 1, 2, 3))
    command = [sys.executable, "-c", READER, str(root)]
    ends = [subprocess.run(command, capture_output=True, check=False) for _ in range(3)]
    assert [(end.returncode, end.stdout.strip()) for end in ends] == [(0, b"3")] * 3


def test_a_manifest_says_where_a_run_came_from(tmp_path: Path) -> None:
    store = rf.SnapshotStore(tmp_path)
    with rf.Sandbox() as sandbox, rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        store.pull("wf_sandbox", "exp_invoices", run_id="exprun_invoices_1", client=client)
        origin = sandbox.url

    [manifest] = tmp_path.glob("revisions/*/000001.json")
    assert json.loads(manifest.read_bytes())["source"] == f"{origin} (content)"
    assert store.read("exprun_invoices_1").source == f"{origin} (content)"


def test_save_flushes_at_most_nine_times_and_validates_nothing(
    store: rf.SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(run_of("exprun_0", 1))
    contents = [run_of("exprun_1", 1), run_of("exprun_1", 2)]
    flushed: list[int] = []
    flush = os.fsync

    def note(handle: int) -> None:
        flushed.append(handle)
        flush(handle)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr("retab_frames.load.content.to_frame", None)
    counts = []
    for content in contents:
        flushed.clear()
        store.write(content)
        counts.append(len(flushed))
    # the tables with rows, the folder of the run, its manifest, the folder again, and of a new
    # run the folder above it; of a revision only two tables are new
    assert counts == [len(WITH_ROWS) + 4, 2 + 3]
    assert max(counts) <= 9
