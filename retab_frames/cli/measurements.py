"""Commands that measure the jobs of a store: durations, slow jobs, failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from retab_frames.cli.application import main
from retab_frames.cli.options import (
    Count,
    OutputFormat,
    add_format_options,
    check_once,
    experiment_option,
    measure_option,
    runs_option,
    store_option,
)
from retab_frames.cli.output import print_table
from retab_frames.cli.snapshots import list_runs, open_store
from retab_frames.cli.streams import echo
from retab_frames.schemas.vocabulary import ALL

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
    type=Count(1, 1_000_000),
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
    """Show the slowest jobs.

    to_median is the ratio of each to the median of its run.

    Example: retab-frames slowest --run exprun_1 -n 5
    """
    from retab_frames.stats.durations import slowest as find_slowest  # noqa: PLC0415 - as above

    found = find_slowest(read_jobs(open_store(root), experiment_id, run_ids), count)
    names = ["run_id", "filename", "duration_ms", "ratio_to_run_median", "is_outlier"]
    shown = {"ratio_to_run_median": "to_median", "is_outlier": "outlier"}
    print_table(found, output_format, found[names].rename(columns=shown))


@main.command()
@experiment_option
@runs_option
@click.option("--jobs", "each_job", is_flag=True, help="Show each failed job, newest run first.")
@store_option
@add_format_options
def failures(
    *,
    experiment_id: str | None,
    run_ids: tuple[str, ...],
    each_job: bool,
    root: str,
    output_format: OutputFormat,
) -> None:
    """Show why jobs failed; with --jobs which ones.

    Messages that differ only in ids and numbers count as one.

    Example: retab-frames failures --experiment exp_abc --jobs
    """
    from retab_frames.stats.failures import failed_jobs, failures as count_failures  # noqa: PLC0415 - as above

    jobs = read_jobs(open_store(root), experiment_id, run_ids)
    if each_job:
        failed = failed_jobs(jobs)
        label = failed["filename"].fillna(failed["document_id"])
        condensed = failed.assign(document=label)[["run_id", "document", "error_message"]]
        print_table(failed, output_format, condensed)
        return
    found = count_failures(jobs)
    names = ["template", "status", "jobs", "share", "example_filename"]
    print_table(found, output_format, found[names])


def read_jobs(
    store: SnapshotStore, experiment_id: str | None, run_ids: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Return the jobs of these runs; without any, of all runs of the experiment or the store."""
    return store.jobs(experiment_id=experiment_id, run_id=run_ids or ALL)


def choose_runs(
    store: SnapshotStore, experiment_id: str | None, run_ids: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Return these runs; without any, all runs of the experiment or the store."""
    runs = list_runs(store, experiment_id)["run_id"]
    named = [store.resolve(name, experiment_id=experiment_id) for name in run_ids]
    return tuple(dict.fromkeys(named)) or tuple(runs)


def condense_stats(table: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """Return the columns of duration statistics that fit into 80 characters."""
    interval = ["p50_low_ms", "p50_high_ms"] if len(groups) == 1 else []
    names = [*groups, "jobs", "completed", "p50_ms", "p95_ms", *interval, "max_ms"]
    return table[names].rename(columns={"completed": "done"})
