from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from factories import SECOND, arrow, jobs_of, seconds, texts, timed_jobs, times
from hypothesis import given, settings, strategies as st
from pandas.testing import assert_frame_equal
from scipy.stats import CensoredData, ecdf

import retab_frames as rf
from retab_frames.stats.groups import COUNTS

if TYPE_CHECKING:
    from retab_frames.stats.measures import Measure

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
    "skipped": "skipped",
    "pending": "unfinished",
    "queued": "unfinished",
    "running": "unfinished",
}
HANDLE = "handle_inputs.input-file-document.filename"


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
        "skipped": 1,
        "unfinished": 3,
        "placeholders": 0,
        "other": 3,
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
    end_of_9998 = 253_370_764_799_999_999
    jobs = jobs_of([None], created_at=times(end_of_9998 - 1), completed_at=times(end_of_9998))
    assert rf.duration_stats(jobs, measure="turnaround")["total_ms"].tolist() == [0.001]


def test_a_span_of_thousands_of_years_is_measured() -> None:
    """It has more microseconds than a double has digits for, which is no reason to fail."""
    end_of_9998 = 253_370_764_799_999_999
    jobs = jobs_of([None, None], created_at=times(0, 0), completed_at=times(end_of_9998, 2_000))
    row = rf.duration_stats(jobs, measure="turnaround").iloc[0]
    assert row[["measured", "min_ms", "max_ms"]].tolist() == [2, 2.0, 253_370_764_800_000.0]


@pytest.mark.parametrize("verb", [rf.duration_stats, rf.slowest, rf.cumulative_incidence])
def test_times_that_stand_for_none_are_not_measured(verb: Any) -> None:
    never = times(-62_135_596_800_000_000, 253_402_300_799_999_999, 0)
    jobs = jobs_of([None] * 3, created_at=never, completed_at=times(5_000, 5_000, 5_000))
    expected = jobs.assign(created_at=times(None, None, 0))
    assert_frame_equal(verb(jobs, measure="turnaround"), verb(expected, measure="turnaround"))


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


@pytest.mark.parametrize("flags", [["False"] * 3, ["false"] * 3, [0] * 3, [0.0] * 3, ["0"] * 3])
def test_flags_as_text_or_numbers_make_no_job_a_placeholder(flags: list[Any]) -> None:
    jobs = jobs_of([10, 20, 30])
    odd = jobs.assign(is_placeholder=flags)
    assert_frame_equal(rf.duration_stats(odd), rf.duration_stats(jobs))
    assert_frame_equal(rf.slowest(odd), rf.slowest(jobs))


@pytest.mark.parametrize(
    "verb", [rf.duration_stats, rf.slowest, rf.failures, rf.timeline, rf.cumulative_incidence]
)
def test_a_job_of_which_nobody_knows_whether_it_is_a_placeholder_is_named(verb: Any) -> None:
    flags = arrow([False, None, False], pa.bool_())
    message = "its column is_placeholder does not fit bool: .* is null"
    with pytest.raises(ValueError, match=message):
        verb(jobs_of([10, 20, 30], is_placeholder=flags))


@pytest.mark.parametrize(
    "verb", [rf.duration_stats, rf.slowest, rf.failures, rf.timeline, rf.cumulative_incidence]
)
def test_an_index_decides_nothing(verb: Any) -> None:
    jobs = timed_jobs(*[("completed", 0, n, 3 * n) for n in range(4)], ("error", 0, 1, 2))
    jobs["duration_ms"] = arrow([1, 2, 3, 4, 5], pa.int64())
    levels = pd.MultiIndex.from_arrays([jobs["run_id"], [0] * 5], names=["run_id", "status"])
    for index in ([7] * 5, [4, 3, 2, 1, 0], jobs["job_id"], levels):
        assert_frame_equal(verb(jobs.set_axis(index, axis=0)), verb(jobs))


def test_a_statistic_reads_no_other_column() -> None:
    jobs = jobs_of([10, 20])
    odd = jobs.assign(attempt=["?", "!"], created_at=5, fetched_at="soon", error_message=1)
    assert_frame_equal(rf.duration_stats(odd), rf.duration_stats(jobs))


def test_statistics_worked_by_hand() -> None:
    row = rf.duration_stats(jobs_of([40, 10, 30, 20])).iloc[0]
    assert row["total_ms"] == 100
    assert row["mean_ms"] == 25
    assert row["std_ms"] == pytest.approx((500 / 3) ** 0.5)
    assert row[["min_ms", "p50_ms", "p90_ms", "max_ms"]].tolist() == [10, 25, 37, 40]
    assert row[["p50_low_ms", "p50_high_ms", "p90_high_ms"]].isna().all()
    assert row["outliers"] is pd.NA


@pytest.mark.parametrize("by", ["run_id", ["run_id", "status", "document_id"]])
def test_a_notebook_shows_what_answers(by: Any) -> None:
    with pd.option_context("display.max_columns", 20):
        page = rf.duration_stats(jobs_of([1, 2]), by=by)._repr_html_()  # type: ignore[operator]
    assert [name for name in ("jobs", "p50_ms", "p95_ms", "note") if f">{name}<" not in page] == []


def test_intervals_worked_by_hand() -> None:
    stats = rf.duration_stats(jobs_of([10, 20, 30, 40, 50, 60]), quantiles=[0.5], confidence=0.95)
    assert stats[["p50_low_ms", "p50_ms", "p50_high_ms"]].iloc[0].tolist() == [10, 35, 60]


def test_columns_and_their_types() -> None:
    stats = rf.duration_stats(jobs_of([1, 2]), by="run_id", quantiles=(0.5, 0.999))
    kinds = {name: dtype.pyarrow_dtype for name, dtype in stats.dtypes.items()}
    counts = [*COUNTS[1:], "measured", "censored"]
    doubles = ["p50", "p99.9", "mean", "min", "max", "std", "total"]
    doubles += ["p50_low", "p50_high", "p99.9_low", "p99.9_high"]
    assert kinds == {
        "run_id": pa.string(),
        **dict.fromkeys(["jobs", "completed", *counts], pa.int64()),
        **{f"{name}_ms": pa.float64() for name in doubles},
        "outliers": pa.int64(),
        "note": pa.string(),
    }
    order = ["run_id", "jobs", "completed", *[f"{name}_ms" for name in doubles], *counts]
    order += ["outliers", "note"]
    assert list(stats.columns) == order
    ended = ("completed", "error", "cancelled", "skipped")
    assert tuple(COUNTS) == (*ended, "unfinished", "placeholders", "other")
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


def test_filtered_jobs() -> None:
    jobs = jobs_of([1, 2, 4], run_id=texts("a", "b", "a"))
    stats = rf.duration_stats(jobs[jobs["run_id"] == "a"], by="run_id")
    assert stats[["run_id", "jobs", "total_ms"]].to_numpy().tolist() == [["a", 2, 5.0]]


def test_no_rows_in_one_group() -> None:
    stats = rf.duration_stats(jobs_of([]))
    assert stats[["jobs", *COUNTS, "measured"]].to_numpy().tolist() == [[0] * 9]
    assert stats["outliers"].isna().all()
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
        (
            {"quantiles": (0.5, 1.1)},
            r"quantiles must be a sequence of numbers .* \(0.5, 0.9\), not \(0.5, 1.1\)",
        ),
        ({"quantiles": (-0.1,)}, "quantiles must be a sequence of numbers between 0 and 1"),
        ({"quantiles": (float("nan"),)}, "quantiles must be a sequence of numbers between 0 and"),
        ({"quantiles": 0.5}, "quantiles must be a sequence of numbers .*, not 0.5"),
        ({"quantiles": "0.5"}, "quantiles must be a sequence of numbers .*, not 0.5"),
        ({"quantiles": ["0.5"]}, "quantiles must be a sequence of numbers"),
        ({"quantiles": None}, "quantiles must be a sequence of numbers .*, not None"),
        ({"confidence": 0}, "confidence must be between 0 and 1, not 0"),
        ({"confidence": 1.0}, "confidence must be between 0 and 1, not 1.0"),
        ({"confidence": float("nan")}, "confidence must be between 0 and 1"),
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
    with pytest.raises(ValueError, match=f"not a jobs frame: it lacks the column {missing}"):
        rf.duration_stats(jobs_of([1]).drop(columns=missing), measure=measure)


@pytest.mark.parametrize("name", ["completed", "jobs", "mean_ms", "p50_ms", "outliers"])
def test_group_of_the_name_of_a_statistic_is_refused(name: str) -> None:
    jobs = jobs_of([1, 2])
    with pytest.raises(ValueError, match=name):
        rf.duration_stats(jobs, by=pd.Series(["x", "y"], name=name))


def running_jobs() -> pd.DataFrame:
    """Return 3 completed jobs of 2, 3 and 5 s, 4 that have run for 4 s at 10 s, and one pending."""
    jobs = timed_jobs(
        *[("completed", 0, 1, 1 + took) for took in (2, 3, 5)],
        *[("running", 0, 6, None)] * 4,
        ("pending", 0, None, None),
    )
    return jobs.assign(duration_ms=arrow([2_000, 3_000, 5_000, *[None] * 5], pa.int64()))


def test_running_jobs_are_censored_worked_by_hand() -> None:
    row = rf.duration_stats(
        running_jobs(), quantiles=(0.2, 0.5), unfinished="censor", as_of="1970-01-01T00:00:10Z"
    ).iloc[0]

    # 7 at risk: S(2) = 6/7, S(3) = 5/7; 4 leave at 4; S(5) = 0
    assert row[["p20_ms", "p50_ms"]].tolist() == [3_000, 5_000]
    assert row[["unfinished", "measured", "censored"]].tolist() == [5, 3, 4]
    assert row[["mean_ms", "total_ms", "min_ms", "max_ms"]].tolist() == [
        pytest.approx(10_000 / 3),
        10_000,
        2_000,
        5_000,
    ]
    assert row["note"] == ("4 of 7 still running; mean, total and extremes are of the 3 completed")


def test_a_quantile_that_the_curve_does_not_reach_is_null_and_noted() -> None:
    row = rf.duration_stats(
        running_jobs(), quantiles=(0.2, 0.5, 0.9), unfinished="censor", as_of="1970-01-01T00:01Z"
    ).iloc[0]

    assert row["p20_ms"] == 3_000
    assert row[["p50_ms", "p50_high_ms", "p90_ms"]].isna().all()
    assert row["note"].startswith("p50, p90 not reached: 4 of 7 still running; ")


def test_censored_quantiles_equal_those_of_scipy() -> None:
    rng = np.random.default_rng(3)
    took, seen = rng.lognormal(2, 0.8, 80), rng.lognormal(2.4, 0.5, 80)
    done = took <= seen
    jobs = timed_jobs(
        *[
            ("completed", 0, 0, t) if d else ("running", 0, 0, None)
            for t, d in zip(took, done, strict=True)
        ]
    ).assign(fetched_at=seconds(*seen))
    row = rf.duration_stats(
        jobs, measure="elapsed", quantiles=(0.3, 0.5), unfinished="censor"
    ).iloc[0]

    micros = np.round(np.where(done, took, seen) * SECOND) / 1_000
    curve: Any = ecdf(CensoredData.right_censored(micros, ~done)).sf
    band = curve.confidence_interval(0.95, method="log-log")
    for name, q in (("p30", 0.3), ("p50", 0.5)):
        for end, edge in (("", curve), ("_low", band.low), ("_high", band.high)):
            reached = edge.quantiles[edge.probabilities <= 1 - q]
            assert row[f"{name}{end}_ms"] == reached[0], f"{name}{end}"
    assert row["censored"] == (~done).sum()


@pytest.mark.parametrize(
    ("measure", "values", "censored"),
    [
        # 5 s is the first step at or below a half
        ("elapsed", [3.0, 4.0, 5.0], 1),
        ("turnaround", [4.0, 5.0, 7.0], 3),
        ("queue", [1.0, 1.0, 2.0], 2),
    ],
)
def test_what_is_censored_for_each_measure(
    measure: Measure, values: list[float], censored: int
) -> None:
    jobs = timed_jobs(
        ("completed", 0, 1, 4),
        ("completed", 0, 1, 5),
        ("completed", 0, 2, 7),
        ("error", 0, 9, 9),
        ("running", 0, 3, None),
        ("pending", 0, None, None),
        ("queued", 0, None, None),
        ("paused_by_hand", 0, 3, None),
        ("running", None, None, None),
    )
    row = rf.duration_stats(
        jobs, measure=measure, quantiles=[1e-6], unfinished="censor", as_of="1970-01-01T00:00:20Z"
    ).iloc[0]

    assert row["censored"] == censored
    assert row["p0.0001_ms"] == min(values) * 1_000
    assert row["total_ms"] == sum(values) * 1_000


def test_a_running_job_has_left_the_queue() -> None:
    jobs = timed_jobs(
        ("completed", 0, 1, 2),
        ("running", 0, 5, None),
        ("running", 0, 7, None),
        ("queued", 0, None, None),
    )
    row = rf.duration_stats(
        jobs, measure="queue", unfinished="censor", as_of="1970-01-01T00:00:20Z"
    ).iloc[0]

    assert row[["measured", "censored", "p50_ms", "max_ms"]].tolist() == [1, 1, 6_000, 1_000]
    assert row["note"].startswith("p90, p95, p99 not reached: 1 of 4 still waiting; ")


def test_running_jobs_without_a_start_are_noted() -> None:
    jobs = timed_jobs(("completed", 0, 1, 2), ("running", 0, None, None))
    row = rf.duration_stats(
        jobs, measure="elapsed", unfinished="censor", as_of="1970-01-01T00:00:20Z"
    ).iloc[0]

    assert row["censored"] == 0
    assert row["note"] == "1 job with unknown start left out: results biased low"


def test_a_job_last_seen_before_it_began_changes_no_quantile() -> None:
    jobs = running_jobs()
    early = jobs.assign(started_at=seconds(1, 1, 1, *[99.0] * 4, None))
    moment = "1970-01-01T00:00:10Z"
    row = rf.duration_stats(early, quantiles=[0.5], unfinished="censor", as_of=moment).iloc[0]

    assert row[["p50_ms", "censored"]].tolist() == [3_000, 4]


@pytest.mark.parametrize(
    "as_of",
    [
        "1970-01-01T01:00:10+01:00",
        datetime(1970, 1, 1, 0, 0, 10, tzinfo=UTC),
        pd.Timestamp(10, unit="s", tz="UTC"),
        None,
    ],
)
def test_the_moment_of_observation(as_of: datetime | str | None) -> None:
    jobs = running_jobs().assign(fetched_at=seconds(*[None] * 3, *[10] * 4, None))
    row = rf.duration_stats(jobs, quantiles=[0.5], unfinished="censor", as_of=as_of).iloc[0]

    assert row["p50_ms"] == 5_000


def test_jobs_last_seen_at_an_unknown_time_are_refused() -> None:
    jobs = running_jobs()
    jobs["run_id"] = texts(*["exprun_1"] * 4, "exprun_2", "exprun_3", "exprun_4", "exprun_5")
    message = (
        "4 unfinished jobs of exprun_1, exprun_2, exprun_3 and 1 more have no fetched_at.*as_of="
    )
    for frame in (jobs, jobs.drop(columns="fetched_at")):
        with pytest.raises(ValueError, match=message):
            rf.duration_stats(frame, unfinished="censor")


def test_exclude_says_that_unfinished_jobs_are_left_out() -> None:
    stats = rf.duration_stats(running_jobs(), by="status")
    assert [None if pd.isna(note) else note for note in stats["note"]] == [
        None,
        "4 unfinished jobs left out: results biased low",
        "1 unfinished job left out: results biased low",
    ]


@pytest.mark.parametrize("measure", ["duration", "elapsed", "queue", "turnaround"])
def test_groups_without_unfinished_jobs_are_the_same_either_way(measure: Measure) -> None:
    rng = np.random.default_rng(5)
    status = rng.choice(["completed", "error", "skipped", "paused_by_hand"], 200)
    took = rng.lognormal(1, 1, 200)
    jobs = timed_jobs(*[(s, 0, t / 3, t) for s, t in zip(status, took, strict=True)])
    jobs["duration_ms"] = arrow([int(1_000 * t) for t in took], pa.int64())
    jobs["run_id"] = texts(*[f"exprun_{n % 3}" for n in range(200)])
    excluded = rf.duration_stats(jobs, by="run_id", measure=measure)
    censored = rf.duration_stats(jobs, by="run_id", measure=measure, unfinished="censor")

    assert_frame_equal(censored, excluded)


def test_only_groups_with_censored_jobs_change() -> None:
    jobs = pd.concat([running_jobs(), seeded_jobs(500, 5)], ignore_index=True)
    jobs = jobs[(jobs["status"] != "running") | (jobs["run_id"] == "exprun_1")]
    jobs["run_id"] = jobs["run_id"].where(jobs.index >= 8, "exprun_running")
    jobs = jobs[~((jobs["status"] == "running") & (jobs["run_id"] != "exprun_running"))]
    excluded = rf.duration_stats(jobs, by="run_id")
    censored = rf.duration_stats(
        jobs, by="run_id", unfinished="censor", as_of="1970-01-01T00:00:10Z"
    )

    assert_frame_equal(censored.iloc[1:], excluded.iloc[1:])
    assert censored["p50_ms"][0] == 5_000
    assert excluded["p50_ms"][0] == 3_000


def test_scaled_times_scale_the_censored_quantiles() -> None:
    jobs = running_jobs()
    scaled = jobs.assign(
        duration_ms=jobs["duration_ms"] * 3,
        started_at=seconds(*[3] * 3, *[18] * 4, None),
    )
    first, second = (
        rf.duration_stats(frame, unfinished="censor", as_of=as_of)
        for frame, as_of in ((jobs, "1970-01-01T00:00:10Z"), (scaled, "1970-01-01T00:00:30Z"))
    )

    columns = [name for name in first.columns if name.endswith("_ms")]
    assert_frame_equal(second[columns], first[columns] * 3)


def test_quantiles_of_0_and_1_are_the_first_and_the_last_step() -> None:
    row = rf.duration_stats(
        running_jobs(), quantiles=(0, 1), unfinished="censor", as_of="1970-01-01T00:00:10Z"
    ).iloc[0]

    assert row[["p0_ms", "p100_ms"]].tolist() == [2_000, 5_000]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"unfinished": "include"}, ValueError, "exclude or censor, not 'include'"),
        ({"as_of": "1970-01-01T00:00Z"}, ValueError, 'used only with unfinished="censor"'),
        ({"unfinished": "censor", "as_of": "1970-01-01"}, ValueError, "needs a time zone"),
        ({"unfinished": "censor", "as_of": datetime(1970, 1, 1)}, ValueError, "time zone"),  # noqa: DTZ001
        ({"unfinished": "censor", "as_of": "soon"}, ValueError, "as_of is not a valid time: soon"),
        ({"unfinished": "censor", "as_of": pd.NaT}, ValueError, "as_of is not a valid time: NaT"),
        ({"unfinished": "censor", "as_of": 5}, TypeError, "ISO 8601 text, not int"),
    ],
)
def test_wrong_arguments_of_censoring(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        rf.duration_stats(running_jobs(), **arguments)


LEFT_OUT = "1 completed job left out: no duration known"


@pytest.mark.parametrize(
    ("options", "notes"),
    [
        (
            {},
            [
                "2 completed jobs left out: no duration known",
                "1 unfinished job left out: results biased low; " + LEFT_OUT,
                None,
            ],
        ),
        (
            {"unfinished": "censor", "as_of": "1970-01-01T00:00:20Z"},
            [
                "2 completed jobs left out: no duration known",
                "1 job with unknown start left out: results biased low; " + LEFT_OUT,
                None,
            ],
        ),
    ],
)
def test_completed_jobs_without_the_measure_are_noted(
    options: dict[str, Any], notes: list[str | None]
) -> None:
    jobs = jobs_of(
        [None, None, 5, None, 7, None, 4, None],
        run_id=texts("a", "a", "a", "b", "b", "b", "c", "c"),
        status=texts(*["completed"] * 5, "running", "completed", "error"),
    )
    found = rf.duration_stats(jobs, "run_id", **options)
    assert pa.array(found["note"]).to_pylist() == notes
    assert (found["completed"] - found["measured"]).tolist() == [2, 1, 0]


def test_slowest_worked_by_hand() -> None:
    jobs = jobs_of(
        [10, 40, 20, 5, 40, None, 90, 80],
        run_id=texts("b", "b", "b", "a", "b", "b", "b", "b"),
        status=texts(*["completed"] * 6, "error", "completed"),
        is_placeholder=arrow([False] * 7 + [True], pa.bool_()),
    )
    found = rf.slowest(jobs, 3)

    assert list(found.columns) == [
        *("run_id", "document_id", "job_id", "filename"),
        *("duration_ms", "ratio_to_run_median", "is_outlier"),
    ]
    assert found["job_id"].tolist() == ["expjob_2", "expjob_5", "expjob_3"]
    assert found["document_id"].tolist() == ["expdoc_2", "expdoc_5", "expdoc_3"]
    assert found["filename"].tolist() == ["invoice_2.pdf", "invoice_5.pdf", "invoice_3.pdf"]
    assert found["duration_ms"].tolist() == [40, 40, 20]
    assert found["ratio_to_run_median"].tolist() == pytest.approx([4 / 3, 4 / 3, 2 / 3])
    assert rf.slowest(jobs).iloc[-1][["run_id", "ratio_to_run_median"]].tolist() == ["a", 1]
    assert len(rf.slowest(jobs, 0)) == 0


def test_slowest_of_a_span_is_named_after_it() -> None:
    jobs = timed_jobs(("completed", 0, 1, 4), ("completed", 0, 3, 4), ("completed", 0, 0, 4))
    found = rf.slowest(jobs, 2, measure="queue")

    assert found["queue_ms"].tolist() == [3_000, 1_000]
    assert found["ratio_to_run_median"].tolist() == [3, 1]
    zero = rf.slowest(timed_jobs(("completed", 0, 0, 4)), measure="queue")
    assert zero["ratio_to_run_median"].isna().all()


def test_slowest_marks_the_outliers_that_are_counted() -> None:
    jobs = seeded_jobs(4_000, 20)
    jobs["duration_ms"] = jobs["duration_ms"].where(jobs.index % 50 != 0, 10_000_000)
    # half of this run's values are equal, so that the quartiles take the place of the median
    jobs.loc[jobs.index < 100, ["run_id", "status"]] = ["exprun_equal", "completed"]
    jobs.loc[jobs.index < 100, "duration_ms"] = [*[7_000] * 61, *[9_000] * 38, 10_000_000]
    marked = rf.slowest(jobs, len(jobs)).groupby("run_id")["is_outlier"].sum()
    counted = rf.duration_stats(jobs, "run_id").set_index("run_id")["outliers"]

    assert marked.to_dict() == counted.to_dict()
    assert counted["exprun_equal"] > 0
    assert counted.sum() > 20


@pytest.mark.parametrize(("size", "outliers"), [(11, None), (12, 1)])
def test_a_run_that_is_too_small_has_no_outliers_and_no_lack_of_them(
    size: int, outliers: int | None
) -> None:
    jobs = jobs_of([*range(100, 99 + size), 100_000])
    counted = rf.duration_stats(jobs)["outliers"]
    marked = rf.slowest(jobs, size)["is_outlier"]
    assert pa.array(counted).to_pylist() == [outliers]
    expected = [None] * size if outliers is None else [True] + [False] * (size - 1)
    assert pa.array(marked).to_pylist() == expected


def test_slowest_does_not_depend_on_the_order_of_rows() -> None:
    jobs = seeded_jobs(500, 5)
    jobs["duration_ms"] = jobs["duration_ms"] // 4_000
    shuffled = jobs.sample(frac=1, random_state=1)

    assert_frame_equal(rf.slowest(shuffled, 40), rf.slowest(jobs, 40))


def test_slowest_ties_go_by_run_and_job() -> None:
    jobs = jobs_of([7] * 4, run_id=texts("b", "a", "b", "a"))

    assert rf.slowest(jobs, 3)["job_id"].tolist() == ["expjob_2", "expjob_4", "expjob_1"]


def test_slowest_refuses_a_negative_number() -> None:
    with pytest.raises(ValueError, match="n must be 0 or more, not -1"):
        rf.slowest(jobs_of([1]), -1)
