"""Statistics of groups of jobs over a Dask frame, on the cluster that the caller is connected to.

The statistic itself is that for pandas frames. This module brings each group whole into one
partition, applies the statistic there, and returns only the results to the client.

On one machine it does not pay: two workers on two cores took 4, 3, 2.4 and 1.6 times as long as
pandas for 10,000, 100,000, 1,000,000 and 2,400,000 jobs, reading included
(`python -m benchmarks --rows dask`). It is for more jobs than fit into memory, and for the cores of
other machines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retab_frames.forks import ProcessThreads
from retab_frames.schemas.intake import take_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import dask.dataframe as dd

    from retab_frames.stats.grouped_values import Flags, Ints

    Statistic = Callable[[pd.DataFrame], pd.DataFrame]

__all__ = ["DASK", "apply_by_group", "is_distributed", "take_partitions"]

DASK = ProcessThreads("Dask")
_GROUP = "retab_frames_group"
"""The column with the number of each row's group, while rows move between workers."""


def is_distributed(frame: object) -> bool:
    """Return whether this is a Dask frame, without importing Dask."""
    kind = type(frame)
    return kind.__name__ == "DataFrame" and kind.__module__.startswith("dask")


def apply_by_group(
    jobs: dd.DataFrame,
    by: str | Sequence[str] | pd.Series[Any] | None,
    statistic: Statistic,
    *,
    columns: Sequence[str],
    filter_rows: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """Return a statistic of each group of jobs, equal to that of one pandas frame of all jobs.

    First the keys of each partition are collected. A group that lies whole in one partition is
    computed there. So is, of the partitions that `scan` gives, each group whose keys contain
    `run_id`, and each experiment that fits into one partition with its neighbours. The rows of the
    other groups are shuffled between the workers, with only the columns that the statistic reads:
    some 50 bytes a job for `duration_stats`. The largest of these groups must fit, in these
    columns, into the memory of one worker; `by=None` is one group of all jobs. The client holds the
    keys (at most groups times partitions) and the result.

    Args:
        jobs: A Dask frame, as `scan(engine="dask")` gives it.
        by: The columns whose values make the groups; null is a value. None is one group of all.
        statistic: Takes the jobs of some groups and returns rows of each, the columns `by` first;
            the rows of a group depend on the jobs of that group alone. It must be picklable.
        columns: The columns that it reads, in addition to `by`; those that are missing are ignored.
        filter_rows: Takes jobs and returns those that the statistic reads, so that the others are
            not moved; it must be picklable. None if it reads all.

    Returns:
        The rows of all groups, the groups in order of first appearance.

    Raises:
        TypeError: If `by` is a Series.
        ForkError: If this process was forked from one that has used Dask.
        Exception: What the statistic raises, for zero rows or on a worker.
    """
    DASK.check()
    import dask  # noqa: PLC0415 - an extra
    from dask.dataframe.dispatch import make_meta  # noqa: PLC0415

    keys = _list_keys(by)
    # applied to zero rows it raises at once if its arguments are wrong, and gives the columns
    empty = statistic(make_meta(jobs))
    present = [name for name in dict.fromkeys((*keys, *columns)) if name in jobs.columns]
    narrow = take_partitions(jobs[present])
    if filter_rows is not None:
        narrow = narrow.map_partitions(filter_rows, meta=make_meta(narrow))
    if keys:
        groups, is_split = _collect_groups(take_partitions(jobs[keys]))
        tasks = _apply_in_place(narrow, groups[~is_split], statistic, none_split=not is_split.any())
        tasks += _apply_after_shuffle(narrow, groups[is_split], statistic)
    else:
        tasks = _apply_to_partitions(narrow.repartition(npartitions=1), statistic)
    parts = [part for part in dask.compute(*tasks) if len(part)]
    result: pd.DataFrame = pd.concat(parts, ignore_index=True) if parts else empty
    if keys:
        order = np.argsort(_find_groups(result, groups), kind="stable")
        result = result.iloc[order].reset_index(drop=True)
    return result


def take_partitions(jobs: dd.DataFrame) -> dd.DataFrame:
    """Return a Dask frame whose columns have the types of JobsSchema, as `take_columns` does.

    Each partition is converted when it is computed, and raises what does not fit.
    """
    from dask.dataframe.dispatch import make_meta  # noqa: PLC0415

    return jobs.map_partitions(_take_all, meta=_take_all(make_meta(jobs)))


def _take_all(jobs: pd.DataFrame) -> pd.DataFrame:
    return take_columns(jobs, list(jobs.columns), reader="a Dask frame")


def _list_keys(by: str | Sequence[str] | pd.Series[Any] | None) -> list[str]:
    if by is None:
        return []
    if isinstance(by, str):
        return [by]
    if hasattr(by, "index") and hasattr(by, "dtype"):
        raise TypeError(
            "`by` names columns of a Dask frame: add the Series as one, jobs.assign(group=...)"
        )
    return list(dict.fromkeys(by))


def _apply_to_partitions(
    frame: dd.DataFrame, function: Callable[..., Any], *arguments: Any
) -> list[Any]:
    """Return one delayed call of the function per partition."""
    import dask  # noqa: PLC0415

    task = dask.delayed(function, pure=False)
    shared = [dask.delayed(argument, traverse=False) for argument in arguments]
    return [task(partition, *shared) for partition in frame.to_delayed()]


def _collect_groups(keys: dd.DataFrame) -> tuple[pd.DataFrame, Flags]:
    """Return the keys and number of each group by first appearance, and which are split.

    A group is split if its jobs lie in several partitions.
    """
    import dask  # noqa: PLC0415

    parts = dask.compute(*_apply_to_partitions(keys, pd.DataFrame.drop_duplicates))
    occurrences = pd.concat(parts, ignore_index=True)
    groups = occurrences.drop_duplicates(ignore_index=True)
    groups[_GROUP] = np.arange(len(groups))
    partitions = np.bincount(_find_groups(occurrences, groups), minlength=len(groups))
    return groups, partitions > 1


def _find_groups(rows: pd.DataFrame, groups: pd.DataFrame) -> Ints:
    """Return the number of each row's group; -1 where it is not one of the groups."""
    keys = [name for name in groups.columns if name != _GROUP]
    # a left merge keeps the order of the rows, and matches null with null
    found = rows[keys].merge(groups, on=keys, how="left")[_GROUP]
    return found.fillna(-1).to_numpy(dtype=np.int64)


def _apply_in_place(
    narrow: dd.DataFrame, groups: pd.DataFrame, statistic: Statistic, *, none_split: bool
) -> list[Any]:
    """Return the tasks for the groups that lie whole in one partition."""
    if none_split:
        return _apply_to_partitions(narrow, statistic)
    return _apply_to_partitions(narrow, _apply_to_groups, groups, statistic) if len(groups) else []


def _apply_to_groups(jobs: pd.DataFrame, groups: pd.DataFrame, statistic: Statistic) -> Any:
    return statistic(jobs[_find_groups(jobs, groups) >= 0])


def _apply_after_shuffle(
    narrow: dd.DataFrame, groups: pd.DataFrame, statistic: Statistic
) -> list[Any]:
    """Return the tasks for the split groups, each of which a shuffle brings into one partition."""
    if not len(groups):
        return []
    from dask.dataframe.dispatch import make_meta  # noqa: PLC0415

    meta = make_meta(narrow)
    rows = narrow.map_partitions(_number_rows, groups, meta=_number_rows(meta, groups))
    shuffled = rows.shuffle(_GROUP, npartitions=min(len(groups), narrow.npartitions))
    return _apply_to_partitions(shuffled, _apply_to_shuffled, meta.dtypes, statistic)


def _number_rows(jobs: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
    """Return the jobs of these groups, each with the number of its group."""
    number = _find_groups(jobs, groups)
    return jobs.assign(**{_GROUP: number})[number >= 0]


def _apply_to_shuffled(jobs: pd.DataFrame, types: pd.Series[Any], statistic: Statistic) -> Any:
    # a shuffle between workers turns Arrow strings into objects
    return statistic(jobs.drop(columns=_GROUP).astype(types.to_dict()))
