from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, cast
from xml.etree import ElementTree as ET

import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pytest
from compare.series import runs_of as series_of
from factories import jobs_of, seconds, texts, timed_jobs
from matplotlib import rc_context, rcParams
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

import retab_frames as rf
from retab_frames import plots
from retab_frames.plots.images import svg_data_uri
from retab_frames.plots.labels import format_label
from retab_frames.plots.palette import LINE_STYLES, STATUS_STYLES
from retab_frames.plots.scales import DurationFormatter, DurationLocator
from retab_frames.schemas.vocabulary import KNOWN_VALUES, TERMINAL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

HOSTILE = [
    "$x_{1}$ and $\\frac{",
    "_hidden.pdf",
    "line\nbreak\x1b[31m.pdf",
    "\u202egnp.exe",
    "請求書 🧾 日本.pdf",
    "a" * 300,
    "</svg><script>alert(1)</script>",
    "100 % & 'quoted' \"twice\" # ~ ^ {}",
    "",
    None,
]


def many_jobs(count: int, runs: int = 1, names: Sequence[str | None] | None = None) -> pd.DataFrame:
    """Return jobs of runs of some seconds each, four at once, every tenth of them failed."""
    chance = np.random.default_rng(0)
    parts = []
    for run in range(1, runs + 1):
        ms = np.round(np.exp(chance.normal(8.3, 0.7, count))).astype(int)
        begin = np.cumsum(ms / 4000)
        parts.append(
            jobs_of(
                ms.tolist(),
                run_id=texts(*[f"exprun_invoices_{run}"] * count),
                job_id=texts(*[f"expjob_{run}_{n}" for n in range(count)]),
                filename=texts(*(names or [f"Invoice of someone {n}.pdf" for n in range(count)])),
                status=texts(*["error" if n % 10 == 3 else "completed" for n in range(count)]),
                created_at=seconds(*[1e6 * run] * count),
                started_at=seconds(*(1e6 * run + begin).tolist()),
                completed_at=seconds(*(1e6 * run + begin + ms / 1000).tolist()),
            )
        )
    return pd.concat(parts, ignore_index=True)


def runs_of(jobs: pd.DataFrame) -> list[pd.DataFrame]:
    return [part for _, part in jobs.groupby("run_id", sort=False)]


ALL: dict[str, Callable[[pd.DataFrame], Axes]] = {
    "durations": lambda jobs: plots.durations(jobs, by="run_id"),
    "durations by document": lambda jobs: plots.durations(jobs, by="filename"),
    "ecdf": lambda jobs: plots.ecdf(jobs, by="run_id"),
    "ecdf by document": lambda jobs: plots.ecdf(jobs, by="filename"),
    "timeline": lambda jobs: plots.timeline(runs_of(jobs)[0]),
    "paired": lambda jobs: plots.paired(rf.compare_runs(*runs_of(jobs)[:2])),
    "matrix": lambda jobs: plots.matrix(rf.compare_many(jobs)),
    "matrix of durations": lambda jobs: plots.matrix(rf.compare_many(jobs), value="duration_ms"),
    "matrix of ratios": lambda jobs: plots.matrix(
        rf.compare_many(jobs), value="ratio_to_run_median"
    ),
    "trend": plots.trend,
}


def png(ax: Axes) -> bytes:
    image = BytesIO()
    figure = ax.figure
    assert isinstance(figure, Figure)
    figure.savefig(image, format="png")
    return image.getvalue()


def tick_labels(axis: Any) -> list[str]:
    return [text.get_text() for text in axis.get_ticklabels() if text.get_text()]


def points(artist: Any) -> Any:
    return np.asarray(artist.get_offsets())


def spans(ax: Axes) -> dict[Any, list[Any]]:
    """Return the corners of the bars of each kind."""
    drawn: list[Any] = list(ax.collections)
    return {c.get_label(): [np.asarray(p.vertices) for p in c.get_paths()] for c in drawn}


def lines(ax: Axes, name: str) -> list[tuple[list[float], list[float]]]:
    return [
        (np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist())
        for line in ax.lines
        if line.get_label() == name
    ]


def arrows(ax: Axes, marker: str) -> list[tuple[float, float]]:
    found: list[Any] = [line for line in ax.lines if line.get_marker() == marker]
    return [point for line in found for point in zip(*line.get_data(), strict=True)]


def segments(ax: Axes, name: str) -> list[list[list[float]]]:
    found: list[Any] = [c for c in ax.collections if c.get_label() == name]
    return [np.asarray(part).tolist() for c in found for part in c.get_segments()]


def legend_of(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("count", [12, 500])
def test_labels_do_not_collide(name: str, count: int) -> None:
    ax = ALL[name](many_jobs(count, runs=5))
    png(ax)
    for axes in ax.figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            shown = [text for text in axis.get_ticklabels() if text.get_text()]
            # the box of a slanted text is larger than the text: its own height is what counts
            step = [text.get_rotation() > 0 for text in shown]
            boxes = [text.get_window_extent() for text in shown]
            for first, second in pairwise(boxes):
                if any(step):
                    assert abs(second.x1 - first.x1) > 12
                else:
                    assert not first.overlaps(second)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("count", [12, 500])
def test_nothing_stands_beyond_the_figure(name: str, count: int) -> None:
    ax = ALL[name](many_jobs(count, runs=5))
    png(ax)
    inner = ax.figure.get_tightbbox()
    width, height = ax.figure.get_size_inches()  # type: ignore[union-attr]
    assert inner is not None
    assert inner.x0 >= -0.02
    assert inner.y0 >= -0.02
    assert inner.x1 <= width + 0.02
    assert inner.y1 <= height + 0.02


@pytest.mark.filterwarnings("ignore:Glyph")  # no font here has all of them
@pytest.mark.parametrize("name", ALL)
def test_hostile_names_are_drawn(name: str) -> None:
    jobs = many_jobs(len(HOSTILE), runs=2, names=HOSTILE)
    assert png(ALL[name](jobs)).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ALL)
def test_a_name_that_no_font_has_warns_neither_a_notebook_nor_a_page(name: str) -> None:
    ax: Any = ALL[name](many_jobs(len(HOSTILE), runs=2, names=HOSTILE))
    assert ax._repr_png_()[0].startswith(b"\x89PNG")
    assert svg_data_uri(ax).startswith("data:image/svg+xml;base64,")


@pytest.mark.parametrize("name", ALL)
def test_an_equal_plot_is_an_equal_image_and_changes_no_setting(name: str) -> None:
    settings = dict(rcParams)
    first, second = (svg_data_uri(ALL[name](many_jobs(12, runs=3))) for _ in range(2))
    assert first == second
    assert dict(rcParams) == settings
    svg = b64decode(first.partition(",")[2]).decode()
    linked = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    assert linked <= set(re.findall(r'\sid="([^"]+)"', svg))


def test_names_are_text_in_an_image() -> None:
    jobs = jobs_of([1000, 2000], filename=texts("</svg><script>alert(1)</script>", "b"))
    svg = b64decode(svg_data_uri(plots.durations(jobs, by="filename")).partition(",")[2]).decode()
    root = ET.fromstring(svg)  # noqa: S314 - what matplotlib wrote
    tags = {element.tag.partition("}")[2] for element in root.iter()}
    assert tags >= {"svg", "g", "path"}
    assert not tags & {"script", "foreignObject", "a", "text"}


@pytest.mark.parametrize("name", ALL)
def test_a_frame_without_completed_jobs_says_so(name: str) -> None:
    jobs = many_jobs(3, runs=2).assign(status=texts(*["queued"] * 6))
    timeless = {name: seconds(*[None] * 6) for name in ("created_at", "started_at", "completed_at")}
    ax = ALL[name](jobs.assign(**timeless))
    png(ax)
    said = {text.get_text() for text in ax.texts}
    wanted = {"timeline": "no jobs with times", "matrix": "…"}.get(name, "no completed jobs")
    assert said == {wanted}


@pytest.mark.parametrize("name", ["durations", "ecdf", "timeline", "trend"])
def test_no_jobs_at_all(name: str) -> None:
    draw = {"timeline": plots.timeline}.get(name, ALL[name])
    assert len(draw(jobs_of([])).texts) == 1


@pytest.mark.parametrize("name", ALL)
def test_one_job_each_run(name: str) -> None:
    assert png(ALL[name](many_jobs(1, runs=2))).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", plots.__all__)
def test_a_plot_draws_on_the_axes_given(name: str) -> None:
    figure = Figure()
    mine = figure.add_subplot()
    draw: dict[str, Callable[[pd.DataFrame], Axes]] = {
        "durations": lambda jobs: plots.durations(jobs, ax=mine),
        "ecdf": lambda jobs: plots.ecdf(jobs, ax=mine),
        "timeline": lambda jobs: plots.timeline(runs_of(jobs)[0], ax=mine),
        "paired": lambda jobs: plots.paired(rf.compare_runs(*runs_of(jobs)), ax=mine),
        "matrix": lambda jobs: plots.matrix(rf.compare_many(jobs), ax=mine),
        "trend": lambda jobs: plots.trend(jobs, ax=mine),
        "plan": lambda _: plots.plan(rf.plan(series_of(2)), ax=mine),
        "run_trend": lambda _: plots.run_trend(rf.trend(series_of(2)), ax=mine),
    }
    assert draw[name](many_jobs(12, runs=2)) is mine
    assert png(mine).startswith(b"\x89PNG")


def test_durations_are_points_in_the_rows_of_their_runs() -> None:
    jobs = jobs_of([1000, 2000, 4000, 500], run_id=texts("b", "b", "b", "a"))
    ax = plots.durations(jobs, by="run_id", quantiles=(0.5,))
    offsets = points(ax.collections[0])
    assert offsets[:, 0].tolist() == [1000, 2000, 4000, 500]
    assert np.round(offsets[:, 1] + 0.2).tolist() == [0, 0, 0, 1]
    assert lines(ax, "p50") == [([2000, 500], [0.12, 1.12])]
    assert tick_labels(ax.yaxis) == ["b (3)", "a (1)"]
    assert legend_of(ax) == ["median"]
    assert ax.yaxis_inverted()


def test_quantiles_and_intervals_are_those_of_duration_stats() -> None:
    jobs = many_jobs(40)
    stats = rf.duration_stats(jobs, quantiles=(0.5, 0.9)).iloc[0]
    ax = plots.durations(jobs)
    for name in ("p50", "p90"):
        ((drawn, _),) = lines(ax, name)
        assert drawn == [stats[f"{name}_ms"]]
        ((begin, end),) = segments(ax, f"{name} interval")
        assert [begin[0], end[0]] == [stats[f"{name}_low_ms"], stats[f"{name}_high_ms"]]
    assert not arrows(ax, "<")
    assert not arrows(ax, ">")


def test_an_open_end_is_an_arrow_at_the_edge() -> None:
    ax = plots.durations(jobs_of([1000, 2000, 4000]), quantiles=(0.5,))
    left, right = ax.get_xlim()
    assert arrows(ax, "<") == [(left, 0.12)]
    assert arrows(ax, ">") == [(right, 0.12)]
    assert segments(ax, "p50 interval") == [[[left, 0.12], [right, 0.12]]]


def test_only_completed_jobs_are_drawn() -> None:
    jobs = jobs_of([1000, 9000, None], status=texts("completed", "error", "completed"))
    ax = plots.durations(jobs)
    assert points(ax.collections[0])[:, 0].tolist() == [1000]


def test_histograms_count_each_of_many_jobs() -> None:
    jobs = many_jobs(3000)
    ax = plots.durations(jobs)
    (stairs,) = [patch for patch in ax.patches if hasattr(patch, "get_data")]
    values, edges, _ = stairs.get_data()
    done = jobs.loc[jobs.status == "completed", "duration_ms"].to_numpy(float)
    counts = np.histogram(done, edges)[0]
    assert counts.sum() == 2700
    assert np.argmin(values) == np.argmax(counts)


def test_a_duration_of_0_has_a_place_on_the_log_axis() -> None:
    ax = plots.durations(jobs_of([0, 100, 10_000]))
    assert ax.get_xlim()[0] < 0
    assert tick_labels(ax.xaxis)[0] == "0"
    assert 0 in points(ax.collections[0])[:, 0]


def test_the_ecdf_steps_by_the_share_of_each_job() -> None:
    jobs = jobs_of([1000, 2000, 2000, 4000])
    ax = plots.ecdf(jobs, quantiles=())
    line = ax.lines[0]
    right = ax.get_xlim()[1]
    assert np.asarray(line.get_xdata()).tolist() == [1000, 1000, 2000, 2000, 4000, right]
    assert np.asarray(line.get_ydata()).tolist() == [0, 0.25, 0.5, 0.75, 1, 1]
    assert line.get_drawstyle() == "steps-post"


def test_lines_of_an_ecdf_are_named_however_their_groups_are() -> None:
    jobs = jobs_of([1000, 2000, None], run_id=texts("_private", "$a$", "empty"))
    ax = plots.ecdf(jobs, by="run_id")
    assert legend_of(ax) == ["_private (1)", r"\$a\$ (1)", "empty (0)"]


def test_above_eight_groups_only_all_jobs_together_are_named() -> None:
    ax = plots.ecdf(many_jobs(20), by="document_id")
    assert legend_of(ax) == ["each of 20 groups", "all jobs (18)"]


def test_bars_of_a_timeline_add_up_to_the_work_of_the_run() -> None:
    jobs = many_jobs(12)
    ax = plots.timeline(jobs)
    x = {name: [path[:, 0] for path in paths] for name, paths in spans(ax).items()}
    run = sum(np.ptp(bar) for name in ("completed", "error") for bar in x[name])
    assert run == pytest.approx(rf.timeline(jobs)["work_ms"].iloc[-1])
    waited = (jobs.started_at - jobs.created_at).dt.total_seconds().sum() * 1000
    assert sum(np.ptp(bar) for bar in x["waiting"]) == pytest.approx(waited)
    assert {name: len(bars) for name, bars in x.items()} == {
        "waiting": 12,
        "completed": 11,
        "error": 1,
    }


def test_a_timeline_shows_each_job_in_its_row() -> None:
    jobs = timed_jobs(("completed", 10, 12, 15), ("error", 10.5, 11, 13))
    ax = plots.timeline(jobs)
    ((left, top), *_, (right, bottom)) = sorted(spans(ax)["completed"][0].tolist())
    assert (left, right) == (2000, 5000)
    assert -0.5 < top < 0 < bottom < 0.5
    ((left, top), *_, (right, bottom)) = sorted(spans(ax)["error"][0].tolist())
    assert (left, right) == (1000, 3000)
    assert 0.5 < top < 1 < bottom < 1.5
    assert tick_labels(ax.yaxis) == ["invoice_1.pdf", "invoice_2.pdf"]
    assert legend_of(ax) == ["waiting", "completed", "error"]


def test_below_a_timeline_stands_how_many_jobs_ran_and_waited() -> None:
    jobs = timed_jobs(("completed", 10, 12, 15), ("completed", 10, 13, 14))
    ax = plots.timeline(jobs)
    drawn: dict[Any, Any] = {p.get_label(): p for a in ax.figure.axes for p in a.patches}
    values, edges, _ = drawn["running"].get_data()
    assert dict(zip(edges.tolist(), values.tolist(), strict=False)) == {
        0: 0,
        2000: 1,
        3000: 2,
        4000: 1,
        5000: 0,
    }
    waiting = drawn["waiting"].get_data()[0]
    assert waiting.tolist() == [2, 1, 0, 0, 0]


def test_a_job_that_has_not_ended_runs_off_the_axis() -> None:
    jobs = timed_jobs(("completed", 0, 1, 5), ("running", 0, 2, None), ("queued", 0, None, None))
    ax = plots.timeline(jobs, as_of="1970-01-02T00:00:00Z")
    assert list(ax.get_xlim()) == pytest.approx([0, 5600])
    (bar,) = [path for path in spans(ax)["not ended"] if np.ptp(path[:, 0]) > 0]
    assert bar[:, 0].max() == 86_400_000
    below = ax.figure.axes[-2]
    assert "2 not ended when last seen, after 24 h 00 min" in below.get_xlabel()


@pytest.mark.parametrize("draw", [plots.durations, plots.ecdf, plots.trend, plots.timeline])
def test_a_frame_of_another_library_is_named(draw: Callable[..., Axes]) -> None:
    frames = (dd.from_pandas(jobs_of([1, 2]), npartitions=1), pl.from_pandas(jobs_of([1, 2])))
    for frame, hint in zip(
        frames, (r"dask; .*\.compute\(\)", r"polars; .*\.to_pandas\(\)"), strict=True
    ):
        with pytest.raises(TypeError, match=f"takes a jobs frame, not DataFrame of {hint}"):
            draw(frame)


@pytest.mark.parametrize("draw", [plots.durations, plots.ecdf, plots.trend, plots.timeline])
def test_an_index_named_like_a_column_decides_nothing(draw: Callable[..., Axes]) -> None:
    jobs = many_jobs(5)
    odd = jobs.set_axis(jobs["run_id"], axis=0).astype({"run_id": "category", "duration_ms": str})
    assert svg_data_uri(draw(odd)) == svg_data_uri(draw(jobs))


def test_a_timeline_is_of_one_run() -> None:
    with pytest.raises(ValueError, match="shows one run, not 2"):
        plots.timeline(many_jobs(3, runs=2))


def test_pairs_stand_at_their_durations_by_what_became_of_them() -> None:
    before = jobs_of(
        [1000, 2000, 3000, 5000, None, 7000],
        status=texts(*["completed"] * 4, "error", "completed"),
    )
    after = jobs_of(
        [2000, 1000, 3050, None, 6000, None],
        run_id=texts(*["exprun_2"] * 6),
        job_id=texts(*[f"other_{n}" for n in range(6)]),
        status=texts(*["completed"] * 3, "error", "completed", "error"),
    )
    ax = plots.paired(rf.compare_runs(before, after))
    slower, faster, same = (points(c).tolist() for c in ax.collections[:3])
    assert slower == [[1000, 2000]]
    assert faster == [[2000, 1000]]
    assert same == [[3000, 3050]]
    assert arrows(ax, "x") == [(5000, 1), (7000, 1)]
    assert arrows(ax, "P") == [(1, 6000)]
    assert ax.get_xlim() == ax.get_ylim()
    assert legend_of(ax)[:4] == [
        "slower (1)",
        "faster (1)",
        "within the margin (1)",
        "broken (2)",
    ]


def test_documents_with_one_job_on_both_sides_are_rings() -> None:
    before = jobs_of([1000, 2000, 3000])
    after = jobs_of(
        [1000, 2000, 3000],
        run_id=texts(*["exprun_2"] * 3),
        job_id=texts("expjob_1", "own", "expjob_3"),
    )
    ax = plots.paired(rf.compare_runs(before, after))
    slower, faster, same, rings = (points(c).tolist() for c in ax.collections[:4])
    assert [slower, faster, same] == [[], [], [[2000, 2000]]]
    assert rings == [[1000, 1000], [3000, 3000]]
    assert "same job in both (2)" in legend_of(ax)
    assert "typical x 1.00" in legend_of(ax)


def test_the_line_of_a_pair_plot_is_the_ratio_of_the_comparison() -> None:
    first, second = runs_of(many_jobs(12, runs=2))
    comparison = rf.compare_runs(first, second, margin=0.1)
    ax = plots.paired(comparison)
    long: list[Any] = [line for line in ax.lines if len(np.atleast_1d(line.get_xdata())) == 200]
    equal, dashed = (np.divide(line.get_ydata(), line.get_xdata()) for line in long)
    assert np.allclose(equal, 1)
    assert np.allclose(dashed, comparison.ratio.ratio)
    band = np.asarray(ax.collections[3].get_paths()[0].vertices)
    assert (band[:, 1] / band[:, 0]).max() == pytest.approx(1.1)
    assert "margin of 10 %" in legend_of(ax)


def test_a_matrix_has_the_status_of_each_document_in_each_run() -> None:
    first = jobs_of([1000, 2000, 4000])
    second = jobs_of(
        [1000, None], run_id=texts("exprun_2", "exprun_2"), status=texts("completed", "error")
    )
    many = rf.compare_many([first, second])
    ax = plots.matrix(many)
    image = ax.images[0]
    assert isinstance(image, AxesImage)
    codes = np.ma.filled(np.ma.asarray(image.get_array()), -1).tolist()
    names = legend_of(ax)
    failed, slow, rest = codes
    assert [names[int(code)] for code in failed] == ["completed", "error \N{MULTIPLICATION SIGN}"]
    assert slow[1] == -1
    assert [names[int(code)] for code in rest] == ["completed", "completed"]
    assert tick_labels(ax.yaxis) == [f"invoice_{n}.pdf" for n in (2, 3, 1)]
    assert tick_labels(ax.xaxis) == ["exprun_1 (baseline)", "exprun_2"]


def test_a_matrix_of_durations_has_their_values() -> None:
    second = jobs_of([500, 60_000], run_id=texts("exprun_2", "exprun_2"))
    many = rf.compare_many([jobs_of([1000, 0]), second])
    ax = plots.matrix(many, value="duration_ms")
    values = np.ma.asarray(ax.images[0].get_array()).tolist()
    # the shortest stands for 0, which has no place on a log scale
    assert values == [[500, 60_000], [1000, 500]]
    bar = ax.figure.axes[-1]
    assert tick_labels(bar.yaxis) == ["1 s", "3 s", "10 s", "30 s", "1 min"]


def test_a_matrix_has_no_other_values() -> None:
    many = rf.compare_many(many_jobs(3, runs=2))
    with pytest.raises(
        ValueError, match="value must be status, duration_ms or ratio_to_run_median"
    ):
        plots.matrix(many, value="slow")


def test_a_trend_goes_by_when_the_runs_began() -> None:
    late, early = runs_of(many_jobs(30, runs=2))[::-1]
    jobs = pd.concat([late, early], ignore_index=True)
    ax = plots.trend(jobs, quantiles=(0.5,))
    stats = rf.duration_stats(jobs, by="run_id").set_index("run_id")
    wanted = stats["p50_ms"].loc[["exprun_invoices_1", "exprun_invoices_2"]].tolist()
    assert lines(ax, "p50 line") == [([0, 1], wanted)]
    assert tick_labels(ax.xaxis) == [
        "exprun_invoices_1  1970-01-12",
        "exprun_invoices_2  1970-01-24",
    ]
    drawn = [[low[1], high[1]] for low, high in segments(ax, "p50 interval")]
    columns = ["p50_low_ms", "p50_high_ms"]
    runs = ["exprun_invoices_1", "exprun_invoices_2"]
    assert drawn == stats[columns].loc[runs].to_numpy(float).tolist()
    assert "hollow: has not ended" not in legend_of(ax)


def test_a_trend_has_no_line_from_one_experiment_to_the_next() -> None:
    jobs = jobs_of(
        [1000, 2000, 3000, 4000],
        experiment_id=texts("exp_b", "exp_a", "exp_b", "exp_a"),
        run_id=texts("b1", "a1", "b2", "a2"),
        created_at=seconds(100_000, 200_000, 300_000, 400_000),
    )
    ax = plots.trend(jobs, quantiles=(0.5,))
    assert [label.split()[0] for label in tick_labels(ax.xaxis)] == ["b1", "b2", "a1", "a2"]
    [(at, values)] = lines(ax, "p50 line")
    assert [None if np.isnan(x) else x for x in at] == [0, 1, None, 2, 3]
    assert [None if np.isnan(ms) else ms for ms in values] == [1000, 3000, None, 2000, 4000]


def test_runs_of_one_day_are_told_apart_by_the_hour() -> None:
    jobs = jobs_of(
        [1000, 2000],
        run_id=texts("b", "a"),
        created_at=seconds(86_400, None),
        started_at=seconds(86_401, 90_000),
    )
    labels = ["b  1970-01-02 00:00", "a  1970-01-02 01:00"]
    assert tick_labels(plots.trend(jobs).xaxis) == labels
    jobs["started_at"] = seconds(None, None)
    assert tick_labels(plots.trend(jobs).xaxis) == ["b  1970-01-02", "a"]


@pytest.mark.parametrize("name", ["durations", "ecdf"])
def test_runs_stand_in_the_order_of_time_the_first_on_top(name: str) -> None:
    jobs = pd.concat(runs_of(many_jobs(5, runs=3))[::-1], ignore_index=True)
    ax = ALL[name](jobs)
    shown = tick_labels(ax.yaxis) if name == "durations" else legend_of(ax)
    assert shown == [f"exprun_invoices_{n} (4)" for n in (1, 2, 3)]
    other = plots.durations(jobs, by=jobs["run_id"].rename("group"))
    assert tick_labels(other.yaxis) == [f"exprun_invoices_{n} (4)" for n in (3, 2, 1)]


@pytest.mark.parametrize("draw", [lambda jobs: plots.durations(jobs, by="run_id"), plots.trend])
def test_a_run_that_has_not_ended_is_hollow(draw: Callable[[pd.DataFrame], Axes]) -> None:
    jobs = many_jobs(12, runs=2)
    jobs.loc[jobs.index[-1], "status"] = "running"
    ax = draw(jobs)
    stats = rf.duration_stats(jobs, by="run_id", quantiles=(0.5, 0.9))
    for name in ("p50", "p90"):
        (points_of,) = lines(ax, f"{name} hollow")
        assert stats[f"{name}_ms"][1] in [side[0] for side in points_of]
        assert [len(side) for side in points_of] == [1, 1]
        (drawn,) = [line for line in ax.lines if line.get_label() == f"{name} hollow"]
        assert to_rgb(drawn.get_markerfacecolor()) == (1, 1, 1)
    assert legend_of(ax) == ["median", "90 % within", "hollow: has not ended"]


@pytest.mark.parametrize("size", [(3, 5), (5, 3), (6.4, 4.8), (12, 12)])
def test_both_axes_of_a_square_have_the_same_ticks(size: tuple[float, float]) -> None:
    ax = Figure(figsize=size).subplots()
    plots.paired(rf.compare_runs(*runs_of(many_jobs(30, runs=2))), ax=ax)
    png(ax)
    assert tick_labels(ax.xaxis) == tick_labels(ax.yaxis)
    assert len(tick_labels(ax.xaxis)) >= 2


def test_a_page_has_dark_plots_where_it_is_dark() -> None:
    jobs = many_jobs(12, runs=2)
    svg = b64decode(svg_data_uri(plots.ecdf(jobs, by="run_id")).partition(",")[2]).decode()
    style = svg.partition("<style")[2].partition("</style>")[0]
    dark = style.partition("@media (prefers-color-scheme: dark)")[2]
    for colour in ("#000000", LINE_STYLES[0].colour.lower()):
        (instead,) = re.findall(rf'\[style\*="stroke: {colour}"\]{{stroke:(#\w+)!important}}', dark)
        assert lightness(instead) > lightness(colour) + 10
    assert "svg{fill:#e8e8e8}" in dark  # the letters
    assert "#ffffff" not in svg.partition("</style>")[2].partition("axes_1")[0]  # no background


def test_a_page_keeps_the_colours_of_a_style_in_use() -> None:
    with rc_context({"text.color": "white", "axes.facecolor": "black"}):
        svg = b64decode(svg_data_uri(plots.ecdf(many_jobs(3))).partition(",")[2]).decode()
    assert "prefers-color-scheme" not in svg


def test_a_matrix_goes_by_time_and_can_be_cut() -> None:
    runs = [one.assign(run_id=name) for one, name in zip(series_of(3, 12), "cba", strict=True)]
    many = rf.compare_many([runs[2], runs[0], runs[1]], "b")
    ax = plots.matrix(many, documents=5)
    assert tick_labels(ax.xaxis) == ["c", "b (baseline)", "a"]
    assert np.ma.asarray(ax.images[0].get_array()).shape == (5, 3)


def test_a_trend_of_statistics_in_hand_has_their_rows() -> None:
    jobs = jobs_of([1000, 3000, 2000], block=texts("b", "b", "a"))
    stats = rf.duration_stats(jobs, by="block", quantiles=(0.9,))
    ax = plots.trend(stats, quantiles=(0.9,))
    assert tick_labels(ax.xaxis) == ["b", "a"]
    assert lines(ax, "p90 line")[0][1] == stats["p90_ms"].tolist()
    assert sorted(arrows(ax, "^")) == [(0, ax.get_ylim()[1]), (1, ax.get_ylim()[1])]
    with pytest.raises(ValueError, match="lack p50: give duration_stats these quantiles"):
        plots.trend(stats)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0"),
        (0.5, "0.5 ms"),
        (500, "500 ms"),
        (1000, "1 s"),
        (1500, "1.5 s"),
        (60_000, "1 min"),
        (61_000, "61 s"),
        (90_000, "1.5 min"),
        (5_400_000, "1.5 h"),
    ],
)
def test_durations_have_the_unit_that_makes_them_short(ms: float, text: str) -> None:
    assert DurationFormatter(uniform=False)(ms) == text


def test_ticks_of_a_linear_axis_share_a_unit() -> None:
    locator, formatter = DurationLocator(log=False), DurationFormatter(uniform=True)
    ticks = locator.tick_values(0, 100_000)
    assert formatter.format_ticks(ticks) == ["0", "0.5 min", "1 min", "1.5 min"]


@pytest.mark.parametrize(("low", "high"), [(0.001, 1), (4000, 4001), (1, 1e9), (900, 70_000)])
@pytest.mark.parametrize("log", [True, False])
def test_there_are_some_ticks_and_not_too_many(low: float, high: float, *, log: bool) -> None:
    ticks = DurationLocator(log=log).tick_values(low, high)
    labels = DurationFormatter(uniform=not log).format_ticks(ticks)
    assert 2 <= len(ticks) <= 8
    assert all(low <= tick <= high for tick in ticks)
    assert len(set(labels)) == len(ticks)


def test_a_name_becomes_a_label() -> None:
    assert format_label("$5.pdf") == r"\$5.pdf"
    assert format_label("a\nb\x1b") == r"a\nb\x1b"
    assert format_label("x" * 40 + "_7.pdf") == "x" * 16 + "…" + "x" * 9 + "_7.pdf"
    assert format_label(None) == format_label(pd.NA) == "(none)"
    assert format_label(7) == "7"
    assert format_label("\U0001f9fe.pdf") == "\U0001f9fe.pdf"


def test_labels_are_drawn_in_the_fonts_of_the_style_first() -> None:
    jobs = jobs_of([1000], filename=texts("a.pdf"))
    with rc_context({"font.family": ["monospace", "serif"], "text.usetex": True}):
        (tick,) = plots.durations(jobs, by="filename").yaxis.get_ticklabels()
    assert tick.get_fontfamily()[:2] == ["monospace", "serif"]
    assert not tick.get_usetex()


def lightness(colour: str) -> float:
    """Return CIE 1976 L*, from 0 to 100."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 116 * float(np.cbrt(np.dot([0.2126, 0.7152, 0.0722], linear))) - 16


def test_statuses_differ_in_grey_and_in_their_signs() -> None:
    assert set(STATUS_STYLES) == KNOWN_VALUES["status"]
    styles = set(STATUS_STYLES.values())
    assert len(styles) == len(TERMINAL) + 1
    for first, second in combinations(styles, 2):
        assert abs(lightness(first.colour) - lightness(second.colour)) > 10
        assert first.sign != second.sign
        assert first.hatch != second.hatch


def test_lines_differ_in_dashes_or_in_grey_and_in_markers() -> None:
    for first, second in combinations(LINE_STYLES, 2):
        apart = abs(lightness(first.colour) - lightness(second.colour)) > 14
        assert first.dashes != second.dashes or apart
        assert first.marker != second.marker


@pytest.mark.parametrize("name", ["timeline", "paired"])
@pytest.mark.parametrize(("count", "images"), [(400, 0), (16_000, 1)])
def test_very_many_shapes_are_an_image_within_the_svg(name: str, count: int, images: int) -> None:
    drawn = BytesIO()
    ax = ALL[name](many_jobs(count, runs=2))
    cast("Figure", ax.figure).savefig(drawn, format="svg")
    assert min(drawn.getvalue().count(b"<image"), 1) == images
    assert len(drawn.getvalue()) < 1_000_000


def test_axes_show_themselves_in_a_notebook() -> None:
    from IPython.core.formatters import DisplayFormatter  # noqa: PLC0415

    ax = plots.durations(many_jobs(12))
    formatter: Any = DisplayFormatter()
    data, metadata = formatter.format(ax)
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"] == {"width": 750, "height": 220}


def test_pyplot_is_neither_loaded_nor_left_with_figures() -> None:
    code = (
        "import sys; import retab_frames.plots; assert 'matplotlib.pyplot' not in sys.modules; "
        "import matplotlib; matplotlib.use('agg'); import matplotlib.pyplot as plt; "
        "import pandas as pd; from factories import jobs_of; "
        "retab_frames.plots.durations(jobs_of([1, 2])); assert plt.get_fignums() == []"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="tests")


def test_plots_can_be_drawn_in_threads() -> None:
    jobs = many_jobs(50, runs=2)
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(lambda _: png(plots.durations(jobs, by="run_id")), range(8)))
    assert len(set(images)) == 1


def test_images_for_pages_can_be_made_in_threads() -> None:
    jobs = many_jobs(50, runs=2)
    with ThreadPoolExecutor(4) as pool:
        uris = list(pool.map(lambda _: svg_data_uri(plots.ecdf(jobs, by="run_id")), range(8)))
    assert len(set(uris)) == 1


def test_without_matplotlib_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import retab_frames as rf\n"
        "try: rf.plots.durations\n"
        "except rf.MissingExtraError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout == (
        "plots need matplotlib, from the extra `plots`: pip install 'retab-frames[plots]'\n"
    )
