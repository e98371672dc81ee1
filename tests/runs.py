"""Runs to compare: their contents, their frames, and hypothesis strategies of pairs of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from hypothesis import strategies as st
from samples import FLAG, TEXT, WHOLE

import retab_frames as rf
from retab_frames.flatten.runs import runs_table

ENDED = ("completed", "completed", "completed", "error", "cancelled", "skipped")
PLACEHOLDER = "(placeholder)"
"""Stands for the status of a placeholder."""


def run(*jobs: dict[str, Any], run_id: str | None = "r", **record: Any) -> rf.RunContent:
    """Return the content of a run of the given jobs, each with what it needs at least.

    `record` are fields of its run record; without any it has none.
    """
    rows = [
        {
            "id": f"job_{n}",
            "run_id": run_id,
            "experiment_id": "exp",
            "document_id": f"doc_{n}",
            "status": "completed",
            "duration_ms": 1000,
            **job,
        }
        for n, job in enumerate(jobs)
    ]
    content = rf.read_content({"experiment_id": "exp", "run_id": run_id, "content": {"jobs": rows}})
    if not record:
        return content
    table, _ = runs_table(
        [{"id": run_id, **record}], workflow_id=None, experiment_id="exp", fetched_at=None
    )
    return replace(content, run_table=table)


def timed(*durations: int | None, run_id: str = "r") -> rf.RunContent:
    """Return a run whose documents completed in so many milliseconds."""
    return run(*({"duration_ms": ms} for ms in durations), run_id=run_id)


def ended(*statuses: str, run_id: str = "r") -> rf.RunContent:
    """Return a run whose documents have the statuses."""
    return run(*({"status": status} for status in statuses), run_id=run_id)


def never_run(documents: int = 1) -> rf.RunContent:
    """Return the content of an experiment that was never run."""
    blank = {"id": "", "status": "pending", "is_placeholder": True, "duration_ms": None}
    return run(*[blank] * documents, run_id=None)


def file(**document: Any) -> dict[str, Any]:
    """Return a job with one file among its inputs."""
    return {"handle_inputs": {"in": {"type": "file", "document": document}}}


def data(value: Any) -> dict[str, Any]:
    """Return a job with one JSON among its inputs."""
    return {"handle_inputs": {"in": {"type": "json", "data": value}}}


@dataclass(frozen=True)
class Outcome:
    """What a run made of a document."""

    status: str | None
    duration_ms: int | None


def jobs_of(outcomes: dict[str, Outcome], run_id: str) -> pd.DataFrame:
    """Return a bare frame of jobs with these outcomes, by document."""
    statuses = [outcome.status for outcome in outcomes.values()]
    columns: dict[str, tuple[list[Any], pd.ArrowDtype]] = {
        "run_id": ([run_id] * len(outcomes), TEXT),
        "job_id": ([f"{run_id}/{document}" for document in outcomes], TEXT),
        "document_id": (list(outcomes), TEXT),
        "filename": ([f"{document}.pdf" for document in outcomes], TEXT),
        "status": ([None if s == PLACEHOLDER else s for s in statuses], TEXT),
        "is_placeholder": ([s == PLACEHOLDER for s in statuses], FLAG),
        "duration_ms": ([outcome.duration_ms for outcome in outcomes.values()], WHOLE),
    }
    return pd.DataFrame({n: pd.Series(v, dtype=kind) for n, (v, kind) in columns.items()})


STATUSES = st.sampled_from([*ENDED, "running", "queued", "hibernating", None, PLACEHOLDER])
DURATIONS = st.one_of(st.none(), st.integers(0, 100_000), st.integers(900, 1_100))
OUTCOMES = st.builds(Outcome, STATUSES, DURATIONS)
COMPLETED = st.builds(Outcome, st.just("completed"), st.integers(900, 1_200))
SIDES = st.dictionaries(
    st.sampled_from([f"d{n}" for n in range(12)]),
    st.one_of(OUTCOMES, COMPLETED),
    min_size=1,
    max_size=12,
)
