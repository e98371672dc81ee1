"""Runs from the API into a store: which of them are fetched, and what became of each."""

from __future__ import annotations

import time
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
    select_runs,
)
from retab_frames.load.content import MARKED_INCOMPLETE
from retab_frames.load.fetching import Chosen, fetch_runs
from retab_frames.load.from_api import lend_client, make_contents, tabulate_listings
from retab_frames.load.notices import warn_of_missing_runs
from retab_frames.load.parallel import map_in_order
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
    from retab_frames.load.fetching import RequestedRun
    from retab_frames.load.notices import Incomplete
    from retab_frames.schemas.moments import Moment

__all__ = ["PulledRun", "Statuses", "pull_runs", "tabulate_pulled"]

Statuses = str | Iterable[str] | None

_WRITERS = 4
_LOOKUPS = 16
_LAST_SAVES_S = 5.0
"""How many runs are saved or looked up at a time, and how long an interrupt waits for saves."""
_REASON = 300
"""How long the reason in a row may be."""
_NEVER_RUN, _NONE_ENDED = "never run", "no run has ended"


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
    filters = _Filters(parse_moment(since, "since"), _check_statuses(status))
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


def _check_statuses(status: Statuses) -> list[str] | None:
    if status is None:
        return None
    if not isinstance(status, Iterable):
        raise TypeError(f"status takes statuses as text, not {type(status).__name__}")
    statuses = [status] if isinstance(status, str) else list(status)
    if wrong := [one for one in statuses if not isinstance(one, str)]:
        raise TypeError(f"status must hold statuses as text, found {wrong[0]!r}")
    return statuses


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
        missing = [] if isinstance(runs, list) else _find_missing(listings, runs)
        wanted = _choose(workflow_id, runs, listings)
        if filters:
            wanted = _filter(wanted, workflow_id, listings, filters)
        kept = {} if refresh else _find_kept(store, wanted)
        chosen = Chosen([one for one in wanted if one.run_id not in kept], listings)
        fetched = fetch_runs(api, workflow_id, chosen, progress=progress, doing="Pulling runs")
        contents = make_contents(fetched, workflow_id)
        with closing(fetched), closing(_save(target, contents, collect=collect)) as saved:
            yield from [*failed, *missing]
            for one in wanted:
                yield kept.get(one.run_id) or next(saved)
            yield from saved
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


def _save(
    target: Target,
    contents: Iterable[tuple[RequestedRun, RunContent | RetabFramesError, Incomplete]],
    *,
    collect: bool,
) -> Generator[PulledRun]:
    """Yield the row of each run; several are saved at a time, while the next ones are fetched.

    An error or Ctrl-C is raised when all runs that were saved have been yielded.
    """
    saved: list[PulledRun] = []
    busy: set[str | None] = set()

    def save(
        fetched: tuple[RequestedRun, RunContent | RetabFramesError, Incomplete],
    ) -> PulledRun:
        run, content, incomplete = fetched
        busy.add(run.run_id)
        try:
            if isinstance(content, RetabFramesError):
                raise content
            row = _describe_written(target.write(content), content, incomplete)
            saved.append(row)
        except RetabFramesError as error:
            # where one run cannot be written for lack of room or rights, none can
            if not collect or isinstance(error, SnapshotWriteError):
                raise
            return _describe_failed(run.experiment_id, run.run_id, error)
        finally:
            busy.discard(run.run_id)
        return row

    told = set()
    try:
        for row in map_in_order(save, contents, workers=_WRITERS):
            told.add(row.run_id)
            yield row
    except (RetabFramesError, KeyboardInterrupt):
        end = time.monotonic() + _LAST_SAVES_S
        while busy and time.monotonic() < end:
            time.sleep(0.01)
        yield from [row for row in saved if row.run_id not in told]
        raise


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
