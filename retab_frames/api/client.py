"""The routes of the API's three generations, and the paging of their answers.

`content` (the first) nests everything under the workflow and gives a run in one response. `nested`
(a short-lived second) has a route per run, without a cursor. `results` (the current one) is flat,
and pages with cursors.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, TypeVar

from retab_frames.api import credentials
from retab_frames.api.credentials import KEY_VARIABLE, Secret
from retab_frames.api.paging import check_count, follow
from retab_frames.api.transport import Transport
from retab_frames.errors import (
    ApiStatusError,
    MalformedResponseError,
    NotFoundError,
    PaginationError,
)
from retab_frames.flatten.run_rows import RunResponses
from retab_frames.text.messages import printable
from retab_frames.wire import envelopes as responses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from retab_frames.api.transport import HttpResponse
    from retab_frames.flatten.runs import Record

__all__ = ["Client", "Records"]

T = TypeVar("T")
Api = Literal["auto", "content", "nested", "results"]

DEFAULT_BASE_URL = "https://api.retab.com"
PAGE = 100
_NO_ROUTE = (404, 405)


class Records(NamedTuple):
    """The records of a listing in the order of the API, newest first, and when they arrived."""

    records: list[Record]
    fetched_at: datetime


class Client:
    """Reads workflow experiments from the Retab API.

    A client may be shared by threads. It opens no connection until it is used, and closes them
    all at the end of a `with`.

    Args:
        api_key: The key; None takes the environment variable RETAB_API_KEY.
        base_url: With or without `/v1`; None takes RETAB_API_BASE_URL, else https://api.retab.com.
        access_token: Sent as the query parameter of that name, only if given.
        api: The generation of routes to use: "content", "nested" or "results"; "auto" finds out
            which the server has, and remembers it.
        timeout: Seconds that one request may take, tries and waits included.
        retries: How many times a request is tried again that failed for a passing reason.
        max_connections: How many requests run at a time when several runs are loaded.

    Raises:
        ConfigError: If there is no key, or the key or the URL cannot be used.
        ValueError: If a number is out of range, or `api` is none of the four.

    Example:
        >>> import retab_frames as rf
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         runs = rf.load_runs(sandbox.workflow_id, "exp_invoices", client=client)
        >>> len(runs)
        5
    """

    _http: Transport
    _found: Api | None

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        access_token: str | None = None,
        api: Api = "auto",
        timeout: float = 120.0,
        retries: int = 3,
        max_connections: int = 16,
    ) -> None:
        # wrapped before anything can fail: a traceback shows the locals of this frame
        key = Secret.from_environment(KEY_VARIABLE) if api_key is None else Secret(api_key)
        token = None if access_token is None else Secret(access_token)
        api_key = access_token = None
        if api not in ("auto", "content", "nested", "results"):
            raise ValueError(f"api must be auto, content, nested or results, not {api!r}")
        if not timeout > 0 or retries < 0 or max_connections < 1:
            raise ValueError("timeout and max_connections must be positive, retries not negative")
        self.api: Api = api
        self.max_connections = max_connections
        self._found: Api | None = None if api == "auto" else api
        url = base_url or os.environ.get("RETAB_API_BASE_URL") or DEFAULT_BASE_URL
        self._http = Transport(
            credentials.base_url(url),
            credentials.checked(key),
            token=None if token is None else credentials.checked(token, name="access_token"),
            timeout=timeout,
            retries=retries,
        )
        # a client that nobody closed gives its sockets back when it is forgotten
        weakref.finalize(self, self._http.close)

    def __repr__(self) -> str:
        if "_http" not in vars(self):
            return "Client(in the making)"  # in the traceback that says why it cannot be made
        return f"Client({str(self._http.url)!r}, api={self._found or self.api!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, ...]:
        """Refuse to be pickled: the key must not travel."""
        raise TypeError("a Client cannot be pickled; make one where it is used")

    @property
    def found(self) -> Api | None:
        """The generation of routes that the server has; None while that is not known."""
        return self._found

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def experiments(self, workflow_id: str) -> Records:
        """Return the records of all experiments of a workflow."""
        if self._found != "results":
            try:
                return self._records(("workflows", workflow_id, "experiments"), {})
            except ApiStatusError as error:
                if error.status_code not in _NO_ROUTE or self._found:
                    raise
                missing = error
        query = {"workflow_id": workflow_id, "limit": str(PAGE)}
        try:
            return self._records(("workflows", "experiments"), query)
        except ApiStatusError as error:
            if error.status_code not in _NO_ROUTE:
                raise
            missing = error
        raise _not_found(f"workflow {printable(workflow_id)}", "check its id", missing)

    def runs(self, workflow_id: str, experiment_id: str) -> Records:
        """Return the records of all runs of an experiment, newest first."""
        if self._found in (None, "content"):
            try:
                found = self._records((*_nested(workflow_id, experiment_id), "runs"), {})
            except ApiStatusError as error:
                if self._found or error.status_code not in _NO_ROUTE:
                    raise
                missing = error
            else:
                self._found = "content"
                return found
            self._found = self._find(workflow_id, experiment_id, None, missing)
        found = self._records(
            ("workflows", "experiments", "runs"),
            _newest_runs(workflow_id, experiment_id, limit=PAGE),
        )
        if not found.records:
            self._experiment(workflow_id, experiment_id)
        return found

    def content(
        self,
        workflow_id: str,
        experiment_id: str,
        run_id: str | None,
        *,
        record: Record | None = None,
    ) -> RunResponses:
        """Return all the rows of a run.

        Args:
            workflow_id: The workflow of the experiment.
            experiment_id: The experiment.
            run_id: None for the latest run. An experiment never run gives placeholders on
                `/content`, and no rows on the other routes.
            record: The run's record, if it is at hand; it saves a request.
        """
        if self._found in (None, "content"):
            try:
                return self._one_response(workflow_id, experiment_id, run_id)
            except ApiStatusError as error:
                if self._found or error.status_code not in _NO_ROUTE:
                    raise
                missing = error
            self._found = self._find(workflow_id, experiment_id, run_id, missing)
        return self._paged(workflow_id, experiment_id, run_id, record)

    def _one_response(
        self, workflow_id: str, experiment_id: str, run_id: str | None
    ) -> RunResponses:
        segments = (*_nested(workflow_id, experiment_id), "content")
        payload, answer = self._get(segments, {"run_id": run_id}, responses.parse_rows_response)
        self._found = "content"
        came = {"experiment": payload.experiment_id, "run": payload.run_id}
        for what, asked in (("experiment", experiment_id), ("run", run_id)):
            if asked and came[what] and came[what] != asked:
                raise MalformedResponseError(
                    f"GET /v1/{'/'.join(segments)}: asked for {what} {printable(asked)}, and the "
                    f"answer is of {printable(came[what])}",
                    where=f"$.{what}_id",
                )
        experiment = payload.experiment_id or experiment_id
        run = payload.run_id or run_id
        return RunResponses(
            workflow_id, experiment, run, (payload,), answer.arrived, self._source("content")
        )

    def _paged(
        self, workflow_id: str, experiment_id: str, run_id: str | None, record: Record | None
    ) -> RunResponses:
        record = record or self._run(workflow_id, experiment_id, run_id)
        if record is None:
            empty = responses.parse_rows_response(b"[]")
            return RunResponses(workflow_id, experiment_id, None, (empty,), None)
        run = str(record["id"])
        if self._found == "nested":
            segments = ("workflows", "experiments", "runs", run, "results")
            payload, answer = self._get(segments, {"limit": PAGE}, responses.parse_rows_response)
            payloads, arrived = [payload], answer.arrived
            if payload.after:
                raise PaginationError(
                    f"run {printable(run)} has more than {PAGE} rows, and the nested routes of "
                    "this server have no cursor to ask for the rest",
                    path="/v1/" + "/".join(segments),
                )
        else:
            payloads, arrived = self.pages(run)
        check_count(payloads, record, run)
        came = self._source(self._found or "results")
        return RunResponses(workflow_id, experiment_id, run, tuple(payloads), arrived, came)

    def _source(self, route: str) -> str:
        """Return what a snapshot keeps of where it came from: the origin and the route."""
        return f"{self._http.url} ({route})"

    def pages(
        self, run_id: str, *, order: str = "asc"
    ) -> tuple[list[responses.RowsResponse], datetime]:
        """Return all pages of a run's results, and when the first arrived.

        The oldest row comes first, so that rows added meanwhile come at the end.
        """
        segments = ("workflows", "experiments", "results")
        query = {"run_id": run_id, "limit": str(PAGE), "order": order}
        return follow(self._get, segments, query, responses.parse_rows_response)

    def _run(self, workflow_id: str, experiment_id: str, run_id: str | None) -> Record | None:
        """Return the record of a run, None if there is no latest run.

        Raises:
            NotFoundError: If there is no such run of the experiment.
        """
        if run_id is None:
            query = _newest_runs(workflow_id, experiment_id, limit=1)
            latest, _ = self._get(
                ("workflows", "experiments", "runs"), query, responses.parse_records
            )
            if latest.is_empty:
                self._experiment(workflow_id, experiment_id)
            return None if latest.is_empty else latest.records[0]
        segments = ("workflows", "experiments", "runs", run_id)
        record, _ = self._get(segments, {}, responses.parse_record)
        path = "/v1/" + "/".join(segments)
        _check_owner(f"run {printable(run_id)}", record, "experiment", experiment_id, path)
        _check_owner(f"run {printable(run_id)}", record, "workflow", workflow_id, path)
        return record

    def _experiment(self, workflow_id: str, experiment_id: str) -> None:
        """Ask for the experiment, only to tell none from one without runs.

        Raises:
            NotFoundError: If there is no such experiment of the workflow.
        """
        flat = ("workflows", "experiments", experiment_id)
        segments = flat if self._found == "results" else _nested(workflow_id, experiment_id)
        record, _ = self._get(segments, {}, responses.parse_record)
        what, path = f"experiment {printable(experiment_id)}", "/v1/" + "/".join(segments)
        _check_owner(what, record, "workflow", workflow_id, path)

    def _find(
        self, workflow_id: str, experiment_id: str, run_id: str | None, missing: ApiStatusError
    ) -> Api:
        """Find the generation of a server that answered `missing` to a route of `content`.

        That answer may mean a missing route or a missing experiment; the routes of the other
        generations tell which.

        Raises:
            NotFoundError: If no generation knows the experiment or the run.
        """
        if self._exists("workflows", "experiments", experiment_id):
            return "results"
        known = self._exists(*_nested(workflow_id, experiment_id))
        if known and run_id is None:
            return "nested"
        if known and run_id and self._exists("workflows", "experiments", "runs", run_id):
            return "nested"
        experiment = f"experiment {printable(experiment_id)} of workflow {printable(workflow_id)}"
        if known:
            what = f"run {printable(run_id)} in {experiment}"
            raise _not_found(what, "load_runs lists what there is", missing)
        raise _not_found(experiment, "load_experiments lists what there is", missing)

    def _exists(self, *segments: str) -> bool:
        try:
            self._get(segments, {}, responses.parse_record)
        except ApiStatusError as error:
            if error.status_code not in _NO_ROUTE:
                raise
            return False
        return True

    def _records(self, segments: Sequence[str], query: Mapping[str, str]) -> Records:
        pages, arrived = follow(self._get, segments, query, responses.parse_records)
        return Records([record for page in pages for record in page.records], arrived)

    def _get(
        self,
        segments: Sequence[str],
        query: Mapping[str, str | int | None],
        read: Callable[[bytes], T],
    ) -> tuple[T, HttpResponse]:
        return self._http.get(segments, query, read)


def _nested(workflow_id: str, experiment_id: str) -> tuple[str, ...]:
    return ("workflows", workflow_id, "experiments", experiment_id)


def _newest_runs(workflow_id: str, experiment_id: str, *, limit: int) -> dict[str, str]:
    return {
        "workflow_id": workflow_id,
        "experiment_id": experiment_id,
        "limit": str(limit),
        "sort_by": "created_at",
        "order": "desc",
    }


def _not_found(what: str, next_step: str, missing: ApiStatusError) -> NotFoundError:
    return NotFoundError(
        f"there is no {what}: {next_step}",
        path=missing.path,
        status_code=404,
        request_id=missing.request_id,
    )


def _check_owner(what: str, record: Record, kind: str, expected: str, path: str) -> None:
    """Compare the experiment or workflow that a record names with the one that was asked for.

    Raises:
        NotFoundError: If it is another; a record that names none is taken as it is.
    """
    nested = record.get(kind)
    owner = record.get(f"{kind}_id") or (
        nested.get(f"{kind}_id") if isinstance(nested, dict) else None
    )
    if owner not in (None, expected):
        raise NotFoundError(
            f"{what} is of {kind} {printable(owner)}, not of {printable(expected)}: "
            "load_experiments and load_runs list what there is",
            path=path,
            status_code=404,
        )
