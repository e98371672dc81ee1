"""What a load tells its caller besides the frames: changed values, and job counts that differ."""

from __future__ import annotations

import inspect
import os
import warnings
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from retab_frames.errors import RetabFramesWarning
from retab_frames.text.messages import printable
from retab_frames.text.next_steps import LIST_ISSUES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from retab_frames.text.next_steps import NextStep

__all__ = ["describe_count_mismatch", "warn_of_changed_values", "warn_of_count_mismatches"]

_PACKAGE = str(Path(__file__).parents[1]) + os.sep
_MAX_RUNS_NAMED = 5


def describe_count_mismatch(record: pa.Table, jobs: int) -> str | None:
    """Return how the number of jobs of a run differs from its record; None if it does not.

    Args:
        record: The run record: one row that fits RunsSchema, or none.
        jobs: How many jobs the run has, placeholders included.

    Returns:
        A phrase with both numbers. None too if there is no record, or it has no count: 0 and null
        are what a server sends that does not count.
    """
    if not record.num_rows:
        return None
    counts = (record.column(name)[0].as_py() for name in ("total_document_count", "document_count"))
    expected = next((count for count in counts if count), None)
    if expected is None or expected == jobs:
        return None
    return f"the run record says {expected} documents, {jobs} jobs came"


def warn_of_count_mismatches(mismatches: Mapping[str | None, str]) -> None:
    """Give one warning for all runs that have fewer or more jobs than their records say.

    Args:
        mismatches: What `describe_count_mismatch` says, by run id; no warning if there is none.
    """
    if len(mismatches) == 1:
        [(run_id, problem)] = mismatches.items()
        _warn(f"run {printable(run_id)} is not complete: {problem}")
    elif mismatches:
        named = islice(mismatches.items(), _MAX_RUNS_NAMED)
        runs = "; ".join(f"{printable(run_id)}: {problem}" for run_id, problem in named)
        more = len(mismatches) - _MAX_RUNS_NAMED
        rest = f"; and {more} more" if more > 0 else ""
        _warn(f"{len(mismatches)} runs are not complete: {runs}{rest}")


def warn_of_changed_values(actions: Iterable[str | None]) -> None:
    """Give one warning for all values that are not in the frames as the API sent them.

    Args:
        actions: What was done, of each issue; a value that was kept as it is needs no warning.
    """
    changed = sum(not (action or "").startswith("kept") for action in actions)
    if changed:
        text = f"{changed} values did not fit their columns and were changed or left out"
        _warn(text, LIST_ISSUES)


def _warn(text: str, next_step: NextStep | None = None) -> None:
    """Give a warning that points at the line outside this library that started the load."""
    warning = RetabFramesWarning(text)
    if next_step is not None:
        warning.advise(next_step)
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(warning, stacklevel=level + 1)
