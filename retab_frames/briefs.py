"""A comparison of two runs in brief: the sentences, and the tables of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retab_frames.errors import shown
from retab_frames.pairing import CHANGES
from retab_frames.tables import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from retab_frames.comparison import RunComparison
    from retab_frames.pairs import PairedRatio

__all__ = ["sections", "sentences"]


def sentences(comparison: RunComparison) -> Iterator[str]:
    """Yield the comparison in words: its heading, then what limits it, broke, and took longer."""
    ids = (comparison.candidate_run_id, comparison.baseline_run_id)
    yield " against ".join("a run without id" if one is None else shown(one) for one in ids)
    yield _comparable_sentence(comparison)
    changes = comparison.changes
    counts = ", ".join(f"{n} {change.replace('_', ' ')}" for change, n in changes.items() if n)
    told = counted(len(comparison.documents), "document")
    yield f"{told}: {counts}." if counts else f"{told}."
    before, after = comparison.failure_rates.to_dict("records")
    if before["documents"]:
        level = f"{100 * comparison.confidence:.10g} % interval"
        ends = f"{_percent(after['rate_low'])} to {_percent(after['rate_high'])}"
        share = f"{_percent(after['rate'])}, {level} {ends}"
        counts = f"{after['failed']} of {after['documents']} ({share}), {before['failed']} before"
        yield f"Failed: {counts} (p = {after['p_value']:.2g})."
    yield _speed_sentence(comparison.ratio)


def _comparable_sentence(comparison: RunComparison) -> str:
    checks = comparison.comparability
    told = {
        result: checks.loc[checks["result"] == result, name].tolist()
        for result, name in (("no", "reason"), ("warning", "reason"), ("unknown", "check"))
    }
    unknown = f" Not recorded: {', '.join(told['unknown'])}." if told["unknown"] else ""
    if told["no"]:
        return f"Not comparable: {'; '.join(told['no'])}.{unknown}"
    if told["warning"]:
        return f"Comparable, but {'; '.join(told['warning'])}.{unknown}"
    return f"Comparable.{unknown}"


def _speed_sentence(ratio: PairedRatio) -> str:
    if not ratio.pairs:
        told = " with a duration above 0" if ratio.left_out else ""
        return f"Speed: not known, no document was completed in both{told}."
    told = f"Speed: {ratio.verdict}; jobs take {_longer(ratio.ratio)}"
    if ratio.pairs > 1:
        ends = f"{ratio.ratio_low - 1:+.0%} to {ratio.ratio_high - 1:+.0%}".replace("%", " %")
        told += f" ({100 * ratio.confidence:.10g} % interval {ends})"
    documents = f"{ratio.pairs} document{'s' if ratio.pairs > 1 else ''}"
    told += f" on the {documents} completed in both"
    if ratio.verdict == "inconclusive" and ratio.pairs > 1:
        told += f"; {_percent(ratio.detectable_ratio - 1)} or more would have shown"
        if ratio.wilcoxon_p < 1 - ratio.confidence:
            told += f"; yet most moved the same way (Wilcoxon p = {ratio.wilcoxon_p:.2g})"
    if ratio.skewed:
        told += "; the ratios are skewed, so the interval may be too narrow"
    return f"{told}."


def _longer(ratio: float) -> str:
    change = round(100 * (ratio - 1))
    if not change:
        return "as long"
    return f"{abs(change)} % {'longer' if change > 0 else 'less time'}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


_MOST_DOCUMENTS = 20
_SPEED = [
    *("verdict", "pairs", "ratio", "ratio_low", "ratio_high", "wilcoxon_p", "median_delta_ms"),
    "detectable_ratio",
]
"""The answer first: a page may be too narrow for the rest."""


def sections(comparison: RunComparison) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield what a page shows, with titles: reasons, documents that need a look, rates, speed."""
    checks = comparison.comparability
    doubtful = checks[checks["result"].isin(["no", "warning"])]
    if len(doubtful):
        yield "Comparability", doubtful
    documents = comparison.documents
    changed = documents[documents["change"] != "unchanged"]
    order = changed["change"].map({change: n for n, change in enumerate(CHANGES)})
    changed = changed.iloc[order.argsort(kind="stable")]
    names = ["filename", "document_id", "change", "baseline_status", "candidate_status"]
    if len(changed):
        more = len(changed) - _MOST_DOCUMENTS
        title = f"Documents that changed{f' (and {more} more)' if more > 0 else ''}"
        yield title, changed[names].head(_MOST_DOCUMENTS)
    slower = documents[documents["ratio"].fillna(0) > 1].nlargest(5, "ratio")
    if len(slower):
        columns = ["filename", "baseline_duration_ms", "candidate_duration_ms", "ratio"]
        yield "Documents that slowed down most", slower[columns]
    yield "Failures", comparison.failure_rates.drop(columns="run_id")
    yield "Speed", comparison.speed[_SPEED]
