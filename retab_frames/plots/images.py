"""A plot as an image for a page."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, cast

import matplotlib as mpl
from matplotlib.colors import to_hex

from retab_frames.plots.figures import render_figure, text_colour
from retab_frames.plots.palette import BLUE, GREEN, LINE_STYLES, PURPLE, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["svg_data_uri"]

_DPI = 144
"""Resolution of the parts of an SVG that are images, such as the cells of a matrix."""
_INK, _PAPER = "#000000", "#ffffff"
_ON_DARK_PAGES = {
    _INK: "#e8e8e8",
    _PAPER: "#1c1c1c",
    BLUE: "#6bbcf5",
    VERMILLION: "#ff8a3d",
    GREEN: "#33c795",
    PURPLE: "#e0a3c4",
    LINE_STYLES[6].colour: "#bdbdbd",
    LINE_STYLES[7].colour: "#c9a15a",
}
"""What replaces a colour on a dark page, on which it would not stand out."""


def svg_data_uri(ax: Axes) -> str:
    """Return the figure of some axes as an SVG in a data URI, the same for the same figure.

    In an `<img>`, such an image has its own ids, and a browser runs and loads nothing for it. It is
    dark where the page is, unless the style in use has other colours than black on white.
    """
    figure = cast("Figure", ax.figure)
    is_plain = to_hex(text_colour()) == _INK and to_hex(mpl.rcParams["axes.facecolor"]) == _PAPER
    options = {"transparent": True} if is_plain else {}
    svg = render_figure(figure, "svg", dpi=_DPI, metadata={"Date": None}, **options).decode()
    if is_plain:
        svg = svg.replace("</style>", f"{_make_dark_style()}</style>", 1)
    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"


def _make_dark_style() -> str:
    # matplotlib leaves out a black fill, which therefore is that of the root
    rules = [f"svg{{fill:{_ON_DARK_PAGES[_INK]}}}"]
    for light, dark in _ON_DARK_PAGES.items():
        rules += [
            f'[style*="{part}: {light.lower()}"]{{{part}:{dark}!important}}'
            for part in ("fill", "stroke")
        ]
    return f"@media (prefers-color-scheme: dark){{{''.join(rules)}}}"
