"""When each job of a run waited and ran, and how many did so at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from retab_frames.plots.figures import MOST_SHAPES, axes_for, ink, say_nothing
from retab_frames.plots.labels import label, label_rows, legend
from retab_frames.plots.palette import BLUE, GREY, State, state_of
from retab_frames.plots.scales import duration_axis
from retab_frames.stats import timeline as concurrency
from retab_frames.text import tables

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from retab_frames.plots.scales import Floats
    from retab_frames.stats.samples import AsOf, Flags

__all__ = ["timeline"]

WAITING = State("waiting", "#E8E8E8", "", "")
_BELOW_IN = 1.3
"""Height of the number of jobs at once, in inches."""
_GAP = 0.24
"""Between two bars, in rows."""
_MOST_HATCHED = 60
"""Rows above which a bar is too thin for a hatch, or for a gap to the next."""
_OVERHANG = 1.12
"""How far the axis goes on behind the last event, for jobs that have not ended."""


@dataclass(frozen=True, eq=False)
class Bars:
    """The jobs of a run that have times, in the order in which they were created.

    Attributes:
        names: Labels.
        states: How each is drawn.
        created: In ms since the run began.
        started: Likewise; the end, where it never ran.
        ended: Likewise; when it was last seen, where it has not ended.
        is_over: Whether it has ended.
    """

    names: list[str]
    states: list[State]
    created: Floats
    started: Floats
    ended: Floats
    is_over: Flags

    @property
    def last_event(self) -> float:
        """When something happened last, in ms since the run began."""
        has_run = self.is_over | (self.started < self.ended)
        known = (self.created, self.started[has_run], self.ended[self.is_over])
        return float(np.concatenate(known).max())


def timeline(jobs: pd.DataFrame, *, as_of: AsOf = None, ax: Axes | None = None) -> Axes:
    """Draw when each job of a run waited and ran, and below it how many did so at once.

    The rules are those of `rf.timeline`: jobs whose times do not tell when they ran are left out.
    One that has not ended runs off the axis, which ends soon after the last event.

    Args:
        jobs: A frame with the columns of JobsSchema, of one run.
        as_of: When the jobs that have not ended were last seen, with a time zone; None takes
            `fetched_at` of each job.
        ax: Where to draw; None makes a figure, see `retab_frames.plots`.

    Returns:
        The axes of the jobs, one row each in the order in which they were created. The number of
        jobs at once stands in axes below them (the last of `ax.figure.axes`), which take a part of
        their room. Without a job that has times the axes say so.

    Raises:
        ValueError: If there are several runs, or as `rf.timeline`.
    """
    at_once = concurrency.timeline(jobs, as_of=as_of)
    runs = len(at_once["run_id"].drop_duplicates())
    if runs > 1:
        raise ValueError(
            f"a timeline shows one run, not {runs}: choose one, as in jobs[jobs.run_id == '...']"
        )
    upper_in = float(np.clip(0.8 + 0.22 * len(jobs), 1.6, 8))
    ax = axes_for(ax, 8.5, upper_in + _BELOW_IN)
    if at_once.empty:
        return say_nothing(ax, "no jobs with times")
    bars = _bars(jobs, as_of)
    below = _split(ax, _BELOW_IN / (upper_in + _BELOW_IN))
    _draw_bars(ax, bars)
    _draw_concurrency(ax, below, at_once, bars)
    return ax


def _bars(jobs: pd.DataFrame, as_of: AsOf) -> Bars:
    # each job as a run of its own: then the rules for odd times stand in one place
    alone = concurrency.timeline(jobs.assign(run_id=np.arange(len(jobs))), as_of=as_of)
    by = alone.groupby("run_id", sort=False)
    row = by["at"].first().index.to_numpy(dtype=np.int64)
    begun = by["at"].first().min()
    created = _since(begun, by["at"].first())
    is_over = by["ended"].last().to_numpy(dtype=np.int64) > 0
    ended = _since(begun, by["at"].last())
    started = ended - by["work_ms"].last().to_numpy(dtype=np.float64)
    waits = ~is_over & (started == ended)
    ended[~is_over] = ended.max()
    started[waits] = ended.max()
    order = np.lexsort((started, created))
    shown = jobs.iloc[row[order]]
    names = shown["filename"] if "filename" in jobs.columns else shown["document_id"]
    return Bars(
        names=[label(name) for name in names],
        states=[state_of(status) for status in shown["status"]],
        created=created[order],
        started=started[order],
        ended=ended[order],
        is_over=is_over[order],
    )


def _since(begun: pd.Timestamp, moments: pd.Series[Any]) -> Floats:
    seconds = (moments - begun).dt.total_seconds()
    return np.asarray(seconds.to_numpy(dtype=np.float64) * 1000, dtype=np.float64)


def _draw_bars(ax: Axes, bars: Bars) -> None:
    count = len(bars.names)
    roomy = count <= _MOST_HATCHED
    drawn = {state.name: state for state in bars.states}
    _draw_spans(ax, WAITING, np.arange(count), bars.created, bars.started, roomy=roomy)
    for name, state in drawn.items():
        mine = np.array([other.name == name for other in bars.states]).nonzero()[0]
        _draw_spans(ax, state, mine, bars.started[mine], bars.ended[mine], roomy=roomy)
    end = bars.last_event or 1
    ax.set_xlim(0, end * (1.01 if bars.is_over.all() else _OVERHANG))
    ax.set_ylim(count - 0.4, -0.6)
    label_rows(ax.yaxis, bars.names)
    ax.tick_params(labelbottom=False)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", color=GREY, alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    entries = [(_swatch(state), state.name) for state in (WAITING, *drawn.values())]
    legend(ax, entries, columns=len(entries))


def _draw_spans(
    ax: Axes,
    state: State,
    rows: np.ndarray[Any, Any],
    begin: Floats,
    end: Floats,
    *,
    roomy: bool,
) -> None:
    half = 0.5 - _GAP / 2 if roomy else 0.5
    corners = [
        [(b, row - half), (e, row - half), (e, row + half), (b, row + half)]
        for row, b, e in zip(rows, begin, end, strict=True)
    ]
    look = _look(state, hatched=roomy)
    is_image = len(corners) > MOST_SHAPES
    spans = PolyCollection(corners, **look, label=state.name, rasterized=is_image)
    ax.add_collection(spans, autolim=False)


def _swatch(state: State) -> Patch:
    return Patch(**_look(state, hatched=True))


def _look(state: State, *, hatched: bool) -> dict[str, Any]:
    edge = {"hatch": state.hatch, "edgecolor": state.on} if hatched and state.hatch else {}
    return {"facecolor": state.colour, "linewidth": 0, **edge}


def _draw_concurrency(ax: Axes, below: Axes, at_once: pd.DataFrame, bars: Bars) -> None:
    at = _since(at_once["at"].min(), at_once["at"])
    # the counts of the last moment go on where some jobs have not ended
    edges = np.append(at, max(at[-1], ax.get_xlim()[1]))
    running, waiting = (at_once[name].to_numpy(dtype=np.float64) for name in ("running", "waiting"))
    # far more may wait than run, so each has its own scale
    queue = below.twinx()
    below.stairs(running, edges, fill=True, color=BLUE, alpha=0.45, label="running")
    queue.stairs(waiting, edges, color=ink(), linestyle="--", baseline=None, label="waiting")
    for axes, counts in ((below, running), (queue, waiting)):
        axes.set_ylim(0, max(1, counts.max()) * 1.1)
        axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        axes.spines["top"].set_visible(False)
    below.set_ylabel("running", color=BLUE)
    queue.set_ylabel("waiting (dashed)")
    below.grid(axis="x", color=GREY, alpha=0.25, linewidth=0.6)
    duration_axis(below, "x", _told(bars))


def _told(bars: Bars) -> str:
    unfinished = int((~bars.is_over).sum())
    if not unfinished:
        return "since the run began"
    seen = tables.format_duration(float(bars.ended[~bars.is_over].max()))
    return f"since the run began ({unfinished} not ended when last seen, after {seen})"


def _split(ax: Axes, share: float) -> Axes:
    """Give a share of the room of the axes to new ones below them, with the same x axis."""
    figure, spec = ax.figure, ax.get_subplotspec()
    if spec is not None:
        rows = spec.subgridspec(2, 1, height_ratios=(1 - share, share), hspace=0.08)
        ax.set_subplotspec(rows[0])
        return figure.add_subplot(rows[1], sharex=ax)
    left, bottom, width, height = ax.get_position().bounds
    ax.set_position((left, bottom + height * share, width, height * (1 - share)))
    return figure.add_axes((left, bottom, width, height * share * 0.85), sharex=ax)
