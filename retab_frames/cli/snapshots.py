"""Commands that list, check, query and clean up the snapshots of a store."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from retab_frames.cli.application import main
from retab_frames.cli.exit_codes import EXIT_FOUND, CommandError
from retab_frames.cli.options import (
    DAYS,
    Count,
    OutputFormat,
    add_format_options,
    check_once,
    experiment_option,
    one_experiment_option,
    store_option,
)
from retab_frames.cli.output import print_table
from retab_frames.cli.streams import echo
from retab_frames.text.next_steps import PULL

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.store.snapshots import SnapshotStore

__all__ = ["list_runs", "open_store"]

_MAX_SQL_ROWS = 50


@main.command("ls")
@experiment_option
@store_option
@add_format_options
def list_snapshots(*, experiment_id: str | None, root: str, output_format: OutputFormat) -> None:
    """List the runs in a store, with their labels.

    Example: retab-frames ls --store snapshots
    """
    found = list_runs(open_store(root), experiment_id)
    names = ["run_id", "complete", "jobs", "completed", "error", "run_created_at", "revision"]
    if found["labels"].notna().any():
        names.insert(1, "labels")
    print_table(found, output_format, found[names].rename(columns={"run_created_at": "created"}))


@main.command()
@click.argument("run_id", metavar="RUN")
@click.argument("label")
@one_experiment_option
@store_option
def label(*, run_id: str, label: str, experiment_id: str | None, root: str) -> None:
    """Give a run of a store a name.

    The name can stand wherever a command takes a run. RUN is an id, another label, or latest,
    latest_ended (the newest complete run) or previous (the
    one before that). If another run of the experiment has the label, RUN gets it instead.

    Example: retab-frames label exprun_1 baseline
    """
    store = open_store(root)
    found = store.resolve(run_id, experiment_id=experiment_id)
    store.label(found, label)
    echo(f"{label} is now run {found}.")


@main.command()
@click.argument("label")
@one_experiment_option
@store_option
def unlabel(*, label: str, experiment_id: str | None, root: str) -> None:
    """Delete a label of a store; its run stays.

    Example: retab-frames unlabel baseline
    """
    open_store(root).unlabel(label, experiment_id=experiment_id)
    echo(f"{label} is no label any more; its run is still there.")


@main.command()
@click.option(
    "--level",
    type=click.Choice(["quick", "hash", "full"]),
    default="hash",
    show_default=True,
    help="quick: file sizes; hash: also the SHA-256 of every file; full: also read every page "
    "and rebuild every frame.",
)
@click.option("--run", "run_id", metavar="RUN", help="Only this run.  [default: all runs]")
@one_experiment_option
@store_option
@add_format_options
def verify(
    *,
    level: Any,
    run_id: str | None,
    experiment_id: str | None,
    root: str,
    output_format: OutputFormat,
) -> None:
    """Check a store for damage.

    Exit code 1 if there is any. Leftover files only take up space: they are listed, and do not
    change the exit code.

    Example: retab-frames verify --level full
    """
    if experiment_id is not None and run_id is None:
        raise click.UsageError("--experiment needs --run")
    store = open_store(root)
    if run_id is not None:
        run_id = store.resolve(run_id, experiment_id=experiment_id)
    found = store.verify(level, run_id=run_id)
    if output_format is None and found.empty:
        echo(f"No problems found in {root} (level: {level}).")
        return
    if output_format is not None:
        print_table(found, output_format)
    else:
        # lines, because a table would cut the names of the files
        for row in found.itertuples():
            echo(f"{row.kind}: {row.file} {row.problem}\n  Next: {row.action}")
    if (found["kind"] != "leftover").any():
        raise click.exceptions.Exit(EXIT_FOUND)


yes_option = click.option("--yes", is_flag=True, help="Do it.  [default: only list what would be]")


@main.command()
@yes_option
@click.option(
    "--older-than",
    "days",
    type=DAYS,
    metavar="DAYS",
    default=1.0,
    show_default=True,
    help="Only files at least this many days old.",
)
@store_option
@add_format_options
def clean(*, yes: bool, days: float, root: str, output_format: OutputFormat) -> None:
    """Delete what crashes left; without --yes list it.

    These are temporary files, and data that no manifest names.

    Example: retab-frames clean --yes
    """
    found = open_store(root).clean(older_than=timedelta(days=days), dry_run=not yes)
    _print_files(found, output_format, f"No leftover files in {root}.")


@main.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN_ID...", callback=check_once)
@yes_option
@store_option
@add_format_options
def remove(*, runs: tuple[str, ...], yes: bool, root: str, output_format: OutputFormat) -> None:
    """Delete runs, to the last byte; without --yes list them.

    All revisions and compacted rows of a run go, and its labels. A run that the API still has comes
    back with the next pull.

    Example: retab-frames remove exprun_1 --yes
    """
    import pandas as pd  # noqa: PLC0415 - help must not load pandas

    store = open_store(root)
    # a mistyped id must not be found after another run is gone
    listed = [store.remove(run, dry_run=True) for run in runs]
    found = [store.remove(run, dry_run=False) for run in runs] if yes else listed
    _print_files(pd.concat(found, ignore_index=True), output_format, f"No such files in {root}.")


@main.command()
@click.option(
    "--keep-revisions",
    type=Count(1, 1_000_000),
    metavar="N",
    help="Keep the N newest revisions of each run.  [default: all]",
)
@click.option(
    "--older-than",
    "days",
    type=DAYS,
    metavar="DAYS",
    help="Only revisions at least this many days old.  [default: any age]",
)
@click.option(
    "--incomplete/--complete",
    default=None,
    help="Only incomplete, or only complete, revisions.  [default: both]",
)
@yes_option
@store_option
@add_format_options
def prune(
    *,
    keep_revisions: int | None,
    days: float | None,
    incomplete: bool | None,
    yes: bool,
    root: str,
    output_format: OutputFormat,
) -> None:
    """Delete old revisions of runs; without --yes list them.

    The newest revision of a run always stays. To delete a run itself: retab-frames remove.

    Example: retab-frames prune --keep-revisions 1 --yes
    """
    if keep_revisions is None and days is None and incomplete is None:
        raise click.UsageError(
            "give --keep-revisions, --older-than, --incomplete or --complete: which to remove"
        )
    found = open_store(root).prune(
        keep_revisions=keep_revisions,
        older_than=None if days is None else timedelta(days=days),
        incomplete=incomplete,
        dry_run=not yes,
    )
    _print_files(found, output_format, f"No such revisions in {root}.")


@main.command()
@store_option
@add_format_options
def publish(*, root: str, output_format: OutputFormat) -> None:
    """Write missing or outdated files for other tools.

    Example: retab-frames publish
    """
    found = open_store(root).publish()
    _print_files(found, output_format, f"All files for other tools in {root} are up to date.")


@main.command()
@click.argument("experiment_id")
@store_option
@add_format_options
def compact(*, experiment_id: str, root: str, output_format: OutputFormat) -> None:
    """Write the runs of an experiment into a few files too.

    These are read many times faster. The files of the runs stay as they are. Incomplete runs are
    left out.

    Example: retab-frames compact exp_invoices
    """
    import pandas as pd  # noqa: PLC0415 - help must not load pandas

    result = open_store(root).compact(experiment_id)
    if output_format is not None:
        print_table(pd.DataFrame([vars(result)]), output_format)
        return
    before = result.files_before
    instead = f" instead of {before:,}" if before != result.files else ", as before"
    echo(
        f"Compacted {result.packed:,} runs of {experiment_id}: a scan opens {result.files:,} "
        f"files{instead}."
    )
    if result.left:
        echo(f"Incomplete runs, left out: {result.left:,}.")


@main.command()
@click.argument("query")
@store_option
@add_format_options
def sql(*, query: str, root: str, output_format: OutputFormat) -> None:
    """Query the newest revision of every run in SQL (DuckDB).

    Tables: jobs, handle_inputs, handle_outputs, runs, issues, raw, snapshots.

    Example: retab-frames sql "select run_id, count(*) from jobs group by run_id"
    """
    from retab_frames.store.scan.sql import query as run_query  # noqa: PLC0415 - as above

    found = run_query(open_store(root), query)
    print_table(found, output_format, found.head(_MAX_SQL_ROWS))
    if output_format is None and len(found) > _MAX_SQL_ROWS:
        echo(f"and {len(found) - _MAX_SQL_ROWS} more rows: --csv and --json print all")


def open_store(root: str) -> SnapshotStore:
    """Return an existing store; commands that only read must not make an empty one."""
    from retab_frames.store.snapshots import SnapshotStore  # noqa: PLC0415 - as above

    store = SnapshotStore(root)
    if not store.exists():
        raise CommandError(f"there is no store in {root}; {PULL.shell}")
    return store


def list_runs(store: SnapshotStore, experiment_id: str | None) -> pd.DataFrame:
    """Return the rows of the store's list, of one experiment or of all."""
    stored = store.list()
    if experiment_id is None:
        return stored
    runs = stored[stored["experiment_id"] == experiment_id]
    if runs.empty:
        from retab_frames.store.catalog import unknown_experiment  # noqa: PLC0415 - as above

        raise unknown_experiment(store.root, experiment_id, stored["experiment_id"].unique())
    return runs


def _print_files(found: pd.DataFrame, output_format: OutputFormat, otherwise: str) -> None:
    """Print a line per file, with its whole name, and how many there are; or a sentence if none."""
    if output_format is not None:
        print_table(found, output_format)
        return
    if found.empty:
        echo(otherwise)
        return
    from retab_frames.text.tables import format_count  # noqa: PLC0415 - help must not load pandas

    for problem, files in found.groupby("problem", sort=False):
        echo(f"{format_count(len(files), 'file')}, each {problem}:")
        for row in files.itertuples():
            echo(f"  {row.action}: {row.file}")
    echo(f"{format_count(len(found), 'file')}, {found['size_bytes'].sum():,} bytes.")
    if (found["action"] == "would be removed").any():
        echo("Nothing was removed: --yes removes them.")
