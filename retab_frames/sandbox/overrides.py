"""Responses and faults that a test has set in place of the correct responses."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retab_frames.sandbox.faults import Fault, RepeatCursor

if TYPE_CHECKING:
    from retab_frames.sandbox.messages import Request, Response


@dataclass(slots=True)
class _SetResponse:
    response: Response
    times: int | None


@dataclass(slots=True)
class _QueuedFault:
    fault: Fault
    path: str | None
    times: int | None
    after: int


class Overrides:
    """Responses by path and a queue of faults, used up as requests arrive."""

    def __init__(self) -> None:
        self._responses: defaultdict[str, deque[_SetResponse]] = defaultdict(deque)
        self._faults: list[_QueuedFault] = []
        self._lock = threading.Lock()

    def add_response(self, path: str, response: Response, times: int | None) -> None:
        """Queue a response for a path; it replaces one that was set for ever."""
        with self._lock:
            responses = self._responses[path]
            if responses and responses[-1].times is None:
                responses.pop()
            responses.append(_SetResponse(response, times))

    def add_fault(self, fault: Fault, path: str | None, times: int | None, after: int) -> None:
        """Queue a fault for a path, or for any."""
        with self._lock:
            # A cursor that repeats only once is an ordinary first page.
            times = None if isinstance(fault, RepeatCursor) else times
            self._faults.append(_QueuedFault(fault, path, times, after))

    def take_response(self, request: Request) -> Response | None:
        """Return the response that was set for a request, None if there is none."""
        with self._lock:
            responses = self._responses.get(request.path)
            if not responses:
                return None
            first = responses[0]
            if first.times is not None:
                first.times -= 1
                if first.times <= 0:
                    responses.popleft()
            return first.response

    def take_fault(self, request: Request) -> Fault:
        """Return the first fault that was queued for a request; without one, no fault."""
        with self._lock:
            for queued in self._faults:
                if queued.path in (None, request.path):
                    return self._use(queued)
        return Fault()

    def _use(self, queued: _QueuedFault) -> Fault:
        if queued.after > 0:
            queued.after -= 1
            return Fault()
        if queued.times is not None:
            queued.times -= 1
            if queued.times <= 0:
                self._faults.remove(queued)
        return queued.fault
