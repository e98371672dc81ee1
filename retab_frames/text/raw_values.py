"""Frames as CSV and JSON, for programs: all columns, with values to the last digit."""

from __future__ import annotations

import json
import math
import re
from csv import QUOTE_NONNUMERIC
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["list_rows", "render_csv", "render_json", "render_json_object"]

_FORMULA = re.compile(r"^([=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])")
"""What spreadsheets read as a formula; the last four are full-width forms."""


def render_csv(frame: pd.DataFrame) -> str:
    """Return the frame as CSV: raw values, ISO times, every text quoted, null empty.

    Text that a spreadsheet would read as a formula gets a leading apostrophe, as spreadsheets do
    themselves; remove it to get the text.
    """
    columns = {n: list(map(_to_csv, column)) for n, column in enumerate(_columns(frame))}
    plain = pd.DataFrame(columns, dtype=object)
    header = [_FORMULA.sub(r"'\1", str(name)) for name in frame.columns]
    text: str = plain.to_csv(index=False, header=header, quoting=QUOTE_NONNUMERIC)
    return text


def render_json(frame: pd.DataFrame) -> str:
    """Return the frame as a JSON array of rows: ASCII, ISO times, null and NaN as null.

    Numbers are exact: a double has the digits that give it back, a whole number or a decimal has
    all that it has. JSON has no infinity: it is 1e999, which parsers read as infinity.
    """
    names = [_escape(str(name)) for name in frame.columns]
    columns = [map(_to_json, column) for column in _columns(frame)]
    rows = (zip(names, row, strict=True) for row in zip(*columns, strict=True))
    lines = (",\n".join(f"    {name}: {value}" for name, value in row) for row in rows)
    return _bracket(",\n".join(f"  {{\n{line}\n  }}" for line in lines))


def render_json_object(value: dict[str, Any]) -> str:
    """Return an object of plain values, such as `list_rows` gives, as JSON: ASCII, indented."""
    return json.dumps(value, indent=2, allow_nan=False).replace("\x7f", r"\u007f")


def list_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as plain values, which fit into strict JSON.

    Times are ISO text; what is null, NaN or infinite is None.
    """
    names = [str(name) for name in frame.columns]
    rows = zip(*_columns(frame), strict=True)
    return [dict(zip(names, map(_drop_odd, row), strict=True)) for row in rows]


def _drop_odd(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _bracket(rows: str) -> str:
    return f"[\n{rows}\n]" if rows else "[]"


def _columns(frame: pd.DataFrame) -> Iterable[Iterable[object]]:
    """Yield the values of each column, by position, as a frame may have a name twice."""
    return (map(_plain, frame.iloc[:, n]) for n in range(frame.shape[1]))


def _plain(value: object) -> object:
    """Return None for a null, times as ISO text, and other values as they are."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, pd.Timestamp):
        # the same in every row, because readers take the format from the first
        return value.isoformat(timespec="nanoseconds" if value.nanosecond else "microseconds")
    if isinstance(value, pd.Timedelta | date | time):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value


def _to_csv(value: object) -> object:
    if isinstance(value, float) and math.isnan(value):
        return None
    return _FORMULA.sub(r"'\1", value) if isinstance(value, str) else value


def _to_json(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return str(value)
    if isinstance(value, float):
        if math.isnan(value):
            return "null"
        return repr(value) if math.isfinite(value) else f"{'-' if value < 0 else ''}1e999"
    return _escape(str(value))


def _escape(text: str) -> str:
    """Return a text as JSON, without any character that a terminal would obey."""
    return json.dumps(text).replace("\x7f", r"\u007f")
