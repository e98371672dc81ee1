"""Two runs compared: comparability, changes, failure rates, speed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from retab_frames.compare.comparability import check_comparability, combine_results
from retab_frames.compare.documents import count_changes, count_transitions, pair_documents
from retab_frames.compare.paired_statistics import (
    compute_durations,
    compute_failure_rates,
    compute_ratio,
    tabulate_ratio,
)
from retab_frames.compare.sides import make_side
from retab_frames.compare.summary import (
    describe_changes,
    describe_comparability,
    describe_failures,
    describe_speed,
    name_run,
    select_changed,
    select_slowest,
)
from retab_frames.text.pages import Page, Section, render_fragment, render_markdown

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.compare.comparability import Comparable
    from retab_frames.compare.sides import Side
    from retab_frames.load.content import RunContent
    from retab_frames.stats.paired_ratio import PairedRatio

__all__ = ["RunComparison", "build_page", "compare_runs", "compare_sides"]


def compare_runs(
    baseline: RunContent | pd.DataFrame,
    candidate: RunContent | pd.DataFrame,
    *,
    margin: float = 0.05,
    confidence: float = 0.95,
) -> RunComparison:
    """Return what changed from one run to another.

    Jobs are paired by `document_id`. If a document has several jobs, the final one counts (the one
    with the highest attempt, then the one completed last). A document is `broken` if it was
    completed in the baseline and failed in the candidate, `fixed` if it is the other way round,
    `still_failing` if it failed in both, `unchanged` if it was completed in both, `pending` if a
    side has not ended, is a placeholder, or has a status that this library does not know, `added`
    or `removed` if only one side has it.

    Args:
        baseline: The run to compare with: its content, or its jobs frame. A frame has no run
            record, so some checks of comparability stay unknown.
        candidate: The run to compare.
        margin: The largest slowdown that does not matter, 0.05 for 5 %; on the log scale the margin
            is equally wide on the other side.
        confidence: The confidence level of every interval.

    Raises:
        TypeError: If a side is neither a RunContent nor a frame.
        ValueError: If a side holds several runs or is not a jobs frame (a column is missing, or
            holds what does not fit its type), or if the margin or the confidence is out of range.

    Example:
        >>> import retab_frames as rf
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         first, second = (
        ...             rf.load_content("wf_sandbox", "exp_invoices", run_id=run, client=client)
        ...             for run in ("exprun_invoices_2", "exprun_invoices_3")
        ...         )
        >>> rf.compare_runs(first, second).verdict
        'slower'
    """
    sides = make_side(baseline, "baseline"), make_side(candidate, "candidate")
    return compare_sides(*sides, margin=margin, confidence=confidence)


def compare_sides(
    baseline: Side, candidate: Side, *, margin: float, confidence: float
) -> RunComparison:
    """Return what changed from one side to the other."""
    if not 0 < margin < float("inf"):
        raise ValueError(f"margin must be a positive share, such as 0.05 for 5 %, not {margin!r}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence!r}")
    documents = pair_documents(baseline, candidate)
    return RunComparison(
        baseline_run_id=baseline.run_id,
        candidate_run_id=candidate.run_id,
        comparability=check_comparability(baseline, candidate, documents),
        documents=documents,
        margin=margin,
        confidence=confidence,
    )


@dataclass(frozen=True, eq=False, repr=False)
class RunComparison:
    """Two runs of an experiment, paired by document.

    Attributes:
        baseline_run_id: The run that is compared with.
        candidate_run_id: The run that is compared.
        comparability: One row per check: `check`, `baseline`, `candidate`, `result` (yes, warning,
            no, unknown), `reason`.
        documents: One row per document, the baseline's in its order, then the added ones:
            `document_id`, `filename`, `change`, `baseline_status`, `candidate_status`,
            `baseline_duration_ms`, `candidate_duration_ms`, `delta_ms` (candidate - baseline),
            `ratio` (candidate / baseline), `inputs_changed`, `artifact_changed`. Delta and ratio
            are null unless both sides were completed, since a fast failure is not an improvement; a
            baseline of 0 ms has no ratio. The last two are null if a side has no value.
        margin: The largest slowdown that does not matter, 0.05 for 5 %.
        confidence: The confidence level of every interval.
    """

    baseline_run_id: str | None
    candidate_run_id: str | None
    comparability: pd.DataFrame
    documents: pd.DataFrame
    margin: float
    confidence: float

    @property
    def comparable(self) -> Comparable:
        """Whether the runs can be compared: "yes", "warnings" or "no"."""
        return combine_results(self.comparability)

    @property
    def changes(self) -> dict[str, int]:
        """The number of documents of each change, those that need attention first."""
        return count_changes(self.documents)

    @property
    def verdict(self) -> str:
        """The change of speed in a word: "faster", "slower", "equivalent" or "inconclusive".

        The interval of the ratio is entirely below, entirely above or entirely within the margin,
        or none of these.
        """
        return self.ratio.verdict

    @cached_property
    def transitions(self) -> pd.DataFrame:
        """One row per pair of statuses: `baseline_status`, `candidate_status`, `documents`.

        The status is null if the side lacks the document, or if its job has no status.
        """
        return count_transitions(self.documents)

    @cached_property
    def failure_rates(self) -> pd.DataFrame:
        """One row per side: `side`, `run_id`, `documents`, `failed`, `rate`, its interval, p-value.

        Of the documents that ended on both sides; failed means error, cancelled or skipped.
        `rate_low` and `rate_high` are the interval of Wilson (1927). `p_value`, in the row of the
        candidate, is that of McNemar's exact test on the documents that broke or were fixed.
        """
        return compute_failure_rates(self.documents, self._run_ids, self.confidence)

    @cached_property
    def durations(self) -> pd.DataFrame:
        """One row per side: statistics of the documents completed with a duration on both sides.

        `side`, `run_id`, `documents`, then `mean_ms` (interval by a seeded BCa bootstrap, rough
        below 30 documents), `geometric_mean_ms` (Student's t on the log scale; null if a duration
        is 0) and `median_ms` (order statistics), each with its `_low_ms` and `_high_ms`. If an end
        of an interval is null, it is unbounded.
        """
        return compute_durations(self.documents, self._run_ids, self.confidence)

    @cached_property
    def ratio(self) -> PairedRatio:
        """The ratio of the durations of the documents completed in both runs."""
        return compute_ratio(self.documents, self.margin, self.confidence)

    @cached_property
    def speed(self) -> pd.DataFrame:
        """One row: the ratio of candidate to baseline, and the verdict.

        `pairs`, `left_out` (documents with a duration of 0 or null on a side), `ratio` (geometric
        mean), `ratio_low`, `ratio_high` (Student's t on the log ratios), `wilcoxon_p` (signed
        ranks), `median_delta_ms`, `margin`, `confidence`, `detectable_ratio` (the slowdown that so
        many pairs with this scatter would detect with a probability of 80 %), `verdict`.
        """
        return tabulate_ratio(self.ratio)

    @property
    def _run_ids(self) -> dict[str, str | None]:
        return {"baseline": self.baseline_run_id, "candidate": self.candidate_run_id}

    def summary(self) -> str:
        """Return the comparison in words: a title, then what limits it, what broke, the speed."""
        return "\n".join([_make_title(self), *_list_sentences(self)])

    def to_markdown(self) -> str:
        """Return the comparison as Markdown, for a pull request."""
        return render_markdown(build_page(self))

    def _repr_html_(self) -> str:
        return render_fragment(build_page(self))

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {change}" for change, n in self.changes.items() if n)
        return (
            f"RunComparison({self.baseline_run_id!r} -> {self.candidate_run_id!r}: "
            f"{len(self.documents)} documents{f' ({counts})' if counts else ''}, "
            f"{self.verdict}, comparable: {self.comparable})"
        )


def _make_title(comparison: RunComparison) -> str:
    return f"{name_run(comparison.candidate_run_id)} against {name_run(comparison.baseline_run_id)}"


def _list_sentences(comparison: RunComparison) -> list[str]:
    """Return what limits the comparison, what broke, how often jobs failed, and the speed."""
    sentences = [
        describe_comparability(comparison.comparability),
        describe_changes(comparison.changes),
        describe_failures(comparison.failure_rates, comparison.confidence),
        describe_speed(comparison.ratio),
    ]
    return [sentence for sentence in sentences if sentence]


def build_page(comparison: RunComparison) -> Page:
    """Return the comparison as a page of sentences and tables; `rf.report` adds the plots."""
    # the verdict first, in case the page is too narrow for all columns
    speed = comparison.speed.drop(columns="confidence")
    speed = speed[["verdict", *speed.columns.drop("verdict")]]
    sections = [
        Section("Documents that changed", [select_changed(comparison.documents)]),
        Section("Failures", [comparison.failure_rates, comparison.transitions]),
        Section("Speed", [speed, comparison.durations.drop(columns="run_id")]),
        Section("Documents that slowed down most", [select_slowest(comparison.documents)]),
        Section("Comparability", [comparison.comparability]),
    ]
    return Page(_make_title(comparison), _list_sentences(comparison), sections)
