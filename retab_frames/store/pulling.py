"""Runs from the API into a store: which of them are fetched, and what became of each."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from retab_frames.errors import RetabFramesError, SnapshotError, SnapshotWriteError
from retab_frames.load.choosing import (
    Listing,
    Wanted,
    check_experiment_ids,
    check_run_ids,
    find_latest_ended,
    list_experiment_ids,
    list_runs,
    list_texts,
    select_runs,
)
from retab_frames.load.content import MARKED_INCOMPLETE
from retab_frames.load.fetching import fetch_run
from retab_frames.load.from_api import lend_client, make_content, tabulate_listings
from retab_frames.load.notices import (
    Incomplete,
    find_incomplete,
    warn_of_incomplete_runs,
    warn_of_missing_runs,
)
from retab_frames.load.parallel import map_in_order, show_progress
from retab_frames.schemas.frames import frame_of_rows
from retab_frames.schemas.models import PulledSchema, arrow_schema
from retab_frames.schemas.moments import parse_moment
from retab_frames.schemas.validation import validate
from retab_frames.schemas.vocabulary import ENDED, LATEST, LATEST_ENDED, OPEN, TERMINAL_RUN
from retab_frames.store.catalog import Catalog
from retab_frames.store.files.storage import open_storage
from retab_frames.store.manifest import folder_name
from retab_frames.text.messages import did_you_mean, printable

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from datetime import datetime

    import pandas as pd

    from retab_frames.api.client import Client
    from retab_frames.load.choosing import ExperimentIds, RunIds, RunsAsked
    from retab_frames.load.content import RunContent
    from retab_frames.schemas.moments import Moment

__all__ = ["PulledRun", "Statuses", "pull_runs", "tabulate_pulled"]

Statuses = str | Iterable[str] | None

_LOOKUPS = 16
"""How many runs are looked up in the store at a time."""
_LAST_WRITES_S = 5.0
"""How long an error or an interrupt waits for the writes that have begun."""
_NOTHING = Incomplete({}, {})
_REASON = 300
"""How long the reason in a row may be."""
_NEVER_RUN, _NONE_ENDED = "never run", "no run has ended"
_LEFT_OUT = "not of the status or the time that is asked for"


class Written(Protocol):
    """The result of a write, as `Snapshot`."""

    @property
    def run_id(self) -> str: ...
    @property
    def experiment_id(self) -> str: ...
    @property
    def revision(self) -> int: ...
    @property
    def action(self) -> str: ...
    @property
    def complete(self) -> bool: ...
    @property
    def jobs(self) -> int: ...


class Target(Protocol):
    """A store, as a pull uses it."""

    @property
    def root(self) -> str:
        """The folder or URL."""

    def write(self, content: RunContent, /) -> Written:
        """Write the content of a run."""


class PulledRun(NamedTuple):
    """What became of a run; the fields are the columns of PulledSchema."""

    experiment_id: str | None
    run_id: str | None
    action: str | None = None
    complete: bool = False
    jobs: int | None = None
    revision: int | None = None
    note: str | None = None


class _Filters(NamedTuple):
    """Which of the runs that are asked for are pulled.

    Attributes:
        since: Those created at or after this.
        statuses: Those whose record has one of these; None for any.
    """

    since: datetime | None
    statuses: list[str] | None

    def __bool__(self) -> bool:
        return self != (None, None)


def tabulate_pulled(rows: Sequence[PulledRun]) -> pd.DataFrame:
    """Return the rows as a frame that fits PulledSchema."""
    types = {field.name: field.type for field in arrow_schema(PulledSchema)}
    return validate(frame_of_rows(rows, types), PulledSchema)


def pull_runs(
    target: Target,
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
) -> Generator[PulledRun]:
    """Yield what became of each run as soon as it is known; see `SnapshotStore.pull`.

    An error, or Ctrl-C, is raised when all runs that were saved before it have been yielded.
    """
    if errors not in ("raise", "collect"):
        raise ValueError(f"errors must be 'raise' or 'collect', not {errors!r}")
    names, runs = check_experiment_ids(experiment_id), check_run_ids(run_id)
    statuses = None if status is None else list_texts(status, "status", "statuses", "statuses")
    filters = _Filters(parse_moment(since, "since"), statuses)
    return _pull(
        target,
        workflow_id,
        names,
        runs,
        filters,
        client,
        refresh=refresh,
        collect=errors == "collect",
        progress=progress,
    )


def _pull(
    target: Target,
    workflow_id: str,
    experiment_ids: list[str] | None,
    runs: RunsAsked,
    filters: _Filters,
    client: Client | None,
    *,
    refresh: bool,
    collect: bool,
    progress: bool | None,
) -> Generator[PulledRun]:
    store = Catalog(open_storage(target.root))
    store.check_marker()
    with lend_client(client) as api:
        names = list_experiment_ids(api, workflow_id, experiment_ids)
        if isinstance(runs, list) and len(names) == 1 and not filters and not refresh:
            # no request, where all of them are kept
            kept = _find_kept(store, [Wanted(names[0], run_id) for run_id in runs])
            if len(kept) == len(runs):
                yield from kept.values()
                return
        listings, failed = _list_runs(api, workflow_id, names, collect=collect)
        asked = _choose(workflow_id, runs, listings)
        wanted = _filter(asked, workflow_id, listings, filters)
        if isinstance(runs, list):
            missing = _find_left_out(asked, wanted)
        else:
            missing = _find_missing(listings, runs)
        kept = {} if refresh else _find_kept(store, wanted)
        new = [one for one in wanted if one.run_id not in kept]
        writer = _Writer(target)

        def pull(one: Wanted) -> tuple[PulledRun, Incomplete]:
            try:
                run = fetch_run(api, workflow_id, one, listings)
                return writer.write(make_content(run, workflow_id))
            except RetabFramesError as error:
                # where one run cannot be written for lack of room or rights, none can
                if not collect or isinstance(error, SnapshotWriteError):
                    raise
                return _describe_failed(one.experiment_id, one.run_id, error), _NOTHING

        pulled = map_in_order(pull, new, workers=api.max_connections)
        shown = show_progress(pulled, len(new), "Pulling runs", show=progress)
        told = set()
        yield from [*failed, *missing]
        try:
            for one in wanted:
                row = kept.get(one.run_id)
                if row is None:
                    row, incomplete = next(shown)
                    told.add(row.run_id)
                    warn_of_incomplete_runs(incomplete.by_record)
                yield row
            next(shown, None)  # ends the progress bar
        except (RetabFramesError, KeyboardInterrupt):
            yield from (row for row in writer.stop() if row.run_id not in told)
            raise
        finally:
            writer.stop()
    warn_of_missing_runs(
        [str(row.experiment_id) for row in missing if row.note == _NEVER_RUN],
        "was never run: no snapshot was written",
    )


def _list_runs(
    api: Client, workflow_id: str, names: Sequence[str], *, collect: bool
) -> tuple[dict[str, Listing], list[PulledRun]]:
    """Return the runs of each experiment, and a row for each whose runs cannot be listed.

    Raises:
        RetabFramesError: If an experiment cannot be listed and errors are not collected, or none
            can.
    """
    listings: dict[str, Listing] = {}
    errors: dict[str, RetabFramesError] = {}
    with closing(list_runs(api, workflow_id, names)) as found:
        for name, one in found:
            if not isinstance(one, RetabFramesError):
                listings[name] = one
            elif collect:
                errors[name] = one
            else:
                raise one
    if errors and not listings:
        raise next(iter(errors.values()))
    return listings, [_describe_failed(name, None, error) for name, error in errors.items()]


def _find_missing(listings: Mapping[str, Listing], runs: str) -> list[PulledRun]:
    """Return a row for each experiment that has no run, or none that is asked for."""
    rows = []
    for name, listing in listings.items():
        if not listing.records:
            note = _NEVER_RUN
        elif runs == LATEST_ENDED and find_latest_ended(listing) is None:
            note = _NONE_ENDED
        else:
            continue
        rows.append(PulledRun(name, None, note=note))
    return rows


def _find_left_out(asked: Sequence[Wanted], wanted: Sequence[Wanted]) -> list[PulledRun]:
    """Return a row for each run that was named, and does not pass the filters."""
    return [
        PulledRun(one.experiment_id, one.run_id, note=_LEFT_OUT)
        for one in asked
        if one not in wanted
    ]


def _choose(workflow_id: str, runs: RunsAsked, listings: Mapping[str, Listing]) -> list[Wanted]:
    """Return the runs that are asked for, the latest ones by their ids."""
    if runs != LATEST:
        return select_runs(workflow_id, list(listings), runs, listings)
    newest = ((name, next(iter(listing.records), None)) for name, listing in listings.items())
    return [Wanted(name, run_id) for name, run_id in newest if run_id]


def _filter(
    wanted: list[Wanted], workflow_id: str, listings: Mapping[str, Listing], filters: _Filters
) -> list[Wanted]:
    """Return the runs whose records pass; one without a record is left in, for its error.

    Raises:
        ValueError: If a status is neither known nor that of any record.
    """
    if not filters:
        return wanted
    table, _ = tabulate_listings(workflow_id, listings)
    names = ("run_id", "status", "created_at")
    records = list(zip(*(table.column(name).to_pylist() for name in names), strict=True))
    known = {*OPEN, *TERMINAL_RUN, ENDED, *(status for _, status, _ in records if status)}
    for status in filters.statuses or ():
        if status not in known:
            near = did_you_mean(status, known)
            raise ValueError(
                f"no run has the status {printable(repr(status))}{near}; known are "
                f"{', '.join((*OPEN, *TERMINAL_RUN))}, and {ENDED} for all that are final"
            )
    statuses = None if filters.statuses is None else set(filters.statuses)
    if statuses and ENDED in statuses:
        statuses.update(TERMINAL_RUN)
    others = {
        run_id
        for run_id, status, created_at in records
        if (statuses is not None and status not in statuses)
        or (filters.since is not None and (created_at is None or created_at < filters.since))
    }
    return [one for one in wanted if one.run_id not in others]


def _find_kept(store: Catalog, wanted: Sequence[Wanted]) -> dict[str | None, PulledRun]:
    """Return a row for each run that the store has complete; its data is not looked at."""

    def find(one: Wanted) -> PulledRun | None:
        try:
            last = store.last_in(folder_name(one.run_id)) if one.run_id else None
        except SnapshotError:
            return None  # what is damaged is written again
        if last is None or last.removed or not last.complete:
            return None
        if last.experiment_id != one.experiment_id:
            return None
        return PulledRun(
            one.experiment_id, one.run_id, "kept", last.complete, last.jobs, last.revision
        )

    found = map_in_order(find, wanted, workers=_LOOKUPS)
    return {row.run_id: row for row in found if row is not None}


class _Writer:
    """Writes runs on several threads, until it is stopped.

    Args:
        target: The store.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._changed = threading.Condition()
        self._written: list[PulledRun] = []
        self._busy = 0
        self._stopped = False

    def write(self, content: RunContent) -> tuple[PulledRun, Incomplete]:
        """Write the content of a run; return its row, and what is not complete about it.

        Raises:
            SnapshotError: If it cannot be written, or the writer was stopped.
        """
        incomplete = find_incomplete(content.tables.jobs, content.run_table)
        with self._changed:
            if self._stopped:
                raise SnapshotError("the pull was stopped")
            self._busy += 1
        row = None
        try:
            row = _describe_written(self._target.write(content), content, incomplete)
        finally:
            with self._changed:
                self._busy -= 1
                self._written += [row] if row else []
                self._changed.notify_all()
        return row, incomplete

    def stop(self) -> list[PulledRun]:
        """Begin no other write, wait for those at work, and return the rows of all."""
        with self._changed:
            self._stopped = True
            self._changed.wait_for(lambda: not self._busy, _LAST_WRITES_S)
            return self._written


def _describe_written(written: Written, content: RunContent, incomplete: Incomplete) -> PulledRun:
    note = None
    if not written.complete:
        issues = content.tables.issues.select(["action", "problem"]).to_pylist()
        gaps = [one["problem"] for one in issues if one["action"] == MARKED_INCOMPLETE]
        running = incomplete.running.get(written.run_id)
        by_record = incomplete.by_record.get(written.run_id)
        note = f"still running: {running}" if running else f"not complete: {by_record or gaps[0]}"
    return PulledRun(
        written.experiment_id,
        written.run_id,
        written.action,
        written.complete,
        written.jobs,
        written.revision,
        note,
    )


def _describe_failed(
    experiment_id: str | None, run_id: str | None, error: RetabFramesError
) -> PulledRun:
    # without the next step, whose words depend on who reads it
    reason = str(error.args[0]).partition("\n")[0].removeprefix(f"run {run_id}: ")
    return PulledRun(experiment_id, run_id, "failed", note=printable(reason, _REASON))
