"""Plots of durations, runs and comparisons. Each takes `ax=` and returns Axes.

Without `ax`, a plot makes a new figure outside of pyplot. So plots can be drawn in threads and
without a display, and a figure is freed with its last reference. A notebook shows the axes if they
are the last value of a cell, or by `display(ax)`; elsewhere use `ax.figure.savefig("plot.png")`.
For a window or a widget, or for several plots side by side, pass axes of pyplot:
`figure, axes = plt.subplots(1, 2)`.

Colour is never the only distinction: markers, line styles, hatches and lightness differ too.
"""

from __future__ import annotations

from retab_frames.errors import MissingExtraError

try:
    from retab_frames.plots.distributions import durations, ecdf
    from retab_frames.plots.gantt import timeline
    from retab_frames.plots.grid import matrix
    from retab_frames.plots.planning import plan
    from retab_frames.plots.run_trends import run_trend
    from retab_frames.plots.scatter import paired
    from retab_frames.plots.trends import trend
except ImportError as error:
    if (error.name or "").partition(".")[0] == "retab_frames":
        raise
    raise MissingExtraError(
        "plots need matplotlib, from the extra `jupyter`: pip install 'retab-frames[jupyter]'"
    ) from error

__all__ = ["durations", "ecdf", "matrix", "paired", "plan", "run_trend", "timeline", "trend"]
