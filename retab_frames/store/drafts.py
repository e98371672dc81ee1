"""What a content becomes when it is written: its tables, and the manifest of its next revision."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from retab_frames.load.content import RunContent
from retab_frames.store.manifest import FileEntry, Manifest, library

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ids_of", "manifest_of", "tables_of"]


def ids_of(content: RunContent) -> tuple[str, str]:
    """Return run and experiment of a content that can be written."""
    if not isinstance(content, RunContent):
        raise TypeError(f"write takes a RunContent, not {type(content).__name__}")
    if content.run_id is None or content.experiment_id is None:
        raise ValueError("there is no run in this content: an experiment never run has none")
    if content.failed:
        raise ValueError(f"run {content.run_id!r} could not be loaded; its `issues` say why")
    return content.run_id, content.experiment_id


def tables_of(content: RunContent) -> dict[str, pa.Table]:
    """Return the tables of a content, once the frames that hold them have been validated."""
    for frame in ("jobs", "handle_inputs", "handle_outputs", "run", "issues"):
        getattr(content, frame)
    return {
        **content.tables._asdict(),
        "raw": content.raw_rows,
        "runs": content.run_table,
    }


def manifest_of(
    content: RunContent, digest: str, files: dict[str, FileEntry], newest: Manifest | None
) -> Manifest:
    """Return the manifest of the revision after the newest one, if there is any."""
    jobs, run = content.tables.jobs, content.run_table
    created = run.column("created_at")[0].as_py() if run.num_rows else None
    return Manifest(
        workflow_id=jobs.column("workflow_id")[0].as_py() if jobs.num_rows else None,
        experiment_id=str(content.experiment_id),
        run_id=str(content.run_id),
        revision=1 if newest is None else newest.revision + 1,
        block_kind=jobs.column("block_kind")[0].as_py() if jobs.num_rows else None,
        complete=content.complete,
        jobs=jobs.num_rows,
        statuses=content.statuses,
        run_created_at=_iso(created),
        fetched_at=_iso(content.fetched_at),
        written_at=datetime.now(UTC).isoformat(),
        digest=digest,
        previous=None if newest is None else newest.seal,
        files=files,
        library=library(),
        source=content.source,
    )


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()
