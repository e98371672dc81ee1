"""Whether two runs can be compared, check by check, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from retab_frames.compare.documents import COMPARABLE_CHANGES
from retab_frames.flatten.runs import TERMINAL_RUN
from retab_frames.schemas.frames import STRING, frame_of_rows
from retab_frames.schemas.vocabulary import TERMINAL
from retab_frames.text.messages import printable
from retab_frames.text.tables import format_count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from retab_frames.compare.sides import Side

__all__ = ["Comparable", "comparability", "comparable"]

Result = Literal["yes", "warning", "no", "unknown"]
Comparable = Literal["yes", "warnings", "no"]


_LONGEST = 20
"""Of a value: a fingerprint is told apart by less."""
_COLUMNS = ("check", "baseline", "candidate", "result", "reason")


@dataclass(frozen=True)
class _Check:
    """One row of the table."""

    check: str
    values: Sequence[object]
    result: Result
    reason: str | None = None

    @property
    def row(self) -> tuple[str | None, ...]:
        before, after = (None if v is None else printable(str(v), _LONGEST) for v in self.values)
        return self.check, before, after, self.result, self.reason


_SAME: dict[str, tuple[str, str]] = {
    "experiment": ("experiment_id", "the runs are of two experiments"),
    "definition": ("definition_fingerprint", "the block was changed between the runs"),
    "block version": ("block_version_id", "the runs are of two versions of the block"),
    "workflow version": ("workflow_version_id", "the runs are of two versions of the workflow"),
    "votes": ("n_consensus", "the runs take different numbers of votes for each document"),
}
"""What should be the same in both run records: a difference is no obstacle, but worth knowing."""


def comparability(baseline: Side, candidate: Side, documents: pd.DataFrame) -> pd.DataFrame:
    """Return one row per check: `check, baseline, candidate, result, reason` (text).

    The result is "yes", "warning" (the numbers can be read, with the reason in mind), "no" (they
    cannot), or "unknown" where a side does not record the fact. `reason` is null for a yes.

    Args:
        baseline: The run to compare with.
        candidate: The run to compare.
        documents: Their documents, as `pair_documents` gives them.
    """
    sides = (baseline, candidate)
    checks = [_documents(sides, documents), _kind(sides)]
    checks += [_same(sides, name, *facts) for name, facts in _SAME.items()]
    checks += [_ended(sides), _placeholders(sides), _jobs(sides), _inputs(documents)]
    return frame_of_rows((check.row for check in checks), dict.fromkeys(_COLUMNS, STRING))


def comparable(checks: pd.DataFrame) -> Comparable:
    """Return what the checks come to; what is unknown is no warning."""
    results = set(checks["result"])
    return "no" if "no" in results else "warnings" if "warning" in results else "yes"


def _documents(sides: tuple[Side, Side], documents: pd.DataFrame) -> _Check:
    counts = [len(side.final) for side in sides]
    alone = {name: int((documents["change"] == name).sum()) for name in ("added", "removed")}
    if len(documents) == sum(alone.values()):
        return _Check("documents", counts, "no", "the runs have no document in common")
    if not documents["change"].isin(COMPARABLE_CHANGES).any():
        return _Check("documents", counts, "no", "no document has ended in both runs")
    if any(alone.values()):
        told = " and ".join(f"{n} {name}" for name, n in alone.items() if n)
        return _Check("documents", counts, "warning", f"{told}: only the common ones are compared")
    prints = [side.record.get("documents_fingerprint") for side in sides]
    if None not in prints and prints[0] != prints[1]:
        reason = "the ids are the same, the fingerprints of the document sets differ"
        return _Check("documents", prints, "warning", reason)
    return _Check("documents", counts, "yes")


def _kind(sides: tuple[Side, Side]) -> _Check:
    kinds = [_kinds(side) for side in sides]
    told = [", ".join(sorted(kind)) or None for kind in kinds]
    if not all(kinds):
        return _Check("block kind", told, "unknown", "a side does not say what block was run")
    if kinds[0] == kinds[1]:
        return _Check("block kind", told, "yes")
    return _Check("block kind", told, "no", "the runs are of two kinds of block")


def _kinds(side: Side) -> set[str]:
    recorded = [side.record["block_kind"]] if "block_kind" in side.record else []
    return set(side.jobs["block_kind"].dropna()) or set(recorded)


def _same(sides: tuple[Side, Side], check: str, field: str, reason: str) -> _Check:
    values = [_fact(side, field) for side in sides]
    if None in values:
        return _Check(check, values, "unknown", f"a side has no {field}")
    if values[0] == values[1]:
        return _Check(check, values, "yes")
    return _Check(check, values, "warning", reason)


def _fact(side: Side, field: str) -> Any:
    """Return a fact of the run record, or one that all its jobs agree on."""
    if field in side.record or field not in side.jobs.columns:
        return side.record.get(field)
    values = side.jobs[field].dropna().unique().tolist()
    return values[0] if len(values) == 1 else None


def _ended(sides: tuple[Side, Side]) -> _Check:
    """Tell of runs, and of jobs, that have not ended."""
    is_open = [
        ~side.final["status"].isin(TERMINAL).to_numpy(dtype=bool)
        & ~side.final["is_placeholder"].to_numpy(dtype=bool, na_value=True)
        for side in sides
    ]
    counts = [int(mask.sum()) for mask in is_open]
    told = [_state(side, n) for side, n in zip(sides, counts, strict=True)]
    if None in told:
        return _Check("ended", told, "unknown", "a side has no job that was run")
    reasons = list(_not_ended(sides, counts))
    if any(len(side.final) and n == len(side.final) for side, n in zip(sides, counts, strict=True)):
        return _Check("ended", told, "no", "; ".join(reasons))
    return _Check("ended", told, "warning" if reasons else "yes", "; ".join(reasons) or None)


def _state(side: Side, not_ended: int) -> str | None:
    """Return the status of the run, or what its jobs come to; None where nothing was run."""
    placeholders = side.final["is_placeholder"].to_numpy(dtype=bool, na_value=True)
    if placeholders.all():
        return None
    return side.record.get("status") or ("running" if not_ended else "ended")


def _not_ended(sides: tuple[Side, Side], counts: list[int]) -> Iterator[str]:
    for name, side, count in zip(("baseline", "candidate"), sides, counts, strict=True):
        if count:
            told = f"{count} of {format_count(len(side.final), 'document')}"
            yield f"{told} of the {name} not ended yet"
        elif side.record.get("status") not in (None, *TERMINAL_RUN):
            yield f"the {name} had not ended when its record was read"


def _placeholders(sides: tuple[Side, Side]) -> _Check:
    names = [
        set(side.final.index[side.final["is_placeholder"].to_numpy(dtype=bool, na_value=True)])
        for side in sides
    ]
    counts = [len(documents) for documents in names]
    if any(n and n == len(side.final) for side, n in zip(sides, counts, strict=True)):
        return _Check("placeholders", counts, "no", "a side was never run")
    if any(counts):
        reason = (
            f"{format_count(len(set().union(*names)), 'document')} never run on a side: pending"
        )
        return _Check("placeholders", counts, "warning", reason)
    return _Check("placeholders", counts, "yes")


def _jobs(sides: tuple[Side, Side]) -> _Check:
    """Tell of jobs that are not there, though all that are have ended."""
    counts = [len(side.jobs) for side in sides]
    if not all(counts):
        return _Check("jobs", counts, "no", "a side has no jobs")
    if any(side.complete is False and side.final["status"].isin(TERMINAL).all() for side in sides):
        return _Check("jobs", counts, "warning", "a side is incomplete: its `issues` say why")
    if sides[0].run_id is not None and sides[0].run_id == sides[1].run_id:
        return _Check("jobs", counts, "warning", "both sides are the same run")
    return _Check("jobs", counts, "yes")


def _inputs(documents: pd.DataFrame) -> _Check:
    known = documents["inputs_changed"].dropna()
    changed = int(known.sum())
    if known.empty:
        reason = "the inputs of no document are known on both sides"
        return _Check("inputs", (None, None), "unknown", reason)
    if changed:
        told = format_count(changed, "document")
        reason = f"the inputs of {told} changed: so may what was made of them"
        return _Check("inputs", (None, f"{changed} changed"), "warning", reason)
    return _Check("inputs", (None, "0 changed"), "yes")
