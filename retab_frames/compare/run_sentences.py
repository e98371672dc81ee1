"""The sentences on two runs: their dates, scores and definitions, and why documents broke."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from retab_frames.text.messages import printable
from retab_frames.text.tables import format_count

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "describe_broken_messages",
    "describe_dates",
    "describe_definition",
    "describe_scores",
    "format_score",
]

_MAX_TOLD = 3
_MAX_VALUE = 40
_MAX_PATH = 60
_MAX_TEMPLATE = 120


def describe_dates(runs: pd.DataFrame) -> str:
    """Return when the two runs were created; "" if neither says so.

    Args:
        runs: As RunComparison.runs.
    """
    before, after = runs["created_at"]
    if pd.isna(before) and pd.isna(after):
        return ""
    told = f"Run of {_format_time(after)}, the baseline of {_format_time(before)}"
    if pd.notna(before) and pd.notna(after) and after < before:
        told += ": the baseline is the later one"
    return f"{told}."


def _format_time(moment: Any) -> str:
    return "unknown date" if pd.isna(moment) else f"{moment:%Y-%m-%d %H:%M} UTC"


def describe_scores(runs: pd.DataFrame) -> str:
    """Return the scores of the two runs and their difference, where there is one; "" if none."""
    before, after = runs["score"]
    if pd.isna(before) and pd.isna(after):
        return ""
    told = f"Score: {format_score(before)} -> {format_score(after)}"
    delta = runs["score_delta"].iloc[1]
    if pd.notna(delta):
        # a negative difference that rounds to none has no sign of its own
        return f"{told} ({round(delta, 4) + 0.0:+.4f}".rstrip("0").rstrip(".") + ")."
    if pd.isna(before) or pd.isna(after):
        return f"{told}."
    if len(set(runs["n_consensus"].astype(object))) > 1:
        return f"{told}, of different numbers of votes, so they are not subtracted."
    return (
        f"{told}, each of the documents that its run completed; these are not the same, so they "
        "are not subtracted."
    )


def format_score(score: float) -> str:
    """Return a score with two to four decimals."""
    if pd.isna(score):
        return "unknown"
    text = f"{score:.4f}".rstrip("0")
    return text.ljust(len(text.split(".", maxsplit=1)[0]) + 3, "0")


def describe_definition(definition: pd.DataFrame) -> str:
    """Return what changed in the definition; "" if nothing is known to.

    Args:
        definition: As RunComparison.definition.
    """
    rows = definition.astype(object).where(definition.notna(), None).to_numpy().tolist()
    if not rows:
        return ""
    return f"Changed in the definition: {_list_first([_describe_value(*row) for row in rows])}."


def _describe_value(path: str, before: str | None, after: str | None) -> str:
    old, new = (None if text is None else printable(text, _MAX_VALUE) for text in (before, after))
    name = printable(path, _MAX_PATH)
    if old is None:
        return f"{name} added ({new})"
    return f"{name} removed ({old})" if new is None else f"{name}: {old} -> {new}"


def describe_broken_messages(messages: pd.DataFrame) -> str:
    """Return why documents broke, the most frequent reason first; "" if nothing says so.

    Args:
        messages: As RunComparison.broken_messages.
    """
    if messages["example_message"].isna().all():
        return ""
    told = [
        f"{printable(row['template'], _MAX_TEMPLATE)} "
        f"({format_count(row['documents'], 'document')})"
        for row in messages.to_dict("records")
    ]
    return f"Why they broke: {_list_first(told)}."


def _list_first(texts: Sequence[str]) -> str:
    more = len(texts) - _MAX_TOLD
    told = "; ".join(texts[:_MAX_TOLD])
    return f"{told}; and {more} more" if more > 0 else told
