"""How many runs of how many documents it takes to show a change of the definition."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retab_frames.compare.measured_runs import measure_runs
from retab_frames.compare.summary import MEASURE_NAMES, list_names
from retab_frames.schemas.frames import FLOAT64, INT64, STRING, frame_of_rows
from retab_frames.stats.estimates import check_confidence, check_margin, is_number
from retab_frames.stats.run_noise import count_documents, detectable_ratio, estimate_noise
from retab_frames.text.pages import Page, Section, render_fragment, render_markdown
from retab_frames.text.tables import format_count

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from retab_frames.load.content import RunContent
    from retab_frames.stats.measures import Measure
    from retab_frames.stats.run_noise import RunNoise

__all__ = ["RUNS_A_SIDE", "RunPlan", "build_page", "plan"]

RUNS_A_SIDE = (1, 2, 3, 5, 10)
"""The numbers of runs that a plan tells of."""
_MAX_WAYS = 3
_FEW_RUNS = 5
"""Fewer say little about how far runs lie apart."""
_NOISE = {
    "component": STRING,
    "log_sd": FLOAT64,
    "log_sd_low": FLOAT64,
    "log_sd_high": FLOAT64,
    "runs": INT64,
    "documents": INT64,
}
_NEEDED = {
    "runs_a_side": INT64,
    "documents_needed": INT64,
    "detectable_ratio": FLOAT64,
    "limit_ratio": FLOAT64,
}


def plan(
    runs: Iterable[RunContent | pd.DataFrame] | pd.DataFrame,
    *,
    detect: float = 0.10,
    margin: float = 0.05,
    confidence: float = 0.95,
    measure: Measure = "duration",
) -> RunPlan:
    """Return how many documents and runs it takes to show a change, from runs of one definition.

    Documents vary from run to run, which more documents even out; and whole runs are shifted (load,
    the hour of the day), which only more runs even out. How much, is estimated from the runs given
    (see `estimate_noise` for the methods, which a few documents ten times as long do not carry
    away). A slowdown is taken for shown if the interval lies beyond the margin, and it is planned
    for a probability of 80 % (with some 12 documents of 60 to 70 %).

    The final job of each document counts, if it was completed. A job that two runs share counts
    once.

    Args:
        runs: Two runs of one definition or more, better five: contents or jobs frames, or one jobs
            frame of several runs. What differs between them counts as noise.
        detect: The slowdown to be shown, 0.1 for 10 %; more than the margin.
        margin: The largest slowdown that does not matter.
        confidence: Of the intervals, those here and those that are planned for.
        measure: As for `duration_stats`.

    Raises:
        TypeError: If these are not runs, or only one content; a Dask frame is not taken.
        ValueError: If there are fewer than two runs, or no two of them completed two documents in
            common; if `detect` is not above the margin; or as `compare_many`.

    Example:
        >>> import retab_frames as rf
        >>> runs = [f"exprun_invoices_{n}" for n in (1, 2, 4)]
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         jobs = rf.load_jobs("wf_sandbox", "exp_invoices", run_id=runs, client=client)
        >>> print(rf.plan(jobs, detect=0.5).summary().splitlines()[2])
        A slowdown of 50 % shows in about 8 of 10 cases with 1 run a side of 6 documents.
    """
    check_margin(margin)
    if not (is_number(detect) and margin < detect < math.inf):
        raise ValueError(
            f"the slowdown to detect must be above the margin of {margin!r}, such as "
            f"{2 * margin or 0.1:g}, not {detect!r}: a smaller slowdown does not matter"
        )
    check_confidence(confidence)
    measured = measure_runs(runs, measure=measure, reader="plan")
    count = len(measured.run_ids)
    if count < 2:  # noqa: PLR2004 - one run has no run to differ from
        raise ValueError(
            f"plan needs two runs of one definition or more, better five, not {count}: how much a "
            "document varies from run to run shows only where it was run again; run the experiment "
            "again as it is, and give both"
        )
    try:
        noise = estimate_noise(measured.durations, confidence)
    except ValueError:
        raise ValueError(
            f"no two of the {count} runs completed two documents in common"
            + (f"; {_describe_reused(measured.reused)}" if measured.reused else "")
            + ": give runs of the same documents"
        ) from None
    return RunPlan(
        run_ids=measured.run_ids,
        noise=_tabulate_noise(noise),
        needed=_tabulate_needed(noise, detect, margin, confidence),
        detect=detect,
        margin=margin,
        confidence=confidence,
        unfinished=sum(count > 0 for count in measured.unfinished),
        reused=measured.reused,
        definitions=measured.definitions,
        measure=measure,
    )


@dataclass(frozen=True, eq=False, repr=False)
class RunPlan:
    """What runs of one definition say about how much it takes to show a change of it.

    Attributes:
        run_ids: The runs, in the order in which they began.
        noise: Two rows, `component` "within runs" and "between runs": `log_sd`, the standard
            deviation of log durations (0.15 is about 15 %), with the ends of its interval; `runs`
            and `documents`, how many of each are known (documents in two runs or more).
        needed: One row per number of runs on each side, `runs_a_side`: `documents_needed` to show
            `detect` with 80 % probability, null where no number of documents does;
            `detectable_ratio`, the smallest slowdown that shows with the documents at hand, 1.2
            for 20 %; `limit_ratio`, that with any number of documents. The noises are taken for
            known; see `noise` for how well they are.
        detect: The slowdown that is to be shown.
        margin: The largest slowdown that does not matter.
        confidence: Of the intervals.
        unfinished: How many of the runs have not ended.
        reused: How many jobs were left out since another run has the same.
        definitions: The fingerprint of the definition of each run; None where no record tells it.
        measure: What is measured.
    """

    run_ids: tuple[str, ...]
    noise: pd.DataFrame
    needed: pd.DataFrame
    detect: float
    margin: float
    confidence: float
    unfinished: int
    reused: int
    definitions: tuple[str | None, ...]
    measure: Measure = "duration"

    @property
    def documents(self) -> int:
        """How many documents are known in two runs or more: those at hand."""
        return int(self.noise["documents"].iloc[0])

    def detectable_ratio(self, documents: float, runs_a_side: int = 1) -> float:
        """Return the smallest slowdown that shows with 80 % probability, as a ratio.

        Args:
            documents: How many documents each run has; `math.inf` for any number.
            runs_a_side: How many runs there are of each definition.

        Raises:
            ValueError: If one is below 1.
        """
        if not all(is_number(one) and one >= 1 for one in (documents, runs_a_side)):
            raise ValueError(
                f"documents and runs_a_side must be 1 or more, not {documents!r} and "
                f"{runs_a_side!r}"
            )
        within, between = self.noise["log_sd"].tolist()
        return detectable_ratio(
            within,
            between,
            documents=documents,
            runs=runs_a_side,
            margin=self.margin,
            confidence=self.confidence,
        )

    def summary(self) -> str:
        """Return the plan in words: a title, then what varies, what is needed, what shows now."""
        return "\n".join([_make_title(self), *_list_sentences(self)])

    def to_markdown(self) -> str:
        """Return the plan as Markdown."""
        return render_markdown(build_page(self))

    def _repr_html_(self) -> str:
        return render_fragment(build_page(self))

    def __repr__(self) -> str:
        within, between = self.noise["log_sd"].tolist()
        return (
            f"RunPlan({format_count(len(self.run_ids), 'run')}, {self.documents} documents: "
            f"log-sd {within:.2g} within runs, {between:.2g} between runs)"
        )


def _tabulate_noise(noise: RunNoise) -> pd.DataFrame:
    parts = {"within runs": noise.within, "between runs": noise.between}
    rows = [
        (name, one.value, one.low, one.high, noise.runs, noise.documents)
        for name, one in parts.items()
    ]
    return frame_of_rows(rows, _NOISE)


def _tabulate_needed(
    noise: RunNoise, detect: float, margin: float, confidence: float
) -> pd.DataFrame:
    level = {"margin": margin, "confidence": confidence}
    spread = noise.within.value, noise.between.value
    rows = []
    for runs in RUNS_A_SIDE:
        needed = count_documents(detect, *spread, runs=runs, **level)
        ratios = (
            detectable_ratio(*spread, documents=documents, runs=runs, **level)
            for documents in (noise.documents, math.inf)
        )
        rows.append((runs, needed, *ratios))
    return frame_of_rows(rows, _NEEDED)


def _make_title(found: RunPlan) -> str:
    runs = format_count(len(found.run_ids), "run")
    return f"Plan from {runs} of {format_count(found.documents, 'document')}"


def _list_sentences(found: RunPlan) -> list[str]:
    """Return what varies, what it takes to show the wish, what shows now, and what limits it."""
    sentences = [_describe_noise(found), _describe_needed(found), _describe_at_hand(found)]
    known_runs = int(found.noise["runs"].iloc[0])
    if known_runs < _FEW_RUNS:
        sentences.append(
            f"{format_count(known_runs, 'run')} say little about how far runs "
            f"lie apart: give {_FEW_RUNS} or more."
        )
    if found.noise["log_sd"].iloc[0] == 0:
        sentences.append(
            "Most documents took equally long in every run, to the millisecond: if their jobs are "
            "copies, this plan says nothing."
        )
    if found.unfinished:
        runs = format_count(found.unfinished, "run")
        sentences.append(
            f"{runs} {'has' if found.unfinished == 1 else 'have'} not ended: only the documents "
            "completed so far count."
        )
    known = Counter(one for one in found.definitions if one is not None)
    if len(known) > 1:
        common, count = known.most_common(1)[0]
        pairs = zip(found.run_ids, found.definitions, strict=True)
        alike = [run for run, definition in pairs if definition == common]
        sentences.append(
            f"The runs are of {len(known)} definitions: what these differ by counts as noise here, "
            f"so give runs of one{f', as are {list_names(alike)}' if count > 1 else ''}."
        )
    if found.reused:
        sentences.append(f"{_describe_reused(found.reused)}, and no evidence: left out.")
    return sentences


def _describe_noise(found: RunPlan) -> str:
    level = f"{100 * found.confidence:.10g} % interval "
    within, between = (
        f"{_percent(row['log_sd'])} ({before}{_percent(row['log_sd_low'])} to "
        f"{_percent(row['log_sd_high'])})"
        for row, before in zip(found.noise.to_dict("records"), (level, ""), strict=True)
    )
    return (
        f"From run to run the {MEASURE_NAMES[found.measure]} of a document varies by about "
        f"{within}, and whole runs are shifted by about {between}."
    )


def _describe_needed(found: RunPlan) -> str:
    rows = found.needed.dropna(subset="documents_needed")
    # more runs that take as many documents each are no other way
    rows = rows[~rows["documents_needed"].duplicated()]
    wish = f"A slowdown of {100 * found.detect:.10g} %"
    if rows.empty:
        return (
            f"{wish} probably does not show with {RUNS_A_SIDE[-1]} runs a side, however many "
            f"documents there are: it takes more than {_count_runs(found)} runs a side."
        )
    ways = [
        f"{format_count(row['runs_a_side'], 'run')} a side of "
        f"{format_count(row['documents_needed'], 'document')}"
        for row in rows.head(_MAX_WAYS).to_dict("records")
    ]
    return f"{wish} shows in about 8 of 10 cases with {', or '.join(ways)}."


def _count_runs(found: RunPlan) -> int:
    """Return below how many runs a side no number of documents shows the wish."""
    # the reach of the noise falls with the root of the number of runs
    reach = math.log(found.detectable_ratio(math.inf)) - math.log1p(found.margin)
    return int((reach / (math.log1p(found.detect) - math.log1p(found.margin))) ** 2)


def _describe_at_hand(found: RunPlan) -> str:
    one, three = (
        f"{_percent(math.log(found.detectable_ratio(found.documents, runs)))} with "
        f"{format_count(runs, 'run')} a side"
        for runs in (1, 3)
    )
    text = (
        f"With the {format_count(found.documents, 'document')} at hand, the smallest slowdown that "
        f"probably shows is {one}, and {three}"
    )
    least = found.detectable_ratio(math.inf)
    if least > 1 + found.detect:
        text += (
            f"; no number of documents shows less than {_percent(math.log(least))} with one run a "
            "side"
        )
    return f"{text}."


def _describe_reused(reused: int) -> str:
    was = "is" if reused == 1 else "are"
    return f"{format_count(reused, 'job')} {was} of an earlier run"


def _percent(log: float) -> str:
    """Return a log ratio as a change: 0.0953 is 10 %."""
    change = 100 * math.expm1(log)
    return f"{change:.1f} %" if 0 < change < 1 else f"{change:.0f} %"


def build_page(found: RunPlan) -> Page:
    """Return the plan as a page of sentences and tables; `rf.report` adds the plot."""
    sections = [
        Section("Noise", [found.noise]),
        Section(f"To show {100 * found.detect:.10g} %", [found.needed]),
    ]
    return Page(_make_title(found), _list_sentences(found), sections)
