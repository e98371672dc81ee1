"""Runs a command as a shell would, in a terminal of 80 columns."""

from __future__ import annotations

from click.testing import CliRunner, Result

from retab_frames.cli import main


def shell(*arguments: str, **env: str) -> Result:
    return CliRunner(env={"COLUMNS": "80", **env}).invoke(main, arguments)
