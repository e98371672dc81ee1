"""A matrix of documents by runs: the status or the duration of each job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator, StrMethodFormatter

from retab_frames.plots.figures import ensure_axes, show_message
from retab_frames.plots.labels import add_legend, format_label, label_rows
from retab_frames.plots.palette import EDGE_COLOUR, NULL_COLOUR, find_style
from retab_frames.plots.scales import DurationFormatter, DurationLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from retab_frames.compare.many_runs import ManyComparison
    from retab_frames.stats.grouped_values import Floats

__all__ = ["matrix"]

_MAX_ROWS_WITH_SIGNS = 60
"""More rows are too low for a sign in each cell."""


def matrix(
    comparison: ManyComparison,
    *,
    value: str = "status",
    documents: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the documents by runs, the documents that need attention first.

    Args:
        comparison: The result of `compare_many`.
        value: "status"; "duration_ms" (or that of another measure) or "ratio_to_run_median" (the
            ratio to the median of the run) of the completed jobs, on a log scale from dark to
            light.
        documents: How many of them to draw at most, those that need attention most; None draws all.
        ax: Where to draw; None makes a new figure, see `retab_frames.plots`.

    Returns:
        The axes, with rows in the order of `comparison.documents`, and columns in the order in
        which the runs began, or as given if one does not say when. If not all names fit, every nth
        is shown. A cell is blank if the run lacks the document, or the value is null.

    Raises:
        ValueError: If the value is not one of these.
    """
    of_measure = f"{comparison.measure}_ms"
    if value not in ("status", of_measure, "ratio_to_run_median"):
        raise ValueError(
            f"value must be status, {of_measure} or ratio_to_run_median, not {value!r}"
        )
    frame = comparison.matrix(value).iloc[:documents]
    runs = comparison.cells["run_id"].dropna().unique()
    names, cells = frame.iloc[:, :2], frame[list(runs)]
    height = float(np.clip(1.6 + 0.22 * len(cells), 2.5, 9))
    ax = ensure_axes(ax, float(np.clip(4.5 + 0.45 * cells.shape[1], 6, 12)), height)
    if cells.empty:
        return show_message(ax, "no documents")
    if value == "status":
        _draw_statuses(ax, cells)
    else:
        numbers = cells.to_numpy(dtype=np.float64, na_value=np.nan)
        if not (numbers > 0).any():
            return show_message(ax)
        _draw_numbers(ax, numbers, value)
    rows = names["filename"].fillna(names["document_id"])
    label_rows(ax.yaxis, [format_label(name) for name in rows])
    label_rows(ax.xaxis, [_label_run(run, comparison) for run in cells.columns], slanted=True)
    ax.spines[:].set_visible(False)
    return ax


def _label_run(run: str, comparison: ManyComparison) -> str:
    is_baseline = run == comparison.baseline_run_id
    return f"{format_label(run)} (baseline)" if is_baseline else format_label(run)


def _draw_statuses(ax: Axes, cells: pd.DataFrame) -> None:
    rows = [[find_style(c) if pd.notna(c) else None for c in row] for row in cells.to_numpy(object)]
    styles = sorted({style for row in rows for style in row if style}, key=lambda one: one.name)
    codes = np.array([[styles.index(s) if s else np.nan for s in row] for row in rows], np.float64)
    colours = ListedColormap([style.colour for style in styles] or [NULL_COLOUR])
    colour_map = colours.with_extremes(bad=NULL_COLOUR)
    _draw_cells(ax, codes, cmap=colour_map, vmin=-0.5, vmax=len(styles) - 0.5)
    if len(cells) <= _MAX_ROWS_WITH_SIGNS:
        for row, column in zip(*np.nonzero(~np.isnan(codes)), strict=True):
            style = styles[int(codes[row, column])]
            text = ax.text(column, row, style.sign, ha="center", va="center", size=8)
            text.set_color(style.sign_colour)
    entries = [(Patch(facecolor=one.colour), f"{one.name} {one.sign}".strip()) for one in styles]
    add_legend(ax, entries)


def _draw_numbers(ax: Axes, numbers: Floats, value: str) -> None:
    above_zero = numbers[numbers > 0]
    low = float(above_zero.min())
    high = max(float(above_zero.max()), low * 1.01)
    # 0 has no logarithm: it gets the colour of the smallest number
    numbers = np.where(numbers == 0, low, numbers)
    colours = mpl.colormaps["cividis"].with_extremes(bad=NULL_COLOUR)
    image = _draw_cells(ax, numbers, cmap=colours, norm=LogNorm(low, high))
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02, shrink=0.8)
    bar.ax.yaxis.set_minor_locator(NullLocator())
    if value.endswith("_ms"):
        bar.set_ticks(DurationLocator(log=True).tick_values(low, high))
        bar.ax.yaxis.set_major_formatter(DurationFormatter(uniform=False))
        bar.set_label(value.removesuffix("_ms"))
    else:
        steps = 2.0 ** np.arange(-10, 11)
        bar.set_ticks(steps[(steps >= low) & (steps <= high)].tolist())
        bar.ax.yaxis.set_major_formatter(StrMethodFormatter("x {x:g}"))
        bar.set_label("ratio to the median of the run")


def _draw_cells(ax: Axes, numbers: Floats, **style: Any) -> AxesImage:
    image = ax.imshow(
        np.ma.masked_invalid(numbers), aspect="auto", interpolation="nearest", **style
    )
    rows, columns = numbers.shape
    if rows <= _MAX_ROWS_WITH_SIGNS:
        ax.hlines(np.arange(rows - 1) + 0.5, -0.5, columns - 0.5, color=EDGE_COLOUR, linewidth=1)
    ax.vlines(np.arange(columns - 1) + 0.5, -0.5, rows - 0.5, color=EDGE_COLOUR, linewidth=1)
    return image
