"""Colours, markers, lines and hatches that differ also in grey and for colour-blind readers.

The hues are those of Okabe and Ito (2008), Color Universal Design.
"""

from __future__ import annotations

from dataclasses import dataclass

from retab_frames.schemas.vocabulary import OPEN

__all__ = [
    "BLUE",
    "EDGE_COLOUR",
    "GREEN",
    "GREY",
    "LINE_STYLES",
    "MARKERS",
    "NULL_COLOUR",
    "ON_DARK",
    "ON_LIGHT",
    "PURPLE",
    "STATUS_STYLES",
    "VERMILLION",
    "WAITING",
    "LineStyle",
    "StatusStyle",
    "find_style",
]

BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, GREY = "#56B4E9", "#CC79A7", "#8C8C8C"
NULL_COLOUR = "#FFFFFF00"
"""Of a cell without a value: none."""
EDGE_COLOUR = "white"
"""Of the lines that separate cells, and of the edges of markers."""
ON_DARK, ON_LIGHT = "#FEFEFE", "#010101"
"""Of signs on a dark or a light colour of our own. They are not quite the white and the black of
figures, which a dark page exchanges."""

MARKERS = ("D", "^", "s", "o", "v", "P")
"""Markers of the quantiles, in order."""


@dataclass(frozen=True)
class LineStyle:
    """How the line of a group is drawn."""

    colour: str
    dashes: str | tuple[int, tuple[float, ...]]
    marker: str


LINE_STYLES = (
    LineStyle(BLUE, "-", "o"),
    LineStyle(VERMILLION, (0, (5, 2)), "s"),
    LineStyle(GREEN, (0, (1, 1.5)), "^"),
    LineStyle(PURPLE, (0, (6, 2, 1, 2)), "D"),
    LineStyle(ORANGE, "-", "v"),
    LineStyle(SKY, (0, (5, 2)), "P"),
    LineStyle("#4D4D4D", (0, (1, 1.5)), "X"),
    LineStyle("#5A3E00", (0, (6, 2, 1, 2)), "*"),
)
"""One per group; any two differ in their dashes or in their lightness."""


@dataclass(frozen=True)
class StatusStyle:
    """How the jobs of a status are drawn.

    Attributes:
        name: The name in a legend.
        colour: The colour of a bar or cell.
        hatch: The pattern over it.
        sign: The text in the middle of a cell.
        sign_colour: The colour of the sign and of the hatch.
    """

    name: str
    colour: str
    hatch: str
    sign: str
    sign_colour: str = ON_DARK


_NOT_ENDED = StatusStyle("not ended", "#F0E442", "----", "…", sign_colour=ON_LIGHT)
_OTHER = StatusStyle("other", "#B56FAB", "++", "?", sign_colour=ON_LIGHT)

STATUS_STYLES = {
    "completed": StatusStyle("completed", "#8FC1E3", "", ""),
    "error": StatusStyle("error", "#A83E00", "////", "\N{MULTIPLICATION SIGN}"),
    "cancelled": StatusStyle("cancelled", "#2F2F2F", "xxxx", "-"),
    "skipped": StatusStyle("skipped", "#9A9A9A", "....", "/"),
    **dict.fromkeys(OPEN, _NOT_ENDED),
}
"""The style of every status of the vocabulary; no two styles have the same lightness."""
WAITING = StatusStyle("waiting", "#E8E8E8", "", "")
"""The style of the time that a job waits, whatever its status."""


def find_style(status: object) -> StatusStyle:
    """Return how jobs of a status are drawn; a null or unknown status is `other`."""
    return STATUS_STYLES.get(status, _OTHER) if isinstance(status, str) else _OTHER
