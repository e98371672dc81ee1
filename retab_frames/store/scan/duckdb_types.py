"""The result of DuckDB as columns that a frame can show, sort and write, whatever their types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["fetch"]


def fetch(connection: Any, relation: Any) -> pa.Table:
    """Return the rows of a relation as columns of Arrow, named by their positions.

    Nested values become JSON text; intervals become durations, or text where one has months or is
    too long; whole numbers of any size become int64, or the smallest decimal that holds them; dates
    become timestamps; times that Python has not (infinity, the year 10000, 24:00) make their column
    text. Of the types that neither Arrow nor pandas has, the text of DuckDB is taken.
    """
    kinds = [kind.id for kind in relation.types]
    parts = [_PARTS.get(kind, _TEXT) for kind in kinds]
    if any(one != _AS_IT_IS for one in parts):
        asked = (part.format(f"#{n}") for n, one in enumerate(parts, 1) for part in one)
        # the rows stay in their order
        relation = relation.project(", ".join(f"{part} AS c{n}" for n, part in enumerate(asked)))
    found = iter(relation.to_arrow_table().columns)
    columns: list[Any] = []
    for kind, one in zip(kinds, parts, strict=True):
        finish: Callable[..., Any] = _FINISH.get(kind, _first)
        columns.append(finish(connection, *(next(found) for _ in one)))
    return pa.table(columns, [str(n) for n in range(len(columns))])


_AS_IT_IS, _TEXT, _JSON = ("{0}",), ("{0}::VARCHAR",), ("to_json({0})::VARCHAR",)
_MICROSECONDS = (
    "CASE WHEN datepart('year', {0}) = 0 AND datepart('month', {0}) = 0 THEN try_cast("
    "datepart('day', {0})::HUGEINT * 86400000000 + datepart('hour', {0})::HUGEINT * 3600000000 + "
    "datepart('minute', {0}) * 60000000 + datepart('microsecond', {0}) AS BIGINT) END"
)
_INTEGERS = ("tinyint", "smallint", "integer", "bigint")
_TIMESTAMPS = (
    *("timestamp", "timestamp with time zone", "timestamp_s", "timestamp_ms", "timestamp_ns"),
)
_PARTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (*_INTEGERS, *(f"u{one}" for one in _INTEGERS), *_TIMESTAMPS, "date", "time"), _AS_IT_IS
    ),
    **dict.fromkeys(("boolean", "float", "double", "decimal", "varchar"), _AS_IT_IS),
    **dict.fromkeys(("list", "array", "struct", "map", "tuple", "union", "variant"), _JSON),
    "interval": (*_TEXT, _MICROSECONDS),
    "null": ("{0}::INTEGER",),
}
"""What is asked for a column, by the type of DuckDB; its text if the type is none of these."""


def _first(_connection: Any, column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column


def _duration(
    _connection: Any, text: pa.ChunkedArray, microseconds: pa.ChunkedArray
) -> pa.ChunkedArray:
    if microseconds.null_count > text.null_count:
        return text
    return microseconds.cast(pa.duration("us"))


def _decimal(_connection: Any, column: pa.ChunkedArray) -> pa.ChunkedArray:
    return _shorten(column) if column.type.scale == 0 else column


def _whole(_connection: Any, text: pa.ChunkedArray) -> pa.ChunkedArray:
    # more digits than a decimal has, Arrow would read as another number
    digits = pc.max(pc.utf8_length(pc.utf8_ltrim(text, "-"))).as_py() or 0
    if digits > 76:  # noqa: PLR2004 - of decimal256
        return text
    return _shorten(text.cast(pa.decimal128(38, 0) if digits <= 38 else pa.decimal256(76, 0)))  # noqa: PLR2004


def _shorten(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return whole numbers as int64 if they fit, else as they are."""
    try:
        return pc.cast(column, pa.int64())
    except pa.ArrowInvalid:
        return column


def _moment(connection: Any, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return times as they are, dates as timestamps, or text if Python has no such time."""
    kind = column.type
    storage = pa.int32() if pa.types.is_date32(kind) else pa.int64()
    ends = pc.min_max(pa.chunked_array(_views(column, storage), storage)).as_py()
    low, high = _limits(kind)
    if ends["min"] is not None and not low <= ends["min"] <= ends["max"] <= high:
        moments = connection.from_arrow(pa.table([column], ["moment"]))
        return moments.project("moment::VARCHAR AS moment").to_arrow_table().column(0)
    return column.cast(pa.timestamp("us")) if pa.types.is_date32(kind) else column


def _views(column: pa.ChunkedArray, storage: pa.DataType) -> Iterator[pa.Array]:
    return (chunk.view(storage) for chunk in column.chunks)


_DAY_S = 86_400
_FIRST_S, _END_S = -62_135_596_800, 253_402_300_800
"""The years 1 to 9999, in seconds since 1970."""


def _limits(kind: pa.DataType) -> tuple[int, int]:
    """Return the first and the last moment that Python and pandas have, in units of the type."""
    if pa.types.is_date32(kind):
        return _FIRST_S // _DAY_S, _END_S // _DAY_S - 1
    unit = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
    if pa.types.is_time(kind):
        return 0, _DAY_S * unit - 1
    # the outermost numbers stand for infinity
    return max(_FIRST_S * unit, 2 - 2**63), min(_END_S * unit - 1, 2**63 - 2)


_FINISH: dict[str, Callable[..., Any]] = {
    **dict.fromkeys((*_TIMESTAMPS, "date", "time"), _moment),
    **dict.fromkeys(("hugeint", "uhugeint", "bignum", "varint"), _whole),
    "decimal": _decimal,
    "interval": _duration,
}
