"""From the store to pandas: one validated frame of many runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from factories import run

import retab_frames as rf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODELS = {
    "jobs": rf.JobsSchema,
    "handle_inputs": rf.HandlesSchema,
    "runs": rf.RunsSchema,
    "issues": rf.IssuesSchema,
}


@pytest.fixture(scope="module")
def client() -> Iterator[rf.Client]:
    with rf.Sandbox() as sandbox, rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        yield client


@pytest.fixture(scope="module")
def store(client: rf.Client, tmp_path_factory: pytest.TempPathFactory) -> rf.SnapshotStore:
    made = rf.SnapshotStore(tmp_path_factory.mktemp("store"))
    for experiment in ("exp_invoices", "exp_mailroom"):
        made.pull("wf_sandbox", experiment, run_id="all", client=client)
    made.label("exprun_invoices_2", "baseline")
    return made


def without_times(frame: pd.DataFrame) -> pd.DataFrame:
    names = [name for name in frame.columns if not name.endswith("fetched_at")]
    keys = [name for name in ("run_id", "job_id", "handle") if name in names]
    return frame[names].sort_values(keys, ignore_index=True)


@pytest.mark.parametrize("table", MODELS)
def test_all_runs_are_one_validated_frame(store: rf.SnapshotStore, table: str) -> None:
    found = getattr(store, table)()
    MODELS[table].validate(found)
    pd.testing.assert_frame_equal(found, rf.scan(store, table, engine="pandas"))
    parts = []
    for one in store.list()["run_id"]:
        content = store.read(one)
        parts.append(content.run if table == "runs" else getattr(content, table))
    assert len(found) == sum(map(len, parts))
    assert isinstance(found.index, pd.RangeIndex)


@pytest.mark.parametrize("options", [{}, {"with_runs": True}])
def test_jobs_are_those_of_the_api(
    store: rf.SnapshotStore, client: rf.Client, options: dict[str, Any]
) -> None:
    runs = rf.load_runs("wf_sandbox", "exp_invoices", client=client)["run_id"]
    loaded = rf.load_jobs("wf_sandbox", "exp_invoices", run_id=runs, **options, client=client)
    stored = store.jobs(experiment_id="exp_invoices", **options)
    pd.testing.assert_frame_equal(without_times(stored), without_times(loaded))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"run_id": "latest"}, ["exprun_invoices_5", "exprun_mailroom_5"]),
        ({"run_id": "latest", "experiment_id": "exp_mailroom"}, ["exprun_mailroom_5"]),
        ({"run_id": "latest_ended", "experiment_id": "exp_invoices"}, ["exprun_invoices_4"]),
        ({"run_id": "previous", "experiment_id": ["exp_invoices"]}, ["exprun_invoices_3"]),
        ({"run_id": "baseline"}, ["exprun_invoices_2"]),
        (
            {"run_id": pd.Series(["exprun_mailroom_1", "baseline"])},
            ["exprun_invoices_2", "exprun_mailroom_1"],
        ),
        ({"run_id": None, "since": "2100-01-01T00:00:00Z"}, []),
        ({"run_id": [], "experiment_id": "exp_invoices"}, []),
    ],
)
def test_the_choice_of_runs(
    store: rf.SnapshotStore, choice: dict[str, Any], expected: list[str]
) -> None:
    for table in ("jobs", "runs"):
        assert getattr(store, table)(**choice)["run_id"].unique().tolist() == expected


@pytest.mark.parametrize(
    ("choice", "error", "message"),
    [
        ({"run_id": "exprun_mailrom_1"}, rf.SnapshotNotFoundError, "did you mean exprun_mailroom_"),
        ({"run_id": ["latest", "baseline"]}, rf.SnapshotError, "latest can be a run of 2 experim"),
        ({"run_id": ["all", "baseline"]}, ValueError, "'all' stands for every run: give it alone"),
        ({"run_id": 5}, TypeError, "run_id takes one id or several, not int"),
        ({"experiment_id": "exp_x"}, rf.SnapshotNotFoundError, "no run of experiment exp_x"),
        (
            {"run_id": "baseline", "experiment_id": "exp_mailroom"},
            rf.SnapshotNotFoundError,
            "no run or label baseline",
        ),
        (
            {"run_id": "exprun_invoices_1", "experiment_id": "exp_mailroom"},
            rf.SnapshotNotFoundError,
            "run exprun_invoices_1 is of experiment exp_invoices, not of exp_mailroom",
        ),
        ({"since": "yesterday"}, ValueError, "since"),
        ({"dtype_backend": "numpy"}, ValueError, "dtype_backend must be 'pyarrow' or 'numpy_null"),
    ],
)
def test_a_choice_that_cannot_be(
    store: rf.SnapshotStore, choice: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        store.jobs(**choice)


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(rf.SnapshotNotFoundError, match=r"no store in .*; SnapshotStore.pull\(\)"):
        rf.SnapshotStore(tmp_path / "none").jobs()


def test_a_read_of_several_says_what_to_call(store: rf.SnapshotStore) -> None:
    ids: Any = ["exprun_invoices_1", "exprun_invoices_2"]
    with pytest.raises(TypeError, match=r"store\.jobs\(run_id=ids\)"):
        store.read(ids)


def test_nullable_types_have_the_same_values(store: rf.SnapshotStore) -> None:
    arrow, nullable = store.jobs(), store.jobs(dtype_backend="numpy_nullable")
    names = {
        "duration_ms": "Int64",
        "is_placeholder": "boolean",
        "created_at": "datetime64[us, UTC]",
    }
    assert {name: str(nullable[name].dtype) for name in names} == names
    assert {str(kind) for kind in nullable.dtypes} == {*names.values(), "string"}
    pd.testing.assert_frame_equal(rf.validate(nullable, rf.JobsSchema), arrow)


def test_runs_stand_beside_jobs_where_there_is_a_record(tmp_path: Path) -> None:
    made = rf.SnapshotStore(tmp_path)
    made.write(run({}, {}, run_id="exprun_1", score=0.5))
    made.write(run({}, run_id="exprun_2"))
    found = made.jobs(with_runs=True)
    scores = dict(zip(found["job_id"], found["run_score"].fillna(-1), strict=True))
    assert scores == {"exprun_1/job_0": 0.5, "exprun_1/job_1": 0.5, "exprun_2/job_0": -1}
    assert "run_workflow_id" not in found.columns
