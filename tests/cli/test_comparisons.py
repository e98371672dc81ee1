from __future__ import annotations

import csv
import json
import shutil
from typing import TYPE_CHECKING

import pytest

import retab_frames as rf

from .shell import shell

if TYPE_CHECKING:
    from pathlib import Path


def test_compare_says_it_in_words_first_and_then_what_broke(pulled: str) -> None:
    result = shell("compare", "exprun_invoices_2", "exprun_invoices_4", "--store", pulled)

    lines = result.output.splitlines()
    table = lines[lines.index("") + 1 :]
    assert lines[1].startswith("Comparable, but the block was changed between the runs.")
    assert "12 documents: 3 broken, 9 unchanged." in lines
    assert "Changed in the definition: schema_version: 1 -> 2." in lines
    assert any(line.startswith("Why they broke: Model answered with <n> tokens") for line in lines)
    assert ["broken" in line for line in table[2:6]] == [True, True, True, False]


def test_compare_takes_many_candidates(pulled: str) -> None:
    runs = [f"exprun_invoices_{n}" for n in (2, 3, 4)]
    result = shell("compare", *runs, "--store", pulled)

    assert "Slower: exprun_invoices_3 (x 1.25)." in result.output
    verdicts = [line.split()[-1] for line in result.output.splitlines()[-2:]]
    assert verdicts == ["slower", "inconclusive"]
    rows = [line.split()[0] for line in result.output.splitlines()[-2:]]
    assert rows == ["exprun_invoices_3", "exprun_invoices_4"]


@pytest.mark.parametrize(
    ("candidate", "options", "code", "message"),
    [
        (4, "--fail-on broken --max-broken 0", 1, "Fail. 3 documents broke, 0 are allowed: "),
        (4, "--fail-on broken --max-broken 3", 0, "Pass. 3 documents broke, 3 are allowed."),
        (4, "--fail-on broken", 0, "Inconclusive. 3 documents broke and 0 were fixed, which can"),
        (4, "--fail-on broken --strict", 3, "Inconclusive. 3 documents broke and 0 were fixed"),
        (3, "--fail-on slower", 1, "Fail. A typical document takes x 1.2"),
        (3, "--fail-on broken", 0, "Pass. No document broke."),
        (3, "--fail-on slower --margin 0.4", 0, "below the limit of x 1.4."),
        (4, "--fail-on slower", 0, "Inconclusive. A typical document takes x 1.0"),
        (4, "--fail-on slower --strict", 3, "Inconclusive. A typical document takes x 1.0"),
        (5, "--fail-on broken", 3, "9 documents pending, cancelled or removed could be broken"),
        (4, "--fail-on broken,slower --max-broken 0", 1, "Fail. 3 documents broke"),
        (3, "--fail-on nothing", 2, "--fail-on takes broken, slower or both, not 'nothing'"),
        (3, "--fail-on broken --max-broken some", 2, "Invalid value for '--max-broken'"),
        (3, "--fail-on broken --max-broken -1", 2, "Invalid value for '--max-broken'"),
        (3, "--fail-on broken --max-broken Chance", 2, "neither a whole number nor chance"),
        (4, "--strict", 2, "--strict needs --fail-on"),
        (4, "--max-broken 0", 2, "--max-broken needs --fail-on broken"),
        (4, "--fail-on slower --max-broken chance", 2, "--max-broken needs --fail-on broken"),
        (3, "--measure speed", 2, "Invalid value for '--measure'"),
        (3, "--markdown --json", 2, "--markdown and --json are two formats: give one"),
        (3, "--markdown --csv", 2, "--markdown and --csv are two formats: give one"),
        (3, "--experiment exp_invoices", 2, "--experiment needs a label or a word"),
        (2, "", 2, "exprun_invoices_2 is given twice"),
        (9, "", 2, "there is no run or label exprun_invoices_9"),
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
    assert [row["run_id"] for row in json.loads(many.output)["runs"]] == [
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
    assert result.output.startswith("**Inconclusive**: a typical document takes x 1.0")

    gated = shell("compare", *names, "--markdown", "--fail-on", "broken", "--max-broken", "0")
    checks = rf.check_regression(comparison, max_broken=0)
    assert gated.stdout == comparison.to_markdown(checks=checks) + "\n"
    assert gated.stdout.startswith("**Fail**: 3 documents broke, 0 are allowed: ")


def test_compare_as_json_is_one_object(pulled: str) -> None:
    names = ("exprun_invoices_2", "exprun_invoices_3", "--store", pulled)
    found = json.loads(shell("compare", *names, "--json").stdout)
    gated = shell("compare", *names, "--json", "--fail-on", "broken,slower")

    store = rf.SnapshotStore(pulled)
    comparison = rf.compare_runs(store.read(names[0]), store.read(names[1]))
    assert found == comparison.to_dict()
    assert found["verdict"] == "slower"
    assert found["score"]["delta"] == -0.0017
    assert found["gate"] is None
    assert len(found["documents"]) == 12
    ratios = [row["ratio"] for row in found["documents"]]
    assert ratios == sorted(ratios, reverse=True)
    assert gated.exit_code == 1
    gate = json.loads(gated.stdout)["gate"]
    assert gate["outcome"] == "fail"
    assert [check["outcome"] for check in gate["checks"]] == ["pass", "regression"]


def test_compare_as_csv_has_every_column_of_the_documents(pulled: str) -> None:
    names = ("exprun_invoices_1", "exprun_invoices_2", "--store", pulled)
    rows = list(csv.DictReader(shell("compare", *names, "--csv").output.splitlines()))

    assert [row["change"] for row in rows] == ["fixed"] + ["unchanged"] * 11
    assert set(rows[0]) >= {"document_id", "inputs_changed", "artifact_changed", "ratio"}


def test_many_runs_as_json_are_one_object(pulled: str) -> None:
    runs = [f"exprun_invoices_{n}" for n in (2, 3, 4)]
    found = json.loads(shell("compare", *runs, "--store", pulled, "--json").output)

    assert found["baseline"] == "exprun_invoices_2"
    assert [row["verdict"] for row in found["runs"]] == ["slower", "inconclusive"]


def test_documents_of_equal_names_are_told_apart_in_the_table(pulled: str) -> None:
    result = shell("compare", "exprun_invoices_2", "exprun_invoices_4", "--store", pulled)

    lines = (line.split("  ")[0] for line in result.output.splitlines())
    names = sorted(name for name in lines if name.startswith("Invoice ACME Corp 92"))
    ends = ("14L6AwNpz8j9g40I", "_D_T590sSZMfL40G", "yVGEyXF-NU0pHiyr")
    assert names == [f"Invoice ACME Corp 92351.pdf (expdoc_{end})" for end in ends]


@pytest.fixture
def labelled(pulled: str, tmp_path: Path) -> str:
    """Return a store of two experiments of which one has a baseline."""
    root = tmp_path / "snapshots"
    shutil.copytree(pulled, root)
    store = rf.SnapshotStore(root)
    with rf.Sandbox() as sandbox, rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        store.pull(sandbox.workflow_id, "exp_mailroom", run_id="all", client=client)
    store.label("exprun_invoices_2", "baseline")
    store.label("exprun_invoices_3", "large")
    return str(root)


@pytest.mark.parametrize(
    ("arguments", "title"),
    [
        # against the label, or else the complete run before
        ("--experiment exp_invoices", "exprun_invoices_4 against exprun_invoices_2"),
        ("--experiment exp_mailroom", "exprun_mailroom_4 against exprun_mailroom_3"),
        ("exprun_mailroom_3", "exprun_mailroom_3 against exprun_mailroom_2"),
        ("exprun_mailroom_5", "exprun_mailroom_5 against exprun_mailroom_4"),
        ("exprun_invoices_1", "exprun_invoices_1 against exprun_invoices_2"),
        ("large", "exprun_invoices_3 against exprun_invoices_2"),
        ("large exprun_invoices_1", "exprun_invoices_1 against exprun_invoices_3"),
        (
            "previous latest --experiment exp_mailroom",
            "exprun_mailroom_5 against exprun_mailroom_3",
        ),
        (
            "baseline large latest_ended --experiment exp_invoices",
            "2 runs against exprun_invoices_2",
        ),
    ],
)
def test_words_and_labels_stand_for_runs(arguments: str, title: str, labelled: str) -> None:
    result = shell("compare", *arguments.split(), "--store", labelled)

    assert result.output.splitlines()[0] == title
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("", 2, "latest_ended can be a run of 2 experiments"),
        ("exprun_mailroom_1", 3, "there is no complete run of exp_mailroom before exprun_mailroom"),
        ("baseline", 3, "run exprun_invoices_2 is the baseline itself"),
        ("baseline exprun_invoices_2", 3, "baseline and exprun_invoices_2 are one run"),
        ("larg", 2, "there is no run or label larg"),
        # two experiments, without a document in common
        ("baseline exprun_mailroom_2", 3, "Not comparable with the baseline: exprun_mailroom_2."),
        (
            "baseline exprun_mailroom_2 --fail-on broken",
            3,
            "Inconclusive. The runs cannot be compa",
        ),
        (
            "baseline large exprun_mailroom_2",
            3,
            "Not comparable with the baseline: exprun_mailroom",
        ),
    ],
)
def test_what_is_missing_is_no_success(
    arguments: str, code: int, message: str, labelled: str
) -> None:
    result = shell("compare", *arguments.split(), "--store", labelled)

    assert message in " ".join(result.output.split())
    assert result.exit_code == code


def test_a_report_takes_labels(labelled: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    names = ("baseline", "latest_ended", "--experiment", "exp_invoices")
    result = shell("report", *names, "--store", labelled, "-o", str(page))

    assert result.exit_code == 0
    assert "exprun\\_invoices\\_4 against exprun\\_invoices\\_2" in page.read_text()


def test_the_help_lists_the_exit_codes() -> None:
    told = " ".join(shell("compare", "--help").output.split())

    assert (
        "Exit codes: 0 success, 1 a regression or a problem found, 2 could not run, 3 "
        "inconclusive with --strict, or what was asked for is missing." in told
    )
