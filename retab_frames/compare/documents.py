"""The documents of two runs, paired: how each one changed from the baseline to the candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retab_frames.compare.inputs import find_changed_documents
from retab_frames.schemas.frames import BOOL, FLOAT64, INT64, STRING, arrow_column
from retab_frames.schemas.vocabulary import COMPLETED, STOPPED, TERMINAL
from retab_frames.stats.measures import SPANS
from retab_frames.stats.samples import has_status

if TYPE_CHECKING:
    from retab_frames.compare.sides import Side

__all__ = [
    "CHANGES",
    "COMPARABLE_CHANGES",
    "count_changes",
    "count_transitions",
    "pair_documents",
    "sort_by_change",
]

CHANGES = (
    *("broken", "still_failing", "pending", "cancelled"),
    *("removed", "added", "fixed", "unchanged"),
)
"""Every change a document can have, those that need attention first."""

COMPARABLE_CHANGES = ("unchanged", "broken", "fixed", "still_failing")
"""The changes of documents that were completed or failed on both sides."""


def pair_documents(baseline: Side, candidate: Side) -> pd.DataFrame:
    """Return one row per document: the baseline's in its order, then the added ones.

    The columns are those of RunComparison.documents.
    """
    added = candidate.final.index.difference(baseline.final.index, sort=False)
    documents = baseline.final.index.append(added)
    # all columns of a side are null for a document that it lacks
    before, after = (_spread(side.final, documents) for side in (baseline, candidate))
    change = _classify_changes(before, after)
    inputs_changed: list[bool | None] = [None] * len(documents)
    if baseline.inputs is not None and candidate.inputs is not None:
        changed = find_changed_documents(baseline.inputs, candidate.inputs)
        on_both = zip(documents, ~np.isin(change, ["added", "removed"]), strict=True)
        inputs_changed = [document in changed if both else None for document, both in on_both]
    name = f"{baseline.measure}_ms"
    kind = FLOAT64 if baseline.measure in SPANS else INT64
    # integers, so that the difference of huge durations is exact
    old_ms, new_ms = (side[name].where(change == "unchanged") for side in (before, after))
    old, new = (
        ms.to_numpy(dtype=np.float64, na_value=np.nan) for ms in (old_ms.where(old_ms > 0), new_ms)
    )
    columns = {
        "document_id": (documents, STRING),
        "filename": (after["filename"].fillna(before["filename"]), STRING),
        "change": (change, STRING),
        "baseline_status": (before["status"], STRING),
        "candidate_status": (after["status"], STRING),
        f"baseline_{name}": (before[name], kind),
        f"candidate_{name}": (after[name], kind),
        "delta_ms": (new_ms - old_ms, kind),
        "ratio": (new / old, FLOAT64),
        "baseline_job_id": (before["job_id"], STRING),
        "candidate_job_id": (after["job_id"], STRING),
        "same_job": (_find_same_jobs(before, after), BOOL),
        "baseline_attempt": (before["attempt"], INT64),
        "candidate_attempt": (after["attempt"], INT64),
        "error_message": (after["error_message"], STRING),
        "inputs_changed": (inputs_changed, BOOL),
        # null if a side has no artifact
        "artifact_changed": (before["artifact_id"] != after["artifact_id"], BOOL),
    }
    return pd.DataFrame({name: arrow_column(*column) for name, column in columns.items()})


def _spread(final: pd.DataFrame, documents: pd.Index) -> pd.DataFrame:
    """Return a row per document; that of one which the side lacks is null, and no placeholder."""
    rows = final.reindex(documents)
    return rows.assign(is_placeholder=rows["is_placeholder"].fillna(value=False))


def _find_same_jobs(before: pd.DataFrame, after: pd.DataFrame) -> pd.Series[Any]:
    """Return whether one job stands on both sides, as where a run takes over fresh results.

    It has the same id there, or the same artifact, or the same start and end. Null if a side lacks
    the document.
    """
    same = {
        name: (before[name] == after[name]).fillna(value=False)
        for name in ("job_id", "artifact_id", "started_at", "completed_at")
    }
    found = same["job_id"] | same["artifact_id"] | (same["started_at"] & same["completed_at"])
    return found.where(before["job_id"].notna() & after["job_id"].notna())


def _classify_changes(
    before: pd.DataFrame, after: pd.DataFrame
) -> np.ndarray[Any, np.dtype[np.object_]]:
    in_before, in_after = (side["job_id"].notna().to_numpy() for side in (before, after))
    # a side that lacks the document has no status
    ended = has_status(before, TERMINAL) & has_status(after, TERMINAL)
    stopped = has_status(before, STOPPED) | has_status(after, STOPPED)
    done_before, done_after = has_status(before, COMPLETED), has_status(after, COMPLETED)
    # the first condition that holds decides
    return np.select(
        [~in_before, ~in_after, ~ended, stopped, done_before & done_after, done_before, done_after],
        ["added", "removed", "pending", "cancelled", "unchanged", "broken", "fixed"],
        default="still_failing",
    )


def count_changes(documents: pd.DataFrame) -> dict[str, int]:
    """Return the number of paired documents of each change, in the order of CHANGES."""
    counts = documents["change"].value_counts()
    return {change: int(counts.get(change, 0)) for change in CHANGES}


def count_transitions(documents: pd.DataFrame) -> pd.DataFrame:
    """Return the number of paired documents by their statuses; see RunComparison.transitions."""
    keys = ["baseline_status", "candidate_status"]
    sizes = documents.groupby(keys, dropna=False, sort=True).size()
    counts = sizes.rename("documents").reset_index()
    counts["documents"] = arrow_column(counts["documents"].to_numpy(), INT64)
    return counts


def sort_by_change(documents: pd.DataFrame) -> pd.DataFrame:
    """Return the paired documents as every table shows them: what needs attention first.

    In the order of CHANGES, and those of one change with the largest slowdown first.
    """
    order = documents["change"].map({change: n for n, change in enumerate(CHANGES)})
    slowdown = -documents["ratio"].to_numpy(np.float64, na_value=-np.inf)
    return documents.iloc[np.lexsort((slowdown, order))]
