from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from factories import (
    DOCUMENTED,
    DOCUMENTED_JOB,
    FLAG,
    TEXT,
    TIME,
    WHOLE,
    JsonObject,
    content,
    encoded,
    issues_of,
    job,
    page,
    rows_of,
)
from hypothesis import given, settings, strategies as st

import retab_frames as rf
from retab_frames.flatten import run_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

JOB_TYPES = {
    "workflow_id": TEXT,
    "experiment_id": TEXT,
    "run_id": TEXT,
    "job_id": TEXT,
    "document_id": TEXT,
    "filename": TEXT,
    "block_kind": TEXT,
    "status": TEXT,
    "attempt": WHOLE,
    "is_placeholder": FLAG,
    "artifact_operation": TEXT,
    "artifact_id": TEXT,
    "duration_ms": WHOLE,
    "created_at": TIME,
    "started_at": TIME,
    "completed_at": TIME,
    "error_message": TEXT,
    "error_details": TEXT,
    "fetched_at": TIME,
}
"""The columns that every jobs frame has, in their order."""

INPUT_TYPES = dict.fromkeys(
    (
        "handle_inputs.input-document-0.type",
        "handle_inputs.input-document-0.filename",
        "handle_inputs.input-document-0.file_id",
        "handle_inputs.input-document-0.mime_type",
    ),
    TEXT,
)
"""What the input of the documented sample adds to them."""

HANDLE_TYPES = {
    "experiment_id": TEXT,
    "run_id": TEXT,
    "job_id": TEXT,
    "document_id": TEXT,
    "handle": TEXT,
    "position": WHOLE,
    "type": TEXT,
    "filename": TEXT,
    "file_id": TEXT,
    "mime_type": TEXT,
    "size_bytes": WHOLE,
    "content_fingerprint": TEXT,
    "data": TEXT,
    "extra": TEXT,
}

ISSUE_TYPES = dict.fromkeys(("run_id", "job_id", "field", "problem", "value", "action"), TEXT)
RAW_TYPES = {"job_id": TEXT, "position": WHOLE, "body": TEXT}


@pytest.fixture
def documented_api() -> Iterator[tuple[rf.Sandbox, rf.Client]]:
    with (
        rf.Sandbox() as sandbox,
        rf.Client(sandbox.api_key, base_url=sandbox.url, retries=0) as client,
    ):
        route = "/v1/workflows/wf_abc123/experiments/exp_abc"
        sandbox.answer(f"{route}/content", DOCUMENTED)
        sandbox.answer(f"{route}/runs", {"runs": []})
        yield sandbox, client


# The documented sample


def test_documented_sample_becomes_exactly_one_job() -> None:
    found = rf.read_content(DOCUMENTED)
    assert rows_of(found.jobs) == [DOCUMENTED_JOB]
    assert list(found.jobs) == list(DOCUMENTED_JOB)
    assert found.jobs.dtypes.to_dict() == {**JOB_TYPES, **INPUT_TYPES}
    assert isinstance(found.jobs.index, pd.RangeIndex)


def test_documented_sample_beside_its_jobs() -> None:
    found = rf.read_content(DOCUMENTED)
    assert (found.experiment_id, found.run_id) == ("exp_abc", "exprun_1")
    assert (found.complete, found.fetched_at) == (True, None)
    assert rows_of(found.issues) == []
    assert len(found.run) == 0
    assert len(found.handle_outputs) == 0
    assert rows_of(found.handle_inputs) == [
        {
            "experiment_id": "exp_abc",
            "run_id": "exprun_1",
            "job_id": "expjob_1",
            "document_id": "expdoc_1",
            "handle": "input-document-0",
            "position": 0,
            "type": "file",
            "filename": "invoice_q1.pdf",
            "file_id": None,
            "mime_type": None,
            "size_bytes": None,
            "content_fingerprint": None,
            "data": None,
            "extra": None,
        }
    ]
    body = DOCUMENTED[DOCUMENTED.index(b'{"id"') : -3].decode()
    assert rows_of(found.raw) == [{"job_id": "expjob_1", "position": 0, "body": body}]


def test_documented_sample_over_http(documented_api: tuple[rf.Sandbox, rf.Client]) -> None:
    _, client = documented_api
    before = pd.Timestamp.now("UTC")
    found = rf.load_content("wf_abc123", "exp_abc", client=client)
    [row] = rows_of(found.jobs)
    assert before <= row["fetched_at"] <= pd.Timestamp.now("UTC")
    assert row == {
        **DOCUMENTED_JOB,
        "workflow_id": "wf_abc123",
        "fetched_at": row["fetched_at"],
    }
    assert found.jobs.dtypes.to_dict() == {**JOB_TYPES, **INPUT_TYPES}
    assert (found.experiment_id, found.run_id, found.complete) == ("exp_abc", "exprun_1", True)
    assert found.fetched_at == row["fetched_at"]
    assert rows_of(found.issues) == []


def test_documented_sample_by_load_jobs(documented_api: tuple[rf.Sandbox, rf.Client]) -> None:
    sandbox, client = documented_api
    jobs = rf.load_jobs("wf_abc123", "exp_abc", client=client)
    assert list(jobs) == list(DOCUMENTED_JOB)
    [row] = rows_of(jobs.drop(columns="fetched_at"))
    assert row == {
        **{name: value for name, value in DOCUMENTED_JOB.items() if name != "fetched_at"},
        "workflow_id": "wf_abc123",
    }
    assert [request.query for request in sandbox.requests] == [{}]


def test_workflow_of_the_call_fills_the_column() -> None:
    found = rf.read_content(DOCUMENTED, workflow_id="wf_mine")
    assert rows_of(found.jobs) == [{**DOCUMENTED_JOB, "workflow_id": "wf_mine"}]


# Frames of zero rows


@pytest.mark.parametrize("source", [content(), content(run_id=""), page(), []])
def test_no_rows_have_every_column(source: object) -> None:
    found = rf.read_content(source)
    assert found.jobs.dtypes.to_dict() == JOB_TYPES
    assert found.handle_inputs.dtypes.to_dict() == HANDLE_TYPES
    assert found.handle_outputs.dtypes.to_dict() == HANDLE_TYPES
    assert found.issues.dtypes.to_dict() == ISSUE_TYPES
    assert found.raw.dtypes.to_dict() == RAW_TYPES
    assert [len(frame) for frame in (found.jobs, found.handle_inputs, found.raw)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("source", "experiment_id", "run_id", "complete"),
    [
        (content(), "exp_abc", "exprun_1", True),
        (content(run_id=""), "exp_abc", None, False),
        (content(run_id=None), "exp_abc", None, False),
        (page(), None, None, False),
    ],
)
def test_identity_without_rows(
    source: object, experiment_id: str | None, run_id: str | None, *, complete: bool
) -> None:
    found = rf.read_content(source)
    assert (found.experiment_id, found.run_id) == (experiment_id, run_id)
    assert found.complete is complete


# Completeness


@pytest.mark.parametrize(
    ("status", "complete"),
    [
        ("completed", True),
        ("error", True),
        ("cancelled", True),
        ("skipped", True),
        ("pending", False),
        ("queued", False),
        ("running", False),
        ("paused", False),
        (None, False),
    ],
)
def test_complete_when_all_have_ended(status: str | None, *, complete: bool) -> None:
    found = rf.read_content(content(job(1), job(2, status=status)))
    assert found.complete is complete


def test_placeholder_is_not_complete() -> None:
    assert not rf.read_content(content(job(1), job(2, is_placeholder=True))).complete


def test_last_page_missing_is_told() -> None:
    found = rf.read_content(page(job(1), after="expjob_1"))
    assert not found.complete
    assert issues_of(found) == [(None, "list_metadata.after", None, "marked incomplete")]


def test_all_pages_are_complete() -> None:
    found = rf.read_content([page(job(1), after="expjob_1"), page(job(2))])
    assert found.complete
    assert issues_of(found) == []


@pytest.mark.parametrize(
    "counts", [{"total_document_count": 2}, {"document_count": 2, "total_document_count": 0}]
)
def test_count_of_the_run_record(
    documented_api: tuple[rf.Sandbox, rf.Client], counts: dict[str, int]
) -> None:
    sandbox, client = documented_api
    route = "/v1/workflows/wf_abc123/experiments/exp_abc/runs"
    sandbox.answer(route, {"runs": [{"id": "exprun_1", "status": "completed", **counts}]})
    with pytest.warns(rf.RetabFramesWarning, match="says 2 documents, 1 jobs came"):
        found = rf.load_content("wf_abc123", "exp_abc", client=client)
    assert not found.complete
    assert found.issues["problem"].tolist() == ["the run record says 2 documents, 1 jobs came"]
    assert found.run["run_id"].tolist() == ["exprun_1"]


def test_repr_counts_and_shows_no_content() -> None:
    jobs = [job(1), job(2, status="error"), job(3, is_placeholder=True)]
    jobs[0]["handle_inputs"] = {"h": {"type": "json", "data": "private"}}
    assert repr(rf.read_content(content(*jobs))) == (
        "RunContent('exp_abc', 'exprun_1': 3 jobs (1 completed, 1 error, 1 (placeholder)), "
        "incomplete, 0 issues)"
    )


# Property: what came can be had back, byte for byte

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
KNOWN = (
    *("status", "lifecycle", "timing", "artifact", "block_kind", "block_type", "attempt", "error"),
    *("duration_ms", "created_at", "started_at", "completed_at"),
    *("experiment_id", "experiment_run_id", "is_placeholder"),
)


JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
UNKNOWN = st.dictionaries(st.text().map(lambda name: f"x{name}"), JSON, max_size=2)
HANDLE = st.builds(
    lambda data, document, more: {"type": "json", "data": data, "document": document, **more},
    JSON,
    UNKNOWN,
    UNKNOWN,
)
ROW = st.builds(
    lambda unknown, known, handles: {**unknown, **known, "handle_inputs": handles},
    UNKNOWN,
    st.dictionaries(st.sampled_from(KNOWN), JSON, max_size=4),
    st.dictionaries(st.text(), HANDLE, max_size=2),
)
ROWS = st.lists(ROW, max_size=4).map(
    lambda rows: [
        {"id": f"job-{n}", "document_id": f"document-{n}", **row} for n, row in enumerate(rows)
    ]
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(rows=ROWS, indent=st.sampled_from((None, 2)), ascii_only=st.booleans())
def test_raw_is_exact(rows: list[JsonObject], indent: int | None, *, ascii_only: bool) -> None:
    """Law: every row that came, whatever it holds, is in `raw` byte for byte, and is one job."""
    texts = [json.dumps(row, ensure_ascii=ascii_only, indent=indent) for row in rows]
    body = f'{{"experiment_id":"e","run_id":"r","content":{{"jobs":[ {" , ".join(texts)}\n] }} }}'
    found = rf.read_content(body.encode())
    assert found.raw["body"].tolist() == texts
    assert found.jobs["job_id"].tolist() == [row["id"] for row in rows]
    assert [json.loads(data) for data in found.handle_inputs["data"]] == [
        handle["data"] for row in rows for handle in row["handle_inputs"].values()
    ]


# Fuzz: whatever is broken, one family of errors

SEED_ROWS = (
    job(
        1,
        handle_inputs={
            "file": {"type": "file", "filename": "a.pdf", "document": {"id": "f", "size_bytes": 3}},
            "json": {"type": "json", "data": {"a": [1, 2.5, None, "é"]}},
        },
        artifact={"operation": "extraction", "id": "ext_1"},
        duration_ms=4120,
        attempt=0,
        created_at="2026-05-02T11:00:00Z",
    ),
    job(
        2,
        lifecycle={"status": "error", "message": "m", "details": {"error_code": "x"}},
        timing={"started_at": "2026-05-02T11:00:00+02:00", "duration_ms": 1.5},
        error={"message": "no"},
        handle_outputs={"out": {"type": "text", "text": "t"}},
        is_placeholder=False,
    ),
)
TOKENS = (
    *("null", "true", "{}", "[]", "0", "-1", "1.5", "1e999", "NaN", "9" * 30, "[" * 2000),
    *('""', '"x"', '"\\ud800"', '"\\u0000"', '"novel":1,'),
    *("{", "}", "[", "]", ",", ":", '"', "\\", " ", "\n"),
)
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**63,
    1e300,
    0.5,
    "",
    "x",
    "\x00",
    [],
    {},
    [{}],
    {"a": 1},
)


def mutant(body: bytes, rng: random.Random) -> bytes:
    """Return the body with one to three changes: cut, repeated, overwritten or inserted bytes."""
    changed = bytearray(body)
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(changed) + 1)
        end = min(len(changed), start + rng.choice((0, 1, 1, 2, 5, 20)))
        piece = rng.choice(
            (
                b"",
                bytes(changed[start:end]) * 2,
                bytes((rng.randrange(256),)),
                rng.choice(TOKENS).encode(),
            )
        )
        changed[start:end] = piece
    return bytes(changed)


def odd_value(value: Any, rng: random.Random) -> Any:
    """Return the value with a random one of its parts replaced, renamed or left out."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        odd = {**value, key: odd_value(value[key], rng)}
        if rng.random() < 0.1:
            odd[rng.choice(("novel", "", "a.b", "type", "id", 'q"', "\n"))] = odd.pop(key)
        return odd
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        return [*value[:at], odd_value(value[at], rng), *value[at + 1 :]]
    return rng.choice(ODD_VALUES)


def reads_or_refuses(body: bytes) -> bool:
    """Return whether the body was read; any error but our own escapes."""
    try:
        rf.read_content(body)
    except rf.RetabFramesError:
        return False
    return True


@pytest.mark.parametrize("source", [content(*SEED_ROWS), page(*SEED_ROWS), list(SEED_ROWS)])
def test_broken_bytes_raise_one_family(source: object) -> None:
    rng = random.Random(20260502)
    body = encoded(source)
    read = sum(reads_or_refuses(mutant(body, rng)) for _ in range(1000))
    assert 50 < read < 900


@pytest.mark.parametrize("source", [content(*SEED_ROWS), page(*SEED_ROWS)])
def test_odd_values_raise_one_family(source: object) -> None:
    rng = random.Random(20260503)
    mutants = (odd_value(odd_value(source, rng), rng) for _ in range(500))
    read = sum(reads_or_refuses(json.dumps(value).encode()) for value in mutants)
    assert 50 < read < 500


# Runs that are flattened together are what each is alone

ODD_RUN = st.sampled_from(("fine", "new field", "odd cell", "new status", "other handle", "none"))


def odd_run(number: int, kind: str) -> JsonObject:
    """Return a response of a run with something particular."""
    handle = {"type": "file", "document": {"id": f"f{number}", "filename": f"{number}.pdf"}}
    fields: dict[str, JsonObject] = {
        "fine": {"handle_inputs": {"file": handle}},
        "new field": {"novel": number, "handle_inputs": {"file": {**handle, "new": [number]}}},
        "odd cell": {"attempt": "odd", "handle_inputs": {"file": handle}},
        "new status": {"status": "paused", "handle_inputs": None},
        "other handle": {"handle_outputs": {"out": {"type": "json", "data": number}}},
        "none": {},
    }
    run = f"exprun_{number}"
    jobs = [] if kind == "none" else [job(n, run_id=run, **fields[kind]) for n in range(3)]
    return content(*jobs, run_id=run)


def frames_of(found: rf.RunContent) -> list[list[JsonObject]]:
    names = ("jobs", "handle_inputs", "handle_outputs", "run", "issues", "raw")
    return [rows_of(getattr(found, name)) for name in names]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(kinds=st.lists(ODD_RUN, min_size=1, max_size=12))
def test_runs_together_are_what_each_is_alone(kinds: list[str]) -> None:
    """Law: read_contents([a, b, ...]) == [read_content(a), read_content(b), ...]."""
    sources = [odd_run(number, kind) for number, kind in enumerate(kinds)]
    together = list(rf.read_contents(sources))
    alone = [rf.read_content(source) for source in sources]
    assert [frames_of(found) for found in together] == [frames_of(found) for found in alone]
    assert [list(found.jobs) for found in together] == [list(found.jobs) for found in alone]
    assert [found.complete for found in together] == [found.complete for found in alone]
    assert [found.tables.jobs.schema for found in together] == [
        found.tables.jobs.schema for found in alone
    ]


def test_a_run_that_came_twice_is_two_contents() -> None:
    """The key holds within a run: that two contents share it costs neither."""
    sources = [odd_run(number, "fine") for number in (1, 2, 2, 3)]
    found = list(rf.read_contents(sources))
    assert [one.run_id for one in found] == ["exprun_1", "exprun_2", "exprun_2", "exprun_3"]
    assert [len(one.jobs) for one in found] == [3, 3, 3, 3]


def test_runs_before_a_bad_one_are_given() -> None:
    sources = [odd_run(number, "fine") for number in range(6)]
    sources[4] = content(job(1, run_id="exprun_4", id=None), run_id="exprun_4")
    contents = rf.read_contents(sources)
    assert [next(contents).run_id for _ in range(4)] == [f"exprun_{n}" for n in range(4)]
    with pytest.raises(rf.MalformedResponseError, match="row 0 has no `id`"):
        next(contents)


def test_many_different_handles_do_not_crowd_out_one_another() -> None:
    handles = {f"h{n}": {"type": "json", "data": n} for n in range(150)}
    more = {f"x{n}": {"type": "json", "data": n} for n in range(150)}
    sources = [
        content(job(1, run_id=run, handle_inputs=each), run_id=run)
        for run, each in (("a", handles), ("b", handles), ("c", more))
    ]
    found = list(rf.read_contents(sources))
    assert [len(list(one.jobs)) for one in found] == [19 + 300] * 3
    assert [len(one.issues) for one in found] == [0, 0, 0]


# A long run is read piece by piece


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    small = run_rows.Sizes(2_000, 500, 500, part_rows=8, chunk_rows=16, chunked_from=0)
    monkeypatch.setattr(run_rows, "DEFAULT_SIZES", small)


BLANK = {"id": "", "status": "pending", "is_placeholder": True}


@pytest.mark.parametrize(
    ("odd", "issues"),
    [
        ({}, 0),
        ({"novel": 1}, 1),
        ({"attempt": "odd"}, 1),
        ({"run_id": "exprun_0"}, 1),
        ({"experiment_run_id": "exprun_1"}, 0),
        (job(3, handle_inputs={"h": {"type": "json", "data": 3}}), 0),
        (BLANK, 0),
    ],
)
@pytest.mark.parametrize("at", [0, 47])
def test_a_long_run_is_what_a_short_one_is(
    odd: JsonObject, issues: int, at: int, request: pytest.FixtureRequest
) -> None:
    jobs = [job(n, handle_inputs={"h": {"type": "json", "data": n}}) for n in range(50)]
    jobs[at] = {**jobs[at], **odd}
    sources = [content(*some) for some in (jobs[4:9], jobs, jobs[:45], jobs[4:9])]
    whole = [rf.read_content(source) for source in sources]
    request.getfixturevalue("in_pieces")
    alone = [rf.read_content(source) for source in sources]
    together = list(rf.read_contents(sources))
    assert [*map(frames_of, alone)] == [*map(frames_of, whole)]
    assert [*map(frames_of, together)] == [*map(frames_of, whole)]
    assert len(whole[1].jobs) == 49 + (odd.get("id") != "expjob_3")
    assert len(whole[1].issues) == issues


@pytest.mark.usefixtures("in_pieces")
def test_a_long_run_has_no_two_jobs_of_one_id() -> None:
    jobs = [*map(job, range(50)), {**job(3), "attempt": 7}]
    with pytest.raises(rf.MalformedResponseError, match=r"rows 3 and 50 .* with different content"):
        rf.read_content(content(*jobs))


@pytest.mark.usefixtures("in_pieces")
def test_a_long_run_names_its_bad_row() -> None:
    jobs = [job(n) for n in range(50)]
    jobs[20] = {**jobs[20], "document_id": 5}
    with pytest.raises(rf.MalformedResponseError, match="row 20 has no `document_id`"):
        rf.read_content(content(*jobs))
