"""What a command's exit code means, and the error that ends a command."""

from __future__ import annotations

from typing import Any

import click

from retab_frames.cli.streams import echo

__all__ = [
    "EXIT_BUG",
    "EXIT_CODES",
    "EXIT_ERROR",
    "EXIT_FOUND",
    "EXIT_INCONCLUSIVE",
    "EXIT_INTERRUPTED",
    "EXIT_UNREAD",
    "CommandError",
]

EXIT_FOUND = 1
EXIT_ERROR = 2  # click ends wrong usage with the same code
EXIT_INCONCLUSIVE = 3
EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h
EXIT_INTERRUPTED = 130  # 128 plus the number of SIGINT, as shells report it
EXIT_UNREAD = 141  # 128 plus the number of SIGPIPE

EXIT_CODES = {
    0: "success",
    EXIT_FOUND: "a regression or a problem found",
    EXIT_ERROR: "an error",
    EXIT_INCONCLUSIVE: "a check that could not be made, or an inconclusive one with --strict",
    EXIT_BUG: "a bug",
    EXIT_INTERRUPTED: "interrupted",
    EXIT_UNREAD: "output unread",
}


class CommandError(click.ClickException):
    """Ends a command with a message and `EXIT_ERROR`."""

    exit_code = EXIT_ERROR

    def show(self, _file: Any = None) -> None:
        """Print the message."""
        echo(f"Error: {self.message}", err=True)
