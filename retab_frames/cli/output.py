"""How commands print tables and sentences."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import click

from retab_frames.cli.streams import echo, is_terminal, write

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.cli.options import OutputFormat

__all__ = ["find_width", "fits", "print_object", "print_table", "print_text"]


def print_table(
    frame: pd.DataFrame, output_format: OutputFormat, condensed: pd.DataFrame | None = None
) -> None:
    """Print a frame as JSON or CSV, or as a table as wide as the terminal; else as it needs.

    Args:
        frame: All columns, for JSON and CSV.
        output_format: "json", "csv", or None for a table.
        condensed: What the table shows instead of the frame; None for the frame itself.
    """
    from retab_frames.text import raw_values, tables  # noqa: PLC0415 - help must not load pandas

    if output_format == "json":
        write(f"{raw_values.render_json(frame)}\n")
    elif output_format == "csv":
        write(raw_values.render_csv(frame))
    else:
        shown = frame if condensed is None else condensed
        where = "--csv and --json have them"
        echo(tables.render_terminal(shown, width=find_width(), elsewhere=where))


def fits(frame: pd.DataFrame) -> bool:
    """Return whether a table is no wider than the terminal, without that anything is cut."""
    from retab_frames.text import tables  # noqa: PLC0415 - as above

    _, rule, _ = tables.render_terminal(frame, width=1_000_000).split("\n", 2)
    return len(rule) <= shutil.get_terminal_size().columns


def print_object(value: dict[str, Any]) -> None:
    """Print an object of plain values as JSON."""
    from retab_frames.text.raw_values import render_json_object  # noqa: PLC0415 - as above

    write(f"{render_json_object(value)}\n")


def print_text(text: str) -> None:
    """Print sentences, each wrapped at the width of the terminal."""
    width = shutil.get_terminal_size().columns
    for line in text.splitlines():
        echo(click.wrap_text(line, width=width, subsequent_indent="  "))


def find_width() -> int | None:
    """Return the width of the terminal; None where the output goes to a file or a pipe."""
    return shutil.get_terminal_size().columns if is_terminal() else None
