"""Pages: followed to their end, and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from retab_frames.errors import PaginationError
from retab_frames.flatten.runs import expected_jobs
from retab_frames.text.messages import printable
from retab_frames.wire import envelopes as responses
from retab_frames.wire import json_text
from retab_frames.wire.records import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from retab_frames.api.transport import HttpResponse
    from retab_frames.flatten.runs import Record

__all__ = ["check_count", "follow"]


class _Identified(msgspec.Struct):
    """A row of which only the id matters."""

    id: msgspec.Raw = MISSING


Page = TypeVar("Page", responses.RowsResponse, responses.RecordsResponse)

MOST_PAGES = 100_000
MOST_EMPTY_PAGES = 3


def follow(
    get: Callable[..., tuple[Any, HttpResponse]],
    segments: Sequence[str],
    query: Mapping[str, str],
    read: Callable[[bytes], Page],
) -> tuple[list[Page], datetime]:
    """Return all the pages of a listing, and when the first arrived.

    Raises:
        PaginationError: If the pages do not end.
    """
    pages: list[Page] = []
    cursors: set[str] = set()
    after, arrived, empty = None, None, 0
    while True:
        page, answer = get(segments, {**query, "after": after}, read)
        pages.append(page)
        arrived = arrived or answer.arrived
        after = page.after
        if not after:
            return pages, arrived
        empty = empty + 1 if page.is_empty else 0
        if after in cursors or empty > MOST_EMPTY_PAGES or len(pages) >= MOST_PAGES:
            raise PaginationError(
                f"GET /v1/{'/'.join(segments)}: page {len(pages)} "
                + ("repeats a cursor" if after in cursors else "leads to no end of pages")
                + "; nothing was kept, try again",
                path="/v1/" + "/".join(segments),
            )
        cursors.add(after)


def check_count(payloads: Sequence[responses.RowsResponse], record: Record, run_id: str) -> None:
    """Compare the rows with the record of a run that has ended.

    Raises:
        PaginationError: If there are fewer rows than documents.
    """
    expected = expected_jobs(record)
    if expected is None:
        return
    # by id: pages that overlap bring a row twice, and may leave another out
    pages = (json_text.decode_json(each.array, list[_Identified], "the rows") for each in payloads)
    came = len({bytes(row.id) for page in pages for row in page})
    if came < expected:
        raise PaginationError(
            f"run {printable(run_id)} has {expected} documents, but the API gave {came} rows in "
            f"{len(payloads)} pages; nothing was kept, try again",
            path="/v1/workflows/experiments/results",
        )
