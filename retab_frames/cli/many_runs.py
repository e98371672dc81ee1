"""Commands about many runs: what a change takes to show, and since when there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from retab_frames.cli.application import main
from retab_frames.cli.measurements import choose_runs
from retab_frames.cli.options import (
    MARGIN,
    OutputFormat,
    add_format_options,
    check_once,
    confidence_option,
    margin_option,
    measure_option,
    store_option,
)
from retab_frames.cli.output import print_table, print_text
from retab_frames.cli.snapshots import open_store
from retab_frames.cli.streams import echo

if TYPE_CHECKING:
    from retab_frames.load.content import RunContent

_RUNS = click.argument("runs", nargs=-1, metavar="[RUN]...", callback=check_once)
_EXPERIMENT = click.option(
    "--experiment",
    "experiment_id",
    metavar="EXPERIMENT_ID",
    help="All runs of this experiment.  [default: the runs that are named]",
)


@main.command()
@_RUNS
@_EXPERIMENT
@click.option(
    "--detect",
    type=MARGIN,
    metavar="FRACTION",
    default=0.1,
    show_default=True,
    help="The slowdown that is to be shown, above the margin; 0.1 is 10 %.",
)
@margin_option
@confidence_option
@measure_option
@store_option
@add_format_options
def plan(
    *,
    runs: tuple[str, ...],
    experiment_id: str | None,
    detect: float,
    margin: float,
    confidence: float,
    measure: Any,
    root: str,
    output_format: OutputFormat,
) -> None:
    """Show how many documents and runs a slowdown takes.

    RUN are runs of one definition, two or more, better five; or all of --experiment. detectable is
    the smallest slowdown that shows with the documents at hand, limit that with any number of them;
    1.2 is 20 %.

    Example: retab-frames plan exprun_1 exprun_2 exprun_4 --detect 0.2
    """
    from retab_frames.compare.planner import plan as make_plan  # noqa: PLC0415 - help must not load pandas

    found = make_plan(
        _read_runs(root, runs, experiment_id),
        detect=detect,
        margin=margin,
        confidence=confidence,
        measure=measure,
    )
    _print_summary(found.summary(), output_format)
    names = {"detectable_ratio": "detectable", "limit_ratio": "limit"}
    print_table(found.needed, output_format, found.needed.rename(columns=names))


@main.command()
@_RUNS
@_EXPERIMENT
@margin_option
@confidence_option
@measure_option
@store_option
@add_format_options
def trend(
    *,
    runs: tuple[str, ...],
    experiment_id: str | None,
    margin: float,
    confidence: float,
    measure: Any,
    root: str,
    output_format: OutputFormat,
) -> None:
    """Show since which run documents take longer.

    And whether the newest run stands out.

    RUN are runs of the same documents, ten or more; or all of --experiment. ratio is the typical
    duration relative to the first run; low and high are the ends of its interval.

    Example: retab-frames trend --experiment exp_abc
    """
    from retab_frames.compare.run_trend import trend as find_trend  # noqa: PLC0415 - as above

    contents = _read_runs(root, runs, experiment_id)
    found = find_trend(contents, margin=margin, confidence=confidence, measure=measure)
    _print_summary(found.summary(), output_format)
    interval = {"ratio_low": "low", "ratio_high": "high"}
    condensed = found.runs[["run_id", "began_at", "documents", "ratio", *interval, "alarm"]]
    print_table(found.runs, output_format, condensed.rename(columns=interval))


def _read_runs(root: str, runs: tuple[str, ...], experiment_id: str | None) -> list[RunContent]:
    """Return the runs that are named, or all of the experiment."""
    if not runs and experiment_id is None:
        raise click.UsageError("give the runs, or --experiment for all runs of one")
    store = open_store(root)
    return [store.read(run) for run in choose_runs(store, experiment_id, runs)]


def _print_summary(text: str, output_format: OutputFormat) -> None:
    if output_format is None:
        print_text(text)
        echo()
