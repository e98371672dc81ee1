from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

import retab_frames as rf

from .shell import shell

if TYPE_CHECKING:
    from pathlib import Path


def test_pull_writes_every_run(pulled: str) -> None:
    runs = rf.SnapshotStore(pulled).list()["run_id"].tolist()

    assert runs == [f"exprun_invoices_{n}" for n in (1, 2, 3, 4, 5)]


@pytest.mark.parametrize(
    ("options", "runs"),
    [
        (["--latest"], ["exprun_invoices_5"]),
        (
            ["--run", "exprun_invoices_2", "--run", "exprun_invoices_1"],
            ["exprun_invoices_2", "exprun_invoices_1"],
        ),
    ],
)
def test_pull_takes_chosen_runs(options: list[str], runs: list[str], tmp_path: Path) -> None:
    with rf.Sandbox() as sandbox:
        result = shell(
            *("pull", sandbox.workflow_id, "exp_invoices", "--store", str(tmp_path), "--json"),
            *("--base-url", sandbox.url, *options),
            RETAB_API_KEY=sandbox.api_key,
        )

    assert [row["run_id"] for row in json.loads(result.output)] == runs


@pytest.mark.filterwarnings("default")
def test_pull_of_an_experiment_never_run_says_so(tmp_path: Path) -> None:
    with rf.Sandbox() as sandbox:
        result = shell(
            *("pull", sandbox.workflow_id, "exp_contracts", "--store", str(tmp_path)),
            RETAB_API_KEY=sandbox.api_key,
            RETAB_API_BASE_URL=sandbox.url,
        )

    assert result.exit_code == 0
    assert "Note: experiment exp_contracts was never run" in result.output


def test_ls_fits_80_columns(pulled: str) -> None:
    lines = shell("ls", "--store", pulled).output.splitlines()

    assert lines[0].split() == [
        *("run_id", "complete", "jobs", "completed", "error", "created", "revision"),
    ]
    assert lines[2].split() == [
        *("exprun_invoices_1", "yes", "12", "11", "1", "2026-09-01", "07:24", "1"),
    ]
    assert max(map(len, lines)) <= 80


def test_csv_has_raw_values_and_iso_times(pulled: str) -> None:
    lines = shell("ls", "--store", pulled, "--csv").output.splitlines()
    row = dict(zip(*csv.reader(lines[:2]), strict=True))

    assert (row["jobs"], row["complete"]) == ("12", "True")
    assert row["run_created_at"].startswith("2026-09-01T07:24:")
    assert len(lines) == 6
