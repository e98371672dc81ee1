from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import retab_frames as rf
from retab_frames.durations import COUNTS, Measure

if TYPE_CHECKING:
    from collections.abc import Sequence

TIME = pa.timestamp("us", tz="UTC")
STATUSES = [
    "completed",
    "error",
    "cancelled",
    "pending",
    "queued",
    "running",
    "skipped",
    "paused_by_hand",
    "",
    None,
]
COUNT_OF: dict[str | None, str] = {
    "completed": "completed",
    "error": "error",
    "cancelled": "cancelled",
    "pending": "unfinished",
    "queued": "unfinished",
    "running": "unfinished",
}
HANDLE = "handle_inputs.input-file-document.filename"


def arrow(values: Sequence[object], kind: pa.DataType) -> pd.Series[Any]:
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values, kind)))


def jobs_of(duration_ms: Sequence[int | None], **columns: pd.Series[Any]) -> pd.DataFrame:
    """Return completed jobs with these durations; `columns` replace or add to theirs."""
    count = len(duration_ms)
    plain = {
        "run_id": arrow(["exprun_1"] * count, pa.string()),
        "status": arrow(["completed"] * count, pa.string()),
        "is_placeholder": arrow([False] * count, pa.bool_()),
        "duration_ms": arrow(duration_ms, pa.int64()),
        "created_at": arrow([None] * count, TIME),
        "started_at": arrow([None] * count, TIME),
        "completed_at": arrow([None] * count, TIME),
    }
    return pd.DataFrame(plain | columns)


def texts(*values: str | None) -> pd.Series[Any]:
    return arrow(values, pa.string())


def times(*micros: int | None) -> pd.Series[Any]:
    return arrow(micros, TIME)


def moments(micros: list[int | None]) -> pd.Series[Any]:
    """Return times in pandas' own type."""
    return pd.Series(micros, dtype="Int64").astype("datetime64[us]").dt.tz_localize("UTC")


def seeded_jobs(count: int = 20_000, groups: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    duration = np.round(rng.lognormal(9, 0.8, count)).astype(int)
    lost = rng.random(count) < 0.05
    number = rng.integers(0, groups, count)
    return jobs_of(
        [None if gone else int(value) for gone, value in zip(lost, duration, strict=True)],
        run_id=texts(*[f"exprun_{n}" for n in number]),
        status=texts(*rng.choice(["completed", "completed", "error", "running"], count)),
        is_placeholder=arrow((rng.random(count) < 0.02).tolist(), pa.bool_()),
    )


def test_counts_of_each_status() -> None:
    jobs = jobs_of([10] * len(STATUSES), status=texts(*STATUSES))
    row = rf.duration_stats(jobs).iloc[0]
    assert row[["jobs", *COUNTS, "measured"]].to_dict() == {
        "jobs": 10,
        "completed": 1,
        "error": 1,
        "cancelled": 1,
        "unfinished": 3,
        "placeholders": 0,
        "other": 4,
        "measured": 1,
    }


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(STATUSES),
            st.booleans(),
            st.sampled_from(["a", "b", None]),
            st.none() | st.integers(0, 10**9),
        ),
        max_size=40,
    )
)
def test_counts_add_up(rows: list[tuple[str | None, bool, str | None, int | None]]) -> None:
    jobs = jobs_of(
        [row[3] for row in rows],
        status=texts(*[row[0] for row in rows]),
        is_placeholder=arrow([row[1] for row in rows], pa.bool_()),
        group=texts(*[row[2] for row in rows]),
    )
    stats = rf.duration_stats(jobs, by="group")
    assert stats["group"].isna().sum() <= 1
    assert stats["jobs"].sum() == len(rows)
    assert (stats[list(COUNTS)].sum(axis=1) == stats["jobs"]).all()
    for key, row in zip(stats["group"], stats.to_dict("records"), strict=True):
        mine = [r for r in rows if r[2] == (None if pd.isna(key) else key)]
        real = [r for r in mine if not r[1]]
        assert row["placeholders"] == len(mine) - len(real)
        for name in set(COUNTS) - {"placeholders"}:
            assert row[name] == sum(COUNT_OF.get(r[0], "other") == name for r in real), name
        durations = [r[3] for r in real if r[0] == "completed" and r[3] is not None]
        assert row["measured"] == len(durations)
        assert pd.isna(row["total_ms"]) if not durations else row["total_ms"] == sum(durations)


@pytest.mark.parametrize(
    ("measure", "total", "shortest", "longest", "measured"),
    [
        ("duration", 600.0, 100.0, 300.0, 3),
        ("queue", 1_500.001, 0.001, 1_500.0, 2),
        ("elapsed", 2_000.0, 0.0, 2_000.0, 2),
        ("turnaround", 3_500.001, 0.001, 3_500.0, 2),
    ],
)
def test_measures_worked_by_hand(
    measure: Measure, total: float, shortest: float, longest: float, measured: int
) -> None:
    second = 1_000_000
    jobs = jobs_of(
        [100, 200, None, 300],
        created_at=times(0, 5 * second, None, 9 * second),
        started_at=times(1_500_000, 5 * second + 1, 7 * second, 8 * second),
        completed_at=times(3_500_000, 5 * second + 1, None, 7 * second),
    )
    row = rf.duration_stats(jobs, measure=measure).iloc[0]
    assert row["measured"] == measured
    assert row["total_ms"] == pytest.approx(total, rel=1e-12)
    assert row["min_ms"] == shortest
    assert row["max_ms"] == longest


def test_negative_spans_are_left_out() -> None:
    jobs = jobs_of([1, 2, 3], created_at=times(0, 10, 10), started_at=times(2_000, 9, 10))
    row = rf.duration_stats(jobs, measure="queue").iloc[0]
    assert row[["completed", "measured", "total_ms", "min_ms"]].tolist() == [3, 2, 2.0, 0.0]


def test_far_times_are_exact_to_the_microsecond() -> None:
    year_9999 = 253_402_300_799_999_999
    jobs = jobs_of([None], created_at=times(year_9999 - 1), completed_at=times(year_9999))
    assert rf.duration_stats(jobs, measure="turnaround")["total_ms"].tolist() == [0.001]


@pytest.mark.parametrize("unit", ["s", "ms", "ns"])
def test_arrow_times_of_another_unit(unit: str) -> None:
    jobs = jobs_of([1], started_at=times(0), completed_at=times(2_000_000))
    for name in ("started_at", "completed_at"):
        jobs[name] = jobs[name].astype(pd.ArrowDtype(pa.timestamp(unit, tz="UTC")))
    assert rf.duration_stats(jobs, measure="elapsed")["total_ms"].tolist() == [2_000.0]


def test_only_completed_jobs_are_measured() -> None:
    jobs = jobs_of(
        [10, 1_000, 1_000, 1_000, None],
        status=texts("completed", "error", "running", "completed", "completed"),
        is_placeholder=arrow([False, False, False, True, False], pa.bool_()),
    )
    row = rf.duration_stats(jobs).iloc[0]
    assert row[["completed", "measured", "mean_ms", "max_ms"]].tolist() == [2, 1, 10.0, 10.0]


def test_statistics_worked_by_hand() -> None:
    row = rf.duration_stats(jobs_of([40, 10, 30, 20])).iloc[0]
    assert row["total_ms"] == 100
    assert row["mean_ms"] == 25
    assert row["std_ms"] == pytest.approx((500 / 3) ** 0.5)
    assert row[["min_ms", "p50_ms", "p90_ms", "max_ms"]].tolist() == [10, 25, 37, 40]
    assert row[["p50_low_ms", "p50_high_ms", "p90_high_ms"]].isna().all()
    assert row["outliers"] == 0


def test_intervals_worked_by_hand() -> None:
    stats = rf.duration_stats(jobs_of([10, 20, 30, 40, 50, 60]), quantiles=[0.5], confidence=0.95)
    assert stats[["p50_low_ms", "p50_ms", "p50_high_ms"]].iloc[0].tolist() == [10, 35, 60]


def test_columns_and_their_types() -> None:
    stats = rf.duration_stats(jobs_of([1, 2]), by="run_id", quantiles=(0.5, 0.999))
    kinds = {name: dtype.pyarrow_dtype for name, dtype in stats.dtypes.items()}
    counts = ["jobs", *COUNTS, "measured"]
    doubles = ["total", "mean", "std", "min", "p50", "p50_low", "p50_high"]
    doubles += ["p99.9", "p99.9_low", "p99.9_high", "max"]
    assert kinds == {
        "run_id": pa.string(),
        **dict.fromkeys(counts, pa.int64()),
        **{f"{name}_ms": pa.float64() for name in doubles},
        "outliers": pa.int64(),
    }
    order = ["run_id", *counts, *[f"{name}_ms" for name in doubles], "outliers"]
    assert list(stats.columns) == order
    assert COUNTS == ("completed", "error", "cancelled", "unfinished", "placeholders", "other")
    assert stats.index.equals(pd.RangeIndex(1))


def test_groups_come_in_order_of_first_appearance() -> None:
    jobs = jobs_of([1, 2, 4, 8, 16, 32], run_id=texts("b", None, "a", "b", None, "c"))
    stats = rf.duration_stats(jobs, by="run_id")
    assert [None if pd.isna(key) else key for key in stats["run_id"]] == ["b", None, "a", "c"]
    assert stats["total_ms"].tolist() == [9, 18, 4, 32]


def test_groups_by_two_columns_with_nulls() -> None:
    jobs = jobs_of(
        [1, 2, 4, 8, 16],
        run_id=texts("b", None, "b", None, "b"),
        attempt=arrow([1, None, None, None, 1], pa.int64()),
    )
    stats = rf.duration_stats(jobs, by=["run_id", "attempt"])
    assert list(stats.columns[:3]) == ["run_id", "attempt", "jobs"]
    assert stats["run_id"].isna().tolist() == [False, True, False]
    assert stats["attempt"].isna().tolist() == [False, True, True]
    assert stats["total_ms"].tolist() == [17, 10, 4]


def test_groups_by_a_handle_column() -> None:
    jobs = jobs_of([1, 2, 4], **{HANDLE: texts("a.pdf", None, "a.pdf")})
    stats = rf.duration_stats(jobs, by=HANDLE)
    assert stats[HANDLE].tolist()[0] == "a.pdf"
    assert stats["total_ms"].tolist() == [5, 2]


@pytest.mark.parametrize(("name", "column"), [("size", "size"), (None, "group")])
def test_groups_by_a_series_go_by_position(name: str | None, column: str) -> None:
    jobs = jobs_of([1, 2, 4]).set_index(pd.Index([7, 7, 9]))
    stats = rf.duration_stats(jobs, by=pd.Series(["x", "y", "x"], index=[3, 2, 1], name=name))
    assert stats[column].tolist() == ["x", "y"]
    assert stats["total_ms"].tolist() == [5, 2]


def test_filtered_jobs() -> None:
    jobs = jobs_of([1, 2, 4], run_id=texts("a", "b", "a"))
    stats = rf.duration_stats(jobs[jobs["run_id"] == "a"], by="run_id")
    assert stats[["run_id", "jobs", "total_ms"]].to_numpy().tolist() == [["a", 2, 5.0]]


def test_no_rows_in_one_group() -> None:
    stats = rf.duration_stats(jobs_of([]))
    assert stats[["jobs", *COUNTS, "measured", "outliers"]].to_numpy().tolist() == [[0] * 9]
    assert stats.filter(regex="_ms$").isna().all(axis=None)


@pytest.mark.parametrize("by", ["run_id", ["run_id", "status"]])
def test_no_rows_give_no_groups_and_the_same_types(by: str | list[str]) -> None:
    empty, full = (rf.duration_stats(jobs_of(values), by=by) for values in ([], [1]))
    assert len(empty) == 0
    assert_frame_equal(empty, full.iloc[:0])


def test_jobs_stay_as_they_were() -> None:
    jobs = seeded_jobs(50, 3)
    before = jobs.copy(deep=True)
    rf.duration_stats(jobs, by="run_id")
    assert_frame_equal(jobs, before)


@pytest.mark.parametrize("factor", [3, 1_000])
def test_scaled_durations_scale_every_statistic(factor: int) -> None:
    jobs = seeded_jobs(2_000, 20)
    stats = rf.duration_stats(jobs, by="run_id")
    scaled = rf.duration_stats(jobs.assign(duration_ms=jobs["duration_ms"] * factor), by="run_id")
    columns = [name for name in stats.columns if name.endswith("_ms")]
    assert_frame_equal(scaled[columns], stats[columns] * factor, rtol=1e-12)
    assert_frame_equal(scaled.drop(columns=columns), stats.drop(columns=columns))


def test_row_order_changes_only_the_order_of_groups() -> None:
    jobs = seeded_jobs(2_000, 20)
    stats = rf.duration_stats(jobs, by="run_id").sort_values("run_id", ignore_index=True)
    shuffled = rf.duration_stats(jobs.sample(frac=1, random_state=5), by="run_id")
    assert_frame_equal(shuffled.sort_values("run_id", ignore_index=True), stats, rtol=1e-12)


def test_plain_pandas_types_give_the_same() -> None:
    jobs = jobs_of(
        [1, None, 4],
        status=texts("completed", "completed", None),
        created_at=times(0, 10, None),
        started_at=times(2_000, 20, 5),
    )
    plain = pd.DataFrame(
        {
            "run_id": ["exprun_1"] * 3,
            "status": ["completed", "completed", None],
            "is_placeholder": [False] * 3,
            "duration_ms": [1.0, np.nan, 4.0],
            "created_at": moments([0, 10, None]),
            "started_at": moments([2_000, 20, 5]),
        }
    )
    measures: list[Measure] = ["duration", "queue"]
    for measure in measures:
        ours, theirs = (rf.duration_stats(frame, measure=measure) for frame in (jobs, plain))
        assert_frame_equal(theirs, ours)


def test_equal_to_a_groupby_of_pandas() -> None:
    jobs = seeded_jobs()
    stats = rf.duration_stats(jobs, by="run_id", quantiles=(0.5, 0.9)).set_index("run_id")
    kept = jobs[(jobs["status"] == "completed") & ~jobs["is_placeholder"]]
    durations = kept["duration_ms"].astype("Float64").astype(float)
    by_run = durations.groupby(kept["run_id"])
    expected = pd.DataFrame(
        {
            "jobs": jobs.groupby("run_id").size(),
            "measured": by_run.count(),
            "total_ms": by_run.sum(),
            "mean_ms": by_run.mean(),
            "std_ms": by_run.std(),
            "min_ms": by_run.min(),
            "p50_ms": by_run.quantile(0.5),
            "p90_ms": by_run.quantile(0.9),
            "max_ms": by_run.max(),
        }
    ).loc[stats.index]
    assert len(expected) == 300
    assert stats.index.tolist() == jobs["run_id"].unique().tolist()
    ours = stats[list(expected.columns)].astype(float)
    assert_frame_equal(ours, expected.astype(float), rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": "nope"}, "there is no column nope to group by"),
        ({"by": ["run_id", "no\x1b[2J"]}, r"no column no\\x1b\[2J to group by"),
        ({"by": pd.Series(["a"])}, "`by` has 1 values for 2 jobs"),
        ({"measure": "wall"}, "measure must be duration, queue, .*, not 'wall'"),
        ({"quantiles": (0.5, 1.1)}, r"quantiles lie between 0 and 1, not \(0.5, 1.1\)"),
        ({"quantiles": (-0.1,)}, "quantiles lie between 0 and 1"),
        ({"quantiles": (float("nan"),)}, "quantiles lie between 0 and 1"),
        ({"confidence": 0}, "confidence lies between 0 and 1, not 0"),
        ({"confidence": 1.0}, "confidence lies between 0 and 1, not 1.0"),
        ({"confidence": float("nan")}, "confidence lies between 0 and 1"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rf.duration_stats(jobs_of([1, 2]), **arguments)


@pytest.mark.parametrize(
    ("measure", "missing"),
    [("duration", "duration_ms"), ("queue", "started_at"), ("elapsed", "completed_at")],
)
def test_frame_without_a_column(measure: Measure, missing: str) -> None:
    with pytest.raises(ValueError, match=f"no frame of jobs: it has no column {missing}$"):
        rf.duration_stats(jobs_of([1]).drop(columns=missing), measure=measure)


@pytest.mark.parametrize("name", ["completed", "jobs", "mean_ms", "p50_ms", "outliers"])
def test_group_of_the_name_of_a_statistic_is_refused(name: str) -> None:
    jobs = jobs_of([1, 2])
    with pytest.raises(ValueError, match=name):
        rf.duration_stats(jobs, by=pd.Series(["x", "y"], name=name))
