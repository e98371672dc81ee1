from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from factories import data, file, never_run, run, timed

from retab_frames.compare.sides import make_side

from .pairs import BARE, paired

if TYPE_CHECKING:
    from collections.abc import Callable


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


def as_text(jobs: pd.DataFrame) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(jobs.to_csv(index=False)), dtype=str)


def as_text_without_nulls(jobs: pd.DataFrame) -> pd.DataFrame:
    text = io.StringIO(jobs.to_csv(index=False))
    return pd.read_csv(text, dtype=str, keep_default_na=False)


SHAPES = [
    plain,
    as_text,
    as_text_without_nulls,
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


@pytest.mark.parametrize(
    ("failed", "done"),
    [
        ({"attempt": 9}, {"attempt": 10}),  # as text, "9" comes after "10"
        (
            {"completed_at": "2026-05-02T12:00:00Z"},
            {"completed_at": "2026-05-02T12:00:00.500Z"},
        ),
        (
            {"completed_at": "2026-05-02T13:00:00+09:00"},
            {"completed_at": "2026-05-02T12:00:00+00:00"},
        ),
    ],
)
def test_the_final_job_is_chosen_by_numbers_and_times_not_by_their_text(
    failed: dict[str, Any], done: dict[str, Any]
) -> None:
    document = {"document_id": "d"}
    tried = run({**document, "status": "error", **failed}, {**document, **done})
    [name] = done
    text = tried.jobs.assign(**{name: [str(failed[name]), str(done[name])]})

    for side in (tried, text):
        assert paired(side, run(document, run_id="s"))["change"].tolist() == ["unchanged"]


def test_a_column_that_no_comparison_reads_may_be_anything() -> None:
    odd = BEFORE.jobs.assign(fetched_at=5, error_details=1.5, mine=pd.Series([{}], dtype=object))
    pd.testing.assert_frame_equal(paired(odd, AFTER.jobs), paired(BEFORE.jobs, AFTER.jobs))


def test_bare_columns_are_enough() -> None:
    found = paired(BEFORE.jobs[BARE].drop(index=2), AFTER.jobs[BARE])

    expected = paired(BEFORE, AFTER)
    same = ["document_id", "change", "baseline_status", "candidate_status", "delta_ms", "ratio"]
    pd.testing.assert_frame_equal(found[same], expected[same])
    for unknown in ("filename", "inputs_changed", "artifact_changed"):
        assert found[unknown].isna().all()


def test_a_run_without_jobs_keeps_its_id() -> None:
    assert make_side(run(run_id="empty"), "baseline").run_id == "empty"
    assert make_side(run(run_id="empty").jobs, "baseline").run_id is None
    assert make_side(never_run(), "baseline").run_id is None


def test_a_side_of_several_runs_is_refused() -> None:
    several = pd.concat([run({}).jobs, run({}, run_id="s").jobs], ignore_index=True)

    with pytest.raises(ValueError, match=r"baseline holds 2 runs; .*jobs\.run_id == 'r'"):
        make_side(several, "baseline")


@pytest.mark.parametrize(
    ("side", "error", "message"),
    [
        (
            pd.DataFrame({"job_id": ["a"]}),
            ValueError,
            "candidate is not a jobs frame: it lacks the column",
        ),
        (
            timed(1).jobs.assign(duration_ms=[1.5]),
            ValueError,
            "candidate is not a jobs frame: its column duration_ms does not fit int64",
        ),
        (
            timed(1).jobs.assign(status=pd.Series([{"a": 1}], dtype=object)),
            ValueError,
            "candidate is not a jobs frame: its column status does not fit string",
        ),
        (
            timed(1).jobs.assign(attempt=["one"]),
            ValueError,
            "its column attempt does not fit int64: r/job_0 is one: not a number",
        ),
        (
            timed(1).jobs.assign(is_placeholder=pd.Series([None], dtype=object)),
            ValueError,
            "column is_placeholder does not fit bool: r/job_0 is null: this column has no nulls",
        ),
        (
            timed(1).jobs.assign(document_id=[7]),
            ValueError,
            r"its column document_id does not fit string: .* dtype={'document_id': str}\)",
        ),
        (
            pl.from_pandas(timed(1).jobs),
            TypeError,
            r"candidate must be a RunContent or a jobs frame, not DataFrame of polars; .*to_pandas",
        ),
        ("exprun_1", TypeError, "candidate must be a RunContent or a jobs frame, not str"),
        (None, TypeError, "candidate must be a RunContent or a jobs frame, not NoneType"),
    ],
)
def test_what_is_no_run_is_refused(side: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make_side(side, "candidate")


def test_a_frame_is_not_changed() -> None:
    jobs = BEFORE.jobs
    before = jobs.copy(deep=True)

    paired(jobs, jobs)

    pd.testing.assert_frame_equal(jobs, before)
