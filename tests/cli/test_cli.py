from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

import retab_frames as rf
from retab_frames.cli import main

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = [
    *("clean", "compact", "compare", "demo", "failures", "ls", "prune", "publish", "pull"),
    *("remove", "report", "sandbox", "slowest", "sql", "stats", "verify"),
]


def shell(*arguments: str, **env: str) -> Result:
    return CliRunner(env={"COLUMNS": "80", **env}).invoke(main, arguments)


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("pulled") / "snapshots"
    with rf.Sandbox() as sandbox:
        result = shell(
            *("pull", sandbox.workflow_id, "exp_invoices", "--store", str(root)),
            RETAB_API_KEY=sandbox.api_key,
            RETAB_API_BASE_URL=sandbox.url,
        )
    assert result.exit_code == 0, result.output
    return str(root)


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
        *("run_id", "revision", "complete", "jobs", "completed", "error", "created"),
    ]
    assert lines[2].split() == [
        *("exprun_invoices_1", "1", "yes", "12", "11", "1", "2026-09-01", "07:24"),
    ]
    assert max(map(len, lines)) <= 80


def test_stats_are_those_of_the_library(pulled: str) -> None:
    jobs = rf.SnapshotStore(pulled).read("exprun_invoices_1").jobs
    expected = rf.duration_stats(jobs, "run_id").iloc[0]

    row = json.loads(shell("stats", "--store", pulled, "--json").output)[0]

    assert row["run_id"] == "exprun_invoices_1"
    assert row["p50_ms"] == expected["p50_ms"]
    assert row["p99_high_ms"] is None
    assert row["completed"] == expected["completed"] == 11


def test_stats_fit_80_columns(pulled: str) -> None:
    result = shell("stats", "--store", pulled, "--by", "block_kind", "--by", "status")

    assert max(map(len, result.output.splitlines())) <= 80
    assert result.output.splitlines()[2].split()[:4] == ["extract", "completed", "47", "47"]


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
    assert max(map(len, result.output.splitlines())) <= 80


@pytest.mark.parametrize(
    ("candidate", "fail_on", "code", "told"),
    [
        (2, "broken,slower", 0, "equivalent"),
        (4, "broken", 1, "Regression."),
        (3, "slower", 1, "slowdown: found x 1.253 (1.16 to 1.354), allowed x 1.05, regression"),
        (3, "broken", 0, "Comparable"),
        (4, "slower", 2, "could not tell"),
        (5, "broken", 2, "9 documents pending or gone"),
        (4, "broken,slower", 1, "Regression."),
        (3, "nothing", 2, "--fail-on takes broken, slower or both, not 'nothing'"),
    ],
)
def test_the_gate_of_compare(
    candidate: int, fail_on: str, code: int, told: str, pulled: str
) -> None:
    names = ("exprun_invoices_2", f"exprun_invoices_{candidate}")
    result = shell("compare", *names, "--store", pulled, "--fail-on", fail_on)

    assert result.exit_code == code
    assert told in result.output


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


def test_csv_has_raw_values_and_iso_times(pulled: str) -> None:
    lines = shell("ls", "--store", pulled, "--csv").output.splitlines()
    row = dict(zip(*csv.reader(lines[:2]), strict=True))

    assert (row["jobs"], row["complete"]) == ("12", "True")
    assert row["run_created_at"].startswith("2026-09-01T07:24:")
    assert len(lines) == 6


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


def test_compare_as_json_has_every_column(pulled: str) -> None:
    result = shell("compare", "exprun_invoices_1", "exprun_invoices_2", "--store", pulled, "--json")

    rows = json.loads(result.output)
    assert len(rows) == 12
    assert [row["change"] for row in rows].count("fixed") == 1
    assert set(rows[0]) >= {"document_id", "inputs_changed", "artifact_changed", "ratio"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ls", "--store", "nowhere"], "Error: there is no store in nowhere: `retab-frames pull`"),
        (["compare", "a", "b", "--store", "nowhere"], "Error: there is no store in nowhere"),
        (["pull", "wf", "exp"], "Error: no api_key: set the environment variable RETAB_API_KEY"),
    ],
)
def test_errors_are_one_line_with_a_next_step(arguments: list[str], message: str) -> None:
    result = shell(*arguments)

    assert result.exit_code == 2
    assert result.output.startswith(message)
    assert len(result.output.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "nope", "exprun_invoices_1"], "there is no snapshot of run nope"),
        (["stats", "--experiment", "exp_x"], "there is no run of experiment exp_x"),
        (["stats", "--by", "statu"], "there is no column statu to group by (did you mean status"),
        (["stats", "--experiment", "exp_invoice"], "(did you mean exp_invoices?)"),
        (["compare", "exprun_invoice_1", "b"], "(did you mean exprun_invoices_1?)"),
    ],
)
def test_a_wrong_name_is_told(arguments: list[str], message: str, pulled: str) -> None:
    result = shell(*arguments, "--store", pulled)

    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = shell(command, "--help")

    assert result.exit_code == 0
    assert f"Example: retab-frames {command}" in result.output


def test_shells_complete_the_commands() -> None:
    asked = {"_RETAB_FRAMES_COMPLETE": "bash_complete", "COMP_WORDS": "retab-frames co"}
    program = "from retab_frames.cli import main; main(prog_name='retab-frames')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **asked, "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.split() == ["plain,compact", "plain,compare"]


def test_the_commands_are_these() -> None:
    assert sorted(main.commands) == COMMANDS


def test_demo_shows_the_main_job(tmp_path: Path) -> None:
    result = shell("demo", "--store", str(tmp_path / "d"))

    assert result.exit_code == 0, result.output
    assert result.output.count("created") == 10
    assert "exprun_invoices_2    12    12  4.06 s     2.35 s     9.42 s  13.1 s  14.1 s" in (
        result.output
    )
    assert "12 documents: 3 broken, 9 unchanged." in result.output


def test_the_three_lines_of_the_demo_run(tmp_path: Path) -> None:
    lines = shell("demo", "--store", str(tmp_path / "d")).output.splitlines()
    start = lines.index("  import retab_frames as rf")
    program = "\n".join(line.strip() for line in lines[start : start + 3])

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "12 documents: 3 broken, 9 unchanged." in done.stdout


def test_sandbox_serves_until_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "retab_frames", "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        exports = dict(
            line.removeprefix("  export ").strip().split("=", 1)
            for line in (process.stdout.readline() for _ in range(5))
            if "export" in line
        )
        result = shell("pull", "wf_sandbox", "exp_invoices", "--store", str(tmp_path), **exports)
        process.send_signal(2)
        assert process.wait(timeout=10) == 0

    assert result.exit_code == 0, result.output
    assert result.output.count("created") == 5


def test_help_loads_neither_pandas_nor_httpx() -> None:
    program = (
        "import sys\nsys.argv = ['retab-frames', '--help']\nfrom retab_frames.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('pandas', 'httpx', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ},
    )

    assert done.stdout.endswith("[]\n")
