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
from retab_frames.store.catalog import (
    MARKER,
    MARKER_TEXT,
    Catalog,
    CutManifestError,
    OldFormatError,
)
from retab_frames.store.cleanup import find_leftovers
from retab_frames.store.compacted import COMPACTED, INDEX, read_index, views_of
from retab_frames.store.deep_checks import content_problems, file_problem, part_problems
from retab_frames.store.files.local import LocalStorage
from retab_frames.store.labels import LABEL_FILE, LABELS, parse_label
from retab_frames.store.manifest import FOLDER, Manifest, folder_name, manifest_name
from retab_frames.store.table_versions import TABLES, VERSIONS
from retab_frames.store.views import VIEW
from retab_frames.text.messages import printable
from retab_frames.text.next_steps import LIST_STORED, PULL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from retab_frames.store.files.storage import Storage

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
_RESTORE = "restore it from a copy, or pull the run again with refresh"
_RESTORE_OLD = "restore it from a copy; the newest revision does not need it"
_RESTORE_MANIFEST = "restore it from a copy, or delete it and pull the run again"
_UPGRADE = "upgrade retab-frames"
_COMPACT = "compact the experiment again; nothing is lost, the runs have files of their own"
_DELETE_CUT = "delete it"
_REMOVE = "clean(dry_run=False) removes it once it is old"
_REMAKE_MARKER = "if this is a store, delete it and write any run, which makes it again"
_UNKNOWN_VIEW = "restore the manifests of its run, or delete it"
_FOREIGN = "move it elsewhere"
_NOT_OURS = "is not a file of this store"
_PUBLISH = "publish() makes it again"
_LABEL = "set the label again, or delete it"
_FINISH = "clean(dry_run=False) finishes it"


class _Problem(NamedTuple):
    """One row of the frame."""

    run_id: str | None
    experiment_id: str | None
    revision: int | None
    file: str
    kind: str
    problem: str
    action: str


def verify(
    files: Storage, level: Level, *, run_id: str | None, progress: bool | None
) -> pd.DataFrame:
    """Return the problems of a store; see `SnapshotStore.verify`.

    What looks wrong is looked at once more at the end, and left out if it is right then: a writer,
    a compaction or a clean-up may have been at work.
    """
    if level not in get_args(Level):
        raise ValueError(f"level must be one of {', '.join(get_args(Level))}, not {level!r}")
    catalog = Catalog(files)
    try:
        catalog.check_marker()
    except SnapshotError as error:
        # the rest of a store of another format cannot be checked
        kind, action = "newer", _UPGRADE
        if isinstance(error, SnapshotCorruptError):
            kind, action = "damaged", _REMAKE_MARKER
        elif isinstance(error, OldFormatError):
            kind, action = "older", "pull its runs again, into a new folder"
        problem = printable(str(error), 400)
        return _frame([_Problem(None, None, None, MARKER, kind, problem, action)])
    folders = _folders(catalog, files, run_id)
    problems = _of_marker(files)
    check = partial(_check_run, files, catalog, level)
    runs = map_in_order(check, folders, workers=_WORKERS)
    for folder, found in zip(
        folders, show_progress(runs, len(folders), "Verifying runs", show=progress), strict=True
    ):
        problems += _in_both(found, check(folder)) if found else []
    whole = run_id is None
    for look in (_leftovers, *((_strays, _of_compacted, _of_labels) if whole else ())):
        first = _collect(look(files, catalog, folders, level))
        problems += _in_both(first, _collect(look(files, catalog, folders, level))) if first else []
    return _frame(list(dict.fromkeys(problems)))


def _collect(found: Iterator[_Problem]) -> list[_Problem]:
    """Return the problems; what stops the search, such as a link, is one of them."""
    problems: list[_Problem] = []
    try:
        problems.extend(found)
    except SnapshotError as error:
        file = getattr(error, "file", None) or FOLDER
        problems.append(_of_name(file, "damaged", printable(str(error), 400), _FOREIGN))
    return problems


def _in_both(first: Iterable[_Problem], second: Iterable[_Problem]) -> list[_Problem]:
    """Return the problems of the second look that the first one had too."""
    seen = {(one.file, one.kind) for one in first}
    return [one for one in second if (one.file, one.kind) in seen]


def _folders(catalog: Catalog, files: Storage, run_id: str | None) -> list[str]:
    """Return the folders of the runs to look at.

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
    error = SnapshotNotFoundError(f"there is no {what} in {printable(str(files))}")
    raise error.advise(PULL if run_id is None else LIST_STORED)


def _check_run(files: Storage, catalog: Catalog, level: Level, folder: str) -> list[_Problem]:
    """Return the problems of a run, in all its revisions."""
    try:
        revisions = list(catalog.revisions(folder))
    except SnapshotError as error:
        return [_of_folder(folder, error)]
    manifests = [found for _, found in revisions if isinstance(found, Manifest)]
    last = revisions[-1][1] if revisions else None
    if isinstance(last, Manifest) and last.removed:
        problem = "says that the run was removed, but files of it are left"
        file = manifest_name(last.run_id, last.revision)
        return [_of(last, file, "leftover", problem, _FINISH)]
    problems = [
        _of_manifest(file, found, manifests)
        for file, found in revisions
        if not isinstance(found, Manifest)
    ]
    problems += _chain(manifests, {file for file, _ in revisions})
    for manifest in manifests:
        old = manifest is not last
        found = [
            _of(manifest, manifest.path_of(table), *wrong, old=old)
            for table in manifest.files
            if (wrong := _of_file(files, manifest, table, level))
        ]
        if level == "full" and not found:
            found = [_of(manifest, *one) for one in content_problems(files, manifest)]
        problems += found
    return problems


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


def _of_folder(folder: str, error: SnapshotError) -> _Problem:
    problem = printable(str(error), 400)
    return _Problem(None, None, None, f"{FOLDER}/{folder}", "damaged", problem, _FOREIGN)


def _of_manifest(file: str, error: SnapshotError, readable: list[Manifest]) -> _Problem:
    ids = (readable[0].run_id, readable[0].experiment_id) if readable else (None, None)
    revision = int(file.rpartition("/")[2].partition(".")[0])
    kind, action = "newer", _UPGRADE
    if isinstance(error, SnapshotCorruptError):
        kind, action = "damaged", _RESTORE_MANIFEST
    following = next((one for one in readable if one.revision > revision), None)
    before = {one.seal for one in readable if one.revision < revision} | {None}
    if isinstance(error, CutManifestError) and following and following.previous in before:
        # the next revision does not know it: its writer was killed before it counted
        kind, action = "leftover", _DELETE_CUT
    problem = printable(str(error), 400)
    return _Problem(ids[0], ids[1], revision, file, kind, problem, action)


def _chain(manifests: list[Manifest], files: set[str]) -> Iterator[_Problem]:
    """Yield the revisions that are missing, or are not the one that the next one came after.

    The first ones may be missing: they were pruned.
    """
    seals = {manifest.revision: manifest.seal for manifest in manifests}
    for manifest in manifests[1:] if len(manifests) == len(files) else ():
        before = manifest.revision - 1
        file = manifest_name(manifest.run_id, before)
        if before not in seals:
            yield _of(manifest, file, "damaged", "is missing", old=True)
        elif seals[before] != manifest.previous:
            problem = f"is not the one that revision {manifest.revision} came after"
            yield _of(manifest, file, "damaged", problem, old=True)


def _of_file(
    files: Storage, manifest: Manifest, table: str, level: Level
) -> tuple[str, str] | None:
    """Return the kind of problem that a data file has, and the problem; None if it has none."""
    version = manifest.files[table].schema_version
    known = VERSIONS.get(table, version)
    if version > known:
        reason = f"has version {version} of the table {table}, this library reads up"
        return "newer", f"{reason} to {known}"
    problem: str | None
    try:
        problem = file_problem(files, manifest, table, level)
    except SnapshotError as error:
        problem = printable(str(error), 400)
    return None if problem is None else ("damaged", problem)


def _of_marker(files: Storage) -> list[_Problem]:
    try:
        if files.read(MARKER) == MARKER_TEXT:
            return []
        problem, action = "is altered, though it can be read", _REMAKE_MARKER
    except FileNotFoundError:
        problem, action = "is missing", _PUBLISH
    return [_Problem(None, None, None, MARKER, "damaged", problem, action)]


def _leftovers(
    files: Storage, catalog: Catalog, folders: list[str], _level: Level
) -> Iterator[_Problem]:
    """Yield the files that only take space, of these runs or, if these are all, of the store."""
    for name, problem in find_leftovers(files, catalog):
        if len(folders) > 1 or name.startswith(f"{FOLDER}/{folders[0]}/"):
            yield _of_name(name, "leftover", problem, _REMOVE)


def _strays(
    files: Storage, catalog: Catalog, folders: list[str], _level: Level
) -> Iterator[_Problem]:
    """Yield the files among the views that are none, and that plain readers see."""
    odd = catalog.odd_folders()
    for name in odd:
        problem = "is a link, or no folder that can be listed: its run is left out everywhere"
        yield _of_name(f"{FOLDER}/{name}", "damaged", problem, _FOREIGN)
    known = {*odd, *(folder for folder in folders if catalog.numbers(folder))}
    for table in TABLES:
        try:
            names = list(files.walk(table))
        except SnapshotError as error:
            yield _of_name(table, "damaged", printable(str(error), 400), _FOREIGN)
            continue
        for name in names:
            match = VIEW.fullmatch(name)
            if name.rpartition("/")[2].startswith((".", "_")):
                continue
            if match is None:
                yield _of_name(name, "stray", _NOT_OURS, _FOREIGN)
            elif match[2] not in known and not catalog.numbers(match[2]):
                yield _of_name(name, "stray", "is of a run without manifests", _UNKNOWN_VIEW)
            elif isinstance(files, LocalStorage) and not _is_file(files, name):
                yield _of_name(name, "stray", "is a link, or is not a file", _PUBLISH)


def _of_labels(
    files: Storage, catalog: Catalog, _folders: list[str], _level: Level
) -> Iterator[_Problem]:
    """Yield the labels that cannot be read, and those of runs that are gone."""
    for name in files.walk(LABELS):
        if name.rpartition("/")[2].startswith("."):
            continue
        if not LABEL_FILE.fullmatch(name):
            yield _of_name(name, "stray", _NOT_OURS, _FOREIGN)
            continue
        try:
            label = parse_label(files, name)
        except FileNotFoundError:
            continue
        except SnapshotError as error:
            yield _of_name(name, "damaged", printable(str(error), 400), _LABEL)
            continue
        if not catalog.numbers(folder_name(label.run_id)):
            problem = f"is the label of run {printable(label.run_id)}, which is not in the store"
            yield _of_name(name, "stray", problem, _LABEL)


def _of_compacted(
    files: Storage, _catalog: Catalog, _folders: list[str], level: Level
) -> Iterator[_Problem]:
    views: dict[str, set[str]] = {}
    for name in files.names(COMPACTED):
        match = INDEX.fullmatch(name)
        if match is None:
            if name not in {*TABLES, "parts"} and not name.startswith("."):
                yield _of_name(f"{COMPACTED}/{name}", "stray", _NOT_OURS, _FOREIGN)
            continue
        index = read_index(files, match[1])
        if index is None and _is_file(files, f"{COMPACTED}/{name}"):
            problem = "cannot be used: it is damaged, or another version wrote it"
            yield _of_name(f"{COMPACTED}/{name}", "damaged", problem, _COMPACT)
        if index is not None:
            views[match[1]] = set(views_of(index))
        for file, problem in part_problems(files, index, level) if index is not None else ():
            experiment_id = None if index is None else index.experiment_id
            yield _Problem(None, experiment_id, None, file, "damaged", problem, _COMPACT)
    for name in (one for table in TABLES for one in files.walk(f"{COMPACTED}/{table}")):
        if name.rpartition("/")[2].startswith((".", "_")):
            continue
        known = views.get(name.split("/")[2])
        if known is not None and name not in known:
            yield _of_name(name, "stray", _NOT_OURS, f"{_FOREIGN}, or compact the experiment again")


def _is_file(files: Storage, name: str) -> bool:
    try:
        return files.size(name) >= 0
    except FileNotFoundError:
        return False


def _of_name(name: str, kind: str, problem: str, action: str) -> _Problem:
    return _Problem(None, None, None, printable(name, 400), kind, problem, action)


def _frame(problems: list[_Problem]) -> pd.DataFrame:
    rows = [problem._asdict() for problem in problems]
    return frame_of(pa.Table.from_pylist(rows, schema=_SCHEMA))
