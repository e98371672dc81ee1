"""Whatever comes, it is read or refused with an error of ours."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

from factories import content, encoded
from flatten.test_arrow_json import (
    NEVER,
    SMALL,
    bare_job,
    count_parts,
    frames_of,
    newer_job,
    plain_job,
)

import retab_frames as rf
from retab_frames.flatten.runs import expected_jobs, experiments_table, runs_table
from retab_frames.wire.envelopes import parse_records

from .mutants import mutant, payloads

if TYPE_CHECKING:
    from collections.abc import Callable

TRIED = 204_000
BY_BOTH = 48_000
CHUNKS = 24
EVERY_NTH_FRAME = 10


def outcome(name: str, body: bytes, *, frames: bool) -> str:
    """Read a payload as what it once was; return what became of it."""
    try:
        if "content" in name or "results" in name:
            content = rf.read_content(body)
            if frames:
                assert len(content.jobs) == len(content.raw)
                assert len(content.issues) >= 0
        else:
            table = runs_table if "runs" in name else experiments_table
            known = {"experiment_id": None} if "runs" in name else {}
            records = parse_records(body).records
            table(records, workflow_id=None, fetched_at=None, **known)
            for record in records:
                expected_jobs(record)
    except rf.RetabFramesError:
        return "refused"
    except Exception as error:  # noqa: BLE001 - these are what the trial looks for
        return f"foreign: {type(error).__name__}: {error}"
    return "read"


def chunk(seed: int) -> Counter[str]:
    chance = random.Random(seed)
    bodies = list(payloads().items())
    found: Counter[str] = Counter()
    for n in range(TRIED // CHUNKS):
        name, body = chance.choice(bodies)
        found[outcome(name, mutant(body, chance), frames=n % EVERY_NTH_FRAME == 0)] += 1
    return found


def test_only_errors_of_ours_leave(figure: Callable[[str], None]) -> None:
    with ProcessPoolExecutor() as pool:
        total = sum(pool.map(chunk, range(CHUNKS)), Counter())

    foreign = {what: n for what, n in total.items() if what.startswith("foreign")}
    figure(
        f"mutated payloads tried: {total.total():,} ({total['read']:,} read, "
        f"{total['refused']:,} refused); foreign exceptions: {sum(foreign.values())}"
    )
    assert foreign == {}
    assert total.total() >= 200_000
    assert min(total["read"], total["refused"]) > TRIED // 10


def both_readers(seed: int) -> Counter[str]:
    """Read mutants of ordinary responses by both readers of rows, and compare the frames."""
    chance = random.Random(seed)
    seeds = [encoded(content(*map(make, range(4)))) for make in (plain_job, newer_job, bare_job)]
    found: Counter[str] = Counter()
    parts = count_parts(setattr)
    for _ in range(BY_BOTH // CHUNKS):
        body = mutant(chance.choice(seeds), chance)
        frames = [frames_of(body, sizes) for sizes in (SMALL, NEVER)]
        found["the same" if frames[0] == frames[1] else "other"] += 1
        found["refused"] += isinstance(frames[0], str)
    found["pieces"] = len(parts)
    return found


def test_both_readers_agree(figure: Callable[[str], None]) -> None:
    with ProcessPoolExecutor() as pool:
        total = sum(pool.map(both_readers, range(CHUNKS)), Counter())

    figure(
        f"mutated payloads read by both readers: {BY_BOTH:,} ({total['refused']:,} refused by "
        f"both, {total['pieces']:,} pieces taken by Arrow's); with other frames: {total['other']}"
    )
    assert total["other"] == 0
    assert total["the same"] == BY_BOTH
    assert total["pieces"] > BY_BOTH // 4
