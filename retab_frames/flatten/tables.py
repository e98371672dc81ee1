"""Raw rows -> Arrow tables: the jobs, their handles, and a list of what was odd.

Many runs are flattened together, because building the columns costs far more than a row does, and
many rows become columns chunk by chunk, so that they are not held twice.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from retab_frames.flatten.batches import Batch, Tables, issues_table, jobs_schema, joined_tables
from retab_frames.flatten.handles import (
    MAX_HANDLE_COLUMNS,
    Fields,
    Indices,
    LongHandles,
    explode,
    fields_by_run,
    filenames,
    long_handles,
    union_fields,
)
from retab_frames.flatten.issues import (
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
from retab_frames.flatten.jobs import Known, job_columns
from retab_frames.flatten.row_values import SIDES, Piece, joined, piece_of
from retab_frames.flatten.run_rows import (
    LARGE,
    NotInTurnError,
    RunPayloads,
    bodies,
    decode,
    decode_in_turn,
    kept_rows,
)
from retab_frames.schemas.models import HandlesSchema, JobsSchema, RawSchema, arrow_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from retab_frames.flatten.batches import Parts
    from retab_frames.flatten.columns import Misfit
    from retab_frames.flatten.run_rows import DecodedRun

__all__ = [
    "Flattener",
    "RunPayloads",
    "batch_of",
    "flatten",
    "raw_table",
]

_CHUNK = 2_048
"""How many jobs become columns together; more would leave the processor's caches."""


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
        except NotInTurnError:
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
        jobs, inputs, outputs = joined_tables(parts, [jobs_schema(parts[0]), long, long])
        tables = Tables(jobs, inputs, outputs, issues_table([*chain(*issues)]))
        return Batch(tables, fields, (*counts, [len(told) for told in issues]))

    def _jobs(self, fields: tuple[dict[int, Fields], ...]) -> Parts:
        """Return the parts of each column of the jobs, the handles' last."""
        names = arrow_schema(JobsSchema).names
        parts = {name: [chunk.jobs[name] for chunk in self._chunks] for name in names}
        for side, runs in enumerate(fields):
            shown = dict(islice(union_fields(runs.values()).items(), MAX_HANDLE_COLUMNS))
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
                found[run] = union_fields([found[run], fields]) if run in found else fields
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
                (len(self._told) - 1, one)
                for one in of_many(side, len(union_fields(fields[n].values())))
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
    told = sorted(piece.misfits + misfits, key=lambda one: one[1].row)
    return _Chunk(columns, told, (inputs, outputs), run)


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
