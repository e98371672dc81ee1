"""All the contests, and one table: `python -m benchmarks [--quick] [--rows GROUP,...]`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import traceback
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.schedule import contest, contests

if TYPE_CHECKING:
    from benchmarks.contest import Row

HEAD = ("group", "work", "peer", "ours ms", "peer ms", "ratio", "CPU ratio", "bar")


def line(row: Row) -> tuple[str, ...]:
    """Return a row as the cells of the table."""
    cpu = "" if row.cpu_ratio is None else f"{row.cpu_ratio:.2g}"
    times = (f"{row.ours_ms:,.4g}", f"{row.peer_ms:,.4g}")
    return (row.group, row.work, row.peer, *times, f"{row.ratio:.3g} {row.unit}", cpu, row.least)


def machine() -> str:
    """Return what it ran on, and when."""
    names = ("pandas", "pyarrow", "msgspec", "pandera", "polars", "duckdb")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    today = datetime.now(UTC).date().isoformat()
    return (
        f"{today}, {os.cpu_count()} cores ({platform.machine()}), {platform.system()}, "
        f"Python {platform.python_version()}, {versions}"
    )


def markdown(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [HEAD, tuple("---" for _ in HEAD), *map(line, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    """Run what was asked for, each contest in a process of its own, and print its rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, a few minutes")
    parser.add_argument("--rows", default="", help="groups, by comma: decode,fetch,memory,...")
    parser.add_argument("--repeats", type=int, default=5, help="the medians are of so many")
    parser.add_argument("--markdown", type=Path, help="write the table there, too")
    given = parser.parse_args()
    groups = set(filter(None, given.rows.split(",")))
    rows: list[Row] = []
    failed = 0
    print(machine(), *HEAD, sep=" | ", flush=True)
    # what one contest leaves in memory would change both sides of the next
    alone = ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1)
    with alone:
        for number in range(len(contests(groups, quick=given.quick, repeats=given.repeats))):
            work = alone.submit(contest, number, groups, given.repeats, quick=given.quick)
            try:
                for row in work.result():
                    rows.append(row)
                    print(" | ".join(line(row)), flush=True)
            except Exception:  # noqa: BLE001 - the other contests are still worth running
                traceback.print_exc()
                failed += 1
    if given.markdown:
        given.markdown.write_text(f"{machine()}\n\n{markdown(rows)}\n", encoding="utf-8")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
