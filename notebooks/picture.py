"""Draws the picture of the README, notebooks/picture.png: python notebooks/picture.py [PATH].

Left, how long the documents of four runs took; right, two of these runs document by document. The
data is that of the sandbox.
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib import rc_context, rcParamsDefault
from matplotlib.figure import Figure

import retab_frames as rf
from retab_frames import plots

RUNS = [f"exprun_invoices_{n}" for n in range(1, 5)]


def draw() -> Figure:
    """Return the picture as a figure."""
    with (
        rf.Sandbox(documents=30) as sandbox,
        rf.Client(sandbox.api_key, base_url=sandbox.url) as client,
    ):
        jobs = rf.load_jobs(sandbox.workflow_id, "exp_invoices", run_id=RUNS, client=client)
    figure = Figure(figsize=(10.6, 4.0))
    left, right = figure.subplots(1, 2, width_ratios=(1.1, 1.2))
    plots.durations(jobs, by="run_id", ax=left)
    two = [jobs[jobs.run_id == run] for run in (RUNS[1], RUNS[3])]
    plots.paired(rf.compare_runs(*two), ax=right)
    left.set_title("Four runs: each job, the median and its interval", loc="left", size="medium")
    right.set_title("Two runs, document by document", loc="left", size="medium")
    return figure


def main(path: str | Path | None = None) -> None:
    """Draw the picture, on a light background whatever the style in use."""
    with rc_context(rcParamsDefault):
        draw().savefig(
            path or Path(__file__).with_name("picture.png"), dpi=150, metadata={"Software": None}
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
