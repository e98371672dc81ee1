from __future__ import annotations

import math
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from factories import FLAG, REAL, TEXT, TIME, WHOLE, never_run, run
from numpy.testing import assert_allclose

import retab_frames as rf
from compare.series import run_jobs, runs_of, table_of
from retab_frames.stats.change_points import compute_cusum, find_changes


def slowed(runs: int = 30, at: int = 20, factor: float = 1.3) -> rf.RunTrend:
    return rf.trend(runs_of(runs, 30, between=0.05, changes={at: factor}))


def last(found: rf.RunTrend) -> str:
    return found.summary().splitlines()[-1]


def test_each_run_is_told_by_its_typical_change_against_the_first() -> None:
    frames = runs_of(4, 9)
    frames[2].loc[5, ["status", "duration_ms"]] = ["error", 5]
    table = np.log(table_of(frames))
    table[5, 2] = np.nan
    found = rf.trend(frames).runs

    kinds = [TEXT, TIME, WHOLE, WHOLE, REAL, REAL, REAL, WHOLE, REAL, REAL, FLAG]
    assert found.dtypes.tolist() == kinds
    assert found["documents"].tolist() == [9, 9, 8, 9]
    for n in range(4):
        change = table[:, n] - table[:, 0]
        change = change[~np.isnan(change)]
        walsh = sorted((a + b) / 2 for i, a in enumerate(change) for b in change[: i + 1])
        # of 9 and 8 pairs the ends are the sixth and the fourth average from either side
        rank = {9: 6, 8: 4}[len(change)]
        ends = [np.median(walsh), walsh[rank - 1], walsh[-rank]]
        row = found.loc[n, ["ratio", "ratio_low", "ratio_high"]].astype(float)
        assert_allclose(row, np.exp(ends), rtol=1e-10)


def test_changes_and_sums_are_those_of_the_series() -> None:
    found = slowed()
    logs = np.log(found.runs["ratio"].to_numpy(float))
    (expected,) = find_changes(logs)
    row = found.changes.iloc[0]

    assert len(found.changes) == 1
    assert row["run_id"] == f"run_{expected.position}"
    assert row["began_at"] == found.runs["began_at"][expected.position]
    ends = [row[name] for name in ("ratio", "ratio_low", "ratio_high")]
    assert_allclose(ends, np.exp([expected.difference, expected.low, expected.high]))
    assert (row["p_value"], row["verdict"]) == (expected.p_value, "slower")
    segment = np.arange(30) >= expected.position
    assert found.runs["segment"].tolist() == segment.tolist()
    for part in (segment, ~segment):
        cusum = compute_cusum(logs[part], margin=math.log(1.05))
        rows = found.runs[part]
        for name, values in (("deviate", cusum.deviates), ("cusum", cusum.sums)):
            assert_allclose(rows[name].to_numpy(float, na_value=np.nan), values)
        assert rows["alarm"].tolist() == cusum.alarms.tolist()


@pytest.mark.parametrize(("factor", "verdict"), [(1.5, "slower"), (0.7, "faster")])
def test_the_words_of_a_change(factor: float, verdict: str) -> None:
    found = slowed(factor=factor)
    row = found.changes.iloc[0]
    amount = f"{abs(100 * row['ratio'] - 100):.0f} % {'longer' if factor > 1 else 'less'}"
    low, high = (f"{100 * row[f'ratio_{end}'] - 100:+.0f} %" for end in ("low", "high"))
    assert found.summary().splitlines() == [
        "30 runs, from run_00 on",
        (
            f"{verdict.capitalize()} since run run_20: a typical document takes {amount} than "
            f"before ({low} to {high}), p < 0.001."
        ),
        "The newest run raises no alarm.",
    ]
    assert row["verdict"] == verdict


@pytest.mark.parametrize(
    ("margin", "verdict", "begins", "ends"),
    [
        (0.05, "slower", "Slower since run run_20:", "p < 0.001."),
        (0.3, "inconclusive", "Changed since run", "by more than the margin of 30 % is not known."),
        (0.6, "equivalent", "A bit slower since run", "; that is within the margin of 60 %."),
    ],
)
def test_a_change_is_judged_by_the_margin(
    margin: float, verdict: str, begins: str, ends: str
) -> None:
    found = rf.trend(runs_of(30, 30, between=0.05, changes={20: 1.3}), margin=margin)
    assert found.changes["verdict"].tolist() == [verdict]
    line = found.summary().splitlines()[1]
    assert line.startswith(begins)
    assert line.endswith(ends)


def test_several_changes() -> None:
    found = rf.trend(runs_of(60, 30, between=0.03, changes={20: 1.3, 40: 0.8}))
    assert found.changes["run_id"].tolist() == ["run_20", "run_40"]
    assert found.changes["verdict"].tolist() == ["slower", "faster"]
    assert found.runs["segment"].tolist() == [0] * 20 + [1] * 20 + [2] * 20
    assert repr(found) == "RunTrend(60 runs: 2 changes)"


def test_an_alarm_comes_before_a_change_can_be_told() -> None:
    found = slowed(runs=9, at=6, factor=2)
    assert found.changes.empty
    assert found.runs["alarm"].tolist() == [False] * 8 + [True]
    assert last(found) == (
        "The newest run raises an alarm: together with those just before it, it is probably slower "
        "than the other runs so far."
    )
    assert repr(found) == "RunTrend(9 runs: 0 changes, alarm)"


def test_one_odd_run_is_said_and_raises_no_alarm() -> None:
    found = slowed(runs=21, factor=2)
    assert not found.runs["alarm"].any()
    assert last(found) == (
        "The newest run is much slower than the runs so far. One such run may be odd and raises no "
        "alarm: run it again."
    )


@pytest.mark.parametrize(
    ("runs", "changes", "newest"),
    [
        (2, "Whether the runs changed is not known: 2 runs", "2 runs so far are too few, which"),
        (9, "Whether the runs changed is not known: 9 runs", "The newest run raises no alarm."),
        (12, "No change found in 12 runs. One in the", "The newest run raises no alarm."),
    ],
)
def test_few_runs_say_what_they_cannot_tell(runs: int, changes: str, newest: str) -> None:
    _, first, second = rf.trend(runs_of(runs, 12)).summary().splitlines()
    assert first.startswith(changes)
    assert newest in second


def test_right_after_a_change_there_is_no_past() -> None:
    found = slowed(runs=23, factor=1.5)
    assert len(found.changes) == 1
    assert last(found) == (
        "Whether the newest run stands out is not known: 3 runs since the last change are too few, "
        "which takes 5."
    )


def test_a_run_without_documents_of_the_first_is_passed_over() -> None:
    frames = runs_of(14, 30, changes={7: 1.5})
    frames[3]["document_id"] = "other " + frames[3]["document_id"]
    frames[9]["status"] = "error"
    found = rf.trend(frames)
    assert found.runs["ratio"].isna().tolist() == [n in {3, 9} for n in range(14)]
    assert found.runs["ratio_low"].isna().tolist() == [n in {3, 9} for n in range(14)]
    assert found.changes["run_id"].tolist() == ["run_07"]
    assert last(found) == (
        "2 runs completed no document of the first run, and are passed over: run_03 and 1 more."
    )


def test_the_first_run_is_the_first_that_completed_a_document() -> None:
    frames = runs_of(4, 8)
    frames[0]["status"] = "error"
    found = rf.trend(frames).runs
    assert found["ratio"].isna().tolist() == [True, False, False, False]
    assert found["ratio"][1] == 1


def test_a_newest_run_without_documents_is_said() -> None:
    frames = runs_of(6, 8)
    frames[5]["status"] = "error"
    assert "The newest run completed no document of the first." in rf.trend(frames).summary()


def test_a_newest_run_that_has_not_ended_is_said() -> None:
    frames = runs_of(6, 8)
    frames[5].loc[[1, 4], "status"] = ["running", "queued"]
    found = rf.trend(frames)
    assert found.runs["unfinished"].tolist() == [0] * 5 + [2]
    assert found.runs["documents"].tolist() == [8] * 5 + [6]
    assert last(found).startswith("The newest run has not ended: 2 documents of it will count")


def test_reused_jobs_are_left_out() -> None:
    frames = runs_of(6, 8)
    frames[5].loc[0, "job_id"] = frames[1].loc[0, "job_id"]
    found = rf.trend(frames)
    assert found.runs["documents"].tolist() == [8] * 5 + [7]
    assert last(found) == "1 job is of an earlier run, and no evidence: left out."


def test_below_six_documents_a_run_has_no_interval() -> None:
    found = rf.trend(runs_of(5, 5)).runs
    assert found["ratio"].notna().all()
    assert found[["ratio_low", "ratio_high"]].isna().all().all()


def test_one_frame_of_all_runs_and_the_accessor_give_the_same() -> None:
    frames = runs_of(12, 12)
    jobs = pd.concat(frames, ignore_index=True)
    for found in (rf.trend(jobs), jobs.retab.trend(), rf.trend(frames[::-1])):
        pd.testing.assert_frame_equal(found.runs, rf.trend(frames).runs)


def test_tables() -> None:
    found = slowed()
    assert "<b>30 runs, from run_00 on</b>" in found._repr_html_()
    assert "| run\\_20 |" in found.to_markdown()
    assert found.to_markdown().startswith("## 30 runs, from run\\_00 on\n")


def test_hostile_names_are_text() -> None:
    frames = runs_of(12, 12, changes={6: 2.0})
    frames[6]["run_id"] = "<img src=x>\x1b[31m"
    found = rf.trend(frames)
    assert "<img" not in found._repr_html_()
    assert "\x1b" not in found.summary()


@pytest.mark.parametrize(
    ("runs", "error", "message"),
    [
        ([], ValueError, "trend needs two runs or more, not 0"),
        ([run_jobs([1])], ValueError, "trend needs two runs or more, not 1"),
        ([run_jobs([1]), never_run()], ValueError, "run 1 has no run id"),
        (run({}), TypeError, "trend takes several runs; this is one"),
        (
            dd.from_pandas(run_jobs([1]), npartitions=1),
            TypeError,
            "trend takes a jobs frame, not DataFrame of dask; make it one of pandas: .compute",
        ),
    ],
)
def test_what_has_no_trend_is_refused(runs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        rf.trend(runs)


@pytest.mark.parametrize("options", [{"margin": -0.1}, {"confidence": 0}])
def test_options_are_checked(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        rf.trend(runs_of(2, 6), **options)  # type: ignore[arg-type]


def test_one_run_is_too_few() -> None:
    other = run_jobs([1_000.0], 1).assign(document_id="other")

    summary = rf.trend([run_jobs([1_000.0]), other]).summary()

    assert "Whether the runs changed is not known: 1 run is too few to tell" in summary


def test_the_words_are_those_of_the_measure() -> None:
    runs = runs_of(10, 12)
    for jobs in runs[5:]:
        jobs["started_at"] = jobs["started_at"] + pd.Timedelta(minutes=5)

    summary = rf.trend(runs, measure="queue").summary()

    assert "since run run_05: a typical document waits" in summary
