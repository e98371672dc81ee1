from __future__ import annotations

import csv
import io
import json

import pandas as pd
import pytest

import retab_frames as rf

from .shell import shell

ALIKE = ("exprun_invoices_1", "exprun_invoices_2", "exprun_invoices_4")


def contents(store: str, *runs: str) -> list[rf.RunContent]:
    return [rf.SnapshotStore(store).read(run) for run in runs]


def test_plan_is_that_of_the_library(pulled: str) -> None:
    found = rf.plan(contents(pulled, *ALIKE), detect=0.3, margin=0.1, confidence=0.9)
    options = ("--detect", "0.3", "--margin", "0.1", "--confidence", "0.9", "--store", pulled)

    rows = json.loads(shell("plan", *ALIKE, *options, "--json").output)

    assert [row["runs_a_side"] for row in rows] == [1, 2, 3, 5, 10]
    for name in ("documents_needed", "detectable_ratio", "limit_ratio"):
        assert [row[name] for row in rows] == found.needed[name].replace({pd.NA: None}).tolist()
    text = " ".join(shell("plan", *ALIKE, *options).output.split())
    assert text.startswith(" ".join(found.summary().split()))
    assert "runs_a_side documents_needed detectable limit" in text


def test_trend_is_that_of_the_library(pulled: str) -> None:
    runs = tuple(f"exprun_invoices_{n}" for n in range(1, 6))
    found = rf.trend(contents(pulled, *runs))

    rows = list(
        csv.DictReader(io.StringIO(shell("trend", *runs, "--store", pulled, "--csv").output))
    )

    assert [row["run_id"] for row in rows] == list(runs)
    assert [float(row["ratio"]) for row in rows] == found.runs["ratio"].tolist()
    assert [int(row["documents"]) for row in rows] == found.runs["documents"].tolist()
    text = shell("trend", *runs, "--store", pulled).output
    assert " ".join(text.split()).startswith(" ".join(found.summary().split()))
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("command", ["plan", "trend"])
def test_an_experiment_stands_for_all_its_runs(command: str, pulled: str) -> None:
    by_name = shell(command, "--experiment", "exp_invoices", "--store", pulled)
    runs = [f"exprun_invoices_{n}" for n in range(5, 0, -1)]

    assert by_name.exit_code == 0
    assert by_name.output == shell(command, *runs, "--store", pulled).output


def test_another_measure(pulled: str) -> None:
    found = rf.plan(contents(pulled, *ALIKE), measure="elapsed")
    result = shell("plan", *ALIKE, "--measure", "elapsed", "--store", pulled, "--json")
    assert json.loads(result.output)[0]["detectable_ratio"] == found.needed["detectable_ratio"][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan"], "give the runs, or --experiment for all runs of one"),
        (["trend"], "give the runs, or --experiment for all runs of one"),
        (["plan", "exprun_invoices_1"], "plan needs two runs of one definition or more"),
        (["trend", "exprun_invoices_1"], "trend needs two runs or more, not 1"),
        (["plan", "exprun_invoices_1", "exprun_invoices_1"], "exprun_invoices_1 is given twice"),
        (["plan", *ALIKE, "--detect", "0.05"], "detect must be above the margin of 0.05"),
        (["trend", "--experiment", "exp_invoice"], "did you mean exp_invoices?"),
        (["trend", "exprun_1"], "exprun_1"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], message: str, pulled: str) -> None:
    result = shell(*arguments, "--store", pulled)
    assert result.exit_code == 2
    assert message in result.output
