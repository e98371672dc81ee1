"""Law: what a user holds can be pickled, copied and sent to a process, or says why not."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import pytest
from compare.series import runs_of as series_of
from factories import ended, timed
from matplotlib.backends.backend_agg import FigureCanvasAgg

import retab_frames as rf
from retab_frames import Client, Sandbox, SnapshotStore, plots
from retab_frames.load.from_responses import read_contents

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FRAMES = ("jobs", "handle_inputs", "handle_outputs", "run", "issues", "raw")


def send(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own


COPIES: list[Callable[[Any], Any]] = [
    send,
    copy.copy,
    copy.deepcopy,
]


@pytest.mark.parametrize("again", COPIES, ids=["pickle", "copy", "deepcopy"])
@pytest.mark.parametrize("kind", ["loaded", "one of many", "from a store", "failed"])
def test_a_content_travels_whole(
    client: Client,
    sandbox: Sandbox,
    tmp_path: Path,
    kind: str,
    again: Callable[[rf.RunContent], rf.RunContent],
) -> None:
    ids = sandbox.run_ids("exp_invoices")
    where = ("wf_sandbox", "exp_invoices")
    if kind == "loaded":
        content = rf.load_content(*where, run_id=ids[0], client=client)
    elif kind == "one of many":
        content = list(rf.iter_content(*where, run_id=ids, client=client))[3]
    elif kind == "failed":
        (content,) = rf.iter_content(*where, run_id="gone", client=client, errors="collect")
    else:
        store = SnapshotStore(tmp_path)
        store.pull(*where, run_id=ids[0], client=client)
        content = store.read(ids[0])
    found = again(content)
    for name in FRAMES:
        assert getattr(found, name).equals(getattr(content, name)), name
        assert getattr(found, name).dtypes.equals(getattr(content, name).dtypes), name
    plain = [
        one.name
        for one in fields(content)
        if one.name not in ("tables", "run_table", "raw_source", "validated", "store")
    ]
    # a store may hold credentials
    assert found.store is None
    assert [getattr(found, name) for name in plain] == [getattr(content, name) for name in plain]


def test_one_run_of_many_travels_alone() -> None:
    """Arrow's own pickle takes along all of what a slice was cut from."""
    many = [
        {
            "experiment_id": "e",
            "run_id": f"r{n}",
            "content": {
                "jobs": [{"id": "j", "document_id": "d", "status": "completed", "x": "y" * 9_000}]
            },
        }
        for n in range(50)
    ]
    contents = list(read_contents(many))
    assert len(pickle.dumps(contents[7])) < 2 * len(pickle.dumps(rf.read_content(many[7])))


def test_a_content_comes_back_from_a_process(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    for n in range(3):
        store.write(timed(n, n + 1, run_id=f"run_{n}"))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(store.read, ["run_0", "run_1", "run_2"]))
        counts = list(pool.map(rf.duration_stats, [content.jobs for content in found]))
    assert [content.run_id for content in found] == ["run_0", "run_1", "run_2"]
    assert [frame["jobs"][0] for frame in counts] == [2, 2, 2]
    assert found[1].raw.equals(store.read("run_1").raw)


def test_results_travel(tmp_path: Path) -> None:
    runs = [ended("completed", "error", run_id="a"), ended("completed", "completed", run_id="b")]
    two, many = rf.compare_runs(*runs), rf.compare_many(runs)
    store = SnapshotStore(tmp_path)
    written = store.write(runs[0])
    for value, look in (
        (two, lambda one: one.summary()),
        (many, lambda one: one.to_markdown()),
        (rf.plan(series_of(3, 12)), lambda one: one.to_markdown()),
        (rf.trend(series_of(3, 12)), lambda one: one.to_markdown()),
        (store, lambda one: one.list()["run_id"].tolist()),
        (written, repr),
        (rf.JobsSchema, lambda one: one.to_schema().columns.keys()),
    ):
        again = send(value)
        assert look(again) == look(value)


def draw_all() -> dict[str, Any]:
    runs = [timed(100, 200, run_id="a"), timed(300, 100, run_id="b")]
    jobs = rf.read_content(
        {
            "experiment_id": "e",
            "run_id": "r",
            "content": {
                "jobs": [
                    {
                        "id": "j",
                        "document_id": "d",
                        "status": "completed",
                        "duration_ms": 5,
                        "created_at": "2026-01-01T00:00:00Z",
                        "started_at": "2026-01-01T00:00:01Z",
                        "completed_at": "2026-01-01T00:00:02Z",
                    }
                ]
            },
        }
    ).jobs
    return {
        "durations": plots.durations(jobs, by="run_id"),
        "ecdf": plots.ecdf(jobs, by="run_id"),
        "timeline": plots.timeline(jobs),
        "trend": plots.trend(jobs),
        "paired": plots.paired(rf.compare_runs(*runs)),
        "matrix": plots.matrix(rf.compare_many(runs)),
        "plan": plots.plan(rf.plan(series_of(3, 12))),
        "run_trend": plots.run_trend(rf.trend(series_of(12, 12, changes={6: 2.0}))),
        "ratios": plots.matrix(rf.compare_many(runs), value="ratio_to_run_median"),
    }


def test_figures_travel() -> None:
    drawn = draw_all()
    assert set(plots.__all__) - {"MissingExtraError"} <= set(drawn)
    for name, axes in drawn.items():
        again = send(axes)
        images = []
        for one in (axes, again):
            canvas: Any = FigureCanvasAgg(one.figure)
            canvas.draw()
            images.append(bytes(canvas.buffer_rgba()))
        assert images[0] == images[1], name


def test_what_must_not_travel_says_so(client: Client, sandbox: Sandbox) -> None:
    for again in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(
            TypeError, match="a Client cannot be pickled; make one where it is used"
        ):
            again(client)
        with pytest.raises(TypeError, match="a Sandbox cannot be pickled; pass its url"):
            again(sandbox)
