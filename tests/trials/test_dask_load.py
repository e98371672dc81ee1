"""Two thousand runs of a thousand jobs: statistics on a cluster, and the speed of reading."""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

import retab_frames as rf
from retab_frames.flatten.run_tables import Tables
from retab_frames.schemas.frames import frame_of
from retab_frames.schemas.models import (
    HandlesSchema,
    IssuesSchema,
    JobsSchema,
    RawSchema,
    RunsSchema,
    arrow_schema,
    empty_table,
)
from retab_frames.schemas.vocabulary import FAILED, STOPPED
from retab_frames.stats.durations import duration_stats
from retab_frames.stats.failures import failures
from retab_frames.stats.on_dask import apply_by_group
from retab_frames.stats.samples import has_status
from retab_frames.store.scan.scan import scan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from retab_frames.schemas.models import Model

RUNS, JOBS, EXPERIMENTS = 2_000, 1_000, 20
BYS: tuple[str | None, ...] = ("run_id", "experiment_id", "document_id", None)
NEEDED = ("status", "is_placeholder", "duration_ms")
COLUMNS = (*NEEDED, "run_id", "document_id", "job_id", "filename", "error_message")
TWO = ["exprun_0042", "exprun_1337"]
_MB = 2**20


def make_table(model: Model, rows: int, columns: dict[str, Any]) -> pa.Table:
    """Return a table of the model; a single value is for all rows, a missing column is null."""
    made = []
    for field in arrow_schema(model):
        value = columns.get(field.name)
        if not isinstance(value, pa.Array):
            value = pa.repeat(pa.scalar(value, field.type), rows)
        made.append(value.cast(field.type))
    return pa.table(made, schema=arrow_schema(model))


def make_run(number: int) -> rf.RunContent:
    """Return a run; every seventh is slow, and each experiment has one of three handles."""
    chance = np.random.default_rng(number)
    begin = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number)
    ids = {"experiment_id": f"exp_{number % EXPERIMENTS:02}", "run_id": f"exprun_{number:04}"}
    duration = np.round(chance.lognormal(8 + 0.3 * (number % 7 == 0), 0.6, JOBS)).astype(np.int64)
    status = chance.choice(["completed"] * 9 + ["error"], JOBS)
    started = int(begin.timestamp() * 1e6) + np.arange(JOBS) * 1_000
    messages = [
        f"Timeout after {ms} ms" if s == "error" else None
        for ms, s in zip(duration, status, strict=True)
    ]
    ids |= {
        "job_id": pa.array([f"expjob_{number}_{n}" for n in range(JOBS)]),
        "document_id": pa.array([f"expdoc_{n:04}" for n in range(JOBS)]),
        "filename": pa.array([f"invoice_{n:04}.pdf" for n in range(JOBS)]),
    }
    columns = {
        "block_kind": "extract",
        "status": pa.array(status.tolist()),
        "attempt": 0,
        "is_placeholder": False,
        "duration_ms": pa.array(duration),
        "created_at": pa.array(started).cast(pa.timestamp("us", "UTC")),
        "started_at": pa.array(started).cast(pa.timestamp("us", "UTC")),
        "completed_at": pa.array(started + duration * 1_000).cast(pa.timestamp("us", "UTC")),
        "error_message": pa.array(messages, pa.string()),
    }
    jobs = make_table(JobsSchema, JOBS, ids | columns)
    handle = {"handle": f"input-{number % EXPERIMENTS % 3}", "position": 0, "type": "file"}
    for name in ("type", "filename"):
        column = f"handle_inputs.{handle['handle']}.{name}"
        jobs = jobs.append_column(column, make_table(HandlesSchema, JOBS, ids | handle)[name])
    raw = {"position": pa.array(range(JOBS)), "body": "{}"}
    inputs, outputs = make_table(HandlesSchema, JOBS, ids | handle), empty_table(HandlesSchema)
    tables = Tables(jobs, inputs, outputs, empty_table(IssuesSchema))
    record = {name: ids[name] for name in ("experiment_id", "run_id")}
    return rf.RunContent(
        experiment_id=str(ids["experiment_id"]),
        run_id=str(ids["run_id"]),
        complete=True,
        fetched_at=begin,
        tables=tables,
        run_table=make_table(RunsSchema, 1, {**record, "created_at": begin, "status": "completed"}),
        raw_source=lambda: make_table(RawSchema, JOBS, ids | raw),
    )


def write_runs(root: Path, numbers: range) -> None:
    """Write some of the runs, without fsync and validation, which the tests of the store cover."""
    os.fsync = lambda fd: None  # noqa: ARG005 - in a process of its own
    store = rf.SnapshotStore(root)
    for number in numbers:
        content = make_run(number)
        vars(content).update(
            dict.fromkeys(("jobs", "handle_inputs", "handle_outputs", "run", "issues"))
        )
        store.write(content)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("load") / "store"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as workers:
        for done in [workers.submit(write_runs, made, range(n, RUNS, 2)) for n in (0, 1)]:
            done.result()
    return made


def peak_memory() -> float:
    """Return the peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def time_call(work: Callable[[], Any]) -> tuple[Any, float]:
    begin = perf_counter()
    found = work()
    return found, perf_counter() - begin


def select_failed(jobs: pd.DataFrame) -> pd.DataFrame:
    return jobs[has_status(jobs, (*FAILED, *STOPPED))]


def compute_on_cluster(root: Path) -> dict[str, Any]:
    """Compute the statistics on two workers; return them, the seconds, and the peaks in MB."""
    from dask.distributed import Client, LocalCluster  # noqa: PLC0415 - in the child alone

    logging.getLogger("distributed").setLevel(logging.ERROR)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        before = peak_memory()
        jobs = scan(root, engine="dask")
        found = {
            f"duration_stats by {by}": time_call(
                partial(apply_by_group, jobs, by, partial(duration_stats, by=by), columns=NEEDED)
            )
            for by in BYS
        }
        found["failures"] = time_call(
            partial(
                apply_by_group, jobs, None, failures, columns=COLUMNS, filter_rows=select_failed
            )
        )
        peaks = [before, peak_memory(), *client.run(peak_memory).values()]
        return {"found": found, "peaks": peaks, "partitions": jobs.npartitions}


def test_a_cluster_gives_the_numbers_of_pandas(root: Path, figure: Callable[[str], None]) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as child:
        found = child.submit(compute_on_cluster, root).result()
    table = scan(root).to_table()
    jobs = frame_of(table)

    expected = {
        f"duration_stats by {by}": time_call(partial(duration_stats, jobs, by)) for by in BYS
    }
    expected["failures"] = time_call(partial(failures, jobs))
    for name, (frame, seconds) in expected.items():
        assert_frame_equal(found["found"][name][0], frame, check_exact=True)
        figure(
            f"{name} of {len(jobs):,} jobs of {RUNS:,} runs on two Dask workers: "
            f"{len(frame):,} rows, the same as of pandas, in {found['found'][name][1]:.1f} s "
            f"(pandas, all in memory: {seconds:.1f} s)"
        )
    before, client, *workers = found["peaks"]
    figure(
        f"peak memory: client {client:.0f} MB ({client - before:.0f} MB more than at its start), "
        f"workers {' and '.join(f'{worker:.0f}' for worker in workers)} MB; the jobs are "
        f"{table.nbytes / _MB:.0f} MB, in {found['partitions']} partitions"
    )
    assert len(jobs) == RUNS * JOBS
    assert client - before < table.nbytes / _MB / 2


def fastest(work: Callable[[], Any], times: int = 3) -> float:
    return min(time_call(work)[1] for _ in range(times))


def test_two_runs_of_all(root: Path, figure: Callable[[str], None]) -> None:
    store, folder = rf.SnapshotStore(root), root / "jobs"
    filters = [("run_id", "in", TWO)]

    def plain() -> pd.DataFrame:
        return pd.read_parquet(folder, filters=filters, dtype_backend="pyarrow")

    def ours() -> pd.DataFrame:
        return frame_of(scan(store, run_id=TWO).to_table())

    assert len(ours()) == len(plain()) == 2 * JOBS
    seconds = fastest(plain)
    read = fastest(lambda: [store.read(run_id).jobs for run_id in TWO])
    for name, took in (("scan(run_id=...)", fastest(ours)), ("read, checked and validated", read)):
        figure(
            f"two runs of {RUNS:,}: {name} {1000 * took:.0f} ms, pandas with a filter on the "
            f"folder {1000 * seconds:.0f} ms: {seconds / took:.0f} x"
        )
    assert fastest(ours) < seconds


def test_all_runs(root: Path, figure: Callable[[str], None]) -> None:
    files = str(root / "jobs" / "**" / "*.parquet")
    peers: dict[str, Callable[[], Any]] = {
        "pandas on the folder": lambda: pd.read_parquet(root / "jobs", dtype_backend="pyarrow"),
        "Polars on the files": lambda: pl.scan_parquet(
            files, missing_columns="insert", extra_columns="ignore"
        ).collect(),
    }
    ours: dict[str, Callable[[], Any]] = {
        "scan as Arrow": lambda: scan(root).to_table(),
        "scan as Polars": lambda: scan(root, engine="polars").collect(),
    }
    took = {name: fastest(work, 2) for name, work in (peers | ours).items()}
    for name in ours:
        against = ", ".join(f"{peer} {took[peer] / took[name]:.2f} x" for peer in peers)
        figure(f"all {RUNS:,} runs: {name} {took[name]:.1f} s; its speed against {against}")
    assert all(len(work()) == RUNS * JOBS for work in ours.values())
