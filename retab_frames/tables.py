"""A frame as a table in a terminal: aligned, escaped, and no wider than the screen."""

from __future__ import annotations

import math
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any
from unicodedata import combining, east_asian_width

import pandas as pd

from retab_frames.errors import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["duration", "terminal"]

_NARROWEST = 8
_GAP = "  "
_SECOND_MS, _MINUTE_MS, _HOUR_MS = 1_000, 60_000, 3_600_000


def duration(ms: float | None) -> str:
    """Return a duration with three digits that matter: 87 ms, 4.12 s, 3 min 05 s, 2 h 10 min.

    Example:
        >>> duration(4120)
        '4.12 s'
    """
    if ms is None or math.isnan(ms):
        return "-"
    if abs(ms) < _SECOND_MS - 0.5:
        return f"{ms:.0f} ms"
    if abs(ms) < _MINUTE_MS - 50:
        seconds = ms / _SECOND_MS
        return f"{seconds:.2f} s" if abs(seconds) < 9.995 else f"{seconds:.1f} s"  # noqa: PLR2004
    if abs(ms) < _HOUR_MS - 500:
        minutes, seconds = divmod(round(ms / _SECOND_MS), 60)
        return f"{minutes} min {seconds:02} s"
    hours, minutes = divmod(round(ms / _MINUTE_MS), 60)
    return f"{hours} h {minutes:02} min"


def terminal(frame: pd.DataFrame, *, width: int = 80) -> str:
    """Return the frame as lines of at most `width` characters.

    Numbers and durations (columns that end in `_ms`, shown with their unit) stand to the right,
    null is `-`, control characters are escaped. Where the columns are too wide the widest text
    is cut, with an ellipsis.
    """
    if frame.empty:
        return f"(no rows; columns: {', '.join(map(shown, frame.columns))})"
    headers = [shown(str(name).removesuffix("_ms"), 40) for name in frame.columns]
    cells = [_cells(frame[name], str(name)) for name in frame.columns]
    right = [_is_number(frame[name]) for name in frame.columns]
    widths = _fit([max(map(_width, (h, *c))) for h, c in zip(headers, cells, strict=True)], width)
    lines = [headers, ["-" * w for w in widths], *zip_longest(*cells, fillvalue="")]
    return "\n".join(_line(line, widths, right) for line in lines)


def _line(cells: Sequence[str], widths: list[int], right: list[bool]) -> str:
    parts = []
    for cell, width, is_right in zip(cells, widths, right, strict=True):
        text = _cut(cell, width)
        blanks = " " * (width - _width(text))
        parts.append(blanks + text if is_right else text + blanks)
    return _GAP.join(parts).rstrip()


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    while _width(text) > width - 1:
        text = text[:-1]
    return f"{text}…"


def _width(text: str) -> int:
    """Return how many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    wide = sum(east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(combining(character) > 0 for character in text)


def _fit(widths: list[int], width: int) -> list[int]:
    """Take from the widest column, one character at a time, until all fit."""
    widths = list(widths)
    room = width - len(_GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _is_number(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _cells(column: pd.Series[Any], name: str) -> list[str]:
    if name.endswith("_ms"):
        sign = "+" if name.startswith("delta") else ""
        values = [None if pd.isna(value) else float(value) for value in column]
        return [f"{sign if value and value > 0 else ''}{duration(value)}" for value in values]
    return [_cell(value) for value in column]


def _cell(value: object) -> str:
    if value is None or value is pd.NA or value is pd.NaT:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "-" if value != value else f"{value:.2f}"  # noqa: PLR0124 - NaN is not itself
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return shown(value, 200)
