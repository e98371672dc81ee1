"""What some rows hold that follow one another, and several of these as one."""

from __future__ import annotations

from itertools import accumulate, chain, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from retab_frames.wire.paths import JOBS
from retab_frames.wire.values import (
    HandleValues,
    read_handles,
    read_jobs,
    report_null_handles,
    to_list,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retab_frames.wire.misfits import Misfit
    from retab_frames.wire.records import Row
    from retab_frames.wire.values import ValuesByPath

__all__ = ["RowValues", "concat_rows", "read_values"]

_JOB_ID = JOBS["job_id"].paths[0]


class RowValues(NamedTuple):
    """What some rows hold.

    Attributes:
        size: How many rows there are.
        run_ids: The runs that the rows name; None is among them if a row names none.
        jobs: The values of the jobs by path.
        handles: The values of their inputs, and of their outputs.
        misfits: The cells that did not fit.
    """

    size: int
    run_ids: set[str | None]
    jobs: ValuesByPath
    handles: tuple[HandleValues, HandleValues]
    misfits: list[Misfit]

    @property
    def job_ids(self) -> Sequence[str] | pa.Array:
        """The id of each job."""
        return self.jobs[_JOB_ID]


def read_values(rows: Sequence[Row], job_ids: list[str], misfits: list[Misfit]) -> RowValues:
    """Take from decoded rows what the columns need; the rows are not needed any more.

    Args:
        rows: The rows.
        job_ids: Their ids; those of placeholders may differ from what was sent.
        misfits: The cells that did not fit when the rows were decoded.
    """
    jobs, errors = read_jobs(rows)
    return RowValues(
        size=len(rows),
        run_ids={row.run_id for row in rows} | {row.experiment_run_id for row in rows},
        jobs={**jobs, _JOB_ID: job_ids},
        handles=(
            read_handles([row.handle_inputs for row in rows]),
            read_handles([row.handle_outputs for row in rows]),
        ),
        misfits=[*misfits, *errors, *report_null_handles(rows)],
    )


def concat_rows(parts: Sequence[RowValues]) -> RowValues:
    """Return the values of the parts, one after another."""
    if len(parts) == 1:
        return parts[0]
    sizes = [part.size for part in parts]
    starts = accumulate(sizes, initial=0)
    inputs, outputs = ([part.handles[side] for part in parts] for side in (0, 1))
    return RowValues(
        size=sum(sizes),
        run_ids=set().union(*(part.run_ids for part in parts)),
        jobs=_concat_values([part.jobs for part in parts], sizes),
        handles=(_concat_handles(inputs), _concat_handles(outputs)),
        misfits=[
            misfit._replace(row=misfit.row + start)
            for part, start in zip(parts, starts, strict=False)
            for misfit in part.misfits
        ],
    )


def _concat_handles(parts: list[HandleValues]) -> HandleValues:
    counts = [*chain.from_iterable(part.counts for part in parts)]
    sizes = [sum(part.counts) for part in parts]
    return HandleValues(counts, _concat_values([part.values for part in parts], sizes))


def _concat_values(parts: list[ValuesByPath], sizes: list[int]) -> ValuesByPath:
    """Return the values one after another, None where a part has none at a path."""
    whole: ValuesByPath = {}
    for path in dict.fromkeys(chain.from_iterable(parts)):
        values = [part.get(path) for part in parts]
        if all(isinstance(one, pa.Array) for one in values):
            whole[path] = pa.concat_arrays(values)
            continue
        cells: list[Any] = []
        for one, size in zip(values, sizes, strict=True):
            cells.extend(repeat(None, size) if one is None else to_list(one))
        whole[path] = cells
    return whole
