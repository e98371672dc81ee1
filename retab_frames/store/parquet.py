"""Arrow tables as Parquet bytes, and back, with checksums on every page."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from retab_frames.errors import SnapshotCorruptError
from retab_frames.schemas.frames import BOOL, FLOAT64, INT64, STRING, TIME
from retab_frames.text.messages import printable

__all__ = ["decode", "encode"]

_TYPES = frozenset((STRING, INT64, FLOAT64, BOOL, TIME))

_REPEATING = frozenset(
    (
        "workflow_id",
        "experiment_id",
        "run_id",
        "block_kind",
        "status",
        "artifact_operation",
        "handle",
        "type",
        "mime_type",
        "problem",
        "action",
        "field",
    )
)
"""Columns with few distinct values; for others a dictionary costs space."""


def encode(table: pa.Table) -> bytes:
    """Return a table as a Parquet file.

    It is made in memory: a writer that is given a path destroys the file there when it fails.
    """
    sink = pa.BufferOutputStream()
    names = table.column_names
    pq.write_table(
        table.combine_chunks(),  # equal rows give equal bytes, however they are chunked
        sink,
        compression="zstd",
        compression_level=1,
        use_dictionary=[name for name in names if name.rpartition(".")[2] in _REPEATING],
        write_statistics=[name for name in names if not name.startswith(("handle_", "error_"))],
        write_page_checksum=True,
        # Parquet has all types used here; Arrow's copy of the schema would double the size
        store_schema=False,
    )
    return bytes(sink.getvalue())


def decode(data: bytes, file: str, rows: int | None = None) -> pa.Table:
    """Return the table of a Parquet file, after checking the checksum of every page.

    Args:
        data: The bytes of the file.
        file: Its name, for the errors.
        rows: How many rows it must have, which is looked at before anything is decoded; None for
            any number.

    Raises:
        SnapshotCorruptError: If it is cut or altered, or has columns that no table of a store has.
    """
    try:
        # no threads: one may release these bytes while Python exits, which aborts the process
        with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file_:
            reason = _find_nonsense(file_, rows)
            if reason is None:
                table = file_.read(use_threads=False).replace_schema_metadata(None)
                # text that is not UTF-8 is found here, and not where it is used
                table.validate(full=True)
                return table
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = printable(error, 200)
    raise SnapshotCorruptError(f"{printable(file)} is damaged: {reason}", file=file)


def _find_nonsense(file: pq.ParquetFile, rows: int | None) -> str | None:
    """Return why the columns of a file cannot be those of a table, None if they can be."""
    if rows is not None and file.metadata.num_rows != rows:
        return f"it has {file.metadata.num_rows} rows instead of {rows}"
    schema = file.schema_arrow
    if len(set(schema.names)) != len(schema.names):
        return "two of its columns have the same name"
    wrong = next((field for field in schema if field.type not in _TYPES), None)
    return None if wrong is None else f"its column {printable(wrong.name)} is {wrong.type}"
