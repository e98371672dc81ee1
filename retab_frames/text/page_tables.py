"""A frame as a table of a page: words for headings, an interval beside its estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retab_frames.text import labels, tables
from retab_frames.text.numbers import TOO_FEW

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

__all__ = ["lay_out"]

_LEFT, _RIGHT = "text-align: left", "text-align: right"
_BREAKABLE = f"{_LEFT}; overflow-wrap: anywhere"
"""Of a column of ids and names, the only words that a narrow page breaks."""
_ONE_END = f"An interval with one end, such as “from 5 s”: {TOO_FEW} where the other end is."


def lay_out(frame: pd.DataFrame) -> tuple[tables.Table, str]:
    """Return a frame as a table, and a line that explains intervals with one end; "" if none is.

    An estimate and the ends of its interval (`x`, `x_low`, `x_high`) are one column, since most
    tables would be too wide for a page with three. So are the ends of an interval that is of no
    estimate (`x_from`, `x_to`). Numbers are shown as `labels.find_format` says.
    """
    plain = tables.format_table(frame)
    names = [str(name) for name in frame.columns]
    headers, cells, styles = [], [], []
    has_one_end = False
    for n, name in enumerate(names):
        stem, unit = (name.removesuffix("_ms"), "_ms") if name.endswith("_ms") else (name, "")
        if stem.endswith(("_low", "_high", "_to")):
            continue
        ends = [f"{stem}_low{unit}", f"{stem}_high{unit}"]
        if stem.endswith("_from"):
            stem = stem.removesuffix("_from")
            ends = [name, f"{stem}_to"]
        column = stem + unit
        number_format = labels.find_format(column)
        texts, style = plain.cells[n], plain.styles[n]
        if set(ends) <= set(names):
            texts, style = _show_intervals(frame, column, ends), _RIGHT
            has_one_end |= bool((frame[ends[0]].isna() != frame[ends[1]].isna()).any())
        elif number_format and not unit and frame[column].dtype.kind == "f":
            texts = _show_numbers(frame, column, number_format)
        elif labels.is_word(column):
            texts = [labels.format_words(text) for text in texts]
        elif labels.is_name(column) and style == _LEFT:
            style = _BREAKABLE
        headers.append(labels.find_heading(column))
        cells.append(texts)
        styles.append(style)
    return tables.Table(headers, cells, styles), _ONE_END if has_one_end else ""


def _take_numbers(frame: pd.DataFrame, names: list[str]) -> list[list[float]]:
    rows: list[list[float]] = frame[names].to_numpy(np.float64, na_value=np.nan).tolist()
    return rows


def _show_numbers(frame: pd.DataFrame, name: str, shown: labels.NumberFormat) -> list[str]:
    values = _take_numbers(frame, [name])
    return [tables.NULL if np.isnan(value) else shown.show(value) for (value,) in values]


def _show_intervals(frame: pd.DataFrame, name: str, ends: list[str]) -> list[str]:
    """Return each interval, behind its estimate if there is one."""
    shown = labels.find_format(name) or labels.PLAIN
    rows = _take_numbers(frame, ends)
    if name not in frame.columns:
        return [_format_ends(*row, show=shown.show) for row in rows]
    estimates = _show_numbers(frame, name, shown)
    intervals = [_format_ends(*row, show=shown.show_end) for row in rows]
    return [
        estimate if estimate == tables.NULL else f"{estimate} ({interval})"
        for estimate, interval in zip(estimates, intervals, strict=True)
    ]


def _format_ends(low: float, high: float, *, show: Callable[[float], str]) -> str:
    if np.isnan(low) and np.isnan(high):
        return TOO_FEW
    if np.isnan(high):
        return f"from {show(low)}"
    if np.isnan(low):
        return f"up to {show(high)}"
    return f"{show(low)} to {show(high)}"
