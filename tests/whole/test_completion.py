"""What tab completion shows: what is documented for users, and nothing of inner use."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

import retab_frames as rf


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with rf.Sandbox() as sandbox, rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        runs = list(
            rf.iter_content(
                "wf_sandbox", "exp_invoices", run_id=sandbox.run_ids("exp_invoices"), client=client
            )
        )
    store = rf.SnapshotStore(tmp_path_factory.mktemp("store"))
    two = rf.compare_runs(runs[1], runs[3], earlier=[runs[4]])
    return {
        "content": runs[0],
        "client": client,
        "store": store,
        "snapshot": store.write(runs[0]),
        "comparison": two,
        "earlier": two.earlier,
        "many": rf.compare_many(runs),
        "plan": rf.plan(runs[:3]),
        "trend": rf.trend(runs),
        "accessor": runs[0].jobs.retab,
        "plot": runs[0].jobs.retab.plot,
        "plots": rf.plots,
        "retab_frames": rf,
    }


KINDS = [
    *("content", "client", "store", "snapshot", "comparison", "earlier", "many", "plan", "trend"),
    *("accessor", "plot", "plots", "retab_frames"),
]


def list_shown(thing: object) -> list[str]:
    return [name for name in dir(thing) if not name.startswith("_")]


@pytest.mark.parametrize("kind", KINDS)
def test_each_name_is_there_and_documented(kind: str, objects: dict[str, Any]) -> None:
    thing = objects[kind]
    owner = thing if inspect.ismodule(thing) else type(thing)
    documented = set(re.findall(r"^ +(\w+): ", inspect.getdoc(owner) or "", re.MULTILINE))
    documented |= {name for name in dir(owner) if inspect.getdoc(getattr(owner, name, None))}

    shown = list_shown(thing)

    assert shown
    assert [name for name in shown if not hasattr(thing, name)] == []
    assert set(shown) - documented == set()


def test_what_wings_share_is_not_shown(objects: dict[str, Any]) -> None:
    shown = {kind: set(list_shown(thing)) for kind, thing in objects.items()}

    assert (
        shown["content"] & {"tables", "run_table", "raw_source", "raw_rows", "validated"} == set()
    )
    assert {"jobs", "handle_inputs", "raw", "issues", "run", "complete"} <= shown["content"]
    assert shown["client"] == {"api", "close", "found", "max_connections"}
    assert {"pull", "read", "list", "verify"} <= shown["store"]
    assert "list_speed" not in shown["comparison"] | shown["earlier"]
    assert {"duration_stats", "plot", "trend"} <= shown["accessor"]
