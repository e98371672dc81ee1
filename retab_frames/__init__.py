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
        MissingExtraError,
        NotFoundError,
        PaginationError,
        RateLimitError,
        RequestError,
        ResponseTooLargeError,
        RetabFramesError,
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
        read_content,
        read_contents,
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

_ROOMS = {
    "client": ("Client",),
    "comparison": ("RunComparison", "compare_runs"),
    "content": ("RunContent",),
    "durations": ("duration_stats",),
    "errors": (
        "ApiStatusError",
        "AuthError",
        "ConfigError",
        "DeadlineError",
        "MalformedResponseError",
        "MissingExtraError",
        "NotFoundError",
        "PaginationError",
        "RateLimitError",
        "RequestError",
        "ResponseTooLargeError",
        "RetabFramesError",
        "SchemaError",
        "SnapshotConflictError",
        "SnapshotCorruptError",
        "SnapshotError",
        "SnapshotNotFoundError",
        "SnapshotWriteError",
        "TransportError",
    ),
    "loaders": (
        "iter_content",
        "load_content",
        "load_experiments",
        "load_handle_inputs",
        "load_jobs",
        "load_runs",
        "read_content",
        "read_contents",
    ),
    "sandbox": ("Sandbox",),
    "schemas": (
        "ExperimentsSchema",
        "HandlesSchema",
        "IssuesSchema",
        "JobsSchema",
        "RawSchema",
        "RunsSchema",
        "SnapshotsSchema",
        "validate",
    ),
    "snapshots": ("Snapshot", "SnapshotStore"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__version__ = "0.1.0"
__all__ = [  # noqa: PLE0604 - checked against _ROOM_OF by the tests
    *sorted(_ROOM_OF)
]


def __getattr__(name: str) -> object:
    """Import the room of a public name when it is first asked for (PEP 562)."""
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *_ROOM_OF})
