"""Whether a pack holds what the runs in it hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.compaction import rows_of
from retab_frames.errors import SnapshotError, shown
from retab_frames.manifest import folder_name, sha256
from retab_frames.parquet import decoded
from retab_frames.revisions import ARCHIVE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retab_frames.manifest import FileEntry, Manifest
    from retab_frames.packs import Pack
    from retab_frames.revisions import RevisionFiles

__all__ = ["pack_problems"]


def pack_problems(tables: RevisionFiles, pack: Pack, level: str) -> Iterator[tuple[str, str]]:
    """Yield each file of a pack that is not what the index says, and what is wrong with it.

    At level "full" its rows are compared with those of the runs.
    """
    for table, entries in pack.files.items():
        for entry in entries:
            file = f"{table}/{entry.name}"
            problem = _of_file(tables, file, entry, level)
            if problem is None and level == "full":
                problem = _of_rows(tables, table, entry, pack)
            if problem is not None:
                yield file, problem


def _of_file(tables: RevisionFiles, file: str, entry: FileEntry, level: str) -> str | None:
    sizes = (tables.size(place + file) for place in ("", ARCHIVE, ""))
    size = next((size for size in sizes if size is not None), None)
    if size is None:
        return "is missing"
    if size != entry.size:
        return f"has {size:,} bytes instead of {entry.size:,}"
    if level == "quick":
        return None
    try:
        data = tables.found(file)
    except SnapshotError as error:
        return shown(str(error), 400)
    if data is None or sha256(data) != entry.sha256:
        return "is altered: its SHA-256 is not the one in the index of its pack"
    return None


def _of_rows(tables: RevisionFiles, table: str, entry: FileEntry, pack: Pack) -> str | None:
    """Compare the rows of each run with those in its own file."""
    data = tables.found(f"{table}/{entry.name}")
    try:
        packed = decoded(data or b"", entry.name)
    except SnapshotError as error:
        return shown(str(error), 400)
    if packed.num_rows != entry.rows:
        return f"has {packed.num_rows} rows instead of {entry.rows}"
    runs = set(packed.column("run_id").to_pylist())
    for manifest in pack.revisions().values():
        if manifest.run_id in runs and not _is_equal(tables, table, manifest, packed):
            return f"has other rows of run {shown(manifest.run_id)} than the run's own file"
    return None


def _is_equal(tables: RevisionFiles, table: str, manifest: Manifest, packed: pa.Table) -> bool:
    try:
        own = rows_of(tables, table, manifest)
    except SnapshotError:
        # the run's own file is damaged, which is told of the run
        return True
    rows = packed.filter(pc.equal(packed.column("run_id"), manifest.run_id))
    more = [name for name in rows.column_names if name not in own.column_names]
    if any(rows.column(name).null_count != rows.num_rows for name in more):
        return False
    return bool(rows.select(own.column_names).cast(own.schema).equals(own))
