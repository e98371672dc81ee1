"""The data dictionary is true of every frame that the library returns."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import pytest

import retab_frames as rf
from retab_frames.schemas.dictionary import TYPE_NAMES

EXPERIMENT = ("wf_sandbox", "exp_invoices")
RUNS = [f"exprun_invoices_{n}" for n in range(1, 6)]
NAMES = rf.describe()["name"].tolist()


def find_checks(comparison: rf.RunComparison) -> pd.DataFrame:
    with pytest.raises(rf.GateError) as caught:
        rf.assert_no_regression(comparison, max_broken=0, max_slowdown=0.01)
    return caught.value.checks


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[pd.DataFrame]]:
    """Every frame of the dictionary by its name, made in one way or several."""
    folder = tmp_path_factory.mktemp("store")
    store = rf.SnapshotStore(folder)
    with rf.Sandbox() as sandbox, rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        experiments = rf.load_experiments(EXPERIMENT[0], client=client)
        runs = rf.load_runs(*EXPERIMENT, client=client)
        handles = rf.load_handle_inputs(*EXPERIMENT, client=client)
        contents = list(rf.iter_content(*EXPERIMENT, run_id=RUNS, client=client))
        pulled = rf.SnapshotStore(folder / "pulled").pull(*EXPERIMENT, client=client)
    for content in contents:
        store.write(content)
    jobs = pd.concat([content.jobs for content in contents], ignore_index=True)
    ended = jobs[jobs["run_id"] != RUNS[4]]
    two = rf.compare_runs(contents[1], contents[3], earlier=[contents[4]])
    queues = rf.compare_runs(contents[1], contents[3], measure="queue")
    many = rf.compare_many(contents)
    many_queues = rf.compare_many(ended, measure="queue")
    plan, trend = rf.plan(contents[:3]), rf.trend(contents)
    found: dict[str, list[Any]] = {
        "jobs": [jobs],
        "handle_inputs": [handles, contents[0].handle_inputs],
        "handle_outputs": [contents[0].handle_outputs],
        "runs": [runs, contents[0].run],
        "experiments": [experiments],
        "issues": [contents[0].issues],
        "raw": [contents[0].raw],
        "pull": [pulled],
        "snapshots": [store.list()],
        "duration_stats": [
            rf.duration_stats(jobs, "run_id"),
            rf.duration_stats(jobs, ["run_id", "status"], quantiles=(0.5, 0.999)),
            rf.duration_stats(jobs),
        ],
        "slowest": [rf.slowest(jobs), rf.slowest(jobs, measure="queue")],
        "failed_jobs": [rf.failed_jobs(jobs)],
        "failures": [rf.failures(jobs, "run_id"), rf.failures(jobs)],
        "cumulative_incidence": [rf.cumulative_incidence(jobs, "run_id")],
        "timeline": [rf.timeline(jobs)],
        "verify": [store.verify()],
        "clean": [store.clean(), store.remove(RUNS[0]), store.publish()],
        "gate.checks": [find_checks(two)],
        "compare_many.matrix": [many.matrix("duration_ms"), many.matrix()],
        "comparison.earlier.runs": [two.earlier.runs] if two.earlier else [],
        "show_versions": [rf.show_versions()],
    }
    results: dict[str, list[Any]] = {
        "comparison": [two, queues],
        "compare_many": [many, many_queues],
        "plan": [plan],
        "trend": [trend],
    }
    for name in NAMES:
        owner, _, attribute = name.partition(".")
        if name not in found:
            found[name] = [getattr(one, attribute) for one in results.get(owner, ())]
    return found


def as_pattern(column: str) -> str:
    return re.sub(r"<\w+>", ".+?", re.sub(r"[.]", r"\\.", column))


@pytest.mark.parametrize("name", NAMES)
def test_each_column_is_described_and_each_described_one_is_there(
    name: str, frames: dict[str, list[pd.DataFrame]]
) -> None:
    described = rf.describe(name).set_index("column")["type"]
    types = {str(TYPE_NAMES[kind]): pd.ArrowDtype(kind) for kind in TYPE_NAMES}
    assert frames[name]
    seen = set()

    for frame in frames[name]:
        for column, dtype in frame.dtypes.items():
            exact = [one for one in described.index if one == column]
            near = [one for one in described.index if re.fullmatch(as_pattern(one), str(column))]
            [entry, *_] = [*exact, *sorted(near, key=len, reverse=True), f"{column} is unknown"]
            assert entry in described.index, entry
            said = described[entry]
            assert said == "as it is" or dtype in [types[one] for one in said.split(" or ")], column
            seen.add(entry)
        exact = [column for column in frame if column in described.index]
        assert exact == [column for column in described.index if column in exact]

    optional = {one for one in described.index if "<handle>" in one}
    assert set(described.index) - seen - optional == set()


@pytest.mark.parametrize("name", NAMES)
def test_a_column_that_has_a_null_may_be_null(
    name: str, frames: dict[str, list[pd.DataFrame]]
) -> None:
    described = rf.describe(name).set_index("column")["null"]

    for frame in frames[name]:
        has_null = [column for column in frame if frame[column].isna().any()]
        assert not [column for column in has_null if not described.get(column, default=True)]
