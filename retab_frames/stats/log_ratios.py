"""The logarithms of paired durations' ratios, as whole numbers in which equal ratios are equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from retab_frames.stats.grouped_values import Flags, Ints

__all__ = ["LOG_UNIT", "LogRatios", "compute_log_ratios", "to_log_units"]

LOG_UNIT = 1e-12
"""The unit of the whole numbers. Those of all doubles stay below 2**51."""
_INSTEAD_OF_ZERO = 0.5
"""What a duration of 0 ms counts as: half of the smallest that the API reports."""


@dataclass(frozen=True, eq=False)
class LogRatios:
    """The log ratios of pairs of durations.

    Attributes:
        values: log(candidate / baseline) of each pair that has one, in the order given, in units of
            LOG_UNIT.
        used: Which of the pairs given have one.
        zeros: How many of these have a duration of 0 on a side, which counts as 0.5 ms.
    """

    values: Ints
    used: Flags
    zeros: int


def compute_log_ratios(baseline: ArrayLike, candidate: ArrayLike) -> LogRatios:
    """Return the log ratios of paired durations in ms; two durations of 0 have the ratio 1.

    Args:
        baseline: A duration per pair. A pair with a negative value, NaN or infinity has no ratio.
        candidate: The durations of the same pairs in the same order.
    """
    before, after = (np.asarray(side, dtype=np.float64) for side in (baseline, candidate))
    used = (before >= 0) & (after >= 0) & np.isfinite(before) & np.isfinite(after)
    before, after = before[used], after[used]
    is_zero = (before == 0) | (after == 0)
    before, after = (np.where(side == 0, _INSTEAD_OF_ZERO, side) for side in (before, after))
    logs = to_log_units(np.log(after) - np.log(before))
    return LogRatios(logs, used, int(np.count_nonzero(is_zero)))


def to_log_units(logs: ArrayLike) -> Ints:
    """Return logarithms as whole numbers of LOG_UNIT.

    The logarithms of equal ratios of different durations differ in their last bits.
    """
    return np.round(np.asarray(logs, dtype=np.float64) / LOG_UNIT).astype(np.int64)
