"""Making the compacted files of an experiment, part by part, and taking a run out of them.

The files of the runs stay where they are. The files of a new part are written first, then the names
under which plain readers find them, and the index last; the part that it replaces stays for the
scans that read it, until `clean` removes it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import pyarrow as pa
from msgspec.structs import replace

from retab_frames.errors import SnapshotCorruptError, SnapshotNotFoundError
from retab_frames.load.parallel import map_in_order, show_progress
from retab_frames.schemas.frames import STRING
from retab_frames.store.catalog import Catalog, unknown_experiment
from retab_frames.store.compacted import (
    COMPACTED,
    RUN_ID,
    Index,
    Part,
    RunMark,
    change_times,
    has_settled,
    index_name,
    part_path,
    parts_folder,
    read_index,
    run_order,
    unused_parts,
    view_path,
)
from retab_frames.store.manifest import (
    FileEntry,
    Manifest,
    data_name,
    folder_name,
    library,
    seal,
    sha256,
)
from retab_frames.store.parquet import encode
from retab_frames.store.table_versions import TABLES, VERSIONS
from retab_frames.store.tables import has_content, read_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from retab_frames.store.files.storage import Storage

__all__ = ["Compaction", "compact", "drop_run"]

MOST_RUNS = 250
"""Of one file: what is read again when one of them gets a new revision."""
MOST_ROWS = 100_000
MOST_BYTES = 32 * 2**20
"""Of one file, unless one run has more: what a Dask partition holds."""
_WORKERS = 4
_VIEW = re.compile(r"([0-9]{6,9})\.parquet")
_TEMPORARY = re.compile(r"\.([a-z0-9_-]+\.(?:json|parquet))\.[0-9a-f]{32}\.tmp")


@dataclass(frozen=True)
class Compaction:
    """What a compaction did.

    Attributes:
        experiment_id: The experiment.
        packed: How many of its runs are in compacted files now.
        left: How many are not: they are incomplete, so a later revision is to be expected.
        files: How many files a scan of all tables of the experiment opens now.
        files_before: How many it opened before.
    """

    experiment_id: str
    packed: int
    left: int
    files: int
    files_before: int


def compact(files: Storage, experiment_id: str, *, progress: bool | None) -> Compaction:
    """Write the compacted files of the complete runs; see `SnapshotStore.compact`."""
    # before the manifests are read, so that what changes meanwhile has another time
    times = _settled_times(files)
    runs = _runs(files, experiment_id)
    index = read_index(files, folder_name(experiment_id))
    known = {tuple(part.seals): part for part in _whole_parts(files, index)}
    groups = _group(runs, index)
    new = [group for group in groups if _seals(group) not in known]
    # of one group there is nothing to see between its beginning and its end
    show = False if progress is None and len(new) == 1 else progress
    entries: dict[tuple[str, ...], dict[str, FileEntry]] = {}
    for group in show_progress(new, sum(map(len, new)), "Compacting runs", show=show, runs_of=len):
        entries[_seals(group)] = _write_files(files, group)
    numbers = _number(groups, index)
    parts = [
        Part(number, tuple(_mark(run, times) for run in group), _files_of(group, known, entries))
        for number, group in zip(numbers, groups, strict=True)
    ]
    _publish(files, experiment_id, parts, known.values(), index)
    for run in runs:
        # removed since it was read above: whoever did that may have looked for it before us
        if run.complete and Catalog(files).newest(run.run_id) is None:
            drop_run(files, run)
    return Compaction(
        experiment_id,
        packed=sum(map(len, groups)),
        left=sum(not run.complete for run in runs),
        files=_count_files(parts, runs),
        files_before=_count_files(known.values(), runs),
    )


def drop_run(files: Storage, manifest: Manifest) -> None:
    """Take out of the compacted files what a run has no more: all its rows, or old revisions.

    The parts that have such rows are deleted, and so are files that no index names, which may have
    some; then the other runs are compacted again. A scan that still reads such a file fails.

    Args:
        files: The files of the store.
        manifest: A revision of the run; which of them count is looked up.

    Raises:
        SnapshotWriteError: If the file system refuses.
    """
    experiment_id, folder = manifest.experiment_id, folder_name(manifest.experiment_id)
    index = read_index(files, folder)
    try:
        newest = Catalog(files).newest(manifest.run_id)
    except SnapshotCorruptError:
        newest = None
    seal_now = None if newest is None else newest.seal
    parts = () if index is None else index.parts
    kept = [
        part
        for part in parts
        if all(run.run_id != manifest.run_id or run.seal == seal_now for run in part.runs)
    ]
    if index is not None and len(kept) < len(parts):
        files.put(index_name(folder), seal(replace(index, parts=tuple(kept))))
    if index is None:
        # it cannot be read, so it may tell of the run; without its files it is of no use
        _delete_index(files, folder)
    _delete_views(files, experiment_id, kept)
    _delete(files, [*unused_parts(files, folder), *_temporary(files, parts_folder(folder))])
    _delete(files, _temporary(files, COMPACTED, f"{folder}.json"))
    if len(kept) < len(parts):
        # a damaged file of another run is no reason to keep this one
        with suppress(SnapshotCorruptError, SnapshotNotFoundError):
            compact(files, experiment_id, progress=False)


def _runs(files: Storage, experiment_id: str) -> list[Manifest]:
    """Return the newest revisions of the runs of an experiment, in the order of the store's list.

    Raises:
        SnapshotNotFoundError: If there are none.
    """
    stored = list(Catalog(files).all())
    runs = [one for one in stored if one.experiment_id == experiment_id]
    if not runs:
        raise unknown_experiment(files, experiment_id, {one.experiment_id for one in stored})
    return sorted(runs, key=run_order)


def _settled_times(files: Storage) -> dict[str, int]:
    """Return when the folder of each run changed; without those that changed right now."""
    times = change_times(files)
    now = int(files.now().timestamp() * 1e9) if times else 0
    return {folder: time for folder, time in times.items() if has_settled(time, now)}


def _mark(run: Manifest, times: dict[str, int]) -> RunMark:
    folder = run.folder
    return RunMark(run.run_id, folder, run.run_created_at, run.seal, times.get(folder, 0))


def _whole_parts(files: Storage, index: Index | None) -> Iterator[Part]:
    """Yield the parts whose files are all there, and as they were written."""
    if index is None:
        return
    for part in index.parts:
        names = {part_path(index.experiment_id, entry): entry for entry in part.files.values()}
        if all(
            _has_size(files, name, one) and has_content(files, name, one.size, one.sha256)
            for name, one in names.items()
        ):
            yield part


def _count_files(parts: Iterable[Part], runs: Sequence[Manifest]) -> int:
    """Return how many files have the rows of all tables."""
    of_run = {run.seal: len(run.files) for run in runs}
    count = sum(of_run.values())
    for part in parts:
        if all(one in of_run for one in part.seals):
            count += len(part.files) - sum(of_run[one] for one in part.seals)
    return count


def _seals(runs: Sequence[Manifest]) -> tuple[str, ...]:
    return tuple(run.seal for run in runs)


def _group(runs: Iterable[Manifest], index: Index | None) -> list[list[Manifest]]:
    """Return the complete runs that go into one part: with no other between them, in order.

    A run that begins a part today goes on to begin one, so that a run that comes late into the
    order changes one part only; two that became small are joined.
    """
    first = {part.runs[0].run_id for part in (() if index is None else index.parts)}
    groups: list[list[Manifest]] = [[]]
    for run in runs:
        if not run.complete or run.run_id in first:
            groups.append([])
        if run.complete:
            groups[-1].append(run)
        else:
            groups.append([])
    joined: list[list[Manifest]] = [[]]
    for group in groups:
        follows = group and joined[-1] and group[0].run_id in first
        if follows and _fits([*joined[-1], *group], share=2):
            joined[-1].extend(group)
        else:
            joined.append(group)
    return [part for group in joined for part in _split(group)]


def _split(runs: Sequence[Manifest]) -> Iterator[list[Manifest]]:
    """Yield as many runs at a time as a part may have."""
    part: list[Manifest] = []
    for run in runs:
        if part and not _fits([*part, run]):
            yield part
            part = []
        part.append(run)
    if part:
        yield part


def _fits(runs: Sequence[Manifest], share: int = 1) -> bool:
    """Return whether runs are few and small enough for a part, or for the half of one."""
    rows, size = (
        sum(max((getattr(one, of) for one in run.files.values()), default=0) for run in runs)
        for of in ("rows", "size")
    )
    limits = (MOST_RUNS, MOST_ROWS, MOST_BYTES)
    return all(n * share <= most for n, most in zip((len(runs), rows, size), limits, strict=True))


def _write_files(files: Storage, runs: Sequence[Manifest]) -> dict[str, FileEntry]:
    """Write the files of a part; return the entry of each table that has rows.

    Raises:
        SnapshotCorruptError: If a file of a run is missing, cut or altered.
        SnapshotWriteError: If the file system refuses.
    """
    entries = {}
    for table in TABLES:
        if not any(table in run.files for run in runs):
            continue
        rows = map_in_order(partial(_read_rows, files, table), runs, workers=_WORKERS)
        data = pa.concat_tables(rows, promote_options="default")
        body = encode(data)
        digest, columns = sha256(body), tuple(data.column_names)
        entry = FileEntry(
            data_name(table, digest), len(body), digest, data.num_rows, VERSIONS[table], columns
        )
        name = part_path(runs[0].experiment_id, entry)
        if not files.create(name, body) and not has_content(files, name, len(body), digest):
            # damaged
            files.put(name, body)
        entries[table] = entry
    return entries


def _read_rows(files: Storage, table: str, manifest: Manifest) -> pa.Table:
    """Return a table of a run as a part has it: `raw` with the run in front."""
    data = read_table(files, manifest, table)
    if table != "raw" or "run_id" in data.column_names:
        return data
    run = pa.array([manifest.run_id] * data.num_rows, STRING)
    return data.add_column(0, RUN_ID, run)


def _files_of(
    group: Sequence[Manifest],
    known: dict[tuple[str, ...], Part],
    entries: dict[tuple[str, ...], dict[str, FileEntry]],
) -> dict[str, FileEntry]:
    seals = _seals(group)
    return known[seals].files if seals in known else entries[seals]


def _number(groups: Sequence[Sequence[Manifest]], index: Index | None) -> list[int]:
    """Return a number for each group: that of the part whose place it takes, or a free one."""
    of_run = {run.run_id: p.number for p in (index.parts if index else ()) for run in p.runs}
    wanted = [of_run.get(group[0].run_id, 0) for group in groups]
    free = (number for number in count(1) if number not in set(wanted))
    numbers: list[int] = []
    for want in wanted:
        numbers.append(want if want and want not in numbers else next(free))
    return numbers


def _publish(
    files: Storage,
    experiment_id: str,
    parts: Sequence[Part],
    kept: Iterable[Part],
    index: Index | None,
) -> None:
    """Put the parts where plain readers and scans look, and what they replace away."""
    folder = folder_name(experiment_id)
    before = {part.number: part.files for part in kept}
    for part in parts:
        for table, entry in part.files.items():
            source = part_path(experiment_id, entry)
            view = view_path(experiment_id, table, part.number)
            if before.get(part.number, {}).get(table) != entry or not _has_size(files, view, entry):
                files.put_view(view, source, partial(files.read, source))
    if tuple(parts) != (() if index is None else index.parts):
        new = Index(experiment_id=experiment_id, parts=tuple(parts), library=library())
        for name in set(_names(index)) - set(_names(new)):
            # `clean` counts from here on, for the sake of scans that read it
            with suppress(FileNotFoundError):
                files.touch(name)
        files.put(index_name(folder), seal(new))
    _delete_views(files, experiment_id, parts)


def _names(index: Index | None) -> Iterator[str]:
    if index is None:
        return
    for part in index.parts:
        for entry in part.files.values():
            yield part_path(index.experiment_id, entry)


def _has_size(files: Storage, name: str, entry: FileEntry) -> bool:
    try:
        return files.size(name) == entry.size
    except (FileNotFoundError, SnapshotCorruptError):
        return False


def _delete_views(files: Storage, experiment_id: str, parts: Sequence[Part]) -> None:
    """Delete the views of an experiment that are not of these parts."""
    current = {view_path(experiment_id, table, p.number) for p in parts for table in p.files}
    for table in TABLES:
        folder = f"{COMPACTED}/{table}/{folder_name(experiment_id)}"
        views = [f"{folder}/{name}" for name in files.names(folder) if _VIEW.fullmatch(name)]
        _delete(files, {*views, *_temporary(files, folder)} - current)


def _delete(files: Storage, names: Collection[str]) -> None:
    """Delete files of one folder, so that a power cut does not bring them back."""
    for name in names:
        files.delete(name)
    for folder in {name.rpartition("/")[0] for name in names}:
        files.flush_folder(folder)


def _delete_index(files: Storage, folder: str) -> None:
    name = index_name(folder)
    try:
        files.size(name)
    except FileNotFoundError:
        # there is none, or something that is not ours has its name
        return
    _delete(files, [name])


def _temporary(files: Storage, folder: str, original: str = "") -> list[str]:
    """Return the temporary files in a folder, those of one file or of all."""
    return [
        f"{folder}/{name}"
        for name in files.names(folder)
        if (match := _TEMPORARY.fullmatch(name)) and original in {"", match[1]}
    ]
