"""Records as JSON objects, as each generation of the API writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from retab_frames.sandbox.identifiers import make_fingerprint
from retab_frames.sandbox.records import FileInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from retab_frames.sandbox.records import Block, Experiment, Failure, Handle, Job, Run, Timing

JsonObject: TypeAlias = dict[str, object]

GENERATIONS = ("A1", "A2", "A3", "B", "C1", "C2", "C3", "C4")
"""The generations of the API, oldest first."""


class Serializer:
    """Writes records as one generation of the API does.

    Args:
        generation: One of `GENERATIONS`.

    Attributes:
        family: The letter of the generation, which decides the routes.
    """

    def __init__(self, generation: str) -> None:
        self.generation = generation
        self.family = generation[0]

    def is_since(self, generation: str) -> bool:
        """Return whether this generation is that one or a later one."""
        return GENERATIONS.index(self.generation) >= GENERATIONS.index(generation)

    def dump_listing(
        self,
        rows: Sequence[JsonObject],
        *,
        name: str,
        before: str | None = None,
        after: str | None = None,
    ) -> object:
        """Return the rows of a listing in the envelope of this generation.

        Args:
            rows: The serialized rows.
            name: The key of the rows before A3: experiments or runs.
            before: The cursor of the page before, None at the beginning.
            after: The cursor of the page after, None at the end.
        """
        if self.is_since("A3"):
            return {"data": rows, "list_metadata": {"before": before, "after": after}}
        return rows if name == "experiments" else {name: rows}

    def dump_content(self, experiment_id: str, run_id: str, jobs: Sequence[Job]) -> JsonObject:
        """Return the jobs of a run in the `/content` envelope of generation A."""
        rows = [self.dump_job(job) for job in jobs]
        return {"experiment_id": experiment_id, "run_id": run_id, "content": {"jobs": rows}}

    def dump_job(self, job: Job) -> JsonObject:
        """Return a job; from B on the API calls it a result."""
        row: JsonObject = {
            "id": job.id,
            "experiment_run_id" if self.is_since("C3") else "run_id": job.run_id,
            "experiment_id": job.experiment_id,
            "document_id": job.document_id,
        }
        if self.is_since("B"):
            row["lifecycle"] = self._dump_lifecycle(job.status, job.failure, job.block)
            row["timing"] = _dump_timing(job.timing)
        else:
            row["status"] = job.status
        row |= self._dump_kind(job.block)
        row["handle_inputs"] = self._dump_handles(job.inputs)
        if self.is_since("C3"):
            row["handle_outputs"] = self._dump_handles(job.outputs)
        reference = job.artifact
        row["artifact"] = reference and {"operation": reference.operation, "id": reference.id}
        if not self.is_since("C1"):
            row |= {"error": job.failure and job.failure.message, **_dump_timing(job.timing)}
        row["attempt"] = job.attempt
        if not self.is_since("C2"):
            row["is_placeholder"] = job.is_placeholder
        return row

    def dump_run(self, run: Run) -> JsonObject:
        """Return a run."""
        if self.is_since("B"):
            return self._dump_run_since_b(run)
        return self._dump_run_before_b(run)

    def dump_experiment(self, experiment: Experiment) -> JsonObject:
        """Return an experiment."""
        row: JsonObject = {
            "id": experiment.id,
            "workflow_id": experiment.workflow.id,
            "block_id": experiment.block.id,
            "n_consensus": experiment.n_consensus,
            "document_count": experiment.document_count,
            "name": experiment.name,
            "last_run_id": experiment.last_run_id,
            "created_at": format_timestamp(experiment.created_at),
            "updated_at": format_timestamp(experiment.updated_at),
            "status": experiment.status,
            **self._dump_kind(experiment.block),
            "score": experiment.score,
            "is_stale": False,
            "schema_drift": "none",
            "schema_drift_detail": None,
        }
        if not self.is_since("B"):
            row["job_id"] = _make_queue_id(experiment.last_run_id)
        if self.is_since("C3"):
            row |= _dump_freshness(experiment)
        if self.is_since("C4"):
            row |= _dump_run_plan(experiment)
        return row

    def _dump_run_before_b(self, run: Run) -> JsonObject:
        row: JsonObject = {
            "id": run.id,
            "parent_run_id": run.parent_run_id,
            "block_config": dict(run.block_config),
            "definition_fingerprint": run.definition_fingerprint,
            "documents_fingerprint": run.documents_fingerprint,
            "status": run.status,
            **self._dump_kind(run.block),
            "score": run.score,
            "document_count": run.document_count,
            "error_count": run.error_count,
            "n_consensus": run.n_consensus,
            "created_at": format_timestamp(run.timing.created_at),
            "completed_at": format_timestamp(run.timing.completed_at),
            "duration_ms": run.timing.duration_ms,
            "job_id": _make_queue_id(run.id),
        }
        if self.is_since("A2"):
            row["total_document_count"] = run.document_count
            row["completed_document_count"] = run.completed_count
        return row

    def _dump_run_since_b(self, run: Run) -> JsonObject:
        definition = (
            "block_execution_fingerprint" if self.is_since("C4") else "definition_fingerprint"
        )
        row: JsonObject = {
            "id": run.id,
            **self._dump_workflow(run),
            "trigger": {"type": "manual_run"},
            "experiment_id": run.experiment_id,
            "block_id": run.block.id,
            **self._dump_kind(run.block),
            "n_consensus": run.n_consensus,
            "lifecycle": self._dump_lifecycle(run.status, run.failure, run.block),
            "timing": _dump_timing(run.timing),
            definition: run.definition_fingerprint,
            "documents_fingerprint": run.documents_fingerprint,
            "score": run.score,
            "total_document_count": run.document_count,
            "completed_document_count": run.completed_count,
            "document_count": run.document_count,
            "error_count": run.error_count,
        }
        if self.is_since("C1"):
            row["parent_run_id"] = run.parent_run_id
        if self.is_since("C3"):
            row["block_version_id"] = run.block_version_id
            row["metrics_validity_fingerprint"] = make_fingerprint("metrics", run.block_version_id)
            row["metrics_validity_fingerprint_version"] = 1
        return row

    def _dump_workflow(self, run: Run) -> JsonObject:
        if self.is_since("C2"):
            version = run.workflow_version_id
            return {"workflow_id": run.workflow.id, "workflow_version_id": version}
        snapshot = {
            "workflow_id": run.workflow.id,
            "version_id": run.workflow_version_id,
            "name_at_run_time": run.workflow.name,
            "requested_version": "production",
        }
        return {"workflow": snapshot}

    def _dump_kind(self, block: Block) -> JsonObject:
        return {"block_type" if self.is_since("C1") else "block_kind": block.kind}

    def _dump_lifecycle(self, status: str, failure: Failure | None, block: Block) -> JsonObject:
        if not self.is_since("C1"):
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

    def _dump_handles(self, handles: Mapping[str, Handle]) -> JsonObject:
        return {name: self._dump_handle(handle) for name, handle in handles.items()}

    def _dump_handle(self, handle: Handle) -> JsonObject:
        if not isinstance(handle, FileInput):
            return {"type": "json", "data": handle.data}
        if not self.is_since("A2"):
            return {"type": "file", "filename": handle.filename}
        return {"type": "file", "document": self._dump_file(handle)}

    def _dump_file(self, file: FileInput) -> JsonObject:
        if self.is_since("C3"):
            return {"id": file.id, "filename": file.filename, "mime_type": file.mime_type}
        if not self.is_since("C1"):
            return {"id": file.id, "filename": file.filename}
        return {
            "original_id": file.id,
            "filename": file.filename,
            "mime_type": file.mime_type,
            "gcs_uri": f"gs://retab-sandbox/files/{file.id}",
            "size_bytes": file.size_bytes,
            "content_fingerprint": file.fingerprint,
        }


def format_timestamp(time: datetime | None) -> str | None:
    """Return a time in RFC 3339, with 0, 3 or 6 decimals of the second, as few as it needs."""
    if time is None:
        return None
    whole, micro = time.strftime("%Y-%m-%dT%H:%M:%S"), time.microsecond
    if micro == 0:
        return f"{whole}Z"
    return f"{whole}.{micro // 1_000:03}Z" if micro % 1_000 == 0 else f"{whole}.{micro:06}Z"


def _dump_timing(timing: Timing) -> JsonObject:
    return {
        "created_at": format_timestamp(timing.created_at),
        "started_at": format_timestamp(timing.started_at),
        "completed_at": format_timestamp(timing.completed_at),
        "duration_ms": timing.duration_ms,
    }


def _make_queue_id(run_id: str | None) -> str | None:
    return run_id and f"job_{make_fingerprint(run_id)[:16]}"


def _dump_freshness(experiment: Experiment) -> JsonObject:
    ran = experiment.last_run_id is not None
    freshness: JsonObject = {
        "status": "fresh" if ran else "unknown",
        "reasons": [] if ran else ["no_baseline"],
        "validity_fingerprint": make_fingerprint("validity", experiment.id),
        "input_fingerprint": experiment.documents_fingerprint,
        "baseline_run_id": experiment.last_run_id,
    }
    drift: JsonObject = {"status": "none", "affected_targets": [], "detail": None}
    return {"freshness": freshness, "drift": drift}


def _dump_run_plan(experiment: Experiment) -> JsonObject:
    ran = experiment.last_run_id is not None
    return {
        "freshness_state": "fresh" if ran else "unknown",
        "freshness_reasons": [] if ran else ["no_baseline"],
        "run_plan_mode": "conflict" if experiment.status == "processing" else "run",
        "rerunnable_document_count": 0 if ran else experiment.document_count,
    }
