"""Documents by runs: the final job of each document in each run, and a summary per document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from retab_frames.compare.failure_rates import (
    MIN_CHANGES,
    count_state_changes,
    rate_documents,
    select_tried,
)
from retab_frames.compare.sides import sort_by_time
from retab_frames.schemas.frames import (
    BOOL,
    FLOAT64,
    INT64,
    STRING,
    TIME,
    arrow_column,
    frame_of_rows,
)
from retab_frames.schemas.vocabulary import COMPLETED, FAILED
from retab_frames.stats.measures import SPANS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from retab_frames.compare.sides import Side

__all__ = ["summarize_documents", "tabulate_cells"]

_RATES = ("failure_rate", "failure_rate_low", "failure_rate_high")
_SLOW_QUANTILE = 0.9
_SLOW_RATIO = 1.5
"""A job that takes less than so many times the median of its run is not slow."""
_MIN_SLOW_RUNS = 3
"""Fewer do not make a document `always_slow`."""
_MIN_FAILED_RUNS = 2
"""Fewer do not make a document `always_failing`."""


def tabulate_cells(sides: Sequence[Side], measure: str) -> pd.DataFrame:
    """Return one row per document and run; see ManyComparison.cells."""
    if not sides:
        return frame_of_rows((), _list_cell_types(measure))
    return pd.concat([_tabulate_run(side) for side in sort_by_time(sides)], ignore_index=True)


def _list_cell_types(measure: str) -> dict[str, pa.DataType]:
    return {
        "document_id": STRING,
        "filename": STRING,
        "run_id": STRING,
        "began_at": TIME,
        "definition": STRING,
        "status": STRING,
        "job_id": STRING,
        "error_message": STRING,
        f"{measure}_ms": FLOAT64 if measure in SPANS else INT64,
        "ratio_to_run_median": FLOAT64,
        "slow": BOOL,
    }


def _tabulate_run(side: Side) -> pd.DataFrame:
    jobs, name = side.final.reset_index(), f"{side.measure}_ms"
    completed = jobs["status"].isin(COMPLETED).to_numpy(bool) & ~side.placeholders
    duration = jobs[name].to_numpy(np.float64, na_value=np.nan)
    duration = np.where(completed, duration, np.nan)
    measured = duration[~np.isnan(duration)]
    median, high = np.quantile(measured, [0.5, _SLOW_QUANTILE]) if len(measured) else (0, np.inf)
    values = {
        "document_id": jobs["document_id"],
        "filename": jobs["filename"],
        "run_id": [side.run_id] * len(jobs),
        "began_at": [None if pd.isna(side.began_at) else side.began_at] * len(jobs),
        "definition": [side.record.get("definition_fingerprint")] * len(jobs),
        "status": jobs["status"].mask(side.placeholders),
        "job_id": jobs["job_id"],
        "error_message": jobs["error_message"],
        name: duration,
        "ratio_to_run_median": duration / median if median else np.full(len(jobs), np.nan),
        "slow": (duration >= high) & (duration >= _SLOW_RATIO * median) & (duration > 0),
    }
    types = _list_cell_types(side.measure)
    return pd.DataFrame({key: arrow_column(values[key], kind) for key, kind in types.items()})


def summarize_documents(
    cells: pd.DataFrame,
    run_failures: pd.DataFrame,
    measure: str,
    *,
    confidence: float,
    flaky_rate: float,
) -> pd.DataFrame:
    """Return one row per document, those that need attention first.

    The columns are those of ManyComparison.documents.

    Args:
        cells: As `tabulate_cells` returns them.
        run_failures: As `find_failing_runs` returns them.
        measure: What is compared.
        confidence: Of the interval of a failure rate.
        flaky_rate: As for `compare_many`.
    """
    cells = cells.assign(
        completed=cells["status"].isin(COMPLETED),
        failed=cells["status"].isin(FAILED),
    )
    groups = cells.groupby("document_id", sort=False)
    counts = groups[["completed", "failed", "slow"]].sum().astype("int64")
    completed, failed, slow = (counts[name] for name in ("completed", "failed", "slow"))
    runs = groups.size()
    changes = _find_state_changes(cells).reindex(runs.index)
    rates = rate_documents(
        cells, run_failures, confidence=confidence, flaky_rate=flaky_rate
    ).reindex(runs.index)
    documents = pd.DataFrame(
        {
            "document_id": arrow_column(runs.index, STRING),
            "filename": arrow_column(groups["filename"].first(), STRING),
            "runs": arrow_column(runs, INT64),
            "completed": arrow_column(completed, INT64),
            "failed": arrow_column(failed, INT64),
            "rate_runs": arrow_column(rates["rate_runs"].fillna(0), INT64),
            **{name: arrow_column(rates[name], FLOAT64) for name in _RATES},
            "flaky": arrow_column(rates["flaky"].fillna(value=False), BOOL),
            "fixed_since": arrow_column(changes["fixed_since"], STRING),
            "broken_since": arrow_column(changes["broken_since"], STRING),
            "always_failing": arrow_column((failed >= _MIN_FAILED_RUNS) & (completed == 0), BOOL),
            "slow_runs": arrow_column(slow, INT64),
            "always_slow": arrow_column((slow == completed) & (slow >= _MIN_SLOW_RUNS), BOOL),
            "median_ms": arrow_column(groups[f"{measure}_ms"].median(), FLOAT64),
            "median_ratio": arrow_column(groups["ratio_to_run_median"].median(), FLOAT64),
        }
    )
    order = ["failed", "slow_runs", "median_ms"]
    return documents.sort_values(order, ascending=False, kind="stable", ignore_index=True)


def _find_state_changes(cells: pd.DataFrame) -> pd.DataFrame:
    """Return, by document, the run since which it is completed or fails.

    `fixed_since` and `broken_since`, as ManyComparison.documents has them.
    """
    tried = select_tried(cells)
    changes = count_state_changes(tried).groupby(level="document_id").max()
    unsteady = changes.index[changes >= MIN_CHANGES]
    document = tried["document_id"]
    before = tried.groupby(document)["failed"].shift()
    changed = tried[before.notna() & (tried["failed"] != before)]
    last = changed.drop_duplicates("document_id", keep="last").set_index("document_id")
    since = last["run_id"].where(~last.index.isin(unsteady))
    return pd.DataFrame(
        {"fixed_since": since.where(~last["failed"]), "broken_since": since.where(last["failed"])}
    )
