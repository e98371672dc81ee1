"""The shell commands; the only wing that prints or exits."""

from retab_frames.cli import (  # noqa: F401 - each adds its commands to `main`
    comparisons,
    demo,
    measurements,
    sandbox,
    snapshots,
)
from retab_frames.cli.application import main

__all__ = ["main"]
