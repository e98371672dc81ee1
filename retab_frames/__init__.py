"""Retab workflow experiments as validated dataframes, snapshots and duration statistics.

Everything is imported when it is first used: `import retab_frames` loads neither pandas nor httpx.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retab_frames.client import Client
    from retab_frames.comparison import RunComparison, compare_runs
    from retab_frames.content import RunContent
    from retab_frames.durations import duration_stats
    from retab_frames.errors import (
        ApiStatusError,
        AuthError,
        ConfigError,
        DeadlineError,
        MalformedResponseError,
        NotFoundError,
        PaginationError,
        RateLimitError,
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
    from retab_frames.loaders import (
        iter_content,
        load_content,
        load_experiments,
        load_handle_inputs,
        load_jobs,
        load_runs,
    )
    from retab_frames.sandbox import Sandbox
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

__all__ = [
    "ApiStatusError",
    "AuthError",
    "Client",
    "ConfigError",
    "DeadlineError",
    "ExperimentsSchema",
    "HandlesSchema",
    "IssuesSchema",
    "JobsSchema",
    "MalformedResponseError",
    "NotFoundError",
    "PaginationError",
    "RateLimitError",
    "RawSchema",
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
    "compare_runs",
    "duration_stats",
    "iter_content",
    "load_content",
    "load_experiments",
    "load_handle_inputs",
    "load_jobs",
    "load_runs",
    "read_content",
    "read_contents",
    "validate",
]

_ROOM_OF = {
    "ApiStatusError": "errors",
    "AuthError": "errors",
    "Client": "client",
    "ConfigError": "errors",
    "DeadlineError": "errors",
    "ExperimentsSchema": "schemas",
    "HandlesSchema": "schemas",
    "IssuesSchema": "schemas",
    "JobsSchema": "schemas",
    "MalformedResponseError": "errors",
    "NotFoundError": "errors",
    "PaginationError": "errors",
    "RateLimitError": "errors",
    "RawSchema": "schemas",
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
    "compare_runs": "comparison",
    "duration_stats": "durations",
    "iter_content": "loaders",
    "load_content": "loaders",
    "load_experiments": "loaders",
    "load_handle_inputs": "loaders",
    "load_jobs": "loaders",
    "load_runs": "loaders",
    "read_content": "sources",
    "read_contents": "sources",
    "validate": "schemas",
}
"""The module of each public name."""


def __getattr__(name: str) -> object:
    """Import the room of a public name when it is first asked for (PEP 562)."""
    if name == "__version__":
        return import_module("importlib.metadata").version("retab-frames")
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *_ROOM_OF})
