"""Pages of a listing, with cursors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from retab_frames.sandbox.parameters import make_parameter_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retab_frames.sandbox.parameters import QueryParameters

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and the cursors of the pages before and after; None where there is no page."""

    rows: Sequence[T]
    before: str | None
    after: str | None


def select_page(
    rows: Sequence[tuple[str, T]], query: QueryParameters, *, default: int, largest: int
) -> Page[T]:
    """Return the page that a query asks for.

    Args:
        rows: All rows with their ids, oldest first.
        query: Its `before`, `after`, `limit` and `order` are read.
        default: Rows per page when the query has no limit.
        largest: Rows per page at most, whatever the limit.
    """
    size = min(query.get_limit(default), largest)
    ordered = rows if query.get_choice("order", ("asc", "desc"), "desc") == "asc" else rows[::-1]
    before, after = query.get_text("before"), query.get_text("after")
    if before is not None and after is not None:
        message = "Value error, before and after are mutually exclusive"
        raise make_parameter_error("before", "value_error", message, before)
    start, stop = 0, min(size, len(ordered))
    if after is not None:
        start = _find_cursor(ordered, "after", after) + 1
        stop = min(start + size, len(ordered))
    elif before is not None:
        stop = max(_find_cursor(ordered, "before", before), 0)
        start = max(stop - size, 0)
    return Page(
        rows=[row for _, row in ordered[start:stop]],
        before=ordered[start][0] if 0 < start < stop else None,
        after=ordered[stop - 1][0] if start < stop < len(ordered) else None,
    )


def _find_cursor(rows: Sequence[tuple[str, T]], name: str, cursor: str) -> int:
    """Return the position of the row that a cursor names, -1 for before the first row."""
    # A cursor is a row id. faults.EmptyPageWithCursor adds "~1", "~2", ... to have cursors that
    # differ and name the same row, or no row.
    identifier = cursor.partition("~")[0]
    if not identifier:
        return -1
    for index, (row_id, _) in enumerate(rows):
        if row_id == identifier:
            return index
    raise make_parameter_error(
        name, "value_error", f"Value error, unknown cursor {cursor!r}", cursor
    )
