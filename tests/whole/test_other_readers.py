"""A store is plain Parquet: readers that know nothing of it find each run once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pytest

import retab_frames as rf

TABLES = ("jobs", "handle_inputs", "handle_outputs", "issues", "raw", "runs")
COLUMN_OF = {
    "jobs": "duration_ms",
    "handle_inputs": "filename",
    "handle_outputs": "data",
    "issues": "problem",
    "raw": "body",
    "runs": "duration_ms",
}


@pytest.fixture(params=[("A1", "C4"), ("C4",)], ids=["content", "results"], scope="module")
def plain_root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All runs of the sandbox, one of them superseded by a revision, and one odd run."""
    root = tmp_path_factory.mktemp("plain") / "store"
    store = rf.SnapshotStore(root)
    with (
        rf.Sandbox(generations=request.param) as sandbox,
        rf.Client(sandbox.api_key, base_url=sandbox.url) as client,
    ):
        for experiment_id in sandbox.experiment_ids[:3]:
            store.pull(sandbox.workflow_id, experiment_id, run_id="all", client=client)
    for duration in (1, 2):
        row = {"id": "job_1", "document_id": "001", "status": "done", "duration_ms": duration}
        envelope = {"experiment_id": "001", "run_id": "001", "content": {"jobs": [row]}}
        store.write(rf.read_content(envelope))
    return root


@pytest.fixture(scope="module")
def expected(plain_root: Path) -> dict[str, tuple[int, list[object]]]:
    """How many rows each table has, and the values of one of its columns, by our own reading."""
    store = rf.SnapshotStore(plain_root)
    contents = [store.read(run_id) for run_id in store.list()["run_id"]]
    assert len(contents) == 16
    tables = {
        table: [getattr(content, "run" if table == "runs" else table) for content in contents]
        for table in TABLES
    }
    return {
        table: (
            sum(map(len, frames)),
            in_order([value for frame in frames for value in frame[COLUMN_OF[table]]]),
        )
        for table, frames in tables.items()
    }


@pytest.fixture(params=TABLES)
def table(
    request: pytest.FixtureRequest, plain_root: Path, expected: dict[str, tuple[int, list[object]]]
) -> str:
    """The name of a table; one of which no run has rows has no files."""
    name: str = request.param
    if not expected[name][0]:
        assert not (plain_root / name).exists()
        pytest.skip(f"no run has rows in {name}")
    return name


def in_order(values: list[object]) -> list[object]:
    """Return the values sorted by their text, every kind of null as None."""
    plain = [None if pd.isna(value) else value for value in values]  # type: ignore[call-overload]
    whole = [int(v) if isinstance(v, float) else v for v in plain]
    return sorted(whole, key=str)


@pytest.mark.parametrize("backend", [None, "pyarrow"])
def test_pandas(
    plain_root: Path,
    expected: dict[str, tuple[int, list[object]]],
    table: str,
    backend: str | None,
) -> None:
    options = {} if backend is None else {"dtype_backend": backend}
    frame = pd.read_parquet(plain_root / table, **options)  # type: ignore[call-overload]
    assert (len(frame), in_order(frame[COLUMN_OF[table]].tolist())) == expected[table]


def test_pyarrow_dataset(
    plain_root: Path, expected: dict[str, tuple[int, list[object]]], table: str
) -> None:
    data = ds.dataset(plain_root / table).to_table()
    assert (len(data), in_order(data.column(COLUMN_OF[table]).to_pylist())) == expected[table]


def test_polars(
    plain_root: Path, expected: dict[str, tuple[int, list[object]]], table: str
) -> None:
    # the handles are columns of the jobs, so that not every file has the columns of the first
    data = pl.scan_parquet(
        plain_root / table / "**/*.parquet", missing_columns="insert", extra_columns="ignore"
    ).collect()
    assert (len(data), in_order(data[COLUMN_OF[table]].to_list())) == expected[table]


def test_polars_needs_no_option_for_a_fixed_schema(
    plain_root: Path, expected: dict[str, tuple[int, list[object]]], table: str
) -> None:
    if table == "jobs":
        pytest.skip("jobs have the columns of their handles")
    data = pl.scan_parquet(plain_root / table / "**/*.parquet").collect()
    assert (len(data), in_order(data[COLUMN_OF[table]].to_list())) == expected[table]


def test_duckdb(
    plain_root: Path, expected: dict[str, tuple[int, list[object]]], table: str
) -> None:
    files = (plain_root / table / "**/*.parquet").as_posix()
    with duckdb.connect() as connection:
        rows = connection.execute(
            f'SELECT "{COLUMN_OF[table]}" FROM read_parquet(?, union_by_name = true)',  # noqa: S608
            [files],
        ).fetchall()
    assert (len(rows), in_order([row[0] for row in rows])) == expected[table]


def test_duckdb_unites_the_columns_of_the_handles(plain_root: Path) -> None:
    store = rf.SnapshotStore(plain_root)
    jobs = pd.concat([store.read(run_id).jobs for run_id in store.list()["run_id"]])
    files = (plain_root / "jobs/**/*.parquet").as_posix()
    with duckdb.connect() as connection:
        relation = connection.read_parquet(files, union_by_name=True)
        assert set(relation.columns) == set(jobs.columns)
        handles = [name for name in jobs.columns if name.startswith("handle_")]
        assert len(handles) >= 8
        for name in handles:
            [(count,)] = relation.aggregate(f'count("{name}")').fetchall()
            assert count == jobs[name].notna().sum(), name


def test_ids_that_look_like_numbers_stay_text(plain_root: Path) -> None:
    files = (plain_root / "jobs/**/*.parquet").as_posix()
    query = "SELECT run_id, duration_ms FROM read_parquet(?, union_by_name = true)"
    with duckdb.connect() as connection:
        found = connection.execute(f"{query} WHERE experiment_id = '001'", [files]).fetchall()
    assert found == [("001", 2)]
    frame = pd.read_parquet(plain_root / "jobs")
    assert frame.loc[frame["document_id"] == "001", "run_id"].tolist() == ["001"]
    lazy = pl.scan_parquet(
        plain_root / "jobs/**/*.parquet", missing_columns="insert", extra_columns="ignore"
    )
    assert lazy.filter(pl.col("run_id") == "001").collect()["duration_ms"].to_list() == [2]


def test_times_and_nulls_keep_their_types(plain_root: Path) -> None:
    frame = pd.read_parquet(plain_root / "runs", dtype_backend="pyarrow")
    ours = rf.SnapshotStore(plain_root).read("exprun_invoices_1").run
    read = frame[frame["run_id"] == "exprun_invoices_1"].reset_index(drop=True)
    assert read.dtypes.to_dict() == ours.dtypes.to_dict()
    assert read["created_at"].tolist() == ours["created_at"].tolist()
    assert frame["parent_run_id"].isna().all()


README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
READERS = ("jobs = pd.", "jobs = pl.", "jobs = duckdb.", "jobs = ds.")
LINES = [line for line in README.splitlines() if line.startswith(READERS)]


@pytest.mark.parametrize("view", ["jobs", "compacted/jobs"])
@pytest.mark.parametrize("line", LINES)
def test_the_lines_of_the_readme(plain_root: Path, tmp_path: Path, line: str, view: str) -> None:
    root = Path(shutil.copytree(plain_root, tmp_path / "snapshots"))
    store = rf.SnapshotStore(root)
    listed = store.list()
    for experiment_id in listed["experiment_id"].unique():
        store.compact(experiment_id)
    if view != "jobs":
        listed = listed[listed["complete"]]
    expected = pd.concat([store.read(run_id).jobs for run_id in listed["run_id"]])
    before = "\n".join(
        one for one in README.splitlines() if one.startswith(("import glob", "files ="))
    )
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path)
        exec(f"{before}\n{line}".replace("snapshots/jobs", f"snapshots/{view}"), names)  # noqa: S102
        jobs = names["jobs"]
        if isinstance(jobs, pl.LazyFrame):
            jobs = jobs.collect().to_arrow()
        elif isinstance(jobs, duckdb.DuckDBPyRelation):
            jobs = jobs.to_arrow_table()
        found = jobs if isinstance(jobs, pd.DataFrame) else jobs.to_pandas()

    handles = [name for name in expected.columns if name.startswith("handle_")]
    assert len(handles) >= 8
    assert set(found.columns) == set(expected.columns)
    assert len(found) == len(expected)
    for name in (*handles, "run_id", "duration_ms"):
        assert in_order(found[name].tolist()) == in_order(expected[name].tolist()), name


def test_each_kind_of_reader_has_a_line() -> None:
    assert [line.split()[2].partition(".")[0] for line in LINES] == ["pd", "pl", "duckdb", "ds"]
