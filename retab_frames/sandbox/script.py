"""What a sandbox was told to say or do in place of the right answer."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retab_frames.sandbox.faults import Fault, RepeatCursor

if TYPE_CHECKING:
    from retab_frames.sandbox.exchange import Reply, Request


@dataclass(slots=True)
class _Answer:
    reply: Reply
    times: int | None


@dataclass(slots=True)
class _Turn:
    fault: Fault
    path: str | None
    times: int | None
    after: int


class Script:
    """Canned answers by path and a queue of faults, used up as requests come."""

    def __init__(self) -> None:
        """Begin with nothing scripted."""
        self._answers: defaultdict[str, deque[_Answer]] = defaultdict(deque)
        self._turns: list[_Turn] = []
        self._lock = threading.Lock()

    def add_answer(self, path: str, reply: Reply, times: int | None) -> None:
        """Queue an answer for a path; it takes the place of an endless one."""
        with self._lock:
            answers = self._answers[path]
            if answers and answers[-1].times is None:
                answers.pop()
            answers.append(_Answer(reply, times))

    def add_fault(self, fault: Fault, path: str | None, times: int | None, after: int) -> None:
        """Queue a fault for a path, or for any."""
        with self._lock:
            # A cursor that repeats once only is an ordinary first page.
            endless = None if isinstance(fault, RepeatCursor) else times
            self._turns.append(_Turn(fault, path, endless, after))

    def take_answer(self, request: Request) -> Reply | None:
        """Return the canned answer to a request, None without one."""
        with self._lock:
            answers = self._answers.get(request.path)
            if not answers:
                return None
            answer = answers[0]
            if answer.times is not None:
                answer.times -= 1
                if answer.times <= 0:
                    answers.popleft()
            return answer.reply

    def take_fault(self, request: Request) -> Fault:
        """Return what goes wrong with a request: the first fault queued for it."""
        with self._lock:
            for turn in self._turns:
                if turn.path in (None, request.path):
                    return self._use(turn)
        return Fault()

    def _use(self, turn: _Turn) -> Fault:
        if turn.after > 0:
            turn.after -= 1
            return Fault()
        if turn.times is not None:
            turn.times -= 1
            if turn.times <= 0:
                self._turns.remove(turn)
        return turn.fault
