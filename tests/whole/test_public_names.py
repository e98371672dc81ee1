from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import retab_frames
from retab_frames import errors, plots

HEAVY = {
    "click",
    "httpx",
    "msgspec",
    "numpy",
    "pandas",
    "pandera",
    "pyarrow",
    "scipy",
    "stamina",
    "tqdm",
}
MAX_IMPORT_MS = 20.0


def run(script: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_import_loads_nothing_heavy() -> None:
    script = f"import sys, retab_frames; print(sorted({HEAVY!r} & set(sys.modules)))"
    assert run(script) == "[]\n"


def test_errors_and_the_sandbox_load_nothing_heavy_either() -> None:
    script = (
        "import sys; from retab_frames import RetabFramesError, Sandbox; "
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    assert run(script) == "[]\n"


def test_import_takes_no_time() -> None:
    script = (
        "from time import perf_counter as now; begin = now(); import retab_frames; "
        "print(1000 * (now() - begin))"
    )
    assert min(float(run(script)) for _ in range(5)) <= MAX_IMPORT_MS


def test_all_is_sorted_and_holds_each_name_once() -> None:
    assert retab_frames.__all__ == sorted(set(retab_frames.__all__))
    assert {"Client", "load_jobs", "read_content", "JobsSchema"} <= set(retab_frames.__all__)


@pytest.mark.parametrize("name", retab_frames.__all__)
def test_every_name_can_be_imported(name: str) -> None:
    module = import_module(f"retab_frames.{retab_frames._MODULE_OF.get(name, 'errors')}")
    assert getattr(retab_frames, name) is getattr(module, name)
    assert name in module.__all__


def test_dir_lists_the_public_names_and_no_others_imported_or_not() -> None:
    shown = "print(sorted(n for n in dir(rf) if n[0] != '_') == sorted([*rf.__all__, 'plots']))"
    script = f"import retab_frames as rf; {shown}; rf.load_jobs, rf.report, rf.plots.plan; {shown}"
    assert run(script) == "True\nTrue\n"


def test_the_plots_need_no_import_of_their_own() -> None:
    script = (
        "import retab_frames as rf, sys; print('matplotlib' in sys.modules); "
        "print(rf.plots.durations.__module__, 'matplotlib' in sys.modules)"
    )
    assert run(script) == "False\nretab_frames.plots.distributions True\n"


def test_without_matplotlib_only_a_plot_itself_is_missing() -> None:
    script = (
        "import sys; sys.modules['matplotlib'] = None; import inspect, retab_frames as rf; "
        "print(len(inspect.getmembers(rf)) > len(rf.__all__), dir(rf.plots)[-2:]); "
        "print(hasattr(rf.plots, 'violin'))"
    )
    assert run(script) == "True ['timeline', 'trend']\nFalse\n"


def test_a_star_import_has_every_name() -> None:
    script = (
        "from retab_frames import *; import retab_frames as rf; print(set(rf.__all__) - set(dir()))"
    )
    assert run(script) == "set()\n"


@pytest.mark.parametrize("package", [retab_frames, plots], ids=lambda package: package.__name__)
def test_type_checkers_see_the_same_names(package: Any) -> None:
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        (alias.name, alias.asname, node.module)
        for node in block.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("retab")
        for alias in node.names
    }
    table = package._MODULE_OF.items()
    names = {(name, name, f"{package.__name__}.{module}") for name, module in table}
    assert seen - {("plots", "plots", "retab_frames")} == names


def test_every_error_is_public() -> None:
    assert set(errors.__all__) <= set(retab_frames.__all__)


@pytest.mark.parametrize(
    "script",
    [
        "import retab_frames, pandas as pd",
        "import pandas as pd, retab_frames",
        "import retab_frames as rf; rf.RetabFramesError; import pandas as pd",
        "import retab_frames; from pandas import DataFrame; import pandas as pd",
        "import retab_frames, importlib.util as u; u.find_spec('pandas'); import pandas as pd",
    ],
)
def test_frames_have_their_accessor_whatever_is_imported_first(script: str, tmp_path: Path) -> None:
    names = ["run_id", "job_id", "document_id", "status", "is_placeholder", "duration_ms"]
    jobs = pd.DataFrame([["r", "j", "d", "completed", False, 1500]], columns=names)
    jobs = jobs.assign(filename="a.pdf")
    jobs.to_parquet(tmp_path / "jobs.parquet")
    read = f"print(pd.read_parquet({str(tmp_path / 'jobs.parquet')!r}).retab.slowest().shape[0])"

    assert run(f"{script}; {read}") == "1\n"


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'retab_frames' has no attribute 'load_all'"):
        retab_frames.load_all  # type: ignore[attr-defined]  # noqa: B018
