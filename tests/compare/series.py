"""Runs of one definition as bare jobs frames, for the tests of plans and trends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_DAY = pd.Timestamp("2026-09-01", tz="UTC")


def run_jobs(durations: Any, number: int = 0, run_id: str | None = None) -> Any:
    """Return a run of the documents d000, d001, ...; one without duration has failed."""
    documents = np.arange(len(durations))
    ms = pd.array([None if np.isnan(one) else round(one) for one in durations], dtype="Int64")
    begin = FIRST_DAY + pd.Timedelta(days=number)
    run_id = run_id or f"run_{number:02}"
    return pd.DataFrame(
        {
            "run_id": run_id,
            "job_id": [f"{run_id}/{n}" for n in documents],
            "document_id": [f"d{n:03}" for n in documents],
            "status": np.where(ms.isna(), "error", "completed"),
            "is_placeholder": False,
            "duration_ms": ms,
            "created_at": begin,
            "started_at": begin + pd.to_timedelta(documents, unit="s"),
            "completed_at": begin + pd.to_timedelta(documents + 10_000 * (number + 1), unit="s"),
        }
    )


def runs_of(
    runs: int,
    documents: int = 30,
    *,
    within: float = 0.15,
    between: float = 0.0,
    changes: Mapping[int, float] | None = None,
    seed: int = 0,
) -> list[Any]:
    """Return runs a day apart; from each run in `changes` on, they take so many times as long."""
    chance = np.random.default_rng(seed)
    base = chance.normal(9, 1, documents)
    frames, level = [], 0.0
    for number in range(runs):
        level += np.log((changes or {}).get(number, 1.0))
        logs = base + level + chance.normal(0, within, documents) + chance.normal(0, between)
        frames.append(run_jobs(np.exp(logs), number))
    return frames


def table_of(frames: list[Any]) -> Any:
    """Return the durations, documents x runs."""
    columns = [frame["duration_ms"].to_numpy(float, na_value=np.nan) for frame in frames]
    return np.stack(columns, axis=1)
