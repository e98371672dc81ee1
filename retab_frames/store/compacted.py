"""Compacted runs: files with the rows of many runs, and the index that says which runs those are.

    <root>/compacted/<experiment>.json                       the index
    <root>/compacted/parts/<experiment>/<table>-<hash>.parquet   its files, never changed
    <root>/compacted/<table>/<experiment>/<n>.parquet        the same files, for plain readers

All of it is derived from `revisions/`, and can be deleted at any time. A part replaces the files of
its runs only while all of them are what the index says: the seal of its manifest identifies a
revision. To compare 2,000 seals means to read 2,000 manifests, so the index also has the time at
which each run's folder last changed: a manifest is never changed in place, so as long as that time
is the same, the newest revision is the same.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa

from retab_frames.errors import SnapshotError
from retab_frames.schemas.frames import STRING
from retab_frames.store.files.local import LocalStorage
from retab_frames.store.manifest import (
    FOLDER,
    FileEntry,
    Hash,
    Identifier,
    Revision,
    check_seal,
    data_name,
    folder_name,
)
from retab_frames.store.table_versions import TABLES, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retab_frames.store.files.storage import Storage
    from retab_frames.store.manifest import Manifest

__all__ = [
    "COMPACTED",
    "INDEX",
    "RUN_ID",
    "Index",
    "Part",
    "RunMark",
    "change_times",
    "has_settled",
    "index_name",
    "indexes",
    "part_path",
    "parts_folder",
    "read_index",
    "run_order",
    "unused_parts",
    "view_path",
    "views_of",
]

COMPACTED = "compacted"
RUN_ID = pa.field("run_id", STRING, nullable=False)
"""The column of `raw` that its files of one run lack."""
FORMAT = "retab-frames-compacted"
VERSION = 1
_MOST_BYTES = 2**28
"""Of an index; a larger one is not read."""
_REMEDY = "compact the experiment again"
INDEX = re.compile(r"([a-z0-9][a-z0-9_-]*-[0-9a-f]{16})\.json")
_PART = re.compile(r"[a-z_]+-[0-9a-f]{16}\.parquet")


class RunMark(msgspec.Struct, frozen=True):
    """A run of a part, and the revision whose rows the part has.

    Attributes:
        run_id: The run.
        folder: The name of its folder in `revisions/`.
        run_created_at: When it was created, as its manifest has it: the order of the runs.
        seal: The seal of the manifest of the revision.
        changed: When the folder of the run last changed, in nanoseconds; 0 if that is unknown.
    """

    run_id: Identifier
    folder: str
    run_created_at: str | None
    seal: Hash
    changed: int


class Part(msgspec.Struct, frozen=True):
    """Runs that follow one another in the order of `SnapshotStore.list`, and their rows.

    Attributes:
        number: Under which plain readers find its files.
        runs: The runs, in the order of their rows.
        files: The file of each table that has rows.
    """

    number: Revision
    runs: tuple[RunMark, ...]
    files: dict[str, FileEntry]

    @property
    def seals(self) -> list[str]:
        """The seal of each run."""
        return [run.seal for run in self.runs]


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of an experiment, in the order of their runs."""

    format: str = FORMAT
    version: int = VERSION
    experiment_id: Identifier
    parts: tuple[Part, ...]
    library: str
    seal: str = ""


def run_order(run: Manifest | RunMark) -> tuple[float, str]:
    """Return by what the runs of an experiment are ordered: when each was created, and its id.

    Raises:
        ValueError: If the time is not valid, or has no zone.
    """
    if run.run_created_at is None:
        return -inf, run.run_id
    created = datetime.fromisoformat(run.run_created_at)
    if created.tzinfo is None:
        raise ValueError(run.run_created_at)
    return created.timestamp(), run.run_id


def index_name(folder: str) -> str:
    """Return the name of the index of an experiment, by the name of the experiment's folder."""
    return f"{COMPACTED}/{folder}.json"


def parts_folder(folder: str) -> str:
    """Return the folder of the files of an experiment's parts."""
    return f"{COMPACTED}/parts/{folder}"


def part_path(experiment_id: str, entry: FileEntry) -> str:
    """Return the name, from the root, of a file of a part."""
    return f"{parts_folder(folder_name(experiment_id))}/{entry.name}"


def view_path(experiment_id: str, table: str, number: int) -> str:
    """Return the name, from the root, under which plain readers find a table of a part."""
    return f"{COMPACTED}/{table}/{folder_name(experiment_id)}/{number:06}.parquet"


def views_of(index: Index) -> Iterator[str]:
    """Yield the names under which plain readers find the parts."""
    for part in index.parts:
        for table in part.files:
            yield view_path(index.experiment_id, table, part.number)


def read_index(files: Storage, folder: str) -> Index | None:
    """Return the index of an experiment; None if there is none that can be used.

    One that is damaged, or from another version of this library, is as good as none: the runs are
    read from their own files.
    """
    name = index_name(folder)
    try:
        text = files.read(name, _MOST_BYTES)
        index = _decoder.decode(check_seal(text, name, FORMAT, VERSION, _REMEDY))
    except (FileNotFoundError, SnapshotError, msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return index if _is_valid(index, folder) else None


_decoder = msgspec.json.Decoder(Index)


def _is_valid(index: Index, folder: str) -> bool:
    """Return whether an index is in its own place, and names files of its own alone.

    Anyone can compute a seal that matches: no file elsewhere may be read or removed.
    """
    numbers = [part.number for part in index.parts]
    runs = [run for part in index.parts for run in part.runs]
    try:
        orders = [run_order(run) for run in runs]
    except (ValueError, OverflowError):
        return False
    return (
        index.format == FORMAT
        and folder_name(index.experiment_id) == folder
        and len(set(numbers)) == len(numbers)
        and all(part.runs for part in index.parts)
        and all(before < after for before, after in pairwise(orders))
        and all(
            table in TABLES
            and entry.name == data_name(table, entry.sha256)
            and entry.schema_version == VERSIONS[table]
            for part in index.parts
            for table, entry in part.files.items()
        )
    )


def indexes(files: Storage) -> Iterator[Index]:
    """Yield the index of each experiment that has one that can be used."""
    with suppress(SnapshotError):
        for name in files.names(COMPACTED):
            match = INDEX.fullmatch(name)
            index = read_index(files, match[1]) if match else None
            if index is not None:
                yield index


def change_times(files: Storage) -> dict[str, int]:
    """Return when the folder of each run last changed, in nanoseconds; nothing for a bucket."""
    if not isinstance(files, LocalStorage):
        return {}
    try:
        return files.change_times(FOLDER)
    except SnapshotError:
        return {}


def has_settled(changed: int, now: int) -> bool:
    """Return whether a folder changed so long ago that another change would show in its time.

    File systems round times, some to seconds. Both are in nanoseconds.
    """
    return now - changed > (_COARSE_TICK if changed % 10**9 == 0 else _TICK)


_TICK, _COARSE_TICK = 100_000_000, 3_000_000_000


def unused_parts(files: Storage, folder: str | None = None) -> Iterator[str]:
    """Yield the files of parts that no index names; a scan from before may still read them.

    Args:
        files: The files of the store.
        folder: That of an experiment; None for all.
    """
    for one in files.names(f"{COMPACTED}/parts") if folder is None else [folder]:
        # the names first: a file that comes later is not yielded
        names = files.names(parts_folder(one))
        index = read_index(files, one)
        used = {
            entry.name for part in (index.parts if index else ()) for entry in part.files.values()
        }
        yield from (
            f"{parts_folder(one)}/{name}"
            for name in names
            if _PART.fullmatch(name) and name not in used
        )
