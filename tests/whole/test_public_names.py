from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

import retab_frames
from retab_frames import errors

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


def test_dir_lists_every_name_before_it_is_imported() -> None:
    script = "import retab_frames as rf; print(dir(rf) == sorted({*dir(rf), *rf.__all__}))"
    assert run(script) == "True\n"


def test_a_star_import_has_every_name() -> None:
    script = (
        "from retab_frames import *; import retab_frames as rf; print(set(rf.__all__) - set(dir()))"
    )
    assert run(script) == "set()\n"


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(retab_frames.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        (alias.name, alias.asname, node.module)
        for node in block.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("retab")
        for alias in node.names
    }
    table = retab_frames._MODULE_OF.items()
    assert seen == {(name, name, f"retab_frames.{module}") for name, module in table}


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
