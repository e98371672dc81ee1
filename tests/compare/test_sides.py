from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import (
    OUTCOMES,
    PLACEHOLDER,
    SIDES,
    Outcome,
    data,
    ended,
    file,
    jobs_of,
    never_run,
    run,
    timed,
)

from retab_frames.compare.sides import CHANGES, paired_documents, side_of, transitions

if TYPE_CHECKING:
    from collections.abc import Callable

    import retab_frames as rf

BARE = ["run_id", "job_id", "document_id", "status", "is_placeholder", "duration_ms"]


def paired(
    baseline: rf.RunContent | pd.DataFrame, candidate: rf.RunContent | pd.DataFrame
) -> pd.DataFrame:
    return paired_documents(side_of(baseline, "baseline"), side_of(candidate, "candidate"))


def change(baseline: dict[str, Any], candidate: dict[str, Any]) -> str:
    found = paired(run(baseline), run(candidate, run_id="s"))
    assert len(found) == 1
    return str(found["change"][0])


def inputs_changed(baseline: dict[str, Any], candidate: dict[str, Any]) -> list[Any]:
    return paired(run(baseline), run(candidate, run_id="s"))["inputs_changed"].tolist()


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


ATTEMPTS = [
    ({"attempt": 1, "duration_ms": 5}, {"attempt": 0, "status": "error"}),
    ({"attempt": 2, "duration_ms": 5}, {"attempt": 1, "completed_at": "2026-01-02T00:00:00Z"}),
    (
        {"duration_ms": 5, "completed_at": "2026-01-02T00:00:00Z"},
        {"duration_ms": 9, "completed_at": "2026-01-01T00:00:00Z"},
    ),
    ({"id": "b", "duration_ms": 5}, {"id": "a"}),
    ({"id": "a", "duration_ms": 5}, {"id": "b", "is_placeholder": True}),
    ({"attempt": 0, "duration_ms": 5}, {"attempt": 1, "is_placeholder": True}),
]


@pytest.mark.parametrize(("final", "other"), ATTEMPTS)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_final_job_of_a_document_counts(
    final: dict[str, Any],
    other: dict[str, Any],
    backwards: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    jobs = [{"document_id": "d", **final}, {"document_id": "d", **other}]
    content = run(*(reversed(jobs) if backwards else jobs))

    found = paired(content, run({"document_id": "d"}, run_id="s"))

    assert found["baseline_status"].tolist() == ["completed"]
    assert found["baseline_duration_ms"].tolist() == [5]
    assert found["change"].tolist() == ["unchanged"]


@pytest.mark.parametrize(
    ("baseline", "candidate", "expected"),
    [
        (data({"a": 1, "b": 2}), data({"b": 2, "a": 1}), False),
        (data({"a": 1}), data({"a": 2}), True),
        (data({"a": 1}), data({"a": True}), True),
        (data({}), data(None), True),
        (data(None), {"handle_inputs": {"in": {"type": "json"}}}, True),
        (data({"n": 2**70, "a": 1}), data({"n": 2**70, "a": 2}), True),
        (file(id="f1", filename="x.pdf"), file(id="f1", filename="renamed.pdf"), False),
        (file(id="f1", filename="x.pdf"), file(id="f2", filename="x.pdf"), True),
        (file(filename="x.pdf"), file(id="f2", filename="x.pdf"), False),
        (file(filename="x.pdf"), file(filename="y.pdf"), True),
        (file(filename="x.pdf"), {"handle_inputs": {}}, True),
        (file(filename="x.pdf"), {"handle_inputs": {"other": {"type": "file"}}}, True),
        (data("x"), file(filename="x"), True),
        ({"handle_inputs": {"in": {}}}, {"handle_inputs": {}}, True),
        ({}, {}, False),
    ],
)
def test_inputs_are_compared_by_value(
    baseline: dict[str, Any],
    candidate: dict[str, Any],
    expected: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert inputs_changed(baseline, candidate) == [expected]
    assert inputs_changed(candidate, baseline) == [expected]


def test_inputs_beyond_the_columns_of_the_jobs_are_compared_too() -> None:
    many = {f"h{n}": {"type": "json", "data": n} for n in range(250)}
    other = many | {"h249": {"type": "json", "data": "changed"}}

    assert inputs_changed({"handle_inputs": many}, {"handle_inputs": other}) == [True]
    assert inputs_changed({"handle_inputs": many}, {"handle_inputs": many}) == [False]


def test_files_are_compared_by_content_where_the_api_tells_it() -> None:
    one, other = (file(filename="x.pdf", content_fingerprint=mark) for mark in ("f1", "f2"))
    moved = file(original_id="moved", filename="y.pdf", content_fingerprint="f1")

    assert inputs_changed(one, other) == [True]
    assert inputs_changed(one, moved) == [False]


def test_the_inputs_of_the_final_job_count() -> None:
    first = {"document_id": "d", "attempt": 0, **data("first")}
    final = {"document_id": "d", "attempt": 1, **data("final")}

    found = paired(run(first, final), run({"document_id": "d", **data("final")}, run_id="s"))

    assert found["inputs_changed"].tolist() == [False]


@pytest.mark.parametrize("text", ["{broken", "[" * 100_000, '{"a":1}\x00', "1e999", '"\\ud800"'])
def test_json_that_cannot_be_decoded_is_compared_as_text(text: str) -> None:
    jobs = run(data({"a": 1})).jobs
    odd = jobs.assign(**{"handle_inputs.in.data": text})

    assert paired(odd, jobs)["inputs_changed"].tolist() == [True]
    assert paired(odd, odd)["inputs_changed"].tolist() == [False]


def test_whether_the_inputs_changed_is_unknown_without_their_columns() -> None:
    with_inputs, without = run(data(1)), run(data(1)).jobs[BARE]

    for sides in ((with_inputs, without), (without, with_inputs.jobs), (without, without)):
        assert paired(*sides)["inputs_changed"].tolist() == [pd.NA]


def test_artifacts_are_compared_where_both_sides_have_one() -> None:
    artifact = [{"artifact": {"operation": "extraction", "id": id_}} for id_ in ("a", "b")]
    before = run(artifact[0], artifact[0], artifact[0])
    after = run(artifact[0], artifact[1], {}, run_id="s")

    assert paired(before, after)["artifact_changed"].tolist() == [False, True, pd.NA]


def test_transitions_count_every_document_once() -> None:
    before, after = ended("completed", "error", "error"), ended(*["completed"] * 4, run_id="s")

    found = transitions(paired(before, after))

    assert found.astype(object).to_numpy().tolist() == [
        ["completed", "completed", 1],
        ["error", "completed", 2],
        [pd.NA, "completed", 1],
    ]


TYPES = [pa.string()] * 5 + [pa.int64()] * 3 + [pa.float64()] + [pa.bool_()] * 2


@pytest.mark.parametrize("sides", [(run(), run(run_id="s")), (timed(1), timed(2, run_id="s"))])
def test_columns_are_arrow_backed_even_without_rows(
    sides: tuple[rf.RunContent, rf.RunContent],
) -> None:
    found = paired(*sides)

    assert [dtype.pyarrow_dtype for dtype in found.dtypes] == TYPES
    assert found.index.equals(pd.RangeIndex(len(found)))


def plain(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return the jobs as `pd.read_parquet` gives them."""
    file = io.BytesIO()
    jobs.to_parquet(file)
    return pd.read_parquet(file)


def without_metadata(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return the jobs as pandas reads a file that another tool wrote: object, float64."""
    frame: pd.DataFrame = pa.Table.from_pandas(jobs).to_pandas(ignore_metadata=True)
    return frame


def of_objects(jobs: pd.DataFrame) -> pd.DataFrame:
    text = [c for c in jobs.columns if str(jobs[c].dtype).startswith("string")]
    return without_metadata(jobs).astype(dict.fromkeys(text, object))


def nullable(jobs: pd.DataFrame) -> pd.DataFrame:
    return without_metadata(jobs).convert_dtypes()


def categorical(jobs: pd.DataFrame) -> pd.DataFrame:
    return jobs.astype(dict.fromkeys(["run_id", "document_id", "status"], "category"))


def zoned(jobs: pd.DataFrame) -> pd.DataFrame:
    times = without_metadata(jobs)["completed_at"].dt.tz_convert("Asia/Tokyo")
    return jobs.assign(completed_at=times)


def reindexed(jobs: pd.DataFrame) -> pd.DataFrame:
    return jobs.set_axis([7] * len(jobs), axis=0)


def with_named_index(jobs: pd.DataFrame) -> pd.DataFrame:
    return jobs.set_index("document_id", drop=False).set_index("job_id", drop=False, append=True)


def with_more_columns(jobs: pd.DataFrame) -> pd.DataFrame:
    return jobs.assign(mine="x", ratio=0).rename(columns={"mine": 0})


SHAPES = [
    plain,
    without_metadata,
    of_objects,
    nullable,
    categorical,
    zoned,
    reindexed,
    with_named_index,
    with_more_columns,
]
BEFORE = run(
    {"duration_ms": None, **file(id="f", filename="a.pdf")},
    {"status": "error", "attempt": 2, "completed_at": "2026-01-01T00:00:00Z"},
    {"document_id": "doc_1", "attempt": 1},
    {"duration_ms": 800, "artifact": {"operation": "extraction", "id": "x"}, **data({"a": 1})},
    {"status": None},
    {"is_placeholder": True, "status": "pending", "duration_ms": None},
)
AFTER = run(
    {},
    {"completed_at": "2026-01-02T00:00:00Z"},
    {"document_id": "new", **file(filename="new.pdf")},
    {"duration_ms": 900, "artifact": {"operation": "extraction", "id": "y"}, **data({"a": 2})},
    {},
    {},
    run_id="s",
)


@pytest.mark.parametrize("shape", SHAPES)
def test_whoever_read_the_frame_the_pairs_are_the_same(
    shape: Callable[[pd.DataFrame], pd.DataFrame],
) -> None:
    expected = paired(BEFORE, AFTER)
    assert expected["change"].tolist() == [
        "unchanged",
        "fixed",
        "unchanged",
        "pending",
        "pending",
        "added",
    ]

    before, after = shape(BEFORE.jobs), shape(AFTER.jobs)
    for sides in ((before, after), (before, AFTER), (BEFORE, after), (before, AFTER.jobs)):
        pd.testing.assert_frame_equal(paired(*sides), expected)


def test_bare_columns_are_enough() -> None:
    found = paired(BEFORE.jobs[BARE].drop(index=2), AFTER.jobs[BARE])

    expected = paired(BEFORE, AFTER)
    same = ["document_id", "change", "baseline_status", "candidate_status", "delta_ms", "ratio"]
    pd.testing.assert_frame_equal(found[same], expected[same])
    for unknown in ("filename", "inputs_changed", "artifact_changed"):
        assert found[unknown].isna().all()


def test_a_run_without_jobs_keeps_its_id() -> None:
    assert side_of(run(run_id="empty"), "baseline").run_id == "empty"
    assert side_of(run(run_id="empty").jobs, "baseline").run_id is None
    assert side_of(never_run(), "baseline").run_id is None


def test_a_side_of_several_runs_is_refused() -> None:
    several = pd.concat([run({}).jobs, run({}, run_id="s").jobs], ignore_index=True)

    with pytest.raises(ValueError, match=r"baseline holds 2 runs; .*jobs\.run_id == 'r'"):
        side_of(several, "baseline")


@pytest.mark.parametrize(
    ("side", "error", "message"),
    [
        (pd.DataFrame({"job_id": ["a"]}), ValueError, "candidate is no frame of jobs: it has no"),
        (
            timed(1).jobs.assign(duration_ms=[1.5]),
            ValueError,
            "candidate is no frame of jobs: its column duration_ms does not fit int64",
        ),
        (
            timed(1).jobs.assign(status=pd.Series([{"a": 1}], dtype=object)),
            ValueError,
            "candidate is no frame of jobs: its column status does not fit string",
        ),
        ("exprun_1", TypeError, "candidate must be a RunContent or a frame of jobs, not str"),
        (None, TypeError, "candidate must be a RunContent or a frame of jobs, not NoneType"),
    ],
)
def test_what_is_no_run_is_refused(side: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        side_of(side, "candidate")


def test_a_frame_is_not_changed() -> None:
    jobs = BEFORE.jobs
    before = jobs.copy(deep=True)

    paired(jobs, jobs)

    pd.testing.assert_frame_equal(jobs, before)


def expected_change(before: Outcome | None, after: Outcome | None) -> str:
    """Return the change as statistics of two runs define it, one document at a time."""
    if before is None:
        return "added"
    if after is None:
        return "removed"
    terminal = ("completed", "error", "cancelled", "skipped")
    if before.status not in terminal or after.status not in terminal:
        return "pending"
    done = (before.status == "completed", after.status == "completed")
    words = {(True, True): "unchanged", (True, False): "broken", (False, True): "fixed"}
    return words.get(done, "still_failing")


@settings(deadline=None, max_examples=20)
@given(SIDES, SIDES)
def test_each_document_is_what_its_two_outcomes_say(
    before: dict[str, Outcome], after: dict[str, Outcome]
) -> None:
    found = paired(jobs_of(before, "r"), jobs_of(after, "s"))

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
    sides = jobs_of(before, "r"), jobs_of(after, "s")
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
    documents = paired(jobs_of(before, "r"), jobs_of(more, "s"))

    assert transitions(documents)["documents"].sum() == len(documents) == len(before) + len(more)


def test_the_status_of_a_placeholder_says_nothing() -> None:
    found = paired(
        jobs_of({"d": Outcome(PLACEHOLDER, 5)}, "r"), jobs_of({"d": Outcome("completed", 5)}, "s")
    )

    assert found["change"].tolist() == ["pending"]
    assert found["ratio"].isna().all()
