from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest
from factories import OUTCOMES, PLACEHOLDER, SIDES, Outcome, ended, file, outcome_jobs, run, timed
from hypothesis import given, settings, strategies as st

from retab_frames.compare.documents import CHANGES, count_transitions, sort_by_change

from .pairs import paired

if TYPE_CHECKING:
    import retab_frames as rf


def change(baseline: dict[str, Any], candidate: dict[str, Any]) -> str:
    found = paired(run(baseline), run(candidate, run_id="s"))
    assert len(found) == 1
    return str(found["change"][0])


@pytest.mark.parametrize(
    ("baseline", "candidate", "expected"),
    [
        ("completed", "completed", "unchanged"),
        ("completed", "error", "broken"),
        ("completed", "cancelled", "cancelled"),
        ("completed", "skipped", "cancelled"),
        ("skipped", "completed", "cancelled"),
        ("cancelled", "error", "cancelled"),
        ("cancelled", "skipped", "cancelled"),
        ("cancelled", "running", "pending"),
        ("error", "completed", "fixed"),
        ("error", "cancelled", "cancelled"),
        ("error", "error", "still_failing"),
        ("completed", "running", "pending"),
        ("queued", "completed", "pending"),
        ("completed", "hibernating", "pending"),
        ("completed", None, "pending"),
        (None, "error", "pending"),
        ("error", "pending", "pending"),
    ],
)
def test_change_follows_the_statuses(
    baseline: str | None, candidate: str | None, expected: str
) -> None:
    assert change({"status": baseline}, {"status": candidate}) == expected


def test_a_placeholder_is_pending() -> None:
    assert change({}, {"is_placeholder": True}) == "pending"
    assert change({"is_placeholder": True, "status": "error"}, {"status": "error"}) == "pending"


def test_documents_of_one_side_are_added_and_removed() -> None:
    before = run({"document_id": "kept"}, {"document_id": "gone"})
    after = run({"document_id": "new"}, {"document_id": "kept"}, run_id="s")

    found = paired(before, after)

    assert found["document_id"].tolist() == ["kept", "gone", "new"]
    assert found["change"].tolist() == ["unchanged", "removed", "added"]
    assert found["baseline_status"].tolist() == ["completed", "completed", pd.NA]
    assert found["candidate_status"].tolist() == ["completed", pd.NA, "completed"]
    assert found["baseline_duration_ms"].tolist() == [1000, 1000, pd.NA]
    assert found["candidate_duration_ms"].tolist() == [1000, pd.NA, 1000]
    assert found["inputs_changed"].tolist() == [False, pd.NA, pd.NA]


def test_pairs_by_document_and_not_by_position() -> None:
    before = run({"document_id": "a", "duration_ms": 100}, {"document_id": "b", "duration_ms": 200})
    after = run(
        {"document_id": "b", "duration_ms": 300},
        {"document_id": "a", "duration_ms": 50},
        run_id="s",
    )

    found = paired(before, after)

    assert found["delta_ms"].tolist() == [-50, 100]
    assert found["ratio"].tolist() == [0.5, 1.5]


def test_the_filename_is_the_candidates_where_it_has_one() -> None:
    before = run(file(filename="old.pdf"), file(filename="kept.pdf"))
    after = run(file(filename="new.pdf"), {}, file(filename="added.pdf"), run_id="s")

    assert paired(before, after)["filename"].tolist() == ["new.pdf", "kept.pdf", "added.pdf"]


@pytest.mark.parametrize(
    ("baseline", "candidate"),
    [
        ({"duration_ms": None}, {}),
        ({}, {"duration_ms": None}),
        ({"status": "error"}, {}),
        ({}, {"status": "error"}),
        ({}, {"is_placeholder": True}),
    ],
)
def test_no_delta_unless_both_were_completed_and_measured(
    baseline: dict[str, Any], candidate: dict[str, Any]
) -> None:
    found = paired(run(baseline), run(candidate, run_id="s"))

    assert found["delta_ms"].isna().all()
    assert found["ratio"].isna().all()


@pytest.mark.parametrize(
    ("before", "after", "delta", "ratio"),
    [
        (0, 7, 7, pd.NA),
        (7, 0, -7, 0.0),
        (0, 0, 0, pd.NA),
        (1, 2**63 - 1, 2**63 - 2, float(2**63)),
        (2**60, 2**60 + 1, 1, 1.0),
    ],
)
def test_durations_of_zero_and_huge_ones(before: int, after: int, delta: int, ratio: Any) -> None:
    found = paired(timed(before), timed(after, run_id="s"))

    assert found["delta_ms"].tolist() == [delta]
    assert found["ratio"].tolist() == [ratio]


def test_artifacts_are_compared_where_both_sides_have_one() -> None:
    artifact = [{"artifact": {"operation": "extraction", "id": id_}} for id_ in ("a", "b")]
    before = run(artifact[0], artifact[0], artifact[0])
    after = run(artifact[0], artifact[1], {}, run_id="s")

    assert paired(before, after)["artifact_changed"].tolist() == [False, True, pd.NA]


TIMES = {"started_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:00:01Z"}
LATER = {"started_at": "2026-01-02T00:00:00Z", "completed_at": "2026-01-02T00:00:01Z"}


@pytest.mark.parametrize(
    ("baseline", "candidate", "expected"),
    [
        ({"id": "a"}, {"id": "a"}, True),
        ({"id": "a"}, {"id": "b"}, False),
        ({"artifact": {"id": "x"}}, {"artifact": {"id": "x"}}, True),
        ({"artifact": {"id": "x"}}, {"artifact": {"id": "y"}}, False),
        ({"artifact": {"id": "x"}}, {}, False),
        (TIMES, TIMES, True),
        (TIMES, LATER, False),
        (TIMES, TIMES | {"completed_at": LATER["completed_at"]}, False),
        (TIMES, TIMES | {"started_at": "2025-12-31T00:00:00Z"}, False),
        ({"started_at": TIMES["started_at"]}, {"started_at": TIMES["started_at"]}, False),
        ({"id": "a", "status": "error"}, {"id": "a", "status": "error"}, True),
        ({}, {"document_id": "other"}, pd.NA),
    ],
)
def test_a_job_on_both_sides_has_the_same_id_artifact_or_times(
    baseline: dict[str, Any], candidate: dict[str, Any], expected: Any
) -> None:
    found = paired(run(baseline), run(candidate, run_id="s"))

    assert found["same_job"][0] is expected or found["same_job"][0] == expected


def test_attempts_of_both_sides() -> None:
    found = paired(run({"attempt": 1}, {}), run({"attempt": 3}, {"attempt": 0}, run_id="s"))

    assert found["baseline_attempt"].tolist() == [1, pd.NA]
    assert found["candidate_attempt"].tolist() == [3, 0]


def test_transitions_count_every_document_once() -> None:
    before, after = ended("completed", "error", "error"), ended(*["completed"] * 4, run_id="s")

    found = count_transitions(paired(before, after))

    assert found.astype(object).to_numpy().tolist() == [
        ["completed", "completed", 1],
        ["error", "completed", 2],
        [pd.NA, "completed", 1],
    ]


TYPES = [*[pa.string()] * 5, *[pa.int64()] * 3, pa.float64(), *[pa.string()] * 2, pa.bool_()]
TYPES += [*[pa.int64()] * 2, pa.string(), *[pa.bool_()] * 2]


@pytest.mark.parametrize("sides", [(run(), run(run_id="s")), (timed(1), timed(2, run_id="s"))])
def test_columns_are_arrow_backed_even_without_rows(
    sides: tuple[rf.RunContent, rf.RunContent],
) -> None:
    found = paired(*sides)

    assert [dtype.pyarrow_dtype for dtype in found.dtypes] == TYPES
    assert found.index.equals(pd.RangeIndex(len(found)))


def expected_change(before: Outcome | None, after: Outcome | None) -> str:
    """Return the change as statistics of two runs define it, one document at a time."""
    if before is None:
        return "added"
    if after is None:
        return "removed"
    terminal = ("completed", "error", "cancelled", "skipped")
    if before.status not in terminal or after.status not in terminal:
        return "pending"
    if {before.status, after.status} & {"cancelled", "skipped"}:
        return "cancelled"
    done = (before.status == "completed", after.status == "completed")
    words = {(True, True): "unchanged", (True, False): "broken", (False, True): "fixed"}
    return words.get(done, "still_failing")


@settings(deadline=None, max_examples=20)
@given(SIDES, SIDES)
def test_each_document_is_what_its_two_outcomes_say(
    before: dict[str, Outcome], after: dict[str, Outcome]
) -> None:
    found = paired(outcome_jobs(before, "r"), outcome_jobs(after, "s"))

    documents = [*before, *(name for name in after if name not in before)]
    assert found["document_id"].tolist() == documents
    expected = [expected_change(before.get(name), after.get(name)) for name in documents]
    assert found["change"].tolist() == expected
    assert set(expected) <= set(CHANGES)
    for name, what, delta, ratio in found[
        ["document_id", "change", "delta_ms", "ratio"]
    ].itertuples(index=False):
        times = [side[name].duration_ms if name in side else None for side in (before, after)]
        old, new = times
        if what != "unchanged" or old is None or new is None:
            assert pd.isna(delta)
            assert pd.isna(ratio)
            continue
        assert delta == new - old
        assert pd.isna(ratio) if old == 0 else ratio == new / old


@settings(deadline=None, max_examples=20)
@given(SIDES, SIDES, st.randoms(use_true_random=False))
def test_row_order_and_duplicated_rows_change_nothing(
    before: dict[str, Outcome], after: dict[str, Outcome], chance: Any
) -> None:
    sides = outcome_jobs(before, "r"), outcome_jobs(after, "s")
    expected = paired(*sides).sort_values("document_id", ignore_index=True)
    mixed = []
    for side in sides:
        rows = [*range(len(side)), *range(len(side) // 2)]
        chance.shuffle(rows)
        mixed.append(side.iloc[rows])

    found = paired(*mixed).sort_values("document_id", ignore_index=True)

    pd.testing.assert_frame_equal(found, expected)


@settings(deadline=None, max_examples=20)
@given(SIDES, st.dictionaries(st.sampled_from(["x", "y", "z"]), OUTCOMES))
def test_counts_of_transitions_add_up(before: dict[str, Outcome], more: dict[str, Outcome]) -> None:
    documents = paired(outcome_jobs(before, "r"), outcome_jobs(more, "s"))

    assert (
        count_transitions(documents)["documents"].sum() == len(documents) == len(before) + len(more)
    )


def test_the_status_of_a_placeholder_says_nothing() -> None:
    found = paired(
        outcome_jobs({"d": Outcome(PLACEHOLDER, 5)}, "r"),
        outcome_jobs({"d": Outcome("completed", 5)}, "s"),
    )

    assert found["change"].tolist() == ["pending"]
    assert found["ratio"].isna().all()


def test_tables_have_what_needs_attention_first_and_then_the_slowest() -> None:
    jobs = {
        "fine": ("completed", 100, "completed", 90),
        "slow": ("completed", 100, "completed", 300),
        "zero": ("completed", 0, "completed", 300),
        "fixed": ("error", 100, "completed", 100),
        "open": ("completed", 100, "running", None),
        "failing": ("error", 100, "error", 100),
        "broken": ("completed", 100, "error", 10),
        "slower": ("completed", 100, "completed", 400),
    }
    sides = (
        [{"document_id": d, "status": job[n], "duration_ms": job[n + 1]} for d, job in jobs.items()]
        for n in (0, 2)
    )
    before, after = sides
    found = sort_by_change(paired(run(*before), run(*after, {"document_id": "new"}, run_id="s")))

    assert found["document_id"].tolist() == [
        *("broken", "failing", "open", "new", "fixed", "slower", "slow", "fine", "zero")
    ]
