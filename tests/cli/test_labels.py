"""Labels in the shell, and removing runs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

import retab_frames as rf

from .shell import shell

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(pulled: str, tmp_path: Path) -> str:
    return str(shutil.copytree(pulled, tmp_path / "store"))


def test_a_label_stands_for_a_run(store: str) -> None:
    result = shell("label", "latest_ended", "baseline", "--store", store)
    assert (result.exit_code, result.output) == (0, "baseline is now run exprun_invoices_4.\n")
    header, _, *rows = shell("ls", "--store", store).output.splitlines()
    assert header.split()[1] == "labels"
    assert [row.split()[1] for row in rows] == ["-", "-", "-", "baseline", "-"]
    assert shell("verify", "--run", "baseline", "--store", store).exit_code == 0
    assert shell("unlabel", "baseline", "--store", store).exit_code == 0
    assert "labels" not in shell("ls", "--store", store).output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["label", "lates", "prod"], "no run or label lates in STORE (did you mean latest?)"),
        (["label", "latest", "all"], "the label 'all' has a meaning of its own"),
        (["label", "exprun_invoices_1", "exprun_invoices_2"], "is the id of a run in this store"),
        (["label", "latest"], "Missing argument 'LABEL'"),
        (["label", "latest", "a", "b"], "unexpected extra argument (b)"),
        (
            ["compact", "exp_invoice"],
            "no run of experiment exp_invoice in STORE (did you mean exp_invoices?); `retab-",
        ),
        (
            ["unlabel", "base", "--experiment", "exp_invoice"],
            "no label base in STORE for this experiment, only for exp_invoices; `retab-frames ls`",
        ),
        (
            ["label", "base", "x", "--experiment", "exp_invoice"],
            "no run or label base in STORE for this experiment, only for exp_invoices; `retab-fra",
        ),
        (
            ["verify", "--run", "base", "--experiment", "exp_invoice"],
            "no run or label base in STORE for this experiment, only for exp_invoices; `retab-fra",
        ),
        (["unlabel", "bas"], "there is no label bas in STORE (did you mean base?); `retab-frames"),
        (["unlabel", "prod"], "there is no label prod in STORE; `retab-frames ls` shows the runs"),
        (
            ["label", "latest", "prod", "--experiment", "exp_invoice"],
            "no run of experiment exp_invoice in STORE (did you mean exp_invoices?)",
        ),
        (["ls", "--experiment", "exp_x"], "no run of experiment exp_x in STORE; `retab-frames ls`"),
        (["remove"], "Missing argument 'RUN_ID...'"),
        (["remove", "exprun_invoices_1", "exprun_invoices_1"], "exprun_invoices_1 is given twice"),
        (["remove", "latest"], "there is no snapshot of run latest in STORE"),
    ],
)
def test_mistakes_are_one_line_with_a_next_step(
    store: str, arguments: list[str], message: str
) -> None:
    assert shell("label", "exprun_invoices_1", "base", "--store", store).exit_code == 0
    result = shell(*arguments, "--store", store)
    last = result.output.splitlines()[-1].replace(store, "STORE")
    assert result.exit_code == 2
    assert last.startswith("Error: ")
    assert message in last


def test_runs_are_removed_with_their_labels_and_nothing_if_one_is_mistyped(store: str) -> None:
    shell("label", "exprun_invoices_1", "old", "--store", store)
    runs = ["exprun_invoices_1", "exprun_invoices_2"]
    listed = shell("remove", *runs, "--store", store).output
    assert "10 files, each is of run exprun_invoices_1:" in listed
    assert "would be removed: labels/" in listed
    assert listed.splitlines()[-1] == "Nothing was removed: --yes removes them."
    assert shell("remove", *runs, "exprun_x", "--store", store, "--yes").exit_code == 2
    assert len(rf.SnapshotStore(store).list()) == 5
    assert shell("remove", *runs, "--store", store, "--yes").exit_code == 0
    assert rf.SnapshotStore(store).list()["run_id"].tolist() == [
        f"exprun_invoices_{n}" for n in (3, 4, 5)
    ]
