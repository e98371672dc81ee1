from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

from retab_frames.cli import main
from retab_frames.cli.application import SECTIONS
from retab_frames.cli.exit_codes import EXIT_CODES

from .shell import shell

COMMANDS = [
    *("clean", "compact", "compare", "demo", "experiments", "failures", "label", "ls", "plan"),
    *("prune", "publish", "pull", "remove", "report", "runs", "sandbox", "slowest", "sql", "stats"),
    *("trend", "unlabel", "verify"),
]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ls", "--store", "nowhere"], "Error: there is no store in nowhere; `retab-frames pull`"),
        (["compare", "a", "b", "--store", "nowhere"], "Error: there is no store in nowhere"),
        (
            ["pull", "wf", "exp"],
            "Error: there is no API key; set the environment variable RETAB_API_KEY",
        ),
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
        (["compare", "nope", "exprun_invoices_1"], "there is no run or label nope"),
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


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_does_and_its_default(command: str) -> None:
    options = [o for o in main.commands[command].params if isinstance(o, click.Option)]

    assert [option.name for option in options if not option.help] == []
    chosen = [option for option in options if not (option.required or option.is_flag)]
    silent = [o.name for o in chosen if not (o.show_default or "[default: " in str(o.help))]
    assert silent == []


def test_the_help_lists_the_exit_codes() -> None:
    text = " ".join(shell("--help").output.split())

    assert sorted(EXIT_CODES) == [0, 1, 2, 3, 70, 130]
    assert [code for code, meaning in EXIT_CODES.items() if f"{code} {meaning}" not in text] == []


def test_a_pipe_that_nobody_reads_is_not_an_error(pulled: str) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "retab_frames", "ls", "--store", pulled]

    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)

    os.close(write)
    assert done.stderr == b""


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


def test_the_help_has_every_command_in_a_section_and_no_sentence_cut() -> None:
    text = shell("--help").output

    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(main.commands)
    assert "..." not in text.partition("Try it:")[2]
