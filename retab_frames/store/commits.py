"""Saving a revision of a run: its manifest is created last, and makes it count.

1. The data files are created in the folder of the run, each flushed. One that is there with the
   right content is taken up, and touched, so that no clean-up takes it for an old one.
2. The folder is flushed, once for all of them.
3. If they are all there, the manifest is created under the next revision number, and flushed with
   the folder: now the revision counts. Creating a file fails if its name is taken, so of two
   writers of one revision one commits, and the other learns of it.
4. The views of plain readers are renewed.

A crash before step 3 leaves files that no manifest names, which `clean` removes. A crash after it
leaves views of the revision before, which the next save of the run renews, and so does `publish`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from retab_frames.errors import SnapshotConflictError, SnapshotCorruptError, SnapshotWriteError
from retab_frames.load.content import RunContent
from retab_frames.schemas.models import empty_table
from retab_frames.store.catalog import CutManifestError
from retab_frames.store.manifest import (
    DIGEST_KEYS,
    FOLDER,
    MOST_BYTES,
    FileEntry,
    Manifest,
    content_digest,
    data_name,
    folder_name,
    is_cut,
    library,
    manifest_name,
    seal,
    sha256,
)
from retab_frames.store.parquet import encode
from retab_frames.store.removal import finish_removal
from retab_frames.store.table_versions import TABLES, VERSIONS, has_schema, upgrade
from retab_frames.store.tables import has_content
from retab_frames.store.views import publish_run
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from retab_frames.store.catalog import Catalog
    from retab_frames.store.files.storage import Storage

__all__ = ["Saved", "save"]

_MOST_CUT_MANIFESTS = 100


class Saved(NamedTuple):
    """The newest revision after a save, the one before it, and whether the two are the same."""

    manifest: Manifest
    previous: Manifest | None
    is_equal: bool

    @property
    def is_new(self) -> bool:
        """Whether a revision was made."""
        return self.manifest is not self.previous


def save(files: Storage, catalog: Catalog, content: RunContent, *, views: bool) -> Saved:
    """Save a content as the next revision of its run, unless the newest one is equal.

    Raises:
        ValueError: If there is nothing to save.
        SnapshotConflictError: If someone else made another revision first, or the run is one of
            another experiment.
        SnapshotWriteError: If the file system refuses; the message says what is committed.
    """
    run_id, experiment_id = _check_ids(content)
    tables = {**content.tables._asdict(), "raw": content.raw_rows, "runs": content.run_table}
    _check_columns(content, tables)
    # a table without rows has no file, so a reader cannot know more columns than the schema's
    tables |= {name: empty_table(TABLES[name]) for name, data in tables.items() if not len(data)}
    digest = content_digest(tables, DIGEST_KEYS, complete=content.complete)

    newest = _newest_to_follow(files, catalog, run_id)
    if newest is not None and newest.experiment_id != experiment_id:
        raise SnapshotConflictError(
            f"run {printable(run_id)} of experiment {printable(experiment_id)} is in this "
            f"store already, as a run of {printable(newest.experiment_id)}: use another store"
        )
    catalog.mark()
    is_equal = newest is not None and newest.digest == digest
    if newest is not None and is_equal and _is_whole(files, newest):
        _publish(files, newest, views=views)
        return Saved(newest, newest, is_equal=True)

    entries = _write_data(files, run_id, tables, newest)
    manifest = _build_manifest(content, digest, entries, newest)
    committed, is_ours = _commit(files, manifest)
    if is_ours:
        _publish(files, committed, views=views)
        return Saved(committed, newest, is_equal)
    if committed.digest == digest and not committed.removed:
        return Saved(committed, committed, is_equal=True)
    raise SnapshotConflictError(
        f"someone else wrote revision {committed.revision} of run {printable(run_id)} first, with "
        f"different content ({committed.digest[:12]}, ours {digest[:12]}); read it, or write "
        "again to make a revision after it"
    )


def _check_ids(content: RunContent) -> tuple[str, str]:
    """Return the run and the experiment of a content that can be saved."""
    if not isinstance(content, RunContent):
        raise TypeError(f"write takes a RunContent, not {type(content).__name__}")
    if content.run_id is None or content.experiment_id is None:
        raise ValueError("there is no run in this content: an experiment never run has none")
    if content.not_loaded:
        raise ValueError(f"run {content.run_id!r} was not loaded; its `issues` say why")
    return content.run_id, content.experiment_id


def _check_columns(content: RunContent, tables: Mapping[str, pa.Table]) -> None:
    """Check the types and nulls of the columns, which of a loaded content are always right.

    Raises:
        SchemaError: If they are not; the whole frames are validated only then.
    """
    try:
        for table, data in tables.items():
            if not has_schema(data, table):
                upgrade(data, table, VERSIONS[table], table)
    except SnapshotCorruptError:
        for frame in ("jobs", "handle_inputs", "handle_outputs", "run", "issues", "raw"):
            getattr(content, frame)
        raise


def _newest_to_follow(files: Storage, catalog: Catalog, run_id: str) -> Manifest | None:
    """Return the newest revision of a run, after a removal that was cut short is finished."""
    try:
        last = catalog.last(run_id)
    except CutManifestError:
        # the writer of the first revision was killed before that counted
        return None
    if last is not None and last.removed:
        finish_removal(files, last)
        return None
    return last


def _is_whole(files: Storage, manifest: Manifest) -> bool:
    """Return whether every file of a revision is there with the content of its manifest."""
    return all(
        has_content(files, manifest.path_of(table), entry.size, entry.sha256)
        for table, entry in manifest.files.items()
    )


def _write_data(
    files: Storage, run_id: str, tables: Mapping[str, pa.Table], newest: Manifest | None
) -> dict[str, FileEntry]:
    """Write the tables that have rows, and return their entries for a manifest."""
    known = {entry.name for entry in newest.files.values()} if newest else set()
    folder, entries = f"{FOLDER}/{folder_name(run_id)}", {}
    for table, data in tables.items():
        if not data.num_rows:
            continue
        body = encode(data)
        digest = sha256(body)
        name = data_name(table, digest)
        # one that the revision before has is not written and flushed again in vain
        if name in known or not files.create(f"{folder}/{name}", body):
            _take_up(files, f"{folder}/{name}", body, digest)
        entries[table] = FileEntry(
            name, len(body), digest, data.num_rows, VERSIONS[table], tuple(data.column_names)
        )
    files.flush_folder(folder)
    return entries


def _take_up(files: Storage, file: str, body: bytes, digest: str) -> None:
    """Use the file that is there; put the right one in its place if it is damaged."""
    try:
        if has_content(files, file, len(body), digest):
            files.touch(file)
            return
    except FileNotFoundError:
        # removed by a clean-up, right before it was touched
        pass
    files.put(file, body)


def _build_manifest(
    content: RunContent, digest: str, files: dict[str, FileEntry], newest: Manifest | None
) -> Manifest:
    """Return the manifest of the revision after the newest one, or of the first revision."""
    jobs, run = content.tables.jobs, content.run_table
    created = run.column("created_at")[0].as_py() if run.num_rows else None
    return Manifest(
        workflow_id=jobs.column("workflow_id")[0].as_py() if jobs.num_rows else None,
        experiment_id=str(content.experiment_id),
        run_id=str(content.run_id),
        revision=1 if newest is None else newest.revision + 1,
        block_kind=jobs.column("block_kind")[0].as_py() if jobs.num_rows else None,
        complete=content.complete,
        jobs=jobs.num_rows,
        statuses=content.statuses,
        run_created_at=_to_text(created),
        fetched_at=_to_text(content.fetched_at),
        written_at=datetime.now(UTC).isoformat(),
        digest=digest,
        previous=None if newest is None else newest.seal,
        files=files,
        library=library(),
        source=content.source,
    )


def _to_text(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat()


def _commit(files: Storage, manifest: Manifest) -> tuple[Manifest, bool]:
    """Create the manifest of a revision; return the one that is there then, and if it is ours.

    Raises:
        SnapshotWriteError: If the file system refuses; the message says what is known.
        SnapshotCorruptError: If a data file is gone, or the manifest reads back differently.
    """
    _check_data_is_there(files, manifest)
    for _ in range(_MOST_CUT_MANIFESTS):
        name, text = manifest_name(manifest.run_id, manifest.revision), seal(manifest)
        try:
            created = files.create(name, text)
            files.flush_folder(f"{FOLDER}/{manifest.folder}")
        except SnapshotWriteError as error:
            raise SnapshotWriteError(
                f"{error}; revision {manifest.revision} of run {printable(manifest.run_id)} may "
                "be committed or not: write the run again, which finds it or makes it"
            ) from error
        back = files.read(name, MOST_BYTES)
        if created and back != text:
            raise SnapshotCorruptError(
                f"{name} reads back differently than it was written: the disk is unreliable; "
                "delete the file, and write the run elsewhere",
                file=name,
            )
        if created or not is_cut(back):
            break
        # its writer was killed: it never counted, and its number is left to it
        manifest = msgspec.structs.replace(manifest, revision=manifest.revision + 1)
    found = Manifest.parse(back, name)
    if created:
        # a clean-up that took them for old ones may have come in between
        _check_data_is_there(files, found)
    return found, created


def _check_data_is_there(files: Storage, manifest: Manifest) -> None:
    for table, entry in manifest.files.items():
        file = manifest.path_of(table)
        try:
            problem = "has another size" if files.size(file) != entry.size else None
        except FileNotFoundError:
            problem = "disappeared"
        if problem is not None:
            raise SnapshotCorruptError(
                f"{file} of run {printable(manifest.run_id)} {problem} right after it was "
                "written: someone changes files of this store; write the run again",
                file=file,
            )


def _publish(files: Storage, manifest: Manifest, *, views: bool) -> None:
    if not views:
        return
    try:
        publish_run(files, manifest)
    except SnapshotWriteError as error:
        raise SnapshotWriteError(
            f"revision {manifest.revision} of run {printable(manifest.run_id)} is committed, but "
            f"not all views of it could be renewed: {error}; publish() renews them"
        ) from error
