"""Runs fetched concurrently from the API: the responses of each, and its record."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from retab_frames.errors import NotFoundError, RetabFramesError
from retab_frames.load.choosing import (
    LATEST,
    WORDS,
    list_experiment_ids,
    list_runs,
    raise_first,
    select_runs,
)
from retab_frames.load.near_misses import add_near_miss, suggest_experiment, suggest_run
from retab_frames.load.parallel import map_in_order, show_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from datetime import datetime

    from retab_frames.api.client import Client, FetchedRun
    from retab_frames.load.choosing import Listing, RunsAsked, Wanted
    from retab_frames.wire.envelopes import Record, RunResponses

__all__ = ["Chosen", "RequestedRun", "choose_runs", "fetch_runs"]


class Chosen(NamedTuple):
    """The runs to fetch.

    Attributes:
        wanted: The runs, in the order in which they are asked for.
        listings: The runs of each experiment that were listed to choose them.
        unlisted: The experiment whose runs are to be listed beside them; None if there is none.
    """

    wanted: Sequence[Wanted]
    listings: Mapping[str, Listing]
    unlisted: str | None = None


class RequestedRun(NamedTuple):
    """A run that was asked for.

    Attributes:
        experiment_id: Its experiment; None if no experiment of those asked for has it.
        run_id: As it was asked for; None for the latest run.
        result: The responses that hold its rows, or why there are none.
        record: Its record, if one was read.
        listed_at: When the listing that has the record arrived (UTC); None without a listing.
    """

    experiment_id: str | None
    run_id: str | None
    result: RunResponses | RetabFramesError
    record: Record | None
    listed_at: datetime | None


def choose_runs(
    api: Client,
    workflow_id: str,
    experiment_ids: list[str] | None,
    runs: RunsAsked,
    *,
    listed: bool,
) -> Chosen:
    """Return the runs that are asked for; of several experiments, their runs are listed for that.

    Args:
        api: The client.
        workflow_id: The workflow of the experiments.
        experiment_ids: The experiments; None for all of the workflow.
        runs: Which of their runs.
        listed: True reads the listing of the runs in any case, for their records: one request, or
            one per page. Without it, a record is only read where it takes one to find the rows: one
            request each.

    Raises:
        RequestError: If the experiments cannot be listed, or the runs of one.
    """
    if runs == []:
        return Chosen([], {})
    names = list_experiment_ids(api, workflow_id, experiment_ids)
    is_told = runs == LATEST or (isinstance(runs, list) and len(names) == 1)
    # `/content` needs no record to find rows: the listing is fetched in parallel with those of
    # several runs; with one run, a listing that fails saves the request for its rows
    is_beside = is_told and isinstance(runs, list) and len(runs) > 1 and api.found == "content"
    if listed and is_beside:
        return Chosen(select_runs(workflow_id, names, runs, {}), {}, names[0])
    listings = raise_first(list_runs(api, workflow_id, names if listed or not is_told else []))
    return Chosen(select_runs(workflow_id, names, runs, listings), listings)


def fetch_runs(
    api: Client,
    workflow_id: str,
    chosen: Chosen,
    *,
    progress: bool | None,
    doing: str = "Loading runs",
) -> Generator[RequestedRun]:
    """Yield each run in the order asked for, fetched concurrently.

    Close it if an error stops you: it ends its threads, and drops what has not begun.

    Args:
        api: The client.
        workflow_id: The workflow of the experiments.
        chosen: The runs.
        progress: As in `load_jobs`.
        doing: What the progress bar says.
    """
    listings = dict(chosen.listings)

    def list_beside(experiment_id: str) -> None:
        listings.update(raise_first(list_runs(api, workflow_id, [experiment_id])))

    def fetch(one: Wanted) -> tuple[Wanted, FetchedRun | RetabFramesError]:
        if one.error is not None:
            return one, one.error
        experiment_id = one.experiment_id or ""
        listing = listings.get(experiment_id)
        records = listing.records if listing else {}
        known = records.get(one.run_id) if one.run_id else next(iter(records.values()), None)
        try:
            return one, api.content(workflow_id, experiment_id, one.run_id, record=known)
        except RetabFramesError as error:
            return one, error

    works: list[Callable[[], Any]] = [partial(fetch, one) for one in chosen.wanted]
    if chosen.unlisted is not None:
        works.insert(0, partial(list_beside, chosen.unlisted))
    results = map_in_order(lambda work: work(), works, workers=api.max_connections)
    if chosen.unlisted is not None:
        next(results)
    for one, result in show_progress(results, len(chosen.wanted), doing, show=progress):
        listing = listings.get(one.experiment_id or "")
        listed_at = listing.listed_at if listing else None
        if isinstance(result, RetabFramesError):
            _add_hint(api, workflow_id, one, result, listing)
            yield RequestedRun(one.experiment_id, one.run_id, result, None, listed_at)
        else:
            records = listing.records if listing else {}
            record = result.record or records.get(result.responses.run_id or "")
            responses = result.responses
            yield RequestedRun(one.experiment_id, one.run_id, responses, record, listed_at)
            del responses
        del result  # not held while the next one is waited for


def _add_hint(
    api: Client, workflow_id: str, one: Wanted, error: RetabFramesError, listing: Listing | None
) -> None:
    """Say in the error for a missing run or experiment which one may be meant."""
    if not isinstance(error, NotFoundError) or one.experiment_id is None:
        return
    if one.run_id is None:
        suggest_experiment(api, error, workflow_id, one.experiment_id)
    elif listing is None:
        suggest_run(api, error, workflow_id, one.experiment_id, one.run_id, also=WORDS)
    else:
        add_near_miss(error, one.run_id, [*listing.records, *WORDS])
