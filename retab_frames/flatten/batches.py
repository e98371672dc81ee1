"""The tables of some runs together, and what divides them into the tables of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from retab_frames.flatten.handles import MAX_HANDLE_COLUMNS, Fields, union_fields
from retab_frames.flatten.row_values import SIDES
from retab_frames.schemas.models import IssuesSchema, JobsSchema, arrow_schema, empty_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from retab_frames.flatten.issues import Issue

__all__ = ["Batch", "Parts", "Tables", "issues_table", "jobs_schema", "joined_tables"]

_MANY = 50_000
"""How many rows a column has at least that stays in parts; joined, it would be there twice."""

Parts = dict[str, list[pa.Array]]
"""The columns of a table, chunk by chunk."""


class Tables(NamedTuple):
    """The Arrow tables of some runs: the jobs with exploded handles, and the long tables."""

    jobs: pa.Table
    handle_inputs: pa.Table
    handle_outputs: pa.Table
    issues: pa.Table


class Batch(NamedTuple):
    """The tables of some runs together, and what divides them.

    Attributes:
        tables: Of all the runs.
        fields: The handles of each run that are columns of its jobs: of the inputs, the outputs.
        lengths: How many rows of each table every run has.
    """

    tables: Tables
    fields: tuple[dict[int, Fields], ...]
    lengths: tuple[list[int], ...]

    @property
    def is_divisible(self) -> bool:
        """True if every handle of every run is a column."""
        return all(len(union_fields(runs.values())) <= MAX_HANDLE_COLUMNS for runs in self.fields)

    def divided(self) -> list[Tables]:
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


def issues_table(issues: Sequence[Issue]) -> pa.Table:
    """Return the issues as a table that fits IssuesSchema."""
    if not issues:
        return empty_table(IssuesSchema)
    return pa.Table.from_pylist(issues, schema=arrow_schema(IssuesSchema))


def joined_tables(tables: list[Parts], schemas: list[pa.Schema]) -> list[pa.Table]:
    """Return the tables of the parts of their columns, which are let go as they are joined.

    Columns of the same parts share their memory: of jobs with one file each, the frame of handles
    and the columns of the jobs say the same.
    """
    sharing: dict[tuple[int, ...], list[tuple[int, str]]] = {}
    for number, table in enumerate(tables):
        for name, parts in table.items():
            sharing.setdefault(tuple(map(id, parts)), []).append((number, name))
    whole: dict[tuple[int, str], pa.Array | pa.ChunkedArray] = {}
    for places in sharing.values():
        column = _whole([tables[number].pop(name) for number, name in places].pop())
        whole |= dict.fromkeys(places, column)
    return [
        pa.table([whole[number, name] for name in schema.names], schema=schema)
        for number, schema in enumerate(schemas)
    ]


def _whole(parts: list[pa.Array]) -> pa.Array | pa.ChunkedArray:
    """Return the parts as one column, unless they are many."""
    if len(parts) == 1:
        return parts[0]
    if sum(map(len, parts)) >= _MANY:
        return pa.chunked_array(parts)
    return pa.concat_arrays(parts)


def jobs_schema(names: Iterable[str]) -> pa.Schema:
    """Return the schema of jobs that have these columns; those of the handles come last."""
    known = arrow_schema(JobsSchema)
    return pa.schema([*known, *((name, pa.string()) for name in names if name not in known.names)])
