"""The distribution of durations in each group: as points or histograms, and as an ECDF."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import PercentFormatter

from retab_frames.compare.summary import MEASURE_NAMES
from retab_frames.plots.figures import ensure_axes, show_message, text_colour
from retab_frames.plots.intervals import draw_intervals, has_unfinished, hollow_entry
from retab_frames.plots.labels import add_legend, format_label, label_rows
from retab_frames.plots.palette import BLUE, GREY, LINE_STYLES, MARKERS, LineStyle
from retab_frames.plots.scales import set_log_duration_axis
from retab_frames.schemas.intake import take_columns
from retab_frames.stats.durations import duration_stats, name_quantile
from retab_frames.stats.grouped_values import group_values
from retab_frames.stats.groups import group_jobs
from retab_frames.stats.measures import check_measure, list_columns
from retab_frames.stats.run_order import TIMES, sort_by_run
from retab_frames.stats.samples import make_sample
from retab_frames.text.labels import find_heading

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from retab_frames.stats.grouped_values import Floats
    from retab_frames.stats.groups import Grouping
    from retab_frames.stats.measures import Measure

__all__ = ["durations", "ecdf"]

_MAX_POINTS, _MAX_POINTS_PER_GROUP = 2_000, 100
"""If there are more jobs in all, and more on average in a group, histograms replace points."""
_BINS = 60
_MAX_ROWS_WITH_INTERVALS = 40
"""More rows are too low for intervals."""
_MAX_LARGE_POINTS = 60
"""Jobs of a group; if there are more, points are small."""
_GOLDEN_RATIO = 0.618034
"""Steps of this, modulo 1, spread any number of points evenly."""


@dataclass(frozen=True, eq=False)
class _Groups:
    """The completed jobs of each group.

    Attributes:
        names: The labels of the groups.
        samples: The sorted durations of each group, in ms.
        stats: The row of `duration_stats` for each group.
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

    Runs stand in the order in which they began, the first on top. Each job is a point; with more
    than 2,000 jobs, histograms replace the points. Below them are the quantiles with their
    intervals (if there are at most 40 groups); an arrow marks an open end, and they are hollow
    where jobs of the group have not ended. The numbers are those of `duration_stats`.

    Args:
        jobs: A frame with the columns of JobsSchema.
        by: As for `duration_stats`: a column, columns or a Series; None draws one row.
        measure: As for `duration_stats`.
        quantiles: At most six, between 0 and 1.
        confidence: The confidence level of the intervals.
        ax: Where to draw; None makes a new figure, see `retab_frames.plots`.

    Returns:
        The axes; if no job was completed, they hold a message instead of a plot.

    Raises:
        TypeError: If `jobs` is not a frame of pandas.
        ValueError: As `duration_stats`, or if there are more than six quantiles.
    """
    groups = _measure_groups(jobs, by, measure, quantiles, confidence)
    ax = ensure_axes(ax, 7.5, float(np.clip(1.3 + 0.55 * len(groups.names), 2.2, 10)))
    if not len(groups.all):
        return show_message(ax)
    set_log_duration_axis(ax, "x", groups.all, MEASURE_NAMES[measure])
    _draw_jobs(ax, groups)
    entries: list[tuple[Artist, str]] = []
    crowded = len(groups.names) > _MAX_ROWS_WITH_INTERVALS
    step = 0.36 / max(1, len(quantiles))
    for n, (q, marker) in enumerate(zip(quantiles, MARKERS, strict=False)):
        name = name_quantile(q)
        at = np.arange(len(groups.names), dtype=np.float64) + 0.12 + step * n
        drawn = draw_intervals(
            ax, groups.stats, name, at, marker=marker, horizontal=True, crowded=crowded
        )
        entries.append((drawn, find_heading(name)))
    if has_unfinished(groups.stats).any() and entries and not crowded:
        entries.append(hollow_entry(MARKERS[0]))
    if by is not None:
        named = zip(groups.names, groups.samples, strict=True)
        label_rows(ax.yaxis, [f"{name} ({len(sample)})" for name, sample in named])
    else:
        ax.set_yticks([])
    ax.set_ylim(len(groups.names) - 0.45, -0.55)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.grid(axis="x", color=GREY, alpha=0.25, linewidth=0.6)
    add_legend(ax, entries)
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
    """Draw the empirical cumulative distribution of durations of completed jobs, a line per group.

    The quantiles are on the lines, with their intervals; an arrow marks an open end. With more than
    eight groups, each is a thin grey line without a name, and a black line is that of all jobs.

    Args:
        jobs: A frame with the columns of JobsSchema.
        by: As for `duration_stats`.
        measure: As for `duration_stats`.
        quantiles: At most six, between 0 and 1.
        confidence: The confidence level of the intervals.
        ax: Where to draw; None makes a new figure, see `retab_frames.plots`.

    Returns:
        The axes; if no job was completed, they hold a message instead of a plot.

    Raises:
        TypeError, ValueError: As `durations`.
    """
    groups = _measure_groups(jobs, by, measure, quantiles, confidence)
    ax = ensure_axes(ax, 7.5, 4.0)
    if not len(groups.all):
        return show_message(ax)
    set_log_duration_axis(ax, "x", groups.all, MEASURE_NAMES[measure])
    entries: list[tuple[Artist, str]] = []
    if len(groups.names) <= len(LINE_STYLES):
        for n, line in enumerate(LINE_STYLES[: len(groups.names)]):
            drawn = _draw_line(ax, groups, n, line, quantiles)
            entries.append((drawn, f"{groups.names[n]} ({len(groups.samples[n])})"))
    else:
        for sample in groups.samples:
            thin = _draw_steps(ax, sample, color=GREY, linewidth=0.7, alpha=0.6)
        entries.append((thin, f"each of {len(groups.names)} groups"))
        every = _measure_groups(jobs, None, measure, quantiles, confidence)
        drawn = _draw_line(ax, every, 0, LineStyle(text_colour(), "-", "D"), quantiles)
        entries.append((drawn, f"all jobs ({len(groups.all)})"))
    ax.set_ylim(0, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    ax.set_ylabel("share of completed jobs")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=GREY, alpha=0.25, linewidth=0.6)
    if by is not None:
        add_legend(ax, entries)
    return ax


def _measure_groups(
    jobs: pd.DataFrame,
    by: Grouping,
    measure: Measure,
    quantiles: Sequence[float],
    confidence: float,
) -> _Groups:
    check_measure(measure)
    needed = ("status", "is_placeholder", *list_columns(measure))
    jobs = take_columns(jobs, needed, reader="a plot of durations", optional=TIMES)
    if isinstance(by, str) and by == "run_id":
        jobs = sort_by_run(take_columns(jobs, ["run_id"], reader="a plot of durations"))
    stats = duration_stats(jobs, by, measure=measure, quantiles=quantiles, confidence=confidence)
    if len(quantiles) > len(MARKERS):
        raise ValueError(f"at most {len(MARKERS)} quantiles can be drawn, not {len(quantiles)}")
    keys, group = group_jobs(jobs, by)
    sample = make_sample(jobs, measure)
    found = group_values(sample.ms[sample.observed], group[sample.observed], len(keys))
    samples = np.split(found.values, found.starts[1:])
    # itertuples yields nothing for a frame without columns on pandas 2
    names = [" · ".join(map(format_label, key)) for key in keys.to_numpy(object)]
    return _Groups(names, samples, stats)


def _draw_jobs(ax: Axes, groups: _Groups) -> None:
    """Draw the jobs of each group in the upper part of its row."""
    if len(groups.all) > max(_MAX_POINTS, _MAX_POINTS_PER_GROUP * len(groups.names)):
        _draw_histograms(ax, groups)
        return
    sizes = [len(sample) for sample in groups.samples]
    rows = np.repeat(np.arange(len(sizes)), sizes)
    rank = np.concatenate([np.arange(size) for size in sizes])
    height = np.where(np.repeat(sizes, sizes) > 1, rank * _GOLDEN_RATIO % 1, 0.5)
    size = 22 if max(sizes) <= _MAX_LARGE_POINTS else 9
    size = 3 if len(sizes) > _MAX_ROWS_WITH_INTERVALS else size
    ax.scatter(
        groups.all, rows - 0.42 + 0.42 * height, s=size, color=BLUE, alpha=0.55, linewidths=0
    )


def _draw_histograms(ax: Axes, groups: _Groups) -> None:
    above = groups.all[groups.all > 0]
    edges = np.geomspace(above.min(), above.max() * (1 + 1e-9), _BINS + 1)
    for row, sample in enumerate(groups.samples):
        # a duration of 0 has no place on a log axis: it counts in the first bin
        counts = np.histogram(np.maximum(sample, edges[0]), edges)[0]
        top = row - 0.45 * counts / max(1, counts.max())
        ax.stairs(top, edges, baseline=row, fill=True, color=BLUE, alpha=0.55)


def _draw_line(
    ax: Axes, groups: _Groups, n: int, line: LineStyle, quantiles: Sequence[float]
) -> Artist:
    drawn = _draw_steps(
        ax,
        groups.samples[n],
        color=line.colour,
        linestyle=line.dashes,
        marker=line.marker,
        markevery=[],
    )
    # shifted, because the intervals of the groups would cover each other
    shift = 0.018 * (n - (len(groups.names) - 1) / 2)
    stats = groups.stats.iloc[[n]]
    style: dict[str, Any] = {"marker": line.marker, "colour": line.colour, "horizontal": True}
    for q in quantiles:
        draw_intervals(ax, stats, name_quantile(q), np.array([q + shift]), **style)
    return drawn


def _draw_steps(ax: Axes, sample: Floats, **style: Any) -> Artist:
    share = np.arange(len(sample) + 1) / max(1, len(sample))
    # the line goes on to the right end of the axis
    at = np.concatenate([sample[:1], sample, [ax.get_xlim()[1]]])
    share = np.append(share, 1.0) if len(sample) else share
    (drawn,) = ax.plot(at, share, drawstyle="steps-post", **style)
    return drawn
