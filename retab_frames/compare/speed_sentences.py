"""The sentences on speed: what a typical document, all together, and the outliers did.

Each says only what the numbers beside it show, and what they are of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from retab_frames.compare.paired_statistics import select_pairs
from retab_frames.compare.summary import format_level, list_names, name_documents
from retab_frames.text.tables import format_count, format_duration

if TYPE_CHECKING:
    from retab_frames.compare.comparability import Comparable
    from retab_frames.compare.earlier import EarlierRuns
    from retab_frames.stats.measures import Measure
    from retab_frames.stats.paired_ratio import PairedRatio, Verdict

__all__ = ["describe_change", "describe_speed"]

_ROUGH_BELOW = 30
"""The interval of a total is rough on fewer documents."""
_TIMES = 3
"""From here on a ratio is told as a factor, not in percent."""
_NOUNS = {"duration": "takes", "queue": "waits", "elapsed": "runs", "turnaround": "takes"}
_TITLES = {
    "duration": "Speed",
    "queue": "Time in the queue",
    "elapsed": "Time from start to end",
    "turnaround": "Time from creation to end",
}


class Comparison(Protocol):
    """What the sentences are about: a RunComparison."""

    @property
    def documents(self) -> pd.DataFrame: ...
    @property
    def speed(self) -> pd.DataFrame: ...
    @property
    def movers(self) -> pd.DataFrame: ...
    @property
    def ratio(self) -> PairedRatio: ...
    @property
    def verdict(self) -> Verdict: ...
    @property
    def comparable(self) -> Comparable: ...
    @property
    def measure(self) -> Measure: ...
    @property
    def earlier(self) -> EarlierRuns | None: ...


def describe_speed(comparison: Comparison) -> str:
    """Return the change of speed in a few sentences, the verdict first."""
    title = _TITLES[comparison.measure]
    if comparison.comparable == "no":
        return f"{title}: no verdict, since the runs cannot be compared."
    sentences = [
        f"{title}: {_describe_typical(comparison)}",
        _describe_left_out(comparison),
        _describe_total(comparison.ratio),
        _describe_movers(comparison),
        _describe_broken(comparison),
        _describe_scope(comparison),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def describe_change(ratio: float) -> str:
    """Return a ratio of durations in words: 14 % longer, 3.2 times as long, 12 % less time."""
    if ratio >= _TIMES:
        return f"{ratio:.3g} times as long"
    amount = _format_share(abs(ratio - 1))
    if amount == "0 %":
        return "as long"
    return f"{amount} {'longer' if ratio > 1 else 'less time'}"


def _describe_typical(comparison: Comparison) -> str:
    speed, noun = comparison.speed.iloc[0], _NOUNS[comparison.measure]
    pairs = int(speed["pairs"])
    if not pairs:
        return _describe_no_pairs(speed)
    documents = format_count(pairs, "document")
    than, documents = _describe_baseline(comparison, documents)
    change = f"{noun} {describe_change(speed['ratio'])}{than}"
    if pd.isna(speed["ratio_low"]):
        return _describe_open(comparison, change, pairs)
    level = format_level(comparison.ratio.confidence)
    low, high = float(speed["ratio_low"]), float(speed["ratio_high"])
    assumed = ""
    if speed["interval"] == "student_t":
        assumed = " On so few documents this assumes even scatter."
    if speed["verdict"] == "inconclusive":
        least, most = (_describe_end(end) for end in (low, high))
        shown = _describe_detectable(float(speed["detectable_ratio"]))
        return (
            f"not known. Between {least} and {most} per typical document{than} ({level}; "
            f"{documents}); {shown}.{assumed}"
        )
    within = ""
    if speed["verdict"] == "equivalent":
        within = f", within the margin of {_format_share(comparison.ratio.margin)}"
    return (
        f"{speed['verdict']}. A typical document {change} ({level} {_format_ends(low, high)}"
        f"{within}; {documents}).{assumed}"
    )


def _describe_baseline(comparison: Comparison, documents: str) -> tuple[str, str]:
    """Return what a change is relative to, and what it is of, where there are earlier runs."""
    if comparison.earlier is None or comparison.earlier.effect is None:
        return "", documents
    runs = comparison.earlier.effect.runs
    return f" than in {runs} runs of the baseline's definition", f"{documents}, {runs} runs"


def _describe_no_pairs(speed: pd.Series[Any]) -> str:
    if speed["same_job"]:
        reason = "the documents completed in both runs have the same jobs there"
    elif speed["left_out"]:
        reason = "no document completed in both runs has this time on both sides"
    else:
        reason = "no document was completed in both runs"
    return f"not known, {reason}."


def _describe_open(comparison: Comparison, change: str, pairs: int) -> str:
    """Return the change and why it has no interval."""
    if comparison.earlier is not None:
        reason = "there are no two other runs of the baseline's definition that differ"
        if comparison.earlier.effect is None:
            reason = "the baseline's definition has no other run to compare with"
        return f"not known, {reason}."
    if pairs == 1:
        return f"not known. The one document {change}, and one has no interval."
    return (
        f"not known. Each of the {pairs} documents {change}, and so few without scatter have no "
        "interval."
    )


def _describe_detectable(ratio: float) -> str:
    amount = f"x {ratio:.3g}" if ratio >= _TIMES else _format_share(ratio - 1)
    return f"a slowdown of {amount} would probably have shown"


def _describe_end(ratio: float) -> str:
    """Return an end of an interval in words: 4 % less, 9 % more, no change."""
    if ratio >= _TIMES:
        return f"{ratio:.3g} times as much"
    amount = _format_share(abs(ratio - 1))
    if amount == "0 %":
        return "no change"
    return f"{amount} {'more' if ratio > 1 else 'less'}"


def _format_ends(low: float, high: float) -> str:
    """Return an interval of a ratio as shares of change: +8 to +21 %."""
    if high >= _TIMES:
        return f"x {low:.3g} to x {high:.3g}"
    ends = [f"{'-' if end < 1 else '+'}{_format_share(abs(end - 1))}" for end in (low, high)]
    return f"{ends[0].removesuffix(' %')} to {ends[1]}"


def _format_share(share: float) -> str:
    """Return a share in percent, with a decimal below 10."""
    percent = 100 * share
    text = f"{percent:.0f}" if percent >= 9.95 else f"{percent:.1f}".removesuffix(".0")  # noqa: PLR2004
    return f"{text} %"


def _describe_left_out(comparison: Comparison) -> str:
    """Return which documents count otherwise than as they are, or not at all."""
    speed = comparison.speed.iloc[0]
    if not speed["pairs"]:
        return ""
    parts = []
    if speed["zeros"]:
        parts.append(f"{format_count(int(speed['zeros']), 'document')} with 0 ms counted as 0.5 ms")
    if speed["same_job"]:
        documents = format_count(int(speed["same_job"]), "document")
        parts.append(f"{documents} with the same job in both runs left out")
    if speed["left_out"]:
        documents = format_count(int(speed["left_out"]), "document")
        parts.append(f"{documents} without this time left out")
    return f"{', '.join(parts)}." if parts else ""


def _describe_total(ratio: PairedRatio) -> str:
    """Return the change of the total time of the pairs."""
    total = ratio.total
    if ratio.pairs < 2 or np.isnan(total.value):  # noqa: PLR2004 - one is told already
        return ""
    after, before = (format_duration(side.sum()) for side in (ratio.candidate, ratio.baseline))
    change = f"{'-' if total.value < 1 else '+'}{_format_share(abs(total.value - 1))}"
    if total.value >= _TIMES:
        change = f"x {total.value:.3g}"
    interval = ""
    if not np.isnan([total.low, total.high]).any():
        rough = ", rough" if ratio.pairs < _ROUGH_BELOW else ""
        interval = f" ({_format_ends(total.low, total.high)}{rough})"
    return f"All together: {after}, was {before}, {change}{interval}."


def _describe_movers(comparison: Comparison) -> str:
    """Return how many documents changed by more than half, and which."""
    ratio = comparison.ratio
    if ratio.pairs < 2:  # noqa: PLR2004 - as above
        return ""
    is_slower = (comparison.movers["ratio"] > 1).to_numpy(dtype=bool)
    names = name_documents(comparison.movers)
    slower, faster = names[is_slower].tolist(), names[~is_slower].tolist()[::-1]
    if not slower and not faster:
        return "No document slowed by more than half or sped up as much."
    p_value = f"p = {ratio.movers_p:.2g}"
    if not faster:
        count = format_count(len(slower), "document")
        what = f"slowed by more than half, none sped up as much ({p_value})"
        return f"{count} {what}: {list_names(slower)}."
    if not slower:
        count = format_count(len(faster), "document")
        what = f"sped up by more than a third, none slowed as much ({p_value})"
        return f"{count} {what}: {list_names(faster)}."
    return (
        f"{format_count(len(slower), 'document')} slowed by more than half ({list_names(slower)}), "
        f"{len(faster)} sped up as much ({list_names(faster)}; {p_value})."
    )


def _describe_broken(comparison: Comparison) -> str:
    """Return what is known of the documents that broke or were fixed, and what they change."""
    documents, ratio = comparison.documents, comparison.ratio
    if not ratio.pairs or not (ratio.broken or ratio.fixed):
        return ""
    parts = []
    before = f"baseline_{comparison.measure}_ms"
    lost = documents.loc[documents["change"] == "broken", before].dropna()
    if len(lost):
        usual = format_duration(float(select_pairs(documents)[before].median()))
        parts.append(
            f"Those that broke had taken {format_duration(float(lost.median()))} in the baseline, "
            f"those compared {usual} (medians)."
        )
    is_open = np.isnan([ratio.composite_low, ratio.composite_high]).any()
    if not is_open and ratio.composite_verdict != ratio.verdict:
        both = [
            f"{count} {what}"
            for count, what in (
                (ratio.broken, "that broke as the slowest"),
                (ratio.fixed, "that were fixed as the fastest"),
            )
            if count
        ]
        parts.append(
            f"This is of the documents that did not break or get fixed: with the "
            f"{' and the '.join(both)}, the verdict on these two runs is {ratio.composite_verdict}."
        )
    return " ".join(parts)


def _describe_scope(comparison: Comparison) -> str:
    """Return what two runs cannot tell."""
    if comparison.earlier is not None or not comparison.ratio.pairs:
        return ""
    if comparison.verdict in {"slower", "faster"}:
        return "These two runs differ; whether the definition does, earlier runs would tell."
    return "This is about these two runs; about the definition, earlier runs would tell."
