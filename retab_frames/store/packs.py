"""Packs: the newest revisions of an experiment's runs in few files, and the index that says which.

    <root>/packs/<experiment>/000001.json                 the index; the highest number rules
    <root>/<table>/<experiment>/pack-<hash>.parquet       the rows of some runs, one after another

The files of the runs themselves stay in `archive/`, byte for byte, and so do their manifests: a
pack is another view of them, which can be made again at any time.
"""

from __future__ import annotations

import re
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from retab_frames.errors import SnapshotCorruptError, SnapshotError
from retab_frames.store.manifest import (
    FileEntry,
    Manifest,
    are_within,
    folder_name,
    parse_sealed,
)
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from retab_frames.store.files.storage import Storage

__all__ = ["Pack", "Packs", "Part", "in_parts", "is_pack", "pack_name"]

FORMAT = "retab-frames-pack"
VERSION = 1
FOLDER = "packs"
_INDEX = re.compile(r"([0-9]{6}|[1-9][0-9]{6,})\.json")
_FILE = re.compile(r"pack-[0-9a-f]{16}\.parquet")
WORTH_OPENING = 8
"""So many runs of an experiment; the files of fewer are opened faster than the index of a pack."""
_REMEDY = "compact the experiment again, which makes it anew"


class Part(msgspec.Struct, frozen=True):
    """Some runs that follow one another in the order of `SnapshotStore.list`, and their rows.

    Attributes:
        runs: The manifest of each run, in the order of their rows.
        files: The file of each table.
    """

    runs: tuple[Manifest, ...]
    files: dict[str, FileEntry]

    @property
    def names(self) -> list[str]:
        """The names of its files below the root, where plain readers look."""
        return [f"{table}/{entry.name}" for table, entry in self.files.items()]

    @property
    def seals(self) -> list[str]:
        """The seals of its runs, which say of each what the rows are, to the byte."""
        return [run.seal for run in self.runs]


# with a dict, for what is worked out once
class Pack(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The index of one pack.

    Attributes:
        experiment_id: The experiment.
        number: The highest of an experiment rules; all before it are history.
        parts: Its runs and files, in the order of `SnapshotStore.list`.
    """

    format: str = FORMAT
    version: int = VERSION
    experiment_id: str
    number: int
    parts: tuple[Part, ...]
    written_at: str
    library: str
    seal: str = ""

    @property
    def names(self) -> list[str]:
        """The names of its files below the root, where plain readers look."""
        return [name for part in self.parts for name in part.names]

    @cached_property
    def runs(self) -> dict[str, Manifest]:
        """The manifest of each run, by the folder of the run."""
        return {folder_name(run.run_id): run for part in self.parts for run in part.runs}

    def holds(self, manifest: Manifest) -> bool:
        """Return whether the rows of this revision are in the pack."""
        known = self.runs.get(folder_name(manifest.run_id))
        return known is not None and known.seal == manifest.seal

    @classmethod
    def parse(cls, text: bytes, file: str) -> Pack:
        """Return the index of a JSON text.

        Raises:
            SnapshotError: If a newer version of this library wrote it.
            SnapshotCorruptError: If it is cut or altered, or is the index of another.
        """
        fields: dict[str, Any] = parse_sealed(text, file, FORMAT, VERSION, _REMEDY)
        try:
            pack = msgspec.convert(fields, cls)
            if _fits(pack, file):
                return pack
            reason = "it is the index of another pack, or names files that are not of one"
        except msgspec.MsgspecError as error:
            reason = printable(error, 200)
        raise SnapshotCorruptError(f"{printable(file)} is damaged: {reason}; {_REMEDY}", file=file)


def _fits(pack: Pack, file: str) -> bool:
    """Return whether an index stands under its own name, and names files of its own alone.

    Anyone can make a hash that matches: nothing may be read or moved elsewhere.
    """
    runs, folder = pack.runs.values(), folder_name(pack.experiment_id)
    return (
        pack_name(pack.experiment_id, pack.number) == file
        and are_within(pack.names)
        and all(
            name.split("/")[1] == folder and is_pack(name.split("/")[-1]) for name in pack.names
        )
        and all(run.experiment_id == pack.experiment_id for run in runs)
        and are_within(name for run in runs for name in run.names)
    )


def pack_name(experiment_id: str, number: int) -> str:
    """Return the name of the index of a pack."""
    return f"{FOLDER}/{folder_name(experiment_id)}/{number:06}.json"


def is_pack(name: str) -> bool:
    """Return whether a file of a table is one of a pack, by its own name."""
    return _FILE.fullmatch(name) is not None


class Packs:
    """Finds the packs of a store.

    Args:
        files: The files of the store.
    """

    def __init__(self, files: Storage) -> None:
        self._files = files
        self._opened: dict[str, tuple[int, Pack]] = {}

    def newest(self, experiment_id: str) -> Pack | None:
        """Return the pack that rules for an experiment, None if there is none.

        Raises:
            SnapshotCorruptError: If its index is damaged.
            SnapshotError: If a newer version of this library wrote it.
        """
        return self._newest_in(folder_name(experiment_id))

    def numbers(self, experiment_id: str) -> list[int]:
        """Return the numbers of all packs of an experiment, the one that rules last."""
        return self._numbers(folder_name(experiment_id))

    def before(self, pack: Pack) -> list[Pack]:
        """Return the packs whose place another took, those that can be read."""
        found = []
        for number in self.numbers(pack.experiment_id):
            file = pack_name(pack.experiment_id, number)
            try:
                found += [Pack.parse(self._files.read(file), file)] if number < pack.number else []
            except (FileNotFoundError, SnapshotError):
                continue
        return found

    def all(self) -> Iterator[tuple[str, Pack | SnapshotError]]:
        """Yield the pack of each experiment that has one, or why it cannot be read.

        Before it comes the folder of the experiment, as in the folders of the tables.
        """
        for folder in self._files.names(FOLDER):
            try:
                pack = self._newest_in(folder)
            except SnapshotError as error:
                yield folder, error
                continue
            if pack is not None:
                yield folder, pack

    def _newest_in(self, folder: str) -> Pack | None:
        # listed again where another took its place, and it is gone, between the look and the read
        while numbers := self._numbers(folder):
            number, file = numbers[-1], f"{FOLDER}/{folder}/{numbers[-1]:06}.json"
            known = self._opened.get(folder)
            if known is not None and known[0] == number:
                return known[1]
            try:
                pack = Pack.parse(self._files.read(file), file)
            except FileNotFoundError:
                continue
            # an index is never changed, so it is opened once
            self._opened[folder] = (number, pack)
            return pack
        return None

    def _numbers(self, folder: str) -> list[int]:
        names = self._files.names(f"{FOLDER}/{folder}")
        return sorted(int(match[1]) for name in names if (match := _INDEX.fullmatch(name)))


def in_parts(
    packs: Packs, manifests: Iterable[Manifest]
) -> Iterator[tuple[Part | None, list[Manifest]]]:
    """Yield revisions in their order: together those that are all that a part of a pack has.

    Each of the others comes alone, and without a part: so do all where the pack cannot be read.

    Args:
        packs: The packs of the store.
        manifests: The revisions, in the order of `SnapshotStore.list`.
    """
    for experiment_id, group in groupby(manifests, key=lambda one: one.experiment_id):
        runs = list(group)
        parts = _parts(packs, experiment_id) if len(runs) >= WORTH_OPENING else {}
        place = 0
        while place < len(runs):
            part = parts.get(runs[place].seal)
            following = runs[place : place + (1 if part is None else len(part.runs))]
            if part is not None and part.seals != [run.seal for run in following]:
                part, following = None, following[:1]
            yield part, following
            place += len(following)


def _parts(packs: Packs, experiment_id: str) -> dict[str, Part]:
    """Return the parts of a pack by the seal of their first run; none where it cannot be read."""
    try:
        pack = packs.newest(experiment_id)
    except SnapshotError:
        return {}
    return {} if pack is None else {part.runs[0].seal: part for part in pack.parts}
