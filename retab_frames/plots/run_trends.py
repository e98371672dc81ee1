"""The typical change of each run against the first, with levels, changes and alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter

from retab_frames.plots.figures import background, ensure_axes, show_message, text_colour
from retab_frames.plots.intervals import hollow_entry
from retab_frames.plots.labels import add_legend, format_label, format_runs, label_rows
from retab_frames.plots.palette import BLUE, EDGE_COLOUR, GREY, VERMILLION
from retab_frames.stats.change_points import MIN_RUNS

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from retab_frames.compare.run_trend import RunTrend
    from retab_frames.stats.grouped_values import Floats

__all__ = ["run_trend"]

_MAX_NAMED = 4
"""More changes are not named one by one."""
_MAX_LENGTH = 18
_MAX_WITH_LARGE_MARKERS = 30
_WIDE = 3.0
"""Ratios further apart have ticks at powers of 2."""


def run_trend(found: RunTrend, *, ax: Axes | None = None) -> Axes:
    """Draw the typical change of each run against the first, on a log axis.

    A thin line is the interval of the noise of a run's documents; a shift of the whole run is no
    part of it. A step is the level of the runs between two changes, which are dashed lines; with
    fewer runs than a change could be told from, there is none. An alarm is a large triangle,
    upwards for slower. A run that has not ended is hollow.

    Args:
        found: The result of `rf.trend`.
        ax: Where to draw; None makes a new figure, see `retab_frames.plots`.

    Returns:
        The axes; if no two runs have a completed document in common, they hold a message.
    """
    runs = found.runs
    ax = ensure_axes(ax, float(np.clip(4.5 + 0.3 * len(runs), 7, 12)), 4.2)
    ratio, low, high = (
        runs[name].to_numpy(np.float64, na_value=np.nan)
        for name in ("ratio", "ratio_low", "ratio_high")
    )
    known = np.concatenate([side[~np.isnan(side)] for side in (ratio, low, high)])
    if not len(known):
        return show_message(ax)
    factor = 1 + found.margin
    _set_ratio_axis(ax, min(known.min(), 1 / factor), max(known.max(), factor))
    at = np.arange(len(runs), dtype=np.float64)
    entries: list[tuple[Artist, str]] = _draw_runs(ax, at, ratio, low, high)
    unfinished = runs["unfinished"].to_numpy(np.int64) > 0
    if unfinished.any():
        entries.append(_draw_hollow(ax, at[unfinished], ratio[unfinished]))
    if np.count_nonzero(~np.isnan(ratio)) >= MIN_RUNS:
        entries += _draw_levels(ax, at, ratio, runs["segment"].to_numpy(np.int64))
    entries += _draw_changes(ax, found)
    entries += _draw_alarms(ax, found, at, ratio)
    band = ax.axhspan(1 / factor, factor, color=GREY, alpha=0.18, linewidth=0, zorder=0)
    entries.append((band, f"margin of {100 * found.margin:g} %"))
    named = format_runs(runs["run_id"].tolist(), runs["began_at"].tolist())
    label_rows(ax.xaxis, named, slanted=True)
    ax.set_xlim(-0.5, len(runs) - 0.5)
    ax.set_ylabel("typical duration, the first run is 1")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)
    add_legend(ax, entries)
    return ax


def _set_ratio_axis(ax: Axes, low: float, high: float) -> None:
    ax.set_yscale("log")
    room = (high / low) ** 0.05
    ax.set_ylim(low / room, high * room)
    powers = 2.0 ** np.arange(np.ceil(np.log2(low)), np.floor(np.log2(high)) + 1)
    ax.yaxis.set_major_locator(
        FixedLocator(powers.tolist()) if high / low > _WIDE else MaxNLocator(7, steps=[1, 2, 5, 10])
    )
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(StrMethodFormatter("x {x:g}"))


def _draw_runs(
    ax: Axes, at: Floats, ratio: Floats, low: Floats, high: Floats
) -> list[tuple[Artist, str]]:
    ax.vlines(at, low, high, color=BLUE, linewidth=1, alpha=0.55, zorder=2, label="interval")
    size = 5.5 if len(at) <= _MAX_WITH_LARGE_MARKERS else 3.5
    style: dict[str, Any] = {"marker": "o", "markersize": size, "linestyle": "none", "zorder": 3}
    style |= {"color": BLUE, "markeredgecolor": EDGE_COLOUR, "markeredgewidth": 0.5}
    (points,) = ax.plot(at, ratio, label="run", **style)
    return [(points, "run, interval of its documents")]


def _draw_hollow(ax: Axes, at: Floats, ratio: Floats) -> tuple[Artist, str]:
    style: dict[str, Any] = {"marker": "o", "markersize": 6, "linestyle": "none", "zorder": 3}
    style |= {"markeredgecolor": BLUE, "markeredgewidth": 1.3, "markerfacecolor": background()}
    ax.plot(at, ratio, label="run that has not ended", **style)
    return hollow_entry("o", BLUE)


def _draw_levels(
    ax: Axes, at: Floats, ratio: Floats, segment: np.ndarray[Any, np.dtype[np.int64]]
) -> list[tuple[Artist, str]]:
    """Draw the geometric mean of each segment that has a run with a ratio."""
    begins, ends, levels = [], [], []
    for part in np.unique(segment):
        inside = segment == part
        logs = np.log(ratio[inside & ~np.isnan(ratio)])
        if len(logs):
            begins.append(float(at[inside][0]) - 0.5)
            ends.append(float(at[inside][-1]) + 0.5)
            levels.append(float(np.exp(logs.mean())))
    steps = ax.hlines(
        levels, begins, ends, color=text_colour(), linewidth=2, zorder=4, label="level"
    )
    return [(steps, "level")]


def _draw_changes(ax: Axes, found: RunTrend) -> list[tuple[Artist, str]]:
    entries: list[tuple[Artist, str]] = []
    positions = {run: n for n, run in enumerate(found.runs["run_id"])}
    for row in found.changes.to_dict("records"):
        at = positions[row["run_id"]] - 0.5
        style: dict[str, Any] = {"color": text_colour(), "linewidth": 1, "linestyle": (0, (4, 3))}
        drawn = ax.axvline(at, zorder=1, label="change", **style)
        word = "slower" if row["ratio"] > 1 else "faster"
        entries.append((drawn, f"{word} since {format_label(row['run_id'], _MAX_LENGTH)}"))
    if len(entries) > _MAX_NAMED:
        return [(entries[0][0], f"{len(entries)} changes")]
    return entries


def _draw_alarms(ax: Axes, found: RunTrend, at: Floats, ratio: Floats) -> list[tuple[Artist, str]]:
    alarm = found.runs["alarm"].to_numpy(bool)
    if not alarm.any():
        return []
    is_slower = found.runs["cusum"].to_numpy(np.float64, na_value=np.nan) > 0
    entries: list[tuple[Artist, str]] = []
    for marker, chosen in (("^", alarm & is_slower), ("v", alarm & ~is_slower)):
        if chosen.any():
            style: dict[str, Any] = {"marker": marker, "markersize": 10, "linestyle": "none"}
            style |= {"color": VERMILLION, "markeredgecolor": text_colour(), "zorder": 5}
            (drawn,) = ax.plot(at[chosen], ratio[chosen], label="alarm", **style)
            entries.append((drawn, "alarm: slower" if marker == "^" else "alarm: faster"))
    return entries
