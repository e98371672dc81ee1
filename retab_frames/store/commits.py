"""Committing a revision of a run: its manifest is created last, and makes it count.

    1. The data files of the revision are written, where plain readers do not look.
    2. Its manifest is created under the next revision number. Creating a file fails if the name is
       taken, so of two writers of the same revision one commits and the other learns of it.
    3. The data files are moved to where plain readers look, and those of the revision before it
       are moved away.

A crash before step 2 changes nothing for a reader. A crash after it leaves a revision that counts;
whoever writes the run next does step 3 again before anything else.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from retab_frames.errors import SnapshotCorruptError, SnapshotWriteError
from retab_frames.load.content import RunContent
from retab_frames.store.catalog import manifest_name
from retab_frames.store.compaction import remove_run
from retab_frames.store.manifest import FileEntry, Manifest, folder_name, library, seal
from retab_frames.store.packs import Packs
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from retab_frames.store.catalog import Catalog
    from retab_frames.store.files.storage import Storage
    from retab_frames.store.revisions import RevisionFiles

__all__ = ["Commits", "build_manifest", "build_tables", "check_ids"]


def check_ids(content: RunContent) -> tuple[str, str]:
    """Return the run and the experiment of a content that can be written.

    Raises:
        TypeError: If it is not a RunContent.
        ValueError: If it has no run, or its run could not be loaded.
    """
    if not isinstance(content, RunContent):
        raise TypeError(f"write takes a RunContent, not {type(content).__name__}")
    if content.run_id is None or content.experiment_id is None:
        raise ValueError("there is no run in this content: an experiment never run has none")
    if content.failed:
        raise ValueError(f"run {content.run_id!r} could not be loaded; its `issues` say why")
    return content.run_id, content.experiment_id


def build_tables(content: RunContent) -> dict[str, pa.Table]:
    """Return the tables of a content by name, after its frames have been validated."""
    for frame in ("jobs", "handle_inputs", "handle_outputs", "run", "issues"):
        getattr(content, frame)
    return {
        **content.tables._asdict(),
        "raw": content.raw_rows,
        "runs": content.run_table,
    }


def build_manifest(
    content: RunContent, digest: str, files: dict[str, FileEntry], newest: Manifest | None
) -> Manifest:
    """Return the manifest of the revision after the newest one, or of the first revision."""
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
        run_created_at=_to_text(created),
        fetched_at=_to_text(content.fetched_at),
        written_at=datetime.now(UTC).isoformat(),
        digest=digest,
        previous=None if newest is None else newest.seal,
        files=files,
        library=library(),
        source=content.source,
    )


def _to_text(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat()


class Commits:
    """Commits revisions whose data files are written already.

    Args:
        files: The files of the store.
        catalog: Its manifests.
        tables: The files of its revisions.
    """

    def __init__(self, files: Storage, catalog: Catalog, tables: RevisionFiles) -> None:
        self._files = files
        self._catalog = catalog
        self._tables = tables
        self._packs = Packs(files)

    def commit(self, manifest: Manifest) -> Manifest | None:
        """Commit a revision; return None, or the manifest that another writer created first.

        Raises:
            SnapshotWriteError: If the file system refuses; the message says whether the revision
                is committed.
            SnapshotCorruptError: If the manifest reads back differently than it was written, or a
                data file is gone.
        """
        name, text = manifest_name(manifest.run_id, manifest.revision), seal(manifest)
        run = f"run {printable(manifest.run_id)}"
        try:
            created = self._files.create(name, text)
        except SnapshotWriteError as error:
            raise SnapshotWriteError(
                f"{error}; revision {manifest.revision} of {run} may be committed or not: write "
                "the run again, which finds it or makes it"
            ) from error
        back = self._files.read(name)
        if not created:
            other = Manifest.parse(back, name)
            self.publish(self._catalog.newest(other.run_id) or other)
            return other
        if back != text:
            raise SnapshotCorruptError(
                f"{name} reads back differently than it was written: the disk is unreliable; "
                "delete the file, and write the run elsewhere",
                file=name,
            )
        try:
            # another writer may have committed the next revision meanwhile
            self.publish(self._catalog.newest(manifest.run_id) or manifest)
        except SnapshotWriteError as error:
            raise SnapshotWriteError(
                f"revision {manifest.revision} of {run} is committed, but not all its files could "
                f"be moved to where plain readers look: {error}; write the run again"
            ) from error
        lost = self._tables.find_missing(manifest)
        if lost is not None:
            raise SnapshotCorruptError(
                f"{lost} of {run} disappeared right after it was written: someone removes files of "
                "this store; write the run again",
                file=lost,
            )
        return None

    def publish(self, newest: Manifest, older: Iterable[Manifest] = ()) -> None:
        """Move the files of a run's newest revision to where plain readers look, others away.

        Every writer does this before it writes a revision, so only the files of the revision before
        the newest can still be there. If another writer commits a newer revision meanwhile, this
        may move files that are then needed, so it is repeated until nothing had to be moved.

        Args:
            newest: The newest revision.
            older: More revisions of the run whose files to move away.

        Raises:
            SnapshotWriteError: If the file system refuses.
        """
        superseded = list(older)
        while self._tables.publish(
            newest,
            [*self._catalog.before(newest), *superseded],
            packed=self._is_packed(newest),
        ):
            superseded.append(newest)
            newest = self._catalog.newest(newest.run_id) or newest

    def _is_packed(self, newest: Manifest) -> bool:
        """Return whether a pack holds a revision; if it holds another one, remove that from it."""
        while (pack := self._packs.newest(newest.experiment_id)) is not None:
            if pack.holds(newest):
                return True
            if folder_name(newest.run_id) not in pack.runs:
                return False
            # repeated if another writer replaced the pack first
            remove_run(self._files, newest.experiment_id, newest.run_id)
        return False
