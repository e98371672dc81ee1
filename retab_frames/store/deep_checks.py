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
from retab_frames.flatten.tables import flatten
from retab_frames.schemas.models import empty_table
from retab_frames.store.catalog import Catalog
from retab_frames.store.compacted import RUN_ID, part_path
from retab_frames.store.manifest import (
    DIGEST_KEYS,
    content_digest,
    library,
    manifest_name,
    sha256,
)
from retab_frames.store.parquet import decode
from retab_frames.store.table_versions import TABLES, upgrade
from retab_frames.store.tables import read_stored, read_table
from retab_frames.text.messages import printable
from retab_frames.wire.envelopes import RunResponses, parse_rows_response

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from retab_frames.flatten.run_tables import Tables
    from retab_frames.store.compacted import Index, Part
    from retab_frames.store.files.storage import Storage
    from retab_frames.store.manifest import Manifest

__all__ = ["content_problems", "file_problem", "part_problems"]

_MADE = ("jobs", "handle_inputs", "handle_outputs")
_IN_RAW = "nothing is lost, the raw rows are in `raw`; "
_REPORT = _IN_RAW + "report it, with the text of the problem"
_PULL_AGAIN = _IN_RAW + "pull the run again with refresh for a revision by this version"


def file_problem(files: Storage, manifest: Manifest, table: str, level: str) -> str | None:
    """Return how a data file differs from its entry in the manifest; None if it does not.

    At level "quick" only its size is compared.

    Raises:
        SnapshotError: If it cannot be read.
    """
    entry, file = manifest.files[table], manifest.path_of(table)
    try:
        size = files.size(file)
        if size != entry.size:
            return f"has {size:,} bytes instead of {entry.size:,}"
        if level != "quick" and sha256(files.read(file, entry.size)) != entry.sha256:
            return "is altered: its SHA-256 is not the one in its manifest"
    except FileNotFoundError:
        return "is missing"
    return None


def content_problems(files: Storage, manifest: Manifest) -> Iterator[tuple[str, str, str, str]]:
    """Yield file, kind, problem and action of each problem in the content of a revision.

    Every page is decoded with its checksum; rows, columns and the digest of the content are
    compared with the manifest, and the frames with those built from the raw rows. An empty action
    stands for the usual one of the kind.
    """
    stored = {table: empty_table(model) for table, model in TABLES.items()}
    upgraded = dict(stored)
    has_problem = False
    for table, entry in manifest.files.items():
        file = manifest.path_of(table)
        try:
            stored[table] = data = read_stored(files, manifest, table)
            known = table in TABLES
            upgraded[table] = upgrade(data, table, entry.schema_version, file) if known else data
        except SnapshotError as error:
            has_problem = True
            kind = "damaged" if isinstance(error, SnapshotCorruptError) else "newer"
            yield file, kind, printable(str(error), 400), ""
    if has_problem:
        return
    try:
        digest = content_digest(stored, DIGEST_KEYS, complete=manifest.complete)
    except (pa.ArrowException, KeyError):
        # columns that the digest needs are missing, or cannot be put in order
        digest = "none"
    if digest != manifest.digest:
        file = manifest_name(manifest.run_id, manifest.revision)
        yield file, "damaged", "has a different digest than the content of its tables", ""
    yield from _rebuild_problems(upgraded, manifest)


def _rebuild_problems(
    stored: Mapping[str, pa.Table], manifest: Manifest
) -> Iterator[tuple[str, str, str, str]]:
    try:
        differences = _differences(stored, _rebuild(stored["raw"], manifest))
    except MalformedResponseError as error:
        differences = {"raw": f"are refused: {printable(str(error), 200)}"}
    same = manifest.library == library()
    manifest_file = manifest_name(manifest.run_id, manifest.revision)
    writer = "" if same else f"; {manifest.library} wrote it, this is {library()}"
    for table, difference in differences.items():
        problem = f"built again from the raw rows: {difference}{writer}"
        name = table if table in manifest.files else "raw"
        file = manifest.path_of(name) if name in manifest.files else manifest_file
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


def part_problems(files: Storage, index: Index, level: str) -> Iterator[tuple[str, str]]:
    """Yield each file of the compacted parts that is not what the index says, and how it differs.

    At level "full" the rows of each run are compared with those in its own file.
    """
    for part in index.parts:
        for table, entry in part.files.items():
            file = part_path(index.experiment_id, entry)
            try:
                data = b"" if level == "quick" else files.read(file, entry.size)
                if files.size(file) != entry.size:
                    yield file, f"has {files.size(file):,} bytes instead of {entry.size:,}"
                elif level != "quick" and sha256(data) != entry.sha256:
                    yield file, "is altered: its SHA-256 is not the one in the index"
                elif level == "full" and (problem := _compare_rows(files, part, table, data)):
                    yield file, problem
            except FileNotFoundError:
                yield file, "is missing"
            except SnapshotError as error:
                yield file, printable(str(error), 400)


def _compare_rows(files: Storage, part: Part, table: str, data: bytes) -> str | None:
    """Return which run has other rows in a part than in its own file, None if none has.

    Raises:
        SnapshotCorruptError: If the file of the part cannot be decoded.
    """
    entry = part.files[table]
    rows = decode(data, entry.name, entry.rows)
    begin = 0
    for mark in part.runs:
        try:
            manifest = Catalog(files).newest(mark.run_id)
            if manifest is None or manifest.seal != mark.seal:
                # revised or removed since: the part is out of date, and not read
                return None
            own = read_table(files, manifest, table)
        except SnapshotError:
            # which is a problem of the run
            return None
        found = rows.slice(begin, len(own))
        if len(found) < len(own) or not _has_rows(found, own):
            return f"has other rows of run {printable(mark.run_id)} than the run's own file"
        begin += len(own)
    return None if begin == len(rows) else f"has {len(rows)} rows instead of {begin}"


def _has_rows(found: pa.Table, own: pa.Table) -> bool:
    """Return whether the columns of a run are equal, and the others empty; not run_id of `raw`."""
    if any(name not in found.column_names for name in own.column_names):
        return False
    more = [name for name in found.column_names if name not in own.column_names]
    if any(found.column(name).null_count < len(found) for name in more if name != RUN_ID.name):
        return False
    return bool(found.select(own.column_names).cast(own.schema).equals(own))
