"""The checks of `verify` that read files: hashes, rows, digests, and frames built again.

The frames are built again from the raw rows, and compared with those that are stored. If they are
equal, nothing was lost on the way into the file, and the raw rows are enough to build the frames of
any later version.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.errors import MalformedResponseError, SnapshotCorruptError, SnapshotError
from retab_frames.flatten.run_rows import RunResponses
from retab_frames.flatten.tables import flatten
from retab_frames.store.catalog import manifest_name
from retab_frames.store.compaction import read_rows
from retab_frames.store.manifest import DIGEST_KEYS, content_digest, library, sha256
from retab_frames.store.parquet import decode
from retab_frames.store.revisions import ARCHIVE
from retab_frames.store.table_versions import TABLES, upgrade
from retab_frames.text.messages import printable
from retab_frames.wire.envelopes import parse_rows_response

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from retab_frames.flatten.batches import Tables
    from retab_frames.store.manifest import FileEntry, Manifest
    from retab_frames.store.packs import Pack, Part
    from retab_frames.store.revisions import RevisionFiles

__all__ = ["content_problems", "file_problem", "pack_problems"]

_MADE = ("jobs", "handle_inputs", "handle_outputs")
_IN_RAW = "nothing is lost, the raw rows are in `raw`; "
_REPORT = _IN_RAW + "report it, with the text of the problem"
_PULL_AGAIN = _IN_RAW + "pull the run again for a revision by this version"


def file_problem(
    tables: RevisionFiles, file: str, entry: FileEntry, level: str, source: str
) -> str | None:
    """Return how a file differs from its entry in a manifest or an index; None if it does not.

    At level "quick" only its size is compared.

    Args:
        tables: The files of the store.
        file: Its name from the root.
        entry: The size and hash that it must have.
        level: As in `SnapshotStore.verify`.
        source: What the entry is in, for the message.

    Raises:
        SnapshotError: If it cannot be read.
    """
    # again in the first place at the end: it may have been moved there between the two looks
    sizes = (tables.size(place + file) for place in ("", ARCHIVE, ""))
    size = next((size for size in sizes if size is not None), None)
    if size is None:
        return "is missing"
    if size != entry.size:
        return f"has {size:,} bytes instead of {entry.size:,}"
    if level == "quick":
        return None
    data = tables.find(file)
    if data is None or sha256(data) != entry.sha256:
        return f"is altered: its SHA-256 is not the one in {source}"
    return None


def content_problems(
    tables: RevisionFiles, manifest: Manifest
) -> Iterator[tuple[str, str, str, str]]:
    """Yield file, kind, problem and action of each problem in the content of a revision.

    Every page is decoded with its checksum; rows, columns and the digest of the content are
    compared with the manifest, and the frames with those built from the raw rows. An empty action
    stands for the usual one of the kind.
    """
    stored, upgraded = {}, {}
    for table, entry in manifest.files.items():
        file = f"{table}/{entry.name}"
        try:
            stored[table] = data = tables.read_stored(table, manifest)
            known = table in TABLES
            upgraded[table] = upgrade(data, table, entry.schema_version, file) if known else data
        except SnapshotError as error:
            kind = "damaged" if isinstance(error, SnapshotCorruptError) else "newer"
            yield file, kind, printable(str(error), 400), ""
            continue
        if len(data) != entry.rows:
            yield file, "damaged", f"has {len(data)} rows instead of {entry.rows}", ""
    if len(upgraded) < len(manifest.files):
        return
    keys = {table: columns for table, columns in DIGEST_KEYS.items() if table in stored}
    if content_digest(stored, keys, complete=manifest.complete) != manifest.digest:
        file = manifest_name(manifest.run_id, manifest.revision)
        yield file, "damaged", "has a different digest than the content of its tables", ""
    if upgraded.keys() >= {"raw", *_MADE}:
        yield from _rebuild_problems(upgraded, manifest)


def _rebuild_problems(
    stored: Mapping[str, pa.Table], manifest: Manifest
) -> Iterator[tuple[str, str, str, str]]:
    try:
        differences = _differences(stored, _rebuild(stored["raw"], manifest))
    except MalformedResponseError as error:
        differences = {"raw": f"are refused: {printable(str(error), 200)}"}
    same = manifest.library == library()
    writer = "" if same else f"; {manifest.library} wrote it, this is {library()}"
    for table, difference in differences.items():
        problem = f"built again from the raw rows: {difference}{writer}"
        file = f"{table}/{manifest.files[table].name}"
        yield file, "differs", problem, _REPORT if same else _PULL_AGAIN


def _rebuild(raw: pa.Table, manifest: Manifest) -> Tables:
    """Return the tables that this version builds from the raw rows of a revision.

    Raises:
        MalformedResponseError: If a row contradicts the contract of the API.
    """
    ids = {"experiment_id": manifest.experiment_id, "run_id": manifest.run_id}
    rows = ",".join(raw.sort_by("position").column("body").to_pylist())
    # an envelope, because rows of an earlier run may be among them
    head = msgspec.json.encode(ids).decode().removesuffix("}")
    response = parse_rows_response(f'{head},"content":{{"jobs":[{rows}]}}}}'.encode())
    at = manifest.fetched_at
    source = RunResponses(
        manifest.workflow_id,
        manifest.experiment_id,
        manifest.run_id,
        (response,),
        None if at is None else datetime.fromisoformat(at),
    )
    return flatten([source])


def _differences(stored: Mapping[str, pa.Table], made: Tables) -> dict[str, str]:
    """Return for each table that differs the first difference.

    The issues are left out: they depend on the version that read the rows.
    """
    found = ((name, _difference(stored[name], getattr(made, name))) for name in _MADE)
    return {name: difference for name, difference in found if difference is not None}


def _difference(stored: pa.Table, made: pa.Table) -> str | None:
    if len(stored) != len(made):
        return f"{len(made)} rows instead of {len(stored)}"
    other = set(stored.column_names) ^ set(made.column_names)
    if other:
        return f"the column {printable(min(other))} is on one side only"
    for name in made.column_names:
        theirs, ours = stored.column(name), made.column(name)
        if not theirs.equals(ours):
            return f"row {_first_difference(theirs, ours)} has a different {printable(name)}"
    return None


def _first_difference(one: pa.ChunkedArray, other: pa.ChunkedArray) -> int:
    """Return the index of the first value that is not equal; null equals null."""
    equal = pc.fill_null(pc.equal(one, other), fill_value=False)
    same = pc.or_(equal, pc.and_(pc.is_null(one), pc.is_null(other)))
    index: int = pc.index(same, pa.scalar(value=False)).as_py()
    return index


def pack_problems(tables: RevisionFiles, pack: Pack, level: str) -> Iterator[tuple[str, str]]:
    """Yield each file of a pack that is not what the index says, and what is wrong with it.

    At level "full" its rows are compared with those of the runs.
    """
    for part in pack.parts:
        for table, entry in part.files.items():
            file = f"{table}/{entry.name}"
            try:
                problem = file_problem(tables, file, entry, level, "the index of its pack")
                if problem is None and level == "full":
                    problem = _compare_rows(tables, table, part)
            except SnapshotError as error:
                problem = printable(str(error), 400)
            if problem is not None:
                yield file, problem


def _compare_rows(tables: RevisionFiles, table: str, part: Part) -> str | None:
    """Compare the rows of each run with those in its own file.

    Raises:
        SnapshotCorruptError: If the file cannot be decoded.
    """
    entry = part.files[table]
    packed = decode(tables.find(f"{table}/{entry.name}") or b"", entry.name)
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
        own = read_rows(tables, table, manifest)
    except SnapshotError:
        # the run's own file is damaged, which is a problem of the run
        return True
    more = [name for name in packed.column_names if name not in own.column_names]
    if any(packed.column(name).null_count != packed.num_rows for name in more):
        return False
    if any(name not in packed.column_names for name in own.column_names):
        return False
    return bool(packed.select(own.column_names).cast(own.schema).equals(own))
