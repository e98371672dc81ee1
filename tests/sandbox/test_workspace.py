from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING

import pytest

from retab_frames.sandbox.records import FileInput, JsonInput
from retab_frames.sandbox.workspace import RecordNotFoundError, Workspace

if TYPE_CHECKING:
    from datetime import datetime

    from retab_frames.sandbox.records import Job

RUN_EXPERIMENTS = ("exp_invoices", "exp_mailroom", "exp_packets")
NEVER_RUN = "exp_contracts"


@pytest.fixture(scope="module")
def workspace() -> Workspace:
    return Workspace(3, documents=250)


def all_jobs(workspace: Workspace) -> list[Job]:
    return [job for run in workspace.runs() for job in workspace.jobs(run.id)]


def moment(value: datetime | None) -> datetime:
    assert value is not None
    return value


def milliseconds(value: int | None) -> int:
    assert value is not None
    return value


def test_same_seed_gives_the_same_workspace_whatever_is_read_first() -> None:
    one, other = Workspace(7), Workspace(7)
    late_first = [other.jobs(run_id) for run_id in reversed(other.run_ids("exp_packets"))]
    early_first = [one.jobs(run_id) for run_id in one.run_ids("exp_packets")]
    assert early_first == late_first[::-1]
    assert one.runs() == other.runs()
    assert one.experiments() == other.experiments()


def test_another_seed_gives_another_workspace() -> None:
    assert all_jobs(Workspace(1)) != all_jobs(Workspace(2))


def test_ids_are_unique(workspace: Workspace) -> None:
    jobs = all_jobs(workspace)
    assert len({job.id for job in jobs}) == len(jobs) == 15 * 250
    documents = [
        document.id for known in workspace.experiment_ids for document in workspace.documents(known)
    ]
    assert len(set(documents)) == len(documents) == 4 * 250
    artifacts = [job.artifact.id for job in jobs if job.artifact]
    assert len(set(artifacts)) == len(artifacts)


def test_experiments(workspace: Workspace) -> None:
    found = [(e.id, e.block.kind, e.status, e.last_run_id) for e in workspace.experiments()]
    assert found == [
        ("exp_invoices", "extract", "processing", "exprun_invoices_5"),
        ("exp_mailroom", "classifier", "processing", "exprun_mailroom_5"),
        ("exp_packets", "split", "processing", "exprun_packets_5"),
        ("exp_contracts", "extract", "draft", None),
    ]


@pytest.mark.parametrize("experiment_id", RUN_EXPERIMENTS)
def test_statuses_counts_and_scores_of_the_five_runs(
    workspace: Workspace, experiment_id: str
) -> None:
    runs = workspace.runs(experiment_id)
    assert [run.id for run in runs] == list(workspace.run_ids(experiment_id))
    assert [run.status for run in runs] == ["completed"] * 3 + ["error", "running"]
    assert [run.error_count for run in runs] == [1, 0, 0, 62, 0]
    assert [run.completed_count for run in runs[:4]] == [249, 250, 250, 188]
    assert [run.score is None for run in runs] == [False] * 4 + [True]
    assert {run.document_count for run in runs} == {250}


@pytest.mark.parametrize("experiment_id", RUN_EXPERIMENTS)
@pytest.mark.parametrize(("number", "factor"), [(2, 1.0), (3, 1.3), (4, 1.0)])
def test_durations_of_a_run_against_the_baseline(
    workspace: Workspace, experiment_id: str, number: int, factor: float
) -> None:
    run_ids = workspace.run_ids(experiment_id)
    pairs = zip(workspace.jobs(run_ids[0]), workspace.jobs(run_ids[number - 1]), strict=True)
    ratios = [
        math.log(
            milliseconds(candidate.timing.duration_ms) / milliseconds(baseline.timing.duration_ms)
        )
        for baseline, candidate in pairs
        if baseline.status == candidate.status == "completed"
    ]
    assert math.exp(fmean(ratios)) == pytest.approx(factor, rel=0.04)


def test_fingerprints(workspace: Workspace) -> None:
    runs = workspace.runs("exp_invoices")
    definitions = [run.definition_fingerprint for run in runs]
    assert len(set(definitions[:4])) == 4
    assert definitions[4] == definitions[1]
    assert len({run.documents_fingerprint for run in runs}) == 1
    assert len({run.documents_fingerprint for run in workspace.runs()}) == 3


def test_duration_is_close_to_started_until_completed_and_never_the_same(
    workspace: Workspace,
) -> None:
    for job in all_jobs(workspace):
        if job.timing.duration_ms is not None:
            wall = moment(job.timing.completed_at) - moment(job.timing.started_at)
            assert 0 < wall.total_seconds() * 1_000 - job.timing.duration_ms < 10
            assert moment(job.timing.created_at) < moment(job.timing.started_at)


def test_four_workers_at_most(workspace: Workspace) -> None:
    for run in workspace.runs():
        events = [
            event
            for job in workspace.jobs(run.id)
            if job.timing.started_at and job.timing.completed_at
            for event in ((job.timing.started_at, 1), (job.timing.completed_at, -1))
        ]
        busy = [sum(step for at, step in events if at <= when) for when, _ in events[:200]]
        assert max(busy) <= 4


@pytest.mark.parametrize("experiment_id", RUN_EXPERIMENTS)
def test_run_spans_its_jobs(workspace: Workspace, experiment_id: str) -> None:
    for run in workspace.runs(experiment_id)[:4]:
        jobs = workspace.jobs(run.id)
        assert moment(run.timing.created_at) < min(moment(job.timing.created_at) for job in jobs)
        assert moment(run.timing.started_at) < min(moment(job.timing.started_at) for job in jobs)
        last = max(moment(job.timing.completed_at) for job in jobs)
        assert moment(run.timing.completed_at) > last
        wall = moment(run.timing.completed_at) - moment(run.timing.created_at)
        taken = milliseconds(run.timing.duration_ms)
        assert abs(wall.total_seconds() * 1_000 - taken) < 10


@pytest.mark.parametrize("experiment_id", RUN_EXPERIMENTS)
def test_run_in_progress(workspace: Workspace, experiment_id: str) -> None:
    run = workspace.runs(experiment_id)[-1]
    assert run.timing.completed_at is None
    assert run.timing.duration_ms is None
    jobs = workspace.jobs(run.id)
    by_status = {
        status: [job for job in jobs if job.status == status]
        for status in ("completed", "running", "pending", "error")
    }
    assert len(by_status["running"]) == 4
    assert len(by_status["completed"]) == run.completed_count > 100
    assert len(by_status["pending"]) > 100
    assert not by_status["error"]
    for job in (*by_status["running"], *by_status["pending"]):
        assert (job.timing.started_at is None) == (job.status == "pending")
        assert job.timing.created_at is not None
        assert job.timing.completed_at is None
        assert job.timing.duration_ms is None


def test_statuses_decide_artifact_output_and_failure(workspace: Workspace) -> None:
    for job in all_jobs(workspace):
        assert (job.artifact is not None) == (job.status == "completed") == bool(job.outputs)
        assert (job.failure is not None) == (job.status == "error")


def test_three_kinds_of_failure_with_particulars(workspace: Workspace) -> None:
    jobs = workspace.jobs("exprun_invoices_4")
    failures = [job.failure for job in jobs if job.failure]
    assert len({failure.code for failure in failures}) == 3
    assert len({failure.message for failure in failures}) == len(failures)


def test_timestamps_have_mixed_precision(workspace: Workspace) -> None:
    fractions = [
        moment(job.timing.created_at).microsecond % 1_000
        for job in workspace.jobs("exprun_invoices_1")
    ]
    assert 0 < fractions.count(0) < len(fractions)


def test_a_third_of_the_invoices_has_context() -> None:
    documents = Workspace().documents("exp_invoices")
    assert all(next(iter(d.inputs)) == "input-file-document" for d in documents)
    assert sum("input-json-context" in d.inputs for d in documents) == 4


def test_packets_have_files_or_json_or_both() -> None:
    documents = Workspace().documents("exp_packets")
    kinds = [tuple(document.inputs) for document in documents]
    assert kinds.count(("input-file-0",)) == 8
    assert kinds.count(("input-json-0",)) == 2
    assert kinds.count(("input-file-0", "input-json-0")) == 2
    data = [v.data for d in documents for v in d.inputs.values() if isinstance(v, JsonInput)]
    assert None in data
    manifest = next(value for value in data if isinstance(value, dict))
    assert manifest["batch"] == 2**60 + 1
    assert manifest["options"] == {}
    assert manifest["previous"] is None


def test_some_documents_share_a_file_name_but_no_file() -> None:
    for experiment_id in Workspace().experiment_ids:
        documents = Workspace().documents(experiment_id)
        names = [document.filename for document in documents if document.filename]
        assert 0 < len(names) - len(set(names)) < 4
        files = [v.id for d in documents for v in d.inputs.values() if isinstance(v, FileInput)]
        assert len(files) == len(set(files))


def test_placeholders(workspace: Workspace) -> None:
    jobs = workspace.placeholders(NEVER_RUN)
    assert [job.document_id for job in jobs] == [d.id for d in workspace.documents(NEVER_RUN)]
    assert {(job.id, job.run_id, job.is_placeholder, job.artifact) for job in jobs} == {
        ("", "", True, None)
    }


@pytest.mark.parametrize("documents", [1, 2, 3, 5])
def test_small_workspaces(documents: int) -> None:
    jobs = all_jobs(Workspace(documents=documents))
    assert len(jobs) == 15 * documents


def test_no_documents() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Workspace(documents=0)


def test_job_is_found_in_a_run_not_yet_built() -> None:
    job = Workspace(5).jobs("exprun_packets_2")[3]
    assert Workspace(5).job(job.id) == job


@pytest.mark.parametrize(
    "method",
    [
        "experiment",
        "documents",
        "run_ids",
        "runs",
        "placeholders",
        "run",
        "jobs",
        "job",
        "find_workflow",
    ],
)
def test_unknown_record(method: str) -> None:
    with pytest.raises(RecordNotFoundError, match="x9 not found"):
        getattr(Workspace(), method)("x9")
