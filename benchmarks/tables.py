"""The store, the statistics and the import, beside pandas and DuckDB."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

import retab_frames as rf
from benchmarks.contest import ROOT, Row, Taken, in_turn, row
from benchmarks.payloads import response, responses, run_id

if TYPE_CHECKING:
    from collections.abc import Iterator


def store(runs: int, repeats: int) -> Iterator[Row]:
    """Write runs of 50 jobs, open two of them, read them all."""
    contents = list(rf.read_contents(responses(runs, 50), workflow_id="wf_bench"))
    with tempfile.TemporaryDirectory() as folder:
        ours = rf.SnapshotStore(Path(folder) / "ours")
        flat = Path(folder) / "pandas"
        flat.mkdir()
        yield write(ours, flat, contents)
        if find_spec("deltalake"):
            yield write_beside_delta(Path(folder), contents[:: max(1, runs // 200)])
        two = [run_id(1), run_id(runs // 2)]
        times = in_turn(
            lambda: [ours.read(one).jobs for one in two],
            lambda: pd.read_parquet(flat, filters=[("run_id", "in", two)]),
            repeats,
        )
        yield row("store", f"open two of {runs:,} runs", "read_parquet with a filter", times)
        yield from read_all(ours, runs, "jobs", "", min(repeats, 3), "1.5 times it")
        ours.compact("exp_bench", progress=False)
        state = ", compacted"
        yield from read_all(ours, runs, "compacted/jobs", state, min(repeats, 5), "2 times it")


def write(ours: rf.SnapshotStore, flat: Path, contents: list[rf.RunContent]) -> Row:
    """Write each run, ours and its plain jobs alternately."""
    taken = [0.0] * 4
    for content in contents:
        content.jobs  # noqa: B018 - made and validated here, for both
        for place, work in (
            (0, lambda content=content: ours.write(content)),
            (
                2,
                lambda content=content: content.jobs.to_parquet(flat / f"{content.run_id}.parquet"),
            ),
        ):
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            taken[place] += time.perf_counter() - wall
            taken[place + 1] += time.process_time() - cpu
    times = Taken(*taken[:2]), Taken(*taken[2:])
    what = f"write {len(contents):,} runs (all tables, flushed)"
    return row("store", what, "to_parquet, jobs only", times, "4 times it")


def write_beside_delta(folder: Path, contents: list[rf.RunContent]) -> Row:
    """Write some runs, and the jobs of each as a commit of a Delta table, alternately."""
    deltalake = import_module("deltalake")
    ours, table = rf.SnapshotStore(folder / "few"), str(folder / "delta")
    remaining = [iter(contents), iter(contents)]

    def commit() -> None:
        deltalake.write_deltalake(table, next(remaining[1]).tables.jobs, mode="append")

    times = in_turn(lambda: ours.write(next(remaining[0])), commit, len(contents) - 1)
    return row("store", "write a run, the median", "delta-rs, a commit of its jobs", times)


def read_all(
    store: rf.SnapshotStore, runs: int, view: str, state: str, repeats: int, least: str
) -> Iterator[Row]:
    """Read all jobs by a scan, and from the plain files of the same store."""
    import polars as pl

    files = Path(store.root) / view / "**/*.parquet"

    def plain_polars() -> object:
        return pl.scan_parquet(files, missing_columns="insert", extra_columns="ignore").collect()

    what = f"scan the jobs of {runs:,} runs{state}"
    times = in_turn(lambda: rf.scan(store, engine="polars").collect(), plain_polars, repeats)
    yield row("store", f"{what}, by Polars", "Polars on the plain files", times, least)
    times = in_turn(lambda: rf.scan(store).to_table(), plain_polars, repeats)
    yield row("store", f"{what}, by Arrow", "Polars on the plain files", times)
    times = in_turn(
        lambda: rf.scan(store).to_table(),
        lambda: pd.read_parquet(Path(store.root) / view, dtype_backend="pyarrow"),
        repeats,
    )
    yield row("store", f"{what}, by Arrow", "pandas on the plain files", times)


def durations(jobs: int, groups: int, repeats: int, least: str) -> Iterator[Row]:
    """Statistics of many groups, against the bare quantiles of pandas and DuckDB."""
    import duckdb

    rng = np.random.default_rng(0)
    group = pa.array(rng.integers(0, groups, jobs))
    names = pa.array([run_id(n) for n in range(groups)])
    columns = {
        "run_id": names.take(group),
        "status": pa.array(["completed", "error"]).take(pa.array(rng.integers(0, 50, jobs) // 49)),
        "duration_ms": pa.array(rng.lognormal(8.3, 0.5, jobs).astype(np.int64)),
        "is_placeholder": pa.repeat(pa.scalar(value=False), jobs),
    }
    table = pa.table(columns)
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    points = [0.5, 0.9, 0.95, 0.99]
    sql = f"select run_id, quantile_cont(duration_ms, {points}) from jobs group by run_id"  # noqa: S608
    with duckdb.connect() as database:
        database.register("jobs", table)
        for peer, bar, work in (
            (
                "pandas groupby quantile",
                least,
                lambda: frame.groupby("run_id").duration_ms.quantile(points),
            ),
            ("DuckDB quantile_cont", "", lambda: database.sql(sql).fetchall()),
        ):
            times = in_turn(lambda: rf.duration_stats(frame, by="run_id"), work, repeats)
            what = f"duration_stats of {jobs:,} jobs, {groups:,} groups (counts, intervals)"
            yield row("statistics", what, peer, times, bar)


DURATION_COLUMNS = ("run_id", "status", "is_placeholder", "duration_ms")


def cluster(most: int, repeats: int) -> Iterator[Row]:
    """Read a store and compute the statistics of each run: two workers of Dask, and pandas."""
    from dask.distributed import Client, LocalCluster

    each = 1_000
    runs = most // each
    with tempfile.TemporaryDirectory() as folder:
        store = rf.SnapshotStore(folder)
        # some hundred at a time: the bodies of all runs would fill the memory
        for first in range(0, runs, 250):
            bodies = [response(each, run=n) for n in range(first, min(first + 250, runs))]
            for content in rf.read_contents(bodies, workflow_id="wf_bench"):
                store.write(content)
        store.compact("exp_bench", progress=False)
        with (
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as workers,
            Client(workers),
        ):
            for jobs in (10_000, 100_000, 1_000_000):
                if jobs > most:
                    break
                ids = [run_id(n) for n in range(jobs // each)]
                times = in_turn(
                    lambda ids=ids: rf.duration_stats(
                        rf.scan(store, engine="dask", run_id=ids), by="run_id"
                    ),
                    lambda ids=ids: rf.duration_stats(
                        rf.scan(store, run_id=ids)
                        .to_table(columns=list(DURATION_COLUMNS))
                        .to_pandas(types_mapper=pd.ArrowDtype),
                        by="run_id",
                    ),
                    repeats,
                )
                what = f"duration_stats of {jobs:,} jobs in a store, Dask on two workers"
                yield row("dask", what, "the same with pandas", times)


def imports(repeats: int) -> Row:
    """`import retab_frames` against `import pandas`, beyond the start of Python."""
    taken: dict[str, list[float]] = {name: [] for name in ("sys", "retab_frames", "pandas")}
    for _ in range(repeats + 1):
        for name, times in taken.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", f"import {name}"], cwd=ROOT, check=True)
            times.append(time.perf_counter() - began)
    start, ours, theirs = (float(np.median(times[1:])) * 1e3 for times in taken.values())
    ratio = (theirs - start) / max(ours - start, 0.1)
    return Row("import", "import", "pandas", ours - start, theirs - start, ratio, None, "<= 20 ms")
