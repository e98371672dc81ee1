"""Frames as tables for a terminal, for Markdown and for HTML.

All text is escaped, and the three tables format a value in the same way.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from html import escape
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import combining, east_asian_width

import pandas as pd

from retab_frames.errors import escape_line
from retab_frames.text.messages import printable
from retab_frames.text.numbers import TOO_FEW_SHORT

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "NULL",
    "Table",
    "escape_html",
    "escape_markdown",
    "format_count",
    "format_duration",
    "format_table",
    "render_html",
    "render_markdown",
    "render_terminal",
]

NULL = "-"
"""Of a value that is not there."""
_INTERVAL_END = re.compile(r"_(low|high)(_ms)?$")
"""The end of an interval, in the name of its column."""
_LINK = re.compile(
    # addresses and emoji, @names, numbers of issues, the beginnings of commits
    r":(?=//|(?!\d\d:)[\w+\\-]+:)|(?i:www)(?=\.)|[@#]|(?i:\bGH-)(?=\d)"
    r"|\b(?=\d*[a-f])[0-9a-f]{7,40}\b"
)
"""After what a word can be divided that GitHub makes a link, a mention or an emoji."""
_SMALL_NUMBER = 0.01
_LEAST_NAME, _LEAST_MESSAGE = 16, 24
"""The width to which a column of names or messages is narrowed, but no further."""
_MOST_LINES = 4
"""Of a message that is wrapped; the rest of it is cut."""
_MESSAGES = frozenset(
    {"action", "error_details", "error_message", "note", "problem", "template", "value"}
)
"""The columns whose texts are sentences."""
_MOST_CHARACTERS = 200
"""Of a value on a page."""
_LEAST_BESIDE_IDS = 2
_GAP = "  "
_SECOND_MS, _MINUTE_MS, _HOUR_MS = 1_000, 60_000, 3_600_000


class Table(NamedTuple):
    """What a table shows, as text that is not escaped yet.

    Attributes:
        headers: The heading of each column.
        cells: The cells of each column.
        styles: The CSS of each column; one that is aligned to the right says so.
    """

    headers: list[str]
    cells: list[list[str]]
    styles: list[str]


def format_duration(ms: float | None) -> str:
    """Return a duration with up to three significant digits: 87 ms, 4.12 s, 3 min 05 s, 2 h 10 min.

    Example:
        >>> format_duration(4120)
        '4.12 s'
    """
    if ms is None or math.isnan(ms):
        return NULL
    return f"{'-' if ms < 0 else ''}{_add_unit(abs(ms))}"


def _add_unit(ms: float) -> str:
    if math.isinf(ms):
        return "∞"
    if ms < _SECOND_MS - 0.5:
        return f"{ms:.0f} ms"
    if ms < _MINUTE_MS - 50:
        seconds = ms / _SECOND_MS
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"  # noqa: PLR2004
    if ms < _HOUR_MS - 500:
        minutes, seconds = divmod(round(ms / _SECOND_MS), 60)
        return f"{minutes} min {seconds:02} s"
    hours, minutes = divmod(round(ms / _MINUTE_MS), 60)
    return f"{hours} h {minutes:02} min"


def format_count(number: int, noun: str) -> str:
    """Return a number and its noun, in the plural unless the number is 1.

    Example:
        >>> format_count(1, "document"), format_count(0, "document")
        ('1 document', '0 documents')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def render_terminal(frame: pd.DataFrame, *, width: int | None = 80, elsewhere: str = "") -> str:
    """Return the frame as lines, of at most `width` characters if that is possible.

    Numbers and durations (columns that end in `_ms`, shown with their unit) are right-aligned. Null
    is `-`, or `too few` at the end of an interval whose estimate is not null. Control characters
    are escaped.

    If the columns are too wide, names are cut in the middle, which keeps the ending of a file, and
    messages are wrapped. If they still are, columns on the right are left out, and the last line
    names them. Ids (columns that end in `_id`), numbers and times are always whole, and so are all
    columns where the ids leave no room for others: then the lines are longer than `width`.

    Args:
        frame: The frame.
        width: The number of characters in a line of the terminal; None for lines of any length, in
            which nothing is cut, wrapped or left out.
        elsewhere: Where columns that are left out can be found, as a clause.
    """
    if frame.empty:
        return f"(no rows; columns: {', '.join(map(printable, frame.columns))})"
    headers, cells, right = _format_frame(frame, limit=None)
    names = [str(name) for name in frame.columns]
    full = [max(map(_measure_width, (h, *c))) for h, c in zip(headers, cells, strict=True)]
    is_text = [not is_right and _is_text(frame, n) for n, is_right in enumerate(right)]
    shown, widths = list(range(len(names))), full
    if width is not None:
        shown, widths = _fit_columns(names, full, is_text, width)
    rule = ["-" * w for w in widths]
    columns = [
        [_fold(cell, w, names[n]) for cell in (headers[n], *cells[n])]
        for n, w in zip(shown, widths, strict=True)
    ]
    head, *rows = zip(*columns, strict=True)
    lines = [*zip_longest(*head, fillvalue=""), rule]
    lines += [line for row in rows for line in zip_longest(*row, fillvalue="")]
    is_right = [right[n] for n in shown]
    text = "\n".join(_render_line(line, widths, is_right) for line in lines)
    left_out = [header for n, header in enumerate(headers) if n not in shown]
    if not left_out:
        return text
    return f"{text}\nToo wide to show: {', '.join(left_out)}{f'; {elsewhere}' * bool(elsewhere)}"


def render_markdown(frame: pd.DataFrame | Table) -> str:
    """Return the frame as a Markdown table, with values as in `render_terminal`."""
    headers, cells, styles = _as_table(frame)
    rules = ["---:" if "right" in style else "---" for style in styles]
    lines = [
        map(escape_markdown, headers),
        rules,
        *(map(escape_markdown, row) for row in zip(*cells, strict=True)),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escape_markdown(text: str) -> str:
    """Return one line so that Markdown shows it literally, and nothing in it becomes a link.

    What GitHub finds in the text of a finished page (addresses, @names, numbers of issues,
    commits, emoji) no backslash stops: a space of no width, as a character reference, divides it.
    """
    escaped = re.sub(r"([\\`*_{}\[\]<>|~#&$])", r"\\\1", escape_line(text))
    return _LINK.sub(_divide, escaped)


def _divide(found: re.Match[str]) -> str:
    # six digits of a commit do not name it
    return "".join(f"{part}&#8203;" for part in re.findall(".{1,6}", found[0]))


def render_html(frame: pd.DataFrame | Table) -> str:
    """Return the frame as an HTML table, with values as in `render_terminal`."""
    headers, cells, styles = _as_table(frame)
    rows = [_render_html_row("td", row, styles) for row in zip(*cells, strict=True)]
    head = _render_html_row("th", headers, styles)
    return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def escape_html(text: str) -> str:
    """Return the text so that HTML shows it literally."""
    return escape(escape_line(text), quote=True)


def _render_html_row(tag: str, cells: Sequence[str], styles: list[str]) -> str:
    parts = (
        f'<{tag} style="{style}">{escape_html(cell)}</{tag}>'
        for cell, style in zip(cells, styles, strict=True)
    )
    return f"<tr>{''.join(parts)}</tr>"


def _as_table(frame: pd.DataFrame | Table) -> Table:
    return frame if isinstance(frame, Table) else format_table(frame)


def format_table(frame: pd.DataFrame) -> Table:
    """Return the names of the columns and the values as a table shows them."""
    headers, cells, right = _format_frame(frame)
    return Table(
        headers, cells, [f"text-align: {'right' if is_right else 'left'}" for is_right in right]
    )


def _format_frame(
    frame: pd.DataFrame, limit: int | None = _MOST_CHARACTERS
) -> tuple[list[str], list[list[str]], list[bool]]:
    """Return the headers, the cells of each column, and which columns are right-aligned."""
    columns = range(frame.shape[1])
    names = [str(name) for name in frame.columns]
    headers = [
        printable(name.removesuffix("_ms") if _is_duration(frame, n) else name, 40)
        for n, name in enumerate(names)
    ]
    cells = [_format_column(frame, n, limit) for n in columns]
    return headers, cells, [_is_number(frame, n) for n in columns]


def _is_number(frame: pd.DataFrame, position: int) -> bool:
    dtype = frame.dtypes.iloc[position]
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def _is_duration(frame: pd.DataFrame, position: int) -> bool:
    """Return whether a column is shown with a unit: numbers that the name says are in ms."""
    named = str(frame.columns[position]).endswith("_ms")
    return named and (_is_number(frame, position) or bool(frame.iloc[:, position].isna().all()))


def _is_text(frame: pd.DataFrame, position: int) -> bool:
    """Return whether a column holds texts other than ids, which may be cut or wrapped."""
    if str(frame.columns[position]).endswith("_id"):
        return False
    return any(isinstance(value, str) for value in frame.iloc[:, position])


def _render_line(cells: Sequence[str], widths: list[int], right: list[bool]) -> str:
    parts = []
    for text, width, is_right in zip(cells, widths, right, strict=True):
        blanks = " " * (width - _measure_width(text))
        parts.append(blanks + text if is_right else text + blanks)
    return _GAP.join(parts).rstrip()


def _fold(text: str, width: int, name: str) -> list[str]:
    """Return the lines of a cell in a column of this width and name."""
    if _measure_width(text) <= width:
        return [text]
    return _wrap(text, width) if name in _MESSAGES else [_cut_middle(text, width)]


def _cut_middle(text: str, width: int) -> str:
    """Return the beginning and the end, which is the ending of a file."""
    end = _take(text[::-1], width // 3)[::-1]
    return f"{_take(text, width - 1 - _measure_width(end))}…{end}"


def _wrap(text: str, width: int) -> list[str]:
    """Return lines that end between words where they can; the last is cut if there are too many."""
    lines: list[str] = []
    while text and len(lines) < _MOST_LINES:
        line = _take(text, width)
        space = line.rfind(" ")
        if len(line) < len(text) and text[len(line)] != " " and space > 0:
            line = line[:space]
        lines.append(line)
        text = text[len(line) :].lstrip(" ")
    if text:
        lines[-1] = f"{_take(lines[-1], width - 1)}…"
    return lines


def _take(text: str, width: int) -> str:
    """Return as much of the beginning as this width holds."""
    taken = text[:width]
    while _measure_width(taken) > width:
        taken = taken[:-1]
    return taken


def _measure_width(text: str) -> int:
    """Return the number of terminal columns that the text takes."""
    if text.isascii():
        return len(text)
    wide = sum(east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(combining(character) > 0 for character in text)


def _fit_columns(
    names: list[str], full: list[int], is_text: list[bool], width: int
) -> tuple[list[int], list[int]]:
    """Return the numbers of the columns to show, and their widths.

    Args:
        names: The columns.
        full: How wide each is if nothing is cut.
        is_text: Whether it may be narrower.
        width: That of the terminal.
    """
    least = [
        min(w, _LEAST_MESSAGE if name in _MESSAGES else _LEAST_NAME) if text else w
        for name, w, text in zip(names, full, is_text, strict=True)
    ]
    others = [n for n, name in enumerate(names) if not name.endswith("_id")]
    for count in range(len(others), min(_LEAST_BESIDE_IDS, len(others)) - 1, -1):
        shown = [n for n in range(len(names)) if n not in others[count:]]
        room = width - len(_GAP) * (len(shown) - 1)
        if sum(least[n] for n in shown) <= room:
            return shown, _narrow([full[n] for n in shown], [least[n] for n in shown], room)
    return list(range(len(names))), least


def _narrow(widths: list[int], least: list[int], room: int) -> list[int]:
    """Return the widths after narrowing the widest column that can be, until all fit."""
    while sum(widths) > room:
        spare = [w if w > end else 0 for w, end in zip(widths, least, strict=True)]
        widths[spare.index(max(spare))] -= 1
    return widths


def _format_column(frame: pd.DataFrame, position: int, limit: int | None) -> list[str]:
    column, name = frame.iloc[:, position], str(frame.columns[position])
    if not _is_duration(frame, position):
        texts = [_format_value(value, limit) for value in column]
    else:
        sign = "+" if "delta" in name else ""
        values = [None if pd.isna(value) else float(value) for value in column]
        texts = [
            f"{sign if value and value > 0 else ''}{format_duration(value)}" for value in values
        ]
    estimate = _INTERVAL_END.sub(r"\2", name)
    if estimate == name or estimate not in frame.columns:
        return texts
    known = frame[estimate].notna()
    return [TOO_FEW_SHORT if t == NULL and k else t for t, k in zip(texts, known, strict=True)]


def _format_value(value: object, limit: int | None) -> str:
    if value is None or value is pd.NA or value is pd.NaT or value != value:  # noqa: PLR0124 - NaN
        return NULL
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2g}" if 0 < abs(value) < _SMALL_NUMBER else f"{value:.2f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, timedelta):
        return format_duration(value.total_seconds() * _SECOND_MS)
    return escape_line(str(value)) if limit is None else printable(str(value), limit)
