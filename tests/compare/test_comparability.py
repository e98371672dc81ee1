from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from factories import COMPLETED, SIDES, Outcome, data, ended, file, never_run, outcome_jobs, run
from hypothesis import given, settings, strategies as st

from retab_frames.compare.comparability import check_comparability, combine_results
from retab_frames.compare.documents import pair_documents
from retab_frames.compare.sides import make_side

if TYPE_CHECKING:
    import retab_frames as rf

RECORD: dict[str, Any] = {
    "status": "completed",
    "block_type": "extract",
    "definition_fingerprint": "d1",
    "documents_fingerprint": "set1",
    "block_version_id": "b1",
    "workflow_version_id": "w1",
    "n_consensus": 3,
}
FULL: dict[str, Any] = {"block_kind": "extract"}
ALL = [
    "documents",
    "block kind",
    "experiment",
    "definition",
    "block version",
    "workflow version",
    "votes",
    "ended",
    "placeholders",
    "jobs",
    "reuse",
    "inputs",
]


def checks(
    baseline: rf.RunContent | pd.DataFrame, candidate: rf.RunContent | pd.DataFrame
) -> pd.DataFrame:
    sides = make_side(baseline, "baseline"), make_side(candidate, "candidate")
    return check_comparability(*sides, pair_documents(*sides))


def row(found: pd.DataFrame, check: str) -> list[Any]:
    rows = found[found["check"] == check]
    assert len(rows) == 1
    return rows[["baseline", "candidate", "result", "reason"]].to_numpy(object).tolist()[0]


def results(found: pd.DataFrame) -> dict[str, str]:
    return dict(zip(found["check"], found["result"], strict=True))


def test_runs_that_agree_in_all_are_comparable() -> None:
    found = checks(run(FULL, FULL, **RECORD), run(FULL, FULL, run_id="s", **RECORD))

    assert found.astype(object).to_numpy().tolist() == [
        ["experiment", "exp", "exp", "yes", pd.NA],
        ["documents", "2", "2", "yes", pd.NA],
        ["block kind", "extract", "extract", "yes", pd.NA],
        ["definition", "d1", "d1", "yes", pd.NA],
        ["block version", "b1", "b1", "yes", pd.NA],
        ["workflow version", "w1", "w1", "yes", pd.NA],
        ["votes", "3", "3", "yes", pd.NA],
        ["ended", "completed", "completed", "yes", pd.NA],
        ["placeholders", "0", "0", "yes", pd.NA],
        ["jobs", "2", "2", "yes", pd.NA],
        ["reuse", pd.NA, "0 of 2", "yes", pd.NA],
        ["inputs", pd.NA, "0 changed", "yes", pd.NA],
    ]
    assert combine_results(found) == "yes"


def test_what_bare_frames_do_not_record_is_unknown_and_no_obstacle() -> None:
    columns = ["run_id", "job_id", "document_id", "status", "is_placeholder", "duration_ms"]
    found = checks(run({}).jobs[columns], run({}, run_id="s").jobs[columns])

    unknown = [*ALL[1:7], "inputs"]
    assert results(found) == {check: "unknown" if check in unknown else "yes" for check in ALL}
    assert found.loc[found["result"] == "unknown", "reason"].notna().all()
    assert combine_results(found) == "yes"


@pytest.mark.parametrize(
    ("change", "check", "values", "reason"),
    [
        (
            {"definition_fingerprint": "d2"},
            "definition",
            ["d1", "d2"],
            "the block was changed between the runs",
        ),
        (
            {"block_version_id": "b2"},
            "block version",
            ["b1", "b2"],
            "the runs are of two versions of the block",
        ),
        (
            {"workflow_version_id": "w2"},
            "workflow version",
            ["w1", "w2"],
            "the runs are of two versions of the workflow",
        ),
        (
            {"n_consensus": 5},
            "votes",
            ["3", "5"],
            "the runs take different numbers of votes for each document",
        ),
        (
            {"documents_fingerprint": "set2"},
            "documents",
            ["set1", "set2"],
            "the ids are the same, the fingerprints of the document sets differ",
        ),
        (
            {"status": "running"},
            "ended",
            ["completed", "running"],
            "the candidate had not ended when its record was read",
        ),
    ],
)
def test_a_difference_of_the_records_is_a_warning(
    change: dict[str, Any], check: str, values: list[str], reason: str
) -> None:
    found = checks(run(FULL, **RECORD), run(FULL, run_id="s", **RECORD | change))

    assert row(found, check) == [*values, "warning", reason]
    assert results(found) == {name: "warning" if name == check else "yes" for name in ALL}
    assert combine_results(found) == "warnings"


@pytest.mark.parametrize(
    ("absent", "check", "field"),
    [
        ("definition_fingerprint", "definition", "definition_fingerprint"),
        ("block_version_id", "block version", "block_version_id"),
        ("workflow_version_id", "workflow version", "workflow_version_id"),
        ("n_consensus", "votes", "n_consensus"),
    ],
)
def test_a_fact_of_one_side_only_is_unknown(absent: str, check: str, field: str) -> None:
    less = {name: value for name, value in RECORD.items() if name != absent}
    found = checks(run(FULL, **RECORD), run(FULL, run_id="s", **less))

    assert row(found, check)[1:] == [pd.NA, "unknown", f"a side has no {field}"]
    assert combine_results(found) == "yes"


def test_runs_of_two_experiments_are_a_warning() -> None:
    other = run({"experiment_id": "exp_2"}, run_id="s")

    assert row(checks(run({}), other.jobs), "experiment") == [
        "exp",
        "exp_2",
        "warning",
        "the runs are of two experiments",
    ]


@pytest.mark.parametrize(
    ("kinds", "told", "result"),
    [
        (("extract", "split"), ["extract", "split"], "no"),
        (("extract", "extract"), ["extract", "extract"], "yes"),
        (("extract", None), ["extract", pd.NA], "unknown"),
        ((None, None), [pd.NA, pd.NA], "unknown"),
    ],
)
def test_two_kinds_of_block_do_not_compare(
    kinds: tuple[str | None, str | None], told: list[Any], result: str
) -> None:
    before, after = (
        run({"block_kind": kind}, run_id=run_id) for kind, run_id in zip(kinds, "rs", strict=True)
    )
    found = checks(before, after)

    assert row(found, "block kind")[:3] == [*told, result]
    assert combine_results(found) == ("no" if result == "no" else "yes")


def test_the_kind_of_block_is_that_of_the_record_where_no_job_tells_it() -> None:
    found = checks(run({}, **RECORD), run({"block_kind": "split"}, run_id="s"))

    assert row(found, "block kind") == [
        "extract",
        "split",
        "no",
        "the runs are of two kinds of block",
    ]


def test_documents_of_one_side_are_a_warning() -> None:
    found = checks(run({}, {}, {}), run({}, {"document_id": "new"}, run_id="s"))

    reason = "1 added and 2 removed: only the common ones are compared"
    assert row(found, "documents") == ["3", "2", "warning", reason]
    assert row(checks(run({}), run({}, {}, run_id="s")), "documents")[3] == (
        "1 added: only the common ones are compared"
    )


@pytest.mark.parametrize(
    ("baseline", "candidate", "reason"),
    [
        (run({}), run({"document_id": "other"}, run_id="s"), "the runs have no document in common"),
        (run(), run({}, run_id="s"), "the runs have no document in common"),
        (run(), run(run_id="s"), "the runs have no document in common"),
        (
            ended("running", "completed"),
            ended("completed", "queued", run_id="s"),
            "no document was completed or failed in both runs",
        ),
        (
            ended("completed", "cancelled"),
            ended("skipped", "completed", run_id="s"),
            "no document was completed or failed in both runs",
        ),
        (run({}), never_run(), "no document was completed or failed in both runs"),
    ],
)
def test_without_a_document_to_compare_nothing_is(
    baseline: rf.RunContent, candidate: rf.RunContent, reason: str
) -> None:
    found = checks(baseline, candidate)

    assert row(found, "documents")[2:] == ["no", reason]
    assert combine_results(found) == "no"


@pytest.mark.parametrize(
    ("baseline", "candidate", "expected"),
    [
        (["completed"], ["error"], ["ended", "ended", "yes", pd.NA]),
        (
            ["completed", "completed"],
            ["completed", "running"],
            ["ended", "running", "warning", "1 of 2 documents of the candidate has not ended yet"],
        ),
        (
            ["completed", None],
            ["completed", "hibernating"],
            [
                "running",
                "running",
                "warning",
                (
                    "1 of 2 documents of the baseline has not ended yet; "
                    "1 of 2 documents of the candidate has not ended yet"
                ),
            ],
        ),
        (
            ["completed"],
            ["queued"],
            ["ended", "running", "no", "1 of 1 document of the candidate has not ended yet"],
        ),
    ],
)
def test_jobs_that_have_not_ended(
    baseline: list[str], candidate: list[str], expected: list[Any]
) -> None:
    found = checks(ended(*baseline).jobs, ended(*candidate, run_id="s").jobs)

    assert row(found, "ended") == expected


def test_runs_of_which_all_failed_compare() -> None:
    found = checks(ended("error", "error").jobs, ended("error", "cancelled", run_id="s").jobs)

    assert combine_results(found) == "yes"


def test_a_side_that_was_never_run_does_not_compare() -> None:
    found = checks(run({}, {}), never_run(2))

    assert row(found, "placeholders") == ["0", "2", "no", "a side was never run"]
    assert row(found, "ended")[:3] == ["ended", pd.NA, "unknown"]
    assert combine_results(found) == "no"


def test_placeholders_among_jobs_are_counted_once_per_document() -> None:
    blank = {"is_placeholder": True, "status": "pending", "duration_ms": None}
    found = checks(run({}, blank, blank, {}), run({}, {}, blank, blank, run_id="s"))

    reason = "3 documents were never run on a side: pending"
    assert row(found, "placeholders") == ["2", "2", "warning", reason]
    assert row(found, "ended")[2] == "yes"
    assert combine_results(found) == "warnings"


def test_jobs_that_are_not_there() -> None:
    assert row(checks(run(), run({}, run_id="s")), "jobs") == [
        "0",
        "1",
        "no",
        "a side has no jobs",
    ]
    short = replace(run({}), complete=False)
    assert row(checks(short, run({}, run_id="s")), "jobs") == [
        "1",
        "1",
        "warning",
        "a side is incomplete: its `issues` say why",
    ]


def test_the_same_run_on_both_sides_is_told() -> None:
    found = checks(run({}), run({}).jobs)

    assert row(found, "jobs") == ["1", "1", "warning", "both sides are the same run"]


@pytest.mark.parametrize(
    ("same", "others", "reason"),
    [
        (1, 0, "every document of both runs has the same job in both"),
        (1, 2, "1 of 3 documents has the same job in both"),
        (2, 1, "2 of 3 documents have the same job in both"),
    ],
)
def test_jobs_of_both_runs_are_a_warning(same: int, others: int, reason: str) -> None:
    jobs = [{"id": f"same_{n}"} for n in range(same)] + [{}] * others
    found = checks(run(*jobs), run(*jobs, run_id="s"))

    told = f"{reason}, which tells nothing of a change"
    assert row(found, "reuse") == [pd.NA, f"{same} of {same + others}", "warning", told]


def test_changed_inputs_are_counted() -> None:
    before = run(data(1), data(1), file(filename="x"))
    after = run(data(2), data(1), file(filename="y"), run_id="s")

    reason = "the inputs of 2 documents changed: differences may come from the inputs"
    assert row(checks(before, after), "inputs") == [pd.NA, "2 changed", "warning", reason]


def test_values_are_printable_and_short() -> None:
    hostile = {"definition_fingerprint": "\x1b[2J" + "x" * 500}
    found = checks(run(FULL, **RECORD | hostile), run(FULL, run_id="s", **RECORD))

    value = row(found, "definition")[0]
    assert value.startswith("\\x1b[2Jxxx")
    assert len(value) == 20


@settings(deadline=None, max_examples=15)
@given(SIDES, SIDES)
def test_swapping_the_sides_swaps_the_values_and_keeps_the_results(
    before: dict[str, Outcome], after: dict[str, Outcome]
) -> None:
    there = checks(outcome_jobs(before, "r"), outcome_jobs(after, "s"))
    back = checks(outcome_jobs(after, "s"), outcome_jobs(before, "r"))

    swapped = back.rename(columns={"baseline": "candidate", "candidate": "baseline"})
    # what is of both sides stands in the second column
    assert row(there, "reuse") == row(back, "reuse")
    there, swapped = (found[found["check"] != "reuse"] for found in (there, swapped))
    columns = ["check", "baseline", "candidate", "result"]
    pd.testing.assert_frame_equal(there[columns], swapped[columns])
    assert combine_results(there) == combine_results(back)
    reasons = there.loc[there["result"] == "yes", "reason"]
    assert reasons.isna().all()
    assert there.loc[there["result"] != "yes", "reason"].notna().all()


@settings(deadline=None, max_examples=15)
@given(SIDES, SIDES, st.dictionaries(st.sampled_from("xyz"), COMPLETED, min_size=1))
def test_unmatched_documents_change_only_the_report_of_them(
    before: dict[str, Outcome], after: dict[str, Outcome], more: dict[str, Outcome]
) -> None:
    alone = {**before, "common": Outcome("completed", 1)}
    other = {**after, "common": Outcome("completed", 1)}
    without = checks(outcome_jobs(alone, "r"), outcome_jobs(other, "s"))
    found = checks(outcome_jobs(alone | more, "r"), outcome_jobs(other, "s"))

    assert row(found, "documents")[2] == "warning"
    same = {name: result for name, result in results(found).items() if name != "documents"}
    assert same == {name: results(without)[name] for name in same}
