"""A gate for a pipeline: let a run pass, stop it, or say that the comparison cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from retab_frames.errors import InconclusiveError, RegressionError
from retab_frames.schemas.frames import STRING, frame_of_rows
from retab_frames.schemas.vocabulary import FAILED
from retab_frames.text.messages import printable
from retab_frames.text.tables import format_count, render_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from retab_frames.compare.two_runs import RunComparison

__all__ = ["assert_no_regression", "gate_checks"]

Outcome = Literal["pass", "regression", "inconclusive"]


class _Check(NamedTuple):
    check: str
    found: str
    allowed: str
    outcome: Outcome
    reason: str | None


def assert_no_regression(
    comparison: RunComparison, *, max_broken: int | None = 0, max_slowdown: float | None = None
) -> None:
    """Raise unless the comparison shows that the candidate is no worse than allowed.

    It judges by the rows of the comparison itself. Broken documents are counted. A slowdown is
    judged by the interval of `ratio`: wholly above the limit it is a regression, wholly below it
    passes (so non-inferiority is shown, not assumed), and across it the comparison cannot tell.
    It cannot tell either if the runs are not comparable, in which case it looks no further, or if
    documents that are pending or gone could be broken.

    Args:
        comparison: What `compare_runs` gave.
        max_broken: How many documents may be broken; None does not look.
        max_slowdown: How much longer jobs may take, 0.1 for 10 %; None does not look.

    Raises:
        RegressionError: If the candidate is worse; also an AssertionError. Its message has the
            table of checks, and its `checks` the frame.
        InconclusiveError: If it is not worse as far as is known, and that is not far enough.
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
        raise ValueError("the gate has nothing to look at: give max_broken or max_slowdown")
    for name, limit in (("max_broken", max_broken), ("max_slowdown", max_slowdown)):
        if limit is not None and not limit >= 0:
            raise ValueError(f"{name} must be 0 or more, not {limit!r}")
    rows = _checks(comparison, max_broken, max_slowdown)
    return frame_of_rows(rows, dict.fromkeys(_Check._fields, STRING))


def _checks(
    comparison: RunComparison, max_broken: int | None, max_slowdown: float | None
) -> Iterator[_Check]:
    if comparison.comparable == "no":
        table = comparison.comparability
        reasons = "; ".join(table.loc[table["result"] == "no", "reason"])
        yield _Check("comparable", "no", "yes", "inconclusive", reasons)
        return
    if max_broken is not None:
        yield _broken(comparison, max_broken)
    if max_slowdown is not None:
        yield _slowdown(comparison, max_slowdown)


def _broken(comparison: RunComparison, allowed: int) -> _Check:
    documents = comparison.documents
    broken = int((documents["change"] == "broken").sum())
    harmless = documents["baseline_status"].isin(FAILED) | documents["candidate_status"].isin(
        ["completed"]
    )
    unseen = int((documents["change"].isin(["pending", "removed"]) & ~harmless).sum())
    if broken > allowed:
        found = documents[documents["change"] == "broken"]
        names = found["filename"].fillna(found["document_id"]).head(3)
        more = ", …" if broken > len(names) else ""
        reason = ", ".join(map(printable, names)) + more
        return _Check("broken", str(broken), str(allowed), "regression", reason)
    if broken + unseen > allowed:
        reason = f"{format_count(unseen, 'document')} pending or gone, which could be broken"
        return _Check("broken", str(broken), str(allowed), "inconclusive", reason)
    return _Check("broken", str(broken), str(allowed), "pass", None)


def _slowdown(comparison: RunComparison, allowed: float) -> _Check:
    speed = comparison.ratio
    limit = f"x {1 + allowed:.4g}"
    if speed.pairs < 2:  # noqa: PLR2004 - one pair has no interval
        told = format_count(speed.pairs, "document")
        reason = f"{told} completed in both, with a duration: at least 2 are needed"
        return _Check("slowdown", "-", limit, "inconclusive", reason)
    found = f"x {speed.ratio:.4g} ({speed.ratio_low:.4g} to {speed.ratio_high:.4g})"
    if speed.ratio_low > 1 + allowed:
        return _Check("slowdown", found, limit, "regression", "the interval lies above the limit")
    if speed.ratio_high > 1 + allowed:
        reason = "the interval reaches across the limit: more documents narrow it"
        return _Check("slowdown", found, limit, "inconclusive", reason)
    return _Check("slowdown", found, limit, "pass", None)
