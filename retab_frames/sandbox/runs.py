"""The runs of an experiment: what each is to look like, and the jobs that follow from it."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from retab_frames.sandbox.identifiers import draw_id, make_random
from retab_frames.sandbox.outcomes import draw_artifact, draw_failure, draw_outputs
from retab_frames.sandbox.records import Job, Timing

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from retab_frames.sandbox.records import Block, Document

_WORKERS = 4
"""How many jobs of a run are executed at the same time."""
_NOISE_LOG_SD = 0.1
"""How much the duration of a document varies between runs, on the log scale."""

FinalStatus: TypeAlias = Literal["completed", "error"]


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What the n-th run of every experiment is to look like.

    Attributes:
        number: The number of the run in its experiment, from 1.
        day: The day of September 2026 on which it ran.
        definition: The version of the block that it ran.
        config: The settings of that version.
        duration_factor: The ratio of its durations to the typical ones of the documents.
        failing_documents: The least number of documents that fail.
        failing_share: The share of the documents that fail; with a share the run fails, too.
        finished: False for a run that is still in progress.
    """

    number: int
    day: int
    definition: int
    config: Mapping[str, object]
    duration_factor: float = 1.0
    failing_documents: int = 0
    failing_share: float = 0.0
    finished: bool = True


_FIRST: Mapping[str, object] = {"model": "retab-small", "prompt": "v1", "schema_version": 1}
_SECOND: Mapping[str, object] = {**_FIRST, "prompt": "v2"}
_LARGE_MODEL: Mapping[str, object] = {**_SECOND, "model": "retab-large"}
_NEW_SCHEMA: Mapping[str, object] = {**_SECOND, "schema_version": 2}

RUN_PLANS = (
    RunPlan(1, 1, 1, _FIRST, failing_documents=1),
    RunPlan(2, 3, 2, _SECOND),
    RunPlan(3, 8, 3, _LARGE_MODEL, duration_factor=1.3),
    RunPlan(4, 15, 4, _NEW_SCHEMA, failing_documents=1, failing_share=0.25),
    RunPlan(5, 29, 2, _SECOND, finished=False),
)


@dataclass(frozen=True, slots=True)
class ExperimentSetup:
    """What all runs of an experiment have in common."""

    seed: int
    experiment_id: str
    block: Block
    documents: Sequence[Document]


@dataclass(frozen=True, slots=True)
class _ScheduledJob:
    """When a job starts and ends, and how, once its run is finished."""

    status: FinalStatus
    created_at: datetime
    started_at: datetime
    completed_at: datetime
    duration_ms: int


def draw_creation_time(seed: int, experiment_id: str, plan: RunPlan) -> datetime:
    """Return when a run was created: in the morning of its day."""
    rng = make_random(seed, experiment_id, plan.number, "start")
    return datetime(2026, 9, plan.day, 6, tzinfo=UTC) + timedelta(
        seconds=rng.randint(0, 14_000), milliseconds=rng.randint(1, 999)
    )


def make_jobs(setup: ExperimentSetup, plan: RunPlan, run_id: str) -> tuple[Job, ...]:
    """Return the jobs of one run, in the order of the documents."""
    rng = make_random(setup.seed, setup.experiment_id, plan.number, "jobs")
    schedule = _draw_schedule(rng, setup, plan)
    # A run in progress is observed when the job in the middle of it has just started.
    observed_at = None if plan.finished else schedule[len(schedule) // 2].started_at
    return tuple(
        _observe_job(rng, _make_pending_job(setup, document, run_id), document, job, observed_at)
        for document, job in zip(setup.documents, schedule, strict=True)
    )


def make_placeholders(setup: ExperimentSetup) -> tuple[Job, ...]:
    """Return the placeholders of an experiment that never ran, one per document."""
    return tuple(
        replace(_make_pending_job(setup, document, ""), is_placeholder=True)
        for document in setup.documents
    )


def _make_pending_job(setup: ExperimentSetup, document: Document, run_id: str) -> Job:
    return Job(
        id="",
        run_id=run_id,
        experiment_id=setup.experiment_id,
        document_id=document.id,
        block=setup.block,
        status="pending",
        timing=Timing(),
        inputs=document.inputs,
        outputs={},
    )


def _observe_job(
    rng: random.Random,
    job: Job,
    document: Document,
    scheduled: _ScheduledJob,
    observed_at: datetime | None,
) -> Job:
    """Return a job as it was at a time; None is after the end of the run."""
    started = observed_at is None or scheduled.started_at <= observed_at
    finished = observed_at is None or scheduled.completed_at <= observed_at
    completed = finished and scheduled.status == "completed"
    step = rng.choice((1, 1_000))  # some times have microseconds, some only milliseconds
    return replace(
        job,
        id=draw_id(rng, "expjob"),
        status=scheduled.status if finished else "running" if started else "pending",
        timing=Timing(
            created_at=_truncate(scheduled.created_at, step),
            started_at=_truncate(scheduled.started_at, step) if started else None,
            completed_at=_truncate(scheduled.completed_at, step) if finished else None,
            duration_ms=scheduled.duration_ms if finished else None,
        ),
        outputs=draw_outputs(rng, job.block.kind) if completed else {},
        artifact=draw_artifact(rng, job.block.kind) if completed else None,
        failure=draw_failure(rng, document, job.block) if finished and not completed else None,
    )


def _draw_schedule(
    rng: random.Random, setup: ExperimentSetup, plan: RunPlan
) -> list[_ScheduledJob]:
    """Return the schedule of the jobs, each given in turn to the first free worker."""
    created = draw_creation_time(setup.seed, setup.experiment_id, plan)
    free_at = [created + timedelta(milliseconds=rng.randint(400, 900))] * _WORKERS
    schedule: list[_ScheduledJob] = []
    statuses = _draw_statuses(rng, plan, len(setup.documents))
    for document, status in zip(setup.documents, statuses, strict=True):
        created += timedelta(microseconds=rng.randint(2_000, 4_999))
        waited = timedelta(microseconds=rng.randint(5_000, 40_000))
        started = max(heapq.heappop(free_at), created) + waited
        duration_ms = _draw_duration_ms(rng, plan, document, status)
        overhead = timedelta(microseconds=rng.randint(1_000, 8_999))
        completed = started + timedelta(milliseconds=duration_ms) + overhead
        heapq.heappush(free_at, completed)
        schedule.append(_ScheduledJob(status, created, started, completed, duration_ms))
    return schedule


def _draw_statuses(rng: random.Random, plan: RunPlan, count: int) -> list[FinalStatus]:
    errors = min(count, max(plan.failing_documents, round(plan.failing_share * count)))
    failing = set(rng.sample(range(count), k=errors))
    return ["error" if index in failing else "completed" for index in range(count)]


def _draw_duration_ms(
    rng: random.Random, plan: RunPlan, document: Document, status: FinalStatus
) -> int:
    noise = math.exp(rng.gauss(0, _NOISE_LOG_SD))
    duration_ms = document.typical_ms * plan.duration_factor * noise
    if status == "error":
        duration_ms *= rng.uniform(0.3, 0.9)
    return max(50, round(duration_ms))


def _truncate(time: datetime, step: int) -> datetime:
    """Return the time with its microseconds cut to a multiple of a step."""
    return time.replace(microsecond=time.microsecond // step * step)
