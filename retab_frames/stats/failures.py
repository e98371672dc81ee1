"""Error messages of failed jobs, counted by template: the message with its variables masked."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.schemas.frames import FLOAT64, INT64, STRING, arrow_column
from retab_frames.schemas.intake import take_columns
from retab_frames.schemas.vocabulary import FAILED, STOPPED
from retab_frames.stats.groups import group_jobs, with_group_keys
from retab_frames.stats.on_dask import apply_by_group, is_distributed
from retab_frames.stats.samples import has_status

if TYPE_CHECKING:
    import dask.dataframe as dd

    from retab_frames.stats.groups import Grouping

__all__ = ["failed_jobs", "failures", "make_templates"]

_NO_MESSAGE = "(no message)"
MAX_MESSAGE_CHARS = 2_000
"""The rest of a message is ignored: the reason comes first, a stack trace after it."""
MAX_TEMPLATE_CHARS = 300

_FILE_ENDINGS = (
    "bmp|csv|docx?|eml|gif|gz|heic|html?|jpe?g|jsonl?|md|msg|odt|parquet|pdf|png|pptx?|rtf|tiff?"
    "|tsv|txt|webp|xlsx?|xml|ya?ml|zip"
)
_ID_PREFIXES = (
    "blk|blkver|chatcmpl|doc|exp|expdoc|expjob|exprun|ext|file|job|req|run|trace|wf|wfver"
)
_CLOCK = r"\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?"
_ZONE = r"(?: ?(?:Z|UTC)\b| ?[+-]\d\d:?\d\d)"
_START = r"(^|[\s(\[{=:,])"
"""What comes before a quotation or a path."""

_JOB_ID, _JOB_FILE = "\ue000", "\ue001"
"""Placeholders for an id and a file name of the job itself, until what contains them is masked."""

_CODE = "\ue002_"
"""A mark before the digits of a code: no word begins after it, so that they are not masked."""
_CODE_WORDS = (
    r"(?:(?:api|err(?:or)?|exit|failure|grpc|http|native|reason|response|result|return|rpc|sql"
    r"|status|upstream)[ _-]?){0,2}code"
    r"|(?:(?:exit|grpc|http|response|rpc|upstream)[ _-]?)?status"
    r"|http(?:/\d(?:\.\d)?)?|errno|exit(?:ed)?(?: with)?|signal|sig[a-z]{2,6}|sqlstate|hresult"
)
"""What is followed by a code."""
_ERROR_WORDS = r"\w*(?:error|err|exception)"
"""What is followed by a code or by a sentence, which may begin with a count."""
_ANSWER_WORDS = (
    r"(?:answered|failed|got|received|replied|responded|response|returned)(?: with)?(?: an?)?"
)
_NO_CODE_WORDS = (
    r"(?:area|article|bank|bar|country|currency|customer|item|post|postal|product|qr|sort|tax|zip)"
    r"[ _-]?code|(?:count|length|limit|max|maximum|number|size|total)(?: of| is)?"
    r"|column|line|page|row|step"
)
"""What is followed by a number of the document, a count or a position."""
_IS = r"""["']?(?:(?: ?[:=#(\[]| is| was| of)[ ("'\[]{0,2}| [("'\[]?)"""
"""What may stand between a word and its code."""
_DIGITS = r"(?i:0x[0-9a-f]+|\d{1,5})"
_STATUS = r"[45]\d\d"
"""A status of HTTP that says what failed."""
_STOP = r"""$|[^\w\s.,:%/-]|[.,:](?:$|\D)"""
"""What may follow a code: neither more digits nor a unit."""
_LINK = r" (?:after|at|by|error|for|from|in|on|response|when|while)\b"
_REASONS = (
    r"(?i:bad gateway|bad request|expectation failed|failed dependency|gateway time-?out"
    r"|http version not supported|insufficient storage|internal (?:server )?error"
    r"|length required|loop detected|method not allowed|misdirected request"
    r"|network authentication required|not acceptable|not found|not implemented"
    r"|payment required|precondition (?:failed|required)|proxy authentication required"
    r"|range not satisfiable|(?:content|payload|request entity|request header fields) too large"
    r"|request time-?out|service (?:temporarily )?unavailable|too early|too many requests"
    r"|unavailable for legal reasons|unprocessable (?:content|entity)|unsupported media type"
    r"|upgrade required|uri too long|(?:client|server) error)"
    r"|Conflict|Forbidden|Gone|Locked|Overloaded|Unauthorized"
)
"""The reason phrases of HTTP (RFC 9110, RFC 6585), and words that are used like them."""

_CODES = (
    (rf"\b((?i:{_NO_CODE_WORDS}){_IS})\d+\b", r"\1<n>"),
    (rf"\b((?i:sqlstate){_IS})(\d[0-9A-Z]{{4}})\b", rf"\1{_CODE}\2"),
    (rf"\b((?i:{_CODE_WORDS}){_IS}-?)({_DIGITS})({_STOP}|\s)", rf"\1{_CODE}\2\3"),
    (rf"\b((?i:{_ERROR_WORDS}):? #?)({_DIGITS})({_STOP}|{_LINK})", rf"\1{_CODE}\2\3"),
    (rf"\b((?i:{_ANSWER_WORDS}):? )({_STATUS})({_STOP}|{_LINK})", rf"\1{_CODE}\2\3"),
    (
        rf"(^|[^\w.,])({_STATUS})([ :-]{{1,3}}(?:{_REASONS}|(?i:error|response))\b)",
        rf"\1{_CODE}\2\3",
    ),
    (rf"^({_STATUS})$", rf"{_CODE}\1"),
    (rf"\b((?:{_REASONS})[ :,]{{0,2}}[(\[]?)({_STATUS})({_STOP}|\s)", rf"\1{_CODE}\2\3"),
    # after a plural it is a count: too many pages (500)
    (rf"(^|[^\ss] )([(\[])({_STATUS})([)\]])", rf"\1\2{_CODE}\3\4"),
    (r"\b((?:ERR|HTTP|ORA|PLS|SQL|TNS)-)(\d{3,5})\b", rf"\1{_CODE}\2"),
)
"""Patterns that mark the codes: they say what failed, while a count says how much."""

_MASKS = (
    (r"\s+", " "),
    (r"^ | $", ""),
    *_CODES,
    (r'"(?:[^"\\]|\\.)*"|“[^”]*”|«[^»]*»|\x{2018}[^\x{2019}]*\x{2019}|`[^`]*`', "<text>"),
    # an apostrophe inside a word does not open a quotation, one before a letter does not close it
    (_START + r"'(?:[^']|'\pL)*'", r"\1<text>"),
    (r"""[A-Za-z][A-Za-z0-9+.-]*://[^\s<>"']*[^\s<>"'.,;:!?)\]}]""", "<url>"),
    (r"[\pL\pN._%+-]+@[\pL\pN-]+(?:\.[\pL\pN-]+)+", "<email>"),
    (r"(?i)\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", "<id>"),
    (rf"\b\d{{4}}-\d\d-\d\d(?:[T ]{_CLOCK}{_ZONE}?)?|\b\d\d:\d\d:\d\d(?:[.,]\d+)?", "<time>"),
    (_START + r"(?:~|\.\.?)?(?:/[^\s/:,;()\[\]{}<>]*[^\s/:,;()\[\]{}<>.])+/?", r"\1<path>"),
    (r"\b[A-Za-z]:\\[^\s,;:*?|<>]*", "<path>"),
    (rf"(?i)[\pL\pN_.~%@+/\x{{E000}}-]+\.(?:{_FILE_ENDINGS})\b", "<path>"),
    (rf"\b(?:{_ID_PREFIXES})[_-][\w-]*[A-Z0-9][\w-]*", "<id>"),
    (r"\b[a-z]{2,12}_[\w-]*[A-Z][\w-]*", "<id>"),
    (r"\b[a-z]{2,12}_(?:[a-z]{0,6}\d[a-z0-9]{5,}|[a-z0-9]{8,}\d[a-z0-9]*)\b", "<id>"),
    # before the ids that may consist of digits alone: a long number is a number
    (r"\b\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?\b", "<n>"),
    (r"(?i)\b0x[0-9a-f]+\b|\b[0-9a-f]{12,}\b", "<id>"),
    (r"(?i)\b(?:[a-f]{0,7}\d[0-9a-f]{7,}|[0-9a-f]{7,}\d[0-9a-f]*)\b", "<id>"),
    (r"\b[A-Za-z]{0,15}\d[A-Za-z0-9]{11,}\b", "<id>"),
    (r"\b\d+(?:[.,]\d+)*", "<n>"),
    (_CODE, ""),
    (_JOB_ID, "<id>"),
    (_JOB_FILE, "<path>"),
)
"""Patterns and their replacements, in order (RE2: linear in the length of the message).

A number inside a word is not masked (utf8, page2), nor is a name in lower case (unit_price).
"""

_JOB_NAMES = {
    "filename": _JOB_FILE,
    "document_id": _JOB_ID,
    "job_id": _JOB_ID,
    "run_id": _JOB_ID,
}
_MIN_NAME_CHARS = 6
"""Shorter names are not masked: they may be part of a word."""
_NEEDED = (*_JOB_NAMES, "status", "is_placeholder", "error_message")
_OF_A_FAILED_JOB = (
    *("run_id", "document_id", "job_id", "filename", "status"),
    *("error_message", "error_details", "completed_at"),
)
_TYPES = {"jobs": INT64, "documents": INT64, "runs": INT64, "share": FLOAT64}


def failures(jobs: pd.DataFrame | dd.DataFrame, by: Grouping = None) -> pd.DataFrame:
    """Return the error messages of failed jobs, grouped by template.

    A template is a message whose ids, numbers, quoted texts, paths, file names, URLs, e-mail
    addresses and times are masked, and so are the ids and the file name of the job itself, so that
    messages that differ only in these are counted together. Numbers that say what failed are not
    masked: statuses of HTTP, exit codes, signals, errno and the like, which a word before or after
    them tells. A template may still contain document content that the message repeats without
    quotes.

    Args:
        jobs: A frame with the columns of JobsSchema, or a Dask frame of them.
        by: As for `duration_stats`; the messages of each group are counted separately.

    Returns:
        One row per group, template and status of the jobs that are error, cancelled or skipped:
        the group's columns; `template` ("(no message)" for none; at most 300 characters),
        `status`; `jobs`, `documents` and `runs` (counts of distinct ones); `share`, of the failed
        jobs of the group; `example_document_id`, `example_filename` and `example_job_id` of the
        first such job by run and job id. Groups in order of first appearance, then the most
        frequent first, ties by template and status.

    Raises:
        TypeError: If `jobs` is not a frame of pandas or Dask.
        ValueError: If a column is missing or does not fit its type.

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
        statistic = partial(failures, by=by)
        return apply_by_group(jobs, by, statistic, columns=_NEEDED, filter_rows=_select_failed)
    jobs = take_columns(jobs, _NEEDED, reader="failures")
    keys, group = group_jobs(jobs, by)
    is_failed = has_status(jobs, (*FAILED, *STOPPED))
    failed = jobs.loc[is_failed, list(_NEEDED)].reset_index(drop=True)
    failed = failed.assign(_template=_make_job_templates(failed), _group=group[is_failed])
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
    ordered = {
        name: arrow_column(pd.Series(values).iloc[order], _TYPES.get(name, STRING))
        for name, values in columns.items()
    }
    return with_group_keys(keys.iloc[number[order]].reset_index(drop=True), ordered)


def failed_jobs(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return the jobs that failed, each with its message.

    Args:
        jobs: A frame with the columns of JobsSchema.

    Returns:
        One row per job whose status is error: `run_id`, `document_id`, `job_id`, `filename`,
        `status`, `error_message`, `error_details` and `completed_at`, with the types of JobsSchema.
        The newest run first (by the creation of its newest job, runs without one last), then by
        job id.

    Raises:
        TypeError: If `jobs` is not a frame of pandas.
        ValueError: If a column is missing or does not fit its type.

    Example:
        >>> import retab_frames as rf
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         where = (sandbox.workflow_id, "exp_invoices")
        ...         jobs = rf.load_jobs(*where, run_id="exprun_invoices_4", client=client)
        >>> rf.failed_jobs(jobs)["filename"].tolist()
        ['Invoice ACME Corp 92351.pdf', 'INV-91632.pdf', 'Rechnung_45896.pdf']
    """
    needed = (*_OF_A_FAILED_JOB, "is_placeholder", "created_at")
    jobs = take_columns(jobs, needed, reader="failed_jobs")
    newest = jobs.groupby("run_id", dropna=False)["created_at"].transform("max")
    failed = jobs.assign(_newest=newest)[has_status(jobs, FAILED)]
    # a sort by several columns would turn each in its own direction, and nulls with them
    ordered = failed.sort_values(["run_id", "job_id"]).sort_values(
        "_newest", ascending=False, kind="stable"
    )
    return ordered[list(_OF_A_FAILED_JOB)].reset_index(drop=True)


def _select_failed(jobs: pd.DataFrame) -> pd.DataFrame:
    return jobs[has_status(jobs, (*FAILED, *STOPPED))]


def make_templates(messages: pa.Array) -> pa.Array:
    """Return the template of each message; null for null.

    Example:
        >>> make_templates(pa.array(["Page 3 of expdoc_7 is blank"]))[0].as_py()
        'Page <n> of <id> is blank'
    """
    distinct = pc.dictionary_encode(messages)
    masked = pc.utf8_slice_codeunits(distinct.dictionary, 0, MAX_MESSAGE_CHARS)
    for pattern, mask in _MASKS:
        masked = pc.replace_substring_regex(masked, pattern, mask)
    short = pc.utf8_slice_codeunits(masked, 0, MAX_TEMPLATE_CHARS - 1)
    cut = pc.binary_join_element_wise(short, "…", "")
    masked = pc.if_else(pc.greater(pc.utf8_length(masked), MAX_TEMPLATE_CHARS), cut, masked)
    return pc.take(masked, distinct.indices)


def _make_job_templates(failed: pd.DataFrame) -> pd.Series[Any]:
    """Return the template of each job's message, in which its own ids and file name are masked."""
    names = [failed[name].astype(object).tolist() for name in _JOB_NAMES]
    messages = failed["error_message"].astype(object).where(failed["error_message"].notna(), None)
    masked = [
        _mask_job_names(message, job_names) if message else None
        for message, *job_names in zip(messages.tolist(), *names, strict=True)
    ]
    found = make_templates(pa.array(masked, STRING))
    is_blank = pc.fill_null(pc.equal(found, ""), fill_value=True)
    return arrow_column(pc.if_else(is_blank, _NO_MESSAGE, found), STRING)


def _mask_job_names(message: str, names: list[Any]) -> str:
    for name, mask in zip(names, _JOB_NAMES.values(), strict=True):
        if isinstance(name, str) and len(name) >= _MIN_NAME_CHARS and name in message:
            message = message.replace(name, mask)
    return message
