"""Documents by runs: what became of each document in each run, and which need a look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from retab_frames.schemas.frames import BOOL, FLOAT64, INT64, STRING, arrow_column, frame_of_rows
from retab_frames.schemas.vocabulary import FAILED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retab_frames.compare.sides import Side

__all__ = ["cells_of", "documents_of"]

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
_LEAST_RUNS = 2


def cells_of(sides: Sequence[Side]) -> pd.DataFrame:
    """Return one row per document and run; see ManyComparison.cells."""
    if not sides:
        return frame_of_rows((), _CELLS)
    return pd.concat([_of_run(side) for side in sides], ignore_index=True)


def _of_run(side: Side) -> pd.DataFrame:
    final = side.final.reset_index()
    placeholder = final["is_placeholder"].to_numpy(bool, na_value=True)
    done = final["status"].eq("completed").to_numpy(bool, na_value=False) & ~placeholder
    duration = final["duration_ms"].to_numpy(np.float64, na_value=np.nan)
    duration = np.where(done, duration, np.nan)
    measured = duration[~np.isnan(duration)]
    median, high = np.quantile(measured, [0.5, _SLOW_QUANTILE]) if len(measured) else (0, np.inf)
    values = {
        "document_id": final["document_id"],
        "filename": final["filename"],
        "run_id": [side.run_id] * len(final),
        "status": final["status"].mask(placeholder),
        "duration_ms": duration,
        "ratio_to_run_median": duration / median if median else np.full(len(final), np.nan),
        # where most take the same time, none of them is slow
        "slow": (duration >= high) & (duration > median),
    }
    return pd.DataFrame({name: arrow_column(values[name], kind) for name, kind in _CELLS.items()})


def documents_of(cells: pd.DataFrame) -> pd.DataFrame:
    """Return one row per document, those that need a look first; see ManyComparison.documents."""
    cells = cells.assign(
        completed=cells["status"] == "completed",
        failed=cells["status"].isin(FAILED),
    )
    by = cells.groupby("document_id", sort=False)
    counts = by[["completed", "failed", "slow"]].sum().astype("int64")
    runs = by.size()
    completed, failed, slow = (counts[n] for n in ("completed", "failed", "slow"))
    found = pd.DataFrame(
        {
            "document_id": arrow_column(runs.index, STRING),
            "filename": arrow_column(by["filename"].first(), STRING),
            "runs": arrow_column(runs, INT64),
            "completed": arrow_column(completed, INT64),
            "failed": arrow_column(failed, INT64),
            "flaky": arrow_column((completed > 0) & (failed > 0), BOOL),
            "always_failing": arrow_column((failed > 0) & (completed == 0), BOOL),
            "slow_runs": arrow_column(slow, INT64),
            "always_slow": arrow_column((slow == completed) & (slow >= _LEAST_RUNS), BOOL),
            "median_ms": arrow_column(by["duration_ms"].median(), FLOAT64),
            "median_ratio": arrow_column(by["ratio_to_run_median"].median(), FLOAT64),
        }
    )
    order = ["failed", "slow_runs", "median_ms"]
    return found.sort_values(order, ascending=False, kind="stable", ignore_index=True)
