from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from factories import run
from numpy.testing import assert_array_equal

from compare.series import run_jobs, runs_of, table_of
from retab_frames.compare.measured_runs import MeasuredRuns, measure_runs

NAN = np.nan


def measured(runs: Any, measure: Any = "duration") -> MeasuredRuns:
    return measure_runs(runs, measure=measure, reader="plan")


@pytest.mark.parametrize("together", [False, True])
def test_a_table_of_documents_and_runs(*, together: bool) -> None:
    frames = runs_of(3, 4)
    frames[1].loc[2, ["status", "duration_ms"]] = ["error", 99]
    found = measured(pd.concat(frames, ignore_index=True) if together else frames)
    expected = table_of(frames)
    expected[2, 1] = NAN
    assert_array_equal(found.durations, expected)
    assert found.run_ids == ("run_00", "run_01", "run_02")
    assert found.began_at.day.tolist() == [1, 2, 3]
    assert (found.reused, found.definitions, found.unfinished) == (0, (None,) * 3, (0,) * 3)


def test_runs_are_put_in_the_order_in_which_they_began() -> None:
    frames = runs_of(3, 4)
    found = measured(frames[::-1])
    assert found.run_ids == ("run_00", "run_01", "run_02")
    assert_array_equal(found.durations, table_of(frames))
    frames[0]["created_at"] = None
    assert measured(frames[::-1]).run_ids == ("run_02", "run_01", "run_00")


def test_a_run_record_says_when_a_run_began_and_what_was_run() -> None:
    contents = [
        run({"id": f"j{n}"}, run_id=f"r{n}", created_at=f"2026-09-0{9 - n}T00:00:00Z", **record)
        for n, record in enumerate(
            [{"definition_fingerprint": "a"}, {"definition_fingerprint": "b"}, {}]
        )
    ]
    found = measured(contents)
    assert found.run_ids == ("r2", "r1", "r0")
    assert found.definitions == (None, "b", "a")


@pytest.mark.parametrize(
    ("columns", "reused"),
    [
        (["job_id"], 1),
        (["artifact_id"], 1),
        (["started_at", "completed_at"], 1),
        (["started_at"], 0),
        (["completed_at"], 0),
    ],
)
def test_a_job_of_two_runs_counts_in_the_first(columns: list[str], reused: int) -> None:
    frames = [
        frame.assign(artifact_id=frame["job_id"].str.replace("/", ":")) for frame in runs_of(3, 4)
    ]
    frames[2].loc[1, columns] = frames[0].loc[1, columns].tolist()
    expected = table_of(frames)
    if reused:
        expected[1, 2] = NAN
    for given in (frames, frames[::-1]):
        found = measured(given)
        assert found.reused == reused
        assert_array_equal(found.durations, expected)


def test_ids_that_other_documents_have_are_not_reused() -> None:
    first, second = runs_of(2, 4)
    second["job_id"] = first["job_id"].to_numpy()[::-1]
    assert measured([first, second]).reused == 0


def test_what_two_documents_or_failed_jobs_share_is_not_reused() -> None:
    frames = [frame.assign(artifact_id="same") for frame in runs_of(2, 3)]
    assert measured(frames).reused == 3
    frames[0]["status"] = "error"
    assert measured(frames).reused == 0
    frames = [frame.assign(artifact_id=None, started_at=pd.NaT) for frame in runs_of(2, 3)]
    assert measured(frames).reused == 0


def test_the_final_job_of_a_document_counts() -> None:
    first, second = runs_of(2, 3)
    retried = second.iloc[[0]].assign(attempt=1, duration_ms=77, job_id="again")
    second = pd.concat([retried, second.assign(attempt=0)], ignore_index=True)
    blank = second.iloc[[1]].assign(is_placeholder=True, attempt=9, job_id="blank")
    found = measured([first, pd.concat([second, blank])])
    expected = table_of([first, second.iloc[1:]])
    expected[0, 1] = 77
    assert_array_equal(found.durations, expected)


def test_other_measures_are_spans_of_the_final_jobs() -> None:
    frames = runs_of(2, 3)
    span = [(frame["completed_at"] - frame["started_at"]).dt.total_seconds() for frame in frames]
    found = measured(frames, "elapsed")
    assert_array_equal(found.durations, 1000 * np.stack(span, axis=1))
    with pytest.raises(ValueError, match="run 0 is not a jobs frame: it lacks the column created"):
        measured([frame.drop(columns="created_at") for frame in frames], "queue")


@pytest.mark.parametrize(
    ("runs", "error", "message"),
    [
        (run({}), TypeError, "plan takes several runs; this is one"),
        (7, TypeError, "plan takes runs, not int"),
        (["a"], TypeError, "run 0 must be a RunContent or a jobs frame, not str"),
        ([run_jobs([1]), run_jobs([1])], ValueError, "run run_00 is given twice"),
        (pd.DataFrame({"a": [1]}), ValueError, "it lacks the column run_id.*; plan takes frames"),
    ],
)
def test_what_are_no_runs_is_refused(runs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        measured(runs)


def test_an_unknown_measure_is_refused() -> None:
    with pytest.raises(ValueError, match=r"measure must be duration, queue, .* not 'cost'"):
        measured([], "cost")
