"""Query parameters as the API reads them, with its own words of refusal."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from retab_frames.sandbox.exchange import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Names: TypeAlias = dict[str, str]
Handler: TypeAlias = "Callable[[Names, Query], object]"
Route: TypeAlias = "tuple[str, Handler]"
T = TypeVar("T")

MAX_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Query:
    """The query parameters of one request, each with all its values."""

    values: Mapping[str, Sequence[str]]

    def text(self, name: str) -> str | None:
        """Return the last value of a parameter, None without one."""
        values = self.values.get(name)
        return values[-1] if values and values[-1] else None

    def required(self, name: str) -> str:
        """Return the value of a parameter that must be there."""
        value = self.text(name)
        if value is None:
            raise invalid(name, "missing", "Field required", None)
        return value

    def choice(self, name: str, choices: Sequence[str], default: str | None) -> str | None:
        """Return a value that must be one of the choices."""
        value = self.text(name)
        if value is not None and value not in choices:
            expected = " or ".join(f"'{choice}'" for choice in choices)
            raise invalid(name, "enum", f"Input should be {expected}", value)
        return default if value is None else value

    def limit(self, default: int) -> int:
        """Return the size of a page, from 1 to 100."""
        value = self.text("limit")
        if value is None:
            return default
        try:
            number = int(value)
        except ValueError:
            message = "Input should be a valid integer, unable to parse string as an integer"
            raise invalid("limit", "int_parsing", message, value) from None
        if number < 1:
            message = "Input should be greater than or equal to 1"
            raise invalid("limit", "greater_than_equal", message, value)
        if number > MAX_LIMIT:
            message = f"Input should be less than or equal to {MAX_LIMIT}"
            raise invalid("limit", "less_than_equal", message, value)
        return number


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows and the cursors to the pages on either side."""

    rows: Sequence[T]
    before: str | None
    after: str | None


def keyset_page(rows: Sequence[tuple[str, T]], query: Query, *, default: int, most: int) -> Page[T]:
    """Return the page that a query asks for.

    Args:
        rows: All rows with their ids, oldest first.
        query: Its `before`, `after`, `limit` and `order` are read.
        default: The size of a page when the query has no limit.
        most: The size above which no page goes, whatever the limit.
    """
    size = min(query.limit(default), most)
    ordered = rows if query.choice("order", ("asc", "desc"), "desc") == "asc" else rows[::-1]
    before, after = query.text("before"), query.text("after")
    if before is not None and after is not None:
        message = "Value error, before and after are mutually exclusive"
        raise invalid("before", "value_error", message, before)
    start, stop = 0, min(size, len(ordered))
    if after is not None:
        start = _position(ordered, "after", after) + 1
        stop = min(start + size, len(ordered))
    elif before is not None:
        stop = max(_position(ordered, "before", before), 0)
        start = max(stop - size, 0)
    return Page(
        rows=[row for _, row in ordered[start:stop]],
        before=ordered[start][0] if 0 < start < stop else None,
        after=ordered[stop - 1][0] if start < stop < len(ordered) else None,
    )


def invalid(name: str, kind: str, message: str, value: object) -> Refusal:
    """Return the 422 that FastAPI gives for a query parameter."""
    problem = {"type": kind, "loc": ["query", name], "msg": message, "input": value}
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, [problem])


def _position(rows: Sequence[tuple[str, T]], name: str, cursor: str) -> int:
    # What follows a tilde only makes a cursor new: faults.EmptyPageWithCursor
    # needs fresh cursors that point to an old place, "" being before the first.
    identifier = cursor.partition("~")[0]
    if not identifier:
        return -1
    for index, (known, _) in enumerate(rows):
        if known == identifier:
            return index
    raise invalid(name, "value_error", f"Value error, unknown cursor {cursor!r}", cursor)
