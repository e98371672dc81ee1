"""The recipes of docs/how-to.md run as they stand, one after the other, in one folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import retab_frames as rf

matplotlib = pytest.importorskip("matplotlib")

PAGE = (Path(__file__).parents[2] / "docs" / "how-to.md").read_text()
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.filterwarnings("default")
def test_the_recipes_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    program = f"{sys.executable} -m retab_frames"
    names: dict[str, Any] = {}
    printed = ""
    with rf.Sandbox() as sandbox:
        monkeypatch.setenv("RETAB_API_KEY", sandbox.api_key)
        monkeypatch.setenv("RETAB_API_BASE_URL", sandbox.url)
        for language, text in BLOCKS:
            recipe = text.replace("s3://bucket/retab", str(tmp_path / "shared"))
            if language == "python":
                exec(recipe, names)  # noqa: S102
                continue
            shell = f'set -e\nretab-frames() {{ {program} "$@"; }}\n{recipe}'
            done = subprocess.run(
                ["/bin/bash", "-c", shell],
                capture_output=True,
                text=True,
                env=os.environ | {"COLUMNS": "80"},
                check=False,
            )
            assert done.returncode == 0, f"{recipe}\n{done.stdout}{done.stderr}"
            printed += done.stdout
    assert "no file names them" in printed
    assert names["store"].list()["run_id"].str.match("exprun_invoices_[13]").sum() == 0
    assert len(names["shared"].list()) == 5
    assert {path.name for path in tmp_path.iterdir()} >= {
        *("p95.png", "comparison.html", "comparison.xlsx", "jobs.xlsx", "jobs.csv"),
        *("durations.csv", "snapshots", "shared"),
    }


def test_every_name_is_public() -> None:
    assert set(re.findall(r"rf\.(\w+)", PAGE)) <= set(dir(rf))
