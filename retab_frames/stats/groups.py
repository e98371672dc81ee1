"""Groups of jobs: their keys, which job belongs to which, and how many jobs each has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retab_frames.schemas.intake import take_columns
from retab_frames.schemas.vocabulary import COUNTED_STATUSES
from retab_frames.stats.samples import find_kinds
from retab_frames.text.messages import did_you_mean, printable
from retab_frames.text.tables import format_count
from retab_frames.text.user_warnings import warn_user

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retab_frames.stats.grouped_values import Flags, Ints

__all__ = [
    "COUNTS",
    "Grouping",
    "count_by_group",
    "count_statuses",
    "group_jobs",
    "rows_by_group",
    "with_group_keys",
]

Grouping = str | Sequence[str] | pd.Series | None

_IDENTITY = ("experiment_id", "run_id", "job_id")
"""What tells a job from all others; a placeholder has no run."""
COUNTS = (*COUNTED_STATUSES, "placeholders", "other")
"""The counts of `count_statuses`, which add up to the jobs of a group."""


def group_jobs(jobs: pd.DataFrame, by: Grouping) -> tuple[pd.DataFrame, Ints]:
    """Return the keys of each group, one row per group, and the row number of each job's group.

    Groups come in order of first appearance; null is a key like any other. A Series is aligned by
    its index if that contains the index of the jobs, and taken by position if its index is
    0, 1, 2, ... or equal to that of the jobs.

    Args:
        jobs: The jobs.
        by: A column, several, or a Series; None is one group of all jobs.

    Raises:
        TypeError: If `by` is none of these.
        ValueError: If a column is missing, stands twice or does not fit its type, or a Series does
            not fit the jobs.

    Warns:
        RetabFramesWarning: If a job has several rows in a group: each counts.
    """
    if by is None:
        number = np.zeros(len(jobs), dtype=np.int64)
        _warn_of_repeated(jobs, number)
        return pd.DataFrame(index=pd.RangeIndex(1)), number
    if isinstance(by, pd.Series):
        name = by.name if by.name is not None else "group"
        keys = _align_series(by, jobs).reset_index(drop=True).to_frame(name)
    else:
        keys = _select_columns(jobs, by)
    grouper = keys.groupby(list(keys.columns), sort=False, dropna=False, observed=True)
    number = grouper.ngroup().to_numpy().astype(np.int64)
    # any job of a group has its keys
    example = np.zeros(number.max(initial=-1) + 1, dtype=np.int64)
    example[number] = np.arange(len(number))
    _warn_of_repeated(jobs, number)
    return keys.iloc[example].reset_index(drop=True), number


def count_by_group(mask: Flags, group: Ints, groups: int) -> Ints:
    """Return how many jobs of each group the mask selects."""
    return np.bincount(group[mask], minlength=groups)


def count_statuses(jobs: pd.DataFrame, group: Ints, groups: int) -> dict[str, Ints]:
    """Return the number of jobs of each group, as `jobs`, and then each of COUNTS."""
    kinds = find_kinds(jobs, list(COUNTED_STATUSES.values()))
    table = np.bincount(group * len(COUNTS) + kinds, minlength=groups * len(COUNTS))
    by_kind = table.reshape(groups, len(COUNTS)).T
    return {"jobs": by_kind.sum(axis=0), **dict(zip(COUNTS, by_kind, strict=True))}


def rows_by_group(mask: Flags, group: Ints) -> Iterator[tuple[int, Ints]]:
    """Yield the number of each group of which the mask selects jobs, and the rows of those jobs."""
    rows = mask.nonzero()[0]
    rows = rows[np.argsort(group[rows], kind="stable")]
    numbers, starts = np.unique(group[rows], return_index=True)
    yield from zip(numbers.tolist(), np.split(rows, starts[1:]), strict=bool(len(numbers)))


def with_group_keys(keys: pd.DataFrame, columns: dict[str, pd.Series[Any]]) -> pd.DataFrame:
    """Return a frame of the keys and then the columns, which have the same rows.

    Raises:
        ValueError: If a key has the name of a column.
    """
    taken = [name for name in keys.columns if name in columns]
    if taken:
        raise ValueError(f"{taken[0]!r} names a column of the result: rename the group column")
    return pd.DataFrame(keys.to_dict("series") | columns)


def _warn_of_repeated(jobs: pd.DataFrame, group: Ints) -> None:
    """Warn of jobs that have several rows in a group, as after a join with rows that repeat."""
    # a name that stands twice is refused where it is read
    names = [name for name in _IDENTITY if list(jobs.columns).count(name) == 1]
    if "job_id" not in names or jobs["job_id"].is_unique:
        return
    keys = jobs[names].reset_index(drop=True).assign(retab_frames_group=group)
    repeats = keys[keys.duplicated() & keys["job_id"].notna()]
    if len(repeats):
        rows = format_count(len(repeats), "row")
        warn_user(
            f"{rows} of {len(jobs)} {'repeats' if len(repeats) == 1 else 'repeat'} a job, which "
            f"counts several times (after a join, say): {printable(repeats['job_id'].iloc[0])}"
        )


def _select_columns(jobs: pd.DataFrame, by: str | Sequence[str]) -> pd.DataFrame:
    names = [by] if isinstance(by, str) else _list_names(by)
    if not names:
        raise ValueError("`by` names no column; None takes all jobs as one group")
    missing = [name for name in names if name not in jobs.columns]
    if missing:
        names_of = printable(", ".join(map(str, missing)))
        hint = did_you_mean(str(missing[0]), map(str, jobs.columns), 3)
        if missing[0] in jobs.index.names:
            hint = "; it is a level of the index: give jobs.reset_index()"
        elif not isinstance(by, str) and len(by) == len(jobs):
            hint += "; for values give a Series, pd.Series(values, index=jobs.index)"
        known = printable(", ".join(map(str, jobs.columns)), 300)
        raise ValueError(
            f"there is no column {names_of} to group by{hint or f'; there are {known}'}"
        )
    return take_columns(jobs, names, reader="`by`")[names].reset_index(drop=True)


def _list_names(by: object) -> list[str]:
    """Return the column names that are given, each once."""
    try:
        return list(dict.fromkeys(by))  # type: ignore[call-overload]
    except TypeError:
        kind = type(by).__name__
        message = f"`by` takes column names or a Series of pandas, not {kind}"
    raise TypeError(message)


def _align_series(by: pd.Series[Any], jobs: pd.DataFrame) -> pd.Series[Any]:
    if by.index.equals(jobs.index):
        return by
    if by.index.is_unique and jobs.index.is_unique and jobs.index.isin(by.index).all():
        return by.loc[jobs.index]
    if len(by) != len(jobs):
        reason = "its index lacks some of theirs"
        for owner, index in (("the jobs", jobs.index), ("`by`", by.index)):
            if not index.is_unique:
                reason = f"the index of {owner} repeats, so they cannot be aligned"
        raise ValueError(f"`by` has {len(by)} values for {len(jobs)} jobs, and {reason}")
    if not by.index.equals(pd.RangeIndex(len(by))):
        raise ValueError(
            "`by` has another index than the jobs: give it the same index, or a plain one to go by "
            "position (by.reset_index(drop=True))"
        )
    return by
