"""A page about a run, about jobs in hand, or about a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from retab_frames.compare.documents import CHANGES, sort_by_change
from retab_frames.compare.many_runs import ManyComparison
from retab_frames.compare.two_runs import RunComparison
from retab_frames.load.content import RunContent
from retab_frames.stats.durations import duration_stats, slowest
from retab_frames.stats.estimates import proportion
from retab_frames.stats.failures import failures
from retab_frames.stats.timeline import timeline
from retab_frames.text import tables
from retab_frames.text.messages import printable
from retab_frames.text.pages import Page, Plot, Section, as_html, as_markdown, write_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = ["report"]

_FORMATS = {".html": as_html, ".htm": as_html, ".md": as_markdown, ".markdown": as_markdown}
_COUNTS = ("completed", "error", "cancelled", "unfinished", "placeholders", "other")
_ENDED = ("completed", "error", "cancelled", "other")


def report(
    subject: RunContent | RunComparison | ManyComparison | pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
) -> Path:
    """Write a report and return its path: the verdict in words, then tables and plots.

    The file stands alone, without scripts and without anything to load, and an equal subject gives
    an equal file. It is written whole or not at all, in place of one that is there.

    Args:
        subject: A run, a comparison of two runs or of many, or a frame of the jobs of one run or
            several.
        path: Where to write; `.html` is a page with plots, `.md` Markdown for a pull request,
            without plots and with tables of at most 20 rows.
        title: The heading; None says what it is about.

    Raises:
        TypeError: If the subject is none of these.
        ValueError: If the path ends otherwise, or the frame is none of jobs.
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
        raise ValueError(f"a report ends in .html or .md, not {printable(target.name)}")
    page = _page(subject)
    if title is not None:
        page = Page(title, page.told, page.sections)
    text = _FORMATS[target.suffix.lower()](page)
    if not target.absolute().parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent} to write {target.name} in")
    write_whole(target, text)
    return target


def _page(subject: object) -> Page:
    if isinstance(subject, RunContent):
        return _of_content(subject)
    if isinstance(subject, RunComparison):
        return _of_comparison(subject)
    if isinstance(subject, ManyComparison):
        return _of_many(subject)
    if isinstance(subject, pd.DataFrame):
        return _of_jobs(subject)
    raise TypeError(
        "a report is about a RunContent, a RunComparison, a ManyComparison or a frame of jobs, "
        f"not {type(subject).__name__}"
    )


def _of_content(content: RunContent) -> Page:
    page = _of_jobs(content.jobs)
    run = printable(content.run_id) if content.run_id is not None else "no run"
    state = "complete" if content.complete else "not complete"
    fetched = f", fetched {content.fetched_at:%Y-%m-%d %H:%M} UTC" if content.fetched_at else ""
    told = [f"Run {run} of experiment {printable(content.experiment_id)}: {state}{fetched}."]
    names = ["field", "problem", "action"]
    issues = content.issues.groupby(names, sort=False, dropna=False).size()
    counted = issues.reset_index(name="count").sort_values("count", ascending=False, kind="stable")
    parts = [counted] if len(counted) else []
    return Page(
        f"{run} of {printable(content.experiment_id)}",
        [*told, *page.told],
        [*page.sections, Section("Odd values in what the API sent", parts)],
    )


def _of_jobs(jobs: pd.DataFrame) -> Page:
    runs = jobs["run_id"].nunique(dropna=False) if "run_id" in jobs.columns else 1
    by = "run_id" if runs > 1 else None
    stats = duration_stats(jobs, by, quantiles=(0.5, 0.9, 0.95))
    counts = ["jobs", *(name for name in _COUNTS if stats[name].any())]
    groups = [by] if by else []
    columns = ["measured", "mean_ms", *_QUANTILES, "max_ms", "outliers"]
    columns += ["note"] if stats["note"].notna().any() else []
    failed, slow = failures(jobs), slowest(jobs)
    names = ["template", "status", "jobs", "documents", "share", "example_filename"]
    slow = slow[
        [*groups, "filename", "document_id", "duration_ms", "ratio_to_run_median", "is_outlier"]
    ]
    sections = [
        Section("Jobs", [stats[[*groups, *counts]]]),
        Section("Durations of completed jobs", [stats[[*groups, *columns]], *_spread(jobs, by)]),
        Section("Failures", [failed[names]] if len(failed) else []),
        Section("Slowest jobs", [slow] if len(slow) else []),
        Section("Over time", _over_time(jobs, by)),
    ]
    title = f"{runs} runs" if by else "Jobs of one run"
    return Page(title, list(_sentences(jobs, by)), sections)


_QUANTILES = [f"{name}{end}_ms" for name in ("p50", "p90", "p95") for end in ("", "_low", "_high")]


def _spread(jobs: pd.DataFrame, by: str | None) -> list[Plot]:
    each = " of each run" if by else ""
    return [
        Plot(
            lambda: _plots().durations(jobs, by=by),
            f"Durations of the completed jobs{each}, with quantiles and their 95 % intervals; an "
            "arrow is an open end",
        ),
        Plot(
            lambda: _plots().ecdf(jobs, by=by),
            f"Share of the completed jobs{each} that took at most so long",
        ),
    ]


def _over_time(jobs: pd.DataFrame, by: str | None) -> list[Plot]:
    if by:
        draw: Callable[[], Any] = lambda: _plots().trend(jobs)  # noqa: E731
        return [Plot(draw, "Quantiles of the durations over the runs, with 95 % intervals")]
    if timeline(jobs).empty:
        return []
    told = "When each job waited and ran, and how many did at once"
    return [Plot(lambda: _plots().timeline(jobs), told)]


def _sentences(jobs: pd.DataFrame, by: str | None) -> Iterator[str]:
    """Yield what is to be known of the jobs first."""
    stats = duration_stats(jobs, quantiles=(0.5, 0.9)).iloc[0]
    counts = ", ".join(f"{stats[name]} {name}" for name in _COUNTS if stats[name])
    yield f"{stats['jobs']} jobs{f': {counts}' if counts else ''}."
    ended = int(sum(stats[name] for name in _ENDED))
    failed = ended - int(stats["completed"])
    if failed:
        rate = proportion(failed, ended)
        percent = [f"{100 * share:.0f} %" for share in (rate.value, rate.low, rate.high)]
        share = f"{percent[0]}, 95 % interval {percent[1]} to {percent[2]}"
        yield f"Failed: {failed} of the {ended} that ended ({share})."
        most = failures(jobs).head(1)
        for told, count in zip(most["template"], most["jobs"], strict=True):
            yield f"The most frequent failure ({count} of {failed}): {printable(told, 200)}"
    if stats["measured"]:
        half, nine = (_quantile(stats, name) for name in ("p50", "p90"))
        yield f"Half of the completed jobs took at most {half}, nine in ten at most {nine}."
    if not by and len(at_once := timeline(jobs)):
        yield from _run_sentence(at_once)


def _quantile(stats: pd.Series[Any], name: str) -> str:
    ends = [stats[f"{name}_{end}_ms"] for end in ("low", "high")]
    low, high = ("unbounded" if pd.isna(end) else tables.format_duration(end) for end in ends)
    return f"{tables.format_duration(stats[f'{name}_ms'])} (95 % interval {low} to {high})"


def _run_sentence(at_once: pd.DataFrame) -> Iterator[str]:
    last = at_once.iloc[-1]
    if last["running"] or last["waiting"] or pd.isna(last["parallelism"]):
        return
    wall = tables.format_duration(last["wall_clock_ms"])
    yield f"The run took {wall}, with {last['parallelism']:.1f} jobs running at once on average."


def _of_comparison(comparison: RunComparison) -> Page:
    title, *told = comparison.summary().splitlines()
    documents = comparison.documents
    changed = sort_by_change(documents[documents["change"] != "unchanged"])
    changed = changed[["filename", "document_id", "change", "baseline_status", "candidate_status"]]
    slower = documents[documents["ratio"] > 1].nlargest(10, "ratio")
    both_ms = ["baseline_duration_ms", "candidate_duration_ms", "delta_ms", "ratio"]
    told_by = "Each document's duration in the candidate over that in the baseline"
    drawn = [Plot(lambda: _plots().paired(comparison), told_by)]
    speed: list[pd.DataFrame | Plot] = [
        comparison.speed.drop(columns="confidence"),
        comparison.durations.drop(columns="run_id"),
        *drawn,
    ]
    return Page(
        title,
        told,
        [
            Section("Documents that changed", [changed] if len(changed) else []),
            Section("Failures", [comparison.failure_rates, comparison.transitions]),
            Section("Speed", speed if comparison.ratio.pairs else [*drawn]),
            Section(
                "Documents that slowed down most",
                [slower[["filename", "document_id", *both_ms]]] if len(slower) else [],
            ),
            Section("Comparability", [comparison.comparability]),
        ],
    )


def _of_many(comparison: ManyComparison) -> Page:
    title, *told = comparison.summary().splitlines()
    runs, documents = comparison.runs, comparison.documents
    changes = [change for change in CHANGES if runs[change].any()]
    rates = ["failure_rate", "failure_rate_low", "failure_rate_high", "failure_p_adjusted"]
    ratios = ["pairs", "ratio", "ratio_low", "ratio_high", "speed_p_adjusted", "verdict"]
    odd = documents[documents["flaky"] | documents["always_failing"] | documents["always_slow"]]
    odd = odd[["filename", "document_id", "runs", "completed", "failed", "slow_runs", "median_ms"]]
    return Page(
        title,
        told,
        [
            Section("Runs", [runs[["run_id", "comparable", "documents", *changes]]]),
            Section("Failures", [runs[["run_id", *rates]]]),
            Section("Speed", [runs[["run_id", *ratios]], *_many_speed(comparison)]),
            Section("Documents that need a look", [odd] if len(odd) else []),
            Section(
                "Documents by runs",
                [
                    Plot(
                        lambda: _plots().matrix(comparison),
                        "What became of each document in each run, those that failed most first",
                    )
                ],
            ),
        ],
    )


def _many_speed(comparison: ManyComparison) -> list[Plot]:
    # a cell is the final job of a document, which is what the runs are compared by
    jobs = comparison.cells.assign(is_placeholder=False)
    told = "Quantiles of the durations over the runs, with 95 % intervals; an arrow is an open end"
    return [Plot(lambda: _plots().trend(jobs), told)]


def _plots() -> Any:
    from retab_frames import plots  # noqa: PLC0415  (loads matplotlib)

    return plots
