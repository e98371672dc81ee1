"""Which runs a call asks for: the experiments, and of each all runs, one of them, or some."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from retab_frames.api.routes import locate_runs
from retab_frames.errors import NotFoundError, RetabFramesError
from retab_frames.load.near_misses import add_near_miss, suggest_experiment
from retab_frames.load.parallel import map_in_order
from retab_frames.schemas.vocabulary import ALL, LATEST, LATEST_ENDED, RUN_WORDS, TERMINAL_RUN
from retab_frames.text.messages import printable
from retab_frames.text.next_steps import LIST_EXISTING
from retab_frames.wire.envelopes import record_id
from retab_frames.wire.paths import RUNS
from retab_frames.wire.values import find_value

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from datetime import datetime

    from retab_frames.api.client import Client
    from retab_frames.wire.envelopes import Record

__all__ = [
    "ExperimentIds",
    "Listing",
    "RunIds",
    "RunsAsked",
    "Wanted",
    "check_experiment_ids",
    "check_run_ids",
    "find_latest_ended",
    "list_experiment_ids",
    "list_runs",
    "list_texts",
    "raise_first",
    "select_runs",
]

RunIds = str | Iterable[str] | None
"""One run id, any sequence or Series of them, "latest" (as None), "latest_ended" or "all"."""
ExperimentIds = str | Iterable[str] | None
"""One experiment id, any sequence or Series of them, or None for all of the workflow."""
RunsAsked = str | list[str]
"""One of the words, or a list of ids."""


class Listing(NamedTuple):
    """The runs of an experiment.

    Attributes:
        records: Their records by id, newest first.
        listed_at: When they arrived (UTC).
    """

    records: dict[str, Record]
    listed_at: datetime


class Wanted(NamedTuple):
    """A run to fetch.

    Attributes:
        experiment_id: Its experiment; None if no experiment of those asked for has it.
        run_id: None for the latest run, whichever it is by then.
        error: Why it cannot be fetched, if that is known already.
    """

    experiment_id: str | None
    run_id: str | None
    error: RetabFramesError | None = None


def check_run_ids(run_id: RunIds) -> RunsAsked:
    """Return one of the words, or the ids as a list.

    Raises:
        TypeError, ValueError: If it is neither, an id is empty or given twice, or a word stands
            among ids.
    """
    if run_id is None or (isinstance(run_id, str) and run_id in RUN_WORDS):
        return run_id or LATEST
    ids = list_texts(run_id, "run_id", "ids", "run ids")
    if "" in ids:
        raise ValueError("a run id is empty; None asks for the latest run")
    if found := [one for one in ids if one in RUN_WORDS]:
        raise ValueError(f"run_id takes {found[0]!r} alone, and here it stands among run ids")
    if len(set(ids)) != len(ids):
        twice = next(one for n, one in enumerate(ids) if one in ids[:n])
        raise ValueError(f"run {twice!r} is asked for twice; drop the duplicates first")
    return ids


def check_experiment_ids(experiment_id: ExperimentIds) -> list[str] | None:
    """Return the ids, each once; None stands for all of the workflow.

    Raises:
        TypeError, ValueError: If they are not text, or one is empty.
    """
    if experiment_id is None:
        return None
    ids = list_texts(experiment_id, "experiment_id", "ids", "experiment ids")
    if "" in ids:
        raise ValueError("an experiment id is empty; None asks for all of the workflow")
    return list(dict.fromkeys(ids))


def list_texts(value: object, name: str, noun: str, held: str) -> list[str]:
    """Return one text, or several, as a list.

    Args:
        value: The argument of a call.
        name: Its name, for the messages.
        noun: What it takes.
        held: What a sequence must hold.

    Raises:
        TypeError: If it is neither text nor holds texts alone.
    """
    if isinstance(value, str):
        return [value]
    if hasattr(value, "columns"):
        raise TypeError(
            f"{name} takes {noun}: give a column of the frame, as in {name}=runs.{name}"
        )
    if not isinstance(value, Iterable):
        raise TypeError(f"{name} takes {noun} as text, not {type(value).__name__}")
    texts = list(value)
    wrong = [one for one in texts if not isinstance(one, str)]
    if wrong:
        raise TypeError(f"{name} must hold {held} as text, found {wrong[0]!r}")
    return texts


def list_experiment_ids(
    api: Client, workflow_id: str, experiment_ids: list[str] | None
) -> list[str]:
    """Return these ids, or those of all experiments of the workflow, in the order of the API."""
    if experiment_ids is not None:
        return experiment_ids
    return [record_id(record) for record in api.experiments(workflow_id).records]


def list_runs(
    api: Client, workflow_id: str, experiment_ids: Sequence[str]
) -> Generator[tuple[str, Listing | RetabFramesError]]:
    """Yield each experiment with its runs, or why they cannot be listed; fetched concurrently.

    Close it if an error stops you, as `fetch_runs`.
    """

    def fetch(experiment_id: str) -> Listing | RetabFramesError:
        try:
            found, listed_at = api.runs(workflow_id, experiment_id)
        except RetabFramesError as error:
            return error
        return Listing({record_id(record): record for record in found}, listed_at)

    def fetch_all() -> Iterator[Listing | RetabFramesError]:
        # the first finds out which routes there are, and the others need not
        known = 0 if api.found else 1
        yield from map(fetch, experiment_ids[:known])
        yield from map_in_order(fetch, experiment_ids[known:], workers=api.max_connections)

    for experiment_id, found in zip(experiment_ids, fetch_all(), strict=True):
        if isinstance(found, NotFoundError):
            suggest_experiment(api, found, workflow_id, experiment_id)
        yield experiment_id, found


Found = TypeVar("Found")


def raise_first(
    found: Generator[tuple[str, Found | RetabFramesError]],
) -> dict[str, Found]:
    """Return what was found; raise the first error."""
    known = {}
    with closing(found):
        for name, one in found:
            if isinstance(one, RetabFramesError):
                raise one
            known[name] = one
    return known


def find_latest_ended(listing: Listing) -> str | None:
    """Return the newest run whose record has a status that will not change; None if none has."""
    return next(
        (
            run_id
            for run_id, record in listing.records.items()
            if find_value(record, RUNS["status"])[1] in TERMINAL_RUN
        ),
        None,
    )


def select_runs(
    workflow_id: str,
    experiment_ids: Sequence[str],
    runs: RunsAsked,
    listings: Mapping[str, Listing],
) -> list[Wanted]:
    """Return the runs that are asked for.

    Args:
        workflow_id: The workflow, for the messages.
        experiment_ids: The experiments.
        runs: Which of their runs.
        listings: The runs of each experiment; not needed for the latest ones, nor for ids of one
            experiment.

    Returns:
        By experiment, and newest first; ids in their order. An id of no experiment has an error.
    """
    if runs == LATEST:
        return [Wanted(experiment_id, None) for experiment_id in experiment_ids]
    if runs == LATEST_ENDED:
        latest = ((one, find_latest_ended(listings[one])) for one in experiment_ids)
        return [Wanted(experiment_id, run_id) for experiment_id, run_id in latest if run_id]
    if runs == ALL:
        return [
            Wanted(experiment_id, run_id)
            for experiment_id in experiment_ids
            for run_id in listings[experiment_id].records
        ]
    if len(experiment_ids) == 1:
        return [Wanted(experiment_ids[0], run_id) for run_id in runs]
    owner = {run_id: one for one, listing in listings.items() for run_id in listing.records}
    return [
        Wanted(owner[run_id], run_id)
        if run_id in owner
        else Wanted(None, run_id, _build_missing_error(workflow_id, experiment_ids, run_id, owner))
        for run_id in runs
    ]


def _build_missing_error(
    workflow_id: str, experiment_ids: Sequence[str], run_id: str, known: Iterable[str]
) -> NotFoundError:
    error = NotFoundError(
        f"run {printable(run_id)} is in none of {len(experiment_ids)} experiments of workflow "
        f"{printable(workflow_id)}",
        path=locate_runs("results", workflow_id, "").path,
        status_code=404,
    ).advise(LIST_EXISTING)
    add_near_miss(error, run_id, [*known, *RUN_WORDS])
    return error
