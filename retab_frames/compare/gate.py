"""A gate for pipelines: it stops a candidate that is shown to be worse than allowed."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Literal, NamedTuple

import pandas as pd

from retab_frames.compare.outcome import decide_outcome, describe_checks, is_stopped
from retab_frames.compare.summary import (
    describe_ratio,
    describe_reasons,
    list_names,
    name_documents,
)
from retab_frames.compare.two_runs import RunComparison
from retab_frames.errors import InconclusiveError, RegressionError, RetabFramesWarning
from retab_frames.schemas.frames import STRING, frame_of_rows
from retab_frames.schemas.vocabulary import COMPLETED, FAILED
from retab_frames.stats.estimates import is_number
from retab_frames.stats.paired_ratio import one_sided_mcnemar
from retab_frames.text.tables import format_count, render_terminal

__all__ = ["assert_no_regression", "check_regression"]

Outcome = Literal["pass", "regression", "inconclusive", "missing"]
MaxBroken = int | Literal["chance"] | None


class GateCheck(NamedTuple):
    check: str
    found: str
    allowed: str
    outcome: Outcome
    reason: str | None
    sentence: str


def assert_no_regression(
    comparison: RunComparison,
    *,
    max_broken: MaxBroken = "chance",
    max_slowdown: float | None = None,
    strict: bool = False,
) -> None:
    """Raise if the comparison shows that the candidate is worse than allowed.

    A slowdown is judged by the interval of the typical change: entirely above the limit it is a
    regression, entirely below it passes, otherwise it is inconclusive, which gives a warning. With
    few documents most runs are inconclusive, whether they are slower or not: see the table in the
    README, and `plan`.

    Args:
        comparison: The result of `compare_runs`.
        max_broken: "chance" stops if more documents broke than were fixed and chance explains that
            badly: by the one-sided exact test of McNemar, with a p of at most 1 - confidence, which
            takes at least 5 broken documents at 95 %. A number is the largest count of broken
            documents allowed: with 0, one job that fails by chance stops a run. None disables the
            check.
        max_slowdown: The largest slowdown allowed, 0.1 for 10 %; None disables the check.
        strict: Whether an inconclusive check raises InconclusiveError instead of a warning.

    Raises:
        RegressionError: If the candidate is worse than allowed; also an AssertionError. Its message
            has the table of checks, and its `checks` is the frame.
        InconclusiveError: If a check cannot be made, because what it needs is missing: the runs
            cannot be compared, no documents were completed in both, or documents that are pending,
            cancelled or removed could be broken. With `strict`, also if a check is inconclusive.
        TypeError: If it is not the result of `compare_runs`.
        ValueError: If a limit is negative or no number, or there is none.

    Warns:
        RetabFramesWarning: If a check is inconclusive, without `strict`.
    """
    checks = check_regression(comparison, max_broken=max_broken, max_slowdown=max_slowdown)
    outcome = decide_outcome(checks)
    if outcome == "pass":
        return
    table = render_terminal(checks.drop(columns="sentence"), width=120)
    message = f"{comparison.summary()}\n\n{table}"
    if outcome == "fail":
        raise RegressionError(message, checks=checks)
    if is_stopped(checks, strict=strict):
        raise InconclusiveError(message, checks=checks)
    told = f"the gate is inconclusive. {describe_checks(checks[checks['outcome'] != 'pass'])}"
    warnings.warn(told, RetabFramesWarning, stacklevel=2)


def check_regression(
    comparison: RunComparison,
    *,
    max_broken: MaxBroken = "chance",
    max_slowdown: float | None = None,
) -> pd.DataFrame:
    """Return one row per check: `check, found, allowed, outcome, reason, sentence` (text).

    The outcome is "pass"; "regression"; "inconclusive": the numbers allow either; or "missing":
    what the check needs is not there. `reason` is null for a pass, and `sentence` says it all in
    words. `RunComparison.to_markdown` and `to_dict` take the checks.

    Args:
        comparison: The result of `compare_runs`.
        max_broken: As for `assert_no_regression`.
        max_slowdown: As for `assert_no_regression`.

    Raises:
        TypeError, ValueError: As `assert_no_regression`.
    """
    if not isinstance(comparison, RunComparison):
        raise TypeError(
            f"the gate takes the result of compare_runs, not {type(comparison).__name__}"
        )
    if max_broken is None and max_slowdown is None:
        raise ValueError("the gate has no limit: give max_broken or max_slowdown")
    _check_limits(max_broken, max_slowdown)
    checks = []
    if comparison.comparable == "no":
        reasons = describe_reasons(comparison.comparability)
        told = f"The runs cannot be compared: {reasons}"
        reason = reasons.removesuffix(".")
        checks.append(GateCheck("comparable", "no", "yes", "missing", reason, told))
    else:
        if max_broken is not None:
            checks.append(_check_broken(comparison, max_broken))
        if max_slowdown is not None:
            checks.append(_check_slowdown(comparison, max_slowdown))
    return frame_of_rows(checks, dict.fromkeys(GateCheck._fields, STRING))


def _check_limits(max_broken: object, max_slowdown: object) -> None:
    """Check the limits: a share of a document, or a truth value, would pass for a count."""
    is_word = isinstance(max_broken, str) and max_broken == "chance"
    if max_broken is not None and not is_word:
        if not (is_number(max_broken) and isinstance(max_broken, Integral)):
            raise ValueError(
                f'max_broken must be a whole number, "chance" or None, not {max_broken!r}'
            )
        if max_broken < 0:
            raise ValueError(f"max_broken must be 0 or more, not {max_broken!r}")
    if max_slowdown is not None and not (is_number(max_slowdown) and max_slowdown >= 0):  # type: ignore[operator]
        raise ValueError(f"max_slowdown must be 0 or more, not {max_slowdown!r}")


def _check_broken(comparison: RunComparison, allowed: int | Literal["chance"]) -> GateCheck:
    documents = comparison.documents
    is_broken = documents["change"] == "broken"
    broken = int(is_broken.sum())
    names = list_names(name_documents(documents)[is_broken].tolist())
    # a document that failed before, or is completed by now, cannot turn out to be broken
    is_safe = documents["baseline_status"].isin(FAILED)
    is_safe |= documents["candidate_status"].isin(COMPLETED)
    is_unknown = documents["change"].isin(["pending", "cancelled", "removed"]) & ~is_safe
    unknown = int(is_unknown.sum())
    lacking = f"{format_count(unknown, 'document')} pending, cancelled or removed could be broken"
    if allowed == "chance":
        return _check_broken_by_chance(comparison, broken, names, lacking if unknown else None)
    broke = _count(broken, "broke")
    limit = f"{allowed} {'is' if allowed == 1 else 'are'} allowed"
    known = ("broken", str(broken), str(allowed))
    if broken > allowed:
        return GateCheck(*known, "regression", names, f"{broke}, {limit}: {names}.")
    if broken + unknown > allowed:
        return GateCheck(*known, "missing", lacking, f"{broke}, {limit}; {lacking}.")
    return GateCheck(*known, "pass", None, f"{broke}, {limit}.")


def _check_broken_by_chance(
    comparison: RunComparison, broken: int, names: str, lacking: str | None
) -> GateCheck:
    fixed = comparison.changes["fixed"]
    p_value = one_sided_mcnemar(broken, fixed)
    told = f"{_count(broken, 'broke')} and {fixed} {'was' if fixed == 1 else 'were'} fixed"
    one_sided = f"(one-sided p = {p_value:.2g})"
    known = ("broken", f"{broken}, {fixed} fixed {one_sided}", "chance")
    if p_value <= 1 - comparison.confidence:
        words = f"{told}, more than chance explains {one_sided}: {names}."
        return GateCheck(*known, "regression", names, words)
    if lacking is not None:
        return GateCheck(*known, "missing", lacking, f"{told}; {lacking}.")
    if broken:
        reason = f"this can be chance; run again: {names}"
        words = f"{told}, which can be chance {one_sided}; run again: {names}."
        return GateCheck(*known, "inconclusive", reason, words)
    return GateCheck(*known, "pass", None, f"{_count(broken, 'broke')}.")


def _count(documents: int, what: str) -> str:
    return f"{format_count(documents, 'document') if documents else 'No document'} {what}"


def _check_slowdown(comparison: RunComparison, allowed: float) -> GateCheck:
    speed = comparison.speed.iloc[0]
    limit = f"x {1 + allowed:.4g}"
    if pd.isna(speed["ratio_low"]):
        documents = format_count(int(speed["pairs"]), "document")
        reason = f"{documents} completed in both by jobs of their own, which have no interval"
        if comparison.earlier is not None:
            reason = "too few runs of the baseline's definition for an interval"
        told = f"Whether it is slower cannot be told: {reason}."
        return GateCheck("slowdown", "-", limit, "missing", reason, told)
    low, high = float(speed["ratio_low"]), float(speed["ratio_high"])
    found = describe_ratio(speed)
    known = ("slowdown", found, limit)
    told = f"A typical document takes {found} as long"
    if low > 1 + allowed:
        reason = "the interval is above the limit"
        return GateCheck(*known, "regression", reason, f"{told}, above the limit of {limit}.")
    if high > 1 + allowed:
        reason = "the limit is within the interval: more documents or runs make it narrower"
        words = f"{told}; the limit of {limit} is within the interval, which more documents or runs"
        return GateCheck(*known, "inconclusive", reason, f"{words} make narrower.")
    return GateCheck(*known, "pass", None, f"{told}, below the limit of {limit}.")
