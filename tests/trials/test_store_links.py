"""A store with links into another one: there nothing is read, written or removed."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

import retab_frames as rf
from retab_frames.store.files import local

from .crashes import folder, pooled, ready

if TYPE_CHECKING:
    from collections.abc import Callable

OURS, THEIRS = 11, 987_654_321
"""A duration in the store, and one in the store that the links lead to."""
WORKERS = 2
LISTS = ("os.scandir", "os.listdir")
PLACES = (
    *("revisions", "revisions/run_1-*", "revisions/run_1-*/000001.json"),
    *("revisions/run_1-*/jobs-*.parquet", "jobs", "jobs/exp_1-*", "jobs/exp_1-*/run_1-*.parquet"),
    *("raw", "compacted", "compacted/parts", "compacted/parts/exp_1-*", "compacted/exp_1-*.json"),
    *("compacted/jobs", "compacted/jobs/exp_1-*", "retab-frames.json"),
)


def calls_of(store: rf.SnapshotStore) -> dict[str, Callable[[], Any]]:
    now = timedelta(0)
    return {
        "list": store.list,
        "read": lambda: store.read("run_1").jobs,
        "read raw rows": lambda: store.read("run_1").raw,
        "verify": lambda: store.verify("full"),
        "scan": lambda: rf.scan(store).to_table(),
        "scan by Polars": lambda: rf.scan(store, engine="polars").collect().to_arrow(),
        "query": lambda: rf.query(store, "select * from jobs"),
        "clean": lambda: store.clean(older_than=now, dry_run=False),
        "publish": store.publish,
        "prune": lambda: store.prune(keep_revisions=1, dry_run=False),
        "compact": lambda: store.compact("exp_1"),
        "write": lambda: store.write(ready("run_1", 8)),
        "write another run": lambda: store.write(ready("run_3", 8)),
        "remove": lambda: store.remove("run_1", dry_run=False),
    }


def template(root: Path, duration: int) -> Path:
    """Make a store of two runs, compacted; after that one of them was revised."""
    store = rf.SnapshotStore(root)
    for run_id in ("run_1", "run_2"):
        store.write(ready(run_id, duration))
    store.compact("exp_1")
    store.write(ready("run_1", duration, duration))
    return root


class Opened:
    """Counts what Python opens or lists below a folder, by whatever path."""

    def __init__(self, outside: Path) -> None:
        self.outside = os.path.realpath(outside)
        self.count = 0
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ("open", *LISTS) or not isinstance(arguments[0], str | os.PathLike):
            return
        path = os.fspath(arguments[0])
        # a file that is a link is refused by the call itself
        place = os.path.realpath(path if event in LISTS else Path(path).parent)
        self.count += str(place).startswith(self.outside)


def content_of(root: Path) -> dict[str, tuple[bytes, int]]:
    """Return what is below a folder: bytes, and when it was changed."""
    return {
        str(path): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns)
        for path in root.rglob("*")
    }


def shown(call: Callable[[], Any]) -> str:
    """Return all that a call gives, or what it says."""
    try:
        result = call()
    except rf.RetabFramesError as error:
        return str(error)
    table = result if isinstance(result, pa.Table) or not hasattr(result, "to_dict") else None
    return repr(result.to_dict("list") if table is None else result)


def linked(worker: int, blinded: Callable[[], None] = lambda: None) -> Counter[str]:
    """Put a link in each place in turn, and make each call on a store of its own."""
    found: Counter[str] = Counter()
    with folder() as name:
        place = Path(name)
        ours, theirs = template(place / "a", OURS), template(place / "b", THEIRS)
        root, other = place / "store", place / "other"
        opened = Opened(other)
        blinded()
        for what in list(calls_of(rf.SnapshotStore(root)))[worker::WORKERS]:
            for pattern in PLACES:
                shutil.copytree(ours, root)
                shutil.copytree(theirs, other)
                path, target = next(root.glob(pattern)), next(other.glob(pattern))
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                path.symlink_to(target)
                before = content_of(other)
                opened.count = 0
                told = shown(calls_of(rf.SnapshotStore(root))[what])
                found["read"] += opened.count > 0 or str(THEIRS) in told
                found["changed"] += content_of(other) != before
                found["calls"] += 1
                shutil.rmtree(root)
                shutil.rmtree(other)
    return found


def figure_of(found: Counter[str]) -> str:
    return f"that read outside: {found['read']}; that wrote or removed outside: {found['changed']}"


def test_links_into_another_store(figure: Callable[[str], None]) -> None:
    found = pooled(linked, WORKERS)
    figure(f"calls on a store with a link into another store: {found['calls']}; {figure_of(found)}")
    assert (found["read"], found["changed"]) == (0, 0)
    assert found["calls"] > 200


def blind() -> None:
    """Take the look for links out."""
    vars(local)["_is_link"] = lambda _: False
    local._OPEN_FLAGS &= ~os.O_NOFOLLOW


def without_the_check(worker: int) -> Counter[str]:
    return linked(worker, blind)


def test_without_the_look_for_links_there_is_damage(figure: Callable[[str], None]) -> None:
    found = pooled(without_the_check, WORKERS)
    figure(f"the same without the look for links: {figure_of(found)}")
    assert min(found["read"], found["changed"]) > 10
