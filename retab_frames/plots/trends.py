"""The trend of durations: their quantiles from run to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from retab_frames.plots.figures import ensure_axes, show_message
from retab_frames.plots.intervals import draw_intervals
from retab_frames.plots.labels import add_legend, format_label, label_rows
from retab_frames.plots.palette import GREY, LINE_STYLES
from retab_frames.plots.scales import set_log_duration_axis
from retab_frames.schemas.intake import take_columns
from retab_frames.stats.durations import duration_stats, name_quantile
from retab_frames.stats.measures import list_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

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
            began; or a result of `duration_stats`, for other groups or measures: one point per row,
            in the order of the rows, named by the first column.
        quantiles: At most six, between 0 and 1; a result of `duration_stats` must have them.
        ax: Where to draw; None makes a new figure, see `retab_frames.plots`.

    Returns:
        The axes; an open end of an interval is an arrow to their edge. If no job was completed,
        they hold a message instead of a plot.

    Raises:
        TypeError: If it is not a frame of pandas.
        ValueError: If it is neither a jobs frame nor has the columns of the quantiles.
    """
    names = [name_quantile(q) for q in quantiles]
    if len(names) > len(LINE_STYLES):
        raise ValueError(f"at most {len(LINE_STYLES)} quantiles can be drawn, not {len(names)}")
    is_stats = isinstance(jobs, pd.DataFrame) and "measured" in jobs.columns
    stats = jobs if is_stats else _compute_stats(jobs, quantiles)
    missing = [name for name in names if f"{name}_high_ms" not in stats.columns]
    if missing:
        raise ValueError(
            f"these statistics lack {', '.join(missing)}: give duration_stats these quantiles"
        )
    ax = ensure_axes(ax, float(np.clip(3 + 0.5 * len(stats), 5.5, 12)), 4.0)
    columns = [f"{name}{end}_ms" for name in names for end in ("", "_low", "_high")]
    values = stats[columns].to_numpy(dtype=np.float64, na_value=np.nan)
    known = values[~np.isnan(values)]
    if not len(known):
        return show_message(ax)
    set_log_duration_axis(ax, "y", known, "duration")
    entries = [_draw_quantile(ax, stats, name, n, len(names)) for n, name in enumerate(names)]
    label_rows(ax.xaxis, [format_label(run) for run in stats.iloc[:, 0]], slanted=True)
    ax.set_xlim(-0.5, len(stats) - 0.5)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)
    add_legend(ax, entries)
    return ax


def _compute_stats(jobs: pd.DataFrame, quantiles: Sequence[float]) -> pd.DataFrame:
    needed = ("run_id", "status", "is_placeholder", *list_columns("duration"))
    jobs = take_columns(jobs, needed, reader="a plot of trends", optional=("created_at",))
    stats = duration_stats(jobs, by="run_id", quantiles=quantiles)
    if "created_at" not in jobs.columns:
        return stats
    # the statistics are in the order of first appearance of the runs, as these groups
    runs = jobs[["run_id", "created_at"]].reset_index(drop=True)
    began = runs.groupby("run_id", sort=False, dropna=False)["created_at"].min()
    order = began.reset_index(drop=True).sort_values(kind="stable").index
    return stats.iloc[order].reset_index(drop=True)


def _draw_quantile(
    ax: Axes, stats: pd.DataFrame, name: str, n: int, count: int
) -> tuple[Artist, str]:
    """Draw the nth of some quantiles for every run, shifted so that they do not overlap."""
    line = LINE_STYLES[n]
    at = np.arange(len(stats), dtype=np.float64) + 0.16 * (n - (count - 1) / 2)
    values = stats[f"{name}_ms"].to_numpy(np.float64, na_value=np.nan)
    (drawn,) = ax.plot(at, values, color=line.colour, linestyle=line.dashes, marker=line.marker)
    drawn.set(linewidth=1.2, label=f"{name} line")
    draw_intervals(ax, stats, name, at, marker=line.marker, colour=line.colour, horizontal=False)
    return drawn, name
