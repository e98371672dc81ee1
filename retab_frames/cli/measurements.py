"""Commands that measure the jobs of a store: durations, slow jobs, failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from retab_frames.cli.application import main
from retab_frames.cli.exit_codes import CommandError
from retab_frames.cli.options import (
    OutputFormat,
    add_format_options,
    check_once,
    experiment_option,
    measure_option,
    runs_option,
    store_option,
)
from retab_frames.cli.output import print_table
from retab_frames.cli.snapshots import open_store
from retab_frames.cli.streams import echo
from retab_frames.text.messages import did_you_mean
from retab_frames.text.next_steps import LIST_STORED

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.store.snapshots import SnapshotStore

__all__ = ["choose_runs", "condense_stats", "read_jobs"]


@main.command()
@experiment_option
@runs_option
@click.option(
    "--by",
    multiple=True,
    callback=check_once,
    metavar="COLUMN",
    help="Group by this column of the jobs; can be repeated.  [default: run_id]",
)
@measure_option
@click.option(
    "--censor",
    is_flag=True,
    help="Count running jobs with their time so far (Kaplan-Meier).  [default: leave them out]",
)
@store_option
@add_format_options
def stats(
    *,
    experiment_id: str | None,
    run_ids: tuple[str, ...],
    by: tuple[str, ...],
    measure: Any,
    censor: bool,
    root: str,
    output_format: OutputFormat,
) -> None:
    """Show how long the completed jobs of each run took.

    p50 is the median; p50_low and p50_high are the ends of its 95 % interval.

    Example: retab-frames stats --experiment exp_abc --by run_id
    """
    from retab_frames.stats.durations import duration_stats  # noqa: PLC0415 - help must not load pandas

    groups = list(by) or ["run_id"]
    jobs = read_jobs(open_store(root), experiment_id, run_ids)
    unfinished: Any = "censor" if censor else "exclude"
    table = duration_stats(jobs, groups, measure=measure, unfinished=unfinished)
    print_table(table, output_format, condense_stats(table, groups))
    for note in table["note"].dropna().unique() if output_format is None else ():
        echo(f"Note: {note}")


@main.command()
@experiment_option
@runs_option
@click.option(
    "-n",
    "count",
    type=click.IntRange(1, 1_000_000),
    metavar="JOBS",
    default=10,
    show_default=True,
    help="How many jobs to show.",
)
@store_option
@add_format_options
def slowest(
    *,
    experiment_id: str | None,
    run_ids: tuple[str, ...],
    count: int,
    root: str,
    output_format: OutputFormat,
) -> None:
    """Show the slowest jobs, each compared with the median of its run.

    Example: retab-frames slowest --run exprun_1 -n 5
    """
    from retab_frames.stats.durations import slowest as find_slowest  # noqa: PLC0415 - as above

    found = find_slowest(read_jobs(open_store(root), experiment_id, run_ids), count)
    names = ["run_id", "filename", "duration_ms", "ratio_to_run_median", "is_outlier"]
    print_table(found, output_format, found[names])


@main.command()
@experiment_option
@runs_option
@store_option
@add_format_options
def failures(
    *,
    experiment_id: str | None,
    run_ids: tuple[str, ...],
    root: str,
    output_format: OutputFormat,
) -> None:
    """Show why jobs failed; messages that differ only in ids and numbers count as one.

    Example: retab-frames failures --experiment exp_abc
    """
    from retab_frames.stats.failures import failures as count_failures  # noqa: PLC0415 - as above

    found = count_failures(read_jobs(open_store(root), experiment_id, run_ids))
    names = ["template", "status", "jobs", "share", "example_filename"]
    print_table(found, output_format, found[names])


def read_jobs(
    store: SnapshotStore, experiment_id: str | None, run_ids: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Return the jobs of these runs; without any, of all runs of the experiment or the store."""
    import pandas as pd  # noqa: PLC0415 - as above

    chosen = choose_runs(store, experiment_id, run_ids)
    return pd.concat([store.read(run).jobs for run in chosen], ignore_index=True)


def choose_runs(
    store: SnapshotStore, experiment_id: str | None, run_ids: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Return these runs; without any, all runs of the experiment or the store."""
    stored = runs = store.list()
    if experiment_id is not None:
        runs = stored[stored["experiment_id"] == experiment_id]
    if runs.empty:
        wanted = f" of experiment {experiment_id}" if experiment_id else ""
        hint = did_you_mean(experiment_id or "", stored["experiment_id"].unique())
        raise CommandError(f"there is no run{wanted} in {store.root}{hint}; {LIST_STORED.shell}")
    others = [run for run in run_ids if run in set(stored["run_id"]) - set(runs["run_id"])]
    if others:
        raise CommandError(f"run {others[0]} is not of experiment {experiment_id}")
    return run_ids or tuple(runs["run_id"])


def condense_stats(table: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """Return the columns of duration statistics that fit into 80 characters."""
    interval = ["p50_low_ms", "p50_high_ms"] if len(groups) == 1 else []
    names = [*groups, "jobs", "completed", "p50_ms", *interval, "p95_ms", "max_ms"]
    return table[names].rename(columns={"completed": "done"})
