"""Every kind of damage is one row that names the file; a store that is whole gives none."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import retab_frames as rf
from retab_frames.store.manifest import data_name, sha256

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COLUMNS = ["run_id", "experiment_id", "revision", "file", "kind", "problem", "action"]
LEVELS = ("quick", "hash", "full")
TABLES = ("jobs", "handle_inputs", "raw")


def run_of(run_id: str, *durations: int) -> rf.RunContent:
    rows = [
        {
            "id": f"job_{n}",
            "document_id": f"doc_{n}",
            "status": "completed",
            "duration_ms": duration,
            "handle_inputs": {"input-json-0": {"type": "json", "data": {"n": n}}},
        }
        for n, duration in enumerate(durations)
    ]
    envelope = {"experiment_id": "exp_1", "run_id": run_id, "content": {"jobs": rows}}
    return rf.read_content(envelope, workflow_id="wf_1")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store of two runs, one of them with two revisions."""
    folder = tmp_path_factory.mktemp("template")
    made = rf.SnapshotStore(folder)
    made.write(run_of("exprun_1", 1, 2))
    made.write(run_of("exprun_1", 1, 3))
    made.write(run_of("exprun_2", 5))
    return folder


@pytest.fixture
def store(root: Path, template: Path) -> rf.SnapshotStore:
    return rf.SnapshotStore(shutil.copytree(template, root))


def told(store: rf.SnapshotStore, level: Any = "hash", **options: Any) -> list[tuple[Any, ...]]:
    """Return run, revision, file and kind of each problem."""
    frame = store.verify(level, **options)
    picked = frame[["run_id", "revision", "file", "kind"]].astype(object)
    return [tuple(None if pd.isna(v) else v for v in row) for row in picked.to_numpy().tolist()]


def problems(store: rf.SnapshotStore, level: Any = "hash") -> str:
    return "\n".join(store.verify(level)["problem"])


def file_of(root: Path, table: str, run: str = "exprun_2") -> Path:
    files = json.loads(max(root.glob(f"revisions/{run}-*/*.json")).read_bytes())["files"]
    [path] = root.glob(f"revisions/{run}-*/{files[table]['name']}")
    return path


def manifest_of(root: Path, run: str = "exprun_2", revision: int = 1) -> Path:
    [path] = root.glob(f"revisions/{run}-*/{revision:06}.json")
    return path


def resealed(path: Path, **fields: Any) -> None:
    """Change fields of a manifest, and seal it again as whoever forges one would."""
    told = json.loads(path.read_bytes()) | fields
    del told["seal"]
    seal = sha256(msgspec.json.encode(told, order="sorted"))
    path.write_bytes(msgspec.json.encode({**told, "seal": seal}, order="sorted"))


def rewritten(root: Path, table: str, change: Callable[[pa.Table], pa.Table], **entry: Any) -> None:
    """Write a table of exprun_2 otherwise, with a manifest that names it as it is now."""
    path = file_of(root, table)
    data = change(pq.read_table(path, partitioning=None))
    # pages as plain bytes, so that a test can change a value where it stands
    plain: dict[str, Any] = {"compression": "none", "write_statistics": False}
    pq.write_table(data, path, write_page_checksum=True, **plain)
    renamed(root, table, columns=data.column_names, **entry)


def renamed(root: Path, table: str, **entry: Any) -> None:
    """Give a data file of exprun_2 the name of its bytes, and its manifest their hash."""
    path, manifest = file_of(root, table), manifest_of(root)
    body = path.read_bytes()
    files = json.loads(manifest.read_bytes())["files"]
    name = data_name(table, sha256(body))
    path.rename(path.with_name(name))
    files[table] |= {"name": name, "size": len(body), "sha256": sha256(body), **entry}
    resealed(manifest, files=files)


@pytest.mark.parametrize("level", LEVELS)
def test_store_that_is_whole_has_no_problems(store: rf.SnapshotStore, level: Any) -> None:
    frame = store.verify(level)
    assert len(frame) == 0
    assert frame.columns.tolist() == COLUMNS
    types = [pa.int64() if name == "revision" else pa.string() for name in COLUMNS]
    assert frame.dtypes.tolist() == [pd.ArrowDtype(one) for one in types]


def test_every_run_of_the_sandbox_is_made_anew_from_its_rows(tmp_path: Path) -> None:
    store = rf.SnapshotStore(tmp_path)
    for generation, experiment in (("A1", 0), ("B", 1), ("C4", 2)):
        with (
            rf.Sandbox(generations=(generation,)) as sandbox,
            rf.Client(sandbox.api_key, base_url=sandbox.url) as client,
        ):
            experiment_id = sandbox.experiment_ids[experiment]
            store.pull(sandbox.workflow_id, experiment_id, run_id="all", client=client)
    assert len(store.list()) == 15
    assert told(store, "full") == []


def test_rows_of_an_earlier_run_and_placeholders_are_made_anew(root: Path) -> None:
    rows = [
        {"id": "j1", "document_id": "d1", "run_id": "earlier", "status": "completed"},
        {"id": "", "document_id": "d2", "is_placeholder": True},
        {"id": "", "document_id": "d2", "is_placeholder": True},
        {"id": "j1", "document_id": "d1", "run_id": "earlier", "status": "completed"},
    ]
    store = rf.SnapshotStore(root)
    store.write(rf.read_content({"experiment_id": "e", "run_id": "r", "content": {"jobs": rows}}))
    store.write(rf.read_content({"experiment_id": "e", "run_id": "s", "content": {"jobs": []}}))
    assert told(store, "full") == []


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("damage", ["removed", "cut"])
def test_missing_or_shorter_file(
    store: rf.SnapshotStore, root: Path, level: Any, table: str, damage: str
) -> None:
    path = file_of(root, table)
    body = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(body[:-1])
    assert told(store, level) == [("exprun_2", 1, path.relative_to(root).as_posix(), "damaged")]


@pytest.mark.parametrize(("level", "found"), [("quick", 0), ("hash", 1), ("full", 1)])
def test_flipped_bit(store: rf.SnapshotStore, root: Path, level: Any, found: int) -> None:
    path = file_of(root, "jobs")
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)
    assert len(told(store, level)) == found
    assert ("is altered: its SHA-256" in problems(store, level)) == bool(found)


def test_unreadable_file(store: rf.SnapshotStore, root: Path) -> None:
    path = file_of(root, "raw")
    path.unlink()
    path.mkdir()
    assert told(store) == [("exprun_2", 1, path.relative_to(root).as_posix(), "damaged")]


def test_file_of_an_old_revision(store: rf.SnapshotStore, root: Path) -> None:
    files = json.loads(manifest_of(root, "exprun_1", 1).read_bytes())["files"]
    path = file_of(root, "jobs", "exprun_1").with_name(files["jobs"]["name"])
    path.write_bytes(path.read_bytes()[:-1])
    name = path.relative_to(root).as_posix()
    assert told(store) == [("exprun_1", 1, name, "damaged")]
    assert store.verify()["action"][0].endswith("the newest revision does not need it")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"not json", b"\xff", b"[" * 9_000])
def test_damaged_manifest_is_a_row_and_the_other_runs_are_looked_at(
    store: rf.SnapshotStore, root: Path, level: Any, body: bytes
) -> None:
    path = manifest_of(root)
    path.write_bytes(body)
    other = file_of(root, "raw", "exprun_1")
    other.unlink()
    # the files of the damaged one are nobody's strays: it may name them
    assert told(store, level) == [
        ("exprun_1", 2, other.relative_to(root).as_posix(), "damaged"),
        (None, 1, path.relative_to(root).as_posix(), "damaged"),
    ]


def test_every_byte_of_a_manifest_counts(store: rf.SnapshotStore, root: Path) -> None:
    path = manifest_of(root)
    whole = path.read_bytes()
    for at in range(0, len(whole), 29):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert [kind for *_, kind in told(store, "quick", run_id="exprun_2")] == ["damaged"], at


def test_manifest_of_a_newer_version(store: rf.SnapshotStore, root: Path) -> None:
    resealed(manifest_of(root), version=3)
    [(run_id, revision, file, kind)] = told(store)
    assert (run_id, revision, kind) == (None, 1, "newer")
    assert "format version 3, this library reads up to 2: upgrade" in problems(store)
    with pytest.raises(rf.SnapshotError, match="upgrade retab-frames"):
        store.read("exprun_2")
    assert file.endswith("000001.json")


@pytest.mark.parametrize("level", LEVELS)
def test_columns_of_a_newer_version(store: rf.SnapshotStore, root: Path, level: Any) -> None:
    rewritten(root, "jobs", lambda table: table, schema_version=2)
    assert [kind for *_, kind in told(store, level)] == ["newer"]
    assert store.verify(level)["action"].tolist() == ["upgrade retab-frames"]
    with pytest.raises(
        rf.SnapshotError, match=r"version 2 of the table jobs, .* up to 1: upgrade retab-frames"
    ):
        store.read("exprun_2")


@pytest.mark.parametrize(
    "name", ["../../x.parquet", "/etc/x.parquet", "e/../x.parquet", "e/.x", ""]
)
def test_manifest_that_names_a_file_elsewhere(
    store: rf.SnapshotStore, root: Path, name: str
) -> None:
    path = manifest_of(root)
    files = json.loads(path.read_bytes())["files"]
    files["jobs"]["name"] = name
    resealed(path, files=files)
    assert "it names a file that is not one of its table jobs" in problems(store)
    with pytest.raises(rf.SnapshotCorruptError, match="not one of its table"):
        store.read("exprun_2")


def test_removed_manifests_of_the_oldest_revisions_were_pruned(
    store: rf.SnapshotStore, root: Path
) -> None:
    manifest_of(root, "exprun_1", 1).unlink()
    # the files that only it named are left
    assert [kind for *_, kind in told(store)] == ["leftover", "leftover"]


def test_removed_manifest_in_the_middle(store: rf.SnapshotStore, root: Path) -> None:
    store.write(run_of("exprun_1", 7))
    path = manifest_of(root, "exprun_1", 2)
    path.unlink()
    found = told(store)
    assert ("exprun_1", 3, path.relative_to(root).as_posix(), "damaged") in found
    assert {kind for *_, kind in found[1:]} == {"leftover"}


def test_replaced_manifest_of_an_old_revision(store: rf.SnapshotStore, root: Path) -> None:
    path = manifest_of(root, "exprun_1", 1)
    resealed(path, written_at="2020-01-01T00:00:00+00:00")
    assert told(store) == [("exprun_1", 2, path.relative_to(root).as_posix(), "damaged")]
    assert problems(store) == "is not the one that revision 2 came after"


@pytest.mark.parametrize("level", LEVELS)
def test_removed_manifest_of_the_newest_revision(
    store: rf.SnapshotStore, root: Path, level: Any
) -> None:
    manifest_of(root).unlink()
    manifest_of(root, "exprun_1", 2).unlink()
    found = told(store, level)
    # jobs and raw of exprun_1, and all views of exprun_2, whose data may still be needed
    assert [kind for *_, kind in found] == ["leftover"] * 2 + ["stray"] * 3


def test_manifest_of_another_run(store: rf.SnapshotStore, root: Path) -> None:
    shutil.copy(manifest_of(root, "exprun_1", 1), manifest_of(root))
    assert [kind for *_, kind in told(store)] == ["damaged"]
    assert "it was copied or renamed" in problems(store)


@pytest.mark.parametrize(
    ("marker", "kind"),
    [
        (b'{"format":"retab-frames-store","version":3}', "newer"),
        (b'{"format":"another","version":2}', "damaged"),
        (b"junk", "damaged"),
        (b"", "damaged"),
    ],
)
def test_store_of_another_format_is_one_row(
    store: rf.SnapshotStore, root: Path, marker: bytes, kind: str
) -> None:
    (root / "retab-frames.json").write_bytes(marker)
    assert told(store) == [(None, None, "retab-frames.json", kind)]


def test_altered_marker_that_can_be_read(store: rf.SnapshotStore, root: Path) -> None:
    path = root / "retab-frames.json"
    path.write_bytes(path.read_bytes().rstrip())
    assert told(store) == [(None, None, "retab-frames.json", "damaged")]
    assert len(store.read("exprun_2").jobs) == 1


def test_missing_marker(store: rf.SnapshotStore, root: Path) -> None:
    (root / "retab-frames.json").unlink()
    assert told(store) == [(None, None, "retab-frames.json", "damaged")]
    store.write(run_of("exprun_3", 1))
    assert told(store) == []


def test_no_store_is_no_store_without_problems(tmp_path: Path) -> None:
    with pytest.raises(rf.SnapshotNotFoundError, match="there is no store in"):
        rf.SnapshotStore(tmp_path / "mistyped").verify()


def test_one_run(store: rf.SnapshotStore, root: Path) -> None:
    file_of(root, "jobs").unlink()
    (root / "jobs" / "junk").write_bytes(b"")
    assert told(store, run_id="exprun_1") == []
    assert len(told(store, run_id="exprun_2")) == 1
    with pytest.raises(rf.SnapshotNotFoundError, match="there is no snapshot of run exprun_3"):
        store.verify(run_id="exprun_3")


def test_level_that_there_is_not(store: rf.SnapshotStore) -> None:
    with pytest.raises(ValueError, match="level must be one of quick, hash, full, not 'deep'"):
        store.verify("deep")  # type: ignore[arg-type]


def test_page_with_a_wrong_checksum_is_found_by_full(store: rf.SnapshotStore, root: Path) -> None:
    rewritten(root, "raw", lambda table: table)
    assert told(store, "full") == []
    path = file_of(root, "raw")
    path.write_bytes(path.read_bytes().replace(b'"doc_0"', b'"doc_9"'))
    renamed(root, "raw")
    assert told(store, "hash") == []
    assert "CRC checksum verification failed" in problems(store, "full")


def with_duration(table: pa.Table) -> pa.Table:
    at = table.column_names.index("duration_ms")
    return table.set_column(at, table.schema.field(at), pa.array([6], pa.int64()))


def test_frames_that_the_raw_rows_do_not_make(store: rf.SnapshotStore, root: Path) -> None:
    rewritten(root, "jobs", with_duration)
    assert told(store, "hash") == []
    found = store.verify("full")
    assert found["kind"].tolist() == ["damaged", "differs"]
    assert found["problem"].tolist() == [
        "has a different digest than the content of its tables",
        "built again from the raw rows: row 0 has a different duration_ms",
    ]
    assert found["action"][1].endswith("report it, with the text of the problem")


def test_frames_that_another_version_made_otherwise(store: rf.SnapshotStore, root: Path) -> None:
    rewritten(root, "jobs", with_duration)
    resealed(manifest_of(root), library="retab-frames 0.0.1, pyarrow 17.0.0")
    found = store.verify("full")
    assert "; retab-frames 0.0.1, pyarrow 17.0.0 wrote it, this is " in found["problem"][1]
    assert found["action"][1].startswith("nothing is lost, ")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda t: t.slice(0, 0), "has 0 rows instead of 1"),
        (lambda t: t.drop_columns(["job_id"]), "its column job_id should be string without nulls"),
        (lambda t: t.set_column(3, "job_id", pa.array([1])), "and is int64 with 0 nulls"),
    ],
)
def test_table_that_is_not_what_its_manifest_says(
    store: rf.SnapshotStore, root: Path, change: Callable[[pa.Table], pa.Table], problem: str
) -> None:
    rewritten(root, "jobs", change)
    assert told(store, "hash") == []
    assert problem in problems(store, "full")


def test_raw_rows_that_are_no_rows(store: rf.SnapshotStore, root: Path) -> None:
    rewritten(root, "raw", lambda t: t.set_column(2, "body", pa.array(['{"id":1}'])))
    assert "built again from the raw rows: are refused: " in problems(store, "full")


def test_file_in_sight_that_no_manifest_names(store: rf.SnapshotStore, root: Path) -> None:
    [path] = root.glob("jobs/*/exprun_2-*.parquet")
    other = path.with_name(path.name.replace("exprun_2", "exprun_9"))
    shutil.copy(path, other)
    (path.parent / "notes.txt").write_bytes(b"")
    for ignored in (".DS_Store", "_SUCCESS"):
        (path.parent / ignored).write_bytes(b"")
    (root / "README").write_bytes(b"")
    kinds = {file.rpartition("/")[2]: kind for _, _, file, kind in told(store)}
    assert kinds == {other.name: "stray", "notes.txt": "stray"}


def test_view_that_is_a_link_is_a_stray(store: rf.SnapshotStore, root: Path) -> None:
    [path] = root.glob("jobs/*/exprun_2-*.parquet")
    path.unlink()
    path.symlink_to("/etc/hostname")
    assert told(store) == [(None, None, path.relative_to(root).as_posix(), "stray")]
    assert len(store.publish()) == 1
    assert told(store) == []
    assert not path.is_symlink()


@pytest.mark.parametrize("level", LEVELS)
def test_view_that_is_out_of_date_is_not_a_problem(
    store: rf.SnapshotStore, root: Path, level: Any
) -> None:
    for path in root.glob("jobs/*/exprun_1-*.parquet"):
        path.unlink()
    [path] = root.glob("raw/*/exprun_1-*.parquet")
    path.unlink()
    path.write_bytes(b"torn")
    assert told(store, level) == []


def test_manifest_that_was_never_committed_is_a_leftover(
    store: rf.SnapshotStore, root: Path
) -> None:
    path = manifest_of(root).with_name("000002.json")
    path.write_bytes(manifest_of(root).read_bytes()[:100])
    with pytest.warns(rf.RetabFramesWarning, match="left out"):
        assert store.read("exprun_2").jobs["duration_ms"].tolist() == [5]
    with pytest.warns(rf.RetabFramesWarning, match="left out"):
        assert store.write(run_of("exprun_2", 6)).revision == 3
    assert told(store, "full") == [("exprun_2", 2, path.relative_to(root).as_posix(), "leftover")]


def test_what_is_right_at_the_second_look_is_not_reported(
    store: rf.SnapshotStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer is between its data files and its manifest when the store is listed."""
    manifest, data = manifest_of(root), file_of(root, "jobs", "exprun_1")
    bodies = {path: path.read_bytes() for path in (manifest, data)}
    for path in bodies:
        path.unlink()
    assert {kind for *_, kind in told(store)} == {"damaged", "stray"}
    real = os.scandir
    seen: list[str] = []

    def come_back(path: Any) -> Any:
        seen.append(str(path))
        if seen.count(str(data.parent)) == 2:
            data.write_bytes(bodies[data])
        if seen.count(str(root / "jobs")) == 3:
            manifest.write_bytes(bodies[manifest])
        return real(path)

    monkeypatch.setattr(os, "scandir", come_back)
    assert told(store) == []
    assert manifest_of(root).exists()


def test_progress_is_shown_when_asked(
    store: rf.SnapshotStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.verify("quick")
    assert capsys.readouterr().err == ""
    store.verify("quick", progress=True)
    assert "Verifying runs: 100%" in capsys.readouterr().err


def test_incomplete_content_has_its_own_digest(root: Path) -> None:
    store = rf.SnapshotStore(root)
    content = run_of("exprun_1", 1)
    store.write(replace(content, complete=False))
    assert store.write(content).action == "revised"
    assert told(store, "full") == []


# what a careless user leaves in the folder


def test_a_link_in_place_of_a_run_costs_that_run_alone(root: Path, store: rf.SnapshotStore) -> None:
    (root / "revisions/run_9-0123456789abcdef").symlink_to(root.parent / "nowhere")
    [row] = store.verify().to_dict("records")
    assert (row["file"], row["kind"]) == ("revisions/run_9-0123456789abcdef", "damaged")
    assert "is a link" in row["problem"]
    assert store.clean(dry_run=False).empty
    assert len(store.prune(keep_revisions=1, dry_run=False)) > 0
    assert store.write(run_of("exprun_1", 5)).action == "revised"


def test_a_lost_marker_is_made_again(root: Path, store: rf.SnapshotStore) -> None:
    content = store.read("exprun_1")
    works: list[Callable[[], object]] = [lambda: store.write(content), store.publish]
    for work in works:
        (root / "retab-frames.json").unlink()
        assert store.exists()
        assert problems(store) == "is missing"
        work()
        assert problems(store) == ""


def test_a_store_of_the_format_before_is_not_newer(root: Path, store: rf.SnapshotStore) -> None:
    (root / "retab-frames.json").write_text('{"format":"retab-frames-store","version":1}')
    [row] = store.verify().to_dict("records")
    assert (row["kind"], row["action"]) == ("older", "pull its runs again, into a new folder")


def test_a_view_that_is_garbage_is_made_again(root: Path, store: rf.SnapshotStore) -> None:
    [view] = (root / "jobs").glob("*/exprun_1-*.parquet")
    view.unlink()
    view.write_bytes(b"garbage")
    assert store.publish()["action"].tolist() == ["written"]
    assert len(pq.read_table(view)) == 2


def test_what_plain_readers_would_see_among_parts(root: Path, store: rf.SnapshotStore) -> None:
    store.compact(store.list()["experiment_id"][0])
    assert problems(store) == ""
    [view] = (root / "compacted/jobs").glob("*/000001.parquet")
    shutil.copy(view, view.with_name("000009.parquet"))
    (root / "compacted/mine.json").write_text("{}")
    found = store.verify()
    assert sorted(zip(found["kind"], found["file"].str.rpartition("/")[2], strict=True)) == [
        ("stray", "000009.parquet"),
        ("stray", "mine.json"),
    ]


@pytest.mark.parametrize("folder", ["compacted", "compacted/jobs", "jobs"])
def test_a_link_in_place_of_a_folder_is_a_problem_and_no_error(
    root: Path, store: rf.SnapshotStore, folder: str
) -> None:
    store.compact(store.list()["experiment_id"][0])
    (root / folder).rename(root.parent / "elsewhere")
    (root / folder).symlink_to(root.parent / "elsewhere")
    found = store.verify()
    assert folder in set(found["file"]) <= {folder, f"{folder}/parts"}
    assert set(found["kind"]) == {"damaged"}
    assert found["problem"].str.contains("is a link").all()
