"""What the records of two runs say: dates, scores, and what differs in the definition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from retab_frames.schemas.frames import FLOAT64, INT64, STRING, TIME, frame_of_rows
from retab_frames.schemas.vocabulary import COMPLETED, FAILED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from retab_frames.compare.sides import Side

__all__ = ["collect_facts", "compare_definitions", "subtract_scores", "tabulate_runs"]

_FACTS = ("experiment_id", "created_at", "status", "n_consensus", "score")
_DEFINITION = "block_config"
_RUNS = {
    "side": STRING,
    "run_id": STRING,
    "experiment_id": STRING,
    "created_at": TIME,
    "status": STRING,
    "n_consensus": INT64,
    "documents": INT64,
    "completed": INT64,
    "failed": INT64,
    "score": FLOAT64,
    "score_delta": FLOAT64,
}
_DIFFERENCES = {"path": STRING, "baseline": STRING, "candidate": STRING}


def collect_facts(side: Side) -> dict[str, Any]:
    """Return what a comparison tells of a run beside its documents; None where it is not known."""
    names = ("run_id", *_FACTS, _DEFINITION)
    return {name: side.run_id if name == "run_id" else side.read_fact(name) for name in names}


def tabulate_runs(facts: Sequence[dict[str, Any]], documents: pd.DataFrame) -> pd.DataFrame:
    """Return one row per side; see RunComparison.runs.

    Args:
        facts: Of the baseline and of the candidate, as `collect_facts` returns them.
        documents: The paired documents.
    """
    rows = []
    for side, of_run, delta in zip(
        ("baseline", "candidate"), facts, (None, subtract_scores(facts, documents)), strict=True
    ):
        status = documents[f"{side}_status"]
        counts = (
            int(documents[f"{side}_job_id"].notna().sum()),
            *(int(status.isin(names).sum()) for names in (COMPLETED, FAILED)),
        )
        experiment_id, created_at, run_status, votes, score = (of_run[name] for name in _FACTS)
        known = (of_run["run_id"], experiment_id, created_at, run_status, votes)
        rows.append((side, *known, *counts, score, delta))
    return frame_of_rows(rows, _RUNS)


def subtract_scores(facts: Sequence[dict[str, Any]], documents: pd.DataFrame) -> float | None:
    """Return by how much the score changed; None where the two do not measure the same.

    A score is of the documents that its run completed, and of the agreement of so many votes.
    """
    before, after = facts
    if before["score"] is None or after["score"] is None:
        return None
    if before["n_consensus"] != after["n_consensus"]:
        return None
    is_scored = [documents[f"{side}_status"].isin(COMPLETED) for side in ("baseline", "candidate")]
    if (is_scored[0] != is_scored[1]).any():
        return None
    # without the digits that are rounding alone
    return round(float(after["score"]) - float(before["score"]), 12)


def compare_definitions(facts: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return one row per value of the definition that differs; see RunComparison.definition.

    Args:
        facts: Of the baseline and of the candidate, as `collect_facts` returns them.
    """
    texts = [of_run[_DEFINITION] for of_run in facts]
    if None in texts:
        return frame_of_rows((), _DIFFERENCES)
    before, after = (dict(_list_values(_decode(text))) for text in texts)
    rows = [
        (path, *_write_pair(before.get(path, _NOTHING), after.get(path, _NOTHING)))
        for path in dict.fromkeys([*before, *after])
        if before.get(path, _NOTHING) != after.get(path, _NOTHING)
    ]
    return frame_of_rows(rows, _DIFFERENCES)


_NOTHING = ""
"""Stands for a value that a side lacks; no JSON is empty."""


def _decode(text: str) -> Any:
    """Return the value of JSON text; text that cannot be decoded stays as it is."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _list_values(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the path and the JSON text of each value that has no values in it, in their order."""
    open_values = [(_DEFINITION, value)]
    while open_values:
        path, value = open_values.pop()
        before = "" if path == _DEFINITION else f"{path}."
        if isinstance(value, dict) and value:
            parts = [(f"{before}{_quote(key)}", part) for key, part in value.items()]
        elif isinstance(value, list) and value:
            parts = [(f"{before}{n}", part) for n, part in enumerate(value)]
        else:
            yield path, msgspec.json.encode(value).decode()
            continue
        open_values += reversed(parts)


def _quote(key: str) -> str:
    """Return a key of an object as a part of a path: in quotes where it would not read as one."""
    plain = key and "." not in key and '"' not in key
    return key if plain else msgspec.json.encode(key).decode()


def _write_pair(before: str, after: str) -> tuple[str | None, str | None]:
    """Return two values as text, without the quotes of JSON unless these alone tell them apart."""
    plain = [_unquote(text) for text in (before, after)]
    chosen = [before, after] if plain[0] == plain[1] else plain
    first, second = (
        None if text == _NOTHING else told
        for text, told in zip((before, after), chosen, strict=True)
    )
    return first, second


def _unquote(text: str) -> str:
    return str(msgspec.json.decode(text)) if text.startswith('"') else text
