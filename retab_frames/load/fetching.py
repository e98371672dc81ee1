"""Runs fetched concurrently from the API: the responses of each, and its record."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from retab_frames.errors import RetabFramesError
from retab_frames.load.parallel import map_in_order, show_progress
from retab_frames.wire.envelopes import record_id

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from datetime import datetime

    from retab_frames.api.client import Client, FetchedRun
    from retab_frames.wire.envelopes import Record, RunResponses

__all__ = ["RequestedRun", "fetch_runs"]


class RequestedRun(NamedTuple):
    """A run that was asked for.

    Attributes:
        run_id: As it was asked for; None for the latest run.
        result: The responses that hold its rows, or why there are none.
        record: Its record, if one was read.
        listed_at: When the listing that has the record arrived (UTC); None without a listing.
    """

    run_id: str | None
    result: RunResponses | RetabFramesError
    record: Record | None
    listed_at: datetime | None


def fetch_runs(
    api: Client,
    workflow_id: str,
    experiment_id: str,
    ids: list[str | None],
    *,
    listed: bool,
    progress: bool | None,
) -> Generator[RequestedRun]:
    """Yield each run in the order asked for, fetched concurrently.

    Close it if an error stops you: it ends its threads, and drops what has not begun.

    Args:
        api: The client.
        workflow_id: The workflow of the experiment.
        experiment_id: The experiment.
        ids: The runs.
        listed: True reads the listing of the runs, for their records: one request, or one per page.
            Without it, a record is only read where it takes one to find the rows: one request each.
        progress: As in `load_jobs`.
    """
    records: dict[str, Record] = {}
    listed_at: datetime | None = None

    def list_runs() -> None:
        nonlocal records, listed_at
        found, listed_at = api.runs(workflow_id, experiment_id)
        records = {record_id(record): record for record in found}

    def fetch(run_id: str | None) -> tuple[str | None, FetchedRun | RetabFramesError]:
        known = records.get(run_id) if run_id else next(iter(records.values()), None)
        try:
            return run_id, api.content(workflow_id, experiment_id, run_id, record=known)
        except RetabFramesError as error:
            return run_id, error

    works: list[Callable[[], Any]] = [partial(fetch, run_id) for run_id in ids]
    # `/content` needs no record to find rows: the listing is fetched in parallel with those of
    # several runs; with one run, a listing that fails saves the request for its rows
    in_parallel = listed and len(ids) > 1 and api.found == "content"
    if in_parallel:
        works.insert(0, list_runs)
    elif listed:
        list_runs()
    results = map_in_order(lambda work: work(), works, workers=api.max_connections)
    if in_parallel:
        next(results)
    for run_id, result in show_progress(results, len(ids), "Loading runs", show=progress):
        if isinstance(result, RetabFramesError):
            yield RequestedRun(run_id, result, None, listed_at)
        else:
            record = result.record or records.get(result.responses.run_id or "")
            yield RequestedRun(run_id, result.responses, record, listed_at)
        del result  # not held while the next one is waited for
