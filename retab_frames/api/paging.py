"""All pages of a listing, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from retab_frames.errors import PaginationError
from retab_frames.wire.envelopes import RecordsResponse, RowsResponse

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from retab_frames.api.routes import Route
    from retab_frames.api.transport import HttpResponse

__all__ = ["fetch_pages"]


Page = TypeVar("Page", RowsResponse, RecordsResponse)


def fetch_pages(
    get: Callable[..., tuple[Any, HttpResponse]],
    route: Route,
    decode: Callable[[bytes], Page],
    *,
    max_pages: int = 100_000,
    max_empty_pages: int = 3,
) -> tuple[list[Page], datetime]:
    """Return all pages of a listing, and when the first arrived (UTC).

    Args:
        get: `Transport.get`.
        route: The first page.
        decode: Makes a page of a body.
        max_pages: How many pages there may be.
        max_empty_pages: How many pages in a row may be empty and still have a cursor.

    Raises:
        PaginationError: If a cursor comes twice, or there are too many pages or empty pages.
        RequestError, MalformedResponseError: As `Transport.get`, for any of the pages.
    """
    pages: list[Page] = []
    cursors: set[str] = set()
    cursor, arrived, empty = None, None, 0
    while True:
        page, response = get(route.with_cursor(cursor), decode)
        pages.append(page)
        arrived = arrived or response.arrived
        cursor = page.after
        if not cursor:
            return pages, arrived
        empty = empty + 1 if page.is_empty else 0
        if cursor in cursors:
            problem = "repeats a cursor"
        elif empty > max_empty_pages:
            problem = f"is empty but has a cursor, like the {max_empty_pages} before it"
        elif len(pages) >= max_pages:
            problem = f"is not the last, and more than {max_pages:,} are not fetched"
        else:
            cursors.add(cursor)
            continue
        message = f"GET {route.path}: page {len(pages)} {problem}"
        raise PaginationError(f"{message}; all pages were discarded, try again", path=route.path)
