"""Colours, markers, lines and hatches, so that grey or colour-blind eyes tell them apart as well.

The hues are those of Okabe and Ito (2008), Color Universal Design.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BLUE", "GREY", "LINES", "MARKERS", "STATES", "VERMILLION", "Line", "State", "state_of"]

BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, GREY = "#56B4E9", "#CC79A7", "#8C8C8C"

MARKERS = ("D", "^", "s", "o", "v", "P")
"""Of the first quantile, of the second, and so on."""


@dataclass(frozen=True)
class Line:
    """How the line of a group is drawn."""

    colour: str
    dashes: str | tuple[int, tuple[float, ...]]
    marker: str


LINES = (
    Line(BLUE, "-", "o"),
    Line(VERMILLION, (0, (5, 2)), "s"),
    Line(GREEN, (0, (1, 1.5)), "^"),
    Line(PURPLE, (0, (6, 2, 1, 2)), "D"),
    Line(ORANGE, "-", "v"),
    Line(SKY, (0, (5, 2)), "P"),
    Line("#4D4D4D", (0, (1, 1.5)), "X"),
    Line("#5A3E00", (0, (6, 2, 1, 2)), "*"),
)
"""One per group; of two lines either the dashes differ or the lightness does."""


@dataclass(frozen=True)
class State:
    """How the jobs of a status are drawn.

    Attributes:
        name: In a legend.
        colour: Of a bar or cell.
        hatch: Over it.
        sign: What stands in the middle of a cell.
        on: The colour of the sign.
    """

    name: str
    colour: str
    hatch: str
    sign: str
    on: str = "white"


STATES = {
    "completed": State("completed", "#8FC1E3", "", ""),
    "error": State("error", "#A83E00", "////", "\N{MULTIPLICATION SIGN}"),
    "cancelled": State("cancelled", "#2F2F2F", "xxxx", "-"),
    "skipped": State("skipped", "#9A9A9A", "....", "/"),
    "running": State("not ended", "#F0E442", "----", "…", on="black"),
}
"""By status, no two of one lightness; all that have not ended are one."""
_OPEN = ("pending", "queued", "running")
_OTHER = State("other", "#B56FAB", "++", "?", on="black")


def state_of(status: object) -> State:
    """Return how jobs of a status are drawn; one that this library does not know is `other`."""
    if not isinstance(status, str):
        return _OTHER
    return STATES.get("running" if status in _OPEN else status, _OTHER)
