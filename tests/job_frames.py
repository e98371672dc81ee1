"""Frames of jobs made by hand, for the tests of statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

TIME = pa.timestamp("us", tz="UTC")
SECOND = 1_000_000


def arrow(values: Sequence[object], kind: pa.DataType) -> pd.Series[Any]:
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values, kind)))


def texts(*values: str | None) -> pd.Series[Any]:
    return arrow(values, pa.string())


def times(*micros: int | None) -> pd.Series[Any]:
    return arrow(micros, TIME)


def seconds(*values: float | None) -> pd.Series[Any]:
    """Return times so many seconds after the epoch."""
    return times(*[None if value is None else round(value * SECOND) for value in values])


def jobs_of(duration_ms: Sequence[int | None], **columns: pd.Series[Any]) -> pd.DataFrame:
    """Return completed jobs with these durations; `columns` replace or add to theirs."""
    count = len(duration_ms)
    numbers = range(1, count + 1)
    plain = {
        "run_id": texts(*["exprun_1"] * count),
        "job_id": texts(*[f"expjob_{n}" for n in numbers]),
        "document_id": texts(*[f"expdoc_{n}" for n in numbers]),
        "filename": texts(*[f"invoice_{n}.pdf" for n in numbers]),
        "status": texts(*["completed"] * count),
        "is_placeholder": arrow([False] * count, pa.bool_()),
        "duration_ms": arrow(duration_ms, pa.int64()),
        "created_at": times(*[None] * count),
        "started_at": times(*[None] * count),
        "completed_at": times(*[None] * count),
        "error_message": texts(*[None] * count),
        "fetched_at": times(*[None] * count),
    }
    return pd.DataFrame(plain | columns)


def timed_jobs(*rows: tuple[str, float | None, float | None, float | None]) -> pd.DataFrame:
    """Return jobs with these statuses that were created, started and completed at these seconds."""
    status, created, started, completed = zip(*rows, strict=True) if rows else ([], [], [], [])
    return jobs_of(
        [None] * len(rows),
        status=texts(*status),
        created_at=seconds(*created),
        started_at=seconds(*started),
        completed_at=seconds(*completed),
    )
