from __future__ import annotations

import pyarrow as pa

from retab_frames.schemas.models import JobsSchema, RunsSchema, arrow_schema, empty_table
from retab_frames.schemas.run_columns import join_runs


def runs_table(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=arrow_schema(RunsSchema))


def test_the_record_of_a_run_stands_beside_each_of_its_jobs() -> None:
    jobs = pa.table({"run_id": ["b", None, "a", "c", "b"], "job_id": list("vwxyz")})
    runs = runs_table(
        {"run_id": "a", "status": "running", "score": 0.5},
        {"run_id": "b", "status": "completed", "document_count": 2},
        {"run_id": "d", "status": "error"},
    )
    found = join_runs(jobs, runs)
    assert found.select(["run_id", "job_id"]) == jobs
    assert found.column("run_status").to_pylist() == [
        "completed",
        None,
        "running",
        None,
        "completed",
    ]
    assert found.column("run_score").to_pylist() == [None, None, 0.5, None, None]
    assert found.column("run_document_count").to_pylist() == [2, None, None, None, 2]


def test_the_columns_are_those_of_the_record_but_the_ids_of_both() -> None:
    found = join_runs(empty_table(JobsSchema), runs_table())
    ids = ("workflow_id", "experiment_id", "run_id")
    record = {one.name: one.type for one in arrow_schema(RunsSchema) if one.name not in ids}
    names = found.column_names[len(arrow_schema(JobsSchema)) :]
    assert names == [f"run_{name}" for name in record]
    assert [found.schema.field(name).type for name in names] == list(record.values())
    assert len(set(found.column_names)) == found.num_columns


def test_a_run_table_in_chunks() -> None:
    runs = pa.concat_tables([runs_table({"run_id": one, "status": one}) for one in "abc"])
    jobs = pa.table({"run_id": pa.chunked_array([["c"], ["a", "c"]])})
    assert join_runs(jobs, runs).column("run_status").to_pylist() == ["c", "a", "c"]
