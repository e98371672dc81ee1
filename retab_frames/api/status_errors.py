"""What an answer that is not 200 means: which error, in which words, and whether to try again."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from retab_frames.api.credentials import KEY_VARIABLE
from retab_frames.errors import (
    ApiStatusError,
    AuthError,
    NotFoundError,
    RateLimitError,
    RetabFramesError,
)
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FailedError", "status_failure"]

MAX_RETRY_AFTER_S = 60.0
RETRIED_STATUSES = frozenset((408, 425, 429, *range(500, 600))) - {501, 505}
"""Those that may pass; 501 and 505 say that the server cannot do what was asked."""
_REDIRECTS = range(300, 400)
_MANY_DIGITS = 10

ERRORS: dict[int, type[ApiStatusError]] = {
    401: AuthError,
    403: AuthError,
    404: NotFoundError,
    429: RateLimitError,
}
NEXT_STEPS = {
    401: f"check the key in {KEY_VARIABLE} or Client(api_key=...)",
    403: f"check the key in {KEY_VARIABLE} or Client(api_key=...)",
    404: "load_experiments and load_runs list what there is",
}


class FailedError(Exception):
    """One attempt failed; carries the error to raise, and whether and when to try again."""

    def __init__(
        self, error: RetabFramesError, *, retry: bool, wait_s: float | None = None
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry = retry
        self.wait_s = wait_s


def status_failure(
    path: str,
    status: tuple[int, str],
    headers: Mapping[str, str],
    body: str,
    *,
    masked: Callable[[str], str],
    left_s: float,
) -> FailedError:
    """Return what an error status means.

    Args:
        path: What was asked for.
        status: The code and the reason phrase.
        headers: Of the response, lower-case.
        body: The body as text.
        masked: Takes the secrets out of a text.
        left_s: How many seconds the request may still take; a longer wait is not waited for.
    """
    code, reason = status
    # before anything is cut off, and again after escapes have been decoded
    said = printable(masked(_detail(masked(body))), 200)
    parts = [f"GET {path}: {code} {printable(masked(reason))}".rstrip(), said]
    message = ": ".join(part for part in parts if part)
    if code in NEXT_STEPS:
        message += f"; {NEXT_STEPS[code]}"
    if code in _REDIRECTS:
        message += f"; redirects (here to {masked(_host(headers))}) are not followed: mend base_url"
    wait = _retry_after(headers.get("retry-after", "")) if code in RETRIED_STATUSES else None
    too_long = wait is not None and wait > min(MAX_RETRY_AFTER_S, left_s)
    if too_long:
        message += f"; the server asks to wait {wait:.0f} s: try again then"
    request_id = headers.get("x-request-id")
    error = ERRORS.get(code, ApiStatusError)(
        message,
        path=path,
        status_code=code,
        request_id=None if request_id is None else masked(request_id),
    )
    return FailedError(error, retry=code in RETRIED_STATUSES and not too_long, wait_s=wait)


def _host(headers: Mapping[str, str]) -> str:
    try:
        return printable(urlsplit(headers.get("location", "")).hostname or "itself")
    except ValueError:
        return "no URL"


def _detail(body: str) -> str:
    """Return what an error body says, in the forms that the API uses, or how it begins."""
    try:
        error = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return " ".join(body[:200].split())
    detail = error.get("detail", error) if isinstance(error, dict) else error
    if isinstance(detail, list):
        return "; ".join(_field_error(item) for item in detail if isinstance(item, dict))
    if isinstance(detail, dict):
        detail = detail.get("message") or detail.get("code")
    return detail if isinstance(detail, str) else ""


def _field_error(item: dict[str, object]) -> str:
    where = item.get("loc")
    path = ".".join(map(str, where)) if isinstance(where, list) else ""
    return f"{path}: {item.get('msg')}"


def _retry_after(text: str) -> float | None:
    """Return the seconds to wait; None where the header is missing or makes no sense."""
    text = text.strip()
    if text.isascii() and text.isdecimal() and len(text) < _MANY_DIGITS:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
