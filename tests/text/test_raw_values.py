from __future__ import annotations

import csv
import io
import json
import sys
from datetime import time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from retab_frames.text.raw_values import render_csv, render_json

WHEN = pd.Timestamp("2026-09-01T07:24:55.000001Z")
LONG = "9" * 38


def type_of(value: Any) -> Any:
    if isinstance(value, int) and value > 2**63:
        return pa.uint64()
    if isinstance(value, pd.Timestamp) and value.nanosecond:
        return pa.timestamp("ns")
    return pa.scalar(value).type


@pytest.mark.parametrize(
    ("value", "in_json", "in_csv"),
    [
        (1 / 3, 1 / 3, "0.3333333333333333"),
        (1e-12, 1e-12, "1e-12"),
        (5e-324, 5e-324, "5e-324"),
        (sys.float_info.max, sys.float_info.max, repr(sys.float_info.max)),
        (float("inf"), float("inf"), "inf"),
        (-float("inf"), -float("inf"), "-inf"),
        (2**53 + 1, 2**53 + 1, str(2**53 + 1)),
        (-(2**63), -(2**63), str(-(2**63))),
        (2**64 - 1, 2**64 - 1, str(2**64 - 1)),
        (True, True, "True"),
        (Decimal("0.10"), Decimal("0.10"), "0.10"),
        (Decimal(LONG), Decimal(LONG), LONG),
        (WHEN, "2026-09-01T07:24:55.000001+00:00", "2026-09-01T07:24:55.000001+00:00"),
        (pd.Timestamp("2026-09-01"), "2026-09-01T00:00:00.000000", "2026-09-01T00:00:00.000000"),
        (pd.Timestamp(1), "1970-01-01T00:00:00.000000001", "1970-01-01T00:00:00.000000001"),
        (pd.Timedelta("1 day 1 us"), "P1DT0H0M0.000001S", "P1DT0H0M0.000001S"),
        (time(12, 0, 0, 123456), "12:00:00.123456", "12:00:00.123456"),
        ("é\u2028\x1b\x7f", "é\u2028\x1b\x7f", "é\u2028\x1b\x7f"),
    ],
)
def test_values_are_exact(value: Any, in_json: Any, in_csv: str) -> None:
    dtype: Any = pd.ArrowDtype(type_of(value))
    frame = pd.DataFrame({"x": pd.array([value, None], dtype=dtype)})

    text = render_json(frame)
    number = Decimal if isinstance(value, Decimal) else float
    assert json.loads(text, parse_float=number) == [{"x": in_json}, {"x": None}]
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    assert list(csv.reader(io.StringIO(render_csv(frame), newline=""))) == [["x"], [in_csv], [""]]


@pytest.mark.parametrize("dtype", ["float64", "Float64", "float64[pyarrow]"])
def test_not_a_number_is_null(dtype: Any) -> None:
    frame = pd.DataFrame({"x": pd.array([1.5, np.nan], dtype=dtype)})
    assert json.loads(render_json(frame)) == [{"x": 1.5}, {"x": None}]
    assert len(render_csv(frame).splitlines()) == 3


@pytest.mark.parametrize("dtype", ["boolean", "Int64"])
def test_masked_values_are_those_of_json(dtype: Any) -> None:
    frame = pd.DataFrame({"x": pd.array([1, None], dtype=dtype)})
    assert json.loads(render_json(frame)) == [{"x": 1}, {"x": None}]
    assert type(json.loads(render_json(frame))[0]["x"]) is (bool if dtype == "boolean" else int)


def test_rows_stand_line_by_line() -> None:
    frame = pd.DataFrame({"a": [1, 2], 'b"': ["x", "y"]})
    assert render_json(frame) == json.dumps(frame.to_dict("records"), indent=2)


@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame({"a": []})])
def test_no_rows(frame: pd.DataFrame) -> None:
    assert render_json(frame) == "[]"
