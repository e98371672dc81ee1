"""Axes to draw on: those of the caller, or those of a figure of our own that notebooks show."""

from __future__ import annotations

from io import BytesIO
from typing import cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["MOST_SHAPES", "ShownAxes", "axes_for", "ink", "say_nothing"]

MOST_SHAPES = 5_000
"""Shapes of one artist; more become an image within an SVG, which would be tens of megabytes."""

_DETAIL = 2
"""Pixels drawn for one that is shown, for the sake of fine displays."""


class ShownAxes(Axes):
    """Axes that a notebook shows when they are the value of a cell.

    Of itself, Jupyter shows pyplot's figures only, and those stay in memory until they are closed.
    """

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the whole figure as PNG, and how large it is to be shown."""
        figure = cast("Figure", self.figure)
        image = BytesIO()
        figure.savefig(image, format="png", dpi=_DETAIL * figure.dpi)
        width, height = (round(side * figure.dpi) for side in figure.get_size_inches())
        return image.getvalue(), {"width": width, "height": height}


def axes_for(ax: Axes | None, width: float, height: float) -> Axes:
    """Return the axes given, or new ones in a figure of a width and height in inches."""
    if ax is not None:
        return ax
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure.add_subplot(axes_class=ShownAxes)


def ink() -> str:
    """Return the colour of text, which is seen on the background whatever the style in use."""
    return str(mpl.rcParams["text.color"])


def say_nothing(ax: Axes, text: str) -> Axes:
    """Return the axes with a sentence in place of a plot."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes, style="italic")
    return ax
