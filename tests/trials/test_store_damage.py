"""Every byte of a store counts: what is altered, cut or removed is found, and not read."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

import retab_frames as rf
from retab_frames.store import deep_checks, manifest, tables

from .crashes import folder, pooled, ready, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUN = "exprun_1"
DURATIONS = (10,)
WORKERS = 2
CUTS = 8


def damages(path: Path, chance: random.Random) -> Iterator[tuple[str, bytes | None]]:
    """Yield the file with each byte altered, cut at some lengths, and removed."""
    whole = path.read_bytes()
    for at in range(len(whole)):
        yield (
            "flipped",
            whole[:at] + bytes([whole[at] ^ chance.randrange(1, 256)]) + whole[at + 1 :],
        )
    for length in {0, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(CUTS))}:
        yield "cut", whole[:length]
    yield "removed", None


def outcome(store: rf.SnapshotStore) -> tuple[bool, bool]:
    """Return whether verify finds something, and whether read refuses."""
    found = set(store.verify("hash")["kind"]) & {"damaged", "newer", "stray"}
    return bool(found), told(store, RUN) != DURATIONS


def damaged(
    worker: int, *, every_nth: int = 1, blinded: Callable[[], None] = lambda: None
) -> Counter[str]:
    found: Counter[str] = Counter()
    chance = random.Random(worker)
    with folder() as name:
        store = rf.SnapshotStore(Path(name) / "store")
        store.write(ready(RUN, *DURATIONS))
        blinded()
        # views are second names of the data files
        paths = sorted(path for path in Path(store.root, "revisions").rglob("*") if path.is_file())
        paths.append(Path(store.root, "retab-frames.json"))
        found["files"] += len(paths) * (worker == 0)
        for path in paths:
            whole = path.read_bytes()
            for n, (how, data) in enumerate(damages(path, chance)):
                mine = n % (WORKERS * every_nth) == worker if how == "flipped" else worker == 0
                if not mine:
                    continue
                path.unlink()
                if data is not None:
                    path.write_bytes(data)
                seen, refused = outcome(store)
                # a marker that is missing, or lost its last line break, hinders no reader
                marker = path.name == "retab-frames.json"
                harmless = marker and (data is None or data.strip() == whole.strip())
                found[how] += 1
                found["not found"] += not seen
                found["read"] += not (refused or harmless)
                path.write_bytes(whole)
        assert outcome(store) == (False, False)
    return found


def test_every_byte_flipped_every_file_cut_or_removed(figure: Callable[[str], None]) -> None:
    found = pooled(damaged, WORKERS)
    figure(
        f"bytes flipped in the {found['files']} files of a snapshot: {found['flipped']:,}, files "
        f"cut: {found['cut']}, removed: {found['removed']}; not found by verify: "
        f"{found['not found']}; read all the same: {found['read']}"
    )
    assert (found["not found"], found["read"]) == (0, 0)
    assert found["flipped"] > 5_000
    assert found["removed"] == found["files"] == 4


class Yes(str):
    """A hash that is equal to every other."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, _: object) -> bool:
        return True

    def __ne__(self, _: object) -> bool:
        return False


def blind() -> None:
    """Take the checksums out: of files, of manifests and of pages."""
    reader = pq.ParquetFile
    pq.ParquetFile = lambda source, **_: reader(source)
    for module in (manifest, tables, deep_checks):
        vars(module)["sha256"] = lambda data, real=module.sha256: Yes(real(data))


def without_checksums(worker: int) -> Counter[str]:
    return damaged(worker, every_nth=40, blinded=blind)


def test_without_checksums_damage_is_not_found(figure: Callable[[str], None]) -> None:
    found = pooled(without_checksums, WORKERS)
    figure(
        f"the same without checksums: of {found['flipped']:,} flips {found['not found']:,} not "
        f"found, {found['read']:,} read all the same"
    )
    assert found["not found"] > found["flipped"] // 4
    assert found["read"] > 0
