"""The manifests of a store: what runs it has, in which revisions, and which is the newest."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING

import pyarrow as pa

from retab_frames.errors import RetabFramesWarning, SnapshotCorruptError, SnapshotError, shown
from retab_frames.manifest import Manifest, folder_name
from retab_frames.schemas import SnapshotsSchema, arrow_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retab_frames.storage import LocalStorage

__all__ = ["Catalog", "manifest_name"]

MARKER = "retab-frames.json"
MARKER_TEXT = b'{"format":"retab-frames-store","version":1}\n'


class Catalog:
    """Finds and commits the manifests of a store.

    Args:
        files: The files of the store.
    """

    def __init__(self, files: LocalStorage) -> None:
        self._files = files

    def exists(self) -> bool:
        """Return whether anything was ever written here."""
        return MARKER in self._files.names("")

    def newest(self, run_id: str) -> Manifest | None:
        """Return the newest revision of a run, None if there is none.

        Raises:
            SnapshotCorruptError: If its manifest is damaged.
            SnapshotError: If the store is of a format that this library does not read.
        """
        self._check_marker()
        return self._newest_in(folder_name(run_id))

    def revision(self, run_id: str, revision: int) -> Manifest | None:
        """Return a revision of a run, None if there is none; raises as `newest`."""
        self._check_marker()
        file = manifest_name(run_id, revision)
        try:
            return self._opened(file)
        except FileNotFoundError:
            return None

    def all(self) -> Iterator[Manifest]:
        """Yield the newest revision of every run, a damaged one left out with a warning."""
        self._check_marker()
        for folder in self._files.names("manifests"):
            try:
                manifest = self._newest_in(folder)
            except SnapshotCorruptError as error:
                warnings.warn(f"left out: {error}", RetabFramesWarning, stacklevel=4)
                continue
            if manifest is not None:
                yield manifest

    def table(self) -> pa.Table:
        """Return the newest revisions, by experiment and then by when the run was made.

        A damaged manifest is left out, with a warning.
        """
        rows = [_row(manifest) for manifest in self.all()]
        rows.sort(key=lambda row: tuple(str(row[key] or "") for key in _ORDER))
        columns = []
        for field in arrow_schema(SnapshotsSchema):
            is_time = pa.types.is_timestamp(field.type)
            values = pa.array(
                [row[field.name] for row in rows], pa.string() if is_time else field.type
            )
            columns.append(values.cast(field.type))
        return pa.table(columns, schema=arrow_schema(SnapshotsSchema))

    def mark(self) -> None:
        """Mark the folder as a store, or check that it is one that this library can write."""
        if not self._files.create(MARKER, MARKER_TEXT):
            self._check_marker()

    def _newest_in(self, folder: str) -> Manifest | None:
        names = [name for name in self._files.names(f"manifests/{folder}") if _is_manifest(name)]
        if not names:
            return None
        file = f"manifests/{folder}/{names[-1]}"
        return self._opened(file)

    def _opened(self, file: str) -> Manifest:
        manifest = Manifest.opened(self._files.read(file), file)
        if manifest_name(manifest.run_id, manifest.revision) == file:
            return manifest
        raise SnapshotCorruptError(
            f"{file} is the manifest of revision {manifest.revision} of run "
            f"{shown(manifest.run_id)}: it was copied or renamed; put it back, or delete it",
            file=file,
        )

    def _check_marker(self) -> None:
        try:
            marker = json.loads(self._files.read(MARKER))
            version = marker["version"] if marker["format"] == "retab-frames-store" else None
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError):
            version = None
        if version != 1:
            raise SnapshotError(
                f"{shown(str(self._files))} is no store that this library reads: {MARKER} should "
                f"say version 1, and says {shown(version)}"
            )


_ORDER = ("experiment_id", "run_created_at", "run_id")


def manifest_name(run_id: str, revision: int) -> str:
    """Return the name of the manifest of a revision."""
    return f"manifests/{folder_name(run_id)}/{revision:06}.json"


def _is_manifest(name: str) -> bool:
    return name.endswith(".json") and name[:-5].isdigit()


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
