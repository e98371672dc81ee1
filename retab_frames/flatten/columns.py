"""Values of rows -> Arrow columns; a value that does not fit becomes null and a `Misfit`.

Every function takes one value per row, None where there is none, and returns a column of the same
length. An array that already has the type is returned unchanged. The whole column is converted
at once if Arrow accepts it; if not, each value is looked at by itself.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.schemas.frames import BOOL, FLOAT64, INT64, STRING, TIME
from retab_frames.schemas.moments import CALENDAR, REAL_TIMES, count_microseconds
from retab_frames.text.messages import printable
from retab_frames.wire.misfits import NOT_OF_TYPE, NULLED, Misfit
from retab_frames.wire.records import MISSING
from retab_frames.wire.values import has_values, to_list

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from retab_frames.wire.paths import Source
    from retab_frames.wire.values import ValuesByPath

__all__ = ["Column", "build_column", "coalesce_paths", "json_column"]

_INT64_RANGE = range(-(2**63), 2**63)
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:([Zz])|([+-]\d\d):?(\d\d))?", re.ASCII
)


class Column(NamedTuple):
    """A column, and the values that did not fit it."""

    array: pa.Array
    misfits: list[Misfit]


def build_column(
    values: Sequence[Any] | pa.Array, kind: pa.DataType, field: str, *, least: int | None = None
) -> Column:
    """Return the values as a column.

    - Text and booleans must be such.
    - Numbers must be numbers; for integers a fraction is rounded to the nearest (half to even), and
      a number below `least` or beyond 64 bits becomes null.
    - Times are RFC 3339 text: one without an offset is taken as UTC, digits beyond microseconds are
      cut off, both with a misfit; what is not a valid time becomes null, and so does one in the
      year 1 or 9999, which stands for none.

    Args:
        values: One per row.
        kind: The type of the column: STRING, INT64, FLOAT64, BOOL or TIME.
        field: Where the values stand on the wire, for the misfits.
        least: The least integer that is valid; None for any.
    """
    try:
        array = values if isinstance(values, pa.Array) else _convert(values, kind)
        if kind == TIME:
            array = pc.cast(array, TIME)
        if _is_valid(array, kind, least):
            return Column(array if array.type == kind else array.cast(kind), [])
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        pass
    return _fit_each(values, kind, field, least)


def json_column(values: Sequence[Any]) -> pa.Array:
    """Return JSON texts as they came, null where one is MISSING; their bytes are copied once."""
    texts = [value or b"" for value in values]
    lengths = np.fromiter(map(len, texts), np.int32, len(texts))
    ends = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum(lengths, out=ends[1:])
    valid = np.packbits(lengths > 0, bitorder="little")
    buffers = [pa.py_buffer(each) for each in (valid, ends, b"".join(texts))]
    return pa.Array.from_buffers(STRING, len(values), buffers)


def coalesce_paths(
    source: Source, kind: pa.DataType, values: ValuesByPath, rows: int, least: int | None = None
) -> Column:
    """Return the first value of each row among the places where the column may stand.

    Args:
        source: The places.
        kind: The type of the column.
        values: The values by path; a path that is not there has none.
        rows: How many rows there are.
        least: The least integer that is valid.
    """
    sent = [path for path in source.paths if has_values(values.get(path, ()))]
    if not sent:
        return Column(pa.nulls(rows, kind), [])
    if source.json_type == "json":
        first, *others = (values[path] for path in sent)
        for other in others:
            pairs = zip(first, other, strict=True)
            first = [two if one in (None, MISSING) else one for one, two in pairs]
        return Column(json_column(first), [])
    columns = [build_column(values[path], kind, path, least=least) for path in sent]
    arrays = [column.array for column in columns]
    if source.skip_empty:
        empty = pa.scalar(None, kind)
        arrays = [pc.if_else(pc.equal(array, ""), empty, array) for array in arrays]
    array = arrays[0] if len(arrays) == 1 else pc.coalesce(*arrays)
    return Column(array, [misfit for column in columns for misfit in column.misfits])


def _convert(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if kind in (INT64, FLOAT64):
        # asked for an integer column, Arrow would cut fractions off without an error
        return pa.array(values)
    return pa.array(values, STRING if kind == TIME else kind)


def _is_valid(array: pa.Array, kind: pa.DataType, least: int | None) -> bool:
    """Return whether a converted column may be taken as it is."""
    if array.null_count == len(array):
        return True
    if kind == TIME:
        return _are_all_in(array, REAL_TIMES)
    if array.type != kind:
        return False
    return least is None or kind != INT64 or bool(pc.min(array).as_py() >= least)


_Fitted = tuple[Any, str | None, str | None]
"""The value that is stored, the problem, the action; the last two are None if all is well."""


def _fit_each(
    values: Sequence[Any] | pa.Array, kind: pa.DataType, field: str, least: int | None
) -> Column:
    """Look at each value by itself."""
    fits: dict[pa.DataType, Callable[[Any], _Fitted]] = {
        STRING: _fit_text,
        INT64: lambda value: _fit_integer(value, least),
        FLOAT64: _fit_float,
        BOOL: _fit_boolean,
        TIME: _fit_time,
    }
    stored: list[Any] = []
    misfits: list[Misfit] = []
    for row, value in enumerate(to_list(values)):
        if value is None:
            stored.append(None)
            continue
        result, problem, action = fits[kind](value)
        stored.append(result)
        if problem is not None and action is not None:
            misfits.append(Misfit(row, field, problem, printable(value, 200), action))
    return Column(pa.array(stored, kind), misfits)


def _fit_text(value: Any) -> _Fitted:
    return (value, None, None) if isinstance(value, str) else (None, NOT_OF_TYPE["string"], NULLED)


def _fit_boolean(value: Any) -> _Fitted:
    return (
        (value, None, None) if isinstance(value, bool) else (None, NOT_OF_TYPE["boolean"], NULLED)
    )


def _fit_float(value: Any) -> _Fitted:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, NOT_OF_TYPE["number"], NULLED
    try:
        return float(value), None, None
    except OverflowError:
        return None, "too large for a double", NULLED


def _fit_integer(value: Any, least: int | None) -> _Fitted:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, NOT_OF_TYPE["number"], NULLED
    if isinstance(value, float) and not math.isfinite(value):
        return None, "not finite", NULLED
    whole = round(value)
    if whole not in _INT64_RANGE:
        return None, "does not fit in 64 bits", NULLED
    if least is not None and value < least:
        return None, f"less than {least}", NULLED
    return (whole, None, None) if whole == value else (whole, "a fraction", f"rounded to {whole}")


def _are_all_in(array: pa.Array, some: range) -> bool:
    """Return whether all times are among some, in microseconds since 1970."""
    ends = pc.min_max(array.cast(INT64))
    return ends["min"].as_py() is None or (
        ends["min"].as_py() in some and ends["max"].as_py() in some
    )


def _fit_time(value: Any) -> _Fitted:
    try:
        # what fits is the same, whatever stands beside it in the column
        exact = pc.cast(pa.array([value], STRING), TIME)
        if _are_all_in(exact, CALENDAR):
            return _keep_time(exact[0].as_py(), None, None)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        pass
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None, "not an RFC 3339 time", NULLED
    day, clock, fraction, zulu, hours, minutes = match.groups()
    offset = "+00:00" if zulu or not hours else f"{hours}:{minutes}"
    micros = (fraction or "").ljust(6, "0")
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}.{micros[:6]}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None, "not a valid date or time", NULLED
    if micros[6:].strip("0"):
        return _keep_time(moment, "more than 6 decimals", "cut to microseconds")
    if not zulu and not hours:
        return _keep_time(moment, "no time zone", "taken as UTC")
    return _keep_time(moment, None, None)


def _keep_time(moment: datetime, problem: str | None, action: str | None) -> _Fitted:
    if count_microseconds(moment) not in REAL_TIMES:
        return None, f"the year {moment.year}, which stands for no time", NULLED
    return moment, problem, action
