"""The tables of some runs together, and what divides them into the tables of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from retab_frames.flatten.handles import MAX_HANDLE_COLUMNS, HandleFields, union_fields
from retab_frames.schemas.frames import STRING
from retab_frames.schemas.models import JobsSchema, arrow_schema
from retab_frames.wire.records import SIDES

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Chunks", "FlattenedRuns", "Tables", "jobs_schema", "join_chunks"]

Chunks = dict[str, list[pa.Array]]
"""The columns of a table, chunk by chunk."""


class Tables(NamedTuple):
    """The Arrow tables of some runs: the jobs with exploded handles, and the long tables."""

    jobs: pa.Table
    handle_inputs: pa.Table
    handle_outputs: pa.Table
    issues: pa.Table


class FlattenedRuns(NamedTuple):
    """The tables of some runs together, and what divides them.

    Attributes:
        tables: Of all the runs.
        fields: The handles of each run that are columns of its jobs: of the inputs, the outputs.
        lengths: How many rows of each table every run has.
    """

    tables: Tables
    fields: tuple[dict[int, HandleFields], ...]
    lengths: tuple[list[int], ...]

    @property
    def is_divisible(self) -> bool:
        """True if every handle of every run is a column."""
        return all(len(union_fields(runs.values())) <= MAX_HANDLE_COLUMNS for runs in self.fields)

    def split(self) -> list[Tables]:
        """Return the tables of each run, as slices: what `flatten` makes of that run alone."""
        ends = [np.cumsum(lengths).tolist() for lengths in self.lengths]
        return [
            Tables(
                *(
                    table.slice(end[run] - length[run], length[run])
                    for table, end, length in zip(
                        (self.tables.jobs.select(self._names(run)), *self.tables[1:]),
                        ends,
                        self.lengths,
                        strict=True,
                    )
                )
            )
            for run in range(len(ends[0]))
        ]

    def _names(self, run: int) -> list[str]:
        """Return the columns that the jobs of a run have."""
        exploded = [
            f"{side}.{handle}.{name}"
            for side, runs in zip(SIDES, self.fields, strict=True)
            for handle, names in runs.get(run, {}).items()
            for name in names
        ]
        return [*arrow_schema(JobsSchema).names, *exploded]


def join_chunks(
    tables: list[Chunks], schemas: list[pa.Schema], *, chunked_from: int
) -> list[pa.Table]:
    """Return a table of each set of columns; chunks are let go as they are joined.

    Columns of the same chunks share their memory: if each job has one file, the handles frame and
    the wide columns of the jobs are equal.
    """
    same: dict[tuple[int, ...], list[tuple[int, str]]] = {}
    for number, table in enumerate(tables):
        for name, chunks in table.items():
            same.setdefault(tuple(map(id, chunks)), []).append((number, name))
    columns: dict[tuple[int, str], pa.Array | pa.ChunkedArray] = {}
    for places in same.values():
        chunks = [tables[number].pop(name) for number, name in places].pop()
        if sum(map(len, chunks)) >= chunked_from:
            column = pa.chunked_array(chunks)
        else:
            column = pa.concat_arrays(chunks)
        columns |= dict.fromkeys(places, column)
    return [
        pa.table([columns[number, name] for name in schema.names], schema=schema)
        for number, schema in enumerate(schemas)
    ]


def jobs_schema(names: Iterable[str] = ()) -> pa.Schema:
    """Return the schema of jobs that have these columns; those of the handles come last."""
    known = arrow_schema(JobsSchema)
    return pa.schema([*known, *((name, STRING) for name in names if name not in known.names)])
