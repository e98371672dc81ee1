"""Frames held to their models; what does not fit is reported by the key of its row."""

from __future__ import annotations

from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
from pandera import errors

from retab_frames.errors import SchemaError
from retab_frames.forks import delay_forks
from retab_frames.schemas.frames import frame_of
from retab_frames.schemas.models import arrow_schema
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from retab_frames.schemas.models import Model

__all__ = ["to_frame", "validate"]

_FAILURE_COLUMNS = ["column", "check", "value", "key"]


def to_frame(table: pa.Table, model: Model) -> pd.DataFrame:
    """Return the table as a validated frame of Arrow-backed columns.

    Raises:
        SchemaError: If it does not fit the model.
    """
    return validate(frame_of(table), model)


def validate(frame: pd.DataFrame, schema: Model) -> pd.DataFrame:
    """Return the frame if it fits the schema; `schema.validate` raises pandera's own error.

    Args:
        frame: Any frame; it is not changed. Columns that the schema does not know are allowed.
        schema: One of the models of `schemas.models`, e.g. `JobsSchema`.

    Raises:
        SchemaError: If it does not fit. All failures are collected, and reported by job id (or the
            key of that frame) instead of row number; `.failures` has them as a frame.
    """
    failures = _find_wrong_integers(frame, schema)
    try:
        with delay_forks():  # pandera imports at each validation
            _name_regex_columns(schema, tuple(frame.columns)).validate(frame, lazy=True)
    except errors.SchemaErrors as error:
        failures.append(_list_failures(error.failure_cases, frame))
    if not failures:
        return frame
    found = pd.concat(failures, ignore_index=True)
    message = _describe_failures(schema.__name__, found, len(frame))
    raise SchemaError(message, schema_name=schema.__name__, failures=found)


@lru_cache(maxsize=256)
def _name_regex_columns(schema: Model, names: tuple[Any, ...]) -> pandera.DataFrameSchema:
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


def _find_wrong_integers(frame: pd.DataFrame, schema: Model) -> list[pd.DataFrame]:
    """Return the integer columns that are not Arrow-backed; pandera takes them for such."""
    expected = {
        field.name: pd.ArrowDtype(field.type)
        for field in arrow_schema(schema)
        if pa.types.is_integer(field.type)
    }
    wrong = [
        (str(name), f"dtype('{expected[name]}')", str(dtype), None)
        for name, dtype in zip(frame.columns, frame.dtypes, strict=True)
        if name in expected and dtype != expected[name] and pd.api.types.is_integer_dtype(dtype)
    ]
    return [pd.DataFrame(wrong, columns=_FAILURE_COLUMNS, dtype=object)] if wrong else []


def _list_failures(cases: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the cells that fail, by the key of their row instead of its number.

    Args:
        cases: What pandera found, as `SchemaErrors.failure_cases`.
        frame: The frame that was validated.
    """
    key = next((k for k in ("job_id", "run_id", "experiment_id") if k in frame.columns), None)
    keys = frame[key] if key and frame.index.is_unique else None
    failures: list[tuple[str, str, str, str | None]] = []
    for case in cases.rename(columns={"index": "index_"}).itertuples():
        check, column, row_key = str(case.check), str(case.column), None
        if check == "column_in_dataframe":
            failures.append((str(case.failure_case), check, "the column is missing", None))
        elif check.startswith("dtype("):
            # the type of a column is not a fault of one row
            failures.append((column, check, str(frame[case.column].dtype), None))
        else:
            index: Any = case.index_
            if keys is not None and not pd.isna(index):
                value: Any = keys.get(index)
                row_key = f"row {index}" if pd.isna(value) else printable(value)
            failures.append((column, check, printable(case.failure_case), row_key))
    frame_of_failures = pd.DataFrame(failures, columns=_FAILURE_COLUMNS, dtype=object)
    return frame_of_failures.drop_duplicates(ignore_index=True)


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
