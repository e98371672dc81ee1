"""The workflow for GitHub Actions in docs: its steps run in bash, with the sandbox as the API."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import retab_frames as rf

WORKFLOW = yaml.safe_load(
    (Path(__file__).parents[2] / "docs" / "github-actions.yml").read_text(encoding="utf-8")
)
OUTSIDE = {
    "pip": 'echo "$@" >> "$CALLS"',
    "gh": 'echo "$@" >> "$CALLS"; cp "$5" comment.md',
    "retab-frames": f'exec "{sys.executable}" -m retab_frames "$@"',
}
"""What a runner has: pip and gh, which reach the internet, write down what they are told."""


class Runner:
    """Runs the `run` steps of the workflow as GitHub does, in a folder of its own."""

    def __init__(self, folder: Path, sandbox: rf.Sandbox) -> None:
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir()
        for name, script in OUTSIDE.items():
            (programs / name).write_text(f"#!/bin/bash\n{script}\n")
            (programs / name).chmod(0o755)
        self.env = {
            **{name: value for name, value in os.environ.items() if "RETAB" not in name},
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "CALLS": str(folder / "calls.txt"),
            "GITHUB_OUTPUT": str(folder / "output.txt"),
            "GITHUB_STEP_SUMMARY": str(folder / "page.md"),
            "RETAB_API_BASE_URL": sandbox.url,
            **WORKFLOW["env"],
            "WORKFLOW_ID": sandbox.workflow_id,
            "EXPERIMENT_ID": "exp_invoices",
        }
        self.values = {"secrets.RETAB_API_KEY": sandbox.api_key, "github.token": "t"}
        self.values |= {"github.repository": "owner/name", "github.event.number": "17"}

    def run(self, event: str) -> int:
        """Return the exit code of the first step that fails, 0 if none does."""
        for step in WORKFLOW["jobs"]["compare"]["steps"]:
            condition = re.fullmatch(r"github\.event_name == '(\w+)'", step.get("if", ""))
            if "run" not in step or (condition and condition[1] != event):
                continue
            assert condition or "if" not in step
            code = self._run_step(step)
            if code:
                return code
        return 0

    def _run_step(self, step: dict[str, Any]) -> int:
        env = {name: self._fill_in(value) for name, value in step.get("env", {}).items()}
        # as GitHub runs it
        command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]]
        done = subprocess.run(
            command, cwd=self.folder, env={**self.env, **env}, capture_output=True, check=False
        )
        output = self.folder / "output.txt"
        if "id" in step and output.exists():
            for line in output.read_text().splitlines():
                name, _, value = line.partition("=")
                self.values[f"steps.{step['id']}.outputs.{name}"] = value
        return done.returncode

    def _fill_in(self, value: str) -> str:
        return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: self.values[found[1]], value)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("documents", "code", "first"),
    [
        (12, 0, "**Inconclusive**: 3 documents broke and 0 were fixed, which can be chance"),
        (40, 1, "**Fail**: 10 documents broke and 0 were fixed, more than chance explains"),
    ],
)
def test_a_pull_request_gets_a_comment_and_fails_with_a_regression(
    documents: int, code: int, first: str, tmp_path: Path
) -> None:
    with rf.Sandbox(documents=documents) as sandbox:
        runner = Runner(tmp_path, sandbox)
        assert runner.run("pull_request") == code

    comment = runner.read("comment.md")
    assert comment.startswith(first)
    # without a label, with the complete run before
    assert "## exprun\\_invoices\\_4 against exprun\\_invoices\\_3\n" in comment
    assert runner.read("page.md") == comment
    assert runner.read("calls.txt").splitlines() == [
        "install retab-frames",
        "pr comment 17 --body-file comparison.md --edit-last --create-if-none",
    ]


def test_a_push_makes_the_newest_run_the_baseline(tmp_path: Path) -> None:
    with rf.Sandbox() as sandbox:
        runner = Runner(tmp_path, sandbox)
        assert runner.run("push") == 0
        store = rf.SnapshotStore(tmp_path / "snapshots")
        assert store.resolve("baseline") == "exprun_invoices_4"
        # no run ended since: there is nothing to compare, which is no success
        assert runner.run("pull_request") == 3
        assert "exprun_invoices_4 is the baseline itself" in runner.read("comment.md")

        store.label("exprun_invoices_2", "baseline")
        assert runner.run("pull_request") == 0
        comment = runner.read("comment.md")
    assert "## exprun\\_invoices\\_4 against exprun\\_invoices\\_2\n" in comment


def test_the_workflow_has_no_secret_and_no_expression_in_a_script() -> None:
    for step in WORKFLOW["jobs"]["compare"]["steps"]:
        assert "${{" not in step.get("run", "")
        for value in step.get("env", {}).values():
            assert value.startswith("${{ ")
