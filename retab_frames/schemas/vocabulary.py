"""The statuses of a job that this library knows; any other is kept and means nothing to it."""

from __future__ import annotations

__all__ = ["COMPLETED", "COUNTED_STATUSES", "FAILED", "OPEN", "RUNNING", "TERMINAL"]

COMPLETED = ("completed",)
FAILED = ("error", "cancelled", "skipped")
OPEN = ("pending", "queued", "running")
"""Those that will change."""
TERMINAL = (*COMPLETED, *FAILED)
"""Those that will not change any more."""

RUNNING = ("running",)
"""Those of a job that has started and not ended."""
COUNTED_STATUSES: dict[str, tuple[str, ...]] = {
    "completed": COMPLETED,
    "error": ("error",),
    "cancelled": ("cancelled",),
    "unfinished": OPEN,
}
"""The counts of jobs that statistics show, and the statuses that each of them counts."""
