"""Packs: the newest revisions of an experiment's runs in few files, and the index that says which.

    <root>/packs/<experiment>/000001.json                 the index; the highest number rules
    <root>/<table>/<experiment>/pack-<hash>.parquet       the rows of all runs in it

The files of the runs themselves stay in `archive/`, byte for byte, and so do their manifests: a
pack is another view of them, which can be made again at any time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from retab_frames.errors import SnapshotCorruptError, SnapshotError, shown
from retab_frames.manifest import FileEntry, Manifest, folder_name, opened_fields, sealed_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retab_frames.storage import Storage

__all__ = ["Pack", "Packs", "pack_name"]

FORMAT = "retab-frames-pack"
VERSION = 1
FOLDER = "packs"
_INDEX = re.compile(r"([0-9]{6}|[1-9][0-9]{6,})\.json")


class Pack(msgspec.Struct, frozen=True, kw_only=True):
    """The index of one pack: its files, and the manifest of each run in it.

    Attributes:
        experiment_id: The experiment.
        number: The highest of an experiment rules; all before it are history.
        runs: The seal of each run's manifest, by the folder of the run.
        manifests: The text of each of these manifests, as it stands in its own file.
        files: The files of each table; the rows of a run are in one of them.
        previous: The seal of the index before it.
    """

    format: str = FORMAT
    version: int = VERSION
    experiment_id: str
    number: int
    runs: dict[str, str]
    manifests: tuple[str, ...]
    files: dict[str, tuple[FileEntry, ...]]
    previous: str | None
    written_at: str
    library: str
    seal: str = ""

    @property
    def names(self) -> list[str]:
        """The names of its files below the root, where plain readers look."""
        return [f"{table}/{entry.name}" for table, files in self.files.items() for entry in files]

    def holds(self, manifest: Manifest) -> bool:
        """Return whether the rows of this revision are in the pack."""
        return self.runs.get(folder_name(manifest.run_id)) == manifest.seal

    def revisions(self) -> dict[str, Manifest]:
        """Return the manifest of each run, by the folder of the run."""
        file = pack_name(self.experiment_id, self.number)
        found = (Manifest.opened(text.encode(), file) for text in self.manifests)
        return {folder_name(manifest.run_id): manifest for manifest in found}

    def sealed(self) -> bytes:
        """Return the index as JSON text that holds the hash of all the rest of it."""
        return sealed_text(self)

    @classmethod
    def opened(cls, text: bytes, file: str) -> Pack:
        """Return the index of a JSON text.

        Raises:
            SnapshotError: If a newer version of this library wrote it.
            SnapshotCorruptError: If it is cut or altered.
        """
        fields: dict[str, Any] = opened_fields(text, file, FORMAT, VERSION)
        try:
            pack = msgspec.convert(fields, cls)
        except msgspec.MsgspecError as error:
            reason = shown(error, 200)
        else:
            return pack
        raise SnapshotCorruptError(f"{shown(file)} is damaged: {reason}; {_REMAKE}", file=file)


_REMAKE = "delete it, and compact the experiment again: the runs themselves are not in it"


def pack_name(experiment_id: str, number: int) -> str:
    """Return the name of the index of a pack."""
    return f"{FOLDER}/{folder_name(experiment_id)}/{number:06}.json"


class Packs:
    """Finds the packs of a store.

    Args:
        files: The files of the store.
    """

    def __init__(self, files: Storage) -> None:
        self._files = files
        self._opened: dict[str, Pack] = {}

    def newest(self, experiment_id: str) -> Pack | None:
        """Return the pack that rules for an experiment, None if there is none.

        Raises:
            SnapshotCorruptError: If its index is damaged.
            SnapshotError: If a newer version of this library wrote it.
        """
        return self._newest_in(folder_name(experiment_id))

    def all(self) -> Iterator[Pack | SnapshotError]:
        """Yield the pack of each experiment that has one, or why it cannot be read."""
        for folder in self._files.names(FOLDER):
            try:
                pack = self._newest_in(folder)
            except SnapshotError as error:
                yield error
                continue
            if pack is not None:
                yield pack

    def _newest_in(self, folder: str) -> Pack | None:
        names = self._files.names(f"{FOLDER}/{folder}")
        numbers = [int(match[1]) for name in names if (match := _INDEX.fullmatch(name))]
        if not numbers:
            return None
        file = f"{FOLDER}/{folder}/{max(numbers):06}.json"
        if file not in self._opened:
            # an index is never changed, so it is opened once
            self._opened = {file: Pack.opened(self._files.read(file), file)}
        return self._opened[file]
