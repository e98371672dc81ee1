"""Every network fault at every request of a load, and the rows are those of a quiet day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import stamina

import retab_frames as rf
from retab_frames.sandbox import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PASSING: list[faults.Fault] = [
    *(faults.Status(code) for code in (408, 425, 429, 500, 502, 503, 504)),
    faults.Status(429, retry_after="0"),
    faults.Status(503, retry_after="nonsense"),
    *(faults.CutBody(keep=keep) for keep in (0, 1, 0.5, 0.99)),
    *(faults.Reset(keep=keep) for keep in (0, 1, 0.5)),
    *(faults.CloseDelimitedCut(keep=keep) for keep in (0, 1, 0.5, 0.99)),
    faults.Html(),
    faults.Empty(),
]
"""Faults after which the next try succeeds."""

LASTING: list[faults.Fault] = [
    *(faults.Status(code) for code in (400, 401, 403, 404, 405, 409, 410, 422, 501)),
    faults.Redirect("http://127.0.0.1:9/"),
    faults.Encoding("br"),
    faults.Encoding("gzip, gzip"),
]
"""Faults that no second try mends."""

PAGE_LIMIT = 10
DOCUMENTS = 47
GENERATIONS = ("A1", "C4")


@pytest.fixture(autouse=True)
def quick_retries() -> Iterator[None]:
    """Take the waits between tries out; how long they are is tested elsewhere."""
    with stamina.set_testing(True, attempts=4):
        yield


def rows(sandbox: rf.Sandbox, generation: str) -> list[str]:
    """Load a run and return its rows as they came."""
    api = "content" if generation == "A1" else "results"
    with rf.Client(sandbox.api_key, base_url=sandbox.url, api=api) as client:  # type: ignore[arg-type]
        content = rf.load_content(
            sandbox.workflow_id, "exp_invoices", run_id="exprun_invoices_2", client=client
        )
    assert content.complete
    return sorted(content.raw["body"])


@pytest.mark.parametrize("generation", GENERATIONS)
def test_no_row_is_lost_or_doubled(generation: str, figure: Callable[[str], None]) -> None:
    tried = wrong = 0
    with rf.Sandbox(
        generations=(generation,), documents=DOCUMENTS, page_limit=PAGE_LIMIT
    ) as sandbox:
        quiet = rows(sandbox, generation)
        requests = len(sandbox.requests)
        for fault in PASSING:
            for position in range(requests):
                sandbox.requests.clear()
                sandbox.misbehave(fault, after=position)
                wrong += rows(sandbox, generation) != quiet
                # a body that lost only the trailer of its gzip is whole, and not asked for again
                assert len(sandbox.requests) - requests in (0, 1), (fault, position)
                tried += 1

    figure(
        f"network faults times request positions tried, {generation}: {len(PASSING)} x {requests} "
        f"= {tried}; loads with a row lost or doubled: {wrong}"
    )
    assert len(quiet) == DOCUMENTS
    assert wrong == 0


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_lasting_fault_fails_at_once(generation: str, figure: Callable[[str], None]) -> None:
    tried = 0
    with rf.Sandbox(
        generations=(generation,), documents=DOCUMENTS, page_limit=PAGE_LIMIT
    ) as sandbox:
        rows(sandbox, generation)
        requests = len(sandbox.requests)
        for fault in LASTING:
            for position in range(requests):
                sandbox.requests.clear()
                sandbox.misbehave(fault, after=position)
                with pytest.raises(rf.RequestError) as caught:
                    rows(sandbox, generation)
                assert len(sandbox.requests) == position + 1, (fault, position)
                assert caught.value.attempts == 1
                tried += 1

    figure(
        f"lasting faults times request positions tried, {generation}: {tried}; all failed at once"
    )
