"""Law: what belongs to another workflow, experiment or run than was asked for is never taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from factories import job

import retab_frames as rf
from retab_frames import Client, MalformedResponseError, NotFoundError, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NESTED = "/v1/workflows/wf_1/experiments"
FLAT = "/v1/workflows/experiments"

EXPERIMENT = {"id": "exp_1", "workflow_id": "wf_1"}
RUN = {"id": "run_1", "workflow_id": "wf_1", "experiment_id": "exp_1", "status": "completed"}
ROW = job(1, run_id="run_1", experiment_id="exp_1")
OTHER_OWNERS: list[dict[str, Any]] = [
    {"workflow_id": "wf_2"},
    {"experiment_id": "exp_2"},
    {"workflow_id": None, "workflow": {"workflow_id": "wf_2"}},
]


@pytest.fixture
def server() -> Iterator[Sandbox]:
    """A server that has one experiment with one run of one job, on all routes."""
    with Sandbox(generations=("A1", "C4")) as running:
        yield running


def answer_all(
    server: Sandbox,
    *,
    experiment: dict[str, Any] = EXPERIMENT,
    run: dict[str, Any] = RUN,
    row: dict[str, Any] = ROW,
) -> None:
    last_page = {"before": None, "after": None}
    server.answer(NESTED, {"data": [experiment], "list_metadata": last_page})
    server.answer(f"{NESTED}/exp_1", experiment)
    server.answer(f"{NESTED}/exp_1/runs", {"runs": [run]})
    content = {"experiment_id": "exp_1", "run_id": "run_1", "content": {"jobs": [row]}}
    server.answer(f"{NESTED}/exp_1/content", content)
    server.answer(FLAT, {"data": [experiment], "list_metadata": last_page})
    server.answer(f"{FLAT}/exp_1", experiment)
    server.answer(f"{FLAT}/runs", {"data": [run], "list_metadata": last_page})
    server.answer(f"{FLAT}/runs/run_1", run)
    server.answer(f"{FLAT}/runs/run_1/results", {"data": [row], "list_metadata": last_page})
    server.answer(f"{FLAT}/results", {"data": [row], "list_metadata": last_page})


LOADS: dict[str, Callable[[Client], Any]] = {
    "the latest run": lambda client: rf.load_jobs("wf_1", "exp_1", client=client),
    "a run": lambda client: rf.load_jobs("wf_1", "exp_1", run_id="run_1", client=client),
    "runs": lambda client: rf.load_jobs("wf_1", "exp_1", run_id=["run_1"], client=client),
    "a content": lambda client: (
        rf.load_content("wf_1", "exp_1", run_id="run_1", client=client).jobs
    ),
    "run records": lambda client: rf.load_runs("wf_1", "exp_1", client=client),
}
GENERATIONS = ("content", "nested", "results")


def client_of(server: Sandbox, api: Any) -> Client:
    return Client(server.api_key, base_url=server.url, api=api, retries=0)


@pytest.mark.parametrize("api", GENERATIONS)
@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS.keys())
def test_what_was_asked_for_is_taken(
    server: Sandbox, api: str, load: Callable[[Client], Any]
) -> None:
    answer_all(server)
    with client_of(server, api) as client:
        frame = load(client)
    assert frame[["workflow_id", "experiment_id", "run_id"]].to_numpy().tolist() == [
        ["wf_1", "exp_1", "run_1"]
    ]


@pytest.mark.parametrize("owner", OTHER_OWNERS, ids=repr)
@pytest.mark.parametrize("load", ["the latest run", "a run", "run records"])
@pytest.mark.parametrize("api", GENERATIONS)
def test_a_run_record_of_another_owner(
    server: Sandbox, api: str, load: str, owner: dict[str, Any]
) -> None:
    answer_all(server, run={**RUN, **owner})
    with client_of(server, api) as client:
        if api == "content" and load != "run records":
            assert len(LOADS[load](client)) == 1  # it reads no record
            return
        with pytest.raises(
            (MalformedResponseError, NotFoundError),
            match=r"_1, and .* of \w+ (wf|exp)_2|to \w+ (wf|exp)_2, not to ",
        ):
            LOADS[load](client)


@pytest.mark.parametrize("owner", [*OTHER_OWNERS[:2], {"run_id": "run_2"}], ids=repr)
@pytest.mark.parametrize("load", ["the latest run", "a run", "runs", "a content"])
@pytest.mark.parametrize("api", GENERATIONS)
def test_a_row_of_another_owner(
    server: Sandbox, api: str, load: str, owner: dict[str, Any]
) -> None:
    answer_all(server, row={**ROW, **owner})
    with client_of(server, api) as client:
        if api == "content" and "run_id" in owner:
            # an incremental run may have rows of an earlier one
            assert LOADS[load](client)["run_id"].tolist() == ["run_1"]
            return
        with pytest.raises(MalformedResponseError, match=r"_2, not of (wf|exp|run)_1"):
            LOADS[load](client)


@pytest.mark.parametrize("api", GENERATIONS)
def test_an_experiment_of_another_workflow(server: Sandbox, api: str) -> None:
    answer_all(server, experiment={**EXPERIMENT, "workflow_id": "wf_2"})
    with (
        client_of(server, api) as client,
        pytest.raises(
            MalformedResponseError,
            match="requested workflow wf_1, and the response has exp_1 of workflow wf_2",
        ),
    ):
        rf.load_experiments("wf_1", client=client)


@pytest.mark.parametrize("api", ["nested", "results"])
def test_the_record_of_another_run(server: Sandbox, api: str) -> None:
    answer_all(server, run={**RUN, "id": "run_2"})
    with (
        client_of(server, api) as client,
        pytest.raises(MalformedResponseError, match="the response is the record of run_2"),
    ):
        rf.load_jobs("wf_1", "exp_1", run_id="run_1", client=client)


def test_the_record_of_another_experiment_tells_no_generation(server: Sandbox) -> None:
    """An empty listing may be that of an experiment that does not exist."""
    answer_all(server, experiment={**EXPERIMENT, "id": "exp_2"})
    server.answer(f"{FLAT}/runs", {"data": [], "list_metadata": {"before": None, "after": None}})
    with (
        client_of(server, "results") as client,
        pytest.raises(MalformedResponseError, match="the response is the record of exp_2"),
    ):
        rf.load_runs("wf_1", "exp_1", client=client)


@pytest.mark.parametrize("owner", ["workflow", "experiment", "run"])
def test_an_envelope_of_another_owner(server: Sandbox, owner: str) -> None:
    ids = {"workflow_id": "wf_1", "experiment_id": "exp_1", "run_id": "run_1"}
    other = {**ids, f"{owner}_id": "x_2", "content": {"jobs": []}}
    server.answer(f"{NESTED}/exp_1/content", other)
    with (
        client_of(server, "content") as client,
        pytest.raises(MalformedResponseError, match=f"the response is for {owner} x_2"),
    ):
        rf.load_jobs("wf_1", "exp_1", run_id="run_1", client=client)


@pytest.mark.parametrize("large", [False, True])
def test_a_row_of_another_experiment_among_many(server: Sandbox, *, large: bool) -> None:
    """Both readers of rows find it, and many runs that are read together."""
    rows = [{**ROW, "id": f"j{n}"} for n in range(4_000 if large else 3)]
    rows[-2] = {**rows[-2], "experiment_id": "exp_2"}
    content = {"experiment_id": "exp_1", "run_id": "run_1", "content": {"jobs": rows}}
    answer_all(server)
    server.answer(f"{NESTED}/exp_1/content", content)
    problem = "a row of run run_1 is of experiment exp_2, not of exp_1"
    with client_of(server, "content") as client:
        with pytest.raises(MalformedResponseError, match=problem):
            rf.load_jobs("wf_1", "exp_1", run_id="run_1", client=client)
        (found,) = rf.iter_content(
            "wf_1", "exp_1", run_id=["run_1"], client=client, errors="collect"
        )
    assert found.not_loaded
    assert problem in found.issues["value"].str.cat() + found.issues["action"].str.cat()


def test_a_response_at_hand_answers_no_question() -> None:
    """What its rows say of themselves goes before what its envelope says."""
    row = {**ROW, "experiment_id": "exp_2", "workflow_id": "wf_2"}
    response = {"experiment_id": "exp_1", "run_id": "run_1", "content": {"jobs": [row]}}
    jobs = rf.read_content(response, workflow_id="wf_1").jobs
    assert jobs[["workflow_id", "experiment_id"]].to_numpy().tolist() == [["wf_2", "exp_2"]]
