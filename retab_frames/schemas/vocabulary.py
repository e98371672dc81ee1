"""The statuses of a job that this library knows; any other is kept and means nothing to it."""

from __future__ import annotations

__all__ = ["COMPLETED", "FAILED", "OPEN", "TERMINAL"]

COMPLETED = ("completed",)
FAILED = ("error", "cancelled", "skipped")
OPEN = ("pending", "queued", "running")
"""Those that will change."""
TERMINAL = (*COMPLETED, *FAILED)
"""Those that will not change any more."""
