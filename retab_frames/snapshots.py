"""The store: one Parquet file per table and run, and a manifest that says what is true.

    <root>/retab-frames.json                            format and version
    <root>/manifests/<run>/000001.json                  the commit point of revision 1 of a run
    <root>/<table>/<experiment>/<run>-<hash>.parquet    named by content, never changed
    <root>/archive/<table>/...                          files of superseded revisions

Data files are written first and the manifest last, so a revision is there whole or not at all.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from retab_frames.catalog import Catalog, manifest_name
from retab_frames.content import RunContent
from retab_frames.errors import (
    RetabFramesWarning,
    SnapshotConflictError,
    SnapshotCorruptError,
    SnapshotNotFoundError,
    shown,
)
from retab_frames.flatten import Tables
from retab_frames.loaders import iter_content, load_runs
from retab_frames.manifest import FileEntry, Manifest, content_digest
from retab_frames.revisions import RevisionFiles
from retab_frames.schemas import (
    HandlesSchema,
    IssuesSchema,
    JobsSchema,
    RawSchema,
    RunsSchema,
    SnapshotsSchema,
    to_frame,
)
from retab_frames.storage import LocalStorage

if TYPE_CHECKING:
    import os

    import pandas as pd

    from retab_frames.client import Client
    from retab_frames.loaders import RunIds
    from retab_frames.schemas import Model

__all__ = ["Snapshot", "SnapshotStore"]

Action = Literal["created", "revised", "repaired", "unchanged"]

TABLES: dict[str, Model] = {
    "jobs": JobsSchema,
    "handle_inputs": HandlesSchema,
    "handle_outputs": HandlesSchema,
    "issues": IssuesSchema,
    "raw": RawSchema,
    "runs": RunsSchema,
}
DIGEST_KEYS = {
    "jobs": ("job_id",),
    "handle_inputs": ("job_id", "position"),
    "handle_outputs": ("job_id", "position"),
    "raw": ("job_id",),
    "runs": ("run_id",),
}
"""What the digest covers, and in which order; issues follow from the rest."""


@dataclass(frozen=True)
class Snapshot:
    """What a write did.

    Attributes:
        run_id: The run.
        experiment_id: Its experiment.
        revision: The revision that now is the newest, from 1.
        action: "created" the first one, "revised" one that differs, "repaired" one of which a file
            was missing or damaged, or found it "unchanged".
        complete: Whether every job had ended and nothing was missing.
        jobs: How many jobs it has.
    """

    run_id: str
    experiment_id: str
    revision: int
    action: Action
    complete: bool
    jobs: int


class SnapshotStore:
    """A folder of snapshots: plain Parquet that any tool reads, and manifests that prove it whole.

    Args:
        root: The folder; it is made when the first snapshot is written.

    Example:
        >>> import retab_frames as rf
        >>> store = rf.SnapshotStore("snapshots")
        >>> store
        SnapshotStore('snapshots')
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._files = LocalStorage(root)
        self._catalog = Catalog(self._files)
        self._tables = RevisionFiles(self._files)

    def __repr__(self) -> str:
        return f"SnapshotStore({self.root!r})"

    @property
    def root(self) -> str:
        """Where the store is."""
        return str(self._files)

    def exists(self) -> bool:
        """Return whether anything was ever written there."""
        return self._catalog.exists()

    def pull(
        self,
        workflow_id: str,
        experiment_id: str,
        *,
        run_id: RunIds = None,
        client: Client | None = None,
        progress: bool | None = None,
    ) -> list[Snapshot]:
        """Load runs and write a snapshot of each.

        Args:
            workflow_id: The workflow of the experiment.
            experiment_id: The experiment; one never run writes nothing, with a warning.
            run_id: One id, any sequence of ids, "all", or None for the latest run.
            client: None makes one from the environment.
            progress: As in `load_jobs`.

        Returns:
            One Snapshot per run, in the order asked for; "all" gives the newest first.

        Raises:
            RequestError, MalformedResponseError: If a run cannot be loaded; the ones before it
                are written.
            SnapshotError: If one cannot be written.
        """
        never_run = False
        if isinstance(run_id, str) and run_id == "all":
            run_id = load_runs(workflow_id, experiment_id, client=client)["run_id"].tolist()
            never_run = not run_id
        written = []
        for content in iter_content(
            workflow_id, experiment_id, run_id=run_id, client=client, progress=progress
        ):
            if content.run_id is None:
                never_run = True
            else:
                written.append(self.write(content))
        if never_run:
            text = f"experiment {experiment_id} was never run: no snapshot was written"
            warnings.warn(text, RetabFramesWarning, stacklevel=2)
        return written

    def write(self, content: RunContent) -> Snapshot:
        """Write the content of a run as its next revision, unless the newest one says the same.

        Raises:
            ValueError: If the experiment was never run, or the run could not be loaded, so that
                there is nothing to write.
            SnapshotConflictError: If someone else wrote a different revision at the same time, or
                the store has that run of another experiment.
            SnapshotWriteError: If the file system refuses; what was there is untouched.
        """
        if not isinstance(content, RunContent):
            raise TypeError(f"write takes a RunContent, not {type(content).__name__}")
        if content.run_id is None or content.experiment_id is None:
            raise ValueError("there is no run in this content: an experiment never run has none")
        if content.failed:
            raise ValueError(f"run {content.run_id!r} could not be loaded; its `issues` say why")
        tables = _tables(content)
        digest = content_digest(tables, DIGEST_KEYS, complete=content.complete)
        newest = self._catalog.newest(content.run_id)
        if newest is not None and newest.experiment_id != content.experiment_id:
            raise SnapshotConflictError(
                f"run {shown(content.run_id)} of experiment {shown(content.experiment_id)} is in "
                f"this store already, as a run of {shown(newest.experiment_id)}: use another store"
            )
        equal = newest is not None and newest.digest == digest
        if newest is not None and equal and self._tables.are_whole(newest):
            if newest.revision > 1:
                # a crash may have come between its manifest and the archiving
                self._tables.settle(newest)
            return _snapshot(newest, "unchanged")
        self._catalog.mark()
        files = self._tables.write(tables, content.experiment_id, content.run_id)
        manifest = _manifest(content, digest, files, newest)
        text = manifest.sealed()
        name = manifest_name(content.run_id, manifest.revision)
        if not self._files.create(name, text):
            return self._lost_race(content.run_id, name, digest)
        if self._files.read(name) != text:
            raise SnapshotCorruptError(f"{name} reads back differently", file=name)
        self._tables.settle(self._catalog.newest(content.run_id) or manifest)
        return _snapshot(manifest, "repaired" if equal else "revised" if newest else "created")

    def read(self, run_id: str, *, revision: int | None = None) -> RunContent:
        """Return the content of a run, every file checked against its hash.

        Args:
            run_id: The run.
            revision: None for the newest.

        Raises:
            SnapshotNotFoundError: If the store has no such run or revision.
            SnapshotCorruptError: If a file is missing, cut or altered.
        """
        manifest = (
            self._catalog.newest(run_id)
            if revision is None
            else self._catalog.revision(run_id, revision)
        )
        if manifest is None:
            raise SnapshotNotFoundError(
                f"there is no snapshot of run {shown(run_id)}"
                + (f", revision {revision}," if revision is not None else "")
                + f" in {shown(self.root)}; list() shows what there is"
            )
        tables = {
            name: self._tables.read(name, manifest)
            for name in ("jobs", "handle_inputs", "handle_outputs", "issues", "runs")
        }
        fetched_at = manifest.fetched_at
        return RunContent(
            experiment_id=manifest.experiment_id,
            run_id=manifest.run_id,
            complete=manifest.complete,
            fetched_at=None if fetched_at is None else datetime.fromisoformat(fetched_at),
            tables=Tables(*(tables[name] for name in Tables._fields)),
            run_table=tables["runs"],
            raw_source=lambda: self._tables.read("raw", manifest),
        )

    def list(self) -> pd.DataFrame:
        """Return one row per run, its newest revision; fits SnapshotsSchema.

        Rows are ordered by experiment, then by when the run was made. A run whose manifest is
        damaged is left out, with a warning.
        """
        return to_frame(self._catalog.table(), SnapshotsSchema)

    def _lost_race(self, run_id: str, name: str, digest: str) -> Snapshot:
        other = Manifest.opened(self._files.read(name), name)
        self._tables.settle(self._catalog.newest(run_id) or other)
        if other.digest == digest:
            return _snapshot(other, "unchanged")
        raise SnapshotConflictError(
            f"someone else wrote revision {other.revision} of run {shown(run_id)} first, with "
            f"different content ({other.digest[:12]}, ours {digest[:12]}); read it, or write again "
            "to make a revision after it"
        )


def _tables(content: RunContent) -> dict[str, pa.Table]:
    """Return the tables of a content, once the frames that hold them have been validated."""
    for frame in ("jobs", "handle_inputs", "handle_outputs", "run", "issues"):
        getattr(content, frame)
    return {
        **content.tables._asdict(),
        "raw": content.raw_rows,
        "runs": content.run_table,
    }


def _manifest(
    content: RunContent, digest: str, files: dict[str, FileEntry], newest: Manifest | None
) -> Manifest:
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
        library=f"retab-frames {version('retab-frames')}, pyarrow {pa.__version__}",
    )


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _snapshot(manifest: Manifest, action: Action) -> Snapshot:
    return Snapshot(
        manifest.run_id,
        manifest.experiment_id,
        manifest.revision,
        action,
        manifest.complete,
        manifest.jobs,
    )
