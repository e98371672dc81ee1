"""The version of each table's columns, and what brings the tables of an older file up to it.

A column that is new and may be null needs neither: an older file without it reads as null there.
Anything else raises the version of the table, and adds the step from the version before.
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

__all__ = ["STEPS", "TABLES", "VERSIONS", "upgrade"]

TABLES: dict[str, Model] = {
    "jobs": JobsSchema,
    "handle_inputs": HandlesSchema,
    "handle_outputs": HandlesSchema,
    "issues": IssuesSchema,
    "raw": RawSchema,
    "runs": RunsSchema,
}
VERSIONS = dict.fromkeys(TABLES, 1)
"""What files are written with; a manifest says for each file which one it has."""

STEPS: dict[tuple[str, int], Callable[[pa.Table], pa.Table]] = {}
"""For a table and a version: what makes of its columns those of the next version."""


def upgrade(data: pa.Table, table: str, version: int, file: str) -> pa.Table:
    """Return a table with the columns of today, in their order, and those it has more.

    Args:
        data: The table as its file has it.
        table: Its name, e.g. "jobs".
        version: The version of its columns, as the manifest says.
        file: Where it was read, for the errors.

    Raises:
        SnapshotError: If a newer version of this library wrote it.
        SnapshotCorruptError: If a column is missing that is never null, or is of another type.
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
        came = "nothing"
    raise SnapshotCorruptError(
        f"{printable(file)} is not what this library writes: its column {field.name} should be "
        f"{field.type}{'' if field.nullable else ' without nulls'}, and is {came}; pull the run "
        "again, or restore the file",
        file=file,
    )
