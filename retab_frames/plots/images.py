"""A plot as part of a page."""

from __future__ import annotations

import re
from io import StringIO
from typing import TYPE_CHECKING, cast

from retab_frames.text import tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["svg"]

_DPI = 144
"""Of the cells of a matrix, which are an image within the image."""
_LEFT_OUT = re.compile(
    r'<!--.*?-->|<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>|\sxmlns(:\w+)?="[^"]*"',
    re.DOTALL,
)
"""What a page needs not: comments, the time of drawing, name spaces, and styles for all of it."""
_ID = re.compile(r'((?:\sid="|href="#|url\(#))([^")]+)')


def svg(ax: Axes, *, prefix: str, told: str) -> str:
    """Return the figure of some axes as an SVG element, the same for the same figure.

    Args:
        ax: Any axes of the figure.
        prefix: What its ids begin with, so that they differ from those of other plots of the page.
        told: What it shows, for those who cannot see it.
    """
    file = StringIO()
    figure = cast("Figure", ax.figure)
    figure.savefig(file, format="svg", dpi=_DPI, metadata={"Date": None})
    _, _, drawing = file.getvalue().partition("<svg")
    plain = _LEFT_OUT.sub("", drawing).replace("xlink:href", "href")
    # ids are drawn by lot, and are numbered here in order of appearance
    numbers: dict[str, int] = {}

    def numbered(match: re.Match[str]) -> str:
        number = numbers.setdefault(match[2], len(numbers))
        return f"{match[1]}{prefix}-{number}"

    named = f'<svg role="img" aria-label="{tables.escape_html(told)}"'
    return named + _ID.sub(numbered, plain)
