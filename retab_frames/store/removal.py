"""Removing a run, or its old revisions, so that no byte of them is left below the root.

A run is removed by a last manifest that says so: from then on readers see the run as gone, and
whatever comes later, a crash included, only has files left to delete. The manifest itself goes
last, after everything else is known to be gone from the disk.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from retab_frames.errors import SnapshotConflictError
from retab_frames.store.compaction import drop_run
from retab_frames.store.labels import LABELS, label_files_of_run
from retab_frames.store.listing import delete_listing
from retab_frames.store.manifest import (
    FOLDER,
    Manifest,
    folder_name,
    library,
    manifest_name,
    seal,
)
from retab_frames.store.table_versions import TABLES
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retab_frames.store.files.storage import Storage

__all__ = ["finish_removal", "mark_removed", "own_files", "views_of_run"]

_OWN = re.compile(r"\.?([0-9]{6,9}\.json|[a-z][a-z_]*-[0-9a-f]{16}\.parquet)(\.[0-9a-f]{32}\.tmp)?")


def views_of_run(files: Storage, manifest: Manifest) -> Iterator[str]:
    """Yield the names of the views of a run, and of what an interrupted write left of them."""
    own = re.compile(rf"\.?{re.escape(manifest.folder)}\.parquet(\.[0-9a-f]{{32}}\.tmp)?")
    for table in TABLES:
        folder = f"{table}/{folder_name(manifest.experiment_id)}"
        yield from (f"{folder}/{name}" for name in files.names(folder) if own.fullmatch(name))


def own_files(files: Storage, folder: str) -> list[str]:
    """Return the names of the files of this library in the folder of a run; manifests last."""
    names = [name for name in files.names(f"{FOLDER}/{folder}") if _OWN.fullmatch(name)]
    names.sort(key=lambda name: (name.endswith(".json"), len(name), name))
    return [f"{FOLDER}/{folder}/{name}" for name in names]


def mark_removed(files: Storage, last: Manifest) -> Manifest:
    """Create the last manifest of a run, which says that the run is removed.

    Raises:
        SnapshotConflictError: If someone else made a revision first.
        SnapshotWriteError: If the file system refuses.
    """
    removed = msgspec.structs.replace(
        last,
        revision=last.revision + 1,
        written_at=datetime.now(UTC).isoformat(),
        previous=last.seal,
        library=library(),
        jobs=0,
        statuses={},
        files={},
        removed=True,
        source=None,
    )
    name = manifest_name(removed.run_id, removed.revision)
    created = files.create(name, seal(removed))
    files.flush_folder(f"{FOLDER}/{removed.folder}")
    if not created:
        raise SnapshotConflictError(
            f"someone else wrote revision {removed.revision} of run {printable(last.run_id)} "
            "meanwhile: it is not removed; remove it again"
        )
    return removed


def finish_removal(files: Storage, removed: Manifest) -> None:
    """Delete all files of a run whose last manifest says that it is removed.

    Raises:
        SnapshotWriteError: If the file system refuses; the next call goes on from there.
    """
    for name in [*views_of_run(files, removed), *label_files_of_run(files, removed)]:
        files.delete(name)
    for top in (*TABLES, LABELS):
        files.flush_folder(f"{top}/{folder_name(removed.experiment_id)}")
    drop_run(files, removed)
    delete_listing(files)
    folder, last = f"{FOLDER}/{removed.folder}", manifest_name(removed.run_id, removed.revision)
    for name in own_files(files, removed.folder):
        if name != last:
            files.delete(name)
    # what is gone must be gone from the disk before what says so
    files.flush_folder(folder)
    files.delete(last)
    files.flush_folder(folder)
    files.delete_folder(folder)
    files.flush_folder(FOLDER)
