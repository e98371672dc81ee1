"""What was odd about a load, as the rows of the issues table."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.columns import Misfit
from retab_frames.errors import shown
from retab_frames.handles import MOST_WIDE, LongHandles
from retab_frames.rows import Oddity

__all__ = ["Issue", "of_cells", "of_handles", "of_run", "of_values"]

Issue = dict[str, str | None]
"""A row of the issues table, by column."""

KNOWN_VALUES: dict[str, frozenset[str]] = {
    "status": frozenset(
        ("pending", "queued", "running", "completed", "error", "cancelled", "skipped")
    ),
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


def of_cells(table: pa.Table, misfits: list[tuple[str, Misfit]]) -> list[Issue]:
    """Tell of cells that did not fit; each comes with its field, and the index of its row."""
    return [
        {
            "run_id": table.column("run_id")[misfit.row].as_py(),
            "job_id": table.column("job_id")[misfit.row].as_py(),
            "field": field,
            "problem": misfit.problem,
            "value": misfit.value,
            "action": misfit.action,
        }
        for field, misfit in misfits
    ]


def of_handles(side: str, long: LongHandles) -> list[Issue]:
    """Tell of misfits, of handles without a type, of unknown types, of more than become columns."""
    table = long.table
    handle = table.column("handle")
    issues = of_cells(table, [(f"{side}.{handle[m.row]}.{name}", m) for name, m in long.misfits])
    untyped = table.column("type").is_null().to_numpy().nonzero()[0].tolist()
    nameless = Misfit(0, "a handle without a type", "", "kept")
    issues += of_cells(
        table, [(f"{side}.{handle[n]}.type", nameless._replace(row=n)) for n in untyped]
    )
    issues += _beyond(table, "type", KNOWN_HANDLE_TYPES, f"{side}.type")
    count = pc.count_distinct(handle).as_py()
    if count > MOST_WIDE:
        text = f"{count} handles"
        action = f"the first {MOST_WIDE} are columns, all are in {side}"
        issues += of_run(None, [Oddity(None, side, "very many handles", text, action)])
    return issues


def of_values(jobs: pa.Table) -> list[Issue]:
    """Tell of statuses, block kinds and operations that this library does not know."""
    return [
        issue for name, known in KNOWN_VALUES.items() for issue in _beyond(jobs, name, known, name)
    ]


def _beyond(table: pa.Table, name: str, known: frozenset[str], field: str) -> list[Issue]:
    """Tell of each value that is not among the known ones: once per run, with how many."""
    column = table.column(name)
    new = [
        value for value in column.unique().to_pylist() if value is not None and value not in known
    ]
    if not new:
        return []
    rows = table.select(["run_id", name]).filter(pc.is_in(column, pa.array(new)))
    counts = rows.group_by(["run_id", name], use_threads=False).aggregate([([], "count_all")])
    return [
        {
            "run_id": row["run_id"],
            "job_id": None,
            "field": field,
            "problem": f"unknown value {shown(row[name])!r}",
            "value": f"{row['count_all']} times",
            "action": "kept",
        }
        for row in counts.to_pylist()
    ]
