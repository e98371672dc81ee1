"""Packing the runs of an experiment, and taking a run out of its pack again.

A pack comes about as a revision does: its files are written out of sight, then its index, which
decides; then the files change places with those of the runs. A run that gets a new revision is
taken out, so that plain readers do not see it twice. Whoever works at a pack looks, once its index
is written, whether it still fits the runs, and begins again where someone else came between: so
nobody waits for anybody, and who comes last leaves it right.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from retab_frames.errors import (
    SnapshotCorruptError,
    SnapshotError,
    SnapshotNotFoundError,
    SnapshotWriteError,
)
from retab_frames.load.parallel import map_in_order, show_progress
from retab_frames.schemas.frames import STRING
from retab_frames.store.catalog import Catalog
from retab_frames.store.manifest import FileEntry, Manifest, folder_name, library, seal, sha256
from retab_frames.store.packs import Pack, Packs, Part, is_pack, pack_name
from retab_frames.store.parquet import encode
from retab_frames.store.revisions import ARCHIVE, RevisionFiles, has_content
from retab_frames.store.table_versions import TABLES, VERSIONS
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from retab_frames.store.files.storage import Storage

__all__ = ["Compaction", "compact", "publish_pack", "read_rows", "remove_run"]

MOST_RUNS = 250
"""Of one file: what is read again when one of them gets a new revision."""
MOST_ROWS = 100_000
MOST_BYTES = 32 * 2**20
"""Of one file, unless one run has more: what a Dask partition holds."""
_HASH_CHARACTERS = 16
_WORKERS = 4


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


def compact(files: Storage, experiment_id: str, *, progress: bool | None) -> Compaction:
    """Pack the complete runs of an experiment; see `SnapshotStore.compact`."""
    packs = Packs(files)
    runs, pack = _runs(files, experiment_id), _readable(packs, experiment_id)
    before = _in_sight(pack, runs)
    fit: dict[tuple[str, ...], Part] = {}
    while True:
        stretches = list(_stretches(runs))
        new = [stretch for stretch in stretches if not _is_known(fit, pack, stretch)]
        # of one stretch there is nothing to see between its beginning and its end
        show = False if progress is None and len(new) == 1 else progress
        total = sum(map(len, new))
        for stretch in show_progress(new, total, "Packing runs", show=show, runs_of=len):
            known = _kept(files, pack, stretch) or fit.get(_key(stretch))
            fit[_key(stretch)] = known or _made(files, stretch)
        parts = tuple(fit[_key(stretch)] for stretch in stretches)
        if parts == (() if pack is None else pack.parts):
            break
        _rule(files, packs, experiment_id, parts)
        # once more: a run may have got a revision, or someone else may have packed, meanwhile
        runs, pack = _runs(files, experiment_id), _readable(packs, experiment_id)
    publish_pack(files, experiment_id)
    packed = sum(len(part.runs) for part in parts)
    return Compaction(experiment_id, packed, len(runs) - packed, _in_sight(pack, runs), before)


def remove_run(files: Storage, experiment_id: str, run_id: str) -> None:
    """Take a run out of its pack, whose other runs stay in it; those beside it make new parts.

    Raises:
        SnapshotError: If the index of the pack cannot be read.
        SnapshotWriteError: If the file system refuses.
    """
    packs = Packs(files)
    pack = packs.newest(experiment_id)
    if pack is None or folder_name(run_id) not in pack.runs:
        return
    parts: list[Part] = []
    for part in pack.parts:
        place = next((n for n, run in enumerate(part.runs) if run.run_id == run_id), None)
        if place is None:
            parts.append(part)
            continue
        for stretch in filter(None, (part.runs[:place], part.runs[place + 1 :])):
            try:
                parts.append(_made(files, stretch))
            except SnapshotWriteError:
                raise
            except SnapshotError:
                # a damaged file of another run is no reason to refuse this one: they stand alone
                continue
    _rule(files, packs, experiment_id, tuple(parts))
    publish_pack(files, experiment_id)


def _runs(files: Storage, experiment_id: str) -> list[Manifest]:
    """Return the newest revisions of the runs of an experiment, in the order of the store's list.

    Raises:
        SnapshotNotFoundError: If there are none.
    """
    runs = [one for one in Catalog(files).all() if one.experiment_id == experiment_id]
    if not runs:
        raise SnapshotNotFoundError(
            f"there is no run of experiment {printable(experiment_id)} in {printable(str(files))}; "
            "list() shows what there is"
        )
    return sorted(runs, key=lambda one: (one.run_created_at or "", one.run_id))


def _readable(packs: Packs, experiment_id: str) -> Pack | None:
    try:
        return packs.newest(experiment_id)
    except SnapshotCorruptError:
        return None


def _in_sight(pack: Pack | None, runs: Sequence[Manifest]) -> int:
    alone = (one for one in runs if pack is None or not pack.holds(one))
    return sum(len(one.files) for one in alone) + (0 if pack is None else len(pack.names))


def _stretches(runs: Iterable[Manifest]) -> Iterator[tuple[Manifest, ...]]:
    """Yield the complete runs that go into one file: with no other between them, in order."""
    stretch: list[Manifest] = []
    rows = size = 0
    for run in runs:
        more = max((entry.rows for entry in run.files.values()), default=0)
        bytes_ = max((entry.size for entry in run.files.values()), default=0)
        full = len(stretch) == MOST_RUNS or rows + more > MOST_ROWS or size + bytes_ > MOST_BYTES
        if stretch and (full or not run.complete):
            yield tuple(stretch)
            stretch, rows, size = [], 0, 0
        if run.complete:
            stretch.append(run)
            rows, size = rows + more, size + bytes_
    if stretch:
        yield tuple(stretch)


def _key(runs: Sequence[Manifest]) -> tuple[str, ...]:
    return tuple(run.seal for run in runs)


def _in_pack(pack: Pack | None, runs: Sequence[Manifest]) -> Part | None:
    parts = () if pack is None else pack.parts
    return next((one for one in parts if _key(one.runs) == _key(runs)), None)


def _is_known(
    fit: dict[tuple[str, ...], Part], pack: Pack | None, runs: Sequence[Manifest]
) -> bool:
    """Return whether there is a part for these runs, and the pack has no other one."""
    part = fit.get(_key(runs))
    return part is not None and _in_pack(pack, runs) in (part, None)


def _kept(files: Storage, pack: Pack | None, runs: Sequence[Manifest]) -> Part | None:
    """Return the part of the pack that holds these runs, if it is whole and of today's columns."""
    part = _in_pack(pack, runs)
    if part is None or {t: entry.schema_version for t, entry in part.files.items()} != VERSIONS:
        return None
    whole = all(
        any(has_content(files, f"{place}{table}/{e.name}", e.sha256) for place in ("", ARCHIVE))
        for table, e in part.files.items()
    )
    return part if whole else None


def _made(files: Storage, runs: Sequence[Manifest]) -> Part:
    """Write the files of a part out of sight.

    Raises:
        SnapshotCorruptError: If a file of a run is missing, cut or altered.
        SnapshotWriteError: If the file system refuses.
    """
    tables = RevisionFiles(files)
    entries = {}
    for table in TABLES:
        rows = map_in_order(partial(read_rows, tables, table), runs, workers=_WORKERS)
        data = pa.concat_tables(rows, promote_options="default")
        entries[table] = _written(files, table, runs, data)
    return Part(tuple(runs), entries)


def _written(files: Storage, table: str, runs: Sequence[Manifest], data: pa.Table) -> FileEntry:
    body = encode(data)
    digest = sha256(body)
    # two parts may have the same rows, as of issues without a run: each has a file of its own
    own = sha256("".join((digest, *_key(runs))).encode())
    name = f"{folder_name(runs[0].experiment_id)}/pack-{own[:_HASH_CHARACTERS]}.parquet"
    entry = FileEntry(name, len(body), digest, data.num_rows, VERSIONS[table])
    for place in ("", ARCHIVE):
        file = f"{place}{table}/{name}"
        if has_content(files, file, digest):
            return entry
        # damaged, or not there at all
        files.delete(file)
    files.create(f"{ARCHIVE}{table}/{name}", body)
    return entry


def read_rows(tables: RevisionFiles, table: str, manifest: Manifest) -> pa.Table:
    """Return a table of a run as a pack has it: `raw` with the run in front."""
    data = tables.read(table, manifest)
    if table != "raw":
        return data
    run = pa.array([manifest.run_id] * data.num_rows, STRING)
    return data.add_column(0, pa.field("run_id", STRING, nullable=False), run)


def _rule(files: Storage, packs: Packs, experiment_id: str, parts: tuple[Part, ...]) -> None:
    """Write the index of these parts after the last one, unless someone else does that first."""
    number = max(packs.numbers(experiment_id), default=0) + 1
    pack = Pack(
        experiment_id=experiment_id,
        number=number,
        parts=parts,
        written_at=datetime.now(UTC).isoformat(),
        library=library(),
    )
    name, text = pack_name(experiment_id, number), seal(pack)
    if not files.create(name, text):
        return
    # gone, where another took its place already
    with suppress(FileNotFoundError):
        if files.read(name) != text:
            raise SnapshotCorruptError(
                f"{name} reads back differently: the disk is not to be trusted; delete the file",
                file=name,
            )


def publish_pack(files: Storage, experiment_id: str) -> None:
    """Put the files of the pack that rules in sight, and out of it those whose rows are in it.

    Runs that were in the packs before it, and are not in this one, come back in sight, and the
    packs before it are removed. It is done once more if another index came meanwhile.

    Raises:
        SnapshotError: If the index cannot be read.
        SnapshotWriteError: If the file system refuses.
    """
    packs = Packs(files)
    last: Pack | None = None
    while (pack := packs.newest(experiment_id)) is not None and pack is not last:
        before = packs.before(pack)
        _change_places(files, pack)
        for old in (*before, *([] if last is None else [last])):
            _bring_back(files, old, pack)
        for number in packs.numbers(experiment_id):
            if number < pack.number:
                files.delete(pack_name(experiment_id, number))
        last = pack


def _change_places(files: Storage, pack: Pack) -> None:
    folder, current = folder_name(pack.experiment_id), set(pack.names)
    alone = {name for run in pack.runs.values() for name in run.names}
    for table in TABLES:
        for name in files.names(f"{table}/{folder}"):
            file = f"{table}/{folder}/{name}"
            if file in alone:
                files.move(file, ARCHIVE + file)
            elif is_pack(name) and file not in current:
                files.delete(file)
        for part in pack.parts:
            file = f"{table}/{part.files[table].name}"
            files.move(ARCHIVE + file, file)


def _bring_back(files: Storage, old: Pack, pack: Pack) -> None:
    """Put the runs of an old pack in sight that are not in the one that took its place."""
    catalog, tables = Catalog(files), RevisionFiles(files)
    for run in old.runs.values():
        if pack.holds(run):
            continue
        try:
            # without any manifest they are shown all the same: it may be restored
            newest = catalog.newest(run.run_id) or run
        except SnapshotError:
            continue
        older = [run]
        # once more if another writer made a newer one meanwhile, as when a run is written
        while not pack.holds(newest) and tables.publish(newest, older):
            older.append(newest)
            newest = catalog.newest(run.run_id) or newest
