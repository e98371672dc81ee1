from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from retab_frames.schemas.moments import parse_moment

MOMENT = datetime(2026, 9, 29, 8, 30, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        MOMENT,
        MOMENT.astimezone(timezone(timedelta(hours=-3))),
        pd.Timestamp(MOMENT),
        pd.Timestamp(MOMENT).tz_convert("Asia/Tokyo"),
        "2026-09-29T08:30:00.000005Z",
        "2026-09-29T10:30:00.000005+02:00",
        "2026-09-29 08:30:00.000005+00:00",
        "20260929T083000.000005Z",
        str(pd.Timestamp(MOMENT)),
    ],
)
def test_a_time_with_a_zone(value: datetime | str) -> None:
    found = parse_moment(value, "since")

    assert found == MOMENT
    assert found is not None
    assert found.utcoffset() is not None


def test_none_is_no_limit() -> None:
    assert parse_moment(None, "since") is None


@given(st.datetimes(timezones=st.timezones() | st.just(UTC)))
def test_text_of_a_time_is_that_time(moment: datetime) -> None:
    """Law: a datetime and its ISO text are the same argument."""
    found = (parse_moment(moment.isoformat(), "since"), parse_moment(moment, "since"))
    # as a point in time: a local time that a clock change skips equals none but itself
    assert [None if one is None else one.timestamp() for one in found] == [moment.timestamp()] * 2


class NoOffset(tzinfo):
    """A time zone that does not know its offset, which Python calls naive too."""

    def utcoffset(self, _: datetime | None, /) -> None:
        return None

    dst = tzname = utcoffset


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (datetime(2026, 9, 29, 8, 30), "2026-09-29 08:30:00"),  # noqa: DTZ001
        (datetime(2026, 9, 29, 8, 30, tzinfo=NoOffset()), "2026-09-29 08:30:00"),
        (pd.Timestamp("2026-09-29 08:30"), "2026-09-29 08:30:00"),
        ("2026-09-29T08:30", "2026-09-29T08:30"),
    ],
)
def test_a_time_without_a_zone_is_refused(value: datetime | str, shown: str) -> None:
    with pytest.raises(ValueError, match="until needs a time zone") as caught:
        parse_moment(value, "until")
    assert str(caught.value) == (
        f"until needs a time zone, {shown} has none: for UTC give '2026-09-29T08:30:00Z', "
        "for another zone its offset, such as +02:00"
    )


def test_a_day_is_refused_with_its_first_moment() -> None:
    with pytest.raises(ValueError, match="for UTC give '2026-09-29T00:00:00Z'"):
        parse_moment("2026-09-29", "since")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (pd.NaT, "NaT"),
        ("NaT", "NaT"),
        ("None", "None"),
        ("", ""),
        ("yesterday", "yesterday"),
        ("2026-13-01T00:00:00Z", "2026-13-01T00:00:00Z"),
        ("\x1b[2J", r"\\x1b\[2J"),
    ],
)
def test_what_is_not_a_time(value: Any, shown: str) -> None:
    with pytest.raises(ValueError, match=f"^as_of is not a valid time: {shown}; give ISO 8601"):
        parse_moment(value, "as_of")


@pytest.mark.parametrize(
    "value", [5, 5.0, float("nan"), pd.NA, date(2026, 9, 29), np.datetime64("2026-09-29"), b"x"]
)
def test_a_value_of_another_type(value: Any) -> None:
    message = f"since takes a datetime or an ISO 8601 text, not {type(value).__name__}"
    with pytest.raises(TypeError, match=message):
        parse_moment(value, "since")
