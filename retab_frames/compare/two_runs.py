"""Two runs compared: whether they can be, what broke, how often they fail, how fast they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from retab_frames.compare.comparability import comparability, comparable
from retab_frames.compare.documents import (
    COMPARABLE_CHANGES,
    count_changes,
    count_transitions,
    pair_documents,
)
from retab_frames.compare.sides import make_side
from retab_frames.compare.summary import as_html, as_markdown, sections, sentences
from retab_frames.schemas.frames import FLOAT64, INT64, STRING, frame_of_rows
from retab_frames.schemas.vocabulary import FAILED
from retab_frames.stats import estimates
from retab_frames.stats.paired_ratio import mcnemar, paired_ratio

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.compare.comparability import Comparable
    from retab_frames.compare.sides import Side
    from retab_frames.load.content import RunContent
    from retab_frames.stats.paired_ratio import PairedRatio

__all__ = ["RunComparison", "compare_runs", "compare_sides"]


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
            are null unless both sides were completed, for a failure is not fast; a baseline of
            0 ms has no ratio. The last two are null where a side has no value.
        margin: The slowdown that does not matter, 0.05 for 5 %.
        confidence: Of every interval.
    """

    baseline_run_id: str | None
    candidate_run_id: str | None
    comparability: pd.DataFrame
    documents: pd.DataFrame
    margin: float
    confidence: float

    @property
    def comparable(self) -> Comparable:
        """Whether the numbers can be read: "yes", "warnings" or "no"."""
        return comparable(self.comparability)

    @property
    def changes(self) -> dict[str, int]:
        """How many documents there are of each change, in the order of CHANGES."""
        return count_changes(self.documents)

    @property
    def verdict(self) -> str:
        """The speed in a word: "faster", "slower", "equivalent" or "inconclusive".

        The interval of the ratio lies wholly below, wholly above or wholly inside the margin, or
        none of these.
        """
        return self.ratio.verdict

    @cached_property
    def transitions(self) -> pd.DataFrame:
        """One row per pair of statuses: `baseline_status`, `candidate_status`, `documents`.

        A null status is a document that a side has not, or a job without status.
        """
        return count_transitions(self.documents)

    @cached_property
    def failure_rates(self) -> pd.DataFrame:
        """One row per side: `side`, `run_id`, `documents`, `failed`, `rate`, its interval, p.

        Of the documents that ended on both sides; failed is error, cancelled or skipped.
        `rate_low` and `rate_high` are Wilson's (1927); `p_value` stands in the candidate's row:
        McNemar's exact test on the documents that broke or were fixed.
        """
        both = self.documents[self.documents["change"].isin(COMPARABLE_CHANGES)]
        p_value = mcnemar(self.changes["broken"], self.changes["fixed"])
        rows = []
        for side, run_id in self._run_ids.items():
            failed = int(both[f"{side}_status"].isin(FAILED).sum())
            rate = estimates.proportion(failed, len(both), self.confidence)
            told = p_value if side == "candidate" else None
            rows.append((side, run_id, len(both), failed, rate.value, rate.low, rate.high, told))
        return frame_of_rows(rows, _FAILURE_RATES)

    @cached_property
    def durations(self) -> pd.DataFrame:
        """One row per side: the documents that were completed, with a duration, on both.

        `side`, `run_id`, `documents`, then `mean_ms` (BCa bootstrap, seeded; rough below 30
        documents), `geometric_mean_ms` (Student's t on the log scale; null if a duration is 0) and
        `median_ms` (order statistics), each with its `_low_ms` and `_high_ms`; a null end of an
        interval is unbounded.
        """
        rows = []
        measured = self._completed[self._completed["delta_ms"].notna()]
        for side, run_id in self._run_ids.items():
            values = measured[f"{side}_duration_ms"].to_numpy(dtype=np.float64)
            above_zero = values if (values > 0).all() else values[:0]
            found = (
                estimates.mean(values, self.confidence),
                estimates.geometric_mean(above_zero, self.confidence),
                estimates.quantile(values, 0.5, self.confidence),
            )
            cells = [cell for e in found for cell in (e.value, e.low, e.high)]
            rows.append((side, run_id, len(values), *cells))
        return frame_of_rows(rows, _DURATIONS)

    @cached_property
    def ratio(self) -> PairedRatio:
        """How the durations of the documents completed in both runs relate."""
        sides = (
            self._completed[f"{side}_duration_ms"].to_numpy(dtype=np.float64, na_value=np.nan)
            for side in self._run_ids
        )
        return paired_ratio(*sides, margin=self.margin, confidence=self.confidence)

    @cached_property
    def speed(self) -> pd.DataFrame:
        """One row: the paired ratio of candidate to baseline, and the verdict.

        `pairs`, `left_out` (a duration of 0 or null on a side), `ratio` (geometric mean),
        `ratio_low`, `ratio_high` (Student's t on the log ratios), `wilcoxon_p` (signed ranks),
        `median_delta_ms`, `margin`, `confidence`, `detectable_ratio` (the slowdown that so many
        pairs with this scatter would have shown four times in five), `verdict`.
        """
        found = self.ratio
        values = {name: getattr(found, name.removesuffix("_ms")) for name in _SPEED}
        return frame_of_rows([tuple(values.values())], _SPEED)

    @property
    def _run_ids(self) -> dict[str, str | None]:
        return {"baseline": self.baseline_run_id, "candidate": self.candidate_run_id}

    @property
    def _completed(self) -> pd.DataFrame:
        return self.documents[self.documents["change"] == "unchanged"]

    def summary(self) -> str:
        """Return the comparison in plain words: what limits it, what broke, how fast it is."""
        return "\n".join(sentences(self))

    def to_markdown(self) -> str:
        """Return the comparison as Markdown, for a pull request."""
        return as_markdown(sentences(self), sections(self))

    def _repr_html_(self) -> str:
        return as_html(sentences(self), sections(self))

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {change}" for change, n in self.changes.items() if n)
        return (
            f"RunComparison({self.baseline_run_id!r} -> {self.candidate_run_id!r}: "
            f"{len(self.documents)} documents{f' ({counts})' if counts else ''}, "
            f"{self.verdict}, comparable: {self.comparable})"
        )


_FAILURE_RATES = {
    "side": STRING,
    "run_id": STRING,
    "documents": INT64,
    "failed": INT64,
    "rate": FLOAT64,
    "rate_low": FLOAT64,
    "rate_high": FLOAT64,
    "p_value": FLOAT64,
}
_DURATIONS = {
    "side": STRING,
    "run_id": STRING,
    "documents": INT64,
    "mean_ms": FLOAT64,
    "mean_low_ms": FLOAT64,
    "mean_high_ms": FLOAT64,
    "geometric_mean_ms": FLOAT64,
    "geometric_mean_low_ms": FLOAT64,
    "geometric_mean_high_ms": FLOAT64,
    "median_ms": FLOAT64,
    "median_low_ms": FLOAT64,
    "median_high_ms": FLOAT64,
}
_SPEED = {
    "pairs": INT64,
    "left_out": INT64,
    "ratio": FLOAT64,
    "ratio_low": FLOAT64,
    "ratio_high": FLOAT64,
    "wilcoxon_p": FLOAT64,
    "median_delta_ms": FLOAT64,
    "margin": FLOAT64,
    "confidence": FLOAT64,
    "detectable_ratio": FLOAT64,
    "verdict": STRING,
}


def compare_runs(
    baseline: RunContent | pd.DataFrame,
    candidate: RunContent | pd.DataFrame,
    *,
    margin: float = 0.05,
    confidence: float = 0.95,
) -> RunComparison:
    """Return what changed from one run to another.

    Jobs are paired by `document_id`; of several jobs of one document, the final one counts (the
    highest attempt, then the one completed last). A document is `broken` if it was completed and
    is no more, `fixed` the other way round, `still_failing` if it fails in both, `unchanged` if it
    is completed in both, `pending` if a side is unfinished, a placeholder, or of a status that this
    library does not know, `added` or `removed` if only one side has it.

    Args:
        baseline: The run to compare with: its content, or its frame of jobs. A frame has no run
            record, so that some checks of comparability stay unknown.
        candidate: The run to compare.
        margin: The slowdown that does not matter, 0.05 for 5 %; on the log scale it reaches as far
            to the other side.
        confidence: Of every interval.

    Raises:
        ValueError: If a side holds several runs, or is no frame of jobs, or the margin or the
            confidence is none.

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
        raise ValueError(f"margin is a positive share, as in 0.05 for 5 %, not {margin!r}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence lies between 0 and 1, not {confidence!r}")
    documents = pair_documents(baseline, candidate)
    return RunComparison(
        baseline_run_id=baseline.run_id,
        candidate_run_id=candidate.run_id,
        comparability=comparability(baseline, candidate, documents),
        documents=documents,
        margin=margin,
        confidence=confidence,
    )
