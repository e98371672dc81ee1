"""Ids of all kinds become names that are safe everywhere, and come back as they were."""

from __future__ import annotations

import random
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import retab_frames as rf
from retab_frames.store.manifest import folder_name

from .crashes import folder, ready, told

if TYPE_CHECKING:
    from collections.abc import Callable

IDS = 10_000
WRITTEN = 300
NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?-[0-9a-f]{16}", re.ASCII)
PARTS = [
    *("", " ", ".", "..", "/", "\\", "../", "..\\", "~", "C:", "CON", "nul", "aux.txt", "-", "_"),
    *("a", "A", "Run", "run", "001", "1", "0x10", "2024-01-01", "run_id=7", "%2e%2e%2f", "%00"),
    *("\x00", "\n", "\r", "\t", "\x1b[2J", "\u202e", "\u200b", "\ufeff", "é", "e\u0301", "ﬁ", "ß"),
    *(
        "İ",
        "\u0131",
        "\u017f",
        "😀",
        "日本語",
        "🧾",
        "*",
        "?",
        "<",
        ">",
        "|",
        ":",
        '"',
        "'",
        "$HOME",
        "`id`",
    ),
    *("__HIVE_DEFAULT_PARTITION__", "archive", "manifests", ".tmp", ".parquet", "x" * 255),
]


def hostile_ids() -> list[str]:
    chance = random.Random(5)
    found = dict.fromkeys(PARTS[1:])
    while len(found) < IDS:
        parts = chance.choices(PARTS, k=chance.randrange(1, 6))
        found["".join(parts) or "x"] = None
    return list(found)


def test_hostile_ids(figure: Callable[[str], None]) -> None:
    ids = hostile_ids()
    names = [folder_name(one) for one in ids]
    outside = sum(NAME.fullmatch(name) is None for name in names)
    alike = {unicodedata.normalize("NFKD", name).casefold() for name in names}
    written = random.Random(6).sample(ids, WRITTEN)
    with folder() as place:
        root = Path(place) / "store"
        store = rf.SnapshotStore(root)
        for n, run_id in enumerate(written):
            store.write(ready(run_id, n))
        listed = set(store.list()["run_id"])
        back = sum(
            told(store, run_id) == (n,) and run_id in listed for n, run_id in enumerate(written)
        )
        outside += [path.name for path in Path(place).iterdir()] != ["store"]
        problems = len(store.verify())

    figure(
        f"hostile ids: {len(ids):,}; outside the root: {outside}; collisions: "
        f"{len(ids) - len(alike)}; written and read back: {back} of {WRITTEN}"
    )
    assert (outside, len(alike), back, problems) == (0, IDS, WRITTEN, 0)
