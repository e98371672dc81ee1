"""Large responses of ordinary rows, decoded by Arrow's JSON reader.

It makes columns without a Python object for each value, in threads beside the interpreter. It
refuses what does not fit the schema that it is given: an unknown or repeated field, a value of
another type, a number that is not an integer. The schema has the fields of the first row; what the
reader refuses is read by `RowReader`, which knows what to do about it.

To Arrow's reader null and missing are the same. That matters for handles alone, so only rows with
one file each, all of the same name, are read here.
"""

from __future__ import annotations

import json
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.json as arrow_json

from retab_frames.flatten.row_values import RowValues
from retab_frames.schemas.frames import BOOL, INT64, STRING
from retab_frames.wire.paths import HANDLES, JOBS, OPAQUE, RUN_OF_ROW
from retab_frames.wire.records import SIDES
from retab_frames.wire.rows import split_rows
from retab_frames.wire.values import HandleValues

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from retab_frames.wire.paths import Source

__all__ = ["ArrowJsonReader", "read_ordinary_rows"]

_ARROW_TYPES = {"string": STRING, "integer": INT64, "number": INT64, "boolean": BOOL}
_WORKERS = 2
_MAX_FIRST_ROW_BYTES = 65_536


def _declare_types(sources: Iterable[Source]) -> dict[str, Any]:
    """Return the Arrow type of each field, those of an object as a dict; JSON has none."""
    types: dict[str, Any] = {}
    for source in sources:
        for path in source.paths:
            parent, _, key = path.rpartition(".")
            if parent in OPAQUE:
                types[parent] = STRING  # an object there is not ordinary
            elif source.json_type in _ARROW_TYPES:
                level = types.setdefault(parent, {}) if parent else types
                level[key] = _ARROW_TYPES[source.json_type]
    return types


_ROW_TYPES = _declare_types([*JOBS.values(), RUN_OF_ROW])
_HANDLE_TYPES = _declare_types(HANDLES.values())
_KEYS = [JOBS[name].paths[0] for name in ("job_id", "document_id")]
_INPUTS = SIDES[0]


class ArrowJsonReader:
    """Reads rows that have the fields of a known one.

    Args:
        row: The known row.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: If it is not ordinary.
    """

    def __init__(self, row: dict[str, Any]) -> None:
        [(self._handle, handle)] = row[_INPUTS].items()
        for source in HANDLES.values():
            if sum(_has_path(handle, path) for path in source.paths) > 1:
                raise ValueError("a column has two values, one of which belongs into `extra`")
        columns = {key: _arrow_type(_ROW_TYPES[key]) for key in row if key != _INPUTS}
        file = {key: _arrow_type(_HANDLE_TYPES[key]) for key in handle}
        columns[_INPUTS] = pa.struct({self._handle: pa.struct(file)})
        self._schema = pa.schema({"rows": pa.list_(pa.struct(columns))})

    @classmethod
    def for_rows(cls, rows: memoryview) -> ArrowJsonReader | None:
        """Return a reader of rows like the first one; None if that is not ordinary.

        Args:
            rows: What stands between the brackets of an array, as JSON text.
        """
        begin = bytes(rows[:_MAX_FIRST_ROW_BYTES]).decode(errors="replace").lstrip()
        try:
            return cls(json.JSONDecoder().raw_decode(begin)[0])
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
            return None

    def read(self, rows: memoryview) -> RowValues | None:
        """Return the values of the rows, given as to `for_rows`; None if one is not ordinary."""
        text = b"".join((b'{"rows":[', rows, b"]}"))
        try:
            table = arrow_json.read_json(
                pa.BufferReader(text),
                read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(text) + 1),
                parse_options=arrow_json.ParseOptions(
                    explicit_schema=self._schema, unexpected_field_behavior="error"
                ),
            )
        except (pa.ArrowException, OverflowError):  # the latter beyond 2 GiB
            return None
        # text that closes the array early would begin another one
        found = table.column(0).combine_chunks()
        return self._take_values(found.flatten()) if len(table) == 1 else None

    def _take_values(self, rows: pa.StructArray) -> RowValues | None:
        inputs = rows.field(_INPUTS)
        file = inputs.field(0)
        jobs = dict(_leaves(rows))
        needed = (rows, inputs, file, *(jobs.get(key) for key in _KEYS))
        if any(column is None or column.null_count for column in needed):
            return None
        runs = [jobs.pop(path, pa.nulls(1, STRING)) for path in RUN_OF_ROW.paths]
        for name in OPAQUE:
            if name in jobs:
                jobs[f"{name}.message"] = jobs.pop(name)
        handles = {**dict(_leaves(file)), "handle": pa.repeat(pa.scalar(self._handle), len(rows))}
        return RowValues(
            size=len(rows),
            run_ids={run for column in runs for run in column.unique().to_pylist()},
            jobs=jobs,
            handles=(HandleValues([1] * len(rows), handles), HandleValues([0] * len(rows), {})),
            misfits=[],
        )


def read_ordinary_rows(
    rows: memoryview, *, part_bytes: int
) -> Iterator[tuple[memoryview, RowValues | None]]:
    """Yield the parts of large rows in their order, read in two threads.

    Args:
        rows: What stands between the brackets of an array, as JSON text.
        part_bytes: The least size of a part.

    Yields:
        The text of a part, and its values; None if it has a row that is not ordinary.
    """
    reader = ArrowJsonReader.for_rows(rows)
    if reader is None:
        yield rows, None
        return
    ahead: deque[tuple[memoryview, Future[RowValues | None]]] = deque()
    with ThreadPoolExecutor(_WORKERS) as pool:
        for part in split_rows(rows, part_bytes):
            ahead.append((part, pool.submit(reader.read, part)))
            if len(ahead) > 2 * _WORKERS:
                yield _wait_for_first(ahead)
        while ahead:
            yield _wait_for_first(ahead)


def _wait_for_first(
    ahead: deque[tuple[memoryview, Future[RowValues | None]]],
) -> tuple[memoryview, RowValues | None]:
    text, future = ahead.popleft()  # no name of the generator holds on to what it yielded
    return text, future.result()


def _arrow_type(kind: Any) -> pa.DataType:
    return pa.struct(kind) if isinstance(kind, dict) else kind


def _has_path(handle: dict[str, Any], path: str) -> bool:
    parent, _, key = path.rpartition(".")
    return key in (handle.get(parent, {}) if parent else handle)


def _leaves(struct: pa.StructArray, above: str = "") -> Iterator[tuple[str, pa.Array]]:
    """Yield the columns of a struct by path, those of the structs in it too, handles aside."""
    for field, column in zip(struct.type, struct.flatten(), strict=True):
        if field.name == _INPUTS:
            continue
        if pa.types.is_struct(field.type):
            yield from _leaves(column, f"{above}{field.name}.")
        else:
            yield f"{above}{field.name}", column
