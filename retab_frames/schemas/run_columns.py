"""The record of a run beside each of its jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc

from retab_frames.schemas.models import RunsSchema, arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["join_runs"]

_PREFIX = "run_"
_KEY = "run_id"
_OF_BOTH = ("workflow_id", "experiment_id", _KEY)


def join_runs(jobs: pa.Table, runs: pa.Table) -> pa.Table:
    """Return the jobs with the columns of their runs, under names that begin with `run_`.

    Args:
        jobs: A table with a `run_id`, such as one that fits JobsSchema.
        runs: One that fits RunsSchema; its runs in any order, and more than there are jobs of.

    Returns:
        The jobs in their order; all columns of RunsSchema but the ids that a job has itself come
        last (`run_status`, `run_created_at`, `run_score` ...). They are null where there is no
        record, as for placeholders of an experiment never run.
    """
    rows = pc.index_in(jobs.column(_KEY), value_set=runs.column(_KEY).combine_chunks())
    names = [name for name in arrow_schema(RunsSchema).names if name not in _OF_BOTH]
    found = runs.select(names).take(rows)
    for name in names:
        jobs = jobs.append_column(f"{_PREFIX}{name}", found.column(name))
    return jobs
