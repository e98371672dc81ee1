"""Two runs, document by document: what broke, what was fixed, what became slower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa

from retab_frames.content import RunContent
from retab_frames.errors import shown

__all__ = ["CHANGES", "RunComparison", "compare_runs"]

CHANGES = ("broken", "fixed", "still_failing", "pending", "added", "removed", "unchanged")
"""What can have become of a document; the first that need a look."""

_FAILED = ("error", "cancelled", "skipped")
_ENDED = ("completed", *_FAILED)
_NEEDED = ("run_id", "job_id", "document_id", "status", "is_placeholder", "duration_ms")
_INPUT_FIELDS = ("type", "file_id", "filename", "content_fingerprint", "data")


@dataclass(frozen=True, eq=False, repr=False)
class RunComparison:
    """Two runs of an experiment, paired by document.

    Attributes:
        baseline_run_id: The run that is compared with.
        candidate_run_id: The run that is compared.
        documents: One row per document, the baseline's in its order, then the added ones:
            `document_id`, `filename`, `change`, `baseline_status`, `candidate_status`,
            `baseline_duration_ms`, `candidate_duration_ms`, `delta_ms` (candidate - baseline),
            `ratio` (candidate / baseline), `inputs_changed`, `artifact_changed`. Delta and ratio
            are null unless both sides were completed, for a failure is not fast; a baseline of
            0 ms has no ratio. The last two are null where a side has no value.
        transitions: One row per pair of statuses that occurs: `baseline_status`,
            `candidate_status`, `documents` (count); null is a document that a side has not.
    """

    baseline_run_id: str | None
    candidate_run_id: str | None
    documents: pd.DataFrame
    transitions: pd.DataFrame

    @property
    def changes(self) -> dict[str, int]:
        """How many documents there are of each change, in the order of CHANGES."""
        counts = self.documents["change"].value_counts()
        return {change: int(counts.get(change, 0)) for change in CHANGES}

    def summary(self) -> str:
        """Return the comparison in plain words."""
        changes = self.changes
        parts = [f"{n} {change.replace('_', ' ')}" for change, n in changes.items() if n]
        names = f"{shown(self.candidate_run_id)} against {shown(self.baseline_run_id)}"
        lines = [names, f"{len(self.documents)} documents: {', '.join(parts) or 'none'}."]
        both = self.documents[self.documents["change"] == "unchanged"]
        ratios = both["ratio"].dropna()
        if len(ratios):
            median = float(ratios.median())
            percent = round(100 * (median - 1))
            word = "slower" if percent > 0 else "faster"
            change = f"{abs(percent)} % {word}" if percent else "as fast"
            lines.append(
                f"Median ratio of the {len(ratios)} completed in both: {median:.2f} ({change})."
            )
        return "\n".join(lines)

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {change}" for change, n in self.changes.items() if n)
        return (
            f"RunComparison({self.baseline_run_id!r} -> {self.candidate_run_id!r}: "
            f"{len(self.documents)} documents{f' ({counts})' if counts else ''})"
        )


def compare_runs(
    baseline: RunContent | pd.DataFrame, candidate: RunContent | pd.DataFrame
) -> RunComparison:
    """Return what changed from one run to another.

    Jobs are paired by `document_id`; of several jobs of one document, the final one counts (the
    highest attempt, then the one completed last). A document is `broken` if it was completed and
    is no more, `fixed` the other way round, `still_failing` if it fails in both, `unchanged` if it
    is completed in both, `pending` if a side is unfinished, a placeholder, or of a status that this
    library does not know, `added` or `removed` if only one side has it.

    Args:
        baseline: The run to compare with: its content, or its frame of jobs.
        candidate: The run to compare.

    Raises:
        ValueError: If a side holds several runs, or is no frame of jobs.
    """
    sides = [_side(side, name) for side, name in ((baseline, "baseline"), (candidate, "candidate"))]
    ids = [
        _only_run(side, name) for side, name in zip(sides, ("baseline", "candidate"), strict=True)
    ]
    before, after = (_final_jobs(side) for side in sides)
    documents = before.index.append(after.index.difference(before.index, sort=False))
    before, after = before.reindex(documents), after.reindex(documents)
    table = _documents(before, after, (_inputs(baseline), _inputs(candidate)))
    return RunComparison(ids[0], ids[1], table, _transitions(table))


def _side(side: RunContent | pd.DataFrame, name: str) -> pd.DataFrame:
    jobs = side.jobs if isinstance(side, RunContent) else side
    if not isinstance(jobs, pd.DataFrame):
        raise TypeError(
            f"{name} must be a RunContent or a frame of jobs, not {type(side).__name__}"
        )
    missing = [column for column in _NEEDED if column not in jobs.columns]
    if missing:
        raise ValueError(f"{name} is no frame of jobs: it has no column {', '.join(missing)}")
    return jobs


def _only_run(jobs: pd.DataFrame, name: str) -> str | None:
    runs = jobs["run_id"].dropna().unique().tolist()
    if len(runs) > 1:
        raise ValueError(
            f"{name} holds {len(runs)} runs; choose one, as in jobs[jobs.run_id == {runs[0]!r}]"
        )
    return runs[0] if runs else None


def _final_jobs(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return the final job of each document, by document, in the order of first appearance."""
    order = [name for name in ("attempt", "completed_at") if name in jobs.columns]
    ranked = jobs.sort_values(order, kind="stable", na_position="first") if order else jobs
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
        "document_id": (before.index, pa.string()),
        "filename": (filename, pa.string()),
        "change": (change, pa.string()),
        "baseline_status": (before["status"], pa.string()),
        "candidate_status": (after["status"], pa.string()),
        "baseline_duration_ms": (before["duration_ms"], pa.int64()),
        "candidate_duration_ms": (after["duration_ms"], pa.int64()),
        "delta_ms": (candidate_ms - baseline_ms, pa.int64()),
        "ratio": (ratio, pa.float64()),
        "inputs_changed": (_inputs_changed(before, after, inputs), pa.bool_()),
        "artifact_changed": (_artifact_changed(before, after), pa.bool_()),
    }
    return pd.DataFrame({name: _column(values, kind) for name, (values, kind) in columns.items()})


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
    ended = is_in(before, _ENDED) & is_in(after, _ENDED)
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


def _transitions(documents: pd.DataFrame) -> pd.DataFrame:
    keys = ["baseline_status", "candidate_status"]
    sizes = documents.groupby(keys, dropna=False, sort=True).size()
    counts = sizes.rename("documents").reset_index()
    counts["documents"] = _column(counts["documents"].to_numpy(), pa.int64())
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


def _column(values: Any, kind: pa.DataType) -> pd.Series[Any]:
    array = pa.array(values, from_pandas=True)
    return pd.Series(pd.arrays.ArrowExtensionArray(array.cast(kind)))
