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
    # in a pipe the table is as wide as it needs
    assert max(map(len, lines[: lines.index("")])) <= 80


def test_compare_takes_many_candidates(pulled: str) -> None:
    runs = [f"exprun_invoices_{n}" for n in (2, 3, 4)]
    result = shell("compare", *runs, "--store", pulled)

    assert "Slower: exprun_invoices_3 (x 1.25)." in result.output
    verdicts = [line.split()[-1] for line in result.output.splitlines()[-2:]]
    assert verdicts == ["slower", "inconclusive"]
    rows = [line.split()[0] for line in result.output.splitlines()[-2:]]
    assert rows == ["exprun_invoices_3", "exprun_invoices_4"]
    assert max(map(len, result.output.splitlines())) <= 80


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("candidate", "options", "code", "message"),
    [
        (2, "--fail-on broken", 0, "both sides are the same run"),
        (2, "--fail-on slower", 3, "slowdown: found -, allowed x 1.05, missing (0 documents"),
        (4, "--fail-on broken --max-broken 0", 1, "Regression. broken: found 3, allowed 0"),
        (4, "--fail-on broken --max-broken 3", 0, "3 broken"),
        (4, "--fail-on broken", 0, "the gate is inconclusive: broken: found 3, 0 fixed"),
        (4, "--fail-on broken --strict", 3, "Inconclusive. broken: found 3, 0 fixed"),
        (3, "--fail-on slower", 1, "Regression. slowdown: found x 1.2"),
        (3, "--fail-on broken", 0, "Comparable"),
        (3, "--fail-on slower --margin 0.4", 0, "Comparable"),
        (4, "--fail-on slower", 0, "the gate is inconclusive: slowdown: found x 1.0"),
        (4, "--fail-on slower --strict", 3, "Inconclusive. slowdown: found x 1.0"),
        (5, "--fail-on broken", 3, "9 documents pending, cancelled or removed could be broken"),
        (4, "--fail-on broken,slower --max-broken 0", 1, "Regression."),
        (3, "--fail-on nothing", 2, "--fail-on takes broken, slower or both, not 'nothing'"),
        (3, "--fail-on broken --max-broken some", 2, "Invalid value for '--max-broken'"),
        (3, "--fail-on broken --max-broken -1", 2, "Invalid value for '--max-broken'"),
        (3, "--fail-on broken --max-broken Chance", 2, "neither a whole number nor chance"),
        (4, "--strict", 2, "--strict needs --fail-on"),
        (4, "--max-broken 0", 2, "--max-broken needs --fail-on broken"),
        (4, "--fail-on slower --max-broken chance", 2, "--max-broken needs --fail-on broken"),
        (3, "--measure speed", 2, "Invalid value for '--measure'"),
    ],
)
def test_the_gate_of_compare(
    candidate: int, options: str, code: int, message: str, pulled: str
) -> None:
    names = ("exprun_invoices_2", f"exprun_invoices_{candidate}")
    result = shell("compare", *names, "--store", pulled, *options.split())

    assert result.exit_code == code
    assert message in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("measure", "title"),
    [("queue", "Time in the queue: "), ("turnaround", "Time from creation to end: ")],
)
def test_compare_takes_a_measure(measure: str, title: str, pulled: str) -> None:
    names = ("exprun_invoices_2", "exprun_invoices_3", "--store", pulled)
    result = shell("compare", *names, "--measure", measure)

    assert result.exit_code == 0
    assert title in result.output
    many = shell("compare", *names, "exprun_invoices_4", "--measure", measure, "--json")
    assert [row["run_id"] for row in json.loads(many.output)] == [
        "exprun_invoices_3",
        "exprun_invoices_4",
    ]


def test_compare_judges_the_definition_with_earlier_runs(pulled: str) -> None:
    names = ("exprun_invoices_2", "exprun_invoices_3")
    result = shell("compare", *names, "--store", pulled, "--earlier")

    store = rf.SnapshotStore(pulled)
    comparison = rf.compare_runs(*map(store.read, names), earlier="store")
    assert result.exit_code == 0
    told = " ".join(result.output.split())
    assert comparison.summary().splitlines()[-1] in told
    assert "earlier runs would tell" not in told


@pytest.mark.parametrize("option", ["--earlier", "--fail-on=slower"])
def test_some_options_take_one_candidate(option: str, pulled: str) -> None:
    runs = [f"exprun_invoices_{n}" for n in (2, 3, 4)]
    result = shell("compare", *runs, "--store", pulled, option)

    assert result.exit_code == 2
    assert f"{option.split('=', maxsplit=1)[0]} takes one candidate" in result.output


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
