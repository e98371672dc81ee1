"""The handle inputs of jobs, and the documents whose inputs differ between two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd

from retab_frames.schemas.handle_columns import HANDLE_INPUTS, handles_of_jobs

if TYPE_CHECKING:
    from retab_frames.stats.grouped_values import Flags

__all__ = ["INPUT_COLUMNS", "extract_inputs", "find_changed_documents"]

_COMPARED = ("type", "file_id", "filename", "content_fingerprint", "data")
INPUT_COLUMNS = ["job_id", "document_id", "handle", *_COMPARED]
"""What a comparison reads of a frame with one row per job and handle input."""


def extract_inputs(jobs: pd.DataFrame) -> pd.DataFrame | None:
    """Return one row per job and handle input, from the columns of the jobs; None without any."""
    if not any(str(name).startswith(HANDLE_INPUTS) for name in jobs.columns):
        return None
    return handles_of_jobs(jobs)[INPUT_COLUMNS]


def find_changed_documents(old: pd.DataFrame, new: pd.DataFrame) -> set[str]:
    """Return the ids of the documents whose inputs differ in at least one handle.

    JSON is compared by value. A file is compared by the fingerprint of its content if both sides
    have one, else by its id, else by its name. A handle that only one side has is a difference.

    Args:
        old: The inputs of one job per document, with INPUT_COLUMNS.
        new: The same for the other run.
    """
    pairs = old.merge(new, how="outer", on=["document_id", "handle"], suffixes=("_old", "_new"))
    values = {name: (pairs[f"{name}_old"], pairs[f"{name}_new"]) for name in _COMPARED}
    differs = {name: _differ(*columns) for name, columns in values.items()}
    known = {name: (x.notna() & y.notna()).to_numpy() for name, (x, y) in values.items()}
    file_differs = np.select(
        [known["content_fingerprint"], known["file_id"]],
        [differs["content_fingerprint"], differs["file_id"]],
        default=differs["filename"],
    )
    on_one_side = (pairs["job_id_old"].isna() | pairs["job_id_new"].isna()).to_numpy()
    changed = on_one_side | differs["type"] | file_differs | _json_differ(*values["data"])
    return set(pairs["document_id"][changed])


def _differ(old: pd.Series[Any], new: pd.Series[Any]) -> Flags:
    """Return which values differ; two nulls are equal, a null and a value are not."""
    equal = (old == new).fillna(value=False).astype(bool)
    return (~(equal | (old.isna() & new.isna()))).to_numpy(copy=True)


def _json_differ(old: pd.Series[Any], new: pd.Series[Any]) -> Flags:
    differs = _differ(old, new)
    for n in differs.nonzero()[0]:
        pair = (old.iloc[n], new.iloc[n])
        if not any(pd.isna(text) for text in pair):
            first, second = map(_normalize, pair)
            differs[n] = first != second
    return differs


def _normalize(text: str) -> bytes:
    """Return JSON with sorted keys and no blanks; text that cannot be decoded stays as it is."""
    try:
        return msgspec.json.encode(msgspec.json.decode(text), order="sorted")
    except (msgspec.DecodeError, OverflowError, RecursionError):
        return text.encode()
