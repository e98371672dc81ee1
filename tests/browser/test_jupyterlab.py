"""What a notebook shows is really there, in JupyterLab, for eyes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from browser.lab import ERRORS, STDERR, code_cells, run_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("0[123]*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"
REPRS = """
from IPython.display import HTML
import retab_frames as rf

with rf.Sandbox() as sandbox, rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
    contents = list(rf.iter_content("wf_sandbox", "exp_invoices", run_id=sandbox.run_ids("exp_invoices"), client=client))
contents[3]
---
contents[3].jobs
---
store = rf.SnapshotStore("of-the-reprs")
store.write(contents[1])
---
store
---
rf.compare_runs(contents[1], contents[3])
---
rf.compare_many(contents, "exprun_invoices_2")
---
contents[1].jobs.retab.plot.timeline()
"""
"""Cells of what the notebooks of the course do not show by itself."""

HOSTILE = """
import retab_frames as rf

bad = "<script>window.hit=1</script><img src=x onerror='window.hit=1'>"

def row(run, document, status):
    file = {"filename": bad, "id": "f", "mime_type": bad}
    handles = {bad: {"type": "file", "document": file}}
    return {"id": f"{bad}{run}{document}", "experiment_id": bad, "run_id": f"{bad}{run}",
            "document_id": f"{bad}{document}", "block_kind": bad, "status": status, "error": bad,
            "duration_ms": 1000 + document, "handle_inputs": handles}

runs = [
    rf.read_content({"data": [row(run, document, "error" if run * document == 6 else "completed")
                              for document in range(8)]})
    for run in range(3)
]
runs[0]
---
runs[0].jobs
---
rf.SnapshotStore("hostile").write(runs[0])
---
rf.compare_runs(runs[0], runs[2])
---
rf.compare_many(runs)
---
rf.failures(runs[2].jobs)
"""


def cleared(notebook: Any) -> Any:
    """Return the notebook as it is before anybody ran it."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    return notebook


def of_cells(cells: str) -> Any:
    made = nbformat.v4.new_notebook()
    made.cells = [nbformat.v4.new_code_cell(cell.strip()) for cell in cells.split("---\n")]
    return made


@pytest.fixture
def asked_elsewhere(page: Page, lab: str) -> list[str]:
    """Return the addresses, other than JupyterLab's own, that the page asks for."""
    asked: list[str] = []
    own = re.compile(rf"(data:|blob:|{re.escape(lab)}/)")
    page.on("request", lambda request: own.match(request.url) or asked.append(request.url))
    return asked


def kinds(cell: Any) -> set[str]:
    return {kind for output in cell.get("outputs", ()) for kind in output.get("data", {})}


def outputs(cell: Locator) -> Locator:
    return cell.locator(".jp-OutputArea-output")


def assert_visible(shown: Locator, what: str) -> None:
    """Check that something has an extent, is not hidden, and is not empty of ink or text."""
    shown.first.scroll_into_view_if_needed()
    assert shown.first.is_visible(), what
    box = shown.first.bounding_box()
    assert box, what
    assert min(box["width"], box["height"]) >= 10, f"{what}: {box}"


def assert_table(cell: Locator) -> None:
    table = outputs(cell).locator(".jp-RenderedHTMLCommon table")
    assert_visible(table, "table")
    assert table.locator("tbody tr").count()
    texts = table.first.locator("td").all_inner_texts()
    assert any(text.strip() for text in texts), texts


def assert_progress(cell: Locator) -> None:
    assert_visible(outputs(cell).get_by_text(re.compile(r"Loading\s+runs:\s+100%")), "label")
    bar = outputs(cell).locator(".progress-bar")
    assert_visible(bar, "progress bar")
    drawn, whole = bar.bounding_box(), bar.locator("..").bounding_box()
    assert drawn and whole  # noqa: PT018 - for the type checker
    assert drawn["width"] == pytest.approx(whole["width"], rel=0.05)


def assert_plot(cell: Locator) -> None:
    plot = outputs(cell).locator("img, svg")
    assert_visible(plot, "plot")
    assert plot.first.evaluate("plot => plot.tagName === 'svg' || plot.naturalWidth > 100")


CHECKS = {
    "text/html": assert_table,
    WIDGET: assert_progress,
    "image/png": assert_plot,
    "image/svg+xml": assert_plot,
}


def assert_clean(page: Page, asked_elsewhere: list[str]) -> None:
    """Check that no cell failed or warned, no output has a script, and nothing was fetched."""
    assert page.locator(ERRORS).all_inner_texts() == []
    assert page.locator(STDERR).all_inner_texts() == []
    assert page.locator(".jp-OutputArea-output script").count() == 0
    assert asked_elsewhere == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_committed_is_seen(
    path: Path, page: Page, lab: str, lab_folder: Path, asked_elsewhere: list[str]
) -> None:
    committed = nbformat.read(path, as_version=4)
    nbformat.write(cleared(nbformat.read(path, as_version=4)), lab_folder / "work" / path.name)

    run_all(page, lab, path.name)

    assert_clean(page, asked_elsewhere)
    cells = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert code_cells(page).count() == len(cells)
    for cell, shown in zip(cells, code_cells(page).all(), strict=True):
        for kind in kinds(cell) & set(CHECKS):
            CHECKS[kind](shown)


@pytest.fixture
def reprs(page: Page, lab: str, lab_folder: Path, asked_elsewhere: list[str]) -> Iterator[Locator]:
    nbformat.write(of_cells(REPRS), lab_folder / "work" / "reprs.ipynb")
    run_all(page, lab, "reprs.ipynb")
    yield code_cells(page)
    assert_clean(page, asked_elsewhere)
