"""The official SDK, early and newest, reads the sandbox without complaint.

RETAB_SDK_136 and RETAB_SDK_160 may each name a Python that has that release;
without them an environment is made in pytest's cache, or in the folder for
temporary files when pytest has none.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import retab_frames as rf
from retab_frames.sandbox import Sandbox
from retab_frames.sandbox.records import FileInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retab_frames.sandbox.records import Experiment, Handle, Job, Run, Timing
    from retab_frames.sandbox.workspace import Workspace

pytestmark = pytest.mark.sdk

CLOCK = ("created_at", "started_at", "completed_at")


def sdk_python(config: pytest.Config, release: int) -> str:
    """Return a Python that has the SDK of a release."""
    given = os.environ.get(f"RETAB_SDK_{release}")
    if given:
        return given
    cache = getattr(config, "cache", None)
    name = f"retab-sdk-{release}"
    folder = cache.mkdir(name) if cache else Path(tempfile.gettempdir()) / name
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", f"retab==0.0.{release}"]
        # with this library beside it, to read what the SDK returns
        install += ["--editable", str(Path(__file__).parents[2])]
        subprocess.run(install, check=True)
        (folder / "ready").touch()
    return str(python)


def read_with(python: str, script: str, sandbox: Sandbox, *before: str) -> dict[str, Any]:
    """Return what a script that uses the SDK says it read."""
    path = Path(__file__).with_name(script)
    command = [python, str(path), *before, sandbox.url, sandbox.api_key, sandbox.workflow_id]
    done = subprocess.run(command, capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    read = json.loads(done.stdout)
    assert isinstance(read, dict)
    return read


@pytest.fixture(scope="module")
def early_sandbox() -> Any:
    with Sandbox(seed=1, generations=("A1",), documents=40) as running:
        yield running


@pytest.fixture(scope="module")
def early(early_sandbox: Sandbox, request: pytest.FixtureRequest) -> dict[str, Any]:
    return read_with(sdk_python(request.config, 136), "sdk_early.py", early_sandbox)


@pytest.fixture(scope="module")
def newest_sandbox() -> Any:
    with Sandbox(seed=2, generations=("A1", "C4"), documents=250) as running:
        yield running


@pytest.fixture(scope="module")
def newest(newest_sandbox: Sandbox, request: pytest.FixtureRequest) -> dict[str, Any]:
    return read_with(sdk_python(request.config, 160), "sdk_newest.py", newest_sandbox)


def test_early_experiments(early: dict[str, Any], early_sandbox: Sandbox) -> None:
    check_experiments(early, early_sandbox.workspace, kind="block_kind")


def test_newest_experiments(newest: dict[str, Any], newest_sandbox: Sandbox) -> None:
    check_experiments(newest, newest_sandbox.workspace, kind="block_type")


def check_experiments(read: dict[str, Any], workspace: Workspace, *, kind: str) -> None:
    assert read["experiments"] == read["experiment"]
    for row, experiment in zip(read["experiments"], workspace.experiments()[::-1], strict=True):
        check_experiment(row, experiment, kind=kind)


def check_experiment(row: dict[str, Any], experiment: Experiment, *, kind: str) -> None:
    assert row["id"] == experiment.id
    assert row["workflow_id"] == "wf_sandbox"
    assert row["name"] == experiment.name
    assert row["block_id"] == experiment.block.id
    assert row[kind] == experiment.block.kind
    assert row["status"] == experiment.status
    assert row["document_count"] == experiment.document_count
    assert row["last_run_id"] == experiment.last_run_id
    assert row["score"] == experiment.score
    assert row["n_consensus"] == 3
    assert moment(row["created_at"]) == experiment.created_at
    assert moment(row["updated_at"]) == experiment.updated_at


def test_early_runs(early: dict[str, Any], early_sandbox: Sandbox) -> None:
    for experiment_id in early_sandbox.experiment_ids:
        runs = early_sandbox.workspace.runs(experiment_id)[::-1]
        for row, run in zip(early["runs"][experiment_id], runs, strict=True):
            check_run(row, run, fingerprint="definition_fingerprint", kind="block_kind")
            assert row["status"] == run.status
            assert moment(row["created_at"]) == run.timing.created_at
            assert moment(row["completed_at"]) == run.timing.completed_at
            assert row["duration_ms"] == run.timing.duration_ms
            assert row["block_config"] == run.block_config


def test_newest_runs(newest: dict[str, Any], newest_sandbox: Sandbox) -> None:
    for experiment_id in newest_sandbox.experiment_ids:
        runs = newest_sandbox.workspace.runs(experiment_id)[::-1]
        for row, run in zip(newest["runs"][experiment_id], runs, strict=True):
            assert row == newest["run"][run.id]
            check_run(row, run, fingerprint="block_execution_fingerprint", kind="block_type")
            assert row["lifecycle"]["status"] == run.status
            assert row["lifecycle"].get("message") == (run.failure and run.failure.message)
            check_timing(row["timing"], run.timing)
            assert row["workflow_id"] == "wf_sandbox"
            assert row["workflow_version_id"] == run.workflow_version_id
            assert row["total_document_count"] == 250
            assert row["completed_document_count"] == run.completed_count


def check_run(row: dict[str, Any], run: Run, *, fingerprint: str, kind: str) -> None:
    assert row["id"] == run.id
    assert row[kind] == run.block.kind
    assert row[fingerprint] == run.definition_fingerprint
    assert row["documents_fingerprint"] == run.documents_fingerprint
    assert row["document_count"] == run.document_count
    assert row["error_count"] == run.error_count
    assert row["score"] == run.score


def test_early_content_of_each_run(early: dict[str, Any], early_sandbox: Sandbox) -> None:
    assert len(early["contents"]) == 15
    for run_id, content in early["contents"].items():
        run = early_sandbox.workspace.run(run_id)
        assert (content["experiment_id"], content["run_id"]) == (run.experiment_id, run_id)
        check_early_jobs(content["content"]["jobs"], early_sandbox.workspace.jobs(run_id))


def test_early_latest_content(early: dict[str, Any], early_sandbox: Sandbox) -> None:
    for experiment_id in early_sandbox.experiment_ids[:3]:
        latest = early_sandbox.run_ids(experiment_id)[-1]
        assert early["latest"][experiment_id] == early["contents"][latest]


def test_early_never_run_content(early: dict[str, Any], early_sandbox: Sandbox) -> None:
    content = early["latest"]["exp_contracts"]
    assert content["run_id"] == ""
    jobs = early_sandbox.workspace.placeholders("exp_contracts")
    check_early_jobs(content["content"]["jobs"], jobs)


def check_early_jobs(rows: Sequence[dict[str, Any]], jobs: Sequence[Job]) -> None:
    for row, job in zip(rows, jobs, strict=True):
        check_job(row, job, run="run_id", kind="block_kind")
        assert row["status"] == job.status
        assert row["error"] == (job.failure and job.failure.message)
        assert row["is_placeholder"] == job.is_placeholder
        check_timing(row, job.timing)
        assert row["handle_inputs"] == {
            name: {"type": "file", "filename": handle.filename}
            if isinstance(handle, FileInput)
            else {"type": "json", "data": handle.data}
            for name, handle in job.inputs.items()
        }


def test_newest_results(newest: dict[str, Any], newest_sandbox: Sandbox) -> None:
    assert len(newest["results"]) == 15
    for run_id, rows in newest["results"].items():
        jobs = newest_sandbox.workspace.jobs(run_id)[::-1]
        assert newest["result"][run_id] == rows[0]
        for row, job in zip(rows, jobs, strict=True):
            check_newest_result(row, job)


def check_newest_result(row: dict[str, Any], job: Job) -> None:
    check_job(row, job, run="experiment_run_id", kind="block_type")
    check_timing(row["timing"], job.timing)
    assert row["handle_inputs"] == newest_handles(job.inputs)
    assert row["handle_outputs"] == newest_handles(job.outputs)
    lifecycle = row["lifecycle"]
    assert lifecycle["status"] == job.status
    if job.failure:
        assert lifecycle["message"] == job.failure.message
        assert lifecycle["details"]["error_code"] == job.failure.code
        assert lifecycle["details"]["stack_trace"] == job.failure.stack_trace
        assert lifecycle["details"]["context"] == job.failure.context


def test_newest_results_came_in_pages(newest: dict[str, Any], newest_sandbox: Sandbox) -> None:
    assert newest
    asked = [
        request.query
        for request in newest_sandbox.requests
        if request.query.get("run_id") == ["exprun_packets_3"]
    ]
    jobs = newest_sandbox.workspace.jobs("exprun_packets_3")[::-1]
    assert [query["limit"] for query in asked] == [["100"]] * 3
    assert [query.get("after") for query in asked] == [None, [jobs[99].id], [jobs[199].id]]


def check_job(row: dict[str, Any], job: Job, *, run: str, kind: str) -> None:
    assert row["id"] == job.id
    assert row[run] == job.run_id
    assert row["experiment_id"] == job.experiment_id
    assert row["document_id"] == job.document_id
    assert row[kind] == job.block.kind
    assert row["attempt"] == job.attempt
    artifact = job.artifact
    assert row["artifact"] == (artifact and {"operation": artifact.operation, "id": artifact.id})


def check_timing(row: dict[str, Any], timing: Timing) -> None:
    assert row["duration_ms"] == timing.duration_ms
    read = [moment(row[name]) for name in CLOCK]
    assert read == [timing.created_at, timing.started_at, timing.completed_at]


def newest_handles(handles: Mapping[str, Handle]) -> dict[str, Any]:
    return {
        name: {
            "type": "file",
            "document": {
                "id": handle.id,
                "filename": handle.filename,
                "mime_type": handle.mime_type,
            },
        }
        if isinstance(handle, FileInput)
        else {"type": "json", "data": handle.data}
        for name, handle in handles.items()
    }


def moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@pytest.mark.parametrize(("release", "generation"), [(136, "A1"), (160, "C4")])
def test_what_the_sdk_returns_makes_the_same_frames(
    release: int, generation: str, request: pytest.FixtureRequest
) -> None:
    python = sdk_python(request.config, release)
    with Sandbox(generations=(generation,)) as sandbox:
        made = read_with(python, "sdk_objects.py", sandbox, str(release))
        with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
            loaded = rf.load_content(
                "wf_sandbox", "exp_invoices", run_id="exprun_invoices_3", client=client
            )

    assert len(made) >= 3
    for frames in made.values():
        for name in ("jobs", "handle_inputs"):
            assert by_job(frames[name]) == by_job(records(getattr(loaded, name)))


def records(frame: Any) -> list[dict[str, Any]]:
    found = json.loads(frame.to_json(orient="records", date_format="iso"))
    assert isinstance(found, list)
    return found


def by_job(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows in one order, without when they were fetched."""
    kept = [{k: v for k, v in row.items() if k != "fetched_at"} for row in rows]
    return sorted(kept, key=lambda row: (row["job_id"], row.get("position", 0)))
