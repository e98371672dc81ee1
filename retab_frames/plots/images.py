"""A plot as an image for a page."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, cast

from retab_frames.plots.figures import render_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["svg_data_uri"]

_DPI = 144
"""Resolution of the parts of an SVG that are images, such as the cells of a matrix."""


def svg_data_uri(ax: Axes) -> str:
    """Return the figure of some axes as an SVG in a data URI, the same for the same figure.

    In an `<img>`, such an image has its own ids, and a browser runs and loads nothing for it.
    """
    figure = cast("Figure", ax.figure)
    svg = render_figure(figure, "svg", dpi=_DPI, metadata={"Date": None})
    return f"data:image/svg+xml;base64,{b64encode(svg).decode()}"
