"""What older versions wrote is read as they meant it; what a newer one wrote is refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from golden.make import described
from store.test_verification import manifest_of, resealed

import retab_frames as rf
from retab_frames.schemas.models import RunsSchema, arrow_schema
from retab_frames.store import table_versions as upgrades
from retab_frames.store.table_versions import TABLES, VERSIONS, upgrade

GOLDEN = Path(__file__).parents[1] / "golden"
FORMATS = ("v2",)


def expected(version: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        (GOLDEN / version / "expected.json").read_text("utf-8")
    )
    return found


@pytest.fixture(params=FORMATS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(version: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / version / "store", tmp_path / "store"))


def test_every_value_is_as_it_was_written(version: str) -> None:
    store = rf.SnapshotStore(GOLDEN / version / "store")
    told = expected(version)
    assert len(told) == 3
    for one in told:
        run_id, revision = one.pop("run_id"), one.pop("revision")
        found = described(store.read(run_id, revision=revision))
        frames, theirs = found.pop("frames"), one.pop("frames")
        assert found == one
        for name, rows in theirs.items():
            # a later version may have more columns, all of them null
            for row, wanted in zip(frames[name], rows, strict=True):
                more = {column: row.pop(column) for column in [*row] if column not in wanted}
                assert row == wanted, (run_id, revision, name)
                assert set(more.values()) <= {None}, (run_id, revision, name)


def test_newest_revisions_are_listed(version: str) -> None:
    listed = rf.SnapshotStore(GOLDEN / version / "store").list()
    assert dict(zip(listed["run_id"], listed["revision"], strict=True)) == {
        "exprun_1": 2,
        "Run_1": 1,
    }


@pytest.mark.parametrize("level", ["quick", "hash", "full"])
def test_it_has_no_problems(version: str, level: Any) -> None:
    assert rf.SnapshotStore(GOLDEN / version / "store").verify(level)["problem"].tolist() == []


def test_it_can_be_written_on(root: Path) -> None:
    store = rf.SnapshotStore(root)
    content = store.read("exprun_1", revision=1)
    assert store.write(content).revision == 3
    assert store.verify("full")["problem"].tolist() == []


def test_every_version_of_the_format_has_a_golden_store() -> None:
    assert {path.name for path in GOLDEN.iterdir() if path.is_dir()} - {"__pycache__"} == {*FORMATS}
    manifests = (GOLDEN / FORMATS[-1]).rglob("revisions/*/*.json")
    files = [json.loads(path.read_bytes())["files"] for path in manifests]
    assert files
    for one in files:
        found = {table: entry["schema_version"] for table, entry in one.items()}
        # a table without rows has no file
        assert found.items() <= VERSIONS.items()
    assert {table for one in files for table in one} == set(VERSIONS)


def test_every_older_version_of_a_table_has_its_step() -> None:
    wanted = {(table, n) for table, newest in VERSIONS.items() for n in range(1, newest)}
    assert set(upgrades.STEPS) == wanted
    assert set(VERSIONS) == set(TABLES)


def raw(**columns: Any) -> pa.Table:
    return pa.table({"job_id": ["j"], "position": pa.array([0]), "body": ["{}"]} | columns)


def test_new_column_that_may_be_null_is_null_in_an_older_file() -> None:
    runs = pa.table({"run_id": ["r"], "status": ["completed"]})
    back = upgrade(runs, "runs", 1, "runs/e/r.parquet")
    assert back.schema == arrow_schema(RunsSchema)
    [row] = back.to_pylist()
    assert {name: value for name, value in row.items() if value is not None} == {
        "run_id": "r",
        "status": "completed",
    }


def test_columns_come_in_the_order_of_today_and_more_stay() -> None:
    table = raw(newer=["x"]).select(["newer", "body", "job_id", "position"])
    back = upgrade(table, "raw", 1, "raw/e/r.parquet")
    assert back.column_names == ["job_id", "position", "body", "newer"]
    assert back.to_pylist() == [{"job_id": "j", "position": 0, "body": "{}", "newer": "x"}]


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (
            raw().drop_columns(["body"]),
            "column body should be string without nulls, .* missing",
        ),
        (raw(body=pa.array([None], pa.string())), "and is string with 1 nulls"),
        (raw(position=["0"]), "column position should be int64 without nulls, and is string"),
    ],
)
def test_columns_that_no_version_wrote(table: pa.Table, problem: str) -> None:
    with pytest.raises(rf.SnapshotCorruptError, match=problem) as caught:
        upgrade(table, "raw", 1, "raw/e/r.parquet")
    assert caught.value.file == "raw/e/r.parquet"


def test_newer_columns_are_refused_by_name() -> None:
    with pytest.raises(
        rf.SnapshotError,
        match=r"^raw/e/r\.parquet has version 2 of the table raw, .* reads up to 1: upgrade",
    ):
        upgrade(raw(), "raw", 2, "raw/e/r.parquet")


def test_steps_are_taken_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VERSIONS, "raw", 3)
    monkeypatch.setitem(
        upgrades.STEPS, ("raw", 1), lambda t: t.rename_columns(["job_id", "position", "text"])
    )
    monkeypatch.setitem(
        upgrades.STEPS, ("raw", 2), lambda t: t.rename_columns(["job_id", "position", "body"])
    )
    old = raw().rename_columns(["id", "n", "json"])
    assert upgrade(old, "raw", 1, "f").to_pylist() == raw().to_pylist()
    with pytest.raises(rf.SnapshotCorruptError, match="column job_id"):
        upgrade(old, "raw", 3, "f")


def test_table_that_the_writer_did_not_have_has_no_rows(root: Path) -> None:
    manifest = manifest_of(root, "exprun_1", 2)
    files = json.loads(manifest.read_bytes())["files"]
    del files["handle_outputs"]
    resealed(manifest, files=files)
    back = rf.SnapshotStore(root).read("exprun_1")
    assert len(back.handle_outputs) == 0
    assert len(back.jobs) == 5
