"""Statistics of the documents that both runs have: failure rates, durations, and their ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retab_frames.compare.documents import COMPARABLE_CHANGES, count_changes
from retab_frames.schemas.frames import FLOAT64, INT64, STRING, frame_of_rows
from retab_frames.schemas.vocabulary import FAILED, STOPPED
from retab_frames.stats import estimates
from retab_frames.stats.paired_ratio import mcnemar, paired_ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from retab_frames.stats.paired_ratio import PairedRatio

__all__ = ["compute_durations", "compute_failure_rates", "compute_ratio", "tabulate_ratio"]

_FAILURE_RATES = {
    "side": STRING,
    "run_id": STRING,
    "documents": INT64,
    "failed": INT64,
    "rate": FLOAT64,
    "rate_low": FLOAT64,
    "rate_high": FLOAT64,
    "p_value": FLOAT64,
}
_DURATIONS = {
    "side": STRING,
    "run_id": STRING,
    "documents": INT64,
    "mean_ms": FLOAT64,
    "mean_low_ms": FLOAT64,
    "mean_high_ms": FLOAT64,
    "geometric_mean_ms": FLOAT64,
    "geometric_mean_low_ms": FLOAT64,
    "geometric_mean_high_ms": FLOAT64,
    "median_ms": FLOAT64,
    "median_low_ms": FLOAT64,
    "median_high_ms": FLOAT64,
}
_SPEED = {
    "pairs": INT64,
    "left_out": INT64,
    "ratio": FLOAT64,
    "ratio_low": FLOAT64,
    "ratio_high": FLOAT64,
    "wilcoxon_p": FLOAT64,
    "median_delta_ms": FLOAT64,
    "margin": FLOAT64,
    "confidence": FLOAT64,
    "detectable_ratio": FLOAT64,
    "verdict": STRING,
}


def compute_failure_rates(
    documents: pd.DataFrame, run_ids: Mapping[str, str | None], confidence: float
) -> pd.DataFrame:
    """Return one row per side; see RunComparison.failure_rates.

    Args:
        documents: The paired documents.
        run_ids: The run of each side, "baseline" and "candidate".
        confidence: The confidence level of the intervals.
    """
    ended = documents[documents["change"].isin(COMPARABLE_CHANGES)]
    changes = count_changes(documents)
    p_values = {"baseline": None, "candidate": mcnemar(changes["broken"], changes["fixed"])}
    rows = []
    for side, run_id in run_ids.items():
        failed = int(ended[f"{side}_status"].isin((*FAILED, *STOPPED)).sum())
        rate = estimates.proportion(failed, len(ended), confidence)
        interval = (rate.value, rate.low, rate.high)
        rows.append((side, run_id, len(ended), failed, *interval, p_values[side]))
    return frame_of_rows(rows, _FAILURE_RATES)


def compute_durations(
    documents: pd.DataFrame, run_ids: Mapping[str, str | None], confidence: float
) -> pd.DataFrame:
    """Return one row per side; see RunComparison.durations. Arguments as above."""
    # delta_ms is null unless both sides were completed with a duration
    measured = documents[documents["delta_ms"].notna()]
    rows = []
    for side, run_id in run_ids.items():
        values = measured[f"{side}_duration_ms"].to_numpy(dtype=np.float64)
        has_logarithms = (values > 0).all()
        found = (
            estimates.mean(values, confidence),
            estimates.geometric_mean(values if has_logarithms else values[:0], confidence),
            estimates.quantile(values, 0.5, confidence),
        )
        numbers = [number for one in found for number in (one.value, one.low, one.high)]
        rows.append((side, run_id, len(values), *numbers))
    return frame_of_rows(rows, _DURATIONS)


def compute_ratio(documents: pd.DataFrame, margin: float, confidence: float) -> PairedRatio:
    """Return the ratio of the durations of the documents that were completed on both sides."""
    completed = documents[documents["change"] == "unchanged"]
    before, after = (
        completed[f"{side}_duration_ms"].to_numpy(dtype=np.float64, na_value=np.nan)
        for side in ("baseline", "candidate")
    )
    return paired_ratio(before, after, margin=margin, confidence=confidence)


def tabulate_ratio(ratio: PairedRatio) -> pd.DataFrame:
    """Return the ratio as one row; see RunComparison.speed."""
    values = (getattr(ratio, name.removesuffix("_ms")) for name in _SPEED)
    return frame_of_rows([tuple(values)], _SPEED)
