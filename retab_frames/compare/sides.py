"""Two runs side by side: each document's final jobs, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa

from retab_frames.load.content import RunContent
from retab_frames.schemas.frames import BOOL, FLOAT64, INT64, STRING, arrow_column
from retab_frames.schemas.handle_columns import HANDLE_INPUTS, handles_of_jobs
from retab_frames.schemas.vocabulary import TERMINAL
from retab_frames.text.messages import printable

__all__ = [
    "CHANGES",
    "COMPARABLE_CHANGES",
    "Side",
    "paired_documents",
    "side_of",
    "sort_by_change",
    "transitions",
]

CHANGES = ("broken", "fixed", "still_failing", "pending", "added", "removed", "unchanged")
"""What can have become of a document; the first that need a look."""

COMPARABLE_CHANGES = ("unchanged", "broken", "fixed", "still_failing")
"""The changes that can be read as a result: both sides have one."""

_NEEDED = {
    "run_id": STRING,
    "job_id": STRING,
    "document_id": STRING,
    "status": STRING,
    "is_placeholder": BOOL,
    "duration_ms": INT64,
}
_OPTIONAL = {
    "experiment_id": STRING,
    "filename": STRING,
    "block_kind": STRING,
    "artifact_id": STRING,
}
_INPUT_FIELDS = ("type", "file_id", "filename", "content_fingerprint", "data")

_Inputs = tuple[pd.DataFrame | None, pd.DataFrame | None]


@dataclass(frozen=True, eq=False)
class Side:
    """One of two runs.

    Attributes:
        run_id: The run; None where the jobs are placeholders only.
        jobs: Its jobs in the order given; the columns that a comparison reads are all there, and
            Arrow-backed.
        final: The final job of each document, by `document_id`.
        inputs: One row per job and handle input; None for a bare frame without such columns.
        record: The fields of its run record that are not null; empty for a bare frame.
        complete: As RunContent.complete; None for a bare frame.
    """

    run_id: str | None
    jobs: pd.DataFrame
    final: pd.DataFrame
    inputs: pd.DataFrame | None
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
    jobs = _typed(jobs, name)
    run_id, final = _only_run(jobs, name), _final_jobs(jobs)
    if not isinstance(given, RunContent):
        return Side(run_id, jobs, final, _wide_inputs(jobs), {}, None)
    records = given.run_table.to_pylist()
    record = {k: v for k, v in records[0].items() if v is not None} if records else {}
    inputs = given.handle_inputs[["job_id", "document_id", "handle", *_INPUT_FIELDS]]
    return Side(run_id or given.run_id, jobs, final, inputs, record, given.complete)


def sort_by_change(documents: pd.DataFrame) -> pd.DataFrame:
    """Return the paired documents in the order of CHANGES, those that need a look first."""
    order = documents["change"].map({change: n for n, change in enumerate(CHANGES)})
    return documents.iloc[order.argsort(kind="stable")]


def paired_documents(baseline: Side, candidate: Side) -> pd.DataFrame:
    """Return one row per document, the baseline's in its order, then the added ones."""
    before, after = baseline.final, candidate.final
    documents = before.index.append(after.index.difference(before.index, sort=False))
    before, after = before.reindex(documents), after.reindex(documents)
    return _documents(before, after, (baseline.inputs, candidate.inputs))


def _typed(jobs: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the jobs with the columns and types that a comparison reads, whoever read the file."""
    missing = [column for column in _NEEDED if column not in jobs.columns]
    if missing:
        raise ValueError(f"{name} is no frame of jobs: it has no column {', '.join(missing)}")
    # an index may bear the name of a column, and be ambiguous
    jobs = jobs.reset_index(drop=True)
    columns = {}
    for column, kind in {**_NEEDED, **_OPTIONAL}.items():
        values = jobs[column] if column in jobs.columns else [None] * len(jobs)
        try:
            columns[column] = arrow_column(values, kind)
        except pa.ArrowException as error:
            message = f"{name} is no frame of jobs: its column {column} does not fit {kind}"
            raise ValueError(message) from error
    return jobs.assign(**columns)


def _only_run(jobs: pd.DataFrame, name: str) -> str | None:
    runs = jobs["run_id"].dropna().unique().tolist()
    if len(runs) > 1:
        one = printable(repr(runs[0]))
        raise ValueError(f"{name} holds {len(runs)} runs; choose one: jobs[jobs.run_id == {one}]")
    return runs[0] if runs else None


def _final_jobs(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return the final job of each document, by document, in the order of first appearance.

    A job goes before a placeholder. The job id decides last, so that the order of the rows never
    does.
    """
    order = [name for name in ("attempt", "completed_at", "job_id") if name in jobs.columns]
    ranked = jobs.sort_values(order, kind="stable", na_position="first")
    ranked = ranked.sort_values("is_placeholder", ascending=False, kind="stable")
    final = ranked.drop_duplicates("document_id", keep="last").set_index("document_id")
    return final.loc[jobs["document_id"].drop_duplicates()]


def _documents(before: pd.DataFrame, after: pd.DataFrame, inputs: _Inputs) -> pd.DataFrame:
    change = _change(before, after)
    # whole numbers, so that the delta of huge durations is exact
    old_ms, new_ms = (side["duration_ms"].where(change == "unchanged") for side in (before, after))
    columns: dict[str, Any] = {
        "document_id": (before.index, STRING),
        "filename": (after["filename"].fillna(before["filename"]), STRING),
        "change": (change, STRING),
        "baseline_status": (before["status"], STRING),
        "candidate_status": (after["status"], STRING),
        "baseline_duration_ms": (before["duration_ms"], INT64),
        "candidate_duration_ms": (after["duration_ms"], INT64),
        "delta_ms": (new_ms - old_ms, INT64),
        "ratio": (_floats(new_ms) / _floats(old_ms.where(old_ms > 0)), FLOAT64),
        "inputs_changed": (_inputs_changed(before, after, inputs), BOOL),
        "artifact_changed": (_artifact_changed(before, after), BOOL),
    }
    return pd.DataFrame(
        {name: arrow_column(values, kind) for name, (values, kind) in columns.items()}
    )


def _floats(column: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _change(before: pd.DataFrame, after: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.object_]]:
    def is_in(side: pd.DataFrame, statuses: tuple[str, ...]) -> np.ndarray[Any, Any]:
        placeholder = side["is_placeholder"].to_numpy(dtype=bool, na_value=True)
        real: np.ndarray[Any, Any] = ~placeholder & side["status"].isin(statuses).to_numpy(
            dtype=bool
        )
        return real

    missing_before, missing_after = (side["job_id"].isna().to_numpy() for side in (before, after))
    ended = is_in(before, TERMINAL) & is_in(after, TERMINAL)
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
    counts["documents"] = arrow_column(counts["documents"].to_numpy(), INT64)
    return counts


def _artifact_changed(before: pd.DataFrame, after: pd.DataFrame) -> list[bool | None]:
    old, new = before["artifact_id"], after["artifact_id"]
    known = (old.notna() & new.notna()).tolist()
    return [d if k else None for d, k in zip(_differs(old, new).tolist(), known, strict=True)]


def _inputs_changed(
    before: pd.DataFrame, after: pd.DataFrame, inputs: _Inputs
) -> list[bool | None]:
    """Tell, handle by handle, whether a document's inputs differ; null if a side has it not.

    JSON is compared by value; a file by the fingerprint of its content where both sides have one,
    else by its id, else by its name.
    """
    if inputs[0] is None or inputs[1] is None:
        return [None] * len(before)
    old = inputs[0][inputs[0]["job_id"].isin(before["job_id"])]
    new = inputs[1][inputs[1]["job_id"].isin(after["job_id"])]
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


def _wide_inputs(jobs: pd.DataFrame) -> pd.DataFrame | None:
    """Return one row per job and handle input, from the columns of the jobs; None without any."""
    if not any(str(name).startswith(HANDLE_INPUTS) for name in jobs.columns):
        return None
    return handles_of_jobs(jobs)[["job_id", "document_id", "handle", *_INPUT_FIELDS]]


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
    except (msgspec.DecodeError, OverflowError, RecursionError):
        return text.encode()
