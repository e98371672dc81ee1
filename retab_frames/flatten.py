"""Raw rows -> Arrow tables: the jobs, their handles, and a list of what was odd.

Many runs are flattened together, because building the columns costs far more than a row does, and
many rows become columns chunk by chunk, so that they are not held twice.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from retab_frames.handles import (
    MOST_WIDE,
    Fields,
    Indices,
    LongHandles,
    explode,
    fields_by_run,
    filenames,
    long_handles,
    united,
)
from retab_frames.issues import (
    KNOWN_VALUES,
    Issue,
    Told,
    of_cells,
    of_handles,
    of_many,
    of_run,
    of_types,
    of_values,
)
from retab_frames.jobs import Part, job_columns, null_handles
from retab_frames.payloads import CHUNK, RunPayloads, bodies, decode, kept_rows
from retab_frames.schemas import IssuesSchema, JobsSchema, RawSchema, arrow_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from retab_frames.columns import Misfit

__all__ = [
    "Batch",
    "Flattener",
    "RunPayloads",
    "Tables",
    "batch_of",
    "flatten",
    "issues_table",
    "raw_table",
]

SIDES = ("handle_inputs", "handle_outputs")
TEXT = pa.string()


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
        return all(len(united(runs.values())) <= MOST_WIDE for runs in self.fields)

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


class _Chunk(NamedTuple):
    """Some thousand jobs as columns; `run` is the number of the run of each."""

    jobs: dict[str, pa.Array]
    misfits: list[tuple[str, Misfit]]
    handles: tuple[LongHandles, LongHandles]
    run: Indices


class Flattener:
    """Takes runs one by one, and gives their tables."""

    def __init__(self) -> None:
        self._run_ids: list[str | None] = []
        self._told: list[list[Issue]] = []
        self._waiting: list[Part] = []
        self._rows = 0
        self._chunks: list[_Chunk] = []

    def add(self, source: RunPayloads) -> None:
        """Take a run.

        Raises:
            MalformedResponseError: If a row contradicts the contract of the API: not an object, no
                id, an id twice with different content, a row of another run.
        """
        number = len(self._run_ids)
        run_id, pieces, reader = decode(source)
        for piece in pieces:
            self._waiting.append(
                Part(
                    number,
                    source.workflow_id,
                    source.experiment_id,
                    run_id,
                    source.fetched_at,
                    *piece,
                )
            )
            self._rows += len(piece[0])
            if self._rows >= CHUNK:
                self._settle()
        self._run_ids.append(run_id)
        self._told.append(of_run(run_id, reader.told()))

    def batch(self) -> Batch:
        """Return the tables of all the runs, in their order; the flattener is spent.

        Raises:
            MalformedResponseError: If neither a row nor its response names the experiment.
        """
        self._settle()
        chunks = self._chunks
        run = np.concatenate([chunk.run for chunk in chunks])
        owners = [
            np.concatenate([chunk.run[chunk.handles[side].job] for chunk in chunks])
            for side in (0, 1)
        ]
        fields = tuple(self._fields(side) for side in (0, 1))
        issues = self._issues(run, owners, fields)
        wide = {n: column for side in (0, 1) for n, column in self._exploded(side, fields[side])}
        names = arrow_schema(JobsSchema).names
        # a column leaves its chunks when it is joined: that none is held twice
        jobs = {name: _joined([chunk.jobs.pop(name) for chunk in chunks]) for name in names}
        long = [[chunk.handles[side].table for chunk in chunks] for side in (0, 1)]
        chunks.clear()
        tables = Tables(
            pa.table([*jobs.values(), *wide.values()], schema=_with_handles([*wide])),
            _stacked(long[0]),
            _stacked(long[1]),
            issues_table([*chain(*issues)]),
        )
        counts = [np.bincount(of, minlength=len(issues)).tolist() for of in (run, *owners)]
        return Batch(tables, fields, (*counts, [len(told) for told in issues]))

    def _fields(self, side: int) -> dict[int, Fields]:
        found: dict[int, Fields] = {}
        for chunk in self._chunks:
            for run, fields in fields_by_run(chunk.handles[side], chunk.run).items():
                found[run] = united([found[run], fields]) if run in found else fields
        return found

    def _exploded(
        self, side: int, runs: dict[int, Fields]
    ) -> Iterator[tuple[str, pa.ChunkedArray]]:
        """Yield the columns of the jobs that their handles become."""
        shown = dict(islice(united(runs.values()).items(), MOST_WIDE))
        exploded = [explode(chunk.handles[side], shown, len(chunk.run)) for chunk in self._chunks]
        for handle, names in shown.items():
            for name in names:
                yield (
                    f"{SIDES[side]}.{handle}.{name}",
                    _joined([columns[handle, name] for columns in exploded]),
                )

    def _issues(
        self, run: Indices, owners: list[Indices], fields: tuple[dict[int, Fields], ...]
    ) -> list[list[Issue]]:
        """Return the issues of each run."""
        told: list[Told] = []
        for chunk in self._chunks:
            told += of_cells(chunk.jobs, chunk.run, chunk.misfits)
        for name in KNOWN_VALUES:
            column = pa.chunked_array([chunk.jobs[name] for chunk in self._chunks])
            told += of_values(name, column, run, self._run_ids)
        for n, side in enumerate(SIDES):
            for chunk in self._chunks:
                told += of_handles(side, chunk.handles[n], chunk.run)
            types = [chunk.handles[n].table.column("type") for chunk in self._chunks]
            column = pa.chunked_array([part for column in types for part in column.chunks], TEXT)
            told += of_types(side, column, owners[n], self._run_ids)
            told += [
                (len(self._told) - 1, one) for one in of_many(side, len(united(fields[n].values())))
            ]
        issues = [list(oddities) for oddities in self._told]
        for number, issue in told:
            issues[number].append(issue)
        return issues

    def _settle(self) -> None:
        """Make columns of the rows that wait."""
        if self._chunks and not self._waiting:
            return
        parts, self._waiting, self._rows = self._waiting, [], 0
        rows = [row for part in parts for row in part.rows]
        columns, misfits = job_columns(rows, parts)
        sides = [[row.handle_inputs for row in rows], [row.handle_outputs for row in rows]]
        inputs, outputs = (long_handles(side, columns) for side in sides)
        columns["filename"] = filenames(inputs, len(rows))
        run = np.repeat(
            np.array([part.run for part in parts], dtype=np.int64),
            np.array([len(part.rows) for part in parts], dtype=np.int64),
        )
        self._chunks.append(_Chunk(columns, misfits + null_handles(rows), (inputs, outputs), run))


def flatten(runs: Iterable[RunPayloads]) -> Tables:
    """Return the tables of the runs, in their order, rows in the order they came.

    Raises:
        MalformedResponseError: If a row contradicts the contract of the API: not an object, no id,
            an id twice with different content, a row of another run.
    """
    return batch_of(runs).tables


def batch_of(runs: Iterable[RunPayloads]) -> Batch:
    """Return the tables of the runs, and what divides them; raises as `flatten`."""
    flattener = Flattener()
    for source in runs:
        flattener.add(source)
    return flattener.batch()


def raw_table(source: RunPayloads, jobs: pa.Table) -> pa.Table:
    """Return every row of a run as it came, under the job id that it has in the jobs table."""
    texts = bodies(source)
    every: Sequence[int] = range(len(texts))
    # which of the rows that came twice were kept is the one thing that must be worked out again
    kept = every if len(texts) == len(jobs) else kept_rows(source)
    positions = pa.array(kept, pa.int64())
    whole = pa.array([texts[n].decode() for n in kept], pa.string())
    schema = arrow_schema(RawSchema)
    return pa.table([jobs.column("job_id"), positions, whole], schema=schema)


def issues_table(issues: Sequence[Issue]) -> pa.Table:
    """Return the issues as a table that fits IssuesSchema."""
    schema = arrow_schema(IssuesSchema)
    return pa.Table.from_pylist(issues, schema=schema) if issues else schema.empty_table()


def _stacked(tables: list[pa.Table]) -> pa.Table:
    """Return the tables as one, each column in one piece; the list is empty then."""
    schema = tables[0].schema
    columns = [[part for t in tables for part in t.column(name).chunks] for name in schema.names]
    tables.clear()
    joined = []
    for kind in reversed(schema.types):
        parts = columns.pop()
        joined.append(_joined(parts, kind))
    return pa.table(joined[::-1], schema=schema)


def _with_handles(names: list[str]) -> pa.Schema:
    return pa.schema([*arrow_schema(JobsSchema), *((name, pa.string()) for name in names)])


def _joined(parts: list[pa.Array], kind: pa.DataType | None = None) -> pa.ChunkedArray:
    """Return the parts as one column; only one beyond 2 GB stays in more than one piece."""
    whole = pa.chunked_array(parts, kind)
    return whole if len(parts) < 2 else pa.table([whole], [""]).combine_chunks().column(0)  # noqa: PLR2004
