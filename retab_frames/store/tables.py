"""The tables of a revision, read from its data files and compared with its manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retab_frames.errors import SnapshotCorruptError
from retab_frames.schemas.models import empty_table
from retab_frames.store.manifest import sha256
from retab_frames.store.parquet import decode
from retab_frames.store.table_versions import TABLES, upgrade
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    import pyarrow as pa

    from retab_frames.store.files.storage import Storage
    from retab_frames.store.manifest import Manifest

__all__ = ["has_content", "read_stored", "read_table"]


def read_table(files: Storage, manifest: Manifest, table: str) -> pa.Table:
    """Return a table of a revision in the current schema, after comparing its file's hash.

    A table without a file has no rows.

    Raises:
        SnapshotCorruptError: If the file is missing, cut or altered.
        SnapshotError: If a newer version of this library wrote it.
    """
    if table not in manifest.files:
        return empty_table(TABLES[table])
    stored = read_stored(files, manifest, table)
    return upgrade(stored, table, manifest.files[table].schema_version, manifest.path_of(table))


def read_stored(files: Storage, manifest: Manifest, table: str) -> pa.Table:
    """Return a table with the columns that its file has; raises as `read_table`."""
    entry, file = manifest.files[table], manifest.path_of(table)
    problem = "missing"
    try:
        # what is too large is not read, and nothing is decoded before its hash is right
        data = files.read(file, entry.size)
        problem = "damaged: its SHA-256 is not the one in its manifest"
    except FileNotFoundError:
        data = b""
    if sha256(data) == entry.sha256:
        decoded = decode(data, file, entry.rows)
        if tuple(decoded.column_names) == entry.columns:
            return decoded
        problem = "damaged: it has other columns than its manifest says"
    raise SnapshotCorruptError(
        f"{file} of run {printable(manifest.run_id)} is {problem}; pull the run again "
        "with refresh, or restore the file",
        file=file,
    )


def has_content(files: Storage, name: str, size: int, digest: str) -> bool:
    """Return whether a file is there, can be read, and has this size and SHA-256."""
    try:
        return sha256(files.read(name, size)) == digest
    except (FileNotFoundError, SnapshotCorruptError):
        return False
