from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

import retab_frames as rf
from retab_frames.flatten.runs import experiments_table, runs_table
from retab_frames.schemas.models import ExperimentsSchema, RunsSchema, arrow_schema
from retab_frames.schemas.validation import to_frame
from retab_frames.wire import envelopes as responses

if TYPE_CHECKING:
    from factories import JsonObject

    from retab_frames.flatten.issues import Issue

ARRIVED = datetime(2026, 6, 1, tzinfo=UTC)
FIRST = datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
LOST = "null, kept in raw"


def runs_of(*records: JsonObject) -> tuple[list[JsonObject], list[Issue]]:
    table, issues = runs_table(
        records, workflow_id="wf_1", experiment_id="exp_1", fetched_at=ARRIVED
    )
    assert table.schema.equals(arrow_schema(RunsSchema))
    return table.to_pylist(), issues


def experiments_of(*records: JsonObject) -> tuple[list[JsonObject], list[Issue]]:
    table, issues = experiments_table(records, workflow_id="wf_1", fetched_at=ARRIVED)
    assert table.schema.equals(arrow_schema(ExperimentsSchema))
    return table.to_pylist(), issues


BARE_RUN: JsonObject = {
    **dict.fromkeys(arrow_schema(RunsSchema).names),
    "workflow_id": "wf_1",
    "experiment_id": "exp_1",
    "run_id": "exprun_1",
    "fetched_at": ARRIVED,
}
BARE_EXPERIMENT: JsonObject = {
    **dict.fromkeys(arrow_schema(ExperimentsSchema).names),
    "workflow_id": "wf_1",
    "experiment_id": "exp_1",
    "fetched_at": ARRIVED,
}


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({}, {}),
        ({"workflow_id": "s"}, {"workflow_id": "s"}),
        ({"workflow": {"workflow_id": "s"}}, {"workflow_id": "s"}),
        ({"experiment_id": "s"}, {"experiment_id": "s"}),
        ({"parent_run_id": "s"}, {"parent_run_id": "s"}),
        ({"block_id": "s"}, {"block_id": "s"}),
        ({"block_kind": "s"}, {"block_kind": "s"}),
        ({"block_type": "s"}, {"block_kind": "s"}),
        ({"status": "s"}, {"status": "s"}),
        ({"lifecycle": {"status": "s"}}, {"status": "s"}),
        ({"lifecycle": {"message": "s"}}, {"error_message": "s"}),
        ({"lifecycle": {"reason": "s"}}, {"error_message": "s"}),
        ({"error": "s"}, {"error_message": "s"}),
        ({"trigger": {"type": "s"}}, {"trigger_type": "s"}),
        ({"n_consensus": 3}, {"n_consensus": 3}),
        ({"document_count": 3}, {"document_count": 3}),
        ({"total_document_count": 3}, {"total_document_count": 3}),
        ({"completed_document_count": 3}, {"completed_document_count": 3}),
        ({"error_count": 3}, {"error_count": 3}),
        ({"score": 0.5}, {"score": 0.5}),
        ({"score": 1}, {"score": 1.0}),
        ({"score": -0.5}, {"score": -0.5}),
        ({"duration_ms": 3}, {"duration_ms": 3}),
        ({"timing": {"duration_ms": 3}}, {"duration_ms": 3}),
        ({"created_at": "2026-01-01T00:00:01Z"}, {"created_at": FIRST}),
        ({"timing": {"created_at": "2026-01-01T00:00:01Z"}}, {"created_at": FIRST}),
        ({"started_at": "2026-01-01T00:00:01Z"}, {"started_at": FIRST}),
        ({"timing": {"started_at": "2026-01-01T00:00:01Z"}}, {"started_at": FIRST}),
        ({"completed_at": "2026-01-01T00:00:01Z"}, {"completed_at": FIRST}),
        ({"timing": {"completed_at": "2026-01-01T00:00:01Z"}}, {"completed_at": FIRST}),
        ({"block_execution_fingerprint": "s"}, {"definition_fingerprint": "s"}),
        ({"definition_fingerprint": "s"}, {"definition_fingerprint": "s"}),
        ({"documents_fingerprint": "s"}, {"documents_fingerprint": "s"}),
        ({"metrics_validity_fingerprint": "s"}, {"metrics_validity_fingerprint": "s"}),
        (
            {"metrics_validity_fingerprint_version": -3},
            {"metrics_validity_fingerprint_version": -3},
        ),
        ({"workflow_version_id": "s"}, {"workflow_version_id": "s"}),
        ({"workflow": {"version_id": "s"}}, {"workflow_version_id": "s"}),
        ({"workflow": {"requested_version": "s"}}, {"requested_version": "s"}),
        ({"workflow": {"name_at_run_time": "s"}}, {"workflow_name": "s"}),
        ({"block_version_id": "s"}, {"block_version_id": "s"}),
        ({"block_config": {"a": [1, None]}}, {"block_config": '{"a":[1,null]}'}),
        ({"block_config": {}}, {"block_config": "{}"}),
        ({"job_id": "s"}, {"server_job_id": "s"}),
        ({"novel": {"a": 1}, "trigger": None, "lifecycle": None, "timing": None}, {}),
    ],
)
def test_run_path_alone(fields: JsonObject, changed: JsonObject) -> None:
    assert runs_of({"id": "exprun_1", **fields}) == ([{**BARE_RUN, **changed}], [])


@pytest.mark.parametrize(
    ("fields", "column", "value"),
    [
        ({"block_execution_fingerprint": "1", "definition_fingerprint": "2"}, None, "1"),
        ({"block_execution_fingerprint": None, "definition_fingerprint": "2"}, None, "2"),
        ({"timing": {"duration_ms": 0}, "duration_ms": 2}, "duration_ms", 0),
        ({"timing": {"duration_ms": None}, "duration_ms": 2}, "duration_ms", 2),
        ({"workflow_id": "1", "workflow": {"workflow_id": "2"}}, "workflow_id", "1"),
    ],
)
def test_first_run_path_counts(fields: JsonObject, column: str | None, value: object) -> None:
    [row], _ = runs_of({"id": "exprun_1", **fields})
    assert row[column or "definition_fingerprint"] == value


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({}, {}),
        ({"workflow_id": "s"}, {"workflow_id": "s"}),
        ({"name": "s"}, {"name": "s"}),
        ({"block_id": "s"}, {"block_id": "s"}),
        ({"block_kind": "s"}, {"block_kind": "s"}),
        ({"block_type": "s"}, {"block_kind": "s"}),
        ({"status": "s"}, {"status": "s"}),
        ({"n_consensus": 5}, {"n_consensus": 5}),
        ({"document_count": 5}, {"document_count": 5}),
        ({"rerunnable_document_count": 5}, {"rerunnable_document_count": 5}),
        ({"last_run_id": "s"}, {"last_run_id": "s"}),
        ({"score": 0.5}, {"score": 0.5}),
        ({"created_at": "2026-01-01T00:00:01Z"}, {"created_at": FIRST}),
        ({"updated_at": "2026-01-01T00:00:01Z"}, {"updated_at": FIRST}),
        ({"is_stale": False}, {"is_stale": False}),
        ({"schema_drift": "s"}, {"schema_drift": "s"}),
        ({"schema_drift_detail": "s"}, {"schema_drift_detail": "s"}),
        ({"drift": {"status": "s"}}, {"drift_status": "s"}),
        ({"drift": {"detail": "s"}}, {"drift_detail": "s"}),
        ({"drift": {"affected_targets": ["s"]}}, {"drift_targets": '["s"]'}),
        ({"drift": {"affected_targets": []}}, {"drift_targets": "[]"}),
        ({"freshness": {"status": "s"}}, {"freshness_status": "s"}),
        ({"freshness_state": "s"}, {"freshness_status": "s"}),
        ({"freshness": {"reasons": ["s"]}}, {"freshness_reasons": '["s"]'}),
        ({"freshness_reasons": ["s"]}, {"freshness_reasons": '["s"]'}),
        ({"freshness": {"baseline_run_id": "s"}}, {"freshness_baseline_run_id": "s"}),
        ({"freshness": {"validity_fingerprint": "s"}}, {"validity_fingerprint": "s"}),
        ({"freshness": {"input_fingerprint": "s"}}, {"input_fingerprint": "s"}),
        ({"run_plan_mode": "s"}, {"run_plan_mode": "s"}),
        ({"job_id": "s"}, {"server_job_id": "s"}),
        ({"novel": 1, "drift": None, "freshness": None}, {}),
    ],
)
def test_experiment_path_alone(fields: JsonObject, changed: JsonObject) -> None:
    assert experiments_of({"id": "exp_1", **fields}) == ([{**BARE_EXPERIMENT, **changed}], [])


@pytest.mark.parametrize(
    ("fields", "column", "kept", "path", "shown", "action"),
    [
        ({"duration_ms": 1.6}, "duration_ms", 2, "duration_ms", "1.6", "rounded to 2"),
        ({"timing": {"duration_ms": -1}}, "duration_ms", None, "timing.duration_ms", "-1", LOST),
        ({"document_count": "3"}, "document_count", None, "document_count", "3", LOST),
        ({"error_count": True}, "error_count", None, "error_count", "True", LOST),
        ({"n_consensus": 2**63}, "n_consensus", None, "n_consensus", str(2**63), LOST),
        ({"score": "0.5"}, "score", None, "score", "0.5", LOST),
        ({"score": True}, "score", None, "score", "True", LOST),
        ({"status": 5}, "status", None, "status", "5", LOST),
        ({"trigger": {"type": []}}, "trigger_type", None, "trigger.type", "[]", LOST),
        ({"created_at": "soon"}, "created_at", None, "created_at", "soon", LOST),
        ({"created_at": 5}, "created_at", None, "created_at", "5", LOST),
        (
            {"timing": {"created_at": "2026-01-01T00:00:01"}},
            "created_at",
            FIRST,
            "timing.created_at",
            "2026-01-01T00:00:01",
            "taken as UTC",
        ),
    ],
)
def test_odd_cell_of_a_run(
    fields: JsonObject, column: str, kept: object, path: str, shown: str, action: str
) -> None:
    rows, issues = runs_of({"id": "exprun_0", column: None}, {"id": "exprun_1", **fields})
    assert rows[1] == {**BARE_RUN, column: kept}
    assert [
        (issue.run_id, issue.job_id, issue.field, issue.value, issue.action) for issue in issues
    ] == [("exprun_1", None, path, shown, action)]


@pytest.mark.parametrize("odd", [0, 1, "true"])
def test_odd_flag_of_an_experiment(odd: object) -> None:
    records = ({"id": "exp_0", "is_stale": True}, {"id": "exp_1", "is_stale": odd})
    rows, issues = experiments_of(*records)
    assert [row["is_stale"] for row in rows] == [True, None]
    assert [(issue.field, issue.problem) for issue in issues] == [("is_stale", "not true or false")]


@pytest.mark.parametrize("record", [{}, {"id": None}, {"id": ""}, {"id": 5}])
def test_record_without_an_id(record: JsonObject) -> None:
    text = json.dumps([{"id": "exprun_1"}, record]).encode()
    with pytest.raises(
        rf.MalformedResponseError, match="record 1 has no `id`: expected text, got"
    ) as caught:
        responses.parse_records(text)
    assert caught.value.where == "$[1].id"
    with pytest.raises(rf.MalformedResponseError, match="record 0 has no `id`"):
        responses.parse_record(json.dumps(record).encode())


def test_records_keep_their_order() -> None:
    rows, _ = runs_of(*({"id": one} for one in ("b", "a", "c")))
    assert [row["run_id"] for row in rows] == ["b", "a", "c"]


def test_no_records_have_every_column() -> None:
    assert runs_of() == ([], [])
    assert experiments_of() == ([], [])


def test_same_run_twice_does_not_fit() -> None:
    table, _ = runs_table(
        [{"id": "exprun_1"}, {"id": "exprun_1"}],
        workflow_id=None,
        experiment_id=None,
        fetched_at=None,
    )
    with pytest.raises(rf.SchemaError, match="run_id: field_uniqueness fails: exprun_1"):
        to_frame(table, RunsSchema)


def test_unknown_caller_leaves_nulls() -> None:
    table, _ = runs_table(
        [{"id": "exprun_1"}], workflow_id=None, experiment_id=None, fetched_at=None
    )
    [row] = table.to_pylist()
    assert {name for name, value in row.items() if value is not None} == {"run_id"}
