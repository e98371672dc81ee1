"""The trend of durations: their quantiles from run to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retab_frames.plots.figures import ensure_axes, show_message
from retab_frames.plots.intervals import draw_intervals, has_unfinished, hollow_entry
from retab_frames.plots.labels import add_legend, format_runs, label_rows
from retab_frames.plots.palette import GREY, LINE_STYLES
from retab_frames.plots.scales import set_log_duration_axis
from retab_frames.schemas.intake import take_columns
from retab_frames.stats.durations import duration_stats, name_quantile
from retab_frames.stats.measures import list_columns
from retab_frames.stats.run_order import TIMES, find_began, sort_by_run
from retab_frames.text.labels import find_heading

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
            began, with the day below them if it is known; or a result of `duration_stats`, for
            other groups or measures: one point per row, in the order of the rows, named by the
            first column.
        quantiles: At most six, between 0 and 1; a result of `duration_stats` must have them.
        ax: Where to draw; None makes a new figure, see `retab_frames.plots`.

    Returns:
        The axes; an open end of an interval is an arrow to their edge, and a run that has not ended
        is hollow. If no job was completed, they hold a message instead of a plot.

    Raises:
        TypeError: If it is not a frame of pandas.
        ValueError: If it is neither a jobs frame nor has the columns of the quantiles.
    """
    names = [name_quantile(q) for q in quantiles]
    if len(names) > len(LINE_STYLES):
        raise ValueError(f"at most {len(LINE_STYLES)} quantiles can be drawn, not {len(names)}")
    is_stats = isinstance(jobs, pd.DataFrame) and "measured" in jobs.columns
    stats, began = (jobs, [None] * len(jobs)) if is_stats else _compute_stats(jobs, quantiles)
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
    if has_unfinished(stats).any():
        entries.append(hollow_entry(LINE_STYLES[0].marker, LINE_STYLES[0].colour))
    label_rows(ax.xaxis, format_runs(stats.iloc[:, 0].tolist(), began), slanted=True)
    ax.set_xlim(-0.5, len(stats) - 0.5)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)
    add_legend(ax, entries)
    return ax


def _compute_stats(
    jobs: pd.DataFrame, quantiles: Sequence[float]
) -> tuple[pd.DataFrame, Sequence[Any]]:
    """Return the statistics of each run, and when it began, in the order of time."""
    needed = ("run_id", "status", "is_placeholder", *list_columns("duration"))
    jobs = sort_by_run(take_columns(jobs, needed, reader="a plot of trends", optional=TIMES))
    # the statistics are in the order of first appearance of the runs, as these times
    return duration_stats(jobs, by="run_id", quantiles=quantiles), find_began(jobs)


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
    return drawn, find_heading(name)
