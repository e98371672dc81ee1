"""The client: reads experiments, runs and rows from the routes that the server has."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, get_args

from retab_frames.api.connections import check_certificates
from retab_frames.api.credentials import (
    KEY_VARIABLE,
    URL_VARIABLE,
    Secret,
    check_secret,
    normalize_base_url,
)
from retab_frames.api.lookups import (
    NO_ROUTE,
    build_not_found_error,
    check_experiment,
    check_records,
    detect_generation,
    fetch_run_record,
)
from retab_frames.api.paging import fetch_pages
from retab_frames.api.proxies import find_proxy
from retab_frames.api.routes import (
    PAGE_SIZE,
    Generation,
    locate_content,
    locate_experiments,
    locate_results,
    locate_runs,
)
from retab_frames.api.transport import Transport
from retab_frames.errors import (
    ApiStatusError,
    MalformedResponseError,
    PaginationError,
)
from retab_frames.text.completion import hide_names
from retab_frames.text.messages import printable
from retab_frames.text.next_steps import CHECK_ID
from retab_frames.wire import envelopes
from retab_frames.wire.envelopes import RunResponses, record_id

if TYPE_CHECKING:
    from datetime import datetime

    from retab_frames.api.connections import Certificates
    from retab_frames.api.proxies import ProxyChoice
    from retab_frames.api.routes import Route
    from retab_frames.wire.envelopes import Record, RowsResponse

__all__ = ["Client", "FetchedRun", "Records"]

Api = Literal["auto", Generation]

DEFAULT_BASE_URL = "https://api.retab.com"
MAX_TIMEOUT_S = 604_800


class Records(NamedTuple):
    """The records of a listing in the order of the API, newest first, and when they arrived."""

    records: list[Record]
    fetched_at: datetime


class FetchedRun(NamedTuple):
    """The responses that hold the rows of a run, and its record if one was read to get them."""

    responses: RunResponses
    record: Record | None


@hide_names("content", "experiments", "pages", "runs")
class Client:
    """Reads workflow experiments from the Retab API.

    A client may be shared by threads, and used in processes forked from its own, which open
    connections of their own. It opens no connection until it is used, and closes all of them at the
    end of a `with`. It cannot be pickled, since that would take the key elsewhere: a process that
    was not forked makes its own.

    Args:
        api_key: The key; None takes the environment variable RETAB_API_KEY.
        base_url: With or without `/v1`; None takes RETAB_API_BASE_URL, else https://api.retab.com.
        access_token: Sent as the query parameter of that name, only if given.
        api: The generation of routes to use: "content", "nested" or "results"; "auto" finds out
            which one the server has, and remembers it.
        timeout: Seconds that one request may take, all attempts and waits included.
        retries: How many times a request is tried again after a failure that may pass: no complete
            response, or the status 408, 425, 429 or 5xx (but for 501 and 505).
        max_connections: How many requests run at a time when several runs are loaded.
        proxy: The URL of a proxy, with `user:password@` if it asks for them; http, https, or socks5
            with the package socksio. None takes HTTPS_PROXY or ALL_PROXY of the environment, unless
            NO_PROXY excepts the host; False takes none. A server on this machine that is reached by
            plain http is asked directly, unless a proxy is given here.
        verify: The CA certificates that the server's certificate is checked with: a path to a PEM
            file or to a folder of them, or an `ssl.SSLContext`. True takes those that SSL_CERT_FILE
            or SSL_CERT_DIR names, else those of the package certifi.

    Raises:
        ConfigError: If there is no key, or the key, the URL or the proxy cannot be used.
        TypeError: If `proxy` or `verify` is of another type.
        ValueError: If a number is out of range, `api` is not one of the four, or `verify` is False.

    Example:
        >>> import retab_frames as rf
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         runs = rf.load_runs(sandbox.workflow_id, "exp_invoices", client=client)
        >>> len(runs)
        5
    """

    _http: Transport
    _found: Generation | None

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
        proxy: ProxyChoice = None,
        verify: Certificates = True,
    ) -> None:
        # wrapped before anything can fail: a traceback shows the locals of this frame
        key = Secret.from_environment(KEY_VARIABLE) if api_key is None else Secret(api_key)
        token = None if access_token is None else Secret(access_token)
        through = Secret(proxy) if isinstance(proxy, str) else proxy
        api_key = access_token = proxy = None
        if api not in get_args(Api):
            raise ValueError(f"api must be auto, content, nested or results, not {api!r}")
        if not isinstance(timeout, int | float) or not 0 < timeout <= MAX_TIMEOUT_S:
            raise ValueError(
                f"timeout takes seconds, more than 0 and at most {MAX_TIMEOUT_S:,} (a week), not "
                f"{timeout!r}"
            )
        for name, count, least in (
            ("retries", retries, 0),
            ("max_connections", max_connections, 1),
        ):
            if not isinstance(count, int) or isinstance(count, bool) or count < least:
                raise ValueError(f"{name} takes a whole number from {least} on, not {count!r}")
        if through not in (None, False) and not isinstance(through, Secret):
            raise TypeError(f"proxy takes a URL, None or False, not {type(through).__name__}")
        check_certificates(verify)
        self.api: Api = api
        self.max_connections = max_connections
        self._found = None if api == "auto" else api
        url = normalize_base_url(base_url or os.environ.get(URL_VARIABLE) or DEFAULT_BASE_URL)
        self._http = Transport(
            url,
            check_secret(key),
            token=None if token is None else check_secret(token, name="access_token"),
            timeout=timeout,
            retries=retries,
            proxy=find_proxy(through, url),
            verify=verify,
        )
        # a client that was never closed closes its sockets when it is garbage-collected
        weakref.finalize(self, self._http.close)

    def __repr__(self) -> str:
        if "_http" not in vars(self):
            return "Client(not complete)"  # in the traceback of an error in __init__
        return f"Client({str(self._http.url)!r}, api={self._found or self.api!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, ...]:
        """Refuse to be pickled: the key must not leave the process."""
        raise TypeError("a Client cannot be pickled; make one where it is used")

    @property
    def found(self) -> Generation | None:
        """The generation of routes that the server has; None while that is not known."""
        return self._found

    def close(self) -> None:
        """Close all connections; a request after this raises RuntimeError."""
        self._http.close()

    def experiments(self, workflow_id: str) -> Records:
        """Return the records of all experiments of a workflow.

        Raises:
            NotFoundError: If there is no such workflow.
        """
        known = self._found  # another thread may find it out meanwhile
        if known != "results":
            try:
                return self._fetch_records(
                    locate_experiments("content", workflow_id), workflow=workflow_id
                )
            except ApiStatusError as error:
                if error.status_code not in NO_ROUTE or known:
                    raise
        try:
            return self._fetch_records(
                locate_experiments("results", workflow_id), workflow=workflow_id
            )
        except ApiStatusError as error:
            if error.status_code not in NO_ROUTE:
                raise
            missing = error
        raise build_not_found_error(f"workflow {printable(workflow_id)}", missing, CHECK_ID)

    def runs(self, workflow_id: str, experiment_id: str) -> Records:
        """Return the records of all runs of an experiment, newest first.

        Raises:
            NotFoundError: If there is no such experiment of the workflow.
        """
        owners = {"workflow": workflow_id, "experiment": experiment_id}
        known = self._found
        if known in (None, "content"):
            try:
                found = self._fetch_records(
                    locate_runs("content", workflow_id, experiment_id), **owners
                )
            except ApiStatusError as error:
                if known or error.status_code not in NO_ROUTE:
                    raise
                missing = error
            else:
                self._found = "content"
                return found
            self._detect(workflow_id, experiment_id, None, missing)
        found = self._fetch_records(locate_runs("results", workflow_id, experiment_id), **owners)
        if not found.records:
            check_experiment(self._http, self._found or "content", workflow_id, experiment_id)
        return found

    def content(
        self,
        workflow_id: str,
        experiment_id: str,
        run_id: str | None,
        *,
        record: Record | None = None,
    ) -> FetchedRun:
        """Return the responses that hold all the rows of a run.

        Whether there are as many rows as the record says is for the caller to compare.

        Args:
            workflow_id: The workflow of the experiment.
            experiment_id: The experiment.
            run_id: None for the latest run. An experiment never run gives placeholders on
                `/content`, and no rows on the other routes.
            record: The run's record, if the caller has it; it saves a request.

        Raises:
            NotFoundError: If there is no such run, or no such experiment of the workflow.
            PaginationError: If the pages of the rows contradict one another.
        """
        known = self._found
        if known in (None, "content"):
            try:
                return self._fetch_content(workflow_id, experiment_id, run_id)
            except ApiStatusError as error:
                if known or error.status_code not in NO_ROUTE:
                    raise
                missing = error
            self._detect(workflow_id, experiment_id, run_id, missing)
        return self._fetch_results(workflow_id, experiment_id, run_id, record)

    def pages(self, run_id: str, *, order: str = "asc") -> tuple[list[RowsResponse], datetime]:
        """Return all pages of a run's results, and when the first arrived (UTC).

        Args:
            run_id: The run.
            order: "asc" gives the oldest row first, "desc" the newest.
        """
        route = locate_results("results", run_id, order=order)
        return fetch_pages(self._http.get, route, envelopes.parse_rows_response)

    def _detect(
        self, workflow_id: str, experiment_id: str, run_id: str | None, missing: ApiStatusError
    ) -> None:
        """Find out what the 404 of a route of `content` means, unless another thread has."""
        if self._found == "content":
            raise missing
        if self._found is None:
            self._found = detect_generation(self._http, workflow_id, experiment_id, run_id, missing)

    def _fetch_content(
        self, workflow_id: str, experiment_id: str, run_id: str | None
    ) -> FetchedRun:
        route = locate_content(workflow_id, experiment_id, run_id)
        rows, response = self._http.get(route, envelopes.parse_rows_response)
        self._found = "content"
        for kind, requested, received in (
            ("workflow", workflow_id, rows.workflow_id),
            ("experiment", experiment_id, rows.experiment_id),
            ("run", run_id, rows.run_id),
        ):
            if requested and received and received != requested:
                raise MalformedResponseError(
                    f"GET {route.path}: requested {kind} {printable(requested)}, and the response "
                    f"is for {kind} {printable(received)}",
                    where=f"$.{kind}_id",
                )
        responses = RunResponses(
            workflow_id,
            rows.experiment_id or experiment_id,
            rows.run_id or run_id,
            (rows,),
            response.arrived,
            self._describe_source("content"),
        )
        return FetchedRun(responses, None)

    def _fetch_results(
        self, workflow_id: str, experiment_id: str, run_id: str | None, record: Record | None
    ) -> FetchedRun:
        generation = self._found or "results"
        record = record or fetch_run_record(
            self._http, generation, workflow_id, experiment_id, run_id
        )
        if record is None:
            no_rows = envelopes.parse_rows_response(b"[]")
            responses = RunResponses(workflow_id, experiment_id, None, (no_rows,), None)
            return FetchedRun(responses, None)
        run = record_id(record)
        if generation == "nested":
            route = locate_results("nested", run)
            rows, response = self._http.get(route, envelopes.parse_rows_response)
            pages, arrived = [rows], response.arrived
            if rows.after:
                raise PaginationError(
                    f"run {printable(run)} has more than {PAGE_SIZE} rows, and the nested routes "
                    "of this server take no cursor to fetch the others",
                    path=route.path,
                )
        else:
            pages, arrived = self.pages(run)
        source = self._describe_source(generation)
        responses = RunResponses(workflow_id, experiment_id, run, tuple(pages), arrived, source)
        return FetchedRun(responses, record)

    def _describe_source(self, generation: Generation) -> str:
        """Return what a snapshot stores of where its run came from."""
        return f"{self._http.url} ({generation})"

    def _fetch_records(self, route: Route, **owners: str) -> Records:
        pages, arrived = fetch_pages(self._http.get, route, envelopes.parse_records)
        records = [record for page in pages for record in page.records]
        check_records(records, route, **owners)
        return Records(records, arrived)
