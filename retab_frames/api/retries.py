"""The retry policy: which failures are tried again, when, and how long a server may ask to wait."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import uniform
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retab_frames.errors import RetabFramesError

__all__ = [
    "MAX_RETRY_AFTER_S",
    "RETRIED_STATUSES",
    "AttemptError",
    "decide_retry",
    "parse_retry_after",
]

RETRIED_STATUSES = frozenset((408, 425, 429, *range(500, 600))) - {501, 505}
"""Failures that may pass; 501 and 505 say that the server cannot do what was asked."""
_FIRST_WAIT_S, _MAX_WAIT_S = 0.5, 8.0
"""Seconds between attempts, doubled each time and varied, unless the server says how long."""
MAX_RETRY_AFTER_S = 60.0
"""A request fails at once if the server asks to wait longer than this."""
_MAX_RETRY_AFTER_DIGITS = 10

_log = logging.getLogger(__name__)


class AttemptError(Exception):
    """An attempt at a request failed.

    Attributes:
        error: What to raise if it is not tried again.
        retry: Whether the failure may pass.
        wait_s: How many seconds the server asks to wait before the next attempt, if it says so.
        attempts: How many attempts were made.
        seconds_left: How long the request may still take.
    """

    def __init__(
        self, error: RetabFramesError, *, retry: bool, wait_s: float | None = None
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry = retry
        self.wait_s = wait_s
        self.attempts = 1
        self.seconds_left = 0.0


def decide_retry(error: Exception) -> bool | float:
    """Return after how many seconds stamina tries again; False if it does not.

    A wait beyond the deadline is not begun: the failure at hand says more than the deadline would.
    """
    if not isinstance(error, AttemptError) or not error.retry:
        return False
    wait_s = error.wait_s
    if wait_s is None:
        grown = _FIRST_WAIT_S * 2 ** (error.attempts - 1)
        wait_s = min(_MAX_WAIT_S, grown + uniform(0, _FIRST_WAIT_S))  # noqa: S311 - no secret
    if wait_s >= error.seconds_left:
        return False
    _log.info("trying again: %s", error)
    return wait_s


def parse_retry_after(text: str) -> float | None:
    """Return the seconds that a `Retry-After` header asks to wait; None if it is not valid."""
    text = text.strip()
    if text.isascii() and text.isdecimal() and len(text) < _MAX_RETRY_AFTER_DIGITS:
        return float(text)
    try:
        until = parsedate_to_datetime(text)
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
