"""The store, the statistics and the import, beside pandas and DuckDB."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

import retab_frames as rf
from benchmarks.contest import ROOT, Row, Taken, in_turn, row
from benchmarks.payloads import responses, run_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def store(runs: int, repeats: int) -> Iterator[Row]:
    """Write runs of 50 jobs, open two of them, read them all."""
    contents = list(rf.read_contents(responses(runs, 50), workflow_id="wf_bench"))
    with tempfile.TemporaryDirectory() as folder:
        ours = rf.SnapshotStore(Path(folder) / "ours")
        flat = Path(folder) / "pandas"
        flat.mkdir()
        first = time.perf_counter(), time.process_time()
        for content in contents:
            ours.write(content)
        second = time.perf_counter(), time.process_time()
        for content in contents:
            content.jobs.to_parquet(flat / f"{content.run_id}.parquet")
        third = time.perf_counter(), time.process_time()
        takens = (
            Taken(second[0] - first[0], second[1] - first[1]),
            Taken(third[0] - second[0], third[1] - second[1]),
        )
        yield row(
            "store", f"write {runs:,} runs (6 tables, fsync)", "to_parquet, jobs only", takens
        )
        two = [run_id(1), run_id(runs // 2)]
        times = in_turn(
            lambda: [ours.read(one).jobs for one in two],
            lambda: pd.read_parquet(flat, filters=[("run_id", "in", two)]),
            repeats,
        )
        yield row("store", f"open two of {runs:,} runs", "read_parquet with a filter", times)
        yield from read_all(ours, runs, "", min(repeats, 3))
        ours.compact("exp_bench", progress=False)
        yield from read_all(ours, runs, ", compacted", min(repeats, 3))


def read_all(store: rf.SnapshotStore, runs: int, state: str, repeats: int) -> Iterator[Row]:
    """Read all jobs by a scan, and from the plain files of the same store."""
    import polars as pl

    jobs = Path(store.root) / "jobs"
    peers: dict[str, Callable[[], object]] = {
        "pandas on the plain files": lambda: pd.read_parquet(jobs, dtype_backend="pyarrow"),
        "Polars on the plain files": lambda: pl.scan_parquet(
            jobs / "**/*.parquet", missing_columns="insert", extra_columns="ignore"
        ).collect(),
    }
    for peer, work in peers.items():
        times = in_turn(lambda: rf.scan(store).to_table(), work, repeats)
        yield row("store", f"scan the jobs of {runs:,} runs{state}", peer, times)


def durations(jobs: int, repeats: int) -> Iterator[Row]:
    """Statistics of a thousand groups, against the bare quantiles of pandas and DuckDB."""
    import duckdb

    rng = np.random.default_rng(0)
    group = pa.array(rng.integers(0, 1000, jobs))
    names = pa.array([run_id(n) for n in range(1000)])
    columns = {
        "run_id": names.take(group),
        "status": pa.repeat(pa.scalar("completed"), jobs),
        "duration_ms": pa.array(rng.lognormal(8.3, 0.5, jobs).astype(np.int64)),
        "is_placeholder": pa.repeat(pa.scalar(value=False), jobs),
    }
    table = pa.table(columns)
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    points = [0.5, 0.9, 0.95, 0.99]
    sql = f"select run_id, quantile_cont(duration_ms, {points}) from jobs group by run_id"  # noqa: S608
    with duckdb.connect() as database:
        database.register("jobs", table)
        for peer, work in (
            (
                "pandas groupby quantile",
                lambda: frame.groupby("run_id").duration_ms.quantile(points),
            ),
            ("DuckDB quantile_cont", lambda: database.sql(sql).fetchall()),
        ):
            times = in_turn(lambda: rf.duration_stats(frame, by="run_id"), work, repeats)
            what = f"duration_stats of {jobs:,} jobs, 1,000 groups (counts, intervals)"
            yield row("statistics", what, peer, times)


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
