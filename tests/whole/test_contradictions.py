"""Answers that contradict what was asked for, or one another, are not taken in silence."""

from __future__ import annotations

from typing import Any

import pytest

import retab_frames as rf

NESTED = "/v1/workflows/wf/experiments/exp"
FLAT = "/v1/workflows/experiments"


def jobs(*ids: str, run_id: str = "r") -> list[dict[str, Any]]:
    return [
        {
            "id": one,
            "run_id": run_id,
            "experiment_id": "exp",
            "document_id": f"doc_{one}",
            "lifecycle": {"status": "completed"},
        }
        for one in ids
    ]


def content(*ids: str, **ids_of_the_envelope: str) -> dict[str, Any]:
    rows = jobs(*ids)
    return {"experiment_id": "exp", "run_id": "r", "content": {"jobs": rows}} | ids_of_the_envelope


def record(run_id: str = "r", documents: int = 2, status: str = "completed") -> dict[str, Any]:
    return {"id": run_id, "lifecycle": {"status": status}, "document_count": documents}


@pytest.mark.parametrize("which", ["run_id", "experiment_id"])
def test_an_answer_of_another_run_or_experiment_is_refused(
    sandbox: rf.Sandbox, client: rf.Client, which: str
) -> None:
    sandbox.answer(f"{NESTED}/content", content("a", **{which: "other"}))

    with pytest.raises(rf.MalformedResponseError, match=r"requested .* is for \w+ other"):
        rf.load_jobs("wf", "exp", run_id="r", client=client)


def test_pages_that_overlap_and_leave_a_row_out_are_incomplete(sandbox: rf.Sandbox) -> None:
    sandbox.answer(f"{FLAT}/runs", {"data": [record(documents=4)]})
    for ids, after in ((("a", "b"), "b"), (("b", "c"), None)):
        sandbox.answer(
            f"{FLAT}/results", {"data": jobs(*ids), "list_metadata": {"after": after}}, times=1
        )
    with (
        rf.Client(sandbox.api_key, base_url=sandbox.url, api="results") as client,
        pytest.warns(rf.RetabFramesWarning, match="says 4 documents, 3 jobs came"),
    ):
        found = rf.load_content("wf", "exp", run_id="r", client=client)
    assert found.jobs["job_id"].tolist() == ["a", "b", "c"]
    assert not found.complete


def test_more_pages_without_a_cursor_are_refused(sandbox: rf.Sandbox) -> None:
    sandbox.answer(f"{FLAT}/runs/r", record(status="running"))
    page = {"data": jobs("a"), "list_metadata": {"after": None, "has_more": True}}
    sandbox.answer(f"{FLAT}/results", page)
    with (
        rf.Client(sandbox.api_key, base_url=sandbox.url, api="results", retries=0) as client,
        pytest.raises(rf.MalformedResponseError, match="more pages, and gives no cursor"),
    ):
        rf.load_jobs("wf", "exp", run_id="r", client=client)


def test_a_count_that_the_record_contradicts_is_told(
    sandbox: rf.Sandbox, client: rf.Client
) -> None:
    sandbox.answer(f"{NESTED}/runs", {"runs": [record("r", 5), record("s", 1)]})
    sandbox.answer(f"{NESTED}/content", content("a"), times=1)
    sandbox.answer(f"{NESTED}/content", content("b", run_id="s"))
    client.max_connections = 1

    with pytest.warns(rf.RetabFramesWarning, match="run r .* record says 5 documents, 1 jobs"):
        found = rf.load_jobs("wf", "exp", run_id=["r", "s"], client=client)
    assert found["job_id"].tolist() == ["a", "b"]


@pytest.mark.parametrize("answer", [[], {"data": []}, {"x": 1}, {"id": 5}, {"id": ""}, 7])
@pytest.mark.usefixtures("no_waits")
def test_a_record_that_is_none_is_an_error_of_ours(sandbox: rf.Sandbox, answer: object) -> None:
    sandbox.answer(f"{FLAT}/runs/r", answer)
    with (
        rf.Client(sandbox.api_key, base_url=sandbox.url, api="results") as client,
        pytest.raises(rf.MalformedResponseError, match="record"),
    ):
        rf.load_jobs("wf", "exp", run_id="r", client=client)


@pytest.mark.parametrize("lifecycle", ["completed", ["x"], None, 5])
def test_an_odd_record_costs_no_rows(sandbox: rf.Sandbox, lifecycle: object) -> None:
    sandbox.answer(f"{FLAT}/runs/r", record() | {"lifecycle": lifecycle})
    sandbox.answer(f"{FLAT}/results", {"data": jobs("a"), "list_metadata": {"after": None}})
    with (
        rf.Client(sandbox.api_key, base_url=sandbox.url, api="results") as client,
        pytest.warns(rf.RetabFramesWarning, match="says 2 documents, 1 jobs came"),
    ):
        found = rf.load_jobs("wf", "exp", run_id="r", client=client)
    assert found["job_id"].tolist() == ["a"]


@pytest.mark.parametrize("count", ["2", -2, None, 0, [2], {"n": 2}])
def test_a_record_without_a_usable_count_is_no_contradiction(
    sandbox: rf.Sandbox, count: object
) -> None:
    sandbox.answer(f"{FLAT}/runs/r", record() | {"document_count": count})
    sandbox.answer(f"{FLAT}/results", {"data": jobs("a"), "list_metadata": {"after": None}})
    with rf.Client(sandbox.api_key, base_url=sandbox.url, api="results") as client:
        assert rf.load_jobs("wf", "exp", run_id="r", client=client)["job_id"].tolist() == ["a"]


def test_responses_of_two_runs_do_not_become_one() -> None:
    with pytest.raises(rf.MalformedResponseError, match="of several runs: use read_contents"):
        rf.read_content([content("a"), content("b", run_id="s")])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"run_id": 5}, "run_id takes ids as text, not int"),
        ({"run_id": [5]}, "run_id must hold run ids as text"),
    ],
)
def test_ids_that_are_no_text_are_refused(
    client: rf.Client, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        rf.load_jobs("wf", "exp", client=client, **arguments)


def test_a_frame_of_runs_is_no_list_of_ids(sandbox: rf.Sandbox, client: rf.Client) -> None:
    runs = rf.load_runs(sandbox.workflow_id, "exp_invoices", client=client)

    with pytest.raises(TypeError, match=r"run_id=runs\.run_id"):
        rf.load_jobs(
            sandbox.workflow_id,
            "exp_invoices",
            run_id=runs,  # type: ignore[arg-type]  # the slip
            client=client,
        )


@pytest.mark.parametrize("workflow_id", [None, 5, b"wf"])
def test_a_workflow_that_is_no_text_is_refused(client: rf.Client, workflow_id: Any) -> None:
    with pytest.raises(TypeError, match="an id must be text, not"):
        rf.load_runs(workflow_id, "exp", client=client)
