"""What pandera finds in a frame."""

from __future__ import annotations

from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pandas as pd
import pandera.pandas as pandera
from pandera import errors

from retab_frames.schemas import pandera_models
from retab_frames.schemas.intake import name_row
from retab_frames.schemas.models import Declared
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retab_frames.schemas.models import Model
    from retab_frames.schemas.pandera_models import PanderaModel

__all__ = ["Failure", "list_failures"]

Failure = tuple[str, str, str, str | None]
"""Column, check, value, key; the key is None where the failure is not of one row."""


def list_failures(
    frame: pd.DataFrame,
    names: list[str],
    schema: Model | PanderaModel,
    left_out: Sequence[str],
) -> list[Failure]:
    """Return what pandera finds in these columns, which have their types.

    Args:
        frame: The frame.
        names: The columns; others are neither missing nor wrong.
        schema: What they must fit.
        left_out: Columns of the schema that have a failure already.
    """
    model: Any = schema
    if issubclass(schema, Declared):
        model = getattr(pandera_models, schema.__name__)
    # a subclass may have more columns
    wanted = {*names, *model.to_schema().columns}.difference(left_out)
    names = [name for name in frame.columns if name in wanted]
    # a frame of the user's own columns too, or with an index that repeats, would confuse pandera
    known = frame[names] if len(names) < frame.shape[1] else frame
    if not _is_numbered(known.index):
        known = known.set_axis(pd.RangeIndex(len(known)), axis=0)
    try:
        _narrow(model, tuple(names), tuple(left_out)).validate(known, lazy=True)
    except errors.SchemaErrors as error:
        return _list_failures(error.failure_cases, known)
    return []


def _is_numbered(index: pd.Index) -> bool:
    return isinstance(index, pd.RangeIndex) and (index.start, index.step) == (0, 1)


@lru_cache(maxsize=256)
def _narrow(
    schema: Any, names: tuple[str, ...], left_out: tuple[str, ...]
) -> pandera.DataFrameSchema:
    """Return the schema of a frame with these columns, without those that are left out.

    Without all columns of its key, pandera cannot look for a row that is there twice.
    """
    narrow = _name_regex_columns(schema, names)
    narrow = narrow.remove_columns([name for name in left_out if name in narrow.columns])
    if narrow.unique and not set(narrow.unique) <= set(names):
        narrow.unique = None
    return narrow


def _name_regex_columns(schema: Any, names: tuple[str, ...]) -> pandera.DataFrameSchema:
    """Return the schema with each regex column replaced by the columns of that name, if there are.

    pandera looks for the names of a regex column three times at every validation, which takes
    longer than all its checks.
    """
    whole: pandera.DataFrameSchema = schema.to_schema()
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
