from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from retab_frames.flatten.columns import Column, build_column
from retab_frames.schemas.frames import BOOL, FLOAT64, INT64, STRING, TIME
from retab_frames.wire.misfits import Misfit


def column_of(kind: pa.DataType, values: Any, least: int | None = None) -> Column:
    return build_column(values, kind, "f", least=least)


NOON = datetime(2026, 5, 2, 12, tzinfo=UTC)
LOST = "null, kept in raw"

NO_TEXT = [
    (5, "5"),
    (1.5, "1.5"),
    (True, "True"),
    (["a"], "['a']"),
    ({"a": 1}, "{'a': 1}"),
    ({}, "{}"),
]


def test_texts_are_kept() -> None:
    values = ["", "a", None, "\x00", "e\u0301", "\u00e9", "a  b", "\u202e"]
    assert column_of(STRING, values).array.to_pylist() == values
    assert column_of(STRING, values).misfits == []


@pytest.mark.parametrize(("odd", "shown"), NO_TEXT)
def test_no_text(odd: object, shown: str) -> None:
    column = column_of(STRING, ["a", odd, None, "b"])
    assert column.array.to_pylist() == ["a", None, None, "b"]
    assert column.misfits == [Misfit(1, "f", "not text", shown, LOST)]


@pytest.mark.parametrize(
    ("odd", "shown"), [(0, "0"), (1, "1"), ("true", "true"), (1.0, "1.0"), ([], "[]"), ({}, "{}")]
)
def test_no_flag(odd: object, shown: str) -> None:
    column = column_of(BOOL, [True, odd, None, False])
    assert column.array.to_pylist() == [True, None, None, False]
    assert column.misfits == [Misfit(1, "f", "not true or false", shown, LOST)]


@pytest.mark.parametrize(
    ("value", "kept", "problem", "action"),
    [
        (0, 0, None, None),
        (2**63 - 1, 2**63 - 1, None, None),
        (2**53 + 1, 2**53 + 1, None, None),
        (4120.0, 4120, None, None),
        (-0.0, 0, None, None),
        (4120.4, 4120, "a fraction", "rounded to 4120"),
        (4120.6, 4121, "a fraction", "rounded to 4121"),
        (4120.5, 4120, "a fraction", "rounded to 4120"),
        (4121.5, 4122, "a fraction", "rounded to 4122"),
        (5e-324, 0, "a fraction", "rounded to 0"),
        (-1, None, "less than 0", LOST),
        (-0.4, None, "less than 0", LOST),
        (-(2**63), None, "less than 0", LOST),
        (2**63, None, "does not fit in 64 bits", LOST),
        (-(2**63) - 1, None, "does not fit in 64 bits", LOST),
        (10**400, None, "does not fit in 64 bits", LOST),
        (1e300, None, "does not fit in 64 bits", LOST),
        (float("inf"), None, "not finite", LOST),
        (float("nan"), None, "not finite", LOST),
        (True, None, "not a number", LOST),
        ("4120", None, "not a number", LOST),
        ([1], None, "not a number", LOST),
        ({"a": 1}, None, "not a number", LOST),
    ],
)
@pytest.mark.parametrize("others", [[], [1], [None, 7], [0.25]])
def test_whole(
    value: Any, kept: int | None, problem: str | None, action: str | None, others: list[Any]
) -> None:
    column = column_of(INT64, [value, *others], least=0)
    assert column.array.type == pa.int64()
    assert column.array.to_pylist() == [kept, *(None if o is None else int(o) for o in others)]
    mine = [(m.problem, m.action) for m in column.misfits if m.row == 0]
    assert mine == ([] if problem is None else [(problem, action)])


def test_wholes_without_a_least() -> None:
    assert column_of(INT64, [-1, -(2**63)]).array.to_pylist() == [-1, -(2**63)]
    assert column_of(INT64, [-1.5]).misfits == [
        Misfit(0, "f", "a fraction", "-1.5", "rounded to -2")
    ]


def test_long_value_is_cut_in_the_misfit() -> None:
    [misfit] = column_of(INT64, [10**1000]).misfits
    assert misfit.value is not None
    assert len(misfit.value) == 200
    assert misfit.value.startswith("1000")


@pytest.mark.parametrize(
    ("value", "kept", "problem"),
    [
        (0, 0.0, None),
        (0.25, 0.25, None),
        (-0.0, -0.0, None),
        (5e-324, 5e-324, None),
        (1.5, 1.5, None),
        (10**400, None, "too large for a double"),
        (True, None, "not a number"),
        ("0.5", None, "not a number"),
        ([], None, "not a number"),
    ],
)
def test_real(value: Any, kept: float | None, problem: str | None) -> None:
    column = column_of(FLOAT64, [value, None, 2])
    assert column.array.to_pylist() == [kept, None, 2.0]
    assert [m.problem for m in column.misfits] == ([] if problem is None else [problem])


@pytest.mark.parametrize("others", [[], ["soon"], [None]])
@pytest.mark.parametrize(
    "value",
    [
        "2026-05-02T12:00:00Z",
        "2026-05-02t12:00:00z",
        "2026-05-02 12:00:00Z",
        "2026-05-02T12:00:00.000Z",
        "2026-05-02T12:00:00.000000000Z",
        "2026-05-02T12:00:00+00:00",
        "2026-05-02T14:00:00+02:00",
        "2026-05-02T14:00:00+0200",
        "2026-05-02T06:30:00-05:30",
        "2026-05-03T11:59:00+23:59",
    ],
)
def test_time(value: str, others: list[str | None]) -> None:
    column = column_of(TIME, [value, *others])
    assert column.array.type == pa.timestamp("us", "UTC")
    assert column.array.to_pylist() == [NOON, *(None for _ in others)]
    assert [m for m in column.misfits if m.row == 0] == []


@pytest.mark.parametrize(
    ("value", "kept", "problem", "action"),
    [
        ("2026-05-02T12:00:00", NOON, "no time zone", "taken as UTC"),
        (
            "2026-05-02T12:00:00.123456789Z",
            NOON.replace(microsecond=123456),
            "more than 6 decimals",
            "cut to microseconds",
        ),
        ("2026-05-02", None, "not an RFC 3339 time", LOST),
        ("", None, "not an RFC 3339 time", LOST),
        ("soon", None, "not an RFC 3339 time", LOST),
        ("1777723200", None, "not an RFC 3339 time", LOST),
        (" 2026-05-02T12:00:00Z", None, "not an RFC 3339 time", LOST),
        ("2026-05-02T12:00:00Z ", None, "not an RFC 3339 time", LOST),
        ("10000-01-01T00:00:00Z", None, "not an RFC 3339 time", LOST),
        ("\u0662026-05-02T12:00:00Z", None, "not an RFC 3339 time", LOST),
        ("2026-02-30T12:00:00Z", None, "not a valid date or time", LOST),
        ("2026-12-31T23:59:60Z", None, "not a valid date or time", LOST),
        ("2026-05-02T24:00:00Z", None, "not a valid date or time", LOST),
        ("2026-05-02T12:00:00+24:00", None, "not a valid date or time", LOST),
        (1777723200, None, "not an RFC 3339 time", LOST),
        ([], None, "not an RFC 3339 time", LOST),
    ],
)
@pytest.mark.parametrize("others", [[], [None, "2026-05-02T12:00:00Z"]])
def test_odd_time(
    value: Any,
    kept: datetime | None,
    problem: str,
    action: str,
    others: list[str | None],
) -> None:
    column = column_of(TIME, [value, *others])
    assert column.array.to_pylist() == [kept, *([None, NOON] if others else [])]
    assert [(m.row, m.problem, m.action) for m in column.misfits] == [(0, problem, action)]


@pytest.mark.parametrize("value", ["9998-12-31T23:59:59.999999Z", "0002-01-01T00:00:00Z"])
def test_time_at_the_limit(value: str) -> None:
    column = column_of(TIME, [value])
    assert (column.array.to_pylist(), column.misfits) == ([datetime.fromisoformat(value)], [])


@pytest.mark.parametrize("others", [[], ["2026-05-02T12:00:00Z", None]])
@pytest.mark.parametrize(
    ("value", "year"),
    [
        ("0001-01-01T00:00:00Z", 1),
        ("0001-01-01T00:00:00.000000000Z", 1),
        ("0001-01-01T00:00:00", 1),
        ("9999-12-31T23:59:59.999999Z", 9999),
        ("9999-12-31T23:59:59.9999999Z", 9999),
        ("9999-01-01T00:00:00Z", 9999),
    ],
)
def test_time_that_stands_for_none(value: str, year: int, others: list[str | None]) -> None:
    column = column_of(TIME, [value, *others])
    problem = f"the year {year}, which stands for no time"
    assert column.misfits == [Misfit(0, "f", problem, value, LOST)]
    assert column.array.to_pylist() == [None, *([NOON, None] if others else [])]


@pytest.mark.parametrize("value", ["2026-05-02T12:00Z", "2026-05-02T12Z", "2026-05-02T14:00:00+02"])
def test_time_does_not_depend_on_the_other_rows(value: str) -> None:
    alone, beside = column_of(TIME, [value]), column_of(TIME, [value, "soon"])
    assert beside.array[0] == alone.array[0]
    assert [m for m in beside.misfits if m.row == 0] == alone.misfits


@pytest.mark.parametrize(
    "value",
    ["0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"],
)
def test_time_beyond_the_calendar_of_python(value: str) -> None:
    column = column_of(TIME, [value, "2026-05-02T12:00:00Z"])
    assert column.misfits == [Misfit(0, "f", "not a valid date or time", value, LOST)]
    assert column.array.to_pylist() == [None, NOON]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.timestamp("us", "UTC")]
)
@pytest.mark.parametrize("length", [0, 3])
def test_nulls_have_the_type(kind: pa.DataType, length: int) -> None:
    column = column_of(kind, [None] * length, least=0)
    assert column.array.type == kind
    assert column.array.to_pylist() == [None] * length
    assert column.misfits == []


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (pa.string(), "a", "a"),
        (pa.int64(), 3, 3),
        (pa.float64(), 3, 3.0),
        (pa.bool_(), False, False),
        (pa.timestamp("us", "UTC"), "2026-05-02T12:00:00Z", NOON),
    ],
)
def test_fit_by_type(kind: pa.DataType, value: object, expected: object) -> None:
    assert column_of(kind, [value]).array.to_pylist() == [expected]
