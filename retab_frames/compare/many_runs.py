"""Many runs against one baseline, corrected for their number; and documents by runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retab_frames.compare.documents import CHANGES
from retab_frames.compare.documents_by_run import cells_of, documents_of
from retab_frames.compare.sides import make_side
from retab_frames.compare.summary import as_html, as_markdown
from retab_frames.compare.two_runs import compare_sides
from retab_frames.load.content import RunContent
from retab_frames.schemas.frames import FLOAT64, INT64, STRING, arrow_column, frame_of_rows
from retab_frames.stats.on_dask import by_group, is_distributed
from retab_frames.stats.paired_ratio import adjusted
from retab_frames.text.messages import printable
from retab_frames.text.tables import format_count

if TYPE_CHECKING:
    import dask.dataframe as dd

    from retab_frames.compare.sides import Side
    from retab_frames.compare.two_runs import RunComparison

    Run = RunContent | pd.DataFrame

__all__ = ["ManyComparison", "compare_many"]

_RUNS = {
    "run_id": STRING,
    "comparable": STRING,
    "documents": INT64,
    **dict.fromkeys(CHANGES, INT64),
    "failure_rate": FLOAT64,
    "failure_rate_low": FLOAT64,
    "failure_rate_high": FLOAT64,
    "failure_p": FLOAT64,
    "pairs": INT64,
    "ratio": FLOAT64,
    "ratio_low": FLOAT64,
    "ratio_high": FLOAT64,
    "slower_p": FLOAT64,
    "faster_p": FLOAT64,
    "equivalent_p": FLOAT64,
}
_MOST_LABELS = 5


@dataclass(frozen=True, eq=False, repr=False)
class ManyComparison:
    """Several runs compared with one baseline.

    Attributes:
        baseline_run_id: The run that all others are compared with.
        runs: One row per other run, in the order given: `run_id`, `comparable`, `documents`, the
            count of each change, `failure_rate` with its Wilson interval, `failure_p` (McNemar),
            `pairs`, `ratio` with its interval, `slower_p`, `faster_p`, `equivalent_p` (one-sided, a
            run's own), then what the number of runs makes of them: `failure_p_adjusted`,
            `speed_p_adjusted` (of the verdict) and `verdict` ("faster", "slower", "equivalent" or
            "inconclusive"). The intervals are a run's own, not corrected.
        cells: One row per document and run, the baseline among them: `document_id`, `filename`,
            `run_id`, `status` (of the final job; null for a placeholder), `duration_ms` and
            `ratio_to_run_median` (its ratio to the median of the run) where completed, `slow` (in
            the slowest tenth of the run, and above its median).
        margin: The slowdown that does not matter, 0.05 for 5 %.
        confidence: Of the intervals; 1 - confidence is the false discovery rate of the verdicts.
        run_ids: Every run in the order given, the baseline among them.
    """

    baseline_run_id: str | None
    runs: pd.DataFrame
    cells: pd.DataFrame
    margin: float
    confidence: float
    run_ids: tuple[str, ...]

    @cached_property
    def documents(self) -> pd.DataFrame:
        """One row per document, those that need a look first.

        `document_id`, `filename`, `runs` (it occurs in), `completed`, `failed` (counts), `flaky`
        (it both completed and failed), `always_failing` (it failed and never completed),
        `slow_runs` (runs in whose slowest tenth it was), `always_slow` (in two or more runs, and in
        all in which it was completed), `median_ms`, `median_ratio` (the median of its ratios
        to the median of each run).
        """
        return documents_of(self.cells)

    def matrix(self, value: str = "status") -> pd.DataFrame:
        """Return one row per document and one column per run.

        Args:
            value: A column of `cells`: "status", "duration_ms", "ratio_to_run_median" or "slow".

        Returns:
            `document_id`, `filename`, then a column per run id, in the order given; null where a
            run has not the document, or no such value for it.
        """
        names = ["status", "duration_ms", "ratio_to_run_median", "slow"]
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
        """Return the comparison in plain words."""
        return "\n".join(self._sentences())

    def _sentences(self) -> list[str]:
        told = {"Not comparable": self.runs.loc[self.runs["comparable"] == "no", "run_id"].tolist()}
        for verdict in ("slower", "faster", "equivalent", "inconclusive"):
            found = self.runs[self.runs["verdict"] == verdict]
            told[verdict.capitalize()] = [
                f"{run_id}{'' if pd.isna(ratio) else f' (x {ratio:.2f})'}"
                for run_id, ratio in zip(found["run_id"], found["ratio"], strict=True)
            ]
        broken = self.runs[self.runs["broken"] > 0]
        told["Documents broken in"] = [f"{r.run_id} ({r.broken})" for r in broken.itertuples()]
        for name in ("flaky", "always_slow"):
            found = self.documents[self.documents[name]]
            label = name.replace("_", " ").capitalize()
            told[label] = found["filename"].fillna(found["document_id"]).tolist()
        head = f"{format_count(len(self.runs), 'run')} against {printable(self.baseline_run_id)}"
        return [head, *(f"{name}: {_few(what)}." for name, what in told.items() if len(what))]

    def to_markdown(self) -> str:
        """Return the comparison as Markdown, for a pull request."""
        return as_markdown(self._sentences(), [(None, _brief(self.runs))])

    def _repr_html_(self) -> str:
        return as_html(self._sentences(), [(None, _brief(self.runs))])

    def __repr__(self) -> str:
        counts = self.runs["verdict"].value_counts()
        told = ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
        return (
            f"ManyComparison({self.baseline_run_id!r} -> {format_count(len(self.runs), 'run')}"
            f"{f': {told}' if told else ''}; {len(self.documents)} documents)"
        )


def compare_many(
    runs: Iterable[Run] | pd.DataFrame | dd.DataFrame,
    baseline: int | str = 0,
    *,
    margin: float = 0.05,
    confidence: float = 0.95,
) -> ManyComparison:
    """Return what several runs changed against one of them.

    Each run is paired with the baseline as in `compare_runs`. With many runs some differ by chance:
    p-values are corrected by Benjamini and Hochberg (1995), so that of the runs called faster or
    slower, and of those called equivalent, at most a share of 1 - confidence is expected to be so
    called wrongly. A verdict comes from the same t tests against the margin as that of two runs,
    and equals it for one run.

    Args:
        runs: Contents or frames of jobs, one run each; or one frame of the jobs of several runs; or
            a Dask frame of them, which is compared where it lies: only `runs` is filled then, and
            `cells`, as many as there are jobs, has no rows.
        baseline: Which of the runs the others are compared with: its position or its run id.
        margin: As in `compare_runs`.
        confidence: As in `compare_runs`.

    Raises:
        TypeError: If these are no runs, or only one.
        ValueError: If there are fewer than two runs, one stands twice or was never run, or none is
            the baseline.
    """
    if is_distributed(runs):
        return _of_distributed(runs, baseline, margin=margin, confidence=confidence)
    sides = [make_side(run, f"run {n}") for n, run in enumerate(_split(runs))]
    chosen = _baseline([side.run_id for side in sides], baseline)
    rows = (
        _row(compare_sides(sides[chosen], side, margin=margin, confidence=confidence))
        for n, side in enumerate(sides)
        if n != chosen
    )
    return ManyComparison(
        baseline_run_id=sides[chosen].run_id,
        runs=_corrected(frame_of_rows(rows, _RUNS), confidence),
        cells=cells_of(sides),
        margin=margin,
        confidence=confidence,
        run_ids=tuple(side.run_id for side in sides if side.run_id is not None),
    )


def _of_distributed(
    jobs: Any, baseline: int | str, *, margin: float, confidence: float
) -> ManyComparison:
    """Compare where the jobs lie: the baseline goes to the workers, a row per run comes back."""
    ids = by_group(jobs[["run_id"]], "run_id", _only_ids, columns=())["run_id"].tolist()
    chosen = ids[_baseline(ids, baseline)]
    side = make_side(jobs[jobs["run_id"] == chosen].compute(), "baseline")
    summary = partial(_summaries, baseline=side, margin=margin, confidence=confidence)
    rows = by_group(jobs, "run_id", summary, columns=list(jobs.columns))
    return ManyComparison(
        baseline_run_id=chosen,
        runs=_corrected(rows, confidence),
        cells=cells_of(()),
        margin=margin,
        confidence=confidence,
        run_ids=tuple(ids),
    )


def _only_ids(jobs: pd.DataFrame) -> pd.DataFrame:
    return jobs[["run_id"]].drop_duplicates()


def _summaries(
    jobs: pd.DataFrame, *, baseline: Side, margin: float, confidence: float
) -> pd.DataFrame:
    """Return a row for each of some runs, but for the baseline."""
    sides = (make_side(part, "a run") for part in _split(jobs))
    rows = (
        _row(compare_sides(baseline, side, margin=margin, confidence=confidence))
        for side in sides
        if side.run_id != baseline.run_id
    )
    return frame_of_rows(rows, _RUNS)


def _split(runs: Iterable[Run] | pd.DataFrame) -> list[Run]:
    if isinstance(runs, RunContent):
        raise TypeError("compare_many takes several runs; this is one")
    if isinstance(runs, pd.DataFrame):
        if "run_id" not in runs.columns:
            raise ValueError("this is no frame of jobs: it has no column run_id")
        groups = runs.reset_index(drop=True).groupby(
            "run_id", sort=False, dropna=False, observed=True
        )
        return [part for _, part in groups]
    if not isinstance(runs, Iterable):
        raise TypeError(f"compare_many takes runs, not {type(runs).__name__}")
    return list(runs)


def _baseline(ids: list[str | None], baseline: int | str) -> int:
    if len(ids) < 2:  # noqa: PLR2004 - two make a comparison
        raise ValueError(f"compare_many needs two runs or more, not {len(ids)}")
    if None in ids:
        raise ValueError(f"run {ids.index(None)} has no run id, it was never run: leave it out")
    twice = next((run for n, run in enumerate(ids) if run in ids[:n]), None)
    if twice is not None:
        raise ValueError(f"run {printable(twice)} stands twice among the runs")
    if isinstance(baseline, str):
        if baseline not in ids:
            known = ", ".join(printable(run) for run in ids[:5])
            raise ValueError(f"run {printable(baseline)} is not among the runs: {known}")
        return ids.index(baseline)
    if not -len(ids) <= baseline < len(ids):
        raise ValueError(f"there is no run {baseline} among {len(ids)}")
    return baseline % len(ids)


def _row(comparison: RunComparison) -> tuple[object, ...]:
    rate = comparison.failure_rates.iloc[1]
    ratio = comparison.ratio
    return (
        comparison.candidate_run_id,
        comparison.comparable,
        len(comparison.documents),
        *comparison.changes.values(),
        *(rate[name] for name in ("rate", "rate_low", "rate_high", "p_value")),
        *(getattr(ratio, name) for name in ("pairs", "ratio", "ratio_low", "ratio_high")),
        *(getattr(ratio, name) for name in ("slower_p", "faster_p", "equivalent_p")),
    )


def _corrected(runs: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Add the adjusted p-values and the verdicts that they allow.

    Doubled, a one-sided p is below 1 - confidence just where the two-sided interval of that
    confidence lies beyond the bound, so one run alone gets the verdict of its interval.
    """
    one_sided = runs[["slower_p", "faster_p", "equivalent_p"]].to_numpy(np.float64, na_value=np.nan)
    slower, faster, equivalent = one_sided.T
    changed = adjusted(np.minimum(1, 2 * np.minimum(slower, faster)))
    same = adjusted(np.minimum(1, 2 * equivalent))
    level = 1 - confidence
    verdict = np.select(
        [(changed < level) & (slower < faster), changed < level, same < level],
        ["slower", "faster", "equivalent"],
        default="inconclusive",
    )
    return runs.assign(
        failure_p_adjusted=arrow_column(adjusted(runs["failure_p"].to_numpy(np.float64)), FLOAT64),
        speed_p_adjusted=arrow_column(np.where(verdict == "equivalent", same, changed), FLOAT64),
        verdict=arrow_column(verdict.tolist(), STRING),
    )


def _few(labels: list[str]) -> str:
    """Return the first labels in a row, and how many more there are."""
    more = len(labels) - _MOST_LABELS
    return ", ".join(map(printable, labels[:_MOST_LABELS])) + (
        f" and {more} more" if more > 0 else ""
    )


def _brief(runs: pd.DataFrame) -> pd.DataFrame:
    names = [
        "run_id",
        "documents",
        "broken",
        "fixed",
        "ratio",
        "ratio_low",
        "ratio_high",
        "verdict",
    ]
    return runs[names]
