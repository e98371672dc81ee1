"""The shell commands; the only wing that prints or exits."""

import sys

try:
    from retab_frames.cli import (  # noqa: F401 - each adds its commands to `main`
        comparisons,
        demo,
        many_runs,
        measurements,
        pulls,
        sandbox,
        snapshots,
    )
    from retab_frames.cli.application import main
except KeyboardInterrupt:  # as `main` ends when it is interrupted
    if sys.stderr is not None:
        sys.stderr.write("Interrupted.\n")
    sys.exit(130)

__all__ = ["main"]
