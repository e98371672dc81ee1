"""The files that hold a table of the store, and the union of their columns.

They are chosen by the manifests alone, which have the columns, the rows and the size of each file;
superseded revisions are never among them. The files of `revisions/` and of compacted parts are
never changed, so what was chosen can be read later too, whatever is written meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from bisect import bisect
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from retab_frames.errors import SnapshotCorruptError, SnapshotError, SnapshotNotFoundError
from retab_frames.schemas.frames import STRING
from retab_frames.schemas.handle_columns import is_handle_column
from retab_frames.schemas.models import arrow_schema
from retab_frames.schemas.moments import Moment, parse_moment
from retab_frames.store.catalog import Catalog
from retab_frames.store.compacted import (
    RUN_ID,
    Index,
    Part,
    change_times,
    indexes,
    part_path,
    read_index,
    run_order,
)
from retab_frames.store.files.local import LocalStorage
from retab_frames.store.files.storage import open_storage
from retab_frames.store.manifest import Manifest, folder_name
from retab_frames.store.table_versions import TABLES, VERSIONS
from retab_frames.text.messages import did_you_mean, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from retab_frames.store.files.storage import Storage
    from retab_frames.store.manifest import FileEntry

__all__ = [
    "Ids",
    "Moment",
    "PartRuns",
    "Selection",
    "Source",
    "check_ids",
    "check_source",
    "check_table",
    "explain_missing",
    "newest_revisions",
    "select",
]

Ids = str | Iterable[str] | None

_WORTH_AN_INDEX = 8
"""So many runs; the manifests of fewer are read faster than the index of a whole experiment."""


class PartRuns(NamedTuple):
    """The runs of a compacted part, all of them selected and at the revision that it has."""

    experiment_id: str
    part: Part


Chosen = Manifest | PartRuns


class Source(NamedTuple):
    """A file that holds the rows of a run, or of several that follow one another.

    Attributes:
        file: Its name below the root of the store.
        run_id: The run; None for a compacted part.
        rows: How many rows it has.
        size: Its size in bytes.
        runs: The runs of a compacted part.
    """

    file: str
    run_id: str | None
    rows: int
    size: int
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selection:
    """The files of a table, in the order of their rows, and the union of their columns.

    It can be pickled: another process opens the store by its name.

    Attributes:
        table: The table.
        root: The folder or URL of the store.
        sources: One per run, or per part of the compacted files that is selected as a whole.
        schema: The columns of the schema, then the `handle_*` columns of any file.
        storage: The files of the store.
    """

    table: str
    root: str
    sources: tuple[Source, ...]
    schema: pa.Schema
    storage: Storage = field(compare=False, repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        """Leave out the storage: another process has settings of its own."""
        return _reopen, (self.table, self.root, self.sources, self.schema)

    def check(self) -> None:
        """Check that the files are there, and have the sizes that they should have.

        Raises:
            SnapshotNotFoundError: If a run, or the revision of it that was chosen, was removed.
            SnapshotCorruptError: If a file is missing, or has another size.
        """
        for source in self.sources:
            check_source(self.storage, source)


def _reopen(table: str, root: str, sources: tuple[Source, ...], schema: pa.Schema) -> Selection:
    return Selection(table, root, sources, schema, open_storage(root))


def check_table(table: str) -> None:
    """Check that the store has such a table.

    Raises:
        ValueError: If it does not.
    """
    if table not in TABLES:
        near = did_you_mean(str(table), TABLES, as_text=repr)
        raise ValueError(
            f"table must be one of {', '.join(TABLES)}, not {printable(repr(table))}{near}"
        )


def newest_revisions(
    storage: Storage,
    *,
    experiment_id: Ids = None,
    run_id: Ids = None,
    since: Moment = None,
    until: Moment = None,
) -> list[Chosen]:
    """Return the newest revision of each run, by experiment and then by when the run was created.

    Where all runs of a compacted part are wanted, and are at the revision that it has, the part
    stands for them.

    Args:
        storage: The files of the store.
        experiment_id: One id or several; None is all.
        run_id: One id or several, of which only their manifests are read; None is all. An id that
            the store does not have is ignored.
        since: Only runs created at or after this; a text is ISO 8601, a time without zone is UTC. A
            run without a creation time is left out by this and by `until`.
        until: Only runs created before this.

    Raises:
        TypeError, ValueError: If an id is not text, or a time is not valid.
        SnapshotCorruptError: If the manifest of a run asked for is damaged; where all are asked
            for it is left out, with a warning.
    """
    catalog = Catalog(storage)
    catalog.check_marker()
    experiments, runs = check_ids(experiment_id, "experiment_id"), check_ids(run_id, "run_id")
    begin, end = parse_moment(since, "since"), parse_moment(until, "until")
    if runs is None:
        found = list(_indexes(storage, experiments))
        times = change_times(storage) if found else {}
        marks = [run for index in found for part in index.parts for run in part.runs]
        unchanged = {run.folder for run in marks if times.get(run.folder) == run.changed}
        manifests = list(catalog.all(but=unchanged))
    else:
        unchanged = set()
        manifests = list(filter(None, map(catalog.newest, runs)))
        names = dict.fromkeys(one.experiment_id for one in manifests)
        found = list(_indexes(storage, names)) if len(manifests) >= _WORTH_AN_INDEX else []
    manifests = [
        one
        for one in manifests
        if (experiments is None or one.experiment_id in experiments)
        and _is_between(one.run_created_at, begin, end)
    ]
    seals = {one.seal for one in manifests}
    whole: list[PartRuns] = []
    for index in found:
        for part in index.parts:
            inside = [run for run in part.runs if _is_between(run.run_created_at, begin, end)]
            if len(inside) == len(part.runs) and all(
                run.folder in unchanged or run.seal in seals for run in part.runs
            ):
                whole.append(PartRuns(index.experiment_id, part))
            else:
                lone = (catalog.newest(run.run_id) for run in inside if run.folder in unchanged)
                manifests += filter(None, lone)
    return _in_order(catalog, manifests, whole)


def _indexes(storage: Storage, experiments: Iterable[str] | None) -> Iterator[Index]:
    if experiments is None:
        return indexes(storage)
    return filter(None, (read_index(storage, folder_name(one)) for one in experiments))


def _in_order(catalog: Catalog, manifests: list[Manifest], whole: list[PartRuns]) -> list[Chosen]:
    """Return runs and parts in their order; a part that another run falls into is taken apart."""
    packed = {run.seal for one in whole for run in one.part.runs}
    alone = [one for one in manifests if one.seal not in packed]
    keys = {one.seal: (one.experiment_id, *run_order(one)) for one in alone}
    places = sorted(keys.values())
    chosen: list[tuple[tuple[object, ...], Chosen]] = [(keys[one.seal], one) for one in alone]
    for one in whole:
        first, last = ((one.experiment_id, *run_order(one.part.runs[n])) for n in (0, -1))
        if bisect(places, first) == bisect(places, last):
            chosen.append((first, one))
            continue
        for run in one.part.runs:
            manifest = catalog.newest(run.run_id)
            if manifest is not None:
                chosen.append(((manifest.experiment_id, *run_order(manifest)), manifest))
    return [one for _, one in sorted(chosen, key=itemgetter(0))]


def select(storage: Storage, chosen: Iterable[Chosen], table: str) -> Selection:
    """Return the files of a table for these revisions.

    Raises:
        SnapshotCorruptError: If a file is missing, or has another size than its manifest says.
    """
    sources, columns = [], dict.fromkeys(arrow_schema(TABLES[table]).names)
    for source, entry in _sources(storage, chosen, table):
        sources.append(source)
        columns |= dict.fromkeys(entry.columns)
    schema = arrow_schema(TABLES[table])
    if table == "raw":
        schema = schema.insert(0, RUN_ID)
    # of a column that a later version of the schema has, the type is not known
    schema = pa.schema([*schema, *(pa.field(n, STRING) for n in columns if is_handle_column(n))])
    # a process elsewhere has another current folder
    root = str(storage.root.absolute() if isinstance(storage, LocalStorage) else storage)
    return Selection(table, root, tuple(sources), schema, storage)


def _sources(
    storage: Storage, chosen: Iterable[Chosen], table: str
) -> Iterator[tuple[Source, FileEntry]]:
    """Yield each file, and what its manifest or the index says of it."""
    catalog, is_right = Catalog(storage), _checker(storage)
    for one in chosen:
        manifests: Iterable[Manifest | None] = ()
        if isinstance(one, Manifest):
            manifests = (one,)
        elif (entry := one.part.files.get(table)) is not None:
            file = part_path(one.experiment_id, entry)
            ids = tuple(run.run_id for run in one.part.runs)
            if _has_size(storage, file, entry.size):
                yield Source(file, None, entry.rows, entry.size, ids), entry
            else:
                # deleted or damaged: the runs' own files have the same rows
                manifests = map(catalog.newest, ids)
        for manifest in filter(None, manifests):
            yield from _own_file(catalog, storage, manifest, table, is_right)


def _own_file(
    catalog: Catalog,
    storage: Storage,
    manifest: Manifest,
    table: str,
    is_right: Callable[[str, int], bool],
) -> Iterator[tuple[Source, FileEntry]]:
    """Yield the file of a run; none if the table has no rows, or the run was removed meanwhile."""
    if (entry := manifest.files.get(table)) is None:
        return
    _check_version(entry, manifest, table)
    source = Source(manifest.path_of(table), manifest.run_id, entry.rows, entry.size)
    if not is_right(source.file, entry.size):
        newest = catalog.newest(manifest.run_id)
        if newest is None:
            return
        if newest.seal != manifest.seal:
            # it was revised, and pruned, since its manifest was read
            yield from _own_file(catalog, storage, newest, table, lambda _file, _size: True)
            return
        check_source(storage, source)
    yield source, entry


def _check_version(entry: FileEntry, manifest: Manifest, table: str) -> None:
    """Refuse columns of another version, which are upgraded a run at a time, not here."""
    if entry.schema_version != VERSIONS[table]:
        raise SnapshotError(
            f"run {printable(manifest.run_id)} has version {entry.schema_version} of the table "
            f"{table}, a scan reads only version {VERSIONS[table]}: "
            + (
                "upgrade retab-frames"
                if entry.schema_version > VERSIONS[table]
                else "pull the run again with refresh, or use SnapshotStore.read"
            )
        )


def _has_size(storage: Storage, file: str, size: int) -> bool:
    try:
        return storage.size(file) == size
    except (FileNotFoundError, SnapshotError):
        return False


def _checker(storage: Storage) -> Callable[[str, int], bool]:
    """Return a function that says whether a file of a run is a regular one of this size.

    It takes a fraction of the time of `Storage.size`: that the folder of the run is not a link is
    known since its manifest was read. In a bucket the size is known once the file is read.
    """
    if not isinstance(storage, LocalStorage):
        return lambda _file, _size: True
    root = os.fspath(storage.root)

    def is_right(file: str, size: int) -> bool:
        try:
            status = os.lstat(f"{root}/{file}")
        except OSError:
            return False
        return stat.S_ISREG(status.st_mode) and status.st_size == size

    return is_right


def check_source(storage: Storage, source: Source) -> None:
    """Check that a file is there, and has the size that it should have; see `Selection.check`."""
    try:
        size = storage.size(source.file)
    except FileNotFoundError:
        raise explain_missing(storage, source) from None
    if size != source.size:
        whose = "" if source.run_id is None else f" of run {printable(source.run_id)}"
        raise SnapshotCorruptError(
            f"{source.file}{whose} is damaged: it has {size:,} bytes instead of {source.size:,}; "
            f"{_remedy(source)}",
            file=source.file,
        )
    if isinstance(storage, LocalStorage) and not os.access(storage.root / source.file, os.R_OK):
        # Arrow would say so with an error of the system
        raise SnapshotCorruptError(
            f"cannot read {source.file}: {os.strerror(errno.EACCES)} (EACCES)", file=source.file
        )


def _remedy(source: Source) -> str:
    if source.run_id is None:
        return "compact the experiment again, then scan again"
    return "pull the run again with refresh, or restore the file"


def explain_missing(storage: Storage, source: Source) -> SnapshotError:
    """Return the error for a file that is gone: its run was removed, or someone lost it."""
    catalog = Catalog(storage)
    for run_id in source.runs or (source.run_id,):
        manifest = catalog.newest(str(run_id))
        if manifest is None:
            return SnapshotNotFoundError(
                f"run {printable(run_id)} was removed from {printable(str(storage))} after it was "
                "scanned; scan again"
            )
    if source.run_id is None:
        return SnapshotNotFoundError(
            f"{source.file} was made anew after it was scanned, and removed; scan again"
        )
    revisions = catalog.revisions(folder_name(source.run_id))
    if any(
        isinstance(one, Manifest) and source.file in map(one.path_of, one.files)
        for _, one in revisions
    ):
        return SnapshotCorruptError(
            f"{source.file} of run {printable(source.run_id)} is missing; {_remedy(source)}",
            file=source.file,
        )
    return SnapshotNotFoundError(
        f"the revision of run {printable(source.run_id)} that was scanned was removed since; scan "
        "again"
    )


def check_ids(ids: Ids, name: str) -> list[str] | None:
    """Return the ids, each once; None for None.

    Raises:
        TypeError: If they are not text.
    """
    if ids is None:
        return None
    several = [ids] if isinstance(ids, str) else ids
    if hasattr(several, "columns") or not isinstance(several, Iterable):
        raise TypeError(f"{name} takes one id or several, not {type(ids).__name__}")
    known = list(dict.fromkeys(several))
    wrong = [one for one in known if not isinstance(one, str)]
    if wrong:
        raise TypeError(f"{name} takes ids as text, found {printable(wrong[0])}")
    return known


def _is_between(text: str | None, begin: datetime | None, end: datetime | None) -> bool:
    if begin is None and end is None:
        return True
    if text is None:
        return False
    moment = datetime.fromisoformat(text)
    return (begin is None or begin <= moment) and (end is None or moment < end)
