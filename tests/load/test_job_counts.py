"""A run with fewer or more jobs than its record says has one outcome in every way of loading."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pyarrow as pa
import pytest

import retab_frames as rf
from retab_frames.load.notices import describe_count_mismatch, warn_of_incomplete_runs
from retab_frames.schemas.models import RunsSchema, arrow_schema, empty_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXPERIMENT = "exp_invoices"
BAD, GOOD, RUNNING = "exprun_invoices_2", "exprun_invoices_3", "exprun_invoices_5"
NESTED = f"/v1/workflows/wf_sandbox/experiments/{EXPERIMENT}"
FLAT = "/v1/workflows/experiments"
JOBS = 12
GENERATIONS = {"A1": "content", "A3": "content", "B": "nested", "C1": "results", "C4": "results"}


def miscount(sandbox: rf.Sandbox, run_id: str, by: int) -> None:
    """Let the records of a run say so many documents more than it has jobs."""
    headers = {"Api-Key": sandbox.api_key, "Authorization": f"Bearer {sandbox.api_key}"}
    query = f"?workflow_id=wf_sandbox&experiment_id={EXPERIMENT}&order=desc&limit=100"
    for path in (f"{NESTED}/runs", f"{FLAT}/runs", f"{FLAT}/runs/{run_id}"):
        url = f"{sandbox.url}{path}{query if path.startswith(FLAT) else ''}"
        try:
            with urlopen(Request(url, headers=headers)) as response:
                body = json.load(response)
        except OSError:  # a route that this generation lacks
            continue
        records = body.get("data") or body.get("runs") or [body]
        for record in records:
            for key in ("document_count", "total_document_count"):
                if record["id"] == run_id and record.get(key):
                    record[key] += by
        sandbox.answer(path, body)
    sandbox.requests.clear()


@pytest.fixture(params=[1, -2], ids=["fewer", "more"])
def documents(request: pytest.FixtureRequest) -> int:
    """How many documents the record says."""
    count: int = JOBS + request.param
    return count


@pytest.fixture(params=GENERATIONS)
def world(request: pytest.FixtureRequest, documents: int) -> Iterator[tuple[rf.Client, str]]:
    """Yield a client, and the generation of its server, where one run is miscounted."""
    with (
        rf.Sandbox(generations=(request.param,)) as sandbox,
        rf.Client(sandbox.api_key, base_url=sandbox.url) as client,
    ):
        miscount(sandbox, BAD, documents - JOBS)
        yield client, GENERATIONS[request.param]


World = tuple[rf.Client, str]


def told(documents: int) -> str:
    return f"run {BAD} is not complete: the run record says {documents} documents, 12 jobs came"


def assert_told_once(recwarn: pytest.WarningsRecorder, *messages: str) -> None:
    assert [str(one.message) for one in recwarn.list] == list(messages)
    for one in recwarn.list:
        assert one.category is rf.RetabFramesWarning
        assert one.filename == __file__, "it points at the line that called the library"
    recwarn.clear()


def assert_marked(content: rf.RunContent, documents: int) -> None:
    assert (content.run_id, content.complete, len(content.jobs)) == (BAD, False, JOBS)
    issues = content.issues[content.issues["field"] == "total_document_count"]
    assert issues["problem"].tolist() == [
        f"the run record says {documents} documents, 12 jobs came"
    ]
    assert issues["run_id"].tolist() == [BAD]


@pytest.mark.filterwarnings("always")
def test_load_content(world: World, documents: int, recwarn: pytest.WarningsRecorder) -> None:
    client, _ = world
    content = rf.load_content("wf_sandbox", EXPERIMENT, run_id=BAD, client=client)
    assert_told_once(recwarn, told(documents))
    assert_marked(content, documents)


@pytest.mark.filterwarnings("always")
def test_iter_content(world: World, documents: int, recwarn: pytest.WarningsRecorder) -> None:
    client, _ = world
    contents = rf.iter_content("wf_sandbox", EXPERIMENT, run_id=[GOOD, BAD], client=client)
    assert next(contents).complete
    assert_told_once(recwarn)
    assert_marked(next(contents), documents)
    assert_told_once(recwarn, told(documents))


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("load", [rf.load_jobs, rf.load_handle_inputs])
@pytest.mark.parametrize("ids", [[GOOD, BAD], [BAD]])
def test_frames(
    world: World, documents: int, recwarn: pytest.WarningsRecorder, load: Any, ids: list[str]
) -> None:
    client, generation = world
    frame = load("wf_sandbox", EXPERIMENT, run_id=ids, client=client)
    assert frame["job_id"].nunique() == JOBS * len(ids)
    # one run of `/content` comes without its record, which would take a request of its own
    has_record = len(ids) > 1 or generation != "content"
    assert_told_once(recwarn, *([told(documents)] if has_record else []))


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("runs", [BAD, [GOOD, BAD], "all"])
def test_pull(
    world: World,
    documents: int,
    recwarn: pytest.WarningsRecorder,
    tmp_path: Path,
    runs: str | list[str],
) -> None:
    client, _ = world
    store = rf.SnapshotStore(tmp_path)
    written = store.pull("wf_sandbox", EXPERIMENT, run_id=runs, client=client)
    assert_told_once(recwarn, told(documents))
    complete = {snapshot.run_id: snapshot.complete for snapshot in written}
    assert complete == {run_id: run_id not in {BAD, RUNNING} for run_id in complete}
    assert_marked(store.read(BAD), documents)


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_running_run_too(generation: str, recwarn: pytest.WarningsRecorder) -> None:
    with (
        rf.Sandbox(generations=(generation,)) as sandbox,
        rf.Client(sandbox.api_key, base_url=sandbox.url) as client,
    ):
        miscount(sandbox, RUNNING, 3)
        content = rf.load_content("wf_sandbox", EXPERIMENT, client=client)
    assert content.run_id == RUNNING
    assert content.issues["problem"].tolist()[-1:] == [
        "the run record says 15 documents, 12 jobs came"
    ]
    assert_told_once(
        recwarn,
        f"run {RUNNING} is not complete: the run record says 15 documents, 12 jobs came",
    )


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("load", [rf.load_jobs, rf.load_handle_inputs])
def test_a_run_without_any_job(load: Any, recwarn: pytest.WarningsRecorder) -> None:
    with (
        rf.Sandbox(generations=("C4",)) as sandbox,
        rf.Client(sandbox.api_key, base_url=sandbox.url) as client,
    ):
        sandbox.answer(f"{FLAT}/results", {"data": [], "list_metadata": {"after": None}})
        assert len(load("wf_sandbox", EXPERIMENT, run_id=BAD, client=client)) == 0
    assert_told_once(
        recwarn, f"run {BAD} is not complete: the run record says 12 documents, 0 jobs came"
    )


@pytest.mark.filterwarnings("always")
def test_many_runs_have_one_warning_in_frames_and_one_each_in_contents(
    recwarn: pytest.WarningsRecorder,
) -> None:
    with rf.Sandbox() as sandbox, rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        miscount(sandbox, BAD, 1)
        sandbox.answer(f"{NESTED}/content", b'{"content": {"jobs": []}}')
        rf.load_jobs("wf_sandbox", EXPERIMENT, run_id=[BAD, GOOD], client=client)
        assert_told_once(
            recwarn,
            "2 runs are not complete: "
            f"{BAD}: the run record says 13 documents, 0 jobs came; "
            f"{GOOD}: the run record says 12 documents, 0 jobs came",
        )
        list(rf.iter_content("wf_sandbox", EXPERIMENT, run_id=[BAD, GOOD], client=client))
    assert_told_once(
        recwarn,
        f"run {BAD} is not complete: the run record says 13 documents, 0 jobs came",
        f"run {GOOD} is not complete: the run record says 12 documents, 0 jobs came",
    )


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize(
    ("runs", "end"), [(5, "r4: n4"), (6, "r4: n4; and 1 more"), (80, "r4: n4; and 75 more")]
)
def test_five_runs_are_named(runs: int, end: str, recwarn: pytest.WarningsRecorder) -> None:
    warn_of_incomplete_runs({f"r{n}": f"n{n}" for n in range(runs)})
    assert_told_once(
        recwarn, f"{runs} runs are not complete: r0: n0; r1: n1; r2: n2; r3: n3; {end}"
    )


@pytest.mark.parametrize(
    ("total", "count", "jobs", "problem"),
    [
        (2, 9, 1, "the run record says 2 documents, 1 jobs came"),
        (0, 2, 1, "the run record says 2 documents, 1 jobs came"),
        (None, 2, 3, "the run record says 2 documents, 3 jobs came"),
        (2, None, 0, "the run record says 2 documents, 0 jobs came"),
        (2, 9, 2, None),
        (None, 2, 2, None),
        (0, 0, 1, None),
        (None, None, 1, None),
    ],
)
def test_the_total_count_goes_before_the_other_and_none_is_no_mismatch(
    total: int | None, count: int | None, jobs: int, problem: str | None
) -> None:
    columns = dict.fromkeys(arrow_schema(RunsSchema).names)
    row = {**columns, "total_document_count": total, "document_count": count}
    record = pa.Table.from_pylist([row], schema=arrow_schema(RunsSchema))
    assert describe_count_mismatch(record, jobs) == problem


def test_no_record_is_no_mismatch() -> None:
    assert describe_count_mismatch(empty_table(RunsSchema), 7) is None
