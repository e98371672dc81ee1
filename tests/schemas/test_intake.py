from __future__ import annotations

import warnings
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dask.dataframe as dd
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from factories import DOCUMENTED, FLAG, REAL, TEXT, TIME, WHOLE, jobs_of
from hypothesis import given, strategies as st
from pandas.testing import assert_frame_equal

import retab_frames as rf
from retab_frames.schemas import models
from retab_frames.schemas.frames import BOOL, FLOAT64, INT64, STRING
from retab_frames.schemas.intake import check_columns, take_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MICROS = pa.timestamp("us", tz="UTC")
NOON = datetime(2026, 5, 2, 12, tzinfo=UTC)
TOKYO = timezone(timedelta(hours=9))
DTYPES = {STRING: TEXT, INT64: WHOLE, FLOAT64: REAL, BOOL: FLAG, MICROS: TIME}
COLUMNS: dict[Any, tuple[str, Any]] = {
    STRING: ("filename", models.JobsSchema),
    INT64: ("duration_ms", models.JobsSchema),
    FLOAT64: ("score", models.RunsSchema),
    BOOL: ("is_stale", models.ExperimentsSchema),
    MICROS: ("created_at", models.JobsSchema),
}
"""A column of each type that may be null."""


def arrow_backed(values: Iterable[Any], kind: pa.DataType) -> Any:
    return pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array([*values], kind)]))


def take(values: Any, kind: pa.DataType) -> pd.Series[Any]:
    """Return what the door makes of a column of this type."""
    name, model = COLUMNS[kind]
    frame = pd.DataFrame({name: values})
    return take_columns(frame, [name], reader="slowest", model=model)[name]


def refuse(values: Any, kind: pa.DataType) -> str:
    """Return the message with which the door refuses a column of this type."""
    with pytest.raises(ValueError, match="this is not a jobs frame: its column") as caught:
        take(values, kind)
    message = str(caught.value)
    name, _ = COLUMNS[kind]
    start = f"this is not a jobs frame: its column {name} does not fit {kind}: "
    assert message.startswith(start)
    return message.removeprefix(start)


TEXTS = ["007", None, "e\u0301"]
TEXT_FORMS = [
    np.array(TEXTS, dtype=object),
    ["007", np.nan, "e\u0301"],
    ["007", "", "e\u0301"],
    pd.array(TEXTS, "string"),
    pd.Series(TEXTS),
    pd.array(TEXTS, pd.StringDtype("python")),
    pd.array(TEXTS, pd.StringDtype("pyarrow")),
    pd.Categorical(TEXTS),
    pd.Categorical(TEXTS, categories=["unused", "e\u0301", "007"]),
    pd.Categorical(pd.array(TEXTS, "string")),
    arrow_backed(TEXTS, pa.string()),
    arrow_backed(TEXTS, pa.large_string()),
    arrow_backed(TEXTS, pa.dictionary(pa.int8(), pa.string())),
    pd.arrays.ArrowExtensionArray(pa.array(TEXTS, pa.large_string()).dictionary_encode()),
    arrow_backed(TEXTS, pa.string_view()),
    np.array([np.str_("007"), None, "e\u0301"], dtype=object),
]
WHOLES = [4120, None, 0]
WHOLE_FORMS = [
    [4120, None, 0],
    np.array([4120, None, 0], dtype=object),
    np.array([4120, np.nan, 0.0]),
    np.array([np.float32(4120), pd.NA, np.int8(0)], dtype=object),
    pd.array(WHOLES, "Int64"),
    pd.array(WHOLES, "UInt16"),
    pd.array(WHOLES, "Float64"),
    pd.Categorical(WHOLES),
    arrow_backed(WHOLES, pa.int32()),
    arrow_backed(WHOLES, pa.uint64()),
    arrow_backed(WHOLES, pa.float32()),
    arrow_backed([4120.0, float("nan"), -0.0], pa.float64()),
    arrow_backed([Decimal(4120), None, Decimal(0)], pa.decimal128(10, 2)),
    np.array([Decimal("4120.0"), None, Decimal(0)], dtype=object),
    ["4120", None, "0"],
    ["4120", "", "0"],
    ["4120.0", "", "0.00"],
    ["4.12e3", None, "0E5"],
    [" 4120 ", None, "+0"],
    pd.Categorical(["4120", None, "0"]),
    pd.array(["4120.0", None, "-0"], "string"),
]
FLAGS = [True, None, False]
FLAG_FORMS = [
    np.array(FLAGS, dtype=object),
    np.array([np.True_, None, np.False_], dtype=object),
    pd.array(FLAGS, "boolean"),
    pd.Categorical(FLAGS),
    [1, None, 0],
    np.array([1.0, np.nan, 0.0]),
    np.array([1, None, 0.0], dtype=object),
    np.array([Decimal(1), None, Decimal(0)], dtype=object),
    arrow_backed([1, None, 0], pa.uint8()),
    pd.array([1, None, 0], "Int8"),
    ["True", None, "False"],
    ["true", "", "FALSE"],
    ["1", None, "0"],
    pd.Categorical(["true", None, "false"], categories=["false", "maybe", "true"]),
]
REALS = [0.25, None, 2.0]
REAL_FORMS = [
    REALS,
    np.array(REALS, dtype=object),
    pd.array(REALS, "Float32"),
    ["0.25", "", "2"],
    ["2.5e-1", None, "2."],
    np.array([Decimal("0.25"), None, 2], dtype=object),
    arrow_backed([Decimal("0.25"), None, Decimal(2)], pa.decimal128(10, 2)),
]
TIMES: list[Any] = [NOON, None, NOON + timedelta(microseconds=1)]
TIME_FORMS = [
    TIMES,
    np.array(TIMES, dtype=object),
    np.array([NOON.astimezone(TOKYO), pd.NaT, pd.Timestamp(TIMES[2])], dtype=object),
    pd.to_datetime(TIMES, utc=True),
    pd.to_datetime(TIMES, utc=True).tz_convert("Asia/Tokyo").as_unit("ns"),
    pd.Categorical(TIMES),
    arrow_backed(TIMES, pa.timestamp("ns", "UTC")),
    arrow_backed(TIMES, pa.timestamp("us", "America/New_York")),
    pd.array([pd.Timestamp(NOON), None, pd.Timestamp("2026-05-02T12:00:00.000001999Z")]),
    ["2026-05-02T12:00:00Z", None, "2026-05-02T12:00:00.000001Z"],
    ["2026-05-02 12:00:00+00:00", "", "2026-05-02 12:00:00.000001+00:00"],
    ["2026-05-02 12:00:00+00", "", "2026-05-02 14:00:00.000001+02"],
    ["2026-05-02t12:00:00z", None, "2026-05-02T12:00:00.000001999Z"],
    ["2026-05-02T21:00:00+09:00", None, "2026-05-02T06:30:00.000001-05:30"],
    pd.Categorical(["2026-05-02T12:00:00Z", None, "2026-05-02T12:00:00.000001Z"]),
]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (values, kind, expected)
        for forms, kind, expected in (
            (TEXT_FORMS, STRING, TEXTS),
            (WHOLE_FORMS, INT64, WHOLES),
            (FLAG_FORMS, BOOL, FLAGS),
            (REAL_FORMS, FLOAT64, REALS),
            (TIME_FORMS, MICROS, TIMES),
        )
        for values in forms
    ],
)
def test_a_column_gets_its_type_whatever_it_is_stored_as(
    values: Any, kind: pa.DataType, expected: list[Any]
) -> None:
    found = take(values, kind)
    assert found.dtype == DTYPES[kind]
    assert pa.array(found).to_pylist() == expected


NULLS = [
    [None] * 2,
    np.array([None, None], dtype=object),
    np.array([np.nan, np.nan]),
    np.array(["NaT", "NaT"], dtype="datetime64[ns]"),
    ["", ""],
    pd.array([None, None], "Int64"),
    pd.array([None, None], "boolean"),
    pd.array([None, None], "string"),
    pd.Categorical([None, None]),
    pd.Categorical([None, None], categories=["a"]),
    arrow_backed([None, None], pa.null()),
    arrow_backed([None, None], pa.binary()),
]


@pytest.mark.parametrize("kind", COLUMNS, ids=str)
@pytest.mark.parametrize("values", NULLS)
def test_a_column_of_nulls_fits_every_type(values: Any, kind: pa.DataType) -> None:
    found = take(values, kind)
    assert found.dtype == DTYPES[kind]
    assert found.isna().tolist() == [True, True]
    assert take(values[:0], kind).dtype == DTYPES[kind]


def test_text_is_no_number() -> None:
    advice = "read it as text, for example pd.read_csv(..., dtype={'filename': str})"
    for values in ([7, 8], [7.0, None], [True, False], pd.Categorical([7, 8])):
        message = refuse(values, STRING)
        assert message.startswith("the column is ")
        assert "may have dropped leading zeros" in message
        assert message.endswith(advice)
    mixed = refuse(np.array(["a", 7, None, True], dtype=object), STRING)
    assert mixed.startswith("row 1 is 7, row 3 is True: not text")
    assert mixed.endswith(advice)
    assert refuse(np.array([b"a"], dtype=object), STRING) == "row 0 is b'a': not text"
    assert refuse([["a"], {}], STRING) == "row 0 is ['a'], row 1 is {}: not text"
    assert refuse(pd.Series(["\udce9"], dtype=object), STRING) == "row 0 is \\udce9: not text"
    assert refuse(pd.to_datetime([NOON]), STRING).endswith(": not text")


def test_unused_categories_are_not_looked_at() -> None:
    used = pd.Categorical(["7", None], categories=["soon", "7", "later"])
    assert take(used, INT64).tolist() == [7, pd.NA]
    unfit = pd.Categorical(["7", "later", None, "later"], categories=["soon", "7", "later"])
    assert refuse(unfit, INT64) == "row 1 is later, row 3 is later: not a number"
    assert refuse(pd.Categorical([7, None]), STRING).startswith("the column is int64: not text")


LOST = "a floating-point number so large that digits may be lost"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (1.5, "not a whole number"),
        (5e-324, "not a whole number"),
        (2.0**53, LOST),
        (-(2.0**60), LOST),
        (np.float32(2**24), LOST),
        (1e300, "beyond 64 bits"),
        (float("inf"), "beyond 64 bits"),
        (2**63, "beyond 64 bits"),
        (Decimal("0.1"), "not a whole number"),
        (Decimal(10) ** 30, "beyond 64 bits"),
        ("1.5", "not a whole number"),
        ("9007199254740993.0", LOST),
        ("9.1e15", LOST),
        ("1e999999999", "beyond 64 bits"),
        ("1e99999999999999999999", "beyond 64 bits"),
        ("9223372036854775808", "beyond 64 bits"),
        ("soon", "not a number"),
        ("1,000", "not a number"),
        ("0x1F", "not a number"),
        ("1_000", "not a number"),
        ("\u0661", "not a number"),
        ("nan", "not a number"),
        ("True", "not a number"),
        (True, "not a number"),
        (timedelta(seconds=1), "not a number"),
        ([1], "not a number"),
    ],
)
@pytest.mark.parametrize("beside", [[], [None, 7]])
def test_whole_numbers_keep_every_digit_or_are_refused(
    value: Any, problem: str, beside: list[Any]
) -> None:
    message = refuse(pd.Series([value, *beside], dtype=object), INT64)
    assert message.startswith("row 0 is ")
    assert message.partition(": ")[2].partition(";")[0] == problem


@pytest.mark.parametrize(
    "values",
    [
        np.array([2.0**53, 1.0]),
        np.array([2**24, 1], dtype=np.float32),
        np.array([2**11, 1], dtype=np.float16),
        arrow_backed([2.0**53, 1.0], pa.float64()),
        arrow_backed([2.0**24, 1.0], pa.float32()),
        pd.array([2.0**53, 1.0], "Float64"),
    ],
)
def test_large_floats_are_refused_as_a_column_too(values: Any) -> None:
    message = refuse(values, INT64)
    assert message.startswith("row 0 is ")
    assert message.endswith(
        "read it as whole numbers, for example pd.read_csv(..., dtype={'duration_ms': 'Int64'})"
    )


@given(st.integers(0, 2**63 - 1))
def test_every_whole_number_comes_back_from_text_and_objects(number: int) -> None:
    for values in ([str(number)], [number, None], [str(number), "x"][:1], [Decimal(number)]):
        found = take(pd.Series(values, dtype=object), INT64)
        assert found.tolist()[0] == number
    real = float(number)
    if number < 2**53:
        assert take([real], INT64).tolist() == [number]
        assert take([repr(real)], INT64).tolist() == [number]


def test_numbers_below_the_least_are_refused() -> None:
    assert refuse([5, -7], INT64) == "row 1 is -7: less than 0"


@pytest.mark.parametrize("values", [[2, 1], [0.5, 1.0], ["yes", "true"], ["", "1.5"], [NOON, NOON]])
def test_what_is_neither_true_nor_false(values: Any) -> None:
    assert refuse(values, BOOL).endswith(": neither true nor false")


@pytest.mark.parametrize("values", [["x", "1"], [True, False], [NOON, NOON], [[1], 2]])
def test_what_is_no_real_number(values: Any) -> None:
    assert refuse(values, FLOAT64).endswith(": not a number")


LOCALIZE = "frame['created_at'] = frame['created_at'].dt.tz_localize('UTC')"


@pytest.mark.parametrize(
    "values",
    [
        np.array(["2026-05-02T12:00:00"], dtype="datetime64[us]"),
        arrow_backed([datetime(2026, 5, 2, 12)], pa.timestamp("us")),  # noqa: DTZ001 - naive
        np.array([datetime(2026, 5, 2, 12), NOON], dtype=object),  # noqa: DTZ001
        np.array([NOON, pd.Timestamp("2026-05-02T12:00:00")], dtype=object),
        np.array([np.datetime64("2026-05-02T12:00:00")], dtype=object),
        np.array([date(2026, 5, 2)], dtype=object),
    ],
)
def test_times_without_a_zone_are_refused(values: Any) -> None:
    assert refuse(values, MICROS).endswith(f"without a time zone; if it is UTC, say so: {LOCALIZE}")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["2026-05-02T12:00:00"], "row 0 is 2026-05-02T12:00:00: without a time zone; if it"),
        (["2026-05-02T12:00:00Z", "2026-05-02"], "row 1 is 2026-05-02: without a time zone; if it"),
        ([1777723200000], "the column is int64: a number, and not said of which unit; for milli"),
        ([1777723200.0, None], "the column is float64: a number, and not said of which unit;"),
        (["1777723200000"], "row 0 is 1777723200000: a number, and not said of which unit; for"),
        (np.array([NOON, 5], dtype=object), "row 1 is 5: a number, and not said of which unit"),
        (["soon"], "row 0 is soon: not a time; give ISO 8601, such as 2026-09-29T08:30:00Z"),
        (["2026-02-30T12:00:00Z"], "row 0 is 2026-02-30T12:00:00Z: not a time"),
        ([True], "the column is bool: not a time"),
        (np.array([NOON, True], dtype=object), "row 1 is True: not a time"),
        (arrow_backed([2**60], MICROS), "row 0 is 1152921504606846976 µs since 1970: beyond"),
        (arrow_backed([2**60], pa.timestamp("s", "UTC")), "the column is timestamp"),
    ],
)
def test_what_is_no_time(values: Any, message: str) -> None:
    assert refuse(values, MICROS).startswith(message)


NO_TIMES = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2026-05-02T12:00:00Z"]


@pytest.mark.parametrize(
    "values",
    [
        NO_TIMES,
        [*NO_TIMES[:2], "2026-05-02t12:00:00z"],
        np.array([*map(datetime.fromisoformat, NO_TIMES)], dtype=object),
        arrow_backed(map(datetime.fromisoformat, NO_TIMES), MICROS),
        arrow_backed(map(datetime.fromisoformat, NO_TIMES), pa.timestamp("us", "+09:00")),
    ],
)
def test_times_that_stand_for_none_are_null(values: Any) -> None:
    assert pa.array(take(values, MICROS)).to_pylist() == [None, None, NOON]


# Frames


def jobs() -> pd.DataFrame:
    return jobs_of([1, 2, 3])


NEEDED = ("job_id", "status", "duration_ms", "created_at")


def test_a_frame_with_its_types_is_returned_itself() -> None:
    frame = jobs()
    assert take_columns(frame, NEEDED, reader="slowest") is frame


def test_only_the_columns_that_are_read_are_looked_at() -> None:
    frame = jobs().assign(
        duration_ms=["1", "2", "3"], attempt="?", mine=pd.Series([{}, [], 1], dtype=object)
    )
    found = take_columns(frame, ("duration_ms",), reader="slowest", optional=("filename", "nope"))

    assert found["duration_ms"].tolist() == [1, 2, 3]
    assert found.columns.equals(frame.columns)
    assert_frame_equal(found.drop(columns="duration_ms"), frame.drop(columns="duration_ms"))
    assert frame["duration_ms"].tolist() == ["1", "2", "3"]
    with pytest.raises(ValueError, match=r"its column attempt does not fit int64: expjob_1 is \?"):
        take_columns(frame, ("duration_ms",), reader="slowest", optional=("attempt",))


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([7, 7, 7]),
        pd.Index(["b", "a", "c"], name="job_id"),
        pd.MultiIndex.from_arrays([[1, 1, 2], [0, 0, 0]], names=["status", None]),
    ],
)
def test_rows_and_index_stay(index: pd.Index) -> None:
    frame = jobs().astype({"duration_ms": object, "status": object}).set_axis(index, axis=0)
    found = take_columns(frame, NEEDED, reader="slowest")

    assert found.index.equals(index)
    assert found.index.names == index.names
    assert found["duration_ms"].tolist() == [1, 2, 3]
    assert found["status"].dtype == TEXT


def test_a_value_is_named_by_its_job_its_column_and_what_to_do() -> None:
    frame = jobs().assign(duration_ms=[0.5, 2, 1.5], filename=[7, 8, 9]).iloc[::-1]
    message = (
        r"^baseline is not a jobs frame: its column duration_ms does not fit int64: "
        r"expjob_3 is 1\.5, expjob_1 is 0\.5: not a whole number$"
    )
    with pytest.raises(ValueError, match=message):
        take_columns(frame, NEEDED, reader="compare", called="baseline")
    many = pd.concat([jobs().assign(duration_ms="x")] * 4)
    with pytest.raises(
        ValueError, match=r"expjob_1 is x, expjob_2 is x, expjob_3 is x and 9 more:"
    ):
        take_columns(many, NEEDED, reader="slowest")


def test_no_message_has_what_a_terminal_would_obey() -> None:
    frame = jobs().assign(duration_ms=["\x1b[2J" + "x" * 500] * 3, job_id=["\x1b[2J", "b", "c"])
    with pytest.raises(ValueError, match="does not fit int64") as caught:
        take_columns(frame, ("duration_ms",), reader="slowest")
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["job_id", "document_id", "is_placeholder"])
def test_a_null_in_a_column_that_has_none_is_named(name: str) -> None:
    frame = jobs().astype({name: object})
    frame.loc[1, name] = None
    message = (
        f"its column {name} does not fit .*: {'row 1' if name == 'job_id' else 'expjob_2'} is null"
    )
    with pytest.raises(ValueError, match=message):
        take_columns(frame, (name,), reader="slowest")


def test_a_mistyped_column_is_reported_with_near_ones() -> None:
    message = (
        r"^this is not a jobs frame: it lacks the column status \(did you mean Status\?\); slowest"
    )
    with pytest.raises(ValueError, match=message):
        check_columns(jobs().rename(columns={"status": "Status"}), ["status"], reader="slowest")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: f.set_index("job_id"),
            r"lacks the column job_id \(it is a level of the index: .*",
        ),
        (lambda f: f.set_index("job_id"), r"give frame\.reset_index\(\)\)"),
        (
            lambda f: pd.concat([f, f[["status"]]], axis=1),
            "several of its columns are named status",
        ),
        (lambda f: pd.concat({"a": f}, axis=1), "the names of its columns have several levels"),
        (lambda f: f.T, "lacks the columns job_id, status"),
    ],
)
def test_columns_that_are_not_there_once(
    change: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    for read in (take_columns, check_columns):
        with pytest.raises(ValueError, match=message):
            read(change(jobs()), NEEDED, reader="slowest")


def test_other_columns_may_stand_twice() -> None:
    frame = pd.concat([jobs(), jobs()[["filename"]]], axis=1).astype({"duration_ms": object})
    assert take_columns(frame, NEEDED, reader="slowest")["duration_ms"].dtype == WHOLE


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (pl.from_pandas, r"not DataFrame of polars; make it one of pandas: \.to_pandas\(\)$"),
        (lambda f: pl.from_pandas(f).lazy(), r"not LazyFrame of polars; .*: \.collect\(\)\.to_p"),
        (pa.Table.from_pandas, r"not Table of pyarrow; make it one of pandas: \.to_pandas\(\)$"),
        (lambda f: dd.from_pandas(f, npartitions=1), r"not DataFrame of dask; .*: \.compute\(\)$"),
        (duckdb.from_df, r"not DuckDBPyRelation of duckdb; make it one of pandas: \.df\(\)$"),
        (lambda f: f["status"], "not Series$"),
        (lambda f: f.to_numpy(), "not ndarray of numpy$"),
        (lambda f: f.to_dict("list"), "not dict$"),
        (lambda f: [f], "not list$"),
        (lambda _: "jobs.parquet", "not str$"),
        (lambda _: None, "not NoneType$"),
        (lambda _: rf.read_content(DOCUMENTED), r"not RunContent; pass its \.jobs$"),
    ],
)
def test_what_is_no_frame_of_pandas(make: Callable[[Any], Any], message: str) -> None:
    with warnings.catch_warnings(action="ignore"):  # DuckDB on the newest pandas
        other = make(jobs()[["job_id", "status", "duration_ms"]])
    with pytest.raises(TypeError, match=f"^slowest takes a jobs frame, {message}"):
        take_columns(other, NEEDED, reader="slowest")


def test_a_frame_that_allows_no_label_twice_gives_results_that_may() -> None:
    jobs = jobs_of([1, 2], run_id=pd.Series(["a", "a"]))
    flagged = jobs.set_flags(allows_duplicate_labels=False)
    assert_frame_equal(rf.failures(flagged, by="run_id"), rf.failures(jobs, by="run_id"))
    assert_frame_equal(rf.duration_stats(flagged), rf.duration_stats(jobs))
    assert not flagged.flags.allows_duplicate_labels


def test_a_type_of_which_arrow_takes_no_rows_is_none_of_a_moments_business() -> None:
    jobs = jobs_of([1, None], status=pd.Series(["completed", "running"]))
    views = jobs.assign(run_id=jobs["run_id"].astype(pd.ArrowDtype(pa.string_view())))
    settings: Any = {"by": "run_id", "unfinished": "censor", "as_of": "2026-12-01T00:00:00Z"}
    assert_frame_equal(rf.duration_stats(views, **settings), rf.duration_stats(jobs, **settings))
