"""Bytes to frames: one response, many small ones, large ones."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks import floor, ours, peers
from benchmarks.contest import Row, Taken, check_same, in_turn, process, row
from benchmarks.payloads import Weight, responses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.peers import Frames

    Decode = Callable[[Sequence[bytes]], Frames]

_BARS: dict[tuple[str, str], str] = {
    ("light", "json_normalize"): "8 x",
    ("heavy", "json_normalize"): "25 x",
    ("light", "Polars typed"): "2.5 x",
    ("light", "msgspec skip (floor)"): "1/15 x",
    ("heavy", "msgspec skip (floor)"): "1/5 x",
    ("light", "SDK models"): "12 x",
    ("heavy", "SDK models"): "35 x",
}


def one_response(repeats: int) -> Iterator[Row]:
    """One response of 50 and of 100 jobs: what a call costs at least."""
    for jobs in (50, 100):
        bodies = responses(1, jobs)
        for what, mine, bar in (
            ("validated", ours.read_one, "1 x"),
            ("not validated", ours.unvalidated, "3 x"),
        ):
            check_same(mine(bodies), peers.json_normalize(bodies), "json_normalize")
            times = in_turn(
                lambda mine=mine, bodies=bodies: mine(bodies),  # type: ignore[misc]
                lambda bodies=bodies: peers.json_normalize(bodies),  # type: ignore[misc]
                max(repeats, 21),
            )
            work = f"one response of {jobs} light jobs, {what}"
            yield row("decode", work, "json_normalize", times, bar if jobs > 50 else "")


def many_responses(repeats: int, count: int) -> Iterator[Row]:
    """Many responses of 50 jobs, flattened together, against one by one."""
    bodies = responses(count, 50)
    contests: list[tuple[str, Callable[[Sequence[bytes]], object], str, Decode, str]] = [
        ("one frame", ours.batched, "json_normalize on each", peers.json_normalize, "30 x"),
        ("one frame", ours.batched, "one json_normalize", peers.json_normalize_at_once, ""),
        ("frames of each", ours.each_read, "json_normalize on each", peers.json_normalize, ""),
    ]
    for what, mine, name, peer, bar in contests:
        if mine is ours.batched:
            check_same(ours.batched(bodies), peer(bodies), name)
        times = in_turn(
            lambda mine=mine: mine(bodies),  # type: ignore[misc]
            lambda peer=peer: peer(bodies),  # type: ignore[misc]
            repeats,
        )
        yield row("decode", f"{count:,} responses of 50 light jobs, {what}", name, times, bar)


def large(weight: Weight, jobs: int, repeats: int) -> Iterator[Row]:
    """One large response against every peer that can read it."""
    bodies = responses(1, jobs, weight=weight)
    if (weight, jobs) == ("light", 10_000):
        repeats = max(repeats, 21)  # so short that a page fault more or less tells
    frames: dict[str, Decode] = {
        "json_normalize": peers.json_normalize,
        "DuckDB on split rows": peers.duckdb_split,
    }
    if weight == "light":
        frames["Polars typed"] = peers.polars_typed
    floors: dict[str, Callable[[Sequence[bytes]], int]] = {
        "msgspec skip (floor)": floor.validate_and_skip,
        "orjson.loads alone": floor.orjson_loads,
    }
    for name, peer in {**frames, **floors}.items():
        if name in frames:
            check_same(ours.read_one(bodies), frames[name](bodies), name)
        times = in_turn(
            lambda: ours.read_one(bodies),
            lambda peer=peer: peer(bodies),  # type: ignore[misc]
            repeats,
        )
        bar = _BARS.get((weight, name), "")
        yield row("decode", f"{jobs:,} {weight} jobs", name, times, bar)
    times = in_turn(lambda: ours.read_one(bodies), lambda: ours.unvalidated(bodies), repeats)
    bar = ">= 0.8 x"
    yield row("decode", f"{jobs:,} {weight} jobs", "ours, not validated", times, bar)


def sdk(weight: Weight, jobs: int, repeats: int) -> Iterator[Row]:
    """One large response against the official SDK, in turn as processes of three readings each.

    The first reading of a process takes its memory from the system, which costs more on some
    machines than all the rest; so the others have a row of their own.
    """
    taken: dict[str, list[list[tuple[float, float]]]] = {"ours": [], "sdk": []}
    for _ in range(repeats):
        for name, processes in taken.items():
            processes.append(process(name, weight, jobs, 1, 3)["taken"])
    bar = _BARS[weight, "SDK models"]
    for which, some in (("the first of a process", slice(1)), ("a later one", slice(1, None))):
        sides = [
            [reading for readings in processes for reading in readings[some]]
            for processes in taken.values()
        ]
        ours, theirs = (Taken(*map(statistics.median, zip(*side, strict=True))) for side in sides)
        yield row("decode", f"{jobs:,} {weight} jobs, {which}", "SDK models", (ours, theirs), bar)


def memory(jobs: int) -> Row:
    """The memory beyond the response itself, each in a process of its own."""
    mine, theirs = (
        process(name, "light", jobs, 1, 1)["peak_mb"] for name in ("ours", "json_normalize")
    )
    work = f"{jobs:,} light jobs: MB beyond the response"
    return Row("memory", work, "json_normalize", mine, theirs, theirs / mine, None, "6 x", "x")


def growth(most: int, repeats: int) -> Row:
    """The cost of a job among many, against that of one among ten thousand."""
    few, many = (responses(1, jobs) for jobs in (10_000, most))
    small, big = in_turn(lambda: ours.read_one(few), lambda: ours.read_one(many), repeats)
    each = [taken.wall / n * 1e3 for taken, n in ((small, 10_000), (big, most))]
    work = f"ms per job, {most:,} light jobs against 10,000"
    return Row("growth", work, "ours", each[1], each[0], each[1] / each[0], None, "<= 1.5 x")
