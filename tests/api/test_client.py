from __future__ import annotations

import copy
import gc
import json
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

from retab_frames import (
    ApiStatusError,
    Client,
    NotFoundError,
    PaginationError,
    Sandbox,
    load_jobs,
    load_runs,
)
from retab_frames.api.paging import fetch_pages
from retab_frames.api.routes import locate_results
from retab_frames.sandbox.faults import EmptyPageWithCursor, RepeatCursor, Status
from retab_frames.wire.envelopes import parse_rows_response

WORKFLOW = "wf_sandbox"
EXPERIMENT = "exp_invoices"
RUN = "exprun_invoices_2"
NESTED = "/v1/workflows/wf_sandbox/experiments"
CONTENT = f"{NESTED}/exp_invoices/content"
FLAT = "/v1/workflows/experiments"
RESULTS = f"{FLAT}/results"


def paths(sandbox: Sandbox) -> list[str]:
    """Return the paths asked for since the last call, and forget them."""
    asked = [request.path for request in sandbox.requests]
    sandbox.requests.clear()
    return asked


def client_of(sandbox: Sandbox, **settings: Any) -> Client:
    return Client(sandbox.api_key, base_url=sandbox.url, **settings)


def ids_of(payloads: Any) -> list[str]:
    return [json.loads(bytes(row))["id"] for payload in payloads for row in payload.rows]


def job_ids(sandbox: Sandbox, run_id: str = RUN) -> list[str]:
    return [job.id for job in sandbox.workspace.jobs(run_id)]


def test_the_key_is_sent_in_both_headers(client: Client, sandbox: Sandbox) -> None:
    client.content(WORKFLOW, EXPERIMENT, None)
    client.runs(WORKFLOW, EXPERIMENT)
    for request in sandbox.requests:
        assert request.method == "GET"
        assert request.headers["api-key"] == sandbox.api_key
        assert request.headers["authorization"] == f"Bearer {sandbox.api_key}"
        assert request.headers["accept"] == "application/json"
        assert request.headers["accept-encoding"] == "gzip"
    assert len(sandbox.requests) == 2


def test_no_token_is_sent_unless_given(client: Client, sandbox: Sandbox) -> None:
    client.content(WORKFLOW, EXPERIMENT, None)
    assert [request.query for request in sandbox.requests] == [{}]


@pytest.mark.parametrize("token", ["tok_1", "a/b+c=&d?#%20"])
def test_a_token_is_a_query_parameter_beside_the_others(sandbox: Sandbox, token: str) -> None:
    with client_of(sandbox, access_token=token) as client:
        client.content(WORKFLOW, EXPERIMENT, RUN)
    assert [request.query for request in sandbox.requests] == [
        {"run_id": [RUN], "access_token": [token]}
    ]
    assert token not in str(sandbox.requests[0].headers)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"api": "v2"}, "api must be auto, content, nested or results, not 'v2'"),
        ({"api": None}, "api must be auto"),
        ({"timeout": 0}, "timeout takes seconds"),
        ({"timeout": -1.5}, "timeout takes seconds"),
        ({"timeout": float("nan")}, "timeout takes seconds"),
        ({"retries": -1}, "retries takes a whole number from 0"),
        ({"max_connections": 0}, "max_connections takes a whole number from 1"),
    ],
)
def test_wrong_arguments(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Client("key", **wrong)


def test_all_but_the_key_go_by_name() -> None:
    with pytest.raises(TypeError, match="positional"):
        Client("key", "https://api.retab.com")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("identifier", "segment"),
    [
        ("a/b", "a%2Fb"),
        ("../../admin", "..%2F..%2Fadmin"),
        ("?x=1", "%3Fx%3D1"),
        ("#top", "%23top"),
        ("%2f", "%252f"),
        ("%2e%2e", "%252e%252e"),
        ("//host", "%2F%2Fhost"),
        ("https://host/", "https%3A%2F%2Fhost%2F"),
        ("\\host", "%5Chost"),
        ("a b\t", "a%20b%09"),
        ("a;b,c&d=e+f", "a%3Bb%2Cc%26d%3De%2Bf"),
        ("\x1b[2J", "%1B%5B2J"),
        ("a\r\nHost: evil", "a%0D%0AHost%3A%20evil"),
        ("é", "%C3%A9"),
        ("日本", "%E6%97%A5%E6%9C%AC"),
        ("...", "..."),
        ("-_~", "-_~"),
        ("x" * 2_000, "x" * 2_000),
    ],
)
def test_an_id_is_one_segment_of_the_path(sandbox: Sandbox, identifier: str, segment: str) -> None:
    path = f"/v1/workflows/{segment}/experiments/{segment}/runs"
    sandbox.answer(path, [{"id": "run_behind"}])
    with client_of(sandbox, api="content") as client:
        found = client.runs(identifier, identifier)
    assert paths(sandbox) == [path]
    assert found.records == [{"id": "run_behind"}]


@pytest.mark.parametrize("identifier", ["a/b", "?x=1", "#top", "é", "a&b=c", "+", "../.."])
def test_a_run_id_in_the_query_is_one_value(sandbox: Sandbox, identifier: str) -> None:
    with client_of(sandbox, api="content") as client, pytest.raises(NotFoundError):
        client.content(WORKFLOW, EXPERIMENT, identifier)
    assert [(request.path, request.query) for request in sandbox.requests] == [
        (CONTENT, {"run_id": [identifier]})
    ]


@pytest.mark.parametrize("identifier", ["", ".", ".."])
@pytest.mark.parametrize("api", ["content", "results", "auto"])
def test_an_id_that_no_escape_makes_safe_is_refused(
    sandbox: Sandbox, api: str, identifier: str
) -> None:
    with (
        client_of(sandbox, api=api) as client,
        pytest.raises(ValueError, match=f"'{identifier}' is not an id"),
    ):
        client.content(WORKFLOW, identifier, None) if api != "results" else client.content(
            WORKFLOW, EXPERIMENT, identifier
        )
    assert paths(sandbox) == []


def test_repr_has_the_origin_and_the_generation(client: Client, sandbox: Sandbox) -> None:
    assert repr(client) == f"Client('{sandbox.url}', api='auto')"
    client.content(WORKFLOW, EXPERIMENT, None)
    assert repr(client) == f"Client('{sandbox.url}', api='content')"


@pytest.mark.parametrize("travel", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_client_does_not_travel(client: Client, travel: Any) -> None:
    with pytest.raises(TypeError, match="a Client cannot be pickled; make one where it is used"):
        travel(client)


def test_nothing_is_asked_before_the_first_use(sandbox: Sandbox) -> None:
    with client_of(sandbox):
        pass
    assert paths(sandbox) == []


def test_a_closed_client_says_so(client: Client, sandbox: Sandbox) -> None:
    client.content(WORKFLOW, EXPERIMENT, RUN)
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="this Client is closed; make a new one"):
        client.content(WORKFLOW, EXPERIMENT, RUN)
    assert paths(sandbox) == [CONTENT]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files as Linux does")
@pytest.mark.parametrize("end", ["close", "forget"])
def test_the_sockets_are_given_back(sandbox: Sandbox, end: str) -> None:
    before = open_files()
    client = client_of(sandbox)
    client.runs(WORKFLOW, EXPERIMENT)
    assert open_files() > before
    if end == "close":
        client.close()
    del client
    gc.collect()
    # what is left is the sandbox's own end, until its thread sees the close
    assert open_files() <= before + 1


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files as Linux does")
def test_loading_again_and_again_opens_no_more_sockets(client: Client) -> None:
    load_jobs(WORKFLOW, EXPERIMENT, client=client)
    before = open_files()
    for _ in range(10):
        load_jobs(WORKFLOW, EXPERIMENT, client=client)
    assert open_files() <= before + 2


def test_one_thread_keeps_its_connection(client: Client, sandbox: Sandbox) -> None:
    server = sandbox._server
    assert server is not None
    for _ in range(5):
        client.runs(WORKFLOW, EXPERIMENT)
        assert len(server.connections) == 1


def test_a_client_may_be_shared_by_threads(client: Client, sandbox: Sandbox) -> None:
    found: list[int] = []

    def ask() -> None:
        found.append(len(ids_of(client.content(WORKFLOW, EXPERIMENT, RUN).responses.responses)))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [12] * 20
    assert paths(sandbox) == [CONTENT] * 20


PROBED = [f"{NESTED}/exp_invoices/content", f"{FLAT}/exp_invoices"]
LISTED = [f"{FLAT}/runs"]


@pytest.mark.parametrize(
    ("generations", "first", "then"),
    [
        (("A1",), [CONTENT], [CONTENT]),
        (("A2",), [CONTENT], [CONTENT]),
        (("A3",), [CONTENT], [CONTENT]),
        (("A1", "C4"), [CONTENT], [CONTENT]),
        (
            ("B",),
            [*PROBED, f"{NESTED}/exp_invoices", *LISTED, f"{FLAT}/runs/exprun_invoices_5/results"],
            [*LISTED, f"{FLAT}/runs/exprun_invoices_5/results"],
        ),
        *(((c,), [*PROBED, *LISTED, RESULTS], [*LISTED, RESULTS]) for c in ("C1", "C2", "C3")),
        (("C4",), [*PROBED, *LISTED, RESULTS], [*LISTED, RESULTS]),
    ],
)
def test_the_generation_is_found_once(
    generations: tuple[str, ...], first: list[str], then: list[str]
) -> None:
    with Sandbox(generations=generations) as sandbox, client_of(sandbox) as client:
        for expected in (first, then, then):
            client.content(WORKFLOW, EXPERIMENT, None)
            assert paths(sandbox) == expected


@pytest.mark.parametrize(
    ("generation", "first", "then"),
    [
        pytest.param(
            "A1",
            [f"{NESTED}/exp_invoices/runs"],
            [f"{NESTED}/exp_invoices/runs"],
        ),
        (
            "B",
            [f"{NESTED}/exp_invoices/runs", f"{FLAT}/exp_invoices", f"{NESTED}/exp_invoices"],
            [],
        ),
        ("C4", [f"{NESTED}/exp_invoices/runs", f"{FLAT}/exp_invoices"], []),
    ],
)
def test_the_generation_is_found_by_the_runs_too(
    generation: str, first: list[str], then: list[str]
) -> None:
    listing = [f"{FLAT}/runs"] if generation != "A1" else []
    with Sandbox(generations=(generation,)) as sandbox, client_of(sandbox) as client:
        for expected in (first, then, then):
            assert len(client.runs(WORKFLOW, EXPERIMENT).records) == 5
            assert paths(sandbox) == [*expected, *listing]


@pytest.mark.parametrize(
    ("generation", "api", "asked"),
    [
        ("A1", "content", [CONTENT]),
        ("A3", "content", [CONTENT]),
        ("B", "nested", [f"{FLAT}/runs/{RUN}", f"{FLAT}/runs/{RUN}/results"]),
        ("C1", "results", [f"{FLAT}/runs/{RUN}", RESULTS]),
        ("C4", "results", [f"{FLAT}/runs/{RUN}", RESULTS]),
    ],
)
def test_a_named_generation_is_not_looked_for(generation: str, api: str, asked: list[str]) -> None:
    with Sandbox(generations=(generation,)) as sandbox, client_of(sandbox, api=api) as client:
        content = client.content(WORKFLOW, EXPERIMENT, RUN)
        assert paths(sandbox) == asked
        assert content.responses.run_id == RUN
        assert sorted(ids_of(content.responses.responses)) == sorted(job_ids(sandbox))


@pytest.mark.parametrize(
    ("generation", "api"),
    [("C4", "content"), ("B", "content"), ("A1", "results"), ("A1", "nested")],
)
def test_a_named_generation_that_is_not_there_is_an_error(generation: str, api: str) -> None:
    with (
        Sandbox(generations=(generation,)) as sandbox,
        client_of(sandbox, api=api) as client,
        pytest.raises(NotFoundError, match="404 Not Found"),
    ):
        client.content(WORKFLOW, EXPERIMENT, RUN)
    assert len(sandbox.requests) == 1


def test_a_route_that_is_not_allowed_counts_as_missing() -> None:
    with Sandbox(generations=("C4",)) as sandbox, client_of(sandbox) as client:
        sandbox.answer(CONTENT, {"detail": "Method Not Allowed"}, status=405)
        content = client.content(WORKFLOW, EXPERIMENT, RUN)
        assert ids_of(content.responses.responses) == job_ids(sandbox)


@pytest.mark.parametrize("after", [0, 1])
def test_a_server_in_trouble_is_not_taken_for_another_generation(after: int) -> None:
    with Sandbox(generations=("C4",)) as sandbox, client_of(sandbox, retries=0) as client:
        sandbox.misbehave(Status(500), after=after)
        with pytest.raises(ApiStatusError, match="500 Internal Server Error"):
            client.content(WORKFLOW, EXPERIMENT, RUN)
        assert repr(client).endswith("api='auto')")
        assert ids_of(client.content(WORKFLOW, EXPERIMENT, RUN).responses.responses) == job_ids(
            sandbox
        )


SPOKEN = [("A1",), ("A2",), ("A3",), ("B",), ("C1",), ("C2",), ("C3",), ("C4",), ("A1", "C4")]


@pytest.mark.parametrize("generations", SPOKEN, ids="+".join)
def test_a_missing_experiment_is_told_from_a_missing_route(generations: tuple[str, ...]) -> None:
    with Sandbox(generations=generations) as sandbox, client_of(sandbox) as client:
        with pytest.raises(NotFoundError, match="exp_gone"):
            client.content(WORKFLOW, "exp_gone", None)
        with pytest.raises(NotFoundError, match="exp_gone"):
            client.runs(WORKFLOW, "exp_gone")
        assert repr(client).endswith("api='auto')")
        content = client.content(WORKFLOW, EXPERIMENT, RUN)
        assert sorted(ids_of(content.responses.responses)) == sorted(job_ids(sandbox))


@pytest.mark.parametrize(
    ("generation", "api"),
    [("A1", "content"), ("A3", "content"), ("B", "nested"), ("C1", "results"), ("C4", "results")],
)
def test_no_runs_are_told_from_no_experiment(generation: str, api: str) -> None:
    with Sandbox(generations=(generation,)) as sandbox, client_of(sandbox, api=api) as client:
        assert client.runs(WORKFLOW, "exp_contracts").records == []
        with pytest.raises(NotFoundError, match="Experiment exp_gone not found"):
            client.runs(WORKFLOW, "exp_gone")


@pytest.mark.parametrize("found_before", [False, True])
@pytest.mark.parametrize("generations", SPOKEN, ids="+".join)
def test_a_missing_run_is_told_from_a_missing_route(
    generations: tuple[str, ...], *, found_before: bool
) -> None:
    with Sandbox(generations=generations) as sandbox, client_of(sandbox) as client:
        if found_before:
            client.content(WORKFLOW, EXPERIMENT, None)
        with pytest.raises(NotFoundError, match=r"exprun_gone|Experiment run"):
            client.content(WORKFLOW, EXPERIMENT, "exprun_gone")
        content = client.content(WORKFLOW, EXPERIMENT, RUN)
        assert sorted(ids_of(content.responses.responses)) == sorted(job_ids(sandbox))


@pytest.mark.parametrize("generations", SPOKEN, ids="+".join)
def test_a_run_of_another_experiment_is_not_given(generations: tuple[str, ...]) -> None:
    with (
        Sandbox(generations=generations) as sandbox,
        client_of(sandbox) as client,
        pytest.raises(NotFoundError, match="exprun_packets_2"),
    ):
        client.content(WORKFLOW, EXPERIMENT, "exprun_packets_2")


@pytest.mark.parametrize("run_id", [None, RUN])
@pytest.mark.parametrize(
    "generation",
    [
        "A1",
        "A3",
        *(
            pytest.param(
                g,
            )
            for g in ("C1", "C4")
        ),
    ],
)
def test_the_experiment_of_another_workflow_is_not_given(
    generation: str, run_id: str | None
) -> None:
    with (
        Sandbox(generations=(generation,)) as sandbox,
        client_of(sandbox) as client,
        pytest.raises(NotFoundError, match="wf_other"),
    ):
        client.content("wf_other", EXPERIMENT, run_id)


@pytest.mark.parametrize(
    "generation",
    [
        "A1",
        "A3",
        "B",
        *(
            pytest.param(
                g,
            )
            for g in ("C1", "C4")
        ),
    ],
)
def test_the_runs_of_another_workflow_are_not_given(generation: str) -> None:
    with (
        Sandbox(generations=(generation,)) as sandbox,
        client_of(sandbox) as client,
        pytest.raises(NotFoundError, match="wf_other"),
    ):
        client.runs("wf_other", EXPERIMENT)


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(("page_limit", "pages"), [(100, 3), (7, 36), (1, 250)])
def test_a_long_run_arrives_whole_and_once(page_limit: int, pages: int, order: str) -> None:
    with (
        Sandbox(documents=250, generations=("C4",), page_limit=page_limit) as sandbox,
        client_of(sandbox) as client,
    ):
        payloads, _ = client.pages(RUN, order=order)
        asked = [request.query for request in sandbox.requests]
        expected = job_ids(sandbox)[:: 1 if order == "asc" else -1]
    assert ids_of(payloads) == expected
    assert len(set(expected)) == 250
    assert len(payloads) == len(asked) == pages
    assert [query.get("after") for query in asked] == [
        None,
        *([cursor] for cursor in expected[page_limit - 1 : -1 : page_limit]),
    ]
    assert all(query["run_id"] == [RUN] and query["order"] == [order] for query in asked)


def test_pages_are_put_together_in_a_frame() -> None:
    with (
        Sandbox(documents=250, generations=("C4",)) as sandbox,
        client_of(sandbox) as client,
    ):
        frame = load_jobs(WORKFLOW, EXPERIMENT, run_id=RUN, client=client)
        jobs = sandbox.workspace.jobs(RUN)
    assert frame["job_id"].tolist() == [job.id for job in jobs]
    assert frame["duration_ms"].tolist() == [job.timing.duration_ms for job in jobs]


def test_listings_of_runs_and_experiments_are_followed_too() -> None:
    with (
        Sandbox(generations=("C4",), page_limit=2) as sandbox,
        client_of(sandbox, api="results") as client,
    ):
        runs = [record["id"] for record in client.runs(WORKFLOW, EXPERIMENT).records]
        assert paths(sandbox) == [f"{FLAT}/runs"] * 3
        experiments = [record["id"] for record in client.experiments(WORKFLOW).records]
        assert paths(sandbox) == [FLAT] * 2
        assert runs == list(sandbox.run_ids(EXPERIMENT)[::-1])
        assert experiments == list(sandbox.experiment_ids[::-1])


@pytest.fixture
def paged() -> Any:
    with (
        Sandbox(generations=("C4",), page_limit=5) as sandbox,
        client_of(sandbox, api="results") as client,
    ):
        yield sandbox, client


Paged = tuple[Sandbox, Client]


def test_a_repeated_cursor_is_an_error(paged: Paged) -> None:
    sandbox, client = paged
    sandbox.misbehave(RepeatCursor(), path=RESULTS)
    with pytest.raises(PaginationError, match="page 2 repeats a cursor; all pages") as told:
        client.content(WORKFLOW, EXPERIMENT, RUN)
    assert told.value.path == RESULTS
    assert paths(sandbox).count(RESULTS) == 2


def test_cursors_that_go_round_in_a_ring_are_an_error(paged: Paged) -> None:
    sandbox, client = paged
    for turn, cursor in enumerate(["a", "b", "c", "a"]):
        page = {"data": [{"id": str(turn)}], "list_metadata": {"after": cursor}}
        sandbox.answer(RESULTS, page, times=1)
    with pytest.raises(PaginationError, match="page 4 repeats a cursor"):
        client.pages(RUN)


def test_a_few_empty_pages_cost_no_row(paged: Paged) -> None:
    sandbox, client = paged
    sandbox.misbehave(EmptyPageWithCursor(), path=RESULTS, times=3, after=1)
    payloads, _ = client.pages(RUN)
    assert ids_of(payloads) == job_ids(sandbox)
    assert [len(ids_of([payload])) for payload in payloads] == [5, 0, 0, 0, 5, 2]


def test_empty_pages_without_end_are_an_error(paged: Paged) -> None:
    sandbox, client = paged
    sandbox.misbehave(EmptyPageWithCursor(), path=RESULTS, times=None, after=1)
    with pytest.raises(PaginationError, match="page 5 is empty but has a cursor, like the 3"):
        client.pages(RUN)
    assert paths(sandbox) == [RESULTS] * 5


def test_pages_without_end_are_an_error(paged: Paged) -> None:
    sandbox, client = paged
    route = locate_results("results", RUN)
    with pytest.raises(
        PaginationError, match=r"page 2 is not the last, and more than 2 are not fetched"
    ) as caught:
        fetch_pages(client._http.get, route, parse_rows_response, max_pages=2)
    assert caught.value.path == RESULTS
    assert paths(sandbox) == [RESULTS] * 2


def short_page(sandbox: Sandbox, run_id: str) -> dict[str, Any]:
    rows = [
        {
            "id": job.id,
            "experiment_run_id": job.run_id,
            "experiment_id": job.experiment_id,
            "document_id": job.document_id,
            "lifecycle": {"status": job.status},
        }
        for job in sandbox.workspace.jobs(run_id)[:-1]
    ]
    return {"data": rows, "list_metadata": {"before": None, "after": None}}


@pytest.mark.parametrize("run_id", [RUN, "exprun_invoices_5"], ids=["ended", "running"])
def test_fewer_rows_than_the_record_says_are_given_with_the_record(
    paged: Paged, run_id: str
) -> None:
    sandbox, client = paged
    sandbox.answer(RESULTS, short_page(sandbox, run_id))
    found = client.content(WORKFLOW, EXPERIMENT, run_id)
    assert ids_of(found.responses.responses) == job_ids(sandbox, run_id)[:-1]
    assert found.record is not None
    assert (found.record["id"], found.record["total_document_count"]) == (run_id, 12)


@pytest.mark.parametrize(
    "run_id",
    [
        RUN,
        pytest.param(
            "exprun_invoices_5",
        ),
    ],
    ids=["ended", "running"],
)
def test_a_run_too_long_for_the_one_page_of_its_route(run_id: str) -> None:
    with (
        Sandbox(documents=101, generations=("B",)) as sandbox,
        client_of(sandbox) as client,
        pytest.raises(PaginationError, match="has more than 100 rows"),
    ):
        load_jobs(WORKFLOW, EXPERIMENT, run_id=run_id, client=client)


def test_a_failed_page_leaves_nothing_behind(paged: Paged) -> None:
    sandbox, client = paged
    sandbox.misbehave(Status(400), path=RESULTS, after=1)
    with pytest.raises(ApiStatusError, match=f"GET {RESULTS}: 400"):
        client.pages(RUN)
    assert ids_of(client.pages(RUN)[0]) == job_ids(sandbox)


def test_runs_are_newest_first(client: Client, sandbox: Sandbox) -> None:
    frame = load_runs(WORKFLOW, EXPERIMENT, client=client)
    assert frame["run_id"].tolist() == list(sandbox.run_ids(EXPERIMENT)[::-1])
