"""Which runs a call asks for: several experiments, whole workflows, and words for runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest

import retab_frames as rf
from retab_frames.sandbox.faults import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKFLOW, EXPERIMENT, NEVER_RUN = "wf_sandbox", "exp_invoices", "exp_contracts"
FLAT = "/v1/workflows/experiments"
RUNS = [f"exprun_invoices_{n}" for n in (5, 4, 3, 2, 1)]
TOPICS = ("packets", "mailroom", "invoices")
LOADERS = [rf.load_jobs, rf.load_handle_inputs, rf.iter_content]
RUNNING = "is still running: 3 of 12 jobs have ended"


@pytest.fixture(params=["A1", "B", "C4"])
def world(request: pytest.FixtureRequest) -> Iterator[tuple[rf.Sandbox, rf.Client]]:
    with (
        rf.Sandbox(generations=(request.param,)) as sandbox,
        rf.Client(sandbox.api_key, base_url=sandbox.url) as client,
    ):
        yield sandbox, client


World = tuple[rf.Sandbox, rf.Client]


def runs_of(frame: pd.DataFrame) -> list[str]:
    found: list[str] = frame["run_id"].dropna().drop_duplicates().tolist()
    return found


@pytest.mark.parametrize(
    ("run_id", "runs"),
    [
        (None, RUNS[:1]),
        ("latest", RUNS[:1]),
        ("latest_ended", RUNS[1:2]),
        ("all", RUNS),
        (RUNS[2], RUNS[2:3]),
    ],
)
def test_words_for_runs(world: World, run_id: Any, runs: list[str]) -> None:
    _, client = world
    assert runs_of(rf.load_jobs(WORKFLOW, EXPERIMENT, run_id=run_id, client=client)) == runs
    handles = rf.load_handle_inputs(WORKFLOW, EXPERIMENT, run_id=run_id, client=client)
    assert runs_of(handles) == runs
    contents = list(rf.iter_content(WORKFLOW, EXPERIMENT, run_id=run_id, client=client))
    assert [content.run_id for content in contents] == runs
    assert [content.run["run_id"].tolist() for content in contents] == [[run] for run in runs]
    if run_id != "all":
        content = rf.load_content(WORKFLOW, EXPERIMENT, run_id=run_id, client=client)
        assert content.run_id == runs[0]


@pytest.mark.parametrize(
    ("run_id", "numbers"), [("latest", (5,)), ("latest_ended", (4,)), ("all", (5, 4, 3, 2, 1))]
)
def test_a_whole_workflow(world: World, run_id: str, numbers: tuple[int, ...]) -> None:
    _, client = world
    frame = rf.load_jobs(WORKFLOW, run_id=run_id, client=client)
    expected = [f"exprun_{topic}_{n}" for topic in TOPICS for n in numbers]
    assert runs_of(frame) == expected
    named = frame[frame["run_id"].notna()]
    assert named.groupby("experiment_id", sort=False)["run_id"].nunique().to_dict() == {
        f"exp_{topic}": len(numbers) for topic in TOPICS
    }
    # placeholders, where the route gives them
    never = frame[frame["run_id"].isna()]
    assert set(never["experiment_id"]) <= {NEVER_RUN}
    assert run_id == "latest" or never.empty


def test_the_runs_of_several_experiments(world: World) -> None:
    _, client = world
    whole = rf.load_runs(WORKFLOW, client=client)
    assert whole["run_id"].tolist() == [
        f"exprun_{topic}_{n}" for topic in TOPICS for n in (5, 4, 3, 2, 1)
    ]
    assert set(whole["workflow_id"]) == {WORKFLOW}
    wanted = pd.Series([EXPERIMENT, NEVER_RUN, "exp_mailroom", EXPERIMENT])
    some = rf.load_runs(WORKFLOW, wanted, client=client)
    assert some["experiment_id"].drop_duplicates().tolist() == [EXPERIMENT, "exp_mailroom"]
    one = rf.load_runs(WORKFLOW, EXPERIMENT, client=client)
    assert one["experiment_id"].tolist() == [EXPERIMENT] * 5
    assert one.drop(columns="fetched_at").equals(some.head(5).drop(columns="fetched_at"))


def test_ids_of_runs_of_several_experiments(world: World) -> None:
    _, client = world
    ids = ["exprun_packets_2", RUNS[3], "exprun_packets_1"]
    frame = rf.load_jobs(WORKFLOW, run_id=ids, client=client)
    assert runs_of(frame) == ids
    contents = list(rf.iter_content(WORKFLOW, run_id=ids, client=client))
    assert [(one.experiment_id, one.run_id) for one in contents] == [
        ("exp_packets", ids[0]),
        (EXPERIMENT, ids[1]),
        ("exp_packets", ids[2]),
    ]


@pytest.mark.parametrize("load", LOADERS)
def test_a_run_of_none_of_them_is_told_with_the_nearest(world: World, load: Any) -> None:
    _, client = world
    message = r"run exprun_invoices_33 is in none of 4 experiments .*did you mean exprun_invoices_3"
    with pytest.raises(rf.NotFoundError, match=message):
        list(load(WORKFLOW, run_id=[RUNS[3], "exprun_invoices_33"], client=client))


def test_a_run_of_none_of_them_is_collected(client: rf.Client) -> None:
    ids = ["exprun_gone", RUNS[3]]
    contents = list(rf.iter_content(WORKFLOW, run_id=ids, client=client, errors="collect"))
    assert [(one.run_id, one.not_loaded) for one in contents] == [(ids[0], True), (ids[1], False)]


@pytest.mark.parametrize("run_id", ["all", "latest_ended"])
def test_an_experiment_never_run_has_no_such_runs(world: World, run_id: str) -> None:
    _, client = world
    assert len(rf.load_jobs(WORKFLOW, NEVER_RUN, run_id=run_id, client=client)) == 0
    assert list(rf.iter_content(WORKFLOW, NEVER_RUN, run_id=run_id, client=client)) == []


def test_an_experiment_of_which_no_run_has_ended(sandbox: rf.Sandbox) -> None:
    running = {"id": "run_1", "status": "running", "experiment_id": EXPERIMENT}
    sandbox.answer(f"/v1/workflows/{WORKFLOW}/experiments/{EXPERIMENT}/runs", {"runs": [running]})
    with rf.Client(sandbox.api_key, base_url=sandbox.url, api="content") as client:
        ended: dict[str, Any] = {"run_id": "latest_ended", "client": client}
        with pytest.warns(rf.RetabFramesWarning, match=f"experiment {EXPERIMENT} has no run that"):
            assert len(rf.load_jobs(WORKFLOW, EXPERIMENT, **ended)) == 0
        with (
            pytest.warns(rf.RetabFramesWarning, match="has no run that has ended"),
            pytest.raises(ValueError, match=f"experiment {EXPERIMENT} has no run that has ended"),
        ):
            rf.load_content(WORKFLOW, EXPERIMENT, **ended)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"run_id": ["latest"]}, ValueError, "run_id takes 'latest' alone, and here it stands"),
        ({"experiment_id": ["", "a"]}, ValueError, "an experiment id is empty; None asks for all"),
        ({"experiment_id": [pd.NA]}, TypeError, "experiment_id must hold experiment ids as text"),
        ({"experiment_id": pd.DataFrame()}, TypeError, "as in experiment_id=runs.experiment_id"),
    ],
)
@pytest.mark.parametrize("load", LOADERS)
def test_odd_arguments_are_refused_at_once(
    client: rf.Client,
    sandbox: rf.Sandbox,
    load: Any,
    arguments: Any,
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        load(WORKFLOW, client=client, **arguments)
    assert sandbox.requests == []


# Requests


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        ({}, ["runs", "results"]),
        ({"run_id": RUNS[1]}, [RUNS[1], "results"]),
        ({"run_id": "latest_ended"}, ["runs", "results"]),
        ({"run_id": "all"}, ["runs", *["results"] * 5]),
        (
            {"experiment_id": None, "run_id": "all"},
            ["experiments", *["runs"] * 4, *["results"] * 15],
        ),
    ],
)
def test_the_requests_are_few(arguments: dict[str, Any], paths: list[str]) -> None:
    with (
        rf.Sandbox(generations=("C4",)) as sandbox,
        rf.Client(sandbox.api_key, base_url=sandbox.url, api="results") as client,
    ):
        rf.load_jobs(WORKFLOW, **{"experiment_id": EXPERIMENT, **arguments}, client=client)
        asked = [request.path.rpartition("/")[2] for request in sandbox.requests]
    # the listing of an experiment without runs asks whether there is such an experiment
    assert sorted(one for one in asked if one != NEVER_RUN) == sorted(paths)


# Run records beside jobs


@pytest.mark.parametrize("run_id", ["latest", RUNS[2], "all"])
def test_run_records_beside_jobs(world: World, run_id: str) -> None:
    _, client = world
    plain = rf.load_jobs(WORKFLOW, EXPERIMENT, run_id=run_id, client=client)
    jobs = rf.load_jobs(WORKFLOW, EXPERIMENT, run_id=run_id, with_runs=True, client=client)
    names = list(plain.columns)
    assert jobs[names].drop(columns="fetched_at").equals(plain.drop(columns="fetched_at"))
    runs = rf.load_runs(WORKFLOW, EXPERIMENT, client=client).set_index("run_id")
    assert len(jobs.columns) == len(names) + len(runs.columns) - 2
    for name in ("status", "created_at", "score", "document_count", "block_kind"):
        expected = jobs["run_id"].map(runs[name].to_dict())
        found = jobs[f"run_{name}"]
        assert found.isna().equals(expected.isna())
        assert found.dropna().tolist() == expected.dropna().tolist()
    rf.JobsSchema.validate(jobs)


def test_a_job_of_no_run_has_no_record(client: rf.Client) -> None:
    jobs = rf.load_jobs(WORKFLOW, [NEVER_RUN, EXPERIMENT], with_runs=True, client=client)
    assert jobs["run_status"].isna().tolist() == jobs["run_id"].isna().tolist()
    assert jobs["run_status"].dropna().unique().tolist() == ["running"]


# Types


@pytest.mark.parametrize(
    "load",
    [
        lambda **options: rf.load_experiments(WORKFLOW, **options),
        lambda **options: rf.load_runs(WORKFLOW, EXPERIMENT, **options),
        lambda **options: rf.load_jobs(WORKFLOW, EXPERIMENT, with_runs=True, **options),
        lambda **options: rf.load_handle_inputs(WORKFLOW, EXPERIMENT, **options),
    ],
    ids=["experiments", "runs", "jobs", "handle_inputs"],
)
def test_types_of_pandas_itself(client: rf.Client, sandbox: rf.Sandbox, load: Any) -> None:
    arrow = load(client=client)
    nullable = load(client=client, dtype_backend="numpy_nullable")
    assert {type(dtype) for dtype in arrow.dtypes} == {pd.ArrowDtype}
    assert not {type(dtype) for dtype in nullable.dtypes} & {pd.ArrowDtype}
    same = [name for name in arrow.columns if not name.endswith("fetched_at")]
    table = pa.Table.from_pandas(nullable[same], preserve_index=False)
    expected = pa.Table.from_pandas(arrow[same], preserve_index=False)
    assert table.cast(expected.schema).to_pylist() == expected.to_pylist()
    sandbox.requests.clear()
    with pytest.raises(ValueError, match="dtype_backend must be 'pyarrow' or 'numpy_nullable'"):
        load(client=client, dtype_backend="numpy")
    assert sandbox.requests == []


# Runs that have not ended


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("load", LOADERS)
def test_running_runs_are_told_once(
    client: rf.Client, load: Any, recwarn: pytest.WarningsRecorder
) -> None:
    len(list(load(WORKFLOW, EXPERIMENT, run_id=RUNS[0], client=client)))
    len(list(load(WORKFLOW, EXPERIMENT, run_id="all", client=client)))
    len(list(load(WORKFLOW, EXPERIMENT, run_id=RUNS, client=client)))
    len(list(load(WORKFLOW, [EXPERIMENT, "exp_mailroom"], client=client)))
    len(list(load(WORKFLOW, EXPERIMENT, run_id="latest_ended", client=client)))
    step = 'run_id="latest_ended" takes the newest run that has ended'
    assert [str(one.message) for one in recwarn.list] == [
        f"run {RUNS[0]} {RUNNING}; {step}",
        (
            f"2 runs are still running: {RUNS[0]}: 3 of 12 jobs have ended; exprun_mailroom_5: "
            f"3 of 12 jobs have ended; {step}"
        ),
    ]
    assert {one.filename for one in recwarn.list} == {__file__}


@pytest.mark.filterwarnings("always")
def test_a_content_that_runs_is_told(client: rf.Client, recwarn: pytest.WarningsRecorder) -> None:
    assert not rf.load_content(WORKFLOW, EXPERIMENT, client=client).complete
    [warning] = recwarn.list
    assert str(warning.message).startswith(f"run {RUNS[0]} {RUNNING}")
    assert warning.filename == __file__


# Near misses


@pytest.mark.parametrize("load", [rf.load_runs, *LOADERS])
def test_the_nearest_experiment(world: World, load: Any) -> None:
    _, client = world
    with pytest.raises(rf.NotFoundError, match=r"\(did you mean exp_invoices\?\)"):
        list(load(WORKFLOW, "exp_invoice", client=client))


@pytest.mark.parametrize("ids", ["exprun_invoices_33", ["exprun_invoices_33", RUNS[0]]])
@pytest.mark.parametrize("load", LOADERS)
def test_the_nearest_run(world: World, load: Any, ids: Any) -> None:
    _, client = world
    with pytest.raises(rf.NotFoundError, match=r"\(did you mean exprun_invoices_3\?\)"):
        list(load(WORKFLOW, EXPERIMENT, run_id=ids, client=client))


@pytest.mark.usefixtures("no_waits")
def test_a_hint_that_cannot_be_found_changes_nothing(sandbox: rf.Sandbox) -> None:
    nested = f"/v1/workflows/{WORKFLOW}/experiments"
    with rf.Client(sandbox.api_key, base_url=sandbox.url, api="content") as client:
        sandbox.misbehave(Status(500), path=nested, times=None)
        with pytest.raises(rf.NotFoundError, match="Experiment exp_invoice not found; load_"):
            rf.load_jobs(WORKFLOW, "exp_invoice", client=client)
    assert [request.path for request in sandbox.requests][-1] == nested


@pytest.mark.usefixtures("no_waits")
def test_an_error_of_one_run_of_several_names_it(sandbox: rf.Sandbox) -> None:
    nested = f"/v1/workflows/{WORKFLOW}/experiments/{EXPERIMENT}/content"
    sandbox.misbehave(Status(500), path=nested, times=None)
    with (
        rf.Client(sandbox.api_key, base_url=sandbox.url, retries=0) as client,
        pytest.raises(rf.ApiStatusError, match=f"^run {RUNS[2]}: GET {nested}: 500"),
    ):
        rf.load_jobs(WORKFLOW, EXPERIMENT, run_id=RUNS[2:], client=client)
