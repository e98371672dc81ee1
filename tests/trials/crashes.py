"""System calls of a save: counted, refused, cut short, and written down for a power cut.

`Calls` stands between the store and the system. A store makes its calls by the functions of `os`
and by `open`; each is a step with a number, and what happens at a step is for the trial to say.
"""

from __future__ import annotations

import builtins
import io
import multiprocessing
import os
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import retab_frames as rf
from retab_frames.store.manifest import folder_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATHS = ("mkdir", "link", "unlink", "replace", "utime", "rmdir", "open", "scandir", "stat")
HANDLES = ("fsync", "write", "close")
CHANGES = frozenset(
    ("mkdir", "link", "unlink", "replace", "utime", "rmdir", "create", "write", "fsync", "close")
)


class Step(NamedTuple):
    """A system call: what it is, and its arguments; of a write also the path and the bytes."""

    call: str
    arguments: tuple[Any, ...]


class Calls:
    """Counts the system calls below a folder, and hands each to a hook.

    Args:
        root: Calls on paths elsewhere are left alone.
        before: Called with the number of the step and the step, before it is made; it may raise.
        after: Called in the same way once it was made.
        only: The calls that count; all if None.
    """

    def __init__(
        self,
        root: Path,
        *,
        before: Callable[[int, Step], None] | None = None,
        after: Callable[[int, Step], None] | None = None,
        only: frozenset[str] | None = None,
    ) -> None:
        self.root = os.fspath(root)
        self.before = before or (lambda *_: None)
        self.after = after or (lambda *_: None)
        self.only = only
        self.steps: list[Step] = []
        self.opened: dict[int, str] = {}

    def made(self, call: str, arguments: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """Make a call between its two hooks."""
        if self.only is not None and call not in self.only:
            return make()
        step, number = Step(call, arguments), len(self.steps)
        self.steps.append(step)
        self.before(number, step)
        result = make()
        self.after(number, step)
        return result

    def is_ours(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self.root)

    @contextmanager
    def watched(self) -> Iterator[Calls]:
        """Stand between the store and the system meanwhile."""
        real = {name: getattr(os, name) for name in (*PATHS, *HANDLES)}
        opens = io.open
        for name in PATHS:
            setattr(os, name, self._of_path(name, real[name]))
        for name in HANDLES:
            setattr(os, name, self._of_handle(name, real[name]))
        io.open = builtins.open = self._of_open(opens)
        try:
            yield self
        finally:
            for name, function in real.items():
                setattr(os, name, function)
            io.open = builtins.open = opens

    def _of_path(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **options: Any) -> Any:
            if not self.is_ours(path):
                return real(path, *arguments, **options)
            told = (os.fspath(path), *(a for a in arguments if self.is_ours(a)))
            result = self.made(
                name, tuple(map(os.fspath, told)), lambda: real(path, *arguments, **options)
            )
            if name == "open":
                self.opened[result] = os.fspath(path)
            return result

        return call

    def _of_handle(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(handle: int, *arguments: Any) -> Any:
            if handle not in self.opened:
                return real(handle, *arguments)
            path = self.opened.pop(handle) if name == "close" else self.opened[handle]
            return self.made(name, (path, *arguments), lambda: real(handle, *arguments))

        return call

    def _of_open(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            if not self.is_ours(path):
                return real(path, mode, *arguments, **options)
            name = "create" if "x" in mode or "w" in mode else "open"
            told = (os.fspath(path),)
            file = self.made(name, told, lambda: real(path, mode, *arguments, **options))
            return _File(self, file, os.fspath(path)) if name == "create" else file

        return call


class _File:
    """A file opened for writing; its bytes go to the system when it is flushed."""

    def __init__(self, calls: Calls, file: Any, path: str) -> None:
        self.calls, self.file, self.path = calls, file, path
        calls.opened[file.fileno()] = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.calls.opened.pop(self.file.fileno(), None)
        self.calls.made("close", (self.path,), self.file.close)

    def fileno(self) -> int:
        return int(self.file.fileno())

    def flush(self) -> None:
        self.file.flush()

    def write(self, data: bytes) -> int:
        """Write in two calls, so that a crash may come between them."""
        half = len(data) // 2
        for part in (data[:half], data[half:]):
            self.calls.made("write", (self.path, part), partial(self._through, part))
        return len(data)

    def _through(self, part: bytes) -> None:
        self.file.write(part)
        self.file.flush()


def folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder in memory where there is one: these trials do not test the disk."""
    memory = Path("/dev/shm")  # noqa: S108 - a new folder of its own is made in it
    return tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)


def ready(run_id: str, *durations: int) -> rf.RunContent:
    """Return a content whose frames are made and validated, so that a save is its I/O."""
    content = run_of(run_id, *durations)
    for frame in ("jobs", "handle_inputs", "handle_outputs", "run", "issues", "raw"):
        getattr(content, frame)
    return content


def pooled(work: Callable[[int], Counter[str]], workers: int = 2) -> Counter[str]:
    """Return the sum of what a few processes found; they fork, and so must have no threads."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        return sum(pool.map(work, range(workers)), Counter())


def run_of(run_id: str, *durations: int) -> rf.RunContent:
    """Return a run in hand: a job for each duration."""
    rows = [
        {
            "id": f"job_{n}",
            "document_id": f"doc_{n}",
            "status": "completed",
            "duration_ms": duration,
        }
        for n, duration in enumerate(durations)
    ]
    envelope = {"experiment_id": "exp_1", "run_id": run_id, "content": {"jobs": rows}}
    return rf.read_content(envelope, workflow_id="wf_1")


def told(store: rf.SnapshotStore, run_id: str) -> tuple[int, ...] | str:
    """Return the durations of a run with all its rows read; "absent", or why it is torn."""
    try:
        content = store.read(run_id)
        bodies = content.raw_rows.column("body").to_pylist()
    except rf.SnapshotNotFoundError:
        return "absent"
    except rf.SnapshotError as error:
        return f"torn: {error}"
    durations = tuple(content.tables.jobs.column("duration_ms").to_pylist())
    whole = [f'"duration_ms":{one}' in body for one, body in zip(durations, bodies, strict=True)]
    return durations if all(whole) else "torn: raw rows of another revision"


def plain(root: Path, run_id: str) -> list[tuple[int, ...]]:
    """Return the durations that a plain reader of `jobs` finds, one tuple for each file."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - a fork server loads it when it is needed

    paths = sorted((root / "jobs").rglob(f"{folder_name(run_id)}.parquet"))
    tables = [pq.ParquetFile(path).read(use_threads=False) for path in paths]
    return [tuple(table.column("duration_ms").to_pylist()) for table in tables]
