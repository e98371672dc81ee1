"""Plots of durations, runs and comparisons. Each takes `ax=` and returns Axes.

Without `ax` a plot makes a figure of its own, outside of pyplot: nothing global is touched, so that
plots can be drawn in threads and without a display, and no figure stays in memory when its last
reference goes. Its axes show themselves when they are the last value of a notebook cell, or by
`display(ax)`; elsewhere `ax.figure.savefig("plot.png")`. For a window or a widget, or to put
several plots side by side, hand in axes of pyplot's: `figure, axes = plt.subplots(1, 2)`.

Nothing is told by colour alone: markers, line styles, hatches and lightness say the same.
"""

from __future__ import annotations

from retab_frames.errors import MissingExtraError

try:
    from retab_frames.plots.distributions import durations, ecdf
    from retab_frames.plots.gantt import timeline
    from retab_frames.plots.grid import matrix
    from retab_frames.plots.scatter import paired
    from retab_frames.plots.trends import trend
except ImportError as error:
    if (error.name or "").partition(".")[0] == "retab_frames":
        raise
    raise MissingExtraError(
        "plots need matplotlib, of the extra `jupyter`: pip install 'retab-frames[jupyter]'"
    ) from error

__all__ = ["durations", "ecdf", "matrix", "paired", "timeline", "trend"]
