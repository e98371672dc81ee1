"""The routes of the API's three generations, and the paging of their answers.

`content` (the first) nests everything under the workflow and gives a run in one response. `nested`
(a short-lived second) has a route per run, without a cursor. `results` (the current one) is flat,
and pages with cursors.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, TypeVar

from retab_frames import wire
from retab_frames.content import TERMINAL_RUN
from retab_frames.credentials import KEY_VARIABLE, api_key, base_url
from retab_frames.errors import ApiStatusError, NotFoundError, PaginationError, shown
from retab_frames.flatten import RunPayloads
from retab_frames.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from retab_frames.records import Record
    from retab_frames.transport import Answer

__all__ = ["Client", "Records"]

T = TypeVar("T")
Page = TypeVar("Page", wire.Payload, wire.Listing)
Api = Literal["auto", "content", "nested", "results"]

DEFAULT_BASE_URL = "https://api.retab.com"
PAGE = 100
MOST_PAGES = 100_000
MOST_EMPTY_PAGES = 3
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
        if api not in ("auto", "content", "nested", "results"):
            raise ValueError(f"api must be auto, content, nested or results, not {api!r}")
        if not timeout > 0 or retries < 0 or max_connections < 1:
            raise ValueError("timeout and max_connections must be positive, retries not negative")
        self.api: Api = api
        self.max_connections = max_connections
        self._found: Api | None = None if api == "auto" else api
        self._http = _transport(api_key, base_url, access_token, timeout, retries)
        # a client that nobody closed gives its sockets back when it is forgotten
        weakref.finalize(self, self._http.close)

    def __repr__(self) -> str:
        return f"Client({str(self._http.url)!r}, api={self._found or self.api!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, ...]:
        """Refuse to be pickled: the key must not travel."""
        raise TypeError("a Client cannot be pickled; make one where it is used")

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
        query = {"workflow_id": workflow_id, "limit": str(PAGE)}
        return self._records(("workflows", "experiments"), query)

    def runs(self, workflow_id: str, experiment_id: str) -> Records:
        """Return the records of all runs of an experiment, newest first."""
        api = self._found or self._find_by_runs(workflow_id, experiment_id)
        if api == "content":
            return self._records((*_nested(workflow_id, experiment_id), "runs"), {})
        found = self._records(
            ("workflows", "experiments", "runs"),
            {
                "workflow_id": workflow_id,
                "experiment_id": experiment_id,
                "limit": str(PAGE),
                "sort_by": "created_at",
                "order": "desc",
            },
        )
        if not found.records:
            self._experiment(workflow_id, experiment_id, api)
        return found

    def content(
        self,
        workflow_id: str,
        experiment_id: str,
        run_id: str | None,
        *,
        record: Record | None = None,
    ) -> RunPayloads:
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
    ) -> RunPayloads:
        segments = (*_nested(workflow_id, experiment_id), "content")
        payload, answer = self._get(segments, {"run_id": run_id}, wire.payload)
        self._found = "content"
        experiment = payload.experiment_id or experiment_id
        run = payload.run_id or run_id
        return RunPayloads(workflow_id, experiment, run, (payload,), answer.arrived)

    def _paged(
        self, workflow_id: str, experiment_id: str, run_id: str | None, record: Record | None
    ) -> RunPayloads:
        record = record or self._run(workflow_id, experiment_id, run_id)
        if record is None:
            empty = wire.payload(b"[]")
            return RunPayloads(workflow_id, experiment_id, None, (empty,), None)
        run = str(record["id"])
        if self._found == "nested":
            segments = ("workflows", "experiments", "runs", run, "results")
            payload, answer = self._get(segments, {"limit": PAGE}, wire.payload)
            payloads, arrived = [payload], answer.arrived
        else:
            payloads, arrived = self.pages(run)
        _check_count(payloads, record, run)
        return RunPayloads(workflow_id, experiment_id, run, tuple(payloads), arrived)

    def pages(self, run_id: str, *, order: str = "asc") -> tuple[list[wire.Payload], datetime]:
        """Return all pages of a run's results, and when the first arrived.

        The oldest row comes first, so that rows added meanwhile come at the end.
        """
        query = {"run_id": run_id, "limit": str(PAGE), "order": order}
        return self._follow(("workflows", "experiments", "results"), query, wire.payload)

    def _run(self, workflow_id: str, experiment_id: str, run_id: str | None) -> Record | None:
        """Return the record of a run, None if there is no latest run.

        Raises:
            NotFoundError: If there is no such run of the experiment.
        """
        if run_id is None:
            latest = self.runs(workflow_id, experiment_id).records
            return latest[0] if latest else None
        segments = ("workflows", "experiments", "runs", run_id)
        listing, _ = self._get(segments, {}, wire.listing)
        record = listing.records[0]
        owner = record.get("experiment_id")
        if owner not in (None, experiment_id):
            raise NotFoundError(
                f"run {shown(run_id)} is of experiment {shown(owner)}, not of "
                f"{shown(experiment_id)}; load_runs lists the runs of an experiment",
                path="/" + "/".join(("v1", *segments)),
                status_code=404,
            )
        return record

    def _experiment(self, workflow_id: str, experiment_id: str, api: Api) -> None:
        """Ask for the experiment, only to tell none from one without runs.

        Raises:
            NotFoundError: If there is no such experiment.
        """
        flat = ("workflows", "experiments", experiment_id)
        self._get(
            flat if api == "results" else _nested(workflow_id, experiment_id), {}, wire.listing
        )

    def _find_by_runs(self, workflow_id: str, experiment_id: str) -> Api:
        """Find the generation by the route of the runs, which only `content` has nested."""
        try:
            self._records((*_nested(workflow_id, experiment_id), "runs"), {})
        except ApiStatusError as error:
            if error.status_code not in _NO_ROUTE:
                raise
            missing = error
        else:
            return "content"
        self._found = self._find(workflow_id, experiment_id, None, missing)
        return self._found

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
        what = f"run {shown(run_id)} in " if known else ""
        raise NotFoundError(
            f"there is no {what}experiment {shown(experiment_id)} of workflow "
            f"{shown(workflow_id)}: load_{'runs' if known else 'experiments'} lists what there is",
            path=missing.path,
            status_code=404,
            request_id=missing.request_id,
        )

    def _exists(self, *segments: str) -> bool:
        try:
            self._get(segments, {}, wire.listing)
        except ApiStatusError as error:
            if error.status_code not in _NO_ROUTE:
                raise
            return False
        return True

    def _records(self, segments: Sequence[str], query: Mapping[str, str]) -> Records:
        pages, arrived = self._follow(segments, query, wire.listing)
        return Records([record for page in pages for record in page.records], arrived)

    def _follow(
        self, segments: Sequence[str], query: Mapping[str, str], read: Callable[[bytes], Page]
    ) -> tuple[list[Page], datetime]:
        """Return all the pages of a listing, and when the first arrived.

        Raises:
            PaginationError: If the pages do not end.
        """
        pages: list[Page] = []
        cursors: set[str] = set()
        after, arrived, empty = None, None, 0
        while True:
            page, answer = self._get(segments, {**query, "after": after}, read)
            pages.append(page)
            arrived = arrived or answer.arrived
            after = page.after
            if not after:
                return pages, arrived
            empty = empty + 1 if page.is_empty else 0
            if after in cursors or empty > MOST_EMPTY_PAGES or len(pages) >= MOST_PAGES:
                raise PaginationError(
                    f"GET /v1/{'/'.join(segments)}: page {len(pages)} "
                    + ("repeats a cursor" if after in cursors else "leads to no end of pages")
                    + "; nothing was kept, try again",
                    path="/v1/" + "/".join(segments),
                )
            cursors.add(after)

    def _get(
        self,
        segments: Sequence[str],
        query: Mapping[str, str | int | None],
        read: Callable[[bytes], T],
    ) -> tuple[T, Answer]:
        return self._http.get(segments, query, read)


def _transport(
    key: str | None, url: str | None, token: str | None, timeout: float, retries: int
) -> Transport:
    # the only place that reads the environment
    key = key if key is not None else os.environ.get(KEY_VARIABLE)
    url = url or os.environ.get("RETAB_API_BASE_URL") or DEFAULT_BASE_URL
    return Transport(
        base_url(url),
        api_key(key),
        token=None if token is None else api_key(token, name="access_token"),
        timeout=timeout,
        retries=retries,
    )


def _nested(workflow_id: str, experiment_id: str) -> tuple[str, ...]:
    return ("workflows", workflow_id, "experiments", experiment_id)


def _check_count(payloads: Sequence[wire.Payload], record: Record, run_id: str) -> None:
    """Compare the rows with the record of a run that has ended.

    Raises:
        PaginationError: If there are fewer rows than documents.
    """
    status = record.get("status") or (record.get("lifecycle") or {}).get("status")
    expected = record.get("total_document_count") or record.get("document_count")
    if status not in TERMINAL_RUN or not isinstance(expected, int):
        return
    came = sum(len(wire.raw_rows(payload.rows)) for payload in payloads)
    if came < expected:
        raise PaginationError(
            f"run {shown(run_id)} has {expected} documents, but the API gave {came} rows in "
            f"{len(payloads)} pages; nothing was kept, try again",
            path="/v1/workflows/experiments/results",
        )
