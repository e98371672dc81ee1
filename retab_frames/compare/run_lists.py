"""Several runs as callers give them: contents, frames, or one frame of several runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from retab_frames.compare.sides import list_columns
from retab_frames.load.content import RunContent
from retab_frames.schemas.intake import check_columns, take_columns
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retab_frames.stats.measures import Measure

    Run = RunContent | pd.DataFrame

__all__ = ["check_run_ids", "split_runs"]


def split_runs(runs: Iterable[Run] | pd.DataFrame, measure: Measure, *, reader: str) -> list[Any]:
    """Return the runs one by one.

    Args:
        runs: Contents or jobs frames, one run each; or one jobs frame of several runs.
        measure: What is compared.
        reader: The function, as messages call it.

    Raises:
        TypeError: If these are not runs, or only one content.
        ValueError: If it is a frame without the column `run_id`, or one that does not fit.
    """
    if isinstance(runs, RunContent):
        raise TypeError(f"{reader} takes several runs; this is one")
    if not isinstance(runs, pd.DataFrame) and not hasattr(type(runs), "columns"):
        if not isinstance(runs, Iterable):
            raise TypeError(f"{reader} takes runs, not {type(runs).__name__}")
        return list(runs)
    jobs = check_columns(runs, ["run_id"], reader=reader)
    names = list_columns(jobs, measure)
    jobs = take_columns(jobs, names, reader=reader)[names].reset_index(drop=True)
    groups = jobs.groupby("run_id", sort=False, dropna=False)
    return [part for _, part in groups]


def check_run_ids(ids: Sequence[str | None]) -> None:
    """Check that each run has an id of its own.

    Raises:
        ValueError: If one was never run, or is given twice.
    """
    if None in ids:
        raise ValueError(f"run {ids.index(None)} has no run id, it was never run: leave it out")
    twice = next((run for n, run in enumerate(ids) if run in ids[:n]), None)
    if twice is not None:
        raise ValueError(f"run {printable(twice)} is given twice")
