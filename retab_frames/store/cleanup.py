"""Deleting what no reader needs: leftovers of crashes, removed runs, and old revisions.

Nothing is ever deleted but files whose whole name, from the root, is one that this library gives.
Each function returns a frame of what it did, or of what it would do.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from retab_frames.errors import SnapshotError, SnapshotNotFoundError, SnapshotWriteError
from retab_frames.schemas.frames import INT64, STRING, TIME, frame_of
from retab_frames.store.catalog import Catalog
from retab_frames.store.compacted import COMPACTED, unused_parts
from retab_frames.store.compaction import drop_run
from retab_frames.store.labels import LABELS, label_files_of_run
from retab_frames.store.manifest import FOLDER, Manifest, folder_name
from retab_frames.store.removal import finish_removal, mark_removed, own_files, views_of_run
from retab_frames.store.table_versions import TABLES
from retab_frames.store.views import VIEW, find_orphans, find_stale, write_view
from retab_frames.text.messages import printable
from retab_frames.text.next_steps import LIST_STORED, PULL

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from retab_frames.store.files.storage import Storage

__all__ = ["clean", "find_leftovers", "prune", "publish", "remove"]

_SCHEMA = pa.schema(
    {
        "file": STRING,
        "size_bytes": INT64,
        "modified_at": TIME,
        "problem": STRING,
        "action": STRING,
    }
)
_RUN = r"[a-z0-9][a-z0-9_-]*-[0-9a-f]{16}"
_DATA = re.compile(rf"{FOLDER}/({_RUN})/[a-z][a-z_]*-[0-9a-f]{{16}}\.parquet")
_PART = re.compile(rf"compacted/parts/({_RUN})/[a-z][a-z_]*-[0-9a-f]{{16}}\.parquet")
_TEMPORARY = re.compile(
    rf"({FOLDER}/{_RUN}/\.([0-9]{{6,9}}\.json|[a-z][a-z_]*-[0-9a-f]{{16}}\.parquet)"
    rf"|({'|'.join(TABLES)})/{_RUN}/\.{_RUN}\.parquet"
    rf"|{LABELS}/{_RUN}/\.{_RUN}\.json"
    r"|compacted/([a-z0-9_-]+/){0,2}\.[a-z0-9_-]+\.(json|parquet)"
    r"|\.(clock|retab-frames\.json|listing\.parquet))\.[0-9a-f]{32}\.tmp"
)
_CUT_SHORT = "is what a write that was cut short left"
_UNNAMED = "is named by no manifest"


def clean(files: Storage, *, older_than: timedelta, dry_run: bool) -> pd.DataFrame:
    """Delete what crashes and interrupted calls left behind; see `SnapshotStore.clean`."""
    if not isinstance(older_than, timedelta):
        raise TypeError(f"older_than takes a timedelta, not {type(older_than).__name__}")
    catalog = _open(files)
    limit = _now(files, dry_run=dry_run) - older_than
    rows = []
    for name, problem in find_leftovers(files, catalog):
        row = _describe(files, name, problem)
        if row is None:
            continue
        if not _is_older(files, name, limit):
            row["action"] = "kept: it is young, and may be in use"
        elif dry_run:
            row["action"] = "would be removed"
        else:
            row["action"] = _delete_leftover(files, catalog, name, limit)
        rows.append(row)
    for removed in _removed_runs(catalog):
        rows += _remove_files(files, removed, "is of a run that was removed", dry_run=dry_run)
        if not dry_run:
            finish_removal(files, removed)
    if not dry_run:
        for folder in catalog.folders():
            # of a first save or of a removal that was cut short
            files.delete_folder(f"{FOLDER}/{folder}", before=limit)
    return _frame(rows)


def find_leftovers(files: Storage, catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Yield the temporary files, and the data files that no manifest names, and which they are."""
    for name in files.names(""):
        if _TEMPORARY.fullmatch(name):
            yield name, _CUT_SHORT
    yield from ((name, "is of no compacted part") for name in unused_parts(files))
    seen: set[str] = set()
    for top in (*TABLES, COMPACTED, LABELS):
        for name in files.walk(top):
            if _TEMPORARY.fullmatch(name):
                yield name, _CUT_SHORT
            elif view := VIEW.fullmatch(name):
                seen.add(view[2])
    for folder in catalog.folders():
        if folder in seen and not catalog.numbers(folder):
            # a view is made after the manifest, so that was there: it may be restored
            continue
        names = [f"{FOLDER}/{folder}/{name}" for name in files.names(f"{FOLDER}/{folder}")]
        yield from ((name, _CUT_SHORT) for name in names if _TEMPORARY.fullmatch(name))
        data = [name for name in names if _DATA.fullmatch(name)]
        # the names before the manifests: what is committed in between is then named
        named = _named(catalog, folder) if data else set()
        if named is not None:
            yield from ((name, _UNNAMED) for name in data if name not in named)


def _named(catalog: Catalog, folder: str) -> set[str] | None:
    """Return the data files that the manifests of a run name; None if one cannot be read."""
    named: set[str] = set()
    for _, found in catalog.revisions(folder):
        if isinstance(found, SnapshotError):
            return None
        named.update(found.path_of(table) for table in found.files)
    return named


def _delete_leftover(files: Storage, catalog: Catalog, name: str, limit: datetime) -> str:
    """Delete a leftover, after another look at its age and the manifests; return what was done."""
    match, part = _DATA.fullmatch(name), _PART.fullmatch(name)
    named = _named(catalog, match[1]) if match else set()
    is_named = named is None or name in named
    is_named = is_named or (part is not None and name not in unused_parts(files, part[1]))
    if is_named or not _is_older(files, name, limit):
        return "kept: it is in use"
    files.delete(name)
    return "removed"


def _is_older(files: Storage, name: str, limit: datetime) -> bool:
    try:
        return files.modified(name) < limit
    except FileNotFoundError:
        return False


def _removed_runs(catalog: Catalog) -> Iterator[Manifest]:
    """Yield the last manifest of each run whose removal was not finished."""
    for folder in catalog.folders():
        try:
            last = catalog.last_in(folder)
        except SnapshotError:
            continue
        if last is not None and last.removed:
            yield last


def remove(files: Storage, run_id: str, *, dry_run: bool) -> pd.DataFrame:
    """Remove a run with all its revisions; see `SnapshotStore.remove`."""
    catalog = _open(files)
    last = catalog.last(run_id)
    if last is None:
        # a removal that was cut short at its very end leaves an empty folder
        files.delete_folder(f"{FOLDER}/{folder_name(run_id)}")
        raise SnapshotNotFoundError(
            f"there is no snapshot of run {printable(run_id)} in {printable(str(files))}"
            f"{catalog.suggest(run_id)}"
        ).advise(LIST_STORED)
    rows = _remove_files(files, last, f"is of run {printable(run_id)}", dry_run=dry_run)
    if not dry_run:
        removed = last if last.removed else mark_removed(files, last)
        try:
            finish_removal(files, removed)
        except SnapshotError as error:
            raise SnapshotWriteError(
                f"run {printable(run_id)} is removed for every reader, but files of it are left: "
                f"{error}; once that is mended, the next remove or clean deletes them"
            ) from error
    return _frame(rows)


def _remove_files(
    files: Storage, manifest: Manifest, problem: str, *, dry_run: bool
) -> list[dict[str, Any]]:
    """Return a row for each file of a run that is to be removed."""
    names = [
        *views_of_run(files, manifest),
        *label_files_of_run(files, manifest),
        *own_files(files, manifest.folder),
    ]
    rows = [row for name in names if (row := _describe(files, name, problem))]
    for row in rows:
        row["action"] = "would be removed" if dry_run else "removed"
    return rows


def prune(
    files: Storage,
    *,
    keep_revisions: int | None,
    older_than: timedelta | None,
    incomplete: bool | None,
    dry_run: bool,
) -> pd.DataFrame:
    """Remove old revisions, never the newest of a run; see `SnapshotStore.prune`."""
    if keep_revisions is None and older_than is None and incomplete is None:
        raise ValueError("give keep_revisions, older_than or incomplete: which revisions to remove")
    if keep_revisions is not None and keep_revisions < 1:
        raise ValueError("keep_revisions is at least 1: the newest revision is never removed")
    if older_than is not None and not isinstance(older_than, timedelta):
        raise TypeError(f"older_than takes a timedelta, not {type(older_than).__name__}")
    catalog = _open(files)
    limit = None if older_than is None else _now(files, dry_run=dry_run) - older_than
    rows: list[dict[str, Any]] = []
    for folder in catalog.folders():
        found = list(catalog.revisions(folder))
        manifests = [one for _, one in found if isinstance(one, Manifest)]
        if len(manifests) < len(found) or not manifests or manifests[-1].removed:
            # of what cannot be read it is not known which files it needs
            continue
        old = [
            one
            for one in manifests[: max(0, len(manifests) - (keep_revisions or 1))]
            if (limit is None or datetime.fromisoformat(one.written_at) < limit)
            and (incomplete is None or one.complete is not incomplete)
        ]
        rows += _remove_revisions(files, catalog, folder, manifests, old, dry_run=dry_run)
    return _frame(rows)


def _remove_revisions(
    files: Storage,
    catalog: Catalog,
    folder: str,
    manifests: list[Manifest],
    old: list[Manifest],
    *,
    dry_run: bool,
) -> list[dict[str, Any]]:
    """Remove the manifests of old revisions of a run, and then the data that only they name."""
    seals = {one.seal for one in old}
    needed = {
        one.path_of(table) for one in manifests if one.seal not in seals for table in one.files
    }
    rows = []
    if not dry_run and old:
        # a part that is out of date may have their rows; first, so that a crash leaves what tells
        drop_run(files, manifests[-1])
    for one in old:
        problem = f"is of revision {one.revision}, the newest is {manifests[-1].revision}"
        manifest_file = f"{FOLDER}/{folder}/{one.revision:06}.json"
        data = [one.path_of(table) for table in one.files]
        names = [manifest_file, *(name for name in data if name not in needed)]
        needed.update(data)
        rows += [row for name in names if (row := _describe(files, name, problem))]
        if not dry_run:
            files.delete(manifest_file)
    for row in rows:
        row["action"] = "would be removed" if dry_run else "removed"
    if not dry_run and old:
        # a manifest that a power cut brings back would name files that are gone
        files.flush_folder(f"{FOLDER}/{folder}")
        # a writer may have taken up a file of an old revision meanwhile
        in_use = _named(catalog, folder)
        for name in {one.path_of(table) for one in old for table in one.files}:
            if in_use is not None and name not in in_use:
                files.delete(name)
        files.flush_folder(f"{FOLDER}/{folder}")
    return rows


def publish(files: Storage) -> pd.DataFrame:
    """Renew the views that are not those of the newest revisions; see `SnapshotStore.publish`."""
    catalog = _open(files)
    catalog.mark()
    rows = []
    for manifest in catalog.all():
        for table in list(find_stale(files, manifest)):
            view = manifest.view_of(table)
            if table in manifest.files:
                write_view(files, manifest, table)
                row = _describe(files, view, "was missing or out of date")
                action = "written"
            else:
                row = _describe(files, view, "the newest revision has no rows of this table")
                files.delete(view)
                action = "removed"
            if row is not None:
                rows.append({**row, "action": action})
    for view, is_removed in list(find_orphans(files, catalog)):
        row = _describe(files, view, "its run was removed" if is_removed else "its run is unknown")
        if row is None:
            continue
        row["action"] = "removed" if is_removed else "kept: restore its manifest, or delete it"
        if is_removed:
            files.delete(view)
        rows.append(row)
    return _frame(rows)


def _open(files: Storage) -> Catalog:
    """Return the catalog of a store that is there.

    Raises:
        SnapshotNotFoundError: If there is no store.
        SnapshotError: If it is of another format.
    """
    catalog = Catalog(files)
    catalog.check_marker()
    if not catalog.exists():
        raise SnapshotNotFoundError(f"there is no store in {printable(str(files))}").advise(PULL)
    return catalog


def _now(files: Storage, *, dry_run: bool) -> datetime:
    """Return the time by the clock of the store: the one of this machine may be days off."""
    try:
        return files.now()
    except SnapshotWriteError:
        if not dry_run:
            raise
        # a store that can only be read is not changed by a dry run
        return datetime.now(UTC)


def _describe(files: Storage, name: str, problem: str) -> dict[str, Any] | None:
    """Return the row of a file, None if it is gone or not a regular file."""
    try:
        size, modified = files.size(name), files.modified(name)
    except FileNotFoundError:
        return None
    return {
        "file": printable(name, 400),
        "size_bytes": size,
        "modified_at": modified,
        "problem": problem,
    }


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    rows.sort(key=lambda row: str(row["file"]))
    return frame_of(pa.Table.from_pylist(rows, schema=_SCHEMA))
