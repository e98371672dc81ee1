"""The notebooks run one after the other in one folder, with the outputs that are committed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from .execute_notebooks import FOLDER, execute, list_outputs

if TYPE_CHECKING:
    from pathlib import Path

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MAX_CODE_CELLS = 15


def list_code(notebook: Any) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.filterwarnings("default")  # the kernel's own, in another process
def test_outputs_equal_the_committed_ones(tmp_path: Path) -> None:
    for path in NOTEBOOKS:
        committed = nbformat.read(path, as_version=4)

        executed = execute(path, tmp_path)

        assert list_outputs(executed) == list_outputs(committed), path.name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_short_and_defines_no_functions(path: Path) -> None:
    cells = list_code(nbformat.read(path, as_version=4))

    assert len(cells) <= MAX_CODE_CELLS
    assert not [cell for cell in cells if re.search(r"^\s*(def|class) ", cell, re.MULTILINE)]


def test_there_are_notebooks() -> None:
    assert "01_load_and_snapshot.ipynb" in [path.name for path in NOTEBOOKS]
