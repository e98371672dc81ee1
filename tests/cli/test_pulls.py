from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

import retab_frames as rf
from retab_frames.sandbox.faults import Hang, Status

from .shell import shell

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

WORKFLOW, EXPERIMENT = "wf_sandbox", "exp_invoices"
NESTED = f"/v1/workflows/{WORKFLOW}/experiments"
RUNS = [f"exprun_invoices_{n}" for n in (5, 4, 3, 2, 1)]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "snapshots")


def ask(sandbox: rf.Sandbox, *arguments: str) -> Result:
    return shell(
        *arguments, RETAB_API_KEY=sandbox.api_key, RETAB_API_BASE_URL=sandbox.url, COLUMNS="80"
    )


def pull(sandbox: rf.Sandbox, root: str, *arguments: str) -> Result:
    return ask(sandbox, "pull", WORKFLOW, *arguments, "--store", root)


@pytest.mark.parametrize(
    ("options", "runs"),
    [
        ([], RUNS),
        (["--run", "all"], RUNS),
        (["--run", "latest"], RUNS[:1]),
        (["--run", "latest_ended"], RUNS[1:2]),
        (["--run", RUNS[3], "--run", RUNS[4]], RUNS[3:]),
        (["--since", "2026-09-08T00:00:00Z"], RUNS[:3]),
        (["--status", "running", "--status", "error"], RUNS[:2]),
        (["--status", "ended"], RUNS[1:]),
    ],
)
def test_pull_takes_chosen_runs(
    sandbox: rf.Sandbox, root: str, options: list[str], runs: list[str]
) -> None:
    result = pull(sandbox, root, EXPERIMENT, "--json", *options)
    assert [row["run_id"] for row in json.loads(result.output)] == runs


def test_without_a_terminal_each_run_is_a_line_with_a_time(sandbox: rf.Sandbox, root: str) -> None:
    lines = pull(sandbox, root, EXPERIMENT).output.splitlines()
    assert re.fullmatch(
        rf"{TIME} created {RUNS[0]} of {EXPERIMENT}: 12 jobs, revision 1, still running: "
        "3 of 12 jobs have ended",
        lines[0],
    )
    assert re.fullmatch(rf"{TIME} created {RUNS[1]} of {EXPERIMENT}: 12 jobs, revision 1", lines[1])
    assert lines[5:] == ["5 runs: 5 created."]

    first, *rest = pull(sandbox, root, EXPERIMENT).output.splitlines()
    assert f" unchanged {RUNS[0]} of " in first
    assert " ".join(line.strip() for line in rest) == (
        "1 run: 1 unchanged. 4 runs are complete in the store and were not fetched: "
        "--refresh fetches them again."
    )

    refreshed = pull(sandbox, root, EXPERIMENT, "--refresh").output.splitlines()
    assert refreshed[-1] == "5 runs: 5 unchanged."


@pytest.mark.filterwarnings("default")
def test_a_whole_workflow(sandbox: rf.Sandbox, root: str) -> None:
    result = pull(sandbox, root)
    assert result.exit_code == 0
    assert len(rf.SnapshotStore(root).list()) == 15
    lines = result.output.splitlines()
    assert re.fullmatch(rf"{TIME} skipped exp_contracts: never run", lines[0])
    assert "Note: experiment exp_contracts was never run: no snapshot was written" in lines


def fail_one(sandbox: rf.Sandbox) -> None:
    sandbox.misbehave(Status(500), path=f"{NESTED}/exp_mailroom/content", times=None)


BOTH = (EXPERIMENT, "exp_mailroom", "--run", "latest_ended", "--retries", "0")


def test_a_run_that_fails_stops_the_pull_after_those_before_it(
    sandbox: rf.Sandbox, root: str
) -> None:
    fail_one(sandbox)
    result = pull(sandbox, root, *BOTH)
    assert result.exit_code == 2
    first, counts, error = result.output.splitlines()
    assert f" created {RUNS[1]} of " in first
    assert counts == "1 run: 1 created."
    assert error.startswith("Error: run exprun_mailroom_4: GET ")


def test_keep_going(sandbox: rf.Sandbox, root: str) -> None:
    fail_one(sandbox)
    result = pull(sandbox, root, *BOTH, "--keep-going")
    assert result.exit_code == 1
    first, second, *rest = result.output.splitlines()
    assert f" created {RUNS[1]} of " in first
    assert " failed exprun_mailroom_4 of exp_mailroom: GET /v1/" in second
    assert rest == ["2 runs: 1 created, 1 failed.", "The same command tries what failed again."]

    sandbox.misbehave(Status(500), path=f"{NESTED}/exp_mailroom/content", times=None)
    as_csv = pull(sandbox, root, *BOTH, "--keep-going", "--csv")
    assert as_csv.exit_code == 1
    rows = list(csv.DictReader(io.StringIO(as_csv.output)))
    assert [row["action"] for row in rows] == ["kept", "failed"]


def test_a_json_of_what_was_written_comes_before_the_error(sandbox: rf.Sandbox, root: str) -> None:
    fail_one(sandbox)
    result = pull(sandbox, root, *BOTH, "--json")
    assert result.exit_code == 2
    assert [row["run_id"] for row in json.loads(result.stdout)] == [RUNS[1]]
    assert result.stderr.startswith("Error: run exprun_mailroom_4")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pull", "wf_sandboxx"], "Error: there is no workflow wf_sandboxx; check its id"),
        (["experiments", "wf_sandboxx"], "Error: there is no workflow wf_sandboxx; check its id"),
        (
            ["pull", WORKFLOW, "exp_invoice"],
            (
                "Error: there is no experiment exp_invoice of workflow wf_sandbox (did you mean "
                "exp_invoices?); `retab-frames experiments` and `retab-frames runs` list what "
                "exists"
            ),
        ),
        (["runs", WORKFLOW, EXPERIMENT, "exp_mailrom"], "(did you mean exp_mailroom?)"),
        (["pull", WORKFLOW, EXPERIMENT, "--run", "exprun_invoices_33"], "mean exprun_invoices_3?)"),
        (["pull", WORKFLOW, EXPERIMENT, "--run", "lastest"], "(did you mean latest?)"),
        (["pull", WORKFLOW, "--run", "exprun_invoices_33"], "(did you mean exprun_invoices_3?)"),
        (
            ["pull", WORKFLOW, EXPERIMENT, "--status", "runing"],
            "(did you mean running?); known are",
        ),
        (["pull", WORKFLOW, "--timeout", "inf"], "Error: timeout takes seconds, more than 0 and"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(
    sandbox: rf.Sandbox, tmp_path: Path, arguments: list[str], message: str
) -> None:
    store = ("--store", str(tmp_path / "none")) if arguments[0] == "pull" else ()
    result = ask(sandbox, *arguments, *store)
    assert result.exit_code == 2
    [line] = result.output.splitlines()
    assert message in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs", WORKFLOW, "exp_contracts"], "There are no runs of exp_contracts."),
        (["pull", WORKFLOW, EXPERIMENT, "--status", "queued"], "No run to pull."),
    ],
)
def test_nothing_found_is_a_sentence(
    sandbox: rf.Sandbox, tmp_path: Path, arguments: list[str], message: str
) -> None:
    store = ("--store", str(tmp_path / "none")) if arguments[0] == "pull" else ()
    result = ask(sandbox, *arguments, *store)
    assert (result.exit_code, result.output) == (0, f"{message}\n")


def test_experiments(sandbox: rf.Sandbox) -> None:
    lines = ask(sandbox, "experiments", WORKFLOW).output.splitlines()
    assert lines[0].split() == ["experiment", "name", "status", "last_run"]
    assert lines[-1].split() == [EXPERIMENT, "Invoices", "Q3", "processing", RUNS[0]]
    assert max(map(len, lines)) <= 80
    rows = json.loads(ask(sandbox, "experiments", WORKFLOW, "--json").output)
    assert list(rows[0]) == list(rf.ExperimentsSchema.to_schema().columns)


def test_runs(sandbox: rf.Sandbox) -> None:
    lines = ask(sandbox, "runs", WORKFLOW, EXPERIMENT).output.splitlines()
    assert lines[0].split() == [
        *("run", "status", "created", "docs", "errors", "score", "duration"),
    ]
    assert lines[3].split()[:2] == [RUNS[1], "error"]
    assert [line.split()[0] for line in lines[2:]] == RUNS
    both = ask(sandbox, "runs", WORKFLOW, EXPERIMENT, "exp_mailroom").output.splitlines()
    assert len(both) == 12
    assert max(map(len, [*lines, *both])) <= 80
    rows = list(csv.DictReader(io.StringIO(ask(sandbox, "runs", WORKFLOW, "--csv").output)))
    assert len(rows) == 15
    assert list(rows[0]) == list(rf.RunsSchema.to_schema().columns)


def test_the_options_of_the_client(sandbox: rf.Sandbox, root: str) -> None:
    sandbox.misbehave(Hang(2), path=f"{NESTED}/{EXPERIMENT}/runs", times=None)
    result = pull(sandbox, root, EXPERIMENT, "--timeout", "0.3")
    assert result.exit_code == 2
    assert result.output.endswith("not finished within 0.3 s; --timeout takes more seconds\n")


def program(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "retab_frames", *arguments]


def environment(sandbox: rf.Sandbox) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "COLUMNS": "80",
        "RETAB_API_KEY": sandbox.api_key,
        "RETAB_API_BASE_URL": sandbox.url,
    }


def test_a_terminal_shows_a_bar_and_then_a_table(sandbox: rf.Sandbox, root: str) -> None:
    ours, theirs = pty.openpty()
    command = program("pull", WORKFLOW, EXPERIMENT, "--store", root)
    with subprocess.Popen(
        command, stdout=theirs, stderr=theirs, env=environment(sandbox)
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            shown += part
        assert process.wait(30) == 0
    os.close(ours)
    lines = [line.rpartition("\r")[2] for line in shown.decode().replace("\r\n", "\n").split("\n")]
    assert "Pulling runs: 100%" in shown.decode()
    header = ["experiment_id", "run_id", "action", "complete", "jobs", "revision"]
    [at] = [n for n, line in enumerate(lines) if line.split() == header]
    assert lines[at + 3].split() == [EXPERIMENT, RUNS[1], "created", "yes", "12", "1"]
    assert lines[at + 7 :] == [
        f"{RUNS[0]}: still running: 3 of 12 jobs have ended",
        "5 runs: 5 created.",
        "",
    ]


def test_an_interrupt_shows_what_was_written(sandbox: rf.Sandbox, root: str) -> None:
    sandbox.misbehave(Hang(20), path=f"{NESTED}/exp_mailroom/content", times=None)
    command = program("pull", WORKFLOW, EXPERIMENT, "exp_mailroom", "--store", root)
    streams: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment(sandbox), **streams) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in RUNS]
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=10)
    assert [line.split()[2] for line in told] == RUNS
    assert (process.returncode, rest, errors) == (130, "5 runs: 5 created.\n", "Interrupted.\n")
    store = rf.SnapshotStore(root)
    assert store.list()["run_id"].tolist() == sorted(RUNS)
    assert len(store.verify("full")) == 0


@pytest.mark.parametrize("options", [["--status", "running"], ["--since", "2026-09-29T08:30:00Z"]])
def test_a_named_run_that_is_left_out_is_told(
    sandbox: rf.Sandbox, root: str, options: list[str]
) -> None:
    why = "not of the status or the time that is asked for"
    result = pull(sandbox, root, EXPERIMENT, "--run", RUNS[4], *options)
    assert result.exit_code == 0
    assert re.fullmatch(
        rf"{TIME} skipped {RUNS[4]} of {EXPERIMENT}: {why}\nNo run to pull\.\n", result.stdout
    )
    (row,) = json.loads(pull(sandbox, root, "--json", "--run", RUNS[4], *options).stdout)
    assert (row["run_id"], row["action"], row["note"]) == (RUNS[4], None, why)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--run", "lastest"],
            (
                "run lastest is in none of 4 experiments of workflow wf_sandbox "
                "(did you mean latest?); `retab-frames experiments` and "
            ),
        ),
        ([EXPERIMENT, "--run", "lastest"], "(did you mean latest?); `retab-frames experiments` "),
        (["exp_invoice"], "no experiment exp_invoice of workflow wf_sandbox (did you mean exp_inv"),
        (["--status", "runing"], "no run has the status 'runing' (did you mean running?); known"),
    ],
)
def test_mistyped_words_have_the_nearest(
    sandbox: rf.Sandbox, root: str, arguments: list[str], message: str
) -> None:
    result = pull(sandbox, root, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_error_is_not_preceded_by_that_there_was_nothing_to_do(
    sandbox: rf.Sandbox, tmp_path: Path
) -> None:
    parent = tmp_path / "file"
    parent.write_text("text")
    result = pull(sandbox, str(parent / "store"))
    assert result.exit_code == 2
    assert result.stdout.splitlines()[0].endswith("skipped exp_contracts: never run")
    assert "No run to pull" not in result.stdout
    # a long path is cut in the middle of the message
    assert result.stderr.startswith(f"Error: cannot write retab-frames.json in {str(parent)[:40]}")
