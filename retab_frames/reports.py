"""Reports: a page about a run, about jobs, or about a comparison, written to a file.

The sentences and tables about runs and jobs are made here. Those about a comparison are made by
`build_page` in compare/two_runs.py and compare/many_runs.py, and this module adds the plots.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from retab_frames.compare import many_runs, planner, run_trend, two_runs
from retab_frames.compare.many_runs import ManyComparison
from retab_frames.compare.planner import RunPlan
from retab_frames.compare.run_trend import RunTrend
from retab_frames.compare.summary import MEASURE_NAMES, list_names, name_run
from retab_frames.compare.two_runs import RunComparison
from retab_frames.load.content import RunContent
from retab_frames.schemas.intake import check_frame, take_columns
from retab_frames.schemas.vocabulary import FAILED, OPEN
from retab_frames.stats.durations import duration_stats, slowest
from retab_frames.stats.estimates import proportion
from retab_frames.stats.failures import failures
from retab_frames.stats.groups import COUNTS
from retab_frames.stats.run_order import TIMES, find_began, sort_by_run
from retab_frames.stats.timeline import timeline
from retab_frames.text.labels import find_heading
from retab_frames.text.messages import printable
from retab_frames.text.numbers import TOO_FEW, format_share
from retab_frames.text.pages import Page, Plot, Section, render_html, render_markdown, write_file
from retab_frames.text.tables import format_count, format_duration

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import Any

__all__ = ["report"]

_FORMATS = {
    ".html": render_html,
    ".htm": render_html,
    ".md": render_markdown,
    ".markdown": render_markdown,
}
_NEEDED = (
    *("run_id", "document_id", "job_id", "filename"),
    *("status", "is_placeholder", "duration_ms", "error_message"),
)
"""What the verbs read of which a report about jobs is made; that of one run has times too."""
_OPTIONAL = ("workflow_id", "experiment_id", "fetched_at", *TIMES, "completed_at")
"""What a report tells of the runs where the jobs say it."""
_INTERVALS = f"with 95 % intervals; an arrow: {TOO_FEW} where the interval ends"
_MAX_ROWS_OF_PLOT = 40
"""Runs; more are told by the distribution of each, and over time."""
_MAX_ROWS_OF_MATRIX = 60
_MAX_NOTES = 5
_ALL_STATS = "duration_stats (Python) and `retab-frames stats` (shell)"
_ALL_FAILURES = "failures (Python) and `retab-frames failures` (shell)"
_ALL_ISSUES = 'the issues of the content (Python) and `retab-frames sql "from issues"` (shell)'
_QUANTILES = [f"{name}{end}_ms" for name in ("p50", "p90", "p95") for end in ("", "_low", "_high")]


def report(
    subject: RunContent | RunComparison | ManyComparison | RunPlan | RunTrend | pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
) -> Path:
    """Write a report and return its path: the main findings in words, then tables and plots.

    The report is one self-contained file without scripts, and equal subjects give equal files. It
    is written completely or not at all, and replaces an existing one.

    Args:
        subject: A run, a comparison of two runs or of many, a plan, a trend, or a jobs frame of one
            run or several.
        path: Where to write; `.html` is a page with plots, `.md` Markdown for a pull request,
            without plots and with tables of at most 20 rows.
        title: The heading; None names the subject.

    Raises:
        TypeError: If the subject is none of these.
        ValueError: If the path has another ending, or the frame is not a jobs frame or holds what
            does not fit its columns.
        MissingExtraError: If the page needs plots and matplotlib is not installed.
        OSError: If the file cannot be written.

    Example:
        >>> import retab_frames as rf
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         content = rf.load_content(
        ...             "wf_sandbox", "exp_invoices", run_id="exprun_invoices_4", client=client
        ...         )
        >>> rf.report(content, "run_4.md").name
        'run_4.md'
    """
    target = Path(path)
    if target.suffix.lower() not in _FORMATS:
        raise ValueError(f"a report ends in .html or .md, not {printable(str(target))}")
    page = _make_page(subject)
    if title is not None:
        page = replace(page, title=title)
    text = _FORMATS[target.suffix.lower()](page)
    write_file(target, text)
    return target


def _make_page(subject: object) -> Page:
    if isinstance(subject, RunContent):
        return _make_content_page(subject)
    if isinstance(subject, RunComparison):
        return _make_comparison_page(subject)
    if isinstance(subject, ManyComparison):
        return _make_many_page(subject)
    if isinstance(subject, RunPlan):
        caption = "The smallest slowdown that probably shows, by documents and by runs a side"
        page = planner.build_page(subject)
        return _add_plot(page, page.sections[-1].title, lambda plots: plots.plan(subject), caption)
    if isinstance(subject, RunTrend):
        caption = "The typical change of each run from the first, with its interval"
        page = run_trend.build_page(subject)
        return _add_plot(page, "Runs", lambda plots: plots.run_trend(subject), caption)
    wants = (
        "a report is about a RunContent, a RunComparison, a ManyComparison, a RunPlan, a RunTrend "
        "or a jobs frame"
    )
    return _make_jobs_page(check_frame(subject, wants))


def _add_plot(page: Page, section: str, draw: Callable[[Any], Any], caption: str) -> Page:
    """Return the page with a plot in a section; it is drawn only if the page is shown with plots.

    Args:
        page: The page.
        section: The title of the section.
        draw: Takes the module `retab_frames.plots` and returns axes.
        caption: What the plot shows.
    """

    def draw_image() -> str:
        from retab_frames import plots  # noqa: PLC0415

        axes = draw(plots)  # loads matplotlib, or says which extra has it
        from retab_frames.plots.images import svg_data_uri  # noqa: PLC0415

        return svg_data_uri(axes)

    return page.with_plot(section, Plot(draw_image, caption))


def _make_comparison_page(comparison: RunComparison) -> Page:
    measure, documents = comparison.measure, comparison.documents
    sides = {
        "baseline": comparison.baseline_run_id,
        "candidate": comparison.candidate_run_id,
    }
    jobs = pd.concat(
        [
            pd.DataFrame(
                {
                    "run": f"{name_run(run_id)} ({side})",
                    "status": documents[f"{side}_status"],
                    "duration_ms": documents[f"{side}_{measure}_ms"].round(),
                    "is_placeholder": False,
                }
            )
            for side, run_id in sides.items()
        ],
        ignore_index=True,
    )
    page = _add_plot(
        two_runs.build_page(comparison),
        "Speed",
        lambda plots: plots.durations(jobs, by="run"),
        f"The {MEASURE_NAMES[measure]} of each completed document; {_INTERVALS}",
    )
    return _add_plot(
        page,
        "Speed",
        lambda plots: plots.paired(comparison),
        f"Each document's {MEASURE_NAMES[measure]} in the candidate over that in the baseline",
    )


def _make_many_page(comparison: ManyComparison) -> Page:
    # a cell is the final job of a document, which is what the runs are compared by
    names = {f"{comparison.measure}_ms": "duration_ms", "began_at": "created_at"}
    jobs = comparison.cells.rename(columns=names).assign(is_placeholder=False)
    # the other measures are fractions of a millisecond, too
    jobs["duration_ms"] = jobs["duration_ms"].round()
    is_baseline = jobs["run_id"] == comparison.baseline_run_id
    page = many_runs.build_page(comparison)
    what = MEASURE_NAMES[comparison.measure]
    if len(comparison.run_ids) <= _MAX_ROWS_OF_PLOT:
        on_top = pd.concat([jobs[is_baseline], jobs[~is_baseline]], ignore_index=True)
        names_of_runs = on_top["run_id"].astype(object)
        on_top["run"] = names_of_runs.mask(
            names_of_runs == comparison.baseline_run_id, names_of_runs + " (baseline)"
        )
        page = _add_plot(
            page,
            "Speed",
            lambda plots: plots.durations(on_top, by="run"),
            f"The {what} of each completed document, the baseline on top; {_INTERVALS}",
        )
    page = _add_plot(
        page,
        "Speed",
        lambda plots: plots.trend(jobs),
        f"The {what} by run, in the order in which the runs began; {_INTERVALS}",
    )
    count = len(comparison.documents)
    some = f": {_MAX_ROWS_OF_MATRIX} of {count}" if count > _MAX_ROWS_OF_MATRIX else ""
    return _add_plot(
        page,
        "Documents by runs",
        lambda plots: plots.matrix(comparison, documents=_MAX_ROWS_OF_MATRIX),
        "The status of each document in each run, the documents that failed most often first"
        f"{some}",
    )


def _make_content_page(content: RunContent) -> Page:
    page = _make_jobs_page(content.jobs)
    run = printable(content.run_id) if content.run_id is not None else "no run"
    experiment = printable(content.experiment_id)
    state = "complete" if content.complete else "not complete"
    names = ["field", "problem", "action"]
    issues = content.issues.groupby(names, sort=False, dropna=False).size()
    counts = issues.reset_index(name="count").sort_values("count", ascending=False, kind="stable")
    return Page(
        f"{run} of {experiment}",
        [f"Run {run} of experiment {experiment}: {state}.", *page.sentences],
        [*page.sections, Section("Issues in the API's data", [counts], _ALL_ISSUES)],
    )


def _make_jobs_page(jobs: pd.DataFrame) -> Page:
    jobs = take_columns(jobs, _NEEDED, reader="report", optional=_OPTIONAL)
    jobs = sort_by_run(jobs.reset_index(drop=True))
    runs = jobs["run_id"].nunique(dropna=False)
    by = "run_id" if runs > 1 else None
    groups = [by] if by else []
    stats = duration_stats(jobs, "run_id", quantiles=(0.5, 0.9, 0.95))
    counts = ["jobs", *(name for name in COUNTS if stats[name].any())]
    columns = ["measured", "mean_ms", *_QUANTILES, "max_ms"]
    columns += ["outliers"] if stats["outliers"].notna().any() else []
    failed = ["template", "status", "jobs", "documents", "share", "example_filename"]
    slow = slowest(jobs)
    slow_columns = ["filename", "document_id", "duration_ms", "ratio_to_run_median"]
    slow_columns += ["is_outlier"] if slow["is_outlier"].notna().any() else []
    at_once = None if by else timeline(jobs)
    facts = _list_facts(jobs)
    page = Page(
        title=_make_title(jobs),
        sentences=[*_describe_source(facts), *_describe_jobs(jobs, at_once)],
        sections=[
            Section("Runs" if by else "Run", [facts.join(stats[counts])], _ALL_STATS),
            Section(
                "Durations of completed jobs",
                [stats[[*groups, *columns]], *_list_notes(stats)],
                _ALL_STATS,
            ),
            Section("Failures", [failures(jobs)[failed]], _ALL_FAILURES),
            Section("Slowest jobs", [slow[[*groups, *slow_columns]]]),
        ],
    )
    of_each_run = " of each run, the first on top" if by else ""
    if runs <= _MAX_ROWS_OF_PLOT:
        page = _add_plot(
            page,
            "Durations of completed jobs",
            lambda plots: plots.durations(jobs, by=by),
            f"Durations of the completed jobs{of_each_run}; {_INTERVALS}",
        )
    page = _add_plot(
        page,
        "Durations of completed jobs",
        lambda plots: plots.ecdf(jobs, by=by),
        f"Share of the completed jobs{' of each run' if by else ''} that took at most a given time",
    )
    if at_once is None:
        return _add_plot(
            page,
            "Over time",
            lambda plots: plots.trend(jobs),
            f"Durations by run, in the order in which the runs began; {_INTERVALS}",
        )
    if at_once.empty:
        return page
    return _add_plot(
        page,
        "Over time",
        lambda plots: plots.timeline(jobs),
        "When each job waited and ran, and how many did so at a time",
    )


def _list_facts(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run: its ids, when it began and ended, and when it was fetched.

    What the jobs do not say is left out; a run with unfinished jobs has no end.
    """
    runs = jobs.groupby("run_id", sort=False, dropna=False)
    facts = runs.size().reset_index()[["run_id"]]
    for name in ("experiment_id", "workflow_id"):
        if name in jobs.columns and len(jobs[name].dropna().unique()) > 1:
            facts[name] = runs[name].first().array
    facts["began_at"] = pd.Series(find_began(jobs), dtype="datetime64[us, UTC]")
    if "completed_at" in jobs.columns:
        is_open = jobs["status"].isin(OPEN).groupby([jobs["run_id"]], sort=False, dropna=False)
        ended = runs["completed_at"].max().reset_index(drop=True)
        facts["ended_at"] = ended.where(~is_open.any().to_numpy(bool))
    if "fetched_at" in jobs.columns:
        facts["fetched_at"] = runs["fetched_at"].max().array
    return facts.dropna(axis="columns", how="all") if len(facts) else facts


def _make_title(jobs: pd.DataFrame) -> str:
    runs = jobs["run_id"].unique()
    name = name_run(runs[0]) if len(runs) == 1 and pd.notna(runs[0]) else "Jobs of one run"
    title = name if len(runs) <= 1 else f"{len(runs)} runs"
    has_ids = "experiment_id" in jobs.columns
    experiments = jobs["experiment_id"].dropna().unique().tolist() if has_ids else []
    if len(experiments) == 1:
        return f"{title} of {printable(experiments[0])}"
    return f"{title} of {len(experiments)} experiments" if len(experiments) else title


def _describe_source(facts: pd.DataFrame) -> list[str]:
    """Return when the runs began and were fetched, where that is known."""
    parts = []
    for name, what in (("began_at", "Began"), ("fetched_at", "Fetched")):
        if name in facts.columns and facts[name].notna().any():
            ends = (f"{moment:%Y-%m-%d %H:%M}" for moment in (facts[name].min(), facts[name].max()))
            parts.append(f"{what} {' to '.join(dict.fromkeys(ends))} UTC.")
    return [" ".join(parts)] if parts else []


def _list_notes(stats: pd.DataFrame) -> list[str]:
    """Return what the statistics say of some runs, each with the runs of which it is said."""
    notes = stats[["run_id", "note"]].dropna(subset="note").groupby("note", sort=False)["run_id"]
    return [
        f"{list_names(runs.fillna('a run without id').tolist())}: {note}." for note, runs in notes
    ][:_MAX_NOTES]


def _describe_jobs(jobs: pd.DataFrame, at_once: pd.DataFrame | None) -> list[str]:
    """Return the main findings: counts, failures, durations, and the time that the run took.

    Args:
        jobs: The jobs.
        at_once: Their `timeline`; None if there are several runs.
    """
    stats = duration_stats(jobs, quantiles=(0.5, 0.9)).iloc[0]
    counts = ", ".join(f"{stats[name]} {find_heading(name)}" for name in COUNTS if stats[name])
    sentences = [f"{stats['jobs']} jobs{f': {counts}' if counts else ''}."]
    completed, failed = int(stats["completed"]), int(stats["error"])
    if failed:
        tried = completed + failed
        rate = proportion(failed, tried)
        share, low, high = map(format_share, (rate.value, rate.low, rate.high))
        sentences.append(
            f"Failed: {failed} of the {tried} that completed or failed ({share}, 95 % interval "
            f"{low} to {high})."
        )
        found = failures(jobs)
        found = found[found["status"].isin(FAILED)]
        for template, count in found[["template", "jobs"]].head(1).itertuples(index=False):
            text = printable(template, 200)
            sentences.append(f"The most frequent failure ({count} of {failed}): {text}")
    unmeasured = completed - int(stats["measured"])
    if unmeasured:
        sentences.append(f"Of {format_count(unmeasured, 'completed job')} no duration is known.")
    if stats["measured"]:
        half, nine = (_describe_quantile(stats, name) for name in ("p50", "p90"))
        sentences.append(
            f"Half of the completed jobs took at most {half}, nine in ten at most {nine}."
        )
    if at_once is not None and len(at_once):
        last = at_once.iloc[-1]
        if not (last["running"] or last["waiting"] or pd.isna(last["parallelism"])):
            sentences.append(
                f"The run took {format_duration(last['wall_clock_ms'])}, with "
                f"{last['parallelism']:.1f} jobs running at a time on average."
            )
    return sentences


def _describe_quantile(stats: pd.Series[Any], name: str) -> str:
    low, high = (stats[end] for end in (f"{name}_low_ms", f"{name}_high_ms"))
    if pd.isna(low):
        ends = TOO_FEW if pd.isna(high) else f"up to {format_duration(high)}, {TOO_FEW} from what"
    elif pd.isna(high):
        ends = f"from {format_duration(low)}, {TOO_FEW} up to what"
    else:
        ends = f"{format_duration(low)} to {format_duration(high)}"
    return f"{format_duration(stats[f'{name}_ms'])} (95 % interval: {ends})"
