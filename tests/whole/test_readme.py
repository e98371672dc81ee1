"""What the README says is true."""

from __future__ import annotations

import re
from pathlib import Path
from pkgutil import iter_modules

import pytest
from click.testing import CliRunner

import retab_frames as rf
from retab_frames.cli import main
from retab_frames.cli.exit_codes import EXIT_CODES

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"pd": __import__("pandas"), "pl": __import__("polars"), "duckdb": __import__("duckdb")}
    with rf.Sandbox() as sandbox:
        monkeypatch.setenv("RETAB_API_KEY", sandbox.api_key)
        monkeypatch.setenv("RETAB_API_BASE_URL", sandbox.url)
        for program in blocks("python"):
            exec(program, names)  # noqa: S102

    assert len(names["jobs"]) == 60
    assert names["comparison"].changes["broken"] == 3
    assert "<script" not in Path("report.html").read_text()
    assert len(names["runs"]) == 5
    assert len(rf.SnapshotStore("snapshots").list()) == 5


def test_the_tables_shown_are_those_of_the_demo(tmp_path: Path) -> None:
    demo = CliRunner(env={"COLUMNS": "80"}).invoke(main, ["demo", "--store", str(tmp_path / "d")])
    # where names are left out, columns are narrower
    printed = [line.split() for line in demo.output.splitlines()]
    shown = [line for line in blocks("text")[0].splitlines() if line != "..." and line[0] != "-"]

    assert len(shown) > 6
    assert [line for line in shown if line.split() not in printed] == []


@pytest.mark.parametrize("name", sorted(set(re.findall(r"rf\.(\w+)", README))))
def test_the_names_are_public(name: str) -> None:
    assert name in dir(rf)


def test_the_shell_commands_exist() -> None:
    commands = set(re.findall(r"^retab-frames (\w+)", "\n".join(blocks("sh")), re.MULTILINE))

    assert commands <= set(main.commands)
    assert commands >= {"pull", "stats", "compare", "report", "sql", "verify"}


def test_the_exit_codes_are_these() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \| ([^|]+) \|$", README, re.MULTILINE)
    listed = {
        int(code): meaning
        for codes, meanings in rows
        for code, meaning in zip(codes.split(", "), meanings.split("; "), strict=True)
    }

    assert listed == EXIT_CODES


@pytest.mark.parametrize(("suite", "least"), [("trials", 7), ("simulations", 5)])
def test_the_figures_are_what_a_suite_printed(suite: str, least: int) -> None:
    printed = (Path(__file__).parents[1] / suite / "findings.txt").read_text().splitlines()
    quoted = next(block for block in map(str.splitlines, blocks("text")) if block[0] in printed)

    assert [line for line in quoted if line not in printed] == []
    assert len(quoted) >= least


def test_the_table_of_the_gate_is_what_the_simulations_printed() -> None:
    printed = (Path(__file__).parents[1] / "simulations" / "findings.txt").read_text().splitlines()
    start = printed.index(next(line for line in printed if line.startswith("| documents |")))
    table = [line for line in printed[start:] if line.startswith("|")]

    assert len(table) == 7
    assert "\n".join(table) in README


def test_contributing_knows_every_room() -> None:
    house = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
    rooms = {module.name for module in iter_modules(rf.__path__)} - {"__main__"}

    assert rooms - set(re.findall(r"`(\w+)`", house)) == set()


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 215
