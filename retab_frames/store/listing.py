"""The rows of `SnapshotStore.list`, and a copy of them that spares opening every manifest.

    <root>/listing.parquet    a row per run: that of the list, its folder, and when that changed

A manifest is never changed in place, so as long as the folder of a run did not change, its row is
the same. The copy is derived, and can be deleted at any time: `list` writes it where it had to open
many manifests, and `remove` deletes it.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.errors import RetabFramesError, SnapshotError
from retab_frames.schemas.frames import INT64, STRING
from retab_frames.schemas.models import SnapshotsSchema, arrow_schema
from retab_frames.schemas.validation import to_frame
from retab_frames.store.compacted import change_times, has_settled
from retab_frames.store.labels import labels_by_run
from retab_frames.store.manifest import folder_name
from retab_frames.store.parquet import decode, encode

if TYPE_CHECKING:
    from retab_frames.store.catalog import Catalog
    from retab_frames.store.files.storage import Storage
    from retab_frames.store.manifest import Manifest

__all__ = ["delete_listing", "list_runs"]

_NAME = "listing.parquet"
_MOST_BYTES = 2**28
"""Of the copy; a larger one is not read."""
_WORTH_A_COPY = 500
_LABELS = "labels"
_FOLDER, _CHANGED = pa.field("folder", STRING), pa.field("changed", INT64)
_OURS = re.compile(r"(\.listing\.parquet\.[0-9a-f]{32}\.tmp|listing\.parquet)")


def list_runs(files: Storage, catalog: Catalog, *, worth_a_copy: int = _WORTH_A_COPY) -> pa.Table:
    """Return the newest revisions, by experiment and then by when the run was created.

    A run whose manifest is damaged is left out, with a warning.

    Args:
        files: The files of the store.
        catalog: Its manifests.
        worth_a_copy: So many manifests must have been opened for the copy to be written.
    """
    catalog.check_marker()
    began, times = time.monotonic(), change_times(files)
    known = _read(files, times)
    manifests = list(catalog.all(but=set(known.column(_FOLDER.name).to_pylist())))
    if manifests:
        rows = [_row(one, times.get(one.folder, 0)) for one in manifests]
        known = pa.concat_tables([known, pa.Table.from_pylist(rows, schema=known.schema)])
        known = known.take(_order(known))
    if len(manifests) >= worth_a_copy and times:
        # readers of a store that they cannot write open the manifests each time
        with suppress(SnapshotError):
            _write(files, catalog, known, began)
    labels = labels_by_run(files)
    texts = [", ".join(labels.get(one, ())) or None for one in known.column("run_id").to_pylist()]
    place = known.schema.get_field_index(_LABELS)
    known = known.set_column(place, known.schema.field(place), pa.array(texts, STRING))
    return known.drop_columns([_FOLDER.name, _CHANGED.name])


def delete_listing(files: Storage) -> None:
    """Delete the copy, and what a writer of it left that was killed; `list` makes it again."""
    for name in files.names(""):
        if _OURS.fullmatch(name):
            files.delete(name)
    files.flush_folder("")


def _read(files: Storage, times: dict[str, int]) -> pa.Table:
    """Return the rows of the copy whose folders did not change since; none if it is not right."""
    schema = pa.schema([*arrow_schema(SnapshotsSchema), _FOLDER, _CHANGED])
    try:
        found = decode(files.read(_NAME, _MOST_BYTES), _NAME) if times else schema.empty_table()
        found = found.cast(schema)
        to_frame(found.select(arrow_schema(SnapshotsSchema).names), SnapshotsSchema)
    except (FileNotFoundError, RetabFramesError, pa.ArrowException, ValueError):
        return schema.empty_table()
    folders, runs, changed = (
        found.column(name).to_pylist() for name in (_FOLDER.name, "run_id", _CHANGED.name)
    )
    is_right = [
        when and times.get(folder) == when and folder_name(run) == folder
        for folder, run, when in zip(folders, runs, changed, strict=True)
    ]
    return found.filter(pa.array(map(bool, is_right), pa.bool_()))


def _order(listed: pa.Table) -> pa.Array:
    """Return the rows by experiment, by when the run was created, none first, and by run."""
    names = ("experiment_id", "run_created_at", "run_id")
    keys = listed.select(names)
    # where nulls go is said in another way by every second version of Arrow
    created = pc.fill_null(keys.column(1).cast(INT64), -(2**63))
    keys = keys.set_column(1, names[1], created)
    return pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in names])


def _write(files: Storage, catalog: Catalog, listed: pa.Table, began: float) -> None:
    """Write the rows of folders that a second change since they were looked at would show in."""
    now = int(files.now().timestamp() * 1e9) - int((time.monotonic() - began) * 1e9)
    settled = [has_settled(when, now) for when in listed.column(_CHANGED.name).to_pylist()]
    kept = listed.filter(pa.array(settled, pa.bool_()))
    files.put(_NAME, encode(kept))
    times = change_times(files)
    changed = [
        folder
        for folder, when in zip(*map(kept.column, (_FOLDER.name, _CHANGED.name)), strict=True)
        if times.get(folder.as_py()) != when.as_py()
    ]
    # whoever removes a run changes its folder first, and then looks for a copy to delete
    if any(_is_gone(catalog, folder.as_py()) for folder in changed):
        delete_listing(files)


def _is_gone(catalog: Catalog, folder: str) -> bool:
    last = catalog.last_in(folder)
    return last is None or last.removed


def _row(manifest: Manifest, changed: int) -> dict[str, Any]:
    return {
        "workflow_id": manifest.workflow_id,
        "experiment_id": manifest.experiment_id,
        "run_id": manifest.run_id,
        "block_kind": manifest.block_kind,
        "revision": manifest.revision,
        "complete": manifest.complete,
        "jobs": manifest.jobs,
        "completed": manifest.statuses.get("completed", 0),
        "error": manifest.statuses.get("error", 0),
        "run_created_at": _to_time(manifest.run_created_at),
        "fetched_at": _to_time(manifest.fetched_at),
        "written_at": _to_time(manifest.written_at),
        "size_bytes": sum(entry.size for entry in manifest.files.values()),
        # they can change without the folder of the run, so the copy never has them
        _LABELS: None,
        _FOLDER.name: manifest.folder,
        _CHANGED.name: changed,
    }


def _to_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
