from __future__ import annotations

import csv

from .shell import shell


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
