"""The manifests of a store: its runs, their revisions, and which of them is the newest."""

from __future__ import annotations

import json
import re
import warnings
from difflib import get_close_matches
from typing import TYPE_CHECKING

import pyarrow as pa

from retab_frames.errors import RetabFramesWarning, SnapshotCorruptError, SnapshotError
from retab_frames.schemas.frames import STRING
from retab_frames.schemas.models import SnapshotsSchema, arrow_schema
from retab_frames.store.manifest import Manifest, folder_name
from retab_frames.store.packs import Packs
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retab_frames.store.files.storage import Storage

__all__ = ["FOLDER", "MARKER", "MARKER_TEXT", "Catalog", "manifest_name"]

MARKER = "retab-frames.json"
MARKER_TEXT = b'{"format":"retab-frames-store","version":1}\n'
FOLDER = "manifests"
_VERSION = 1


class Catalog:
    """Finds the manifests of a store.

    Args:
        files: The files of the store.
        packs: Its packs, where they have been opened already.
    """

    def __init__(self, files: Storage, packs: Packs | None = None) -> None:
        self._files = files
        self._packs = Packs(files) if packs is None else packs

    def exists(self) -> bool:
        """Return whether a snapshot was ever written here."""
        try:
            self._files.size(MARKER)
        except FileNotFoundError:
            return False
        return True

    def newest(self, run_id: str) -> Manifest | None:
        """Return the newest revision of a run, None if there is none.

        Raises:
            SnapshotCorruptError: If its manifest is damaged.
            SnapshotError: If the store is of a format that this library does not read.
        """
        self.check_marker()
        return self._newest_in(folder_name(run_id))

    def suggest(self, run_id: str) -> str:
        """Return " (did you mean X?)" with the run whose id is nearest to one that is not there.

        It is chosen by the names of the folders, so that only its manifest is read.
        """
        folder_of = {_slug(folder): folder for folder in self.folders()}
        near = get_close_matches(_slug(folder_name(run_id)), folder_of, n=1)
        try:
            found = self._newest_in(folder_of[near[0]]) if near else None
        except SnapshotError:
            found = None
        return f" (did you mean {printable(found.run_id)}?)" if found else ""

    def revision(self, run_id: str, revision: int) -> Manifest | None:
        """Return a revision of a run, None if there is none; raises as `newest`."""
        self.check_marker()
        file = manifest_name(run_id, revision)
        try:
            return self._read(file)
        except FileNotFoundError:
            return None

    def before(self, manifest: Manifest) -> list[Manifest]:
        """Return the revision before one; none for the first, or where it cannot be read."""
        try:
            found = self._read(manifest_name(manifest.run_id, manifest.revision - 1))
        except (FileNotFoundError, SnapshotError):
            return []
        return [found]

    def folders(self) -> list[str]:
        """Return the folders of the runs, sorted; raises SnapshotError as `newest`."""
        self.check_marker()
        return self._files.names(FOLDER)

    def revisions(self, folder: str) -> Iterator[tuple[str, Manifest | SnapshotError]]:
        """Yield each manifest of a run, oldest first: its file, and it or why it cannot be read."""
        for revision in self._revisions(folder):
            file = _file(folder, revision)
            try:
                yield file, self._read(file)
            except FileNotFoundError:
                continue
            except SnapshotError as error:
                yield file, error

    def all(self) -> Iterator[Manifest]:
        """Yield the newest revision of every run, a damaged one left out with a warning.

        Manifests in a pack are read from its index: one file instead of one for each run.
        """
        self.check_marker()
        packed = self._packed()
        for folder, revision in self._newest_revisions().items():
            known = packed.get(folder)
            if known is not None and known.revision == revision:
                yield known
                continue
            try:
                manifest = self._read(_file(folder, revision))
            except SnapshotCorruptError as error:
                warnings.warn(f"left out: {error}", RetabFramesWarning, stacklevel=4)
                continue
            yield manifest

    def table(self) -> pa.Table:
        """Return the newest revisions, by experiment and then by when the run was created.

        A damaged manifest is left out, with a warning.
        """
        rows = [_row(manifest) for manifest in self.all()]
        rows.sort(key=lambda row: tuple(str(row[key] or "") for key in _ORDER))
        columns = []
        for field in arrow_schema(SnapshotsSchema):
            is_time = pa.types.is_timestamp(field.type)
            values = pa.array([row[field.name] for row in rows], STRING if is_time else field.type)
            columns.append(values.cast(field.type))
        return pa.table(columns, schema=arrow_schema(SnapshotsSchema))

    def mark(self) -> None:
        """Write the marker file, or check that the one that is there is of this format."""
        if not self._files.create(MARKER, MARKER_TEXT):
            self.check_marker()

    def _packed(self) -> dict[str, Manifest]:
        """Return the manifests that packs hold, by the folder of the run."""
        found: dict[str, Manifest] = {}
        for _, pack in self._packs.all():
            # a damaged index is no loss: each run has its own manifest
            if not isinstance(pack, SnapshotError):
                found |= pack.runs
        return found

    def _newest_revisions(self) -> dict[str, int]:
        """Return the number of the newest revision of each run, by its folder, from one listing."""
        found: dict[str, int] = {}
        for name in self._files.walk(FOLDER):
            _, _, rest = name.partition("/")
            folder, _, file = rest.partition("/")
            if match := _MANIFEST.fullmatch(file):
                found[folder] = max(found.get(folder, 0), int(match[1]))
        for folder in self._files.names(FOLDER):
            # a folder in the place of a manifest: reading it gives the error
            if folder not in found and (revisions := self._revisions(folder)):
                found[folder] = revisions[-1]
        return dict(sorted(found.items()))

    def _newest_in(self, folder: str) -> Manifest | None:
        revisions = self._revisions(folder)
        return self._read(_file(folder, revisions[-1])) if revisions else None

    def _revisions(self, folder: str) -> list[int]:
        names = self._files.names(f"{FOLDER}/{folder}")
        return sorted(int(match[1]) for name in names if (match := _MANIFEST.fullmatch(name)))

    def _read(self, file: str) -> Manifest:
        manifest = Manifest.parse(self._files.read(file), file)
        if manifest_name(manifest.run_id, manifest.revision) == file:
            return manifest
        raise SnapshotCorruptError(
            f"{file} is the manifest of revision {manifest.revision} of run "
            f"{printable(manifest.run_id)}: it was copied or renamed; put it back, or delete it",
            file=file,
        )

    def check_marker(self) -> None:
        """Check that the folder is a store of this format, or none yet; raises as `newest`."""
        try:
            marker = json.loads(self._files.read(MARKER))
            version = marker["version"] if marker["format"] == "retab-frames-store" else None
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError):
            version = None
        if version == _VERSION:
            return
        problem = (
            f"{printable(str(self._files))} is not a store that this library can read: {MARKER} "
            f"should have version {_VERSION}, and has {printable(version)}"
        )
        if isinstance(version, int) and version > _VERSION:
            raise SnapshotError(f"{problem}; upgrade retab-frames")
        raise SnapshotCorruptError(problem, file=MARKER)


_MANIFEST = re.compile(r"([0-9]{6}|[1-9][0-9]{6,})\.json")
_ORDER = ("experiment_id", "run_created_at", "run_id")


def _slug(folder: str) -> str:
    """Return the readable part of a folder's name, without the hash."""
    return folder.rpartition("-")[0]


def manifest_name(run_id: str, revision: int) -> str:
    """Return the name of the manifest of a revision."""
    return _file(folder_name(run_id), revision)


def _file(folder: str, revision: int) -> str:
    return f"{FOLDER}/{folder}/{revision:06}.json"


def _row(manifest: Manifest) -> dict[str, object]:
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
        "run_created_at": manifest.run_created_at,
        "fetched_at": manifest.fetched_at,
        "written_at": manifest.written_at,
        "size_bytes": sum(entry.size for entry in manifest.files.values()),
    }
