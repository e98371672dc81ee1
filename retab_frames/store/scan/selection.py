"""The files that hold a table of the store, and the union of their columns.

They are chosen by the manifests alone; superseded revisions are never among them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from retab_frames.errors import SnapshotCorruptError, SnapshotError
from retab_frames.load.parallel import map_in_order
from retab_frames.schemas.frames import STRING
from retab_frames.schemas.models import arrow_schema
from retab_frames.schemas.moments import Moment, parse_moment
from retab_frames.store.catalog import Catalog
from retab_frames.store.files.local import LocalStorage
from retab_frames.store.files.storage import open_storage
from retab_frames.store.packs import Packs, in_parts
from retab_frames.store.table_versions import TABLES, VERSIONS
from retab_frames.text.messages import did_you_mean, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from retab_frames.store.files.storage import Storage
    from retab_frames.store.manifest import FileEntry, Manifest

__all__ = [
    "Ids",
    "Moment",
    "Selection",
    "Source",
    "check_table",
    "newest_revisions",
    "select",
]

Ids = str | Iterable[str] | None

_CONCURRENT_READS = 16
_RUN_ID = pa.field("run_id", STRING, nullable=False)
_FORMAT = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)


class Source(NamedTuple):
    """A file that holds the rows of a run, or of several that follow one another.

    Attributes:
        file: Its name below the root of the store.
        run_id: The run; None where they are several.
        rows: How many rows it has.
        size: Its size in bytes.
    """

    file: str
    run_id: str | None
    rows: int
    size: int


@dataclass(frozen=True)
class Selection:
    """The files of a table, in the order of their rows, and the union of their columns.

    Attributes:
        table: The table.
        filesystem: The file system, whose root is that of the store. It can be pickled.
        sources: One per run, or per part of a pack that is selected as a whole.
        schema: The columns of the schema, then the `handle_*` columns of any file.
    """

    table: str
    filesystem: pafs.FileSystem
    sources: tuple[Source, ...]
    schema: pa.Schema

    def dataset(self) -> ds.Dataset:
        """Return the files as one dataset; a column that a file lacks is null there."""
        fragments = [
            _FORMAT.make_fragment(source.file, self.filesystem, self._condition(source))
            for source in self.sources
        ]
        return ds.FileSystemDataset(fragments, self.schema, _FORMAT, self.filesystem)

    def _condition(self, source: Source) -> ds.Expression | None:
        """Return a condition that all rows of a file meet, so that Arrow can skip the file.

        It also gives `raw` its column `run_id`, which the files of packs have. Issues have no
        condition: their run may be null.
        """
        if self.table == "issues" or source.run_id is None:
            return None
        return ds.field("run_id") == source.run_id


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
    packs: Packs | None = None,
) -> list[Manifest]:
    """Return the newest revision of each run, by experiment and then by when the run was created.

    Args:
        storage: The files of the store.
        experiment_id: One id or several; None is all.
        run_id: One id or several, of which only their manifests are read; None is all. An id that
            the store does not have is ignored.
        since: Only runs created at or after this, a datetime or ISO 8601 text with a time zone. A
            run without a creation time is left out by this and by `until`.
        until: Only runs created before this.
        packs: The packs of the store, to be given to `select` too, so that they are opened once.

    Raises:
        TypeError, ValueError: If an id is not text, or a time is not valid or has no time zone.
        SnapshotCorruptError: If the manifest of a run asked for is damaged; where all are asked
            for it is left out, with a warning.
    """
    catalog = Catalog(storage, packs)
    experiments, runs = _wanted(experiment_id, "experiment_id"), _wanted(run_id, "run_id")
    begin, end = parse_moment(since, "since"), parse_moment(until, "until")
    found = catalog.all() if runs is None else filter(None, map(catalog.newest, runs))
    kept = [
        manifest
        for manifest in found
        if (experiments is None or manifest.experiment_id in experiments)
        and _is_between(manifest.run_created_at, begin, end)
    ]
    return sorted(kept, key=lambda one: (one.experiment_id, one.run_created_at or "", one.run_id))


def select(
    storage: Storage, manifests: list[Manifest], table: str, packs: Packs | None = None
) -> Selection:
    """Return the files of a table for these revisions.

    Raises:
        SnapshotCorruptError: If a file is missing, or of `jobs` cannot be read.
    """
    filesystem, packs = _filesystem(storage), packs or Packs(storage)
    sources = tuple(_sources(storage, packs, manifests, table))
    schema = arrow_schema(TABLES[table])
    if table == "jobs":
        # a file has the handle columns of its run; all other tables have the same columns always
        workers = 1 if isinstance(storage, LocalStorage) else _CONCURRENT_READS
        for columns in map_in_order(_reader(filesystem), sources, workers=workers):
            for name in columns:
                if name not in schema.names:
                    schema = schema.append(pa.field(name, STRING))
    elif table == "raw":
        schema = schema.insert(0, _RUN_ID)
    return Selection(table, filesystem, sources, schema)


def _sources(
    storage: Storage, packs: Packs, manifests: list[Manifest], table: str
) -> Iterator[Source]:
    """Yield the file of each revision, or of several in a pack, archived or not."""
    names = cache(lambda folder: frozenset(storage.names(folder)))

    def found(entry: FileEntry) -> str | None:
        folder, _, name = entry.name.partition("/")
        places = (f"{table}/{folder}", f"archive/{table}/{folder}")
        return next((f"{place}/{name}" for place in places if name in names(place)), None)

    for part, runs in in_parts(packs, manifests):
        entry = None if part is None else part.files.get(table)
        if entry is not None and entry.schema_version == VERSIONS[table]:
            file = found(entry)
            if file is not None:
                yield Source(file, None, entry.rows, entry.size)
                continue
        # the runs' own files have the same rows as the pack
        for run in runs:
            # a table that the library did not have when it wrote the revision has no rows
            if (entry := run.files.get(table)) is not None:
                _check_version(entry, run, table)
                # it may have been moved between the two looks
                file = found(entry) or _present(storage, f"{table}/{entry.name}", run)
                yield Source(file, run.run_id, entry.rows, entry.size)


def _check_version(entry: FileEntry, manifest: Manifest, table: str) -> None:
    """Refuse columns of another version, which are upgraded a run at a time, not here."""
    if entry.schema_version != VERSIONS[table]:
        raise SnapshotError(
            f"run {printable(manifest.run_id)} has version {entry.schema_version} of the table "
            f"{table}, a scan reads only version {VERSIONS[table]}: "
            + (
                "upgrade retab-frames"
                if entry.schema_version > VERSIONS[table]
                else "pull the run again, or use SnapshotStore.read"
            )
        )


def _present(storage: Storage, file: str, manifest: Manifest) -> str:
    try:
        storage.size(file)
    except FileNotFoundError:
        raise SnapshotCorruptError(
            f"{file} of run {printable(manifest.run_id)} is missing; pull the run again, or "
            "restore the file",
            file=file,
        ) from None
    return file


def _reader(filesystem: pafs.FileSystem) -> Callable[[Source], list[str]]:
    """Return a function that reads the names of the columns of a file."""

    def columns(source: Source) -> list[str]:
        try:
            with filesystem.open_input_file(source.file) as file:
                names: list[str] = pq.read_schema(file).names
        except (pa.ArrowException, OSError) as error:
            reason = printable(error, 200)
        else:
            return names
        packed = source.run_id is None
        of = "" if packed else f" of run {printable(source.run_id)}"
        remedy = "compact the experiment again" if packed else "pull the run again"
        raise SnapshotCorruptError(
            f"{source.file}{of} is damaged: {reason}; {remedy}, or restore the file",
            file=source.file,
        )

    return columns


def _wanted(ids: Ids, name: str) -> list[str] | None:
    """Return the ids, each once."""
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


def _filesystem(storage: Storage) -> pafs.FileSystem:
    if isinstance(storage, LocalStorage):
        return pafs.SubTreeFileSystem(str(Path(storage.root).absolute()), pafs.LocalFileSystem())
    return pafs.PyFileSystem(_StorageHandler(storage))


class _StorageHandler(pafs.FileSystemHandler):  # type: ignore[misc]
    """Lets Arrow read the files of any storage, each as a whole; everything else is refused."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _StorageHandler) and str(other._storage) == str(self._storage)

    def __hash__(self) -> int:
        return hash(str(self._storage))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by URL: another process has settings of its own."""
        return _handler, (str(self._storage),)

    def get_type_name(self) -> str:
        return "retab-frames"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[pafs.FileInfo]:
        kind = pafs.FileType.File
        return [pafs.FileInfo(path, kind, size=self._storage.size(path)) for path in paths]

    def open_input_file(self, path: str) -> pa.NativeFile:
        return pa.BufferReader(self._storage.read(path))

    open_input_stream = open_input_file

    def _refused(self, *_arguments: Any, **_options: Any) -> Any:
        raise OSError(f"{self._storage} is open for reading only")

    get_file_info_selector = create_dir = delete_dir = delete_dir_contents = _refused
    delete_root_dir_contents = delete_file = move = copy_file = _refused
    open_output_stream = open_append_stream = _refused


def _handler(url: str) -> _StorageHandler:
    return _StorageHandler(open_storage(url))
