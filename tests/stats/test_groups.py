from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from factories import jobs_of, texts
from pandas.testing import assert_frame_equal

from retab_frames.errors import RetabFramesWarning
from retab_frames.stats.groups import group_jobs

HANDLE = "handle_inputs.input-json-context.data"


def keys_and_numbers(jobs: pd.DataFrame, by: Any) -> tuple[list[Any], list[int]]:
    keys, number = group_jobs(jobs, by)
    rows = [tuple(None if pd.isna(v) else v for v in row) for row in keys.to_numpy().tolist()]
    return [row[0] if len(row) == 1 else row for row in rows], number.tolist()


def test_all_jobs_are_one_group() -> None:
    assert keys_and_numbers(jobs_of([1, 2]), None)[1] == [0, 0]
    assert len(group_jobs(jobs_of([]), None)[0]) == 1


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
    keys, _ = group_jobs(jobs_of([1]), pd.Series(["x"], name=name))
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
        (
            pd.Series(["a"] * 3, index=[0, 0, 1]),
            "`by` has 3 values for 2 jobs, and the index of `by` repeats",
        ),
        ([], "`by` names no column"),
        (["a", "b"], r"no column a, b to group by.*; for values give a Series, pd\.Series\(values"),
        (np.array(["a", "b"]), r"no column a, b to group by.*; for values give a Series"),
        (pd.Categorical(["a", "b"]), r"no column a, b to group by.*; for values give a Series"),
        ("status", "several of its columns are named status"),
        ("run", r"there is no column run to group by \(did you mean run_id\?\)"),
        ("handle", r"no column handle to group by; there are run_id, job_id, document_id"),
        (["run_id", "no\x1b[2J"], r"no column no\\x1b\[2J to group by"),
        ("input-json-context.data", r"did you mean handle_inputs.input-json-context.data\?"),
    ],
)
def test_wrong_groups(by: Any, message: str) -> None:
    jobs = jobs_of([1, 2], **{HANDLE: texts("{}", "{}")})
    if isinstance(by, str) and by == "status":
        jobs = pd.concat([jobs, jobs[["status"]]], axis=1)
    with pytest.raises(ValueError, match=message):
        group_jobs(jobs, by)


@pytest.mark.parametrize("by", [5, 0.5, [["run_id"]], np.zeros((2, 2)), lambda jobs: jobs])
def test_neither_names_nor_a_series(by: Any) -> None:
    message = "^`by` takes column names or a Series of pandas, not "
    with pytest.raises(TypeError, match=message):
        group_jobs(jobs_of([1, 2]), by)


def test_jobs_whose_index_repeats_are_not_aligned() -> None:
    jobs = pd.concat([jobs_of([1, 2]), jobs_of([3, 4], run_id=texts("exprun_2", "exprun_2"))])
    with pytest.raises(ValueError, match="2 values for 4 jobs, and the index of the jobs repeats"):
        group_jobs(jobs, pd.Series(["a", "b"]))
    assert keys_and_numbers(jobs, pd.Series(["a", "b", "a", "c"])) == (
        ["a", "b", "c"],
        [0, 1, 0, 2],
    )


@pytest.mark.parametrize(
    ("rows", "by", "told"),
    [
        ([0, 1, 1, 1], None, "2 rows of 4 repeat a job, which counts several times"),
        ([0, 1, 1], "run_id", "1 row of 3 repeats a job, .*: expjob_2$"),
        ([0, 0], pd.Series(["a", "a"]), "1 row of 2 repeats a job"),
    ],
)
def test_a_job_that_counts_several_times_is_told(rows: list[int], by: Any, told: str) -> None:
    with pytest.warns(RetabFramesWarning, match=told):
        group_jobs(jobs_of([1, 2]).iloc[rows].reset_index(drop=True), by)


@pytest.mark.parametrize(
    ("columns", "by"),
    [
        ({"tag": texts("a", "b")}, "tag"),
        ({"run_id": texts("exprun_1", "exprun_2")}, None),
        ({"experiment_id": texts("exp_1", "exp_2"), "run_id": texts(None, None)}, None),
        ({"job_id": texts(None, None)}, None),
    ],
)
def test_a_job_of_several_groups_or_runs_is_not_told(columns: Any, by: Any) -> None:
    group_jobs(jobs_of([1, 2], **({"job_id": texts("expjob_1", "expjob_1")} | columns)), by)


def test_a_level_of_the_index_is_no_column() -> None:
    jobs = jobs_of([1, 2]).set_index("run_id")
    with pytest.raises(ValueError, match=r"level of the index: give jobs\.reset_index\(\)"):
        group_jobs(jobs, "run_id")


@pytest.mark.parametrize(
    "runs",
    [
        pd.Categorical(["b", None, "b"], categories=["a", "b", "c"]),
        pd.array(["b", None, "b"], "string"),
        np.array(["b", None, "b"], dtype=object),
        ["b", "", "b"],
    ],
)
def test_a_column_of_the_schema_names_groups_with_its_own_type(runs: Any) -> None:
    jobs = jobs_of([1, 2, 3])
    keys, number = group_jobs(jobs.assign(run_id=runs), "run_id")
    assert_frame_equal(keys, pd.DataFrame({"run_id": texts("b", None)}))
    assert number.tolist() == [0, 1, 0]


def test_a_column_of_the_schema_that_does_not_fit_names_no_groups() -> None:
    message = "its column attempt does not fit int64: expjob_2 is x: not a number"
    with pytest.raises(ValueError, match=message):
        group_jobs(jobs_of([1, 2]).assign(attempt=["1", "x"]), ["run_id", "attempt"])
