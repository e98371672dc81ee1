"""Since which of many runs documents take longer, and whether the newest run raises an alarm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retab_frames.compare.measured_runs import measure_runs
from retab_frames.compare.summary import TAKES, name_run
from retab_frames.schemas.frames import BOOL, FLOAT64, INT64, STRING, TIME, frame_of_rows
from retab_frames.stats.change_points import (
    MIN_RUNS,
    MIN_WATCHED,
    ODD,
    Cusum,
    compute_cusum,
    find_changes,
)
from retab_frames.stats.estimates import check_confidence, check_margin
from retab_frames.stats.log_ratios import LOG_UNIT, compute_log_ratios
from retab_frames.stats.signed_rank import SignedRank
from retab_frames.text.numbers import format_change, format_p
from retab_frames.text.pages import Page, Section, render_fragment, render_markdown
from retab_frames.text.tables import format_count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from retab_frames.compare.measured_runs import MeasuredRuns
    from retab_frames.load.content import RunContent
    from retab_frames.stats.change_points import Change
    from retab_frames.stats.grouped_values import Floats, Ints
    from retab_frames.stats.measures import Measure

__all__ = ["RunTrend", "build_page", "trend"]

_RUNS = {
    "run_id": STRING,
    "began_at": TIME,
    "documents": INT64,
    "unfinished": INT64,
    "ratio": FLOAT64,
    "ratio_low": FLOAT64,
    "ratio_high": FLOAT64,
    "segment": INT64,
    "deviate": FLOAT64,
    "cusum": FLOAT64,
    "alarm": BOOL,
}
_CHANGES = {
    "run_id": STRING,
    "began_at": TIME,
    "ratio": FLOAT64,
    "ratio_low": FLOAT64,
    "ratio_high": FLOAT64,
    "p_value": FLOAT64,
    "verdict": STRING,
}


_ALL_RUNS = "the trend's runs (Python) and `retab-frames trend --csv` (shell)"


def trend(
    runs: Iterable[RunContent | pd.DataFrame] | pd.DataFrame,
    *,
    margin: float = 0.05,
    confidence: float = 0.95,
    measure: Measure = "duration",
) -> RunTrend:
    """Return since which run documents take longer, or less time.

    Each run is told by the typical change of its documents against the first run that completed any
    (Hodges-Lehmann). In this series the split with the largest t is a change if random orders of
    the runs give one as large with p < 0.01, with at least three runs on each side; then both parts
    are searched (see `find_changes`). So it takes ten runs to find any. One odd run is no change,
    and a change that is soon taken back may be missed. For the runs since the last change, a
    cumulative sum raises an alarm before a change can be told for sure (see `compute_cusum`): one
    false alarm in some hundred runs.

    The final job of each document counts, if it was completed. A job that two runs share counts in
    the first of them.

    Args:
        runs: Contents or jobs frames, one run each; or one jobs frame of several runs. They are put
            in the order in which they began (`created_at`); if one does not say when, the order
            given stays.
        margin: The largest slowdown that does not matter.
        confidence: Of the intervals.
        measure: As for `duration_stats`.

    Raises:
        TypeError: If these are not runs, or only one content; a Dask frame is not taken.
        ValueError: If there are fewer than two runs, or as `compare_many`.

    Example:
        >>> import retab_frames as rf
        >>> runs = [f"exprun_invoices_{n}" for n in range(1, 6)]
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         jobs = rf.load_jobs("wf_sandbox", "exp_invoices", run_id=runs, client=client)
        >>> print(rf.trend(jobs).summary().splitlines()[2])
        The newest run raises no alarm.
    """
    check_margin(margin)
    check_confidence(confidence)
    measured = measure_runs(runs, measure=measure, reader="trend")
    if len(measured.run_ids) < 2:  # noqa: PLR2004 - the first has nothing before it
        raise ValueError(f"trend needs two runs or more, not {len(measured.run_ids)}")
    columns = measured.durations.T
    first = columns[np.argmax(np.isfinite(columns).any(axis=1))]
    rows = [_compare_with_first(first, column, confidence) for column in columns]
    logs = np.array([row[1] for row in rows])
    known = np.flatnonzero(~np.isnan(logs))
    found = find_changes(logs[known], confidence)
    segment = np.zeros(len(logs), dtype=np.int64)
    segment[[known[change.position] for change in found]] = 1
    segment = segment.cumsum()
    watched = _watch(logs, segment, math.log1p(margin))
    began = [None if pd.isna(moment) else moment for moment in measured.began_at]
    tabulated = [
        (run_id, at, count, to_do, *map(_exp, ends), int(part), *marks, bool(alarm))
        for run_id, at, (count, *ends), to_do, part, *marks, alarm in zip(
            measured.run_ids,
            began,
            rows,
            measured.unfinished,
            segment,
            watched.deviates,
            watched.sums,
            watched.alarms,
            strict=True,
        )
    ]
    return RunTrend(
        runs=frame_of_rows(tabulated, _RUNS),
        changes=_tabulate_changes(found, known, measured, margin),
        margin=margin,
        confidence=confidence,
        reused=measured.reused,
        measure=measure,
    )


@dataclass(frozen=True, eq=False, repr=False)
class RunTrend:
    """How the durations of runs changed in the course of time.

    Attributes:
        runs: One row per run, in the order in which they began: `run_id`, `began_at`, `documents`
            (those completed in it and in the first run), `unfinished` (documents whose jobs have
            not ended), `ratio` (the typical change of a document
            against the first run, 1.2 for 20 % longer) with the interval of its documents' noise,
            which a shift of the whole run is no part of; `segment` (0, then one more with each
            change), `deviate` (how far the run is from those before it in its segment, in standard
            deviations, above 0 for slower) and `cusum` (their cumulative sum), both null for the
            first two runs of a segment; `alarm` (whether the sum is beyond its limit). A run
            without a document in common with the first has no ratio and is passed over.
        changes: One row per change: `run_id`, the run since when; `began_at`; `ratio` of the runs
            after to those before, each up to the next change, with its interval; `p_value` of the
            hypothesis that the order of the runs is chance; `verdict`, "slower" or "faster" if the
            interval lies beyond the margin, "equivalent" if it lies within, else "inconclusive".
        margin: The largest slowdown that does not matter.
        confidence: Of the intervals.
        reused: How many jobs were left out since an earlier run has the same.
        measure: What is measured.
    """

    runs: pd.DataFrame
    changes: pd.DataFrame
    margin: float
    confidence: float
    reused: int
    measure: Measure = "duration"

    def summary(self) -> str:
        """Return the trend in words: a title, each change, and whether the newest run alarms."""
        return "\n".join([_make_title(self), *_list_sentences(self)])

    def to_markdown(self) -> str:
        """Return the trend as Markdown."""
        return render_markdown(build_page(self))

    def _repr_html_(self) -> str:
        return render_fragment(build_page(self))

    def __repr__(self) -> str:
        changes = format_count(len(self.changes), "change")
        alarm = ", alarm" if self.runs["alarm"].iloc[-1] else ""
        return f"RunTrend({format_count(len(self.runs), 'run')}: {changes}{alarm})"


def _compare_with_first(
    first: Floats, durations: Floats, confidence: float
) -> tuple[int, float, float, float]:
    """Return the number of pairs, and the typical log ratio with its interval."""
    ranked = SignedRank(compute_log_ratios(first, durations).values)
    low, high = ranked.interval(confidence) or (math.nan, math.nan)
    ends = (one * LOG_UNIT for one in (ranked.center(), low, high))
    return len(ranked.values), *ends  # type: ignore[return-value]


def _watch(logs: Floats, segment: Ints, margin: float) -> Cusum:
    """Return the cumulative sums of the runs, begun anew with each segment."""
    deviates, sums = (np.full(len(logs), np.nan) for _ in range(2))
    alarms = np.zeros(len(logs), dtype=np.bool_)
    for part in np.unique(segment):
        rows = np.flatnonzero((segment == part) & ~np.isnan(logs))
        found = compute_cusum(logs[rows], margin=margin)
        deviates[rows], sums[rows], alarms[rows] = found.deviates, found.sums, found.alarms
    return Cusum(deviates, sums, alarms)


def _tabulate_changes(
    found: list[Change], known: Any, measured: MeasuredRuns, margin: float
) -> pd.DataFrame:
    rows = []
    for change in found:
        at = int(known[change.position])
        began = measured.began_at[at]
        ends = map(_exp, (change.difference, change.low, change.high))
        verdict = _judge(change, math.log1p(margin))
        rows.append(
            (
                measured.run_ids[at],
                None if pd.isna(began) else began,
                *ends,
                change.p_value,
                verdict,
            )
        )
    return frame_of_rows(rows, _CHANGES)


def _judge(change: Change, margin: float) -> str:
    if -margin < change.low and change.high < margin:
        return "equivalent"
    if change.low > margin:
        return "slower"
    return "faster" if change.high < -margin else "inconclusive"


def _exp(log: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.exp(log))


def _make_title(found: RunTrend) -> str:
    first = name_run(found.runs["run_id"].iloc[0])
    return f"{format_count(len(found.runs), 'run')}, from {first} on"


def _list_sentences(found: RunTrend) -> list[str]:
    sentences = [_describe_change(row, found) for row in found.changes.to_dict("records")]
    if not sentences:
        sentences = [_describe_no_change(found)]
    sentences.append(_describe_newest(found))
    to_do = int(found.runs["unfinished"].iloc[-1])
    if to_do:
        sentences.append(
            f"The newest run has not ended: {format_count(to_do, 'document')} of it will count "
            "later, and those completed so far are probably the quick ones."
        )
    unknown = found.runs.loc[found.runs["documents"] == 0, "run_id"].tolist()
    if unknown:
        sentences.append(
            f"{format_count(len(unknown), 'run')} completed no document of the first run, and "
            f"{'is' if len(unknown) == 1 else 'are'} passed over: {name_run(unknown[0])}"
            + (f" and {len(unknown) - 1} more." if len(unknown) > 1 else ".")
        )
    if found.reused:
        was = "is" if found.reused == 1 else "are"
        sentences.append(
            f"{format_count(found.reused, 'job')} {was} of an earlier run, and no evidence: left "
            "out."
        )
    return sentences


def _describe_change(row: Any, found: RunTrend) -> str:
    longer = row["ratio"] > 1
    amount = f"{abs(100 * (row['ratio'] - 1)):.0f} % {'longer' if longer else 'less'}"
    ends = ""
    if not pd.isna(row["ratio_low"]):
        ends = f" ({format_change(row['ratio_low'])} to {format_change(row['ratio_high'])})"
    head, tail = ("Slower" if longer else "Faster"), ""
    margin = f"the margin of {100 * found.margin:.10g} %"
    if row["verdict"] == "equivalent":
        head, tail = f"A bit {head.lower()}", f"; that is within {margin}"
    elif row["verdict"] == "inconclusive":
        head, tail = "Changed", f"; whether by more than {margin} is not known"
    takes = TAKES[found.measure]
    return (
        f"{head} since run {name_run(row['run_id'])}: a typical document {takes} {amount} than "
        f"before{ends}, {format_p(row['p_value'])}{tail}."
    )


def _describe_no_change(found: RunTrend) -> str:
    known = int((found.runs["documents"] > 0).sum())
    if known < MIN_RUNS:
        return (
            f"Whether the runs changed is not known: {format_count(known, 'run')} "
            f"{'is' if known == 1 else 'are'} too few to tell a change from chance, which takes "
            f"{MIN_RUNS}, with three on each side of it."
        )
    return (
        f"No change found in {known} runs. One in the last two runs could not be told yet, and one "
        "as small as the runs scatter may be missed."
    )


def _describe_newest(found: RunTrend) -> str:
    newest = found.runs.iloc[-1]
    if not newest["documents"]:
        return "The newest run completed no document of the first."
    like = found.runs[(found.runs["segment"] == newest["segment"]) & (found.runs["documents"] > 0)]
    since = "since the last change" if len(found.changes) else "so far"
    if len(like) < MIN_WATCHED:
        return (
            f"Whether the newest run stands out is not known: {format_count(len(like), 'run')} "
            f"{since} {'is' if len(like) == 1 else 'are'} too few, which takes {MIN_WATCHED}."
        )
    word = "slower" if newest["cusum"] > 0 else "faster"
    if newest["alarm"]:
        return (
            f"The newest run raises an alarm: together with those just before it, it is probably "
            f"{word} than the other runs {since}."
        )
    if abs(newest["deviate"]) > ODD:
        word = "slower" if newest["deviate"] > 0 else "faster"
        return (
            f"The newest run is much {word} than the runs {since}. One such run may be odd and "
            "raises no alarm: run it again."
        )
    return "The newest run raises no alarm."


def build_page(found: RunTrend) -> Page:
    """Return the trend as a page of sentences and tables; `rf.report` adds the plot."""
    sections = [Section("Changes", [found.changes]), Section("Runs", [found.runs], _ALL_RUNS)]
    return Page(_make_title(found), _list_sentences(found), sections)
