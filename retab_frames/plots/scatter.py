"""A scatter plot of two runs: the duration of each document in one and in the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from retab_frames.plots.figures import MAX_SHAPES, ensure_axes, show_message, text_colour
from retab_frames.plots.labels import add_legend, format_label, style_label
from retab_frames.plots.palette import BLUE, GREY, VERMILLION
from retab_frames.plots.scales import set_log_duration_axis
from retab_frames.text.numbers import format_factor, format_ratio

if TYPE_CHECKING:
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
"""Of the documents completed in both runs: name, marker, colour, size."""


def paired(comparison: RunComparison, *, ax: Axes | None = None) -> Axes:
    """Draw each document's duration in the candidate over that in the baseline, on log axes.

    On the line both are equal; in the band around it they differ by less than the margin. The
    dashed line is the typical change; its interval is in the legend. A document with the same job
    in both runs, which has no part in the change, is a ring. A broken document, which has no
    duration in the candidate, is a cross on the upper edge; a fixed one is a plus on the right
    edge.

    Args:
        comparison: The result of `compare_runs`.
        ax: Where to draw; None makes a new figure, see `retab_frames.plots`.

    Returns:
        The axes; if no document was completed on a side, they hold a message instead of a plot.
    """
    ax = ensure_axes(ax, 7.4, 4.8)
    documents = comparison.documents
    before, after = (
        documents[f"{side}_{comparison.measure}_ms"].to_numpy(dtype=np.float64, na_value=np.nan)
        for side in ("baseline", "candidate")
    )
    change = documents["change"].to_numpy(dtype=object)
    both = (change == "unchanged") & ~np.isnan(before) & ~np.isnan(after)
    same = both & documents["same_job"].fillna(value=False).to_numpy(dtype=bool)
    broken = (change == "broken") & ~np.isnan(before)
    fixed = (change == "fixed") & ~np.isnan(after)
    known = np.concatenate([before[both | broken], after[both | fixed]])
    if not len(known):
        return show_message(ax)
    set_log_duration_axis(
        ax, "x", known, f"{_label_run(comparison.baseline_run_id)} (baseline)", square=True
    )
    set_log_duration_axis(
        ax, "y", known, f"{_label_run(comparison.candidate_run_id)} (candidate)", square=True
    )
    for axis in (ax.xaxis, ax.yaxis):
        style_label(axis.label)
    ax.set_box_aspect(1)
    ax.set_anchor("W")
    own = both & ~same
    entries = _draw_points(ax, before[own], after[own], comparison.margin)
    entries += _draw_same(ax, before[same], after[same])
    entries += _draw_edges(ax, before[broken], after[fixed], comparison.changes)
    entries += _draw_ratios(ax, comparison)
    ax.grid(color=GREY, alpha=0.25, linewidth=0.6)
    add_legend(ax, entries)
    return ax


def _label_run(run_id: str | None) -> str:
    return format_label(run_id) if run_id is not None else "a run without id"


def _draw_points(
    ax: Axes, before: Floats, after: Floats, margin: float
) -> list[tuple[Artist, str]]:
    slower, faster = after > before * (1 + margin), before > after * (1 + margin)
    entries: list[tuple[Artist, str]] = []
    for chosen, (name, marker, colour, size) in zip(
        (slower, faster, ~slower & ~faster), _CLASSES, strict=True
    ):
        style: dict[str, Any] = {"marker": marker, "color": colour, "s": size, "alpha": 0.75}
        style |= {"linewidths": 0, "zorder": 3, "rasterized": chosen.sum() > MAX_SHAPES}
        points = ax.scatter(before[chosen], after[chosen], **style)
        if chosen.any():
            entries.append((points, f"{name} ({chosen.sum()})"))
    return entries


def _draw_same(ax: Axes, before: Floats, after: Floats) -> list[tuple[Artist, str]]:
    if not len(before):
        return []
    style: dict[str, Any] = {"marker": "o", "s": 16, "facecolors": "none", "edgecolors": GREY}
    rings = ax.scatter(before, after, rasterized=len(before) > MAX_SHAPES, **style)
    return [(rings, f"same job in both ({len(before)})")]


def _draw_edges(
    ax: Axes, broken: Floats, fixed: Floats, changes: dict[str, int]
) -> list[tuple[Artist, str]]:
    style: dict[str, Any] = {"clip_on": False, "linestyle": "none", "zorder": 5}
    style["color"] = text_colour()
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
            missing = changes[name] - len(ms)
            note = f", {missing} without duration" if missing else ""
            entries.append((line, f"{name} ({changes[name]}{note})"))
    return entries


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
        style: dict[str, Any] = {"linewidth": 1.2, "linestyle": "--", "color": text_colour()}
        (dashed,) = ax.plot(at, at * ratio.ratio, **style)
        is_open = ratio.interval == "none"
        low, high = format_ratio(ratio.ratio_low), format_ratio(ratio.ratio_high)
        interval = "" if is_open else f" ({low} to {high})"
        entries.append((dashed, f"typical {format_factor(ratio.ratio)}{interval}"))
    return entries
