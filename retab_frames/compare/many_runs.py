"""Many runs compared with one baseline, and what became of each document in all of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from numbers import Integral
from typing import TYPE_CHECKING, Any

import pandas as pd

from retab_frames.compare.documents import CHANGES
from retab_frames.compare.documents_by_run import summarize_documents, tabulate_cells
from retab_frames.compare.many_runs_table import (
    compare_with_baseline,
    correct_p_values,
    count_needed_pairs,
)
from retab_frames.compare.run_lists import check_run_ids, split_runs
from retab_frames.compare.sides import list_columns, make_side
from retab_frames.compare.summary import (
    list_names,
    name_documents,
    name_ends,
    name_run,
)
from retab_frames.schemas.intake import check_columns
from retab_frames.stats.measures import check_measure
from retab_frames.stats.on_dask import apply_by_group, is_distributed, take_partitions
from retab_frames.text.messages import printable
from retab_frames.text.numbers import format_factor
from retab_frames.text.pages import Page, Section, render_fragment, render_markdown
from retab_frames.text.tables import format_count

if TYPE_CHECKING:
    from collections.abc import Iterable

    import dask.dataframe as dd

    from retab_frames.compare.sides import Side
    from retab_frames.load.content import RunContent
    from retab_frames.stats.measures import Measure

    Run = RunContent | pd.DataFrame

__all__ = ["ManyComparison", "build_page", "compare_many"]

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

    Raises:
        TypeError: If these are not runs, or only one content, or the baseline is no position or id.
        ValueError: If there are fewer than two runs, a run is given twice or was never run, the
            baseline is not among them, or a column is missing or does not fit its type.
    """
    check_measure(measure)
    if is_distributed(runs):
        return _compare_on_dask(runs, baseline, measure, margin=margin, confidence=confidence)
    parts = split_runs(runs, measure, reader="compare_many")
    sides = [make_side(run, f"run {n}", measure) for n, run in enumerate(parts)]
    position = _find_baseline([side.run_id for side in sides], baseline)
    chosen = sides[position]
    others = sides[:position] + sides[position + 1 :]
    rows = compare_with_baseline(chosen, others, margin=margin, confidence=confidence)
    return ManyComparison(
        baseline_run_id=chosen.run_id,
        runs=correct_p_values(rows, confidence),
        cells=tabulate_cells(sides, measure),
        margin=margin,
        confidence=confidence,
        measure=measure,
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
    jobs: Any, baseline: int | str, measure: Measure, *, margin: float, confidence: float
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
        runs: One row per other run, in the order given: `run_id`, `comparable`, `documents`, the
            count of each change, `failure_rate` with its Wilson interval, `failure_p` (McNemar);
            then the columns of `RunComparison.speed` from `pairs` on, the one-sided p-values
            `slower_p`, `faster_p` and `equivalent_p`; then, corrected for the number of runs,
            `failure_p_adjusted`, `speed_p_adjusted` (that of the verdict) and `verdict` ("faster",
            "slower", "equivalent" or "inconclusive"). The intervals are not corrected.
        cells: One row per document and run, including the baseline, the runs in the order in which
            they began if all say when: `document_id`, `filename`, `run_id`, `began_at` (of the
            run), `definition` (the fingerprint in the run record; null without one), `status` (of
            the final job; null for a placeholder), `duration_ms` (named after the measure) and
            `ratio_to_run_median` (its ratio to the median of the run) if completed, `slow` (in the
            slowest tenth of the run, and at least 1.5 times its median).
        margin: The largest slowdown that does not matter, 0.05 for 5 %.
        confidence: The confidence level of the intervals; 1 - confidence is the false discovery
            rate of the verdicts.
        measure: What is compared.
        run_ids: Every run in the order given, including the baseline.
    """

    baseline_run_id: str | None
    runs: pd.DataFrame
    cells: pd.DataFrame
    margin: float
    confidence: float
    measure: Measure
    run_ids: tuple[str, ...]

    @cached_property
    def documents(self) -> pd.DataFrame:
        """One row per document, those that need attention first.

        `document_id`, `filename`, `runs` (number of runs that have it), `completed`, `failed`
        (numbers of runs; cancelled and skipped jobs are neither), `flaky` (it changed between
        completed and failed at least twice under one definition; runs without a known definition
        count as one), `fixed_since` and `broken_since` (the run since which it is completed or
        fails, if it is not flaky and did the opposite before), `always_failing` (it failed in at
        least two runs and was never completed), `slow_runs` (number of runs in which it was slow),
        `always_slow` (slow in at least three runs, and in all in which it was completed),
        `median_ms`, `median_ratio` (the median of its ratios to the median of each run).
        """
        return summarize_documents(self.cells, self.measure)

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
        """Return the comparison as Markdown, for a pull request."""
        return render_markdown(build_page(self))

    def _repr_html_(self) -> str:
        return render_fragment(build_page(self))

    def __repr__(self) -> str:
        counts = self.runs["verdict"].value_counts()
        verdicts = ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
        return (
            f"ManyComparison({self.baseline_run_id!r} -> {format_count(len(self.runs), 'run')}"
            f"{f': {verdicts}' if verdicts else ''}; "
            f"{format_count(len(self.documents), 'document')})"
        )


def _make_title(comparison: ManyComparison) -> str:
    runs = format_count(len(comparison.runs), "run")
    return f"{runs} against {name_run(comparison.baseline_run_id)}"


def _list_sentences(comparison: ManyComparison) -> list[str]:
    """Return the runs of each verdict, the runs in which documents broke, and documents."""
    runs, documents = comparison.runs, comparison.documents
    is_comparable = runs["comparable"] != "no"
    names = {"Not comparable": runs.loc[~is_comparable, "run_id"].tolist()}
    for verdict in ("slower", "faster", "equivalent", "inconclusive"):
        found = runs[is_comparable & (runs["verdict"] == verdict)]
        names[verdict.capitalize()] = [
            f"{run_id}{'' if pd.isna(ratio) else f' ({format_factor(ratio)})'}"
            for run_id, ratio in zip(found["run_id"], found["ratio"], strict=True)
        ]
    broken = runs[runs["broken"] > 0].itertuples()
    names["Documents broken in"] = [f"{run.run_id} ({run.broken})" for run in broken]
    labels = name_documents(documents)
    names["Flaky"] = labels[documents["flaky"]].tolist()
    for change in ("fixed", "broken"):
        since = documents[f"{change}_since"]
        names[f"{change.capitalize()} since"] = [
            f"{label} ({run_id})"
            for label, run_id in zip(labels[since.notna()], since.dropna(), strict=True)
        ]
    for trait in ("failing", "slow"):
        names[f"Always {trait}"] = labels[documents[f"always_{trait}"]].tolist()
    sentences = [f"{name}: {list_names(values)}." for name, values in names.items() if values]
    if is_comparable.any():
        sentences += [*_list_too_small(comparison), _SCOPE]
    return sentences


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
    names = ["filename", "document_id", "runs", "completed", "failed", "slow_runs", "median_ms"]
    sections = [
        Section("Runs", [runs[["run_id", "comparable", "documents", *changes]]], _ALL_RUNS),
        Section("Failures", [runs[["run_id", *rates]]], _ALL_RUNS),
        Section(
            "Speed", [runs[["run_id", *ratios]], name_ends(runs[["run_id", *totals]])], _ALL_RUNS
        ),
        Section(
            "Documents that need attention", [documents.loc[needs_attention, names]], _ALL_DOCUMENTS
        ),
    ]
    return Page(_make_title(comparison), _list_sentences(comparison), sections)
