"""Two runs against one another, document by document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from retab_frames.plots.figures import MOST_SHAPES, axes_for, ink, say_nothing
from retab_frames.plots.labels import label, legend, verbatim
from retab_frames.plots.palette import BLUE, GREY, VERMILLION
from retab_frames.plots.scales import log_duration_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from retab_frames.compare.two_runs import RunComparison
    from retab_frames.stats.grouped_values import Floats

__all__ = ["paired"]

_CLASSES = (
    ("slower", "^", VERMILLION, 26),
    ("faster", "v", BLUE, 26),
    ("within the margin", "o", GREY, 16),
)
"""What becomes of a document that was completed on both sides: name, marker, colour, size."""


def paired(comparison: RunComparison, *, ax: Axes | None = None) -> Axes:
    """Draw each document's duration in the candidate over that in the baseline, on log axes.

    On the line both are equal, in the band around it they differ by less than the margin; the
    dashed line is the ratio of their geometric means, with its interval in the legend. A broken
    document, which has no duration in the candidate, is a cross on the upper edge; a fixed one a
    plus on the right edge.

    Args:
        comparison: What `compare_runs` returned.
        ax: Where to draw; None makes a figure, see `retab_frames.plots`.

    Returns:
        The axes; if no document was completed on a side they say so.
    """
    ax = axes_for(ax, 7.4, 4.8)
    documents = comparison.documents
    before, after = (_ms(documents, f"{side}_duration_ms") for side in ("baseline", "candidate"))
    change = documents["change"].to_numpy(dtype=object)
    both = (change == "unchanged") & ~np.isnan(before) & ~np.isnan(after)
    broken = (change == "broken") & ~np.isnan(before)
    fixed = (change == "fixed") & ~np.isnan(after)
    known = np.concatenate([before[both | broken], after[both | fixed]])
    if not len(known):
        return say_nothing(ax, "no completed jobs")
    log_duration_axis(ax, "x", known, f"{_name(comparison.baseline_run_id)} (baseline)")
    log_duration_axis(ax, "y", known, f"{_name(comparison.candidate_run_id)} (candidate)")
    for axis in (ax.xaxis, ax.yaxis):
        verbatim(axis.label)
    ax.set_box_aspect(1)
    ax.set_anchor("W")
    entries = _draw_points(ax, before[both], after[both], comparison.margin)
    entries += _draw_edges(ax, before[broken], after[fixed], comparison.changes)
    entries += _draw_ratios(ax, comparison)
    ax.grid(color=GREY, alpha=0.25, linewidth=0.6)
    legend(ax, entries)
    return ax


def _name(run_id: str | None) -> str:
    return label(run_id) if run_id is not None else "a run without id"


def _ms(documents: pd.DataFrame, name: str) -> Floats:
    return documents[name].to_numpy(dtype=np.float64, na_value=np.nan)


def _draw_points(
    ax: Axes, before: Floats, after: Floats, margin: float
) -> list[tuple[Artist, str]]:
    slower, faster = after > before * (1 + margin), before > after * (1 + margin)
    entries: list[tuple[Artist, str]] = []
    for mine, (name, marker, colour, size) in zip(
        (slower, faster, ~slower & ~faster), _CLASSES, strict=True
    ):
        style: dict[str, Any] = {"alpha": 0.75, "linewidths": 0, "zorder": 3}
        style["rasterized"] = mine.sum() > MOST_SHAPES
        points = ax.scatter(before[mine], after[mine], s=size, marker=marker, color=colour, **style)
        if mine.any():
            entries.append((points, f"{name} ({mine.sum()})"))
    return entries


def _draw_edges(
    ax: Axes, broken: Floats, fixed: Floats, changes: dict[str, int]
) -> list[tuple[Artist, str]]:
    style: dict[str, Any] = {"clip_on": False, "linestyle": "none", "color": ink(), "zorder": 5}
    top = Line2D(
        broken, np.ones(len(broken)), marker="x", transform=ax.get_xaxis_transform(), **style
    )
    right = Line2D(
        np.ones(len(fixed)), fixed, marker="P", transform=ax.get_yaxis_transform(), **style
    )
    entries: list[tuple[Artist, str]] = []
    for name, line, ms in (("broken", top, broken), ("fixed", right, fixed)):
        if len(ms):
            ax.add_line(line)
        if changes[name]:
            entries.append((line, f"{name} ({changes[name]}{_without(changes[name] - len(ms))})"))
    return entries


def _without(count: int) -> str:
    return f", {count} without duration" if count else ""


def _draw_ratios(ax: Axes, comparison: RunComparison) -> list[tuple[Artist, str]]:
    begin, end = ax.get_xlim()
    at = np.geomspace(max(begin, end / 1e9), end, 200)
    factor = 1 + comparison.margin
    band = ax.fill_between(at, at / factor, at * factor, color=GREY, alpha=0.25, linewidth=0)
    (equal,) = ax.plot(at, at, color=GREY, linewidth=1.2)
    entries: list[tuple[Artist, str]] = [
        (equal, "equal"),
        (band, f"margin of {100 * comparison.margin:g} %"),
    ]
    ratio = comparison.ratio
    if ratio.pairs:
        (dashed,) = ax.plot(at, at * ratio.ratio, color=ink(), linewidth=1.2, linestyle="--")
        ends = f" ({ratio.ratio_low:.2f} to {ratio.ratio_high:.2f})" if ratio.pairs > 1 else ""
        entries.append((dashed, f"ratio {ratio.ratio:.2f}{ends}"))
    return entries
