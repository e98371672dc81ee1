"""Documents by runs: what became of each document in each run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullLocator

from retab_frames.plots.figures import axes_for, say_nothing
from retab_frames.plots.labels import label, label_rows, legend
from retab_frames.plots.palette import state_of
from retab_frames.plots.scales import DurationFormatter, DurationLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from retab_frames.compare.many_runs import ManyComparison

__all__ = ["matrix"]

Value = Literal["status", "duration_ms", "ratio_to_run_median"]

_MOST_SIGNS = 60
"""Rows above which a cell is too low for a sign."""
_NULL = "#FFFFFF"


def matrix(comparison: ManyComparison, *, value: Value = "status", ax: Axes | None = None) -> Axes:
    """Draw the documents by runs, the documents that need a look first.

    Args:
        comparison: What `compare_many` returned.
        value: "status"; "duration_ms" or "ratio_to_run_median" (the ratio to the median of the run)
            of the completed jobs, on a log scale from dark to light.
        ax: Where to draw; None makes a figure, see `retab_frames.plots`.

    Returns:
        The axes, rows in the order of `comparison.documents`, columns in that of the runs. Where
        not all names fit, every so many-th stands. A cell is blank where the run has not the
        document, or no such value for it.

    Raises:
        ValueError: If the value is none of these.
    """
    if value not in ("status", "duration_ms", "ratio_to_run_median"):
        raise ValueError(f"value must be status, duration_ms or ratio_to_run_median, not {value!r}")
    frame = comparison.matrix(value)
    names, cells = frame.iloc[:, :2], frame.iloc[:, 2:]
    height = float(np.clip(1.6 + 0.22 * len(cells), 2.5, 9))
    ax = axes_for(ax, float(np.clip(4.5 + 0.45 * cells.shape[1], 6, 12)), height)
    if cells.empty:
        return say_nothing(ax, "no documents")
    draw = _draw_states if value == "status" else _draw_numbers
    if not draw(ax, cells, value):
        return say_nothing(ax, "no completed jobs")
    documents = names["filename"].fillna(names["document_id"])
    label_rows(ax.yaxis, [label(name) for name in documents])
    label_rows(ax.xaxis, [label(run) for run in cells.columns], **_SLANTED)
    ax.spines[:].set_visible(False)
    return ax


_SLANTED = {"rotation": 35, "ha": "right"}


def _draw_states(ax: Axes, cells: pd.DataFrame, _: Value) -> bool:
    statuses = [[None if pd.isna(cell) else cell for cell in row] for row in cells.to_numpy(object)]
    seen = {state_of(cell) for row in statuses for cell in row if cell is not None}
    states = {state.name: state for state in sorted(seen, key=lambda state: state.name)}
    codes = {name: code for code, name in enumerate(states)}
    numbers = np.array(
        [[np.nan if c is None else codes[state_of(c).name] for c in row] for row in statuses],
        dtype=np.float64,
    )
    colours = ListedColormap([state.colour for state in states.values()] or [_NULL])
    _show(ax, numbers, cmap=colours.with_extremes(bad=_NULL), vmin=-0.5, vmax=len(states) - 0.5)
    if len(cells) <= _MOST_SIGNS:
        for row, column in zip(*np.nonzero(~np.isnan(numbers)), strict=True):
            state = state_of(statuses[row][column])
            ax.text(column, row, state.sign, ha="center", va="center", color=state.on, size=8)
    legend(ax, [(Patch(facecolor=s.colour), f"{s.name} {s.sign}".strip()) for s in states.values()])
    return True


def _draw_numbers(ax: Axes, cells: pd.DataFrame, value: Value) -> bool:
    numbers = cells.to_numpy(dtype=np.float64, na_value=np.nan)
    above = numbers[numbers > 0]
    if not len(above):
        return False
    low, high = float(above.min()), max(float(above.max()), float(above.min()) * 1.01)
    # 0 has no logarithm, and is the least there can be
    numbers = np.where(numbers == 0, low, numbers)
    colours = mpl.colormaps["cividis"].with_extremes(bad=_NULL)
    image = _show(ax, numbers, cmap=colours, norm=LogNorm(low, high))
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02, shrink=0.8)
    bar.ax.yaxis.set_minor_locator(NullLocator())
    if value == "duration_ms":
        bar.set_ticks(DurationLocator(log=True).tick_values(low, high))
        bar.ax.yaxis.set_major_formatter(DurationFormatter(uniform=False))
        bar.set_label("duration")
    else:
        steps = 2.0 ** np.arange(-10, 11)
        bar.set_ticks(steps[(steps >= low) & (steps <= high)].tolist())
        bar.ax.yaxis.set_major_formatter(
            FuncFormatter(lambda x, _: f"\N{MULTIPLICATION SIGN} {x:g}")
        )
        bar.set_label("ratio to the median of the run")
    return True


def _show(ax: Axes, numbers: np.ndarray[Any, Any], **style: Any) -> Any:
    image = ax.imshow(
        np.ma.masked_invalid(numbers), aspect="auto", interpolation="nearest", **style
    )
    rows, columns = numbers.shape
    if rows <= _MOST_SIGNS:
        ax.hlines(np.arange(rows - 1) + 0.5, -0.5, columns - 0.5, color="white", linewidth=1)
    ax.vlines(np.arange(columns - 1) + 0.5, -0.5, rows - 0.5, color="white", linewidth=1)
    return image
