"""How often each document fails under one definition, and runs in which too many failed at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from retab_frames.schemas.frames import (
    BOOL,
    FLOAT64,
    INT64,
    STRING,
    arrow_column,
    frame_of_rows,
)
from retab_frames.schemas.vocabulary import COMPLETED, FAILED
from retab_frames.stats.estimates import proportion
from retab_frames.stats.run_failures import find_excess

__all__ = [
    "MIN_CHANGES",
    "count_state_changes",
    "find_failing_runs",
    "rate_documents",
    "select_tried",
]

_RUNS = {
    "run_id": STRING,
    "definition": STRING,
    "documents": INT64,
    "failed": INT64,
    "expected": FLOAT64,
    "p_value": FLOAT64,
    "left_out": BOOL,
}
_NO_DEFINITION = ""
"""Stands for that of runs which do not say it, and count as runs of one."""
MIN_CHANGES = 2
"""With fewer changes between completed and failed a document broke, or was fixed."""


def select_tried(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells whose document was completed or failed, and which of the two."""
    tried = cells[cells["status"].isin((*COMPLETED, *FAILED))]
    return tried.assign(
        definition=tried["definition"].fillna(_NO_DEFINITION),
        failed=tried["status"].isin(FAILED).to_numpy(bool),
    )


def find_failing_runs(cells: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return one row per run; see ManyComparison.run_failures."""
    tried = select_tried(cells)
    found: dict[str, tuple[float, float]] = {}
    for _, group in tried.groupby("definition", sort=False):
        if len(set(group["run_id"])) > 1:
            table = group.pivot(index="document_id", columns="run_id", values="failed")  # noqa: PD010 - each cell is one row
            is_tried = table.notna().to_numpy(bool)
            has_failed = table.fillna(value=False).to_numpy(bool)
            excess = find_excess(has_failed, is_tried)
            found |= dict(zip(table.columns, zip(*excess, strict=True), strict=True))
    rows = []
    first = cells.drop_duplicates("run_id")[["run_id", "definition"]]
    by_run = tried.groupby("run_id")["failed"].agg(["size", "sum"])
    for run_id, definition in first.itertuples(index=False):
        documents, failed = by_run.loc[run_id] if run_id in by_run.index else (0, 0)
        expected, p_value = found.get(run_id, (None, None))
        # for as many runs as were tested, Bonferroni
        adjusted = None if p_value is None else min(1.0, p_value * len(found))
        is_left_out = adjusted is not None and adjusted <= 1 - confidence
        rows.append((run_id, definition, documents, failed, expected, adjusted, is_left_out))
    return frame_of_rows(rows, _RUNS)


def rate_documents(
    cells: pd.DataFrame, run_failures: pd.DataFrame, *, confidence: float, flaky_rate: float
) -> pd.DataFrame:
    """Return the failure rate of each document that was tried, by `document_id`.

    `rate_runs`, `failure_rate`, `failure_rate_low`, `failure_rate_high`, `flaky`, as
    ManyComparison.documents has them.

    Args:
        cells: As `tabulate_cells` returns them.
        run_failures: As `find_failing_runs` returns them.
        confidence: Of the intervals.
        flaky_rate: The rate that a flaky document is shown to be above.
    """
    left_out = run_failures.loc[run_failures["left_out"], "run_id"]
    tried = select_tried(cells)
    counted = tried[~tried["run_id"].isin(left_out)]
    keys = ["document_id", "definition"]
    counts = counted.groupby(keys, sort=False)["failed"].agg(["size", "sum"])
    # of the definition with the most runs, and of two with as many the newer one, which is last
    chosen = counts.reset_index().sort_values("size", kind="stable")
    chosen = chosen.drop_duplicates("document_id", keep="last")
    pairs = list(zip(chosen["sum"].tolist(), chosen["size"].tolist(), strict=True))
    # many documents have the same counts
    rates = {pair: proportion(*pair, confidence) for pair in set(pairs)}
    ends = [(rates[pair].value, rates[pair].low, rates[pair].high) for pair in pairs]
    rate, low, high = np.array(ends).reshape(-1, 3).T
    changes = count_state_changes(counted).reindex(pd.MultiIndex.from_frame(chosen[keys]))
    is_flaky = (changes.to_numpy() >= MIN_CHANGES) & (low > flaky_rate)
    return pd.DataFrame(
        {
            "rate_runs": arrow_column(chosen["size"].to_numpy(), INT64).array,
            "failure_rate": arrow_column(rate, FLOAT64).array,
            "failure_rate_low": arrow_column(low, FLOAT64).array,
            "failure_rate_high": arrow_column(high, FLOAT64).array,
            "flaky": arrow_column(is_flaky, BOOL).array,
        },
        index=pd.Index(chosen["document_id"]),
    )


def count_state_changes(tried: pd.DataFrame) -> pd.Series[Any]:
    """Return how often each document changed between completed and failed under each definition.

    Args:
        tried: As `select_tried` returns them, the runs in the order in which they began.
    """
    keys = [tried["document_id"], tried["definition"]]
    before = tried.groupby(keys, sort=False)["failed"].shift()
    is_change = before.notna() & (tried["failed"] != before)
    return is_change.groupby(keys, sort=False).sum()
