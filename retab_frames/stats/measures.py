"""The measures of a job: which there are, and the columns that each is computed from.

The commands list them in their help, so this module must not import pandas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MEASURES", "SPANS", "Measure", "check_measure", "list_columns"]

Measure = Literal["duration", "queue", "elapsed", "turnaround"]

MEASURES: tuple[Measure, ...] = get_args(Measure)
SPANS: dict[str, tuple[str, str]] = {
    "queue": ("created_at", "started_at"),
    "elapsed": ("started_at", "completed_at"),
    "turnaround": ("created_at", "completed_at"),
}
"""The measures that are the time between two columns."""


def check_measure(measure: str, measures: Sequence[str] = MEASURES) -> None:
    """Check that a measure is one of these.

    Raises:
        ValueError: If it is not.
    """
    if measure not in measures:
        raise ValueError(f"measure must be {', '.join(measures)}, not {measure!r}")


def list_columns(measure: str, *, censored: bool = False) -> tuple[str, ...]:
    """Return the columns that a measure is computed from, and those that censoring needs too."""
    columns = SPANS.get(measure, ("duration_ms",))
    return ("started_at", *columns) if censored and measure == "duration" else columns
