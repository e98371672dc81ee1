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
    "CommandError",
    "MissingError",
    "describe_exit_codes",
]

EXIT_FOUND = 1
EXIT_ERROR = 2  # click ends wrong usage with the same code
EXIT_INCONCLUSIVE = 3
EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h
EXIT_INTERRUPTED = 130  # 128 plus the number of SIGINT, as shells report it

EXIT_CODES = {
    0: "success",
    EXIT_FOUND: "a regression or a problem found",
    EXIT_ERROR: "could not run",
    EXIT_INCONCLUSIVE: "inconclusive with --strict, or what was asked for is missing",
    EXIT_BUG: "a bug",
    EXIT_INTERRUPTED: "interrupted",
}


def describe_exit_codes(*codes: int) -> str:
    """Return what these codes mean, for the help of a command."""
    return f"Exit codes: {', '.join(f'{code} {EXIT_CODES[code]}' for code in codes)}."


class CommandError(click.ClickException):
    """Ends a command with a message and `EXIT_ERROR`."""

    exit_code = EXIT_ERROR

    def show(self, _file: Any = None) -> None:
        """Print the message."""
        echo(f"Error: {self.message}", err=True)


class MissingError(CommandError):
    """Ends a command with a message and `EXIT_INCONCLUSIVE`: what was asked for is missing."""

    exit_code = EXIT_INCONCLUSIVE
