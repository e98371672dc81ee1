"""Responses -> Arrow tables: the jobs, their handles, and the issues.

The steps, in order, and what each gives to the next:

    RowsResponse     one response, recognised                  wire/envelopes
    RunResponses     all responses of a run                    run_rows
    RowValues        the values of some rows, by path          run_rows, row_values, arrow_json
    JobsChunk        some thousand jobs as columns             make_chunk
    FlattenedRuns    the tables of some runs                   Flattener.finish

Many runs are flattened together, because building the columns costs far more than a row does, and
many rows become columns chunk by chunk, so that they are not held twice.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from retab_frames.flatten import run_rows
from retab_frames.flatten.handles import (
    MAX_HANDLE_COLUMNS,
    HandleFields,
    HandleTable,
    Indices,
    choose_fields,
    first_filenames,
    handle_table,
    union_fields,
    wide_columns,
)
from retab_frames.flatten.issues import IssuesByRun, issues_table
from retab_frames.flatten.jobs import RunContext, job_columns
from retab_frames.flatten.row_values import concat_rows, read_values
from retab_frames.flatten.run_rows import CannotStreamError, decode_run, find_kept_rows, stream_run
from retab_frames.flatten.run_tables import FlattenedRuns, Tables, jobs_schema, join_chunks
from retab_frames.schemas.frames import INT64, STRING
from retab_frames.schemas.models import HandlesSchema, RawSchema, arrow_schema
from retab_frames.schemas.vocabulary import KNOWN_VALUES
from retab_frames.wire.records import SIDES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from retab_frames.flatten.row_values import RowValues
    from retab_frames.flatten.run_rows import DecodedRun, Sizes
    from retab_frames.flatten.run_tables import Chunks
    from retab_frames.wire.envelopes import RunResponses
    from retab_frames.wire.misfits import Misfit

__all__ = ["Flattener", "JobsChunk", "flatten", "flatten_runs", "raw_table"]


class JobsChunk(NamedTuple):
    """Some thousand jobs as columns.

    Attributes:
        jobs: The columns of the jobs, without those of the handles.
        handles: Their inputs, and their outputs.
        misfits: The cells of the jobs that did not fit.
        run: The number of the run of each job.
    """

    jobs: dict[str, pa.Array]
    handles: tuple[HandleTable, HandleTable]
    misfits: list[Misfit]
    run: Indices


class _Part(NamedTuple):
    """Some rows of a run: the number of the run, what its response says of them, what they hold."""

    run: int
    context: RunContext
    values: RowValues


class Flattener:
    """Takes runs one by one, and gives their tables together.

    Args:
        sizes: How much is read and converted together; None for the usual.
    """

    def __init__(self, sizes: Sizes | None = None) -> None:
        self._sizes = sizes or run_rows.DEFAULT_SIZES
        self._issues = IssuesByRun()
        self._waiting: list[_Part] = []
        self._chunks: list[JobsChunk] = []

    def add(self, run: RunResponses) -> None:
        """Take a run.

        Raises:
            MalformedResponseError: If a row contradicts the contract of the API: not an object, no
                id, an id twice with different content, a row of another run.
        """
        if run.size > self._sizes.large:
            self._make_chunk()
        chunks, waiting = len(self._chunks), len(self._waiting)
        # most runs can be streamed; one that cannot is discarded, and read again as a whole
        try:
            self._take(run, stream_run(run, self._sizes), is_alone=not waiting)
        except CannotStreamError:
            del self._chunks[chunks:], self._waiting[waiting:]
        else:
            return
        self._take(run, decode_run(run, self._sizes), is_alone=not waiting)

    def finish(self) -> FlattenedRuns:
        """Return the tables of all the runs, in their order; the flattener cannot be used again.

        Raises:
            MalformedResponseError: If neither a row nor its response names the experiment.
        """
        self._make_chunk()
        if not self._chunks:
            nothing = _Part(0, RunContext(None, None, None, None), read_values([], [], []))
            self._chunks.append(make_chunk([nothing]))
        chunks = self._chunks
        run = np.concatenate([chunk.run for chunk in chunks])
        handle_runs = [
            np.concatenate([chunk.run[chunk.handles[side].job] for chunk in chunks])
            for side in (0, 1)
        ]
        fields = tuple(self._choose_fields(side) for side in (0, 1))
        self._report(run, handle_runs, fields)
        issues = self._issues.by_run
        lengths = [np.bincount(of, minlength=len(issues)).tolist() for of in (run, *handle_runs)]
        parts = [self._job_chunks(fields)]
        names = arrow_schema(HandlesSchema).names
        for side in (0, 1):
            columns = [chunk.handles[side].columns for chunk in chunks]
            parts.append({name: [each[name] for each in columns] for name in names})
        chunks.clear()
        del columns  # join_chunks frees the chunks as it joins them
        schemas = [jobs_schema(parts[0]), *[arrow_schema(HandlesSchema)] * 2]
        jobs, inputs, outputs = join_chunks(parts, schemas, chunked_from=self._sizes.chunked_from)
        tables = Tables(jobs, inputs, outputs, issues_table([*chain(*issues)]))
        return FlattenedRuns(tables, fields, (*lengths, [len(some) for some in issues]))

    def _take(self, run: RunResponses, decoded: DecodedRun, *, is_alone: bool) -> None:
        context = RunContext(run.workflow_id, run.experiment_id, decoded.run_id, run.fetched_at)
        for values in decoded.parts:
            self._waiting.append(_Part(len(self._issues.by_run), context, values))
            del values  # that it is gone when the next one is decoded
            if is_alone:
                self._make_chunk(self._sizes.chunk_rows)
        self._make_chunk(self._sizes.chunk_rows)
        self._issues.add_run(decoded.run_id, decoded.reader.counts)

    def _make_chunk(self, least: int = 0) -> None:
        """Make columns of the rows that wait, if there are so many."""
        if self._waiting and sum(part.values.size for part in self._waiting) >= least:
            parts, self._waiting = self._waiting, []
            self._chunks.append(make_chunk(parts))

    def _choose_fields(self, side: int) -> dict[int, HandleFields]:
        """Return the handle columns of each run."""
        chosen: dict[int, HandleFields] = {}
        for chunk in self._chunks:
            for run, fields in choose_fields(chunk.handles[side], chunk.run).items():
                chosen[run] = union_fields([chosen[run], fields]) if run in chosen else fields
        return chosen

    def _job_chunks(self, fields: tuple[dict[int, HandleFields], ...]) -> Chunks:
        """Return the chunks of each column of the jobs, the handles' last."""
        chunks = {
            name: [chunk.jobs[name] for chunk in self._chunks] for name in jobs_schema().names
        }
        for side, of_runs in enumerate(fields):
            wide = dict(islice(union_fields(of_runs.values()).items(), MAX_HANDLE_COLUMNS))
            columns = [
                wide_columns(chunk.handles[side], wide, len(chunk.run)) for chunk in self._chunks
            ]
            for handle, names in wide.items():
                for name in names:
                    column = [each.pop((handle, name)) for each in columns]
                    chunks[f"{SIDES[side]}.{handle}.{name}"] = column
        return chunks

    def _report(
        self, run: Indices, handle_runs: list[Indices], fields: tuple[dict[int, HandleFields], ...]
    ) -> None:
        """Report cells that did not fit, unknown fields and new values, then those of handles."""
        for chunk in self._chunks:
            self._issues.add_misfits(chunk.jobs, chunk.run, chunk.misfits)
        self._issues.add_unknown_fields()
        jobs = {
            name: pa.chunked_array([chunk.jobs[name] for chunk in self._chunks])
            for name in KNOWN_VALUES
        }
        self._issues.add_new_values(jobs, run)
        for n, side in enumerate(SIDES):
            for chunk in self._chunks:
                self._issues.add_handles(side, chunk.handles[n], chunk.run)
            types = [chunk.handles[n].columns["type"] for chunk in self._chunks]
            self._issues.add_new_handle_types(side, pa.chunked_array(types), handle_runs[n])
            self._issues.add_handle_count(side, len(union_fields(fields[n].values())))


def make_chunk(parts: list[_Part]) -> JobsChunk:
    """Make columns of some rows together."""
    values = concat_rows([part.values for part in parts])
    sizes = [part.values.size for part in parts]
    contexts = [(part.context, size) for part, size in zip(parts, sizes, strict=True)]
    jobs, misfits = job_columns(values.jobs, contexts)
    inputs, outputs = (handle_table(found, jobs) for found in values.handles)
    jobs["filename"] = first_filenames(inputs, values.size)
    run = np.repeat([part.run for part in parts], sizes)
    return JobsChunk(jobs, (inputs, outputs), values.misfits + misfits, run)


def flatten(runs: Iterable[RunResponses]) -> Tables:
    """Return the tables of the runs, in their order, rows in the order they came.

    Raises:
        MalformedResponseError: If a row contradicts the contract of the API: not an object, no id,
            an id twice with different content, a row of another run.
    """
    return flatten_runs(runs).tables


def flatten_runs(runs: Iterable[RunResponses], sizes: Sizes | None = None) -> FlattenedRuns:
    """Return the tables of the runs, and how many rows each run has; raises as `flatten`."""
    flattener = Flattener(sizes)
    for run in runs:
        flattener.add(run)
        del run  # it may be the last to hold its response
    return flattener.finish()


def raw_table(run: RunResponses, jobs: pa.Table) -> pa.Table:
    """Return every row of a run as it came, under the job id that it has in the jobs table."""
    rows = run.rows
    every: Sequence[int] = range(len(rows))
    # which of the rows that came twice were kept is the one thing that must be worked out again
    kept = every if len(rows) == len(jobs) else find_kept_rows(run)
    bodies = pa.array([bytes(rows[n]).decode() for n in kept], STRING)
    columns = [jobs.column("job_id"), pa.array(kept, INT64), bodies]
    return pa.table(columns, schema=arrow_schema(RawSchema))
