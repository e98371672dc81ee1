"""The workspace: a workflow, its experiments, their runs and jobs, drawn from a seed."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from retab_frames.sandbox.documents import make_documents
from retab_frames.sandbox.identifiers import make_fingerprint, make_random
from retab_frames.sandbox.records import Block, Experiment, Failure, Run, Timing, Workflow
from retab_frames.sandbox.runs import (
    RUN_PLANS,
    ExperimentSetup,
    draw_creation_time,
    make_jobs,
    make_placeholders,
)

if TYPE_CHECKING:
    from retab_frames.sandbox.records import Document, Job, Status
    from retab_frames.sandbox.runs import RunPlan

_N_CONSENSUS = 3
_MS = timedelta(milliseconds=1)


class RecordNotFoundError(KeyError):
    """The workspace has no record of this kind with this id."""

    def __init__(self, kind: str, identifier: str) -> None:
        super().__init__(f"{kind} {identifier} not found")


@dataclass(frozen=True, slots=True)
class _ExperimentPlan:
    topic: str
    name: str
    block: Block
    runs: tuple[RunPlan, ...] = RUN_PLANS


_PLANS = {
    f"exp_{plan.topic}": plan
    for plan in (
        _ExperimentPlan(
            "invoices", "Invoices Q3", Block("extract-invoice", "Extract invoice", "extract")
        ),
        _ExperimentPlan(
            "mailroom", "Mailroom triage", Block("classify-mail", "Sort mail", "classifier")
        ),
        _ExperimentPlan(
            "packets", "Scanned packets", Block("split-packet", "Split packet", "split")
        ),
        _ExperimentPlan(
            "contracts",
            "Contracts, première série",
            Block("extract-contract", "Extract contract", "extract"),
            runs=(),
        ),
    )
}


class Workspace:
    """A workflow with four experiments, the same for the same seed and number of documents.

    Documents and jobs are made on first use. All methods can be called from several threads.

    Args:
        seed: The seed of the random data.
        documents: How many documents each experiment has, at least 1.

    Raises:
        ValueError: There are no documents.
    """

    def __init__(self, seed: int = 0, *, documents: int = 12) -> None:
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
            RecordNotFoundError: The workflow has another id.
        """
        if workflow_id != self.workflow.id:
            raise RecordNotFoundError("Workflow", workflow_id)
        return self.workflow

    def run_ids(self, experiment_id: str) -> tuple[str, ...]:
        """Return the ids of an experiment's runs, oldest first.

        Raises:
            RecordNotFoundError: There is no such experiment.
        """
        plan = _find_plan(experiment_id)
        return tuple(f"exprun_{plan.topic}_{run.number}" for run in plan.runs)

    def documents(self, experiment_id: str) -> tuple[Document, ...]:
        """Return the documents of an experiment.

        Raises:
            RecordNotFoundError: There is no such experiment.
        """
        plan = _find_plan(experiment_id)
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
            RecordNotFoundError: There is no such experiment.
        """
        wanted = self.experiment_ids if experiment_id is None else (experiment_id,)
        runs = [self.run(run_id) for known in wanted for run_id in self.run_ids(known)]
        return sorted(runs, key=lambda run: str(run.timing.created_at))

    def experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment.

        Raises:
            RecordNotFoundError: There is no such experiment.
        """
        plan = _find_plan(experiment_id)
        created = datetime(2026, 8, 24 + list(_PLANS).index(experiment_id), 9, tzinfo=UTC)
        run_ids = self.run_ids(experiment_id)
        starts = [draw_creation_time(self.seed, experiment_id, run) for run in plan.runs]
        scores = [self._draw_score(run, plan.topic) for run in plan.runs]
        return Experiment(
            id=experiment_id,
            name=plan.name,
            workflow=self.workflow,
            block=plan.block,
            n_consensus=_N_CONSENSUS,
            status="processing" if run_ids else "draft",
            created_at=created,
            updated_at=max([created, *starts]),
            document_count=self._size,
            documents_fingerprint=self._make_documents_fingerprint(experiment_id),
            last_run_id=run_ids[-1] if run_ids else None,
            score=next((score for score in reversed(scores) if score is not None), None),
        )

    def run(self, run_id: str) -> Run:
        """Return a run, its counts taken from its jobs.

        Raises:
            RecordNotFoundError: There is no such run.
        """
        experiment_id, plan = self._find_run(run_id)
        experiment = _PLANS[experiment_id]
        jobs = self.jobs(run_id)
        errors = sum(job.status == "error" for job in jobs)
        definition = make_fingerprint(self.seed, experiment.topic, "definition", plan.definition)
        return Run(
            id=run_id,
            experiment_id=experiment_id,
            workflow=self.workflow,
            workflow_version_id=f"wfver_{definition[:12]}",
            block=experiment.block,
            block_version_id=f"blkver_{definition[12:24]}",
            block_config=plan.config,
            n_consensus=_N_CONSENSUS,
            status=_get_run_status(plan),
            timing=self._make_run_timing(plan, experiment_id, jobs),
            definition_fingerprint=definition,
            documents_fingerprint=self._make_documents_fingerprint(experiment_id),
            document_count=len(jobs),
            completed_count=sum(job.status == "completed" for job in jobs),
            error_count=errors,
            score=self._draw_score(plan, experiment.topic),
            failure=_make_run_failure(plan, errors, len(jobs)),
        )

    def jobs(self, run_id: str) -> tuple[Job, ...]:
        """Return the jobs of a run, in the order of the documents.

        Raises:
            RecordNotFoundError: There is no such run.
        """
        experiment_id, plan = self._find_run(run_id)
        with self._lock:
            if run_id not in self._jobs:
                jobs = make_jobs(self._get_setup(experiment_id), plan, run_id)
                self._jobs[run_id] = jobs
                self._by_id.update((job.id, job) for job in jobs)
            return self._jobs[run_id]

    def placeholders(self, experiment_id: str) -> tuple[Job, ...]:
        """Return one placeholder for each document of an experiment.

        Raises:
            RecordNotFoundError: There is no such experiment.
        """
        return make_placeholders(self._get_setup(experiment_id))

    def job(self, job_id: str) -> Job:
        """Return a job of any run by its id.

        Raises:
            RecordNotFoundError: There is no such job.
        """
        if job_id not in self._by_id:
            for run in self.runs():
                self.jobs(run.id)
        if job_id not in self._by_id:
            raise RecordNotFoundError("Experiment result", job_id)
        return self._by_id[job_id]

    def find_job(self, run_id: str, document_id: str) -> Job:
        """Return the job of a run on one document.

        Raises:
            RecordNotFoundError: There is no such run, or it has no such document.
        """
        for job in self.jobs(run_id):
            if job.document_id == document_id:
                return job
        raise RecordNotFoundError("Document", document_id)

    def _get_setup(self, experiment_id: str) -> ExperimentSetup:
        block = _find_plan(experiment_id).block
        return ExperimentSetup(self.seed, experiment_id, block, self.documents(experiment_id))

    def _find_run(self, run_id: str) -> tuple[str, RunPlan]:
        for experiment_id, experiment in _PLANS.items():
            for known, plan in zip(self.run_ids(experiment_id), experiment.runs, strict=True):
                if known == run_id:
                    return experiment_id, plan
        raise RecordNotFoundError("Experiment run", run_id)

    def _make_documents_fingerprint(self, experiment_id: str) -> str:
        return make_fingerprint(*(document.id for document in self.documents(experiment_id)))

    def _make_run_timing(self, plan: RunPlan, experiment_id: str, jobs: tuple[Job, ...]) -> Timing:
        created = draw_creation_time(self.seed, experiment_id, plan)
        started = created + timedelta(milliseconds=350)
        if not plan.finished:
            return Timing(created, started)
        last = max(job.timing.completed_at for job in jobs if job.timing.completed_at)
        completed = last + timedelta(milliseconds=420)
        return Timing(created, started, completed, (completed - created) // _MS + 3)

    def _draw_score(self, plan: RunPlan, topic: str) -> float | None:
        if not plan.finished:
            return None
        rng = make_random(self.seed, topic, plan.number, "score")
        return round(rng.uniform(0.86, 0.97) - 0.8 * plan.failing_share, 4)


def _find_plan(experiment_id: str) -> _ExperimentPlan:
    if experiment_id not in _PLANS:
        raise RecordNotFoundError("Experiment", experiment_id)
    return _PLANS[experiment_id]


def _get_run_status(plan: RunPlan) -> Status:
    if not plan.finished:
        return "running"
    return "error" if plan.failing_share else "completed"


def _make_run_failure(plan: RunPlan, errors: int, total: int) -> Failure | None:
    if _get_run_status(plan) != "error":
        return None
    message = f"{errors} of {total} documents failed"
    return Failure(message, "documents_failed", "", {"error_count": errors})
