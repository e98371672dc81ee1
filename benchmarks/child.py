"""One contestant in a process of its own: `python -m benchmarks.child NAME ARGUMENTS`.

Prints JSON: the wall and CPU seconds of each repeat, the peak memory in MB above what the payload
took, the rows.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path

from benchmarks.payloads import Weight, responses

CONTESTANTS = {
    "ours": "benchmarks.ours:read_one",
    "unvalidated": "benchmarks.ours:unvalidated",
    "json_normalize": "benchmarks.peers:json_normalize",
    "polars": "benchmarks.peers:polars_typed",
    "duckdb": "benchmarks.peers:duckdb_split",
    "sdk": "benchmarks.sdk:sdk_models",
}


def contestant(name: str) -> object:
    """Return what runs under a name."""
    module, _, function = CONTESTANTS.get(name, name).partition(":")
    return getattr(import_module(module), function)


def memory_mb(kind: str) -> float:
    """Return the memory that the process has (VmRSS), or the most it had (VmHWM)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith(kind))
    return int(line.split()[1]) / 1024


def main(name: str, weight: Weight, jobs: int, runs: int, repeats: int) -> None:
    """Run it and print what it took."""
    work = contestant(name)
    bodies = responses(runs, jobs, weight=weight)
    work(responses(1, 10, weight=weight))  # type: ignore[operator] # imports and caches
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak so far
    before = memory_mb("VmRSS")
    taken = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        frames = work(bodies)  # type: ignore[operator]
        taken.append((time.perf_counter() - wall, time.process_time() - cpu))
        rows = [len(frame) for frame in frames]
        del frames
    print(json.dumps({"taken": taken, "peak_mb": memory_mb("VmHWM") - before, "rows": rows}))


if __name__ == "__main__":
    name, weight, *numbers = sys.argv[1:]
    main(name, weight, *map(int, numbers))  # type: ignore[arg-type]
