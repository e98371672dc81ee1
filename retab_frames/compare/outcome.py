"""What the checks of a gate come to: pass, fail or inconclusive, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from retab_frames.text.raw_values import list_rows

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GateOutcome", "decide_outcome", "describe_checks", "is_stopped", "list_gate"]

GateOutcome = Literal["pass", "fail", "inconclusive"]


def decide_outcome(checks: pd.DataFrame) -> GateOutcome:
    """Return what the checks come to: one regression fails, one open question is inconclusive."""
    outcomes = set(checks["outcome"])
    if "regression" in outcomes:
        return "fail"
    return "pass" if outcomes == {"pass"} else "inconclusive"


def is_stopped(checks: pd.DataFrame, *, strict: bool) -> bool:
    """Return whether a pipeline stops: not where the numbers allow either, unless it is strict."""
    outcomes = set(checks["outcome"])
    return bool(outcomes & {"regression", "missing"}) or (strict and "inconclusive" in outcomes)


def describe_checks(checks: pd.DataFrame) -> str:
    """Return what the checks found, those that decide first."""
    order = ("regression", "missing", "inconclusive", "pass")
    rank = checks["outcome"].map({outcome: n for n, outcome in enumerate(order)})
    return " ".join(checks["sentence"].iloc[rank.argsort(kind="stable")])


def list_gate(checks: pd.DataFrame | None) -> dict[str, Any] | None:
    """Return the outcome, why, and the checks as plain values; None without checks."""
    if checks is None:
        return None
    return {
        "outcome": decide_outcome(checks),
        "reason": describe_checks(checks),
        "checks": list_rows(checks),
    }
