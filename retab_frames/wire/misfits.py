"""What did not fit, from the moment it is noticed until it becomes a row of the issues table."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LOST", "Misfit"]

LOST = "null, kept in raw"
"""The action where a value does not fit: its cell is null, its row is kept as it came."""


class Misfit(NamedTuple):
    """A value of one row that could not be kept as it came.

    Attributes:
        row: The index of the row among those that are read together.
        field: Where the value stands, as `timing.duration_ms`.
        problem: What is wrong with it.
        value: What came, printable and cut short.
        action: What was done about it.
    """

    row: int
    field: str
    problem: str
    value: str | None
    action: str
