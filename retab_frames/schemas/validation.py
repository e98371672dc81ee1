"""Frames held to their models; what does not fit is reported by the key of its row."""

from __future__ import annotations

from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pandas as pd
import pandera.pandas as pandera
from pandera import errors

from retab_frames.errors import SchemaError
from retab_frames.forks import delay_forks
from retab_frames.schemas.frames import frame_of
from retab_frames.schemas.intake import check_frame, find_repeated, name_row, set_types
from retab_frames.schemas.models import arrow_type
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from retab_frames.schemas.models import Model

__all__ = ["to_frame", "validate"]

Failure = tuple[str, str, str, str | None]
"""Column, check, value, key; the key is None where the failure is not of one row."""

_FAILURE_COLUMNS = ["column", "check", "value", "key"]


def to_frame(table: pa.Table, model: Model) -> pd.DataFrame:
    """Return the table as a validated frame of Arrow-backed columns.

    Raises:
        SchemaError: If it does not fit the model.
    """
    return validate(frame_of(table), model)


def validate(frame: pd.DataFrame, schema: Model) -> pd.DataFrame:
    """Return the frame with the types of the schema if it fits, as `schema.validate` does not.

    Args:
        frame: Any frame of pandas; it is not changed. A column may be stored in any way in which
            its values are exact, see `schemas.conversions`. Columns that the schema does not know
            are allowed.
        schema: One of the models of `schemas.models`, e.g. `JobsSchema`, whose own `validate` is
            strict about types and raises pandera's error.

    Returns:
        The frame itself if every column has its type, else a copy of it in which they have.

    Raises:
        TypeError: If it is not a frame of pandas.
        SchemaError: If it does not fit. All failures are collected, and reported by job id (or the
            key of that frame) instead of row number; `.failures` has them as a frame.
    """
    check_frame(frame, "validate takes a frame")
    known = _list_known(frame, schema)
    repeated = find_repeated(frame, known)
    typed, unfit = set_types(frame, [name for name in known if name not in repeated], schema)
    failures: list[Failure] = [
        (name, "unique_column_name", "several columns", None) for name in repeated
    ]
    for name, values in unfit.items():
        check = f"dtype('{pd.ArrowDtype(arrow_type(schema, name))}')"
        for one in values:
            key = None if one.row is None else name_row(frame, one.row)
            failures.append((name, check, f"{one.value}, {one.problem.what}", key))
    left_out = [*repeated, *unfit]
    failures += _check(typed, [name for name in known if name not in left_out], schema, left_out)
    if not failures:
        return typed
    found = pd.DataFrame(failures, columns=_FAILURE_COLUMNS, dtype=object)
    found = found.drop_duplicates(ignore_index=True)
    message = _describe_failures(schema.__name__, found, len(frame))
    raise SchemaError(message, schema_name=schema.__name__, failures=found)


def _list_known(frame: pd.DataFrame, schema: Model) -> list[str]:
    """Return the columns of the frame that the schema knows, each once."""
    names = dict.fromkeys(name for name in frame.columns if isinstance(name, str))
    return [name for name in names if arrow_type(schema, name) is not None]


def _check(
    frame: pd.DataFrame, names: list[str], schema: Model, left_out: Sequence[str]
) -> list[Failure]:
    """Return what pandera finds in these columns, which have their types.

    Args:
        frame: The frame.
        names: The columns; others are neither missing nor wrong.
        schema: What they must fit.
        left_out: Columns of the schema that have a failure already.
    """
    # a frame of the user's own columns too, or with an index that repeats, would confuse pandera
    known = frame[names] if len(names) < frame.shape[1] else frame
    if not _is_numbered(known.index):
        known = known.set_axis(pd.RangeIndex(len(known)), axis=0)
    try:
        with delay_forks():  # pandera imports at each validation
            _narrow(schema, tuple(names), tuple(left_out)).validate(known, lazy=True)
    except errors.SchemaErrors as error:
        return _list_failures(error.failure_cases, known)
    return []


def _is_numbered(index: pd.Index) -> bool:
    return isinstance(index, pd.RangeIndex) and (index.start, index.step) == (0, 1)


@lru_cache(maxsize=256)
def _narrow(
    schema: Model, names: tuple[str, ...], left_out: tuple[str, ...]
) -> pandera.DataFrameSchema:
    """Return the schema of a frame with these columns, without those that are left out.

    Without all columns of its key, pandera cannot look for a row that is there twice.
    """
    narrow = _name_regex_columns(schema, names)
    narrow = narrow.remove_columns([name for name in left_out if name in narrow.columns])
    if narrow.unique and not set(narrow.unique) <= set(names):
        narrow.unique = None
    return narrow


def _name_regex_columns(schema: Model, names: tuple[str, ...]) -> pandera.DataFrameSchema:
    """Return the schema with each regex column replaced by the columns of that name, if there are.

    pandera looks for the names of a regex column three times at every validation, which takes
    longer than all its checks.
    """
    whole = schema.to_schema()
    header = pd.DataFrame(columns=list(names))
    named: dict[str, pandera.Column] = {}
    replaced = []
    for pattern in [column for column in whole.columns.values() if column.regex]:
        try:
            matches = set(pattern.get_regex_columns(header))
        except errors.SchemaError:
            matches = set()
        if matches.isdisjoint({*whole.columns, *named}) and (matches or not pattern.required):
            replaced.append(pattern.name)
            for name in matches:
                column = named[name] = copy(pattern)
                column.regex = False
                column.name = name
    return whole.remove_columns(replaced).add_columns(named) if replaced else whole


def _list_failures(cases: pd.DataFrame, frame: pd.DataFrame) -> list[Failure]:
    """Return the cells that fail, by the key of their row instead of its number.

    Args:
        cases: What pandera found, as `SchemaErrors.failure_cases`.
        frame: The frame that was validated, whose index counts its rows.
    """
    failures: list[Failure] = []
    for case in cases.rename(columns={"index": "index_"}).itertuples():
        check, column, row = str(case.check), str(case.column), _row_of(case.index_)
        if check == "column_in_dataframe":
            failures.append((str(case.failure_case), check, "the column is missing", None))
        else:
            key = None if row is None else name_row(frame, row)
            failures.append((column, check, printable(case.failure_case), key))
    return failures


def _row_of(index: Any) -> int | None:
    return None if pd.isna(index) else int(index)


def _describe_failures(schema_name: str, failures: pd.DataFrame, rows: int) -> str:
    """Return in words which checks fail for which cells, with three of each as examples."""
    lines = [f"{rows} rows do not fit {schema_name}:"]
    for (column, check), group in failures.groupby(["column", "check"], sort=False):
        examples = [
            f"{key} has {value}" if key else value
            for key, value in zip(group["key"], group["value"], strict=True)
        ]
        few, more = examples[:3], len(examples[3:])
        rest = f" and {more} more" if more else ""
        lines.append(f"  {column}: {check} fails: {'; '.join(few)}{rest}")
    lines.append("  `.failures` of this error lists every failing cell.")
    return "\n".join(lines)
