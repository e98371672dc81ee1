"""The store: one Parquet file per table and run, and a manifest for each revision of a run.

    <root>/retab-frames.json                            format and version
    <root>/manifests/<run>/000001.json                  the commit point of revision 1 of a run
    <root>/<table>/<experiment>/<run>-<hash>.parquet    named by content, never changed
    <root>/archive/<table>/...                          files of superseded revisions

Data files are written first, in `archive/`, and the manifest last, so a revision is complete or not
there at all; then its files are moved to their table, and those of the revision before it to
`archive/`. A reader looks in both places.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from retab_frames.errors import RetabFramesWarning, SnapshotConflictError, SnapshotNotFoundError
from retab_frames.flatten.batches import Tables
from retab_frames.load.content import RunContent
from retab_frames.load.from_api import iter_content, load_runs
from retab_frames.schemas.models import SnapshotsSchema
from retab_frames.schemas.validation import to_frame
from retab_frames.store.catalog import Catalog
from retab_frames.store.cleanup import clean
from retab_frames.store.commits import Commits, build_manifest, build_tables, check_ids
from retab_frames.store.compaction import compact
from retab_frames.store.files.local import LocalStorage
from retab_frames.store.files.storage import open_storage
from retab_frames.store.manifest import DIGEST_KEYS, Manifest, content_digest
from retab_frames.store.revisions import RevisionFiles
from retab_frames.store.verification import verify
from retab_frames.text.messages import printable
from retab_frames.text.tables import escape_html, render_html

if TYPE_CHECKING:
    import os

    import pandas as pd

    from retab_frames.api.client import Client
    from retab_frames.load.from_api import RunIds
    from retab_frames.store.compaction import Compaction
    from retab_frames.store.verification import Level

__all__ = ["Snapshot", "SnapshotStore"]

_RUNS_SHOWN = 10
Action = Literal["created", "revised", "repaired", "unchanged"]


@dataclass(frozen=True)
class Snapshot:
    """The result of a write.

    Attributes:
        run_id: The run.
        experiment_id: Its experiment.
        revision: The number of the newest revision, from 1.
        action: "created": the first revision. "revised": the content differs from the revision
            before. "repaired": a file of that was missing or damaged. "unchanged": no new revision.
        complete: Whether every job had ended and nothing was missing.
        jobs: How many jobs it has.
    """

    run_id: str
    experiment_id: str
    revision: int
    action: Action
    complete: bool
    jobs: int

    def _repr_html_(self) -> str:
        return f"<div><b>{escape_html(self.action)}</b> {escape_html(repr(self))}</div>"


class SnapshotStore:
    """A folder of snapshots: Parquet that any tool reads, and manifests with the hash of each file.

    Args:
        root: The folder; it is made when the first snapshot is written.

    Example:
        >>> import retab_frames as rf
        >>> store = rf.SnapshotStore("snapshots")
        >>> store
        SnapshotStore('snapshots')
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._files = open_storage(root)
        self._catalog = Catalog(self._files)
        self._tables = RevisionFiles(self._files)
        self._commits = Commits(self._files, self._catalog, self._tables)

    def __repr__(self) -> str:
        return f"SnapshotStore({self.root!r})"

    def _repr_html_(self) -> str:
        """Return the name and, of a store in a folder, its last runs; a bucket is not listed."""
        head = f"<div><b>{escape_html(repr(self))}</b>"
        if not isinstance(self._files, LocalStorage):
            return f"{head}</div>"
        runs = self.list()
        names = ["experiment_id", "run_id", "revision", "complete", "jobs", "completed", "error"]
        rest = f"<div>{len(runs)} runs, the last {_RUNS_SHOWN} of them above</div>"
        table = render_html(runs[names].tail(_RUNS_SHOWN))
        return f"{head}{table}{rest if len(runs) > _RUNS_SHOWN else ''}</div>"

    @property
    def root(self) -> str:
        """The folder or URL of the store."""
        return str(self._files)

    def exists(self) -> bool:
        """Return whether a snapshot was ever written there."""
        return self._catalog.exists()

    def pull(
        self,
        workflow_id: str,
        experiment_id: str,
        *,
        run_id: RunIds = None,
        client: Client | None = None,
        progress: bool | None = None,
    ) -> list[Snapshot]:
        """Load runs and write a snapshot of each.

        Args:
            workflow_id: The workflow of the experiment.
            experiment_id: The experiment; one never run writes nothing, with a warning.
            run_id: One id, any sequence of ids, "all", or None for the latest run.
            client: None makes one from the environment.
            progress: As in `load_jobs`.

        Returns:
            One Snapshot per run, in the order asked for; "all" gives the newest first.

        Raises:
            RequestError, MalformedResponseError: If a run cannot be loaded; the ones before it
                are written.
            SnapshotError: If one cannot be written.
        """
        never_run = False
        if isinstance(run_id, str) and run_id == "all":
            run_id = load_runs(workflow_id, experiment_id, client=client)["run_id"].tolist()
            never_run = not run_id
        written = []
        for content in iter_content(
            workflow_id, experiment_id, run_id=run_id, client=client, progress=progress
        ):
            if content.run_id is None:
                never_run = True
            else:
                written.append(self.write(content))
        if never_run:
            text = f"experiment {experiment_id} was never run: no snapshot was written"
            warnings.warn(text, RetabFramesWarning, stacklevel=2)
        return written

    def write(self, content: RunContent) -> Snapshot:
        """Write the content of a run as its next revision, unless the newest one is equal.

        Raises:
            ValueError: If the experiment was never run, or the run could not be loaded, so
                there is nothing to write.
            SnapshotConflictError: If someone else wrote a different revision at the same time, or
                the store has that run as one of another experiment.
            SnapshotWriteError: If the file system refuses; what was there is untouched.
        """
        run_id, experiment_id = check_ids(content)
        tables = build_tables(content)
        digest = content_digest(tables, DIGEST_KEYS, complete=content.complete)
        newest = self._catalog.newest(run_id)
        if newest is not None and newest.experiment_id != experiment_id:
            raise SnapshotConflictError(
                f"run {printable(run_id)} of experiment {printable(experiment_id)} is in this "
                f"store already, as a run of {printable(newest.experiment_id)}: use another store"
            )
        equal = newest is not None and newest.digest == digest
        if newest is not None:
            # a crash may have come after its manifest was created and before its files were moved
            self._commits.publish(newest)
            if equal and self._tables.are_whole(newest):
                return _snapshot(newest, "unchanged")
        self._catalog.mark()
        files = self._tables.write(tables, experiment_id, run_id)
        manifest = build_manifest(content, digest, files, newest)
        other = self._commits.commit(manifest)
        if other is None:
            return _snapshot(manifest, "repaired" if equal else "revised" if newest else "created")
        if other.digest == digest:
            return _snapshot(other, "unchanged")
        raise SnapshotConflictError(
            f"someone else wrote revision {other.revision} of run {printable(run_id)} first, with "
            f"different content ({other.digest[:12]}, ours {digest[:12]}); read it, or write again "
            "to make a revision after it"
        )

    def read(self, run_id: str, *, revision: int | None = None) -> RunContent:
        """Return the content of a run, after comparing every file with its hash.

        Args:
            run_id: The run.
            revision: None for the newest.

        Raises:
            SnapshotNotFoundError: If the store has no such run or revision.
            SnapshotCorruptError: If a file is missing, cut or altered.
        """
        manifest = (
            self._catalog.newest(run_id)
            if revision is None
            else self._catalog.revision(run_id, revision)
        )
        if manifest is None:
            which = "" if revision is None else f", revision {revision},"
            hint = self._catalog.suggest(run_id) if revision is None else ""
            raise SnapshotNotFoundError(
                f"there is no snapshot of run {printable(run_id)}{which} in "
                f"{printable(self.root)}{hint}; list() shows the runs"
            )
        tables = {
            name: self._tables.read(name, manifest)
            for name in ("jobs", "handle_inputs", "handle_outputs", "issues", "runs")
        }
        fetched_at = manifest.fetched_at
        return RunContent(
            experiment_id=manifest.experiment_id,
            run_id=manifest.run_id,
            complete=manifest.complete,
            fetched_at=None if fetched_at is None else datetime.fromisoformat(fetched_at),
            tables=Tables(*(tables[name] for name in Tables._fields)),
            run_table=tables["runs"],
            raw_source=lambda: self._tables.read("raw", manifest),
            source=manifest.source,
        )

    def list(self) -> pd.DataFrame:
        """Return one row per run, its newest revision; fits SnapshotsSchema.

        Rows are ordered by experiment, then by when the run was made. A run whose manifest is
        damaged is left out, with a warning.
        """
        return to_frame(self._catalog.table(), SnapshotsSchema)

    def verify(
        self, level: Level = "hash", *, run_id: str | None = None, progress: bool | None = None
    ) -> pd.DataFrame:
        """Return the problems of the store, one row each; no rows if there are none.

        Args:
            level: "quick" opens every manifest, and compares the size of every file; "hash" also
                reads every file and compares its SHA-256; "full" also decodes it with the checksum
                of each page, compares rows, columns and the digest of the content, and builds the
                frames again from the rows of the API in `raw`.
            run_id: Only this run, in all its revisions; None for the whole store.
            progress: True shows a progress bar, False none; None shows one for several runs in a
                terminal or a notebook.

        Returns:
            One row per problem, by run and revision, files of no run last: `run_id,
            experiment_id, revision, file, kind, problem, action`. `kind` is "damaged" (missing,
            cut or altered), "newer" (than this library reads), "stray" (plain readers see a file
            that they should not, or do not see one that they should), "differs" (the frames built
            again from `raw` are not those stored) or "leftover" (it only takes space). `action`
            says what to do.

        Raises:
            SnapshotNotFoundError: If there is no store, or no such run in it.
            SnapshotError: If the folder cannot be listed.
        """
        return verify(self._files, level, run_id=run_id, progress=progress)

    def clean(
        self, *, older_than: timedelta = timedelta(days=1), dry_run: bool = True
    ) -> pd.DataFrame:
        """Return the files that a crash or a failed write left behind; remove them if asked to.

        Removed are temporary files, and files in the archive that no manifest names. Files of a
        revision that are in the wrong place are moved. A file among those of plain readers that no
        manifest names is listed and left alone: its manifest may be missing.

        Args:
            older_than: Younger files are kept: a writer may be at work on them.
            dry_run: True changes nothing; `action` says what would be done.

        Returns:
            One row per file, sorted by name: `file, size_bytes, modified_at, problem, action`.

        Raises:
            SnapshotCorruptError: If a manifest cannot be read: the files it names are unknown, so
                nothing is removed. Not raised by a dry run, whose `action` says so.
            SnapshotNotFoundError: If there is no store.
            SnapshotWriteError: If the file system refuses.
        """
        return clean(self._files, older_than=older_than, dry_run=dry_run)

    def compact(self, experiment_id: str, *, progress: bool | None = None) -> Compaction:
        """Pack the complete runs of an experiment into few files, which read many times faster.

        Nothing that is read through this library changes: contents, revisions, manifests, scans.
        Plain readers find the same rows in a file for every 250 runs (`raw` with a `run_id`). The
        files of the runs move to `archive/`, where they stay. A run that gets a new revision leaves
        the pack; new runs stay beside it until it is compacted again, which packs them alone. While
        files change places, for a moment, a plain reader may miss rows, and not find a file that it
        listed.

        Args:
            experiment_id: The experiment. Its incomplete runs, which will change, stay as they are.
            progress: True shows a progress bar, False none; None shows one for more than one file
                in a terminal or a notebook.

        Raises:
            SnapshotNotFoundError: If the store has no run of it.
            SnapshotCorruptError: If a file is missing, cut or altered; nothing changes.
            SnapshotWriteError: If the file system refuses.
        """
        return compact(self._files, experiment_id, progress=progress)


def _snapshot(manifest: Manifest, action: Action) -> Snapshot:
    return Snapshot(
        manifest.run_id,
        manifest.experiment_id,
        manifest.revision,
        action,
        manifest.complete,
        manifest.jobs,
    )
