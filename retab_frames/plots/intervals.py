"""Quantiles and their intervals; an arrow marks an open end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retab_frames.plots.figures import text_colour
from retab_frames.plots.palette import EDGE_COLOUR

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from retab_frames.stats.grouped_values import Floats

__all__ = ["draw_intervals"]


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
    quantile that is null is not drawn.

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
    face = {"markersize": 6.5, "markeredgecolor": EDGE_COLOUR, "markeredgewidth": 0.6}
    (drawn,) = ax.plot(*points, marker=marker, label=name, **style | face)
    return drawn
