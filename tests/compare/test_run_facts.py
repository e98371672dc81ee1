from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from factories import run

import retab_frames as rf
from retab_frames.schemas.frames import frame_of
from retab_frames.schemas.run_columns import join_runs

FIRST, SECOND = "2026-09-03T08:32:03Z", "2026-09-15T06:01:18Z"


def compared(before: dict[str, Any], after: dict[str, Any]) -> rf.RunComparison:
    """Return a comparison of two documents, with these fields in the run records."""
    return rf.compare_runs(
        run({}, {}, **{"status": "completed", **before}),
        run({}, {}, run_id="s", **{"status": "completed", **after}),
    )


def configured(before: Any, after: Any) -> rf.RunComparison:
    return compared({"block_config": before}, {"block_config": after})


def test_runs_has_the_record_and_the_counts_of_each_side() -> None:
    before = run({}, {}, {"status": "error"}, score=0.93, n_consensus=3, created_at=FIRST)
    after = run({}, {}, {"status": "error"}, run_id="s", score=0.9, n_consensus=3)

    found = rf.compare_runs(before, after).runs

    names = ["side", "run_id", "experiment_id", "n_consensus", "documents", "completed", "failed"]
    assert found[names].to_numpy().tolist() == [
        ["baseline", "r", "exp", 3, 3, 2, 1],
        ["candidate", "s", "exp", 3, 3, 2, 1],
    ]
    assert found["created_at"].fillna(pd.Timestamp(0, tz="UTC")).tolist() == [
        pd.Timestamp(FIRST),
        pd.Timestamp(0, tz="UTC"),
    ]
    assert found["score"].tolist() == [0.93, 0.9]
    assert found["score_delta"].tolist() == [pd.NA, -0.03]


def test_jobs_with_the_columns_of_their_run_say_what_the_record_says() -> None:
    sides = (
        run({}, {}, score=0.93, status="completed", created_at=FIRST, block_config={"a": 1}),
        run({}, {}, run_id="s", score=0.9, status="error", created_at=SECOND, block_config={}),
    )
    names = ["run_id", "job_id", "document_id", "status", "is_placeholder", "duration_ms"]
    frames = [
        frame_of(join_runs(pa.Table.from_pandas(side.jobs[names]), side.run_table))
        for side in sides
    ]

    of_frames, of_contents = rf.compare_runs(*frames), rf.compare_runs(*sides)

    told = of_contents.runs.drop(columns="experiment_id")
    pd.testing.assert_frame_equal(of_frames.runs.drop(columns="experiment_id"), told)
    assert of_frames.runs["status"].tolist() == ["completed", "error"]
    pd.testing.assert_frame_equal(of_frames.definition, of_contents.definition)


@pytest.mark.parametrize(
    ("before", "after", "statuses", "delta", "told"),
    [
        ({"score": 0.93}, {"score": 0.9}, "CC", -0.03, "Score: 0.93 -> 0.90 (-0.03)."),
        ({"score": 0.5}, {"score": 0.5001}, "CC", 0.0001, "Score: 0.50 -> 0.5001 (+0.0001)."),
        ({"score": 1}, {"score": 1.0}, "CC", 0, "Score: 1.00 -> 1.00 (+0)."),
        ({"score": 0.50001}, {"score": 0.5}, "CC", -1e-5, "Score: 0.50 -> 0.50 (+0)."),
        (
            {"score": 0.93},
            {"score": 0.9},
            "CE",
            None,
            (
                "Score: 0.93 -> 0.90, each of the documents that its run completed; these are not "
                "the same, so they are not subtracted."
            ),
        ),
        (
            {"score": 0.93, "n_consensus": 3},
            {"score": 0.9, "n_consensus": 5},
            "CC",
            None,
            "Score: 0.93 -> 0.90, of different numbers of votes, so they are not subtracted.",
        ),
        ({"score": 0.93}, {"score": None}, "CC", None, "Score: 0.93 -> unknown."),
        ({}, {}, "CC", None, ""),
    ],
)
def test_scores_are_subtracted_where_they_are_of_the_same(
    before: dict[str, Any],
    after: dict[str, Any],
    statuses: str,
    delta: float | None,
    told: str,
) -> None:
    jobs = [{"status": {"C": "completed", "E": "error"}[one]} for one in statuses]
    found = rf.compare_runs(
        run({}, {}, status="completed", **before),
        run(*jobs, run_id="s", status="completed", **after),
    )

    assert found.runs["score_delta"].tolist() == [pd.NA, pd.NA if delta is None else delta]
    assert [line for line in found.summary().splitlines() if "Score" in line] == [told][: len(told)]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (FIRST, SECOND, "Run of 2026-09-15 06:01 UTC, the baseline of 2026-09-03 08:32 UTC."),
        (
            SECOND,
            FIRST,
            (
                "Run of 2026-09-03 08:32 UTC, the baseline of 2026-09-15 06:01 UTC: the baseline "
                "is the later one."
            ),
        ),
        (None, FIRST, "Run of 2026-09-03 08:32 UTC, the baseline of unknown date."),
        (None, None, ""),
    ],
)
def test_the_dates_of_both_runs(before: str | None, after: str | None, told: str) -> None:
    found = compared({"created_at": before}, {"created_at": after}).summary()

    assert [line for line in found.splitlines() if "Run of" in line] == [told][: len(told)]


@pytest.mark.parametrize(
    ("before", "after", "rows"),
    [
        ({"model": "a"}, {"model": "a"}, []),
        ({"model": "a"}, {"model": "b"}, [["model", "a", "b"]]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({"n": 1}, {"n": "1"}, [["n", "1", '"1"']]),
        ({"old": None}, {"new": True}, [["old", "null", None], ["new", None, "true"]]),
        (
            {"schema": {"total": {"type": "string"}, "list": [1, {"x": 2}]}},
            {"schema": {"total": {"type": "number"}, "list": [1, {"x": 3}, 4]}},
            [
                ["schema.total.type", "string", "number"],
                ["schema.list.1.x", "2", "3"],
                ["schema.list.2", None, "4"],
            ],
        ),
        ({"a.b": 1, "": 2}, {"a.b": 2, "": 3}, [['"a.b"', "1", "2"], ['""', "2", "3"]]),
        ({"a": {}}, {"a": []}, [["a", "{}", "[]"]]),
        ({"a": {}}, {"a": {"b": 1}}, [["a", "{}", None], ["a.b", None, "1"]]),
        ({"note": "Société"}, {"note": "two\nlines"}, [["note", "Société", "two\nlines"]]),
    ],
)
def test_the_definition_is_compared_key_by_key(before: Any, after: Any, rows: list[Any]) -> None:
    found = configured(before, after).definition

    assert list(found.columns) == ["path", "baseline", "candidate"]
    assert [[None if x is pd.NA else x for x in row] for row in found.to_numpy().tolist()] == rows


def test_a_definition_of_only_one_side_is_no_difference() -> None:
    found = compared({"block_config": {"a": 1}}, {})

    assert found.definition.empty
    assert "definition:" not in found.summary()


def test_a_configuration_as_deep_as_json_goes_is_compared() -> None:
    deep = json.loads("[" * 900 + "1" + "]" * 900)

    found = configured({"a": deep}, {"a": 2}).definition

    assert found["path"].tolist() == ["a" + ".0" * 900, "a"]


def test_the_summary_says_what_changed_in_the_definition() -> None:
    before = {"model": "gpt-4", "prompt": "x" * 50, "seed": 1, "z": 0}
    after = {"model": "gpt-5", "prompt": "y", "votes": 3, "z": 1}
    found = configured(before, after).summary()

    assert (
        f"Changed in the definition: model: gpt-4 -> gpt-5; prompt: {'x' * 39}… -> y; "
        "seed removed (1); and 2 more." in found.splitlines()
    )
    markdown = configured(before, after).to_markdown()
    assert "### What changed in the definition\n" in markdown
    assert "| votes | - | 3 |" in markdown


def test_the_messages_of_what_broke_by_template() -> None:
    def failed(message: str | None) -> dict[str, Any]:
        return {"status": "error", "error": {"message": message} if message else None}

    before = run({}, {}, {}, {}, failed("Old trouble"))
    after = run(
        failed("Timed out after 31 s"),
        failed("Timed out after 7 s"),
        failed("No text on page 3"),
        {},
        failed("Old trouble"),
        run_id="s",
    )
    found = rf.compare_runs(before, after)

    names = ["template", "documents", "example_document_id", "example_job_id", "example_message"]
    assert found.broken_messages[names].to_numpy().tolist() == [
        ["Timed out after <n> s", 2, "doc_0", "s/job_0", "Timed out after 31 s"],
        ["No text on page <n>", 1, "doc_2", "s/job_2", "No text on page 3"],
    ]
    assert (
        "Why they broke: Timed out after <n> s (2 documents); No text on page <n> (1 document)."
        in found.summary().splitlines()
    )
    assert "### Why documents broke\n" in found.to_markdown()


def test_documents_that_broke_without_a_message_have_no_sentence() -> None:
    found = rf.compare_runs(run({}), run({"status": "error"}, run_id="s"))

    assert found.broken_messages["template"].tolist() == ["(no message)"]
    assert "Why they broke" not in found.summary()


def test_documents_of_equal_names_are_told_apart_everywhere() -> None:
    def named(document_id: str, **fields: Any) -> dict[str, Any]:
        document = {"filename": "invoice.pdf"}
        inputs = {"in": {"type": "file", "document": document}}
        return {"document_id": document_id, "handle_inputs": inputs, **fields}

    before = run(*(named(f"doc_{n}", duration_ms=100) for n in range(3)))
    after = run(
        named("doc_0", status="error"),
        named("doc_1", duration_ms=900),
        named("doc_2", duration_ms=100),
        run_id="s",
    )
    comparison = rf.compare_runs(before, after)

    # one mover, whose name is not its own among all documents
    assert "slowed by more than half, none sped up as much (p = 1): invoice.pdf (doc_1)." in (
        comparison.summary()
    )
    checks = rf.check_regression(comparison, max_broken=0)
    assert checks["reason"].tolist() == ["invoice.pdf (doc_0)"]


def test_a_comparison_as_plain_values() -> None:
    before = run({}, {}, {"duration_ms": 0}, created_at=FIRST, score=0.9, block_config={"m": 1})
    after = run(
        {"status": "error", "error": {"message": "No text"}},
        {"duration_ms": 2000},
        {"duration_ms": 5},
        run_id="s",
        created_at=SECOND,
        block_config={"m": 2},
    )
    comparison = rf.compare_runs(before, after)
    told = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))

    speed = comparison.speed.iloc[0]
    assert told["verdict"] == comparison.verdict
    assert told["ratio"] == speed["ratio"]
    assert told["interval"] == {
        "low": speed["ratio_low"],
        "high": speed["ratio_high"],
        "confidence": 0.95,
        "method": "student_t",
    }
    assert told["score"] == {"baseline": 0.9, "candidate": None, "delta": None}
    assert [told[side]["created_at"] for side in ("baseline", "candidate")] == [
        "2026-09-03T08:32:03.000000+00:00",
        "2026-09-15T06:01:18.000000+00:00",
    ]
    failures = told["failures"]
    assert [failures[side]["failed"] for side in ("baseline", "candidate")] == [0, 1]
    assert [row["template"] for row in failures["messages"]] == ["No text"]
    assert failures["p_value"] == 1
    assert told["comparability"]["comparable"] == comparison.comparable
    assert told["comparability"]["checks"][0]["check"] == "experiment"
    assert told["definition"] == [{"path": "m", "baseline": "1", "candidate": "2"}]
    assert told["gate"] is None
    assert told["changes"] == comparison.changes
    assert told["summary"] == comparison.summary().splitlines()
    assert [row["document_id"] for row in told["documents"]] == ["doc_0", "doc_1", "doc_2"]
    assert told["documents"][2]["ratio"] is None
    # JSON has no infinity: the end is open
    assert told["speed"]["composite_high"] is None
