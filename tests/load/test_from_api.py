from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest

from retab_frames import (
    ApiStatusError,
    AuthError,
    Client,
    ConfigError,
    ExperimentsSchema,
    HandlesSchema,
    JobsSchema,
    MalformedResponseError,
    NotFoundError,
    RetabFramesError,
    RunContent,
    RunsSchema,
    Sandbox,
    TransportError,
    iter_content,
    load_content,
    load_experiments,
    load_handle_inputs,
    load_jobs,
    load_runs,
)
from retab_frames.sandbox.faults import Hang, Html, Status
from retab_frames.sandbox.records import FileInput, Job
from retab_frames.schemas import models
from retab_frames.schemas.models import arrow_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from retab_frames.api.client import FetchedRun

WORKFLOW = "wf_sandbox"
EXPERIMENT = "exp_invoices"
RUN = "exprun_invoices_2"
NEVER_RUN = "exp_contracts"
CONTENT = "/v1/workflows/wf_sandbox/experiments/exp_invoices/content"
ORDER = ("A1", "A2", "A3", "B", "C1", "C2", "C3", "C4")
SPOKEN = [*((name,) for name in ORDER), ("A1", "C4")]


@pytest.fixture(params=SPOKEN, ids="+".join)
def spoken(request: pytest.FixtureRequest) -> tuple[str, ...]:
    generations: tuple[str, ...] = request.param
    return generations


@pytest.fixture
def world(spoken: tuple[str, ...]) -> Iterator[tuple[Sandbox, Client]]:
    with (
        Sandbox(generations=spoken) as sandbox,
        Client(sandbox.api_key, base_url=sandbox.url) as client,
    ):
        yield sandbox, client


World = tuple[Sandbox, Client]


def since(spoken: tuple[str, ...], name: str) -> bool:
    return ORDER.index(spoken[0]) >= ORDER.index(name)


def records(frame: pd.DataFrame, columns: Sequence[str]) -> list[dict[str, Any]]:
    table = pa.Table.from_pandas(frame[list(columns)], preserve_index=False)
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def assert_records(frame: pd.DataFrame, expected: list[dict[str, Any]]) -> None:
    assert records(frame, list(expected[0])) == expected


def assert_fits(frame: pd.DataFrame, schema: Any) -> None:
    pd.testing.assert_index_equal(frame.index, pd.RangeIndex(len(frame)), exact=True)
    kinds = {name: dtype.pyarrow_dtype for name, dtype in frame.dtypes.items()}
    contract = arrow_schema(getattr(models, schema.__name__))
    assert {name: kinds.pop(name) for name in contract.names} == dict(
        zip(contract.names, contract.types, strict=True)
    )
    assert set(kinds.values()) <= {pa.string()}


def job_record(job: Job) -> dict[str, Any]:
    files = (handle for handle in job.inputs.values() if isinstance(handle, FileInput))
    return {
        "workflow_id": WORKFLOW,
        "experiment_id": job.experiment_id,
        "run_id": job.run_id or None,
        "job_id": job.id or f"placeholder:{job.document_id}",
        "document_id": job.document_id,
        "filename": next((file.filename for file in files), None),
        "block_kind": job.block.kind,
        "status": job.status,
        "attempt": job.attempt,
        "is_placeholder": job.is_placeholder,
        "artifact_operation": job.artifact and job.artifact.operation,
        "artifact_id": job.artifact and job.artifact.id,
        "duration_ms": job.timing.duration_ms,
        "created_at": job.timing.created_at,
        "started_at": job.timing.started_at,
        "completed_at": job.timing.completed_at,
        "error_message": job.failure and job.failure.message,
    }


def handle_records(jobs: Sequence[Job], spoken: tuple[str, ...]) -> list[dict[str, Any]]:
    found = []
    for job in jobs:
        for position, (name, handle) in enumerate(job.inputs.items()):
            file = handle if isinstance(handle, FileInput) else None
            known = file if since(spoken, "A2") else None
            mime = file if since(spoken, "C1") else None
            full = file if spoken in (("C1",), ("C2",)) else None
            found.append(
                {
                    "experiment_id": job.experiment_id,
                    "run_id": job.run_id,
                    "job_id": job.id,
                    "document_id": job.document_id,
                    "handle": name,
                    "position": position,
                    "type": "file" if file else "json",
                    "filename": file and file.filename,
                    "file_id": known and known.id,
                    "mime_type": mime and mime.mime_type,
                    "size_bytes": full and full.size_bytes,
                    "content_fingerprint": full and full.fingerprint,
                }
            )
    return found


def served(sandbox: Sandbox, run_id: str, spoken: tuple[str, ...]) -> tuple[Job, ...]:
    """Return a run's jobs in the order of the API: generation B gives the newest first."""
    jobs = sandbox.workspace.jobs(run_id)
    return jobs[::-1] if spoken == ("B",) else jobs


def test_experiments(world: World, spoken: tuple[str, ...]) -> None:
    sandbox, client = world
    frame = load_experiments(WORKFLOW, client=client)
    assert_fits(frame, ExperimentsSchema)
    assert_records(
        frame,
        [
            {
                "workflow_id": WORKFLOW,
                "experiment_id": experiment.id,
                "name": experiment.name,
                "block_id": experiment.block.id,
                "block_kind": experiment.block.kind,
                "status": experiment.status,
                "n_consensus": experiment.n_consensus,
                "document_count": experiment.document_count,
                "last_run_id": experiment.last_run_id,
                "score": experiment.score,
                "created_at": experiment.created_at,
                "updated_at": experiment.updated_at,
                "is_stale": False,
            }
            for experiment in sandbox.workspace.experiments()[::-1]
        ],
    )
    # where a server has both, the older route of the experiments answers
    fresh = ["unknown", "fresh", "fresh", "fresh"] if since(spoken, "C3") else [None] * 4
    assert records(frame, ["freshness_status"]) == [{"freshness_status": state} for state in fresh]


@pytest.mark.parametrize("experiment_id", ["exp_invoices", "exp_mailroom", "exp_packets"])
def test_runs(world: World, spoken: tuple[str, ...], experiment_id: str) -> None:
    sandbox, client = world
    frame = load_runs(WORKFLOW, experiment_id, client=client)
    assert_fits(frame, RunsSchema)
    counted, nested = since(spoken, "A2"), since(spoken, "B")
    assert_records(
        frame,
        [
            {
                "workflow_id": WORKFLOW,
                "experiment_id": experiment_id,
                "run_id": run.id,
                "parent_run_id": None,
                "block_id": run.block.id if nested else None,
                "block_kind": run.block.kind,
                "status": run.status,
                "error_message": run.failure.message if nested and run.failure else None,
                "n_consensus": run.n_consensus,
                "document_count": run.document_count,
                "total_document_count": run.document_count if counted else None,
                "completed_document_count": run.completed_count if counted else None,
                "error_count": run.error_count,
                "score": run.score,
                "duration_ms": run.timing.duration_ms,
                "created_at": run.timing.created_at,
                "started_at": run.timing.started_at if nested else None,
                "completed_at": run.timing.completed_at,
                "definition_fingerprint": run.definition_fingerprint,
                "documents_fingerprint": run.documents_fingerprint,
                "workflow_version_id": run.workflow_version_id if nested else None,
            }
            for run in sandbox.workspace.runs(experiment_id)[::-1]
        ],
    )


def test_jobs_of_the_latest_run(world: World, spoken: tuple[str, ...]) -> None:
    sandbox, client = world
    frame = load_jobs(WORKFLOW, EXPERIMENT, client=client)
    assert_fits(frame, JobsSchema)
    jobs = served(sandbox, "exprun_invoices_5", spoken)
    assert_records(frame, [job_record(job) for job in jobs])
    assert set(frame["status"]) == {"completed", "running", "pending"}


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_jobs_of_one_run(world: World, spoken: tuple[str, ...], number: int) -> None:
    sandbox, client = world
    run_id = f"exprun_mailroom_{number}"
    frame = load_jobs(WORKFLOW, "exp_mailroom", run_id=run_id, client=client)
    assert_records(frame, [job_record(job) for job in served(sandbox, run_id, spoken)])


def test_jobs_of_many_runs_in_the_order_asked_for(world: World, spoken: tuple[str, ...]) -> None:
    sandbox, client = world
    ids = [f"exprun_packets_{number}" for number in (3, 5, 1, 4, 2)]
    frame = load_jobs(WORKFLOW, "exp_packets", run_id=ids, client=client)
    assert_fits(frame, JobsSchema)
    assert_records(frame, [job_record(j) for run in ids for j in served(sandbox, run, spoken)])
    assert frame["run_id"].drop_duplicates().tolist() == ids


def test_details_of_failures(world: World, spoken: tuple[str, ...]) -> None:
    sandbox, client = world
    run_id = "exprun_invoices_4"
    frame = load_jobs(WORKFLOW, EXPERIMENT, run_id=run_id, client=client)
    jobs = served(sandbox, run_id, spoken)
    codes = [job.failure and job.failure.code for job in jobs]
    details = [row["error_details"] for row in records(frame, ["error_details"])]
    assert [code is not None for code in codes].count(True) == 3
    assert [text and json.loads(text)["error_code"] for text in details] == (
        codes if since(spoken, "C1") else [None] * len(jobs)
    )


def test_handles_become_columns(world: World, spoken: tuple[str, ...]) -> None:
    sandbox, client = world
    frame = load_jobs(WORKFLOW, EXPERIMENT, run_id=RUN, client=client)
    jobs = served(sandbox, RUN, spoken)
    assert frame["handle_inputs.input-file-document.filename"].tolist() == [
        getattr(job.inputs["input-file-document"], "filename", None) for job in jobs
    ]
    texts = records(frame, ["handle_inputs.input-json-context.data"])
    assert [text and json.loads(text) for row in texts for text in row.values()] == [
        getattr(job.inputs.get("input-json-context"), "data", None) for job in jobs
    ]


@pytest.mark.parametrize("experiment_id", ["exp_invoices", "exp_packets"])
def test_handle_inputs(world: World, spoken: tuple[str, ...], experiment_id: str) -> None:
    sandbox, client = world
    ids = sandbox.run_ids(experiment_id)[1:3]
    frame = load_handle_inputs(WORKFLOW, experiment_id, run_id=ids, client=client)
    assert_fits(frame, HandlesSchema)
    jobs = [job for run_id in ids for job in served(sandbox, run_id, spoken)]
    assert_records(frame, handle_records(jobs, spoken))
    handles = [handle for job in jobs for handle in job.inputs.values()]
    for row, handle in zip(records(frame, ["data", "extra"]), handles, strict=True):
        if isinstance(handle, FileInput):
            assert row["data"] is None
            assert ("gs://" in (row["extra"] or "")) == (spoken in (("C1",), ("C2",)))
        else:
            assert (json.loads(row["data"]), row["extra"]) == (handle.data, None)


@pytest.mark.parametrize("number", [2, 5])
def test_content(world: World, spoken: tuple[str, ...], number: int) -> None:
    sandbox, client = world
    run_id = f"exprun_packets_{number}"
    before = datetime.now(UTC)
    content = load_content(WORKFLOW, "exp_packets", run_id=run_id, client=client)
    jobs = served(sandbox, run_id, spoken)
    assert (content.experiment_id, content.run_id) == ("exp_packets", run_id)
    assert content.complete == (number == 2)
    assert content.fetched_at is not None
    assert before <= content.fetched_at <= datetime.now(UTC)
    assert_records(content.jobs, [job_record(job) for job in jobs])
    assert_records(content.handle_inputs, handle_records(jobs, spoken))
    assert records(content.run, ["run_id", "document_count"]) == [
        {"run_id": run_id, "document_count": 12}
    ]
    assert records(content.raw, ["job_id", "position"]) == [
        {"job_id": job.id, "position": position} for position, job in enumerate(jobs)
    ]
    assert [json.loads(body)["document_id"] for body in content.raw["body"]] == [
        job.document_id for job in jobs
    ]
    unknown = [] if spoken not in (("C1",), ("C2",)) else ["document.gcs_uri"]
    assert content.issues["field"].tolist() == unknown
    outputs = [job.outputs for job in jobs if job.outputs] if since(spoken, "C3") else []
    assert [json.loads(text) for text in content.handle_outputs["data"]] == [
        getattr(handle, "data", None) for output in outputs for handle in output.values()
    ]


def test_content_of_the_latest_run(world: World) -> None:
    _, client = world
    assert load_content(WORKFLOW, EXPERIMENT, client=client).run_id == "exprun_invoices_5"


def test_an_experiment_never_run(world: World, spoken: tuple[str, ...]) -> None:
    sandbox, client = world
    frame = load_jobs(WORKFLOW, NEVER_RUN, client=client)
    assert_fits(frame, JobsSchema)
    if spoken[0].startswith("A"):
        placeholders = sandbox.workspace.placeholders(NEVER_RUN)
        assert_records(frame, [job_record(job) for job in placeholders])
        assert frame["is_placeholder"].all()
        assert len(frame) == 12
    else:
        assert len(frame) == 0


def test_the_content_of_an_experiment_never_run(world: World, spoken: tuple[str, ...]) -> None:
    _, client = world
    content = load_content(WORKFLOW, NEVER_RUN, client=client)
    placeholders = 12 if spoken[0].startswith("A") else 0
    assert (content.experiment_id, content.run_id, content.complete) == (NEVER_RUN, None, False)
    assert len(content.jobs) == len(content.raw) == placeholders
    assert len(content.run) == 0


def test_the_runs_of_an_experiment_never_run(world: World) -> None:
    _, client = world
    frame = load_runs(WORKFLOW, NEVER_RUN, client=client)
    assert_fits(frame, RunsSchema)
    assert len(frame) == 0


IDS = ["exprun_invoices_3", "exprun_invoices_1"]


@pytest.mark.parametrize(
    "ids",
    [
        IDS,
        tuple(IDS),
        (one for one in IDS),
        dict.fromkeys(IDS),
        pd.Series(IDS, index=[7, 7]),
        pd.Series(IDS, dtype=pd.ArrowDtype(pa.string())),
        pd.Index(IDS),
    ],
    ids=["list", "tuple", "generator", "dict", "Series", "Arrow Series", "Index"],
)
def test_ids_come_in_any_order_keeping_form(client: Client, ids: Any) -> None:
    frame = load_jobs(WORKFLOW, EXPERIMENT, run_id=ids, client=client)
    assert frame["run_id"].drop_duplicates().tolist() == IDS
    assert len(frame) == 24


def test_the_runs_frame_gives_the_ids(client: Client, sandbox: Sandbox) -> None:
    runs = load_runs(WORKFLOW, EXPERIMENT, client=client)
    frame = load_jobs(WORKFLOW, EXPERIMENT, run_id=runs.run_id, client=client)
    assert frame["run_id"].drop_duplicates().tolist() == list(sandbox.run_ids(EXPERIMENT)[::-1])


LOADERS = [load_jobs, load_handle_inputs, iter_content]


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ("", ValueError, "a run id is empty; None asks for the latest run"),
        ([RUN, ""], ValueError, "a run id is empty"),
        ([RUN, "exprun_invoices_1", RUN], ValueError, f"run '{RUN}' is asked for twice"),
        ([None], TypeError, "run_id must hold run ids as text, found None"),
        ([RUN, 5], TypeError, "found 5"),
        ([pd.NA], TypeError, "found <NA>"),
        (b"exprun", TypeError, "found 101"),
        (5, TypeError, "takes ids as text, not int"),
        ([[RUN]], TypeError, r"found \['exprun"),
    ],
)
@pytest.mark.parametrize("load", LOADERS)
def test_odd_ids_are_refused_at_once(
    client: Client, sandbox: Sandbox, load: Any, ids: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load(WORKFLOW, EXPERIMENT, run_id=ids, client=client)
    assert sandbox.requests == []


@pytest.mark.parametrize("ids", [IDS, pd.Series(IDS), 5])
def test_load_content_takes_one_run(client: Client, ids: Any) -> None:
    with pytest.raises(TypeError, match="takes one run id; for several use iter_content"):
        load_content(WORKFLOW, EXPERIMENT, run_id=ids, client=client)


@pytest.mark.parametrize("ids", [[], (), pd.Series([], dtype=object)])
def test_no_ids_give_no_rows(client: Client, ids: Any) -> None:
    jobs = load_jobs(WORKFLOW, EXPERIMENT, run_id=ids, client=client)
    assert_fits(jobs, JobsSchema)
    handles = load_handle_inputs(WORKFLOW, EXPERIMENT, run_id=ids, client=client)
    assert_fits(handles, HandlesSchema)
    assert len(jobs) == len(handles) == 0
    assert list(iter_content(WORKFLOW, EXPERIMENT, run_id=ids, client=client)) == []


def test_contents_keep_the_order_of_the_ids(client: Client, sandbox: Sandbox) -> None:
    sandbox.misbehave(Hang(0.2), path=CONTENT, times=2)
    ids = [f"exprun_invoices_{number}" for number in (4, 2, 5, 1, 3)]
    contents = list(iter_content(WORKFLOW, EXPERIMENT, run_id=ids, client=client))
    assert [content.run_id for content in contents] == ids
    for content in contents:
        assert content.run["run_id"].tolist() == [content.run_id]
        expected = [job.id for job in sandbox.workspace.jobs(str(content.run_id))]
        assert content.jobs["job_id"].tolist() == expected


def test_runs_are_fetched_concurrently(client: Client, sandbox: Sandbox) -> None:
    sandbox.misbehave(Hang(0.3), path=CONTENT, times=5)
    begin = time.monotonic()
    frame = load_jobs(WORKFLOW, EXPERIMENT, run_id=sandbox.run_ids(EXPERIMENT), client=client)
    assert len(frame) == 60
    assert time.monotonic() - begin < 1.2


@pytest.mark.parametrize("load", LOADERS)
def test_one_listing_saves_the_record_of_each_run(load: Any) -> None:
    with (
        Sandbox(generations=("C4",)) as sandbox,
        Client(sandbox.api_key, base_url=sandbox.url, api="results") as client,
    ):
        assert len(list(load(WORKFLOW, EXPERIMENT, run_id=IDS, client=client))) > 0
    flat = "/v1/workflows/experiments"
    assert [request.path for request in sandbox.requests] == [
        f"{flat}/runs",
        f"{flat}/results",
        f"{flat}/results",
    ]


def loaded_jobs(**arguments: Any) -> list[str]:
    runs: list[str] = load_jobs(WORKFLOW, EXPERIMENT, **arguments)["run_id"].unique().tolist()
    return runs


def loaded_contents(**arguments: Any) -> list[str | None]:
    return [content.run_id for content in iter_content(WORKFLOW, EXPERIMENT, **arguments)]


@pytest.mark.parametrize("load", [loaded_jobs, loaded_contents])
@pytest.mark.parametrize("api", ["content", "results"])
def test_runs_wait_for_the_listing_only_where_they_need_it(api: Any, load: Any) -> None:
    with (
        Sandbox(generations=("A1", "C4")) as sandbox,
        Client(sandbox.api_key, base_url=sandbox.url, api=api) as client,
    ):
        nested = f"/v1/workflows/{WORKFLOW}/experiments/{EXPERIMENT}"
        flat = "/v1/workflows/experiments"
        listing = f"{nested}/runs" if api == "content" else f"{flat}/runs"
        rows = f"{nested}/content" if api == "content" else f"{flat}/results"
        sandbox.misbehave(Hang(0.5), path=listing)
        begin, asked = time.monotonic(), []
        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(load, run_id=IDS, client=client)
            while time.monotonic() < begin + 0.3:
                asked = [request.path for request in sandbox.requests]
                time.sleep(0.01)
        assert sorted(asked) == sorted([listing, *([rows] * len(IDS) if api == "content" else [])])
        assert loading.result(5) == IDS


def test_one_run_waits_for_the_listing(sandbox: Sandbox) -> None:
    with Client(sandbox.api_key, base_url=sandbox.url, api="content", retries=0) as client:
        listing = f"/v1/workflows/{WORKFLOW}/experiments/{EXPERIMENT}/runs"
        sandbox.misbehave(Status(400), path=listing)
        with pytest.raises(ApiStatusError, match="/runs"):
            load_content(WORKFLOW, EXPERIMENT, run_id=RUN, client=client)
    assert [request.path for request in sandbox.requests] == [listing]


def test_a_listing_that_fails_is_told(sandbox: Sandbox) -> None:
    with Client(sandbox.api_key, base_url=sandbox.url, api="content", retries=0) as client:
        listing = f"/v1/workflows/{WORKFLOW}/experiments/{EXPERIMENT}/runs"
        sandbox.misbehave(Status(403), path=listing)
        with pytest.raises(AuthError, match="/runs"):
            load_jobs(WORKFLOW, EXPERIMENT, run_id=IDS, client=client)


def test_contents_not_wanted_are_not_fetched(sandbox: Sandbox) -> None:
    with Client(sandbox.api_key, base_url=sandbox.url, max_connections=1) as client:
        ids = sandbox.run_ids(EXPERIMENT)
        contents = iter_content(WORKFLOW, EXPERIMENT, run_id=ids, client=client)
        assert next(contents).run_id == "exprun_invoices_1"
        contents.close()  # type: ignore[attr-defined]
        time.sleep(0.1)
    assert [request.path for request in sandbox.requests].count(CONTENT) <= 2


def first_content(*args: Any, **kwargs: Any) -> RunContent:
    return next(iter_content(*args, **kwargs))


@pytest.mark.parametrize("load", [load_jobs, load_handle_inputs, first_content])
def test_an_error_ends_the_threads_at_once(client: Client, sandbox: Sandbox, load: Any) -> None:
    ids = ["exprun_gone", *sandbox.run_ids(EXPERIMENT)]
    with pytest.raises(NotFoundError, match="exprun_gone") as caught:
        load(WORKFLOW, EXPERIMENT, run_id=ids, client=client)
    end = time.monotonic() + 2
    while workers := [one.name for one in threading.enumerate() if "_run_tasks" in one.name]:
        assert time.monotonic() < end, workers
        time.sleep(0.01)
    # whoever holds the error holds its frames, which must hold no work
    assert caught.traceback


class WatchedClient(Client):
    """Counts how many responses are alive whenever another one has been fetched."""

    responses: list[weakref.ref[Any]]
    alive: list[int]

    def content(self, *args: Any, **kwargs: Any) -> FetchedRun:
        found = super().content(*args, **kwargs)
        self.responses += map(weakref.ref, found.responses.responses)
        self.alive.append(sum(one() is not None for one in self.responses))
        return found


@pytest.mark.parametrize("load", [load_jobs, load_handle_inputs])
@pytest.mark.parametrize("progress", [False, True])
def test_frames_hold_no_responses(
    sandbox: Sandbox, load: Any, capsys: pytest.CaptureFixture[str], *, progress: bool
) -> None:
    with WatchedClient(sandbox.api_key, base_url=sandbox.url, max_connections=1) as client:
        client.responses, client.alive = [], []
        ids = sandbox.run_ids(EXPERIMENT)
        frame = load(WORKFLOW, EXPERIMENT, run_id=ids, client=client, progress=progress)
        assert len(client.alive) == len(ids) == 5
        # two are fetched ahead while one is read
        assert max(client.alive) <= 3
        assert [one() for one in client.responses] == [None] * 5
        assert len(frame) > 0
    capsys.readouterr()


def test_nothing_is_fetched_before_the_first_content(client: Client, sandbox: Sandbox) -> None:
    contents = iter_content(WORKFLOW, EXPERIMENT, run_id=IDS, client=client)
    assert sandbox.requests == []
    assert [content.run_id for content in contents] == IDS


BROKEN = ["exprun_invoices_3", "exprun_gone", "exprun_invoices_1"]


def test_errors_are_raised_in_their_turn(client: Client) -> None:
    contents = iter_content(WORKFLOW, EXPERIMENT, run_id=BROKEN, client=client)
    assert next(contents).run_id == BROKEN[0]
    with pytest.raises(NotFoundError, match="exprun_gone"):
        next(contents)
    assert list(contents) == []


def test_errors_are_collected(client: Client) -> None:
    contents = list(
        iter_content(WORKFLOW, EXPERIMENT, run_id=BROKEN, client=client, errors="collect")
    )
    assert [content.run_id for content in contents] == BROKEN
    assert [len(content.jobs) for content in contents] == [12, 0, 12]
    assert [content.complete for content in contents] == [True, False, True]
    assert records(contents[1].issues, ["run_id", "problem", "value"]) == [
        {
            "run_id": "exprun_gone",
            "problem": "the run was not loaded",
            "value": "NotFoundError",
        }
    ]
    assert "exprun_gone" in contents[1].issues["action"][0]
    assert all(len(contents[n].issues) == 0 for n in (0, 2))


def test_collecting_does_not_hide_an_experiment_that_is_not_there(client: Client) -> None:
    contents = iter_content(WORKFLOW, "exp_gone", run_id=IDS, client=client, errors="collect")
    with pytest.raises(NotFoundError, match="exp_gone"):
        next(contents)


def test_errors_are_raised_or_collected_and_nothing_else(client: Client) -> None:
    with pytest.raises(ValueError, match="errors must be 'raise' or 'collect', not 'ignore'"):
        iter_content(WORKFLOW, EXPERIMENT, client=client, errors="ignore")  # type: ignore[arg-type]


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("ids", [None, RUN, IDS])
@pytest.mark.parametrize("progress", [None, False])
def test_scripts_are_quiet(  # noqa: PLR0913, PLR0917, RUF100 - fixtures
    client: Client,
    capsys: pytest.CaptureFixture[str],
    load: Any,
    ids: Any,
    *,
    progress: bool | None,
) -> None:
    pytest.importorskip("ipykernel.kernelapp")  # imported, but no notebook
    len(list(load(WORKFLOW, EXPERIMENT, run_id=ids, client=client, progress=progress)))
    assert tuple(capsys.readouterr()) == ("", "")


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize(("ids", "total"), [(None, 1), (RUN, 1), (IDS, 2)])
def test_a_bar_is_shown_when_asked_for(
    client: Client, capsys: pytest.CaptureFixture[str], load: Any, ids: Any, total: int
) -> None:
    len(list(load(WORKFLOW, EXPERIMENT, run_id=ids, client=client, progress=True)))
    out, err = capsys.readouterr()
    assert out == ""
    assert "Loading runs: 100%" in err
    assert f"{total}/{total}" in err


@pytest.mark.parametrize(("ids", "shown"), [(RUN, False), (IDS, True)])
def test_a_terminal_gets_a_bar_for_several_runs(
    client: Client,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    ids: Any,
    *,
    shown: bool,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    load_jobs(WORKFLOW, EXPERIMENT, run_id=ids, client=client)
    assert ("Loading runs" in capsys.readouterr().err) == shown


def test_a_script_with_nothing_but_the_environment(sandbox: Sandbox) -> None:
    script = (
        "import retab_frames as rf\n"
        f"runs = rf.load_runs({WORKFLOW!r}, {EXPERIMENT!r})\n"
        f"print(len(rf.load_jobs({WORKFLOW!r}, {EXPERIMENT!r}, run_id=runs.run_id[1:])))\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "RETAB_API_KEY": sandbox.api_key,
        "RETAB_API_BASE_URL": sandbox.url,
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("48\n", "")


def without_key(sandbox: Sandbox) -> None:
    load_jobs(sandbox.workflow_id, EXPERIMENT)


def with_a_wrong_key(sandbox: Sandbox) -> None:
    with Client("rt_wrong_key", base_url=sandbox.url) as client:
        load_jobs(WORKFLOW, EXPERIMENT, client=client)


def with_a_key_that_may_not(sandbox: Sandbox) -> None:
    sandbox.misbehave(Status(403))
    with Client("rt_wrong_key", base_url=sandbox.url) as client:
        load_jobs(WORKFLOW, EXPERIMENT, client=client)


def of_an_unknown_workflow(sandbox: Sandbox) -> None:
    with Client(sandbox.api_key, base_url=sandbox.url) as client:
        load_experiments("wf_gone", client=client)


def of_an_unknown_workflow_in_the_first_generation(_: Sandbox) -> None:
    with Sandbox(generations=("A1",)) as first:
        of_an_unknown_workflow(first)


def of_an_unknown_experiment(sandbox: Sandbox) -> None:
    with Client(sandbox.api_key, base_url=sandbox.url) as client:
        load_jobs(WORKFLOW, "exp_gone", client=client)


def of_an_unknown_run(sandbox: Sandbox) -> None:
    with Client(sandbox.api_key, base_url=sandbox.url) as client:
        load_jobs(WORKFLOW, EXPERIMENT, run_id="exprun_gone", client=client)


def from_a_server_that_is_down(sandbox: Sandbox) -> None:
    with Client(sandbox.api_key, base_url=sandbox.url) as client:
        sandbox.close()
        load_jobs(WORKFLOW, EXPERIMENT, client=client)


def from_a_page_of_html(sandbox: Sandbox) -> None:
    sandbox.misbehave(Html(), times=None)
    with Client(sandbox.api_key, base_url=sandbox.url) as client:
        load_jobs(WORKFLOW, EXPERIMENT, client=client)


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize(
    ("load", "error", "subject", "step"),
    [
        (
            without_key,
            ConfigError,
            "there is no API key",
            "set the environment variable RETAB_API_KEY",
        ),
        (with_a_wrong_key, AuthError, f"GET {CONTENT}: 401", "check the key in RETAB_API_KEY"),
        (with_a_key_that_may_not, AuthError, f"GET {CONTENT}: 403", "check the key in RETAB_API"),
        (of_an_unknown_workflow, NotFoundError, "wf_gone", "check its id"),
        pytest.param(
            of_an_unknown_workflow_in_the_first_generation,
            NotFoundError,
            "wf_gone",
            "check its id",
        ),
        (of_an_unknown_experiment, NotFoundError, "exp_gone", "load_experiments"),
        (of_an_unknown_run, NotFoundError, "exprun_gone", "load_runs list"),
        (from_a_server_that_is_down, TransportError, f"GET {CONTENT}: ", "127.0.0.1:"),
        pytest.param(
            from_a_server_that_is_down,
            TransportError,
            f"GET {CONTENT}: ",
            "base_url",
        ),
        (from_a_page_of_html, MalformedResponseError, f"GET {CONTENT}: ", "begins '<!doctype html"),
        pytest.param(
            from_a_page_of_html,
            MalformedResponseError,
            f"GET {CONTENT}: ",
            "base_url",
        ),
    ],
)
def test_errors_say_what_failed_and_what_to_do(
    sandbox: Sandbox,
    load: Callable[[Sandbox], None],
    error: type[RetabFramesError],
    subject: str,
    step: str,
) -> None:
    with pytest.raises(RetabFramesError) as caught:
        load(sandbox)
    assert type(caught.value) is error
    assert subject in str(caught.value)
    assert step in str(caught.value)
    assert sandbox.api_key not in str(caught.value)
    assert "rt_wrong_key" not in str(caught.value)
