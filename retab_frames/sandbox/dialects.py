"""Records in the wire form of each generation of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from retab_frames.sandbox.records import FileInput
from retab_frames.sandbox.tokens import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from retab_frames.sandbox.records import Block, Experiment, Failure, Handle, Job, Run, Timing

Wire: TypeAlias = dict[str, object]

GENERATIONS = ("A1", "A2", "A3", "B", "C1", "C2", "C3", "C4")


class Dialect:
    """How one generation writes the records.

    Args:
        generation: One of `GENERATIONS`.
    """

    def __init__(self, generation: str) -> None:
        """Choose the generation."""
        self.generation = generation
        self.family = generation[0]

    def since(self, generation: str) -> bool:
        """Return whether this generation is that one or a later one."""
        return GENERATIONS.index(self.generation) >= GENERATIONS.index(generation)

    def listing(
        self,
        rows: Sequence[Wire],
        *,
        name: str,
        before: str | None = None,
        after: str | None = None,
    ) -> object:
        """Return rows in this generation's envelope.

        Args:
            rows: What is listed.
            name: What it is called where the envelope says so: experiments or runs.
            before: The cursor to the page before, None at the beginning.
            after: The cursor to the page after, None at the end.
        """
        if self.since("A3"):
            return {"data": rows, "list_metadata": {"before": before, "after": after}}
        return rows if name == "experiments" else {name: rows}

    def content(self, experiment_id: str, run_id: str, jobs: Sequence[Job]) -> Wire:
        """Return the `/content` envelope of generation A."""
        rows = [self.job(job) for job in jobs]
        return {"experiment_id": experiment_id, "run_id": run_id, "content": {"jobs": rows}}

    def job(self, job: Job) -> Wire:
        """Return a job, called a result from B on."""
        row: Wire = {
            "id": job.id,
            "experiment_run_id" if self.since("C3") else "run_id": job.run_id,
            "experiment_id": job.experiment_id,
            "document_id": job.document_id,
        }
        if self.since("B"):
            row["lifecycle"] = self._lifecycle(job.status, job.failure, job.block)
            row["timing"] = _timing(job.timing)
        else:
            row["status"] = job.status
        row |= self._kind(job.block)
        row["handle_inputs"] = self._handles(job.inputs)
        if self.since("C3"):
            row["handle_outputs"] = self._handles(job.outputs)
        reference = job.artifact
        row["artifact"] = reference and {"operation": reference.operation, "id": reference.id}
        if not self.since("C1"):
            row |= {"error": job.failure and job.failure.message, **_timing(job.timing)}
        row["attempt"] = job.attempt
        if not self.since("C2"):
            row["is_placeholder"] = job.is_placeholder
        return row

    def run(self, run: Run) -> Wire:
        """Return a run."""
        return self._nested_run(run) if self.since("B") else self._flat_run(run)

    def experiment(self, experiment: Experiment) -> Wire:
        """Return an experiment."""
        row: Wire = {
            "id": experiment.id,
            "workflow_id": experiment.workflow.id,
            "block_id": experiment.block.id,
            "n_consensus": experiment.n_consensus,
            "document_count": experiment.document_count,
            "name": experiment.name,
            "last_run_id": experiment.last_run_id,
            "created_at": timestamp(experiment.created_at),
            "updated_at": timestamp(experiment.updated_at),
            "status": experiment.status,
            **self._kind(experiment.block),
            "score": experiment.score,
            "is_stale": False,
            "schema_drift": "none",
            "schema_drift_detail": None,
        }
        if not self.since("B"):
            row["job_id"] = _queue_job(experiment.last_run_id)
        if self.since("C3"):
            row |= _freshness(experiment)
        if self.since("C4"):
            row |= _run_plan(experiment)
        return row

    def _flat_run(self, run: Run) -> Wire:
        row: Wire = {
            "id": run.id,
            "parent_run_id": run.parent_run_id,
            "block_config": dict(run.block_config),
            "definition_fingerprint": run.definition_fingerprint,
            "documents_fingerprint": run.documents_fingerprint,
            "status": run.status,
            **self._kind(run.block),
            "score": run.score,
            "document_count": run.document_count,
            "error_count": run.error_count,
            "n_consensus": run.n_consensus,
            "created_at": timestamp(run.timing.created_at),
            "completed_at": timestamp(run.timing.completed_at),
            "duration_ms": run.timing.duration_ms,
            "job_id": _queue_job(run.id),
        }
        if self.since("A2"):
            row["total_document_count"] = run.document_count
            row["completed_document_count"] = run.completed_count
        return row

    def _nested_run(self, run: Run) -> Wire:
        engine = "block_execution_fingerprint" if self.since("C4") else "definition_fingerprint"
        row: Wire = {
            "id": run.id,
            **self._workflow(run),
            "trigger": {"type": "manual_run"},
            "experiment_id": run.experiment_id,
            "block_id": run.block.id,
            **self._kind(run.block),
            "n_consensus": run.n_consensus,
            "lifecycle": self._lifecycle(run.status, run.failure, run.block),
            "timing": _timing(run.timing),
            engine: run.definition_fingerprint,
            "documents_fingerprint": run.documents_fingerprint,
            "score": run.score,
            "total_document_count": run.document_count,
            "completed_document_count": run.completed_count,
            "document_count": run.document_count,
            "error_count": run.error_count,
        }
        if self.since("C1"):
            row["parent_run_id"] = run.parent_run_id
        if self.since("C3"):
            row["block_version_id"] = run.block_version_id
            row["metrics_validity_fingerprint"] = fingerprint("metrics", run.block_version_id)
            row["metrics_validity_fingerprint_version"] = 1
        return row

    def _workflow(self, run: Run) -> Wire:
        if self.since("C2"):
            version = run.workflow_version_id
            return {"workflow_id": run.workflow.id, "workflow_version_id": version}
        snapshot = {
            "workflow_id": run.workflow.id,
            "version_id": run.workflow_version_id,
            "name_at_run_time": run.workflow.name,
            "requested_version": "production",
        }
        return {"workflow": snapshot}

    def _kind(self, block: Block) -> Wire:
        return {"block_type" if self.since("C1") else "block_kind": block.kind}

    def _lifecycle(self, status: str, failure: Failure | None, block: Block) -> Wire:
        if not self.since("C1"):
            return {"status": status, "message": failure and failure.message}
        if failure is None:
            return {"status": status}
        details = {
            "message": failure.message,
            "stack_trace": failure.stack_trace,
            "block_id": block.id,
            "block_name": block.name,
            "error_code": failure.code,
            "context": dict(failure.context),
        }
        return {"status": status, "message": failure.message, "details": details}

    def _handles(self, handles: Mapping[str, Handle]) -> Wire:
        return {name: self._handle(handle) for name, handle in handles.items()}

    def _handle(self, handle: Handle) -> Wire:
        if not isinstance(handle, FileInput):
            return {"type": "json", "data": handle.data}
        if not self.since("A2"):
            return {"type": "file", "filename": handle.filename}
        return {"type": "file", "document": self._file(handle)}

    def _file(self, file: FileInput) -> Wire:
        if self.since("C3"):
            return {"id": file.id, "filename": file.filename, "mime_type": file.mime_type}
        if not self.since("C1"):
            return {"id": file.id, "filename": file.filename}
        return {
            "original_id": file.id,
            "filename": file.filename,
            "mime_type": file.mime_type,
            "gcs_uri": f"gs://retab-sandbox/files/{file.id}",
            "size_bytes": file.size_bytes,
            "content_fingerprint": file.fingerprint,
        }


def timestamp(moment: datetime | None) -> str | None:
    """Return RFC 3339 with no more of the second's fraction than there is."""
    if moment is None:
        return None
    whole, micro = moment.strftime("%Y-%m-%dT%H:%M:%S"), moment.microsecond
    if micro == 0:
        return f"{whole}Z"
    return f"{whole}.{micro // 1_000:03}Z" if micro % 1_000 == 0 else f"{whole}.{micro:06}Z"


def _timing(timing: Timing) -> Wire:
    return {
        "created_at": timestamp(timing.created_at),
        "started_at": timestamp(timing.started_at),
        "completed_at": timestamp(timing.completed_at),
        "duration_ms": timing.duration_ms,
    }


def _queue_job(run_id: str | None) -> str | None:
    return run_id and f"job_{fingerprint(run_id)[:16]}"


def _freshness(experiment: Experiment) -> Wire:
    ran = experiment.last_run_id is not None
    freshness: Wire = {
        "status": "fresh" if ran else "unknown",
        "reasons": [] if ran else ["no_baseline"],
        "validity_fingerprint": fingerprint("validity", experiment.id),
        "input_fingerprint": experiment.documents_fingerprint,
        "baseline_run_id": experiment.last_run_id,
    }
    drift: Wire = {"status": "none", "affected_targets": [], "detail": None}
    return {"freshness": freshness, "drift": drift}


def _run_plan(experiment: Experiment) -> Wire:
    ran = experiment.last_run_id is not None
    return {
        "freshness_state": "fresh" if ran else "unknown",
        "freshness_reasons": [] if ran else ["no_baseline"],
        "run_plan_mode": "conflict" if experiment.status == "processing" else "run",
        "rerunnable_document_count": 0 if ran else experiment.document_count,
    }
