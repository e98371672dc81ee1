"""A gate for a pipeline: an error unless the candidate is shown to be no worse than allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from retab_frames.errors import InconclusiveError, RegressionError
from retab_frames.schemas.frames import STRING, frame_of_rows
from retab_frames.schemas.vocabulary import COMPLETED, FAILED, STOPPED
from retab_frames.text.messages import printable
from retab_frames.text.tables import format_count, render_terminal

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.compare.two_runs import RunComparison

__all__ = ["assert_no_regression", "gate_checks"]

Outcome = Literal["pass", "regression", "inconclusive"]


class GateCheck(NamedTuple):
    check: str
    found: str
    allowed: str
    outcome: Outcome
    reason: str | None


def assert_no_regression(
    comparison: RunComparison, *, max_broken: int | None = 0, max_slowdown: float | None = None
) -> None:
    """Raise unless the comparison shows that the candidate is no worse than allowed.

    Broken documents are counted. A slowdown is judged by the interval of `ratio`: if it is entirely
    above the limit, it is a regression; if it is entirely below, it passes (so non-inferiority is
    shown, not assumed); otherwise it is inconclusive. The gate is also inconclusive if the runs are
    not comparable (it then makes no other check), or if too many documents that are pending or
    removed could be broken.

    Args:
        comparison: The result of `compare_runs`.
        max_broken: The largest number of broken documents allowed; None disables the check.
        max_slowdown: The largest slowdown allowed, 0.1 for 10 %; None disables the check.

    Raises:
        RegressionError: If the candidate is worse than allowed; also an AssertionError. Its message
            has the table of checks, and its `checks` is the frame.
        InconclusiveError: If the comparison shows neither that it is worse nor that it is not.
        ValueError: If a limit is negative, or there is none.
    """
    checks = gate_checks(comparison, max_broken=max_broken, max_slowdown=max_slowdown)
    outcomes = set(checks["outcome"])
    if outcomes == {"pass"}:
        return
    message = f"{comparison.summary()}\n\n{render_terminal(checks, width=120)}"
    error = RegressionError if "regression" in outcomes else InconclusiveError
    raise error(message, checks=checks)


def gate_checks(
    comparison: RunComparison, *, max_broken: int | None, max_slowdown: float | None
) -> pd.DataFrame:
    """Return one row per check: `check, found, allowed, outcome, reason` (text).

    The outcome is "pass", "regression" or "inconclusive"; `reason` is null for a pass.
    """
    if max_broken is None and max_slowdown is None:
        raise ValueError("the gate has no limit: give max_broken or max_slowdown")
    for name, limit in (("max_broken", max_broken), ("max_slowdown", max_slowdown)):
        if limit is not None and not limit >= 0:
            raise ValueError(f"{name} must be 0 or more, not {limit!r}")
    checks = []
    if comparison.comparable == "no":
        table = comparison.comparability
        reasons = "; ".join(table.loc[table["result"] == "no", "reason"])
        checks.append(GateCheck("comparable", "no", "yes", "inconclusive", reasons))
    else:
        if max_broken is not None:
            checks.append(_check_broken(comparison, max_broken))
        if max_slowdown is not None:
            checks.append(_check_slowdown(comparison, max_slowdown))
    return frame_of_rows(checks, dict.fromkeys(GateCheck._fields, STRING))


def _check_broken(comparison: RunComparison, allowed: int) -> GateCheck:
    documents = comparison.documents
    is_broken = documents["change"] == "broken"
    broken = int(is_broken.sum())
    if broken > allowed:
        names = documents["filename"].fillna(documents["document_id"])[is_broken].head(3)
        more = ", …" if broken > len(names) else ""
        reason = ", ".join(map(printable, names)) + more
        return GateCheck("broken", str(broken), str(allowed), "regression", reason)
    # a document that failed before, or is completed by now, cannot turn out to be broken
    is_safe = documents["baseline_status"].isin((*FAILED, *STOPPED))
    is_safe |= documents["candidate_status"].isin(COMPLETED)
    unknown = int((documents["change"].isin(["pending", "removed"]) & ~is_safe).sum())
    if broken + unknown > allowed:
        reason = f"{format_count(unknown, 'document')} pending or removed, which could be broken"
        return GateCheck("broken", str(broken), str(allowed), "inconclusive", reason)
    return GateCheck("broken", str(broken), str(allowed), "pass", None)


def _check_slowdown(comparison: RunComparison, allowed: float) -> GateCheck:
    speed = comparison.ratio
    limit = f"x {1 + allowed:.4g}"
    if speed.pairs < 2:  # noqa: PLR2004 - one pair has no interval
        documents = format_count(speed.pairs, "document")
        reason = f"{documents} completed in both with a duration: at least 2 are needed"
        return GateCheck("slowdown", "-", limit, "inconclusive", reason)
    found = f"x {speed.ratio:.4g} ({speed.ratio_low:.4g} to {speed.ratio_high:.4g})"
    if speed.ratio_low > 1 + allowed:
        return GateCheck("slowdown", found, limit, "regression", "the interval is above the limit")
    if speed.ratio_high > 1 + allowed:
        reason = "the limit is within the interval: more documents make the interval narrower"
        return GateCheck("slowdown", found, limit, "inconclusive", reason)
    return GateCheck("slowdown", found, limit, "pass", None)
