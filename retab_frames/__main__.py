"""The command `retab-frames`, also as `python -m retab_frames`, in a process of its own."""

import sys
from typing import Any

_UNUSED = ("dask", "geopandas", "hypothesis", "modin", "pyspark")
"""What pandera imports if it is installed; no command uses it, and it takes longer than most do."""


def main() -> None:
    """Run the command."""
    modules: dict[str, Any] = sys.modules
    for name in _UNUSED:
        modules.setdefault(name, None)  # as if it were not installed
    from retab_frames.cli import main as run  # noqa: PLC0415 - after the above

    run()


if __name__ == "__main__":
    main()
