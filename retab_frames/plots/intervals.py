"""Quantiles and their intervals, with an arrow for an end that is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retab_frames.plots.figures import ink

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from retab_frames.stats.grouped_values import Floats

__all__ = ["draw_intervals", "quantile_columns"]


def quantile_columns(quantiles: Sequence[float]) -> list[str]:
    """Return what `duration_stats` calls quantiles: `p50`, `p90`."""
    return [f"p{100 * q:.10g}" for q in quantiles]


def draw_intervals(
    ax: Axes,
    stats: pd.DataFrame,
    name: str,
    at: Floats,
    *,
    flat: bool,
    marker: str,
    colour: str | None = None,
    crowded: bool = False,
) -> Line2D:
    """Draw a quantile of each row as a marker and its interval as a line, and return the markers.

    An open end is an arrow to the end of the axis of durations, whose limits must be set before. A
    quantile that is null is not drawn.

    Args:
        ax: Where to draw.
        stats: What `duration_stats` returned.
        name: Of the quantile, as `p50`.
        at: Where each row stands on the other axis.
        flat: Whether durations go from left to right; else from the bottom to the top.
        marker: Matplotlib's.
        colour: None is that of text.
        crowded: Whether there is no room for more than small markers.
    """
    columns = (stats[f"{name}{end}_ms"] for end in ("", "_low", "_high"))
    value, low, high = (column.to_numpy(np.float64, na_value=np.nan) for column in columns)
    there = ~np.isnan(value)
    value, low, high, at = value[there], low[there], high[there], at[there]
    begin, end = ax.get_xlim() if flat else ax.get_ylim()
    style: dict[str, Any] = {"color": colour or ink(), "linestyle": "none", "zorder": 4}
    points = (value, at) if flat else (at, value)
    if crowded:
        (drawn,) = ax.plot(*points, marker=marker, markersize=2.5, label=name, **style)
        return drawn
    lines = ax.hlines if flat else ax.vlines
    bounds = np.where(np.isnan(low), begin, low), np.where(np.isnan(high), end, high)
    lines(at, *bounds, color=style["color"], linewidth=1.3, zorder=3, label=f"{name} interval")
    for edge, bound, arrow in ((begin, low, "<v"), (end, high, ">^")):
        is_open = at[np.isnan(bound)]
        if not len(is_open):
            # without points, one that is not clipped would stretch the figure to its corner
            continue
        edges = np.full(len(is_open), edge)
        tips = (edges, is_open) if flat else (is_open, edges)
        ax.plot(*tips, marker=arrow[0 if flat else 1], markersize=5, clip_on=False, **style)
    face = {"markersize": 6.5, "markeredgecolor": "white", "markeredgewidth": 0.6}
    (drawn,) = ax.plot(*points, marker=marker, label=name, **style | face)
    return drawn
