from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from job_frames import arrow, jobs_of, seconds, texts, timed_jobs, times

import retab_frames as rf
from retab_frames.schemas.vocabulary import COMPLETED, FAILED, OPEN
from retab_frames.stats.samples import (
    censored_sample,
    check_jobs,
    completed_sample,
    groups_of,
    has_status,
    last_seen,
    measured,
    to_microseconds,
)

HANDLE = "handle_inputs.input-json-context.data"


def keys_and_numbers(jobs: pd.DataFrame, by: Any) -> tuple[list[Any], list[int]]:
    keys, number = groups_of(jobs, by)
    rows = [tuple(None if pd.isna(v) else v for v in row) for row in keys.to_numpy().tolist()]
    return [row[0] if len(row) == 1 else row for row in rows], number.tolist()


def test_a_placeholder_has_no_status() -> None:
    jobs = jobs_of(
        [1, 2, 3],
        status=texts("completed", "completed", None),
        is_placeholder=arrow([False, True, None], pa.bool_()),
    )
    assert has_status(jobs, COMPLETED).tolist() == [True, False, False]
    assert set(COMPLETED) | set(FAILED) | set(OPEN) == {
        *("completed", "error", "cancelled", "skipped"),
        *("pending", "queued", "running"),
    }


def test_times_as_microseconds() -> None:
    values, there = to_microseconds(jobs_of([1, 2], created_at=times(5, None)), "created_at")
    assert (values.tolist(), there.tolist()) == ([5, 0], [True, False])


def test_nanoseconds_are_cut() -> None:
    jobs = jobs_of([1])
    jobs["created_at"] = pd.Series(pd.to_datetime([1_999], unit="ns", utc=True))
    assert to_microseconds(jobs, "created_at")[0].tolist() == [1]


def test_a_span_needs_both_ends_and_the_right_order() -> None:
    jobs = timed_jobs(("x", 0, 1.5, None), ("x", None, 1, 2), ("x", 2, 1, 1))
    assert measured(jobs, "queue").tolist() == pytest.approx([1_500, np.nan, np.nan], nan_ok=True)
    assert measured(jobs, "elapsed").tolist() == pytest.approx([np.nan, 1_000, 0], nan_ok=True)


def test_samples_worked_by_hand() -> None:
    jobs = timed_jobs(
        ("completed", 0, 1, 3),
        ("running", 0, 4, None),
        ("running", 0, None, None),
        ("pending", 0, None, None),
        ("error", 0, 1, 2),
    )
    done = completed_sample(jobs, "elapsed")
    sample = censored_sample(jobs, "elapsed", "1970-01-01T00:00:10Z")

    assert done.observed.tolist() == [True, False, False, False, False]
    assert not done.censored.any()
    assert sample.observed.tolist() == done.observed.tolist()
    assert sample.censored.tolist() == [False, True, False, False, False]
    assert sample.lost.tolist() == [False, False, True, False, False]
    assert sample.ms[[0, 1, 4]].tolist() == [2_000, 6_000, 1_000]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(OPEN), *[st.none() | st.integers(0, 20)] * 3)))
def test_a_job_is_observed_or_censored_or_lost(
    rows: list[tuple[str, int | None, int | None, int | None]],
) -> None:
    """No job is two of them; what is censored has a time of at least 0 and no more than passed."""
    jobs = timed_jobs(*rows)
    for measure in ("duration", "queue", "elapsed", "turnaround"):
        sample = censored_sample(jobs, measure, "1970-01-01T00:00:10Z")
        states = np.stack([sample.observed, sample.censored, sample.lost])
        assert (states.sum(axis=0) <= 1).all()
        assert (sample.ms[sample.censored] >= 0).all()
        assert (sample.ms[sample.censored] <= 10_000).all()


def test_last_seen_takes_each_job_at_its_own_time() -> None:
    jobs = jobs_of([1, 2], fetched_at=seconds(3, 4))
    assert last_seen(jobs, None).tolist() == [3_000_000, 4_000_000]
    assert last_seen(jobs, "1970-01-01T00:00:05Z").tolist() == [5_000_000] * 2
    assert last_seen(jobs.iloc[:0].drop(columns="fetched_at"), None).tolist() == []


def test_all_jobs_are_one_group() -> None:
    assert keys_and_numbers(jobs_of([1, 2]), None)[1] == [0, 0]
    assert len(groups_of(jobs_of([]), None)[0]) == 1


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("status", ["b", None, "a"]),
        (["status"], ["b", None, "a"]),
        (["status", "filename"], [("b", "x"), (None, "x"), ("a", "x")]),
    ],
)
def test_groups_in_order_of_first_appearance(by: str | list[str], keys: list[Any]) -> None:
    jobs = jobs_of([1] * 4, status=texts("b", None, "a", None), filename=texts(*"xxxx"))
    assert keys_and_numbers(jobs, by) == (keys, [0, 1, 2, 1])


@pytest.mark.parametrize("by", ["block_kind", HANDLE, "status"])
def test_groups_by_any_column(by: str) -> None:
    jobs = jobs_of([1, 2, 4], **{by: texts("extract", None, "extract")})
    assert keys_and_numbers(jobs, by) == (["extract", None], [0, 1, 0])


def test_groups_by_a_categorical_have_no_empty_group() -> None:
    kinds = pd.Series(pd.Categorical(["b", "a", "b"], categories=["a", "b", "c"]))
    assert keys_and_numbers(jobs_of([1, 2, 4]), kinds) == (["b", "a"], [0, 1, 0])


@pytest.mark.parametrize(("name", "column"), [("size", "size"), (None, "group")])
def test_a_series_names_its_group(name: str | None, column: str) -> None:
    keys, _ = groups_of(jobs_of([1]), pd.Series(["x"], name=name))
    assert list(keys.columns) == [column]


@pytest.mark.parametrize(
    ("index", "labels", "values"),
    [
        ([7, 8, 9], [7, 8, 9], "xyx"),  # the very labels of the jobs
        ([7, 7, 9], [7, 7, 9], "xyx"),
        ([7, 8, 9], [0, 1, 2], "xyx"),  # no labels of its own
        ([2, 0, 1], [0, 1, 2], "yxx"),  # a permutation
        ([2, 0], [0, 1, 2], "yxx"),  # more than the jobs
        (["a", "b", "c"], ["c", "b", "a"], "xyx"),
    ],
)
def test_a_series_goes_by_its_index_or_by_position(
    index: list[Any], labels: list[Any], values: str
) -> None:
    jobs = jobs_of([1] * len(index)).set_index(pd.Index(index))
    keys, number = keys_and_numbers(jobs, pd.Series(list(values), index=labels))
    found = [keys[n] for n in number]

    if len(set(index)) == len(index) and set(index) <= set(labels):
        assert found == [values[labels.index(label)] for label in index]
    else:
        assert found == list(values)


@pytest.mark.parametrize(
    ("by", "message"),
    [
        (pd.Series(["a"]), "`by` has 1 values for 2 jobs, and its index lacks some of theirs"),
        (pd.Series(["a", "b"], index=[5, 6]), r"another index than the jobs.*reset_index"),
        ([], "`by` names no column"),
        ("run", r"there is no column run to group by \(did you mean run_id\?\)"),
        (["run_id", "no\x1b[2J"], r"no column no\\x1b\[2J to group by"),
        ("input-json-context.data", r"did you mean handle_inputs.input-json-context.data\?"),
    ],
)
def test_groups_that_are_none(by: Any, message: str) -> None:
    jobs = jobs_of([1, 2], **{HANDLE: texts("{}", "{}")})
    with pytest.raises(ValueError, match=message):
        groups_of(jobs, by)


def test_a_mistyped_column_is_told_with_near_ones() -> None:
    jobs = jobs_of([1]).rename(columns={"status": "Status"})
    message = r"no frame of jobs: it has no column status \(did you mean Status\?\); load_jobs and"
    with pytest.raises(ValueError, match=message):
        check_jobs(jobs, ["status"], "slowest")


def test_something_else_than_a_frame() -> None:
    content = rf.read_content({"experiment_id": "exp_1", "run_id": "r", "content": {"jobs": []}})
    with pytest.raises(TypeError, match=r"takes a frame of jobs, not RunContent; give its \.jobs"):
        check_jobs(content, [], "slowest")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"slowest takes a frame of jobs, not list$"):
        check_jobs([], [], "slowest")  # type: ignore[arg-type]
