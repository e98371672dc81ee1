"""Values of any column of pandas -> an Arrow array of one type, exactly, or what does not fit it.

A column comes from a file of text, a database, another library, or by hand: as text, NumPy,
nullable, categorical, Arrow-backed, or as Python objects. Whatever it is stored as, equal values
give an equal array. A column of one type is converted at once; values of several, and those among
which one does not fit, are looked at one by one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.schemas.frames import BOOL, FLOAT64, INT64, STRING, TIME
from retab_frames.schemas.moments import CALENDAR, REAL_TIMES, count_microseconds
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Converted", "Problem", "Unfit", "convert", "drop_no_times"]


class Problem(NamedTuple):
    """Why values do not fit, and what to do; `{name}` stands for the column's name in quotes."""

    what: str
    advice: str = ""


class Unfit(NamedTuple):
    """A value that has no equal of the type, or a column of which that is true of every value.

    Attributes:
        row: The number of its row; None where it is the type of the column that does not fit.
        value: The value, or the type of the column, printable.
        problem: Why it does not fit.
    """

    row: int | None
    value: str
    problem: Problem


@dataclass(frozen=True)
class Converted:
    """A column of the type asked for, null where a value did not fit, and those values."""

    array: pa.Array | pa.ChunkedArray
    unfit: list[Unfit] = field(default_factory=list)


_NOT_TEXT = Problem("not text")
_NUMBERS_FOR_TEXT = Problem(
    "not text: what read it may have dropped leading zeros or digits",
    "read it as text, for example pd.read_csv(..., dtype={{{name}: str}})",
)
_NOT_BOOLEAN = Problem("neither true nor false")
_NOT_A_NUMBER = Problem("not a number")
_FRACTION = Problem("not a whole number")
_OUT_OF_RANGE = Problem("beyond 64 bits")
_DIGITS_LOST = Problem(
    "a floating-point number so large that digits may be lost",
    "read it as whole numbers, for example pd.read_csv(..., dtype={{{name}: 'Int64'}})",
)
_NAIVE = Problem(
    "without a time zone",
    "if it is UTC, say so: frame[{name}] = frame[{name}].dt.tz_localize('UTC')",
)
_NAIVE_TEXT = Problem(
    "without a time zone",
    "if it is UTC, say so: frame[{name}] = pd.to_datetime(frame[{name}], utc=True)",
)
_NUMBERS_FOR_TIMES = Problem(
    "a number, and not said of which unit",
    "for milliseconds: frame[{name}] = pd.to_datetime(frame[{name}], unit='ms', utc=True)",
)
_NOT_A_TIME = Problem("not a time", "give ISO 8601, such as 2026-09-29T08:30:00Z")
_NO_DATE = Problem("beyond the years 1 to 9999")

_INT64_RANGE = range(-(2**63), 2**63)
_MAX_INT64 = Decimal(2**63 - 1)
_DIGITS = r"^-?[0-9]+$"
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_DOUBLE_DIGITS = 53

_Value = Any
"""What a value becomes: of the type of the column, None for none, or a Problem."""


def convert(values: pd.Series[Any], kind: pa.DataType) -> Converted:
    """Return the values of a column as one of a type.

    - Null of any sort (None, NaN, NaT, pd.NA), and empty text, is null in every type.
    - Text must be text: of the number 7 nobody knows whether it was "007".
    - Whole numbers may be of any type of number, or text, as long as no digit is in doubt: a
      floating-point number must be below 2**53 (2**24 for 32 bits).
    - True and false may be 1 and 0, or text of these words in any case.
    - Times must have a time zone, as a type or in ISO 8601 text. What is finer than microseconds
      is cut off; a time in the year 1 or 9999 stands for none and is null.

    Args:
        values: A column of any dtype.
        kind: STRING, INT64, FLOAT64, BOOL or TIME.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        codes = values.cat.codes.to_numpy()
        categories = convert(pd.Series(values.cat.categories), kind)
        return _spread(categories, pa.array(codes, mask=codes < 0))
    array = _to_arrow(values)
    if array is None:
        # the scalars of NumPy know how many digits they have
        return _fit_each(np.asarray(values), kind)
    found = _convert_at_once(array, kind, str(values.dtype))
    if found is not None:
        return found
    if array.type == STRING:
        # the same text mostly stands in many rows
        return _fit_distinct(array, kind)
    is_floating = pa.types.is_floating(array.type)
    return _fit_each(np.asarray(array) if is_floating else values, kind)


def _convert_at_once(array: Any, kind: pa.DataType, dtype: str) -> Converted | None:
    """Return the column converted or refused as a whole; None to look at each value."""
    if array.null_count == len(array):
        return Converted(pa.nulls(len(array), kind))
    try:
        found = _CONVERT[kind](array)
    except (pa.ArrowException, OverflowError):
        return None
    if isinstance(found, Problem):
        return Converted(pa.nulls(len(array), kind), [Unfit(None, dtype, found)])
    return found if found is None or isinstance(found, Converted) else Converted(found)


def _to_arrow(values: pd.Series[Any]) -> pa.Array | pa.ChunkedArray | None:
    """Return the values as Arrow takes them, text as STRING; None if it would have to guess."""
    is_object = values.dtype == object
    if is_object and pd.api.types.infer_dtype(values, skipna=True) not in {"string", "empty"}:
        return None
    try:
        array = pa.array(values, STRING if is_object else None, from_pandas=True)
        if pa.types.is_dictionary(array.type):
            array = array.cast(array.type.value_type)
        if _is_text(array.type):
            array = array.cast(STRING)
            is_empty = pc.equal(array, "")
            return pc.if_else(is_empty, None, array) if pc.any(is_empty).as_py() else array
        if pa.types.is_floating(array.type):
            return pc.if_else(pc.is_nan(array), None, array)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None
    return array


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


# A column at once: the array; a Problem of its type; None to look at each value


def _convert_text(array: Any) -> Any:
    if array.type == STRING:
        return array
    if _is_number(array.type) or pa.types.is_boolean(array.type):
        return _NUMBERS_FOR_TEXT
    return _NOT_TEXT


def _convert_integers(array: Any) -> Any:
    if pa.types.is_integer(array.type):
        return array.cast(INT64)
    if array.type == STRING:
        return array.cast(INT64) if _all(pc.match_substring_regex(array, _DIGITS)) else None
    if pa.types.is_floating(array.type):
        doubles = array.cast(FLOAT64)
        is_exact = pc.less(pc.abs(doubles), _exact_below(array.type.to_pandas_dtype()))
        # a safe cast refuses fractions
        return doubles.cast(INT64) if _all(is_exact) else None
    return None if _is_number(array.type) else _NOT_A_NUMBER


def _convert_floats(array: Any) -> Any:
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        return array.cast(FLOAT64, safe=False)
    return None if _is_number(array.type) or array.type == STRING else _NOT_A_NUMBER


def _convert_booleans(array: Any) -> Any:
    if pa.types.is_boolean(array.type):
        return array
    if _is_number(array.type):
        is_flag = pc.is_in(array, pa.array([0, 1]).cast(array.type))
        is_known = pc.or_(is_flag, pc.is_null(array))
        return pc.equal(array, pa.scalar(1).cast(array.type)) if _all(is_known) else None
    return None if array.type == STRING else _NOT_BOOLEAN


def _convert_times(array: Any) -> Any:
    if pa.types.is_timestamp(array.type):
        if array.type.tz is None:
            return _NAIVE
        # cast after the conversion: older pyarrow takes the numbers of another unit as they are
        options = pc.CastOptions(target_type=TIME, allow_time_truncate=True)
        try:
            return drop_no_times(pc.cast(array, options=options))
        except pa.ArrowInvalid:
            return _NO_DATE
    if array.type == STRING:
        return drop_no_times(array.cast(TIME))
    return _NUMBERS_FOR_TIMES if _is_number(array.type) else _NOT_A_TIME


_CONVERT: dict[pa.DataType, Callable[[Any], Any]] = {
    STRING: _convert_text,
    INT64: _convert_integers,
    FLOAT64: _convert_floats,
    BOOL: _convert_booleans,
    TIME: _convert_times,
}


def _all(flags: Any) -> bool:
    """Return whether all flags are true; null counts as such."""
    return pc.all(flags).as_py() is not False


def _exact_below(kind: Any) -> int:
    """Return from where on floating-point numbers of a type leave out whole ones."""
    return int(2 ** min(np.finfo(kind).nmant + 1, _DOUBLE_DIGITS))


def drop_no_times(times: pa.Array | pa.ChunkedArray) -> Converted:
    """Return times of the type TIME, null in place of those that stand for none."""
    micros = times.cast(INT64)
    ends = pc.min_max(micros)
    first, last = ends["min"].as_py(), ends["max"].as_py()
    if first is None or (first in REAL_TIMES and last in REAL_TIMES):
        return Converted(times)
    kept = pc.if_else(_is_among(micros, REAL_TIMES), times, pa.scalar(None, TIME))
    if first in CALENDAR and last in CALENDAR:
        return Converted(kept)
    has_no_date = pc.fill_null(pc.invert(_is_among(micros, CALENDAR)), fill_value=False)
    rows = np.flatnonzero(np.asarray(has_no_date)).tolist()
    unfit = [Unfit(row, f"{micros[row].as_py()} µs since 1970", _NO_DATE) for row in rows]
    return Converted(kept, unfit)


def _is_among(numbers: Any, some: range) -> Any:
    return pc.and_(pc.greater_equal(numbers, some.start), pc.less(numbers, some.stop))


# Each value by itself


def _fit_distinct(array: Any, kind: pa.DataType) -> Converted:
    """Look at each value that is there, once however often it is there."""
    encoded = pc.dictionary_encode(array)
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    return _spread(_fit_each(encoded.dictionary.to_pylist(), kind), encoded.indices)


def _spread(distinct: Converted, codes: pa.Array) -> Converted:
    """Return the column whose rows have these of the distinct values; a null code is null."""
    if codes.null_count == len(codes):
        return Converted(pa.nulls(len(codes), distinct.array.type))
    taken = pc.take(distinct.array, codes)
    if not distinct.unfit:
        return Converted(taken)
    by_code = {one.row: one for one in distinct.unfit}
    if None in by_code:
        return Converted(taken, distinct.unfit)
    numbers = pc.fill_null(codes.cast(INT64), -1).to_numpy()
    rows = np.flatnonzero(np.isin(numbers, np.array([*by_code], dtype=np.int64))).tolist()
    return Converted(taken, [by_code[int(numbers[row])]._replace(row=row) for row in rows])


def _fit_each(values: Iterable[Any], kind: pa.DataType) -> Converted:
    fit = _FIT[kind]
    stored: list[Any] = []
    unfit: list[Unfit] = []
    for row, value in enumerate(values):
        found = None if _is_null(value) else fit(value)
        if isinstance(found, Problem):
            text = str(value) if isinstance(value, np.generic) else value
            unfit.append(Unfit(row, printable(text), found))
            found = None
        stored.append(found)
    return Converted(pa.array(stored, INT64 if kind == TIME else kind).cast(kind), unfit)


def _is_null(value: Any) -> bool:
    if isinstance(value, str):
        return not value
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _fit_text(value: Any) -> _Value:
    if not isinstance(value, str):
        is_number = isinstance(value, Real | Decimal | np.bool_)
        return _NUMBERS_FOR_TEXT if is_number else _NOT_TEXT
    try:
        value.encode()
    except UnicodeEncodeError:
        return _NOT_TEXT
    return str(value)


def _fit_integer(value: Any) -> _Value:
    if isinstance(value, bool | np.bool_):
        return _NOT_A_NUMBER
    if isinstance(value, Integral):
        return int(value) if int(value) in _INT64_RANGE else _OUT_OF_RANGE
    exact_below = None
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            return _NOT_A_NUMBER
        # text with a point or an exponent was a floating-point number before
        exact_below = None if value.strip().lstrip("+-").isdigit() else 2**_DOUBLE_DIGITS
    elif isinstance(value, Real):
        exact_below = _exact_below(type(value) if isinstance(value, np.floating) else float)
    elif not isinstance(value, Decimal):
        return _NOT_A_NUMBER
    return _fit_decimal(value, exact_below)


def _fit_decimal(value: Any, exact_below: int | None) -> _Value:
    try:
        number = Decimal(value if isinstance(value, str | Decimal) else float(value))
    except ArithmeticError:
        return _OUT_OF_RANGE
    size = number.copy_abs()  # `abs` rounds, and overflows
    if not number.is_finite() or size > _MAX_INT64:
        return _OUT_OF_RANGE
    if number != number.to_integral_value():
        return _FRACTION
    return _DIGITS_LOST if exact_below and size >= exact_below else int(number)


def _fit_float(value: Any) -> _Value:
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real | Decimal | str):
        return _NOT_A_NUMBER
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return _NOT_A_NUMBER
    try:
        return float(value)
    except OverflowError:
        return _OUT_OF_RANGE


def _fit_boolean(value: Any) -> _Value:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, str):
        return _BOOLEANS.get(value.strip().lower(), _NOT_BOOLEAN)
    if isinstance(value, Real | Decimal) and value in (0, 1):
        return bool(value)
    return _NOT_BOOLEAN


def _fit_time(value: Any) -> _Value:
    """Return the microseconds since 1970."""
    moment = _parse_time(value) if isinstance(value, str) else value
    if isinstance(moment, Problem):
        return moment
    if not isinstance(moment, datetime):
        if isinstance(moment, date | np.datetime64):
            return _NAIVE
        is_number = isinstance(moment, Real | Decimal) and not isinstance(moment, bool | np.bool_)
        return _NUMBERS_FOR_TIMES if is_number else _NOT_A_TIME
    if moment.utcoffset() is None:
        return _NAIVE_TEXT if isinstance(value, str) else _NAIVE
    if isinstance(moment, pd.Timestamp):
        moment = moment.to_pydatetime(warn=False)  # which cuts nanoseconds off
    micros = count_microseconds(moment)
    if micros not in CALENDAR:
        return _NO_DATE
    return micros if micros in REAL_TIMES else None


def _parse_time(text: str) -> datetime | Problem:
    if _NUMBER.fullmatch(text):
        return _NUMBERS_FOR_TIMES
    try:
        return datetime.fromisoformat(text.strip().upper())
    except ValueError:
        return _NOT_A_TIME


_FIT: dict[pa.DataType, Callable[[Any], _Value]] = {
    STRING: _fit_text,
    INT64: _fit_integer,
    FLOAT64: _fit_float,
    BOOL: _fit_boolean,
    TIME: _fit_time,
}
