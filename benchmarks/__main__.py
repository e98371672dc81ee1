"""All the contests, and one table: `python -m benchmarks [--quick] [--rows GROUP,...]`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import traceback
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import decode, fetch, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.contest import Row

HEAD = ("group", "work", "peer", "ours ms", "peer ms", "ratio", "CPU ratio", "bar")


def contests(groups: set[str], *, quick: bool, repeats: int) -> list[Callable[[], Iterable[Row]]]:
    """Return what is to be run, cheapest first."""
    runs, many, big = (200, 300, 100_000) if quick else (2_000, 300, 1_000_000)
    sizes = (("light", 10_000), ("heavy", 4_000 if quick else 10_000), ("light", 100_000))
    every: dict[str, list[Callable[[], Iterable[Row]]]] = {
        "import": [lambda: [tables.imports(repeats)]],
        "decode": [
            lambda: decode.one_response(repeats),
            lambda: decode.many_responses(repeats, runs),
            *(
                lambda weight=weight, jobs=jobs: decode.large(weight, jobs, repeats)
                for weight, jobs in sizes
            ),
        ],
        "large": [] if quick else [lambda: decode.large("light", big, 3)],
        "sdk": [
            lambda weight=weight, jobs=jobs: [decode.sdk(weight, jobs, repeats)]  # type: ignore[misc]
            for weight, jobs in sizes[:2]
        ],
        "memory": [lambda: [decode.memory(big)]],
        "growth": [lambda: [decode.growth(big, 3)]],
        "fetch": [lambda: fetch.rows(60 if quick else many, 3 if quick else repeats)],
        "store": [lambda: tables.store(runs, repeats)],
        "statistics": [lambda: tables.durations(big if quick else 10_000_000, min(repeats, 3))],
    }
    unknown = groups - set(every)
    if unknown:
        raise SystemExit(f"no such group: {', '.join(unknown)}; there are {', '.join(every)}")
    return [work for name, works in every.items() if not groups or name in groups for work in works]


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
    """Run what was asked for, and print each row as soon as it is known."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, minutes not an hour")
    parser.add_argument("--rows", default="", help="groups, by comma: decode,fetch,memory,...")
    parser.add_argument("--repeats", type=int, default=5, help="the medians are of so many")
    parser.add_argument("--markdown", type=Path, help="write the table there, too")
    given = parser.parse_args()
    groups = set(filter(None, given.rows.split(",")))
    rows: list[Row] = []
    failed = 0
    print(machine(), *HEAD, sep=" | ", flush=True)
    for work in contests(groups, quick=given.quick, repeats=given.repeats):
        try:
            for row in work():
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
