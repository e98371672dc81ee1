"""The runs of an experiment: what happened in each, and the jobs it left."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from retab_frames.sandbox.outcomes import artifact, failure, outputs
from retab_frames.sandbox.records import Job, Timing
from retab_frames.sandbox.tokens import generator, token

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from retab_frames.sandbox.records import Block, Document

WORKERS = 4
ONE = 1e-9  # a share so small that one document makes it up
NOISE_LOG_SD = 0.1

Fate: TypeAlias = Literal["completed", "error"]


@dataclass(frozen=True, slots=True)
class Chapter:
    """What is particular about the n-th run of every experiment.

    Attributes:
        number: Position in the history, from 1.
        day: The day in September 2026 on which it ran.
        definition: Which version of the block it ran.
        config: The settings of that version.
        pace: How its durations compare with the documents' usual ones.
        failing: The share of documents that end in error; one at least if not 0.
        finished: Whether it is over.
    """

    number: int
    day: int
    definition: int
    config: Mapping[str, object]
    pace: float = 1.0
    failing: float = 0.0
    finished: bool = True


_FIRST: Mapping[str, object] = {"model": "retab-small", "prompt": "v1", "schema_version": 1}
_SECOND: Mapping[str, object] = {**_FIRST, "prompt": "v2"}

HISTORY = (
    Chapter(1, 1, 1, _FIRST, failing=ONE),
    Chapter(2, 3, 2, _SECOND),
    Chapter(3, 8, 3, {**_SECOND, "model": "retab-large"}, pace=1.3),
    Chapter(4, 15, 4, {**_SECOND, "schema_version": 2}, failing=0.25),
    Chapter(5, 29, 2, _SECOND, finished=False),
)


@dataclass(frozen=True, slots=True)
class Scene:
    """What the runs of one experiment have in common."""

    seed: int
    experiment_id: str
    block: Block
    documents: Sequence[Document]


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where one job stands in its run's schedule, as it will have been."""

    fate: Fate
    created_at: datetime
    started_at: datetime
    completed_at: datetime
    duration_ms: int


def created_at(seed: int, experiment_id: str, chapter: Chapter) -> datetime:
    """Return when a run was created: in the morning of the chapter's day."""
    rng = generator(seed, experiment_id, chapter.number, "start")
    return datetime(2026, 9, chapter.day, 6, tzinfo=UTC) + timedelta(
        seconds=rng.randint(0, 14_000), milliseconds=rng.randint(1, 999)
    )


def make_jobs(scene: Scene, chapter: Chapter, run_id: str) -> tuple[Job, ...]:
    """Return the jobs of one run, in the order of the documents."""
    rng = generator(scene.seed, scene.experiment_id, chapter.number, "jobs")
    slots = _schedule(rng, scene, chapter)
    # A run in progress is seen just as the middle document has started.
    seen_at = None if chapter.finished else slots[len(slots) // 2].started_at
    return tuple(
        _performed(rng, _blank(scene, document, run_id), document, slot, seen_at)
        for document, slot in zip(scene.documents, slots, strict=True)
    )


def placeholders(scene: Scene) -> tuple[Job, ...]:
    """Return what stands in for the jobs of an experiment that never ran."""
    return tuple(
        replace(_blank(scene, document, ""), is_placeholder=True) for document in scene.documents
    )


def _blank(scene: Scene, document: Document, run_id: str) -> Job:
    return Job(
        id="",
        run_id=run_id,
        experiment_id=scene.experiment_id,
        document_id=document.id,
        block=scene.block,
        status="pending",
        timing=Timing(),
        inputs=document.inputs,
        outputs={},
    )


def _performed(
    rng: random.Random, job: Job, document: Document, slot: _Slot, seen_at: datetime | None
) -> Job:
    """Return a job as far as it had come when the run was seen."""
    started = seen_at is None or slot.started_at <= seen_at
    finished = seen_at is None or slot.completed_at <= seen_at
    completed = finished and slot.fate == "completed"
    step = rng.choice((1, 1_000))
    return replace(
        job,
        id=token(rng, "expjob"),
        status=slot.fate if finished else "running" if started else "pending",
        timing=Timing(
            created_at=_rounded(slot.created_at, step),
            started_at=_rounded(slot.started_at, step) if started else None,
            completed_at=_rounded(slot.completed_at, step) if finished else None,
            duration_ms=slot.duration_ms if finished else None,
        ),
        outputs=outputs(rng, job.block.kind) if completed else {},
        artifact=artifact(rng, job.block.kind) if completed else None,
        failure=failure(rng, document, job.block) if finished and not completed else None,
    )


def _schedule(rng: random.Random, scene: Scene, chapter: Chapter) -> list[_Slot]:
    """Return the slots of jobs handed in order to the first free worker."""
    created = created_at(scene.seed, scene.experiment_id, chapter)
    free = [created + timedelta(milliseconds=rng.randint(400, 900))] * WORKERS
    slots: list[_Slot] = []
    fates = _fates(rng, chapter, len(scene.documents))
    for document, fate in zip(scene.documents, fates, strict=True):
        created += timedelta(microseconds=rng.randint(2_000, 4_999))
        waited = timedelta(microseconds=rng.randint(5_000, 40_000))
        started = max(heapq.heappop(free), created) + waited
        duration = _duration_ms(rng, chapter, document, fate)
        overhead = timedelta(microseconds=rng.randint(1_000, 8_999))
        completed = started + timedelta(milliseconds=duration) + overhead
        heapq.heappush(free, completed)
        slots.append(_Slot(fate, created, started, completed, duration))
    return slots


def _fates(rng: random.Random, chapter: Chapter, count: int) -> list[Fate]:
    errors = min(count, max(1, round(chapter.failing * count))) if chapter.failing else 0
    failing = set(rng.sample(range(count), k=errors))
    return ["error" if index in failing else "completed" for index in range(count)]


def _duration_ms(rng: random.Random, chapter: Chapter, document: Document, fate: Fate) -> int:
    duration = document.pace_ms * chapter.pace * math.exp(rng.gauss(0, NOISE_LOG_SD))
    if fate == "error":
        duration *= rng.uniform(0.3, 0.9)
    return max(50, round(duration))


def _rounded(moment: datetime, step: int) -> datetime:
    return moment.replace(microsecond=moment.microsecond // step * step)
