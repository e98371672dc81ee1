"""Frames as an Excel file: a sheet each, with real times, and text that stays text."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from retab_frames.errors import MissingExtraError
from retab_frames.text.messages import printable
from retab_frames.text.tables import format_count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Rendered", "render_excel"]

_MAX_ROWS = 1_048_575
"""Of a sheet, without its header."""
_MAX_COLUMNS = 16_384
_MAX_TEXT = 32_767
"""Of a cell, in units of UTF-16, as Excel counts."""
_MAX_WHOLE = 10**15
"""Excel has 15 digits: a larger whole number, such as an id, would lose its last ones."""
_FIRST_YEAR = 1900
_WIDEST = 60
"""Of a column, in characters; what is longer shows when its cell is selected."""
_SUMMARY_WIDTH = 110
_NOTES_LISTED = 100
_SUMMARY, _NOTES = "summary", "notes"

_TIME_FORMAT = "yyyy-mm-dd hh:mm:ss.000"
_FORMATS: dict[str, dict[str, object]] = {
    "header": {"bold": True, "bottom": 1},
    "time": {"num_format": _TIME_FORMAT},
    "date": {"num_format": "yyyy-mm-dd"},
    "seconds": {"num_format": "0.000"},
    "wrapped": {"text_wrap": True, "valign": "top"},
}


class Rendered(NamedTuple):
    """An Excel file.

    Attributes:
        data: Its bytes; the same for equal frames.
        changed: Which cells do not have their whole text, a line each.
    """

    data: bytes
    changed: list[str]


def render_excel(sheets: Mapping[str, pd.DataFrame], summary: Sequence[str] = ()) -> Rendered:
    """Return an Excel file with a sheet per frame, and one of notes where there are any.

    A time is naive and in UTC, with a date format; beside a column of milliseconds (`..._ms`) is
    one of seconds. Nulls are empty cells. An index is left out unless it has a name or text. What
    Excel cannot hold as a number or a time (whole numbers of more than 15 digits, infinity, years
    before 1900) is text. Text is never a formula or a link; of more than 32,767 characters the rest
    is cut, and the notes name the cell.

    Args:
        sheets: The frames, by the name of their sheet.
        summary: Lines for a sheet of their own, which comes first.

    Raises:
        MissingExtraError: If xlsxwriter is not installed.
        ValueError: If a frame is too large for a sheet, or a name is none of a sheet.
    """
    try:
        import xlsxwriter  # noqa: PLC0415 - it is optional
    except ImportError as error:
        raise MissingExtraError(
            "an Excel file needs xlsxwriter, from the extra `excel`: "
            "pip install 'retab-frames[excel]'"
        ) from error
    for name, frame in sheets.items():
        _check_size(name, frame)
    target = BytesIO()
    workbook = xlsxwriter.Workbook(target, {"in_memory": True})
    # equal frames give equal files, as reports do; the parts of the file have this time, too
    workbook.set_properties({"created": datetime(1980, 1, 1, tzinfo=UTC).replace(tzinfo=None)})
    writer = _Writer(workbook)
    try:
        if summary:
            writer.write_lines(_SUMMARY, summary)
        for name, frame in sheets.items():
            writer.write_frame(name, frame)
        if writer.notes:
            writer.write_lines(_NOTES, writer.notes)
    except xlsxwriter.exceptions.XlsxInputError as error:
        raise ValueError(f"a sheet cannot have this name: {printable(str(error), 200)}") from None
    workbook.close()
    return Rendered(target.getvalue(), writer.changed)


def _check_size(name: str, frame: pd.DataFrame) -> None:
    limits = ((len(frame), _MAX_ROWS, "rows"), (frame.shape[1], _MAX_COLUMNS, "columns"))
    for count, most, noun in limits:
        if count > most:
            raise ValueError(
                f"{printable(name)} has {count:,} {noun}, and a sheet of Excel at most {most:,}: "
                "give a part of them, or write Parquet or CSV"
            )


class _Writer:
    """Writes sheets of one workbook, and keeps notes on what is not as in the frames.

    Attributes:
        changed: Which cells do not have their whole text.
    """

    def __init__(self, workbook: Any) -> None:
        self._workbook = workbook
        self._formats = {name: workbook.add_format(look) for name, look in _FORMATS.items()}
        self._has_utc = self._has_seconds = False
        self.changed: list[str] = []

    @property
    def notes(self) -> list[str]:
        """What a reader of the file should know, a line each."""
        notes = ["Times are in UTC."] * self._has_utc
        if self._has_seconds:
            notes.append("A column that ends in _s has the milliseconds before it in seconds.")
        notes += self.changed[:_NOTES_LISTED]
        more = len(self.changed) - _NOTES_LISTED
        return [*notes, f"and {format_count(more, 'cell')} more"] if more > 0 else notes

    def write_lines(self, name: str, lines: Sequence[str]) -> None:
        """Write a sheet of text."""
        sheet = self._workbook.add_worksheet(name)
        sheet.set_column(0, 0, _SUMMARY_WIDTH)
        for row, line in enumerate(lines):
            sheet.write_string(row, 0, _fit_text(line)[0], self._formats["wrapped"])

    def write_frame(self, name: str, frame: pd.DataFrame) -> None:
        """Write a sheet with a header that stays in view and can filter."""
        sheet = self._workbook.add_worksheet(name)
        count = 0
        for number, (title, values, look) in enumerate(self._list_columns(frame)):
            sheet.write_string(0, number, _fit_text(title)[0], self._formats["header"])
            width = len(title) + 2  # the button of the filter
            for row, value in enumerate(values, 1):
                if value is not None:
                    where = f"{name}, row {row + 1}, {title}"
                    width = max(width, self._write(sheet, row, number, value, look, where))
            sheet.set_column(number, number, min(width + 1, _WIDEST))
            count = number + 1
        sheet.freeze_panes(1, 0)
        if count:
            sheet.autofilter(0, 0, len(frame), count - 1)
            # ids of digits are text on purpose
            sheet.ignore_errors(
                {"number_stored_as_text": f"A1:{_name_column(count)}{len(frame) + 1}"}
            )

    def _list_columns(self, frame: pd.DataFrame) -> Iterator[tuple[str, list[Any], str | None]]:
        """Yield the name, the values and the format of each column; None is null."""
        index = frame.index
        levels = [index.get_level_values(level) for level in range(index.nlevels)]
        for level in levels:
            if level.name is not None or not pd.api.types.is_integer_dtype(level.dtype):
                yield str(level.name or "index"), _list_values(level.to_series()), None
        names = [str(name) for name in frame.columns]
        for number, name in enumerate(names):
            column = frame.iloc[:, number]
            values = _list_values(column)
            yield name, values, None
            in_seconds = f"{name[:-3]}_s"
            is_number = pd.api.types.is_numeric_dtype(column.dtype)
            if name.endswith("_ms") and in_seconds not in names and is_number:
                self._has_seconds = True
                yield in_seconds, [v if v is None else v / 1000 for v in values], "seconds"

    def _write(
        self, sheet: Any, row: int, number: int, value: Any, look: str | None, where: str
    ) -> int:
        """Write a cell, and return about how many characters it shows."""
        if isinstance(value, bool):
            sheet.write_boolean(row, number, value)
            return len("FALSE")
        if isinstance(value, datetime) and value.tzinfo is not None:
            self._has_utc = True
            value = value.astimezone(UTC).replace(tzinfo=None)
        if isinstance(value, date) and value.year >= _FIRST_YEAR:
            is_time = isinstance(value, datetime)
            sheet.write_datetime(row, number, value, self._formats["time" if is_time else "date"])
            return len(_TIME_FORMAT)
        if _is_exact(value):
            sheet.write_number(row, number, value, self._formats.get(look or ""))
            return len(f"{value:.6g}")
        text, change = _fit_text(value if isinstance(value, str) else str(value))
        if change:
            self.changed.append(f"{where}: {change}")
        sheet.write_string(row, number, text)
        return len(text)


def _list_values(column: pd.Series[Any]) -> list[Any]:
    """Return the values of Python's own types, None for null."""
    plain = column.astype(object).where(column.notna().to_numpy(), None)
    return [_make_plain(value) for value in plain.tolist()]


def _make_plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime(warn=False)
    return value.item() if isinstance(value, np.generic) else value


def _is_exact(value: object) -> bool:
    """Return whether this is a number that Excel holds with all its digits, or a double."""
    if isinstance(value, int):
        return abs(value) <= _MAX_WHOLE
    if isinstance(value, Decimal):
        return value.is_finite() and Decimal(f"{float(value):.15g}") == value
    return isinstance(value, float) and math.isfinite(value)


def _fit_text(text: str) -> tuple[str, str | None]:
    """Return what a cell can hold of a text, and what was changed; None if nothing was."""
    if not text.isascii():
        # a lone half of a character, which no file can hold
        text = text.encode("utf-8", "backslashreplace").decode()
    if text.startswith("<r>") and text.endswith("</r>"):
        # xlsxwriter would take it for its own markup
        return f"{text} ", "a space was added at the end"
    units = text.encode("utf-16-le")
    if len(units) <= 2 * _MAX_TEXT:
        return text, None
    short = units[: 2 * (_MAX_TEXT - 1)].decode("utf-16-le", "ignore")
    return f"{short}…", f"cut from {len(text):,} to {len(short):,} characters"


def _name_column(count: int) -> str:
    """Return the letters of the last of so many columns: 27 is AA."""
    letters = ""
    while count:
        count, rest = divmod(count - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
