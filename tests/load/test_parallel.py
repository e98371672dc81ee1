from __future__ import annotations

import io
import itertools
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from retab_frames.load.parallel import map_in_order, show_progress

if TYPE_CHECKING:
    from collections.abc import Iterator


class WorkLog:
    """Counts the items that are taken, and lists those whose work has begun."""

    def __init__(self) -> None:
        self.taken = 0
        self.begun: list[int] = []

    def items(self) -> Iterator[int]:
        for item in itertools.count():
            self.taken += 1
            yield item

    def work(self, item: int) -> int:
        self.begun.append(item)
        return item * item


def new_threads(known: list[threading.Thread]) -> set[threading.Thread]:
    """Return the threads that are not among the known; waits up to a second for them to end.

    They are compared, not counted: a thread of an earlier test may end meanwhile.
    """
    end = time.monotonic() + 1
    while (more := {*threading.enumerate()} - {*known}) and time.monotonic() < end:
        time.sleep(0.005)
    return more


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 40])
def test_results_come_in_the_order_of_the_items(workers: int, count: int) -> None:
    def work(item: int) -> int:
        time.sleep(0.002 * (count - item) / max(count, 1))
        return -item

    assert list(map_in_order(work, range(count), workers=workers)) == [-n for n in range(count)]


def test_as_many_work_at_a_time_as_there_are_workers() -> None:
    together = threading.Barrier(3, timeout=5)
    assert sorted(map_in_order(lambda _: together.wait(), range(3), workers=3)) == [0, 1, 2]


def test_no_more_work_at_a_time_than_there_are_workers() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def work(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.005)
        with lock:
            running -= 1

    list(map_in_order(work, range(20), workers=3))
    assert most == 3


def test_nothing_begins_before_the_first_result_is_wanted() -> None:
    log = WorkLog()
    results = map_in_order(log.work, log.items(), workers=3)
    assert (log.taken, log.begun) == (0, [])
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_items_are_taken_twice_the_workers_ahead(workers: int) -> None:
    log = WorkLog()
    results = map_in_order(log.work, log.items(), workers=workers)
    for turn in range(10):
        assert next(results) == turn * turn
        assert log.taken == 2 * workers + turn
    results.close()  # type: ignore[attr-defined]


def test_the_main_thread_does_no_work() -> None:
    found = set(map_in_order(lambda _: threading.current_thread(), range(4), workers=2))
    assert threading.main_thread() not in found
    assert all(thread.daemon for thread in found)


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_is_raised_in_its_turn(workers: int, kind: type[BaseException]) -> None:
    def work(item: int) -> int:
        if item in (2, 3):
            raise kind(f"item {item}")
        time.sleep(0.01)  # so that the error is there before its turn
        return item

    results = map_in_order(work, range(100), workers=workers)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(kind, match="item 2"):
        next(results)
    assert list(results) == []


def test_what_has_not_begun_is_dropped_after_an_error() -> None:
    log = WorkLog()

    def work(item: int) -> int:
        log.begun.append(item)
        if item == 1:
            raise ValueError("no")
        return item

    results = map_in_order(work, log.items(), workers=2)
    assert next(results) == 0
    with pytest.raises(ValueError, match="no"):
        list(results)
    begun = len(log.begun)
    assert log.taken <= 5
    time.sleep(0.02)
    assert len(log.begun) <= begun + 1
    assert max(log.begun) <= 4


def test_closing_early_stops() -> None:
    threads = threading.enumerate()
    go_on = threading.Event()
    log = WorkLog()

    def work(item: int) -> int:
        log.begun.append(item)
        if item:
            go_on.wait(5)
        return item

    results = map_in_order(work, log.items(), workers=2)
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    go_on.set()
    assert new_threads(threads) == set()
    assert set(log.begun) <= {0, 1, 2}


def test_the_threads_end_with_the_items() -> None:
    threads = threading.enumerate()
    assert list(map_in_order(abs, range(30), workers=8)) == list(range(30))
    assert new_threads(threads) == set()


def test_an_error_of_the_items_is_raised() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        list(map_in_order(abs, items(), workers=1))


class BrokenPipe(io.StringIO):
    """A terminal that is gone."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def write(self, _text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


def closed_stream() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("show", [None, True, False])
@pytest.mark.parametrize("stream", [None, closed_stream(), BrokenPipe()])
def test_work_goes_on_where_no_bar_can_be_shown(
    monkeypatch: pytest.MonkeyPatch, stream: Any, *, show: bool | None
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(show_progress(range(3), 3, "Working", show=show)) == [0, 1, 2]
