from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from .shell import shell

if TYPE_CHECKING:
    from pathlib import Path


def test_demo_shows_the_main_job(tmp_path: Path) -> None:
    result = shell("demo", "--store", str(tmp_path / "d"))

    assert result.exit_code == 0, result.output
    assert result.output.count("created") == 10
    assert "exprun_invoices_2    12    12  4.06 s  13.1 s   2.35 s    9.42 s  14.1 s" in (
        result.output
    )
    assert "12 documents: 3 broken, 9 unchanged." in result.output


def test_the_three_lines_of_the_demo_run(tmp_path: Path) -> None:
    lines = shell("demo", "--store", str(tmp_path / "d")).output.splitlines()
    start = lines.index("  import retab_frames as rf")
    program = "\n".join(line.strip() for line in lines[start : start + 3])

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "12 documents: 3 broken, 9 unchanged." in done.stdout
