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

    from retab_frames.stats.grouped_values import Ints

__all__ = ["trend"]

_EXPERIMENT = "experiment_id"


def trend(
    jobs: pd.DataFrame,
    *,
    quantiles: Sequence[float] = (0.5, 0.9),
    ax: Axes | None = None,
) -> Axes:
    """Draw quantiles of the durations over the runs, with their intervals, on a log axis.

    Args:
        jobs: A frame with the columns of JobsSchema, whose runs are put in the order in which they
            began, with the day below them if it is known, those of one experiment together, and
            no line from one experiment to the next; or a result of `duration_stats`, for
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
    began: Sequence[Any]
    if is_stats:
        stats, began, starts = jobs, [None] * len(jobs), np.empty(0, dtype=np.int64)
    else:
        stats, began, starts = _compute_stats(jobs, quantiles)
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
    entries = [
        _draw_quantile(ax, stats, name, n, len(names), starts) for n, name in enumerate(names)
    ]
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
) -> tuple[pd.DataFrame, Sequence[Any], Ints]:
    """Return the statistics of each run, when it began, and which begin another experiment."""
    needed = ("run_id", "status", "is_placeholder", *list_columns("duration"))
    optional = (*TIMES, _EXPERIMENT)
    jobs = sort_by_run(take_columns(jobs, needed, reader="a plot of trends", optional=optional))
    starts = np.empty(0, dtype=np.int64)
    if _EXPERIMENT in jobs.columns:
        number, _ = pd.factorize(jobs[_EXPERIMENT], use_na_sentinel=False)
        jobs = jobs.iloc[np.argsort(number, kind="stable")]
        first = ~jobs.duplicated("run_id").to_numpy()
        starts = np.flatnonzero(np.diff(np.sort(number)[first])) + 1
    # the statistics are in the order of first appearance of the runs, as these times
    return duration_stats(jobs, by="run_id", quantiles=quantiles), find_began(jobs), starts


def _draw_quantile(
    ax: Axes, stats: pd.DataFrame, name: str, n: int, count: int, starts: Ints
) -> tuple[Artist, str]:
    """Draw the nth of some quantiles for every run, shifted so that they do not overlap.

    No line leads to the runs at `starts`.
    """
    line = LINE_STYLES[n]
    at = np.arange(len(stats), dtype=np.float64) + 0.16 * (n - (count - 1) / 2)
    values = stats[f"{name}_ms"].to_numpy(np.float64, na_value=np.nan)
    line_at, line_values = (np.insert(numbers, starts, np.nan) for numbers in (at, values))
    (drawn,) = ax.plot(
        line_at, line_values, color=line.colour, linestyle=line.dashes, marker=line.marker
    )
    drawn.set(linewidth=1.2, label=f"{name} line")
    draw_intervals(ax, stats, name, at, marker=line.marker, colour=line.colour, horizontal=False)
    return drawn, find_heading(name)
