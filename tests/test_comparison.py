from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import retab_frames as rf


def run(*jobs: dict[str, Any], run_id: str = "r") -> rf.RunContent:
    """Return the content of a run of the given jobs, each with what it needs at least."""
    rows = [
        {
            "id": f"job_{n}",
            "run_id": run_id,
            "experiment_id": "exp",
            "document_id": f"doc_{n}",
            "status": "completed",
            "duration_ms": 1000,
            **job,
        }
        for n, job in enumerate(jobs)
    ]
    return rf.read_content({"experiment_id": "exp", "run_id": run_id, "content": {"jobs": rows}})


def change(baseline: dict[str, Any], candidate: dict[str, Any]) -> str:
    found = rf.compare_runs(run(baseline), run(candidate, run_id="s")).documents
    assert len(found) == 1
    return str(found["change"][0])


def file(**document: Any) -> dict[str, Any]:
    return {"handle_inputs": {"in": {"type": "file", "document": document}}}


def data(value: Any) -> dict[str, Any]:
    return {"handle_inputs": {"in": {"type": "json", "data": value}}}


def inputs_changed(baseline: dict[str, Any], candidate: dict[str, Any]) -> bool:
    found = rf.compare_runs(run(baseline), run(candidate, run_id="s")).documents
    return bool(found["inputs_changed"][0])


@pytest.mark.parametrize(
    ("baseline", "candidate", "expected"),
    [
        ("completed", "completed", "unchanged"),
        ("completed", "error", "broken"),
        ("completed", "cancelled", "broken"),
        ("completed", "skipped", "broken"),
        ("error", "completed", "fixed"),
        ("error", "cancelled", "still_failing"),
        ("completed", "running", "pending"),
        ("queued", "completed", "pending"),
        ("completed", "hibernating", "pending"),
        ("error", "pending", "pending"),
    ],
)
def test_change_follows_the_statuses(baseline: str, candidate: str, expected: str) -> None:
    assert change({"status": baseline}, {"status": candidate}) == expected


def test_a_placeholder_is_pending() -> None:
    assert change({}, {"is_placeholder": True}) == "pending"


def test_documents_of_one_side_are_added_and_removed() -> None:
    before = run({"document_id": "kept"}, {"document_id": "gone"})
    after = run({"document_id": "new"}, {"document_id": "kept"}, run_id="s")

    found = rf.compare_runs(before, after).documents

    assert found["document_id"].tolist() == ["kept", "gone", "new"]
    assert found["change"].tolist() == ["unchanged", "removed", "added"]
    assert found["baseline_status"].tolist() == ["completed", "completed", pd.NA]
    assert found["candidate_status"].tolist() == ["completed", pd.NA, "completed"]


def test_pairs_by_document_and_not_by_position() -> None:
    before = run({"document_id": "a", "duration_ms": 100}, {"document_id": "b", "duration_ms": 200})
    after = run(
        {"document_id": "b", "duration_ms": 300},
        {"document_id": "a", "duration_ms": 50},
        run_id="s",
    )

    found = rf.compare_runs(before, after).documents

    assert found["delta_ms"].tolist() == [-50, 100]
    assert found["ratio"].tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    ("baseline", "candidate"),
    [
        ({"duration_ms": None}, {}),
        ({}, {"duration_ms": None}),
        ({"status": "error"}, {}),
        ({}, {"status": "error"}),
    ],
)
def test_no_delta_unless_both_were_completed_and_measured(
    baseline: dict[str, Any], candidate: dict[str, Any]
) -> None:
    found = rf.compare_runs(run(baseline), run(candidate, run_id="s")).documents

    assert found["delta_ms"].isna().all()
    assert found["ratio"].isna().all()


def test_a_baseline_of_zero_has_a_delta_and_no_ratio() -> None:
    found = rf.compare_runs(run({"duration_ms": 0}), run({"duration_ms": 7}, run_id="s")).documents

    assert found["delta_ms"].tolist() == [7]
    assert found["ratio"].isna().all()


def test_the_final_attempt_of_a_document_counts() -> None:
    first = {"document_id": "d", "attempt": 1, "status": "completed", "duration_ms": 5}
    retried = {"document_id": "d", "attempt": 0, "status": "error", "duration_ms": 9}

    found = rf.compare_runs(run(first, retried), run({"document_id": "d"}, run_id="s")).documents

    assert found["baseline_status"].tolist() == ["completed"]
    assert found["baseline_duration_ms"].tolist() == [5]


def test_of_equal_attempts_the_one_completed_last_counts() -> None:
    late = {"document_id": "d", "duration_ms": 5, "completed_at": "2026-01-02T00:00:00Z"}
    early = {"document_id": "d", "duration_ms": 9, "completed_at": "2026-01-01T00:00:00Z"}

    found = rf.compare_runs(run(late, early), run({"document_id": "d"}, run_id="s")).documents

    assert found["baseline_duration_ms"].tolist() == [5]


@pytest.mark.parametrize(
    ("baseline", "candidate", "expected"),
    [
        (data({"a": 1, "b": 2}), data({"b": 2, "a": 1}), False),
        (data({"a": 1}), data({"a": 2}), True),
        (data({}), data(None), True),
        (data(None), {"handle_inputs": {"in": {"type": "json"}}}, True),
        (file(id="f1", filename="x.pdf"), file(id="f1", filename="renamed.pdf"), False),
        (file(id="f1", filename="x.pdf"), file(id="f2", filename="x.pdf"), True),
        (file(filename="x.pdf"), file(id="f2", filename="x.pdf"), False),
        (file(filename="x.pdf"), file(filename="y.pdf"), True),
        (file(filename="x.pdf"), {"handle_inputs": {}}, True),
        ({}, {}, False),
    ],
)
def test_inputs_are_compared_by_value(
    baseline: dict[str, Any],
    candidate: dict[str, Any],
    expected: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert inputs_changed(baseline, candidate) is expected


def test_inputs_beyond_the_columns_of_the_jobs_are_compared_too() -> None:
    many = {f"h{n}": {"type": "json", "data": n} for n in range(250)}
    other = many | {"h249": {"type": "json", "data": "changed"}}

    assert inputs_changed({"handle_inputs": many}, {"handle_inputs": other}) is True
    assert inputs_changed({"handle_inputs": many}, {"handle_inputs": many}) is False


def test_files_are_compared_by_content_where_the_api_tells_it() -> None:
    one, other = (file(filename="x.pdf", content_fingerprint=mark) for mark in ("f1", "f2"))
    moved = file(original_id="moved", filename="y.pdf", content_fingerprint="f1")

    assert inputs_changed(one, other) is True
    assert inputs_changed(one, moved) is False


def test_artifacts_are_compared_where_both_sides_have_one() -> None:
    artifact = [{"artifact": {"operation": "extraction", "id": id_}} for id_ in ("a", "b")]
    before = run(artifact[0], artifact[0], artifact[0])
    after = run(artifact[0], artifact[1], {}, run_id="s")

    found = rf.compare_runs(before, after).documents

    assert found["artifact_changed"].tolist() == [False, True, pd.NA]


def test_frames_and_contents_give_the_same() -> None:
    before, after = run({}, {"status": "error"}), run({"duration_ms": 500}, {}, run_id="s")

    by_content = rf.compare_runs(before, after)
    by_frame = rf.compare_runs(before.jobs, after.jobs)

    pd.testing.assert_frame_equal(by_content.documents, by_frame.documents)
    assert (by_frame.baseline_run_id, by_frame.candidate_run_id) == ("r", "s")


def test_swapping_the_sides_swaps_fixed_and_broken_and_negates_deltas() -> None:
    before = run({"duration_ms": 100}, {"status": "error"}, {}, {"status": "error"})
    after = run({"duration_ms": 400}, {}, {"status": "error"}, {"status": "error"}, run_id="s")

    there, back = rf.compare_runs(before, after), rf.compare_runs(after, before)

    assert there.changes["fixed"] == back.changes["broken"] == 1
    assert there.changes["broken"] == back.changes["fixed"] == 1
    assert there.documents["delta_ms"].dropna().tolist() == [300]
    assert back.documents["delta_ms"].dropna().tolist() == [-300]
    assert back.documents["ratio"].dropna().tolist() == [0.25]


def test_transitions_count_every_document_once() -> None:
    before = run({}, {"status": "error"}, {"status": "error"})
    after = run({}, {}, {}, {"document_id": "new"}, run_id="s")

    found = rf.compare_runs(before, after).transitions

    rows = sorted(map(str, found.itertuples(index=False, name=None)))
    assert rows == [
        "('completed', 'completed', 1)",
        "('error', 'completed', 2)",
        "(<NA>, 'completed', 1)",
    ]


def test_columns_are_arrow_backed_even_without_rows() -> None:
    found = rf.compare_runs(run(), run(run_id="s")).documents

    assert found.empty
    assert [dtype.pyarrow_dtype for dtype in found.dtypes] == [
        *[pa.string()] * 5,
        *[pa.int64()] * 3,
        pa.float64(),
        *[pa.bool_()] * 2,
    ]


def test_summary_says_it_in_words() -> None:
    before = run({"duration_ms": 1000}, {}, {"status": "error"})
    after = run({"duration_ms": 1300}, {"status": "error"}, {}, run_id="s")

    assert rf.compare_runs(before, after).summary() == (
        "s against r\n3 documents: 1 broken, 1 fixed, 1 unchanged.\n"
        "Median ratio of the 1 completed in both: 1.30 (30 % slower)."
    )


def test_a_side_of_several_runs_is_refused() -> None:
    several = pd.concat([run({}).jobs, run({}, run_id="s").jobs], ignore_index=True)

    with pytest.raises(ValueError, match=r"baseline holds 2 runs; .*jobs\.run_id == 'r'"):
        rf.compare_runs(several, run({}))


@pytest.mark.parametrize(
    ("side", "error", "message"),
    [
        (pd.DataFrame({"job_id": ["a"]}), ValueError, "candidate is no frame of jobs"),
        ("exprun_1", TypeError, "candidate must be a RunContent or a frame of jobs, not str"),
    ],
)
def test_what_is_no_run_is_refused(side: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        rf.compare_runs(run({}), side)


def test_a_frame_is_not_changed() -> None:
    jobs = run({}, {"status": "error"}).jobs
    before = jobs.copy(deep=True)

    rf.compare_runs(jobs, jobs)

    pd.testing.assert_frame_equal(jobs, before)
