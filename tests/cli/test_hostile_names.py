# ruff: noqa: S608 - a test builds its own SQL
"""No name of the data, of a file or of an argument makes a terminal do anything."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from factories import content, job

import retab_frames as rf

from .shell import shell

if TYPE_CHECKING:
    from collections.abc import Iterator

EVIL = (
    "\x1b[2J\x1b]0;owned\x07\x7f\x9b31m\u202e\u2028\u2029\x85\u061c\u200e\u2066\u2069\ufeff\rX\nY"
)
OBEYED = re.compile(
    "[^\n\x20-\x7e\u00a1-\U0010ffff]|[\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)
RUNS = [f"{name}{EVIL}" for name in "abc"]
EXPERIMENT = f"exp{EVIL}"
COMMANDS = {
    "ls": ["ls"],
    "verify": ["verify", "--level", "full"],
    "verify a run": ["verify", "--run", RUNS[0]],
    "verify no run": ["verify", "--run", EVIL],
    "clean": ["clean", "--older-than", "0"],
    "prune": ["prune", "--keep-revisions", "1"],
    "publish": ["publish"],
    "compact": ["compact", EXPERIMENT],
    "compact nothing": ["compact", EVIL],
    "remove": ["remove", RUNS[0]],
    "remove nothing": ["remove", EVIL],
    "sql": ["sql", "from jobs"],
    "sql of snapshots": ["sql", "from snapshots"],
    "sql with a name": ["sql", f"select 1 as \"{EVIL}\", '{EVIL}' as b"],
    "wrong sql": ["sql", f'select "{EVIL}" from jobs'],
    "stats": ["stats", "--by", "job_id"],
    "stats by nothing": ["stats", "--by", EVIL],
    "stats of nothing": ["stats", "--experiment", EVIL],
    "stats of a run twice": ["stats", "--run", EVIL, "--run", EVIL],
    "slowest": ["slowest"],
    "a wrong number": ["slowest", "-n", EVIL],
    "failures": ["failures"],
    "compare": ["compare", *RUNS[:2]],
    "compare in markdown": ["compare", *RUNS[:2], "--markdown"],
    "compare many": ["compare", *RUNS],
    "compare many in markdown": ["compare", *RUNS, "--markdown"],
    "a regression": ["compare", *RUNS[:2], "--fail-on", "broken"],
    "a wrong gate": ["compare", *RUNS[:2], "--fail-on", EVIL],
    "compare nothing": ["compare", RUNS[0], EVIL],
    "report": ["report", *RUNS, "-o", "report.md", "--title", EVIL],
    "report in html": ["report", RUNS[0], "-o", f"{EVIL}.html", "--title", EVIL],
    "a wrong report": ["report", RUNS[0], "-o", f"report.{EVIL}"],
    "a wrong option": ["ls", f"--{EVIL}"],
    "a wrong argument": ["ls", EVIL],
    "a wrong choice": ["verify", "--level", EVIL],
    "pull": ["pull", EVIL, EVIL, "--base-url", EVIL],
    "pull from nowhere": ["pull", EVIL, EVIL, "--base-url", "http://127.0.0.1:1/"],
}


@pytest.fixture(scope="module", params=["whole", "littered"])
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return a store of hostile names, also with hostile files and damage; tests only read it."""
    folder = tmp_path_factory.mktemp("hostile") / "store"
    store = rf.SnapshotStore(folder)
    for run_id, status in zip(RUNS, ("completed", "error", "completed"), strict=True):
        file = {"type": "file", "document": {"id": "x", "filename": EVIL}}
        named = job(run_id=run_id, status=status, duration_ms=5, handle_inputs={EVIL: file})
        named |= dict.fromkeys(("block_kind", "document_id"), EVIL)
        named |= {"experiment_id": EXPERIMENT, "error": {"message": EVIL}}
        rows = [{**named, "id": f"{n}{EVIL}", "document_id": f"{n}{EVIL}"} for n in range(2)]
        store.write(rf.read_content({**content(*rows, run_id=run_id), "experiment_id": EXPERIMENT}))
    if request.param == "littered":
        litter(folder)
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("current"))
    yield str(folder)
    os.chdir(before)


def litter(root: Path) -> None:
    run = next((root / "revisions").iterdir())
    shutil.copytree(run, root / "revisions" / f"x{EVIL}")
    (run / "000009.json").write_text(f'{{"a":"{EVIL}"}}')
    for folder in [run, *root.iterdir()]:
        if folder.is_dir():
            (folder / f"{EVIL}.parquet").write_text("x")
            (folder / f".jobs.{EVIL}\udcff.tmp").write_text("x")


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_no_command_prints_what_a_terminal_obeys(
    root: str, command: str, form: tuple[str, ...]
) -> None:
    form = () if COMMANDS[command][0] == "report" else form
    done = shell(*COMMANDS[command], *form, "--store", root, RETAB_API_KEY="rt_key_0123456789")

    assert OBEYED.findall(done.output) == []
    assert done.exit_code in {0, 1, 2}
    assert "bug" not in done.output


def test_no_page_has_what_a_terminal_obeys(root: str) -> None:
    for name in ("page.md", "page.html"):
        shell("report", *RUNS[:2], "-o", name, "--title", EVIL, "--store", root)
        assert OBEYED.findall(Path(name).read_text(encoding="utf-8")) == []


def test_csv_is_raw_in_a_file_and_escaped_on_a_terminal(root: str) -> None:
    command = [sys.executable, "-m", "retab_frames", "ls", "--csv", "--store", root]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"}
    piped = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert sum(run in piped.stdout.decode() for run in RUNS) >= 2

    ours, theirs = pty.openpty()
    with subprocess.Popen(command, env=environment, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while part := read_some(ours):
            shown += part
    os.close(ours)
    assert process.returncode == 0
    # the terminal itself adds the returns
    assert OBEYED.findall(shown.decode().replace("\r\n", "\n")) == []
    assert r"\x1b[2J" in shown.decode()


def read_some(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        # so Linux tells that the other end is closed
        return b""
