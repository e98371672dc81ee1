"""What was odd about a load, as the rows of the issues table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.flatten.columns import Misfit
from retab_frames.flatten.handles import MAX_HANDLE_COLUMNS
from retab_frames.schemas.vocabulary import OPEN, TERMINAL
from retab_frames.text.messages import printable
from retab_frames.wire.rows import Oddity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retab_frames.flatten.handles import Indices, LongHandles

    RunIds = Sequence[str | None]

__all__ = [
    "KNOWN_VALUES",
    "Issue",
    "Told",
    "of_cells",
    "of_handles",
    "of_many",
    "of_run",
    "of_types",
    "of_values",
]

Issue = dict[str, str | None]
"""A row of the issues table, by column."""

Told = tuple[int, Issue]
"""An issue, and the number of the run that it is of."""

KNOWN_VALUES: dict[str, frozenset[str]] = {
    "status": frozenset((*OPEN, *TERMINAL)),
    "block_kind": frozenset(("extract", "classifier", "split", "for_each")),
    "artifact_operation": frozenset(
        (
            "extraction",
            "split",
            "classification",
            "parse",
            "edit",
            "partition",
            "conditional_evaluation",
            "while_loop_termination",
            "api_call_invocation",
            "function_invocation",
            "hil_evaluation",
            "review_trigger_evaluation",
        )
    ),
}
"""The values that the API is known to send; any other is kept, and told of once."""

KNOWN_HANDLE_TYPES = frozenset(("file", "json", "text"))


def of_run(run_id: str | None, oddities: list[Oddity]) -> list[Issue]:
    """Tell of the oddities of a run."""
    return [{"run_id": run_id, **oddity._asdict()} for oddity in oddities]


def of_cells(
    columns: Mapping[str, pa.Array], run: Indices, misfits: list[tuple[str, Misfit]]
) -> list[Told]:
    """Tell of cells that did not fit.

    Args:
        columns: What holds the `run_id` and `job_id` of each row.
        run: The number of the run of each row.
        misfits: Each with its field.
    """
    return [
        (
            int(run[misfit.row]),
            {
                "run_id": columns["run_id"][misfit.row].as_py(),
                "job_id": columns["job_id"][misfit.row].as_py(),
                "field": field,
                "problem": misfit.problem,
                "value": misfit.value,
                "action": misfit.action,
            },
        )
        for field, misfit in misfits
    ]


def of_handles(side: str, long: LongHandles, run: Indices) -> list[Told]:
    """Tell of misfits, and of handles without a type; `run` is the number of each job's run."""
    handle, types = (long.columns[name] for name in ("handle", "type"))
    misfits = [(f"{side}.{handle[m.row]}.{name}", m) for name, m in long.misfits]
    if types.null_count:
        nameless = Misfit(0, "a handle without a type", "", "kept")
        rows = types.is_null().to_numpy(zero_copy_only=False).nonzero()[0].tolist()
        misfits += [(f"{side}.{handle[n]}.type", nameless._replace(row=n)) for n in rows]
    misfits.sort(key=lambda one: one[1].row)
    return of_cells(long.columns, run[long.job], misfits) if misfits else []


def of_types(side: str, types: pa.ChunkedArray, run: Indices, run_ids: RunIds) -> list[Told]:
    """Tell of types of handles that this library does not know."""
    return _beyond(types, KNOWN_HANDLE_TYPES, f"{side}.type", run, run_ids)


def of_values(name: str, column: pa.ChunkedArray, run: Indices, run_ids: RunIds) -> list[Told]:
    """Tell of statuses, block kinds and operations that this library does not know."""
    return _beyond(column, KNOWN_VALUES[name], name, run, run_ids)


def of_many(side: str, handles: int) -> list[Issue]:
    """Tell of more handles than become columns."""
    if handles <= MAX_HANDLE_COLUMNS:
        return []
    action = f"the first {MAX_HANDLE_COLUMNS} are columns, all are in {side}"
    return of_run(None, [Oddity(None, side, "very many handles", f"{handles} handles", action)])


def _beyond(
    column: pa.ChunkedArray, known: frozenset[str], field: str, run: Indices, run_ids: RunIds
) -> list[Told]:
    """Tell of each value that is not among the known ones: once per run, with how many."""
    new = [
        value for value in column.unique().to_pylist() if value is not None and value not in known
    ]
    if not new:
        return []
    rows = pa.table({"run": run, "value": column}).filter(pc.is_in(column, pa.array(new)))
    counts = rows.group_by(["run", "value"], use_threads=False).aggregate([([], "count_all")])
    return [
        (
            row["run"],
            {
                "run_id": run_ids[row["run"]],
                "job_id": None,
                "field": field,
                "problem": f"unknown value {printable(row['value'])!r}",
                "value": f"{row['count_all']} times",
                "action": "kept",
            },
        )
        for row in counts.to_pylist()
    ]
