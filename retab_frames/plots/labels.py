"""Names as labels: safe to draw, short, and no more of them than there is room for."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.font_manager import fontManager
from matplotlib.ticker import Formatter, Locator

from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.text import Text

__all__ = [
    "RowLocator",
    "add_legend",
    "format_label",
    "format_runs",
    "label_rows",
    "style_label",
]

_FONT_SIZE = 8
_MAX_LENGTH = 32
_MAX_LENGTH_WITH_DATE = 22
_DENSITY = {"x": 1.2, "y": 1.5}
"""How many names fit where matplotlib has room for one; those below the x axis are slanted."""
_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Hiragino Sans",
    "PingFang SC",
    "Yu Gothic",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "WenQuanYi Zen Hei",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Nirmala UI",
    "Arial Unicode MS",
)
"""Fonts for the scripts that matplotlib's own font lacks."""


def format_label(value: Any, max_length: int = _MAX_LENGTH) -> str:
    """Return a name that can be drawn, shortened in its middle if it is too long.

    Control characters are escaped, `$` stands for itself, and null is `(none)`.
    """
    if not isinstance(value, str) and pd.isna(value):
        return "(none)"
    text = printable(value if isinstance(value, str) else str(value), 1_000)
    if len(text) > max_length:
        # names of files differ at their end as often as at their start
        tail = (max_length - 1) // 2
        text = f"{text[: max_length - 1 - tail]}…{text[-tail:]}"
    # two of them would enclose a formula
    return text.replace("$", r"\$")


def format_runs(runs: Sequence[Any], began: Sequence[Any]) -> list[str]:
    """Return the label of each run: its id, and the day on which it began, if that is known.

    Args:
        runs: The ids.
        began: When each of them began (UTC), or null; two of one day are told apart by the hour.
    """
    days = [moment.date() for moment in began if not pd.isna(moment)]
    pattern = "%Y-%m-%d" if len(set(days)) == len(days) else "%Y-%m-%d %H:%M"
    return [
        format_label(run)
        if pd.isna(moment)
        else f"{format_label(run, _MAX_LENGTH_WITH_DATE)}  {moment:{pattern}}"
        for run, moment in zip(runs, began, strict=True)
    ]


def style_label(text: Text, *, slanted: bool = False) -> None:
    """Set the fonts of a label made by `format_label`, and its slope.

    A character is drawn in the first font that has it: those of the style in use, then those for
    other scripts.
    """
    slope = {"rotation": 35, "ha": "right"} if slanted else {}
    fonts = [*mpl.rcParams["font.family"], *_list_installed_fonts()]
    text.update({"usetex": False, "fontfamily": fonts, **slope})


@cache
def _list_installed_fonts() -> list[str]:
    # matplotlib logs a warning for each family that is not installed
    installed = {font.name for font in fontManager.ttflist}
    return [name for name in _FONTS if name in installed]


def label_rows(axis: Axis, names: Sequence[str], *, slanted: bool = False) -> None:
    """Name the positions 0, 1, 2, ... of an axis, or every nth if not all names fit.

    Args:
        axis: The x or the y axis.
        names: As `format_label` makes them.
        slanted: Whether the names are slanted, so that more of them fit below an axis.
    """
    axis.set_major_locator(RowLocator(len(names)))
    axis.set_major_formatter(RowFormatter(names))
    axis.set_tick_params(length=0, labelsize=_FONT_SIZE)
    # ticks that are made later copy the style of the first
    for tick in axis.get_major_ticks(max(1, len(axis.majorTicks))):
        style_label(tick.label1, slanted=slanted)


def add_legend(ax: Axes, entries: Sequence[tuple[Artist, str]]) -> None:
    """Add a legend to the right of the axes, where it hides nothing, a title neither.

    Args:
        ax: The axes of the plot.
        entries: What is drawn, and its name as `format_label` makes it.
    """
    if not entries:
        return
    # matplotlib hides an entry whose name begins with an underscore, so names are set afterwards
    handles, names = [artist for artist, _ in entries], ["."] * len(entries)
    legend = ax.legend(
        handles,
        names,
        frameon=False,
        fontsize=_FONT_SIZE,
        loc="upper left",
        bbox_to_anchor=(1, 1),
    )
    for text, (_, name) in zip(legend.get_texts(), entries, strict=True):
        text.set_text(name)
        style_label(text)


class RowLocator(Locator):
    """Ticks at whole numbers, with room for a label between them at every zoom level.

    Args:
        count: How many rows there are.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self) -> Sequence[float]:
        """Return the ticks of the visible part of the axis."""
        axis: Any = self.axis
        return self.tick_values(*axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        """Return the ticks between two positions."""
        first = max(0, int(np.ceil(min(vmin, vmax))))
        last = min(self.count - 1, int(np.floor(max(vmin, vmax))))
        axis: Any = self.axis
        room = max(1, int(axis.get_tick_space() * _DENSITY[axis.axis_name]))
        step = max(1, -(-(last - first + 1) // room))
        return np.arange(first, last + 1, step).tolist()


class RowFormatter(Formatter):
    """The names of the positions 0, 1, 2, ...; a class, so that a figure can be pickled.

    Args:
        names: The names.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the name of the nearest row: the mouse can be outside of the rows."""
        del pos
        return self.names[int(np.clip(round(x), 0, len(self.names) - 1))]
