from __future__ import annotations

import math
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from factories import REAL, TEXT, WHOLE, never_run, run

import retab_frames as rf
from compare.series import run_jobs, runs_of, table_of
from retab_frames.stats.run_noise import count_documents, detectable_ratio, estimate_noise


def steady(runs: int = 6) -> rf.RunPlan:
    return rf.plan(runs_of(runs, 30))


def test_noise_is_that_of_the_table() -> None:
    frames = runs_of(5, 30, between=0.1)
    frames[2].loc[3, ["status", "duration_ms"]] = ["error", 5]
    table = table_of(frames)
    table[3, 2] = np.nan
    expected = estimate_noise(table, 0.9)

    found = rf.plan(frames, confidence=0.9).noise

    assert found.dtypes.tolist() == [TEXT, REAL, REAL, REAL, WHOLE, WHOLE]
    assert found.astype(object).to_numpy().tolist() == [
        ["within runs", *vars(expected.within).values(), 5, 30],
        ["between runs", *vars(expected.between).values(), 5, 30],
    ]


@pytest.mark.parametrize("between", [0.0, 0.08])
def test_needed_follows_from_the_noise(between: float) -> None:
    found = rf.plan(runs_of(8, 40, between=between), detect=0.2, margin=0.1, confidence=0.9)
    spread: Any = found.noise["log_sd"].tolist()

    assert found.needed.dtypes.tolist() == [WHOLE, WHOLE, REAL, REAL]
    assert found.needed["runs_a_side"].tolist() == [1, 2, 3, 5, 10]
    for row in found.needed.to_dict("records"):
        level: Any = {"runs": row["runs_a_side"], "margin": 0.1, "confidence": 0.9}
        needed = count_documents(0.2, *spread, **level)
        assert (None if pd.isna(row["documents_needed"]) else row["documents_needed"]) == needed
        assert row["detectable_ratio"] == detectable_ratio(*spread, documents=40, **level)
        assert row["limit_ratio"] == detectable_ratio(*spread, documents=math.inf, **level)
    assert found.needed["documents_needed"].isna().any() == (between > 0)
    assert found.detectable_ratio(40, 3) == found.needed["detectable_ratio"][2]
    assert found.detectable_ratio(math.inf) == found.needed["limit_ratio"][0]


def test_one_frame_of_all_runs_and_the_accessor_give_the_same() -> None:
    frames = runs_of(4, 12)
    jobs = pd.concat(frames, ignore_index=True)
    for found in (rf.plan(jobs), jobs.retab.plan(), rf.plan(reversed(frames))):
        pd.testing.assert_frame_equal(found.noise, rf.plan(frames).noise)
        assert found.run_ids == ("run_00", "run_01", "run_02", "run_03")
    assert jobs.retab.plan(detect=0.3).detect == 0.3


def test_words_where_runs_do_not_shift() -> None:
    assert steady().summary().splitlines() == [
        "Plan from 6 runs of 30 documents",
        (
            "From run to run the duration of a document varies by about 16 % (95 % interval 14 % "
            "to 19 %), and whole runs are shifted by about 0 % (0 % to 6 %)."
        ),
        (
            "A slowdown of 10 % shows in about 8 of 10 cases with 1 run a side of 172 documents, "
            "or 2 runs a side of 86 documents, or 3 runs a side of 58 documents."
        ),
        (
            "With the 30 documents at hand, the smallest slowdown that probably shows is 17 % with "
            "1 run a side, and 12 % with 3 runs a side."
        ),
    ]


def test_words_where_runs_shift() -> None:
    found = rf.plan(runs_of(10, 100, between=0.05, seed=3))
    assert found.summary().splitlines() == [
        "Plan from 10 runs of 100 documents",
        (
            "From run to run the duration of a document varies by about 16 % (95 % interval 15 % "
            "to 17 %), and whole runs are shifted by about 6 % (4 % to 11 %)."
        ),
        (
            "A slowdown of 10 % probably does not show with 10 runs a side, however many documents "
            "there are: it takes more than 21 runs a side."
        ),
        (
            "With the 100 documents at hand, the smallest slowdown that probably shows is 32 % "
            "with 1 run a side, and 20 % with 3 runs a side; no number of documents shows less "
            "than 31 % with one run a side."
        ),
    ]
    assert found.detectable_ratio(math.inf, 21) > 1.1 > found.detectable_ratio(math.inf, 22)


def test_more_runs_of_as_many_documents_are_no_other_way() -> None:
    assert rf.plan(runs_of(6, 30), detect=2).summary().splitlines()[2] == (
        "A slowdown of 200 % shows in about 8 of 10 cases with 1 run a side of 6 documents."
    )


def test_two_runs_say_little() -> None:
    assert steady(2).summary().splitlines()[-1] == (
        "2 runs say little about how far runs lie apart: give 5 or more."
    )


def test_runs_without_documents_in_common_do_not_count() -> None:
    frames = runs_of(6, 12)
    for frame in frames[2:]:
        frame["document_id"] += frame["run_id"]
    found = rf.plan(frames)
    assert found.noise["runs"].tolist() == [2, 2]
    assert found.summary().splitlines()[-1].startswith("2 runs say little about")


def test_copies_are_no_evidence() -> None:
    frames = [run_jobs(np.arange(1, 9) * 1000.0, n) for n in range(5)]
    assert rf.plan(frames).summary().splitlines()[-1].startswith("Most documents took equally long")


def test_what_is_no_evidence_is_said() -> None:
    frames = runs_of(5, 12)
    frames[4].loc[[0, 1], "job_id"] = frames[0].loc[[0, 1], "job_id"].tolist()
    found = rf.plan(frames)
    assert found.reused == 2
    assert found.summary().splitlines()[-1] == (
        "2 jobs are of an earlier run, and no evidence: left out."
    )


def test_runs_that_have_not_ended_are_said() -> None:
    frames = runs_of(5, 12)
    frames[4].loc[[1, 4], "status"] = ["running", "queued"]
    found = rf.plan(frames)
    assert found.unfinished == 1
    assert found.summary().splitlines()[-1] == (
        "1 run has not ended: only the documents completed so far count."
    )


def test_runs_of_two_definitions_are_no_noise() -> None:
    contents = [
        run(
            *({"id": f"{n}/{d}", "duration_ms": 1000 + 7 * d * n} for d in range(8)),
            run_id=f"r{n}",
            definition_fingerprint="ab"[n % 2],
        )
        for n in range(5)
    ]
    found = rf.plan(contents)
    assert found.definitions == ("a", "b", "a", "b", "a")
    assert found.summary().splitlines()[-1] == (
        "The runs are of 2 definitions: what these differ by counts as noise here, so give runs of "
        "one, as are r0, r2, r4."
    )


def test_repr_and_tables() -> None:
    found = steady()
    assert repr(found) == "RunPlan(6 runs, 30 documents: log-sd 0.15 within runs, 0 between runs)"
    assert "<b>Plan from 6 runs of 30 documents</b>" in found._repr_html_()
    assert "| component | scatter |" in found.to_markdown()


@pytest.mark.parametrize(
    ("runs", "error", "message"),
    [
        ([], ValueError, "plan needs two runs of one definition or more, better five, not 0: how"),
        (runs_of(1, 9), ValueError, "not 1: .* run the experiment again as it is, and give both"),
        (runs_of(1, 9)[0], ValueError, "not 1: how much a document varies from run to run"),
        ([run_jobs([1, np.nan]), run_jobs([np.nan, 1], 1)], ValueError, "no two of the 2 runs"),
        ([run_jobs([1, 2]), never_run()], ValueError, "run 1 has no run id, it was never run"),
        (run({}), TypeError, "plan takes several runs; this is one"),
        (
            dd.from_pandas(runs_of(1, 3)[0], npartitions=1),
            TypeError,
            "plan takes a jobs frame, not DataFrame of dask; make it one of pandas: .compute",
        ),
    ],
)
def test_what_cannot_be_planned_from_is_refused(
    runs: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        rf.plan(runs)


def test_where_all_jobs_are_reused_it_says_so() -> None:
    first, second = runs_of(2, 3)
    second["job_id"] = first["job_id"]
    with pytest.raises(ValueError, match="in common; 3 jobs are of an earlier run: give runs of"):
        rf.plan([first, second])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"detect": 0.05}, "detect must be above the margin of 0.05, such as 0.1, not 0.05"),
        ({"detect": math.nan}, "detect must be above the margin"),
        ({"margin": -1}, "margin must be 0 or more"),
        ({"confidence": 1}, "confidence must be between 0 and 1"),
        ({"detect": "0.2"}, "detect must be above the margin of 0.05, such as 0.1, not '0.2'"),
        ({"margin": True}, "margin must be 0 or more, such as 0.05 for 5 %, not True"),
        ({"confidence": None}, "confidence must be between 0 and 1, not None"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rf.plan(runs_of(2, 6), **options)


def test_the_words_are_those_of_the_measure() -> None:
    summary = rf.plan(runs_of(3, 6), measure="elapsed").summary()

    assert "From run to run the time from start to end of a document varies by about" in summary


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0), (math.nan, 1)])
def test_sizes_are_checked(sizes: tuple[float, int]) -> None:
    with pytest.raises(ValueError, match="documents and runs_a_side must be 1 or more"):
        steady().detectable_ratio(*sizes)
