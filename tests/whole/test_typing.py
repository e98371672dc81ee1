"""Type checkers accept a sample program and find mistakes in another."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PROGRAMS = sorted((Path(__file__).parents[1] / "typing").glob("*.py"))
SECONDS = 300


def require(*modules: str) -> pytest.MarkDecorator:
    missing = [module for module in modules if find_spec(module) is None]
    reason = f"{', '.join(missing)} not installed: pip install 'retab-frames[dev]'"
    return pytest.mark.skipif(bool(missing), reason=reason)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return a folder with the programs, outside of this project and its settings."""
    for program in PROGRAMS:
        shutil.copy(program, tmp_path)
    return tmp_path


def run_module(*command: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    return done.stdout + done.stderr


@require("mypy", "pandas-stubs")
def test_mypy(programs: Path, request: pytest.FixtureRequest) -> None:
    cache = getattr(request.config, "cache", None)
    cache_dir = cache.mkdir("mypy") if cache else programs / "cache"
    names = [program.name for program in PROGRAMS]

    output = run_module(
        "mypy", "--strict", "--config-file=", f"--cache-dir={cache_dir}", *names, folder=programs
    )

    assert output == "Success: no issues found in 2 source files\n"


@require("pyright")
def test_pyright(programs: Path) -> None:
    settings = {"reportUnnecessaryTypeIgnoreComment": "error", "pythonVersion": "3.11"}
    (programs / "pyrightconfig.json").write_text(json.dumps(settings))

    output = run_module("pyright", f"--pythonpath={sys.executable}", folder=programs)

    assert output.splitlines()[-1:] == ["0 errors, 0 warnings, 0 informations"], output
