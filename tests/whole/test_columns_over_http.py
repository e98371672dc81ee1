"""Every column of the frames over HTTP: each wire field has a value that no other has.

Whole rows are compared, so a sentinel must stand in its own column and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from factories import JsonObject, page, rows_of

import retab_frames as rf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

# the counts of the records are sentinels, too
pytestmark = pytest.mark.filterwarnings("ignore:.* the run record says 1005 documents, 1 jobs came")

WORKFLOW, EXPERIMENT, RUN = "workflow-s", "experiment-s", "run-s"
NESTED = f"/v1/workflows/{WORKFLOW}/experiments"
FLAT = "/v1/workflows/experiments"


def at(second: int) -> datetime:
    return datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)


def wire_time(second: int) -> str:
    return f"2026-01-01T00:00:{second:02}Z"


# Jobs: what the three generations send, and what each becomes

A_JOB = {
    "id": "job-s",
    "run_id": RUN,
    "experiment_id": "experiment-s",
    "document_id": "document-s",
    "status": "status-s",
    "block_kind": "kind-s",
    "handle_inputs": {
        "first": {"type": "type-1", "data": {"data": "s"}},
        "second": {
            "type": "file",
            "filename": "filename-s",
            "document": {
                "id": "file-s",
                "mime_type": "mime-s",
                "size_bytes": 3001,
                "content_fingerprint": "fingerprint-s",
            },
        },
    },
    "artifact": {"operation": "operation-s", "id": "artifact-s"},
    "error": "error-s",
    "duration_ms": 1001,
    "created_at": wire_time(1),
    "started_at": wire_time(2),
    "completed_at": wire_time(3),
    "attempt": 2001,
    "is_placeholder": True,
}
B_JOB = {
    **A_JOB,
    "status": None,
    "lifecycle": {"status": "status-s", "message": "message-s", "details": {"details": "s"}},
    "timing": {
        "created_at": wire_time(11),
        "started_at": wire_time(12),
        "completed_at": wire_time(13),
        "duration_ms": 1011,
    },
    "handle_inputs": {
        "first": {"type": "text", "text": "text-s"},
        "second": {
            "type": "file",
            "document": {
                "original_id": "file-s",
                "filename": "filename-s",
                "mime_type": "mime-s",
                "gcs_uri": "uri-s",
                "size_bytes": 3001,
                "content_fingerprint": "fingerprint-s",
            },
        },
    },
}
C_JOB = {
    "id": "job-s",
    "experiment_run_id": RUN,
    "experiment_id": "experiment-s",
    "document_id": "document-s",
    "lifecycle": {"status": "status-s", "message": "message-s", "details": {"details": "s"}},
    "timing": B_JOB["timing"],
    "block_type": "kind-s",
    "handle_inputs": {
        "first": {"type": "json", "data": {"data": "s"}},
        "second": {
            "type": "file",
            "document": {"id": "file-s", "filename": "filename-s", "mime_type": "mime-s"},
        },
    },
    "handle_outputs": {
        "third": {
            "type": "type-3",
            "filename": "filename-3",
            "document": {"id": "file-3", "mime_type": "mime-3", "size_bytes": 3003},
            "data": ["data-3"],
        },
    },
    "artifact": {"operation": "operation-s", "id": "artifact-s"},
    "attempt": 2001,
}

A_ROW = {
    "workflow_id": WORKFLOW,
    "experiment_id": "experiment-s",
    "run_id": RUN,
    "job_id": "job-s",
    "document_id": "document-s",
    "filename": "filename-s",
    "block_kind": "kind-s",
    "status": "status-s",
    "attempt": 2001,
    "is_placeholder": True,
    "artifact_operation": "operation-s",
    "artifact_id": "artifact-s",
    "duration_ms": 1001,
    "created_at": at(1),
    "started_at": at(2),
    "completed_at": at(3),
    "error_message": "error-s",
    "error_details": None,
    "handle_inputs.first.type": "type-1",
    "handle_inputs.first.data": '{"data": "s"}',
    "handle_inputs.second.type": "file",
    "handle_inputs.second.filename": "filename-s",
    "handle_inputs.second.file_id": "file-s",
    "handle_inputs.second.mime_type": "mime-s",
}
B_ROW = {
    **A_ROW,
    "duration_ms": 1011,
    "created_at": at(11),
    "started_at": at(12),
    "completed_at": at(13),
    "error_details": '{"details": "s"}',
    "handle_inputs.first.type": "text",
    "handle_inputs.first.data": '"text-s"',
}
C_ROW = {
    **B_ROW,
    "is_placeholder": False,
    "error_message": "message-s",
    "handle_inputs.first.type": "json",
    "handle_inputs.first.data": '{"data": "s"}',
    "handle_outputs.third.type": "type-3",
    "handle_outputs.third.filename": "filename-3",
    "handle_outputs.third.file_id": "file-3",
    "handle_outputs.third.mime_type": "mime-3",
    "handle_outputs.third.data": '["data-3"]',
}

HANDLE = {
    "experiment_id": "experiment-s",
    "run_id": RUN,
    "job_id": "job-s",
    "document_id": "document-s",
    "filename": None,
    "file_id": None,
    "mime_type": None,
    "size_bytes": None,
    "content_fingerprint": None,
    "data": None,
    "extra": None,
}
FIRST = {**HANDLE, "handle": "first", "position": 0}
SECOND = {
    **HANDLE,
    "handle": "second",
    "position": 1,
    "type": "file",
    "filename": "filename-s",
    "file_id": "file-s",
    "mime_type": "mime-s",
}
A_INPUTS = [
    {**FIRST, "type": "type-1", "data": '{"data": "s"}'},
    {**SECOND, "size_bytes": 3001, "content_fingerprint": "fingerprint-s"},
]
B_INPUTS = [
    {**FIRST, "type": "text", "data": '"text-s"'},
    {**A_INPUTS[1], "extra": '{"document":{"gcs_uri":"uri-s"}}'},
]
C_INPUTS = [{**FIRST, "type": "json", "data": '{"data": "s"}'}, SECOND]
C_OUTPUTS = [
    {
        **HANDLE,
        "handle": "third",
        "position": 0,
        "type": "type-3",
        "filename": "filename-3",
        "file_id": "file-3",
        "mime_type": "mime-3",
        "size_bytes": 3003,
        "data": '["data-3"]',
    }
]

# Runs and experiments

A_RUN = {
    "id": RUN,
    "parent_run_id": "parent-s",
    "block_config": {"config": "s"},
    "definition_fingerprint": "definition-s",
    "documents_fingerprint": "documents-s",
    "status": "status-s",
    "block_kind": "kind-s",
    "score": 0.25,
    "document_count": 1001,
    "error_count": 1002,
    "n_consensus": 1003,
    "created_at": wire_time(1),
    "started_at": wire_time(2),
    "completed_at": wire_time(3),
    "duration_ms": 1004,
    "job_id": "server-s",
    "total_document_count": 1005,
    "completed_document_count": 1006,
    "error": "error-s",
}
B_RUN = {
    "id": RUN,
    "workflow": {
        "workflow_id": "workflow-s",
        "version_id": "version-s",
        "name_at_run_time": "name-s",
        "requested_version": "requested-s",
    },
    "trigger": {"type": "trigger-s"},
    "lifecycle": {"status": "status-s", "message": "message-s"},
    "timing": {
        "created_at": wire_time(1),
        "started_at": wire_time(2),
        "completed_at": wire_time(3),
        "duration_ms": 1004,
    },
    "experiment_id": EXPERIMENT,
    "block_id": "block-s",
    "block_kind": "kind-s",
    "n_consensus": 1003,
    "definition_fingerprint": "definition-s",
    "documents_fingerprint": "documents-s",
    "score": 0.25,
    "total_document_count": 1005,
    "completed_document_count": 1006,
    "document_count": 1001,
    "error_count": 1002,
}
C_RUN = {
    **{name: value for name, value in B_RUN.items() if name not in ("workflow", "block_kind")},
    "definition_fingerprint": None,
    "workflow_id": "workflow-s",
    "workflow_version_id": "version-s",
    "block_type": "kind-s",
    "parent_run_id": "parent-s",
    "block_version_id": "block-version-s",
    "metrics_validity_fingerprint": "validity-s",
    "metrics_validity_fingerprint_version": 1007,
    "block_execution_fingerprint": "definition-s",
    "lifecycle": {"status": "status-s", "reason": "reason-s"},
}

NO_RUN: JsonObject = dict.fromkeys(
    name for name in rf.RunsSchema.to_schema().columns if name != "fetched_at"
)
SAME_RUN = {
    **NO_RUN,
    "experiment_id": EXPERIMENT,
    "run_id": RUN,
    "block_kind": "kind-s",
    "status": "status-s",
    "n_consensus": 1003,
    "document_count": 1001,
    "total_document_count": 1005,
    "completed_document_count": 1006,
    "error_count": 1002,
    "score": 0.25,
    "duration_ms": 1004,
    "created_at": at(1),
    "started_at": at(2),
    "completed_at": at(3),
    "definition_fingerprint": "definition-s",
    "documents_fingerprint": "documents-s",
}
A_RUN_ROW = {
    **SAME_RUN,
    "workflow_id": WORKFLOW,
    "parent_run_id": "parent-s",
    "error_message": "error-s",
    "block_config": '{"config":"s"}',
    "server_job_id": "server-s",
}
B_RUN_ROW = {
    **SAME_RUN,
    "workflow_id": "workflow-s",
    "block_id": "block-s",
    "error_message": "message-s",
    "trigger_type": "trigger-s",
    "workflow_version_id": "version-s",
    "requested_version": "requested-s",
    "workflow_name": "name-s",
}
C_RUN_ROW = {
    **SAME_RUN,
    "workflow_id": "workflow-s",
    "parent_run_id": "parent-s",
    "block_id": "block-s",
    "error_message": "reason-s",
    "trigger_type": "trigger-s",
    "metrics_validity_fingerprint": "validity-s",
    "metrics_validity_fingerprint_version": 1007,
    "workflow_version_id": "version-s",
    "block_version_id": "block-version-s",
}

A_EXPERIMENT = {
    "id": "experiment-s",
    "workflow_id": "workflow-s",
    "block_id": "block-s",
    "name": "name-s",
    "n_consensus": 1001,
    "document_count": 1002,
    "last_run_id": "last-s",
    "created_at": wire_time(1),
    "updated_at": wire_time(2),
    "status": "status-s",
    "block_kind": "kind-s",
    "score": 0.25,
    "job_id": "server-s",
    "is_stale": True,
    "schema_drift": "drift-s",
    "schema_drift_detail": "drift-detail-s",
}
B_EXPERIMENT = {name: value for name, value in A_EXPERIMENT.items() if name != "job_id"}
C_EXPERIMENT = {
    **{name: value for name, value in B_EXPERIMENT.items() if name != "block_kind"},
    "block_type": "kind-s",
    "freshness": {
        "status": "freshness-s",
        "reasons": ["reason-s"],
        "validity_fingerprint": "validity-s",
        "input_fingerprint": "input-s",
        "baseline_run_id": "baseline-s",
    },
    "drift": {"status": "drift-status-s", "affected_targets": ["target-s"], "detail": "detail-s"},
    "freshness_state": "freshness-flat",
    "freshness_reasons": ["reason-flat"],
    "run_plan_mode": "plan-s",
    "rerunnable_document_count": 1003,
}

NO_EXPERIMENT: JsonObject = dict.fromkeys(
    name for name in rf.ExperimentsSchema.to_schema().columns if name != "fetched_at"
)
B_EXPERIMENT_ROW = {
    **NO_EXPERIMENT,
    "workflow_id": "workflow-s",
    "experiment_id": "experiment-s",
    "name": "name-s",
    "block_id": "block-s",
    "block_kind": "kind-s",
    "status": "status-s",
    "n_consensus": 1001,
    "document_count": 1002,
    "last_run_id": "last-s",
    "score": 0.25,
    "created_at": at(1),
    "updated_at": at(2),
    "is_stale": True,
    "schema_drift": "drift-s",
    "schema_drift_detail": "drift-detail-s",
}
A_EXPERIMENT_ROW = {**B_EXPERIMENT_ROW, "server_job_id": "server-s"}
C_EXPERIMENT_ROW = {
    **B_EXPERIMENT_ROW,
    "rerunnable_document_count": 1003,
    "drift_status": "drift-status-s",
    "drift_detail": "detail-s",
    "drift_targets": '["target-s"]',
    "freshness_status": "freshness-s",
    "freshness_reasons": '["reason-s"]',
    "freshness_baseline_run_id": "baseline-s",
    "validity_fingerprint": "validity-s",
    "input_fingerprint": "input-s",
    "run_plan_mode": "plan-s",
}

JOBS: Any = {"content": A_JOB, "nested": B_JOB, "results": C_JOB}
RUNS: Any = {"content": A_RUN, "nested": B_RUN, "results": C_RUN}
EXPERIMENTS: Any = {"content": A_EXPERIMENT, "nested": B_EXPERIMENT, "results": C_EXPERIMENT}


@pytest.fixture
def sandbox() -> Iterator[rf.Sandbox]:
    with rf.Sandbox() as running:
        running.answer(
            f"{NESTED}/{EXPERIMENT}/content",
            {"experiment_id": EXPERIMENT, "run_id": RUN, "content": {"jobs": [A_JOB]}},
        )
        running.answer(f"{NESTED}/{EXPERIMENT}/runs", {"runs": [A_RUN]})
        running.answer(NESTED, [A_EXPERIMENT])
        running.answer(f"{FLAT}/runs/{RUN}/results", page(B_JOB))
        running.answer(f"{FLAT}/results", page(C_JOB))
        yield running


@pytest.fixture(params=["content", "nested", "results"])
def client(sandbox: rf.Sandbox, request: pytest.FixtureRequest) -> Iterator[rf.Client]:
    """Return a client of each generation; the routes that two share answer in its form."""
    api = request.param
    sandbox.answer(f"{FLAT}/runs", page(RUNS[api]))
    sandbox.answer(f"{FLAT}/runs/{RUN}", {"id": RUN})
    sandbox.answer(FLAT, page(EXPERIMENTS[api]))
    if api == "nested":
        sandbox.answer(NESTED, page(B_EXPERIMENT))
    with rf.Client(sandbox.api_key, base_url=sandbox.url, api=api, retries=0) as one:
        yield one


def row_without_time(frame: pd.DataFrame, before: datetime) -> JsonObject:
    """Return the only row but for `fetched_at`, which must lie between `before` and now."""
    [row] = rows_of(frame)
    assert before <= row.pop("fetched_at") <= datetime.now(UTC)
    return row


def test_jobs(client: rf.Client) -> None:
    before = datetime.now(UTC)
    jobs = rf.load_jobs(WORKFLOW, EXPERIMENT, client=client)
    expected = {"content": A_ROW, "nested": B_ROW, "results": C_ROW}[client.api]
    assert row_without_time(jobs, before) == expected
    assert [name for name in jobs if name != "fetched_at"] == list(expected)


def test_jobs_of_named_run(client: rf.Client) -> None:
    jobs = rf.load_jobs(WORKFLOW, EXPERIMENT, run_id=[RUN], client=client)
    expected = {"content": A_ROW, "nested": B_ROW, "results": C_ROW}[client.api]
    assert rows_of(jobs.drop(columns="fetched_at")) == [expected]


def test_handle_inputs(client: rf.Client) -> None:
    inputs = rf.load_handle_inputs(WORKFLOW, EXPERIMENT, client=client)
    expected: Any = {"content": A_INPUTS, "nested": B_INPUTS, "results": C_INPUTS}[client.api]
    assert rows_of(inputs) == expected


def test_content(client: rf.Client) -> None:
    before = datetime.now(UTC)
    found = rf.load_content(WORKFLOW, EXPERIMENT, client=client)
    jobs = {"content": A_ROW, "nested": B_ROW, "results": C_ROW}[client.api]
    assert row_without_time(found.jobs, before) == jobs
    inputs: Any = {"content": A_INPUTS, "nested": B_INPUTS, "results": C_INPUTS}[client.api]
    assert rows_of(found.handle_inputs) == inputs
    outputs: Any = C_OUTPUTS if client.api == "results" else []
    assert rows_of(found.handle_outputs) == outputs
    run = {"content": A_RUN_ROW, "nested": B_RUN_ROW, "results": C_RUN_ROW}[client.api]
    assert row_without_time(found.run, before) == run
    assert (found.experiment_id, found.run_id) == ("experiment-s", RUN)


def test_runs(client: rf.Client) -> None:
    before = datetime.now(UTC)
    runs = rf.load_runs(WORKFLOW, EXPERIMENT, client=client)
    expected = {"content": A_RUN_ROW, "nested": B_RUN_ROW, "results": C_RUN_ROW}[client.api]
    assert row_without_time(runs, before) == expected


def test_experiments(client: rf.Client) -> None:
    before = datetime.now(UTC)
    experiments = rf.load_experiments(WORKFLOW, client=client)
    expected = {
        "content": A_EXPERIMENT_ROW,
        "nested": B_EXPERIMENT_ROW,
        "results": C_EXPERIMENT_ROW,
    }[client.api]
    assert row_without_time(experiments, before) == expected


@pytest.mark.parametrize(
    ("schema", "rows"),
    [
        (rf.JobsSchema, [A_ROW, B_ROW, C_ROW]),
        (rf.HandlesSchema, [*A_INPUTS, *B_INPUTS, *C_INPUTS, *C_OUTPUTS]),
        (rf.RunsSchema, [A_RUN_ROW, B_RUN_ROW, C_RUN_ROW]),
        (rf.ExperimentsSchema, [A_EXPERIMENT_ROW, B_EXPERIMENT_ROW, C_EXPERIMENT_ROW]),
    ],
)
def test_every_column_has_a_sentinel(schema: Any, rows: Sequence[JsonObject]) -> None:
    filled = {name for row in rows for name, value in row.items() if value is not None}
    columns = {name for name, column in schema.to_schema().columns.items() if not column.regex}
    assert columns - filled <= {"fetched_at"}


@pytest.mark.parametrize("row", [A_RUN_ROW, B_RUN_ROW, C_RUN_ROW, A_EXPERIMENT_ROW, A_INPUTS[1]])
def test_every_sentinel_is_another(row: JsonObject) -> None:
    counts = Counter(value for value in row.values() if value is not None)
    assert set(counts.values()) == {1}


@pytest.mark.parametrize("row", [A_ROW, B_ROW, C_ROW])
def test_every_sentinel_of_a_job_is_another(row: JsonObject) -> None:
    counts = Counter(value for value in row.values() if value is not None)
    assert [value for value, count in counts.items() if count > 1] == ["filename-s"]
