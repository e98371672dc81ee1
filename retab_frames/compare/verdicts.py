"""One row per run that is compared with a baseline, and verdicts corrected for their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retab_frames.compare.documents import CHANGES
from retab_frames.compare.two_runs import compare_sides
from retab_frames.schemas.frames import FLOAT64, INT64, STRING, arrow_column, frame_of_rows
from retab_frames.stats.paired_ratio import adjusted

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from retab_frames.compare.sides import Side

__all__ = ["compare_with_baseline", "correct_p_values"]

_RUNS = {
    "run_id": STRING,
    "comparable": STRING,
    "documents": INT64,
    **dict.fromkeys(CHANGES, INT64),
    "failure_rate": FLOAT64,
    "failure_rate_low": FLOAT64,
    "failure_rate_high": FLOAT64,
    "failure_p": FLOAT64,
    "pairs": INT64,
    "ratio": FLOAT64,
    "ratio_low": FLOAT64,
    "ratio_high": FLOAT64,
    "slower_p": FLOAT64,
    "faster_p": FLOAT64,
    "equivalent_p": FLOAT64,
}


def compare_with_baseline(
    baseline: Side, others: Iterable[Side], *, margin: float, confidence: float
) -> pd.DataFrame:
    """Return one row per other run, without what depends on the number of runs."""
    rows = []
    for side in others:
        comparison = compare_sides(baseline, side, margin=margin, confidence=confidence)
        rate = comparison.failure_rates.iloc[1]
        ratio = comparison.ratio
        rows.append(
            (
                side.run_id,
                comparison.comparable,
                len(comparison.documents),
                *comparison.changes.values(),
                *rate[["rate", "rate_low", "rate_high", "p_value"]],
                *(ratio.pairs, ratio.ratio, ratio.ratio_low, ratio.ratio_high),
                *(ratio.slower_p, ratio.faster_p, ratio.equivalent_p),
            )
        )
    return frame_of_rows(rows, _RUNS)


def correct_p_values(runs: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Add the adjusted p-values, and the verdicts that follow from them.

    Twice a one-sided p-value is below 1 - confidence if and only if the two-sided interval of that
    confidence is beyond the bound, so a single run gets the verdict of its interval.
    """
    one_sided = runs[["slower_p", "faster_p", "equivalent_p"]].to_numpy(np.float64, na_value=np.nan)
    slower, faster, equivalent = one_sided.T
    changed = adjusted(np.minimum(1, 2 * np.minimum(slower, faster)))
    same = adjusted(np.minimum(1, 2 * equivalent))
    level = 1 - confidence
    verdict = np.select(
        [(changed < level) & (slower < faster), changed < level, same < level],
        ["slower", "faster", "equivalent"],
        default="inconclusive",
    )
    return runs.assign(
        failure_p_adjusted=arrow_column(adjusted(runs["failure_p"].to_numpy(np.float64)), FLOAT64),
        speed_p_adjusted=arrow_column(np.where(verdict == "equivalent", same, changed), FLOAT64),
        verdict=arrow_column(verdict.tolist(), STRING),
    )
