"""A notebook of an installation without extras: no widgets, no matplotlib, and no warnings."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient import NotebookClient

if TYPE_CHECKING:
    from pathlib import Path

HIDDEN = "import sys\nsys.modules.update(dict.fromkeys(['ipywidgets', 'matplotlib']))\n"
"""Makes imports of the two fail, as where they are not installed."""
LOAD = """
import retab_frames as rf
with rf.Sandbox() as sandbox, rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
    ended = sandbox.run_ids("exp_invoices")[:4]
    jobs = rf.load_jobs("wf_sandbox", "exp_invoices", run_id=ended, client=client)
"""


def run_cells(folder: Path, *cells: str) -> list[Any]:
    """Return the outputs of a notebook of these cells, in a kernel of its own."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in cells])
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, resources=resources, timeout=120, record_timing=False).execute()
    return [output for cell in notebook.cells for output in cell.outputs]


@pytest.mark.filterwarnings("default")  # the kernel's own, in another process
def test_a_bar_is_a_line_of_text_and_no_box_of_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDDEN)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))

    outputs = run_cells(tmp_path, LOAD, "len(jobs)", "jobs.retab.slowest(1)")

    assert {output.get("name") for output in outputs if output.output_type == "stream"} == {
        "stdout"
    }
    bar = "".join(output.get("text", "") for output in outputs)
    assert "Loading runs: 100%" in bar
    assert "4/4" in bar
    results = [output for output in outputs if output.output_type == "execute_result"]
    assert results[0].data["text/plain"] == "48"
    assert len(results) == 2
    assert not [output for output in outputs if output.output_type == "error"]


@pytest.mark.filterwarnings("default")
def test_with_widgets_the_bar_is_one(tmp_path: Path) -> None:
    outputs = run_cells(tmp_path, LOAD)

    assert [output.output_type for output in outputs] == ["display_data"]
    assert "application/vnd.jupyter.widget-view+json" in outputs[0].data
