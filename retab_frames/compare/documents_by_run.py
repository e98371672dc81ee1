"""Documents by runs: the final job of each document in each run, and a summary per document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from retab_frames.schemas.frames import BOOL, FLOAT64, INT64, STRING, arrow_column, frame_of_rows
from retab_frames.schemas.vocabulary import COMPLETED, FAILED, STOPPED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retab_frames.compare.sides import Side

__all__ = ["summarize_documents", "tabulate_cells"]

_CELLS = {
    "document_id": STRING,
    "filename": STRING,
    "run_id": STRING,
    "status": STRING,
    "duration_ms": INT64,
    "ratio_to_run_median": FLOAT64,
    "slow": BOOL,
}
_SLOW_QUANTILE = 0.9
_MIN_SLOW_RUNS = 2
"""Fewer do not make a document `always_slow`."""


def tabulate_cells(sides: Sequence[Side]) -> pd.DataFrame:
    """Return one row per document and run; see ManyComparison.cells."""
    if not sides:
        return frame_of_rows((), _CELLS)
    return pd.concat([_tabulate_run(side) for side in sides], ignore_index=True)


def _tabulate_run(side: Side) -> pd.DataFrame:
    jobs = side.final.reset_index()
    completed = jobs["status"].isin(COMPLETED).to_numpy(bool) & ~side.placeholders
    duration = jobs["duration_ms"].to_numpy(np.float64, na_value=np.nan)
    duration = np.where(completed, duration, np.nan)
    measured = duration[~np.isnan(duration)]
    median, high = np.quantile(measured, [0.5, _SLOW_QUANTILE]) if len(measured) else (0, np.inf)
    values = {
        "document_id": jobs["document_id"],
        "filename": jobs["filename"],
        "run_id": [side.run_id] * len(jobs),
        "status": jobs["status"].mask(side.placeholders),
        "duration_ms": duration,
        "ratio_to_run_median": duration / median if median else np.full(len(jobs), np.nan),
        # if most jobs take the same time, none of them is slow
        "slow": (duration >= high) & (duration > median),
    }
    return pd.DataFrame({name: arrow_column(values[name], kind) for name, kind in _CELLS.items()})


def summarize_documents(cells: pd.DataFrame) -> pd.DataFrame:
    """Return one row per document, those that need attention first.

    The columns are those of ManyComparison.documents.
    """
    cells = cells.assign(
        completed=cells["status"].isin(COMPLETED),
        failed=cells["status"].isin((*FAILED, *STOPPED)),
    )
    groups = cells.groupby("document_id", sort=False)
    counts = groups[["completed", "failed", "slow"]].sum().astype("int64")
    completed, failed, slow = (counts[name] for name in ("completed", "failed", "slow"))
    runs = groups.size()
    documents = pd.DataFrame(
        {
            "document_id": arrow_column(runs.index, STRING),
            "filename": arrow_column(groups["filename"].first(), STRING),
            "runs": arrow_column(runs, INT64),
            "completed": arrow_column(completed, INT64),
            "failed": arrow_column(failed, INT64),
            "flaky": arrow_column((completed > 0) & (failed > 0), BOOL),
            "always_failing": arrow_column((failed > 0) & (completed == 0), BOOL),
            "slow_runs": arrow_column(slow, INT64),
            "always_slow": arrow_column((slow == completed) & (slow >= _MIN_SLOW_RUNS), BOOL),
            "median_ms": arrow_column(groups["duration_ms"].median(), FLOAT64),
            "median_ratio": arrow_column(groups["ratio_to_run_median"].median(), FLOAT64),
        }
    )
    order = ["failed", "slow_runs", "median_ms"]
    return documents.sort_values(order, ascending=False, kind="stable", ignore_index=True)
