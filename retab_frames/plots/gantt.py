"""A Gantt chart of a run: when each job waited and ran, and how many did so at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.collections import PolyCollection
from matplotlib.patches import Patch, StepPatch
from matplotlib.ticker import MaxNLocator

from retab_frames.plots.figures import MAX_SHAPES, ensure_axes, show_message, text_colour
from retab_frames.plots.labels import add_legend, format_label, label_rows
from retab_frames.plots.palette import BLUE, GREY, WAITING, StatusStyle, find_style
from retab_frames.plots.scales import set_duration_axis
from retab_frames.stats import timeline as stats
from retab_frames.text.tables import format_duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from retab_frames.schemas.moments import Moment
    from retab_frames.stats.grouped_values import Flags, Floats

__all__ = ["timeline"]

_NAMES = ("filename", "document_id", "job_id", "run_id")
"""What the jobs are named by: the first of these columns that is there."""
_LOWER_INCHES = 1.3
"""Height of the lower axes, which show the number of jobs at a time."""
_GAP = 0.24
"""Between two bars, in rows."""
_MAX_HATCHED_ROWS = 60
"""More bars are too thin for a hatch and for a gap between them."""
_EXTRA_WIDTH = 1.12
"""The end of the axis over the last event, if there are jobs that have not ended."""


@dataclass(frozen=True, eq=False)
class _Bars:
    """The jobs of a run that have times, in the order of their creation.

    Attributes:
        names: The labels of the jobs.
        styles: How each job is drawn.
        created: When it was created, in ms since the run began.
        started: When it started, likewise; its end if it never ran.
        ended: When it ended, likewise; when it was last seen if it has not ended.
        has_ended: Whether it has ended.
    """

    names: list[str]
    styles: list[StatusStyle]
    created: Floats
    started: Floats
    ended: Floats
    has_ended: Flags

    @property
    def last_event(self) -> float:
        """When a job was last created, started or ended, in ms since the run began."""
        has_run = self.has_ended | (self.started < self.ended)
        known = (self.created, self.started[has_run], self.ended[self.has_ended])
        return float(np.concatenate(known).max())


def timeline(jobs: pd.DataFrame, *, as_of: Moment = None, ax: Axes | None = None) -> Axes:
    """Draw when each job of a run waited and ran, and below it how many did so at a time.

    The rules are those of `rf.timeline`: jobs whose times do not say when they ran are left out.
    The bar of a job that has not ended reaches beyond the axis, which ends soon after the last
    event.

    Args:
        jobs: A frame with the columns of JobsSchema, of one run.
        as_of: When the jobs that have not ended were last seen, with a time zone; None takes
            `fetched_at` of each job.
        ax: Where to draw; None makes a new figure, see `retab_frames.plots`.

    Returns:
        The axes of the jobs, one row each in the order of their creation. The number of jobs at a
        time is in new axes (the last of `ax.figure.axes`) in the lower part of their area. If no
        job has times, the axes hold a message instead of a plot.

    Raises:
        TypeError: As `rf.timeline`.
        ValueError: If there are several runs, or as `rf.timeline`.
    """
    jobs = stats.take_times(jobs, as_of, optional=_NAMES)
    counts = stats.timeline(jobs, as_of=as_of)
    runs = len(counts["run_id"].drop_duplicates())
    if runs > 1:
        raise ValueError(
            f"a timeline shows one run, not {runs}: choose one, as in jobs[jobs.run_id == '...']"
        )
    upper_inches = float(np.clip(0.8 + 0.22 * len(jobs), 1.6, 8))
    ax = ensure_axes(ax, 8.5, upper_inches + _LOWER_INCHES)
    if counts.empty:
        return show_message(ax, "no jobs with times")
    bars = _make_bars(jobs, as_of)
    lower = _split_axes(ax, _LOWER_INCHES / (upper_inches + _LOWER_INCHES))
    _draw_bars(ax, bars)
    _draw_counts(ax, lower, counts, bars)
    return ax


def _make_bars(jobs: pd.DataFrame, as_of: Moment) -> _Bars:
    # each job as a run of its own, so that the rules for contradictory times are those of
    # `rf.timeline`
    number = np.arange(len(jobs))
    alone = stats.sweep(jobs, pd.DataFrame({"job": number}), number, as_of)
    by = alone.groupby("job", sort=False)
    row = by["at"].first().index.to_numpy(dtype=np.int64)
    began = by["at"].first().min()
    created = _ms_since(began, by["at"].first())
    has_ended = by["ended"].last().to_numpy(dtype=np.int64) > 0
    ended = _ms_since(began, by["at"].last())
    started = ended - by["work_ms"].last().to_numpy(dtype=np.float64)
    waits = ~has_ended & (started == ended)
    ended[~has_ended] = ended.max()
    started[waits] = ended.max()
    order = np.lexsort((started, created))
    name = next(name for name in _NAMES if name in jobs.columns)
    shown = jobs[[name, "status"]].iloc[row[order]]
    return _Bars(
        names=[format_label(one) for one in shown[name]],
        styles=[find_style(status) for status in shown["status"]],
        created=created[order],
        started=started[order],
        ended=ended[order],
        has_ended=has_ended[order],
    )


def _ms_since(began: pd.Timestamp, times: pd.Series[Any]) -> Floats:
    seconds = (times - began).dt.total_seconds()
    return np.asarray(seconds.to_numpy(dtype=np.float64) * 1000, dtype=np.float64)


def _draw_bars(ax: Axes, bars: _Bars) -> None:
    count = len(bars.names)
    hatched = count <= _MAX_HATCHED_ROWS
    _draw_spans(ax, WAITING, np.arange(count), bars.created, bars.started, hatched=hatched)
    styles = list(dict.fromkeys(bars.styles))
    for style in styles:
        rows = np.array([other == style for other in bars.styles]).nonzero()[0]
        _draw_spans(ax, style, rows, bars.started[rows], bars.ended[rows], hatched=hatched)
    end = bars.last_event or 1
    ax.set_xlim(0, end * (1.01 if bars.has_ended.all() else _EXTRA_WIDTH))
    ax.set_ylim(count - 0.4, -0.6)
    label_rows(ax.yaxis, bars.names)
    ax.tick_params(labelbottom=False)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", color=GREY, alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    entries = [
        (Patch(**_patch_style(style, hatched=True)), style.name) for style in (WAITING, *styles)
    ]
    add_legend(ax, entries)


def _draw_spans(
    ax: Axes,
    style: StatusStyle,
    rows: np.ndarray[Any, Any],
    begin: Floats,
    end: Floats,
    *,
    hatched: bool,
) -> None:
    half = 0.5 - _GAP / 2 if hatched else 0.5
    x = np.stack([begin, end, end, begin], axis=1)
    y = rows[:, np.newaxis] + half * np.array([-1, -1, 1, 1])
    corners: Any = np.stack([x, y], axis=2)
    is_image = len(corners) > MAX_SHAPES
    look = _patch_style(style, hatched=hatched)
    spans = PolyCollection(corners, label=style.name, rasterized=is_image, **look)
    ax.add_collection(spans, autolim=False)


def _patch_style(style: StatusStyle, *, hatched: bool) -> dict[str, Any]:
    edge = {"hatch": style.hatch, "edgecolor": style.sign_colour} if hatched and style.hatch else {}
    return {"facecolor": style.colour, "linewidth": 0, **edge}


def _draw_counts(ax: Axes, lower: Axes, counts: pd.DataFrame, bars: _Bars) -> None:
    at = _ms_since(counts["at"].min(), counts["at"])
    # if some jobs have not ended, the last counts hold up to the end of the axis
    edges = np.append(at, max(at[-1], ax.get_xlim()[1]))
    running, waiting = (counts[name].to_numpy(dtype=np.float64) for name in ("running", "waiting"))
    # far more jobs may wait than run, so each count has its own scale
    queue = lower.twinx()
    filled: dict[str, Any] = {"facecolor": BLUE, "linewidth": 0, "alpha": 0.45}
    dashed: dict[str, Any] = {"edgecolor": text_colour(), "linestyle": "--", "baseline": None}
    _draw_stairs(lower, StepPatch(running, edges, fill=True, label="running", **filled))
    _draw_stairs(queue, StepPatch(waiting, edges, fill=False, label="waiting", **dashed))
    for axes, numbers in ((lower, running), (queue, waiting)):
        axes.set_ylim(0, max(1, numbers.max()) * 1.1)
        axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        axes.spines["top"].set_visible(False)
    lower.set_ylabel("running", color=BLUE)
    queue.set_ylabel("waiting (dashed)")
    lower.grid(axis="x", color=GREY, alpha=0.25, linewidth=0.6)
    name = "since the run began"
    if not bars.has_ended.all():
        unfinished = bars.ended[~bars.has_ended]
        seen = format_duration(float(unfinished.max()))
        name += f" ({len(unfinished)} not ended when last seen, after {seen})"
    set_duration_axis(lower, "x", name)


def _draw_stairs(ax: Axes, stairs: StepPatch) -> None:
    """Draw as `Axes.stairs`, which takes half a minute for 100,000 jobs to find limits."""
    stairs.set_rasterized(len(stairs.get_data()[0]) > MAX_SHAPES)
    ax.add_artist(stairs)


def _split_axes(ax: Axes, share: float) -> Axes:
    """Make new axes in the lower share of the area of the axes, with the same x axis."""
    figure, spec = ax.figure, ax.get_subplotspec()
    if spec is not None:
        rows = spec.subgridspec(2, 1, height_ratios=(1 - share, share), hspace=0.08)
        ax.set_subplotspec(rows[0])
        return figure.add_subplot(rows[1], sharex=ax)
    left, bottom, width, height = ax.get_position().bounds
    ax.set_position((left, bottom + height * share, width, height * (1 - share)))
    return figure.add_axes((left, bottom, width, height * share * 0.85), sharex=ax)
