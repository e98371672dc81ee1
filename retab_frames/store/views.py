"""Views: the newest revision of each run, where tools that do not know this library find it.

A view is a second name of a data file (a hard link) or a copy of it. Nothing here is needed to read
a store: what is lost or out of date is made again from `revisions/`.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from retab_frames.errors import SnapshotError
from retab_frames.store.catalog import Catalog
from retab_frames.store.table_versions import TABLES
from retab_frames.store.tables import has_content

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retab_frames.store.files.storage import Storage
    from retab_frames.store.manifest import Manifest

__all__ = ["VIEW", "find_orphans", "find_stale", "publish_run", "write_view"]

VIEW = re.compile(
    rf"({'|'.join(TABLES)})/[a-z0-9][a-z0-9_-]*-[0-9a-f]{{16}}/([a-z0-9][a-z0-9_-]*-[0-9a-f]{{16}})"
    r"\.parquet"
)


def publish_run(files: Storage, manifest: Manifest) -> None:
    """Make the views of a revision those of its run.

    A revision that another writer commits meanwhile is published by its own writer; if that came
    first, its views are put back here.

    Raises:
        SnapshotWriteError: If the file system refuses.
    """
    _publish(files, manifest)
    newest = Catalog(files).last_in(manifest.folder)
    if newest is not None and newest.seal != manifest.seal and not newest.removed:
        _publish(files, newest)


def _publish(files: Storage, manifest: Manifest) -> None:
    for table in list(find_stale(files, manifest)):
        if table in manifest.files:
            write_view(files, manifest, table)
        else:
            files.delete(manifest.view_of(table))


def write_view(files: Storage, manifest: Manifest, table: str) -> None:
    """Put the view of a table in place, whole; raises as `publish_run`."""
    source, size = manifest.path_of(table), manifest.files[table].size
    try:
        files.put_view(manifest.view_of(table), source, partial(files.read, source, size))
    except FileNotFoundError:
        # the revision was removed, or replaced and pruned, meanwhile
        return


def find_stale(files: Storage, manifest: Manifest) -> Iterator[str]:
    """Yield the tables whose view is not the one of this revision."""
    for table in TABLES:
        view, entry = manifest.view_of(table), manifest.files.get(table)
        if entry is None:
            try:
                files.size(view)
            except FileNotFoundError:
                continue
            yield table
        elif not files.is_same(view, manifest.path_of(table)) and not has_content(
            files, view, entry.size, entry.sha256
        ):
            yield table


def find_orphans(files: Storage, catalog: Catalog) -> Iterator[tuple[str, bool]]:
    """Yield the views whose run has no manifest, or was removed, and whether it was removed."""
    known: dict[str, Manifest | SnapshotError | None] = {}
    for table in TABLES:
        for name in files.walk(table):
            match = VIEW.fullmatch(name)
            if match is None:
                continue
            folder = match[2]
            if folder not in known:
                try:
                    known[folder] = catalog.last_in(folder)
                except SnapshotError as error:
                    known[folder] = error
            last = known[folder]
            if last is None:
                yield name, False
            elif not isinstance(last, SnapshotError) and last.removed:
                yield name, True
