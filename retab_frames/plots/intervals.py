"""Quantiles and their intervals; an arrow marks an open end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from retab_frames.plots.figures import background, text_colour
from retab_frames.plots.palette import EDGE_COLOUR

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from retab_frames.stats.grouped_values import Flags, Floats

__all__ = ["HOLLOW", "draw_intervals", "has_unfinished", "hollow_entry"]

HOLLOW = "hollow: has not ended"
"""What a legend says of hollow markers."""
_SIZE = 6.5


def has_unfinished(stats: pd.DataFrame) -> Flags:
    """Return which rows of `duration_stats` have jobs that have not ended."""
    if "unfinished" not in stats.columns:
        return np.zeros(len(stats), dtype=np.bool_)
    return stats["unfinished"].to_numpy(np.int64) > 0


def hollow_entry(marker: str, colour: str | None = None) -> tuple[Line2D, str]:
    """Return the entry of a legend for hollow markers."""
    return Line2D([], [], marker=marker, linestyle="none", **_hollow_style(colour)), HOLLOW


def _hollow_style(colour: str | None) -> dict[str, Any]:
    colour = colour or text_colour()
    style = {"markersize": _SIZE - 0.5, "markeredgecolor": colour, "markeredgewidth": 1.3}
    return style | {"markerfacecolor": background()}


def draw_intervals(
    ax: Axes,
    stats: pd.DataFrame,
    name: str,
    at: Floats,
    *,
    horizontal: bool,
    marker: str,
    colour: str | None = None,
    crowded: bool = False,
) -> Line2D:
    """Draw a quantile of each row as a marker and its interval as a line, and return the markers.

    An open end is an arrow at the end of the axis of durations, whose limits must be set before. A
    quantile that is null is not drawn, and that of a row with jobs that have not ended is hollow.

    Args:
        ax: Where to draw.
        stats: The result of `duration_stats`.
        name: The name of the quantile, such as `p50`.
        at: The position of each row on the other axis.
        horizontal: Whether durations go from left to right; if not, from bottom to top.
        marker: A marker of matplotlib.
        colour: A colour; None is that of text.
        crowded: Whether there is only room for small markers, without intervals.
    """
    columns = (stats[f"{name}{end}_ms"] for end in ("", "_low", "_high"))
    value, low, high = (column.to_numpy(np.float64, na_value=np.nan) for column in columns)
    known = ~np.isnan(value)
    value, low, high, at = value[known], low[known], high[known], at[known]
    unfinished = has_unfinished(stats)[known]
    begin, end = ax.get_xlim() if horizontal else ax.get_ylim()
    style: dict[str, Any] = {"color": colour or text_colour(), "linestyle": "none", "zorder": 4}
    points = (value, at) if horizontal else (at, value)
    if crowded:
        (drawn,) = ax.plot(*points, marker=marker, markersize=2.5, label=name, **style)
        return drawn
    lines = ax.hlines if horizontal else ax.vlines
    bounds = np.where(np.isnan(low), begin, low), np.where(np.isnan(high), end, high)
    lines(at, *bounds, color=style["color"], linewidth=1.3, zorder=3, label=f"{name} interval")
    for edge, bound, arrow in ((begin, low, "<v"), (end, high, ">^")):
        is_open = at[np.isnan(bound)]
        if not len(is_open):
            # an artist without points that is not clipped would enlarge the figure
            continue
        edges = np.full(len(is_open), edge)
        tips = (edges, is_open) if horizontal else (is_open, edges)
        ax.plot(*tips, marker=arrow[0 if horizontal else 1], markersize=5, clip_on=False, **style)
    face = {"markersize": _SIZE, "markeredgecolor": EDGE_COLOUR, "markeredgewidth": 0.6}
    (drawn,) = ax.plot(*points, marker=marker, label=name, **style | face)
    if unfinished.any():
        hollow = [side[unfinished] for side in points]
        face = _hollow_style(colour)
        ax.plot(*hollow, marker=marker, label=f"{name} hollow", **style | face)
    return drawn
