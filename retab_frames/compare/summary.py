"""Sentences and tables that describe a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from retab_frames.compare.documents import sort_by_change
from retab_frames.text.messages import printable
from retab_frames.text.tables import format_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retab_frames.stats.paired_ratio import PairedRatio

__all__ = [
    "describe_changes",
    "describe_comparability",
    "describe_failures",
    "describe_speed",
    "list_names",
    "name_run",
    "select_changed",
    "select_slowest",
]

_MAX_NAMES = 5
_MAX_SLOWEST = 10
_DURATIONS = ["baseline_duration_ms", "candidate_duration_ms", "delta_ms", "ratio"]


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
    share, low, high = (_percent(after[name]) for name in ("rate", "rate_low", "rate_high"))
    return (
        f"Failed: {after['failed']} of {after['documents']} ({share}, {_format_level(confidence)} "
        f"{low} to {high}), {before['failed']} before (p = {after['p_value']:.2g})."
    )


def describe_speed(ratio: PairedRatio) -> str:
    """Return the change of the durations in words, with its interval and the verdict."""
    if not ratio.pairs:
        condition = " with a duration above 0" if ratio.left_out else ""
        return f"Speed: not known, no document was completed in both{condition}."
    change = round(100 * (ratio.ratio - 1))
    amount = f"{abs(change)} % {'longer' if change > 0 else 'less time'}" if change else "as long"
    text = f"Speed: {ratio.verdict}; jobs take {amount}"
    if ratio.pairs > 1:
        ends = f"{ratio.ratio_low - 1:+.0%} to {ratio.ratio_high - 1:+.0%}".replace("%", " %")
        text += f" ({_format_level(ratio.confidence)} {ends})"
    text += f" on the {format_count(ratio.pairs, 'document')} completed in both"
    if ratio.verdict == "inconclusive" and ratio.pairs > 1:
        detectable = _percent(ratio.detectable_ratio - 1)
        text += f"; a slowdown of {detectable} or more would probably have been detected"
        if ratio.wilcoxon_p < 1 - ratio.confidence:
            p_value = f"Wilcoxon p = {ratio.wilcoxon_p:.2g}"
            text += f"; yet most changed in the same direction ({p_value})"
    if ratio.skewed:
        text += "; the ratios are skewed, so the interval may be too narrow"
    return f"{text}."


def _percent(share: float) -> str:
    return "unknown" if pd.isna(share) else f"{100 * share:.0f} %"


def _format_level(confidence: float) -> str:
    return f"{100 * confidence:.10g} % interval"


def select_changed(documents: pd.DataFrame) -> pd.DataFrame:
    """Return the documents that are not unchanged, those that need attention first."""
    changed = sort_by_change(documents[documents["change"] != "unchanged"])
    return changed[["filename", "document_id", "change", "baseline_status", "candidate_status"]]


def select_slowest(documents: pd.DataFrame) -> pd.DataFrame:
    """Return the documents that slowed down most."""
    slower = documents[documents["ratio"].fillna(0) > 1].nlargest(_MAX_SLOWEST, "ratio")
    return slower[["filename", "document_id", *_DURATIONS]]
