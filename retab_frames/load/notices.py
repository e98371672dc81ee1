"""What a load tells its caller besides the frames: changed values, and job counts that differ."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.schemas.vocabulary import TERMINAL, TERMINAL_RUN
from retab_frames.text.messages import printable
from retab_frames.text.next_steps import LIST_ISSUES, TAKE_ENDED
from retab_frames.text.user_warnings import warn_user

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from retab_frames.text.next_steps import NextStep

__all__ = [
    "Incomplete",
    "describe_count_mismatch",
    "find_incomplete",
    "have_ended",
    "warn_of_changed_values",
    "warn_of_incomplete_runs",
    "warn_of_missing_runs",
    "warn_of_running_runs",
]

_MAX_NAMED = 5


def describe_count_mismatch(record: pa.Table, jobs: int) -> str | None:
    """Return how the number of jobs of a run differs from its record; None if it does not.

    Args:
        record: The run record: one row that fits RunsSchema, or none.
        jobs: How many jobs the run has, placeholders included.

    Returns:
        A phrase with both numbers. None too if there is no record, or it has no count: 0 and null
        are what a server sends that does not count.
    """
    if not record.num_rows:
        return None
    counts = (record.column(name)[0].as_py() for name in ("total_document_count", "document_count"))
    expected = next((count for count in counts if count), None)
    if expected is None or expected == jobs:
        return None
    return f"the run record says {expected} documents, {jobs} jobs came"


def have_ended(jobs: pa.Table) -> pa.ChunkedArray:
    """Return which jobs will not change any more; a placeholder was never run, so it will."""
    ended = pc.is_in(jobs.column("status"), pa.array(TERMINAL))
    return pc.and_(ended, pc.invert(jobs.column("is_placeholder")))


class Incomplete(NamedTuple):
    """What is not complete about some runs, in words, by run id.

    Attributes:
        running: Of runs that have not ended, as far as is known: how many of their jobs have.
        by_record: Of runs that have fewer or more jobs than their records say, or have ended by
            their records although not all of their jobs have.
    """

    running: dict[str, str]
    by_record: dict[str, str]


def find_incomplete(jobs: pa.Table, records: pa.Table) -> Incomplete:
    """Return what is not complete about runs.

    Args:
        jobs: The jobs of all of them; those of no run do not count.
        records: The records of those whose record is known; fits RunsSchema.
    """
    ended = pa.table({"run_id": jobs.column("run_id"), "ended": have_ended(jobs)})
    # on threads the runs would come in any order
    counted = ended.group_by("run_id", use_threads=False).aggregate(
        [("ended", "sum"), ("ended", "count")]
    )
    counts = {run["run_id"]: (run["ended_sum"], run["ended_count"]) for run in counted.to_pylist()}
    running = {
        run_id: f"{done} of {total} jobs have ended"
        for run_id, (done, total) in counts.items()
        if run_id is not None and done != total
    }
    by_record = {}
    for n, (run_id, status) in enumerate(
        zip(*(records.column(name).to_pylist() for name in ("run_id", "status")), strict=True)
    ):
        _, total = counts.get(run_id, (0, 0))
        unfinished = running.pop(run_id, None) if status in TERMINAL_RUN else None
        if problem := describe_count_mismatch(records.slice(n, 1), total):
            by_record[run_id] = problem
        elif unfinished:
            by_record[run_id] = f"its status is {status}, and {unfinished}"
    return Incomplete(running, by_record)


def warn_of_incomplete_runs(problems: Mapping[str, str]) -> None:
    """Give one warning for all runs whose records say something else than their jobs.

    Args:
        problems: `Incomplete.by_record`; no warning if there is none.
    """
    _warn_of_runs("not complete", problems)


def warn_of_running_runs(running: Mapping[str, str]) -> None:
    """Give one warning for all runs that were loaded before their end.

    Args:
        running: `Incomplete.running`; no warning if there is none.
    """
    _warn_of_runs("still running", running, TAKE_ENDED)


def _warn_of_runs(
    state: str, problems: Mapping[str, str], next_step: NextStep | None = None
) -> None:
    if len(problems) == 1:
        [(run_id, problem)] = problems.items()
        warn_user(f"run {printable(run_id)} is {state}: {problem}", next_step)
    elif problems:
        named = islice(problems.items(), _MAX_NAMED)
        runs = "; ".join(f"{printable(run_id)}: {problem}" for run_id, problem in named)
        more = len(problems) - _MAX_NAMED
        rest = f"; and {more} more" if more > 0 else ""
        warn_user(f"{len(problems)} runs are {state}: {runs}{rest}", next_step)


def warn_of_missing_runs(experiment_ids: Sequence[str], problem: str) -> None:
    """Give one warning for all experiments that lack the runs that were asked for.

    Args:
        experiment_ids: The experiments; no warning if there is none.
        problem: What there is not, e.g. "has no run that has ended".
    """
    if len(experiment_ids) == 1:
        warn_user(f"experiment {printable(experiment_ids[0])} {problem}")
    elif experiment_ids:
        named = ", ".join(map(printable, experiment_ids[:_MAX_NAMED]))
        more = len(experiment_ids) - _MAX_NAMED
        rest = f" and {more} more" if more > 0 else ""
        warn_user(f"{len(experiment_ids)} experiments: each {problem}: {named}{rest}")


def warn_of_changed_values(actions: Iterable[str | None]) -> None:
    """Give one warning for all values that are not in the frames as the API sent them.

    Args:
        actions: What was done, of each issue; a value that was kept as it is needs no warning.
    """
    changed = sum(not (action or "").startswith("kept") for action in actions)
    if changed:
        text = f"{changed} values did not fit their columns and were changed or left out"
        warn_user(text, LIST_ISSUES)
