"""The data files of a revision: named by a hash of their content, which every read compares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retab_frames.errors import SnapshotCorruptError, SnapshotWriteError
from retab_frames.schemas.models import empty_table
from retab_frames.store.manifest import FileEntry, folder_name, sha256
from retab_frames.store.parquet import decode, encode
from retab_frames.store.table_versions import TABLES, VERSIONS, upgrade
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from retab_frames.store.files.storage import Storage
    from retab_frames.store.manifest import Manifest

__all__ = ["ARCHIVE", "RevisionFiles", "has_content"]

ARCHIVE = "archive/"
_HASH_CHARACTERS = 16
_TRIES = 3


class RevisionFiles:
    """Writes and reads the tables of revisions.

    What the newest revision of a run names stands in `<table>/<experiment>/`, where plain readers
    look; all other files of that run stand in `archive/`, so that plain readers see each run once.
    New files are written to `archive/` too, and moved once their manifest is there.

    Args:
        files: The files of the store.
    """

    def __init__(self, files: Storage) -> None:
        self._files = files

    def write(
        self, tables: Mapping[str, pa.Table], experiment_id: str, run_id: str
    ) -> dict[str, FileEntry]:
        """Write the tables to `archive/`, and return their entries for a manifest.

        Raises:
            SnapshotWriteError: If the file system refuses.
        """
        stem = f"{folder_name(experiment_id)}/{folder_name(run_id)}"
        return {table: self._write(table, stem, data) for table, data in tables.items()}

    def read(self, table: str, manifest: Manifest) -> pa.Table:
        """Return a table of a revision in the current schema, after comparing its file's hash.

        A table that the library did not have when it wrote the revision has no rows.

        Raises:
            SnapshotCorruptError: If the file is missing, cut or altered.
            SnapshotError: If a newer version of this library wrote it.
        """
        if table not in manifest.files:
            return empty_table(TABLES[table])
        entry = manifest.files[table]
        file = f"{table}/{entry.name}"
        return upgrade(self.read_stored(table, manifest), table, entry.schema_version, file)

    def read_stored(self, table: str, manifest: Manifest) -> pa.Table:
        """Return a table with the columns that its file has; raises SnapshotCorruptError."""
        entry = manifest.files[table]
        file = f"{table}/{entry.name}"
        data = self.find(file)
        if data is None or sha256(data) != entry.sha256:
            what = "missing" if data is None else "damaged"
            raise SnapshotCorruptError(
                f"{file} of run {printable(manifest.run_id)} is {what}; pull the run again, or "
                "restore the file",
                file=file,
            )
        return decode(data, file)

    def find(self, file: str) -> bytes | None:
        """Return the bytes of a file, archived or not; None if it is missing.

        Raises:
            SnapshotError: If it cannot be read.
        """
        # again in the first place at the end: it may have been moved there between the two looks
        for name in (file, f"{ARCHIVE}{file}", file):
            try:
                return self._files.read(name)
            except FileNotFoundError:
                continue
        return None

    def size(self, name: str) -> int | None:
        """Return the size of a file, None if it is not there."""
        try:
            return self._files.size(name)
        except FileNotFoundError:
            return None

    def are_whole(self, manifest: Manifest) -> bool:
        """Return whether every file of a revision is there with the hash that its manifest has."""
        return all(
            any(has_content(self._files, place + name, entry.sha256) for place in ("", ARCHIVE))
            for name, entry in zip(manifest.names, manifest.files.values(), strict=True)
        )

    def find_missing(self, manifest: Manifest) -> str | None:
        """Return the name of a file of a revision that is missing; None if none is."""
        return next(
            (
                name
                for name in manifest.names
                if all(self.size(place + name) is None for place in ("", ARCHIVE, ""))
            ),
            None,
        )

    def publish(
        self, newest: Manifest, superseded: Iterable[Manifest], *, packed: bool = False
    ) -> bool:
        """Move the files of the newest revision to where plain readers look, others to `archive/`.

        Args:
            newest: The newest revision of a run.
            superseded: Revisions of it whose files may still be there.
            packed: Whether plain readers see the newest one in a pack, so not here as well.

        Returns:
            Whether anything had to be moved.

        Raises:
            SnapshotWriteError: If the file system refuses.
        """
        current = [] if packed else newest.names
        named = {name for manifest in (newest, *superseded) for name in manifest.names}
        moves = [(name, ARCHIVE + name) for name in named.difference(current)]
        moves += [(ARCHIVE + name, name) for name in current]
        moves = [move for move in moves if self.size(move[0]) is not None]
        for name, to in sorted(moves, key=_old_before_new):
            self._files.move(name, to)
        return bool(moves)

    def _write(self, table: str, stem: str, data: pa.Table) -> FileEntry:
        body = encode(data)
        digest = sha256(body)
        name = f"{stem}-{digest[:_HASH_CHARACTERS]}.parquet"
        file = f"{ARCHIVE}{table}/{name}"
        for _ in range(_TRIES):
            if self._files.create(file, body) or has_content(self._files, file, digest):
                return FileEntry(name, len(body), digest, data.num_rows, VERSIONS[table])
            # damaged: out of the way, so that a good one can take its place
            self._files.move(file, f"{ARCHIVE}damaged/{table}/{name}")
        raise SnapshotWriteError(
            f"cannot write {file}: what stands under its name is neither its content nor can it be "
            "moved away; what was there before is untouched"
        )


def has_content(files: Storage, name: str, digest: str) -> bool:
    """Return whether a file is there, can be read, and has this SHA-256."""
    try:
        return sha256(files.read(name)) == digest
    except (FileNotFoundError, SnapshotCorruptError):
        return False


def _old_before_new(move: tuple[str, str]) -> tuple[str, bool]:
    """Order moves by table; there the old file goes right before the new one comes."""
    name = move[0].removeprefix(ARCHIVE)
    return name.rpartition("/")[0], move[0].startswith(ARCHIVE)
