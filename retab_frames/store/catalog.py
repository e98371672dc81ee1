"""The manifests of a store: its runs, their revisions, and which of them is the newest."""

from __future__ import annotations

import json
import re
import warnings
from difflib import get_close_matches
from typing import TYPE_CHECKING

from retab_frames.errors import (
    RetabFramesWarning,
    SnapshotCorruptError,
    SnapshotError,
    SnapshotNotFoundError,
)
from retab_frames.store.manifest import (
    FOLDER,
    MOST_BYTES,
    Manifest,
    folder_name,
    is_cut,
    manifest_name,
)
from retab_frames.text.messages import did_you_mean, printable
from retab_frames.text.next_steps import LIST_STORED

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from retab_frames.store.files.storage import Storage

__all__ = [
    "MARKER",
    "MARKER_TEXT",
    "Catalog",
    "CutManifestError",
    "OldFormatError",
    "unknown_experiment",
]

MARKER = "retab-frames.json"
MARKER_TEXT = b'{"format":"retab-frames-store","version":2}\n'
_VERSION = 2
_MOST_MARKER_BYTES = 4096


def unknown_experiment(
    store: object, experiment_id: str, known: Iterable[str]
) -> SnapshotNotFoundError:
    """Return the error about an experiment of which a store has no run.

    Args:
        store: The store, or its files, as text of a message.
        experiment_id: The experiment.
        known: The experiments that the store has.
    """
    return SnapshotNotFoundError(
        f"there is no run of experiment {printable(experiment_id)} in {printable(str(store))}"
        f"{did_you_mean(experiment_id, known)}"
    ).advise(LIST_STORED)


class Catalog:
    """Finds the manifests of a store.

    Args:
        files: The files of the store.
    """

    def __init__(self, files: Storage) -> None:
        self._files = files

    def exists(self) -> bool:
        """Return whether a snapshot was ever written here; the marker alone may be lost."""
        return self._is_marked() or any(map(_FOLDER.fullmatch, self._files.names(FOLDER)))

    def _is_marked(self) -> bool:
        try:
            self._files.size(MARKER)
        except FileNotFoundError:
            return False
        return True

    def newest(self, run_id: str) -> Manifest | None:
        """Return the newest revision of a run, None if there is none, or the run was removed.

        Raises:
            SnapshotCorruptError: If its manifest is damaged.
            SnapshotError: If the store is of a format that this library does not read.
        """
        last = self.last(run_id)
        return None if last is None or last.removed else last

    def last(self, run_id: str) -> Manifest | None:
        """Return the last manifest of a run, also if it says that the run was removed.

        Raises as `newest`.
        """
        self.check_marker()
        return self.last_in(folder_name(run_id))

    def suggest(self, run_id: str) -> str:
        """Return " (did you mean X?)" with the run whose id is nearest to one that is not there.

        It is chosen by the names of the folders, so that only its manifest is read.
        """
        folder_of = {_slug(folder): folder for folder in self.folders()}
        near = get_close_matches(_slug(folder_name(run_id)), folder_of, n=1)
        try:
            found = self.last_in(folder_of[near[0]]) if near else None
        except SnapshotError:
            found = None
        if found is None or found.removed:
            return ""
        return f" (did you mean {printable(found.run_id)}?)"

    def revision(self, run_id: str, revision: int) -> Manifest | None:
        """Return a revision of a run, None if there is none; raises as `newest`."""
        self.check_marker()
        try:
            found = self._read(manifest_name(run_id, revision))
            last = self.numbers(folder_name(run_id))[-1]
            is_removed = last != revision and self._is_removed(manifest_name(run_id, last))
        except FileNotFoundError:
            return None
        return None if found.removed or is_removed else found

    def folders(self) -> list[str]:
        """Return the folders of the runs, sorted; raises SnapshotError as `newest`."""
        return [name for name, is_folder in self._entries() if is_folder]

    def odd_folders(self) -> list[str]:
        """Return what has the name of a run's folder, and is none: a link, a file."""
        return [name for name, is_folder in self._entries() if not is_folder]

    def _entries(self) -> Iterator[tuple[str, bool]]:
        self.check_marker()
        for name, names in self._files.subfolders(FOLDER):
            if _FOLDER.fullmatch(name):
                yield name, names is not None

    def numbers(self, folder: str) -> list[int]:
        """Return the numbers of the manifests in the folder of a run, the newest last."""
        return _revisions_among(self._files.names(f"{FOLDER}/{folder}"))

    def revisions(self, folder: str) -> Iterator[tuple[str, Manifest | SnapshotError]]:
        """Yield each manifest of a run, oldest first: its file, and it or why it cannot be read."""
        for revision in self.numbers(folder):
            file = f"{FOLDER}/{folder}/{revision:06}.json"
            try:
                yield file, self._read(file)
            except FileNotFoundError:
                continue
            except SnapshotError as error:
                yield file, error

    def all(self, *, but: Container[str] = ()) -> Iterator[Manifest]:
        """Yield the newest revision of every run that was not removed, by folder.

        A run whose newest manifest is damaged is left out, with a warning.

        Args:
            but: Folders of runs that are left out.
        """
        self.check_marker()
        for folder, names in self._files.subfolders(FOLDER, but=but):
            if not _FOLDER.fullmatch(folder):
                continue
            try:
                # all those that were listed may be gone, where a newer one came since
                manifest = self._last_of(folder, names or []) or self.last_in(folder)
            except SnapshotCorruptError as error:
                warnings.warn(f"left out: {error}", RetabFramesWarning, stacklevel=4)
                continue
            if manifest is not None and not manifest.removed:
                yield manifest

    def mark(self) -> None:
        """Write the marker file if there is none; one that is there has been checked."""
        if not self._is_marked():
            # all writers put the same there, and whole, also where there are no hard links
            self._files.put(MARKER, MARKER_TEXT)
            self._files.flush_folder("")

    def last_in(self, folder: str) -> Manifest | None:
        """Return the last manifest in the folder of a run, None if there is none.

        One that was cut short while it was written does not count, if there is one before it.

        Raises:
            SnapshotCorruptError: If it is damaged.
            SnapshotError: If a newer version of this library wrote it.
        """
        return self._last_of(folder, self._files.names(f"{FOLDER}/{folder}"))

    def _last_of(self, folder: str, names: Iterable[str]) -> Manifest | None:
        damaged: SnapshotCorruptError | None = None
        for revision in reversed(_revisions_among(names)):
            file = f"{FOLDER}/{folder}/{revision:06}.json"
            try:
                found = self._read(file)
            except FileNotFoundError:
                # removed or pruned since the names were listed
                continue
            except CutManifestError as error:
                damaged = damaged or error
                continue
            if damaged is not None:
                warnings.warn(f"left out: {damaged}", RetabFramesWarning, stacklevel=6)
            return found
        if damaged is not None:
            raise damaged
        return None

    def _is_removed(self, file: str) -> bool:
        try:
            return self._read(file).removed
        except SnapshotError:
            return False

    def _read(self, file: str) -> Manifest:
        text = self._files.read(file, MOST_BYTES)
        if is_cut(text):
            raise CutManifestError(
                f"{printable(file)} is damaged: it ends before its end, so its writer was killed, "
                "or it was cut; restore it, or write the run again",
                file=file,
            )
        return Manifest.parse(text, file)

    def check_marker(self) -> None:
        """Check that the folder is a store of this format, or none yet; raises as `newest`."""
        try:
            marker = json.loads(self._files.read(MARKER, _MOST_MARKER_BYTES))
            version = marker["version"] if marker["format"] == "retab-frames-store" else None
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError, RecursionError, SnapshotCorruptError):
            version = None
        if version == _VERSION:
            return
        if version == 1:
            raise OldFormatError(
                f"{printable(str(self._files))} is a store of format 1, whose files are laid out "
                "in another way: pull its runs again, into a new folder"
            )
        problem = (
            f"{printable(str(self._files))} is not a store that this library can read: {MARKER} "
            f"should have version {_VERSION}, and has {printable(version)}"
        )
        if isinstance(version, int) and version > _VERSION:
            raise SnapshotError(f"{problem}; upgrade retab-frames")
        raise SnapshotCorruptError(problem, file=MARKER)


class OldFormatError(SnapshotError):
    """A store of a format that was given up before a release."""


class CutManifestError(SnapshotCorruptError):
    """A manifest ends before its end."""


_FOLDER = re.compile(r"[a-z0-9][a-z0-9_-]*-[0-9a-f]{16}")
_MANIFEST = re.compile(r"([0-9]{6}|[1-9][0-9]{6,8})\.json")


def _revisions_among(names: Iterable[str]) -> list[int]:
    """Return the numbers of those of the names that are manifests, sorted."""
    return sorted(int(match[1]) for name in names if (match := _MANIFEST.fullmatch(name)))


def _slug(folder: str) -> str:
    """Return the readable part of a folder's name, without the hash."""
    return folder.rpartition("-")[0]
