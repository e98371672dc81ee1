"""What is run, cheapest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import decode, fetch, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.contest import Row


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
            lambda weight=weight, jobs=jobs: decode.sdk(weight, jobs, repeats)  # type: ignore[misc]
            for weight, jobs in sizes[:2]
        ],
        "memory": [lambda: [decode.memory(big)]],
        "growth": [lambda: [decode.growth(big, 3)]],
        "fetch": [lambda: fetch.rows(60 if quick else many, 3 if quick else repeats)],
        "pull": [lambda: fetch.pull(60 if quick else many, min(repeats, 3))],
        "store": [lambda: tables.store(runs, repeats)],
        "statistics": [
            lambda groups=groups, least=least: tables.durations(  # type: ignore[misc]
                big if quick else 10_000_000, groups, min(repeats, 3), least
            )
            for groups, least in ((1_000, "2.5 times it"), (big, "4 times it"))
        ],
    }
    every["dask"] = [lambda: tables.cluster(big, min(repeats, 3))]
    unknown = groups - set(every)
    if unknown:
        raise SystemExit(f"no such group: {', '.join(unknown)}; there are {', '.join(every)}")
    return [work for name, works in every.items() if not groups or name in groups for work in works]


def contest(number: int, groups: set[str], repeats: int, *, quick: bool) -> list[Row]:
    """Run one of the contests, and return its rows."""
    return list(contests(groups, quick=quick, repeats=repeats)[number]())
