from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from retab_frames.sandbox import Sandbox

from .visitor import FLAT, visit

RESULTS = f"{FLAT}/results?run_id=exprun_mailroom_2"


def ids(page: dict[str, Any]) -> list[str]:
    return [row["id"] for row in page["data"]]


def follow(sandbox: Sandbox, path: str) -> list[list[str]]:
    """Return the ids of every page from a path on."""
    pages = []
    query = path
    while True:
        page = visit(sandbox, query).json
        pages.append(ids(page))
        cursor = page["list_metadata"]["after"]
        if cursor is None:
            return pages
        query = f"{path}&after={cursor}"


@pytest.mark.parametrize(
    ("documents", "limit", "sizes"),
    [(12, 5, [5, 5, 2]), (12, 6, [6, 6]), (12, 12, [12]), (1, 1, [1]), (250, 100, [100, 100, 50])],
)
def test_pages_are_every_row_once_newest_first(
    documents: int, limit: int, sizes: list[int]
) -> None:
    with Sandbox(documents=documents) as sandbox:
        pages = follow(sandbox, f"{RESULTS}&limit={limit}")
        assert [len(page) for page in pages] == sizes
        jobs = sandbox.workspace.jobs("exprun_mailroom_2")[::-1]
        assert [row for page in pages for row in page] == [job.id for job in jobs]


def test_ascending_order_is_the_other_way_round(sandbox: Sandbox) -> None:
    ascending = chain(*follow(sandbox, f"{RESULTS}&limit=5&order=asc"))
    descending = chain(*follow(sandbox, f"{RESULTS}&limit=5&order=desc"))
    assert list(ascending) == list(descending)[::-1]


def test_cursors_are_the_ids_at_the_borders(sandbox: Sandbox) -> None:
    everything = ids(visit(sandbox, RESULTS).json)
    first = visit(sandbox, f"{RESULTS}&limit=5").json
    assert first["list_metadata"] == {"before": None, "after": everything[4]}
    second = visit(sandbox, f"{RESULTS}&limit=5&after={everything[4]}").json
    assert second["list_metadata"] == {"before": everything[5], "after": everything[9]}
    last = visit(sandbox, f"{RESULTS}&limit=5&after={everything[9]}").json
    assert last["list_metadata"] == {"before": everything[10], "after": None}


def test_before_is_the_page_before(sandbox: Sandbox) -> None:
    everything = ids(visit(sandbox, RESULTS).json)
    page = visit(sandbox, f"{RESULTS}&limit=5&before={everything[10]}").json
    assert ids(page) == everything[5:10]
    assert page["list_metadata"] == {"before": everything[5], "after": everything[9]}
    page = visit(sandbox, f"{RESULTS}&limit=5&before={everything[3]}").json
    assert ids(page) == everything[:3]
    assert page["list_metadata"] == {"before": None, "after": everything[2]}


def test_page_after_the_last_row_is_empty(sandbox: Sandbox) -> None:
    last = ids(visit(sandbox, RESULTS).json)[-1]
    assert visit(sandbox, f"{RESULTS}&after={last}").json == {
        "data": [],
        "list_metadata": {"before": None, "after": None},
    }


def test_page_limit_caps_what_is_asked_for() -> None:
    with Sandbox(page_limit=4) as sandbox:
        assert [len(page) for page in follow(sandbox, f"{RESULTS}&limit=100")] == [4, 4, 4]
        assert [len(page) for page in follow(sandbox, f"{RESULTS}&limit=3")] == [3, 3, 3, 3]
        runs = follow(sandbox, f"{FLAT}/runs?limit=20")
        assert [len(page) for page in runs] == [4, 4, 4, 3]


@pytest.mark.parametrize("page_limit", [0, 101])
def test_page_limit_out_of_range(page_limit: int) -> None:
    with pytest.raises(ValueError, match="page_limit must be from 1 to 100"):
        Sandbox(page_limit=page_limit)


@pytest.mark.parametrize(
    ("query", "name", "kind"),
    [
        ("limit=0", "limit", "greater_than_equal"),
        ("limit=101", "limit", "less_than_equal"),
        ("limit=ten", "limit", "int_parsing"),
        ("order=up", "order", "enum"),
        ("after=nobody", "after", "value_error"),
        ("before=x&after=y", "before", "value_error"),
    ],
)
def test_refused_queries(sandbox: Sandbox, query: str, name: str, kind: str) -> None:
    answer = visit(sandbox, f"{RESULTS}&{query}")
    assert answer.status == 422
    (problem,) = answer.json["detail"]
    assert problem["loc"] == ["query", name]
    assert problem["type"] == kind
    assert set(problem) == {"type", "loc", "msg", "input"}


@pytest.mark.parametrize(("path", "name"), [(FLAT, "workflow_id"), (f"{FLAT}/results", "run_id")])
def test_required_queries(sandbox: Sandbox, path: str, name: str) -> None:
    answer = visit(sandbox, path)
    assert answer.status == 422
    assert answer.json == {
        "detail": [
            {"type": "missing", "loc": ["query", name], "msg": "Field required", "input": None}
        ]
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", 15),
        ("workflow_id=wf_sandbox", 15),
        ("workflow_id=wf_other", 0),
        ("experiment_id=exp_packets", 5),
        ("block_id=classify-mail", 5),
        ("status=running", 3),
        ("status=error&experiment_id=exp_invoices", 1),
        ("status=queued", 0),
        ("exclude_status=running", 12),
        ("experiment_id=exp_contracts", 0),
    ],
)
def test_filters_of_runs(sandbox: Sandbox, query: str, expected: int) -> None:
    assert len(visit(sandbox, f"{FLAT}/runs?{query}").json["data"]) == expected


def test_filter_stays_while_paging(sandbox: Sandbox) -> None:
    pages = follow(sandbox, f"{FLAT}/runs?experiment_id=exp_packets&limit=2")
    assert list(chain(*pages)) == list(sandbox.run_ids("exp_packets")[::-1])


def test_runs_of_all_experiments_are_newest_first(sandbox: Sandbox) -> None:
    runs = visit(sandbox, f"{FLAT}/runs?sort_by=created_at&order=desc&limit=100").json["data"]
    created = [row["timing"]["created_at"] for row in runs]
    assert created == sorted(created, reverse=True)
    assert len(set(created)) == 15


def test_unknown_status_is_refused(sandbox: Sandbox) -> None:
    assert visit(sandbox, f"{FLAT}/runs?status=failed").status == 422


def test_experiments_by_block(sandbox: Sandbox) -> None:
    path = f"{FLAT}?workflow_id=wf_sandbox&block_id=split-packet"
    assert ids(visit(sandbox, path).json) == ["exp_packets"]


def test_b_has_a_cursor_to_more_results_but_no_parameter_for_it() -> None:
    with Sandbox(generations=("B",), documents=30) as sandbox:
        path = f"{FLAT}/runs/exprun_mailroom_2/results"
        page = visit(sandbox, path).json
        assert len(page["data"]) == 20
        cursor = page["list_metadata"]["after"]
        assert cursor == page["data"][-1]["id"]
        assert visit(sandbox, f"{path}?after={cursor}").json == page
        everything = visit(sandbox, f"{path}?limit=100").json
        assert len(everything["data"]) == 30
        assert everything["list_metadata"] == {"before": None, "after": None}
        assert visit(sandbox, f"{path}?limit=101").status == 422
