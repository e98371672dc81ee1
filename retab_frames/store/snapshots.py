"""The store: one Parquet file per table and run, and a manifest for each revision of a run.

    <root>/retab-frames.json                            format and version
    <root>/revisions/<run>/000001.json                  the commit point of revision 1 of a run
    <root>/revisions/<run>/<table>-<hash>.parquet       its data, written once, never moved
    <root>/<table>/<experiment>/<run>.parquet           view: the newest revision of each run
    <root>/compacted/                                   view: many runs in one file
    <root>/labels/<experiment>/<label>.json             names of runs, see `labels`
    <root>/listing.parquet                              the list of a large store, see `listing`

What is in `revisions/` is all there is: the views can be deleted and made again. Data files are
written first, and the manifest last, so a revision is complete or not there at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypedDict

from retab_frames.errors import (
    RetabFramesError,
    SnapshotCorruptError,
    SnapshotNotFoundError,
)
from retab_frames.flatten.run_tables import Tables
from retab_frames.load.content import RunContent
from retab_frames.schemas.frames import frame_of
from retab_frames.schemas.vocabulary import ALL
from retab_frames.store.catalog import Catalog
from retab_frames.store.cleanup import clean, prune, publish, remove
from retab_frames.store.commits import save
from retab_frames.store.compaction import compact
from retab_frames.store.files.local import LocalStorage
from retab_frames.store.files.storage import open_storage
from retab_frames.store.labels import delete_label, set_label
from retab_frames.store.listing import list_runs
from retab_frames.store.run_names import find_run
from retab_frames.store.tables import read_table
from retab_frames.store.verification import verify
from retab_frames.text.messages import printable
from retab_frames.text.next_steps import LIST_STORED
from retab_frames.text.tables import escape_html, render_html

if TYPE_CHECKING:
    import os
    from typing import Unpack

    import pandas as pd
    import pyarrow as pa

    from retab_frames.api.client import Client
    from retab_frames.load.choosing import ExperimentIds, RunIds
    from retab_frames.schemas.frames import DtypeBackend
    from retab_frames.store.compaction import Compaction
    from retab_frames.store.manifest import Manifest
    from retab_frames.store.pulling import PulledRun, Statuses
    from retab_frames.store.scan.selection import Ids, Moment
    from retab_frames.store.verification import Level

__all__ = ["Snapshot", "SnapshotStore"]

_RUNS_SHOWN = 10
Action = Literal["created", "revised", "repaired", "unchanged"]


class _Choice(TypedDict, total=False):
    """Which runs, and in which types."""

    experiment_id: Ids
    run_id: Ids
    since: Moment
    until: Moment
    dtype_backend: DtypeBackend


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
        root: The folder, or the URL of a bucket; it is made when the first snapshot is written.
        views: Whether a save also puts the tables of the run where plain readers find them, which
            in a bucket is a second copy. False leaves the views that are there as they are.

    Example:
        >>> import retab_frames as rf
        >>> store = rf.SnapshotStore("snapshots")
        >>> store
        SnapshotStore('snapshots')
    """

    def __init__(self, root: str | os.PathLike[str], *, views: bool = True) -> None:
        self._files = open_storage(root)
        self._catalog = Catalog(self._files)
        self._views = views

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
        experiment_id: ExperimentIds = None,
        *,
        run_id: RunIds = "all",
        refresh: bool = False,
        since: Moment = None,
        status: Statuses = None,
        errors: Literal["raise", "collect"] = "raise",
        client: Client | None = None,
        progress: bool | None = None,
    ) -> pd.DataFrame:
        """Load the runs that the store does not have complete, and write a snapshot of each.

        Args:
            workflow_id: The workflow of the experiments.
            experiment_id: One id, any sequence or Series of them (each counts once), or None for
                all experiments of the workflow. One never run writes nothing, with a warning.
            run_id: One id, any sequence of ids, "all", "latest" (or None) or "latest_ended", as in
                `load_jobs`.
            refresh: True fetches also the runs that are complete in the store.
            since: Only runs created at or after this, a datetime or ISO 8601 text with a time zone;
                a run without a creation time is left out.
            status: Only runs whose record has this status, or one of several; "ended" stands for
                all that are final.
            errors: "raise" stops at the first run that cannot be loaded or written; "collect" makes
                it a row with the action "failed" and goes on, unless nothing can be listed or the
                store cannot be written.
            client: None makes one from the environment.
            progress: As in `load_jobs`.

        Returns:
            One row per run, in the order asked for; fits PulledSchema. `action` is "created",
            "revised", "repaired" or "unchanged" as in Snapshot, "kept" for a run that the store has
            complete and that was not fetched, or "failed"; `note` says why it failed, or is not
            complete. A run that has not ended is fetched each time, and becomes a new revision.

        Raises:
            RequestError, MalformedResponseError: If the runs cannot be listed or loaded; the runs
                before are written, and a note of the error says how many.
            SnapshotError: If one cannot be written.
            TypeError, ValueError: If an argument cannot be used, or no run has such a status.
        """
        from retab_frames.store.pulling import (  # noqa: PLC0415 - httpx is slow to import
            pull_runs,
            tabulate_pulled,
        )

        rows: list[PulledRun] = []
        try:
            rows += pull_runs(
                self,
                workflow_id,
                experiment_id,
                run_id=run_id,
                refresh=refresh,
                since=since,
                status=status,
                errors=errors,
                client=client,
                progress=progress,
            )
        except RetabFramesError as error:
            written = sum(row.revision is not None and row.action != "kept" for row in rows)
            error.add_note(f"Runs written before this error: {written}; {LIST_STORED.python}.")
            raise
        return tabulate_pulled(rows)

    def write(self, content: RunContent) -> Snapshot:
        """Write the content of a run as its next revision, unless the newest one is equal.

        Raises:
            ValueError: If the experiment was never run, or the run was not loaded, so
                there is nothing to write.
            SchemaError: If a table has other columns than those of its schema.
            SnapshotConflictError: If someone else wrote a different revision at the same time, or
                the store has that run as one of another experiment.
            SnapshotWriteError: If the file system refuses; the message says what is committed.
        """
        saved = save(self._files, self._catalog, content, views=self._views)
        manifest = saved.manifest
        action: Action = "unchanged"
        if saved.is_new:
            is_first = saved.previous is None
            action = "created" if is_first else "repaired" if saved.is_equal else "revised"
        return Snapshot(
            manifest.run_id,
            manifest.experiment_id,
            manifest.revision,
            action,
            manifest.complete,
            manifest.jobs,
        )

    def read(
        self, run_id: str, *, experiment_id: str | None = None, revision: int | None = None
    ) -> RunContent:
        """Return the content of a run, after comparing every file with its hash.

        Args:
            run_id: The run: an id, a label, or a word, as for `resolve`.
            experiment_id: The experiment that it must be of; None for any.
            revision: None for the newest.

        Raises:
            TypeError: If `run_id` is not text.
            SnapshotNotFoundError: If the store has no such run or revision.
            SnapshotError: If the name can be a run of several experiments.
            SnapshotCorruptError: If a file is missing, cut or altered.
        """
        if not isinstance(run_id, str):
            raise TypeError(
                f"run_id must be the id of a run, not {type(run_id).__name__}: one call reads one "
                "run; for several, store.jobs(run_id=ids) has their jobs in one frame, and "
                "[store.read(one) for one in ids] their contents"
            )
        manifest = self._find_revision(run_id, revision, experiment_id)
        tables = {
            name: self._read_table(manifest, name)
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
            raw_source=lambda: self._read_table(manifest, "raw"),
            source=manifest.source,
            store=self,
        )

    def _find_revision(
        self, name: str, revision: int | None, experiment_id: str | None
    ) -> Manifest:
        # an old revision can be read where the newest manifest is damaged
        found = None if revision is None else self._catalog.revision(name, revision)
        if found is not None and experiment_id in (None, found.experiment_id):
            return found
        newest = find_run(self._files, self._catalog, name, experiment_id)
        found = newest if revision is None else self._catalog.revision(newest.run_id, revision)
        if found is None:
            raise SnapshotNotFoundError(
                f"there is no revision {revision} of run {printable(newest.run_id)} in "
                f"{printable(self.root)}: the newest is {newest.revision}"
            ).advise(LIST_STORED)
        return found

    def _read_table(self, manifest: Manifest, table: str) -> pa.Table:
        try:
            return read_table(self._files, manifest, table)
        except SnapshotCorruptError as error:
            if self._catalog.revision(manifest.run_id, manifest.revision) is not None:
                raise
            raise SnapshotNotFoundError(
                f"revision {manifest.revision} of run {printable(manifest.run_id)} was removed "
                "while it was read"
            ) from error

    def resolve(self, run_id: str, *, experiment_id: str | None = None) -> str:
        """Return the id of the run that a name stands for.

        Args:
            run_id: The id of a run in the store, which is returned; else a label; else "latest"
                (the newest run), "latest_ended" (the newest complete one) or "previous" (the
                complete one before that), by when the runs were created.
            experiment_id: The experiment that the run must be of; None for any.

        Raises:
            SnapshotNotFoundError: If there is no such run, or it is of another experiment.
            SnapshotError: If a label or a word can be a run of several experiments.
            SnapshotCorruptError: If the manifest of the run is damaged.
        """
        return find_run(self._files, self._catalog, run_id, experiment_id).run_id

    def label(self, run_id: str, label: str, *, experiment_id: str | None = None) -> None:
        """Give a run a name, such as "baseline"; it can stand wherever the store takes a run id.

        Each experiment has labels of its own. If another run of the experiment has the label, this
        one gets it instead; a run can have several. `list` shows them, `remove` deletes those of
        the run.

        Args:
            run_id: The run: an id, another label, or a word, as for `resolve`.
            label: Any text of up to 64 characters on one line that is neither the id of a run in
                the store nor "latest", "latest_ended", "previous" or "all".
            experiment_id: The experiment that the run must be of; None for any.

        Raises:
            ValueError: If the label is not of this form.
            SnapshotNotFoundError, SnapshotError: As `resolve`.
            SnapshotWriteError: If the file system refuses.
        """
        run = find_run(self._files, self._catalog, run_id, experiment_id)
        set_label(self._files, self._catalog, run, label)

    def unlabel(self, label: str, *, experiment_id: str | None = None) -> None:
        """Delete a label; the run stays.

        Raises:
            SnapshotNotFoundError: If there is no such label.
            SnapshotError: If several experiments have it, and `experiment_id` is None.
            SnapshotWriteError: If the file system refuses.
        """
        delete_label(self._files, label, experiment_id)

    def list(self) -> pd.DataFrame:
        """Return one row per run, its newest revision; fits SnapshotsSchema.

        Rows are ordered by experiment, then by when the run was made. A run whose manifest is
        damaged is left out, with a warning.
        """
        # each value comes from a manifest, which was checked when it was read
        return frame_of(list_runs(self._files, self._catalog))

    def jobs(
        self,
        *,
        experiment_id: Ids = None,
        run_id: Ids = ALL,
        since: Moment = None,
        until: Moment = None,
        with_runs: bool = False,
        dtype_backend: DtypeBackend = "pyarrow",
    ) -> pd.DataFrame:
        """Return the jobs of many runs, in their newest revision, as one frame; fits JobsSchema.

        Args:
            experiment_id: One experiment, or several; None is all.
            run_id: The runs: ids, labels, or both, one or several; or one of the words "latest",
                "latest_ended" and "previous", which is a run of each experiment, see `resolve`;
                "all" and None are all runs.
            since: Only runs created at or after this, a datetime or ISO 8601 text with a time zone.
                A run without a creation time is left out by this and by `until`.
            until: Only runs created before this.
            with_runs: Whether the columns of the run record stand beside each job, under names that
                begin with `run_`, as in `load_jobs`.
            dtype_backend: As in `load_jobs`.

        Returns:
            A frame like that of `load_jobs`, with the same types; the handle columns are those of
            any of the runs, null where a run lacks one. Runs are in the order of `list`. No such
            run gives zero rows.

        Raises:
            SnapshotNotFoundError: If there is no store, or no such run or experiment in it.
            SnapshotError: If a label can be a run of several experiments.
            SnapshotCorruptError: If a file is missing or cut, or one of its pages is damaged; all
                hashes are compared by `read` and `verify`.
            TypeError, ValueError: If an id is not text, or a time or the backend is not valid.

        Example:
            >>> import retab_frames as rf
            >>> store = rf.SnapshotStore("snapshots")
            >>> with rf.Sandbox() as sandbox:
            ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
            ...         pulled = store.pull("wf_sandbox", "exp_invoices", client=client)
            >>> store.jobs(run_id="latest_ended").status.value_counts().to_dict()
            {'completed': 9, 'error': 3}
        """
        choice: _Choice = {"experiment_id": experiment_id, "run_id": run_id}
        choice |= {"since": since, "until": until, "dtype_backend": dtype_backend}
        return self._read_frame("jobs", choice, with_runs=with_runs)

    def handle_inputs(self, **choice: Unpack[_Choice]) -> pd.DataFrame:
        """Return the handle inputs of many runs as one frame; fits HandlesSchema.

        The arguments and errors are those of `jobs`, without `with_runs`.
        """
        return self._read_frame("handle_inputs", choice)

    def runs(self, **choice: Unpack[_Choice]) -> pd.DataFrame:
        """Return the records of many runs as one frame, a row per run; fits RunsSchema.

        The arguments and errors are those of `jobs`, without `with_runs`. A run that was stored
        without its record has no row here; `list` has one for every run.
        """
        return self._read_frame("runs", choice)

    def issues(self, **choice: Unpack[_Choice]) -> pd.DataFrame:
        """Return what was odd in many runs as one frame; fits IssuesSchema.

        The arguments and errors are those of `jobs`, without `with_runs`.
        """
        return self._read_frame("issues", choice)

    def _read_frame(self, table: str, choice: _Choice, *, with_runs: bool = False) -> pd.DataFrame:
        from retab_frames.store.scan.frames import read_frame  # noqa: PLC0415 - loads datasets

        return read_frame(self._files, table, with_runs=with_runs, **choice)

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
            cut or altered), "newer" or "older" (than what this library reads), "stray" (plain
            readers see a file that they should not), "differs" (the frames built again from `raw`
            are not those stored) or "leftover" (it only takes space). `action` says what to do.
            What looked wrong is looked at a second time first, so a writer at work causes no row;
            a view that is missing or out of date is not a problem.

        Raises:
            SnapshotNotFoundError: If there is no store, or no such run in it.
            SnapshotError: If the folder cannot be listed.
        """
        return verify(self._files, level, run_id=run_id, progress=progress)

    def clean(
        self, *, older_than: timedelta = timedelta(days=1), dry_run: bool = True
    ) -> pd.DataFrame:
        """Return the files that a crash or a failed write left behind; remove them if asked to.

        These are temporary files, data files that no manifest names, and what is left of a run
        whose removal was cut short. Files of others are never touched, wherever they are.

        Args:
            older_than: Younger files are kept: a writer may be at work on them. Their age is
                counted by the clock of the store, not by that of this machine.
            dry_run: True changes nothing; `action` says what would be done.

        Returns:
            One row per file, sorted by name: `file, size_bytes, modified_at, problem, action`.

        Raises:
            SnapshotNotFoundError: If there is no store.
            SnapshotWriteError: If the file system refuses.
        """
        return clean(self._files, older_than=older_than, dry_run=dry_run)

    def publish(self) -> pd.DataFrame:
        """Renew the views of plain readers that are missing or out of date, and a lost marker.

        Those in `compacted/` are renewed by `compact`.

        Returns:
            One row per view that was written or removed, as `clean` has them. A view of a run that
            has no manifest is listed and kept.

        Raises:
            SnapshotNotFoundError: If there is no store.
            SnapshotWriteError: If the file system refuses.
        """
        return publish(self._files)

    def remove(self, run_id: str, *, dry_run: bool = True) -> pd.DataFrame:
        """Remove a run with all its revisions and views; no byte of it stays below the root.

        Readers see the run as gone from the first step on. If it is interrupted, the next call
        finishes it, and so does `clean`.

        Args:
            run_id: The run.
            dry_run: True changes nothing; `action` says what would be done.

        Returns:
            One row per file, as `clean` has them. Compacted files are not among them: they are
            written again without the run.

        Raises:
            SnapshotNotFoundError: If the store has no such run.
            SnapshotConflictError: If someone else wrote a revision at the same time.
            SnapshotWriteError: If the file system refuses.
        """
        return remove(self._files, run_id, dry_run=dry_run)

    def prune(
        self,
        *,
        keep_revisions: int | None = None,
        older_than: timedelta | None = None,
        incomplete: bool | None = None,
        dry_run: bool = True,
    ) -> pd.DataFrame:
        """Remove old revisions, never the newest of a run; all that is given must hold.

        Args:
            keep_revisions: How many of the newest revisions of each run stay; None for one.
            older_than: Only revisions written longer ago.
            incomplete: True for only those of runs that had not ended, False for only the others.
            dry_run: True changes nothing; `action` says what would be done.

        Returns:
            One row per file, as `clean` has them. A run with a manifest that cannot be read is
            left out.

        Raises:
            ValueError: If nothing is given that says which revisions.
            SnapshotNotFoundError: If there is no store.
            SnapshotWriteError: If the file system refuses.
        """
        return prune(
            self._files,
            keep_revisions=keep_revisions,
            older_than=older_than,
            incomplete=incomplete,
            dry_run=dry_run,
        )

    def compact(self, experiment_id: str, *, progress: bool | None = None) -> Compaction:
        """Write the complete runs of an experiment into few files too, which read faster.

        Nothing that is read through this library changes: contents, revisions, manifests, scans,
        which use these files for the runs that are in them as they are now. Plain readers find
        them in `compacted/<table>/` (`raw` with a `run_id`). A run that is new or revised is read
        from its own files until the experiment is compacted again, which writes anew only the
        parts that changed. All of `compacted/` can be deleted at any time.

        Args:
            experiment_id: The experiment. Its incomplete runs, which will change, are left out.
            progress: True shows a progress bar, False none; None shows one for more than one file
                in a terminal or a notebook.

        Raises:
            SnapshotNotFoundError: If the store has no run of it.
            SnapshotCorruptError: If a file is missing, cut or altered; nothing changes.
            SnapshotWriteError: If the file system refuses.
        """
        return compact(self._files, experiment_id, progress=progress)
