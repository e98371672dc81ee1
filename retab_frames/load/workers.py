"""Work done by threads beside the caller, with the results in the order of the items."""

from __future__ import annotations

import queue
import threading
from collections import deque
from concurrent.futures import Future
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["in_order"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Task = tuple[Item, "Future[Result]"]


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Iterator[Result]:
    """Yield `work(item)` for each item, in order, at most twice `workers` items ahead.

    The threads are daemons: an executor's would make an interrupted program wait, at its exit, for
    requests that nobody wants any more.

    Raises:
        Exception: What `work` raised, when its turn comes; items not begun are dropped.
    """
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
                threading.Thread(target=_serve, args=(work, tasks), daemon=True).start()
                threads += 1
        while pending:
            yield pending.popleft().result()
            for item in islice(source, 1):
                submit(item)
    finally:
        for future in pending:
            future.cancel()
        for _ in range(threads):
            tasks.put(None)


def _serve(
    work: Callable[[Item], Result], tasks: queue.SimpleQueue[Task[Item, Result] | None]
) -> None:
    while (task := tasks.get()) is not None:
        item, future = task
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work(item))
            except BaseException as error:  # noqa: BLE001 - it is raised where it is taken
                future.set_exception(error)
        del task, item, future  # a result is not kept until the next task comes
