"""What a command's exit code means, and the error that ends a command."""

from __future__ import annotations

import click

__all__ = ["EXIT_CODES", "EXIT_ERROR", "EXIT_FOUND", "EXIT_INTERRUPTED", "CommandError"]

EXIT_FOUND = 1
EXIT_ERROR = 2  # click ends wrong usage with the same code
EXIT_INTERRUPTED = 130  # 128 plus the number of SIGINT, as shells report it

EXIT_CODES = {
    0: "success",
    EXIT_FOUND: "a regression, or a problem in a store",
    EXIT_ERROR: "an error, or an inconclusive comparison",
    EXIT_INTERRUPTED: "interrupted",
}


class CommandError(click.ClickException):
    """Ends a command with a message of one line and `EXIT_ERROR`."""

    exit_code = EXIT_ERROR
