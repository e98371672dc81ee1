"""Making a revision: the manifest that nobody else wrote, then its files in the place of the old.

Every step before the manifest leaves what there was; every step after it can be done again by
whoever writes the run next, and is done by all who do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from retab_frames.errors import SnapshotCorruptError, SnapshotWriteError
from retab_frames.store.catalog import manifest_name
from retab_frames.store.compaction import without_run
from retab_frames.store.manifest import Manifest, folder_name
from retab_frames.store.packs import Packs
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from retab_frames.store.catalog import Catalog
    from retab_frames.store.files.storage import Storage
    from retab_frames.store.revisions import RevisionFiles

__all__ = ["Commits"]


class Commits:
    """Makes the revisions of a store, whose data files are written already.

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

    def make(self, manifest: Manifest) -> Manifest | None:
        """Make a revision; return None, or the one that someone else made first.

        Raises:
            SnapshotWriteError: If the file system refuses; the message says whether the revision
                is there.
            SnapshotCorruptError: If what was written is not what is read.
        """
        name, text = manifest_name(manifest.run_id, manifest.revision), manifest.sealed()
        created = self._create(name, text, manifest)
        back = self._files.read(name)
        if not created:
            other = Manifest.opened(back, name)
            self.settle(self._catalog.newest(other.run_id) or other)
            return other
        if back != text:
            raise SnapshotCorruptError(
                f"{name} reads back differently: the disk is not to be trusted; delete the file, "
                "and write the run elsewhere",
                file=name,
            )
        self._show(manifest)
        return None

    def settle(self, newest: Manifest, older: Iterable[Manifest] = ()) -> None:
        """Put the newest revision of a run in sight, and the one before it out of it.

        What is in sight when a revision is made is the one before it, because every writer does
        this first. It is done once more if another writer made a newer one meanwhile, whose files
        this may have moved.

        Args:
            newest: The newest revision.
            older: More revisions of the run to put out of sight.

        Raises:
            SnapshotWriteError: If the file system refuses.
        """
        settled = list(older)
        while self._tables.settle(
            newest,
            [*self._catalog.before(newest), *settled],
            packed=self._is_packed(newest),
        ):
            settled.append(newest)
            newest = self._catalog.newest(newest.run_id) or newest

    def _is_packed(self, newest: Manifest) -> bool:
        """Return whether a pack holds a revision; take the run out of one that holds another."""
        while (pack := self._packs.newest(newest.experiment_id)) is not None:
            if pack.holds(newest):
                return True
            if folder_name(newest.run_id) not in pack.runs:
                return False
            # once more, and again, while others change the pack before us
            without_run(self._files, newest.experiment_id, newest.run_id)
        return False

    def _create(self, name: str, text: bytes, manifest: Manifest) -> bool:
        try:
            return self._files.create(name, text)
        except SnapshotWriteError as error:
            raise SnapshotWriteError(
                f"{error}; revision {manifest.revision} of run {printable(manifest.run_id)} may be "
                "there all the same, whole: write the run again, which finds it or makes it"
            ) from error

    def _show(self, manifest: Manifest) -> None:
        try:
            self.settle(self._catalog.newest(manifest.run_id) or manifest)
        except SnapshotWriteError as error:
            raise SnapshotWriteError(
                f"revision {manifest.revision} of run {printable(manifest.run_id)} is written, "
                f"but not all its files came where plain readers look: {error}; write the run again"
            ) from error
        lost = self._tables.gone(manifest)
        if lost is not None:
            raise SnapshotCorruptError(
                f"{lost} of run {printable(manifest.run_id)} is gone, right after it was written: "
                "someone removes files of this store; write the run again",
                file=lost,
            )
