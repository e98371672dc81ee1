"""What users call to load from the API."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import pyarrow.compute as pc

from retab_frames.api.client import Client, Records
from retab_frames.errors import RetabFramesError, RetabFramesWarning
from retab_frames.flatten.run_rows import in_batches
from retab_frames.flatten.runs import Record, expected_jobs, experiments_table, runs_table
from retab_frames.flatten.tables import Flattener, RunPayloads
from retab_frames.load.content import RunContent, contents_of, failed_content
from retab_frames.load.parallel import map_in_order, show_progress
from retab_frames.schemas.models import (
    ExperimentsSchema,
    HandlesSchema,
    JobsSchema,
    RunsSchema,
    to_frame,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import pandas as pd

    from retab_frames.flatten.batches import Tables

__all__ = [
    "iter_content",
    "load_content",
    "load_experiments",
    "load_handle_inputs",
    "load_jobs",
    "load_runs",
]

T = TypeVar("T")
RunIds = str | Iterable[str] | None
"""One run id, any sequence or Series of them, or None for the latest run."""

_Fetched = tuple[str | None, RunPayloads | RetabFramesError]
"""A run as it was asked for, and its responses, or why there are none."""


def load_experiments(workflow_id: str, *, client: Client | None = None) -> pd.DataFrame:
    """Return one row per experiment of a workflow; fits ExperimentsSchema.

    Args:
        workflow_id: The workflow.
        client: None makes one from the environment (RETAB_API_KEY, RETAB_API_BASE_URL).

    Raises:
        RequestError: If the API gives no usable answer; NotFoundError if there is no such workflow.
    """
    with _client(client) as api:
        records, fetched_at = api.experiments(workflow_id)
    table, issues = experiments_table(records, workflow_id=workflow_id, fetched_at=fetched_at)
    _tell([issue["action"] for issue in issues], stacklevel=3)
    return to_frame(table, ExperimentsSchema)


def load_runs(
    workflow_id: str, experiment_id: str, *, client: Client | None = None
) -> pd.DataFrame:
    """Return one row per run of an experiment, newest first; fits RunsSchema.

    Args:
        workflow_id: The workflow of the experiment.
        experiment_id: The experiment; one never run gives zero rows.
        client: None makes one from the environment.

    Raises:
        RequestError: If the API gives no usable answer; NotFoundError if there is no such
            experiment.
    """
    with _client(client) as api:
        records, fetched_at = api.runs(workflow_id, experiment_id)
    table, issues = runs_table(
        records, workflow_id=workflow_id, experiment_id=experiment_id, fetched_at=fetched_at
    )
    _tell([issue["action"] for issue in issues], stacklevel=3)
    return to_frame(table, RunsSchema)


def load_jobs(
    workflow_id: str,
    experiment_id: str,
    *,
    run_id: RunIds = None,
    client: Client | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Return one row per job, with the handle inputs as columns; fits JobsSchema.

    Args:
        workflow_id: The workflow of the experiment.
        experiment_id: The experiment.
        run_id: One run id, any sequence or Series of them, or None for the latest run. Runs come
            in the order asked for, and are fetched concurrently.
        client: None makes one from the environment.
        progress: True shows a progress bar, False none; None shows one for several runs in a
            terminal or a notebook.

    Returns:
        A frame with a RangeIndex; the jobs of a run in the order of the API. Columns are Arrow-
        backed. An experiment never run gives placeholders or zero rows, with `run_id` null.

    Raises:
        RequestError: If the API gives no usable answer; NotFoundError if there is no such
            experiment or run.
        MalformedResponseError: If a response contradicts the contract of the API.
    """
    tables = _load(workflow_id, experiment_id, run_id, client, progress=progress)
    return to_frame(tables.jobs, JobsSchema)


def load_handle_inputs(
    workflow_id: str,
    experiment_id: str,
    *,
    run_id: RunIds = None,
    client: Client | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Return one row per job and handle input; fits HandlesSchema.

    The arguments and errors are those of `load_jobs`.
    """
    tables = _load(workflow_id, experiment_id, run_id, client, progress=progress)
    return to_frame(tables.handle_inputs, HandlesSchema)


def load_content(
    workflow_id: str,
    experiment_id: str,
    *,
    run_id: str | None = None,
    client: Client | None = None,
) -> RunContent:
    """Return all the frames of one run.

    Args:
        workflow_id: The workflow of the experiment.
        experiment_id: The experiment.
        run_id: None for the latest run.
        client: None makes one from the environment.

    Raises:
        RequestError, MalformedResponseError: As `load_jobs`.
    """
    if run_id is not None and not isinstance(run_id, str):
        raise TypeError("load_content takes one run id; for several use iter_content")
    return next(iter_content(workflow_id, experiment_id, run_id=run_id, client=client))


def iter_content(
    workflow_id: str,
    experiment_id: str,
    *,
    run_id: RunIds = None,
    client: Client | None = None,
    progress: bool | None = None,
    errors: Literal["raise", "collect"] = "raise",
) -> Iterator[RunContent]:
    """Yield the content of each run in the order asked for, fetched concurrently.

    Args:
        workflow_id: The workflow of the experiment.
        experiment_id: The experiment.
        run_id: As in `load_jobs`.
        client: None makes one from the environment.
        progress: As in `load_jobs`.
        errors: "raise" stops at the first run that cannot be loaded; "collect" yields for it a
            content without jobs, not complete, whose `issues` say why.

    Raises:
        RequestError, MalformedResponseError: As `load_jobs`.
        ValueError: If `errors` is neither, or a run is asked for twice.
    """
    if errors not in ("raise", "collect"):
        raise ValueError(f"errors must be 'raise' or 'collect', not {errors!r}")
    ids, collect = _run_ids(run_id), errors == "collect"
    return _contents(workflow_id, experiment_id, ids, client, progress=progress, collect=collect)


def _contents(
    workflow_id: str,
    experiment_id: str,
    ids: list[str | None],
    client: Client | None,
    *,
    progress: bool | None,
    collect: bool,
) -> Iterator[RunContent]:
    with _client(client) as api:
        listing = api.runs(workflow_id, experiment_id)
        record_of = _by_id(listing)

        def fetch(one: str | None) -> _Fetched:
            try:
                record = record_of.get(one) if one else next(iter(listing.records), None)
                return one, api.content(workflow_id, experiment_id, one, record=record)
            except RetabFramesError as error:
                if not collect:
                    raise
                return one, error

        fetched = map_in_order(fetch, ids, workers=api.max_connections)
        shown = show_progress(fetched, len(ids), "Loading runs", show=progress)
        for batch in in_batches(shown, size=_size):
            for one, found in _of_batch(
                batch, record_of, workflow_id, experiment_id, listing.fetched_at
            ):
                if isinstance(found, RunContent):
                    yield found
                elif collect:
                    yield failed_content(workflow_id, experiment_id, one, found)
                else:
                    raise found


def _size(fetched: _Fetched) -> int:
    _, source = fetched
    return source.size if isinstance(source, RunPayloads) else 0


def _of_batch(
    batch: list[_Fetched],
    record_of: Mapping[object, Record],
    workflow_id: str,
    experiment_id: str,
    arrived: datetime,
) -> Iterator[tuple[str | None, RunContent | RetabFramesError]]:
    """Yield the content of each run of a batch, or why there is none, by what was asked for."""
    sources = [source for _, source in batch if isinstance(source, RunPayloads)]
    known = [record_of.get(source.run_id) for source in sources]
    table, odd = runs_table(
        [record for record in known if record],
        workflow_id=workflow_id,
        experiment_id=experiment_id,
        fetched_at=arrived,
    )
    starts = accumulate((bool(record) for record in known), initial=0)
    contents = iter(
        contents_of(
            sources,
            run_tables=[table.slice(at, bool(one)) for at, one in zip(starts, known, strict=False)],
            run_issues=[
                [issue for issue in odd if record and issue["run_id"] == record["id"]]
                for record in known
            ],
        )
    )
    for one, source in batch:
        yield one, next(contents) if isinstance(source, RunPayloads) else source


def _load(
    workflow_id: str,
    experiment_id: str,
    run_id: RunIds,
    client: Client | None,
    *,
    progress: bool | None,
) -> Tables:
    ids = _run_ids(run_id)
    with _client(client) as api:
        record_of: dict[object, Record] = {}
        # one listing instead of a request for the record of each run
        listing = partial(api.runs, workflow_id, experiment_id)
        is_beside = len(ids) > 1 and api.found == "content"
        if len(ids) > 1 and not is_beside:
            # other routes need the records before they can be asked for the rows
            record_of = _by_id(listing())

        def fetch(one: str | None) -> RunPayloads:
            record = record_of.get(one) if one else None
            return api.content(workflow_id, experiment_id, one, record=record)

        works: list[Callable[[], Any]] = [partial(fetch, one) for one in ids]
        if is_beside:
            works.insert(0, listing)
        fetched = map_in_order(lambda work: work(), works, workers=api.max_connections)
        if is_beside:
            record_of = _by_id(next(fetched))
        flattener = Flattener()
        for source in show_progress(fetched, len(ids), "Loading runs", show=progress):
            flattener.add(source)
            del source  # it may be the last to hold its response
    tables = flattener.batch().tables
    _tell(tables.issues.column("action").to_pylist(), stacklevel=4)
    _count(tables, record_of)
    return tables


def _by_id(listing: Records) -> dict[object, Record]:
    return {record["id"]: record for record in listing.records}


def _tell(actions: Sequence[str | None], *, stacklevel: int) -> None:
    """Warn of values that are not in the frame as they came; what was kept needs no warning."""
    changed = sum(not (action or "").startswith("kept") for action in actions)
    if changed:
        text = f"{changed} values did not fit their columns and were changed or left out"
        hint = "`load_content` lists them in its `issues`, and keeps them in `raw`"
        warnings.warn(f"{text}; {hint}", RetabFramesWarning, stacklevel=stacklevel)


def _count(tables: Tables, record_of: Mapping[object, Record]) -> None:
    """Warn of runs that have ended and have fewer or more jobs than their records say."""
    counts = pc.value_counts(tables.jobs.column("run_id")).to_pylist()
    came = {count["values"]: count["counts"] for count in counts}
    for run_id, record in record_of.items():
        expected = expected_jobs(record)
        if run_id in came and expected not in (None, came[run_id]):
            text = f"run {run_id}: its record says {expected} documents, {came[run_id]} jobs came"
            warnings.warn(text, RetabFramesWarning, stacklevel=4)


def _run_ids(run_id: RunIds) -> list[str | None]:
    if run_id is None or isinstance(run_id, str):
        ids: list[str | None] = [run_id]
    elif hasattr(run_id, "columns"):
        raise TypeError("run_id takes ids: give a column of the frame, as in run_id=runs.run_id")
    elif not isinstance(run_id, Iterable):
        raise TypeError(f"run_id takes ids as text, not {type(run_id).__name__}")
    else:
        ids = list(run_id)
        odd = [one for one in ids if not isinstance(one, str)]
        if odd:
            raise TypeError(f"run_id must hold run ids as text, found {odd[0]!r}")
    if "" in ids:
        raise ValueError("a run id is empty; None asks for the latest run")
    if len(set(ids)) != len(ids):
        twice = next(one for n, one in enumerate(ids) if one in ids[:n])
        raise ValueError(f"run {twice!r} is asked for twice; drop the duplicates first")
    return ids


@contextmanager
def _client(client: Client | None) -> Iterator[Client]:
    """Lend the client, or one from the environment that is closed at the end."""
    if client is not None:
        yield client
        return
    with Client() as own:
        yield own
