"""Commands that look after a store, and ask it questions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from retab_frames.cli.commands import FOUND, Form, form_option, main, opened, show, store_option

if TYPE_CHECKING:
    import pandas as pd

_MOST_ROWS = 50


@main.command("ls")
@store_option
@form_option
def list_snapshots(*, root: str, form: Form) -> None:
    """List the runs in a store.

    Example: retab-frames ls --store snapshots
    """
    found = opened(root).list()
    names = ["run_id", "revision", "complete", "jobs", "completed", "error", "run_created_at"]
    show(found, form, found[names].rename(columns={"run_created_at": "created"}))


@main.command()
@click.option(
    "--level",
    type=click.Choice(["quick", "hash", "full"]),
    default="hash",
    show_default=True,
    help="Sizes only; every file's hash; or every page decoded and every frame rebuilt.",
)
@click.option("--run", "run_id", metavar="RUN_ID", help="Only this run.")
@store_option
@form_option
def verify(*, level: Any, run_id: str | None, root: str, form: Form) -> None:
    """Prove that a store is whole: exit 0 if it is, 1 if something is wrong.

    What only takes space (kind: leftover) is listed, and is no reason to fail.

    Example: retab-frames verify --level full
    """
    found = opened(root).verify(level, run_id=run_id)
    if form is None and found.empty:
        click.echo(f"{root} is whole, as far as level {level} looks.")
        return
    show(found, form, found[["run_id", "kind", "file", "problem"]])
    for action in found["action"].unique() if form is None else ():
        click.echo(f"Next: {action}")
    if (found["kind"] != "leftover").any():
        raise click.exceptions.Exit(FOUND)


yes_option = click.option("--yes", is_flag=True, help="Do it; without it files are only listed.")


@main.command()
@yes_option
@click.option(
    "--older-than", "days", default=1.0, show_default=True, help="Only files so many days old."
)
@store_option
@form_option
def clean(*, yes: bool, days: float, root: str, form: Form) -> None:
    """List, or remove, what a crash or a failed write left behind.

    Example: retab-frames clean --yes
    """
    found = opened(root).clean(older_than=timedelta(days=days), dry_run=not yes)
    _show_files(found, form, f"There are no leftovers in {root}.")


@main.command()
@click.argument("run_id")
@yes_option
@store_option
@form_option
def remove(*, run_id: str, yes: bool, root: str, form: Form) -> None:
    """List the files of a run, or remove them all, so that no byte of it is left.

    Example: retab-frames remove exprun_1 --yes
    """
    found = opened(root).remove(run_id, dry_run=not yes)
    _show_files(found, form, f"There are no files of {run_id} in {root}.")


@main.command()
@click.option(
    "--keep-revisions", type=click.IntRange(1), help="So many of the newest of each run stay."
)
@click.option("--older-than", "days", type=float, help="Only revisions so many days old.")
@click.option(
    "--incomplete/--complete", default=None, help="Only of runs that had not ended, or had."
)
@yes_option
@store_option
@form_option
def prune(
    *,
    keep_revisions: int | None,
    days: float | None,
    incomplete: bool | None,
    yes: bool,
    root: str,
    form: Form,
) -> None:
    """List, or remove, old revisions of runs; the newest of a run always stays.

    Example: retab-frames prune --keep-revisions 1 --yes
    """
    found = opened(root).prune(
        keep_revisions=keep_revisions,
        older_than=None if days is None else timedelta(days=days),
        incomplete=incomplete,
        dry_run=not yes,
    )
    _show_files(found, form, f"There are no such revisions in {root}.")


@main.command()
@store_option
@form_option
def publish(*, root: str, form: Form) -> None:
    """Renew the files of other tools that are missing or out of date.

    Example: retab-frames publish
    """
    found = opened(root).publish()
    _show_files(found, form, f"All views in {root} are those of the newest revisions.")


def _show_files(found: pd.DataFrame, form: Form, otherwise: str) -> None:
    if form is None and found.empty:
        click.echo(otherwise)
        return
    show(found, form, found[["file", "size_bytes", "problem", "action"]])


@main.command()
@click.argument("experiment_id")
@store_option
@form_option
def compact(*, experiment_id: str, root: str, form: Form) -> None:
    """Write the runs of an experiment into few files too, which read many times faster.

    What is read through retab-frames does not change; the files of the runs stay as they are.

    Example: retab-frames compact exp_invoices
    """
    done = opened(root).compact(experiment_id)
    if form is not None:
        import pandas as pd  # noqa: PLC0415 - help must not load pandas

        show(pd.DataFrame([vars(done)]), form)
        return
    click.echo(
        f"{done.packed:,} runs of {experiment_id} are compacted: a scan opens {done.files:,} "
        f"files, where it opened {done.files_before:,}."
    )
    if done.left:
        are = (
            "is not complete, and is left out"
            if done.left == 1
            else ("are not complete, and are left out")
        )
        click.echo(f"{done.left:,} {are}.")


@main.command()
@click.argument("query")
@store_option
@form_option
def sql(*, query: str, root: str, form: Form) -> None:
    """Ask a store in SQL (DuckDB), over the newest revision of every run.

    The tables are jobs, handle_inputs, handle_outputs, runs, issues, raw and snapshots.

    Example: retab-frames sql "select run_id, count(*) from jobs group by run_id"
    """
    from retab_frames.store.scan.sql import query as rows_of  # noqa: PLC0415 - help must not load pandas

    found = rows_of(opened(root), query)
    show(found, form, found.head(_MOST_ROWS))
    if form is None and len(found) > _MOST_ROWS:
        click.echo(f"and {len(found) - _MOST_ROWS} more rows; --csv and --json have all")
