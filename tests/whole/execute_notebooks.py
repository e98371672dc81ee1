"""Executes notebooks and saves their outputs: python tests/whole/execute_notebooks.py [NAME...].

Run it after a change of the code of a notebook, or of the text of a table. Without names, all are
executed, and saved if their text has changed; named ones are always saved, e.g. for a new plot.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient

_BARS = ("Loading runs", "Pulling runs")
FOLDER = Path(__file__).parents[2] / "notebooks"


def execute(path: Path, working_directory: str | Path) -> Any:
    """Return a notebook with new outputs; the files that it writes are in the directory."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(working_directory)}}
    NotebookClient(notebook, resources=resources, timeout=120, record_timing=False).execute()
    return notebook


def list_outputs(notebook: Any) -> list[str]:
    """Return the text of every output, without progress bars."""
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", ())]
    texts = (o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs)
    return [text for text in texts if not any(bar in text for bar in _BARS)]


def main(names: list[str]) -> None:
    paths = [FOLDER / name for name in names] or sorted(FOLDER.glob("*.ipynb"))
    for path in paths:
        with TemporaryDirectory() as working_directory:
            executed = execute(path, working_directory)
        changed = list_outputs(executed) != list_outputs(nbformat.read(path, as_version=4))
        if changed or names:
            nbformat.write(executed, path)
        sys.stdout.write(f"{path.name}: {'saved' if changed or names else 'unchanged'}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
