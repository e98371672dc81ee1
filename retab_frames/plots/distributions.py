"""How durations are distributed, group by group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import PercentFormatter

from retab_frames.plots.figures import axes_for, ink, say_nothing
from retab_frames.plots.intervals import draw_intervals, quantile_columns
from retab_frames.plots.labels import label, label_rows, legend
from retab_frames.plots.palette import BLUE, GREY, LINES, MARKERS, Line
from retab_frames.plots.scales import log_duration_axis
from retab_frames.stats.durations import duration_stats
from retab_frames.stats.estimates import grouped
from retab_frames.stats.samples import completed_sample, groups_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from retab_frames.plots.scales import Floats
    from retab_frames.stats.samples import Grouping, Measure

__all__ = ["durations", "ecdf"]

MOST_POINTS = 2_000
_MANY = 100
"""Jobs of all groups, and per group, above both of which histograms stand for points."""
_BINS = 60
_MOST_INTERVALS = 40
"""Rows above which they are too low for intervals."""
_FEW = 60
"""Jobs of a group up to which points are large."""
_GOLDEN = 0.618034
"""Steps of this, modulo 1, spread points evenly whatever their number."""
MISSING = "no completed jobs"


@dataclass(frozen=True, eq=False)
class Groups:
    """The completed jobs of each group.

    Attributes:
        names: Of the groups, as labels.
        samples: The sorted durations of each, in ms.
        stats: What `duration_stats` says of them.
    """

    names: list[str]
    samples: list[Floats]
    stats: pd.DataFrame

    @property
    def all(self) -> Floats:
        """The durations of all groups."""
        return np.concatenate([np.empty(0), *self.samples])


def durations(
    jobs: pd.DataFrame,
    by: Grouping = None,
    *,
    measure: Measure = "duration",
    quantiles: Sequence[float] = (0.5, 0.9),
    confidence: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draw the durations of completed jobs, a row per group, on a log axis.

    Each job is a point (histograms stand for the points of more than 2,000 jobs); below them stand
    the quantiles with their intervals (of at most 40 groups), an arrow where an end is open. The
    numbers are those of `duration_stats`.

    Args:
        jobs: A frame with the columns of JobsSchema.
        by: As for `duration_stats`: a column, columns or a Series; None is one row.
        measure: As for `duration_stats`.
        quantiles: At most six, between 0 and 1.
        confidence: Of the intervals.
        ax: Where to draw; None makes a figure, see `retab_frames.plots`.

    Returns:
        The axes; without a completed job they say so.

    Raises:
        ValueError: As `duration_stats`, or if there are more than six quantiles.
    """
    groups = _groups(jobs, by, measure, quantiles, confidence)
    ax = axes_for(ax, 7.5, float(np.clip(1.3 + 0.55 * len(groups.names), 2.2, 10)))
    if not len(groups.all):
        return say_nothing(ax, MISSING)
    log_duration_axis(ax, "x", groups.all, measure)
    _draw_jobs(ax, groups)
    entries: list[tuple[Artist, str]] = []
    crowded = len(groups.names) > _MOST_INTERVALS
    step = 0.36 / max(1, len(quantiles))
    for n, (name, marker) in enumerate(zip(quantile_columns(quantiles), MARKERS, strict=False)):
        at = np.arange(len(groups.names), dtype=np.float64) + 0.12 + step * n
        drawn = draw_intervals(
            ax, groups.stats, name, at, marker=marker, flat=True, crowded=crowded
        )
        entries.append((drawn, name))
    if by is not None:
        named = zip(groups.names, groups.samples, strict=True)
        label_rows(ax.yaxis, [f"{name} ({len(sample)})" for name, sample in named])
    else:
        ax.set_yticks([])
    ax.set_ylim(len(groups.names) - 0.45, -0.55)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.grid(axis="x", color=GREY, alpha=0.25, linewidth=0.6)
    legend(ax, entries, columns=len(entries))
    return ax


def ecdf(
    jobs: pd.DataFrame,
    by: Grouping = None,
    *,
    measure: Measure = "duration",
    quantiles: Sequence[float] = (0.5, 0.9),
    confidence: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draw which share of the completed jobs took at most how long, a line per group.

    The quantiles stand on the lines with their intervals, an arrow where an end is open. Above
    eight groups all are thin grey lines without names, and a black one is that of all jobs.

    Args:
        jobs: A frame with the columns of JobsSchema.
        by: As for `duration_stats`.
        measure: As for `duration_stats`.
        quantiles: At most six, between 0 and 1.
        confidence: Of the intervals.
        ax: Where to draw; None makes a figure, see `retab_frames.plots`.

    Returns:
        The axes; without a completed job they say so.

    Raises:
        ValueError: As `durations`.
    """
    groups = _groups(jobs, by, measure, quantiles, confidence)
    ax = axes_for(ax, 7.5, 4.0)
    if not len(groups.all):
        return say_nothing(ax, MISSING)
    log_duration_axis(ax, "x", groups.all, measure)
    entries: list[tuple[Artist, str]] = []
    if len(groups.names) <= len(LINES):
        for n, line in enumerate(LINES[: len(groups.names)]):
            drawn = _draw_line(ax, groups, n, line, quantiles)
            entries.append((drawn, f"{groups.names[n]} ({len(groups.samples[n])})"))
    else:
        for sample in groups.samples:
            thin = _steps(ax, sample, color=GREY, linewidth=0.7, alpha=0.6)
        entries.append((thin, f"each of {len(groups.names)} groups"))
        every = _groups(jobs, None, measure, quantiles, confidence)
        drawn = _draw_line(ax, every, 0, Line(ink(), "-", "D"), quantiles)
        entries.append((drawn, f"all jobs ({len(groups.all)})"))
    ax.set_ylim(0, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    ax.set_ylabel("share of completed jobs")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=GREY, alpha=0.25, linewidth=0.6)
    if by is not None:
        legend(ax, entries)
    return ax


def _groups(
    jobs: pd.DataFrame,
    by: Grouping,
    measure: Measure,
    quantiles: Sequence[float],
    confidence: float,
) -> Groups:
    stats = duration_stats(jobs, by, measure=measure, quantiles=quantiles, confidence=confidence)
    if len(quantiles) > len(MARKERS):
        raise ValueError(f"{len(MARKERS)} quantiles can be told apart, not {len(quantiles)}")
    keys, group = groups_of(jobs, by)
    sample = completed_sample(jobs, measure)
    found = grouped(sample.ms[sample.observed], group[sample.observed], len(keys))
    samples = np.split(found.values, found.starts[1:])
    # not itertuples, which gives nothing for a frame without columns on pandas 2
    names = [" · ".join(map(label, key)) for key in keys.to_numpy(object)]
    return Groups(names, samples, stats)


def _draw_jobs(ax: Axes, groups: Groups) -> None:
    """Draw the jobs of each group in the upper part of its row."""
    if len(groups.all) > max(MOST_POINTS, _MANY * len(groups.names)):
        _draw_histograms(ax, groups)
        return
    sizes = [len(sample) for sample in groups.samples]
    rows = np.repeat(np.arange(len(sizes)), sizes)
    rank = np.concatenate([np.arange(size) for size in sizes])
    height = np.where(np.repeat(sizes, sizes) > 1, rank * _GOLDEN % 1, 0.5)
    size = 22 if max(sizes) <= _FEW else 9
    size = 3 if len(sizes) > _MOST_INTERVALS else size
    ax.scatter(
        groups.all, rows - 0.42 + 0.42 * height, s=size, color=BLUE, alpha=0.55, linewidths=0
    )


def _draw_histograms(ax: Axes, groups: Groups) -> None:
    above = groups.all[groups.all > 0]
    edges = np.geomspace(above.min(), above.max() * (1 + 1e-9), _BINS + 1)
    for row, sample in enumerate(groups.samples):
        # what is shorter than all others is 0
        counts = np.histogram(np.maximum(sample, edges[0]), edges)[0]
        top = row - 0.45 * counts / max(1, counts.max())
        ax.stairs(top, edges, baseline=row, fill=True, color=BLUE, alpha=0.55)


def _draw_line(ax: Axes, groups: Groups, n: int, line: Line, quantiles: Sequence[float]) -> Artist:
    drawn = _steps(
        ax,
        groups.samples[n],
        color=line.colour,
        linestyle=line.dashes,
        marker=line.marker,
        markevery=[],
    )
    # the intervals of several groups would lie one upon the other
    aside = 0.018 * (n - (len(groups.names) - 1) / 2)
    stats = groups.stats.iloc[[n]]
    style: dict[str, Any] = {"marker": line.marker, "colour": line.colour, "flat": True}
    for q, name in zip(quantiles, quantile_columns(quantiles), strict=True):
        draw_intervals(ax, stats, name, np.array([q + aside]), **style)
    return drawn


def _steps(ax: Axes, sample: Floats, **style: Any) -> Artist:
    share = np.arange(len(sample) + 1) / max(1, len(sample))
    # level to the right end of the axis, as no job took longer
    at = np.concatenate([sample[:1], sample, [ax.get_xlim()[1]]])
    share = np.append(share, 1.0) if len(sample) else share
    (drawn,) = ax.plot(at, share, drawstyle="steps-post", **style)
    return drawn
