"""Arrow-backed frames out of plain values and out of Arrow tables, with no schema to fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "BOOL",
    "FLOAT64",
    "INT64",
    "STRING",
    "TIME",
    "DtypeBackend",
    "arrow_column",
    "check_backend",
    "convert_backend",
    "frame_of",
    "frame_of_rows",
]

STRING, INT64, FLOAT64, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
TIME = pa.timestamp("us", tz="UTC")

DtypeBackend = Literal["pyarrow", "numpy_nullable"]
"""How the columns of a frame are stored, as `pandas.read_parquet` names it."""


def arrow_column(values: Any, kind: pa.DataType) -> pd.Series[Any]:
    """Return the values as an Arrow-backed column; None, NaN and NaT are null."""
    array = pa.array(values, from_pandas=True)
    return pd.Series(pd.arrays.ArrowExtensionArray(array.cast(kind)))


def frame_of_rows(
    rows: Iterable[tuple[object, ...]], types: Mapping[str, pa.DataType]
) -> pd.DataFrame:
    """Return a frame of the rows, with columns named and typed by `types`."""
    columns = list(zip(*rows, strict=True)) or [()] * len(types)
    pairs = zip(types.items(), columns, strict=True)
    return pd.DataFrame({name: arrow_column(list(cells), kind) for (name, kind), cells in pairs})


def frame_of(table: pa.Table) -> pd.DataFrame:
    """Return the table as a frame of Arrow-backed columns, as it is."""
    columns = zip(table.column_names, table.columns, strict=True)
    arrays = {name: pd.arrays.ArrowExtensionArray(column) for name, column in columns}
    return pd.DataFrame(arrays, index=pd.RangeIndex(table.num_rows))


def check_backend(dtype_backend: object) -> None:
    """Check the name of a backend, before work is done for it.

    Raises:
        ValueError: If there is none of this name.
    """
    if dtype_backend not in get_args(DtypeBackend):
        names = " or ".join(map(repr, get_args(DtypeBackend)))
        raise ValueError(f"dtype_backend must be {names}, not {dtype_backend!r}")


def convert_backend(frame: pd.DataFrame, dtype_backend: DtypeBackend) -> pd.DataFrame:
    """Return the Arrow-backed frame with columns of this backend.

    "numpy_nullable" gives string, Int64, Float64, boolean and datetime64[us, UTC], as the readers
    of pandas do; values and nulls are the same.
    """
    if dtype_backend == "pyarrow":
        return frame
    types = {name: _NULLABLE[dtype.pyarrow_dtype] for name, dtype in frame.dtypes.items()}
    return frame.astype(types)


_NULLABLE: dict[pa.DataType, Any] = {
    STRING: pd.StringDtype(),
    INT64: pd.Int64Dtype(),
    FLOAT64: pd.Float64Dtype(),
    BOOL: pd.BooleanDtype(),
    TIME: pd.DatetimeTZDtype("us", "UTC"),
}
