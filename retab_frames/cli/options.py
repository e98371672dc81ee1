"""Options that several commands share."""

from __future__ import annotations

from typing import Any, Literal

import click

__all__ = [
    "OutputFormat",
    "add_format_options",
    "experiment_option",
    "runs_option",
    "store_option",
]

OutputFormat = Literal["json", "csv"] | None
"""How a table is printed; None for an aligned table with the most important columns."""

experiment_option = click.option(
    "--experiment",
    "experiment_id",
    metavar="EXPERIMENT_ID",
    help="Only the runs of this experiment.  [default: all experiments]",
)
runs_option = click.option(
    "--run",
    "run_ids",
    multiple=True,
    metavar="RUN_ID",
    help="Only this run; can be repeated.  [default: all runs]",
)
store_option = click.option(
    "--store",
    "root",
    metavar="PATH",
    default="snapshots",
    show_default=True,
    help="The snapshot store: a folder, or a bucket (s3://, gs://, az://).",
)


def add_format_options(command: Any) -> Any:
    """Add --json and --csv, which set `output_format`."""
    for name in ("csv", "json"):
        text = f"Print {name.upper()}: all columns, raw values.  [default: a table]"
        command = click.option(f"--{name}", "output_format", flag_value=name, help=text)(command)
    return command
