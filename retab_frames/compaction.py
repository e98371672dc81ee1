"""Packing the runs of an experiment, and taking a run out of its pack again.

A pack comes about as a revision does: its files are written out of sight, then its index, which
decides; then the files change places with those of the runs. A run that gets a new revision is
taken out first, so that plain readers do not see it twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.catalog import Catalog
from retab_frames.errors import (
    SnapshotConflictError,
    SnapshotCorruptError,
    SnapshotNotFoundError,
    shown,
)
from retab_frames.manifest import FileEntry, folder_name, library, sha256
from retab_frames.packs import Pack, Packs, pack_name
from retab_frames.parquet import encoded
from retab_frames.revisions import ARCHIVE, RevisionFiles
from retab_frames.upgrades import TABLES, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from retab_frames.manifest import Manifest
    from retab_frames.storage import Storage

__all__ = ["Compaction", "compacted", "is_pack", "rows_of", "settled", "without_run"]

MOST_JOBS = 500_000
"""Of one file: what a reader can well hold, and a partition of Dask."""
_HASH_CHARACTERS = 16


@dataclass(frozen=True)
class Compaction:
    """What a compaction did.

    Attributes:
        experiment_id: The experiment.
        packed: How many runs are in its pack now.
        left: How many are not: they are incomplete, so a later revision is to be expected.
        files: How many files of data plain readers see now.
        files_before: How many they saw before.
    """

    experiment_id: str
    packed: int
    left: int
    files: int
    files_before: int


def compacted(files: Storage, experiment_id: str) -> Compaction:
    """Pack the complete runs of an experiment; see `SnapshotStore.compact`."""
    runs = [one for one in Catalog(files).all() if one.experiment_id == experiment_id]
    if not runs:
        raise SnapshotNotFoundError(
            f"there is no run of experiment {shown(experiment_id)} in {shown(str(files))}"
        )
    chosen = [one for one in runs if one.complete and all(t in one.files for t in TABLES)]
    chosen.sort(key=lambda one: (one.run_created_at or "", one.run_id))
    current = Packs(files).newest(experiment_id)
    before = _in_sight(current, runs)
    if current is None or current.runs != _seals(chosen):
        current = _packed(files, experiment_id, chosen, current)
    settled(files, current)
    left = len(runs) - len(chosen)
    return Compaction(experiment_id, len(chosen), left, _in_sight(current, runs), before)


def without_run(files: Storage, pack: Pack, run_id: str) -> Pack:
    """Return the pack that takes the place of one, and lacks a run; its runs' files stay put."""
    kept = [one for one in pack.revisions().values() if one.run_id != run_id]
    found = _packed(files, pack.experiment_id, kept, pack)
    settled(files, found)
    return found


def _in_sight(pack: Pack | None, runs: Sequence[Manifest]) -> int:
    alone = (one for one in runs if pack is None or not pack.holds(one))
    return sum(len(one.files) for one in alone) + (0 if pack is None else len(pack.names))


def _seals(manifests: Sequence[Manifest]) -> dict[str, str]:
    return {folder_name(one.run_id): one.seal for one in manifests}


def _packed(
    files: Storage, experiment_id: str, manifests: Sequence[Manifest], before: Pack | None
) -> Pack:
    """Write the files of a pack out of sight, then its index, which makes it the one that rules.

    Raises:
        SnapshotConflictError: If someone else wrote one first.
    """
    tables = RevisionFiles(files)
    pack = Pack(
        experiment_id=experiment_id,
        number=1 if before is None else before.number + 1,
        runs=_seals(manifests),
        manifests=tuple(one.sealed().decode() for one in manifests),
        files={
            table: tuple(_written(files, tables, table, part) for part in _parts(manifests))
            for table in TABLES
        },
        previous=None if before is None else before.seal,
        written_at=datetime.now(UTC).isoformat(),
        library=library(),
    )
    name, text = pack_name(experiment_id, pack.number), pack.sealed()
    if not files.create(name, text):
        raise SnapshotConflictError(
            f"someone else packs experiment {shown(experiment_id)} at this moment: try again later"
        )
    if files.read(name) != text:
        raise SnapshotCorruptError(f"{name} reads back differently", file=name)
    return Pack.opened(text, name)


def _parts(manifests: Sequence[Manifest]) -> Iterator[list[Manifest]]:
    """Yield runs whose rows go into one file."""
    part: list[Manifest] = []
    jobs = 0
    for manifest in manifests:
        if part and jobs + manifest.jobs > MOST_JOBS:
            yield part
            part, jobs = [], 0
        part.append(manifest)
        jobs += manifest.jobs
    if part:
        yield part


def _written(
    files: Storage, tables: RevisionFiles, table: str, manifests: Sequence[Manifest]
) -> FileEntry:
    """Write the rows of several runs out of sight, and return what the index says of the file."""
    parts = [rows_of(tables, table, manifest) for manifest in manifests]
    data = pa.concat_tables(parts, promote_options="default")
    body = encoded(data)
    digest = sha256(body)
    name = f"{folder_name(manifests[0].experiment_id)}/pack-{digest[:_HASH_CHARACTERS]}.parquet"
    file = f"{ARCHIVE}{table}/{name}"
    if tables.size(f"{table}/{name}") == len(body):
        file = f"{table}/{name}"
    elif files.create(file, body):
        return FileEntry(name, len(body), digest, data.num_rows, VERSIONS[table])
    if sha256(files.read(file)) != digest:
        raise SnapshotCorruptError(f"{file} is damaged: delete it, and compact again", file=file)
    return FileEntry(name, len(body), digest, data.num_rows, VERSIONS[table])


def rows_of(tables: RevisionFiles, table: str, manifest: Manifest) -> pa.Table:
    """Return a table of a run in which every row says of which run it is."""
    data = tables.read(table, manifest)
    run = pa.array([manifest.run_id] * data.num_rows, pa.string())
    if table == "raw":
        return data.add_column(0, pa.field("run_id", pa.string(), nullable=False), run)
    if table == "issues":
        place = data.schema.get_field_index("run_id")
        return data.set_column(place, "run_id", pc.coalesce(data.column("run_id"), run))
    return data


def settled(files: Storage, pack: Pack) -> None:
    """Put the files of a pack in sight, and those of its runs and of the packs before out of it."""
    tables = RevisionFiles(files)
    for manifest in pack.revisions().values():
        for name in manifest.names:
            if tables.size(name) is not None:
                files.move(name, ARCHIVE + name)
    folder, current = folder_name(pack.experiment_id), set(pack.names)
    for table in TABLES:
        for name in files.names(f"{table}/{folder}"):
            file = f"{table}/{folder}/{name}"
            if is_pack(name) and file not in current:
                files.delete(file)
        for name in files.names(f"{ARCHIVE}{table}/{folder}"):
            file = f"{table}/{folder}/{name}"
            if file in current and tables.size(file) is None:
                files.move(ARCHIVE + file, file)
            elif file in current:
                files.delete(ARCHIVE + file)


def is_pack(name: str) -> bool:
    """Return whether a file of a table is one of a pack, by its name within its folder."""
    stem = name.removeprefix("pack-").removesuffix(".parquet")
    return name == f"pack-{stem}.parquet" and len(stem) == _HASH_CHARACTERS
