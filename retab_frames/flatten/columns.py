"""Python values -> Arrow columns; a value that does not fit is null, and a `Misfit` tells of it.

Every function takes one value per row, None where there is none, and returns a column of the same
length; what is an Arrow array already is taken as it is. The quick way is tried on the whole
column; only where Arrow refuses it is each value looked at by itself.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from msgspec import Raw

__all__ = [
    "Column",
    "Misfit",
    "first_sent",
    "fit",
    "flags",
    "is_sent",
    "json_texts",
    "listed",
    "reals",
    "texts",
    "times",
    "wholes",
]

TIME = pa.timestamp("us", tz="UTC")
_FIRST, _LAST = (
    pa.array([f"{day}Z"]).cast(TIME).cast(pa.int64())[0].as_py()
    for day in ("0001-01-01T00:00:00", "9999-12-31T23:59:59.999999")
)
_INT64 = range(-(2**63), 2**63)
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:([Zz])|([+-]\d\d):?(\d\d))?", re.ASCII
)


class Misfit(NamedTuple):
    """A value that could not be kept as it came."""

    row: int
    problem: str
    value: str
    action: str


class Column(NamedTuple):
    """A column, and the values that did not fit it."""

    array: pa.Array
    misfits: list[Misfit]


def texts(values: Sequence[Any]) -> Column:
    """Return text; anything but text is a misfit."""
    try:
        return Column(_array(values, pa.string()), [])
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return _each(values, pa.string(), _text)


def json_texts(values: Sequence[Raw | None]) -> pa.Array:
    """Return JSON texts as they came, null where there is none; their bytes are copied once."""
    texts = [value or b"" for value in values]
    lengths = np.fromiter(map(len, texts), np.int32, len(texts))
    ends = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum(lengths, out=ends[1:])
    sent = np.packbits(lengths > 0, bitorder="little")
    buffers = [pa.py_buffer(each) for each in (sent, ends, b"".join(texts))]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def flags(values: Sequence[Any]) -> Column:
    """Return booleans; anything but true and false is a misfit."""
    try:
        return Column(_array(values, pa.bool_()), [])
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return _each(values, pa.bool_(), _flag)


def reals(values: Sequence[Any]) -> Column:
    """Return doubles; anything but a number is a misfit."""
    return _each(values, pa.float64(), _real)


def wholes(values: Sequence[Any], *, least: int | None = None) -> Column:
    """Return whole numbers.

    A fraction is rounded to the nearest whole number (half to even); a number below `least`, beyond
    64 bits, or not a number at all becomes null.
    """
    try:
        array = _array(values, None)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        array = None
    # pa.array(values, pa.int64()) would cut fractions off in silence, hence the look at the type
    if array is not None and (pa.types.is_int64(array.type) or pa.types.is_null(array.type)):
        array = array.cast(pa.int64())
        lowest = pc.min(array).as_py()
        if least is None or lowest is None or lowest >= least:
            return Column(array, [])
    return _each(values, pa.int64(), lambda value: _whole(value, least))


def times(values: Sequence[Any]) -> Column:
    """Return UTC times in microseconds from RFC 3339 text.

    A time without an offset is taken as UTC and told of; digits beyond microseconds are cut off and
    told of; what is no time at all becomes null.
    """
    try:
        array = pc.cast(_array(values, pa.string()), TIME)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return _each(values, TIME, _time)
    return Column(array, []) if _in_calendar(array) else _each(values, TIME, _time)


def _array(values: Sequence[Any], kind: pa.DataType | None) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


_Fitted = tuple[Any, str | None, str | None]
"""What is kept, what is odd about it, what was done; the last two are None where all is well."""

_LOST = "null, kept in raw"


def _each(values: Sequence[Any], kind: pa.DataType, one: Callable[[Any], _Fitted]) -> Column:
    kept: list[Any] = []
    misfits: list[Misfit] = []
    for index, value in enumerate(listed(values)):
        if value is None:
            kept.append(None)
            continue
        result, problem, action = one(value)
        kept.append(result)
        if problem is not None and action is not None:
            misfits.append(Misfit(index, problem, printable(value, 200), action))
    return Column(pa.array(kept, kind), misfits)


def _text(value: Any) -> _Fitted:
    return (value, None, None) if isinstance(value, str) else (None, "not text", _LOST)


def _flag(value: Any) -> _Fitted:
    return (value, None, None) if isinstance(value, bool) else (None, "not true or false", _LOST)


def _real(value: Any) -> _Fitted:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, "not a number", _LOST
    try:
        return float(value), None, None
    except OverflowError:
        return None, "too large for a double", _LOST


def _whole(value: Any, least: int | None) -> _Fitted:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, "not a number", _LOST
    if isinstance(value, float) and not math.isfinite(value):
        return None, "not finite", _LOST
    whole = round(value)
    if whole not in _INT64:
        return None, "beyond 64 bits", _LOST
    if least is not None and value < least:
        return None, f"less than {least}", _LOST
    return (whole, None, None) if whole == value else (whole, "a fraction", f"rounded to {whole}")


def _in_calendar(array: pa.Array) -> bool:
    """Return whether Python has a date for every time; Arrow's calendar is longer."""
    ends = pc.min_max(array.cast(pa.int64()))
    return ends["min"].as_py() is None or (
        ends["min"].as_py() >= _FIRST and ends["max"].as_py() <= _LAST
    )


def _time(value: Any) -> _Fitted:
    try:
        # what fits is the same, whatever stands beside it in the column
        exact = pc.cast(pa.array([value], pa.string()), TIME)
        if _in_calendar(exact):
            return exact[0].as_py(), None, None
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        pass
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None, "not an RFC 3339 time", _LOST
    day, clock, fraction, zulu, hours, minutes = match.groups()
    offset = "+00:00" if zulu or not hours else f"{hours}:{minutes}"
    micros = (fraction or "").ljust(6, "0")
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}.{micros[:6]}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None, "no such time", _LOST
    if micros[6:].strip("0"):
        return moment, "finer than a microsecond", "cut to microseconds"
    if not zulu and not hours:
        return moment, "no offset", "taken as UTC"
    return moment, None, None


_BY_TYPE: dict[pa.DataType, Callable[[Sequence[Any]], Column]] = {
    pa.string(): texts,
    pa.int64(): wholes,
    pa.float64(): reals,
    pa.bool_(): flags,
    TIME: times,
}


def fit(values: Sequence[Any], kind: pa.DataType, *, least: int | None = None) -> Column:
    """Return the column of the Arrow type; `least` holds for whole numbers."""
    return wholes(values, least=least) if kind == pa.int64() else _BY_TYPE[kind](values)


def first_sent(
    paths: Sequence[str], kind: pa.DataType, cells: Mapping[str, Sequence[Any]], rows: int
) -> tuple[pa.Array, list[tuple[str, Misfit]]]:
    """Return the first value that is present of each row, and those that did not fit.

    Args:
        paths: Where it may be.
        kind: The type of the column.
        cells: The values by path; a path that is not there has none.
        rows: How many rows there are.
    """
    options: list[pa.Array] = []
    misfits: list[tuple[str, Misfit]] = []
    for path in [path for path in paths if is_sent(cells.get(path, ()))]:
        column = fit(cells[path], kind, least=0)
        options.append(column.array)
        misfits += [(path, misfit) for misfit in column.misfits]
    if not options:
        return pa.nulls(rows, kind), []
    return options[0] if len(options) == 1 else pc.coalesce(*options), misfits


def listed(values: Sequence[Any]) -> Sequence[Any]:
    """Return the values one by one."""
    each: Sequence[Any] = values.to_pylist() if isinstance(values, pa.Array) else values
    return each


def is_sent(values: Sequence[Any]) -> bool:
    """Return whether any of the values is not None."""
    if isinstance(values, pa.Array):
        return bool(values.null_count < len(values))
    return len(values) > 0 and (values[0] is not None or values.count(None) < len(values))
