"""A comparison in brief: its sentences and tables, and both as Markdown or for a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd

from retab_frames.compare.documents import sort_by_change
from retab_frames.text import tables
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retab_frames.compare.two_runs import RunComparison
    from retab_frames.stats.paired_ratio import PairedRatio

__all__ = ["as_html", "as_markdown", "sections", "sentences"]

Sections = Iterable[tuple[str | None, pd.DataFrame]]
"""Frames with their titles, where they have one."""


def as_markdown(sentences: Iterable[str], sections: Sections) -> str:
    """Return a heading, what is told below it, and tables, as Markdown."""
    first, *told = map(tables.escape_markdown, sentences)
    lines = "\n".join(f"- {line}" for line in told)
    parts = (
        f"### {title}\n\n{tables.render_markdown(frame)}"
        if title
        else tables.render_markdown(frame)
        for title, frame in sections
    )
    return "\n\n".join([f"## {first}", lines, *parts]) + "\n"


def as_html(sentences: Iterable[str], sections: Sections) -> str:
    """Return the same as a part of a page, for a notebook."""
    first, *told = map(tables.escape_html, sentences)
    lines = "".join(f"<li>{line}</li>" for line in told)
    parts = (
        f"{f'<p>{title}</p>' if title else ''}{tables.render_html(frame)}"
        for title, frame in sections
    )
    return f"<div><b>{first}</b><ul>{lines}</ul>{''.join(parts)}</div>"


def sentences(comparison: RunComparison) -> Iterator[str]:
    """Yield the comparison in words: its heading, then what limits it, broke, and took longer."""
    ids = (comparison.candidate_run_id, comparison.baseline_run_id)
    yield " against ".join("a run without id" if one is None else printable(one) for one in ids)
    yield _comparable_sentence(comparison)
    changes = comparison.changes
    counts = ", ".join(f"{n} {change.replace('_', ' ')}" for change, n in changes.items() if n)
    told = tables.format_count(len(comparison.documents), "document")
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
    changed = sort_by_change(documents[documents["change"] != "unchanged"])
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
