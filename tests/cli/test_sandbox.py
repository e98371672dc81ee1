from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from .shell import shell

if TYPE_CHECKING:
    from pathlib import Path


def test_sandbox_serves_until_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "retab_frames", "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        exports = dict(
            line.removeprefix("  export ").strip().split("=", 1)
            for line in (process.stdout.readline() for _ in range(5))
            if "export" in line
        )
        result = shell("pull", "wf_sandbox", "exp_invoices", "--store", str(tmp_path), **exports)
        process.send_signal(2)
        assert process.wait(timeout=10) == 130

    assert result.exit_code == 0, result.output
    assert "5 runs: 5 created." in result.output
