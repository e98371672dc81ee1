"""The runs of a comparison of many, one row each; p-values corrected for the number of runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from retab_frames.compare.documents import CHANGES
from retab_frames.compare.paired_statistics import SPEED
from retab_frames.compare.run_facts import subtract_scores
from retab_frames.compare.two_runs import compare_sides
from retab_frames.schemas.frames import FLOAT64, INT64, STRING, TIME, arrow_column, frame_of_rows
from retab_frames.stats.paired_ratio import adjust_p_values

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from retab_frames.compare.sides import Side

__all__ = ["compare_with_baseline", "correct_p_values", "count_needed_pairs"]

_SAME_FOR_ALL = ("verdict", "margin", "confidence")
"""Columns of RunComparison.speed that stand elsewhere here."""
_RUNS = {
    "run_id": STRING,
    "created_at": TIME,
    "comparable": STRING,
    "documents": INT64,
    **dict.fromkeys(CHANGES, INT64),
    "failure_rate": FLOAT64,
    "failure_rate_low": FLOAT64,
    "failure_rate_high": FLOAT64,
    "failure_p": FLOAT64,
    **{name: kind for name, kind in SPEED.items() if name not in _SAME_FOR_ALL},
    "score": FLOAT64,
    "score_delta": FLOAT64,
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
        speed = [v for k, v in comparison.list_speed().items() if k not in _SAME_FOR_ALL]
        ratio = comparison.ratio
        p_values = (ratio.slower_p, ratio.faster_p, ratio.equivalent_p)
        if comparison.comparable == "no":
            # no verdict, and no part in the correction of the others
            p_values = (math.nan, math.nan, math.nan)
        rows.append(
            (
                side.run_id,
                comparison.facts[1]["created_at"],
                comparison.comparable,
                len(comparison.documents),
                *comparison.changes.values(),
                *rate[["rate", "rate_low", "rate_high", "p_value"]],
                *speed,
                comparison.facts[1]["score"],
                subtract_scores(comparison.facts, comparison.documents),
                *p_values,
            )
        )
    return frame_of_rows(rows, _RUNS)


def count_needed_pairs(runs: int, confidence: float) -> int:
    """Return how many pairs a run needs so that it alone can be shown to differ among so many.

    The smallest two-sided p of signed ranks is 2 ** (1 - pairs); it must not exceed the level of
    the least p of all, which is that of one test divided by their number.
    """
    return math.ceil(1 + math.log2(max(runs, 1) / (1 - confidence)) - 1e-9)


def correct_p_values(runs: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Add the adjusted p-values, and the verdicts that follow from them.

    Twice a one-sided p-value is at most 1 - confidence if and only if the two-sided interval of
    that confidence is beyond the bound, so a single run gets the verdict of its interval.
    """
    one_sided = runs[["slower_p", "faster_p", "equivalent_p"]].to_numpy(np.float64, na_value=np.nan)
    slower, faster, equivalent = one_sided.T
    changed = adjust_p_values(np.minimum(1, 2 * np.minimum(slower, faster)))
    same = adjust_p_values(np.minimum(1, 2 * equivalent))
    # the tail that an interval leaves on either side, twice, as the interval computes it
    level = 2 * ((1 - confidence) / 2)
    verdict = np.select(
        [(changed <= level) & (slower < faster), changed <= level, same <= level],
        ["slower", "faster", "equivalent"],
        default="inconclusive",
    )
    return runs.assign(
        failure_p_adjusted=arrow_column(
            adjust_p_values(runs["failure_p"].to_numpy(np.float64)), FLOAT64
        ),
        speed_p_adjusted=arrow_column(np.where(verdict == "equivalent", same, changed), FLOAT64),
        verdict=arrow_column(verdict.tolist(), STRING),
    )
