"""What a command imports, which is most of the time that it takes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

A, B = "exprun_invoices_2", "exprun_invoices_4"
PROGRAM = """
import sys
from retab_frames.__main__ import main
try:
    main()
finally:
    print(*(name for name, module in sys.modules.items() if module), file=sys.stderr)
"""
NEVER = {
    "dask",
    "distributed",
    "hypothesis",
    "matplotlib",
    "polars",
    "scipy.stats",
    "tqdm",
    "httpx",
}
ONLY_READ = {"pandera", "duckdb", "pyarrow.dataset", "scipy", "asyncio"}
"""What a command that validates no frame and measures nothing does without."""


@pytest.mark.parametrize(
    ("arguments", "not_needed"),
    [
        (["ls"], NEVER | ONLY_READ),
        (["verify"], NEVER | ONLY_READ),
        (["stats"], NEVER | {"duckdb"}),
        (["slowest"], NEVER | {"duckdb"}),
        (["failures"], NEVER | {"duckdb", "scipy"}),
        (["compare", A, B, "--fail-on", "slower"], NEVER | {"duckdb", "pyarrow.dataset"}),
    ],
)
def test_a_command_imports_what_it_needs(
    arguments: list[str], not_needed: set[str], pulled: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments, "--store", pulled],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(done.stderr.splitlines()[-1].split())
    assert {"pandas", "retab_frames.cli"} <= imported
    assert imported & not_needed == set()
