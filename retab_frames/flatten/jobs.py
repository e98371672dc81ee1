"""The values of rows -> the columns of the jobs, without their handles."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.errors import MalformedResponseError
from retab_frames.flatten.columns import coalesce_paths
from retab_frames.schemas.models import JobsSchema, arrow_schema, lower_bounds
from retab_frames.text.messages import printable
from retab_frames.wire.paths import JOBS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from retab_frames.wire.misfits import Misfit
    from retab_frames.wire.values import ValuesByPath

__all__ = ["RunContext", "job_columns"]


class RunContext(NamedTuple):
    """What is known of all the rows of a response.

    Attributes:
        workflow_id: From the call.
        experiment_id: From the call or the envelope.
        run_id: The run.
        fetched_at: When the response arrived.
    """

    workflow_id: str | None
    experiment_id: str | None
    run_id: str | None
    fetched_at: datetime | None


def job_columns(
    values: ValuesByPath, contexts: Sequence[tuple[RunContext, int]]
) -> tuple[dict[str, pa.Array], list[Misfit]]:
    """Return the columns of the jobs by name, `filename` aside, and the cells that did not fit.

    Args:
        values: What the rows hold.
        contexts: What is known of the rows, and of how many of them, in the order of the rows.

    Raises:
        MalformedResponseError: If a row is of another workflow or experiment than was requested,
            or if neither it nor its response names the experiment.
    """
    schema = arrow_schema(JobsSchema)
    lengths = [length for _, length in contexts]
    rows = sum(lengths)
    columns: dict[str, pa.Array] = {}
    for name in RunContext._fields:
        known = pa.array([getattr(one, name) for one, _ in contexts], schema.field(name).type)
        repeated = pa.array(np.repeat(np.arange(len(contexts)), lengths))
        columns[name] = pa.repeat(known[0], rows) if len(known) == 1 else known.take(repeated)
    misfits: list[Misfit] = []
    for name, source in JOBS.items():
        least = lower_bounds(JobsSchema).get(name)
        column = coalesce_paths(source, schema.field(name).type, values, rows, least)
        misfits += column.misfits
        if name in columns:
            _check_owner(name, column.array, columns)
            # what a row says of itself goes before what its response says
            columns[name] = pc.coalesce(column.array, columns[name])
        else:
            columns[name] = column.array
    columns["is_placeholder"] = pc.fill_null(columns["is_placeholder"], fill_value=False)
    if columns["experiment_id"].null_count:
        n = columns["experiment_id"].is_null().index(pa.scalar(value=True)).as_py()
        raise MalformedResponseError(
            f"row {printable(columns['job_id'][n].as_py())} names no experiment, and neither does "
            "the response",
            where="$.experiment_id",
        )
    return columns, misfits


def _check_owner(name: str, named: pa.Array, known: dict[str, pa.Array]) -> None:
    """Check that the rows that were asked for are of that workflow or experiment.

    Args:
        name: "workflow_id" or "experiment_id".
        named: What the rows name.
        known: What is known of them; of rows that came from a file nobody asked for anything.
    """
    was_asked = known["fetched_at"].is_valid()
    # null where one of the two does not say it
    is_other = pc.and_(pc.not_equal(named, known[name]), was_asked)
    n = pc.index(is_other, pa.scalar(value=True)).as_py()
    if n >= 0:
        raise MalformedResponseError(
            f"a row of run {printable(known['run_id'][n].as_py())} is of "
            f"{name.removesuffix('_id')} {printable(named[n].as_py())}, not of "
            f"{printable(known[name][n].as_py())}",
            where=f"$.{name}",
        )
