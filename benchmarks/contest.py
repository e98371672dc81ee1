"""Two ways of doing the same work, measured in turn."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.peers import Frames

ROOT = Path(__file__).parent.parent


class Row(NamedTuple):
    """A line of the table.

    Attributes:
        group: What it belongs to, e.g. decode.
        work: What was done.
        peer: Who else did it.
        ours_ms: Our median; wall clock, as the peer's.
        peer_ms: The peer's median.
        ratio: The peer's by ours, or what `unit` says.
        cpu_ratio: The same of the CPU time.
        least: The bar; empty where there is none.
        unit: Of the ratio.
    """

    group: str
    work: str
    peer: str
    ours_ms: float
    peer_ms: float
    ratio: float
    cpu_ratio: float | None = None
    least: str = ""
    unit: str = "x"


class Taken(NamedTuple):
    """The medians of one side, in seconds."""

    wall: float
    cpu: float


def in_turn(
    ours: Callable[[], object], peer: Callable[[], object], repeats: int
) -> tuple[Taken, Taken]:
    """Return the medians of both, ours and the peer alternately; each is run once before."""
    times: tuple[list[tuple[float, float]], ...] = ([], [])
    for number in range(repeats + 1):
        for work, taken in zip((ours, peer), times, strict=True):
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            if number:
                taken.append((time.perf_counter() - wall, time.process_time() - cpu))
    first, second = (Taken(*map(statistics.median, zip(*taken, strict=True))) for taken in times)
    return first, second


def row(group: str, work: str, peer: str, times: tuple[Taken, Taken], least: str = "") -> Row:
    """Return the line of a contest."""
    ours, theirs = times
    ratios = theirs.wall / ours.wall, theirs.cpu / ours.cpu if ours.cpu else None
    return Row(group, work, peer, ours.wall * 1e3, theirs.wall * 1e3, *ratios, least)


def process(name: str, weight: str, jobs: int, runs: int, repeats: int) -> dict[str, Any]:
    """Return what a contestant took in a process of its own."""
    python = sdk_python() if name == "sdk" else sys.executable
    command = [python, "-m", "benchmarks.child", name, weight, str(jobs), str(runs), str(repeats)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def sdk_python() -> str:
    """Return the Python that has the official SDK; made where none is named.

    The environment variable RETAB_SDK_PYTHON names one; else a virtual environment is made beside
    the benchmarks, once.
    """
    if python := os.environ.get("RETAB_SDK_PYTHON"):
        return python
    folder = ROOT / "benchmarks" / ".sdk"
    python = str(folder / "bin" / "python")
    if not (folder / "made").exists():
        wanted = ["retab==0.0.136", "pandas", "pyarrow", "msgspec"]
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
        (folder / "made").touch()
    return python


SAME = {
    "jobs": ("document_id", "status", "duration_ms", "created_at", "completed_at", "attempt"),
    "handles": ("job_id", "handle", "type", "filename", "file_id", "mime_type"),
}


def check_same(ours: Frames, theirs: Frames, peer: str) -> None:
    """Refuse a contest in which a peer does other work than we do.

    Raises:
        ValueError: If a frame of the peer has other rows than ours.
    """
    jobs, handles = theirs
    jobs = jobs.rename(columns={"id": "job_id"})
    for which, own, other in zip(SAME, ours, (jobs, handles), strict=True):
        keys = ["job_id"] if which == "jobs" else ["job_id", "handle"]
        sides = [
            frame[[*dict.fromkeys((*keys, *SAME[which]))]]
            .astype(str)
            .sort_values(keys, ignore_index=True)
            for frame in (own, other)
        ]
        try:
            pd.testing.assert_frame_equal(sides[0], sides[1], check_dtype=False)
        except AssertionError as error:
            raise ValueError(f"{peer} does not make the same {which}: {error}") from None
        if which == "jobs" and len(other.columns) < len(own.columns) - len(OURS_ALONE):
            raise ValueError(f"{peer} makes {len(other.columns)} columns, we {len(own.columns)}")


OURS_ALONE = ("workflow_id", "filename", "error_details", "fetched_at")
"""Columns that no response has; the job's filename is the handle's, once more."""
