"""Responses of `/content`, generated from a seed.

A light job has one file among its handle inputs (some 580 bytes), a heavy one has two JSON values
beside it (some 4.9 kB).
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

Weight = Literal["light", "heavy"]
JsonObject = dict[str, Any]

_EPOCH = datetime(2026, 5, 2, 11, tzinfo=UTC)
_ERROR = "the model gave no answer in time"
_LINES = 22
_WORDS = (
    "invoice",
    "total",
    "paper",
    "freight",
    "screws",
    "étiquette",
    "20 ± 0.5 mm",
    'with "quotes"',
)


def response(jobs: int, *, weight: Weight = "light", run: int = 1, seed: int = 0) -> bytes:
    """Return one response of `/content` as JSON text."""
    rng = random.Random(f"{seed}/{weight}/{run}")
    rows = b",".join(encoded(_job(n, run, weight, rng)) for n in range(jobs))
    return (
        f'{{"experiment_id":"exp_bench","run_id":"{run_id(run)}","content":{{"jobs":['.encode()
        + rows
        + b"]}}"
    )


def responses(count: int, jobs: int, *, weight: Weight = "light") -> list[bytes]:
    """Return the responses of many runs, each with as many jobs."""
    return [response(jobs, weight=weight, run=run) for run in range(count)]


def run_id(run: int) -> str:
    """Return the id of a run by its number."""
    return f"exprun_{run:06d}"


def encoded(value: object) -> bytes:
    """Return the value as JSON text without blanks."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _job(n: int, run: int, weight: Weight, rng: random.Random) -> JsonObject:
    created = _EPOCH + timedelta(hours=run, milliseconds=37 * n)
    started = created + timedelta(milliseconds=rng.randrange(50, 900))
    duration = round(rng.lognormvariate(8.3, 0.5))
    failed = rng.random() < 0.03
    handles: JsonObject = {"input-file-document": _file(n, rng)}
    if weight == "heavy":
        handles |= {f"input-json-{name}": _json(rng) for name in ("order", "context")}
    return {
        "id": f"expjob_{run:06d}_{n:07d}",
        "run_id": run_id(run),
        "experiment_id": "exp_bench",
        "document_id": f"expdoc_{n:07d}",
        "status": "error" if failed else "completed",
        "block_kind": "extract",
        "handle_inputs": handles,
        "artifact": None if failed else {"operation": "extraction", "id": f"extr_{run}_{n}"},
        "error": _ERROR if failed else None,
        "duration_ms": duration,
        "created_at": _iso(created),
        "started_at": _iso(started),
        "completed_at": _iso(started + timedelta(milliseconds=duration)),
        "attempt": rng.choice((0, 0, 0, 1)),
        "is_placeholder": False,
    }


def _file(n: int, rng: random.Random) -> JsonObject:
    return {
        "type": "file",
        "document": {
            "id": f"file_{rng.randrange(16**12):012x}",
            "filename": f"invoice_{n:07d}.pdf",
            "mime_type": "application/pdf",
        },
    }


def _json(rng: random.Random) -> JsonObject:
    lines = [
        {
            "sku": f"SKU-{rng.randrange(10**6):06d}",
            "text": rng.choice(_WORDS),
            "quantity": rng.randrange(1, 90),
            "price": rng.randrange(10**5) / 100,
            "tags": rng.sample(_WORDS[:5], 2),
        }
        for _ in range(_LINES)
    ]
    return {"type": "json", "data": {"order": rng.randrange(10**6), "lines": lines}}


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
