"""The shell commands; the only room that prints or exits."""

from retab_frames.cli import analysis, loading, storing  # noqa: F401 - they add their commands
from retab_frames.cli.commands import main

__all__ = ["main"]
