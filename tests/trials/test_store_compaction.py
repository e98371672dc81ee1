"""A compaction that is cut short leaves a store that reads the same, and can be compacted again."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import retab_frames as rf
from retab_frames.store import compaction
from retab_frames.store.scan import selection
from retab_frames.store.table_versions import TABLES

from .crashes import CHANGES, Calls, Step, folder, pooled, ready

if TYPE_CHECKING:
    from collections.abc import Callable

EXPERIMENT = "exp_1"
RUNS = 3
REVISED = "run_1"
OPERATIONS = CHANGES - {"write", "close", "fsync"}
"""Those that others can see."""


def template(place: Path, *, packed: bool) -> Path:
    """Make a store of some runs: not compacted, or compacted, revised, and a new run later."""
    root = place / "template"
    store = rf.SnapshotStore(root)
    for number in range(RUNS):
        store.write(ready(f"run_{number}", number, number + 1))
    if packed:
        store.compact(EXPERIMENT)
        store.write(ready(REVISED, 7))
        store.write(ready(f"run_{RUNS}", 9))
    return root


def seen(root: Path) -> list[Any]:
    """Return what is read through us: the list, every run, every table."""
    store = rf.SnapshotStore(root)
    listed = store.list()
    runs = [store.read(run_id) for run_id in listed["run_id"]]
    tables = [(*run.tables, run.run_table, run.raw_rows) for run in runs]
    return [
        listed.drop(columns="written_at").to_dict(),
        [[table.to_pylist() for table in each] for each in tables],
        # no threads: this process forks
        [rf.scan(root, table).to_table(use_threads=False).to_pylist() for table in TABLES],
    ]


def visible(root: Path, view: str) -> list[int]:
    """Return how often a reader of a view finds the rows of each run."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - a fork server loads it when it is needed

    found: Counter[str] = Counter()
    for path in sorted((root / view).rglob("*.parquet")):
        ids = pq.ParquetFile(path).read(use_threads=False).column("run_id").to_pylist()
        found.update(set(ids))
    return [found[f"run_{number}"] for number in range(RUNS)]


def change(root: Path, what: str) -> None:
    """Compact, remove a compacted run, or write a revision of one."""
    store = rf.SnapshotStore(root)
    if what == "compaction":
        store.compact(EXPERIMENT, progress=False)
    elif what == "removal":
        store.remove(REVISED, dry_run=False)
    else:
        store.write(ready(REVISED, 7))


def small_parts() -> None:
    """Make small parts worth what large ones are, in this process."""
    compaction.MOST_RUNS, selection._WORTH_AN_INDEX = 2, 1


def cut_at(root: Path, what: str, number: int, *, after: bool) -> None:
    """Make a change in a child that ends, without cleaning up, right before or after a call."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return

    def end(step: int, _: Step) -> None:
        if step == number:
            os._exit(9)

    hooks = {"after": end} if after else {"before": end}
    with Calls(root, only=OPERATIONS, **hooks).watched():
        change(root, what)
    os._exit(0)


def checked(root: Path, what: str, allowed: list[list[Any]], found: Counter[str]) -> None:
    """Count what a change that was cut left, and whether it can be made again."""
    store = rf.SnapshotStore(root)
    found["saw something else"] += seen(root) not in allowed
    found["seen twice"] += max(visible(root, "jobs")) > 1
    kinds = set(store.verify()["kind"])
    found["alarms"] += not kinds <= {"stale", "leftover"}
    if what != "removal" or REVISED in store.list()["run_id"].tolist():
        change(root, what)
    store.publish()
    store.clean(older_than=timedelta(0), dry_run=False)
    store.compact(EXPERIMENT, progress=False)
    store.clean(older_than=timedelta(0), dry_run=False)
    once = [1] * RUNS
    if what == "removal":
        once[1] = 0
        files = [path.read_bytes() for path in root.rglob("*") if path.is_file()]
        found["bytes of the removed run"] += any(REVISED.encode() in data for data in files)
    whole = store.verify("full").empty and visible(root, "jobs") == once
    whole = whole and visible(root, "compacted/jobs") == once
    found["failed again"] += not (whole and seen(root) == allowed[-1])


def cuts(worker: int) -> Counter[str]:
    small_parts()
    found: Counter[str] = Counter()
    cases = [("compaction", False), ("compaction", True), ("revision", True), ("removal", True)]
    with folder() as name:
        for what, packed in cases[worker::2]:
            place = Path(name) / f"{what}-{packed}"
            base = template(place, packed=packed)
            if what != "compaction":
                change_back(base)
            done = Path(shutil.copytree(base, place / "done"))
            with Calls(done, only=OPERATIONS).watched() as calls:
                change(done, what)
            allowed = [seen(base), seen(done)]
            for number in range(len(calls.steps)):
                for after in (False, True):
                    root = Path(shutil.copytree(base, place / f"{number}-{after}"))
                    cut_at(root, what, number, after=after)
                    checked(root, what, allowed, found)
                    shutil.rmtree(root)
                    found[what] += 1
    return found


def change_back(root: Path) -> None:
    """Give the run another content, and compact all."""
    store = rf.SnapshotStore(root)
    store.write(ready(REVISED, 8))
    store.compact(EXPERIMENT, progress=False)


def test_crash_before_and_after_every_operation(figure: Callable[[str], None]) -> None:
    found = pooled(cuts)
    figure(
        f"compactions cut short before and after each operation: {found['compaction']} "
        f"(and revisions of a compacted run: {found['revision']}, removals: {found['removal']}); "
        f"readers that saw something else: {found['saw something else']}; re-runs that failed: "
        f"{found['failed again']}; bytes of a removed run: {found['bytes of the removed run']}"
    )
    assert min(found["compaction"], found["revision"], found["removal"]) > 30
    assert (found["saw something else"], found["failed again"]) == (0, 0)
    assert found["bytes of the removed run"] == 0
    assert (found["seen twice"], found["alarms"]) == (0, 0)
