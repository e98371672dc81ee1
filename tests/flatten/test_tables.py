from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from factories import JsonObject, around, content, encoded, issues_of, job, page, rows_of

import retab_frames as rf

LOST = "null, kept in raw"


def row_of(**fields: object) -> JsonObject:
    """Return the jobs row that one job with these fields becomes."""
    bare = {name: f"{name}-1" for name in ("id", "document_id", "experiment_id", "run_id")}
    [row] = rows_of(rf.read_content(encoded([{**bare, **fields}])).jobs)
    return row


BARE = row_of()
"""The row of a job that is sent with its ids only."""


def at(second: int) -> datetime:
    return datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)


# Each path of the wire, alone


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({"status": "s"}, {"status": "s"}),
        ({"lifecycle": {"status": "s"}}, {"status": "s"}),
        ({"block_kind": "k"}, {"block_kind": "k"}),
        ({"block_type": "k"}, {"block_kind": "k"}),
        ({"attempt": 5}, {"attempt": 5}),
        ({"is_placeholder": True}, {"is_placeholder": True}),
        ({"artifact": {"operation": "o"}}, {"artifact_operation": "o"}),
        ({"artifact": {"id": "i"}}, {"artifact_id": "i"}),
        ({"timing": {"duration_ms": 5}}, {"duration_ms": 5}),
        ({"duration_ms": 5}, {"duration_ms": 5}),
        ({"timing": {"created_at": "2026-01-01T00:00:01Z"}}, {"created_at": at(1)}),
        ({"created_at": "2026-01-01T00:00:01Z"}, {"created_at": at(1)}),
        ({"timing": {"started_at": "2026-01-01T00:00:01Z"}}, {"started_at": at(1)}),
        ({"started_at": "2026-01-01T00:00:01Z"}, {"started_at": at(1)}),
        ({"timing": {"completed_at": "2026-01-01T00:00:01Z"}}, {"completed_at": at(1)}),
        ({"completed_at": "2026-01-01T00:00:01Z"}, {"completed_at": at(1)}),
        ({"error": "e"}, {"error_message": "e"}),
        ({"lifecycle": {"message": "m"}}, {"error_message": "m"}),
        ({"lifecycle": {"reason": "r"}}, {"error_message": "r"}),
        ({"lifecycle": {"details": {"a": 1}}}, {"error_details": '{"a":1}'}),
        ({"experiment_run_id": "run_id-1", "run_id": None}, {}),
        ({"experiment_run_id": "run_id-1", "run_id": ""}, {}),
        ({"attempt": None, "timing": None, "lifecycle": None, "artifact": None, "error": None}, {}),
        ({"handle_inputs": {}, "handle_outputs": None, "is_placeholder": None}, {}),
    ],
)
def test_path_alone(fields: JsonObject, changed: JsonObject) -> None:
    assert row_of(**fields) == {**BARE, **changed}


@pytest.mark.parametrize(
    ("fields", "column", "value"),
    [
        ({"status": "1", "lifecycle": {"status": "2"}}, "status", "1"),
        ({"status": None, "lifecycle": {"status": "2"}}, "status", "2"),
        ({"block_kind": "1", "block_type": "2"}, "block_kind", "1"),
        ({"timing": {"duration_ms": 1}, "duration_ms": 2}, "duration_ms", 1),
        ({"timing": {"duration_ms": 0}, "duration_ms": 2}, "duration_ms", 0),
        ({"timing": {"duration_ms": None}, "duration_ms": 2}, "duration_ms", 2),
        (
            {
                "timing": {"created_at": "2026-01-01T00:00:01Z"},
                "created_at": "2026-01-01T00:00:02Z",
            },
            "created_at",
            at(1),
        ),
        ({"timing": {}, "created_at": "2026-01-01T00:00:02Z"}, "created_at", at(2)),
        ({"run_id": "1", "experiment_run_id": "2"}, "run_id", "1"),
        ({"error": "1", "lifecycle": {"message": "2", "reason": "3"}}, "error_message", "1"),
        ({"error": None, "lifecycle": {"message": "2", "reason": "3"}}, "error_message", "2"),
        ({"lifecycle": {"message": None, "reason": "3"}}, "error_message", "3"),
        ({"error": {"a": 1}, "lifecycle": {"message": "2"}}, "error_message", "2"),
        ({"error": {"message": "1"}, "lifecycle": {"message": "2"}}, "error_message", "1"),
        ({"error": {"a": 1}, "lifecycle": {"details": [2]}}, "error_details", "[2]"),
        ({"error": {"a": 1}, "lifecycle": {"details": None}}, "error_details", '{"a":1}'),
    ],
)
def test_first_path_counts(fields: JsonObject, column: str, value: object) -> None:
    assert row_of(**fields)[column] == value


def test_duration_is_not_derived_from_times() -> None:
    times = {"started_at": "2026-01-01T00:00:01Z", "completed_at": "2026-01-01T00:00:05Z"}
    assert row_of(**times)["duration_ms"] is None
    assert row_of(**times, duration_ms=4120)["duration_ms"] == 4120


# Errors


@pytest.mark.parametrize(
    ("error", "message", "details"),
    [
        ("null", None, None),
        ('"no"', "no", None),
        ('"two  spaces\\n"', "two  spaces\n", None),
        ('{"message":"no",  "code":1.50}', "no", '{"message":"no",  "code":1.50}'),
        ('{"message":null}', None, '{"message":null}'),
        ('{"message":5}', None, '{"message":5}'),
        ("{}", None, "{}"),
    ],
)
def test_error(error: str, message: str | None, details: str | None) -> None:
    found = rf.read_content(around(f'"error":{error}'))
    [row] = rows_of(found.jobs)
    assert (row["error_message"], row["error_details"]) == (message, details)
    kept = [("expjob_1", "error", details, "kept in error_details")] if details else []
    assert issues_of(found) == kept


@pytest.mark.parametrize("number", ["1e999", "9" * 5000])
@pytest.mark.parametrize("error", ["%s", '{"message":"no","limit":%s}'])
def test_error_that_holds_a_huge_number(error: str, number: str) -> None:
    text = error.replace("%s", number)
    found = rf.read_content(around(f'"error":{text}'))
    assert len(found.jobs) == 1
    assert text in found.raw["body"][0]


def test_details_are_exact() -> None:
    found = rf.read_content(
        around('"lifecycle":{"details":{"n":1.50,  "big":1152921504606846977}}')
    )
    assert found.jobs["error_details"].tolist() == ['{"n":1.50,  "big":1152921504606846977}']


# Cells that do not fit their column


@pytest.mark.parametrize(
    ("number", "kept", "shown", "action"),
    [
        ("4120.4", 4120, "4120.4", "rounded to 4120"),
        ("4120.6", 4121, "4120.6", "rounded to 4121"),
        ("4.1206e3", 4121, "4120.6", "rounded to 4121"),
        ("-1", None, "-1", LOST),
        ("-0.25", None, "-0.25", LOST),
        ("9223372036854775808", None, "9223372036854775808", LOST),
        ("1e30", None, "1e+30", LOST),
        ('"4120"', None, '"4120"', LOST),
        ("true", None, "true", LOST),
        ("[4120]", None, "[4120]", LOST),
    ],
)
@pytest.mark.parametrize(
    ("fields", "path"),
    [('"duration_ms":%s', "duration_ms"), ('"timing":{"duration_ms":%s}', "timing.duration_ms")],
)
def test_odd_duration(
    number: str, kept: int | None, shown: str, action: str, fields: str, path: str
) -> None:
    found = rf.read_content(around(fields.replace("%s", number)))
    assert rows_of(found.jobs)[0]["duration_ms"] == kept
    assert issues_of(found) == [("expjob_1", path, shown, action)]
    assert fields.replace("%s", number) in found.raw["body"][0]


@pytest.mark.parametrize(
    ("number", "kept"),
    [("0", 0), ("4120", 4120), ("4120.0", 4120), ("1e3", 1000), ("9223372036854775807", 2**63 - 1)],
)
def test_whole_duration(number: str, kept: int) -> None:
    found = rf.read_content(around(f'"duration_ms":{number}'))
    assert found.jobs["duration_ms"].tolist() == [kept]
    assert issues_of(found) == []


def test_odd_duration_leaves_the_others_alone() -> None:
    values: list[Any] = [1, 2.5, "3", -4, None, 2**53 + 1]
    found = rf.read_content(content(*(job(n, duration_ms=one) for n, one in enumerate(values))))
    assert [row["duration_ms"] for row in rows_of(found.jobs)] == [
        1,
        2,
        None,
        None,
        None,
        2**53 + 1,
    ]
    assert sorted(issues_of(found)) == [
        ("expjob_1", "duration_ms", "2.5", "rounded to 2"),
        ("expjob_2", "duration_ms", '"3"', LOST),
        ("expjob_3", "duration_ms", "-4", LOST),
    ]


@pytest.mark.parametrize("field", ["created_at", "started_at", "completed_at"])
@pytest.mark.parametrize(
    ("text", "kept", "action"),
    [
        ("2026-01-01T00:00:01", at(1), "taken as UTC"),
        (
            "2026-01-01T00:00:01.123456789Z",
            at(1).replace(microsecond=123456),
            "cut to microseconds",
        ),
        ("yesterday", None, LOST),
        ("", None, LOST),
        ("2026-01-01", None, LOST),
    ],
)
@pytest.mark.parametrize("nested", [True, False])
def test_odd_time(
    field: str, text: str, kept: datetime | None, action: str, *, nested: bool
) -> None:
    odd = job(2, **({"timing": {field: text}} if nested else {field: text}))
    found = rf.read_content(content(job(1, **{field: "2026-01-01T02:00:01+02:00"}), odd))
    assert [row[field] for row in rows_of(found.jobs)] == [at(1), kept]
    path = f"timing.{field}" if nested else field
    assert issues_of(found) == [("expjob_2", path, text, action)]


@pytest.mark.parametrize(
    ("field", "value", "column"),
    [
        ("status", "paused", "status"),
        ("block_kind", "summarise", "block_kind"),
        ("block_type", "summarise", "block_kind"),
    ],
)
def test_unknown_value_is_kept_and_counted_once(field: str, value: str, column: str) -> None:
    fields = {"block_kind": None, field: value}
    found = rf.read_content(content(job(1, **fields), job(2), job(3, **fields)))
    rows = rows_of(found.jobs)
    assert (rows[0][column], rows[2][column]) == (value, value)
    assert rows_of(found.issues) == [
        {
            "run_id": "exprun_1",
            "job_id": None,
            "field": column,
            "problem": f"unknown value {value!r}",
            "value": "2 times",
            "action": "kept",
        }
    ]


def test_unknown_operation() -> None:
    found = rf.read_content(content(job(1, artifact={"operation": "dreaming", "id": "d_1"})))
    assert found.jobs["artifact_operation"].tolist() == ["dreaming"]
    assert issues_of(found) == [(None, "artifact_operation", "1 times", "kept")]


@pytest.mark.parametrize(
    ("artifact", "operation", "artifact_id"),
    [
        (None, None, None),
        ({}, None, None),
        ({"operation": "extraction"}, "extraction", None),
        ({"operation": None, "id": "ext_1"}, None, "ext_1"),
        ({"operation": "split", "id": ""}, "split", ""),
    ],
)
def test_partial_artifact(artifact: object, operation: str | None, artifact_id: str | None) -> None:
    found = rf.read_content(content(job(1, artifact=artifact)))
    [row] = rows_of(found.jobs)
    assert (row["artifact_operation"], row["artifact_id"]) == (operation, artifact_id)
    assert issues_of(found) == []


@pytest.mark.parametrize(
    "status", ["pending", "queued", "running", "completed", "error", "cancelled", "skipped"]
)
@pytest.mark.parametrize("kind", ["extract", "classifier", "split", "for_each"])
def test_known_values_are_no_issue(status: str, kind: str) -> None:
    found = rf.read_content(content(job(1, status=status, block_kind=kind)))
    assert (found.jobs["status"][0], found.jobs["block_kind"][0]) == (status, kind)
    assert issues_of(found) == []


# Keys


def test_identical_rows_are_kept_once() -> None:
    found = rf.read_content([page(job(1), job(2), after="c"), page(job(2), job(3))])
    assert found.jobs["job_id"].tolist() == ["expjob_1", "expjob_2", "expjob_3"]
    assert found.raw["job_id"].tolist() == ["expjob_1", "expjob_2", "expjob_3"]
    assert found.raw["body"].map(json.loads).tolist() == [job(1), job(2), job(3)]


@pytest.mark.parametrize(
    "pages", [[page(job(1), job(1, attempt=2))], [page(job(1)), page(job(1, status="error"))]]
)
def test_two_rows_of_one_id_raise(pages: list[JsonObject]) -> None:
    with pytest.raises(
        rf.MalformedResponseError,
        match=r"rows 0 and 1 of run .* both have the id expjob_1, with different content",
    ) as caught:
        rf.read_content(pages)
    assert caught.value.where == "$[1].id"


def test_same_document_twice_is_two_jobs() -> None:
    found = rf.read_content(content(job(1), job(2, document_id="expdoc_1")))
    assert found.jobs["document_id"].tolist() == ["expdoc_1", "expdoc_1"]


def test_ids_that_look_alike_stay_apart() -> None:
    ids = ["1", "01", "1.0", "\u00e9", "e\u0301", "A", "a", " a", "a\x00", "a\x00b"]
    found = rf.read_content(content(*(job(n, id=one) for n, one in enumerate(ids))))
    assert found.jobs["job_id"].tolist() == ids
    assert found.raw["job_id"].tolist() == ids


def test_empty_id_raises() -> None:
    with pytest.raises(rf.MalformedResponseError, match="row 1 has an empty id"):
        rf.read_content(content(job(1), job(2, id="")))


# Runs


def test_row_of_another_run_on_pages_raises() -> None:
    with pytest.raises(
        rf.MalformedResponseError,
        match=r"row 1 \(expjob_2\) is of run exprun_2, not of exprun_1: .* use read_contents",
    ) as caught:
        rf.read_content([page(job(1)), page(job(2, run_id="exprun_2"))])
    assert caught.value.where == "$[1].run_id"


@pytest.mark.parametrize("field", ["run_id", "experiment_run_id"])
def test_row_of_another_run_on_content_is_kept(field: str) -> None:
    odd = {name: value for name, value in job(2).items() if name != "run_id"}
    found = rf.read_content(content(job(1), {**odd, field: "exprun_0"}))
    assert found.run_id == "exprun_1"
    assert found.jobs["run_id"].tolist() == ["exprun_1", "exprun_1"]
    assert rows_of(found.issues) == [
        {
            "run_id": "exprun_1",
            "job_id": "expjob_2",
            "field": "run_id",
            "problem": "row of an earlier run",
            "value": "exprun_0",
            "action": "kept in this run",
        }
    ]
    assert json.loads(found.raw["body"][1])[field] == "exprun_0"


def test_envelope_names_the_run_of_rows_that_do_not() -> None:
    odd = {name: value for name, value in job(1).items() if name not in ("run_id", "experiment_id")}
    found = rf.read_content(content(odd))
    assert (found.jobs["run_id"].tolist(), found.experiment_id) == (["exprun_1"], "exp_abc")


@pytest.mark.parametrize("envelope", ["", None])
def test_rows_name_the_run_that_the_envelope_does_not(envelope: str | None) -> None:
    found = rf.read_content(content(job(1), run_id=envelope))
    assert (found.run_id, found.jobs["run_id"].tolist()) == ("exprun_1", ["exprun_1"])


@pytest.mark.parametrize("run_id", [None, ""])
def test_rows_without_a_run_raise(run_id: str | None) -> None:
    with pytest.raises(rf.MalformedResponseError, match=r"row 0 \(expjob_1\) names no run"):
        rf.read_content(page(job(1, run_id=run_id)))


def test_rows_without_an_experiment_raise() -> None:
    with pytest.raises(rf.MalformedResponseError, match="row expjob_1 names no experiment"):
        rf.read_content(page(job(1, experiment_id=None)))


# Placeholders


def placeholder(number: int, **fields: object) -> JsonObject:
    return job(
        number, **{"run_id": "", "status": "pending", "is_placeholder": True, "id": "", **fields}
    )


def test_experiment_never_run_gives_placeholders() -> None:
    found = rf.read_content(content(placeholder(1), placeholder(2), run_id=""))
    rows = rows_of(found.jobs)
    assert [row["job_id"] for row in rows] == ["placeholder:expdoc_1", "placeholder:expdoc_2"]
    assert [(row["run_id"], row["is_placeholder"]) for row in rows] == [(None, True)] * 2
    assert (found.run_id, found.complete) == (None, False)
    assert found.raw["job_id"].tolist() == ["placeholder:expdoc_1", "placeholder:expdoc_2"]
    assert issues_of(found) == []


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["p1", "p2"], ["p1", "p2"]),
        (["p", "p"], ["p", "placeholder:expdoc_1"]),
        (["", "p"], ["placeholder:expdoc_0", "p"]),
        (["p", "p", "p"], ["p", "placeholder:expdoc_1", "placeholder:expdoc_2"]),
        (
            ["placeholder:expdoc_1", ""],
            ["placeholder:expdoc_1", "placeholder:expdoc_1:2"],
        ),
    ],
)
def test_ids_of_placeholders(ids: list[str], expected: list[str]) -> None:
    jobs = [placeholder(n, id=one) for n, one in enumerate(ids)]
    assert rf.read_content(content(*jobs)).jobs["job_id"].tolist() == expected


def test_placeholders_of_one_document_stay_apart() -> None:
    jobs = [placeholder(1), placeholder(1, attempt=1), placeholder(1, attempt=2)]
    assert rf.read_content(content(*jobs)).jobs["job_id"].tolist() == [
        "placeholder:expdoc_1",
        "placeholder:expdoc_1:2",
        "placeholder:expdoc_1:3",
    ]


def test_placeholder_gives_way_to_a_job_of_its_id() -> None:
    found = rf.read_content(content(job(1), placeholder(2, id="expjob_1")))
    assert found.jobs["job_id"].tolist() == ["expjob_1", "placeholder:expdoc_2"]


def test_placeholder_before_a_job_of_its_id_gives_way_too() -> None:
    found = rf.read_content(content(placeholder(2, id="expjob_1"), job(1)))
    assert found.jobs["job_id"].tolist() == ["placeholder:expdoc_2", "expjob_1"]


def test_placeholders_beside_jobs_have_the_run() -> None:
    found = rf.read_content(content(job(1), placeholder(2, run_id=None)))
    assert found.jobs["run_id"].tolist() == ["exprun_1", "exprun_1"]
    assert found.jobs["is_placeholder"].tolist() == [False, True]


# Order


def test_rows_keep_their_order_over_pages() -> None:
    order = [5, 3, 9, 1, 7]
    found = rf.read_content(
        [page(*(job(n) for n in order[:2])), page(*(job(n) for n in order[2:]))]
    )
    expected = [f"expjob_{n}" for n in order]
    assert found.jobs["job_id"].tolist() == expected
    assert found.raw["job_id"].tolist() == expected
    assert found.raw["position"].tolist() == [0, 1, 2, 3, 4]


def test_whitespace_between_rows_is_not_theirs() -> None:
    rows = [json.dumps(job(n), indent=n) for n in (1, 2)]
    found = rf.read_content(f"  [ \n{rows[0]} ,\t{rows[1]}\r\n ] \n".encode())
    assert found.raw["body"].tolist() == rows


def test_reading_twice_is_equal() -> None:
    body = encoded(content(job(1, duration_ms=1.5), job(2, handle_inputs={"h": {"type": "json"}})))
    first, second = rf.read_content(body), rf.read_content(body)
    for name in ("jobs", "handle_inputs", "handle_outputs", "issues", "raw"):
        assert getattr(first, name).equals(getattr(second, name))
