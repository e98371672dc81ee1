"""The seeded workspace: a workflow, its experiments, their runs and jobs."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from retab_frames.sandbox.documents import make_documents
from retab_frames.sandbox.history import HISTORY, ONE, Scene, created_at, make_jobs, placeholders
from retab_frames.sandbox.records import Block, Experiment, Failure, Run, Timing, Workflow
from retab_frames.sandbox.tokens import fingerprint, generator

if TYPE_CHECKING:
    from retab_frames.sandbox.history import Chapter
    from retab_frames.sandbox.records import Document, Job, Status

N_CONSENSUS = 3
_MS = timedelta(milliseconds=1)


class NoRecord(KeyError):  # noqa: N818 - the API's "not found", no error of ours
    """The workspace has no record of that kind and id."""

    def __init__(self, kind: str, identifier: str) -> None:
        """Keep what was looked for."""
        super().__init__(f"{kind} {identifier} not found")


@dataclass(frozen=True, slots=True)
class _Plan:
    topic: str
    name: str
    block: Block
    chapters: tuple[Chapter, ...] = HISTORY


_PLANS = {
    f"exp_{plan.topic}": plan
    for plan in (
        _Plan("invoices", "Invoices Q3", Block("extract-invoice", "Extract invoice", "extract")),
        _Plan("mailroom", "Mailroom triage", Block("classify-mail", "Sort mail", "classifier")),
        _Plan("packets", "Scanned packets", Block("split-packet", "Split packet", "split")),
        _Plan(
            "contracts",
            "Contracts, première série",
            Block("extract-contract", "Extract contract", "extract"),
            (),
        ),
    )
}


class Workspace:
    """A workflow of four experiments, the same for the same seed.

    Runs are built when first asked for and then kept. All methods may be
    called from several threads.

    Args:
        seed: Two workspaces of one seed and size are equal.
        documents: How many documents each experiment has.
    """

    def __init__(self, seed: int = 0, *, documents: int = 12) -> None:
        """Prepare the workspace; nothing is built yet."""
        if documents < 1:
            raise ValueError(f"documents must be at least 1, not {documents}")
        self.seed = seed
        self.workflow = Workflow("wf_sandbox", "Accounts payable")
        self._size = documents
        self._documents: dict[str, tuple[Document, ...]] = {}
        self._jobs: dict[str, tuple[Job, ...]] = {}
        self._by_id: dict[str, Job] = {}
        self._lock = threading.RLock()

    @property
    def experiment_ids(self) -> tuple[str, ...]:
        """The ids of the experiments, oldest first."""
        return tuple(_PLANS)

    def find_workflow(self, workflow_id: str) -> Workflow:
        """Return the workflow.

        Raises:
            NoRecord: That is not its id.
        """
        if workflow_id != self.workflow.id:
            raise NoRecord("Workflow", workflow_id)
        return self.workflow

    def run_ids(self, experiment_id: str) -> tuple[str, ...]:
        """Return the ids of an experiment's runs, oldest first.

        Raises:
            NoRecord: There is no such experiment.
        """
        plan = _plan(experiment_id)
        return tuple(f"exprun_{plan.topic}_{chapter.number}" for chapter in plan.chapters)

    def documents(self, experiment_id: str) -> tuple[Document, ...]:
        """Return the documents of an experiment.

        Raises:
            NoRecord: There is no such experiment.
        """
        plan = _plan(experiment_id)
        with self._lock:
            if experiment_id not in self._documents:
                made = make_documents(self.seed, plan.topic, plan.block.kind, self._size)
                self._documents[experiment_id] = made
            return self._documents[experiment_id]

    def experiments(self) -> list[Experiment]:
        """Return all experiments, oldest first."""
        return [self.experiment(experiment_id) for experiment_id in self.experiment_ids]

    def runs(self, experiment_id: str | None = None) -> list[Run]:
        """Return the runs of an experiment, or of all, oldest first.

        Raises:
            NoRecord: There is no such experiment.
        """
        wanted = self.experiment_ids if experiment_id is None else (experiment_id,)
        runs = [self.run(run_id) for known in wanted for run_id in self.run_ids(known)]
        return sorted(runs, key=lambda run: str(run.timing.created_at))

    def experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment.

        Raises:
            NoRecord: There is no such experiment.
        """
        plan = _plan(experiment_id)
        created = datetime(2026, 8, 24 + list(_PLANS).index(experiment_id), 9, tzinfo=UTC)
        run_ids = self.run_ids(experiment_id)
        starts = [created_at(self.seed, experiment_id, chapter) for chapter in plan.chapters]
        scores = [self._score(chapter, plan.topic) for chapter in plan.chapters]
        return Experiment(
            id=experiment_id,
            name=plan.name,
            workflow=self.workflow,
            block=plan.block,
            n_consensus=N_CONSENSUS,
            status="processing" if run_ids else "draft",
            created_at=created,
            updated_at=max([created, *starts]),
            document_count=self._size,
            documents_fingerprint=self._documents_fingerprint(experiment_id),
            last_run_id=run_ids[-1] if run_ids else None,
            score=next((score for score in reversed(scores) if score is not None), None),
        )

    def run(self, run_id: str) -> Run:
        """Return a run, its counts taken from its jobs.

        Raises:
            NoRecord: There is no such run.
        """
        experiment_id, chapter = self._chapter(run_id)
        plan = _PLANS[experiment_id]
        jobs = self.jobs(run_id)
        errors = sum(job.status == "error" for job in jobs)
        definition = fingerprint(self.seed, plan.topic, "definition", chapter.definition)
        return Run(
            id=run_id,
            experiment_id=experiment_id,
            workflow=self.workflow,
            workflow_version_id=f"wfver_{definition[:12]}",
            block=plan.block,
            block_version_id=f"blkver_{definition[12:24]}",
            block_config=chapter.config,
            n_consensus=N_CONSENSUS,
            status=_run_status(chapter),
            timing=self._run_timing(chapter, experiment_id, jobs),
            definition_fingerprint=definition,
            documents_fingerprint=self._documents_fingerprint(experiment_id),
            document_count=len(jobs),
            completed_count=sum(job.status == "completed" for job in jobs),
            error_count=errors,
            score=self._score(chapter, plan.topic),
            failure=_run_failure(chapter, errors, len(jobs)),
        )

    def jobs(self, run_id: str) -> tuple[Job, ...]:
        """Return the jobs of a run, in the order of the documents.

        Raises:
            NoRecord: There is no such run.
        """
        experiment_id, chapter = self._chapter(run_id)
        with self._lock:
            if run_id not in self._jobs:
                jobs = make_jobs(self._scene(experiment_id), chapter, run_id)
                self._jobs[run_id] = jobs
                self._by_id.update((job.id, job) for job in jobs)
            return self._jobs[run_id]

    def placeholders(self, experiment_id: str) -> tuple[Job, ...]:
        """Return one placeholder for each document of an experiment.

        Raises:
            NoRecord: There is no such experiment.
        """
        return placeholders(self._scene(experiment_id))

    def job(self, job_id: str) -> Job:
        """Return a job of any run by its id.

        Raises:
            NoRecord: There is no such job.
        """
        if job_id not in self._by_id:
            for run in self.runs():
                self.jobs(run.id)
        if job_id not in self._by_id:
            raise NoRecord("Experiment result", job_id)
        return self._by_id[job_id]

    def job_of(self, run_id: str, document_id: str) -> Job:
        """Return the job of a run on one document.

        Raises:
            NoRecord: There is no such run, or it has not that document.
        """
        for job in self.jobs(run_id):
            if job.document_id == document_id:
                return job
        raise NoRecord("Document", document_id)

    def _scene(self, experiment_id: str) -> Scene:
        block = _plan(experiment_id).block
        return Scene(self.seed, experiment_id, block, self.documents(experiment_id))

    def _chapter(self, run_id: str) -> tuple[str, Chapter]:
        for experiment_id, plan in _PLANS.items():
            for known, chapter in zip(self.run_ids(experiment_id), plan.chapters, strict=True):
                if known == run_id:
                    return experiment_id, chapter
        raise NoRecord("Experiment run", run_id)

    def _documents_fingerprint(self, experiment_id: str) -> str:
        return fingerprint(*(document.id for document in self.documents(experiment_id)))

    def _run_timing(self, chapter: Chapter, experiment_id: str, jobs: tuple[Job, ...]) -> Timing:
        created = created_at(self.seed, experiment_id, chapter)
        started = created + timedelta(milliseconds=350)
        if not chapter.finished:
            return Timing(created, started)
        last = max(job.timing.completed_at for job in jobs if job.timing.completed_at)
        completed = last + timedelta(milliseconds=420)
        return Timing(created, started, completed, (completed - created) // _MS + 3)

    def _score(self, chapter: Chapter, topic: str) -> float | None:
        if not chapter.finished:
            return None
        rng = generator(self.seed, topic, chapter.number, "score")
        return round(rng.uniform(0.86, 0.97) - 0.8 * chapter.failing, 4)


def _plan(experiment_id: str) -> _Plan:
    if experiment_id not in _PLANS:
        raise NoRecord("Experiment", experiment_id)
    return _PLANS[experiment_id]


def _run_status(chapter: Chapter) -> Status:
    if not chapter.finished:
        return "running"
    return "error" if chapter.failing > ONE else "completed"


def _run_failure(chapter: Chapter, errors: int, total: int) -> Failure | None:
    if _run_status(chapter) != "error":
        return None
    message = f"{errors} of {total} documents failed"
    return Failure(message, "documents_failed", "", {"error_count": errors})
