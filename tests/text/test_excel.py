from __future__ import annotations

import io
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest
from factories import arrow, texts, times
from openpyxl.utils.escape import unescape

from retab_frames.schemas.frames import BOOL, FLOAT64, INT64
from retab_frames.text.excel import Rendered, render_excel

LONGEST = 32_767


def read(rendered: Rendered, sheet: str = "a") -> Any:
    return openpyxl.load_workbook(io.BytesIO(rendered.data))[sheet]


def rows(rendered: Rendered, sheet: str = "a") -> list[tuple[Any, ...]]:
    found = list(read(rendered, sheet).iter_rows(values_only=True))
    return [tuple(unescape(v) if isinstance(v, str) else v for v in row) for row in found]


def render(**columns: Any) -> Rendered:
    return render_excel({"a": pd.DataFrame(columns)})


def test_each_type_is_one_of_excel() -> None:
    found = render(
        text=texts(None, "x"),
        whole=arrow([None, 7], INT64),
        real=arrow([None, 0.25], FLOAT64),
        flag=arrow([None, True], BOOL),
        at=times(None, 1_700_000_000_123_000),
    )

    assert rows(found) == [
        ("text", "whole", "real", "flag", "at"),
        (None, None, None, None, None),
        ("x", 7, 0.25, True, datetime(2023, 11, 14, 22, 13, 20, 123_000)),  # noqa: DTZ001 - naive
    ]
    assert read(found)["E3"].number_format == "yyyy-mm-dd hh:mm:ss.000"
    assert rows(found, "notes") == [("Times are in UTC.",)]


@pytest.mark.parametrize("backend", ["pyarrow", "numpy_nullable", "numpy"])
def test_the_storage_of_a_column_does_not_matter(backend: Any) -> None:
    frame = pd.DataFrame({"n": [1, 2], "x": [0.5, 1.5], "t": ["a", "b"], "f": [True, False]})
    frame["at"] = pd.to_datetime(["2026-01-02T03:04:05+02:00"] * 2, utc=True)
    frame = frame if backend == "numpy" else frame.convert_dtypes(dtype_backend=backend)

    moment = datetime(2026, 1, 2, 1, 4, 5)  # noqa: DTZ001 - Excel has no zones
    assert rows(render_excel({"a": frame}))[1:] == [
        (1, 0.5, "a", True, moment),
        (2, 1.5, "b", False, moment),
    ]


def test_milliseconds_have_seconds_beside_them() -> None:
    found = render(run_ms=arrow([1500, None], INT64), p50_ms=[0.5, 2], note_ms=texts("a", "b"))

    assert rows(found) == [
        ("run_ms", "run_s", "p50_ms", "p50_s", "note_ms"),
        (1500, 1.5, 0.5, 0.0005, "a"),
        (None, None, 2, 0.002, "b"),
    ]
    assert "_s has the milliseconds" in rows(found, "notes")[0][0]


def test_seconds_that_are_there_are_not_added() -> None:
    assert rows(render(run_ms=[1500], run_s=[9]))[0] == ("run_ms", "run_s")


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1", "-1", "@SUM(A1)", "{=1}", "=cmd|' /C calc'!A0", "http://a.b", "007", "1e5"),
        *(
            "true",
            "#N/A",
            " x ",
            "line\nline\r\n\ttab",
            "a\x00\x07\x1b[31mb",
            "\u202eabc",
            "🙂",
            "ä",
        ),
        *("<r><t>x</t></r>x", "&amp;<b>", "\ufffe\uffff", "internal:Sheet1!A1"),
    ],
)
def test_text_stays_the_text_that_it_is(text: str) -> None:
    found = render(t=[text])
    cell = read(found)["A2"]

    assert cell.data_type in {"s", "inlineStr"}
    assert rows(found)[1] == (text.replace("\r\n", "\n"),) or rows(found)[1] == (text,)
    assert cell.hyperlink is None
    assert found.changed == []


def test_what_looks_like_an_escape_stays() -> None:
    # openpyxl takes away one level of it
    assert read(render(t=["_x0041_"]))["A2"].value == "_x0041_"


def test_what_xlsxwriter_would_take_for_markup_is_told() -> None:
    found = render(t=["<r><t>x</t></r>"])

    assert rows(found)[1] == ("<r><t>x</t></r> ",)
    assert found.changed == ["a, row 2, t: a space was added at the end"]


def test_half_a_character_is_escaped() -> None:
    assert rows(render(t=pd.Series(["a\ud800"], dtype=object)))[1] == ("a\\ud800",)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (10**15, 10**15),
        (10**15 + 1, "1000000000000001"),
        (-(2**60) - 1, "-1152921504606846977"),
        (Decimal("12.50"), 12.5),
        (Decimal("0.1234567890123456789"), "0.1234567890123456789"),
        (float("inf"), "inf"),
        (-0.1, -0.1),
        (np.int64(5), 5),
        (np.bool_(True), True),  # noqa: FBT003 - a value
        (date(2026, 2, 3), datetime(2026, 2, 3)),  # noqa: DTZ001 - naive
        (datetime(1899, 12, 31), "1899-12-31 00:00:00"),  # noqa: DTZ001 - naive
        (
            datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2))),
            datetime(2025, 12, 31, 22),  # noqa: DTZ001 - naive
        ),
        (["a", 1], "['a', 1]"),
    ],
)
def test_what_excel_cannot_hold_as_a_number_or_a_time_is_text(value: Any, shown: object) -> None:
    assert rows(render(v=pd.Series([value], dtype=object)))[1] == (shown,)


@pytest.mark.parametrize("letter", ["x", "🙂"])
def test_text_that_is_too_long_is_cut_and_told(letter: str) -> None:
    units = len(letter.encode("utf-16-le")) // 2
    fits = letter * (LONGEST // units)
    found = render(t=[fits, fits + "abc"])

    assert rows(found)[1] == (fits,)
    [short] = rows(found)[2]
    assert short.endswith("…")
    assert LONGEST - units <= len(short.encode("utf-16-le")) // 2 <= LONGEST
    kept = f"{len(short) - 1:,}"
    assert found.changed == [f"a, row 3, t: cut from {len(fits) + 3:,} to {kept} characters"]
    assert rows(found, "notes") == [(found.changed[0],)]


def test_many_cuts_are_counted() -> None:
    found = render(t=["x" * 40_000] * 103)

    assert len(found.changed) == 103
    assert rows(found, "notes")[-1] == ("and 3 cells more",)


def test_a_frame_that_is_too_large_is_refused() -> None:
    long = pd.DataFrame({"a": np.zeros(1_048_576, dtype=np.int8)})
    wide = pd.DataFrame(np.zeros((1, 16_385)))

    with pytest.raises(ValueError, match="jobs has 1,048,576 rows, and a sheet of Excel at most"):
        render_excel({"jobs": long})
    with pytest.raises(ValueError, match="jobs has 16,385 columns"):
        render_excel({"jobs": wide})


@pytest.mark.parametrize("name", ["a/b", "x" * 32, "'a"])
def test_a_name_that_is_none_of_a_sheet(name: str) -> None:
    with pytest.raises(ValueError, match="a sheet cannot have this name"):
        render_excel({name: pd.DataFrame({"a": [1]})})


def test_two_sheets_of_one_name() -> None:
    with pytest.raises(ValueError, match="a sheet cannot have this name"):
        render_excel({"a": pd.DataFrame({"x": [1]}), "A": pd.DataFrame({"x": [1]})})


def test_the_header_stays_in_view_and_can_filter() -> None:
    sheet = read(render(a=texts("x"), b=texts("a long text that needs some width")))

    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:B2"
    assert sheet["A1"].font.bold
    assert 30 < sheet.column_dimensions["B"].width < 40
    assert read(render(a=texts("x" * 500))).column_dimensions["A"].width < 62


def test_an_index_that_says_something_is_a_column() -> None:
    frame = pd.DataFrame({"n": [1, 2]}, index=pd.Index(["a", "b"]))
    named = frame.set_axis([5, 6]).rename_axis("run")
    levels = pd.DataFrame({"n": [1]}, index=pd.MultiIndex.from_tuples([("a", 2)], names=["x", "y"]))

    assert rows(render_excel({"a": frame}))[:2] == [("index", "n"), ("a", 1)]
    assert rows(render_excel({"a": named}))[:2] == [("run", "n"), (5, 1)]
    assert rows(render_excel({"a": levels})) == [("x", "y", "n"), ("a", 2, 1)]
    assert rows(render_excel({"a": frame.set_axis([7, 9])}))[0] == ("n",)


def test_a_frame_without_rows_or_columns() -> None:
    assert rows(render_excel({"a": pd.DataFrame({"x": []})})) == [("x",)]
    assert rows(render_excel({"a": pd.DataFrame()})) == []


def test_columns_of_one_name_and_names_that_are_no_text() -> None:
    frame = pd.DataFrame([[1, 2, 3]], columns=["a", "a", 7])

    assert rows(render_excel({"a": frame})) == [("a", "a", "7"), (1, 2, 3)]


def test_equal_frames_give_equal_files() -> None:
    assert render(a=texts("x")).data == render(a=texts("x")).data
