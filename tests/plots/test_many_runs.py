from __future__ import annotations

import pickle
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from compare.series import run_jobs, runs_of
from matplotlib import rcParams

import retab_frames as rf
from plots.test_plots import HOSTILE, legend_of, lines, png, segments, tick_labels
from retab_frames import plots
from retab_frames.plots.images import svg_data_uri

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

TIMES = "x"
LONG = "_of_an_experiment_with_a_long_name_2026"

DRAW: dict[str, Callable[[Any], Axes]] = {
    "plan": lambda runs: plots.plan(rf.plan(runs)),
    "run_trend": lambda runs: plots.run_trend(rf.trend(runs)),
}


def named(frames: Any, names: Any) -> Any:
    return [frame.assign(run_id=name) for frame, name in zip(frames, names, strict=True)]


@pytest.mark.parametrize("name", DRAW)
@pytest.mark.parametrize("count", [2, 3, 12, 60])
def test_labels_do_not_collide_and_nothing_stands_beyond_the_figure(name: str, count: int) -> None:
    frames = runs_of(count, 12, between=0.05, changes={count // 2: 1.5})
    ax = DRAW[name](named(frames, [f"{n}{LONG}" for n in range(count)]))
    png(ax)
    for axis in (ax.xaxis, ax.yaxis):
        shown = [text for text in axis.get_ticklabels() if text.get_text()]
        for first, second in pairwise(shown):
            boxes = first.get_window_extent(), second.get_window_extent()
            if first.get_rotation() > 0:
                assert abs(boxes[1].x1 - boxes[0].x1) > 12
            else:
                assert not boxes[0].overlaps(boxes[1])
    inner = ax.figure.get_tightbbox()
    width, height = ax.figure.get_size_inches()  # type: ignore[union-attr]
    assert inner is not None
    assert min(inner.x0, inner.y0) >= -0.02
    assert inner.x1 <= width + 0.02
    assert inner.y1 <= height + 0.02


@pytest.mark.parametrize("name", DRAW)
def test_an_equal_plot_is_an_equal_image_and_changes_no_setting(name: str) -> None:
    settings = dict(rcParams)
    first, second = (svg_data_uri(DRAW[name](runs_of(12, 12))) for _ in range(2))
    assert first == second
    assert dict(rcParams) == settings
    pickle.loads(pickle.dumps(DRAW[name](runs_of(3, 12)).figure))  # noqa: S301 - our own


def test_hostile_names_are_drawn() -> None:
    names = [text or "empty" for text in HOSTILE] * 2
    names = [f"{name}{n}" for n, name in enumerate(names)]
    frames = named(runs_of(20, 12, changes={7: 2.0}), names)
    ax: Any = DRAW["run_trend"](frames)
    assert ax._repr_png_()[0].startswith(b"\x89PNG")


def test_lines_of_a_plan_are_the_slowdowns_that_show() -> None:
    found = rf.plan(runs_of(6, 30, between=0.05), detect=0.2)
    ax = plots.plan(found)
    for runs in (1, 2, 3, 5, 10):
        ((documents, percent),) = lines(ax, f"{runs} a side")
        assert documents[0] == pytest.approx(6)
        assert documents[-1] == pytest.approx(1000)
        expected = [100 * (found.detectable_ratio(n, runs) - 1) for n in documents]
        assert percent == pytest.approx(expected)
    assert lines(ax, "detect")[0][1] == pytest.approx([20, 20])
    assert lines(ax, "documents at hand")[0][0] == [30, 30]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert legend_of(ax) == [
        "1 run a side",
        *(f"{n} runs a side" for n in (2, 3, 5, 10)),
        "to be shown: 20 %",
        "30 documents at hand",
    ]
    png(ax)
    assert {"10", "100", "1000"} <= set(tick_labels(ax.xaxis))
    assert "20 %" in tick_labels(ax.yaxis)


@pytest.mark.parametrize("margin", [0.0, 0.05])
def test_a_plan_of_runs_without_noise(margin: float) -> None:
    frames = [run_jobs(np.arange(1, 9) * 1000.0, n) for n in range(3)]
    ax = plots.plan(rf.plan(frames, margin=margin))
    assert lines(ax, "1 a side")[0][1] == pytest.approx([max(100 * margin, 0.1)] * 100)
    png(ax)


def test_points_of_a_trend_are_its_ratios_and_intervals() -> None:
    found = rf.trend(runs_of(14, 30, between=0.02, changes={7: 1.5}))
    ax = plots.run_trend(found)
    ((at, ratios),) = lines(ax, "run")
    assert at == list(range(14))
    assert ratios == found.runs["ratio"].tolist()
    intervals = [[[n, low], [n, high]] for n, low, high in zip(at, *ends_of(found), strict=True)]
    assert segments(ax, "interval") == intervals
    assert [x for x, _ in lines(ax, "change")] == [[6.5, 6.5]]
    logs = np.log(ratios)
    levels = [np.exp(logs[:7].mean()), np.exp(logs[7:].mean())]
    assert segments(ax, "level") == [
        [[-0.5, pytest.approx(levels[0])], [6.5, pytest.approx(levels[0])]],
        [[6.5, pytest.approx(levels[1])], [13.5, pytest.approx(levels[1])]],
    ]
    assert legend_of(ax) == [
        "run, interval of its documents",
        "level",
        r"slower since run_07",
        "margin of 5 %",
    ]


def ends_of(found: rf.RunTrend) -> list[list[float]]:
    return [found.runs[name].tolist() for name in ("ratio_low", "ratio_high")]


@pytest.mark.parametrize(("factor", "marker", "word"), [(2, "^", "slower"), (0.5, "v", "faster")])
def test_an_alarm_is_a_triangle(factor: float, marker: str, word: str) -> None:
    found = rf.trend(runs_of(9, 30, between=0.05, changes={6: factor}))
    ax = plots.run_trend(found)
    ((at, ratio),) = lines(ax, "alarm")
    assert at == np.flatnonzero(found.runs["alarm"]).tolist()
    assert ratio == [found.runs["ratio"][n] for n in at]
    assert [line.get_marker() for line in ax.lines if line.get_label() == "alarm"] == [marker]
    assert f"alarm: {word}" in legend_of(ax)
    assert "level" not in legend_of(ax)  # of nine runs


def test_a_trend_has_dates_and_a_run_that_has_not_ended_is_hollow() -> None:
    frames = runs_of(4, 12)
    frames[-1].loc[0, "status"] = "running"
    found = rf.trend(frames)
    ax = plots.run_trend(found)
    began = found.runs["began_at"].dt.strftime("%Y-%m-%d")
    assert tick_labels(ax.xaxis) == [f"run_{n:02}  {day}" for n, day in enumerate(began)]
    assert lines(ax, "run that has not ended") == [([3], [found.runs["ratio"].iloc[-1]])]
    assert "hollow: has not ended" in legend_of(ax)


def test_many_changes_are_counted() -> None:
    changes = dict.fromkeys(range(10, 70, 10), 1.5)
    ax = plots.run_trend(rf.trend(runs_of(70, 12, changes=changes)))
    assert "6 changes" in legend_of(ax)
    assert len(lines(ax, "change")) == 6


def test_runs_without_a_ratio_leave_a_gap_and_wide_ratios_have_few_ticks() -> None:
    frames = runs_of(12, 12, changes={6: 20.0})
    frames[3]["status"] = "error"
    ax = plots.run_trend(rf.trend(frames))
    png(ax)
    assert np.isnan(lines(ax, "run")[0][1][3])
    assert tick_labels(ax.yaxis) == [f"{TIMES} {n}" for n in (1, 2, 4, 8, 16)]
    nothing = plots.run_trend(rf.trend([run_jobs([np.nan], n) for n in range(2)]))
    assert [text.get_text() for text in nothing.texts] == ["no completed jobs"]
