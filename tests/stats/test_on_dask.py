from __future__ import annotations

import warnings
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from dask.callbacks import Callback
from factories import content, job
from hypothesis import given, settings, strategies as st
from pandas.testing import assert_frame_equal

import retab_frames as rf
from retab_frames.schemas.frames import frame_of
from retab_frames.stats.durations import duration_stats
from retab_frames.stats.failures import failures
from retab_frames.stats.on_dask import apply_by_group, is_distributed
from retab_frames.store.scan import scan as scanning
from retab_frames.store.scan.scan import scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

STATUSES = ["completed", "completed", "completed", "error", "running"]
NEEDED = ("status", "is_placeholder", "duration_ms")
COLUMNS = (*NEEDED, "run_id", "document_id", "job_id", "filename", "error_message")
By = str | list[str] | None
HERE = {"scheduler": "synchronous", "dataframe.shuffle.method": "tasks"}
"""In this process, whatever cluster there is."""


def jobs_of(runs: int, *, each: int, seed: int = 1) -> pd.DataFrame:
    """Return jobs of runs of one experiment in four, in random order of status."""
    chance = np.random.default_rng(seed)
    count = runs * each
    number = np.repeat(np.arange(runs), each)
    document = np.tile(np.arange(each), runs)
    status = chance.choice(STATUSES, count)
    columns = {
        "experiment_id": pa.array([f"exp_{n * 4 // runs}" for n in number]),
        "run_id": pa.array([f"exprun_{n}" for n in number]),
        "job_id": pa.array([f"expjob_{n}" for n in range(count)]),
        "document_id": pa.array([f"expdoc_{n}" for n in document]),
        "filename": pa.array([f"{n}.pdf" for n in document]),
        "block_kind": pa.array([None if n % 3 else "extract" for n in document]),
        "status": pa.array(status),
        "is_placeholder": pa.array(chance.random(count) < 0.05),
        "duration_ms": pa.array(np.round(chance.lognormal(8, 1, count)).astype(np.int64)),
        "error_message": pa.array(
            [f"Page {n} of {n % 3}" if s == "error" else None for n, s in enumerate(status)]
        ),
    }
    return frame_of(pa.table(columns))


def cut(jobs: pd.DataFrame, *ends: int) -> dd.DataFrame:
    """Return the jobs as a Dask frame whose partitions end there."""
    bounds = [0, *sorted(ends), len(jobs)]
    parts = [jobs.iloc[a:b] for a, b in pairwise(bounds)]
    return dd.from_map(lambda part: part, parts, meta=jobs.iloc[:0], enforce_metadata=False)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two workers, each a process of its own."""
    from dask.distributed import Client, LocalCluster  # noqa: PLC0415 - only here

    with (
        # at its end the cluster leaves sockets and tasks to the collector, and at its start it
        # warns where someone else's has the usual port
        warnings.catch_warnings(action="ignore", category=UserWarning),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as made,
        Client(made),
    ):
        yield


BYS: Sequence[By] = [
    "run_id",
    "experiment_id",
    ["experiment_id", "block_kind"],
    "document_id",
    "block_kind",
    None,
]


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("baseline", [0, "exprun_3"])
def test_many_runs_are_compared_on_the_cluster(baseline: int | str) -> None:
    jobs = jobs_of(8, each=40)
    expected = rf.compare_many(jobs, baseline)

    found = rf.compare_many(cut(jobs, 100, 170, 240), baseline)

    assert_frame_equal(found.runs, expected.runs)
    assert found.baseline_run_id == expected.baseline_run_id
    assert found.run_ids == expected.run_ids
    assert found.cells.empty
    assert found.documents.empty


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("by", BYS, ids=str)
def test_two_workers_give_the_numbers_of_pandas(by: By) -> None:
    jobs = jobs_of(24, each=50)
    partitioned = cut(jobs, 0, 200, 210, 330, 750, 750)

    assert_frame_equal(duration_stats(partitioned, by), duration_stats(jobs, by))
    assert_frame_equal(failures(partitioned, by), failures(jobs, by))


@pytest.mark.usefixtures("cluster")
def test_a_store_on_two_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = rf.SnapshotStore(tmp_path / "store")
    for run in range(12):
        rows = [
            job(n, run_id=f"exprun_{run}", duration_ms=run * 100 + n, handle_inputs={}, error="x")
            for n in range(20)
        ]
        store.write(rf.read_content(content(*rows, run_id=f"exprun_{run}")))
    monkeypatch.setattr(scanning, "PARTITION_ROWS", 60)
    jobs = frame_of(scan(store).to_table())

    partitioned = scan(store, engine="dask")

    assert partitioned.npartitions == 4
    for by in ("run_id", "experiment_id", "document_id", None):
        assert_frame_equal(duration_stats(partitioned, by), duration_stats(jobs, by))


def count_moves(work: Callable[[], object]) -> int:
    """Return how many of the tasks that a computation runs move rows between partitions."""
    seen: set[str] = set()
    notes = Callback(pretask=lambda key, *_: seen.add(str(key)))
    with dask.config.set(HERE), notes:
        work()
    return sum("shuffle" in name or "repartition" in name for name in seen)


@pytest.fixture
def parts_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dd.DataFrame:
    """Return the jobs of three experiments with four runs each, two runs a partition."""
    store = rf.SnapshotStore(tmp_path / "store")
    for run in range(12):
        where = {"run_id": f"exprun_{run}", "experiment_id": f"exp_{run // 4}"}
        rows = [
            job(n, duration_ms=n, handle_inputs={}, status=STATUSES[n % 4], **where)
            for n in range(20)
        ]
        store.write(rf.read_content({**content(*rows), **where}))
    monkeypatch.setattr(scanning, "PARTITION_ROWS", 40)
    return scan(store, engine="dask")


@pytest.mark.parametrize("statistic", [duration_stats, failures])
@pytest.mark.parametrize(
    ("by", "moves"),
    [
        ("run_id", False),
        (["run_id", "block_kind"], False),
        (["block_kind", "run_id"], False),
        (["run_id", "document_id"], False),
        # an experiment has two partitions here
        ("experiment_id", True),
        ("block_kind", True),
        (None, True),
    ],
)
def test_groups_within_runs_move_no_rows(
    parts_of_runs: dd.DataFrame,
    statistic: Callable[..., pd.DataFrame],
    by: By,
    moves: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert parts_of_runs.npartitions == 6
    assert (count_moves(lambda: statistic(parts_of_runs, by)) > 0) == moves


def test_statuses_within_runs_move_no_rows(parts_of_runs: dd.DataFrame) -> None:
    assert count_moves(lambda: duration_stats(parts_of_runs, ["run_id", "status"])) == 0
    assert count_moves(lambda: duration_stats(parts_of_runs, "status")) > 0


def test_an_experiment_that_fits_into_a_partition_moves_no_rows(
    parts_of_runs: dd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "PARTITION_ROWS", 80)
    parts = scan(tmp_path / "store", engine="dask")
    assert (parts_of_runs.npartitions, parts.npartitions) == (6, 3)
    assert count_moves(lambda: duration_stats(parts, "experiment_id")) == 0


def test_only_the_groups_that_are_cut_are_moved() -> None:
    jobs = jobs_of(8, each=10)
    parts = cut(jobs, 20, 45)
    assert count_moves(lambda: duration_stats(parts, "run_id")) > 0
    whole = cut(jobs[jobs["run_id"] != "exprun_4"], 20, 40)
    assert count_moves(lambda: duration_stats(whole, "run_id")) == 0


def test_an_error_on_a_worker_is_raised() -> None:
    moments = pa.array([0] * 20, pa.timestamp("us", "UTC"))
    times = {"created_at": moments, "started_at": pa.nulls(20, moments.type)}
    jobs = pd.concat([jobs_of(4, each=5), frame_of(pa.table(times))], axis=1)
    late = partial(duration_stats, by="run_id", measure="queue", unfinished="censor")

    with pytest.raises(ValueError, match="it lacks the columns created_at, started_at"):
        apply_by_group(cut(jobs[list(COLUMNS)], 10), "run_id", late, columns=COLUMNS)
    with pytest.raises(ValueError, match="have no fetched_at, so it is unknown"):
        apply_by_group(cut(jobs, 10), "run_id", late, columns=(*COLUMNS, *times))


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_any_partitions_of_any_groups(data: st.DataObject) -> None:
    """Law: a statistic of a group depends on its jobs alone, not on where they lie."""
    count = data.draw(st.integers(0, 30))
    keys = data.draw(st.lists(st.sampled_from(["a", "b", None]), min_size=count, max_size=count))
    numbers = data.draw(st.lists(st.sampled_from([1, 2, None]), min_size=count, max_size=count))
    ends = data.draw(st.lists(st.integers(0, count), max_size=5))
    by = data.draw(st.sampled_from([None, "key", "number", ["number", "key"]]))
    columns = {"key": pa.array(keys, pa.string()), "number": pa.array(numbers, pa.int64())}
    jobs = jobs_of(1, each=30, seed=count).iloc[:count]
    jobs = pd.concat([jobs, frame_of(pa.table(columns))], axis=1)

    statistic = data.draw(st.sampled_from([duration_stats, failures]))

    with dask.config.set(HERE):
        found = statistic(cut(jobs, *ends), by)

    assert_frame_equal(found, statistic(jobs, by))


def as_text(jobs: pd.DataFrame) -> pd.DataFrame:
    return jobs.astype(str).where(jobs.notna(), "")


def as_objects(jobs: pd.DataFrame) -> pd.DataFrame:
    return jobs.astype(object).where(jobs.notna(), None)


def as_categories(jobs: pd.DataFrame) -> pd.DataFrame:
    names = ["run_id", "document_id", "status", "experiment_id"]
    return jobs.astype(dict.fromkeys(names, "category"))


def as_numbers(jobs: pd.DataFrame) -> pd.DataFrame:
    return jobs.astype({"is_placeholder": "float32", "duration_ms": "float64"})


@pytest.mark.parametrize("store_as", [as_text, as_objects, as_categories, as_numbers])
@pytest.mark.parametrize("by", BYS, ids=str)
def test_partitions_of_other_types_give_the_numbers_of_pandas(
    store_as: Callable[[pd.DataFrame], pd.DataFrame], by: By
) -> None:
    jobs = jobs_of(4, each=25)
    parts = dd.from_pandas(store_as(jobs), npartitions=3, sort=False)

    with dask.config.set(HERE):
        assert_frame_equal(duration_stats(parts, by), duration_stats(jobs, by))
        assert_frame_equal(failures(parts, by), failures(jobs, by))
        found = rf.compare_many(parts, "exprun_1").runs

    assert_frame_equal(found, rf.compare_many(jobs, "exprun_1").runs)


def test_a_partition_that_does_not_fit_is_told() -> None:
    jobs = jobs_of(2, each=5).astype({"duration_ms": object})
    jobs.loc[7, "duration_ms"] = "soon"

    with (
        dask.config.set(HERE),
        pytest.raises(ValueError, match=r"its column duration_ms does not fit int64: .* is soon"),
    ):
        duration_stats(cut(jobs, 5), "run_id")


def count_moved_rows(jobs: dd.DataFrame, by: str) -> int:
    """Return how many rows a shuffle would move."""
    from retab_frames.stats.on_dask import _collect_groups, _number_rows  # noqa: PLC0415

    groups, is_split = _collect_groups(jobs[[by]])
    return len(_number_rows(jobs.compute(), groups[is_split]))


def test_only_groups_that_lie_in_several_partitions_move() -> None:
    jobs = cut(jobs_of(8, each=10), 20, 50)
    with dask.config.set(HERE):
        assert count_moved_rows(jobs, "run_id") == 0
        assert count_moved_rows(jobs, "experiment_id") == 20
        assert count_moved_rows(jobs, "document_id") == 80


def test_only_the_columns_that_are_read_leave_the_partitions() -> None:
    seen: set[tuple[str, ...]] = set()

    def statistic(jobs: pd.DataFrame) -> pd.DataFrame:
        seen.add(tuple(jobs.columns))
        return duration_stats(jobs, "document_id")

    with dask.config.set(HERE):
        apply_by_group(cut(jobs_of(4, each=5), 7), "document_id", statistic, columns=NEEDED)

    every = tuple(jobs_of(1, each=1).columns)
    assert seen - {every} == {("document_id", *NEEDED)}


@pytest.mark.parametrize("by", ["nope", ["run_id", "nope"]])
def test_an_unknown_column(by: By) -> None:
    jobs = jobs_of(2, each=2)
    with pytest.raises(ValueError, match="there is no column nope to group by") as expected:
        duration_stats(jobs, by)
    with pytest.raises(ValueError, match="there is no column nope to group by") as caught:
        duration_stats(cut(jobs), by)
    assert str(caught.value) == str(expected.value)


def test_by_a_series() -> None:
    jobs = cut(jobs_of(2, each=2))
    series: list[Any] = [jobs["run_id"], pd.Series(["a"] * 4)]
    for by in series:
        with pytest.raises(TypeError, match=r"add the Series as one, jobs\.assign\(group="):
            apply_by_group(jobs, by, duration_stats, columns=NEEDED)


@pytest.mark.parametrize("frame", [pd.DataFrame(), None, "dask", scan])
def test_what_is_not_distributed(frame: Any) -> None:
    assert not is_distributed(frame)


def test_what_is_distributed(tmp_path: Path) -> None:
    assert is_distributed(scan(tmp_path, engine="dask"))
    assert is_distributed(cut(jobs_of(1, each=1)))
