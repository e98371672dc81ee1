"""The words of the API that mean something to this library; any other is kept as it came."""

from __future__ import annotations

__all__ = [
    "ALL",
    "COMPLETED",
    "COUNTED_STATUSES",
    "FAILED",
    "KNOWN_HANDLE_TYPES",
    "KNOWN_VALUES",
    "LATEST",
    "LATEST_ENDED",
    "OPEN",
    "PREVIOUS",
    "RUNNING",
    "RUN_WORDS",
    "STOPPED",
    "TERMINAL",
    "TERMINAL_RUN",
]

COMPLETED = ("completed",)
FAILED = ("error",)
"""The statuses of a job that was tried and gave no result."""
STOPPED = ("cancelled", "skipped")
"""The statuses of a job of which it is unknown whether it would have failed."""
OPEN = ("pending", "queued", "running")
"""The statuses of a job that will change."""
TERMINAL = (*COMPLETED, *FAILED, *STOPPED)
"""The statuses of a job that will not change any more."""
TERMINAL_RUN = ("completed", "error", "cancelled")
"""The statuses of a run that will not change any more."""

ALL, LATEST, LATEST_ENDED, PREVIOUS = "all", "latest", "latest_ended", "previous"
RUN_WORDS = (ALL, LATEST, LATEST_ENDED, PREVIOUS)
"""What stands for runs where an id is taken."""

KNOWN_VALUES: dict[str, frozenset[str]] = {
    "status": frozenset((*OPEN, *TERMINAL)),
    "block_kind": frozenset(("extract", "classifier", "split", "for_each")),
    "artifact_operation": frozenset(
        (
            "extraction",
            "split",
            "classification",
            "parse",
            "edit",
            "partition",
            "conditional_evaluation",
            "while_loop_termination",
            "api_call_invocation",
            "function_invocation",
            "hil_evaluation",
            "review_trigger_evaluation",
        )
    ),
}
"""The values of a column of the jobs that the API is known to send; a new one is an issue."""

KNOWN_HANDLE_TYPES = frozenset(("file", "json", "text"))

RUNNING = ("running",)
"""The statuses of a job that has started and not ended."""
COUNTED_STATUSES: dict[str, tuple[str, ...]] = {
    "completed": COMPLETED,
    "error": FAILED,
    "cancelled": ("cancelled",),
    "skipped": ("skipped",),
    "unfinished": OPEN,
}
"""The counts of jobs in statistics, and the statuses that each counts; all others are `other`."""
