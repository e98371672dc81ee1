"""A removal that is cut short and then finished leaves no byte of the run below the root."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import retab_frames as rf
from retab_frames.store.manifest import folder_name

from .crashes import CHANGES, Calls, Step, folder, pooled

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = "c4n4ry"
RUN, OTHERS = "run_removed", ("run_1", "run_2")
WORKERS = 2
HEX = "0" * 32


def run_of(run_id: str, document_id: str, *durations: int) -> rf.RunContent:
    """Return a run with the id of its documents in every table that has rows."""
    rows = [
        {
            "id": f"job_{n}",
            "document_id": document_id,
            "status": "completed",
            "duration_ms": duration,
            "handle_inputs": {"input-json-0": {"type": "json", "data": {"is": document_id}}},
        }
        for n, duration in enumerate(durations)
    ]
    envelope = {"experiment_id": "exp_1", "run_id": run_id, "content": {"jobs": rows}}
    return rf.read_content(envelope, workflow_id="wf_1")


def template(place: Path) -> Path:
    """Make a store of three runs, compacted, and what crashes of each kind of write left in it."""
    root = place / "template"
    store = rf.SnapshotStore(root)
    for run_id in (RUN, *OTHERS):
        store.write(run_of(run_id, CANARY if run_id == RUN else "doc_1", 1))
    store.compact("exp_1", progress=False)
    store.write(run_of(RUN, CANARY, 1, 2))
    run, experiment = folder_name(RUN), folder_name("exp_1")
    places = [f"revisions/{run}", f"jobs/{experiment}", "compacted"]
    places += [f"compacted/parts/{experiment}", f"compacted/jobs/{experiment}"]
    for path in [path for one in places for path in (root / one).glob("*.*")]:
        shutil.copyfile(path, path.with_name(f".{path.name}.{HEX}.tmp"))
    return root


def texts(path: Path) -> list[str]:
    """Return what stands in a file: its bytes, and its cells where they may be compressed."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - a fork server loads it when it is needed

    data = path.read_bytes()
    found = [data.decode("latin-1")]
    if data.startswith(b"PAR1") and data.endswith(b"PAR1"):
        # no threads: this process forks
        found.append(repr(pq.ParquetFile(path).read(use_threads=False).to_pylist()))
    return found


def hits(root: Path, *words: str) -> list[str]:
    """Return the files below a folder in which one of the words stands, or that are named so."""
    files = {path: str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return [
        name
        for path, name in files.items()
        if any(word in text for word in words for text in (name, *texts(path)))
    ]


def remove(root: Path) -> None:
    rf.SnapshotStore(root).remove(RUN, dry_run=False)


def cut_at(root: Path, number: int) -> None:
    """Remove the run in a child that ends, without cleaning up, right before a system call."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return

    def end(step: int, _: Step) -> None:
        if step == number:
            os._exit(9)

    with Calls(root, before=end, only=CHANGES).watched():
        remove(root)
    os._exit(0)


def remove_again(store: rf.SnapshotStore) -> None:
    # nothing but its empty folder may be left
    with suppress(rf.SnapshotNotFoundError):
        store.remove(RUN, dry_run=False)


FINISHES: dict[str, Callable[[rf.SnapshotStore], Any]] = {
    "remove": remove_again,
    "clean": lambda store: store.clean(dry_run=False),
    "write": lambda store: store.write(run_of(RUN, "doc_2", 3)),
}


def others(root: Path) -> list[Any]:
    """Return what is read of the other runs."""
    store = rf.SnapshotStore(root)
    runs = [store.read(run_id) for run_id in OTHERS]
    return [table.to_pylist() for run in runs for table in (*run.tables, run.raw_rows)]


def cuts(worker: int) -> Counter[str]:
    found: Counter[str] = Counter()
    with folder() as name:
        base = template(Path(name))
        expected = others(base)
        counted = Path(shutil.copytree(base, Path(name) / "counted"))
        with Calls(counted, only=CHANGES).watched() as calls:
            remove(counted)
        for number in range(worker, len(calls.steps) + 1, WORKERS):
            for how, finish in FINISHES.items():
                root = Path(shutil.copytree(base, Path(name) / f"{number}-{how}"))
                cut_at(root, number)
                store = rf.SnapshotStore(root)
                is_gone = RUN not in store.list()["run_id"].tolist()
                finish(store)
                found["cut"] += 1
                found["gone"] += is_gone
                if is_gone or how == "remove":
                    # a new save has the same run again
                    words = (CANARY,) if how == "write" else (CANARY, RUN)
                    found["bytes left"] += bool(hits(root, *words))
                found["others changed"] += others(root) != expected
                shutil.rmtree(root)
    return found


def test_removal_cut_before_every_system_call(figure: Callable[[str], None]) -> None:
    found = pooled(cuts, WORKERS)
    figure(
        f"removals cut before every system call, then finished by the next one, by clean or by a "
        f"new save: {found['cut']} (the run gone at the cut: {found['gone']}); with a byte of the "
        f"run left: {found['bytes left']}; with another run changed: {found['others changed']}"
    )
    assert (found["bytes left"], found["others changed"]) == (0, 0)
    assert found["gone"] > found["cut"] // 2 > 100
