"""Axes to draw on: those of the caller, or those of a new figure that notebooks show."""

from __future__ import annotations

import warnings
from io import BytesIO
from threading import Lock
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import TightLayoutEngine

from retab_frames.forks import call_in_child

__all__ = [
    "MAX_SHAPES",
    "ShownAxes",
    "background",
    "ensure_axes",
    "render_figure",
    "show_message",
    "text_colour",
]

MAX_SHAPES = 5_000
"""Shapes of one artist; more become an image within an SVG, which would be tens of megabytes."""

_PIXEL_RATIO = 2
"""Pixels drawn for each one shown, for displays of high resolution."""
_MAX_PASSES = 12
_SETTLED = 0.002
"""Of the size of a figure."""
_RENDERING = Lock()


def _renew_lock() -> None:
    global _RENDERING  # noqa: PLW0603 - a thread of the parent may have held the old one
    _RENDERING = Lock()


call_in_child(_renew_lock)


class ShownAxes(Axes):
    """Axes that a notebook shows when they are the value of a cell.

    By itself, Jupyter shows only the figures of pyplot, which stay in memory until they are closed.
    """

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the whole figure as PNG, and the size at which to show it."""
        figure = cast("Figure", self.figure)
        image = render_figure(figure, "png", dpi=_PIXEL_RATIO * figure.dpi)
        width, height = (round(side * figure.dpi) for side in figure.get_size_inches())
        return image, {"width": width, "height": height}


def ensure_axes(ax: Axes | None, width: float, height: float) -> Axes:
    """Return the axes given, or new ones in a figure of a width and height in inches.

    Nothing that is drawn outside of axes is cut off by the edge of their figure.
    """
    if ax is not None:
        _keep_inside(ax)
        return ax
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure.add_subplot(axes_class=ShownAxes)


class InsideLayout(TightLayoutEngine):
    """Makes room for labels and legends in a figure that has no layout of its own.

    It is a tight layout, so that `tight_layout` and `subplots_adjust` go on to work.
    """

    def execute(self, fig: Any) -> None:
        """Place the axes."""
        with warnings.catch_warnings():
            # for axes that have a place of their own, or no room: both stay as they are
            warnings.filterwarnings(
                "ignore", "(This figure includes|Tight layout not)", UserWarning
            )
            # a square that gets another size has its legend elsewhere, so there may be more to do
            for _ in range(_MAX_PASSES):
                before = _list_margins(fig)
                super().execute(fig)
                if np.allclose(before, _list_margins(fig), rtol=0, atol=_SETTLED):
                    break


def _list_margins(figure: Figure) -> list[float]:
    margins = figure.subplotpars
    return [margins.left, margins.right, margins.bottom, margins.top, margins.wspace]


def _keep_inside(ax: Axes) -> None:
    figure = ax.figure.figure
    if figure.get_layout_engine() is None:
        figure.set_layout_engine(InsideLayout())


def text_colour() -> str:
    """Return the colour of text, which stands out from the background in every style."""
    return str(mpl.rcParams["text.color"])


def background() -> str:
    """Return the colour behind a plot."""
    return str(mpl.rcParams["axes.facecolor"])


def show_message(ax: Axes, text: str = "no completed jobs") -> Axes:
    """Return the axes with a sentence in place of a plot."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes, style="italic")
    return ax


def render_figure(figure: Figure, image_format: str, **options: Any) -> bytes:
    """Return the figure as an image file, the same for an equal figure.

    Args:
        figure: What to draw.
        image_format: "png" or "svg".
        options: As for `Figure.savefig`.
    """
    image = BytesIO()
    # without a salt, the ids of an SVG are random; both settings are global, hence the lock
    with _RENDERING, mpl.rc_context({"svg.hashsalt": "retab_frames"}), warnings.catch_warnings():
        # a box in place of a letter is enough: a filename must not fail a strict program
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from", UserWarning)
        figure.savefig(image, format=image_format, **options)
    return image.getvalue()
