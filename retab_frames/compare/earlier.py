"""Earlier runs of the baseline's definition, which tell a slow run from a slower definition."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from retab_frames.compare.documents import pair_documents
from retab_frames.compare.paired_statistics import compute_ratio
from retab_frames.compare.sides import make_side
from retab_frames.load.content import RunContent
from retab_frames.schemas.frames import BOOL, FLOAT64, INT64, STRING, frame_of_rows
from retab_frames.stats.run_effects import effect_against
from retab_frames.text.completion import hide_names
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from retab_frames.compare.sides import Side
    from retab_frames.stats.run_effects import RunEffect

    Run = RunContent | pd.DataFrame

__all__ = ["EarlierRuns", "choose_earlier", "compare_with_earlier"]

_MAX_FOUND = 10
"""More earlier runs hardly make the interval narrower."""
_MAX_SEARCHED = 100
_MIN_RUNS = 2
_FINGERPRINTS = ("definition_fingerprint", "documents_fingerprint")
_RUNS = {
    "run_id": STRING,
    "pairs": INT64,
    "ratio": FLOAT64,
    "used": BOOL,
}


@hide_names("list_speed")
@dataclass(frozen=True, eq=False, repr=False)
class EarlierRuns:
    """The candidate against several runs of the baseline's definition.

    Attributes:
        runs: One row per run of that definition, the baseline first: `run_id`, `pairs` (documents
            completed in it and in the candidate), `ratio` (the typical change from it to the
            candidate; null without pairs), `used` (whether the verdict rests on it).
        effect: The change with its interval and verdict; None where fewer than two runs are used.
    """

    runs: pd.DataFrame
    effect: RunEffect | None

    def list_speed(self) -> dict[str, Any]:
        """Return the columns of RunComparison.speed that rest on these runs."""
        effect = self.effect
        if effect is None:
            nothing = dict.fromkeys(("ratio_low", "ratio_high", "p_value", "detectable_ratio"))
            return {**nothing, "interval": "none"}
        names = ("ratio", "ratio_low", "ratio_high", "p_value", "detectable_ratio")
        return {**{name: getattr(effect, name) for name in names}, "interval": "runs"}


def choose_earlier(
    earlier: Iterable[Run] | Literal["store"], runs: tuple[Run, Run], sides: tuple[Side, Side]
) -> list[Side]:
    """Return the earlier runs as sides, without the baseline itself.

    Args:
        earlier: As for `compare_runs`.
        runs: The baseline and the candidate, as they were given.
        sides: The same as sides.

    Raises:
        TypeError, ValueError: As `compare_runs`.
    """
    in_store = isinstance(earlier, str) and earlier == "store"
    chosen = _search_store(runs, sides) if in_store else _check_list(earlier)
    baseline, candidate = sides
    found: dict[str | None, Side] = {}
    for number, run in enumerate(chosen):
        side = make_side(run, f"earlier run {number}", baseline.measure)
        if side.run_id is None:
            raise ValueError(f"earlier run {number} has no run id, it was never run: leave it out")
        if side.run_id == candidate.run_id:
            raise ValueError(f"the candidate {printable(side.run_id)} is among the earlier runs")
        definitions = [_read_definition(one) for one in (side, baseline)]
        if None not in definitions and definitions[0] != definitions[1]:
            raise ValueError(
                f"earlier run {printable(side.run_id)} has another definition than the baseline: "
                "only runs of the baseline's definition tell how much such runs differ"
            )
        if side.run_id in found:
            raise ValueError(f"earlier run {printable(side.run_id)} is given twice")
        if side.run_id != baseline.run_id:
            found[side.run_id] = side
    return list(found.values())


def _check_list(earlier: object) -> Iterable[Run]:
    """Return the runs given.

    Raises:
        TypeError, ValueError: If they are no list.
    """
    if isinstance(earlier, str):
        raise ValueError(f'earlier must be a list of runs, or "store", not {earlier!r}')  # noqa: TRY004 - a word
    if isinstance(earlier, RunContent) or hasattr(earlier, "columns"):
        raise TypeError("earlier must be a list of runs: put the run into brackets")
    if not isinstance(earlier, Iterable):
        raise TypeError(f"earlier must be a list of runs, not {type(earlier).__name__}")
    return earlier


def compare_with_earlier(
    baseline: Side, candidate: Side, earlier: list[Side], *, margin: float, confidence: float
) -> EarlierRuns:
    """Return the change of the candidate against the baseline and the earlier runs."""
    sides = [baseline, *earlier]
    ratios = [
        compute_ratio(pair_documents(side, candidate), margin, confidence, measure=side.measure)
        for side in sides
    ]
    logs = np.array([math.log(one.ratio) if one.pairs else math.nan for one in ratios])
    between = _compare_with_each_other(sides, margin, confidence)
    used = _choose_connected(~np.isnan(logs), ~np.isnan(between))
    effect = None
    if len(used) >= _MIN_RUNS:
        effect = effect_against(
            logs[used], between[np.ix_(used, used)], margin=margin, confidence=confidence
        )
    rows = [
        (side.run_id, one.pairs, one.ratio, effect is not None and number in used)
        for number, (side, one) in enumerate(zip(sides, ratios, strict=True))
    ]
    return EarlierRuns(frame_of_rows(rows, _RUNS), effect)


def _compare_with_each_other(
    sides: list[Side], margin: float, confidence: float
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the typical log ratio from the run of each column to that of each row."""
    between = np.zeros((len(sides), len(sides)))
    for row, column in zip(*np.triu_indices(len(sides), 1), strict=True):
        documents = pair_documents(sides[column], sides[row])
        ratio = compute_ratio(documents, margin, confidence, measure=sides[row].measure)
        between[row, column] = math.log(ratio.ratio) if ratio.pairs else math.nan
        between[column, row] = -between[row, column]
    return between


def _choose_connected(
    has_candidate: np.ndarray[tuple[int], np.dtype[np.bool_]],
    has_each_other: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
) -> list[int]:
    """Return the runs, the first ones first, of which every two have documents in common."""
    used: list[int] = []
    for number in np.flatnonzero(has_candidate).tolist():
        if has_each_other[number, used].all():
            used.append(number)
    return used


def _read_definition(side: Side) -> object:
    return side.record.get("definition_fingerprint")


def _search_store(runs: tuple[Run, Run], sides: tuple[Side, Side]) -> Iterator[RunContent]:
    """Yield the newest complete runs of the baseline's definition and documents.

    Those that were created after the candidate are left out, for they are not earlier.
    """
    store = getattr(runs[0], "store", None) or getattr(runs[1], "store", None)
    if store is None:
        raise ValueError(
            'earlier="store" takes runs that a store has read; for others give earlier=[...]'
        )
    baseline, candidate = sides
    wanted = [baseline.record.get(name) for name in _FINGERPRINTS]
    if wanted[0] is None:
        raise ValueError(
            f"the record of {printable(baseline.run_id)} has no definition_fingerprint, so its "
            "definition cannot be looked for: give earlier=[...]"
        )
    listed = store.list()
    experiment = baseline.record.get("experiment_id")
    others = ~listed["run_id"].isin([baseline.run_id, candidate.run_id])
    listed = listed[(listed["experiment_id"] == experiment) & others & listed["complete"]]
    created = candidate.record.get("created_at")
    if created is not None:
        listed = listed[~(listed["run_created_at"] > created).fillna(value=False)]
    newest = listed.sort_values("run_created_at", ascending=False, kind="stable")
    found = 0
    for run_id in newest["run_id"].head(_MAX_SEARCHED):
        content = store.read(run_id)
        record = content.run_table.to_pylist()
        if record and [record[0].get(name) for name in _FINGERPRINTS] == wanted:
            yield content
            found += 1
        if found == _MAX_FOUND:
            return
