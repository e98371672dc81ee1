"""The unit in which statistics tell durations: milliseconds as the API has them, or seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Unit", "check_unit", "convert_durations"]

Unit = Literal["ms", "s"]

_MS_PER_SECOND = 1000


def check_unit(unit: str) -> None:
    """Check that a unit is one of these.

    Raises:
        ValueError: If it is not.
    """
    if unit not in get_args(Unit):
        raise ValueError(f"unit must be {' or '.join(get_args(Unit))}, not {unit!r}")


def convert_durations(columns: dict[str, pd.Series[Any]], unit: Unit) -> dict[str, pd.Series[Any]]:
    """Return the columns with durations in the unit: those in ms have names that end in `_ms`."""
    if unit == "ms":
        return columns
    converted = {}
    for name, column in columns.items():
        if name.endswith("_ms"):
            converted[f"{name[:-3]}_s"] = column / _MS_PER_SECOND
        else:
            converted[name] = column
    return converted
