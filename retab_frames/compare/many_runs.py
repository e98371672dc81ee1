"""Many runs compared with one baseline, and what became of each document in all of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from numbers import Integral
from typing import TYPE_CHECKING, Any

import pandas as pd

from retab_frames.compare.broken_messages import count_broken_messages
from retab_frames.compare.documents import CHANGES
from retab_frames.compare.documents_by_run import summarize_documents, tabulate_cells
from retab_frames.compare.failure_rates import find_failing_runs
from retab_frames.compare.many_runs_table import (
    compare_with_baseline,
    correct_p_values,
    count_needed_pairs,
)
from retab_frames.compare.run_lists import check_run_ids, split_runs
from retab_frames.compare.run_sentences import describe_broken_messages
from retab_frames.compare.sides import list_columns, make_side
from retab_frames.compare.summary import (
    list_names,
    name_documents,
    name_ends,
    name_run,
)
from retab_frames.schemas.intake import check_columns
from retab_frames.schemas.vocabulary import COMPLETED, FAILED
from retab_frames.stats.estimates import is_number
from retab_frames.stats.measures import check_measure
from retab_frames.stats.on_dask import apply_by_group, is_distributed, take_partitions
from retab_frames.text.messages import printable
from retab_frames.text.numbers import format_factor, format_share
from retab_frames.text.pages import Page, Section, render_fragment, render_markdown
from retab_frames.text.raw_values import list_rows
from retab_frames.text.tables import format_count

if TYPE_CHECKING:
    from collections.abc import Iterable

    import dask.dataframe as dd

    from retab_frames.compare.sides import Side
    from retab_frames.load.content import RunContent
    from retab_frames.stats.measures import Measure

    Run = RunContent | pd.DataFrame

__all__ = ["ManyComparison", "build_page", "compare_many"]

FLAKY_RATE = 0.1
_ALL_RUNS = "the comparison's runs (Python) and `retab-frames compare --csv` (shell)"
_ALL_DOCUMENTS = "the comparison's documents (Python)"
_SCOPE = (
    "These are verdicts on runs: whether a definition differs, several runs of each would tell."
)


def compare_many(
    runs: Iterable[Run] | pd.DataFrame | dd.DataFrame,
    baseline: int | str = 0,
    *,
    margin: float = 0.05,
    confidence: float = 0.95,
    measure: Measure = "duration",
    flaky_rate: float = FLAKY_RATE,
) -> ManyComparison:
    """Return what several runs changed against one of them.

    Each run is paired with the baseline as in `compare_runs`. With many runs, some differ by
    chance. Therefore p-values are corrected by the method of Benjamini and Hochberg (1995): of the
    runs with the verdict faster or slower, and of those with the verdict equivalent, at most a
    share of 1 - confidence is expected to have it wrongly. The verdicts come from the same tests as
    those of `compare_runs`, and are equal to them for one other run. They are about runs, not about
    definitions: what shifts a run as a whole is in no test; see `trend`. Runs that cannot be
    compared with the baseline get no verdict, and have no part in the correction.

    Args:
        runs: Contents or jobs frames, one run each; or one jobs frame of several runs; or a Dask
            frame of them, which is compared on the cluster: then `cells` and `documents`, which
            would have as many rows as there are jobs, are empty.
        baseline: The run that the others are compared with: its position or its run id.
        margin: As in `compare_runs`.
        confidence: As in `compare_runs`.
        measure: As in `compare_runs`.
        flaky_rate: A document is `flaky` if it is shown to fail in more than this share of the runs
            of one definition, by the lower end of the interval. Where any job fails by chance in 1
            of 100, one document in ten fails once in ten runs, and is as good as the others; 0.1
            takes two failures in five runs, or three in ten.

    Raises:
        TypeError: If these are not runs, or only one content, or the baseline is no position or id.
        ValueError: If there are fewer than two runs, a run is given twice or was never run, the
            baseline is not among them, a column is missing or does not fit its type, or
            `flaky_rate` is no share.
    """
    check_measure(measure)
    if not (is_number(flaky_rate) and 0 <= flaky_rate < 1):
        raise ValueError(f"flaky_rate must be a share from 0 to below 1, not {flaky_rate!r}")
    levels = {"margin": margin, "confidence": confidence}
    if is_distributed(runs):
        return _compare_on_dask(runs, baseline, measure, flaky_rate=flaky_rate, **levels)
    parts = split_runs(runs, measure, reader="compare_many")
    sides = [make_side(run, f"run {n}", measure) for n, run in enumerate(parts)]
    position = _find_baseline([side.run_id for side in sides], baseline)
    chosen = sides[position]
    others = sides[:position] + sides[position + 1 :]
    rows = compare_with_baseline(chosen, others, **levels)
    return ManyComparison(
        baseline_run_id=chosen.run_id,
        runs=correct_p_values(rows, confidence),
        cells=tabulate_cells(sides, measure),
        **levels,
        measure=measure,
        flaky_rate=flaky_rate,
        run_ids=tuple(side.run_id for side in sides if side.run_id is not None),
    )


def _find_baseline(ids: list[str | None], baseline: int | str) -> int:
    """Return the position of the baseline among the runs."""
    if len(ids) < 2:  # noqa: PLR2004 - two make a comparison
        raise ValueError(f"compare_many needs two runs or more, not {len(ids)}")
    check_run_ids(ids)
    if isinstance(baseline, str):
        if baseline not in ids:
            known = ", ".join(printable(run) for run in ids[:5])
            raise ValueError(f"run {printable(baseline)} is not among the runs: {known}")
        return ids.index(baseline)
    if isinstance(baseline, bool) or not isinstance(baseline, Integral):
        raise TypeError(f"baseline must be a position or a run id, not {printable(baseline)}")
    if not -len(ids) <= baseline < len(ids):
        raise ValueError(f"there is no run {baseline} among {len(ids)}")
    return int(baseline) % len(ids)


def _compare_on_dask(
    jobs: Any,
    baseline: int | str,
    measure: Measure,
    *,
    margin: float,
    confidence: float,
    flaky_rate: float,
) -> ManyComparison:
    """Compare on the workers: the baseline is sent to them, and one row per run comes back."""
    check_columns(pd.DataFrame(columns=list(jobs.columns)), ["run_id"], reader="compare_many")
    jobs = take_partitions(jobs[list_columns(jobs, measure)])
    ids = apply_by_group(jobs[["run_id"]], "run_id", _list_run_ids, columns=())["run_id"].tolist()
    run_id = ids[_find_baseline(ids, baseline)]
    chosen = make_side(jobs[jobs["run_id"] == run_id].compute(), "baseline", measure)
    # functions of a module, because they are pickled
    compare = partial(_compare_part, chosen, margin=margin, confidence=confidence)
    rows = apply_by_group(jobs, "run_id", compare, columns=list(jobs.columns))
    return ManyComparison(
        baseline_run_id=run_id,
        runs=correct_p_values(rows, confidence),
        cells=tabulate_cells((), measure),
        margin=margin,
        confidence=confidence,
        measure=measure,
        run_ids=tuple(ids),
        flaky_rate=flaky_rate,
    )


def _list_run_ids(jobs: pd.DataFrame) -> pd.DataFrame:
    return jobs[["run_id"]].drop_duplicates()


def _compare_part(
    baseline: Side, jobs: pd.DataFrame, *, margin: float, confidence: float
) -> pd.DataFrame:
    """Return one row for each run of these jobs but the baseline."""
    measure = baseline.measure
    runs = split_runs(jobs, measure, reader="compare_many")
    sides = (make_side(run, "a run", measure) for run in runs)
    others = (side for side in sides if side.run_id != baseline.run_id)
    return compare_with_baseline(baseline, others, margin=margin, confidence=confidence)


@dataclass(frozen=True, eq=False, repr=False)
class ManyComparison:
    """Several runs compared with one baseline.

    Attributes:
        baseline_run_id: The run that all others are compared with.
        runs: One row per other run, in the order given: `run_id`, `created_at`, `comparable`,
            `documents`, the count of each change, `failure_rate` with its Wilson interval,
            `failure_p` (McNemar); then the columns of `RunComparison.speed` from `pairs` on,
            `score` and `score_delta` (as in `RunComparison.runs`), the one-sided p-values
            `slower_p`, `faster_p` and `equivalent_p`; then, corrected for the number of runs,
            `failure_p_adjusted`, `speed_p_adjusted` (that of the verdict) and `verdict` ("faster",
            "slower", "equivalent" or "inconclusive"). The intervals are not corrected.
        cells: One row per document and run, including the baseline, the runs in the order in which
            they began if all say when: `document_id`, `filename`, `run_id`, `began_at` (of the
            run), `definition` (the fingerprint in the run record; null without one), `status` (of
            the final job; null for a placeholder), its `job_id` and `error_message`, `duration_ms`
            (named after the measure) and `ratio_to_run_median` (its ratio to the median of the
            run) if completed, `slow` (in the slowest tenth of the run, and at least 1.5 times its
            median).
        margin: The largest slowdown that does not matter, 0.05 for 5 %.
        confidence: The confidence level of the intervals; 1 - confidence is the false discovery
            rate of the verdicts.
        measure: What is compared.
        run_ids: Every run in the order given, including the baseline.
        flaky_rate: What a flaky document is shown to fail more often than.
    """

    baseline_run_id: str | None
    runs: pd.DataFrame
    cells: pd.DataFrame
    margin: float
    confidence: float
    measure: Measure
    run_ids: tuple[str, ...]
    flaky_rate: float

    @cached_property
    def run_failures(self) -> pd.DataFrame:
        """One row per run, the baseline included: whether too many documents failed in it at once.

        `run_id`, `definition`, `documents` (completed or failed), `failed`; `expected` (failures,
        had each document failed as often in any of the runs of this definition), `p_value` (of as
        many failures or more, see `find_excess`, corrected for the number of runs by Bonferroni);
        both are null for the only run of a definition. A run is `left_out` of the failure rates of
        documents if its `p_value` is at most 1 - confidence: what failed there says something of
        the run, not of each document.
        """
        return find_failing_runs(self.cells, self.confidence)

    @cached_property
    def documents(self) -> pd.DataFrame:
        """One row per document, those that need attention first.

        - `document_id`, `filename`, `runs` (number of runs that have it), `completed`, `failed`
          (numbers of runs; cancelled and skipped jobs are neither).
        - `failure_rate` with its Wilson interval `failure_rate_low` and `failure_rate_high`: of the
          `rate_runs` that completed it or failed, of one definition (that with the most; runs
          without a known definition count as one), without the runs that `run_failures` leaves out.
        - `flaky`: it changed between completed and failed at least twice in these runs, and the
          lower end of its rate is above `flaky_rate`.
        - `fixed_since` and `broken_since`: the run since which it is completed or fails, if it did
          the opposite before and changed once under a definition at most.
        - `always_failing` (it failed in at least two runs and was never completed), `slow_runs`
          (number of runs in which it was slow), `always_slow` (slow in at least three runs, and in
          all in which it was completed), `median_ms`, `median_ratio` (the median of its ratios to
          the median of each run).
        """
        return summarize_documents(
            self.cells,
            self.run_failures,
            self.measure,
            confidence=self.confidence,
            flaky_rate=self.flaky_rate,
        )

    @cached_property
    def broken_messages(self) -> pd.DataFrame:
        """One row per template of the messages of documents that broke, the most frequent first.

        Of those that the baseline completed, in the runs in which they failed; the columns are
        those of `RunComparison.broken_messages`.
        """
        cells = self.cells
        is_baseline = cells["run_id"] == self.baseline_run_id
        completed = cells.loc[is_baseline & cells["status"].isin(COMPLETED), "document_id"]
        is_broken = cells["status"].isin(FAILED) & cells["document_id"].isin(completed)
        return count_broken_messages(cells[is_broken & ~is_baseline])

    def matrix(self, value: str = "status") -> pd.DataFrame:
        """Return one row per document and one column per run.

        Args:
            value: A column of `cells`: "status", "duration_ms" (or that of another measure),
                "ratio_to_run_median" or "slow".

        Returns:
            `document_id`, `filename`, then a column per run id, in the order given; null if the run
            lacks the document or its value is null.

        Raises:
            ValueError: If the value is not one of these columns.
        """
        names = ["status", f"{self.measure}_ms", "ratio_to_run_median", "slow"]
        if value not in names:
            raise ValueError(f"value must be one of {', '.join(names)}, not {value!r}")
        cells = self.cells.set_index("document_id")
        documents = self.documents["document_id"]
        columns = {
            run: cells.loc[(cells["run_id"] == run).to_numpy(bool), value].reindex(documents).array
            for run in self.run_ids
        }
        return pd.concat(
            [self.documents[["document_id", "filename"]], pd.DataFrame(columns)], axis=1
        )

    def summary(self) -> str:
        """Return the comparison in words: a title, then the runs of each verdict, and documents."""
        return "\n".join([_make_title(self), *_list_sentences(self)])

    def to_markdown(self) -> str:
        """Return the comparison as Markdown, for a pull request; the verdicts come first."""
        return render_markdown(build_page(self))

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain values, for JSON.

        Times are ISO text; what is null, and an end of an interval that is unbounded, is None.

        Returns:
            `baseline` (its run id), `runs`, `run_failures`, `broken_messages` and `documents`
            (lists of rows), `measure`, `margin`, `confidence`, `flaky_rate`; `summary`, a list of
            sentences.
        """
        frames = ("runs", "run_failures", "broken_messages", "documents")
        return {
            "baseline": self.baseline_run_id,
            **{name: list_rows(getattr(self, name)) for name in frames},
            "measure": self.measure,
            "margin": self.margin,
            "confidence": self.confidence,
            "flaky_rate": self.flaky_rate,
            "summary": self.summary().splitlines(),
        }

    def _repr_html_(self) -> str:
        return render_fragment(build_page(self))

    def __repr__(self) -> str:
        verdicts = _count_verdicts(self)
        return (
            f"ManyComparison({self.baseline_run_id!r} -> {format_count(len(self.runs), 'run')}"
            f"{f': {verdicts}' if verdicts else ''}; "
            f"{format_count(len(self.documents), 'document')})"
        )


def _count_verdicts(comparison: ManyComparison) -> str:
    counts = comparison.runs["verdict"].value_counts()
    return ", ".join(f"{n} {verdict}" for verdict, n in counts.items())


def _describe_broken_runs(comparison: ManyComparison) -> str:
    broken = int((comparison.runs["broken"] > 0).sum())
    return f"documents broke in {broken} of {format_count(len(comparison.runs), 'run')}."


def _make_title(comparison: ManyComparison) -> str:
    runs = format_count(len(comparison.runs), "run")
    return f"{runs} against {name_run(comparison.baseline_run_id)}"


def _list_sentences(comparison: ManyComparison) -> list[str]:
    """Return the runs in which documents broke and why, those of each verdict, and documents."""
    runs = comparison.runs
    is_comparable = runs["comparable"] != "no"
    broken = runs[is_comparable & (runs["broken"] > 0)].to_dict("records")
    first = {
        "Not comparable": runs.loc[~is_comparable, "run_id"].tolist(),
        "Documents broken in": [f"{run['run_id']} ({run['broken']})" for run in broken],
    }
    sentences = [
        *_list_names(first),
        describe_broken_messages(comparison.broken_messages),
        *_list_names(_name_verdicts(runs[is_comparable])),
        *_list_names(_name_documents(comparison)),
    ]
    if is_comparable.any():
        sentences += [*_list_too_small(comparison), _SCOPE]
    return [sentence for sentence in sentences if sentence]


def _list_names(names: dict[str, list[str]]) -> list[str]:
    return [f"{what}: {list_names(values)}." for what, values in names.items() if values]


def _name_verdicts(runs: pd.DataFrame) -> dict[str, list[str]]:
    """Return the runs of each verdict."""
    names = {}
    for verdict in ("slower", "faster", "equivalent", "inconclusive"):
        found = runs[runs["verdict"] == verdict]
        names[verdict.capitalize()] = [
            f"{run_id}{'' if pd.isna(ratio) else f' ({format_factor(ratio)})'}"
            for run_id, ratio in zip(found["run_id"], found["ratio"], strict=True)
        ]
    return names


def _name_documents(comparison: ManyComparison) -> dict[str, list[str]]:
    """Return the documents of each trait, and the runs that say nothing of documents."""
    documents, names = comparison.documents, {}
    labels = name_documents(documents)
    flaky = documents["flaky"]
    names["Flaky"] = [
        f"{label} (failed in {format_share(row['failure_rate'])} of {row['rate_runs']} runs)"
        for label, row in zip(labels[flaky], documents[flaky].to_dict("records"), strict=True)
    ]
    failing = comparison.run_failures[comparison.run_failures["left_out"]]
    names["Left out of the failure rates of documents, since many failed at once"] = [
        f"{run['run_id']} ({run['failed']} of {run['documents']}, {run['expected']:.2g} expected)"
        for run in failing.to_dict("records")
    ]
    for change in ("fixed", "broken"):
        since = documents[f"{change}_since"]
        names[f"{change.capitalize()} since"] = [
            f"{label} ({run_id})"
            for label, run_id in zip(labels[since.notna()], since.dropna(), strict=True)
        ]
    for trait in ("failing", "slow"):
        names[f"Always {trait}"] = labels[documents[f"always_{trait}"]].tolist()
    return names


def _list_too_small(comparison: ManyComparison) -> list[str]:
    """Return which runs have too few documents for a verdict among so many runs."""
    runs = comparison.runs
    tested = int(runs["slower_p"].notna().sum())
    needed = count_needed_pairs(tested, comparison.confidence)
    is_small = (runs["interval"] == "signed_rank") & (runs["pairs"] < needed)
    if not is_small.any():
        return []
    names = [f"{run.run_id} ({run.pairs})" for run in runs[is_small].itertuples()]
    what = f"for one run to be shown slower or faster among {tested}, which takes {needed}"
    return [f"Too few documents {what}: {list_names(names)}."]


def build_page(comparison: ManyComparison) -> Page:
    """Return the comparison as a page of sentences and tables; `rf.report` adds the plots."""
    runs, documents = comparison.runs, comparison.documents
    changes = [change for change in CHANGES if runs[change].any()]
    rates = ["failure_rate", "failure_rate_low", "failure_rate_high", "failure_p_adjusted"]
    ratios = ["verdict", "pairs", "ratio", "ratio_low", "ratio_high", "speed_p_adjusted"]
    totals = ["total_ratio", "total_low", "total_high", "much_slower", "much_faster"]
    needs_attention = documents["flaky"] | documents["always_failing"] | documents["always_slow"]
    needs_attention |= documents["broken_since"].notna()
    names = ["filename", "document_id", "runs", "completed", "failed", "slow_runs", "median_ms"]
    names[5:5] = ["failure_rate", "failure_rate_low", "failure_rate_high"]
    facts = ["run_id", "created_at", "score", "score_delta"]
    reasons = ["template", "documents", "runs", "example_filename", "example_document_id"]
    sections = [
        Section(
            "Runs",
            [runs[["run_id", "comparable", "documents", *changes]], runs[facts]],
            _ALL_RUNS,
        ),
        Section("Why documents broke", [comparison.broken_messages[reasons]]),
        Section("Failures", [runs[["run_id", *rates]]], _ALL_RUNS),
        Section(
            "Speed", [runs[["run_id", *ratios]], name_ends(runs[["run_id", *totals]])], _ALL_RUNS
        ),
        Section(
            "Documents that need attention", [documents.loc[needs_attention, names]], _ALL_DOCUMENTS
        ),
    ]
    outcome = _count_verdicts(comparison), _describe_broken_runs(comparison)
    return Page(_make_title(comparison), _list_sentences(comparison), sections, outcome)
