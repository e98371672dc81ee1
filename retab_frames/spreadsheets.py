"""Excel files of frames, runs and results: which tables they have, and the words for them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retab_frames.compare.many_runs import ManyComparison
from retab_frames.compare.planner import RunPlan
from retab_frames.compare.run_trend import RunTrend
from retab_frames.compare.two_runs import RunComparison
from retab_frames.errors import RetabFramesWarning
from retab_frames.load.content import RunContent
from retab_frames.schemas.dictionary import list_names
from retab_frames.schemas.intake import check_frame
from retab_frames.text.excel import render_excel
from retab_frames.text.messages import printable
from retab_frames.text.pages import write_file
from retab_frames.text.tables import format_count

if TYPE_CHECKING:
    import os

    import pandas as pd

__all__ = ["to_excel"]

_OF_RUN = ("jobs", "handle_inputs", "handle_outputs", "run", "issues")
_RESULTS: dict[type, str] = {
    RunComparison: "comparison",
    ManyComparison: "compare_many",
    RunPlan: "plan",
    RunTrend: "trend",
}
"""What the names of their frames begin with in the data dictionary."""
_WANTS = (
    "an Excel file has a frame, a dict of frames, a RunContent, a RunComparison, a ManyComparison, "
    "a RunPlan or a RunTrend"
)


def to_excel(
    subject: pd.DataFrame
    | Mapping[str, pd.DataFrame]
    | RunContent
    | RunComparison
    | ManyComparison
    | RunPlan
    | RunTrend,
    path: str | os.PathLike[str],
) -> Path:
    """Write an Excel file and return its path: a sheet per table, with headers that can filter.

    Times are naive and in UTC, with a date format; beside a column of milliseconds (`..._ms`) is
    one of seconds (`..._s`). Nulls are empty cells. Text is never a formula or a link. What Excel
    cannot hold as a number or a time (whole numbers of more than 15 digits, infinity, years before
    1900) is text. The file is written completely or not at all, and replaces an existing one; equal
    subjects give equal files.

    Args:
        subject: A frame, whose sheet is `table`; frames by the name of their sheet; a run, with
            jobs, handle inputs, handle outputs, run and issues; or a comparison of two runs or of
            many, a plan or a trend, with its summary and all its frames. Of runs and results,
            frames without rows are left out. `describe` says what their columns mean. The index of
            a frame is left out, unless it has a name or is not of whole numbers.
        path: Where to write; it ends in `.xlsx`.

    Raises:
        TypeError: If the subject is none of these.
        ValueError: If the path has another ending, a frame more rows or columns than a sheet
            (1,048,575 and 16,384), or the name of a sheet is not valid.
        MissingExtraError: If xlsxwriter is not installed (the extra `excel`).
        OSError: If the file cannot be written.

    Warns:
        RetabFramesWarning: If text had to be cut: a cell has at most 32,767 characters. The sheet
            `notes` names each.

    Example:
        >>> import retab_frames as rf
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         jobs = rf.load_jobs("wf_sandbox", "exp_invoices", client=client)
        >>> rf.to_excel(jobs, "jobs.xlsx").name
        'jobs.xlsx'
    """
    target = Path(path)
    if target.suffix.lower() != ".xlsx":
        raise ValueError(f"an Excel file ends in .xlsx, not {printable(str(target))}")
    sheets = _list_sheets(subject)
    summary: list[str] = []
    if isinstance(subject, RunComparison | ManyComparison | RunPlan | RunTrend):
        summary = subject.summary().splitlines()
    rendered = render_excel(sheets, summary)
    write_file(target, rendered.data)
    if rendered.changed:
        text = (
            f"{format_count(len(rendered.changed), 'cell')} of {printable(target.name)} cannot "
            f"hold the text as it is ({printable(rendered.changed[0], 200)}); the sheet `notes` "
            "lists them"
        )
        warnings.warn(text, RetabFramesWarning, stacklevel=2)
    return target


def _list_sheets(subject: Any) -> dict[str, pd.DataFrame]:
    """Return the frames by the name of their sheet, in order."""
    if isinstance(subject, RunContent):
        frames = {name: getattr(subject, name) for name in _OF_RUN}
    elif isinstance(subject, tuple(_RESULTS)):
        frames = _list_frames(subject, _RESULTS[type(subject)])
    elif isinstance(subject, Mapping):
        if not subject:
            raise ValueError("there is no frame to write: the dict is empty")
        return {str(name): check_frame(frame, _WANTS) for name, frame in subject.items()}
    else:
        return {"table": check_frame(subject, _WANTS)}
    filled = {name: frame for name, frame in frames.items() if len(frame)}
    shown = filled or dict(list(frames.items())[:1])
    return {name.replace("_", " "): frame for name, frame in shown.items()}


def _list_frames(result: object, prefix: str) -> dict[str, pd.DataFrame]:
    """Return the frames of a result by the names that the data dictionary has for them."""
    frames = {}
    for name in list_names():
        owner, *path = name.split(".")
        if owner != prefix:
            continue
        value: Any = result
        for part in path:
            value = None if value is None else getattr(value, part)
        if value is not None:  # as `earlier`, without earlier runs
            frames["_".join(path)] = value() if callable(value) else value
    return frames
