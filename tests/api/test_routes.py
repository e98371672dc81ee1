from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from retab_frames.api.routes import (
    Route,
    locate_content,
    locate_experiment,
    locate_experiments,
    locate_results,
    locate_run,
    locate_runs,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

NEWEST_RUNS = {
    "workflow_id": "wf",
    "experiment_id": "exp",
    "limit": "100",
    "sort_by": "created_at",
    "order": "desc",
}
FLAT = "/v1/workflows/experiments"
BELOW_WORKFLOW = "/v1/workflows/wf/experiments"


@pytest.mark.parametrize(
    ("route", "path", "query"),
    [
        (locate_experiments("content", "wf"), BELOW_WORKFLOW, {}),
        (locate_experiments("nested", "wf"), BELOW_WORKFLOW, {}),
        (locate_experiments("results", "wf"), FLAT, {"workflow_id": "wf", "limit": "100"}),
        (locate_experiment("content", "wf", "exp"), f"{BELOW_WORKFLOW}/exp", {}),
        (locate_experiment("nested", "wf", "exp"), f"{BELOW_WORKFLOW}/exp", {}),
        (locate_experiment("results", "wf", "exp"), f"{FLAT}/exp", {}),
        (locate_runs("content", "wf", "exp"), f"{BELOW_WORKFLOW}/exp/runs", {}),
        (locate_runs("nested", "wf", "exp"), f"{FLAT}/runs", NEWEST_RUNS),
        (locate_runs("results", "wf", "exp"), f"{FLAT}/runs", NEWEST_RUNS),
        (
            locate_runs("results", "wf", "exp", limit=1),
            f"{FLAT}/runs",
            {**NEWEST_RUNS, "limit": "1"},
        ),
        (locate_run("run"), f"{FLAT}/runs/run", {}),
        (locate_content("wf", "exp", "run"), f"{BELOW_WORKFLOW}/exp/content", {"run_id": "run"}),
        (locate_content("wf", "exp", None), f"{BELOW_WORKFLOW}/exp/content", {"run_id": None}),
        (locate_results("nested", "run"), f"{FLAT}/runs/run/results", {"limit": "100"}),
        (
            locate_results("results", "run", order="desc"),
            f"{FLAT}/results",
            {"run_id": "run", "limit": "100", "order": "desc"},
        ),
    ],
)
def test_url(route: Route, path: str, query: Mapping[str, str | None]) -> None:
    assert (route.path, route.query) == (path, query)


def test_a_cursor_is_added_to_the_query() -> None:
    first = locate_experiments("results", "wf")
    second = first.with_cursor("exp_7")
    assert second.path == first.path
    assert second.query == {"workflow_id": "wf", "limit": "100", "after": "exp_7"}
    assert "after" not in first.query


def test_an_id_stays_one_segment() -> None:
    assert locate_run("../a b/?x=1#é").path == f"{FLAT}/runs/..%2Fa%20b%2F%3Fx%3D1%23%C3%A9"


@pytest.mark.parametrize(
    ("segment", "error", "message"),
    [
        ("", ValueError, "'' is not an id"),
        (".", ValueError, r"'\.' is not an id"),
        ("..", ValueError, r"'\.\.' is not an id"),
        (5, TypeError, "an id must be text, not int"),
        (None, TypeError, "an id must be text, not NoneType"),
    ],
)
def test_what_cannot_be_a_segment(segment: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        _ = locate_run(segment).path
