from __future__ import annotations

import os
import pickle
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import duckdb
import msgspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from factories import content, job, page

import retab_frames as rf
from retab_frames.schemas.models import arrow_schema
from retab_frames.store.files.storage import open_storage
from retab_frames.store.manifest import Manifest, seal
from retab_frames.store.scan import scan as scanning
from retab_frames.store.scan.datasets import SelectedFiles
from retab_frames.store.scan.scan import Engine, scan
from retab_frames.store.scan.selection import newest_revisions, select
from retab_frames.store.table_versions import TABLES, VERSIONS

ENGINES = get_args(Engine)
LAZY = [engine for engine in ENGINES if engine != "pandas"]
TEXT = pa.string()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> rf.SnapshotStore:
    """All runs of three experiments of the sandbox, and one run in two revisions."""
    store = rf.SnapshotStore(tmp_path_factory.mktemp("scan") / "store")
    with rf.Sandbox() as sandbox, rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        for experiment_id in sandbox.experiment_ids[:3]:
            store.pull(sandbox.workflow_id, experiment_id, run_id="all", client=client)
    for status in ("running", "completed"):
        store.write(rf.read_content(content(job(1, status=status))))
    return store


@pytest.fixture
def store(whole: rf.SnapshotStore, tmp_path: Path) -> rf.SnapshotStore:
    """A copy that a test may spoil."""
    shutil.copytree(whole.root, tmp_path / "copy")
    return rf.SnapshotStore(tmp_path / "copy")


def arrow(found: Any) -> pa.Table:
    """Return what any engine found as an Arrow table."""
    if isinstance(found, pd.DataFrame):
        return pa.Table.from_pandas(found, preserve_index=False)
    if isinstance(found, ds.Dataset):
        return found.to_table()
    if isinstance(found, pl.LazyFrame):
        return found.collect().to_arrow()
    if hasattr(found, "compute"):
        frame = found.compute(scheduler="synchronous")
        return pa.Table.from_pandas(frame, preserve_index=False)
    table = found.to_arrow_table()  # DuckDB: the same times in the zone of this machine
    utc = pa.timestamp("us", "UTC")
    return table.cast(
        pa.schema((f.name, utc if pa.types.is_timestamp(f.type) else f.type) for f in table.schema)
    )


def rows(found: Any) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = arrow(found).to_pylist()
    return listed


def runs(found: Any) -> list[str]:
    """Return the runs, in the order in which they first come."""
    return list(dict.fromkeys(arrow(found).column("run_id").to_pylist()))


def read(store: rf.SnapshotStore, table: str) -> list[dict[str, Any]]:
    """Return the rows of all runs by our own reading, with the columns of any."""
    found = []
    for run_id in store.list()["run_id"]:
        frame = getattr(store.read(run_id), "run" if table == "runs" else table)
        listed = pa.Table.from_pandas(frame, preserve_index=False).to_pylist()
        found += [{"run_id": run_id, **row} for row in listed]
    names = list(dict.fromkeys(name for row in found for name in row))
    return [{name: row.get(name) for name in names} for row in found]


def in_order(listed: list[dict[str, Any]]) -> list[str]:
    return sorted(repr(sorted(row.items(), key=str)) for row in listed)


def files(store: rf.SnapshotStore, table: str = "jobs") -> dict[str, Path]:
    """Return the file of each run."""
    storage = open_storage(store.root)
    sources = select(storage, newest_revisions(storage), table).sources
    return {str(source.run_id): Path(store.root, source.file) for source in sources}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_row_of_the_newest_revisions(
    whole: rf.SnapshotStore, table: str, engine: Engine
) -> None:
    found = rows(scan(whole, table, engine=engine))

    if table == "issues":  # has no row here that tells the runs apart
        expected = [{name: row[name] for name in found[0]} for row in read(whole, table)]
    else:
        expected = read(whole, table)
    assert len(found) == len(expected)
    if engine == "duckdb":
        assert in_order(found) == in_order(expected)
    else:
        assert [sorted(row.items()) for row in found] == [sorted(row.items()) for row in expected]


def test_superseded_revisions_are_not_seen(whole: rf.SnapshotStore) -> None:
    found = rows(scan(whole, run_id="exprun_1"))
    assert [(row["job_id"], row["status"]) for row in found] == [("expjob_1", "completed")]


@pytest.mark.parametrize("table", TABLES)
def test_types_are_those_of_the_schema(whole: rf.SnapshotStore, table: str) -> None:
    schema = arrow_schema(TABLES[table])
    found = scan(whole, table).schema

    assert found.remove(0) == schema if table == "raw" else list(found)[: len(schema)] == [*schema]
    assert scan(whole, table).to_table().schema == found
    plain = {field.name: pd.ArrowDtype(field.type) for field in found}
    assert scan(whole, table, engine="dask").dtypes.to_dict() == plain
    assert scan(whole, table, engine="dask").partitions[0].compute().dtypes.to_dict() == plain
    relation = scan(whole, table, engine="duckdb")
    assert relation.columns == found.names
    names = {"string": "VARCHAR", "int64": "BIGINT", "bool": "BOOLEAN", "double": "DOUBLE"}
    times = "TIMESTAMP WITH TIME ZONE"
    assert [str(t) for t in relation.types] == [names.get(str(f.type), times) for f in found]
    kinds = {
        TEXT: pl.String(),
        pa.int64(): pl.Int64(),
        pa.float64(): pl.Float64(),
        pa.bool_(): pl.Boolean(),
        pa.timestamp("us", "UTC"): pl.Datetime("us", "UTC"),
    }
    lazy = scan(whole, table, engine="polars")
    assert dict(lazy.collect_schema()) == {field.name: kinds[field.type] for field in found}
    assert dict(lazy.collect().schema) == dict(lazy.collect_schema())


@pytest.mark.parametrize("engine", ENGINES)
def test_handle_columns_are_united_and_null_where_missing(tmp_path: Path, engine: Engine) -> None:
    store = rf.SnapshotStore(tmp_path / "store")
    for number, names in enumerate(["ab", "b", "", "ca"], start=1):
        handles = {name: {"type": "json", "data": number} for name in names}
        row = job(number, run_id=f"exprun_{number}", handle_inputs=handles)
        store.write(rf.read_content(content(row, run_id=f"exprun_{number}")))

    found = arrow(scan(store, engine=engine)).sort_by("run_id")

    named = [name for name in found.column_names if name.startswith("handle_")]
    assert named == [f"handle_inputs.{n}.{field}" for n in "abc" for field in ("type", "data")]
    assert [found.column(f"handle_inputs.{name}.data").to_pylist() for name in "abc"] == [
        ["1", None, None, "4"],
        ["1", "2", None, None],
        [None, None, None, "4"],
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_several_runs_an_experiment(whole: rf.SnapshotStore, engine: Engine) -> None:
    listed = whole.list()
    some = listed["run_id"].iloc[[4, 1]]
    invoices = listed.loc[listed["experiment_id"] == "exp_invoices", "run_id"].tolist()

    assert sorted(runs(scan(whole, engine=engine, run_id=some.iloc[0]))) == [some.iloc[0]]
    assert sorted(runs(scan(whole, engine=engine, run_id=some))) == sorted(some)
    found = runs(scan(whole, "runs", engine=engine, experiment_id="exp_invoices"))
    assert sorted(found) == sorted(invoices)
    assert runs(scan(whole, engine=engine, experiment_id="exp_none")) == []
    both = scan(whole, engine=engine, experiment_id=["exp_abc"], run_id=[*some, "exprun_1"])
    assert runs(both) == ["exprun_1"]


def test_since_is_inclusive_and_until_is_not(whole: rf.SnapshotStore) -> None:
    listed = whole.list().dropna(subset="run_created_at").sort_values("run_created_at")
    moments = listed["run_created_at"].tolist()
    begin, end = moments[3], moments[9]
    inside = listed["run_created_at"].between(begin, end, inclusive="left")
    expected = sorted(listed.loc[inside, "run_id"])

    assert expected
    assert sorted(runs(scan(whole, since=begin, until=end))) == expected
    assert sorted(runs(scan(whole, since=begin.isoformat(), until=str(end)))) == expected
    assert "exprun_1" not in runs(scan(whole, since=datetime(1970, 1, 1, tzinfo=UTC)))
    assert runs(scan(whole, since=moments[-1] + timedelta(microseconds=1))) == []


def test_files_of_other_runs_are_not_opened(store: rf.SnapshotStore) -> None:
    for run_id, file in files(store).items():
        if run_id != "exprun_1":
            file.write_bytes(b"no Parquet")

    assert scan(store, run_id="exprun_1").count_rows() == 1
    assert scan(store, experiment_id="exp_abc").count_rows() == 1
    with pytest.raises(
        rf.SnapshotCorruptError, match=r"jobs-.* of run .* is damaged: it has 10 by"
    ):
        scan(store)


def test_a_filter_on_the_run_opens_its_file_alone(store: rf.SnapshotStore) -> None:
    dataset = scan(store, "handle_inputs")
    for run_id, file in files(store, "handle_inputs").items():
        if run_id != "exprun_invoices_2":
            file.unlink()

    found = dataset.to_table(filter=ds.field("run_id") == "exprun_invoices_2")

    assert found.num_rows == len(store.read("exprun_invoices_2").handle_inputs)


def test_rows_come_in_the_order_of_the_list(whole: rf.SnapshotStore, tmp_path: Path) -> None:
    assert runs(scan(whole)) == whole.list()["run_id"].tolist()
    store = rf.SnapshotStore(tmp_path / "store")
    for run_id, experiment_id in (("exprun_1", "exp_b"), ("exprun_2", "exp_a")):
        row = job(1, run_id=run_id, experiment_id=experiment_id)
        store.write(rf.read_content(page(row)))
    assert runs(scan(store)) == ["exprun_2", "exprun_1"] == store.list()["run_id"].tolist()


def test_an_issue_of_an_unknown_run_stays_so(tmp_path: Path) -> None:
    store = rf.SnapshotStore(tmp_path / "store")
    store.write(rf.read_content(page(job(1), after="more")))

    found = [(row["run_id"], row["problem"]) for row in rows(scan(store, "issues"))]

    assert found == [(None, "there are more pages")]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_there_has_every_column(tmp_path: Path, table: str, engine: Engine) -> None:
    found = arrow(scan(tmp_path / "none", table, engine=engine))
    expected = arrow_schema(TABLES[table]).names

    assert found.num_rows == 0
    assert found.column_names == (["run_id", *expected] if table == "raw" else expected)


def test_a_store_by_its_folder(whole: rf.SnapshotStore) -> None:
    jobs = scan(whole).count_rows()
    assert scan(whole.root).count_rows() == jobs
    assert scan(Path(whole.root)).count_rows() == jobs


@pytest.mark.parametrize("engine", ENGINES)
def test_a_store_in_memory(engine: Engine) -> None:
    store = rf.SnapshotStore(f"memory://scan-{engine}")
    store.write(rf.read_content(content(job(1), job(2))))

    for table, count in (("jobs", 2), ("raw", 2), ("runs", 0)):
        assert len(rows(scan(store, table, engine=engine))) == count


def test_a_selection_goes_to_another_process_by_url() -> None:
    store = rf.SnapshotStore("memory://scan-pickled")
    store.write(rf.read_content(content(job(1))))
    storage = open_storage(store.root)
    selection = select(storage, newest_revisions(storage), "jobs")

    again = pickle.loads(pickle.dumps(selection))  # noqa: S301 - our own

    assert again == selection
    assert SelectedFiles(again).count_rows() == 1
    assert pickle.loads(pickle.dumps(scan(store))).count_rows() == 1  # noqa: S301


def test_a_store_is_not_written_through_a_scan() -> None:
    store = rf.SnapshotStore("memory://scan-read-only")
    store.write(rf.read_content(content(job(1))))
    with pytest.raises(OSError, match="is open for reading only"):
        scan(store).filesystem.delete_file("retab-frames.json")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"table": "job"}, r"table must be one of jobs, .*, not 'job' \(did you mean 'jobs'\?\)"),
        ({"table": "x"}, "table must be one of .*, not 'x'$"),
        (
            {"engine": "duck"},
            r"engine must be one of arrow, pandas, duckdb, polars, dask, .*'duckdb'\?",
        ),
        ({"since": "yesterday"}, "since is not a valid time: yesterday"),
        ({"until": "2026-01-01"}, "until needs a time zone, 2026-01-01 has none"),
        ({"since": datetime(2026, 1, 1)}, "since needs a time zone"),  # noqa: DTZ001
    ],
)
def test_wrong_values(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scan(tmp_path, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"run_id": 7}, "run_id takes one id or several, not int"),
        ({"run_id": [7]}, "run_id takes ids as text, found 7"),
        ({"experiment_id": pd.DataFrame({"a": ["b"]})}, "experiment_id takes one id or several"),
        ({"until": 2026}, "until takes a datetime or an ISO 8601 text, not int"),
    ],
)
def test_wrong_types(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        scan(tmp_path, **arguments)


@pytest.mark.parametrize(
    ("engine", "module"), [("duckdb", "duckdb"), ("polars", "polars"), ("dask", "dask.dataframe")]
)
def test_an_engine_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(rf.MissingExtraError, match=rf"pip install 'retab-frames\[{engine}\]'"):
        scan(tmp_path, engine=engine)


def test_a_damaged_manifest(store: rf.SnapshotStore) -> None:
    file = next(Path(store.root, "revisions").glob("exprun_invoices_2-*/*.json"))
    file.write_bytes(file.read_bytes()[:-9])

    with pytest.warns(rf.RetabFramesWarning, match="left out: .* is damaged"):
        assert "exprun_invoices_2" not in runs(scan(store))
    with pytest.raises(rf.SnapshotCorruptError, match="is damaged"):
        scan(store, run_id="exprun_invoices_2")


def test_a_missing_file(store: rf.SnapshotStore) -> None:
    files(store)["exprun_1"].unlink()
    with pytest.raises(rf.SnapshotCorruptError, match=r"jobs-.* of run exprun_1 is missing"):
        scan(store)


@pytest.mark.parametrize("kind", ["link", "FIFO"])
@pytest.mark.parametrize("engine", ENGINES)
def test_only_regular_files_are_opened(store: rf.SnapshotStore, engine: Engine, kind: str) -> None:
    file = files(store)["exprun_1"]
    elsewhere = file.rename(Path(store.root).parent / "elsewhere.parquet")
    file.symlink_to(elsewhere) if kind == "link" else os.mkfifo(file)

    with pytest.raises(rf.SnapshotCorruptError, match=r"jobs-.* of run exprun_1 is missing"):
        scan(store, engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_linked_folder_of_a_run_is_not_followed(store: rf.SnapshotStore, engine: Engine) -> None:
    folder = files(store)["exprun_1"].parent
    folder.symlink_to(folder.rename(Path(store.root).parent / "elsewhere"))

    with pytest.warns(rf.RetabFramesWarning, match="is a link"):
        assert "exprun_1" not in runs(scan(store, engine=engine))


def test_no_data_file_is_opened_to_plan(whole: rf.SnapshotStore, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(whole.root, tmp_path / "copy"))
    for file in copy.glob("revisions/*/*.parquet"):
        # of the right size, which is looked at, and no table
        file.write_bytes(bytes(file.stat().st_size))
    found = scan(copy)
    with pytest.raises(pa.ArrowInvalid):
        found.to_table()
    assert [name for name in found.schema.names if name.startswith("handle_")]


def revise_and_compact(store: rf.SnapshotStore) -> None:
    """Give a run another revision, compact all, twice."""
    for status in ("error", "completed"):
        store.write(rf.read_content(content(job(1, status=status), job(2))))
        for experiment_id in store.list()["experiment_id"].unique():
            store.compact(experiment_id)


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("table", ["jobs", "raw"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_scan_is_a_snapshot(
    store: rf.SnapshotStore, engine: Engine, table: str, *, compacted: bool
) -> None:
    if compacted:
        revise_and_compact(store)
    expected = in_order(rows(scan(store, table, engine=engine)))
    lazy = scan(store, table, engine=engine)

    revise_and_compact(store)
    store.write(rf.read_content(content(job(1), run_id="exprun_new")))
    shutil.rmtree(Path(store.root, table))
    store.clean(dry_run=False)

    assert in_order(rows(lazy)) == expected
    assert in_order(rows(scan(store, table, engine=engine))) != expected


# of an error of ours DuckDB, and Polars of some versions, pass on the words alone
GONE: dict[str, type[Exception] | tuple[type[Exception], ...]] = {
    "duckdb": duckdb.Error,
    "polars": (rf.SnapshotError, pl.exceptions.ComputeError),
}


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("engine", LAZY)
def test_a_run_that_was_removed_since(
    store: rf.SnapshotStore, engine: Engine, *, compacted: bool
) -> None:
    if compacted:
        store.compact("exp_abc")
    lazy = scan(store, engine=engine)
    store.remove("exprun_1", dry_run=False)

    with pytest.raises(
        GONE.get(engine, rf.SnapshotNotFoundError), match=r"run exprun_1 was removed.*scan again"
    ):
        rows(lazy)
    assert "exprun_1" not in runs(scan(store, engine=engine))


@pytest.mark.parametrize("engine", LAZY)
def test_a_revision_that_was_pruned_since(store: rf.SnapshotStore, engine: Engine) -> None:
    lazy = scan(store, engine=engine)
    store.write(rf.read_content(content(job(1, status="error"))))
    store.prune(keep_revisions=1, dry_run=False)

    with pytest.raises(
        GONE.get(engine, rf.SnapshotNotFoundError), match=r"the revision of run exprun_1 .*again"
    ):
        rows(lazy)
    assert {row["status"] for row in rows(scan(store, engine=engine, run_id="exprun_1"))} == {
        "error"
    }


@pytest.mark.parametrize("engine", LAZY)
def test_a_file_that_was_lost_since(store: rf.SnapshotStore, engine: Engine) -> None:
    lazy = scan(store, engine=engine)
    files(store)["exprun_1"].unlink()

    with pytest.raises(
        GONE.get(engine, rf.SnapshotCorruptError), match=r"jobs-.* of run exprun_1 is missing"
    ):
        rows(lazy)


def test_polars_reads_what_is_asked_for(whole: rf.SnapshotStore) -> None:
    lazy, every = scan(whole, engine="polars"), scan(whole).to_table()
    assert lazy.select(pl.len()).collect().item() == len(every)
    assert lazy.head(7).collect().height == 7
    done = lazy.filter(pl.col("status") == "completed").select("run_id").head(3)
    assert done.collect().columns == ["run_id"]
    assert done.collect().height == 3
    streamed = lazy.select(pl.col("duration_ms").sum()).collect(engine="streaming").item()
    assert streamed == pc.sum(every.column("duration_ms")).as_py()


def test_polars_reads_some_files_at_a_time(
    whole: rf.SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "POLARS_ROWS", 30)
    lazy, every = scan(whole, engine="polars"), scan(whole).to_table()
    assert lazy.collect().to_arrow().column("job_id").to_pylist() == (
        every.column("job_id").to_pylist()
    )
    assert lazy.head(70).collect().height == 70


def damage(file: Path) -> None:
    """Flip a bit in the page of the first column."""
    chunk = pq.read_metadata(file).row_group(0).column(0)
    data = bytearray(file.read_bytes())
    data[chunk.data_page_offset + chunk.total_compressed_size - 1] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("engine", ["arrow", "dask"])
def test_a_page_that_was_altered(store: rf.SnapshotStore, engine: Engine) -> None:
    damage(files(store, "raw")["exprun_1"])
    with pytest.raises(OSError, match="CRC"):
        rows(scan(store, "raw", engine=engine))


def test_dask_reads_the_columns_that_are_asked_for(store: rf.SnapshotStore) -> None:
    damage(files(store, "raw")["exprun_1"])
    found = rows(scan(store, "raw", engine="dask", run_id="exprun_1")[["position", "run_id"]])
    assert found == [{"position": 0, "run_id": "exprun_1"}]


@pytest.mark.parametrize(("newest", "step"), [(2, "pull the run again"), (0, "upgrade retab-f")])
def test_columns_of_another_version(
    store: rf.SnapshotStore, monkeypatch: pytest.MonkeyPatch, newest: int, step: str
) -> None:
    monkeypatch.setitem(VERSIONS, "jobs", newest)
    with pytest.raises(rf.SnapshotError, match=rf"exprun_1 has version 1 .*: {step}"):
        scan(store, run_id="exprun_1")


def test_a_table_that_the_library_did_not_have(store: rf.SnapshotStore) -> None:
    file = next(Path(store.root, "revisions").glob("exprun_1-*/000002.json"))
    manifest = Manifest.parse(file.read_bytes(), file.relative_to(store.root).as_posix())
    older = {name: entry for name, entry in manifest.files.items() if name != "issues"}
    file.write_bytes(seal(msgspec.structs.replace(manifest, files=older)))

    assert scan(store, "issues", run_id="exprun_1").count_rows() == 0


@pytest.fixture
def small_partitions(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(scanning, "PARTITION_ROWS", 30)
    return 30


def test_partitions_hold_whole_runs(whole: rf.SnapshotStore, small_partitions: int) -> None:
    jobs = scan(whole, engine="dask")

    parts = [part.compute(scheduler="synchronous") for part in jobs.partitions]

    assert len(parts) > 3
    whose = [part["run_id"].unique().tolist() for part in parts]
    several = [len(part) for part, ids in zip(parts, whose, strict=True) if len(ids) > 1]
    assert max(several) <= small_partitions
    every = [run_id for ids in whose for run_id in ids]
    assert sorted(every) == sorted(whole.list()["run_id"])
