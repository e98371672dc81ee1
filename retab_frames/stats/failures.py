"""What failed jobs say, once what differs from one message of a kind to the next is masked."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.schemas.frames import FLOAT64, INT64, STRING, arrow_column
from retab_frames.schemas.vocabulary import FAILED
from retab_frames.stats.on_dask import by_group, is_distributed
from retab_frames.stats.samples import check_jobs, groups_of, has_status, with_group_keys

if TYPE_CHECKING:
    import dask.dataframe as dd

    from retab_frames.stats.samples import Grouping

__all__ = ["failures", "templates"]

NO_MESSAGE = "(no message)"
MOST_READ = 2_000
"""Characters of a message that are read: what failed stands first, a stack trace after it."""
LONGEST = 300

_FILES = (
    "bmp|csv|docx?|eml|gif|gz|heic|html?|jpe?g|jsonl?|md|msg|odt|parquet|pdf|png|pptx?|rtf|tiff?"
    "|tsv|txt|webp|xlsx?|xml|ya?ml|zip"
)
_IDS = "blk|blkver|chatcmpl|doc|exp|expdoc|expjob|exprun|ext|file|job|req|run|trace|wf|wfver"
_CLOCK = r"\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?"
_ZONE = r"(?: ?(?:Z|UTC)\b| ?[+-]\d\d:?\d\d)"
_OPENS = r"(^|[\s(\[{=:,])"

_OWN, _OWN_FILE = "\ue000", "\ue001"
"""Stand for a name of the job itself until what it is part of has been masked."""

MASKS = (
    (r"\s+", " "),
    (r"^ | $", ""),
    # the status of a response tells what failed: behind a mark its digits are no number
    (r"(?i)\b(http(?:/\d(?:\.\d)?)?|status(?: code)?)([ :=]{1,2})([1-5]\d\d)\b", r"\1\2_\3"),
    (r'"(?:[^"\\]|\\.)*"|“[^”]*”|«[^»]*»|\x{2018}[^\x{2019}]*\x{2019}|`[^`]*`', "<text>"),
    # an apostrophe opens no quotation within a word, and closes none before a letter
    (_OPENS + r"'(?:[^']|'\pL)*'", r"\1<text>"),
    (r"""[A-Za-z][A-Za-z0-9+.-]*://[^\s<>"']*[^\s<>"'.,;:!?)\]}]""", "<url>"),
    (r"[\pL\pN._%+-]+@[\pL\pN-]+(?:\.[\pL\pN-]+)+", "<email>"),
    (r"(?i)\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", "<id>"),
    (rf"\b\d{{4}}-\d\d-\d\d(?:[T ]{_CLOCK}{_ZONE}?)?|\b\d\d:\d\d:\d\d(?:[.,]\d+)?", "<time>"),
    (_OPENS + r"(?:~|\.\.?)?(?:/[^\s/:,;()\[\]{}<>]*[^\s/:,;()\[\]{}<>.])+/?", r"\1<path>"),
    (r"\b[A-Za-z]:\\[^\s,;:*?|<>]*", "<path>"),
    (rf"(?i)[\pL\pN_.~%@+/\x{{E000}}-]+\.(?:{_FILES})\b", "<path>"),
    (rf"\b(?:{_IDS})[_-][\w-]*[A-Z0-9][\w-]*", "<id>"),
    (r"\b[a-z]{2,12}_[\w-]*[A-Z][\w-]*", "<id>"),
    (r"\b[a-z]{2,12}_(?:[a-z]{0,6}\d[a-z0-9]{5,}|[a-z0-9]{8,}\d[a-z0-9]*)\b", "<id>"),
    # before those ids that may be digits by chance: a long number is a number
    (r"\b\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?\b", "<n>"),
    (r"(?i)\b0x[0-9a-f]+\b|\b[0-9a-f]{12,}\b", "<id>"),
    (r"(?i)\b(?:[a-f]{0,7}\d[0-9a-f]{7,}|[0-9a-f]{7,}\d[0-9a-f]*)\b", "<id>"),
    (r"\b[A-Za-z]{0,15}\d[A-Za-z0-9]{11,}\b", "<id>"),
    (r"\b\d+(?:[.,]\d+)*", "<n>"),
    (r"([ :=])_([1-5]\d\d)\b", r"\1\2"),
    (_OWN, "<id>"),
    (_OWN_FILE, "<path>"),
)
"""Patterns (RE2: linear in the length of any message) and what takes the place of each, in order.

A number within a word stays (utf8, page2), and so does a name in small letters (unit_price).
"""

_OWN_NAMES = {"filename": _OWN_FILE, "document_id": _OWN, "job_id": _OWN, "run_id": _OWN}
_SHORTEST_NAME = 6
"""A shorter name may well be part of a word."""
_NEEDED = (*_OWN_NAMES, "status", "is_placeholder", "error_message")
_TYPES = {"jobs": INT64, "documents": INT64, "runs": INT64, "share": FLOAT64}


def failures(jobs: pd.DataFrame | dd.DataFrame, by: Grouping = None) -> pd.DataFrame:
    """Return the error messages of failed jobs, grouped by template.

    A template is a message whose ids, numbers, quoted texts, paths, file names, URLs, e-mail
    addresses and times are masked, as are the names of the job itself, so that two messages that
    differ only in these are counted together. The status of an HTTP response stays. A template may
    still hold what a document says, where the message repeats it unquoted.

    Args:
        jobs: A frame with the columns of JobsSchema, or a Dask frame of them.
        by: As for `duration_stats`: count the messages of each group apart.

    Returns:
        One row per group, template and status of the jobs that are error, cancelled or skipped:
        the group's columns; `template` ("(no message)" for none; at most 300 characters),
        `status`; `jobs`, `documents` and `runs` (counts of distinct ones); `share` of the failed
        jobs of the group; `example_document_id`, `example_filename` and `example_job_id` of the
        first such job by run and job id. Groups in order of first appearance, then the most
        frequent first, ties by template.

    Raises:
        ValueError: If a column is missing.

    Example:
        >>> import retab_frames as rf
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         where = (sandbox.workflow_id, "exp_invoices")
        ...         jobs = rf.load_jobs(*where, run_id="exprun_invoices_4", client=client)
        >>> print(rf.failures(jobs)["template"][0])
        Model answered with <n> tokens, over the limit of <n> (request <id>)
    """
    if is_distributed(jobs):
        return by_group(jobs, by, partial(failures, by=by), columns=_NEEDED, kept=_failed)
    check_jobs(jobs, _NEEDED, "failures")
    keys, group = groups_of(jobs, by)
    is_failed = has_status(jobs, FAILED)
    failed = jobs.loc[is_failed, list(_NEEDED)].reset_index(drop=True)
    failed = failed.assign(_template=_templates_of(failed), _group=group[is_failed])
    failed = failed.sort_values(["_group", "run_id", "job_id"], kind="stable", ignore_index=True)
    kinds = failed.groupby(["_group", "_template", "status"], sort=False, dropna=False)
    first = failed.loc[~failed.duplicated(["_group", "_template", "status"])]
    counts = kinds.size().to_numpy()
    number = first["_group"].to_numpy()
    columns = {
        "template": first["_template"],
        "status": first["status"],
        "jobs": counts,
        "documents": kinds["document_id"].nunique().to_numpy(),
        "runs": kinds["run_id"].nunique().to_numpy(),
        "share": counts / np.bincount(number, weights=counts)[number],
        "example_document_id": first["document_id"],
        "example_filename": first["filename"],
        "example_job_id": first["job_id"],
    }
    order = np.lexsort((first["status"], first["_template"], -counts, number))
    found = {
        name: arrow_column(pd.Series(values).iloc[order], _TYPES.get(name, STRING))
        for name, values in columns.items()
    }
    return with_group_keys(keys.iloc[number[order]].reset_index(drop=True), found)


def _failed(jobs: pd.DataFrame) -> pd.DataFrame:
    return jobs[has_status(jobs, FAILED)]


def templates(messages: pa.Array) -> pa.Array:
    """Return messages with what differs between those of a kind masked; null stays null.

    Example:
        >>> templates(pa.array(["Page 3 of expdoc_7 is blank"]))[0].as_py()
        'Page <n> of <id> is blank'
    """
    distinct = pc.dictionary_encode(messages)
    masked = pc.utf8_slice_codeunits(distinct.dictionary, 0, MOST_READ)
    for pattern, mask in MASKS:
        masked = pc.replace_substring_regex(masked, pattern, mask)
    cut = pc.binary_join_element_wise(pc.utf8_slice_codeunits(masked, 0, LONGEST - 1), "…", "")
    masked = pc.if_else(pc.greater(pc.utf8_length(masked), LONGEST), cut, masked)
    return pc.take(masked, distinct.indices)


def _templates_of(failed: pd.DataFrame) -> pd.Series[Any]:
    texts = {name: failed[name].astype(object).tolist() for name in _OWN_NAMES}
    messages = failed["error_message"].astype(object).where(failed["error_message"].notna(), None)
    shared = [
        _without_names(message, names) if message else None
        for message, *names in zip(messages.tolist(), *texts.values(), strict=True)
    ]
    found = templates(pa.array(shared, STRING))
    blank = pc.fill_null(pc.equal(found, ""), fill_value=True)
    return arrow_column(pc.if_else(blank, NO_MESSAGE, found), STRING)


def _without_names(message: str, names: list[Any]) -> str:
    """Mask the job's own file name and ids, whatever they look like."""
    for name, mask in zip(names, _OWN_NAMES.values(), strict=True):
        if isinstance(name, str) and len(name) >= _SHORTEST_NAME and name in message:
            message = message.replace(name, mask)
    return message
