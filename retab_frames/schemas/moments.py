"""Times as callers write them in arguments, always with a zone; and those that stand for none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd

from retab_frames.text.messages import printable

__all__ = ["CALENDAR", "EPOCH", "REAL_TIMES", "Moment", "count_microseconds", "parse_moment"]

Moment = datetime | str | None

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def count_microseconds(moment: datetime) -> int:
    """Return the whole microseconds from 1970 UTC to a time that has a zone."""
    return (moment - EPOCH) // timedelta(microseconds=1)


CALENDAR = range(
    count_microseconds(datetime.min.replace(tzinfo=UTC)),
    count_microseconds(datetime.max.replace(tzinfo=UTC)) + 1,
)
"""The microseconds since 1970 that Python has a date for; Arrow's calendar is longer."""
REAL_TIMES = range(
    count_microseconds(datetime(2, 1, 1, tzinfo=UTC)),
    count_microseconds(datetime(9999, 1, 1, tzinfo=UTC)),
)
"""All of them but the years 1 and 9999, in which programs put a time that they do not have.

The zero of a time in Go and in .NET is the first moment of year 1, "never" the last of year 9999.
"""


def parse_moment(value: Moment, name: str) -> datetime | None:
    """Return the time that an argument gives, with its time zone; None for None.

    A time without a zone is refused: it could be UTC or local time, and a guess would be wrong by
    hours without a message.

    Args:
        value: A datetime, a pandas Timestamp, or ISO 8601 text, with a time zone or an offset.
        name: The argument, as error messages call it.

    Raises:
        TypeError: If it is neither a datetime nor text.
        ValueError: If it is NaT or text that is not ISO 8601, or if it has no time zone.
    """
    if value is None:
        return None
    if not isinstance(value, datetime | str):
        raise TypeError(f"{name} takes a datetime or an ISO 8601 text, not {type(value).__name__}")
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if moment is None or pd.isna(moment):
        raise ValueError(
            f"{name} is not a valid time: {printable(str(value))}; give ISO 8601, such as "
            "2026-09-29T08:30:00Z"
        )
    if moment.utcoffset() is None:
        raise ValueError(
            f"{name} needs a time zone, {printable(str(value))} has none: for UTC give "
            f"'{moment.isoformat()}Z', for another zone its offset, such as +02:00"
        )
    return moment
