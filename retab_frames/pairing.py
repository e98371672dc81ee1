"""Two runs side by side: each document's final jobs, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa

from retab_frames.content import RunContent
from retab_frames.errors import shown
from retab_frames.frames import FLAG, REAL, TEXT, WHOLE, arrow_column

__all__ = ["CHANGES", "ENDED", "FAILED", "Side", "paired_documents", "side_of", "transitions"]

CHANGES = ("broken", "fixed", "still_failing", "pending", "added", "removed", "unchanged")
"""What can have become of a document; the first that need a look."""

FAILED = ("error", "cancelled", "skipped")
ENDED = ("completed", *FAILED)
_NEEDED = ("run_id", "job_id", "document_id", "status", "is_placeholder", "duration_ms")
_INPUT_FIELDS = ("type", "file_id", "filename", "content_fingerprint", "data")


@dataclass(frozen=True, eq=False)
class Side:
    """One of two runs.

    Attributes:
        run_id: The run; None where the jobs are placeholders only.
        jobs: Its jobs as they were given.
        final: The final job of each document, by `document_id`.
        inputs: One row per job and handle input.
        record: The fields of its run record that are not null; empty for a bare frame.
        complete: As RunContent.complete; None for a bare frame.
    """

    run_id: str | None
    jobs: pd.DataFrame
    final: pd.DataFrame
    inputs: pd.DataFrame
    record: dict[str, Any]
    complete: bool | None


def side_of(given: RunContent | pd.DataFrame, name: str) -> Side:
    """Return a run as a side of a comparison; `name` is what errors call it.

    Raises:
        TypeError: If it is neither a RunContent nor a frame.
        ValueError: If it holds several runs, or is no frame of jobs.
    """
    jobs = given.jobs if isinstance(given, RunContent) else given
    if not isinstance(jobs, pd.DataFrame):
        raise TypeError(
            f"{name} must be a RunContent or a frame of jobs, not {type(given).__name__}"
        )
    missing = [column for column in _NEEDED if column not in jobs.columns]
    if missing:
        raise ValueError(f"{name} is no frame of jobs: it has no column {', '.join(missing)}")
    record, complete = {}, None
    if isinstance(given, RunContent):
        complete = given.complete
        records = given.run_table.to_pylist()
        record = {k: v for k, v in records[0].items() if v is not None} if records else {}
    run_id = _only_run(jobs, name)
    return Side(run_id, jobs, _final_jobs(jobs), _inputs(given), record, complete)


def paired_documents(baseline: Side, candidate: Side) -> pd.DataFrame:
    """Return one row per document, the baseline's in its order, then the added ones."""
    before, after = baseline.final, candidate.final
    documents = before.index.append(after.index.difference(before.index, sort=False))
    before, after = before.reindex(documents), after.reindex(documents)
    return _documents(before, after, (baseline.inputs, candidate.inputs))


def _only_run(jobs: pd.DataFrame, name: str) -> str | None:
    runs = jobs["run_id"].dropna().unique().tolist()
    if len(runs) > 1:
        one = shown(repr(runs[0]))
        raise ValueError(f"{name} holds {len(runs)} runs; choose one: jobs[jobs.run_id == {one}]")
    return runs[0] if runs else None


def _final_jobs(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return the final job of each document, by document, in the order of first appearance.

    The job id decides last, so that the order of the rows never does.
    """
    order = [name for name in ("attempt", "completed_at", "job_id") if name in jobs.columns]
    ranked = jobs.sort_values(order, kind="stable", na_position="first")
    final = ranked.drop_duplicates("document_id", keep="last").set_index("document_id")
    return final.loc[jobs["document_id"].drop_duplicates()]


def _documents(
    before: pd.DataFrame, after: pd.DataFrame, inputs: tuple[pd.DataFrame, pd.DataFrame]
) -> pd.DataFrame:
    change = _change(before, after)
    baseline_ms, candidate_ms = (
        np.where(
            change == "unchanged",
            side["duration_ms"].to_numpy(dtype=np.float64, na_value=np.nan),
            np.nan,
        )
        for side in (before, after)
    )
    ratio = candidate_ms / np.where(baseline_ms > 0, baseline_ms, np.nan)
    filename = _optional(after, "filename").fillna(_optional(before, "filename"))
    columns: dict[str, Any] = {
        "document_id": (before.index, TEXT),
        "filename": (filename, TEXT),
        "change": (change, TEXT),
        "baseline_status": (before["status"], TEXT),
        "candidate_status": (after["status"], TEXT),
        "baseline_duration_ms": (before["duration_ms"], WHOLE),
        "candidate_duration_ms": (after["duration_ms"], WHOLE),
        "delta_ms": (candidate_ms - baseline_ms, WHOLE),
        "ratio": (ratio, REAL),
        "inputs_changed": (_inputs_changed(before, after, inputs), FLAG),
        "artifact_changed": (_artifact_changed(before, after), FLAG),
    }
    return pd.DataFrame(
        {name: arrow_column(values, kind) for name, (values, kind) in columns.items()}
    )


def _optional(jobs: pd.DataFrame, name: str) -> pd.Series[Any]:
    if name in jobs.columns:
        return jobs[name]
    return pd.Series(None, index=jobs.index, dtype=pd.ArrowDtype(pa.string()))


def _change(before: pd.DataFrame, after: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.object_]]:
    def is_in(side: pd.DataFrame, statuses: tuple[str, ...]) -> np.ndarray[Any, Any]:
        placeholder = side["is_placeholder"].to_numpy(dtype=bool, na_value=True)
        real: np.ndarray[Any, Any] = ~placeholder & side["status"].isin(statuses).to_numpy(
            dtype=bool
        )
        return real

    missing_before, missing_after = (side["job_id"].isna().to_numpy() for side in (before, after))
    ended = is_in(before, ENDED) & is_in(after, ENDED)
    done_before, done_after = is_in(before, ("completed",)), is_in(after, ("completed",))
    return np.select(
        [
            missing_before,
            missing_after,
            ~ended,
            done_before & done_after,
            done_before,
            done_after,
        ],
        ["added", "removed", "pending", "unchanged", "broken", "fixed"],
        default="still_failing",
    )


def transitions(documents: pd.DataFrame) -> pd.DataFrame:
    """Return how many documents went from which status to which."""
    keys = ["baseline_status", "candidate_status"]
    sizes = documents.groupby(keys, dropna=False, sort=True).size()
    counts = sizes.rename("documents").reset_index()
    counts["documents"] = arrow_column(counts["documents"].to_numpy(), WHOLE)
    return counts


def _artifact_changed(before: pd.DataFrame, after: pd.DataFrame) -> list[bool | None]:
    old, new = (_optional(side, "artifact_id") for side in (before, after))
    known = (old.notna() & new.notna()).tolist()
    return [d if k else None for d, k in zip(_differs(old, new).tolist(), known, strict=True)]


def _inputs_changed(
    before: pd.DataFrame, after: pd.DataFrame, inputs: tuple[pd.DataFrame, pd.DataFrame]
) -> list[bool | None]:
    """Tell, handle by handle, whether a document's inputs differ; null if a side has it not.

    JSON is compared by value; a file by the fingerprint of its content where both sides have one,
    else by its id, else by its name.
    """
    old, new = (
        side[side["job_id"].isin(jobs["job_id"])]
        for side, jobs in zip(inputs, (before, after), strict=True)
    )
    pairs = old.merge(new, how="outer", on=["document_id", "handle"], suffixes=("_x", "_y"))
    side = {name: (pairs[f"{name}_x"], pairs[f"{name}_y"]) for name in _INPUT_FIELDS}
    differs = {name: _differs(*columns).to_numpy() for name, columns in side.items()}
    known = {name: (x.notna() & y.notna()).to_numpy() for name, (x, y) in side.items()}
    file_differs = np.select(
        [known["content_fingerprint"], known["file_id"]],
        [differs["content_fingerprint"], differs["file_id"]],
        default=differs["filename"],
    )
    alone = (pairs["job_id_x"].isna() | pairs["job_id_y"].isna()).to_numpy()
    changed = alone | differs["type"] | file_differs | _json_differs(*side["data"])
    documents = set(pairs["document_id"][changed])
    both = (before["job_id"].notna() & after["job_id"].notna()).to_numpy()
    return [
        document in documents if known_to_both else None
        for document, known_to_both in zip(before.index, both, strict=True)
    ]


def _inputs(side: RunContent | pd.DataFrame) -> pd.DataFrame:
    """Return one row per job and handle input, from the long frame or from the wide columns."""
    if isinstance(side, RunContent):
        return side.handle_inputs[["job_id", "document_id", "handle", *_INPUT_FIELDS]]
    prefix = "handle_inputs."
    found = (c.rpartition(".")[0] for c in side.columns if c.startswith(prefix))
    parts = []
    for column in dict.fromkeys(found):
        part = side[["job_id", "document_id"]].assign(
            handle=column.removeprefix(prefix),
            **{name: _optional(side, f"{column}.{name}") for name in _INPUT_FIELDS},
        )
        parts.append(part[part[list(_INPUT_FIELDS)].notna().any(axis=1)])
    names = ["job_id", "document_id", "handle", *_INPUT_FIELDS]
    text = pd.ArrowDtype(pa.string())
    whole = pd.concat(parts) if parts else pd.DataFrame({name: [] for name in names})
    return whole.astype(dict.fromkeys(names, text))


def _differs(old: pd.Series[Any], new: pd.Series[Any]) -> pd.Series[bool]:
    """Tell which values differ; two nulls do not, a null and a value do."""
    equal = (old == new).fillna(value=False).astype(bool)
    return ~(equal | (old.isna() & new.isna()))


def _json_differs(old: pd.Series[Any], new: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    differs = _differs(old, new).to_numpy(copy=True)
    for n in differs.nonzero()[0]:
        pair = (old.iloc[n], new.iloc[n])
        if not any(pd.isna(text) for text in pair):
            first, second = (_canonical(text) for text in pair)
            differs[n] = first != second
    return differs


def _canonical(text: str) -> bytes:
    """Return JSON with sorted keys and no blanks; what cannot be decoded stays as it is."""
    try:
        return msgspec.json.encode(msgspec.json.decode(text), order="sorted")
    except (msgspec.ValidationError, RecursionError):
        return text.encode()
