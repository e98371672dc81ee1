"""How commands print tables and sentences."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.cli.options import OutputFormat

__all__ = ["print_table", "print_text"]


def print_table(
    frame: pd.DataFrame, output_format: OutputFormat, condensed: pd.DataFrame | None = None
) -> None:
    """Print a frame as JSON or CSV, or as a table no wider than the terminal.

    Args:
        frame: All columns, for JSON and CSV.
        output_format: "json", "csv", or None for a table.
        condensed: What the table shows instead of the frame; None for the frame itself.
    """
    from retab_frames.text import tables  # noqa: PLC0415 - help must not load pandas

    if output_format == "json":
        # 15 digits are the most that pandas writes; by default it cuts to 10
        style: Any = {"date_format": "iso", "date_unit": "us", "double_precision": 15}
        click.echo(frame.to_json(orient="records", indent=2, **style))
    elif output_format == "csv":
        click.echo(tables.render_csv(frame), nl=False)
    else:
        width = shutil.get_terminal_size().columns
        click.echo(tables.render_terminal(frame if condensed is None else condensed, width=width))


def print_text(text: str) -> None:
    """Print sentences, each wrapped at the width of the terminal."""
    width = shutil.get_terminal_size().columns
    for line in text.splitlines():
        click.echo(click.wrap_text(line, width=width, subsequent_indent="  "))
