"""Runs in the order of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TIMES", "find_began", "sort_by_run"]

TIMES = ("created_at", "started_at")
"""When a job began: the first of these columns that says so."""


def find_began(jobs: pd.DataFrame) -> Sequence[Any]:
    """Return when each run began: when the first of its jobs did; NaT if that is not known.

    Args:
        jobs: Jobs with `run_id`, and those of TIMES that are known.

    Returns:
        The times in the order in which the runs first appear.
    """
    runs = _group(jobs)
    began = pd.Series(pd.NaT, index=runs.size().index, dtype="datetime64[us, UTC]")
    for name in TIMES:
        if name in jobs.columns:
            began = began.fillna(runs[name].min().astype(began.dtype))
    return began.tolist()


def sort_by_run(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return the jobs of the run that began first at the top; as they are if one says no time."""
    began = pd.Series(find_began(jobs), dtype="datetime64[us, UTC]")
    if began.isna().any():
        return jobs
    rank = began.rank(method="first").to_numpy()
    return jobs.iloc[np.argsort(rank[_group(jobs).ngroup()], kind="stable")]


def _group(jobs: pd.DataFrame) -> Any:
    # the index may have the name of a column, which pandas calls ambiguous
    return jobs.reset_index(drop=True).groupby("run_id", sort=False, dropna=False)
