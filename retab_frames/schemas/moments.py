"""Times as callers write them in arguments: always with a time zone."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from retab_frames.text.messages import printable

__all__ = ["Moment", "parse_moment"]

Moment = datetime | str | None


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
