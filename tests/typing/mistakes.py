"""Mistakes that type checkers must find: an ignore comment is an error where there is no mistake.

Checked by mypy and pyright, never run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import retab_frames as rf

if TYPE_CHECKING:
    import pandas as pd


def mistakes(client: rf.Client, store: rf.SnapshotStore, jobs: pd.DataFrame) -> None:
    rf.load_jobs("wf_abc123", 1, client=client)  # type: ignore[arg-type]
    rf.load_jobs("wf_abc123", "exp_abc", run_id=1)  # type: ignore[arg-type]
    rf.Client("key", "https://api.example")  # type: ignore[call-arg]
    rf.Client("key", api="newest")  # type: ignore[arg-type]
    rf.duration_stats(jobs, measure="waiting")  # type: ignore[arg-type]
    rf.duration_stats(jobs, unfinished="drop")  # type: ignore[arg-type]
    rf.slowest(store)  # type: ignore[arg-type]
    rf.scan(store, engine="spark")  # type: ignore[call-overload]
    rf.scan(store, runs="exprun_1")  # type: ignore[call-overload]
    rf.compare_runs(store, store)  # type: ignore[arg-type]
    rf.assert_no_regression(store.read("exprun_1"))  # type: ignore[arg-type]
    store.verify("deep")  # type: ignore[arg-type]
    store.read("exprun_1").job  # type: ignore[attr-defined]  # noqa: B018
    store.list().to_csv(index="no")  # type: ignore[call-overload]
    verdict: int = rf.compare_runs(jobs, jobs).verdict  # type: ignore[assignment]
    assert verdict
