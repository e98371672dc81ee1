"""Compares a store with its manifests, and returns a frame of problems.

No problem raises: a damaged manifest is a row of the frame, and the other runs are checked too.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar, get_args

import pyarrow as pa

from retab_frames.errors import SnapshotCorruptError, SnapshotError, SnapshotNotFoundError
from retab_frames.load.parallel import map_in_order, show_progress
from retab_frames.schemas.frames import INT64, STRING, frame_of
from retab_frames.store.catalog import FOLDER, MARKER, MARKER_TEXT, Catalog, manifest_name
from retab_frames.store.cleanup import ReferencedFiles, misplaced
from retab_frames.store.deep_checks import content_problems, file_problem, pack_problems
from retab_frames.store.manifest import Manifest, folder_name
from retab_frames.store.packs import Pack, Packs, is_pack
from retab_frames.store.revisions import ARCHIVE, RevisionFiles
from retab_frames.store.table_versions import TABLES, VERSIONS
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from retab_frames.store.files.storage import Storage
    from retab_frames.store.manifest import FileEntry

__all__ = ["Level", "verify"]

Level = Literal["quick", "hash", "full"]
T = TypeVar("T")

_WORKERS = 4
_SCHEMA = pa.schema(
    {
        "run_id": STRING,
        "experiment_id": STRING,
        "revision": INT64,
        "file": STRING,
        "kind": STRING,
        "problem": STRING,
        "action": STRING,
    }
)
_RESTORE = "restore it from a copy, or pull the run again"
_RESTORE_OLD = "restore it from a copy; the newest revision does not need it"
_RESTORE_MANIFEST = "restore it from a copy, or delete it and pull the run again"
_REPACK = "compact the experiment again, which makes it anew from the files of the runs"
_UPGRADE = "upgrade retab-frames"
_MOVE = "clean(dry_run=False) moves it, and so does the next write of the run"
_PUBLISH = "clean(dry_run=False) moves it"
_REMOVE = "clean(dry_run=False) removes it once it is old"
_REMAKE_MARKER = "if this is a store, delete it and write any run, which makes it again"
_UNNAMED = "restore the manifest that names it, or move the file elsewhere"


class _Problem(NamedTuple):
    """One row of the frame."""

    run_id: str | None
    experiment_id: str | None
    revision: int | None
    file: str
    kind: str
    problem: str
    action: str


class _Run(NamedTuple):
    """The manifests in the folder of a run, and the problems of the run."""

    folder: str
    revisions: list[tuple[str, Manifest | SnapshotError]]
    problems: list[_Problem]


def verify(
    files: Storage, level: Level, *, run_id: str | None, progress: bool | None
) -> pd.DataFrame:
    """Return the problems of a store; see `SnapshotStore.verify`."""
    if level not in get_args(Level):
        raise ValueError(f"level must be one of {', '.join(get_args(Level))}, not {level!r}")
    catalog, tables = Catalog(files), RevisionFiles(files)
    try:
        catalog.check_marker()
    except SnapshotError as error:
        # the rest of a store of another format cannot be checked
        damaged = isinstance(error, SnapshotCorruptError)
        kind, action = ("damaged", _REMAKE_MARKER) if damaged else ("newer", _UPGRADE)
        problem = printable(str(error), 400)
        return _frame([_Problem(None, None, None, MARKER, kind, problem, action)])
    folders = _folders(catalog, files, run_id)
    # names before manifests: a revision committed in between then has no file that looks unnamed
    names = _names(files, catalog, folders) if run_id is not None else list(files.walk(""))
    problems = _of_marker(files)
    referenced = ReferencedFiles()
    check = partial(_check_run, catalog, tables, level)
    runs = map_in_order(check, folders, workers=_WORKERS)
    for run in show_progress(runs, len(folders), "Verifying runs", show=progress):
        referenced.add(run.folder, run.revisions)
        problems += run.problems
    packs = list(Packs(files).all())
    referenced.add_packs(packs)
    problems += _of_packs(tables, referenced, packs if run_id is None else [], level)
    return _frame([*problems, *_misplaced(tables, names, referenced)])


def _folders(catalog: Catalog, files: Storage, run_id: str | None) -> list[str]:
    """Return the folders of the manifests to look at.

    Raises:
        SnapshotNotFoundError: If there is no store, or no such run.
        SnapshotError: If the store is of another format.
    """
    folders = catalog.folders()
    if run_id is not None and folder_name(run_id) in folders:
        return [folder_name(run_id)]
    if run_id is None and (folders or catalog.exists()):
        return folders
    what = "store" if run_id is None else f"snapshot of run {printable(run_id)}"
    raise SnapshotNotFoundError(
        f"there is no {what} in {printable(str(files))}; list() shows the runs"
    )


def _names(files: Storage, catalog: Catalog, folders: list[str]) -> list[str]:
    """Return the names of all files of one run."""
    [folder] = folders
    found = [found for _, found in catalog.revisions(folder) if isinstance(found, Manifest)]
    experiments = {folder_name(manifest.experiment_id) for manifest in found}
    parents = [f"{table}/{experiment}" for table in TABLES for experiment in experiments]
    places = [f"{FOLDER}/{folder}", *parents, *(ARCHIVE + parent for parent in parents)]
    return [name for place in places for name in files.walk(place) if folder in name]


def _check_run(catalog: Catalog, tables: RevisionFiles, level: Level, folder: str) -> _Run:
    """Return the revisions of a run, and the problems of each."""
    revisions = list(catalog.revisions(folder))
    manifests = [found for _, found in revisions if isinstance(found, Manifest)]
    problems = [
        _of_manifest(file, found, manifests)
        for file, found in revisions
        if not isinstance(found, Manifest)
    ]
    problems += _chain(manifests, {file for file, _ in revisions})
    for manifest in manifests:
        old = manifest is not revisions[-1][1]
        found = [
            _of(manifest, f"{table}/{entry.name}", *problem, old=old)
            for table, entry in manifest.files.items()
            if (problem := _of_file(tables, table, entry, level))
        ]
        if level == "full" and not found:
            found = [_of(manifest, *one) for one in content_problems(tables, manifest)]
        problems += found
    return _Run(folder, revisions, problems)


def _of(
    manifest: Manifest, file: str, kind: str, problem: str, action: str = "", *, old: bool = False
) -> _Problem:
    """Return a problem of a revision; without an action, that of its kind is used."""
    default = _UPGRADE if kind == "newer" else _RESTORE_OLD if old else _RESTORE
    return _Problem(
        manifest.run_id,
        manifest.experiment_id,
        manifest.revision,
        file,
        kind,
        problem,
        action or default,
    )


def _of_manifest(file: str, error: SnapshotError, readable: list[Manifest]) -> _Problem:
    ids = (readable[0].run_id, readable[0].experiment_id) if readable else (None, None)
    damaged = isinstance(error, SnapshotCorruptError)
    return _Problem(
        run_id=ids[0],
        experiment_id=ids[1],
        revision=int(file.rpartition("/")[2].partition(".")[0]),
        file=file,
        kind="damaged" if damaged else "newer",
        problem=printable(str(error), 400),
        action=_RESTORE_MANIFEST if damaged else _UPGRADE,
    )


def _chain(manifests: list[Manifest], files: set[str]) -> Iterator[_Problem]:
    """Yield the revisions that are missing, or are not the one that the next one came after."""
    seals = {manifest.revision: manifest.seal for manifest in manifests}
    for manifest in manifests:
        before = manifest.revision - 1
        file = manifest_name(manifest.run_id, before)
        if before and file not in files:
            yield _of(manifest, file, "damaged", "is missing", old=True)
        elif before and seals.get(before, manifest.previous) != manifest.previous:
            problem = f"is not the one that revision {manifest.revision} came after"
            yield _of(manifest, file, "damaged", problem, old=True)


def _of_file(
    tables: RevisionFiles, table: str, entry: FileEntry, level: Level
) -> tuple[str, str] | None:
    """Return the kind of problem that a file has, and the problem; None if it has none."""
    problem: str | None
    known = VERSIONS.get(table, entry.schema_version)
    if entry.schema_version > known:
        reason = f"has version {entry.schema_version} of the table {table}, this library reads up"
        return "newer", f"{reason} to {known}"
    try:
        problem = file_problem(tables, f"{table}/{entry.name}", entry, level, "its manifest")
    except SnapshotError as error:
        problem = printable(str(error), 400)
    return None if problem is None else ("damaged", problem)


def _of_packs(
    tables: RevisionFiles,
    referenced: ReferencedFiles,
    packs: list[tuple[str, Pack | SnapshotError]],
    level: Level,
) -> Iterator[_Problem]:
    for folder, pack in packs:
        if isinstance(pack, Pack):
            for run in referenced.without_manifest(pack):
                file = manifest_name(run.run_id, run.revision)
                yield _of(run, file, "damaged", "is missing, and a pack has the run")
            for file, problem in pack_problems(tables, pack, level):
                experiment_id = pack.experiment_id
                yield _Problem(None, experiment_id, None, file, "damaged", problem, _REPACK)
        else:
            damaged = isinstance(pack, SnapshotCorruptError)
            kind, action = ("damaged", _REPACK) if damaged else ("newer", _UPGRADE)
            file = getattr(pack, "file", f"packs/{folder}")
            yield _Problem(None, None, None, file, kind, printable(str(pack), 400), action)


def _of_marker(files: Storage) -> list[_Problem]:
    try:
        if files.read(MARKER) == MARKER_TEXT:
            return []
        problem, action = "is altered, though it can be read", _REMAKE_MARKER
    except FileNotFoundError:
        problem, action = "is missing", "write any run, which makes it again"
    return [_Problem(None, None, None, MARKER, "damaged", problem, action)]


def _misplaced(
    tables: RevisionFiles, names: list[str], referenced: ReferencedFiles
) -> Iterator[_Problem]:
    for one in misplaced(names, referenced):
        if one.manifest is not None:
            yield _of(one.manifest, one.file, one.kind, one.problem, _MOVE)
        # another writer may have moved it meanwhile
        elif one.pack is not None:
            yield _Problem(
                None, one.pack.experiment_id, None, one.file, one.kind, one.problem, _PUBLISH
            )
        elif tables.size(one.file) is not None:
            known = is_pack(one.file.rpartition("/")[2])
            action = _REMOVE if one.kind == "leftover" or known else _UNNAMED
            yield _Problem(None, None, None, one.file, one.kind, one.problem, action)


def _frame(problems: list[_Problem]) -> pd.DataFrame:
    rows = [problem._asdict() for problem in problems]
    return frame_of(pa.Table.from_pylist(rows, schema=_SCHEMA))
