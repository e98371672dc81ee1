"""Whether the tables of a revision say what its manifest says, and what its raw rows say.

The frames are made anew from the rows as they came, and compared with those that are stored. That
they are equal shows that nothing was lost on the way into the file, and that the rows are enough
to make the frames of any later version.
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
from retab_frames.store.manifest import DIGEST_KEYS, content_digest, library
from retab_frames.store.table_versions import TABLES, upgraded
from retab_frames.text.messages import printable
from retab_frames.wire.envelopes import parse_rows_response

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from retab_frames.flatten.batches import Tables
    from retab_frames.store.manifest import Manifest
    from retab_frames.store.revisions import RevisionFiles

__all__ = ["content_problems"]

_MADE = ("jobs", "handle_inputs", "handle_outputs")
_IN_RAW = "nothing is lost, the rows as they came are in `raw`; "
_REPORT = _IN_RAW + "report it, with what the problem says"
_AGAIN = _IN_RAW + "pull the run again for a revision as this version reads them"


def content_problems(
    tables: RevisionFiles, manifest: Manifest
) -> Iterator[tuple[str, str, str, str]]:
    """Yield file, kind, problem and action of what is wrong with the content of a revision.

    Every page is decoded with its checksum; rows, columns and the digest of the content are
    compared with the manifest, and the frames with those that the raw rows make. An empty action
    is that of the kind.
    """
    stored, today = {}, {}
    for table, entry in manifest.files.items():
        file = f"{table}/{entry.name}"
        try:
            stored[table] = data = tables.stored(table, manifest)
            known = table in TABLES
            today[table] = upgraded(data, table, entry.schema_version, file) if known else data
        except SnapshotError as error:
            kind = "damaged" if isinstance(error, SnapshotCorruptError) else "newer"
            yield file, kind, printable(str(error), 400), ""
            continue
        if len(data) != entry.rows:
            yield file, "damaged", f"has {len(data)} rows instead of {entry.rows}", ""
    if len(today) < len(manifest.files):
        return
    keys = {table: columns for table, columns in DIGEST_KEYS.items() if table in stored}
    if content_digest(stored, keys, complete=manifest.complete) != manifest.digest:
        file = manifest_name(manifest.run_id, manifest.revision)
        yield file, "damaged", "has another digest than the content of its tables", ""
    if today.keys() >= {"raw", *_MADE}:
        yield from _rebuild_problems(today, manifest)


def _rebuild_problems(
    stored: Mapping[str, pa.Table], manifest: Manifest
) -> Iterator[tuple[str, str, str, str]]:
    try:
        found = _differences(stored, _rebuilt(stored["raw"], manifest))
    except MalformedResponseError as error:
        found = {"raw": f"are refused: {printable(str(error), 200)}"}
    same = manifest.library == library()
    writer = "" if same else f"; {manifest.library} wrote it, this is {library()}"
    for table, difference in found.items():
        problem = f"made anew from the rows as they came: {difference}{writer}"
        file = f"{table}/{manifest.files[table].name}"
        yield file, "differs", problem, _REPORT if same else _AGAIN


def _rebuilt(raw: pa.Table, manifest: Manifest) -> Tables:
    """Return the tables that the rows of a revision make today.

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

    The issues are left out: they tell how the version that wrote them read the rows.
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
            return f"row {_first_other(theirs, ours)} has another {printable(name)}"
    return None


def _first_other(one: pa.ChunkedArray, other: pa.ChunkedArray) -> int:
    """Return the index of the first value that is not equal; null equals null."""
    equal = pc.fill_null(pc.equal(one, other), fill_value=False)
    same = pc.or_(equal, pc.and_(pc.is_null(one), pc.is_null(other)))
    index: int = pc.index(same, pa.scalar(value=False)).as_py()
    return index
