"""Work over many runs: threads ahead of the caller, batches of runs, and a progress bar."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from retab_frames.forks import build_fork_error, call_in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TextIO

__all__ = ["batch_runs", "map_in_order", "show_progress"]

Item = TypeVar("Item")
Result = TypeVar("Result")
_BATCH_BYTES = 4_000_000
_BATCH_RUNS = 64
_MAX_WAIT_S = 0.25
"""How many bytes or runs are flattened together, and how long the first may wait for the last."""

Task = tuple[Item, "Future[Result]"]


def map_in_order(
    work: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Iterator[Result]:
    """Yield `work(item)` for each item, in the order of the items.

    Nothing starts before the first result is asked for. After that, at most `2 * workers` items
    are taken ahead of the result that is asked for. When the iterator is closed, or an exception
    ends it, items whose work has not started are dropped.

    The threads are daemons: those of a `ThreadPoolExecutor` would make an interrupted program wait,
    at its exit, for requests that nobody needs any more.

    Args:
        work: Called in a thread, never in the caller's.
        items: Taken in the caller's thread.
        workers: How many threads there are at most.

    Raises:
        Exception: What `work` raised for an item, when the result of that item is due.
        ForkError: If this process was forked since the first result was asked for.
    """
    process = os.getpid()
    tasks: queue.SimpleQueue[Task[Item, Result] | None] = queue.SimpleQueue()
    pending: deque[Future[Result]] = deque()
    source = iter(items)
    threads = 0

    def submit(item: Item) -> None:
        future: Future[Result] = Future()
        pending.append(future)
        tasks.put((item, future))

    try:
        for item in islice(source, 2 * workers):
            submit(item)
            if threads < workers:
                threading.Thread(target=_run_tasks, args=(work, tasks), daemon=True).start()
                threads += 1
        while pending:
            if os.getpid() != process:
                raise build_fork_error("this iterator")
            yield pending.popleft().result()
            for item in islice(source, 1):
                submit(item)
    finally:
        for future in pending:
            future.cancel()
        for _ in range(threads):
            tasks.put(None)


def show_progress(
    results: Iterable[Result],
    total: int,
    description: str,
    *,
    show: bool | None,
    runs_of: Callable[[Result], int] = lambda _: 1,
) -> Iterator[Result]:
    """Yield the results, and show a progress bar on stderr meanwhile.

    Args:
        results: Each is for one run, or for several.
        total: How many runs they are for.
        description: What is being done, e.g. "Loading runs".
        show: True shows the bar, False does not; None shows it if there are several runs, and
            stderr is a terminal or this is a notebook. Where there is no stderr, or it cannot be
            written to, there is no bar, and the work goes on.
        runs_of: How many runs a result is for.
    """
    in_notebook, stream = _is_notebook(), _Forgiving(sys.stderr)
    if show is None:
        show = total > 1 and (in_notebook or stream.isatty())
    if not show:
        yield from results
        return
    style: Any = {"unit": "run", "desc": description, "smoothing": 0}
    with _open_bar(stream, in_notebook=in_notebook, total=total, **style) as bar:
        for result in results:
            runs = runs_of(result)
            yield result
            del result  # it may hold a response: not while the next one is waited for
            bar.update(runs)


def _open_bar(stream: _Forgiving, *, in_notebook: bool, **style: Any) -> Any:
    """Return a bar: a widget in a notebook that has them, else a line of text."""
    if in_notebook and find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm as widget  # noqa: PLC0415 - heavy

        return widget(**style)
    from tqdm.std import tqdm  # noqa: PLC0415 - heavy

    # notebooks show stderr as a box of warnings
    return tqdm(file=_Forgiving(sys.stdout) if in_notebook else stream, **style)


def _renew_bar_lock() -> None:
    """Give bars a lock of this process: a thread of the parent may have held the old one."""
    if tqdm := sys.modules.get("tqdm"):
        tqdm.tqdm.set_lock(threading.RLock())


call_in_child(_renew_bar_lock)


class _Forgiving:
    """A stream that takes what the other one does not: it is missing, closed or a broken pipe."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        # by this a bar chooses its characters
        self.encoding = getattr(stream, "encoding", None) or "ascii"

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return bool(self._try("isatty"))

    def fileno(self) -> int:
        """Return the descriptor, by which a bar finds out how wide the terminal is."""
        return self._try("fileno") or -1

    def write(self, text: str) -> int:
        """Write the text if that is possible."""
        self._try("write", text)
        return len(text)

    def flush(self) -> None:
        """Flush if that is possible."""
        self._try("flush")

    def _try(self, method: str, *arguments: Any) -> Any:
        with suppress(OSError, ValueError):
            return None if self._stream is None else getattr(self._stream, method)(*arguments)
        return None


def _is_notebook() -> bool:
    """Return whether this process is the kernel of a notebook; others may import ipykernel too."""
    kernel = sys.modules.get("ipykernel.kernelapp")
    return kernel is not None and kernel.IPKernelApp.initialized()


def _run_tasks(
    work: Callable[[Item], Result], tasks: queue.SimpleQueue[Task[Item, Result] | None]
) -> None:
    """Do the tasks of the queue until it gives None."""
    while (task := tasks.get()) is not None:
        item, future = task
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work(item))
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is taken
                future.set_exception(error)
        del task, item, future  # a result is not kept until the next task comes


def batch_runs(runs: Iterable[Item], *, size: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Yield the runs in batches that are worth flattening together, none waiting for long.

    The first batch has one run, each after it at most twice as many as the one before: what is not
    wanted is not loaded.

    Args:
        runs: What is batched. If it raises, that is raised once what came before is yielded.
        size: How many bytes one is.
    """
    batch: list[Item] = []
    filled, begun, most = 0, time.monotonic(), 1
    try:
        for run in runs:
            batch.append(run)
            filled += size(run)
            is_late = time.monotonic() - begun > _MAX_WAIT_S
            if filled > _BATCH_BYTES or len(batch) >= most or is_late:
                yield batch
                batch, filled, begun, most = [], 0, time.monotonic(), min(2 * most, _BATCH_RUNS)
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
