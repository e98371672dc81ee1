"""Some rows that follow one another: what they hold, by path on the wire."""

from __future__ import annotations

from itertools import accumulate, chain, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from retab_frames.flatten.columns import listed
from retab_frames.flatten.handles import HandleCells, handle_cells, null_handles
from retab_frames.flatten.jobs import job_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retab_frames.flatten.columns import Misfit
    from retab_frames.wire.records import Cells, Row

__all__ = ["SIDES", "Piece", "joined", "piece_of"]

SIDES = ("handle_inputs", "handle_outputs")


class Piece(NamedTuple):
    """Some rows.

    Attributes:
        size: How many there are.
        runs: The runs that they name; None is among them if one names none.
        jobs: What they hold of the jobs, as `job_cells`.
        handles: What their handles hold, the inputs and the outputs, as `handle_cells`.
        misfits: The cells that did not fit, each with its field.
    """

    size: int
    runs: set[str | None]
    jobs: Cells
    handles: tuple[HandleCells, HandleCells]
    misfits: list[tuple[str, Misfit]]


def piece_of(rows: Sequence[Row], job_ids: list[str]) -> Piece:
    """Take from decoded rows what the columns need; the rows need not be kept."""
    jobs, errors = job_cells(rows, job_ids)
    inputs = [row.handle_inputs for row in rows]
    outputs = [row.handle_outputs for row in rows]
    nulls = chain(null_handles(SIDES[0], inputs), null_handles(SIDES[1], outputs))
    return Piece(
        size=len(rows),
        runs={row.run_id for row in rows} | {row.experiment_run_id for row in rows},
        jobs=jobs,
        handles=(handle_cells(inputs), handle_cells(outputs)),
        misfits=[*(("error", misfit) for misfit in errors), *nulls],
    )


def joined(pieces: Sequence[Piece]) -> Piece:
    """Return the pieces one after another as one."""
    if len(pieces) == 1:
        return pieces[0]
    sizes = [piece.size for piece in pieces]
    starts = accumulate(sizes, initial=0)
    inputs, outputs = ([piece.handles[side] for piece in pieces] for side in (0, 1))
    return Piece(
        size=sum(sizes),
        runs=set().union(*(piece.runs for piece in pieces)),
        jobs=_joined([piece.jobs for piece in pieces], sizes),
        handles=(_joined_handles(inputs), _joined_handles(outputs)),
        misfits=[
            (name, misfit._replace(row=misfit.row + start))
            for piece, start in zip(pieces, starts, strict=False)
            for name, misfit in piece.misfits
        ],
    )


def _joined_handles(parts: list[HandleCells]) -> HandleCells:
    counts = [*chain.from_iterable(part.counts for part in parts)]
    return HandleCells(
        counts, _joined([part.cells for part in parts], [sum(part.counts) for part in parts])
    )


def _joined(parts: list[Cells], sizes: list[int]) -> Cells:
    """Return the values one after another, None where a part has none of a path."""
    whole: Cells = {}
    for name in dict.fromkeys(chain.from_iterable(parts)):
        values = [part.get(name) for part in parts]
        if all(isinstance(one, pa.Array) for one in values):
            whole[name] = pa.concat_arrays(values)
            continue
        cells: list[Any] = []
        for one, size in zip(values, sizes, strict=True):
            cells.extend(repeat(None, size) if one is None else listed(one))
        whole[name] = cells
    return whole
