from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pandas as pd
import pytest
from factories import FLAG, TEXT, TIME, WHOLE, content, job, rows_of
from nbclient import NotebookClient
from pandas.testing import assert_frame_equal

import retab_frames as rf
from retab_frames.store.scan import sql as sql_module
from retab_frames.store.scan.sql import SQL_TABLES, query

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> rf.SnapshotStore:
    """Two runs of the sandbox, and one run in two revisions."""
    made = rf.SnapshotStore(tmp_path_factory.mktemp("sql") / "store")
    ids = ["exprun_invoices_2", "exprun_invoices_4"]
    with rf.Sandbox() as sandbox, rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        made.pull(sandbox.workflow_id, "exp_invoices", run_id=ids, client=client)
    for duration in (10, 20):
        handles = {"a.b": {"type": "json", "data": {"x": duration}}}
        row = job(1, duration_ms=duration, handle_inputs=handles)
        made.write(rf.read_content(content(row)))
    return made


def test_the_newest_revisions_in_groups(store: rf.SnapshotStore) -> None:
    found = query(
        store,
        "select run_id, count(*) as jobs, sum(duration_ms) as total_ms, max(completed_at) as last"
        " from jobs group by run_id order by run_id",
    )

    jobs = pd.concat([store.read(run_id).jobs for run_id in sorted(store.list()["run_id"])])
    by = jobs.groupby("run_id", as_index=False)
    expected = by.agg(
        jobs=("job_id", "size"), total_ms=("duration_ms", "sum"), last=("completed_at", "max")
    )
    assert found.dtypes.to_dict() == {
        "run_id": TEXT,
        "jobs": WHOLE,
        "total_ms": WHOLE,
        "last": TIME,
    }
    assert_frame_equal(found, expected.astype(found.dtypes.to_dict()))
    assert found.loc[found["run_id"] == "exprun_1", "total_ms"].tolist() == [20]


@pytest.mark.parametrize("table", SQL_TABLES)
def test_every_table(store: rf.SnapshotStore, table: str) -> None:
    found = query(store, f"SELECT * FROM {table.upper()}")  # noqa: S608

    if table == "snapshots":
        assert_frame_equal(found.sort_values("run_id"), store.list().sort_values("run_id"))
        return
    frames = [
        getattr(store.read(run_id), "run" if table == "runs" else table)
        for run_id in store.list()["run_id"]
    ]
    assert len(found) == sum(map(len, frames))
    names = [name for frame in frames for name in frame.columns]
    assert set(found.columns) == {*names, *(["run_id"] if table == "raw" else [])}


def test_tables_join(store: rf.SnapshotStore) -> None:
    found = query(
        store,
        "select j.job_id, json_extract(r.body, '$.duration_ms')::bigint as sent, j.duration_ms,"
        ' j."handle_inputs.a.b.data" as data, s.revision'
        " from jobs j join raw r using (run_id, job_id) join snapshots s using (run_id)"
        " where run_id = 'exprun_1'",
    )
    assert rows_of(found) == [
        {"job_id": "expjob_1", "sent": 20, "duration_ms": 20, "data": '{"x":20}', "revision": 2}
    ]


def test_columns_of_one_name(store: rf.SnapshotStore) -> None:
    found = query(store, "select 1 as a, 2 as a, 3 as a_1, 4 as a from snapshots limit 1")
    assert rows_of(found) == [{"a": 1, "a_2": 2, "a_1": 3, "a_3": 4}]


def test_types_are_arrow_s(store: rf.SnapshotStore) -> None:
    found = query(
        store,
        "select 'x' as text, true as flag, 1::hugeint as whole, null::hugeint as none,"
        " 99999999999999999999::hugeint as large, 'b'::enum('a', 'b') as kind,"
        " timestamptz '2026-01-01 02:00:00+02' as moment",
    )
    assert [str(dtype) for dtype in found.dtypes] == [
        "string[pyarrow]",
        "bool[pyarrow]",
        "int64[pyarrow]",
        "int64[pyarrow]",
        "decimal128(38, 0)[pyarrow]",
        "string[pyarrow]",
        "timestamp[us, tz=UTC][pyarrow]",
    ]
    assert found["moment"][0] == pd.Timestamp("2026-01-01", tz="UTC")
    assert found.dtypes["flag"] == FLAG


@pytest.mark.parametrize("sql", ["show tables", "from information_schema.tables"])
def test_the_tables_are_listed(store: rf.SnapshotStore, sql: str) -> None:
    found = query(store, sql)
    assert sorted(found["name" if "name" in found else "table_name"]) == sorted(SQL_TABLES)


@pytest.mark.parametrize(
    "sql",
    [
        "describe jobs",
        "summarize runs",
        "explain select * from jobs",
        pytest.param(
            "pivot jobs on status using count(*) group by run_id",
            marks=pytest.mark.skipif(
                int(version("duckdb").partition(".")[0]) < 2, reason="DuckDB 1 makes a type for it"
            ),
        ),
        "with a as (from jobs) select count(*) from a",
        "values (1)",
    ],
)
def test_what_gives_rows_is_a_query(store: rf.SnapshotStore, sql: str) -> None:
    assert len(query(store, sql))


def test_no_store_has_no_rows(tmp_path: Path) -> None:
    assert query(tmp_path / "none", "select * from jobs").empty
    assert query(tmp_path / "none", "select count(*) as n from raw")["n"].tolist() == [0]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("selec 1", 'DuckDB refused the query: Parser Error: syntax error at or near "selec"'),
        ("select duration from jobs", r'"duration" not found(.|\n)*"duration_ms"'),
        ("select * from job", r'Table with name job does not exist!\nDid you mean "jobs"'),
        ("select * from jobs; select 1", "a query is one statement, this has 2: select"),
        ("  -- nothing", "a query is one statement, this has 0:"),
        ("select * from jobs where duration_ms = 'x'", "Could not convert string 'x' to INT64"),
    ],
)
def test_what_is_wrong_is_told(store: rf.SnapshotStore, sql: str, message: str) -> None:
    with pytest.raises(rf.QueryError, match=message):
        query(store, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "create table t as select 1",
        "insert into jobs select * from jobs",
        "delete from jobs",
        "drop view jobs",
        "copy jobs to '{out}'",
        "copy (select 1) to '{out}'",
        "attach '{out}'",
        "export database '{out}'",
        "set enable_external_access = true",
        "pragma enable_profiling",
        "install httpfs",
        "load httpfs",
        "call pragma_version()",
        "select * from '{secret}'",
        "select * from read_csv('{secret}')",
        "select * from read_text('{secret}')",
        "select * from glob('{folder}/*')",
        "select * from read_parquet('{root}/jobs/*/*.parquet')",
        "select * from read_csv('http://127.0.0.1:1/a.csv')",
        "select * from a_frame",
    ],
)
def test_nothing_else_is_read_or_written(store: rf.SnapshotStore, tmp_path: Path, sql: str) -> None:
    a_frame = pd.DataFrame({"password": ["secret"]})
    secret, out = tmp_path / "secret.csv", tmp_path / "out"
    a_frame.to_csv(secret)
    places = {"secret": secret, "out": out, "folder": tmp_path, "root": store.root}

    with pytest.raises(rf.QueryError):
        query(store, sql.format(**places))

    assert list(tmp_path.iterdir()) == [secret]


def test_the_locked_settings_hold_within_a_query(store: rf.SnapshotStore) -> None:
    names = "'enable_external_access', 'lock_configuration', 'autoload_known_extensions'"
    found = query(store, f"select name, value from duckdb_settings() where name in ({names})")  # noqa: S608
    assert dict(zip(found["name"], found["value"], strict=True)) == {
        "autoload_known_extensions": "false",
        "enable_external_access": "false",
        "lock_configuration": "true",
    }


def test_messages_are_safe_to_print(store: rf.SnapshotStore) -> None:
    with pytest.raises(rf.QueryError) as caught:
        query(store, "select \x1b[31m\u202e from jobs")
    assert all(line.isprintable() for line in str(caught.value).splitlines())


def test_nothing_is_left_in_the_current_folder(
    store: rf.SnapshotStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    where = "select value from duckdb_settings() where name = 'temp_directory'"
    spilled = Path(query(store, where)["value"][0])
    assert spilled.is_absolute()
    assert not spilled.exists()
    assert list(tmp_path.iterdir()) == []


def test_duckdb_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(rf.MissingExtraError, match=r"pip install 'retab-frames\[duckdb\]'"):
        query(tmp_path, "select 1")


def damaged(root: Path, spoil: Callable[[Path], Any]) -> rf.SnapshotStore:
    made = rf.SnapshotStore(root)
    made.write(rf.read_content(content(job(1))))
    spoil(next(Path(root, "revisions").glob("*/jobs-*.parquet")))
    return made


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(rf.SnapshotCorruptError, match="of run exprun_1 is missing"):
        query(damaged(tmp_path / "store", Path.unlink), "from jobs")


def test_a_file_that_disappears_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = rf.SnapshotStore(tmp_path / "store")
    made.write(rf.read_content(content(job(1))))
    chosen = sql_module._sources

    def remove_then(*arguments: Any) -> list[Any]:
        found = list(chosen(*arguments))
        made.remove("exprun_1", dry_run=False)
        return found

    monkeypatch.setattr(sql_module, "_sources", remove_then)
    with pytest.raises(rf.SnapshotNotFoundError, match="run exprun_1 was removed"):
        query(made, "from jobs")


def test_a_file_is_looked_for_only_where_its_table_is_named(tmp_path: Path) -> None:
    assert len(query(damaged(tmp_path / "store", Path.unlink), "from raw")) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) as jobs from raw",
        "select 'jobs' as text from raw",
        "select jobs.body from raw as jobs",
        "with a as (from RAW) select count(*) from a -- not jobs",
    ],
)
def test_a_word_that_is_not_a_table_opens_no_file(tmp_path: Path, sql: str) -> None:
    assert len(query(damaged(tmp_path / "store", Path.unlink), sql)) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "from query_table('raw')",
        "from query('from raw')",
        "explain from raw",
        'from "RAW", range(1)',
    ],
)
def test_tables_that_the_parser_does_not_name_are_there(store: rf.SnapshotStore, sql: str) -> None:
    assert len(query(store, sql))


def test_a_store_in_memory() -> None:
    made = rf.SnapshotStore("memory://queries")
    made.write(rf.read_content(content(job(1), job(2))))
    assert query(made, "select count(*) as n from jobs")["n"].tolist() == [2]


def test_a_notebook_without_ipywidgets() -> None:
    cell = (
        "import sys, tempfile\n"
        "sys.modules['ipywidgets'] = None\n"
        "import retab_frames as rf\n"
        "rf.query(tempfile.mkdtemp(), 'select count(*) as n from jobs')['n'].tolist()"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    assert [one["data"]["text/plain"] for one in notebook.cells[0].outputs] == ["[0]"]


@pytest.mark.parametrize("sql", ["select '\ud800'", "select 1\0"])
def test_half_a_character_is_no_query(tmp_path: Path, sql: str) -> None:
    with pytest.raises(rf.QueryError, match="not valid text"):
        rf.query(tmp_path, sql)


@pytest.mark.parametrize("sql", [None, b"select 1", 5])
def test_a_query_is_text(tmp_path: Path, sql: Any) -> None:
    with pytest.raises(TypeError, match="sql takes a text, not"):
        rf.query(tmp_path, sql)
