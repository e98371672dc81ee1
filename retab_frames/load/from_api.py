"""What users call to load from the API."""

from __future__ import annotations

from contextlib import closing, contextmanager
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from retab_frames.api.client import Client
from retab_frames.errors import RetabFramesError
from retab_frames.flatten.runs import experiments_table, runs_table
from retab_frames.flatten.tables import Flattener
from retab_frames.load.choosing import (
    check_experiment_ids,
    check_run_ids,
    list_experiment_ids,
    list_runs,
    raise_first,
)
from retab_frames.load.content import RunContent, contents_of, make_unloaded_content
from retab_frames.load.fetching import choose_runs, fetch_runs
from retab_frames.load.notices import (
    find_incomplete,
    warn_of_changed_values,
    warn_of_incomplete_runs,
    warn_of_missing_runs,
    warn_of_running_runs,
)
from retab_frames.load.parallel import batch_runs
from retab_frames.schemas.frames import check_backend, convert_backend
from retab_frames.schemas.models import (
    ExperimentsSchema,
    HandlesSchema,
    JobsSchema,
    RunsSchema,
    empty_table,
)
from retab_frames.schemas.run_columns import join_runs
from retab_frames.schemas.validation import to_frame
from retab_frames.schemas.vocabulary import ALL, LATEST, LATEST_ENDED
from retab_frames.wire.envelopes import RunResponses, record_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    import pandas as pd

    from retab_frames.flatten.issues import Issue
    from retab_frames.load.choosing import ExperimentIds, Listing, RunIds, RunsAsked
    from retab_frames.load.fetching import Chosen, RequestedRun
    from retab_frames.schemas.frames import DtypeBackend
    from retab_frames.wire.envelopes import Record

    KnownRecord = tuple[str | None, datetime | None, Record]
    """The experiment of a record, when its listing arrived, and the record."""

__all__ = [
    "iter_content",
    "lend_client",
    "load_content",
    "load_experiments",
    "load_handle_inputs",
    "load_jobs",
    "load_runs",
    "make_content",
    "tabulate_listings",
]


def load_experiments(
    workflow_id: str,
    *,
    dtype_backend: DtypeBackend = "pyarrow",
    client: Client | None = None,
) -> pd.DataFrame:
    """Return one row per experiment of a workflow; fits ExperimentsSchema.

    Args:
        workflow_id: The workflow.
        dtype_backend: "pyarrow" or "numpy_nullable", as in `pandas.read_parquet`.
        client: None makes one from the environment (RETAB_API_KEY, RETAB_API_BASE_URL).

    Returns:
        A frame with a RangeIndex and columns of that backend, rows in the order of the API. What a
        server does not send is null; `score` is null until there are metrics. Times are UTC.

    Raises:
        ConfigError: If `client` is None and the environment has no usable key or URL.
        RequestError: If there is no usable response; NotFoundError if there is no such workflow.
        MalformedResponseError: If a response contradicts the contract of the API.
        ValueError: If `dtype_backend` is neither of the two.

    Example:
        >>> import retab_frames as rf
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         experiments = rf.load_experiments(sandbox.workflow_id, client=client)
        >>> experiments["experiment_id"].tolist()
        ['exp_contracts', 'exp_packets', 'exp_mailroom', 'exp_invoices']
    """
    check_backend(dtype_backend)
    with lend_client(client) as api:
        records, fetched_at = api.experiments(workflow_id)
    table, issues = experiments_table(records, workflow_id=workflow_id, fetched_at=fetched_at)
    warn_of_changed_values(issue.action for issue in issues)
    return convert_backend(to_frame(table, ExperimentsSchema), dtype_backend)


def load_runs(
    workflow_id: str,
    experiment_id: ExperimentIds = None,
    *,
    dtype_backend: DtypeBackend = "pyarrow",
    client: Client | None = None,
) -> pd.DataFrame:
    """Return one row per run, by experiment and newest first; fits RunsSchema.

    Args:
        workflow_id: The workflow of the experiments.
        experiment_id: One id, any sequence or Series of them (each counts once), or None for all
            experiments of the workflow. One never run gives zero rows.
        dtype_backend: "pyarrow" or "numpy_nullable", as in `pandas.read_parquet`.
        client: None makes one from the environment.

    Returns:
        A frame with a RangeIndex and columns of that backend. What a server does not send is null.
        Times are UTC, `duration_ms` is in whole milliseconds.

    Raises:
        ConfigError: If `client` is None and the environment has no usable key or URL.
        RequestError: If there is no usable response; NotFoundError if there is no such workflow, or
            no such experiment of it.
        MalformedResponseError: If a response contradicts the contract of the API.
        TypeError, ValueError: If an id is not text or is empty, or `dtype_backend` is neither of
            the two.
    """
    check_backend(dtype_backend)
    wanted = check_experiment_ids(experiment_id)
    with lend_client(client) as api:
        names = list_experiment_ids(api, workflow_id, wanted)
        listings = raise_first(list_runs(api, workflow_id, names))
    table, issues = tabulate_listings(workflow_id, listings)
    warn_of_changed_values(issue.action for issue in issues)
    return convert_backend(to_frame(table, RunsSchema), dtype_backend)


def tabulate_listings(
    workflow_id: str, listings: Mapping[str, Listing]
) -> tuple[pa.Table, list[Issue]]:
    """Return the records of all listings as one table (RunsSchema), and what did not fit."""
    records = (
        (experiment_id, listing.listed_at, record)
        for experiment_id, listing in listings.items()
        for record in listing.records.values()
    )
    return _tabulate_records(records, workflow_id)


def load_jobs(
    workflow_id: str,
    experiment_id: ExperimentIds = None,
    *,
    run_id: RunIds = None,
    with_runs: bool = False,
    dtype_backend: DtypeBackend = "pyarrow",
    client: Client | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Return one row per job, with the handle inputs as columns; fits JobsSchema.

    Args:
        workflow_id: The workflow of the experiments.
        experiment_id: One id, any sequence or Series of them (each counts once), or None for all
            experiments of the workflow.
        run_id: One run id, any sequence or Series of them, or a word, which asks each experiment:
            "latest" (or None) for its latest run, "latest_ended" for the newest run whose record
            says that it has ended, "all" for all its runs, newest first. Runs come in the order
            asked for, and are fetched concurrently.
        with_runs: True adds the columns of the run records (see RunsSchema) to each job, under
            names that begin with `run_`: run_status, run_created_at, run_score ...
        dtype_backend: "pyarrow" or "numpy_nullable", as in `pandas.read_parquet`.
        client: None makes one from the environment.
        progress: True shows a progress bar, False none; None shows one for several runs in a
            terminal or a notebook.

    Returns:
        A frame with a RangeIndex and columns of that backend; the jobs of a run in the order of the
        API. Times are UTC, `duration_ms` is in whole milliseconds. The latest run of an experiment
        never run gives placeholders or zero rows, with `run_id` null; the other words give zero
        rows.

    Raises:
        ConfigError: If `client` is None and the environment has no usable key or URL.
        RequestError: If there is no usable response; NotFoundError if there is no such workflow,
            experiment or run.
        MalformedResponseError: If a response contradicts the contract of the API.
        TypeError, ValueError: If an id is not text or is empty, a run is given twice, or
            `dtype_backend` is neither of the two.

    Warns:
        RetabFramesWarning: Once for all values that did not fit their columns, once if the one run
            that is asked for, or a latest one, has jobs that have not ended, once for all
            experiments none of whose runs has ended, and once for all runs that have fewer or more
            jobs than their records say. The record is known of several runs, and of one run unless
            it comes from `/content`, which would take a second request; `load_content` makes it.

    Example:
        >>> import retab_frames as rf
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         jobs = rf.load_jobs(
        ...             sandbox.workflow_id, run_id="latest_ended", with_runs=True, client=client
        ...         )
        >>> jobs.groupby(["experiment_id", "run_status"]).size().to_dict()
        {('exp_invoices', 'error'): 12, ('exp_mailroom', 'error'): 12, ('exp_packets', 'error'): 12}
    """
    check_backend(dtype_backend)
    jobs, runs = _load_tables(
        workflow_id, experiment_id, run_id, client, "jobs", progress=progress, with_runs=with_runs
    )
    if with_runs:
        jobs = join_runs(jobs, runs)
    return convert_backend(to_frame(jobs, JobsSchema), dtype_backend)


def load_handle_inputs(
    workflow_id: str,
    experiment_id: ExperimentIds = None,
    *,
    run_id: RunIds = None,
    dtype_backend: DtypeBackend = "pyarrow",
    client: Client | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Return one row per job and handle input; fits HandlesSchema.

    The arguments, errors and warnings are those of `load_jobs`.

    Returns:
        A frame with a RangeIndex and columns of that backend; the inputs of a job in the order of
        the API, counted by `position` from 0. `data` is JSON text as it was received, null for
        files; `size_bytes` is in bytes.
    """
    check_backend(dtype_backend)
    handles, _ = _load_tables(
        workflow_id, experiment_id, run_id, client, "handle_inputs", progress=progress
    )
    return convert_backend(to_frame(handles, HandlesSchema), dtype_backend)


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
        run_id: One run id, "latest" (or None), or "latest_ended", as in `load_jobs`.
        client: None makes one from the environment.

    Returns:
        The jobs, handles, issues and raw rows of the run, and its record. An experiment never run
        gives placeholders or no jobs, with a `run_id` of None.

    Raises:
        ConfigError, RequestError, MalformedResponseError: As `load_jobs`.
        TypeError: If `run_id` is not one run id, or `experiment_id` not one experiment id.
        ValueError: If `run_id` is "all", or "latest_ended" and no run has ended.

    Warns:
        RetabFramesWarning: If jobs of the run have not ended, or it has fewer or more jobs than its
            record says; it is not `complete` then, and `issues` has both numbers.
    """
    if (run_id is not None and not isinstance(run_id, str)) or run_id == ALL:
        raise TypeError("load_content takes one run id; for several use iter_content")
    if not isinstance(experiment_id, str):
        raise TypeError("load_content takes one experiment id; for several use iter_content")
    contents = list(iter_content(workflow_id, experiment_id, run_id=run_id, client=client))
    if not contents:
        raise ValueError(f"experiment {experiment_id} has no run that has ended")
    return contents[0]


def iter_content(
    workflow_id: str,
    experiment_id: ExperimentIds = None,
    *,
    run_id: RunIds = None,
    client: Client | None = None,
    progress: bool | None = None,
    errors: Literal["raise", "collect"] = "raise",
) -> Iterator[RunContent]:
    """Yield the content of each run in the order asked for, fetched concurrently.

    Nothing is fetched before the first content is asked for; after that, at most twice
    `max_connections` runs are fetched ahead.

    Args:
        workflow_id: The workflow of the experiments.
        experiment_id: As in `load_jobs`.
        run_id: As in `load_jobs`.
        client: None makes one from the environment.
        progress: As in `load_jobs`.
        errors: "raise" stops at the first run that cannot be loaded; "collect" yields for it a
            content without jobs, `not_loaded`, whose `issues` say why.

    Raises:
        ConfigError, RequestError, MalformedResponseError: As `load_jobs`.
        TypeError, ValueError: As `load_jobs`; ValueError also if `errors` is neither of the two.

    Warns:
        RetabFramesWarning: For each run that has fewer or more jobs than its record says, when its
            content is yielded; it is not `complete` then, and `issues` has both numbers. At the
            end, once if the one run that is asked for, or a latest one, has not ended.
    """
    if errors not in ("raise", "collect"):
        raise ValueError(f"errors must be 'raise' or 'collect', not {errors!r}")
    names, runs = check_experiment_ids(experiment_id), check_run_ids(run_id)
    return _iter_contents(
        workflow_id, names, runs, client, progress=progress, collect=errors == "collect"
    )


def _iter_contents(
    workflow_id: str,
    experiment_ids: list[str] | None,
    runs: RunsAsked,
    client: Client | None,
    *,
    progress: bool | None,
    collect: bool,
) -> Iterator[RunContent]:
    running: dict[str, str] = {}
    with lend_client(client) as api:
        chosen = choose_runs(api, workflow_id, experiment_ids, runs, listed=True)
        with closing(fetch_runs(api, workflow_id, chosen, progress=progress)) as fetched:
            for run, content in _make_contents(fetched, workflow_id):
                if isinstance(content, RunContent):
                    incomplete = find_incomplete(content.tables.jobs, content.run_table)
                    warn_of_incomplete_runs(incomplete.by_record)
                    running |= incomplete.running
                    yield content
                elif collect:
                    yield make_unloaded_content(workflow_id, run.experiment_id, run.run_id, content)
                else:
                    raise content
    _warn_if_running(runs, running)
    _warn_if_none_has_ended(runs, chosen)


def _warn_if_running(runs: RunsAsked, running: Mapping[str, str]) -> None:
    # who asks for many runs looks at their history, of which the statuses are a part
    if runs == LATEST or (isinstance(runs, list) and len(runs) == 1):
        warn_of_running_runs(running)


def _warn_if_none_has_ended(runs: RunsAsked, chosen: Chosen) -> None:
    if runs == LATEST_ENDED:
        found = {one.experiment_id for one in chosen.wanted}
        lacking = [
            one for one, runs in chosen.listings.items() if runs.records and one not in found
        ]
        warn_of_missing_runs(lacking, "has no run that has ended")


def _make_contents(
    fetched: Iterable[RequestedRun], workflow_id: str
) -> Iterator[tuple[RequestedRun, RunContent | RetabFramesError]]:
    """Yield each run with its content, or why there is none; many are flattened together."""
    for batch in batch_runs(fetched, size=_size_of):
        yield from zip(batch, _flatten_batch(batch, workflow_id), strict=True)


def make_content(run: RequestedRun, workflow_id: str) -> RunContent:
    """Return the content of a run.

    Raises:
        RetabFramesError: If it was not loaded, or contradicts the contract of the API.
    """
    [content] = _flatten_batch([run], workflow_id)
    if isinstance(content, RetabFramesError):
        raise content
    return content


def _size_of(run: RequestedRun) -> int:
    return run.result.size if isinstance(run.result, RunResponses) else 0


def _flatten_batch(
    batch: list[RequestedRun], workflow_id: str
) -> Iterator[RunContent | RetabFramesError]:
    """Yield the content of each run of a batch, or why there is none."""
    sources: list[RunResponses] = []
    records: list[KnownRecord | None] = []
    for run in batch:
        if isinstance(run.result, RunResponses):
            sources.append(run.result)
            record = run.record
            records.append((run.experiment_id, run.listed_at, record) if record else None)
    table, issues = _tabulate_records(filter(None, records), workflow_id)
    rows = (table.slice(n, 1) for n in range(table.num_rows))
    contents = iter(
        contents_of(
            sources,
            run_tables=[next(rows) if known else table.slice(0, 0) for known in records],
            run_issues=[
                [issue for issue in issues if known and issue.run_id == record_id(known[2])]
                for known in records
            ],
        )
    )
    for run in batch:
        yield run.result if isinstance(run.result, RetabFramesError) else next(contents)


def _tabulate_records(
    records: Iterable[KnownRecord], workflow_id: str
) -> tuple[pa.Table, list[Issue]]:
    """Return the records as one table (RunsSchema), in their order, and what did not fit."""
    tables: list[pa.Table] = [empty_table(RunsSchema)]
    issues: list[Issue] = []
    for (experiment_id, listed_at), some in groupby(records, itemgetter(0, 1)):
        table, found = runs_table(
            [record for _, _, record in some],
            workflow_id=workflow_id,
            experiment_id=experiment_id,
            fetched_at=listed_at,
        )
        tables.append(table)
        issues += found
    return pa.concat_tables(tables).combine_chunks(), issues


def _load_tables(
    workflow_id: str,
    experiment_id: ExperimentIds,
    run_id: RunIds,
    client: Client | None,
    name: Literal["jobs", "handle_inputs"],
    *,
    progress: bool | None,
    with_runs: bool = False,
) -> tuple[pa.Table, pa.Table]:
    """Return a table of all runs together, and the records of the runs where they are known.

    The responses are let go as they are read.
    """
    names, runs = check_experiment_ids(experiment_id), check_run_ids(run_id)
    flattener = Flattener()
    records: list[KnownRecord] = []
    listed = with_runs or (isinstance(runs, list) and len(runs) > 1)
    with lend_client(client) as api:
        chosen = choose_runs(api, workflow_id, names, runs, listed=listed)
        with closing(fetch_runs(api, workflow_id, chosen, progress=progress)) as fetched:
            for run in fetched:
                if isinstance(run.result, RetabFramesError):
                    raise run.result
                flattener.add(run.result)
                if run.record:
                    records.append((run.experiment_id, run.listed_at, run.record))
                del run  # it may be the last to hold its responses
    tables = flattener.finish().tables
    warn_of_changed_values(tables.issues.column("action").to_pylist())
    known, _ = _tabulate_records(records, workflow_id)
    incomplete = find_incomplete(tables.jobs, known)
    warn_of_incomplete_runs(incomplete.by_record)
    _warn_if_running(runs, incomplete.running)
    _warn_if_none_has_ended(runs, chosen)
    return getattr(tables, name), known


@contextmanager
def lend_client(client: Client | None) -> Iterator[Client]:
    """Lend the client, or one from the environment that is closed at the end."""
    if client is not None:
        yield client
        return
    with Client() as own:
        yield own
