"""Two runs compared: comparability, changes, failure rates, speed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from retab_frames.compare.broken_messages import count_broken_messages
from retab_frames.compare.comparability import check_comparability, combine_results
from retab_frames.compare.documents import (
    count_changes,
    count_transitions,
    pair_documents,
    sort_by_change,
)
from retab_frames.compare.earlier import choose_earlier, compare_with_earlier
from retab_frames.compare.outcome import decide_outcome, describe_checks, list_gate
from retab_frames.compare.paired_statistics import (
    SPEED,
    compute_durations,
    compute_failure_rates,
    compute_ratio,
    list_speed,
    select_movers,
)
from retab_frames.compare.run_facts import collect_facts, compare_definitions, tabulate_runs
from retab_frames.compare.run_sentences import (
    describe_broken_messages,
    describe_dates,
    describe_definition,
    describe_scores,
)
from retab_frames.compare.sides import make_side
from retab_frames.compare.speed_sentences import describe_speed
from retab_frames.compare.summary import (
    describe_changes,
    describe_comparability,
    describe_failures,
    describe_ratio,
    describe_reasons,
    describe_retries,
    name_ends,
    name_run,
    select_changed,
    select_slowest,
)
from retab_frames.schemas.frames import frame_of_rows
from retab_frames.stats.estimates import check_confidence, is_number
from retab_frames.text.completion import hide_names
from retab_frames.text.pages import Page, Section, render_fragment, render_markdown
from retab_frames.text.raw_values import list_rows
from retab_frames.text.tables import format_count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from retab_frames.compare.comparability import Comparable
    from retab_frames.compare.earlier import EarlierRuns
    from retab_frames.compare.sides import Side
    from retab_frames.load.content import RunContent
    from retab_frames.stats.measures import Measure
    from retab_frames.stats.paired_ratio import PairedRatio
    from retab_frames.stats.verdicts import Verdict

__all__ = ["RunComparison", "build_page", "compare_runs", "compare_sides"]

_ALL_DOCUMENTS = "the comparison's documents (Python) and `retab-frames compare --csv` (shell)"


def compare_runs(
    baseline: RunContent | pd.DataFrame,
    candidate: RunContent | pd.DataFrame,
    *,
    margin: float = 0.05,
    confidence: float = 0.95,
    measure: Measure = "duration",
    earlier: Iterable[RunContent | pd.DataFrame] | Literal["store"] | None = None,
) -> RunComparison:
    """Return what changed from one run to another.

    Jobs are paired by `document_id`. If a document has several jobs, the final one counts (the one
    with the highest attempt, then the one completed last). A document is `broken` if it was
    completed in the baseline and failed in the candidate, `fixed` if it is the other way round,
    `still_failing` if it failed in both, `unchanged` if it was completed in both, `cancelled` if a
    side was cancelled or skipped, so that it is unknown whether it would have failed, `pending` if
    a side has not ended, is a placeholder, or has a status that this library does not know,
    `added` or `removed` if only one side has it. A job that stands on both sides (incremental runs
    take over fresh results) tells nothing of a change, and is left out of what is said of speed.

    The verdict is about these two runs. What slows down a run as a whole, such as the load of an
    hour, is in no interval of two runs; it looks like a change of the definition, and the more
    surely so the more documents there are. With `earlier` the verdict is about the definition: its
    interval also has what runs of one definition differ by. From five earlier runs on that costs
    little where runs do not differ.

    Args:
        baseline: The run to compare with: its content, or its jobs frame. A frame has no run
            record, so some checks of comparability stay unknown.
        candidate: The run to compare.
        margin: The largest slowdown that does not matter, 0.05 for 5 %; on the log scale the margin
            is equally wide on the other side.
        confidence: The confidence level of every interval.
        measure: What is compared: "duration", "queue", "elapsed" or "turnaround", as for
            `duration_stats`.
        earlier: More runs of the baseline's definition and documents; or "store", which takes the
            newest ten of the store that the baseline was read from, by the fingerprints in the run
            records and not later than the candidate; None for a verdict about two runs.

    Raises:
        TypeError: If a side is neither a RunContent nor a frame, or `earlier` is no list of runs.
        ValueError: If a side holds several runs or is not a jobs frame (a column is missing, or
            holds what does not fit its type), if the margin, the confidence or the measure is out
            of range, if an earlier run is the candidate or of another definition, or if the store
            or the definition is not known.

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
    sides = make_side(baseline, "baseline", measure), make_side(candidate, "candidate", measure)
    more = None if earlier is None else choose_earlier(earlier, (baseline, candidate), sides)
    return compare_sides(*sides, margin=margin, confidence=confidence, earlier=more)


def compare_sides(
    baseline: Side,
    candidate: Side,
    *,
    margin: float,
    confidence: float,
    earlier: list[Side] | None = None,
) -> RunComparison:
    """Return what changed from one side to the other."""
    if not (is_number(margin) and 0 < margin < float("inf")):
        raise ValueError(f"margin must be a positive share, such as 0.05 for 5 %, not {margin!r}")
    check_confidence(confidence)
    documents = pair_documents(baseline, candidate)
    levels = {"margin": margin, "confidence": confidence}
    return RunComparison(
        baseline_run_id=baseline.run_id,
        candidate_run_id=candidate.run_id,
        facts=(collect_facts(baseline), collect_facts(candidate)),
        comparability=check_comparability(baseline, candidate, documents),
        documents=documents,
        margin=margin,
        confidence=confidence,
        measure=baseline.measure,
        earlier=(
            None
            if earlier is None
            else compare_with_earlier(baseline, candidate, earlier, **levels)
        ),
    )


@hide_names("list_speed")
@dataclass(frozen=True, eq=False, repr=False)
class RunComparison:
    """Two runs of an experiment, paired by document.

    Attributes:
        baseline_run_id: The run that is compared with.
        candidate_run_id: The run that is compared.
        facts: What the record of each says beside its documents, such as its score and the
            configuration of its block; `runs` and `definition` are made of it.
        comparability: One row per check: `check`, `baseline`, `candidate`, `result` (yes, warning,
            no, unknown), `reason`.
        documents: One row per document, the baseline's in its order, then the added ones:
            `document_id`, `filename`, `change`, `baseline_status`, `candidate_status`,
            `baseline_duration_ms`, `candidate_duration_ms` (named after the measure), `delta_ms`
            (candidate - baseline), `ratio` (candidate / baseline), `baseline_job_id`,
            `candidate_job_id`, `same_job` (one job stands on both sides: the same id, or the same
            artifact, or the same start and end), `baseline_attempt`, `candidate_attempt`,
            `error_message` (of the candidate's job), `inputs_changed`, `artifact_changed`. Delta
            and ratio are null unless both sides were completed, since a fast failure is not an
            improvement; a baseline of 0 ms has no ratio. The last two are null if a side has no
            value, and `same_job` if a side lacks the document.
        margin: The largest slowdown that does not matter, 0.05 for 5 %.
        confidence: The confidence level of every interval.
        measure: What is compared.
        earlier: The candidate against earlier runs of the baseline's definition; None without them.
    """

    baseline_run_id: str | None
    candidate_run_id: str | None
    facts: tuple[dict[str, Any], dict[str, Any]]
    comparability: pd.DataFrame
    documents: pd.DataFrame
    margin: float
    confidence: float
    measure: Measure = "duration"
    earlier: EarlierRuns | None = None

    @property
    def comparable(self) -> Comparable:
        """Whether the runs can be compared: "yes", "warnings" or "no"."""
        return combine_results(self.comparability)

    @property
    def changes(self) -> dict[str, int]:
        """The number of documents of each change, those that need attention first."""
        return count_changes(self.documents)

    @property
    def verdict(self) -> Verdict:
        """The change of speed in a word: "faster", "slower", "equivalent" or "inconclusive".

        The interval of the typical change is entirely below, entirely above or entirely within the
        margin, or none of these. Inconclusive if the runs cannot be compared. With earlier runs it
        is about the definition, without about these two runs.
        """
        if self.comparable == "no":
            return "inconclusive"
        if self.earlier is None:
            return self.ratio.verdict
        return "inconclusive" if self.earlier.effect is None else self.earlier.effect.verdict

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per side: the run, and its score.

        `side`, `run_id`, `experiment_id`, `created_at`, `status`, `n_consensus` (votes), then the
        numbers of its `documents` and of those `completed` and `failed`; `score`, and in the row of
        the candidate `score_delta`. A score is of the documents that its run completed: the
        difference is null where these are not the same, or the numbers of votes differ. What a run
        record would say is null for a bare frame without its columns (`run_score` ...).
        """
        return tabulate_runs(self.facts, self.documents)

    @cached_property
    def definition(self) -> pd.DataFrame:
        """One row per value of the block's configuration that differs.

        `path` (keys and positions in lists, with dots between them), `baseline`, `candidate`: the
        value as text, JSON where it is no text; null if a side lacks it. No rows also where a side
        has no `block_config` in its run record, which only some generations of the API send.
        """
        return compare_definitions(self.facts)

    @cached_property
    def broken_messages(self) -> pd.DataFrame:
        """One row per template of the messages of documents that broke, the most frequent first.

        `template` (a message with its variables masked, see `failures`), `documents`, `runs` (1),
        then of one of them `example_document_id`, `example_filename`, `example_job_id` and
        `example_message`.
        """
        broken = self.documents[self.documents["change"] == "broken"]
        names = {"candidate_job_id": "job_id", "candidate_status": "status"}
        return count_broken_messages(
            broken.rename(columns=names).assign(run_id=self.candidate_run_id)
        )

    @cached_property
    def transitions(self) -> pd.DataFrame:
        """One row per pair of statuses: `baseline_status`, `candidate_status`, `documents`.

        The status is null if the side lacks the document, or if its job has no status.
        """
        return count_transitions(self.documents)

    @cached_property
    def failure_rates(self) -> pd.DataFrame:
        """One row per side: `side`, `run_id`, `documents`, `failed`, `rate`, its interval, p-value.

        Of the documents that were completed or failed on both sides; cancelled and skipped ones
        are left out. `rate_low` and `rate_high` are the interval of Wilson (1927). `p_value`, in
        the row of the candidate, is that of McNemar's exact test on the documents that broke or
        were fixed.
        """
        return compute_failure_rates(self.documents, self._run_ids, self.confidence)

    @cached_property
    def durations(self) -> pd.DataFrame:
        """One row per side: statistics of the documents completed on both sides by jobs of its own.

        `side`, `run_id`, `documents` (those with the measure on both sides), then `mean_ms`
        (interval by a seeded BCa bootstrap, rough below 30 documents), `geometric_mean_ms`
        (Student's t on the log scale; null if a duration is 0), `median_ms` and `p95_ms` (order
        statistics), each with its `_low_ms` and `_high_ms`. If an end of an interval is null, it is
        unbounded.
        """
        return compute_durations(
            self.documents, self._run_ids, self.confidence, measure=self.measure
        )

    @cached_property
    def ratio(self) -> PairedRatio:
        """The change of the documents completed in both runs, whatever the verdict rests on."""
        return compute_ratio(self.documents, self.margin, self.confidence, measure=self.measure)

    @cached_property
    def movers(self) -> pd.DataFrame:
        """The rows of `documents` whose ratio is above 1.5 or below 1 / 1.5, the slowest first.

        In their `ratio` a duration of 0 counts as 0.5 ms.
        """
        return select_movers(self.documents, self.ratio)

    @cached_property
    def speed(self) -> pd.DataFrame:
        """One row: the change of speed and its verdict.

        - `verdict`; `pairs`, the documents completed in both runs by jobs of their own and with a
          duration; `left_out`, those without one; `zeros`, those with 0 ms on a side, which counts
          as 0.5 ms; `same_job`, those not in `pairs` because one job stands on both sides.
        - `ratio`, `ratio_low`, `ratio_high`: the typical change, see `PairedRatio`; `p_value`, of
          no change; `interval`, its method: "signed_rank", "student_t" (few documents), "none" (an
          open interval), or "runs", where the verdict rests on earlier runs and so do these.
        - `total_ratio`, `total_low`, `total_high`, `total_delta_ms`: the change of the total time
          of the pairs (bootstrap-t, rough below 30 pairs).
        - `much_slower`, `much_faster`: pairs with a ratio above 1.5 and below 1 / 1.5; `movers_p`,
          the exact two-sided p that there are as many of either.
        - `composite_low`, `composite_high`: the interval of the typical change with documents that
          broke as the slowest, and those fixed as the fastest.
        - `p95_ratio`, `p95_low`, `p95_high`: the change of the 95th percentile over the pairs, from
          72 pairs on.
        - `median_delta_ms`, `margin`, `confidence`; `detectable_ratio`, the slowdown that so many
          documents with this scatter would probably show.
        """
        return frame_of_rows([tuple(self.list_speed().values())], SPEED)

    def list_speed(self) -> dict[str, Any]:
        """Return the values of `speed`, by column."""
        values = list_speed(self.documents, self.ratio) | {"verdict": self.verdict}
        return values if self.earlier is None else values | self.earlier.list_speed()

    @property
    def _run_ids(self) -> dict[str, str | None]:
        return {"baseline": self.baseline_run_id, "candidate": self.candidate_run_id}

    def summary(self) -> str:
        """Return the comparison in words: a title, then what limits it, what broke, the speed."""
        return "\n".join([_make_title(self), *_list_sentences(self)])

    def to_markdown(self, *, checks: pd.DataFrame | None = None) -> str:
        """Return the comparison as Markdown, for a pull request.

        Args:
            checks: As `check_regression` returns them: the first line says whether they pass, fail
                or are inconclusive, and why. None for the verdict on the speed instead.
        """
        return render_markdown(build_page(self, checks))

    def to_dict(self, *, checks: pd.DataFrame | None = None) -> dict[str, Any]:
        """Return the comparison as plain values, for JSON.

        Times are ISO text; what is null, and an end of an interval that is unbounded, is None.

        Args:
            checks: As `check_regression` returns them; they make the `gate`, which is None without.

        Returns:
            `verdict`; `ratio` (the typical change) and its `interval` (low, high, confidence,
            method); `failures` (of the baseline and the candidate, with McNemar's `p_value`, and
            the `messages` of documents that broke); `score` (baseline, candidate, delta);
            `comparability` (comparable, checks); `gate` (outcome, reason, checks); `changes` (a
            count of each); `baseline` and `candidate` (the rows of `runs`); `definition`; `speed`
            with all its columns; `measure`, `margin`; `summary`, a list of sentences; `documents`,
            a row of each, those that need attention first.
        """
        speed = list_rows(self.speed)[0]
        rates, runs = list_rows(self.failure_rates), list_rows(self.runs)
        # of the candidate, but not of one side alone
        p_value, score_delta = rates[1]["p_value"], runs[1]["score_delta"]
        rates = [_drop(row, "side", "p_value") for row in rates]
        runs = [_drop(row, "side", "score_delta") for row in runs]
        sides = ("baseline", "candidate")
        return {
            "verdict": self.verdict,
            "ratio": speed["ratio"],
            "interval": {
                "low": speed["ratio_low"],
                "high": speed["ratio_high"],
                "confidence": self.confidence,
                "method": speed["interval"],
            },
            "failures": {
                **dict(zip(sides, rates, strict=True)),
                "p_value": p_value,
                "messages": list_rows(self.broken_messages),
            },
            "score": {
                **{side: run["score"] for side, run in zip(sides, runs, strict=True)},
                "delta": score_delta,
            },
            "comparability": {
                "comparable": self.comparable,
                "checks": list_rows(self.comparability),
            },
            "gate": list_gate(checks),
            "changes": self.changes,
            **dict(zip(sides, runs, strict=True)),
            "definition": list_rows(self.definition),
            "speed": speed,
            "measure": self.measure,
            "margin": self.margin,
            "summary": self.summary().splitlines(),
            "documents": list_rows(sort_by_change(self.documents)),
        }

    def _repr_html_(self) -> str:
        return render_fragment(build_page(self))

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {change}" for change, n in self.changes.items() if n)
        return (
            f"RunComparison({self.baseline_run_id!r} -> {self.candidate_run_id!r}: "
            f"{format_count(len(self.documents), 'document')}{f' ({counts})' if counts else ''}, "
            f"{self.verdict}, comparable: {self.comparable})"
        )


def _drop(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def _find_outcome(comparison: RunComparison, checks: pd.DataFrame | None) -> tuple[str, str]:
    """Return what the checks come to, or without any the verdict, and why."""
    if checks is not None:
        word, why = decide_outcome(checks).capitalize(), describe_checks(checks)
    elif comparison.comparable == "no":
        word, why = "Not comparable", describe_reasons(comparison.comparability)
    else:
        speed = comparison.speed.iloc[0]
        word = comparison.verdict.capitalize()
        why = describe_changes(comparison.changes)
        if pd.notna(speed["ratio"]):
            why = f"a typical document takes {describe_ratio(speed)} as long; {why}"
    return word, why


def _make_title(comparison: RunComparison) -> str:
    return f"{name_run(comparison.candidate_run_id)} against {name_run(comparison.baseline_run_id)}"


def _list_sentences(comparison: RunComparison) -> list[str]:
    """Return what limits the comparison, what broke, how often jobs failed, and the speed."""
    sentences = [
        describe_comparability(comparison.comparability),
        describe_dates(comparison.runs),
        describe_definition(comparison.definition),
        describe_changes(comparison.changes),
        describe_broken_messages(comparison.broken_messages),
        describe_failures(comparison.failure_rates, comparison.confidence),
        describe_scores(comparison.runs),
        describe_retries(comparison.documents),
        describe_speed(comparison),
    ]
    return [sentence for sentence in sentences if sentence]


def build_page(comparison: RunComparison, checks: pd.DataFrame | None = None) -> Page:
    """Return the comparison as a page of sentences and tables; `rf.report` adds the plots.

    Args:
        comparison: The comparison.
        checks: Those of a gate, with whose outcome the page begins; None for the verdict.
    """
    # in parts, because a page is too narrow for all columns
    speed = comparison.speed
    typical = ["verdict", "pairs", "ratio", "ratio_low", "ratio_high", "p_value", "interval"]
    total = ["total_ratio", "total_low", "total_high", "total_delta_ms", "median_delta_ms"]
    outliers = ["much_slower", "much_faster", "movers_p", "composite_low", "composite_high"]
    outliers += ["p95_ratio", "p95_low", "p95_high"]
    parts = [speed[typical], name_ends(speed[total]), name_ends(speed[outliers])]
    if comparison.earlier is not None:
        parts.append(comparison.earlier.runs)
    durations = comparison.durations.drop(columns="run_id")
    reasons = ["template", "documents", "example_filename", "example_document_id"]
    facts = ["side", "run_id", "created_at", "status", "n_consensus", "score", "score_delta"]
    slowest = select_slowest(comparison.documents, comparison.measure)
    sections = [
        Section("Documents that changed", [select_changed(comparison.documents)], _ALL_DOCUMENTS),
        Section("Why documents broke", [comparison.broken_messages[reasons]]),
        Section("Runs", [comparison.runs[facts]]),
        Section("What changed in the definition", [comparison.definition]),
        Section("Failures", [comparison.failure_rates, comparison.transitions]),
        Section("Speed", [*parts, durations]),
        Section("Documents that slowed down most", [slowest]),
        Section("Comparability", [comparison.comparability]),
    ]
    outcome = _find_outcome(comparison, checks)
    return Page(_make_title(comparison), _list_sentences(comparison), sections, outcome)
