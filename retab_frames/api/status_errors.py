"""What a response with an error status means: the error and its message.

Whether it is tried again is decided in `retries`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from retab_frames.api.credentials import KEY_VARIABLE
from retab_frames.api.retries import (
    MAX_RETRY_AFTER_S,
    RETRIED_STATUSES,
    AttemptError,
    parse_retry_after,
)
from retab_frames.errors import ApiStatusError, AuthError, NotFoundError, RateLimitError
from retab_frames.text.messages import printable
from retab_frames.text.next_steps import LIST_EXISTING, NextStep
from retab_frames.wire.envelopes import error_detail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["build_status_error"]

_REDIRECTS = range(300, 400)

ERRORS: dict[int, type[ApiStatusError]] = {
    401: AuthError,
    403: AuthError,
    404: NotFoundError,
    429: RateLimitError,
}
_CHECK_KEY = NextStep(
    f"check the key in {KEY_VARIABLE} or Client(api_key=...)", f"check the key in {KEY_VARIABLE}"
)
NEXT_STEPS = {401: _CHECK_KEY, 403: _CHECK_KEY, 404: LIST_EXISTING}


def build_status_error(
    path: str,
    status: tuple[int, str],
    headers: Mapping[str, str],
    body: str,
    *,
    mask: Callable[[str], str],
    seconds_left: float,
) -> AttemptError:
    """Return what an error status means.

    Args:
        path: The path of the request.
        status: The code and the reason phrase.
        headers: Of the response, names in lower case.
        body: The body as text.
        mask: Takes the secrets out of a text.
        seconds_left: How long the request may still take; a longer wait is not waited for.
    """
    code, reason = status
    # masked before anything is cut off, and again after escapes have been decoded
    detail = printable(mask(error_detail(mask(body))), 200)
    parts = [f"GET {path}: {code} {printable(mask(reason))}".rstrip(), detail]
    message = ": ".join(part for part in parts if part)
    if code in _REDIRECTS:
        target = mask(_redirect_host(headers))
        message += f"; redirects (here to {target}) are not followed: correct the base URL"
    wait_s = None
    if code in RETRIED_STATUSES:
        wait_s = parse_retry_after(headers.get("retry-after", ""))
    too_long = wait_s is not None and wait_s > min(MAX_RETRY_AFTER_S, seconds_left)
    if too_long:
        message += f"; the server asks to wait {wait_s:.0f} s: try again then"
    request_id = headers.get("x-request-id")
    error = ERRORS.get(code, ApiStatusError)(
        message,
        path=path,
        status_code=code,
        request_id=None if request_id is None else mask(request_id),
    )
    if code in NEXT_STEPS:
        error.advise(NEXT_STEPS[code])
    return AttemptError(error, retry=code in RETRIED_STATUSES and not too_long, wait_s=wait_s)


def _redirect_host(headers: Mapping[str, str]) -> str:
    try:
        return printable(urlsplit(headers.get("location", "")).hostname or "the same host")
    except ValueError:
        return "an invalid URL"
