"""Statistics of groups of jobs over a Dask frame, on the cluster that the caller is connected to.

The statistic is the one that pandas frames get. What Dask adds is that each group stands whole in
one partition when it is taken, and that nothing but its result leaves the workers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import dask.dataframe as dd

    Statistic = Callable[[pd.DataFrame], pd.DataFrame]

__all__ = ["by_group", "is_distributed"]

_NUMBER = "retab_frames_group"


def is_distributed(frame: object) -> bool:
    """Return whether this is a frame of Dask, without importing Dask to find out."""
    return type(frame).__module__.partition(".")[0] in {"dask", "dask_expr"}


def by_group(
    jobs: dd.DataFrame,
    by: str | Sequence[str] | pd.Series[Any] | None,
    statistic: Statistic,
    *,
    columns: Sequence[str],
    kept: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """Return a statistic of each group of the jobs: the same as of one frame of all of them.

    First the keys of each partition are collected. A group that one partition holds whole is taken
    where it lies: so it is for the runs, and mostly for the experiments, that `scan` gives. The
    rows of all other groups move between the workers, and only those, with no columns but the ones
    asked for: some 50 bytes a job for `duration_stats`. One group of all the jobs (`by=None`)
    must fit, so narrowed, into the memory of one worker, as must the largest of any groups. The
    keys (groups times partitions at most) and the result are what the client holds.

    Args:
        jobs: A Dask frame, as `scan(engine="dask")` gives it.
        by: The columns whose values make the groups; null is a value. None is one group of all.
        statistic: Takes the jobs of some groups and returns rows of each, the columns `by` first;
            what it returns of a group depends on the jobs of that group alone. It goes to the
            workers, so it must be one that can be pickled.
        columns: The columns that it reads, beside `by`; those that there are not are left out.
        kept: Returns those of some jobs that it reads, where it does not read all, so that the
            others need not move; it can be pickled too.

    Returns:
        The rows of all groups, the groups in order of first appearance.

    Raises:
        TypeError: If `by` is a Series.
        Exception: What the statistic raises, of no rows or on a worker.
    """
    import dask  # noqa: PLC0415 - an extra
    from dask.dataframe.dispatch import make_meta  # noqa: PLC0415

    names = _names(by)
    # of no rows it tells at once what is wrong with its arguments, and which columns it makes
    empty = statistic(make_meta(jobs))
    present = [name for name in dict.fromkeys((*names, *columns)) if name in jobs.columns]
    every = jobs[present]
    narrow = every if kept is None else every.map_partitions(kept, meta=make_meta(every))
    if not names:
        keys = pd.DataFrame()
        tasks = _on_each(narrow.repartition(npartitions=1), statistic)
    else:
        keys, split = _keys(every[names])
        tasks = _in_place(narrow, keys[~split], statistic, alone=not split.any())
        tasks += _moved(narrow, keys[split], statistic)
    found = [frame for frame in dask.compute(*tasks) if len(frame)]
    whole = pd.concat(found, ignore_index=True) if found else empty
    return _in_order(whole, keys) if names else whole


def _names(by: str | Sequence[str] | pd.Series[Any] | None) -> list[str]:
    if by is None:
        return []
    if isinstance(by, str):
        return [by]
    if hasattr(by, "index") and hasattr(by, "dtype"):
        raise TypeError(
            "`by` names columns of a Dask frame: add the Series as one, jobs.assign(group=...)"
        )
    return list(dict.fromkeys(by))


def _on_each(frame: dd.DataFrame, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Return the tasks that give the function each partition."""
    import dask  # noqa: PLC0415

    task = dask.delayed(function, pure=False)
    shared = [dask.delayed(argument, traverse=False) for argument in arguments]
    return [task(partition, *shared) for partition in frame.to_delayed()]


def _keys(keys: dd.DataFrame) -> tuple[pd.DataFrame, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return a row per group in order of first appearance, numbered, and which lie in several."""
    import dask  # noqa: PLC0415

    parts = dask.compute(*_on_each(keys, pd.DataFrame.drop_duplicates))
    every = pd.concat(parts, ignore_index=True)
    distinct = every.drop_duplicates(ignore_index=True)
    distinct[_NUMBER] = np.arange(len(distinct))
    times = np.bincount(_numbers(every, distinct), minlength=len(distinct))
    return distinct, times > 1


def _numbers(rows: pd.DataFrame, keys: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the number of the group of each row, -1 for one of another group."""
    names = [name for name in keys.columns if name != _NUMBER]
    # of all joins this one keeps the order of the rows, and a null meets a null
    found = rows[names].merge(keys, on=names, how="left")[_NUMBER]
    return found.fillna(-1).to_numpy(dtype=np.int64)


def _in_place(
    narrow: dd.DataFrame, keys: pd.DataFrame, statistic: Statistic, *, alone: bool
) -> list[Any]:
    """Return the tasks for the groups that lie whole in one partition; `alone` if all do."""
    if alone:
        return _on_each(narrow, statistic)
    return _on_each(narrow, _of_groups, keys, statistic) if len(keys) else []


def _of_groups(jobs: pd.DataFrame, keys: pd.DataFrame, statistic: Statistic) -> pd.DataFrame:
    return statistic(jobs[_numbers(jobs, keys) >= 0])


def _moved(narrow: dd.DataFrame, keys: pd.DataFrame, statistic: Statistic) -> list[Any]:
    """Return the tasks for the groups that must first be brought together."""
    if not len(keys):
        return []
    from dask.dataframe.dispatch import make_meta  # noqa: PLC0415

    rows = narrow.map_partitions(_numbered, keys, meta=_numbered(make_meta(narrow), keys))
    shuffled = rows.shuffle(_NUMBER, npartitions=min(len(keys), narrow.npartitions))
    return _on_each(shuffled, _as_they_were, make_meta(narrow).dtypes, statistic)


def _numbered(jobs: pd.DataFrame, keys: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of these groups, each with the number of its group."""
    number = _numbers(jobs, keys)
    return jobs.assign(**{_NUMBER: number})[number >= 0]


def _as_they_were(jobs: pd.DataFrame, types: pd.Series[Any], statistic: Statistic) -> pd.DataFrame:
    # a shuffle between workers turns Arrow's text into objects
    return statistic(jobs.drop(columns=_NUMBER).astype(types.to_dict()))


def _in_order(found: pd.DataFrame, keys: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the groups in the order of the keys."""
    order = np.argsort(_numbers(found, keys), kind="stable")
    return found.iloc[order].reset_index(drop=True)
