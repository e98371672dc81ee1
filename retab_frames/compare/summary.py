"""Sentences and tables that describe a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from retab_frames.compare.documents import sort_by_change
from retab_frames.text.messages import printable
from retab_frames.text.numbers import TOO_FEW_SHORT, format_p, format_share
from retab_frames.text.tables import format_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


__all__ = [
    "MEASURE_NAMES",
    "TAKES",
    "describe_changes",
    "describe_comparability",
    "describe_failures",
    "describe_ratio",
    "describe_reasons",
    "describe_retries",
    "format_level",
    "list_names",
    "name_documents",
    "name_ends",
    "name_run",
    "select_changed",
    "select_slowest",
]

MEASURE_NAMES = {
    "duration": "duration",
    "queue": "time in the queue",
    "elapsed": "time from start to end",
    "turnaround": "time from creation to end",
}
TAKES = {"duration": "takes", "queue": "waits", "elapsed": "runs", "turnaround": "takes"}
"""What a document does for so long."""

_MAX_NAMES = 5
_FEWEST_OF_ID = 4
_MAX_SLOWEST = 10
_PAGE_NAMES = {
    f"{name}_{end}": f"{name}_ratio_{end}" for name in ("total", "p95") for end in ("low", "high")
}
# an interval without an estimate, whose ends a page shows as columns of their own
_PAGE_NAMES |= {"composite_low": "composite_from", "composite_high": "composite_to"}


def name_run(run_id: str | None) -> str:
    """Return what a sentence calls a run."""
    return "a run without id" if run_id is None else printable(run_id)


def list_names(names: Sequence[str]) -> str:
    """Return the first names in a row, and how many more there are."""
    more = len(names) - _MAX_NAMES
    first = ", ".join(map(printable, names[:_MAX_NAMES]))
    return f"{first} and {more} more" if more > 0 else first


def describe_comparability(checks: pd.DataFrame) -> str:
    """Return whether the runs can be compared, and what limits it."""
    reasons = {
        result: checks.loc[checks["result"] == result, "reason"].tolist()
        for result in ("no", "warning")
    }
    unknown = checks.loc[checks["result"] == "unknown", "check"].tolist()
    not_recorded = f" Not recorded: {', '.join(unknown)}." if unknown else ""
    if reasons["no"]:
        return f"Not comparable: {'; '.join(reasons['no'])}.{not_recorded}"
    if reasons["warning"]:
        return f"Comparable, but {'; '.join(reasons['warning'])}.{not_recorded}"
    return f"Comparable.{not_recorded}"


def describe_reasons(checks: pd.DataFrame) -> str:
    """Return why runs cannot be compared."""
    return f"{'; '.join(checks.loc[checks['result'] == 'no', 'reason'])}."


def describe_ratio(speed: pd.Series[Any]) -> str:
    """Return the typical change as a factor, with its interval: x 1.25 (1.15 to 1.37).

    Args:
        speed: A row of SPEED.
    """
    low, high = (
        TOO_FEW_SHORT if pd.isna(end) else f"{end:.4g}"
        for end in (speed["ratio_low"], speed["ratio_high"])
    )
    return f"x {speed['ratio']:.4g} ({low} to {high})"


def describe_changes(changes: Mapping[str, int]) -> str:
    """Return the number of documents, and how many there are of each change."""
    documents = format_count(sum(changes.values()), "document")
    counts = ", ".join(f"{n} {change.replace('_', ' ')}" for change, n in changes.items() if n)
    return f"{documents}: {counts}." if counts else f"{documents}."


def describe_failures(failure_rates: pd.DataFrame, confidence: float) -> str:
    """Return how many documents failed on each side; "" if none ended on both."""
    before, after = failure_rates.to_dict("records")
    if not before["documents"]:
        return ""
    share, low, high = (format_share(after[name]) for name in ("rate", "rate_low", "rate_high"))
    return (
        f"Failed: {after['failed']} of {after['documents']} ({share}, {format_level(confidence)} "
        f"{low} to {high}), {before['failed']} before ({format_p(after['p_value'])})."
    )


def describe_retries(documents: pd.DataFrame) -> str:
    """Return which documents took more attempts than in the baseline; "" if none."""
    more = (documents["candidate_attempt"] > documents["baseline_attempt"]).fillna(value=False)
    names = name_documents(documents)[more].tolist()
    if not names:
        return ""
    return f"More attempts than in the baseline: {list_names(names)}."


def name_documents(
    documents: pd.DataFrame, *, among: pd.DataFrame | None = None, width: int | None = None
) -> pd.Series[Any]:
    """Return what people read for each document: its file name, and its id where others share it.

    Args:
        documents: Rows with `document_id` and `filename`.
        among: The documents from which the names must tell each one; None for these.
        width: The most characters of a name with an id, for a table: the file name is cut, and of
            the id only so much of its end shown as tells the documents apart. None for all of it.
    """
    everyone = documents if among is None else among
    of_all = _take_names(everyone)
    shared = set(of_all[of_all.duplicated(keep=False)])
    names, ids = _take_names(documents), documents["document_id"]
    size = None if width is None else _count_telling_characters(everyone["document_id"])
    told_apart = [
        _add_id(name, one, size, width) if name in shared else name
        for name, one in zip(names, ids, strict=True)
    ]
    return pd.Series(told_apart, index=documents.index, dtype=object)


def _take_names(documents: pd.DataFrame) -> pd.Series[Any]:
    return documents["filename"].fillna(documents["document_id"]).astype(object)


def _count_telling_characters(ids: pd.Series[Any]) -> int:
    """Return how many characters from its end tell each id from the others."""
    longest = int(ids.str.len().max())
    sizes = range(_FEWEST_OF_ID, longest)
    return next((n for n in sizes if ids.str[-n:].is_unique), longest)


def _add_id(name: str, document_id: str, size: int | None, width: int | None) -> str:
    if size is None or width is None:
        return f"{name} ({document_id})"
    end = document_id if len(document_id) <= size else f"…{document_id[-size:]}"
    return f"{printable(name, max(width - len(end) - 3, 1))} ({end})"


def name_ends(speed: pd.DataFrame) -> pd.DataFrame:
    """Return columns of SPEED with names by which a page puts an interval behind its estimate."""
    return speed.rename(columns=_PAGE_NAMES)


def format_level(confidence: float) -> str:
    """Return what a sentence calls an interval: 95 % interval."""
    return f"{100 * confidence:.10g} % interval"


def select_changed(documents: pd.DataFrame) -> pd.DataFrame:
    """Return the documents that are not unchanged, those that need attention first."""
    changed = sort_by_change(documents[documents["change"] != "unchanged"])
    return changed[["filename", "document_id", "change", "baseline_status", "candidate_status"]]


def select_slowest(documents: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return the documents that slowed down most."""
    durations = [f"baseline_{measure}_ms", f"candidate_{measure}_ms", "delta_ms", "ratio"]
    slower = sort_by_change(documents[documents["ratio"].fillna(0) > 1]).head(_MAX_SLOWEST)
    return slower[["filename", "document_id", *durations]]
