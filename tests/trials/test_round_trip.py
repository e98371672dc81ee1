"""What the API sent comes back from frame and Parquet as it came."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import retab_frames as rf
from retab_frames.store.parquet import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable

RESPONSES = 2_000
TEXTS = [
    "",
    "a",
    "é",
    "e\u0301",
    "\u0000",
    "\u202e",
    "a.b",
    "  ",
    "😀",
    '"',
    "\\",
    "\n",
    "null",
    "1.50",
]
NUMBERS = ["0", "-0", "1.50", "1E5", "1e999", str(2**60 + 1), str(2**70), "5e-324", "-1"]


def value(chance: random.Random, depth: int = 0) -> str:
    """Return random JSON text; numbers are spelled in ways that decoding would not keep."""
    kind = chance.randrange(7 if depth < 3 else 5)
    if kind == 0:
        return chance.choice(["null", "true", "false"])
    if kind in (1, 2):
        return chance.choice(NUMBERS)
    if kind in (3, 4):
        return json.dumps(chance.choice(TEXTS), ensure_ascii=chance.random() < 0.5)
    items = [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind == 5:
        return "[" + " ,".join(items) + "]"
    names = chance.sample(TEXTS, len(items))
    return "{" + ", ".join(f"{json.dumps(n)}: {i}" for n, i in zip(names, items, strict=True)) + "}"


def row(n: int, chance: random.Random) -> str:
    """Return a row with random handles and with fields that nobody knows."""
    handles = ",".join(
        f'{json.dumps(name)}:{{"type":"json","data":{value(chance)}}}'
        for name in chance.sample(TEXTS, chance.randrange(4))
    )
    extra = "".join(
        f",{json.dumps(f'new {name}')}:{value(chance)}"
        for name in chance.sample(TEXTS, chance.randrange(3))
    )
    odd = f',"attempt":{value(chance)},"error":{value(chance)}' if chance.random() < 0.3 else ""
    return f'{{"id":"j{n}","document_id":"d{n}","handle_inputs":{{{handles}}}{odd}{extra}}}'


def data_of(content: rf.RunContent) -> dict[tuple[str, str], Any]:
    frame = content.handle_inputs
    return dict(zip(zip(frame["job_id"], frame["handle"], strict=True), frame["data"], strict=True))


def test_rows_come_back_identical(figure: Callable[[str], None]) -> None:
    same = 0
    for seed in range(RESPONSES):
        chance = random.Random(seed)
        rows = [row(n, chance) for n in range(chance.randrange(1, 8))]
        body = f'{{"experiment_id":"e","run_id":"r","content":{{"jobs":[{" , ".join(rows)}]}}}}'

        content = rf.read_content(body)
        stored = decode(encode(content.raw_rows), "raw")
        again = rf.read_content(
            f"[{','.join(stored['body'].to_pylist())}]".replace(
                '{"id":', '{"run_id":"r","experiment_id":"e","id":'
            )
        )

        assert stored["body"].to_pylist() == rows
        assert data_of(again) == data_of(content)
        handles = decode(encode(content.tables.handle_inputs), "handles")
        assert handles.equals(content.tables.handle_inputs.replace_schema_metadata(None))
        same += 1

    figure(
        "generated responses whose rows come back identical through frame and Parquet: "
        f"{same:,} of {RESPONSES:,}"
    )
    assert same == RESPONSES
