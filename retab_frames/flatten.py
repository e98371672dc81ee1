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
from retab_frames.jobs import Known, job_columns
from retab_frames.payloads import (
    LARGE,
    NotPlainError,
    RunPayloads,
    bodies,
    decode,
    decode_in_turn,
    kept_rows,
)
from retab_frames.pieces import SIDES, Piece, joined, piece_of
from retab_frames.schemas import (
    HandlesSchema,
    IssuesSchema,
    JobsSchema,
    RawSchema,
    arrow_schema,
    empty_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from retab_frames.columns import Misfit
    from retab_frames.payloads import DecodedRun

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

_CHUNK = 2_048
"""How many jobs become columns together; more would leave the processor's caches."""

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


class _Part(NamedTuple):
    """A piece of a run.

    Attributes:
        run: The number of the run among those that are flattened together.
        known: What its response says of all the rows.
        piece: What the rows hold.
    """

    run: int
    known: Known
    piece: Piece


class Flattener:
    """Takes runs one by one, and gives their tables."""

    def __init__(self) -> None:
        self._run_ids: list[str | None] = []
        self._told: list[list[Issue]] = []
        self._waiting: list[_Part] = []
        self._chunks: list[_Chunk] = []

    def add(self, source: RunPayloads) -> None:
        """Take a run.

        Raises:
            MalformedResponseError: If a row contradicts the contract of the API: not an object, no
                id, an id twice with different content, a row of another run.
        """
        if source.size > LARGE:
            self._settle()
        chunks, waiting = len(self._chunks), len(self._waiting)
        try:
            self._take(source, decode_in_turn(source), alone=not waiting)
        except NotPlainError:
            del self._chunks[chunks:], self._waiting[waiting:]
        else:
            return
        self._take(source, decode(source), alone=not waiting)

    def _take(self, source: RunPayloads, decoded: DecodedRun, *, alone: bool) -> None:
        known = Known(source.workflow_id, source.experiment_id, decoded.run_id, source.fetched_at)
        for piece in decoded.pieces:
            self._waiting.append(_Part(len(self._run_ids), known, piece))
            del piece  # that it is gone when the next one is decoded
            if alone:
                self._settle(_CHUNK)
        self._settle(_CHUNK)
        self._run_ids.append(decoded.run_id)
        self._told.append(of_run(decoded.run_id, decoded.reader.told()))

    def batch(self) -> Batch:
        """Return the tables of all the runs, in their order; the flattener is spent.

        Raises:
            MalformedResponseError: If neither a row nor its response names the experiment.
        """
        self._settle()
        if not self._chunks:
            self._chunks.append(_chunk([_Part(0, Known(None, None, None, None), piece_of([], []))]))
        chunks = self._chunks
        run = np.concatenate([chunk.run for chunk in chunks])
        owners = [
            np.concatenate([chunk.run[chunk.handles[side].job] for chunk in chunks])
            for side in (0, 1)
        ]
        fields = tuple(self._fields(side) for side in (0, 1))
        issues = self._issues(run, owners, fields)
        counts = [np.bincount(of, minlength=len(issues)).tolist() for of in (run, *owners)]
        long = arrow_schema(HandlesSchema)
        parts = [self._jobs(fields)]
        for side in (0, 1):
            columns = [chunk.handles[side].columns for chunk in chunks]
            parts.append({name: [each[name] for each in columns] for name in long.names})
        chunks.clear()
        del columns
        jobs, inputs, outputs = _joined(parts, [_with_handles(parts[0]), long, long])
        tables = Tables(jobs, inputs, outputs, issues_table([*chain(*issues)]))
        return Batch(tables, fields, (*counts, [len(told) for told in issues]))

    def _jobs(self, fields: tuple[dict[int, Fields], ...]) -> Parts:
        """Return the parts of each column of the jobs, the handles' last."""
        names = arrow_schema(JobsSchema).names
        parts = {name: [chunk.jobs[name] for chunk in self._chunks] for name in names}
        for side, runs in enumerate(fields):
            shown = dict(islice(united(runs.values()).items(), MOST_WIDE))
            exploded = [
                explode(chunk.handles[side], shown, len(chunk.run)) for chunk in self._chunks
            ]
            for handle, wanted in shown.items():
                for name in wanted:
                    column = [columns.pop((handle, name)) for columns in exploded]
                    parts[f"{SIDES[side]}.{handle}.{name}"] = column
        return parts

    def _fields(self, side: int) -> dict[int, Fields]:
        found: dict[int, Fields] = {}
        for chunk in self._chunks:
            for run, fields in fields_by_run(chunk.handles[side], chunk.run).items():
                found[run] = united([found[run], fields]) if run in found else fields
        return found

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
            types = [chunk.handles[n].columns["type"] for chunk in self._chunks]
            told += of_types(side, pa.chunked_array(types), owners[n], self._run_ids)
            told += [
                (len(self._told) - 1, one) for one in of_many(side, len(united(fields[n].values())))
            ]
        issues = [list(oddities) for oddities in self._told]
        for number, issue in told:
            issues[number].append(issue)
        return issues

    def _settle(self, least: int = 0) -> None:
        """Make columns of the jobs that wait, if there are so many."""
        if self._waiting and sum(part.piece.size for part in self._waiting) >= least:
            parts, self._waiting = self._waiting, []
            self._chunks.append(_chunk(parts))


def _chunk(parts: list[_Part]) -> _Chunk:
    """Make columns of some parts together."""
    piece = joined([part.piece for part in parts])
    columns, misfits = job_columns(piece.jobs, [(part.known, part.piece.size) for part in parts])
    inputs, outputs = (long_handles(found, columns) for found in piece.handles)
    columns["filename"] = filenames(inputs, piece.size)
    run = np.repeat([part.run for part in parts], [part.piece.size for part in parts])
    return _Chunk(columns, piece.misfits + misfits, (inputs, outputs), run)


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
        del source  # it may be the last to hold its response
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
    if not issues:
        return empty_table(IssuesSchema)
    return pa.Table.from_pylist(issues, schema=arrow_schema(IssuesSchema))


def _joined(tables: list[Parts], schemas: list[pa.Schema]) -> list[pa.Table]:
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


def _with_handles(names: Iterable[str]) -> pa.Schema:
    """Return the schema of jobs that have these columns; those of the handles come last."""
    known = arrow_schema(JobsSchema)
    return pa.schema([*known, *((name, pa.string()) for name in names if name not in known.names)])
