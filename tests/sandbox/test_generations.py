from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from retab_frames.sandbox import Sandbox
from retab_frames.sandbox.records import FileInput
from retab_frames.sandbox.serializers import GENERATIONS, format_timestamp

from .visitor import FLAT, NESTED, visit

if TYPE_CHECKING:
    from retab_frames.sandbox.records import Job, Timing

# The keys of each record, written out from the SDK models of each generation.
IDS = "id experiment_id document_id handle_inputs artifact attempt"
CLOCK = "created_at started_at completed_at duration_ms"
JOB_KEYS = {
    "A1": f"{IDS} run_id status block_kind error {CLOCK} is_placeholder",
    "A2": f"{IDS} run_id status block_kind error {CLOCK} is_placeholder",
    "A3": f"{IDS} run_id status block_kind error {CLOCK} is_placeholder",
    "B": f"{IDS} run_id lifecycle timing block_kind error {CLOCK} is_placeholder",
    "C1": f"{IDS} run_id lifecycle timing block_type is_placeholder",
    "C2": f"{IDS} run_id lifecycle timing block_type",
    "C3": f"{IDS} experiment_run_id lifecycle timing block_type handle_outputs",
    "C4": f"{IDS} experiment_run_id lifecycle timing block_type handle_outputs",
}
FLAT_RUN = (
    "id parent_run_id block_config definition_fingerprint documents_fingerprint status block_kind "
    "score document_count error_count n_consensus created_at completed_at duration_ms job_id"
)
COUNTS = "total_document_count completed_document_count document_count error_count"
NESTED_RUN = (
    f"id trigger lifecycle timing experiment_id block_id n_consensus documents_fingerprint score "
    f"{COUNTS}"
)
VALIDITY = "block_version_id metrics_validity_fingerprint metrics_validity_fingerprint_version"
VERSION = "workflow_id workflow_version_id parent_run_id block_type"
RUN_KEYS = {
    "A1": FLAT_RUN,
    "A2": f"{FLAT_RUN} total_document_count completed_document_count",
    "A3": f"{FLAT_RUN} total_document_count completed_document_count",
    "B": f"{NESTED_RUN} workflow block_kind definition_fingerprint",
    "C1": f"{NESTED_RUN} workflow parent_run_id block_type definition_fingerprint",
    "C2": f"{NESTED_RUN} {VERSION} definition_fingerprint",
    "C3": f"{NESTED_RUN} {VERSION} definition_fingerprint {VALIDITY}",
    "C4": f"{NESTED_RUN} {VERSION} block_execution_fingerprint {VALIDITY}",
}
EXPERIMENT = (
    "id workflow_id block_id n_consensus document_count name last_run_id created_at updated_at "
    "status score is_stale schema_drift schema_drift_detail"
)
PLAN = "freshness_state freshness_reasons run_plan_mode rerunnable_document_count"
EXPERIMENT_KEYS = {
    "A1": f"{EXPERIMENT} block_kind job_id",
    "A2": f"{EXPERIMENT} block_kind job_id",
    "A3": f"{EXPERIMENT} block_kind job_id",
    "B": f"{EXPERIMENT} block_kind",
    "C1": f"{EXPERIMENT} block_type",
    "C2": f"{EXPERIMENT} block_type",
    "C3": f"{EXPERIMENT} block_type freshness drift",
    "C4": f"{EXPERIMENT} block_type freshness drift {PLAN}",
}
DOCUMENT_KEYS = {
    "A2": "id filename",
    "A3": "id filename",
    "B": "id filename",
    "C1": "original_id filename mime_type gcs_uri size_bytes content_fingerprint",
    "C2": "original_id filename mime_type gcs_uri size_bytes content_fingerprint",
    "C3": "id filename mime_type",
    "C4": "id filename mime_type",
}
BROKEN, RUNNING = "exprun_invoices_4", "exprun_invoices_5"

each_generation = pytest.mark.parametrize("generation", GENERATIONS)


def read_jobs(sandbox: Sandbox, generation: str, run_id: str) -> dict[str, dict[str, Any]]:
    """Return the wire's jobs of a run by their ids."""
    experiment_id = sandbox.workspace.run(run_id).experiment_id
    if generation[0] == "A":
        answer = visit(sandbox, f"{NESTED}/{experiment_id}/content?run_id={run_id}").json
        rows = answer["content"]["jobs"]
    elif generation == "B":
        rows = visit(sandbox, f"{FLAT}/runs/{run_id}/results").json["data"]
    else:
        rows = visit(sandbox, f"{FLAT}/results?run_id={run_id}").json["data"]
    return {row["id"]: row for row in rows}


def read_runs(sandbox: Sandbox, generation: str) -> list[dict[str, Any]]:
    """Return the wire's runs of the invoices, newest first."""
    if generation[0] == "A":
        answer = visit(sandbox, f"{NESTED}/exp_invoices/runs").json
        rows = answer["data"] if generation == "A3" else answer["runs"]
    else:
        rows = visit(sandbox, f"{FLAT}/runs?experiment_id=exp_invoices").json["data"]
    assert isinstance(rows, list)
    return rows


def experiments_path(generation: str) -> str:
    return f"{FLAT}?workflow_id=wf_sandbox" if generation[0] == "C" else NESTED


def clock(timing: Timing) -> dict[str, object]:
    moments = (timing.created_at, timing.started_at, timing.completed_at)
    return dict(
        zip(CLOCK.split(), [*map(format_timestamp, moments), timing.duration_ms], strict=True)
    )


@each_generation
def test_keys(generation: str) -> None:
    with Sandbox(generations=(generation,)) as sandbox:
        for run_id in (BROKEN, RUNNING):
            for row in read_jobs(sandbox, generation, run_id).values():
                assert set(row) == set(JOB_KEYS[generation].split())
        for row in read_runs(sandbox, generation):
            assert set(row) == set(RUN_KEYS[generation].split())
        listed = visit(sandbox, experiments_path(generation)).json
        rows = listed if generation in {"A1", "A2"} else listed["data"]
        assert [row["id"] for row in rows] == list(sandbox.experiment_ids[::-1])
        for row in rows:
            assert set(row) == set(EXPERIMENT_KEYS[generation].split())


@each_generation
@pytest.mark.parametrize("run_id", [BROKEN, RUNNING, "exprun_packets_1"])
def test_values_of_jobs(generation: str, run_id: str) -> None:
    with Sandbox(generations=(generation,)) as sandbox:
        rows = read_jobs(sandbox, generation, run_id)
        jobs = sandbox.workspace.jobs(run_id)
        assert set(rows) == {job.id for job in jobs}
        for job in jobs:
            check_job(generation, rows[job.id], job)


def check_job(generation: str, row: dict[str, Any], job: Job) -> None:
    run_key = "experiment_run_id" if generation in {"C3", "C4"} else "run_id"
    kind_key = "block_type" if generation[0] == "C" else "block_kind"
    assert row[run_key] == job.run_id
    assert row["experiment_id"] == job.experiment_id
    assert row["document_id"] == job.document_id
    assert row[kind_key] == job.block.kind
    artifact = job.artifact
    assert row["artifact"] == (artifact and {"operation": artifact.operation, "id": artifact.id})
    assert row["attempt"] == 0
    message = job.failure.message if job.failure else None
    if generation[0] in "AB":
        assert {key: row[key] for key in CLOCK.split()} == clock(job.timing)
        assert row["error"] == message
        assert row["is_placeholder"] is False
    if generation[0] == "A":
        assert row["status"] == job.status
    else:
        assert row["timing"] == clock(job.timing)
        assert row["lifecycle"]["status"] == job.status
        assert row["lifecycle"].get("message") == message
    for name, handle in job.inputs.items():
        check_handle(generation, row["handle_inputs"][name], handle)
    if generation in {"C3", "C4"}:
        assert set(row["handle_outputs"]) == set(job.outputs)


def check_handle(generation: str, value: dict[str, Any], handle: object) -> None:
    if not isinstance(handle, FileInput):
        assert value == {"type": "json", "data": getattr(handle, "data", "")}
    elif generation == "A1":
        assert value == {"type": "file", "filename": handle.filename}
    else:
        document = value["document"]
        assert set(document) == set(DOCUMENT_KEYS[generation].split())
        assert handle.filename == document["filename"]
        assert handle.id == document.get("id", document.get("original_id"))


@each_generation
def test_values_of_runs(generation: str) -> None:
    engine = "block_execution_fingerprint" if generation == "C4" else "definition_fingerprint"
    with Sandbox(generations=(generation,)) as sandbox:
        rows = read_runs(sandbox, generation)
        runs = sandbox.workspace.runs("exp_invoices")[::-1]
        for row, run in zip(rows, runs, strict=True):
            assert row["id"] == run.id
            assert row["document_count"] == 12
            assert row["error_count"] == run.error_count
            assert row["score"] == run.score
            assert row[engine] == run.definition_fingerprint
            assert row["documents_fingerprint"] == run.documents_fingerprint
            assert row["n_consensus"] == 3
            assert row["parent_run_id" if generation != "B" else "score"] in (None, run.score)
            if generation[0] == "A":
                assert row["status"] == run.status
                assert {key: row[key] for key in CLOCK.split() if key in row} == {
                    key: value for key, value in clock(run.timing).items() if key in row
                }
            else:
                assert row["lifecycle"]["status"] == run.status
                assert row["timing"] == clock(run.timing)
            if generation != "A1":
                assert row["completed_document_count"] == run.completed_count


@pytest.mark.parametrize("generation", ["B", "C1"])
def test_workflow_of_a_run_is_an_object_at_first(generation: str) -> None:
    with Sandbox(generations=(generation,)) as sandbox:
        run = sandbox.workspace.run(RUNNING)
        assert visit(sandbox, f"{FLAT}/runs/{RUNNING}").json["workflow"] == {
            "workflow_id": "wf_sandbox",
            "version_id": run.workflow_version_id,
            "name_at_run_time": "Accounts payable",
            "requested_version": "production",
        }


def test_lifecycle_of_an_error_has_details_in_c() -> None:
    with Sandbox(generations=("C4",)) as sandbox:
        rows = read_jobs(sandbox, "C4", BROKEN)
        job = next(job for job in sandbox.workspace.jobs(BROKEN) if job.failure)
        assert job.failure is not None
        assert rows[job.id]["lifecycle"] == {
            "status": "error",
            "message": job.failure.message,
            "details": {
                "message": job.failure.message,
                "stack_trace": job.failure.stack_trace,
                "block_id": "extract-invoice",
                "block_name": "Extract invoice",
                "error_code": job.failure.code,
                "context": job.failure.context,
            },
        }
        assert visit(sandbox, f"{FLAT}/runs/{BROKEN}").json["lifecycle"]["message"] == (
            "3 of 12 documents failed"
        )


@pytest.mark.parametrize("generation", ["A1", "A2", "A3"])
def test_content_without_run_id_is_the_latest_run(generation: str) -> None:
    with Sandbox(generations=(generation,)) as sandbox:
        latest = visit(sandbox, f"{NESTED}/exp_invoices/content").json
        assert latest == visit(sandbox, f"{NESTED}/exp_invoices/content?run_id={RUNNING}").json
        assert set(latest) == {"experiment_id", "run_id", "content"}
        assert latest["experiment_id"] == "exp_invoices"
        assert latest["run_id"] == RUNNING


@pytest.mark.parametrize("generation", ["A1", "A2", "A3"])
def test_content_of_the_never_run_experiment_is_placeholders(generation: str) -> None:
    with Sandbox(generations=(generation,)) as sandbox:
        content = visit(sandbox, f"{NESTED}/exp_contracts/content").json
        assert content["run_id"] == ""
        jobs = content["content"]["jobs"]
        assert [job["document_id"] for job in jobs] == [
            document.id for document in sandbox.workspace.documents("exp_contracts")
        ]
        for job in jobs:
            assert job["is_placeholder"] is True
            assert job["run_id"] == job["id"] == ""
            assert job["status"] == "pending"
            assert job["artifact"] is job["duration_ms"] is job["created_at"] is None
            assert job["handle_inputs"]["input-file-document"]["type"] == "file"


def test_never_run_experiment_has_no_runs_in_c(sandbox: Sandbox) -> None:
    experiment = visit(sandbox, f"{FLAT}/exp_contracts").json
    assert experiment["last_run_id"] is None
    assert experiment["status"] == "draft"
    assert visit(sandbox, f"{FLAT}/runs?experiment_id=exp_contracts").json == {
        "data": [],
        "list_metadata": {"before": None, "after": None},
    }


def test_job_route_of_a1_gives_the_job_of_the_content(sandbox: Sandbox) -> None:
    for job in visit(sandbox, f"{NESTED}/exp_packets/content?run_id=exprun_packets_4").json[
        "content"
    ]["jobs"]:
        path = f"{NESTED}/exp_packets/runs/exprun_packets_4/documents/{job['document_id']}"
        assert visit(sandbox, path).json == job


def test_result_routes_give_the_row_of_the_list() -> None:
    for generation in ("B", "C1", "C4"):
        with Sandbox(generations=(generation,)) as sandbox:
            for row in read_jobs(sandbox, generation, BROKEN).values():
                path = (
                    f"{FLAT}/runs/{BROKEN}/results/{row['document_id']}"
                    if generation == "B"
                    else f"{FLAT}/results/{row['id']}"
                )
                assert visit(sandbox, path).json == row


JOB_PATH = f"{NESTED}/exp_invoices/runs/exprun_invoices_1/documents/DOCUMENT"
ROUTES = {
    NESTED: "A1 A2 A3 B",
    f"{NESTED}/exp_invoices": "A1 A2 A3 B",
    f"{NESTED}/exp_invoices/runs": "A1 A2 A3",
    f"{NESTED}/exp_invoices/content": "A1 A2 A3",
    JOB_PATH: "A1",
    FLAT + "?workflow_id=wf_sandbox": "C1 C2 C3 C4",
    f"{FLAT}/exp_invoices": "C1 C2 C3 C4",
    f"{FLAT}/runs": "B C1 C2 C3 C4",
    f"{FLAT}/runs/{BROKEN}": "B C1 C2 C3 C4",
    f"{FLAT}/runs/{BROKEN}/results": "B",
    f"{FLAT}/runs/{BROKEN}/results/DOCUMENT": "B",
    f"{FLAT}/results?run_id={BROKEN}": "C1 C2 C3 C4",
    f"{FLAT}/results/RESULT": "C1 C2 C3 C4",
}


@each_generation
def test_routes_that_a_generation_has(generation: str) -> None:
    with Sandbox(generations=(generation,)) as sandbox:
        job = sandbox.workspace.jobs(BROKEN)[0]
        for pattern, generations in ROUTES.items():
            path = pattern.replace("DOCUMENT", job.document_id).replace("RESULT", job.id)
            answer = visit(sandbox, path)
            expected = 200 if generation in generations.split() else 404
            assert (path, answer.status) == (path, expected)
            if expected == 404:
                assert answer.json == {"detail": "Not Found"}


@pytest.mark.parametrize("flat", ["B", "C1", "C4"])
@pytest.mark.parametrize("nested", ["A1", "A3"])
def test_one_of_a_and_one_of_b_or_c_together(nested: str, flat: str) -> None:
    with Sandbox(generations=(flat, nested)) as sandbox:
        assert read_runs(sandbox, nested)[0]["job_id"]
        assert read_runs(sandbox, flat)[0]["trigger"] == {"type": "manual_run"}
        assert isinstance(visit(sandbox, NESTED).json, list if nested == "A1" else dict)


@pytest.mark.parametrize(
    "generations",
    [(), ("A1", "A2"), ("B", "C1"), ("C1", "C4"), ("A1", "A1"), ("A1", "B", "C4"), ("D",), ("a1",)],
)
def test_generations_that_cannot_be_served(generations: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="generation"):
        Sandbox(generations=generations)


@pytest.mark.parametrize(
    ("micro", "text"),
    [(0, "07Z"), (120_000, "07.120Z"), (5, "07.000005Z"), (999_999, "07.999999Z")],
)
def test_timestamp_is_as_precise_as_the_moment(micro: int, text: str, sandbox: Sandbox) -> None:
    moment = sandbox.workspace.experiments()[0].created_at
    assert (
        format_timestamp(moment.replace(second=7, microsecond=micro)) == f"2026-08-24T09:00:{text}"
    )
