"""The smallest slowdown that shows, over the number of documents, a line per number of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from retab_frames.plots.figures import ensure_axes, text_colour
from retab_frames.plots.labels import add_legend
from retab_frames.plots.palette import GREY, LINE_STYLES
from retab_frames.stats.run_noise import MIN_DOCUMENTS
from retab_frames.text.tables import format_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from retab_frames.compare.planner import RunPlan

__all__ = ["plan"]

_MOST_DOCUMENTS = 1_000
"""The axis reaches so far, or to three times the documents at hand."""
_MARGIN = 1.15
_LEAST_PERCENT = 0.1


def plan(found: RunPlan, *, ax: Axes | None = None) -> Axes:
    """Draw the smallest slowdown that shows over the documents, a line per runs a side; log axes.

    A line that becomes level tells what no number of documents can show. The dashed lines are the
    slowdown that is wished for, and the documents at hand.

    Args:
        found: The result of `rf.plan`.
        ax: Where to draw; None makes a new figure, see `retab_frames.plots`.

    Returns:
        The axes; a slowdown shows with 80 % probability on its line, and more surely above it.
    """
    ax = ensure_axes(ax, 7.5, 4.2)
    most = max(_MOST_DOCUMENTS, 3 * found.documents)
    documents = np.geomspace(MIN_DOCUMENTS, most, 100)
    entries: list[tuple[Artist, str]] = []
    drawn = [100 * found.detect]
    for line, runs in zip(LINE_STYLES, found.needed["runs_a_side"], strict=False):
        ratios = np.array([found.detectable_ratio(n, int(runs)) for n in documents])
        percent = np.maximum(100 * (ratios - 1), _LEAST_PERCENT)
        style: dict[str, Any] = {"color": line.colour, "linestyle": line.dashes}
        style |= {"marker": line.marker, "markevery": 25, "markersize": 5, "linewidth": 1.6}
        (artist,) = ax.plot(documents, percent, label=f"{runs} a side", **style)
        entries.append((artist, f"{format_count(int(runs), 'run')} a side"))
        drawn += [float(percent.min()), float(percent.max())]
    dashed: dict[str, Any] = {"color": text_colour(), "linewidth": 1, "linestyle": (0, (4, 3))}
    wish = ax.axhline(100 * found.detect, label="detect", **dashed)
    entries.append((wish, f"to be shown: {100 * found.detect:g} %"))
    dotted = dashed | {"linestyle": (0, (1, 2)), "color": GREY}
    if found.documents >= MIN_DOCUMENTS:
        at_hand = ax.axvline(found.documents, label="documents at hand", **dotted)
        entries.append((at_hand, f"{format_count(found.documents, 'document')} at hand"))
    _set_axis(ax, "x", (MIN_DOCUMENTS, most), "{x:g}", (1, 2, 5))
    _set_axis(ax, "y", (min(drawn), max(drawn)), "{x:g} %", (1, 1.5, 2, 3, 5, 7))
    ax.set_xlabel("documents in each run")
    ax.set_ylabel("smallest slowdown that probably shows")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=GREY, alpha=0.25, linewidth=0.6)
    add_legend(ax, entries)
    return ax


def _set_axis(
    ax: Axes, which: str, ends: tuple[float, float], label: str, ticks: Sequence[float]
) -> None:
    """Make an axis logarithmic, with ticks at these multiples of the powers of ten."""
    getattr(ax, f"set_{which}scale")("log")
    getattr(ax, f"set_{which}lim")(ends[0] / _MARGIN, ends[1] * _MARGIN)
    axis = getattr(ax, f"{which}axis")
    axis.set_major_locator(LogLocator(subs=ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(StrMethodFormatter(label))
