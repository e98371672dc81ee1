"""Every kind of call of the library, checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, assert_type, cast

import dask.dataframe as dd
import duckdb
import pandas as pd
import polars as pl
from matplotlib.figure import Figure

import retab_frames as rf
from retab_frames import plots
from retab_frames.accessor import RetabAccessor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WORKFLOW, EXPERIMENT = "wf_abc123", "exp_abc"


def load(client: rf.Client) -> pd.DataFrame:
    assert_type(rf.load_experiments(WORKFLOW, client=client), pd.DataFrame)
    runs = rf.load_runs(WORKFLOW, EXPERIMENT, client=client)
    for run_id in (None, "exprun_1", ["exprun_1", "exprun_2"], ("exprun_1",), runs["run_id"]):
        rf.load_jobs(WORKFLOW, EXPERIMENT, run_id=run_id, client=client, progress=False)
    rf.load_jobs(WORKFLOW, EXPERIMENT, run_id=runs.run_id, client=client)
    rf.load_handle_inputs(WORKFLOW, EXPERIMENT, run_id=runs["run_id"].tolist(), client=client)
    return rf.load_jobs(WORKFLOW, EXPERIMENT)


def contents(client: rf.Client) -> list[rf.RunContent]:
    content = rf.load_content(WORKFLOW, EXPERIMENT, run_id="exprun_1", client=client)
    for frame in (content.jobs, content.handle_inputs, content.handle_outputs, content.run):
        assert_type(frame, pd.DataFrame)
    assert_type(content.run_id, str | None)
    assert_type(content.complete, bool)
    assert_type(content.fetched_at, datetime | None)
    assert_type(content.statuses, dict[str, int])
    found = rf.iter_content(WORKFLOW, EXPERIMENT, run_id=["exprun_1", "exprun_2"], errors="collect")
    assert_type(found, Iterator[rf.RunContent])
    return [content, *found]


def read(folder: Path) -> rf.RunContent:
    for content in rf.read_contents(folder):
        assert_type(content.issues, pd.DataFrame)
    rf.read_content({"jobs": []}, workflow_id=WORKFLOW)
    rf.read_content(b'{"jobs": []}')
    return rf.read_content(folder / "saved.json")


def store_runs(client: rf.Client, content: rf.RunContent) -> rf.SnapshotStore:
    store = rf.SnapshotStore("s3://bucket/snapshots")
    written = store.pull(WORKFLOW, EXPERIMENT, run_id="all", client=client, progress=False)
    assert_type(written, pd.DataFrame)
    assert_type(store.write(content).revision, int)
    assert_type(store.read("exprun_1", revision=1), rf.RunContent)
    assert_type(store.list(), pd.DataFrame)
    assert_type(store.verify("full"), pd.DataFrame)
    assert_type(store.clean(older_than=timedelta(days=2)), pd.DataFrame)
    assert_type(store.compact(EXPERIMENT), rf.Compaction)
    return store


def scan(store: rf.SnapshotStore, folder: Path) -> None:
    rf.scan(folder, engine="arrow", since="2026-01-01T00:00Z").count_rows()  # pyarrow is untyped
    lazy = rf.scan(store, "runs", engine="polars", run_id=["exprun_1"])
    assert_type(lazy, pl.LazyFrame)
    relation = rf.scan(store, engine="duckdb", experiment_id=EXPERIMENT)
    assert_type(relation, duckdb.DuckDBPyRelation)
    parts = rf.scan(str(folder), engine="dask", until=datetime(2026, 1, 1).astimezone())
    assert_type(parts, dd.DataFrame)
    assert_type(rf.query(store, "select count(*) from jobs"), pd.DataFrame)


def measure(jobs: pd.DataFrame) -> pd.DataFrame:
    rf.duration_stats(jobs)
    rf.duration_stats(jobs, by=["run_id", "block_kind"], measure="queue", quantiles=(0.5, 0.9))
    rf.duration_stats(jobs, by=jobs["filename"], unfinished="censor", as_of="2026-01-01T00:00:00Z")
    rf.cumulative_incidence(jobs, by="run_id", as_of=pd.Timestamp("2026-01-01", tz="UTC"))
    rf.timeline(jobs, unit="s")
    rf.failures(jobs, by="run_id")
    slow = rf.slowest(jobs[jobs["status"] == "completed"], 5, measure="elapsed")
    assert_type(slow, pd.DataFrame)
    return rf.validate(jobs, rf.JobsSchema)


def use_accessor(jobs: pd.DataFrame) -> Axes:
    # type checkers do not know the accessors of a DataFrame, so a typed program casts it
    accessor = cast("RetabAccessor", jobs.retab)
    assert_type(accessor.duration_stats("run_id", confidence=0.9), pd.DataFrame)
    assert_type(RetabAccessor(jobs).slowest(3), pd.DataFrame)
    assert_type(accessor.handle_inputs(), pd.DataFrame)
    accessor.plot.ecdf("run_id")
    return accessor.plot.timeline()


def compare(store: rf.SnapshotStore) -> rf.RunComparison:
    baseline, candidate = store.read("exprun_1"), store.read("exprun_2")
    rf.compare_runs(baseline.jobs, candidate.jobs)
    comparison = rf.compare_runs(baseline, candidate, margin=0.1, confidence=0.9)
    for frame in (
        comparison.comparability,
        comparison.documents,
        comparison.transitions,
        comparison.failure_rates,
        comparison.durations,
        comparison.speed,
    ):
        assert_type(frame, pd.DataFrame)
    assert_type(comparison.verdict, Literal["faster", "slower", "equivalent", "inconclusive"])
    if comparison.comparable == "yes":
        assert_type(comparison.summary() + comparison.to_markdown(), str)
    return comparison


def compare_all(contents: list[rf.RunContent], folder: Path) -> rf.ManyComparison:
    many = rf.compare_many(contents, baseline="exprun_1")
    assert_type(many.matrix("duration_ms"), pd.DataFrame)
    assert_type(rf.report(many, folder / "report.html", title="All runs"), Path)
    rf.report(contents[0], str(folder / "report.md"))
    assert_type(rf.to_excel({"runs": many.runs, "documents": many.documents}, "a.xlsx"), Path)
    rf.to_excel(many, folder / "many.xlsx")
    return many


def look_back(contents: list[rf.RunContent], jobs: pd.DataFrame) -> rf.RunTrend:
    plan = rf.plan(contents, detect=0.2, measure="elapsed")
    assert_type(plan.needed, pd.DataFrame)
    assert_type(plan.detectable_ratio(30, 3), float)
    trend = rf.trend(jobs, margin=0.1)
    assert_type(trend.changes, pd.DataFrame)
    assert_type(plan.summary() + trend.to_markdown(), str)
    plots.plan(plan)
    plots.run_trend(trend)
    return trend


def gate(comparison: rf.RunComparison) -> bool:
    try:
        rf.assert_no_regression(comparison, max_broken=1, max_slowdown=0.1)
    except rf.InconclusiveError as error:
        assert_type(error.checks, pd.DataFrame)
        return False
    except rf.GateError as error:
        raise SystemExit(str(error)) from error
    return True


def draw(jobs: pd.DataFrame, one: rf.RunComparison, many: rf.ManyComparison) -> None:
    upper, lower = Figure().subplots(2)
    rf.plots.durations(jobs, "run_id", ax=upper)
    plots.ecdf(jobs, by="run_id", ax=lower)
    for axes in (plots.timeline(jobs), plots.trend(jobs), plots.paired(one), plots.matrix(many)):
        axes.set_title("Invoices")


def main(folder: Path) -> None:
    with (
        rf.Sandbox(documents=30) as sandbox,
        rf.Client(sandbox.api_key, base_url=sandbox.url, api="auto", retries=1) as client,
    ):
        try:
            jobs = load(client)
        except (rf.NotFoundError, rf.AuthError) as error:
            raise SystemExit(str(error)) from error
        runs = contents(client)
        store = store_runs(client, read(folder))
    scan(store, folder)
    use_accessor(measure(jobs))
    comparison = compare(store)
    gate(comparison)
    look_back(runs, jobs)
    draw(jobs, comparison, compare_all(runs, folder))
    rf.show_versions()
    assert_type(rf.describe("jobs"), pd.DataFrame)
