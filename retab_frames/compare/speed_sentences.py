"""The sentences on speed: what a typical document, all together, and the outliers did.

Each says only what the numbers beside it show, and what they are of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from retab_frames.compare.paired_statistics import select_pairs
from retab_frames.compare.summary import (
    MEASURE_NAMES,
    TAKES,
    format_level,
    list_names,
    name_documents,
)
from retab_frames.text.numbers import format_p
from retab_frames.text.tables import format_count, format_duration

if TYPE_CHECKING:
    from retab_frames.compare.comparability import Comparable
    from retab_frames.compare.earlier import EarlierRuns
    from retab_frames.stats.measures import Measure
    from retab_frames.stats.paired_ratio import PairedRatio
    from retab_frames.stats.verdicts import Verdict

__all__ = ["describe_speed"]

_ROUGH_BELOW = 30
"""The interval of a total is rough on fewer documents."""
_TIMES = 3
"""From here on a ratio is told as a factor, not in percent."""
_PART = 0.01
"""Below this a ratio is told as a part, since it would round to 100 % less."""
_MOST = 1000
"""A slowdown of more is told as at least this."""
_TAKEN = {"duration": "taken", "queue": "waited", "elapsed": "run", "turnaround": "taken"}
_TITLES = {name: text.capitalize() for name, text in MEASURE_NAMES.items()} | {"duration": "Speed"}


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
    def margin(self) -> float: ...
    @property
    def confidence(self) -> float: ...
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
        _describe_total(comparison),
        _describe_movers(comparison),
        _describe_broken(comparison),
        _describe_scope(comparison),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _describe_typical(comparison: Comparison) -> str:
    speed = comparison.speed.iloc[0]
    effect = None if comparison.earlier is None else comparison.earlier.effect
    if not speed["pairs"] and effect is None:
        return _describe_no_pairs(speed)
    if pd.isna(speed["ratio_low"]):
        return _describe_open(comparison)
    counted, reference = format_count(int(speed["pairs"]), "document"), ""
    if comparison.earlier is not None and effect is not None:
        used = comparison.earlier.runs[comparison.earlier.runs["used"]]
        least, most = int(used["pairs"].min()), int(used["pairs"].max())
        each = format_count(most, "document") if least == most else f"{least} to {most} documents"
        counted = f"{each} in each of {effect.runs} runs"
        reference = f" {effect.runs} runs of the baseline's definition"
    what = f"{format_level(comparison.confidence)}; {counted}"
    low, high = float(speed["ratio_low"]), float(speed["ratio_high"])
    margin = _format_share(comparison.margin)
    assumed = ""
    if speed["interval"] == "student_t":
        assumed = " On so few documents this assumes even scatter."
    if speed["verdict"] == "inconclusive":
        least_change, most_change = (_describe_end(end) for end in (low, high))
        against = f" against{reference}" if reference else ""
        known = "not known"
        if not low <= 1 <= high:
            known = f"not known whether it changed by more than the margin of {margin}"
        return (
            f"{known}. Between {least_change} and {most_change} per typical document{against} "
            f"({what}); {_describe_detectable(float(speed['detectable_ratio']))}.{assumed}"
        )
    within = f", within the margin of {margin}" if speed["verdict"] == "equivalent" else ""
    change = _describe_change(float(speed["ratio"]), reference and f" in{reference}")
    return (
        f"{speed['verdict']}. A typical document {TAKES[comparison.measure]} {change} "
        f"({format_level(comparison.confidence)} {_format_ends(low, high)}{within}; {counted})."
        f"{assumed}"
    )


def _describe_change(ratio: float, reference: str = "") -> str:
    """Return a ratio in words: 14 % longer, 3.2 times as long, 12 % less time, as long.

    Args:
        ratio: Of two times.
        reference: What it is relative to, such as " in 5 runs"; "" for the baseline.
    """
    than, as_ = (f" {word}{reference}" if reference else "" for word in ("than", "as"))
    if ratio == 1:
        return f"as long{as_ or ' as in the baseline'}"
    if ratio >= _TIMES:
        return f"{ratio:.3g} times as long{as_}"
    if ratio < _PART:
        return f"1/{1 / ratio:.3g} of the time{reference}"
    return f"{_format_amount(ratio)} {'longer' if ratio > 1 else 'less time'}{than}"


def _describe_no_pairs(speed: pd.Series[Any]) -> str:
    if speed["same_job"] and speed["left_out"]:
        reason = (
            "each document completed in both runs has the same job there, or no such time on a side"
        )
    elif speed["same_job"]:
        reason = "each document completed in both runs has the same job there"
    elif speed["left_out"]:
        reason = "no document completed in both runs has this time on both sides"
    else:
        reason = "no document was completed in both runs"
    return f"not known, {reason}."


def _describe_open(comparison: Comparison) -> str:
    """Return the change and why it has no interval."""
    if comparison.earlier is not None:
        if comparison.earlier.effect is None:
            runs = len(comparison.earlier.runs)
            there = (
                "the baseline is the only one"
                if runs == 1
                else f"too few of the {runs} given have these"
            )
            return (
                "not known. This takes two runs of the baseline's definition, with documents "
                f"completed in them and in the candidate; {there}."
            )
        runs = comparison.earlier.effect.runs
        return (
            f"not known. The {runs} runs of the baseline's definition do not differ at all, so "
            "there is nothing to measure this one by."
        )
    speed = comparison.speed.iloc[0]
    change = f"{TAKES[comparison.measure]} {_describe_change(float(speed['ratio']))}"
    if speed["pairs"] == 1:
        return f"not known. The one document {change}; one document has no interval."
    return (
        f"not known. Each of the {speed['pairs']} documents {change}; so few without scatter have "
        "no interval."
    )


def _describe_detectable(ratio: float) -> str:
    if ratio > _MOST:
        return f"even {_MOST} times as long might not have shown"
    amount = f"to {ratio:.3g} times as long" if ratio >= _TIMES else f"of {_format_amount(ratio)}"
    return f"a slowdown {amount} would probably have shown"


def _describe_end(ratio: float) -> str:
    """Return an end of an interval in words: 4 % less, 9 % more, 3.2 times as much, no change."""
    if ratio == 1:
        return "no change"
    if ratio >= _TIMES:
        return f"{ratio:.3g} times as much"
    if ratio < _PART:
        return f"1/{1 / ratio:.3g} as much"
    return f"{_format_amount(ratio)} {'more' if ratio > 1 else 'less'}"


def _format_amount(ratio: float) -> str:
    """Return by how much a ratio differs from 1, which is never nothing."""
    text = _format_share(abs(ratio - 1))
    return "less than 0.1 %" if text == "0 %" else text


def _format_ends(low: float, high: float) -> str:
    """Return an interval of a ratio as shares of change: +8 to +21 %; or x 0.004 to x 3.1."""
    if high >= _TIMES or low < _PART:
        return f"x {low:.3g} to x {high:.3g}"
    return f"{_format_shift(low).removesuffix(' %')} to {_format_shift(high)}"


def _format_shift(ratio: float) -> str:
    """Return a ratio as a share of change with its sign: +8 %, -21 %, 0 %; or x 3.1."""
    if ratio >= _TIMES or 0 < ratio < _PART:
        return f"x {ratio:.3g}"
    text = _format_share(abs(ratio - 1))
    return text if text == "0 %" else f"{'-' if ratio < 1 else '+'}{text}"


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


def _describe_total(comparison: Comparison) -> str:
    """Return the change of the total time of the pairs."""
    ratio, total = comparison.ratio, comparison.ratio.total
    if ratio.pairs < 2 or np.isnan(total.value):  # noqa: PLR2004 - one is told already
        return ""
    after, before = (format_duration(side.sum()) for side in (ratio.candidate, ratio.baseline))
    change, interval = _format_shift(total.value), ""
    if not np.isnan([total.low, total.high]).any():
        rough = ", rough" if ratio.pairs < _ROUGH_BELOW else ""
        ends = _format_ends(total.low, total.high)
        interval = f" ({ends}{rough})"
        if ends.startswith("x"):
            change = f"x {total.value:.3g}"
    what = "All together" if comparison.earlier is None else "All together, in the two runs alone"
    return f"{what}: {after}, was {before}, {change}{interval}."


def _describe_movers(comparison: Comparison) -> str:
    """Return how many documents changed by more than half, and which."""
    ratio = comparison.ratio
    if ratio.pairs < 2:  # noqa: PLR2004 - as above
        return ""
    is_slower = (comparison.movers["ratio"] > 1).to_numpy(dtype=bool)
    names = name_documents(comparison.movers, among=comparison.documents)
    slower, faster = names[is_slower].tolist(), names[~is_slower].tolist()[::-1]
    if not slower and not faster:
        return "No document slowed by more than half or sped up as much."
    p_value = format_p(ratio.movers_p)
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
        which, medians = "Those that broke", ", those compared {} (medians)"
        if len(lost) == 1:
            which, medians = "The document that broke", "; the median of those compared is {}"
        usual = format_duration(float(select_pairs(documents)[before].median()))
        parts.append(
            f"{which} had {_TAKEN[comparison.measure]} {format_duration(float(lost.median()))} in "
            f"the baseline{medians.format(usual)}."
        )
    is_open = np.isnan([ratio.composite_low, ratio.composite_high]).any()
    if not is_open and ratio.composite_verdict != ratio.verdict:
        counted = [
            f"{format_count(count, f'{what} document')} as the {rank}"
            for count, what, rank in (
                (ratio.broken, "broken", "slowest"),
                (ratio.fixed, "fixed", "fastest"),
            )
            if count
        ]
        parts.append(
            "This is of the documents completed in both runs: with "
            f"{' and '.join(counted)}, the verdict on these two runs is {ratio.composite_verdict}."
        )
    return " ".join(parts)


def _describe_scope(comparison: Comparison) -> str:
    """Return what two runs cannot tell."""
    if comparison.earlier is not None or not comparison.ratio.pairs:
        return ""
    if comparison.verdict in {"slower", "faster"}:
        return "These two runs differ; whether the definition does, earlier runs would tell."
    return "This is about these two runs; about the definition, earlier runs would tell."
