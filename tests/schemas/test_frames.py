from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from factories import FLAG, REAL, TEXT, WHOLE

from retab_frames.schemas.frames import arrow_column, frame_of_rows

NULLS = [None, float("nan"), pd.NA, pd.NaT]


@pytest.mark.parametrize(
    ("values", "kind", "dtype"),
    [
        (["a", "b"], pa.string(), TEXT),
        ([1, 2], pa.int64(), WHOLE),
        ([1.0, 2.0], pa.int64(), WHOLE),
        ([0.5, 2], pa.float64(), REAL),
        ([True, False], pa.bool_(), FLAG),
    ],
)
@pytest.mark.parametrize("null", NULLS, ids=str)
def test_values_keep_their_type_and_every_null_is_one(
    values: list[Any], kind: pa.DataType, dtype: pd.ArrowDtype, null: Any
) -> None:
    found = arrow_column([*values, null], kind)

    assert found.dtype == dtype
    assert found.tolist() == [*values, pd.NA]


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.0, np.nan]),
        pd.Series([1, None]),
        pd.Series([1, None], dtype="Int64"),
        pd.Series([1, None], dtype=WHOLE, index=[7, 7]),
        pd.Index([1, None]),
        pa.chunked_array([[1], [None]]),
    ],
    ids=lambda values: type(values).__name__,
)
def test_columns_come_from_any_array(values: Any) -> None:
    found = arrow_column(values, pa.int64())

    assert found.tolist() == [1, pd.NA]
    assert found.index.equals(pd.RangeIndex(2))


def test_a_fraction_is_no_whole_number() -> None:
    with pytest.raises(pa.ArrowInvalid, match="truncated"):
        arrow_column([1.5], pa.int64())


TYPES = {"name": pa.string(), "n": pa.int64(), "share": pa.float64(), "ok": pa.bool_()}


def test_a_frame_of_rows() -> None:
    found = frame_of_rows([("a", 1, 0.5, True), (None, None, float("nan"), None)], TYPES)

    assert list(found.columns) == list(TYPES)
    assert found.dtypes.tolist() == [TEXT, WHOLE, REAL, FLAG]
    assert found.astype(object).to_numpy().tolist() == [["a", 1, 0.5, True], [pd.NA] * 4]


def test_a_frame_of_no_rows_has_its_columns() -> None:
    found = frame_of_rows([], TYPES)

    assert found.dtypes.tolist() == [TEXT, WHOLE, REAL, FLAG]
    assert found.empty


@pytest.mark.parametrize("rows", [[("a", 1)], [("a", 1, 0.5, True), ("b", 2)]])
def test_rows_of_another_length_are_refused(rows: list[tuple[Any, ...]]) -> None:
    with pytest.raises(ValueError, match="zip"):
        frame_of_rows(rows, TYPES)
