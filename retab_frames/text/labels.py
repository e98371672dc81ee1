"""What people read in place of the names of columns, and how the numbers of a column are shown."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from retab_frames.text.numbers import format_factor, format_p, format_ratio, format_share
from retab_frames.text.tables import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "PLAIN",
    "NumberFormat",
    "find_format",
    "find_heading",
    "format_words",
    "is_name",
    "is_word",
]

_HEADINGS = {
    "alarm": "alarm",
    "baseline_duration_ms": "baseline",
    "candidate_duration_ms": "candidate",
    "began_at": "began (UTC)",
    "broken_since": "broken since run",
    "composite": "ratio, broken slowest and fixed fastest",
    "completed_at": "ended (UTC)",
    "created_at": "began (UTC)",
    "cusum": "cumulative sum",
    "delta_ms": "difference",
    "detectable_ratio": "slowdown that shows",
    "deviate": "off by (standard deviations)",
    "document_id": "document",
    "ended_at": "ended (UTC)",
    "error": "failed",
    "example_document_id": "example document",
    "example_filename": "example",
    "example_job_id": "example job",
    "experiment_id": "experiment",
    "failure_p_adjusted": "p (adjusted)",
    "fetched_at": "fetched (UTC)",
    "filename": "file",
    "fixed_since": "fixed since run",
    "interval": "interval by",
    "is_outlier": "outlier",
    "job_id": "job",
    "limit_ratio": "with any number of documents",
    "log_sd": "scatter",
    "max_ms": "longest",
    "median_ms": "median",
    "movers_p": "p of much slower or faster",
    "n_consensus": "votes",
    "p_value": "p",
    "p95_ratio": "95th percentile, ratio",
    "pairs": "documents compared",
    "ratio_to_run_median": "times the run's median",
    "run_id": "run",
    "score_delta": "score, difference",
    "segment": "part",
    "slow_runs": "slow in runs",
    "speed_p_adjusted": "p (adjusted)",
    "template": "message",
    "total_delta_ms": "total, difference",
    "total_ratio": "total, ratio",
    "median_delta_ms": "median difference",
    "used": "counts",
    "workflow_id": "workflow",
}
"""The heading of a column whose name, with spaces, would not do."""

_QUANTILE = re.compile(r"p(\d+(?:\.\d+)?)(_ms)?")
_MEDIAN = 50
_NAMES = re.compile(r"(_id|filename|template|_since|^(baseline|candidate|reason|field|path))$")
_WORDS = frozenset(("change", "comparable", "interval", "problem", "action", "verdict"))


class NumberFormat(NamedTuple):
    """How the numbers of a column are shown.

    Attributes:
        show: The text of a number.
        show_end: That of an end of its interval, which stands behind it.
    """

    show: Callable[[float], str]
    show_end: Callable[[float], str]


def _show_p(p_value: float) -> str:
    return format_p(p_value).removeprefix("p ").removeprefix("= ")


def _show_delta(delta: float) -> str:
    text = f"{delta:+.3f}"
    return text[1:] if text in {"+0.000", "-0.000"} else text


def _show_scatter(log_sd: float) -> str:
    return format_share(math.expm1(log_sd))


PLAIN = NumberFormat("{:.2f}".format, "{:.2f}".format)
"""Of numbers whose column says nothing of them."""
_FORMATS = (
    (re.compile(r"_ms$"), NumberFormat(format_duration, format_duration)),
    (re.compile(r"(^|_)p(_value|_adjusted)?$"), NumberFormat(_show_p, _show_p)),
    (re.compile(r"(^|_)(rate|share)$"), NumberFormat(format_share, format_share)),
    (re.compile(r"(^|_)ratio(_|$)|^composite$"), NumberFormat(format_factor, format_ratio)),
    (re.compile(r"^score$"), NumberFormat("{:.3f}".format, "{:.3f}".format)),
    (re.compile(r"^score_delta$"), NumberFormat(_show_delta, _show_delta)),
    (re.compile(r"^log_sd$"), NumberFormat(_show_scatter, _show_scatter)),
)
"""What a name says of the numbers of its column."""


def find_heading(name: str) -> str:
    """Return the heading of a column for people.

    A name without a heading of its own is shown with spaces for underscores and without its unit,
    since each value has its own.

    Example:
        >>> find_heading("run_id"), find_heading("p90_ms"), find_heading("mean_ms")
        ('run', '90 % within', 'mean')
    """
    if name in _HEADINGS:
        return _HEADINGS[name]
    quantile = _QUANTILE.fullmatch(name)
    if quantile:
        percent = float(quantile[1])
        return "median" if percent == _MEDIAN else f"{percent:g} % within"
    return format_words(name.removesuffix("_ms"))


def find_format(name: str) -> NumberFormat | None:
    """Return how the numbers of a column are shown; None if its name says nothing of them."""
    return next((shown for pattern, shown in _FORMATS if pattern.search(name)), None)


def is_name(column: str) -> bool:
    """Return whether a column holds ids and names, which may be too long for a page."""
    return _NAMES.search(column) is not None


def is_word(column: str) -> bool:
    """Return whether a column holds words of this library, such as `still_failing`."""
    return column in _WORDS


def format_words(word: str) -> str:
    """Return a word of this library for people: `still failing`."""
    return word.replace("_", " ").strip()
