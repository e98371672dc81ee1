from __future__ import annotations

import json

import retab_frames as rf

from .shell import shell


def test_stats_are_those_of_the_library(pulled: str) -> None:
    jobs = rf.SnapshotStore(pulled).read("exprun_invoices_1").jobs
    expected = rf.duration_stats(jobs, "run_id").iloc[0]

    row = json.loads(shell("stats", "--store", pulled, "--json").output)[0]

    assert row["run_id"] == "exprun_invoices_1"
    assert row["p50_ms"] == expected["p50_ms"]
    assert row["mean_ms"] == expected["mean_ms"]
    assert row["p99_high_ms"] is None
    assert row["completed"] == expected["completed"] == 11


def test_stats_fit_80_columns(pulled: str) -> None:
    result = shell("stats", "--store", pulled, "--by", "block_kind", "--by", "status")

    assert max(map(len, result.output.splitlines())) <= 80
    assert result.output.splitlines()[2].split()[:4] == ["extract", "completed", "47", "47"]


def test_stats_count_running_jobs_if_asked(pulled: str) -> None:
    only = ("stats", "--run", "exprun_invoices_5", "--store", pulled, "--json")

    censored = json.loads(shell(*only, "--censor").output)[0]
    assert (censored["censored"], censored["measured"]) == (4, 3)
    assert json.loads(shell(*only).output)[0]["censored"] == 0


def test_slowest_and_failures(pulled: str) -> None:
    options = ("--store", pulled, "--json")
    slow = json.loads(shell("slowest", "--run", "exprun_invoices_3", "-n", "2", *options).output)
    assert [row["duration_ms"] for row in slow] == [15337, 14500]

    failed = json.loads(shell("failures", "--run", "exprun_invoices_4", *options).output)
    assert sum(row["jobs"] for row in failed) == 3


def test_each_failed_job_is_shown_with_its_message(pulled: str) -> None:
    rows = json.loads(shell("failures", "--jobs", "--store", pulled, "--json").output)
    jobs = rf.SnapshotStore(pulled).jobs()

    assert len(rows) == (jobs["status"] == "error").sum() == 4
    assert [row["run_id"] for row in rows] == ["exprun_invoices_4"] * 3 + ["exprun_invoices_1"]
    assert all(row["error_message"] for row in rows)
    lines = shell("failures", "--jobs", "--store", pulled).output.splitlines()
    assert lines[0].split() == ["run_id", "document", "error_message"]
    assert len(lines) == 6


def test_runs_are_chosen_by_word(pulled: str) -> None:
    rows = json.loads(shell("stats", "--run", "latest_ended", "--store", pulled, "--json").output)
    assert [row["run_id"] for row in rows] == ["exprun_invoices_4"]
