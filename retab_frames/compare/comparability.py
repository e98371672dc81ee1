"""Whether two runs can be compared: one check per condition, each with its result and reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from retab_frames.compare.documents import COMPARABLE_CHANGES
from retab_frames.schemas.frames import STRING, frame_of_rows
from retab_frames.schemas.vocabulary import TERMINAL, TERMINAL_RUN
from retab_frames.text.messages import printable
from retab_frames.text.tables import format_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from retab_frames.compare.sides import Side

__all__ = ["Comparable", "check_comparability", "combine_results"]

Result = Literal["yes", "warning", "no", "unknown"]
Comparable = Literal["yes", "warnings", "no"]

_MAX_TEXT_LENGTH = 20
"""Enough to see that two fingerprints differ."""
_COLUMNS = ("check", "baseline", "candidate", "result", "reason")


@dataclass(frozen=True)
class ComparabilityCheck:
    """One row of the table; `facts` are those of the baseline and of the candidate."""

    check: str
    facts: Sequence[object]
    result: Result
    reason: str | None = None


_EQUAL_FACTS: dict[str, tuple[str, str]] = {
    "definition": ("definition_fingerprint", "the block was changed between the runs"),
    "block version": ("block_version_id", "the runs are of two versions of the block"),
    "workflow version": ("workflow_version_id", "the runs are of two versions of the workflow"),
    "votes": ("n_consensus", "the runs take different numbers of votes for each document"),
}
"""Facts of the run records that should be equal: the field, and the warning if it differs."""


def check_comparability(baseline: Side, candidate: Side, documents: pd.DataFrame) -> pd.DataFrame:
    """Return one row per check: `check, baseline, candidate, result, reason` (text).

    The result is "yes", "warning" (the numbers can be read, with the reason in mind), "no" (they
    cannot), or "unknown" if a side does not record the fact. `reason` is null for a yes.

    Args:
        baseline: The run to compare with.
        candidate: The run to compare.
        documents: Their documents, as `pair_documents` returns them.
    """
    sides = (baseline, candidate)
    checks = [
        # first, since what it says stands first in the summary
        _check_experiment(sides, documents),
        _check_documents(sides, documents),
        _check_block_kind(sides),
        *(_check_fact(sides, check, *fact) for check, fact in _EQUAL_FACTS.items()),
        _check_ended(sides),
        _check_placeholders(sides),
        _check_jobs(sides),
        _check_reuse(documents),
        _check_inputs(documents),
    ]
    rows = []
    for one in checks:
        texts = (None if v is None else printable(str(v), _MAX_TEXT_LENGTH) for v in one.facts)
        rows.append((one.check, *texts, one.result, one.reason))
    return frame_of_rows(rows, dict.fromkeys(_COLUMNS, STRING))


def combine_results(checks: pd.DataFrame) -> Comparable:
    """Return the result of all checks together; an unknown one does not count as a warning."""
    results = set(checks["result"])
    return "no" if "no" in results else "warnings" if "warning" in results else "yes"


def _check_experiment(sides: tuple[Side, Side], documents: pd.DataFrame) -> ComparabilityCheck:
    reason = "the runs are of two experiments"
    check = _check_fact(sides, "experiment", "experiment_id", reason)
    if check.result == "warning" and documents["change"].isin(["added", "removed"]).all():
        return replace(check, result="no")
    return check


def _check_documents(sides: tuple[Side, Side], documents: pd.DataFrame) -> ComparabilityCheck:
    counts = [len(side.final) for side in sides]
    on_one_side = {name: int((documents["change"] == name).sum()) for name in ("added", "removed")}
    if len(documents) == sum(on_one_side.values()):
        return ComparabilityCheck("documents", counts, "no", "the runs have no document in common")
    if not documents["change"].isin(COMPARABLE_CHANGES).any():
        return ComparabilityCheck(
            "documents", counts, "no", "no document was completed or failed in both runs"
        )
    if any(on_one_side.values()):
        numbers = " and ".join(f"{n} {name}" for name, n in on_one_side.items() if n)
        reason = f"{numbers}: only the common ones are compared"
        return ComparabilityCheck("documents", counts, "warning", reason)
    fingerprints = [side.record.get("documents_fingerprint") for side in sides]
    if None not in fingerprints and fingerprints[0] != fingerprints[1]:
        reason = "the ids are the same, the fingerprints of the document sets differ"
        return ComparabilityCheck("documents", fingerprints, "warning", reason)
    return ComparabilityCheck("documents", counts, "yes")


def _check_block_kind(sides: tuple[Side, Side]) -> ComparabilityCheck:
    kinds = []
    for side in sides:
        of_record = {side.record["block_kind"]} if "block_kind" in side.record else set()
        kinds.append(set(side.jobs["block_kind"].dropna()) or of_record)
    values = [", ".join(sorted(kind)) or None for kind in kinds]
    if None in values:
        return ComparabilityCheck(
            "block kind", values, "unknown", "a side does not say what block was run"
        )
    if kinds[0] == kinds[1]:
        return ComparabilityCheck("block kind", values, "yes")
    return ComparabilityCheck("block kind", values, "no", "the runs are of two kinds of block")


def _check_fact(
    sides: tuple[Side, Side], check: str, field: str, reason: str
) -> ComparabilityCheck:
    values = [side.read_fact(field) for side in sides]
    if None in values:
        return ComparabilityCheck(check, values, "unknown", f"a side has no {field}")
    if values[0] == values[1]:
        return ComparabilityCheck(check, values, "yes")
    return ComparabilityCheck(check, values, "warning", reason)


def _check_ended(sides: tuple[Side, Side]) -> ComparabilityCheck:
    """Check that both runs, and all their jobs, have ended."""
    values: list[str | None] = []
    reasons: list[str] = []
    none_ended = False
    for name, side in zip(("baseline", "candidate"), sides, strict=True):
        has_ended = side.final["status"].isin(TERMINAL).to_numpy(dtype=bool)
        jobs, not_ended = len(side.final), int((~has_ended & ~side.placeholders).sum())
        status = side.record.get("status")
        if side.placeholders.all():
            values.append(None)
        else:
            values.append(status or ("running" if not_ended else "ended"))
        if not_ended:
            documents = format_count(jobs, "document")
            have = "has" if not_ended == 1 else "have"
            reasons.append(f"{not_ended} of {documents} of the {name} {have} not ended yet")
        elif status not in (None, *TERMINAL_RUN):
            reasons.append(f"the {name} had not ended when its record was read")
        none_ended = none_ended or 0 < jobs == not_ended
    if None in values:
        return ComparabilityCheck("ended", values, "unknown", "a side has no job that was run")
    if none_ended:
        return ComparabilityCheck("ended", values, "no", "; ".join(reasons))
    return ComparabilityCheck(
        "ended", values, "warning" if reasons else "yes", "; ".join(reasons) or None
    )


def _check_placeholders(sides: tuple[Side, Side]) -> ComparabilityCheck:
    documents = [set(side.final.index[side.placeholders]) for side in sides]
    counts = [len(names) for names in documents]
    if any(n and n == len(side.final) for side, n in zip(sides, counts, strict=True)):
        return ComparabilityCheck("placeholders", counts, "no", "a side was never run")
    if any(counts):
        count = len(set().union(*documents))
        were = "was" if count == 1 else "were"
        reason = f"{format_count(count, 'document')} {were} never run on a side: pending"
        return ComparabilityCheck("placeholders", counts, "warning", reason)
    return ComparabilityCheck("placeholders", counts, "yes")


def _check_jobs(sides: tuple[Side, Side]) -> ComparabilityCheck:
    """Check that there are jobs, that none is missing, and that the runs are two."""
    counts = [len(side.jobs) for side in sides]
    if not all(counts):
        return ComparabilityCheck("jobs", counts, "no", "a side has no jobs")
    # a side with jobs that have not ended is incomplete too, but `ended` says so already
    if any(side.complete is False and side.final["status"].isin(TERMINAL).all() for side in sides):
        return ComparabilityCheck(
            "jobs", counts, "warning", "a side is incomplete: its `issues` say why"
        )
    if sides[0].run_id is not None and sides[0].run_id == sides[1].run_id:
        return ComparabilityCheck("jobs", counts, "warning", "both sides are the same run")
    return ComparabilityCheck("jobs", counts, "yes")


def _check_reuse(documents: pd.DataFrame) -> ComparabilityCheck:
    """Check that the jobs of both runs are not the same ones."""
    on_both = documents["same_job"].notna() & (documents["change"] != "pending")
    same, total = int(documents.loc[on_both, "same_job"].sum()), int(on_both.sum())
    values = (None, f"{same} of {total}")
    if not same:
        return ComparabilityCheck("reuse", values, "yes")
    which, have = f"{same} of {total} documents", "has" if same == 1 else "have"
    if same == total:
        which, have = "every document of both runs", "has"
    reason = f"{which} {have} the same job in both, which tells nothing of a change"
    return ComparabilityCheck("reuse", values, "warning", reason)


def _check_inputs(documents: pd.DataFrame) -> ComparabilityCheck:
    known = documents["inputs_changed"].dropna()
    changed = int(known.sum())
    if known.empty:
        reason = "the inputs of no document are known on both sides"
        return ComparabilityCheck("inputs", (None, None), "unknown", reason)
    if changed:
        reason = (
            f"the inputs of {format_count(changed, 'document')} changed: "
            "differences may come from the inputs"
        )
        return ComparabilityCheck("inputs", (None, f"{changed} changed"), "warning", reason)
    return ComparabilityCheck("inputs", (None, "0 changed"), "yes")
