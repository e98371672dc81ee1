"""What a forked process must not use: locks, connections and threads of its parent.

A fork copies the memory of a process and only the thread that calls it: a lock that another thread
holds is never released, a pool has no threads, and a connection has two users who get each other's
answers.
"""

from __future__ import annotations

import os
import sys
import threading
from functools import cached_property
from typing import TYPE_CHECKING

from retab_frames.errors import ForkError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ProcessThreads", "build_fork_error", "call_in_child"]


def call_in_child(renew: Callable[[], object]) -> None:
    """Call a function in every process forked from now on, before anything else runs there."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)


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
