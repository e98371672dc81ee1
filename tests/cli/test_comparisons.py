from __future__ import annotations

import json

import pytest

import retab_frames as rf

from .shell import shell


def test_compare_says_it_in_words_first_and_then_what_broke(pulled: str) -> None:
    result = shell("compare", "exprun_invoices_2", "exprun_invoices_4", "--store", pulled)

    lines = result.output.splitlines()
    table = lines[lines.index("") + 1 :]
    assert lines[1].startswith("Comparable, but the block was changed between the runs.")
    assert "12 documents: 3 broken, 9 unchanged." in lines
    assert ["broken" in line for line in table[2:6]] == [True, True, True, False]
    assert max(map(len, lines)) <= 80


def test_compare_takes_many_candidates(pulled: str) -> None:
    runs = [f"exprun_invoices_{n}" for n in (2, 3, 4)]
    result = shell("compare", *runs, "--store", pulled)

    assert "Slower: exprun_invoices_3 (x 1.25)." in result.output
    verdicts = [line.split()[-1] for line in result.output.splitlines()[-2:]]
    assert verdicts == ["slower", "inconclusive"]
    rows = [line.split()[0] for line in result.output.splitlines()[-2:]]
    assert rows == ["exprun_invoices_3", "exprun_invoices_4"]
    assert max(map(len, result.output.splitlines())) <= 80


@pytest.mark.parametrize(
    ("candidate", "fail_on", "code", "message"),
    [
        (2, "broken,slower", 0, "equivalent"),
        (4, "broken", 1, "Regression."),
        (3, "slower", 1, "slowdown: found x 1.253 (1.16 to 1.354), allowed x 1.05, regression"),
        (3, "broken", 0, "Comparable"),
        (4, "slower", 2, "Error: inconclusive. slowdown: found x 1.0"),
        (5, "broken", 2, "9 documents pending or removed"),
        (4, "broken,slower", 1, "Regression."),
        (3, "nothing", 2, "--fail-on takes broken, slower or both, not 'nothing'"),
    ],
)
def test_the_gate_of_compare(
    candidate: int, fail_on: str, code: int, message: str, pulled: str
) -> None:
    names = ("exprun_invoices_2", f"exprun_invoices_{candidate}")
    result = shell("compare", *names, "--store", pulled, "--fail-on", fail_on)

    assert result.exit_code == code
    assert message in result.output


def test_a_wider_margin_lets_the_slow_run_pass(pulled: str) -> None:
    names = ("exprun_invoices_2", "exprun_invoices_3", "--store", pulled)
    options = ("--fail-on", "slower", "--margin", "0.4")

    assert shell("compare", *names, *options).exit_code == 0


def test_compare_as_markdown(pulled: str) -> None:
    names = ("exprun_invoices_2", "exprun_invoices_4", "--store", pulled)
    result = shell("compare", *names, "--markdown")

    store = rf.SnapshotStore(pulled)
    comparison = rf.compare_runs(store.read(names[0]), store.read(names[1]))
    assert result.output == comparison.to_markdown() + "\n"


def test_compare_as_json_has_every_column(pulled: str) -> None:
    result = shell("compare", "exprun_invoices_1", "exprun_invoices_2", "--store", pulled, "--json")

    rows = json.loads(result.output)
    assert len(rows) == 12
    assert [row["change"] for row in rows].count("fixed") == 1
    assert set(rows[0]) >= {"document_id", "inputs_changed", "artifact_changed", "ratio"}
