"""Retab workflow experiments as validated dataframes, snapshots and duration statistics.

Everything is imported when it is first used: `import retab_frames` loads neither pandas nor httpx.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retab_frames.client import Client
    from retab_frames.compaction import Compaction
    from retab_frames.comparison import RunComparison, compare_runs
    from retab_frames.comparisons import ManyComparison, compare_many
    from retab_frames.concurrency import timeline
    from retab_frames.content import RunContent
    from retab_frames.durations import duration_stats, slowest
    from retab_frames.errors import (
        ApiStatusError,
        AuthError,
        ConfigError,
        DeadlineError,
        GateError,
        InconclusiveError,
        MalformedResponseError,
        MissingExtraError,
        NotFoundError,
        PaginationError,
        QueryError,
        RateLimitError,
        RegressionError,
        RequestError,
        ResponseTooLargeError,
        RetabFramesError,
        RetabFramesWarning,
        SchemaError,
        SnapshotConflictError,
        SnapshotCorruptError,
        SnapshotError,
        SnapshotNotFoundError,
        SnapshotWriteError,
        TransportError,
    )
    from retab_frames.gate import assert_no_regression
    from retab_frames.incidence import cumulative_incidence
    from retab_frames.loaders import (
        iter_content,
        load_content,
        load_experiments,
        load_handle_inputs,
        load_jobs,
        load_runs,
    )
    from retab_frames.messages import failures
    from retab_frames.queries import query
    from retab_frames.reports import report
    from retab_frames.sandbox import Sandbox
    from retab_frames.scanning import scan
    from retab_frames.schemas import (
        ExperimentsSchema,
        HandlesSchema,
        IssuesSchema,
        JobsSchema,
        RawSchema,
        RunsSchema,
        SnapshotsSchema,
        validate,
    )
    from retab_frames.snapshots import Snapshot, SnapshotStore
    from retab_frames.sources import read_content, read_contents
    from retab_frames.versions import show_versions

    __version__: str

__all__ = [
    "ApiStatusError",
    "AuthError",
    "Client",
    "Compaction",
    "ConfigError",
    "DeadlineError",
    "ExperimentsSchema",
    "GateError",
    "HandlesSchema",
    "InconclusiveError",
    "IssuesSchema",
    "JobsSchema",
    "MalformedResponseError",
    "ManyComparison",
    "MissingExtraError",
    "NotFoundError",
    "PaginationError",
    "QueryError",
    "RateLimitError",
    "RawSchema",
    "RegressionError",
    "RequestError",
    "ResponseTooLargeError",
    "RetabFramesError",
    "RetabFramesWarning",
    "RunComparison",
    "RunContent",
    "RunsSchema",
    "Sandbox",
    "SchemaError",
    "Snapshot",
    "SnapshotConflictError",
    "SnapshotCorruptError",
    "SnapshotError",
    "SnapshotNotFoundError",
    "SnapshotStore",
    "SnapshotWriteError",
    "SnapshotsSchema",
    "TransportError",
    "assert_no_regression",
    "compare_many",
    "compare_runs",
    "cumulative_incidence",
    "duration_stats",
    "failures",
    "iter_content",
    "load_content",
    "load_experiments",
    "load_handle_inputs",
    "load_jobs",
    "load_runs",
    "query",
    "read_content",
    "read_contents",
    "report",
    "scan",
    "show_versions",
    "slowest",
    "timeline",
    "validate",
]

_ROOM_OF = {
    "ApiStatusError": "errors",
    "AuthError": "errors",
    "Client": "client",
    "Compaction": "compaction",
    "ConfigError": "errors",
    "DeadlineError": "errors",
    "ExperimentsSchema": "schemas",
    "GateError": "errors",
    "HandlesSchema": "schemas",
    "InconclusiveError": "errors",
    "IssuesSchema": "schemas",
    "JobsSchema": "schemas",
    "MalformedResponseError": "errors",
    "ManyComparison": "comparisons",
    "MissingExtraError": "errors",
    "NotFoundError": "errors",
    "PaginationError": "errors",
    "QueryError": "errors",
    "RateLimitError": "errors",
    "RawSchema": "schemas",
    "RegressionError": "errors",
    "RequestError": "errors",
    "ResponseTooLargeError": "errors",
    "RetabFramesError": "errors",
    "RetabFramesWarning": "errors",
    "RunComparison": "comparison",
    "RunContent": "content",
    "RunsSchema": "schemas",
    "Sandbox": "sandbox",
    "SchemaError": "errors",
    "Snapshot": "snapshots",
    "SnapshotConflictError": "errors",
    "SnapshotCorruptError": "errors",
    "SnapshotError": "errors",
    "SnapshotNotFoundError": "errors",
    "SnapshotStore": "snapshots",
    "SnapshotWriteError": "errors",
    "SnapshotsSchema": "schemas",
    "TransportError": "errors",
    "assert_no_regression": "gate",
    "compare_many": "comparisons",
    "compare_runs": "comparison",
    "cumulative_incidence": "incidence",
    "duration_stats": "durations",
    "failures": "messages",
    "iter_content": "loaders",
    "load_content": "loaders",
    "load_experiments": "loaders",
    "load_handle_inputs": "loaders",
    "load_jobs": "loaders",
    "load_runs": "loaders",
    "query": "queries",
    "read_content": "sources",
    "read_contents": "sources",
    "report": "reports",
    "scan": "scanning",
    "show_versions": "versions",
    "slowest": "durations",
    "timeline": "concurrency",
    "validate": "schemas",
}
"""The module of each public name."""


if not TYPE_CHECKING:  # or checkers would believe any name

    def __getattr__(name: str) -> object:
        """Import the room of a public name when it is first asked for (PEP 562)."""
        if name == "__version__":
            return import_module("importlib.metadata").version("retab-frames")
        if name not in _ROOM_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
        globals()[name] = value
        _register_accessor()
        return value


def _register_accessor() -> None:
    """Give frames their `retab` once someone has loaded pandas, which is slow to import."""
    if "pandas" in sys.modules and f"{__name__}.accessor" not in sys.modules:
        import_module(f"{__name__}.accessor")


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *_ROOM_OF})


_register_accessor()
