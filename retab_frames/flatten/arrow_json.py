"""Large responses whose rows hold nothing unusual, decoded by Arrow's own JSON reader.

It makes columns without a Python object for each value, in threads beside the interpreter, and it
refuses what does not fit the schema that it is given: an unknown or repeated field, a value of
another type, a number that is not whole. It is given the fields that the first row of a response
has; what it refuses is read by `rows`, which knows what to do about it.

To this reader null and missing are the same. That matters for handles alone, so only rows with one
file each, all of the same name, are read here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as arrow_json

from retab_frames.flatten.handles import HandleCells
from retab_frames.flatten.row_values import Piece

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retab_frames.wire.records import Cells

__all__ = ["PlainReader"]

_TEXT, _WHOLE, _FLAG = pa.string(), pa.int64(), pa.bool_()
_TIMES = dict.fromkeys(("created_at", "started_at", "completed_at"), _TEXT)
_IDS = ("id", "document_id", "experiment_id", "run_id", "experiment_run_id")

ROW: dict[str, pa.DataType] = {
    **dict.fromkeys((*_IDS, "status", "block_kind", "block_type", "error"), _TEXT),
    **dict.fromkeys(("attempt", "duration_ms"), _WHOLE),
    **_TIMES,
    "is_placeholder": _FLAG,
    "timing": pa.struct({**_TIMES, "duration_ms": _WHOLE}),
    "lifecycle": pa.struct(dict.fromkeys(("status", "message", "reason"), _TEXT)),
    "artifact": pa.struct(dict.fromkeys(("operation", "id"), _TEXT)),
}
"""The fields of `wire.Row` but for the handles, and for what is kept as JSON."""

FILE: dict[str, pa.DataType] = {
    "type": _TEXT,
    "filename": _TEXT,
    "document": pa.struct(
        {
            **dict.fromkeys(("id", "filename", "mime_type", "content_fingerprint"), _TEXT),
            "size_bytes": _WHOLE,
        }
    ),
}
"""The fields of `wire.Handle` where it is a file; none of them is named twice."""

_LONGEST_ROW = 65_536


class PlainReader:
    """Reads rows that have the fields of a known one.

    Args:
        row: The known row.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: If it is not plain.
    """

    def __init__(self, row: dict[str, Any]) -> None:
        [(self._handle, handle)] = row["handle_inputs"].items()
        if "filename" in handle and "document" in handle:
            raise ValueError("a file with two names")
        columns = {name: ROW[name] for name in row if name != "handle_inputs"}
        file = pa.struct({name: FILE[name] for name in handle})
        columns["handle_inputs"] = pa.struct({self._handle: file})
        self._schema = pa.schema({"rows": pa.list_(pa.struct(columns))})

    @classmethod
    def of_first(cls, rows: memoryview) -> PlainReader | None:
        """Return what reads rows like the first one; None if that is not plain.

        Args:
            rows: What stands in an array, as JSON text, between its brackets.
        """
        begin = bytes(rows[:_LONGEST_ROW]).decode(errors="replace").lstrip()
        try:
            return cls(json.JSONDecoder().raw_decode(begin)[0])
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
            return None

    def read(self, rows: memoryview) -> Piece | None:
        """Return the rows, given as to `of_first`; None if one of them is not plain."""
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
        # what closes the array early begins another one
        found = table.column(0).combine_chunks()
        return self._plain(found.flatten()) if len(table) == 1 else None

    def _plain(self, rows: pa.StructArray) -> Piece | None:
        inputs = rows.field("handle_inputs")
        file = inputs.field(0)
        cells = dict(_leaves(rows))
        keys = [cells.pop(name, None) for name in ("id", "document_id")]
        if any(column is None or column.null_count for column in (rows, inputs, file, *keys)):
            return None
        named = [
            cells.pop(name, pa.array([None], _TEXT)) for name in ("run_id", "experiment_run_id")
        ]
        error, message, reason = (
            cells.pop(name, None) for name in ("error", "lifecycle.message", "lifecycle.reason")
        )
        jobs: Cells = {
            **cells,
            "job_id": keys[0],
            "document_id": keys[1],
            "error_message": _either(error, _either(message, reason, len(rows)), len(rows)),
        }
        handles = {**dict(_leaves(file)), "handle": pa.repeat(pa.scalar(self._handle), len(rows))}
        if "document.id" in handles:  # an empty one is none
            handles["document.id"] = _either(handles["document.id"], None, len(rows))
        return Piece(
            size=len(rows),
            runs={run for column in named for run in column.unique().to_pylist()},
            jobs=jobs,
            handles=(HandleCells([1] * len(rows), handles), HandleCells([0] * len(rows), {})),
            misfits=[],
        )


def _either(first: pa.Array | None, second: pa.Array | None, rows: int) -> pa.Array:
    """Return the first text where there is one that is not empty, else the second."""
    second = pa.nulls(rows, _TEXT) if second is None else second
    if first is None:
        return second
    return pc.if_else(pc.fill_null(pc.not_equal(first, ""), fill_value=False), first, second)


def _leaves(struct: pa.StructArray, above: str = "") -> Iterator[tuple[str, pa.Array]]:
    """Yield the columns of a struct by path, those of the structs in it too."""
    for field, column in zip(struct.type, struct.flatten(), strict=True):
        if field.name == "handle_inputs":
            continue
        if pa.types.is_struct(field.type):
            yield from _leaves(column, f"{above}{field.name}.")
        else:
            yield f"{above}{field.name}", column
