"""The data files of a revision: named by content, read back checked, archived when superseded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retab_frames.errors import SnapshotCorruptError, shown
from retab_frames.manifest import FileEntry, folder_name, sha256
from retab_frames.parquet import SCHEMA_VERSION, decoded, encoded

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from retab_frames.manifest import Manifest
    from retab_frames.storage import LocalStorage

__all__ = ["RevisionFiles"]

_HASH_CHARACTERS = 16


class RevisionFiles:
    """Writes and reads the tables of revisions.

    What the newest revision of a run names stands in `<table>/<experiment>/`, where plain readers
    look; everything else of that run in `archive/`, so that they see each run once.

    Args:
        files: The files of the store.
    """

    def __init__(self, files: LocalStorage) -> None:
        self._files = files

    def write(
        self, tables: Mapping[str, pa.Table], experiment_id: str, run_id: str
    ) -> dict[str, FileEntry]:
        """Write the tables, and return what a manifest says of them.

        Raises:
            SnapshotWriteError: If the file system refuses.
        """
        stem = f"{folder_name(experiment_id)}/{folder_name(run_id)}"
        return {table: self._write(table, stem, data) for table, data in tables.items()}

    def read(self, table: str, manifest: Manifest) -> pa.Table:
        """Return a table of a revision, its file checked against its hash.

        Raises:
            SnapshotCorruptError: If the file is missing, cut or altered.
        """
        entry = manifest.files[table]
        file = f"{table}/{entry.name}"
        data = self._found(file)
        if data is None or sha256(data) != entry.sha256:
            what = "missing" if data is None else "damaged"
            raise SnapshotCorruptError(
                f"{file} of run {shown(manifest.run_id)} is {what}; pull the run again, or restore "
                "the file",
                file=file,
            )
        return decoded(data, file)

    def are_whole(self, manifest: Manifest) -> bool:
        """Return whether every file of a revision is there with the content it had."""
        found = ((self._found(f"{t}/{entry.name}"), entry) for t, entry in manifest.files.items())
        return all(data is not None and sha256(data) == entry.sha256 for data, entry in found)

    def settle(self, newest: Manifest) -> None:
        """Put the files of the newest revision in sight, and all others of its run out of it.

        Others are those of revisions before it, and what a crash, a failure or the loser of a race
        left behind.

        Raises:
            SnapshotWriteError: If the file system refuses.
        """
        run = folder_name(newest.run_id)
        length = len(f"{run}-.parquet") + _HASH_CHARACTERS
        for table, entry in newest.files.items():
            folder, _, current = entry.name.partition("/")
            names = self._files.names(f"{table}/{folder}")
            if current not in names:
                self._files.move(f"archive/{table}/{entry.name}", f"{table}/{entry.name}")
            for name in names:
                if name != current and name.startswith(f"{run}-") and len(name) == length:
                    file = f"{table}/{folder}/{name}"
                    self._files.move(file, f"archive/{file}")

    def _write(self, table: str, stem: str, data: pa.Table) -> FileEntry:
        body = encoded(data)
        digest = sha256(body)
        name = f"{stem}-{digest[:_HASH_CHARACTERS]}.parquet"
        file = f"{table}/{name}"
        if not self._files.create(file, body) and sha256(self._files.read(file)) != digest:
            # damaged: out of the way, so that a good one can take its place
            self._files.move(file, f"archive/damaged/{file}")
            self._files.create(file, body)
        return FileEntry(name, len(body), digest, data.num_rows, SCHEMA_VERSION)

    def _found(self, file: str) -> bytes | None:
        for name in (file, f"archive/{file}"):
            try:
                return self._files.read(name)
            except FileNotFoundError:
                continue
        return None
