# ruff: noqa: S608 - a test builds its own SQL
"""What a query gives for each type of DuckDB, and that it can be shown, sorted and written."""

from __future__ import annotations

import io
from datetime import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pytest
from factories import content, job

import retab_frames as rf
from retab_frames.store.scan.sql import query
from retab_frames.text import raw_values, tables

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:The default formatting of datetime")
JSON, TEXT, DURATION = "string[pyarrow]", "string[pyarrow]", "duration[us][pyarrow]"
TYPES: list[tuple[str, Any, str]] = [
    ("[1, 2]", "[1,2]", JSON),
    ("[1, 2]::int[2]", "[1,2]", JSON),
    ("map {'a': 1}", '{"a":1}', JSON),
    ("{'a': 1.5, 'b': [interval 1 day]}", '{"a":1.5,"b":["1 day"]}', JSON),
    ("{'a': 170141183460469231731687303715884105727}", f'{{"a":{2**127 - 1}}}', JSON),
    ("union_value(k := 1)", '{"k":1}', JSON),
    ("interval '2 days 3 hours -0.5 seconds'", pd.Timedelta("2 days 02:59:59.5"), DURATION),
    ("timestamptz '2026-01-02' - timestamptz '2026-01-01'", pd.Timedelta("1 day"), DURATION),
    ("null::interval", None, DURATION),
    ("interval '1 month 2 days'", "1 month 2 days", TEXT),
    ("interval '1000000000 days'", "1000000000 days", TEXT),
    ("1.50::decimal(18, 2)", Decimal("1.50"), "decimal128(18, 2)[pyarrow]"),
    ("1::hugeint", 1, "int64[pyarrow]"),
    ("10::hugeint ** 0", 1.0, "double[pyarrow]"),
    ("99999999999999999999::hugeint", 10**20 - 1, "decimal128(38, 0)[pyarrow]"),
    (f"({-(2**127) + 1})::hugeint", Decimal(1 - 2**127), "decimal256(76, 0)[pyarrow]"),
    (f"'{2**128 - 1}'::uhugeint", Decimal(2**128 - 1), "decimal256(76, 0)[pyarrow]"),
    ("18446744073709551615::ubigint", 2**64 - 1, "uint64[pyarrow]"),
    ("'11111111-2222-3333-4444-555555555555'::uuid", "11111111-2222-3333-4444-555555555555", TEXT),
    ("'b'::enum('a', 'b')", "b", TEXT),
    ("time '12:00:00.123456'", time(12, 0, 0, 123456), "time64[us][pyarrow]"),
    ("time '24:00:00'", "24:00:00", TEXT),
    ("timetz '12:00:00+02'", "12:00:00+02", TEXT),
    ("'101'::bit", "101", TEXT),
    (r"'\xAA'::blob", r"\xAA", TEXT),
    ("date '2026-01-31'", pd.Timestamp("2026-01-31"), "timestamp[us][pyarrow]"),
    ("date '0044-03-15 (BC)'", "0044-03-15 (BC)", TEXT),
    ("'infinity'::date", "infinity", TEXT),
    ("'9999-12-31 23:59:59.999999'::timestamp", pd.Timestamp("9999-12-31 23:59:59.999999"), ""),
    ("'290000-01-01'::timestamp", "290000-01-01 00:00:00", TEXT),
    ("'-infinity'::timestamptz", "-infinity", TEXT),
    ("'infinity'::timestamp_ns", "infinity", TEXT),
    ("'2026-01-01'::timestamp_s", pd.Timestamp("2026-01-01"), "timestamp[s][pyarrow]"),
    ("'2026-01-01'::timestamp_ms", pd.Timestamp("2026-01-01"), "timestamp[ms][pyarrow]"),
    ("'2026-01-01'::timestamp_ns", pd.Timestamp("2026-01-01"), "timestamp[ns][pyarrow]"),
    ("null", None, "int32[pyarrow]"),
]
NEWER = [
    ("'1'::bignum", 1, "int64[pyarrow]"),
    (f"'{10**76}'::bignum", str(10**76), TEXT),
    ("'12:00:00.123456789'::time_ns", "12:00:00.123456789", TEXT),
    ("{'a': [1]}::variant", '{"a":[1]}', JSON),
    ("row(1, 'x')", '[1,"x"]', JSON),
]
USES = {
    "repr": repr,
    "sort": lambda frame: frame.sort_values("x"),
    "csv": lambda frame: frame.to_csv(),
    "json": lambda frame: frame.to_json(),
    "json with ISO times": lambda frame: frame.to_json(date_format="iso"),
    "parquet": lambda frame: frame.to_parquet(io.BytesIO()),
    "terminal": tables.render_terminal,
    "the command's csv": raw_values.render_csv,
    "the command's json": raw_values.render_json,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> rf.SnapshotStore:
    made = rf.SnapshotStore(tmp_path_factory.mktemp("types"))
    made.write(rf.read_content(content(job(1))))
    return made


def check(store: rf.SnapshotStore, expression: str, value: Any, dtype: str) -> None:
    found = query(store, f"select {expression} as x from jobs union all select null")

    assert str(found["x"].dtype) == dtype or not dtype
    assert [None if pd.isna(one) else one for one in found["x"]] == [value, None]
    for use in USES.values():
        use(found)


@pytest.mark.parametrize(("expression", "value", "dtype"), TYPES)
def test_every_type(store: rf.SnapshotStore, expression: str, value: Any, dtype: str) -> None:
    check(store, expression, value, dtype)


@pytest.mark.skipif(int(duckdb.__version__.split(".")[0]) < 2, reason="DuckDB 1 lacks some")
@pytest.mark.parametrize(("expression", "value", "dtype"), NEWER)
def test_every_type_of_duckdb_2(
    store: rf.SnapshotStore, expression: str, value: Any, dtype: str
) -> None:
    check(store, expression, value, dtype)


def test_rows_stay_in_their_order(store: rf.SnapshotStore) -> None:
    sql = "select range as n, [range] as list from range(300000) order by hash(range)"
    found = query(store, sql)

    assert found["list"].tolist() == [f"[{n}]" for n in found["n"]]
    assert found["n"].tolist() == query(store, sql.replace(", [range] as list", ""))["n"].tolist()


def test_names_stay_where_values_are_converted(store: rf.SnapshotStore) -> None:
    found = query(store, 'select [1] as "A", 2 as a, interval 1 day as "A" from jobs')
    assert found.columns.tolist() == ["A", "a", "A_1"]


def test_no_rows_have_the_types_too(tmp_path: Path) -> None:
    found = query(
        tmp_path, "select interval 1 day as x, 1::hugeint as y, date '2026-01-01' as z limit 0"
    )
    assert [str(dtype) for dtype in found.dtypes] == [
        *("duration[us][pyarrow]", "int64[pyarrow]", "timestamp[us][pyarrow]"),
    ]
