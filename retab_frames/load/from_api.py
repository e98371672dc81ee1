"""What users call to load from the API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Literal

import pyarrow.compute as pc

from retab_frames.api.client import Client
from retab_frames.errors import RetabFramesError
from retab_frames.flatten.runs import experiments_table, runs_table
from retab_frames.flatten.tables import Flattener
from retab_frames.load.content import RunContent, contents_of, make_failed_content
from retab_frames.load.fetching import fetch_runs
from retab_frames.load.notices import (
    describe_count_mismatch,
    warn_of_changed_values,
    warn_of_count_mismatches,
)
from retab_frames.load.parallel import batch_runs
from retab_frames.schemas.models import ExperimentsSchema, HandlesSchema, JobsSchema, RunsSchema
from retab_frames.schemas.validation import to_frame
from retab_frames.wire.envelopes import RunResponses, record_id

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.flatten.run_tables import Tables
    from retab_frames.load.fetching import RequestedRun
    from retab_frames.wire.envelopes import Record

__all__ = [
    "iter_content",
    "load_content",
    "load_experiments",
    "load_handle_inputs",
    "load_jobs",
    "load_runs",
]

RunIds = str | Iterable[str] | None
"""One run id, any sequence or Series of them, or None for the latest run."""


def load_experiments(workflow_id: str, *, client: Client | None = None) -> pd.DataFrame:
    """Return one row per experiment of a workflow; fits ExperimentsSchema.

    Args:
        workflow_id: The workflow.
        client: None makes one from the environment (RETAB_API_KEY, RETAB_API_BASE_URL).

    Returns:
        A frame with a RangeIndex and Arrow-backed columns, rows in the order of the API. What a
        server does not send is null; `score` is null until there are metrics. Times are UTC.

    Raises:
        ConfigError: If `client` is None and the environment has no usable key or URL.
        RequestError: If there is no usable response; NotFoundError if there is no such workflow.
        MalformedResponseError: If a response contradicts the contract of the API.

    Example:
        >>> import retab_frames as rf
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         experiments = rf.load_experiments(sandbox.workflow_id, client=client)
        >>> experiments["experiment_id"].tolist()
        ['exp_contracts', 'exp_packets', 'exp_mailroom', 'exp_invoices']
    """
    with _lend_client(client) as api:
        records, fetched_at = api.experiments(workflow_id)
    table, issues = experiments_table(records, workflow_id=workflow_id, fetched_at=fetched_at)
    warn_of_changed_values(issue.action for issue in issues)
    return to_frame(table, ExperimentsSchema)


def load_runs(
    workflow_id: str, experiment_id: str, *, client: Client | None = None
) -> pd.DataFrame:
    """Return one row per run of an experiment, newest first; fits RunsSchema.

    Args:
        workflow_id: The workflow of the experiment.
        experiment_id: The experiment; one never run gives zero rows.
        client: None makes one from the environment.

    Returns:
        A frame with a RangeIndex and Arrow-backed columns. What a server does not send is null.
        Times are UTC, `duration_ms` is in whole milliseconds.

    Raises:
        ConfigError: If `client` is None and the environment has no usable key or URL.
        RequestError: If there is no usable response; NotFoundError if there is no such
            experiment of the workflow.
        MalformedResponseError: If a response contradicts the contract of the API.
    """
    with _lend_client(client) as api:
        records, fetched_at = api.runs(workflow_id, experiment_id)
    table, issues = runs_table(
        records, workflow_id=workflow_id, experiment_id=experiment_id, fetched_at=fetched_at
    )
    warn_of_changed_values(issue.action for issue in issues)
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
        A frame with a RangeIndex and Arrow-backed columns; the jobs of a run in the order of the
        API. Times are UTC, `duration_ms` is in whole milliseconds. An experiment never run gives
        placeholders or zero rows, with `run_id` null.

    Raises:
        ConfigError: If `client` is None and the environment has no usable key or URL.
        RequestError: If there is no usable response; NotFoundError if there is no such experiment
            or run.
        MalformedResponseError: If a response contradicts the contract of the API.
        TypeError, ValueError: If `run_id` is not text, is empty, or is given twice.

    Warns:
        RetabFramesWarning: Once for all values that did not fit their columns, and once for all
            runs that have fewer or more jobs than their records say. The record is known of several
            runs, and of one run unless it comes from `/content`, which would take a second request;
            `load_content` makes it.

    Example:
        >>> import retab_frames as rf
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         runs = rf.load_runs(sandbox.workflow_id, "exp_invoices", client=client)
        ...         jobs = rf.load_jobs(
        ...             sandbox.workflow_id, "exp_invoices", run_id=runs.run_id, client=client
        ...         )
        >>> jobs.groupby("run_id").size().tolist()
        [12, 12, 12, 12, 12]
    """
    tables = _load_tables(workflow_id, experiment_id, run_id, client, progress=progress)
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

    The arguments, errors and warnings are those of `load_jobs`.

    Returns:
        A frame with a RangeIndex and Arrow-backed columns; the inputs of a job in the order of the
        API, counted by `position` from 0. `data` is JSON text as it was received, null for files;
        `size_bytes` is in bytes.
    """
    tables = _load_tables(workflow_id, experiment_id, run_id, client, progress=progress)
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

    Returns:
        The jobs, handles, issues and raw rows of the run, and its record. An experiment never run
        gives placeholders or no jobs, with a `run_id` of None.

    Raises:
        ConfigError, RequestError, MalformedResponseError: As `load_jobs`.
        TypeError: If `run_id` is not one run id.

    Warns:
        RetabFramesWarning: If the run has fewer or more jobs than its record says; it is not
            `complete` then, and `issues` has both numbers.
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

    Nothing is fetched before the first content is asked for; after that, at most twice
    `max_connections` runs are fetched ahead.

    Args:
        workflow_id: The workflow of the experiment.
        experiment_id: The experiment.
        run_id: As in `load_jobs`.
        client: None makes one from the environment.
        progress: As in `load_jobs`.
        errors: "raise" stops at the first run that cannot be loaded; "collect" yields for it a
            content without jobs, not complete, whose `issues` say why.

    Raises:
        ConfigError, RequestError, MalformedResponseError: As `load_jobs`.
        TypeError, ValueError: As `load_jobs`; ValueError also if `errors` is neither of the two.

    Warns:
        RetabFramesWarning: For each run that has fewer or more jobs than its record says, when its
            content is yielded; it is not `complete` then, and `issues` has both numbers.
    """
    if errors not in ("raise", "collect"):
        raise ValueError(f"errors must be 'raise' or 'collect', not {errors!r}")
    ids, collect = _check_run_ids(run_id), errors == "collect"
    return _iter_contents(
        workflow_id, experiment_id, ids, client, progress=progress, collect=collect
    )


def _iter_contents(
    workflow_id: str,
    experiment_id: str,
    ids: list[str | None],
    client: Client | None,
    *,
    progress: bool | None,
    collect: bool,
) -> Iterator[RunContent]:
    with (
        _lend_client(client) as api,
        closing(
            fetch_runs(api, workflow_id, experiment_id, ids, listed=True, progress=progress)
        ) as runs,
    ):
        for batch in batch_runs(runs, size=_size_of):
            contents = _make_contents(batch, workflow_id, experiment_id)
            for run, content in zip(batch, contents, strict=True):
                if isinstance(content, RunContent):
                    jobs = content.tables.jobs.num_rows
                    if problem := describe_count_mismatch(content.run_table, jobs):
                        warn_of_count_mismatches({content.run_id: problem})
                    yield content
                elif collect:
                    yield make_failed_content(workflow_id, experiment_id, run.run_id, content)
                else:
                    raise content


def _size_of(run: RequestedRun) -> int:
    return run.result.size if isinstance(run.result, RunResponses) else 0


def _make_contents(
    batch: list[RequestedRun], workflow_id: str, experiment_id: str
) -> Iterator[RunContent | RetabFramesError]:
    """Yield the content of each run of a batch, or why there is none."""
    sources, records = [], []
    for run in batch:
        if isinstance(run.result, RunResponses):
            sources.append(run.result)
            records.append(run.record)
    table, issues = runs_table(
        [record for record in records if record],
        workflow_id=workflow_id,
        experiment_id=experiment_id,
        fetched_at=batch[0].listed_at,
    )
    rows = (table.slice(n, 1) for n in range(table.num_rows))
    contents = iter(
        contents_of(
            sources,
            run_tables=[next(rows) if record else table.slice(0, 0) for record in records],
            run_issues=[
                [issue for issue in issues if record and issue.run_id == record_id(record)]
                for record in records
            ],
        )
    )
    for run in batch:
        yield run.result if isinstance(run.result, RetabFramesError) else next(contents)


def _load_tables(
    workflow_id: str,
    experiment_id: str,
    run_id: RunIds,
    client: Client | None,
    *,
    progress: bool | None,
) -> Tables:
    """Return the tables of all runs together; the responses are let go as they are read."""
    ids = _check_run_ids(run_id)
    flattener = Flattener()
    records: list[Record] = []
    listed = len(ids) > 1
    with (
        _lend_client(client) as api,
        closing(
            fetch_runs(api, workflow_id, experiment_id, ids, listed=listed, progress=progress)
        ) as runs,
    ):
        for run in runs:
            if isinstance(run.result, RetabFramesError):
                raise run.result
            flattener.add(run.result)
            if run.record:
                records.append(run.record)
            del run  # it may be the last to hold its responses
    tables = flattener.finish().tables
    warn_of_changed_values(tables.issues.column("action").to_pylist())
    counts = pc.value_counts(tables.jobs.column("run_id")).to_pylist()
    jobs_of = {count["values"]: count["counts"] for count in counts}
    table, _ = runs_table(records, workflow_id=None, experiment_id=None, fetched_at=None)
    mismatches = {
        one: describe_count_mismatch(table.slice(n, 1), jobs_of.get(one, 0))
        for n, one in enumerate(table.column("run_id").to_pylist())
    }
    warn_of_count_mismatches({one: problem for one, problem in mismatches.items() if problem})
    return tables


def _check_run_ids(run_id: RunIds) -> list[str | None]:
    """Return the ids as a list; None stands for the latest run."""
    if run_id is None or isinstance(run_id, str):
        ids: list[str | None] = [run_id]
    elif hasattr(run_id, "columns"):
        raise TypeError("run_id takes ids: give a column of the frame, as in run_id=runs.run_id")
    elif not isinstance(run_id, Iterable):
        raise TypeError(f"run_id takes ids as text, not {type(run_id).__name__}")
    else:
        ids = list(run_id)
        wrong = [one for one in ids if not isinstance(one, str)]
        if wrong:
            raise TypeError(f"run_id must hold run ids as text, found {wrong[0]!r}")
    if "" in ids:
        raise ValueError("a run id is empty; None asks for the latest run")
    if len(set(ids)) != len(ids):
        twice = next(one for n, one in enumerate(ids) if one in ids[:n])
        raise ValueError(f"run {twice!r} is asked for twice; drop the duplicates first")
    return ids


@contextmanager
def _lend_client(client: Client | None) -> Iterator[Client]:
    """Lend the client, or one from the environment that is closed at the end."""
    if client is not None:
        yield client
        return
    with Client() as own:
        yield own
