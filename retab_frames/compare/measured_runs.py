"""Several runs as a table of documents x runs: how long each document took in each run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from retab_frames.compare.run_lists import check_run_ids, split_runs
from retab_frames.compare.sides import make_side, sort_by_time
from retab_frames.schemas.vocabulary import COMPLETED, OPEN
from retab_frames.stats.measures import check_measure
from retab_frames.stats.samples import has_status

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from retab_frames.compare.sides import Side
    from retab_frames.load.content import RunContent
    from retab_frames.stats.grouped_values import Flags, Floats
    from retab_frames.stats.measures import Measure

__all__ = ["MeasuredRuns", "measure_runs"]


@dataclass(frozen=True, eq=False)
class MeasuredRuns:
    """How long the documents of several runs took.

    Attributes:
        run_ids: The runs, in the order in which they began; as given where one does not say when.
        began_at: When each began, in UTC; NaT where it is not known.
        durations: Documents x runs, in ms; NaN where a run has not completed the document, or took
            its job over from an earlier run. The documents are sorted.
        unfinished: How many documents of each run have not ended.
        reused: How many jobs were left out since an earlier run has the same.
        definitions: The fingerprint of the definition of each run; None where no record tells it.
    """

    run_ids: tuple[str, ...]
    began_at: pd.DatetimeIndex
    durations: Floats
    unfinished: tuple[int, ...]
    reused: int
    definitions: tuple[str | None, ...]


def measure_runs(
    runs: Iterable[RunContent | pd.DataFrame] | pd.DataFrame, *, measure: Measure, reader: str
) -> MeasuredRuns:
    """Return how long the completed documents of several runs took.

    The final job of each document counts, as in `compare_runs`. A job that two runs share (the same
    job id, the same artifact, or the same start and end of one document) was run once: it counts in
    the first of them.

    Args:
        runs: Contents or jobs frames, one run each; or one jobs frame of several runs.
        measure: As for `duration_stats`.
        reader: The function, as messages call it.

    Raises:
        TypeError: If these are not runs, or only one content.
        ValueError: If a run is given twice or was never run, the measure is not known, or a column
            is missing or does not fit its type.
    """
    check_measure(measure)
    parts = split_runs(runs, measure, reader=reader)
    given = [make_side(run, f"run {n}", measure) for n, run in enumerate(parts)]
    if not given:
        return MeasuredRuns((), pd.DatetimeIndex([], tz="UTC"), np.empty((0, 0)), (), 0, ())
    check_run_ids([side.run_id for side in given])
    sides = sort_by_time(given)
    began = pd.DatetimeIndex([side.began_at for side in sides], tz="UTC")
    frames = [_measure_side(side).assign(run=n) for n, side in enumerate(sides)]
    jobs = pd.concat(frames, ignore_index=True)
    reused = _find_reused(jobs)
    jobs = jobs[~reused & jobs["ms"].notna()]
    rows, documents = pd.factorize(jobs["document_id"], sort=True)
    durations = np.full((len(documents), len(sides)), np.nan)
    durations[rows, jobs["run"].to_numpy()] = jobs["ms"].to_numpy()
    return MeasuredRuns(
        run_ids=tuple(str(side.run_id) for side in sides),
        began_at=began,
        durations=durations,
        unfinished=tuple(int(has_status(side.final, OPEN).sum()) for side in sides),
        reused=int(reused.sum()),
        definitions=tuple(side.record.get("definition_fingerprint") for side in sides),
    )


def _measure_side(side: Side) -> pd.DataFrame:
    """Return one row per document of a run, with the measure of its final job."""
    final = side.final.reset_index()
    keys = final[["document_id", "job_id", "artifact_id", "started_at", "completed_at"]]
    ms = final[f"{side.measure}_ms"].to_numpy(np.float64, na_value=np.nan)
    return keys.assign(ms=np.where(has_status(final, COMPLETED), ms, np.nan))


def _find_reused(jobs: pd.DataFrame) -> Flags:
    """Return which completed jobs an earlier run has, too; the runs are in order."""
    keys: Sequence[list[Hashable]] = (
        ["document_id", "job_id"],
        ["document_id", "artifact_id"],
        ["document_id", "started_at", "completed_at"],
    )
    found = np.zeros(len(jobs), dtype=np.bool_)
    for key in keys:
        known = jobs[key].notna().all(axis=1).to_numpy() & jobs["ms"].notna().to_numpy()
        found[known] |= jobs.loc[known, key].duplicated().to_numpy()
    return found
