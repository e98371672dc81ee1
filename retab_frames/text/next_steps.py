"""What to do next, in Python and in the shell; for `advise` of errors and warnings."""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "CHECK_ID",
    "GIVE_EXPERIMENT",
    "LIST_EXISTING",
    "LIST_ISSUES",
    "LIST_STORED",
    "PULL",
    "TAKE_ENDED",
    "NextStep",
]


class NextStep(NamedTuple):
    """One step in the words of each place.

    Attributes:
        python: Names functions and methods.
        shell: Names commands and options.
    """

    python: str
    shell: str


CHECK_ID = NextStep("check its id", "check its id")
GIVE_EXPERIMENT = NextStep("give experiment_id", "give --experiment")
LIST_EXISTING = NextStep(
    "load_experiments and load_runs list what exists",
    "`retab-frames experiments` and `retab-frames runs` list what exists",
)
LIST_STORED = NextStep("SnapshotStore.list() shows the runs", "`retab-frames ls` shows the runs")
LIST_ISSUES = NextStep(
    "`load_content` lists them in its `issues`, and has them in `raw`",
    '`retab-frames sql "from issues"` lists them',
)
PULL = NextStep("SnapshotStore.pull() writes one", "`retab-frames pull` writes one")
TAKE_ENDED = NextStep(
    'run_id="latest_ended" takes the newest run that has ended',
    "`--run latest_ended` takes the newest run that has ended",
)
