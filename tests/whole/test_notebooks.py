"""The notebooks run, and what they show is what is committed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
MOST_CODE_CELLS = 15


def shown(notebook: Any) -> list[str]:
    """Return the text of what each code cell shows, but for progress bars."""
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", ())]
    texts = (o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs)
    return [text for text in texts if "Loading runs" not in text]


def code(notebook: Any) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.filterwarnings("default")  # the kernel's own, in another process
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_shows_what_is_committed(path: Path, tmp_path: Path) -> None:
    committed = nbformat.read(path, as_version=4)
    executed = nbformat.read(path, as_version=4)

    NotebookClient(executed, resources={"metadata": {"path": tmp_path}}, timeout=120).execute()

    assert shown(executed) == shown(committed)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_short_and_defines_no_functions(path: Path) -> None:
    cells = code(nbformat.read(path, as_version=4))

    assert len(cells) <= MOST_CODE_CELLS
    assert not [cell for cell in cells if re.search(r"^\s*(def|class) ", cell, re.MULTILINE)]


def test_there_are_notebooks() -> None:
    assert "01_load_and_snapshot.ipynb" in [path.name for path in NOTEBOOKS]
