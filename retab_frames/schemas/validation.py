"""Frames held to their models; what does not fit is reported by the key of its row.

pandera is imported when the first frame is validated: it takes longer than some commands may take,
and imports every library of frames that it knows and that is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from retab_frames.errors import SchemaError
from retab_frames.forks import delay_forks
from retab_frames.schemas.frames import frame_of
from retab_frames.schemas.intake import (
    check_frame,
    find_repeated,
    name_row,
    set_types,
)
from retab_frames.schemas.models import Declared, arrow_type
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from retab_frames.schemas.models import Model
    from retab_frames.schemas.pandera_checks import Failure
    from retab_frames.schemas.pandera_models import PanderaModel

__all__ = ["to_frame", "validate"]

_FAILURE_COLUMNS = ["column", "check", "value", "key"]


def to_frame(table: pa.Table, model: Model) -> pd.DataFrame:
    """Return the table as a validated frame of Arrow-backed columns.

    Raises:
        SchemaError: If it does not fit the model.
    """
    return validate(frame_of(table), model)


def validate(frame: pd.DataFrame, schema: Model | PanderaModel) -> pd.DataFrame:
    """Return the frame with the types of the schema if it fits, as `schema.validate` does not.

    Args:
        frame: Any frame of pandas; it is not changed. A column may be stored in any way in which
            its values are exact, see `schemas.conversions`. Columns that the schema does not know
            are allowed.
        schema: One of the models of this library, e.g. `rf.JobsSchema`, whose own `validate` is
            strict about types and raises pandera's error; or a subclass of one.

    Returns:
        The frame itself if every column has its type, else a copy of it in which they have.

    Raises:
        TypeError: If it is not a frame of pandas, or the schema none of these.
        SchemaError: If it does not fit. All failures are collected, and reported by job id (or the
            key of that frame) instead of row number; `.failures` has them as a frame.
    """
    check_frame(frame, "validate takes a frame")
    model = _declared_model(schema)
    known = _list_known(frame, model)
    repeated = find_repeated(frame, known)
    typed, unfit = set_types(frame, [name for name in known if name not in repeated], model)
    failures: list[Failure] = [
        (name, "unique_column_name", "several columns", None) for name in repeated
    ]
    for name, values in unfit.items():
        check = f"dtype('{pd.ArrowDtype(arrow_type(model, name))}')"
        for one in values:
            key = None if one.row is None else name_row(frame, one.row)
            failures.append((name, check, f"{one.value}, {one.problem.what}", key))
    left_out = [*repeated, *unfit]
    checked = [name for name in known if name not in left_out]
    failures += _ask_pandera(typed, checked, schema, left_out)
    if not failures:
        return typed
    found = pd.DataFrame(failures, columns=_FAILURE_COLUMNS, dtype=object)
    found = found.drop_duplicates(ignore_index=True)
    message = _describe_failures(schema.__name__, found, len(frame))
    raise SchemaError(message, schema_name=schema.__name__, failures=found)


def _declared_model(schema: object) -> Model:
    """Return the model that declares the columns of this one: itself, or that of pandera's."""
    declared = getattr(schema, "_declared", schema)
    if isinstance(declared, type) and issubclass(declared, Declared):
        return declared
    raise TypeError(
        f"schema must be a model of this library, such as rf.JobsSchema, not {printable(schema)}"
    )


def _list_known(frame: pd.DataFrame, model: Model) -> list[str]:
    """Return the columns of the frame that the model knows, each once."""
    names = dict.fromkeys(name for name in frame.columns if isinstance(name, str))
    return [name for name in names if arrow_type(model, name) is not None]


def _ask_pandera(
    frame: pd.DataFrame,
    names: list[str],
    schema: Model | PanderaModel,
    left_out: Sequence[str],
) -> list[Failure]:
    """Return what pandera finds, see `list_failures`."""
    with delay_forks():  # pandera imports at each validation
        from retab_frames.schemas.pandera_checks import list_failures  # noqa: PLC0415 - slow to import

        return list_failures(frame, names, schema, left_out)


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
