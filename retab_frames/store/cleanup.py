"""Files of a store that are not where they belong, or belong to nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from retab_frames.errors import SnapshotCorruptError, SnapshotNotFoundError
from retab_frames.schemas.frames import INT64, STRING, TIME, frame_of
from retab_frames.store.catalog import FOLDER, MARKER, Catalog
from retab_frames.store.commits import Commits
from retab_frames.store.compaction import publish_pack
from retab_frames.store.manifest import Manifest, folder_name
from retab_frames.store.packs import Pack, Packs, is_pack
from retab_frames.store.revisions import ARCHIVE, RevisionFiles
from retab_frames.store.table_versions import TABLES
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from retab_frames.errors import SnapshotError
    from retab_frames.store.files.storage import Storage

__all__ = ["Misplaced", "ReferencedFiles", "clean", "misplaced"]

_MISSED = "is in the archive, where plain readers miss it"
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{32}\.tmp")
_OWN = re.compile(r"(.+)-[0-9a-f]{16}\.parquet")
_SCHEMA = pa.schema(
    {
        "file": STRING,
        "size_bytes": INT64,
        "modified_at": TIME,
        "problem": STRING,
        "action": STRING,
    }
)


class Misplaced(NamedTuple):
    """A file that is not where it belongs, or belongs to nothing.

    Attributes:
        file: Its name below the root.
        kind: "stray" where plain readers see it or miss it, "leftover" where it only takes space.
        problem: What is wrong.
        manifest: The newest revision of the run that names it; None where none does.
        pack: The pack that names it; None where none does.
    """

    file: str
    kind: str
    problem: str
    manifest: Manifest | None = None
    pack: Pack | None = None


class ReferencedFiles:
    """What the manifests of a store name.

    Attributes:
        revisions: Those of each run, oldest first, by the folder of the run.
        newest: The newest revision of a run, by the names of its files.
        older: The last revision before it that names a file, by the name of the file.
        unreadable: Why a manifest cannot be read, by the folder of its run.
        packs: The pack that each file of a pack belongs to.
        unsure: The folders of experiments whose pack cannot be read: where files belong is unknown.
    """

    def __init__(self) -> None:
        self.revisions: dict[str, list[Manifest]] = {}
        self.newest: dict[str, Manifest] = {}
        self.older: dict[str, Manifest] = {}
        self.unreadable: dict[str, SnapshotError] = {}
        self.packs: dict[str, Pack] = {}
        self.unsure: set[str] = set()
        self._packed: dict[str, Manifest] = {}
        self._kept: set[str] = set()

    def add_packs(self, packs: Iterable[tuple[str, Pack | SnapshotError]]) -> None:
        """Enter the packs of a store, or why one cannot be read, each by its folder."""
        for folder, pack in packs:
            if isinstance(pack, Pack):
                self.packs |= dict.fromkeys(pack.names, pack)
                self._packed |= pack.runs
                self._kept.update(name for run in pack.runs.values() for name in run.names)
            else:
                self.unsure.add(folder)

    def names(self, name: str) -> bool:
        """Return whether a file is one of a newest revision, or of a pack."""
        return name in self.newest or name in self.packs

    def is_packed(self, manifest: Manifest) -> bool:
        """Return whether plain readers see a revision in a pack."""
        known = self._packed.get(folder_name(manifest.run_id))
        return known is not None and known.seal == manifest.seal

    def needs(self, name: str) -> bool:
        """Return whether a file in the archive is one of any revision, or of a run in a pack."""
        return name in self.newest or name in self.older or name in self._kept

    def without_manifest(self, pack: Pack) -> list[Manifest]:
        """Return the runs in a pack that have no manifest of their own, not even a damaged one."""
        known = self.revisions.keys() | self.unreadable.keys()
        return [run for folder, run in pack.runs.items() if folder not in known]

    def is_unsure(self, name: str) -> bool:
        """Return whether a file may belong to what cannot be read."""
        parts = name.removeprefix(ARCHIVE).split("/")
        return _run_folder(name) in self.unreadable or not self.unsure.isdisjoint(parts[1:2])

    def add(self, folder: str, revisions: Iterable[tuple[str, Manifest | SnapshotError]]) -> None:
        """Enter the revisions of a run, oldest first."""
        manifests = []
        for _, found in revisions:
            if isinstance(found, Manifest):
                manifests.append(found)
            else:
                self.unreadable[folder] = found
        if not manifests:
            return
        self.revisions[folder] = manifests
        for manifest in manifests[:-1]:
            self.older |= dict.fromkeys(manifest.names, manifest)
        self.newest |= dict.fromkeys(manifests[-1].names, manifests[-1])


def misplaced(names: Iterable[str], referenced: ReferencedFiles) -> Iterator[Misplaced]:
    """Yield what is not where it belongs, or belongs to nothing.

    What may belong to a run whose manifest cannot be read is left out, and so are files of others
    outside the folders of tables, or hidden in them.

    Args:
        names: The names of all files; those of a revision that was committed after they were
            listed are not missed.
        referenced: What the manifests name, read after the names were listed.
    """
    every = set(names)
    for name, newest in referenced.newest.items():
        if referenced.is_unsure(name):
            continue
        packed = referenced.is_packed(newest)
        if packed and name in every:
            yield Misplaced(name, "stray", "is in a pack too, where plain readers see it", newest)
        elif not packed and name not in every and ARCHIVE + name in every:
            yield Misplaced(name, "stray", _MISSED, newest)
    for name, pack in referenced.packs.items():
        if name not in every and ARCHIVE + name in every:
            yield Misplaced(name, "stray", _MISSED, pack=pack)
    for name in sorted(every):
        found = _misplaced(name, referenced, every)
        if found is not None and not referenced.is_unsure(name):
            yield found


def _misplaced(name: str, referenced: ReferencedFiles, every: set[str]) -> Misplaced | None:
    last = name.rpartition("/")[2]
    if _TEMPORARY.fullmatch(last):
        return Misplaced(name, "leftover", "is what a write that was cut short left")
    if name.startswith(ARCHIVE):
        return _in_archive(name, referenced, every)
    older = referenced.older.get(name)
    hidden = older is None and last.startswith((".", "_"))
    if name.partition("/")[0] not in TABLES or referenced.names(name) or hidden:
        return None
    if is_pack(last):
        return Misplaced(name, "stray", "is of a pack that was replaced, and plain readers see it")
    if older is not None:
        problem = f"is of revision {older.revision}, which plain readers see beside the newest"
        return Misplaced(name, "stray", problem, older)
    problem = "is named by no manifest" if _OWN.fullmatch(last) else "is no file of this store"
    return Misplaced(name, "stray", f"{problem}, and plain readers see it")


def _in_archive(name: str, referenced: ReferencedFiles, every: set[str]) -> Misplaced | None:
    shown_as = name.removeprefix(ARCHIVE)
    newest = referenced.newest.get(shown_as)
    if shown_as in referenced.packs:
        second = "is a second copy of a file in sight"
        return Misplaced(name, "leftover", second) if shown_as in every else None
    if newest is not None and shown_as in every and not referenced.is_packed(newest):
        return Misplaced(name, "leftover", "is a second copy of a file in sight", newest)
    if not referenced.needs(shown_as):
        return Misplaced(name, "leftover", "is named by no manifest")
    return None


def _run_folder(name: str) -> str | None:
    """Return the folder of the run of a file, None for a file of others."""
    parts = name.split("/")
    if parts[0] == FOLDER:
        return parts[1]
    hidden = _TEMPORARY.fullmatch(parts[-1])
    own = _OWN.fullmatch(hidden[1] if hidden else parts[-1])
    return own[1] if own else None


def clean(files: Storage, *, older_than: timedelta, dry_run: bool) -> pd.DataFrame:
    """Return the misplaced files of a store, and what was done about each.

    Raises:
        SnapshotCorruptError: If a manifest cannot be read, and this is no dry run.
        SnapshotNotFoundError: If there is no store.
        SnapshotWriteError: If the file system refuses.
    """
    if not isinstance(older_than, timedelta):
        raise TypeError(f"older_than takes a timedelta, not {type(older_than).__name__}")
    catalog = Catalog(files)
    catalog.check_marker()
    # the names first: what is committed after they were listed is then named, and not removed
    names = list(files.walk(""))
    referenced = ReferencedFiles()
    for folder in catalog.folders():
        referenced.add(folder, catalog.revisions(folder))
    referenced.add_packs(Packs(files).all())
    if MARKER not in names and not referenced.revisions and not referenced.unreadable:
        raise SnapshotNotFoundError(f"there is no store in {printable(str(files))}")
    for error in referenced.unreadable.values():
        if not dry_run:
            raise SnapshotCorruptError(
                f"nothing was removed: {error}", file=getattr(error, "file", FOLDER)
            )
    young = datetime.now(UTC) - older_than
    rows = []
    for one in misplaced(names, referenced):
        for row in _rows(files, one):
            action = _action(row, one, young, sure=not referenced.unreadable)
            if not dry_run:
                _carry_out(files, referenced, one, action)
            elif not action.startswith("kept"):
                action = f"would be {action}"
            rows.append({**row, "action": action})
    return frame_of(pa.Table.from_pylist(rows, schema=_SCHEMA))


def _rows(files: Storage, one: Misplaced) -> list[dict[str, Any]]:
    """Return what is told of a file, nothing if it is gone meanwhile."""
    for name in (one.file, ARCHIVE + one.file):
        try:
            size, modified = files.size(name), files.modified(name)
        except FileNotFoundError:
            continue
        told = {"file": name, "size_bytes": size, "modified_at": modified, "problem": one.problem}
        return [told]
    return []


def _action(row: dict[str, Any], one: Misplaced, young: datetime, *, sure: bool) -> str:
    if one.manifest is not None or one.pack is not None:
        return "moved"
    if one.kind == "stray" and not is_pack(one.file.rpartition("/")[2]):
        return "kept: restore the manifest that names it, or move it elsewhere"
    if not sure:
        return "kept: a manifest cannot be read, and may name it; see verify()"
    return "removed" if row["modified_at"] < young else "kept: it is young, and may be in use"


def _carry_out(files: Storage, referenced: ReferencedFiles, one: Misplaced, action: str) -> None:
    if action == "moved" and one.pack is not None:
        publish_pack(files, one.pack.experiment_id)
    elif action == "moved":
        *older, newest = referenced.revisions[str(_run_folder(one.file))]
        Commits(files, Catalog(files), RevisionFiles(files)).publish(newest, older)
    elif action == "removed":
        files.delete(one.file)
