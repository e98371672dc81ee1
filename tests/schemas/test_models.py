from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest
from factories import DOCUMENTED, FLAG, REAL, TEXT, TIME, WHOLE, content, job, rows_of
from pandas.testing import assert_frame_equal
from pandera.errors import SchemaErrors
from pandera.pandas import DataFrameSchema
from pandera.typing import Series  # noqa: TC002 - pandera reads the annotation

import retab_frames as rf
from retab_frames.schemas import models
from retab_frames.schemas.models import arrow_schema, empty_table
from retab_frames.schemas.validation import to_frame

if TYPE_CHECKING:
    from collections.abc import Callable

MODELS: list[Any] = [
    rf.ExperimentsSchema,
    rf.HandlesSchema,
    rf.IssuesSchema,
    rf.JobsSchema,
    rf.RawSchema,
    rf.RunsSchema,
    rf.SnapshotsSchema,
]
TYPES = {
    pa.string(): TEXT,
    pa.int64(): WHOLE,
    pa.float64(): REAL,
    pa.bool_(): FLAG,
    pa.timestamp("us", "UTC"): TIME,
}


def declared_model(model: Any) -> Any:
    return getattr(models, model.__name__)


def jobs_frame(*jobs: object) -> pd.DataFrame:
    return rf.read_content(content(*jobs)).jobs


@pytest.fixture
def jobs() -> pd.DataFrame:
    file = {"h": {"type": "file", "filename": "a.pdf"}}
    return jobs_frame(
        job(1, duration_ms=5, handle_inputs=file), job(2, artifact=None), job(3, attempt=1)
    )


# The models


@pytest.mark.parametrize("model", MODELS)
def test_every_column_is_described(model: Any) -> None:
    columns = model.to_schema().columns
    assert [name for name, column in columns.items() if not column.description] == []


@pytest.mark.parametrize("model", MODELS)
def test_arrow_schema_is_that_of_the_model(model: Any) -> None:
    schema = arrow_schema(declared_model(model))
    columns = {n: c for n, c in model.to_schema().columns.items() if not c.regex}
    assert schema.names == list(columns)
    assert [field.nullable for field in schema] == [column.nullable for column in columns.values()]
    assert [TYPES[field.type] for field in schema] == [c.dtype.type for c in columns.values()]


@pytest.mark.parametrize("model", MODELS)
def test_zero_rows_have_every_column_with_its_type(model: Any) -> None:
    frame = to_frame(empty_table(declared_model(model)), declared_model(model))
    schema = arrow_schema(declared_model(model))
    assert frame.dtypes.to_dict() == {field.name: TYPES[field.type] for field in schema}
    assert len(frame) == 0
    assert isinstance(frame.index, pd.RangeIndex)


SAMPLES: dict[Any, object] = {
    pa.string(): "e\u0301\x00",
    pa.int64(): 2**53 + 1,
    pa.float64(): 0.1,
    pa.bool_(): True,
    pa.timestamp("us", "UTC"): pd.Timestamp("2026-01-01T00:00:00.000001Z"),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("nulls", [False, True])
def test_arrow_round_trip(model: Any, *, nulls: bool) -> None:
    schema = arrow_schema(declared_model(model))
    row = {f.name: None if nulls and f.nullable else SAMPLES[f.type] for f in schema}
    table = pa.Table.from_pylist([row], schema=schema)
    frame = to_frame(table, declared_model(model))
    assert pa.Table.from_pandas(frame, schema=schema, preserve_index=False).equals(table)
    assert rows_of(frame) == [row]


@pytest.mark.parametrize(
    ("model", "never_null"),
    [
        (rf.JobsSchema, ["experiment_id", "job_id", "document_id", "is_placeholder"]),
        (rf.HandlesSchema, ["experiment_id", "job_id", "document_id", "handle", "position"]),
        (rf.RunsSchema, ["run_id"]),
        (rf.ExperimentsSchema, ["experiment_id"]),
        (rf.IssuesSchema, ["problem", "action"]),
        (rf.RawSchema, ["job_id", "position", "body"]),
    ],
)
def test_only_keys_are_never_null(model: Any, never_null: list[str]) -> None:
    assert [
        field.name for field in arrow_schema(declared_model(model)) if not field.nullable
    ] == never_null


@pytest.mark.parametrize("model", MODELS)
def test_pandera_has_what_is_declared(model: Any) -> None:
    declared = declared_model(model)
    schema = model.to_schema()
    assert model.__doc__ == declared.__doc__
    assert tuple(schema.unique or ()) == declared.key
    for name, column in declared.columns.items():
        found = schema.columns[column.pattern or name]
        assert found.description == column.meaning
        assert found.dtype.type == TYPES[declared.kinds[name]]
        assert (found.nullable, found.unique) == (column.nullable, column.unique)
        assert (found.regex, found.required) == (bool(column.pattern), not column.pattern)
        least = [check.statistics["min_value"] for check in found.checks]
        assert least == ([] if column.least is None else [column.least])
        assert (found.metadata or {}).get("unit") == column.unit


def test_units_stand_in_names_and_metadata() -> None:
    units = {
        name: column.metadata["unit"]
        for model in MODELS
        for name, column in model.to_schema().columns.items()
        if column.metadata
    }
    assert {name for name, unit in units.items() if unit == "ms"} == {"duration_ms"}
    assert {name for name, unit in units.items() if unit == "bytes"} == {"size_bytes"}


# What fits


def test_jobs_fit(jobs: pd.DataFrame) -> None:
    assert rf.validate(jobs, rf.JobsSchema).equals(jobs)
    assert rf.JobsSchema.validate(jobs).equals(jobs)


def test_placeholders_fit() -> None:
    jobs = jobs_frame(*(job(n, id="", run_id="", is_placeholder=True) for n in (1, 2)))
    assert rf.validate(jobs, rf.JobsSchema)["is_placeholder"].tolist() == [True, True]


def test_placeholders_of_no_run_fit() -> None:
    rows = [job(n, run_id=None, is_placeholder=True) for n in (1, 2)]
    jobs = rf.read_content(content(*rows, run_id="")).jobs
    assert rf.validate(jobs, rf.JobsSchema)["run_id"].isna().tolist() == [True, True]


def test_columns_of_the_users_own_fit(jobs: pd.DataFrame) -> None:
    own = jobs.assign(note=["a", 1, "b"], handle_inputs=1.5)
    assert rf.validate(own, rf.JobsSchema)["note"].tolist() == ["a", 1, "b"]


def test_same_job_in_two_runs_fits(jobs: pd.DataFrame) -> None:
    other = with_cells("run_id", ["exprun_2"] * 3, TEXT)(jobs)
    both = pd.concat([jobs, other], ignore_index=True)
    assert len(rf.validate(both, rf.JobsSchema)) == 6


def test_any_order_and_index_fit(jobs: pd.DataFrame) -> None:
    turned = jobs[list(reversed(jobs.columns))].iloc[::-1].set_axis(["x", "y", "z"])
    assert rf.validate(turned, rf.JobsSchema)["job_id"].tolist() == [
        "expjob_3",
        "expjob_2",
        "expjob_1",
    ]


def test_every_frame_of_rows_is_shown_to_pandera(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    validate = DataFrameSchema.validate

    def watch(self: DataFrameSchema, frame: pd.DataFrame, *args: Any, **options: Any) -> Any:
        seen.append(len(frame.columns))
        return validate(self, frame, *args, **options)

    monkeypatch.setattr(DataFrameSchema, "validate", watch)
    found = rf.read_content(content(job(1), job(2)))
    frames = [found.jobs, found.handle_inputs, found.issues, found.raw, found.run]
    assert seen == [len(frame.columns) for frame in frames]


def test_a_subclass_may_ask_for_more(jobs: pd.DataFrame) -> None:
    class Reviewed(rf.JobsSchema):
        reviewer: Series[str]

    assert len(rf.validate(jobs.assign(reviewer="a"), Reviewed)) == 3
    with pytest.raises(rf.SchemaError, match="reviewer: column_in_dataframe fails"):
        rf.validate(jobs, Reviewed)
    with pytest.raises(rf.SchemaError, match=r"duration_ms: .* fails: expjob_1 has -1"):
        rf.validate(with_cells("duration_ms", [-1, 0, 0], WHOLE)(jobs), Reviewed)


@pytest.mark.parametrize("other", [None, pd.DataFrame, "JobsSchema"])
def test_only_models_of_this_library(jobs: pd.DataFrame, other: Any) -> None:
    with pytest.raises(
        TypeError, match=r"schema must be a model of this library, such as rf\.Jobs"
    ):
        rf.validate(jobs, other)


# What does not


def with_cells(name: str, values: list[Any], kind: pd.ArrowDtype) -> Callable[..., pd.DataFrame]:
    return lambda frame: frame.assign(**{name: pd.Series(values, frame.index, dtype=kind)})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            with_cells("duration_ms", [5, -7, None], WHOLE),
            r"duration_ms: greater_than_or_equal_to\(0\) fails: expjob_2 has -7$",
        ),
        (
            with_cells("attempt", [-1, -2, None], WHOLE),
            r"attempt: .* fails: expjob_1 has -1; expjob_2 has -2$",
        ),
        (
            with_cells("document_id", ["a", None, "c"], TEXT),
            "document_id: not_nullable fails: expjob_2 has <NA>",
        ),
        (
            with_cells("job_id", ["a", "b", None], TEXT),
            "job_id: not_nullable fails: row 2 has <NA>",
        ),
        (
            with_cells("is_placeholder", [None, False, True], FLAG),
            "is_placeholder: not_nullable fails: expjob_1 has <NA>",
        ),
        (
            with_cells("duration_ms", [5, 7.5, None], REAL),
            r"duration_ms: dtype\(.int64\[pyarrow\].\) fails: expjob_2 has 7.5, not a whole",
        ),
        (
            with_cells("status", [5, 7, None], WHOLE),
            r"status: dtype\(.*string.*\) fails:",
        ),
        (
            with_cells("handle_inputs.h.type", [5, 7, None], WHOLE),
            r"handle_inputs.h.type: dtype\(.*string.*\) fails:",
        ),
        (
            lambda frame: frame.assign(status=[None, "error", 7]),
            r"status: dtype\(.*string.*\) fails: expjob_3 has 7, not text: what read it may",
        ),
        (
            lambda frame: frame.assign(created_at=pd.to_datetime(["2026-05-02"] * 3)),
            r"created_at: dtype\(.*timestamp.*\) fails: datetime64.*, without a time zone$",
        ),
        (
            lambda frame: frame.drop(columns="attempt"),
            "attempt: column_in_dataframe fails: the column is missing",
        ),
    ],
)
def test_frame_that_does_not_fit(
    jobs: pd.DataFrame, change: Callable[[pd.DataFrame], pd.DataFrame], match: str
) -> None:
    changed = change(jobs)
    with pytest.raises(rf.SchemaError, match=rf"(?m){match}") as caught:
        rf.validate(changed, rf.JobsSchema)
    assert caught.value.schema_name == "JobsSchema"
    assert str(caught.value).startswith("3 rows do not fit JobsSchema:")
    assert len(caught.value.failures) > 0
    assert list(caught.value.failures) == ["column", "check", "value", "key"]
    with pytest.raises(SchemaErrors):
        rf.JobsSchema.validate(changed, lazy=True)


def test_duplicate_job_is_named(jobs: pd.DataFrame) -> None:
    twice = pd.concat([jobs, jobs.iloc[[1]]], ignore_index=True)
    with pytest.raises(rf.SchemaError, match="expjob_2 has expjob_2") as caught:
        rf.validate(twice, rf.JobsSchema)
    assert set(caught.value.failures["key"]) == {"expjob_2"}
    assert set(caught.value.failures["check"]) == {"multiple_fields_uniqueness"}


def test_all_failures_are_collected(jobs: pd.DataFrame) -> None:
    wrong = with_cells("duration_ms", [-1, 2, -3], WHOLE)(jobs)
    wrong = with_cells("document_id", [None, "b", "c"], TEXT)(wrong)
    with pytest.raises(rf.SchemaError) as caught:
        rf.validate(wrong, rf.JobsSchema)
    found = {(row["column"], row["value"], row["key"]) for row in rows_of(caught.value.failures)}
    assert found == {
        ("document_id", "<NA>", "expjob_1"),
        ("duration_ms", "-1", "expjob_1"),
        ("duration_ms", "-3", "expjob_3"),
    }


def test_missing_column_is_the_column_of_the_failure(jobs: pd.DataFrame) -> None:
    with pytest.raises(rf.SchemaError) as caught:
        rf.validate(jobs.drop(columns="attempt"), rf.JobsSchema)
    assert caught.value.failures["column"].tolist() == ["attempt"]


@pytest.mark.parametrize(
    ("column", "values", "kind", "came"),
    [("duration_ms", [True, False, None], FLAG, "bool"), ("status", [5, 7, 9], WHOLE, "int64")],
)
def test_type_that_came_is_named(
    jobs: pd.DataFrame, column: str, values: list[Any], kind: pd.ArrowDtype, came: str
) -> None:
    with pytest.raises(rf.SchemaError) as caught:
        rf.validate(with_cells(column, values, kind)(jobs), rf.JobsSchema)
    # a cell that may be null is not what is wrong
    assert "<NA>" not in str(caught.value)
    assert came in str(caught.value)


def test_only_three_examples_are_named() -> None:
    jobs = jobs_frame(*(job(n, duration_ms=1) for n in range(9)))
    wrong = with_cells("duration_ms", [-n - 1 for n in range(9)], WHOLE)(jobs)
    with pytest.raises(rf.SchemaError, match="expjob_2 has -3 and 6 more") as caught:
        rf.validate(wrong, rf.JobsSchema)
    assert caught.value.failures["key"].tolist() == [f"expjob_{n}" for n in range(9)]


def test_long_value_is_cut(jobs: pd.DataFrame) -> None:
    wrong = jobs.assign(duration_ms=["x" * 500, "\x1b[2J", ""])
    with pytest.raises(rf.SchemaError) as caught:
        rf.validate(wrong, rf.JobsSchema)
    assert "\x1b" not in str(caught.value)
    assert max(map(len, str(caught.value).splitlines())) < 300


def test_frame_is_not_changed(jobs: pd.DataFrame) -> None:
    before = jobs.copy(deep=True)
    rf.validate(jobs, rf.JobsSchema)
    with pytest.raises(rf.SchemaError):
        rf.validate(jobs.drop(columns="status"), rf.JobsSchema)
    assert jobs.equals(before)


@pytest.mark.parametrize(
    ("model", "column"),
    [
        (rf.HandlesSchema, "position"),
        (rf.HandlesSchema, "size_bytes"),
        (rf.RawSchema, "position"),
    ],
)
def test_other_frames_that_do_not_fit(model: Any, column: str) -> None:
    found = rf.read_content(content(job(1, handle_inputs={"h": {"type": "json"}})))
    frame = found.handle_inputs if model is rf.HandlesSchema else found.raw
    wrong = with_cells(column, [-1], WHOLE)(frame)
    with pytest.raises(rf.SchemaError, match=f"{column}: .* fails: expjob_1 has -1"):
        rf.validate(wrong, model)


def test_handle_twice_does_not_fit() -> None:
    frame = rf.read_content(content(job(1, handle_inputs={"h": {"type": "json"}}))).handle_inputs
    twice = pd.concat([frame, frame], ignore_index=True)
    with pytest.raises(rf.SchemaError, match="expjob_1") as caught:
        rf.validate(twice, rf.HandlesSchema)
    assert caught.value.schema_name == "HandlesSchema"


def test_what_has_another_type_is_brought_to_that_of_the_schema(jobs: pd.DataFrame) -> None:
    other = jobs.astype({"status": "object", "attempt": "Int8", "job_id": "category"})
    other["duration_ms"] = [5.0, None, None]

    found = rf.validate(other, rf.JobsSchema)

    assert_frame_equal(found, jobs)
    assert other["attempt"].dtype == "Int8"


def test_a_frame_that_has_the_types_is_returned_itself(jobs: pd.DataFrame) -> None:
    assert rf.validate(jobs, rf.JobsSchema) is jobs


def test_a_value_of_another_type_is_told_with_all_other_failures() -> None:
    jobs = rf.read_content(content(job(1), job(2))).jobs
    negative = pd.Series([5, -5], dtype=pd.ArrowDtype(pa.int64()))
    frame = jobs.assign(attempt=[1, 2.5], duration_ms=negative)

    with pytest.raises(rf.SchemaError) as caught:
        rf.validate(frame, rf.JobsSchema)

    assert caught.value.failures.to_numpy().tolist() == [
        ["attempt", "dtype('int64[pyarrow]')", "2.5, not a whole number", "expjob_2"],
        ["duration_ms", "greater_than_or_equal_to(0)", "-5", "expjob_2"],
    ]


@pytest.mark.parametrize(
    ("change", "columns"),
    [
        (lambda frame: frame, {"run_id", "job_id"}),
        (lambda frame: frame.drop(columns="job_id"), {"job_id"}),
        (lambda frame: frame.drop(columns="run_id"), {"run_id"}),
        (lambda frame: frame.assign(job_id=7), {"job_id"}),
        (lambda frame: pd.concat([frame, frame[["job_id"]]], axis=1), {"job_id"}),
        (lambda frame: frame.set_axis([1] * len(frame)), {"run_id", "job_id"}),
        (lambda frame: frame.rename_axis(index="job_id"), {"run_id", "job_id"}),
    ],
)
def test_an_index_that_repeats_costs_no_other_error(
    jobs: pd.DataFrame, change: Callable[[pd.DataFrame], pd.DataFrame], columns: set[str]
) -> None:
    twice = pd.concat([jobs, jobs])
    with pytest.raises(rf.SchemaError) as caught:
        rf.validate(change(twice), rf.JobsSchema)
    assert set(caught.value.failures["column"]) == columns


def test_a_column_that_stands_twice_is_told(jobs: pd.DataFrame) -> None:
    with pytest.raises(rf.SchemaError) as caught:
        rf.validate(pd.concat([jobs, jobs[["status"]]], axis=1), rf.JobsSchema)
    told = caught.value.failures.to_numpy().tolist()
    assert told == [["status", "unique_column_name", "several columns", None]]


def test_columns_with_several_levels_are_missing(jobs: pd.DataFrame) -> None:
    nested = pd.concat({"jobs": jobs}, axis=1)
    with pytest.raises(rf.SchemaError, match="job_id: column_in_dataframe fails"):
        rf.validate(nested, rf.JobsSchema)


@pytest.mark.parametrize("own", [["x"], ["x", "x"], [0, 1], [("a", "b")], [None]])
def test_columns_of_the_users_own_may_have_any_name(jobs: pd.DataFrame, own: list[Any]) -> None:
    more = pd.DataFrame([[1] * len(own)] * 3, columns=pd.Index(own, tupleize_cols=False))
    both = pd.concat([jobs, more], axis=1)
    assert rf.validate(both, rf.JobsSchema) is both


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            rf.read_content(DOCUMENTED),
            r"validate takes a frame, not RunContent; pass its .jobs",
        ),
        ([], "validate takes a frame, not list$"),
    ],
)
def test_something_else_than_a_frame(wrong: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        rf.validate(wrong, rf.JobsSchema)


def test_a_column_of_a_handle_is_checked_by_its_own_name() -> None:
    frame = rf.read_content(DOCUMENTED).jobs
    name = "handle_inputs.input-document-0.type"
    odd = frame.assign(**{name: [1]})
    assert rf.validate(frame.astype({name: object}), rf.JobsSchema)[name].dtype == TEXT
    with pytest.raises(rf.SchemaError) as caught:
        rf.validate(odd, rf.JobsSchema)
    assert caught.value.failures["column"].tolist() == [name]
    with pytest.raises(SchemaErrors) as own:
        rf.JobsSchema.validate(odd, lazy=True)
    assert set(own.value.failure_cases["column"]) == {name}
