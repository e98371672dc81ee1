"""Run and experiment records -> Arrow tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from retab_frames.flatten.columns import build_column
from retab_frames.flatten.issues import Issue
from retab_frames.schemas.models import ExperimentsSchema, RunsSchema, arrow_schema, lower_bounds
from retab_frames.schemas.vocabulary import TERMINAL_RUN
from retab_frames.wire.paths import EXPERIMENTS, RUNS
from retab_frames.wire.values import find_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from retab_frames.schemas.models import Model
    from retab_frames.wire.paths import Paths

__all__ = ["Record", "expected_jobs", "experiments_table", "runs_table"]

Record = dict[str, Any]
"""A record as the API sent it."""

_FETCHED_AT = "fetched_at"


def runs_table(
    records: Sequence[Record],
    *,
    workflow_id: str | None,
    experiment_id: str | None,
    fetched_at: datetime | None,
) -> tuple[pa.Table, list[Issue]]:
    """Return the runs in the order they came, and the cells that did not fit."""
    known = {"workflow_id": workflow_id, "experiment_id": experiment_id, "fetched_at": fetched_at}
    return _table(records, RunsSchema, RUNS, known)


def experiments_table(
    records: Sequence[Record], *, workflow_id: str | None, fetched_at: datetime | None
) -> tuple[pa.Table, list[Issue]]:
    """Return the experiments in the order they came, and the cells that did not fit."""
    known = {"workflow_id": workflow_id, "fetched_at": fetched_at}
    return _table(records, ExperimentsSchema, EXPERIMENTS, known)


def expected_jobs(record: Record) -> int | None:
    """Return how many jobs a run that has ended should have; None where that is not known."""
    counts = (
        find_value(record, RUNS[name])[1] for name in ("total_document_count", "document_count")
    )
    count = next((n for n in counts if isinstance(n, int) and n > 0), None)
    return count if find_value(record, RUNS["status"])[1] in TERMINAL_RUN else None


def _table(
    records: Sequence[Record], model: Model, paths: Paths, known: Mapping[str, object]
) -> tuple[pa.Table, list[Issue]]:
    """Return the records as a table; what a record lacks is filled from what is known of all."""
    issues: list[Issue] = []
    columns = []
    key = RUNS["run_id"]
    for field in arrow_schema(model):
        if field.name == _FETCHED_AT:
            arrived = pa.scalar(known[_FETCHED_AT], field.type)
            columns.append(pa.repeat(arrived, len(records)))
            continue
        found = [find_value(record, paths[field.name]) for record in records]
        values = [known.get(field.name) if value is None else value for _, value in found]
        least = lower_bounds(model).get(field.name)
        column = build_column(values, field.type, field.name, least=least)
        columns.append(column.array)
        for one in column.misfits:
            run_id, place = find_value(records[one.row], key)[1], found[one.row][0]
            issues.append(Issue(run_id, None, place, one.problem, one.value, one.action))
    return pa.table(columns, schema=arrow_schema(model)), issues
