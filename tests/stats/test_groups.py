from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from factories import jobs_of, texts

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
        ([], "`by` names no column"),
        ("run", r"there is no column run to group by \(did you mean run_id\?\)"),
        (["run_id", "no\x1b[2J"], r"no column no\\x1b\[2J to group by"),
        ("input-json-context.data", r"did you mean handle_inputs.input-json-context.data\?"),
    ],
)
def test_wrong_groups(by: Any, message: str) -> None:
    jobs = jobs_of([1, 2], **{HANDLE: texts("{}", "{}")})
    with pytest.raises(ValueError, match=message):
        group_jobs(jobs, by)
