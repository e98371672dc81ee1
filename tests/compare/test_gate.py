from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from factories import SIDES, Outcome, ended, file, never_run, outcome_jobs, run, timed
from hypothesis import given, settings

import retab_frames as rf
from retab_frames.compare.gate import check_regression
from retab_frames.errors import GateError, InconclusiveError, RegressionError

if TYPE_CHECKING:
    from retab_frames import Client


def gate(
    comparison: rf.RunComparison,
    max_broken: Any = 0,
    max_slowdown: float | None = None,
) -> list[list[Any]]:
    checks = check_regression(comparison, max_broken=max_broken, max_slowdown=max_slowdown)
    names = ["check", "found", "allowed", "outcome", "reason"]
    assert list(checks.columns) == [*names, "sentence"]
    return checks[names].astype(object).to_numpy().tolist()


def of_statuses(before: list[str], after: list[str]) -> rf.RunComparison:
    return rf.compare_runs(ended(*before), ended(*after, run_id="s"))


def of_times(before: list[int], after: list[int]) -> rf.RunComparison:
    return rf.compare_runs(timed(*before), timed(*after, run_id="s"))


OK, BAD = "completed", "error"


@pytest.mark.parametrize(
    ("before", "after", "allowed", "expected"),
    [
        ([OK, OK], [OK, OK], 0, ["0", "0", "pass", pd.NA]),
        ([BAD, OK], [OK, OK], 0, ["0", "0", "pass", pd.NA]),
        ([BAD, OK], [BAD, OK], 0, ["0", "0", "pass", pd.NA]),
        ([OK, OK], [BAD, OK], 1, ["1", "1", "pass", pd.NA]),
        ([OK, OK], [BAD, OK], 0, ["1", "0", "regression", "doc_0"]),
        ([OK] * 5, [BAD] * 4 + [OK], 3, ["4", "3", "regression", "doc_0, doc_1, doc_2, doc_3"]),
        (
            [OK, OK],
            ["running", OK],
            0,
            ["0", "0", "missing", "1 document pending, cancelled or removed could be broken"],
        ),
        ([OK, OK], ["running", OK], 1, ["0", "1", "pass", pd.NA]),
        (
            [OK] * 4,
            [BAD, "queued", OK],
            2,
            ["1", "2", "missing", "2 documents pending, cancelled or removed could be broken"],
        ),
        (
            ["running", OK],
            [BAD, OK],
            0,
            ["0", "0", "missing", "1 document pending, cancelled or removed could be broken"],
        ),
        (
            [OK, OK, OK],
            ["cancelled", "skipped", OK],
            1,
            ["0", "1", "missing", "2 documents pending, cancelled or removed could be broken"],
        ),
        (["cancelled", OK], [OK, OK], 0, ["0", "0", "pass", pd.NA]),
        (["running", OK], [OK, OK], 0, ["0", "0", "pass", pd.NA]),
        ([BAD, OK], ["running", OK], 0, ["0", "0", "pass", pd.NA]),
        ([OK], [OK, BAD], 0, ["0", "0", "pass", pd.NA]),
    ],
)
def test_broken_documents(
    before: list[str], after: list[str], allowed: int, expected: list[Any]
) -> None:
    assert gate(of_statuses(before, after), allowed) == [["broken", *expected]]


@pytest.mark.parametrize(
    ("before", "after", "found", "outcome", "reason"),
    [
        ([OK] * 9, [OK] * 9, "0, 0 fixed (one-sided p = 1)", "pass", pd.NA),
        ([BAD] * 9, [OK] * 9, "0, 9 fixed (one-sided p = 1)", "pass", pd.NA),
        (
            [OK] * 9,
            [BAD] * 4 + [OK] * 5,
            "4, 0 fixed (one-sided p = 0.062)",
            "inconclusive",
            "this can be chance; run again: doc_0, doc_1, doc_2, doc_3",
        ),
        (
            [OK] * 9,
            [BAD] * 5 + [OK] * 4,
            "5, 0 fixed (one-sided p = 0.031)",
            "regression",
            "doc_0, doc_1, doc_2, doc_3, doc_4",
        ),
        (
            [OK] * 7 + [BAD],
            [BAD] * 7 + [OK],
            "7, 1 fixed (one-sided p = 0.035)",
            "regression",
            "doc_0, doc_1, doc_2, doc_3, doc_4 and 2 more",
        ),
        (
            [OK] * 6 + [BAD] * 2,
            [BAD] * 6 + [OK] * 2,
            "6, 2 fixed (one-sided p = 0.14)",
            "inconclusive",
            "this can be chance; run again: doc_0, doc_1, doc_2, doc_3, doc_4 and 1 more",
        ),
        (
            [OK] * 9,
            [BAD] * 5 + ["running"] * 4,
            "5, 0 fixed (one-sided p = 0.031)",
            "regression",
            "doc_0, doc_1, doc_2, doc_3, doc_4",
        ),
        (
            [OK] * 9,
            [BAD, "cancelled", *[OK] * 7],
            "1, 0 fixed (one-sided p = 0.5)",
            "missing",
            "1 document pending, cancelled or removed could be broken",
        ),
    ],
)
def test_more_documents_broke_than_chance_explains(
    before: list[str], after: list[str], found: str, outcome: str, reason: Any
) -> None:
    assert gate(of_statuses(before, after), "chance") == [
        ["broken", found, "chance", outcome, reason]
    ]


def test_the_level_of_chance_is_that_of_the_comparison() -> None:
    sides = ended(*[OK] * 9), ended(*[BAD] * 4, *[OK] * 5, run_id="s")

    for confidence, outcome in ((0.9, "regression"), (0.95, "inconclusive")):
        comparison = rf.compare_runs(*sides, confidence=confidence)
        assert gate(comparison, "chance")[0][3] == outcome


@pytest.mark.parametrize(
    ("before", "after", "allowed", "expected"),
    [
        ([100] * 6, [105] * 6, 0.1, ["x 1.05 (1.05 to 1.05)", "x 1.1", "pass", pd.NA]),
        (
            [100] * 6,
            [120] * 6,
            0.1,
            ["x 1.2 (1.2 to 1.2)", "x 1.1", "regression", "the interval is above the limit"],
        ),
        (
            [100, 100],
            [100, 121],
            0.1,
            [
                "x 1.1 (0.3277 to 3.693)",
                "x 1.1",
                "inconclusive",
                "the limit is within the interval: more documents or runs make it narrower",
            ],
        ),
        (
            [100],
            [100],
            0.1,
            [
                "-",
                "x 1.1",
                "missing",
                "1 document completed in both by jobs of their own, which have no interval",
            ],
        ),
        ([100] * 6, [80] * 6, 0.005, ["x 0.8 (0.8 to 0.8)", "x 1.005", "pass", pd.NA]),
    ],
)
def test_slowdown(before: list[int], after: list[int], allowed: float, expected: list[Any]) -> None:
    assert gate(of_times(before, after), None, allowed) == [["slowdown", *expected]]


def test_reused_jobs_are_no_evidence_at_the_gate() -> None:
    jobs = [{"id": f"job_{n}"} for n in range(12)]
    comparison = rf.compare_runs(run(*jobs), run(*jobs, run_id="s"))

    found = gate(comparison, None, 0.05)
    reason = "0 documents completed in both by jobs of their own, which have no interval"
    assert found == [["slowdown", "-", "x 1.05", "missing", reason]]


def test_both_limits_are_two_rows() -> None:
    checks = gate(of_times([100] * 6, [200] * 6), 0, 0.1)

    assert [row[0] for row in checks] == ["broken", "slowdown"]
    assert [row[3] for row in checks] == ["pass", "regression"]


def test_runs_that_do_not_compare_are_judged_no_further() -> None:
    blocks = [{"block_kind": "extract"}], [{"block_kind": "split", "status": "error"}]
    comparison = rf.compare_runs(run(*blocks[0]), run(*blocks[1], run_id="s"))

    assert comparison.changes["broken"] == 1
    assert gate(comparison) == [
        ["comparable", "no", "yes", "missing", "the runs are of two kinds of block"]
    ]
    with pytest.raises(InconclusiveError):
        rf.assert_no_regression(comparison)
    with pytest.raises(InconclusiveError, match="a side was never run"):
        rf.assert_no_regression(rf.compare_runs(run({}), never_run()))


def test_a_pass_is_silent() -> None:
    rf.assert_no_regression(of_times([100] * 6, [100] * 6), max_slowdown=0.05)


def test_an_inconclusive_check_is_a_warning_and_an_error_if_strict() -> None:
    comparison = of_statuses([OK] * 4, [BAD] + [OK] * 3)

    told = (
        "the gate is inconclusive. 1 document broke and 0 were fixed, which can be chance "
        "\\(one-sided p = 0.5\\); run again: doc_0."
    )
    with pytest.warns(rf.RetabFramesWarning, match=told) as caught:
        rf.assert_no_regression(comparison)
    assert caught[0].filename == __file__
    with pytest.raises(InconclusiveError, match="this can be chance") as raised:
        rf.assert_no_regression(comparison, strict=True)
    assert raised.value.checks["outcome"].tolist() == ["inconclusive"]


def test_a_regression_comes_before_what_is_missing() -> None:
    comparison = of_statuses([OK] * 3, [BAD, OK, OK])

    with pytest.raises(RegressionError) as caught:
        rf.assert_no_regression(comparison, max_broken=0, max_slowdown=0.1)
    assert caught.value.checks["outcome"].tolist() == ["regression", "missing"]


def test_a_regression_is_an_assertion_with_its_table() -> None:
    with pytest.raises(RegressionError) as caught:
        rf.assert_no_regression(of_statuses([OK, OK], [BAD, OK]), max_broken=0, max_slowdown=0.1)

    error = caught.value
    assert isinstance(error, AssertionError)
    assert isinstance(error, GateError)
    assert isinstance(error, rf.RetabFramesError)
    assert error.checks["outcome"].tolist() == ["regression", "missing"]
    lines = str(error).splitlines()
    assert lines[0] == "s against r"
    assert "2 documents: 1 broken, 1 unchanged." in lines
    assert lines[-4].split() == ["check", "found", "allowed", "outcome", "reason"]
    assert lines[-2].split() == ["broken", "1", "0", "regression", "doc_0"]
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(again) is RegressionError
    assert str(again) == str(error)
    pd.testing.assert_frame_equal(again.checks, error.checks)


def test_what_cannot_be_told_is_no_regression() -> None:
    with pytest.raises(InconclusiveError) as caught:
        rf.assert_no_regression(of_statuses([OK, OK], [OK, "running"]))

    assert isinstance(caught.value, AssertionError)
    assert not isinstance(caught.value, RegressionError)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_broken": None}, "the gate has no limit"),
        (
            {"max_broken": "some"},
            "max_broken must be a whole number, \"chance\" or None, not 'some'",
        ),
        ({"max_broken": -1}, "max_broken must be 0 or more, not -1"),
        ({"max_broken": True}, "max_broken must be a whole number"),
        ({"max_broken": 2.5}, "max_broken must be a whole number"),
        ({"max_broken": pd.NA}, "max_broken must be a whole number"),
        ({"max_slowdown": True}, "max_slowdown must be 0 or more, not True"),
        ({"max_slowdown": "0.1"}, "max_slowdown must be 0 or more, not '0.1'"),
        ({"max_slowdown": -0.1}, "max_slowdown must be 0 or more, not -0.1"),
        ({"max_slowdown": float("nan")}, "max_slowdown must be 0 or more, not nan"),
    ],
)
def test_odd_limits_are_refused(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rf.assert_no_regression(of_statuses([OK], [OK]), **limits)


def test_the_gate_takes_comparisons_of_two_runs() -> None:
    many = rf.compare_many([run({}), run({}, run_id="s")])

    with pytest.raises(TypeError, match="takes the result of compare_runs, not ManyComparison"):
        rf.assert_no_regression(many)  # type: ignore[arg-type]


def test_the_message_is_printable() -> None:
    job = file(filename="\x1b[2J\u202e.pdf")
    comparison = rf.compare_runs(run(job), run({**job, "status": "error"}, run_id="s"))

    with pytest.raises(RegressionError, match=r"\\x1b\[2J\\u202e\.pdf") as caught:
        rf.assert_no_regression(comparison, max_broken=0)
    assert "\x1b" not in str(caught.value)


def test_runs_of_the_api_at_the_gate(client: Client) -> None:
    first, slow, broken, running = (
        rf.load_content("wf_sandbox", "exp_invoices", run_id=f"exprun_invoices_{n}", client=client)
        for n in (2, 3, 4, 5)
    )

    with pytest.raises(RegressionError, match="slowdown"):
        rf.assert_no_regression(rf.compare_runs(first, slow), max_slowdown=0.05)
    with pytest.raises(RegressionError, match="broken"):
        rf.assert_no_regression(rf.compare_runs(first, broken), max_broken=0)
    with pytest.raises(InconclusiveError, match="9 documents pending, cancelled or removed"):
        rf.assert_no_regression(rf.compare_runs(first, running))
    rf.assert_no_regression(rf.compare_runs(first, slow))


@settings(deadline=None, max_examples=20)
@given(SIDES, SIDES)
def test_gate_and_verdict_come_from_the_same_rows(
    before: dict[str, Outcome], after: dict[str, Outcome]
) -> None:
    """Law: at the margin of the comparison, a regression of speed is the verdict `slower`."""
    comparison = rf.compare_runs(outcome_jobs(before, "r"), outcome_jobs(after, "s"))
    outcomes = {row[0]: row[3] for row in gate(comparison, 0, comparison.margin)}

    if comparison.comparable == "no":
        assert outcomes == {"comparable": "missing"}
        return
    assert (outcomes["slowdown"] == "missing") == (comparison.ratio.interval == "none")
    assert (outcomes["slowdown"] == "regression") == (comparison.verdict == "slower")
    if comparison.verdict in ("faster", "equivalent"):
        assert outcomes["slowdown"] == "pass"
    assert (outcomes["broken"] == "regression") == (comparison.changes["broken"] > 0)


OF_CHANCE = {"max_broken": "chance"}


@pytest.mark.parametrize(
    ("comparison", "limits", "outcome", "sentence"),
    [
        (of_statuses([OK], [OK]), {"max_broken": 0}, "pass", "No document broke, 0 are allowed."),
        (of_statuses([OK], [OK]), OF_CHANCE, "pass", "No document broke."),
        (
            of_statuses([OK, OK], [BAD, OK]),
            {"max_broken": 1},
            "pass",
            "1 document broke, 1 is allowed.",
        ),
        (
            of_statuses([OK, OK], [BAD, BAD]),
            {"max_broken": 1},
            "fail",
            "2 documents broke, 1 is allowed: doc_0, doc_1.",
        ),
        (
            of_statuses([OK], ["running"]),
            {"max_broken": 0},
            "inconclusive",
            (
                "The runs cannot be compared: no document was completed or failed in both runs; "
                "1 of 1 document of the candidate has not ended yet."
            ),
        ),
        (
            of_statuses([OK, OK], [OK, "running"]),
            OF_CHANCE,
            "inconclusive",
            (
                "No document broke and 0 were fixed; 1 document pending, cancelled or removed "
                "could be broken."
            ),
        ),
        (
            of_statuses([OK] * 5, [BAD] * 5),
            OF_CHANCE,
            "fail",
            (
                "5 documents broke and 0 were fixed, more than chance explains (one-sided p = "
                "0.031): doc_0, doc_1, doc_2, doc_3, doc_4."
            ),
        ),
        (
            of_times([100] * 8, [200] * 8),
            {**OF_CHANCE, "max_slowdown": 0.05},
            "fail",
            (
                "A typical document takes x 2 (2 to 2) as long, above the limit of x 1.05. "
                "No document broke."
            ),
        ),
        (
            of_times([100] * 8, [100] * 8),
            {"max_broken": None, "max_slowdown": 0.05},
            "pass",
            "A typical document takes x 1 (1 to 1) as long, below the limit of x 1.05.",
        ),
        (
            of_times([100], [100]),
            {"max_broken": None, "max_slowdown": 0.05},
            "inconclusive",
            (
                "Whether it is slower cannot be told: 1 document completed in both by jobs of "
                "their own, which have no interval."
            ),
        ),
    ],
)
def test_the_markdown_begins_with_the_outcome_and_why(
    comparison: rf.RunComparison, limits: dict[str, Any], outcome: str, sentence: str
) -> None:
    checks = check_regression(comparison, **limits)

    gate = comparison.to_dict(checks=checks)["gate"]
    assert gate["outcome"] == outcome
    assert gate["reason"] == sentence
    assert gate["checks"][0]["check"] in {"broken", "slowdown", "comparable"}
    first = comparison.to_markdown(checks=checks).splitlines()[0]
    assert first.replace("\\", "") == f"**{outcome.capitalize()}**: {sentence}"
    assert comparison.to_dict()["gate"] is None
