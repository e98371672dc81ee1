"""Commands that look after a store, and ask it questions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from retab_frames.cli.commands import FOUND, Form, form_option, main, opened, show, store_option

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


@main.command()
@click.option("--remove", is_flag=True, help="Remove them; without it they are only listed.")
@click.option(
    "--older-than", "days", default=1.0, show_default=True, help="Only files so many days old."
)
@store_option
@form_option
def clean(*, remove: bool, days: float, root: str, form: Form) -> None:
    """List, or remove, what a crash or a failed write left behind.

    Example: retab-frames clean --remove
    """
    found = opened(root).clean(older_than=timedelta(days=days), dry_run=not remove)
    if form is None and found.empty:
        click.echo(f"There are no leftovers in {root}.")
        return
    show(found, form, found[["file", "size_bytes", "problem", "action"]])


@main.command()
@click.argument("experiment_id")
@store_option
@form_option
def compact(*, experiment_id: str, root: str, form: Form) -> None:
    """Pack the runs of an experiment into few files, which read many times faster.

    What is read through retab-frames does not change; the files of the runs stay in archive/.

    Example: retab-frames compact exp_invoices
    """
    done = opened(root).compact(experiment_id)
    if form is not None:
        import pandas as pd  # noqa: PLC0415 - help must not load pandas

        show(pd.DataFrame([vars(done)]), form)
        return
    click.echo(
        f"{done.packed:,} runs of {experiment_id} are packed: {done.files:,} files, where there "
        f"were {done.files_before:,}."
    )
    if done.left:
        are = (
            "is not complete, and stays as it is"
            if done.left == 1
            else ("are not complete, and stay as they are")
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
