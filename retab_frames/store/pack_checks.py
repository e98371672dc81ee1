"""Whether a pack holds what the runs in it hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retab_frames.errors import SnapshotError
from retab_frames.store.compaction import rows_of
from retab_frames.store.manifest import sha256
from retab_frames.store.parquet import decoded
from retab_frames.store.revisions import ARCHIVE
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from retab_frames.store.manifest import FileEntry, Manifest
    from retab_frames.store.packs import Pack, Part
    from retab_frames.store.revisions import RevisionFiles

__all__ = ["pack_problems"]


def pack_problems(tables: RevisionFiles, pack: Pack, level: str) -> Iterator[tuple[str, str]]:
    """Yield each file of a pack that is not what the index says, and what is wrong with it.

    At level "full" its rows are compared with those of the runs.
    """
    for part in pack.parts:
        for table, entry in part.files.items():
            file = f"{table}/{entry.name}"
            try:
                problem = _of_file(tables, file, entry, level)
                if problem is None and level == "full":
                    problem = _of_rows(tables, table, part)
            except SnapshotError as error:
                problem = printable(str(error), 400)
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
    data = tables.found(file)
    if data is None or sha256(data) != entry.sha256:
        return "is altered: its SHA-256 is not the one in the index of its pack"
    return None


def _of_rows(tables: RevisionFiles, table: str, part: Part) -> str | None:
    """Compare the rows of each run with those in its own file.

    Raises:
        SnapshotCorruptError: If the file cannot be decoded.
    """
    entry = part.files[table]
    packed = decoded(tables.found(f"{table}/{entry.name}") or b"", entry.name)
    rows = sum(run.files[table].rows for run in part.runs if table in run.files)
    if not packed.num_rows == entry.rows == rows:
        return f"has {packed.num_rows} rows instead of {rows}"
    begin = 0
    for run in part.runs:
        count = run.files[table].rows if table in run.files else 0
        if not _is_equal(tables, table, run, packed.slice(begin, count)):
            return f"has other rows of run {printable(run.run_id)} than the run's own file"
        begin += count
    return None


def _is_equal(tables: RevisionFiles, table: str, manifest: Manifest, packed: pa.Table) -> bool:
    try:
        own = rows_of(tables, table, manifest)
    except SnapshotError:
        # the run's own file is damaged, which is told of the run
        return True
    more = [name for name in packed.column_names if name not in own.column_names]
    if any(packed.column(name).null_count != packed.num_rows for name in more):
        return False
    if any(name not in packed.column_names for name in own.column_names):
        return False
    return bool(packed.select(own.column_names).cast(own.schema).equals(own))
