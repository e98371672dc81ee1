"""Statistics of the documents that both runs have: failure rates, durations, and their ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retab_frames.compare.documents import COMPARABLE_CHANGES, count_changes
from retab_frames.schemas.frames import FLOAT64, INT64, STRING, arrow_column, frame_of_rows
from retab_frames.schemas.vocabulary import FAILED
from retab_frames.stats import estimates
from retab_frames.stats.paired_ratio import MOVER, mcnemar, paired_ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from retab_frames.stats.estimates import Estimate
    from retab_frames.stats.measures import Measure
    from retab_frames.stats.paired_ratio import PairedRatio

__all__ = [
    "SPEED",
    "compute_durations",
    "compute_failure_rates",
    "compute_ratio",
    "list_speed",
    "select_movers",
    "select_pairs",
]

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
    "p95_ms": FLOAT64,
    "p95_low_ms": FLOAT64,
    "p95_high_ms": FLOAT64,
}
SPEED = {
    "verdict": STRING,
    "pairs": INT64,
    "left_out": INT64,
    "zeros": INT64,
    "same_job": INT64,
    "ratio": FLOAT64,
    "ratio_low": FLOAT64,
    "ratio_high": FLOAT64,
    "p_value": FLOAT64,
    "interval": STRING,
    "total_ratio": FLOAT64,
    "total_low": FLOAT64,
    "total_high": FLOAT64,
    "total_delta_ms": FLOAT64,
    "much_slower": INT64,
    "much_faster": INT64,
    "movers_p": FLOAT64,
    "composite_low": FLOAT64,
    "composite_high": FLOAT64,
    "p95_ratio": FLOAT64,
    "p95_low": FLOAT64,
    "p95_high": FLOAT64,
    "median_delta_ms": FLOAT64,
    "margin": FLOAT64,
    "confidence": FLOAT64,
    "detectable_ratio": FLOAT64,
}
"""The columns of RunComparison.speed."""


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
        failed = int(ended[f"{side}_status"].isin(FAILED).sum())
        rate = estimates.proportion(failed, len(ended), confidence)
        interval = (rate.value, rate.low, rate.high)
        rows.append((side, run_id, len(ended), failed, *interval, p_values[side]))
    return frame_of_rows(rows, _FAILURE_RATES)


def compute_durations(
    documents: pd.DataFrame,
    run_ids: Mapping[str, str | None],
    confidence: float,
    *,
    measure: Measure,
) -> pd.DataFrame:
    """Return one row per side; see RunComparison.durations. Arguments as above."""
    pairs = select_pairs(documents)
    # delta_ms is null unless both sides have the measure
    measured = pairs[pairs["delta_ms"].notna()]
    rows = []
    for side, run_id in run_ids.items():
        values = measured[f"{side}_{measure}_ms"].to_numpy(dtype=np.float64)
        has_logarithms = (values > 0).all()
        found = (
            estimates.mean(values, confidence),
            estimates.geometric_mean(values if has_logarithms else values[:0], confidence),
            estimates.quantile(values, 0.5, confidence),
            estimates.quantile(values, 0.95, confidence),
        )
        numbers = [number for one in found for number in (one.value, one.low, one.high)]
        rows.append((side, run_id, len(values), *numbers))
    return frame_of_rows(rows, _DURATIONS)


def select_pairs(documents: pd.DataFrame) -> pd.DataFrame:
    """Return the documents that were completed on both sides by jobs of their own.

    A job that stands on both sides tells nothing of a change.
    """
    is_same = documents["same_job"].fillna(value=False)
    pairs: pd.DataFrame = documents[(documents["change"] == "unchanged") & ~is_same]
    return pairs


def compute_ratio(
    documents: pd.DataFrame, margin: float, confidence: float, *, measure: Measure
) -> PairedRatio:
    """Return the change of the documents that `select_pairs` gives."""
    pairs = select_pairs(documents)
    before, after = (
        pairs[f"{side}_{measure}_ms"].to_numpy(dtype=np.float64, na_value=np.nan)
        for side in ("baseline", "candidate")
    )
    changes = count_changes(documents)
    return paired_ratio(
        before,
        after,
        broken=changes["broken"],
        fixed=changes["fixed"],
        margin=margin,
        confidence=confidence,
    )


def select_movers(documents: pd.DataFrame, ratio: PairedRatio) -> pd.DataFrame:
    """Return the documents that became much slower or much faster, the slowest first.

    Args:
        documents: The paired documents.
        ratio: Their change, by `compute_ratio`.

    Returns:
        The rows with their `ratio`, in which a duration of 0 counts as 0.5 ms.
    """
    logs = ratio.log_ratios
    # as an array, since pandas would align a column by its index
    ratios = arrow_column(np.exp(logs), FLOAT64).array
    pairs = select_pairs(documents)[ratio.used].assign(ratio=ratios)
    moved = np.abs(logs) > np.log(MOVER)
    order = np.argsort(-logs[moved], kind="stable")
    moved_pairs: pd.DataFrame = pairs[moved].iloc[order].reset_index(drop=True)
    return moved_pairs


def list_speed(documents: pd.DataFrame, ratio: PairedRatio) -> dict[str, Any]:
    """Return the values of the columns of SPEED, of which a verdict may replace some."""
    same = (documents["change"] == "unchanged") & documents["same_job"].fillna(value=False)
    values = {
        **{f"total_{end}": value for end, value in _list_ends(ratio.total)},
        **{f"p95_{end}": value for end, value in _list_ends(ratio.p95)},
        "same_job": int(same.sum()),
    }
    return {
        name: values[name] if name in values else getattr(ratio, name.removesuffix("_ms"))
        for name in SPEED
    }


def _list_ends(estimate: Estimate) -> list[tuple[str, float]]:
    return [("ratio", estimate.value), ("low", estimate.low), ("high", estimate.high)]
