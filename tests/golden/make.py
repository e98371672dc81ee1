"""Makes the golden store of the format that this version of the library writes.

Run once for each version of the format, when it is new, and never again: what is committed is what
that version wrote, and every later one must read it. `python tests/golden/make.py v2` makes
`tests/golden/v2/store` and `tests/golden/v2/expected.json`.
"""

from __future__ import annotations

import json
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

import retab_frames as rf
from retab_frames.flatten.run_rows import RunResponses
from retab_frames.flatten.runs import runs_table
from retab_frames.load.content import content_of
from retab_frames.wire.envelopes import parse_rows_response

FRAMES = ("jobs", "handle_inputs", "handle_outputs", "run", "issues", "raw")
MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


def plain(frame: Any) -> list[dict[str, Any]]:
    """Return the rows of a frame as JSON values; times in ISO 8601."""
    rows = pa.Table.from_pandas(frame, preserve_index=False).to_pylist()
    return [
        {name: v.isoformat() if isinstance(v, datetime) else v for name, v in row.items()}
        for row in rows
    ]


def described(content: rf.RunContent) -> dict[str, Any]:
    """Return all that a content says, as JSON values."""
    fetched_at = content.fetched_at
    return {
        "experiment_id": content.experiment_id,
        "complete": content.complete,
        "statuses": content.statuses,
        "fetched_at": None if fetched_at is None else fetched_at.isoformat(),
        "frames": {name: plain(getattr(content, name)) for name in FRAMES},
    }


def job(number: int, chance: random.Random, run_id: str) -> dict[str, Any]:
    """Return a job of the newest wire generation."""
    took = chance.randrange(500, 60_000)
    began = MONDAY + timedelta(
        seconds=chance.randrange(3_600), microseconds=chance.randrange(10**6)
    )
    return {
        "id": f"expjob_{number}",
        "document_id": f"expdoc_{number}",
        "experiment_run_id": run_id,
        "block_type": "extract",
        "lifecycle": {"status": "completed"},
        "artifact": {"operation": "extraction", "id": f"ext_{chance.randrange(10**6)}"},
        "timing": {
            "created_at": began.isoformat(),
            "started_at": began.isoformat(),
            "completed_at": (began + timedelta(milliseconds=took)).isoformat(),
            "duration_ms": took,
        },
        "attempt": chance.randrange(3),
        "handle_inputs": {
            "input-file-document": {
                "type": "file",
                "document": {
                    "id": f"file_{number}",
                    "filename": ["é.pdf", "e\u0301.pdf", "请求.pdf"][number % 3],
                    "mime_type": "application/pdf",
                    "size_bytes": chance.randrange(10**7),
                    "content_fingerprint": f"{chance.getrandbits(64):016x}",
                },
            },
            "input-json-context": {"type": "json", "data": {"n": number, "odd": "\x00\u202e"}},
        },
        "handle_outputs": {"output-json-0": {"type": "json", "data": {"total": took / 7}}},
    }


def failed(one: dict[str, Any]) -> dict[str, Any]:
    """Return the job as one that failed, with a field that nobody knows and a value that is odd."""
    details = {"code": "timeout", "limit_s": 60}
    return {
        **one,
        "lifecycle": {"status": "error", "message": "took too long", "details": details},
        "attempt": "twice",
        "artifact": None,
        "newer_than_this": {"a": [1, 2.5, None]},
    }


def record(run_id: str, jobs: int) -> dict[str, Any]:
    return {
        "id": run_id,
        "experiment_id": "exp_golden",
        "workflow_id": "wf_golden",
        "block_kind": "extract",
        "lifecycle": {"status": "completed"},
        "timing": {"created_at": MONDAY.isoformat(), "duration_ms": 61_000},
        "score": 0.1 + 0.2,
        "n_consensus": 3,
        "total_document_count": jobs,
        "completed_document_count": jobs,
    }


def content(run_id: str, jobs: list[dict[str, Any]], hours: int) -> rf.RunContent:
    """Return the content of a run as it would be loaded."""
    fetched_at = MONDAY + timedelta(hours=hours)
    ids: dict[str, Any] = {"workflow_id": "wf_golden", "experiment_id": "exp_golden"}
    table, issues = runs_table([record(run_id, len(jobs))], fetched_at=fetched_at, **ids)
    body = json.dumps({"data": jobs, "list_metadata": {"after": None}}, ensure_ascii=False).encode()
    source = RunResponses(
        run_id=run_id, responses=(parse_rows_response(body),), fetched_at=fetched_at, **ids
    )
    return content_of(source, run_table=table, run_issues=issues)


def main() -> None:
    folder = Path(__file__).parent / sys.argv[1]
    store = rf.SnapshotStore(folder / "store")
    chance = random.Random(1)
    first = [job(n, chance, "exprun_1") for n in range(6)]
    revised = [*first[:4], failed(first[4])]
    second = [job(0, chance, "Run_1"), failed(job(1, chance, "Run_1"))]
    placeholder = {"id": "", "document_id": "expdoc_9", "is_placeholder": True}
    runs = [
        content("exprun_1", first, 1),
        content("exprun_1", revised, 2),
        content("Run_1", [*second, placeholder], 3),
    ]
    expected = []
    for one in runs:
        written = store.write(one)
        told = {"run_id": written.run_id, "revision": written.revision, **described(one)}
        expected.append(told)
    text = json.dumps(expected, indent=1)
    (folder / "expected.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
