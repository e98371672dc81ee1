from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from browser.lab import ERRORS, STDERR, code_cells, run_all
from browser.visible import (
    CHECK_BY_MIME_TYPE,
    assert_plot,
    assert_progress,
    assert_says,
    assert_table,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Locator, Page, Request

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("0[123]_*.ipynb"))

SHOWN = [
    """import retab_frames as rf
with rf.Sandbox() as sandbox, rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
    ids = sandbox.run_ids("exp_invoices")
    runs = list(rf.iter_content("wf_sandbox", "exp_invoices", run_id=ids, client=client))""",
    "runs[3]",
    "runs[3].jobs",
    "store = rf.SnapshotStore('of-the-reprs')\nstore.write(runs[3])",
    "store",
    "rf.compare_runs(runs[1], runs[3])",
    "rf.compare_many(runs, 'exprun_invoices_2')",
    "runs[3].jobs.retab.plot.timeline()",
]
"""The cells of a notebook that displays each kind of result."""

BAD = "</td><script>window.hit = 1</script><img src=x onerror='window.hit = 1'>"
HOSTILE = [
    """import retab_frames as rf
from pathlib import Path
runs = [rf.read_content(Path(f"hostile-{run}.json")) for run in range(3)]""",
    "runs[2]",
    "runs[2].jobs",
    "rf.SnapshotStore('hostile').write(runs[2])",
    "rf.compare_runs(runs[0], runs[2])",
    "rf.compare_many(runs)",
    "rf.failures(runs[2].jobs)",
]
"""The same for runs in which every text is BAD."""


def read_without_outputs(path: Path) -> Any:
    """Return a notebook without its outputs."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    return notebook


def notebook_of(cells: list[str]) -> Any:
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])


def hostile_run(run: int) -> dict[str, Any]:
    jobs = [
        {
            "id": f"{BAD}{document}",
            "run_id": f"{BAD}{run}",
            "experiment_id": BAD,
            "document_id": f"{BAD}{document}",
            "status": "error" if run == 2 and document < 4 else "completed",
            "block_kind": BAD,
            "error": BAD,
            "duration_ms": 1000 * (run + 1) + document,
            "handle_inputs": {BAD: {"type": "file", "filename": BAD, "mime_type": BAD}},
        }
        for document in range(8)
    ]
    return {"experiment_id": BAD, "run_id": f"{BAD}{run}", "content": {"jobs": jobs}}


@pytest.fixture
def execute(
    page: Page, lab: str, lab_folder: Path
) -> Iterator[Callable[[str, Any], list[Locator]]]:
    """Return a function that runs a notebook and returns its code cells.

    No cell may fail or warn, and nothing may be fetched from another server.
    """
    elsewhere: list[str] = []
    own = re.compile(rf"(data:|blob:|{re.escape(lab)}/)")

    def note(request: Request) -> None:
        if not own.match(request.url):
            elsewhere.append(request.url)

    page.on("request", note)

    def executed(name: str, notebook: Any) -> list[Locator]:
        nbformat.write(notebook, lab_folder / "work" / name)
        run_all(page, lab, name)
        assert page.locator(ERRORS).all_inner_texts() == []
        assert page.locator(STDERR).all_inner_texts() == []
        assert page.locator(".jp-OutputArea-output script").count() == 0
        return code_cells(page).all()

    yield executed
    assert elsewhere == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_outputs_are_visible(
    path: Path, execute: Callable[[str, Any], list[Locator]]
) -> None:
    committed = nbformat.read(path, as_version=4).cells

    shown = execute(path.name, read_without_outputs(path))

    code = [cell for cell in committed if cell.cell_type == "code"]
    for cell, seen in zip(code, shown, strict=True):
        for kind in {kind for output in cell.outputs for kind in output.get("data", ())}:
            if kind in CHECK_BY_MIME_TYPE:
                CHECK_BY_MIME_TYPE[kind](seen)


def test_each_kind_of_result(execute: Callable[[str, Any], list[Locator]]) -> None:
    load, content, jobs, snapshot, store, two, many, plot = execute(
        "results.ipynb", notebook_of(SHOWN)
    )

    assert_progress(load)
    assert_says(content, "exp_invoices", "exprun_invoices_4", "9 completed", "3 error")
    assert_table(jobs)
    assert_says(jobs, "filename", "Rechnung_45155.pdf")
    assert_says(snapshot, "exprun_invoices_4", "created")
    assert_says(store, "of-the-reprs")
    assert_table(two)
    assert_says(two, "exprun_invoices_4 against exprun_invoices_2", "3 broken")
    assert_table(many)
    assert_says(many, "against exprun_invoices_2", "exprun_invoices_5")
    assert_plot(plot)


def test_nothing_that_a_document_says_is_markup(
    execute: Callable[[str, Any], list[Locator]], page: Page, lab_folder: Path
) -> None:
    for run in range(3):
        path = lab_folder / "work" / f"hostile-{run}.json"
        path.write_text(json.dumps(hostile_run(run)))

    _, *results = execute("hostile.ipynb", notebook_of(HOSTILE))

    for shown in results:
        assert_says(shown, "<script>")
    assert page.locator(".jp-OutputArea-output img").count() == 0
    assert page.evaluate("window.hit") is None
