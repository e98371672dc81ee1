"""How commands end: wrong arguments, streams that take nothing, Ctrl-C, and bugs."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from retab_frames.cli import exit_codes, streams
from retab_frames.cli.application import main
from retab_frames.store.snapshots import SnapshotStore

from .shell import shell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

A, B = "exprun_invoices_2", "exprun_invoices_4"
READING = {
    **{name: [name] for name in ("ls", "verify", "slowest")},
    "sql": ["sql", "select 'é… 請', * from jobs"],
    "compare": ["compare", A, B],
    "csv": ["ls", "--csv"],
    "json": ["ls", "--json"],
}


def program(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "retab_frames", *arguments]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "60", **more}


def run(command: str, store: str, redirected: str = "", **more: str) -> Any:
    """Run a command as bash does, with redirections."""
    return subprocess.run(
        [  # noqa: S607
            "bash",
            "-c",
            f'exec "$@" {redirected}',
            "bash",
            *program(*READING[command], "--store", store),
        ],
        capture_output=True,
        env=environment(**more),
        check=False,
    )


# Wrong arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sandbox", "--port", "99999"], "'--port': 99999 is not in the range 0<=x<=65535."),
        (["sandbox", "--port", "-1"], "'--port': -1 is not in the range 0<=x<=65535."),
        (["sandbox", "--documents", "0"], "'--documents': 0 is not in the range 1<=x<=10000."),
        *(
            ([command, "--older-than", days], f"'--older-than': {float(days)} is not in the range")
            for command in ("clean", "prune")
            for days in ("-1", "nan", "inf", "1e300", "36501")
        ),
        (["clean", "--older-than", "1d"], "'--older-than': '1d' is not a valid number."),
        (["compare", A, B, "--margin", "5%"], "'--margin': '5%' is not a valid number."),
        (["slowest", "-n", "1.5"], "'-n': '1.5' is not a valid whole number."),
        (["pull", "wf", "--retries", "1.5"], "'--retries': '1.5' is not a valid whole number."),
        (["sandbox", "--port", "http"], "'--port': 'http' is not a valid whole number."),
        (["prune", "--keep-revisions", "0"], "'--keep-revisions': 0 is not in the range 1<=x"),
        (["prune"], "give --keep-revisions, --older-than, --incomplete or --complete"),
        *(
            (["compare", A, B, "--margin", margin], f"'--margin': {float(margin)} is not in the")
            for margin in ("0", "-1", "nan", "inf", "1e9")
        ),
        *(
            (["compare", A, B, "--confidence", level], f"'--confidence': {float(level)} is not in")
            for level in ("0", "1", "-1", "nan", "95")
        ),
        (["compare", A, B, "--max-broken", "-1"], "'--max-broken': -1 is not in the range 0<=x"),
        (["slowest", "-n", "0"], "'-n': 0 is not in the range 1<=x<=1000000."),
        (["slowest", "-n", "9" * 20], f"'-n': {'9' * 20} is not in the range 1<=x<=1000000."),
        (["stats", "--run", A, "--run", A], f"'--run': {A} is given twice."),
        (["slowest", "--run", A, "--run", B, "--run", A], f"'--run': {A} is given twice."),
        (["failures", "--run", A, "--run", A], f"'--run': {A} is given twice."),
        (["pull", "wf", "exp", "--run", A, "--run", A], f"'--run': {A} is given twice."),
        (["pull", "wf", "--run", "all", "--run", A], "'--run': all stands alone, without other"),
        (["pull", "wf", "--run", "latest", "--run", "latest"], "'--run': latest stands alone"),
        *(
            (arguments, f"Invalid value for '{name}': it is empty, as an unset variable is.")
            for arguments, name in (
                (["pull", "wf", "--run", ""], "--run"),
                (["pull", ""], "WORKFLOW_ID"),
                (["pull", "wf", "exp", ""], "[EXPERIMENT_ID]..."),
                (["pull", "wf", "--since", ""], "--since"),
                (["experiments", "wf", "--base-url", ""], "--base-url"),
                (["ls", "--experiment", ""], "--experiment"),
                (["stats", "--by", ""], "--by"),
                (["clean", "--older-than", ""], "--older-than"),
                (["compare", "", B], "[[BASELINE] CANDIDATE...]"),
                (["label", A, ""], "LABEL"),
                (["report", A, "-o", ""], "-o' / '--output"),
                (["sql", ""], "QUERY"),
            )
        ),
        (["pull", "wf", "exp", "exp"], "'[EXPERIMENT_ID]...': exp is given twice."),
        (["pull", "wf", "--since", "garbage"], "'--since': the time is not a valid time: garbage"),
        (["pull", "wf", "--since", "2026-09-01"], "'--since': the time needs a time zone, 2026-"),
        (["pull", "wf", "--status", "error", "--status", "error"], "'--status': error is given tw"),
        (["pull", "wf", "--timeout", "0"], "'--timeout': 0.0 is not in the range x>0."),
        (["pull", "wf", "--timeout", "-1"], "'--timeout': -1.0 is not in the range x>0."),
        (["pull", "wf", "--timeout", "nan"], "'--timeout': nan is not in the range x>0."),
        (["pull", "wf", "--retries", "-1"], "'--retries': -1 is not in the range 0<=x<=100."),
        (["pull", "wf", "--connections", "0"], "'--connections': 0 is not in the range 1<=x<="),
        (["pull", "wf", "--latest"], "No such option '--latest'."),
        (["stats", "--by", "run_id", "--by", "run_id"], "'--by': run_id is given twice."),
        (["compare", A, B, B], f"CANDIDATE...]': {B} is given twice."),
        (["compare", A, B, A], f"CANDIDATE...]': {A} is given twice."),
        (["report", A, B, A, "-o", "x.md"], f"'RUN...': {A} is given twice."),
        (["verify", "--run", A, "--run", B], "--run is given twice."),
        (["ls", "--store", "a"], "--store is given twice."),
        (["report", A, "-o", "a.md", "--output", "b.md"], "-o/--output is given twice."),
        (["prune", "--incomplete", "--complete"], "--incomplete/--complete is given twice."),
        (["stats", "--json", "--csv"], "--json and --csv exclude each other: give one."),
        (["runs", "wf", "--csv", "--json"], "--csv and --json exclude each other: give one."),
        (["compare", A, B, "--json", "--markdown"], "--markdown and --json are two formats: give"),
        (["compare", A, B, "--fail-on", "broken,broken"], "--fail-on has broken twice"),
        (["compare", A, B, "--fail-on", "slow"], "--fail-on takes broken, slower or both, not 'sl"),
        (["verify", "--experiment", "exp_invoices"], "--experiment needs --run"),
        (["stats", "--run"], "--run needs a value before --store."),
        (["report", A, "-o", "a.md", "--title"], "--title needs a value before --store."),
        (["stats", A], f"argument ({A}): stats takes options alone; --run takes a run."),
        (["ls", "a", "b"], "argument (a b): ls takes options alone."),
        (["sql", "from", "jobs"], "argument (jobs): sql takes QUERY; quote what has spaces."),
        (["label", A, "the", "base"], "(base): label takes RUN LABEL; quote what has spaces."),
    ],
)
def test_wrong_arguments_are_told_with_their_option(
    arguments: list[str], message: str, pulled: str
) -> None:
    without = ("sandbox", "experiments", "runs")
    needed = [] if arguments[0] in without else ["--store", pulled]
    result = shell(*arguments, *needed)

    assert result.exit_code == exit_codes.EXIT_ERROR
    assert message in result.output
    assert result.output.splitlines()[-1].startswith("Error: ")


def test_help_comes_before_what_is_wrong() -> None:
    result = shell("ls", "--store", "", "--json", "--csv", "--help")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ls", "--store", "FILE"], "a store is a folder, and FILE is a file"),
        (["pull", "wf", "--store", "FILE"], "a store is a folder, and FILE is a file"),
        (["demo", "--store", "FILE"], "a store is a folder, and FILE is a file"),
        (["report", A, "-o", "HERE/x.pdf"], "a report ends in .html or .md, not HERE/x.pdf"),
        (["report", A, "-o", "."], "a report ends in .html or .md, not ."),
        (["report", A, "-o", "HERE/no/x.md"], "there is no folder HERE/no to write x.md in"),
        (["report", A, "-o", "HERE/a.md"], "cannot write HERE/a.md: Is a directory"),
        (
            ["report", A, "-o", f"HERE/{'x' * 260}.md"],
            f"cannot write HERE/{'x' * 260}.md: File nam",
        ),
    ],
)
def test_a_place_that_cannot_be_written_is_named(
    arguments: list[str], message: str, pulled: str, tmp_path: Path
) -> None:
    (tmp_path / "a.md").mkdir()
    file = tmp_path / "file"
    file.write_text("text")

    def fill(text: str) -> str:
        return text.replace("FILE", str(file)).replace("HERE", str(tmp_path))

    needed = [] if "--store" in arguments else ["--store", pulled]
    result = shell(*map(fill, arguments), *needed, RETAB_API_KEY="key")
    assert (result.exit_code, result.stdout) == (exit_codes.EXIT_ERROR, "")
    assert result.stderr.startswith(f"Error: {fill(message)}")
    assert result.stderr.count("\n") == 1


def test_a_run_of_another_experiment_is_told(pulled: str) -> None:
    store = SnapshotStore(pulled)
    assert A in store.list()["run_id"].tolist()
    result = shell("stats", "--experiment", "exp_invoices", "--run", A, "--store", pulled)
    assert result.exit_code == 0


# Streams that take nothing


GATE = ["compare", A, B, "--fail-on", "broken", "--max-broken"]
MANY_ROWS = "select range as n, repeat('x', 100) as text from range(20000)"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        *((READING[name], 0) for name in ("ls", "json", "compare", "sql")),
        (["verify", "--level", "full"], 0),
        (["sql", MANY_ROWS, "--csv"], 0),
        (["sql", MANY_ROWS, "--json"], 0),
        ([*GATE, "3"], 0),
        ([*GATE, "2"], exit_codes.EXIT_FOUND),
        ([*GATE, "2", "--csv"], exit_codes.EXIT_FOUND),
        ([*GATE, "2", "--markdown"], exit_codes.EXIT_FOUND),
        (["compare", A, B, "--fail-on", "slower", "--strict"], exit_codes.EXIT_INCONCLUSIVE),
    ],
)
@pytest.mark.parametrize("lines", [0, 1])
def test_what_nobody_reads_ends_with_the_code_that_is_due(
    arguments: list[str], code: int, lines: int, pulled: str
) -> None:
    with subprocess.Popen(
        [*program(*arguments), "--store", pulled],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(lines):
            process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read().decode()
    assert process.returncode == code
    # the verdict of the gate is told on the other stream
    word = told.strip().partition(".")[0]
    assert word in {0: ("", "Pass"), 1: ("Fail",), 3: ("Inconclusive",)}[code]


@pytest.mark.parametrize("arguments", [["--help"], ["ls", "--help"], ["--version"]])
def test_a_help_that_nobody_reads(arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(program(*arguments), stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("closed", ["2>&-", "1>&-", "0<&- 1>&- 2>&-", "2>/dev/full"])
@pytest.mark.parametrize("command", ["verify", "csv"])
def test_a_missing_stream_changes_no_exit_code(command: str, closed: str, pulled: str) -> None:
    done = run(command, pulled, closed)
    assert (done.returncode, done.stderr) == (0, b"")
    assert bool(done.stdout) == ("1>" not in closed)


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
def test_an_error_that_cannot_be_told_has_its_exit_code(closed: str, tmp_path: Path) -> None:
    assert run("ls", str(tmp_path / "none"), closed).returncode == exit_codes.EXIT_ERROR


def test_a_full_disk_is_told(pulled: str) -> None:
    done = run("ls", pulled, ">/dev/full")
    reason = os.strerror(errno.ENOSPC)
    assert done.returncode == exit_codes.EXIT_ERROR
    assert done.stderr.decode() == f"Error: cannot print: {reason}\n"


def test_a_closed_stream_is_not_taken_by_the_next_file(tmp_path: Path) -> None:
    code = (
        "import os\nfrom retab_frames.cli.streams import prepare_streams\nprepare_streams()\n"
        f"print(open({str(tmp_path / 'a')!r}, 'w').fileno() > 2)"
    )
    command = ["bash", "-c", 'exec "$@" 2>&- 0<&-', "bash", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, env=environment(), check=True)
    assert done.stdout == b"True\n"


# Encodings


@pytest.mark.parametrize(
    "page", ["ascii", "latin-1", "cp1252", "cp437", "cp932", "utf-8", "utf-16"]
)
@pytest.mark.parametrize("command", ["sql", "slowest"])
def test_every_encoding(command: str, page: str, pulled: str) -> None:
    done = run(command, pulled, PYTHONIOENCODING=page)

    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(page)
    assert text
    if command == "sql":
        assert ("請" in text) == (page in {"cp932", "utf-8", "utf-16"})
        assert (r"\u8acb" in text) == (page not in {"cp932", "utf-8", "utf-16"})
        assert ("…" in text) == (page in {"cp1252", "cp932", "utf-8", "utf-16"})
        assert ("~" in text) == (page not in {"cp1252", "cp932", "utf-8", "utf-16"})


def test_what_an_encoding_lacks_has_a_stand_in() -> None:
    lacking = UnicodeEncodeError("ascii", "a…∞é\udcff", 1, 5, "")
    assert streams._replace(lacking) == (r"~inf\xe9\udcff", 5)
    with pytest.raises(UnicodeDecodeError):
        streams._replace(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "wrong"))


@pytest.mark.parametrize("page", ["ascii", "cp932"])
def test_the_demo_in_every_encoding(page: str, tmp_path: Path) -> None:
    done = subprocess.run(
        program("demo", "--store", str(tmp_path / "demo")),
        capture_output=True,
        env=environment(PYTHONIOENCODING=page),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"12 documents: 3 broken, 9 unchanged." in done.stdout


# Ctrl-C


@pytest.fixture
def sandbox_process() -> Iterator[subprocess.Popen[str]]:
    command = ["-u", "-m", "retab_frames", "sandbox", "--port", "0"]
    with subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        yield process


def test_an_interrupted_sandbox(sandbox_process: subprocess.Popen[str]) -> None:
    assert sandbox_process.stdout is not None
    sandbox_process.stdout.readline()
    sandbox_process.send_signal(signal.SIGINT)
    _, told = sandbox_process.communicate(timeout=20)
    assert (sandbox_process.returncode, told) == (exit_codes.EXIT_INTERRUPTED, "Interrupted.\n")


def test_an_interrupted_query(pulled: str) -> None:
    slow = "select count(*) from range(60000) a, range(90000) b where hash(a.range, b.range) = 7"
    with subprocess.Popen(
        program("sql", slow, "--store", pulled),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        # DuckDB 1.2 looks for signals now and then only, so Ctrl-C is pressed until it has seen one
        for _ in range(60):
            time.sleep(3)
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGINT)
        shown, told = process.communicate(timeout=30)
    # DuckDB 1.2 lets the signal itself end the process, which shells report in the same way
    assert process.returncode in (exit_codes.EXIT_INTERRUPTED, -signal.SIGINT)
    assert (shown, told) == ("", "Interrupted.\n")


@pytest.mark.parametrize("command", ["ls", "verify", "stats"])
def test_every_command_ends_in_one_line_when_it_is_interrupted(
    command: str, pulled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_arguments: Any, **_options: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    assert threading.current_thread() is threading.main_thread()
    monkeypatch.setattr(SnapshotStore, "exists", interrupt)
    result = shell(command, "--store", pulled)
    assert (result.exit_code, result.output) == (exit_codes.EXIT_INTERRUPTED, "Interrupted.\n")


def test_an_interrupt_while_the_commands_are_imported() -> None:
    code = (
        "import sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'retab_frames.cli.snapshots':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "import retab_frames.cli\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=environment(), check=False
    )
    assert (done.returncode, done.stderr) == (exit_codes.EXIT_INTERRUPTED, b"Interrupted.\n")


# Bugs


def fail(*_arguments: Any, **_options: Any) -> None:
    raise KeyError("\x1b[2J\na key")


def test_a_bug_has_an_exit_code_of_its_own(pulled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SnapshotStore, "list", fail)
    result = shell("ls", "--store", pulled)

    assert result.exit_code == exit_codes.EXIT_BUG
    assert result.output == (
        "Error: this is a bug of retab-frames (KeyError: '\\x1b[2J\\na key'): "
        "`retab-frames --debug COMMAND ...` shows where\n"
    )


def test_debug_shows_where(pulled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SnapshotStore, "list", fail)
    result = shell("--debug", "ls", "--store", pulled)

    assert result.exit_code == exit_codes.EXIT_BUG
    assert "Traceback" in result.output
    assert "in fail" in result.output


def test_a_program_can_run_commands_itself(pulled: str) -> None:
    assert main(["ls", "--store", pulled], standalone_mode=False) is None
