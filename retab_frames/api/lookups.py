"""Single records: to find the latest run, and what a 404 means.

A 404 may mean that the record is missing, or that the server has no such route. Where a listing is
empty, the experiment may have no runs, or may not exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from retab_frames.api.routes import Route, locate_experiment, locate_run, locate_runs
from retab_frames.errors import ApiStatusError, MalformedResponseError, NotFoundError
from retab_frames.text.messages import printable
from retab_frames.text.next_steps import LIST_EXISTING, NextStep
from retab_frames.wire.envelopes import parse_record, parse_records, record_id, record_owner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from retab_frames.api.routes import Generation
    from retab_frames.api.transport import Transport
    from retab_frames.wire.envelopes import Record

__all__ = [
    "NO_ROUTE",
    "build_not_found_error",
    "check_experiment",
    "check_records",
    "detect_generation",
    "fetch_run_record",
]

NO_ROUTE = (404, 405)
"""The statuses with which a server answers to a route that it lacks."""


def detect_generation(
    http: Transport,
    workflow_id: str,
    experiment_id: str,
    run_id: str | None,
    missing: ApiStatusError,
) -> Generation:
    """Return the generation of a server that answered `missing` to a route of `content`.

    The route may be missing, or the experiment; the routes of the other generations tell which.

    Raises:
        NotFoundError: If no generation has the experiment or the run.
    """
    if _exists(http, locate_experiment("results", workflow_id, experiment_id)):
        return "results"
    has_experiment = _exists(http, locate_experiment("nested", workflow_id, experiment_id))
    if has_experiment and (run_id is None or _exists(http, locate_run(run_id))):
        return "nested"
    what = f"experiment {printable(experiment_id)} of workflow {printable(workflow_id)}"
    if has_experiment:
        what = f"run {printable(run_id)} in {what}"
    raise build_not_found_error(what, missing)


def fetch_run_record(
    http: Transport,
    generation: Generation,
    workflow_id: str,
    experiment_id: str,
    run_id: str | None,
) -> Record | None:
    """Return the record of a run of `nested` or `results`; None if there is no latest run.

    Args:
        http: The transport.
        generation: That of the server.
        workflow_id: The workflow of the experiment.
        experiment_id: The experiment.
        run_id: None for the latest run.

    Raises:
        NotFoundError: If there is no such run of the experiment.
    """
    if run_id is None:
        route = locate_runs(generation, workflow_id, experiment_id, limit=1)
        latest, _ = http.get(route, parse_records)
        check_records(latest.records, route, workflow=workflow_id, experiment=experiment_id)
        if latest.is_empty:
            check_experiment(http, generation, workflow_id, experiment_id)
        return None if latest.is_empty else latest.records[0]
    route = locate_run(run_id)
    found = _fetch_record(http, route)
    _check_owner(f"run {printable(run_id)}", found, "experiment", experiment_id, route)
    _check_owner(f"run {printable(run_id)}", found, "workflow", workflow_id, route)
    return found


def check_experiment(
    http: Transport, generation: Generation, workflow_id: str, experiment_id: str
) -> None:
    """Read the record of an experiment, for the error if there is none.

    Raises:
        NotFoundError: If there is no such experiment of the workflow.
    """
    route = locate_experiment(generation, workflow_id, experiment_id)
    found = _fetch_record(http, route)
    _check_owner(f"experiment {printable(experiment_id)}", found, "workflow", workflow_id, route)


def build_not_found_error(
    what: str, missing: ApiStatusError, next_step: NextStep = LIST_EXISTING
) -> NotFoundError:
    """Return the error for a record that no route has, as `missing` says of one of them."""
    return NotFoundError(
        f"there is no {what}",
        path=missing.path,
        status_code=404,
        request_id=missing.request_id,
    ).advise(next_step)


def check_records(records: Iterable[Record], route: Route, **owners: str) -> None:
    """Check that each record of a listing belongs to what was asked for, where it says so.

    A server, or a cache before it, may ignore the query.

    Args:
        records: The records.
        route: The listing.
        owners: The requested `workflow`, and `experiment`.

    Raises:
        MalformedResponseError: If a record is of another one.
    """
    for record in records:
        for kind, requested in owners.items():
            received = record_owner(record, kind)
            if received not in (None, requested):
                raise MalformedResponseError(
                    f"GET {route.path}: requested {kind} {printable(requested)}, and the response "
                    f"has {printable(record_id(record))} of {kind} {printable(received)}: the "
                    "server, or a cache before it, ignores the query",
                    where=f"$.{kind}_id",
                )


def _fetch_record(http: Transport, route: Route) -> Record:
    """Return the record that a route names by the last of its segments."""
    found, _ = http.get(route, parse_record)
    requested, received = route.segments[-1], record_id(found)
    if received != requested:
        raise MalformedResponseError(
            f"GET {route.path}: the response is the record of {printable(received)}",
            where="$.id",
        )
    return found


def _exists(http: Transport, route: Route) -> bool:
    try:
        _fetch_record(http, route)
    except ApiStatusError as error:
        if error.status_code not in NO_ROUTE:
            raise
        return False
    return True


def _check_owner(
    what: str, found: Record, kind: Literal["experiment", "workflow"], expected: str, route: Route
) -> None:
    """Compare the experiment or workflow that a record names with the requested one.

    Raises:
        NotFoundError: If it is another one; a record that names none is accepted.
    """
    owner = record_owner(found, kind)
    if owner not in (None, expected):
        raise NotFoundError(
            f"{what} belongs to {kind} {printable(owner)}, not to {printable(expected)}",
            path=route.path,
            status_code=404,
        ).advise(LIST_EXISTING)
