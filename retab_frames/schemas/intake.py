"""The door for frames: whatever made a frame, the columns that a function reads get their types.

Every function that takes a frame takes it through here, so that a frame from a file of text, a
database or another library gives what the frame it was made of gives, or an error that says which
column of which row does not fit. A column that has its type already costs a look at its type.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.schemas.conversions import Problem, Unfit, convert, drop_no_times
from retab_frames.schemas.frames import TIME
from retab_frames.schemas.handle_columns import is_handle_column
from retab_frames.schemas.models import JobsSchema, arrow_schema, arrow_type, lower_bounds
from retab_frames.text.messages import did_you_mean, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from retab_frames.schemas.models import Model

__all__ = [
    "TypedFrame",
    "check_columns",
    "check_frame",
    "find_repeated",
    "list_handle_columns",
    "name_row",
    "set_types",
    "take_columns",
]

_CONVERSIONS = {
    ("polars", "LazyFrame"): ".collect().to_pandas()",
    ("pyspark", "DataFrame"): ".toPandas()",
    ("dask", "DataFrame"): ".compute()",
    ("dask_expr", "DataFrame"): ".compute()",
    ("modin", "DataFrame"): ".modin.to_pandas()",
    ("duckdb", "DuckDBPyRelation"): ".df()",
    ("_duckdb", "DuckDBPyRelation"): ".df()",
    ("pyarrow", "RecordBatchReader"): ".read_pandas()",
}
"""How a frame of another library becomes one of pandas, where it is not `.to_pandas()`."""
_NULL = Problem(
    "this column has no nulls", "give each row its value, for example frame[{name}].fillna(...)"
)
_KEYS = ("job_id", "run_id", "experiment_id")
_EXAMPLES = 3


class TypedFrame(NamedTuple):
    """A frame whose columns have their types.

    Attributes:
        frame: The frame; the very one that was given if all columns had their types.
        unfit: The values that did not fit, by column; they are null in the frame.
    """

    frame: pd.DataFrame
    unfit: dict[str, list[Unfit]]


def take_columns(
    frame: object,
    names: Sequence[str],
    *,
    reader: str,
    model: Model = JobsSchema,
    optional: Iterable[str] = (),
    called: str = "this",
) -> pd.DataFrame:
    """Return a frame whose columns have the types of their schema.

    Rows, index and all other columns are those of the frame, which is not changed.

    Args:
        frame: What the caller gave: any frame of pandas, or something else by mistake.
        names: The columns that are read; one that the model does not know stays as it is.
        reader: The function, as messages call it.
        model: The schema of the frame.
        optional: Columns that are read if they are there.
        called: What messages call the frame.

    Raises:
        TypeError: If it is not a frame of pandas.
        ValueError: If a column is missing or stands twice, or if a value does not fit its column.
    """
    frame = check_columns(frame, names, reader=reader, called=called)
    present = [*names, *(name for name in optional if name in frame.columns)]
    _refuse_repeated(frame, present, called)
    taken, unfit = set_types(frame, present, model)
    for name in dict.fromkeys(present):
        found = unfit.get(name) or list(_find_invalid(taken, name, model))
        if found:
            raise ValueError(_describe(frame, name, found, called, model))
    return taken


def check_columns(
    frame: object, names: Sequence[str], *, reader: str, called: str = "this"
) -> pd.DataFrame:
    """Return the frame, which must be one of jobs with the columns that a function reads.

    Raises:
        TypeError: If it is not a frame of pandas.
        ValueError: If a column is missing, or stands twice.
    """
    wants = f"{reader} takes" if called == "this" else f"{called} must be a RunContent or"
    frame = check_frame(frame, f"{wants} a jobs frame")
    if frame.columns.nlevels > 1:
        raise ValueError(
            f"{called} is not a jobs frame: the names of its columns have several levels; give "
            "them one, for example frame.columns = frame.columns.get_level_values(0)"
        )
    missing = [name for name in names if name not in frame.columns]
    if missing:
        in_index = [name for name in missing if name in frame.index.names]
        hint = (
            f" (it is a level of the index: {in_index[0]}; give frame.reset_index())"
            if in_index
            else did_you_mean(missing[0], map(str, frame.columns), 3)
        )
        raise ValueError(
            f"{called} is not a jobs frame: it lacks the column{'s' if len(missing) > 1 else ''} "
            f"{', '.join(missing)}{hint}; {reader} takes frames like those of rf.load_jobs, "
            "RunContent.jobs and the files in <store>/jobs"
        )
    _refuse_repeated(frame, names, called)
    return frame


def check_frame(frame: object, wants: str) -> pd.DataFrame:
    """Return the frame, which must be one of pandas.

    Args:
        frame: What the caller gave.
        wants: How the message begins, as "slowest takes a jobs frame".

    Raises:
        TypeError: If it is not; the message names what it is, and how to make a frame of it.
    """
    if isinstance(frame, pd.DataFrame):
        # a flag that what is made of the frame would inherit, where labels may repeat
        is_free = frame.flags.allows_duplicate_labels
        return frame if is_free else frame.set_flags(allows_duplicate_labels=True)
    raise TypeError(f"{wants}, not {_describe_other(frame)}")


def find_repeated(frame: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """Return which of these names several columns of the frame have."""
    if frame.columns.is_unique:
        return []
    repeated = set(frame.columns[frame.columns.duplicated()])
    return [name for name in dict.fromkeys(names) if name in repeated]


def list_handle_columns(frame: pd.DataFrame) -> list[str]:
    """Return the names of the columns that hold a field of a handle."""
    names = (name for name in frame.columns if isinstance(name, str))
    return [name for name in dict.fromkeys(names) if is_handle_column(name)]


def set_types(frame: pd.DataFrame, names: Iterable[str], model: Model) -> TypedFrame:
    """Return the frame with the types of the model in these columns.

    Args:
        frame: A frame of pandas in which each of these names stands once.
        names: The columns; one that the model does not know stays as it is.
        model: The schema of the frame.
    """
    columns: dict[str, pd.api.extensions.ExtensionArray] = {}
    unfit: dict[str, list[Unfit]] = {}
    for name in dict.fromkeys(names):
        kind = arrow_type(model, name)
        if kind is None:
            continue
        values = frame[name]
        has_type = values.dtype == _pandas_type(kind)
        if has_type and kind != TIME:
            continue
        array = pa.array(values) if has_type else None
        found = convert(values, kind) if array is None else drop_no_times(array)
        if found.array is not array:
            columns[name] = pd.arrays.ArrowExtensionArray(found.array)
        if found.unfit:
            unfit[name] = found.unfit
    if not columns:
        return TypedFrame(frame, unfit)
    typed = frame.copy(deep=False)
    for name, column in columns.items():
        typed[name] = column
    return TypedFrame(typed, unfit)


def name_row(frame: pd.DataFrame, row: int) -> str:
    """Return what a message calls a row: by its job, or else its run or experiment, or its number.

    Args:
        frame: The frame, as it was given.
        row: The number of the row, from 0.
    """
    key = next((name for name in _KEYS if name in frame.columns), None)
    if key is None or find_repeated(frame, [key]):
        return f"row {row}"
    value = frame[key].iloc[row]
    is_value = pd.api.types.is_scalar(value) and not pd.isna(value)
    return printable(value if isinstance(value, str) else str(value)) if is_value else f"row {row}"


@cache
def _pandas_type(kind: pa.DataType) -> pd.ArrowDtype:
    return pd.ArrowDtype(kind)


def _describe_other(frame: object) -> str:
    """Return what something else than a frame of pandas is, and how to make one of it."""
    kind = type(frame)
    library = kind.__module__.partition(".")[0]
    if isinstance(getattr(frame, "jobs", None), pd.DataFrame):
        return f"{kind.__name__}; pass its .jobs"
    if library in {"pandas", "builtins"}:
        return kind.__name__
    convert_it = _CONVERSIONS.get((library, kind.__name__))
    if convert_it is None and hasattr(frame, "to_pandas"):
        convert_it = ".to_pandas()"
    hint = f"; make it one of pandas: {convert_it}" if convert_it else ""
    return f"{kind.__name__} of {library.lstrip('_')}{hint}"


def _refuse_repeated(frame: pd.DataFrame, names: Iterable[str], called: str) -> None:
    repeated = find_repeated(frame, names)
    if repeated:
        raise ValueError(
            f"{called} is not a jobs frame: several of its columns are named {repeated[0]}; "
            "keep one of them, for example frame.loc[:, ~frame.columns.duplicated()]"
        )


def _find_invalid(frame: pd.DataFrame, name: str, model: Model) -> Iterable[Unfit]:
    """Yield the nulls of a column that has none, and the numbers below its least valid one."""
    if arrow_type(model, name) is None:
        return
    array = pa.array(frame[name])
    schema = arrow_schema(model)
    if array.null_count and name in schema.names and not schema.field(name).nullable:
        yield from (Unfit(row, "null", _NULL) for row in _rows(pc.is_null(array)))
    least = lower_bounds(model).get(name)
    lowest = None if least is None else pc.min(array).as_py()
    if lowest is not None and lowest < least:
        problem = Problem(f"less than {least}")
        below = _rows(pc.fill_null(pc.less(array, least), fill_value=False))
        yield from (Unfit(row, str(array[row].as_py()), problem) for row in below)


def _rows(flags: Any) -> list[int]:
    rows: list[int] = np.flatnonzero(np.asarray(flags)).tolist()
    return rows


def _describe(frame: pd.DataFrame, name: str, unfit: list[Unfit], called: str, model: Model) -> str:
    """Return which column does not fit, with some rows as examples, and what to do about it."""
    what, advice = unfit[0].problem
    examples = [
        f"{'the column' if one.row is None else name_row(frame, one.row)} is {one.value}"
        for one in unfit[:_EXAMPLES]
    ]
    more = f" and {len(unfit) - _EXAMPLES} more" if len(unfit) > _EXAMPLES else ""
    quoted = printable(repr(name))
    end = f"; {advice.format(name=quoted)}" if advice else ""
    return (
        f"{called} is not a jobs frame: its column {printable(name)} does not fit "
        f"{arrow_type(model, name)}: {', '.join(examples)}{more}: {what}{end}"
    )
