"""What a forked process must not use: locks, connections and threads of its parent.

A fork copies the memory of a process and only the thread that calls it: a lock that another thread
holds is never released, a pool has no threads, and a connection has two users who get each other's
answers.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from retab_frames.errors import ForkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["ProcessThreads", "build_fork_error", "call_in_child", "delay_forks"]

_MAX_DELAY_S = 5.0
"""A fork that has waited so long is made all the same."""


def call_in_child(renew: Callable[[], object]) -> None:
    """Call a function in every process forked from now on, before anything else runs there."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)


class _Gate:
    """Threads that must not be forked away from, and forks that wait for them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside: dict[int, int] = {}
        self._forks = 0

    def enter(self) -> None:
        """Go in, after the forks that are being made."""
        me = threading.get_ident()
        with self._changed:
            # one that is inside already must go on, or the fork would wait for it in vain
            while self._forks and me not in self._inside:
                self._changed.wait()
            self._inside[me] = self._inside.get(me, 0) + 1

    def leave(self) -> None:
        """Go out as often as in."""
        me = threading.get_ident()
        with self._changed:
            self._inside[me] -= 1
            if not self._inside[me]:
                del self._inside[me]
                self._changed.notify_all()

    def close(self) -> None:
        """Before a fork: wait until no other thread is inside, and let none in."""
        me = threading.get_ident()
        with self._changed:
            self._forks += 1
            self._changed.wait_for(lambda: not self._inside.keys() - {me}, _MAX_DELAY_S)

    def reopen(self) -> None:
        """After a fork, in the parent."""
        with self._changed:
            self._forks -= 1
            self._changed.notify_all()

    def renew(self) -> None:
        """After a fork, in the child, which has none of the threads but its own."""
        me = threading.get_ident()
        depth = self._inside.get(me)
        self._changed = threading.Condition()
        self._inside = {me: depth} if depth else {}
        self._forks = 0


_GATE = _Gate()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_GATE.close, after_in_parent=_GATE.reopen, after_in_child=_GATE.renew
    )


@contextmanager
def delay_forks() -> Iterator[None]:
    """Let other threads fork this process only when this block is over.

    For calls into a library that holds a lock of the process meanwhile (OpenSSL during a handshake,
    an import): in the child that lock would never be released.
    """
    _GATE.enter()
    try:
        yield
    finally:
        _GATE.leave()


class ProcessThreads:
    """Threads that belong to one process, such as those of another library.

    Args:
        owner: What uses them, as the error calls it.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._process: int | None = None

    def check(self) -> None:
        """Remember that this process uses the threads, or refuse to use those of its parent.

        Raises:
            ForkError: If this process was forked from one that has used them.
        """
        process = os.getpid()
        if self._process is None:
            self._process = process
        if self._process != process:
            raise build_fork_error(self._owner)


def build_fork_error(owner: str) -> ForkError:
    """Return the error for something that belongs to the parent of this process."""
    return ForkError(
        f"{owner} was used before this process was forked, and its threads do not exist here: use "
        "it in the child alone, or start processes with the method 'spawn' or 'forkserver' "
        "(multiprocessing.get_context)"
    )


def _renew_property_locks() -> None:
    """Renew the locks of our cached properties, which Python 3.11 holds while it computes one."""
    modules = [module for name, module in sys.modules.items() if name.startswith(__package__)]
    classes = [one for module in modules for one in vars(module).values() if isinstance(one, type)]
    for property_ in (value for one in classes for value in vars(one).values()):
        if isinstance(property_, cached_property):
            vars(property_)["lock"] = threading.RLock()


if sys.version_info < (3, 12):
    call_in_child(_renew_property_locks)
