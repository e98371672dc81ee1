"""How quantiles of durations develop from run to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from retab_frames.plots.figures import axes_for, say_nothing
from retab_frames.plots.intervals import draw_intervals, quantile_columns
from retab_frames.plots.labels import label, label_rows, legend
from retab_frames.plots.palette import GREY, LINES
from retab_frames.plots.scales import log_duration_axis
from retab_frames.stats.durations import duration_stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from retab_frames.stats.grouped_values import Floats

__all__ = ["trend"]


def trend(
    jobs: pd.DataFrame,
    *,
    quantiles: Sequence[float] = (0.5, 0.9),
    ax: Axes | None = None,
) -> Axes:
    """Draw quantiles of the durations over the runs, with their intervals, on a log axis.

    Args:
        jobs: A frame with the columns of JobsSchema, whose runs are put in the order in which they
            began; or what `duration_stats` returned, for other groups or measures: a point per row,
            in the order of the rows, named by the first column.
        quantiles: At most six, between 0 and 1; of statistics in hand, those among its columns.
        ax: Where to draw; None makes a figure, see `retab_frames.plots`.

    Returns:
        The axes; an open end of an interval is an arrow to their edge. Without a completed job they
        say so.

    Raises:
        ValueError: If it is no frame of jobs and has not the columns of the quantiles.
    """
    names = quantile_columns(quantiles)
    if len(names) > len(LINES):
        raise ValueError(f"{len(LINES)} quantiles can be told apart, not {len(names)}")
    stats = jobs if _is_stats(jobs) else _by_run(jobs, quantiles)
    missing = [name for name in names if f"{name}_high_ms" not in stats.columns]
    if missing:
        raise ValueError(
            f"these statistics have no {', '.join(missing)}: give duration_stats these quantiles"
        )
    ax = axes_for(ax, float(np.clip(3 + 0.5 * len(stats), 5.5, 12)), 4.0)
    known = _known(stats, names)
    if not len(known):
        return say_nothing(ax, "no completed jobs")
    log_duration_axis(ax, "y", known, "duration")
    entries = [_draw(ax, stats, name, n, len(names)) for n, name in enumerate(names)]
    label_rows(ax.xaxis, [label(run) for run in stats.iloc[:, 0]], **_SLANTED)
    ax.set_xlim(-0.5, len(stats) - 0.5)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)
    legend(ax, entries)
    return ax


_SLANTED = {"rotation": 35, "ha": "right"}


def _is_stats(frame: pd.DataFrame) -> bool:
    return isinstance(frame, pd.DataFrame) and "measured" in frame.columns


def _by_run(jobs: pd.DataFrame, quantiles: Sequence[float]) -> pd.DataFrame:
    stats = duration_stats(jobs, by="run_id", quantiles=quantiles)
    if "created_at" not in jobs.columns:
        return stats
    began = jobs.groupby("run_id", sort=False, dropna=False)["created_at"].min()
    order = began.reset_index(drop=True).sort_values(kind="stable").index
    return stats.iloc[order].reset_index(drop=True)


def _known(stats: pd.DataFrame, names: Sequence[str]) -> Floats:
    columns = [f"{name}{end}_ms" for name in names for end in ("", "_low", "_high")]
    values = stats[columns].to_numpy(dtype=np.float64, na_value=np.nan).ravel()
    return np.asarray(values[~np.isnan(values)], dtype=np.float64)


def _draw(ax: Axes, stats: pd.DataFrame, name: str, n: int, of: int) -> tuple[Artist, str]:
    """Draw a quantile of every run, beside those of the same run."""
    line = LINES[n]
    at = np.arange(len(stats), dtype=np.float64) + 0.16 * (n - (of - 1) / 2)
    values = stats[f"{name}_ms"].to_numpy(np.float64, na_value=np.nan)
    (drawn,) = ax.plot(at, values, color=line.colour, linestyle=line.dashes, marker=line.marker)
    drawn.set(linewidth=1.2, label=f"{name} line")
    draw_intervals(ax, stats, name, at, marker=line.marker, colour=line.colour, flat=False)
    return drawn, name
