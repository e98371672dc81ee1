"""The version of each table's columns, and the steps that upgrade the table of an older file.

A new column that may be null needs no new version: it is null where an older file lacks it. Any
other change raises the version of the table, and adds the step from the version before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from retab_frames.errors import SnapshotCorruptError, SnapshotError
from retab_frames.schemas.models import (
    HandlesSchema,
    IssuesSchema,
    JobsSchema,
    RawSchema,
    RunsSchema,
    arrow_schema,
)
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from retab_frames.schemas.models import Model

__all__ = ["STEPS", "TABLES", "VERSIONS", "has_schema", "upgrade"]

TABLES: dict[str, Model] = {
    "jobs": JobsSchema,
    "handle_inputs": HandlesSchema,
    "handle_outputs": HandlesSchema,
    "issues": IssuesSchema,
    "raw": RawSchema,
    "runs": RunsSchema,
}
VERSIONS = dict.fromkeys(TABLES, 1)
"""The versions that files are written with; a manifest has the version of each of its files."""

STEPS: dict[tuple[str, int], Callable[[pa.Table], pa.Table]] = {}
"""By table and version: the function that changes its columns to those of the next version."""


def has_schema(data: pa.Table, table: str) -> bool:
    """Return whether a table begins with the columns of its schema, as those just loaded do."""
    schema = arrow_schema(TABLES[table])
    found = pa.schema([*data.schema][: len(schema)])
    return found == schema and not any(
        data.column(n).null_count for n, field in enumerate(schema) if not field.nullable
    )


def upgrade(data: pa.Table, table: str, version: int, file: str) -> pa.Table:
    """Return a table with the columns of its schema, in their order, and then any others it has.

    Args:
        data: The table as it is in its file.
        table: Its name, e.g. "jobs".
        version: The version of its columns, as the manifest says.
        file: The file it was read from, for the errors.

    Raises:
        SnapshotError: If a newer version of this library wrote it.
        SnapshotCorruptError: If a required column is missing, or a column is of another type.
    """
    if version > VERSIONS[table]:
        raise SnapshotError(
            f"{printable(file)} has version {version} of the table {table}, this library reads "
            f"up to {VERSIONS[table]}: upgrade retab-frames"
        )
    for number in range(version, VERSIONS[table]):
        data = STEPS[table, number](data)
    schema = arrow_schema(TABLES[table])
    columns = {field.name: _column(data, field, file) for field in schema}
    more = [name for name in data.column_names if name not in columns]
    columns |= {name: data.column(name) for name in more}
    fields = [*schema, *(data.schema.field(name) for name in more)]
    return pa.table(list(columns.values()), schema=pa.schema(fields))


def _column(data: pa.Table, field: pa.Field, file: str) -> pa.ChunkedArray:
    if field.name in data.column_names:
        column = data.column(field.name)
        if column.type == field.type and (field.nullable or not column.null_count):
            return column
        came = f"{column.type} with {column.null_count} nulls"
    elif field.nullable:
        return pa.chunked_array([pa.nulls(data.num_rows, field.type)])
    else:
        came = "missing"
    raise SnapshotCorruptError(
        f"{printable(file)} does not fit the schema of its table: its column {field.name} should "
        f"be {field.type}{'' if field.nullable else ' without nulls'}, and is {came}; pull the run "
        "again with refresh, or restore the file",
        file=file,
    )
