"""Names as labels: safe to draw, short, and no more of them than there is room for."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.ticker import FuncFormatter, Locator

from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.text import Text

__all__ = ["RowLocator", "families", "label", "label_rows", "legend", "verbatim"]

SMALL = 8
"""Points of a label."""
LONGEST = 32
_DENSER = {"x": 1.2, "y": 1.5}
"""How many names fit for one that matplotlib has room for; those below the x axis are slanted."""
MISSING = "□"
"""What stands for a character that no installed font has."""
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
"""Fonts for the scripts that matplotlib's own font lacks; those that are installed are used."""


def label(value: Any, limit: int = LONGEST) -> str:
    """Return a name that can be drawn, cut in its middle if it is longer than the limit.

    Control characters are escaped, null is `(none)`, and a character that no font has is a box.
    """
    if not isinstance(value, str) and pd.isna(value):
        return "(none)"
    text = printable(value if isinstance(value, str) else str(value), 1_000)
    if len(text) > limit:
        # what tells files apart stands at the end as often as at the start
        tail = (limit - 1) // 2
        text = f"{text[: limit - 1 - tail]}…{text[-tail:]}"
    known = _characters(families())
    drawn = "".join(c if c.isascii() or ord(c) in known else MISSING for c in text)
    # two of them would enclose a formula
    return drawn.replace("$", r"\$")


def verbatim(text: Text, **style: Any) -> None:
    """Have a label drawn in fonts that have its characters, with more properties of the text."""
    text.update({"usetex": False, "fontfamily": list(families()), **style})


def label_rows(axis: Axis, names: Sequence[str], **style: Any) -> None:
    """Name the positions 0, 1, 2, ... of an axis; where not all names fit, every so many-th.

    Args:
        axis: Of x or of y.
        names: As `label` makes them.
        style: More properties of the texts, as `rotation`.
    """
    axis.set_major_locator(RowLocator(len(names)))
    # a mouse may be beyond the first or the last of them
    last = len(names) - 1
    axis.set_major_formatter(FuncFormatter(lambda at, _: names[int(np.clip(round(at), 0, last))]))
    axis.set_tick_params(length=0, labelsize=SMALL)
    # ticks that are made later look like the first
    for tick in axis.get_major_ticks(max(1, len(axis.majorTicks))):
        verbatim(tick.label1, **style)


def legend(ax: Axes, entries: Sequence[tuple[Artist, str]], *, columns: int | None = None) -> None:
    """Add a legend outside of the axes, where it hides nothing: above in columns, or to the right.

    Args:
        ax: What it is about.
        entries: What is drawn, and its name as `label` makes it.
        columns: How many stand side by side above the axes; None is to the right of them.
    """
    if not entries:
        return
    above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": columns}
    beside = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
    # set afterwards, for one that begins with an underscore would be taken for hidden
    handles, blanks = [artist for artist, _ in entries], ["."] * len(entries)
    place = above if columns else beside
    made = ax.legend(handles, blanks, frameon=False, fontsize=SMALL, **place)
    for text, (_, name) in zip(made.get_texts(), entries, strict=True):
        text.set_text(name)
        verbatim(text)


class RowLocator(Locator):
    """Ticks at whole numbers, with room for a label between them, however far one zooms in.

    Args:
        count: How many rows there are.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self) -> Sequence[float]:
        """Return where the ticks are in what is seen of the axis."""
        axis: Any = self.axis
        return self.tick_values(*axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        """Return where the ticks are between two positions."""
        first = max(0, int(np.ceil(min(vmin, vmax))))
        last = min(self.count - 1, int(np.floor(max(vmin, vmax))))
        axis: Any = self.axis
        room = max(1, int(axis.get_tick_space() * _DENSER[axis.axis_name]))
        every = max(1, -(-(last - first + 1) // room))
        return np.arange(first, last + 1, every).tolist()


def families() -> tuple[str, ...]:
    """Return the font families in use, and those that are installed for other scripts."""
    return (*mpl.rcParams["font.family"], *_installed())


@cache
def _installed() -> tuple[str, ...]:
    names = {font.name for font in fontManager.ttflist}
    return tuple(name for name in _FONTS if name in names)


@cache
def _characters(names: tuple[str, ...]) -> frozenset[int]:
    """Return the code points that some of the fonts have."""
    files = (findfont(FontProperties(family=[name])) for name in names)
    return frozenset().union(*(get_font(file).get_charmap() for file in files))
