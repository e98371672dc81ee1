"""On axes of the caller, labels, legends and titles stay inside of the figure."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import pytest
from compare.series import runs_of as series_of
from factories import texts

import retab_frames as rf
from plots.test_plots import many_jobs, png, runs_of
from retab_frames import plots
from retab_frames.accessor import JobPlots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LONG = "_of_an_experiment_with_a_long_name_2026"
NAMES = [f"Invoice of someone with a very long name {n:04}.pdf" for n in range(40)]

DRAW: dict[str, Callable[[pd.DataFrame, Axes], Axes]] = {
    "durations": lambda jobs, ax: plots.durations(jobs, by="run_id", ax=ax),
    "durations by document": lambda jobs, ax: JobPlots(jobs)("filename", ax=ax),
    "six quantiles": lambda jobs, ax: JobPlots(jobs).durations(
        "run_id", quantiles=(0.1, 0.25, 0.5, 0.75, 0.9, 0.95), ax=ax
    ),
    "ecdf": lambda jobs, ax: plots.ecdf(jobs, by="run_id", ax=ax),
    "ecdf of the accessor": lambda jobs, ax: JobPlots(jobs).ecdf("run_id", ax=ax),
    "timeline": lambda jobs, ax: plots.timeline(runs_of(jobs)[0], ax=ax),
    "timeline of the accessor": lambda jobs, ax: JobPlots(runs_of(jobs)[0]).timeline(ax=ax),
    "paired": lambda jobs, ax: plots.paired(rf.compare_runs(*runs_of(jobs)[:2]), ax=ax),
    "matrix": lambda jobs, ax: plots.matrix(rf.compare_many(jobs), ax=ax),
    "matrix of durations": lambda jobs, ax: plots.matrix(
        rf.compare_many(jobs), value="duration_ms", ax=ax
    ),
    "trend": lambda jobs, ax: plots.trend(jobs, ax=ax),
    "trend of the accessor": lambda jobs, ax: JobPlots(jobs).trend(ax=ax),
    "plan": lambda _, ax: plots.plan(rf.plan(long_series(6)), ax=ax),
    "run_trend": lambda _, ax: plots.run_trend(rf.trend(long_series(14)), ax=ax),
}


def long_jobs() -> pd.DataFrame:
    jobs = many_jobs(40, runs=5, names=NAMES)
    status = jobs["status"].tolist()
    status[-8:] = ["running"] * 8
    return jobs.assign(run_id=texts(*(jobs["run_id"] + LONG)), status=texts(*status))


def long_series(count: int) -> list[pd.DataFrame]:
    frames = series_of(count, 12, changes={count // 2: 1.5})
    return [frame.assign(run_id=f"{n:02}{LONG}") for n, frame in enumerate(frames)]


@pytest.fixture(autouse=True)
def agg() -> Iterator[None]:
    plt.switch_backend("agg")
    yield
    plt.close("all")


def overhang(figure: Figure) -> float:
    """Return how far, in inches, something reaches beyond the figure."""
    figure.draw_without_rendering()
    inner = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    return float(max(-inner.x0, -inner.y0, inner.x1 - width, inner.y1 - height))


def test_every_plot_is_tried() -> None:
    assert set(plots.__all__) <= set(DRAW)
    methods = {name for name in dir(JobPlots) if not name.startswith("_")}
    assert methods <= {"durations", "ecdf", "timeline", "trend"}


@pytest.mark.parametrize("name", DRAW)
def test_nothing_is_cut_off(name: str) -> None:
    figure, ax = plt.subplots()
    assert DRAW[name](long_jobs(), ax) is ax
    ax.set_title("A title of the caller")
    assert overhang(figure) <= 0
    assert ax.get_window_extent().width > 1.2 * figure.dpi
    png(ax)
    assert overhang(figure) <= 0  # nor on the second time


@pytest.mark.parametrize("name", ["durations", "paired", "timeline", "trend"])
def test_nothing_is_cut_off_beside_another_plot(name: str) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(14, 5))
    DRAW["durations"](long_jobs(), axes[0])
    DRAW[name](long_jobs(), axes[1])
    assert overhang(figure) <= 0


@pytest.mark.parametrize("name", ["durations", "matrix of durations", "timeline"])
def test_the_layout_of_the_caller_comes_first(name: str) -> None:
    figure, ax = plt.subplots(layout="constrained")
    DRAW[name](long_jobs(), ax)
    engine: Any = figure.get_layout_engine()
    assert type(engine).__name__ == "ConstrainedLayoutEngine"
    figure, ax = plt.subplots()
    DRAW[name](long_jobs(), ax)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.tight_layout()
        figure.subplots_adjust(left=0.4)
        figure.draw_without_rendering()


def test_axes_with_a_place_of_their_own_stay_there() -> None:
    figure = plt.figure()
    ax = figure.add_axes((0.2, 0.2, 0.5, 0.5))
    plots.durations(long_jobs(), ax=ax)
    figure.draw_without_rendering()
    assert ax.get_position().bounds == pytest.approx((0.2, 0.2, 0.5, 0.5))
