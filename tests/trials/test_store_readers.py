"""Readers of every engine beside a writer, a compactor, a cleaner and a verifier, on one store."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import retab_frames as rf
from retab_frames.store import compaction
from retab_frames.store.scan import selection

from .crashes import folder, run_of

if TYPE_CHECKING:
    from collections.abc import Callable

EXPERIMENT = "exp_1"
RUNS, JOBS = 9, 5
SECONDS = float(os.environ.get("RETAB_FRAMES_READERS_SECONDS", "60"))
"""Each process works for so long."""
PATIENCE = 30
"""Of the cleaner, in seconds: what was scanned longer ago may have lost its files."""


def small_parts() -> None:
    """Make small parts worth what large ones are, in this process."""
    compaction.MOST_RUNS, selection._WORTH_AN_INDEX = 3, 1


def scanned(root: str, engine: str) -> Callable[[], int]:
    """Scan now, and return a function that reads later how many rows there are."""
    lazy: Any = rf.scan(root, engine=engine)  # type: ignore[call-overload]
    return {
        "arrow": lambda: int(lazy.to_table().num_rows),
        "polars": lambda: int(lazy.select("duration_ms").collect().height),
        "dask": lambda: len(lazy.compute(scheduler="synchronous")),
        "duckdb": lambda: len(lazy.fetchall()),
    }[engine]


def query(root: str) -> int:
    return int(rf.query(root, "select count(duration_ms) as n from jobs")["n"][0])


def read_each(root: str) -> int:
    store = rf.SnapshotStore(root)
    return sum(len(store.read(f"run_{number}").jobs) for number in range(RUNS))


def listed(root: str) -> int:
    return int(rf.SnapshotStore(root).list()["jobs"].sum())


def plain(root: str) -> int:
    """Return how many rows pandas finds in the view, which has each run once."""
    import pandas as pd  # noqa: PLC0415 - loaded by the process that needs it

    return len(pd.read_parquet(Path(root) / "jobs"))


READERS = {"query": query, "read": read_each, "list": listed, "pandas": plain}


def read(root: str, engines: tuple[str, ...], until: float) -> Counter[str]:
    """Read by each engine in turn: at once, and what was scanned a while ago."""
    small_parts()
    found: Counter[str] = Counter()
    waiting: list[tuple[float, str, Callable[[], int]]] = []

    def count(engine: str, ask: Callable[[], int]) -> None:
        try:
            rows = ask()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
            found[f"failed: {engine}: {type(error).__name__}: {str(error)[:120]}"] += 1
        else:
            found["reads" if rows == RUNS * JOBS else f"failed: {engine}: {rows} rows"] += 1

    while time.time() < until:
        for engine in engines:
            if engine in READERS:
                count(engine, partial(READERS[engine], root))
            else:
                count(engine, lambda engine=engine: scanned(root, engine)())  # type: ignore[misc]
                waiting.append((time.time(), engine, scanned(root, engine)))
        while len(waiting) > 8 or (waiting and time.time() - waiting[0][0] > PATIENCE / 3):
            _, engine, ask = waiting.pop(0)
            count(f"late {engine}", ask)
    for _, engine, ask in waiting:
        count(f"late {engine}", ask)
    return found


def change(root: str, until: float) -> Counter[str]:
    """Revise runs; compact; clean."""
    small_parts()
    store, found, ms = rf.SnapshotStore(root), Counter[str](), 1
    while time.time() < until:
        ms += 1
        for number in (0, 3, 4):
            store.write(run_of(f"run_{number}", *[ms] * JOBS))
            found["revisions"] += 1
    return found


def tend(root: str, until: float) -> Counter[str]:
    """Compact and clean."""
    small_parts()
    store, found = rf.SnapshotStore(root), Counter[str]()
    while time.time() < until:
        found["compactions"] += store.compact(EXPERIMENT, progress=False).packed > 0
        removed = store.clean(older_than=timedelta(seconds=PATIENCE), dry_run=False)["action"]
        found["cleaned"] += int((removed == "removed").sum())
        time.sleep(0.1)
    return found


def verify(root: str, until: float) -> Counter[str]:
    """Verify, and count what is told but files that only take space."""
    small_parts()
    store, found = rf.SnapshotStore(root), Counter[str]()
    levels = ("hash", "full", "quick")
    while time.time() < until:
        problems = store.verify(levels[found["verified"] % 3])  # type: ignore[arg-type]
        problems = problems[problems["kind"] != "leftover"]
        for kind, problem in zip(problems["kind"], problems["problem"], strict=True):
            found[f"alarm: {kind}: {problem[:80]}"] += 1
        found["verified"] += 1
    return found


def test_readers_beside_a_writer_a_compactor_a_cleaner_and_a_verifier(
    figure: Callable[[str], None],
) -> None:
    with folder() as name:
        store = rf.SnapshotStore(name)
        for number in range(RUNS):
            store.write(run_of(f"run_{number}", *[1] * JOBS))
        until = time.time() + SECONDS
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(6, mp_context=context) as pool:
            work = [
                pool.submit(change, name, until),
                pool.submit(tend, name, until),
                pool.submit(verify, name, until),
                pool.submit(read, name, ("arrow", "query", "list"), until),
                pool.submit(read, name, ("polars", "duckdb"), until),
                pool.submit(read, name, ("dask", "read", "pandas"), until),
            ]
            found = sum((one.result() for one in work), Counter[str]())
        at_rest = store.verify("full")
    failures = {what: times for what, times in found.items() if what.startswith("failed")}
    alarms = {what: times for what, times in found.items() if what.startswith("alarm")}
    figure(
        f"reads beside a writer ({found['revisions']} revisions), a compactor "
        f"({found['compactions']}), a cleaner ({found['cleaned']} files) and a verifier "
        f"({found['verified']}), {SECONDS:.0f} s: {found['reads']:,}; failed: "
        f"{sum(failures.values())}; false alarms of verify: {sum(alarms.values())}"
    )
    assert (failures, alarms) == ({}, {})
    assert set(at_rest["kind"]) <= {"leftover"}
    assert min(found[what] for what in ("revisions", "compactions", "verified", "reads")) > 0
