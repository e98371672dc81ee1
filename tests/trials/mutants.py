"""Payloads of every generation, and ways to damage them."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

from retab_frames.sandbox import Sandbox

if TYPE_CHECKING:
    import random

GENERATIONS = ("A1", "A2", "A3", "B", "C1", "C2", "C3", "C4")

NASTY = [
    *("null", "true", "false", "0", "-1", "1.5", "1e999", "-0.0", "1180591620717411303424"),
    *('""', '"x"', "[]", "{}", "[null]", '{"":1}', "NaN", "Infinity", "9" * 400, '"\\ud800"'),
    *('"2026-02-30T00:00:00Z"', '"9999-12-31T23:59:59.9999999-14:00"', '"0000-00-00T00:00:00Z"'),
    *("[" * 1200 + "]" * 1200, '{"a":' * 90 + "1" + "}" * 90, '"\\u0000"', "\ufeff1", "'x'"),
]
BYTES = [
    b"\x00",
    b"\xff",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\xed\xa0\x80",
    b"9" * 20,
]


def payloads() -> dict[str, bytes]:
    """Return the rows of a run, and its records, as each generation sends them."""
    found = {}
    for generation in GENERATIONS:
        with Sandbox(generations=(generation,), documents=3) as sandbox:
            for path in _paths(generation):
                request = urllib.request.Request(
                    f"{sandbox.url}{path}", headers={"Authorization": f"Bearer {sandbox.api_key}"}
                )
                with urllib.request.urlopen(request) as response:
                    found[f"{generation} {path}"] = response.read()
    return found


def _paths(generation: str) -> list[str]:
    nested = "/v1/workflows/wf_sandbox/experiments"
    flat = "/v1/workflows/experiments"
    run = "exprun_packets_4"
    if generation.startswith("A"):
        return [f"{nested}/exp_packets/content?run_id={run}", f"{nested}/exp_packets/runs", nested]
    if generation == "B":
        return [f"{flat}/runs/{run}/results", f"{flat}/runs?experiment_id=exp_packets", nested]
    return [
        f"{flat}/results?run_id={run}",
        f"{flat}/runs?experiment_id=exp_packets",
        f"{flat}?workflow_id=wf_sandbox",
    ]


def mutant(body: bytes, chance: random.Random) -> bytes:
    """Return the payload with one to three things wrong, in its bytes or in its values."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        body = chance.choice((_bytes, _value, _value, _value))(body, chance)
    return body


def _bytes(body: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(body) + 1)
    length = chance.choice((0, 1, 1, 2, 7, 50))
    insert = chance.choice((b"", b"", *BYTES, body[at : at + length] * 2))
    return body[:at] + insert + body[at + length :]


def _value(body: bytes, chance: random.Random) -> bytes:
    """Replace, drop, double or rename something in the tree, keeping it JSON where it was."""
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return _bytes(body, chance)
    places = list(_places(tree))
    if not places:
        return _bytes(body, chance)
    parent, key = chance.choice(places)
    marker = "\u2603mutant\u2603"
    what = chance.randrange(5)
    if what == 0:
        del parent[key]
    elif what == 1 and isinstance(parent, dict):
        parent[chance.choice(("", "id", "a.b", "é", "new", "type", "after"))] = parent.pop(key)
    elif what == 2 and isinstance(parent, list):
        parent.append(parent[key])
    else:
        parent[key] = marker
    text = json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return text.replace(f'"{marker}"'.encode(), chance.choice(NASTY).encode())


def _places(tree: Any) -> Any:
    """Yield every place of a tree as its parent and the key in it."""
    stack = [tree]
    while stack:
        node = stack.pop()
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in list(items):
            yield node, key
            if isinstance(value, dict | list):
                stack.append(value)
