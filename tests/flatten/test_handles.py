from __future__ import annotations

from typing import Any

import pytest
from factories import TEXT, JsonObject, around, content, encoded, issues_of, job, page, rows_of

import retab_frames as rf

FILE = {
    "type": "file",
    "document": {"id": "file_1", "filename": "a.pdf", "mime_type": "application/pdf"},
}
JSON = {"type": "json", "data": {"a": 1}}
TEXT_HANDLE = {"type": "text", "text": "words"}


def inputs_of(handles: object) -> list[JsonObject]:
    """Return the long rows of one job's inputs, without the ids and nulls."""
    found = rf.read_content(encoded(content(job(1, handle_inputs=handles))))
    ids = ("experiment_id", "run_id", "job_id", "document_id")
    return [
        {name: value for name, value in row.items() if value is not None and name not in ids}
        for row in rows_of(found.handle_inputs)
    ]


def wide_columns(*handles: object) -> list[str]:
    """Return the names of the columns that the inputs of one job each add to the jobs."""
    jobs = [job(n, handle_inputs=one) for n, one in enumerate(handles)]
    added = rf.read_content(content(*jobs)).jobs.filter(regex="^handle_")
    assert (added.dtypes == TEXT).all()
    return [str(name) for name in added]


# Shapes of a handle


@pytest.mark.parametrize(
    ("handle", "expected"),
    [
        ({"type": "file"}, {"type": "file"}),
        (
            {"type": "file", "filename": "a.pdf"},
            {"type": "file", "filename": "a.pdf"},
        ),
        (
            {"type": "file", "document": {"id": "doc_1", "filename": "a.pdf"}},
            {"type": "file", "filename": "a.pdf", "file_id": "doc_1"},
        ),
        (
            FILE,
            {
                "type": "file",
                "filename": "a.pdf",
                "file_id": "file_1",
                "mime_type": "application/pdf",
            },
        ),
        (
            {"type": "file", "document": {"original_id": "old", "size_bytes": 0}},
            {"type": "file", "file_id": "old", "size_bytes": 0},
        ),
        (
            {"type": "file", "document": {"id": None, "original_id": "old", "filename": ""}},
            {"type": "file", "file_id": "old", "filename": ""},
        ),
        (
            {"type": "file", "document": {"content_fingerprint": "sha"}},
            {"type": "file", "content_fingerprint": "sha"},
        ),
        ({"type": "file", "document": None}, {"type": "file"}),
        (JSON, {"type": "json", "data": '{"a":1}'}),
        (TEXT_HANDLE, {"type": "text", "data": '"words"'}),
        ({"type": "json"}, {"type": "json"}),
        ({"type": "json", "data": None}, {"type": "json", "data": "null"}),
        ({"type": "json", "data": {}}, {"type": "json", "data": "{}"}),
        ({"type": "json", "data": []}, {"type": "json", "data": "[]"}),
        ({"type": "json", "data": ""}, {"type": "json", "data": '""'}),
        ({"type": "json", "data": 5}, {"type": "json", "data": "5"}),
        ({"type": "json", "data": False}, {"type": "json", "data": "false"}),
        ({"type": "video", "data": 1}, {"type": "video", "data": "1"}),
        ({"data": 1}, {"data": "1"}),
        ({}, {}),
    ],
)
def test_shape(handle: object, expected: JsonObject) -> None:
    assert inputs_of({"h": handle}) == [{"handle": "h", "position": 0, **expected}]


@pytest.mark.parametrize(
    "data",
    [
        str(2**60 + 1),
        str(2**64),
        "9" * 5000,
        "1.50",
        "1e2",
        "1E+2",
        "-0",
        "-0.0",
        "1e999",
        "5e-324",
        "0.1000000000000000055511151231257827",
        "{}",
        "[]",
        "null",
        '""',
        "[null]",
        '{"x":null}',
        '{"":{"":1}}',
        '{"a.b":1,"a":{"b":2}}',
        '{"a":1,"a":2}',
        '{"b":1,"a":2}',
        '{ "a" :\t1 ,\n"b":[ 1,2 ] }',
        '"two  spaces"',
        '"e\u0301 \u00e9"',
        '"\\u0065\\u0301"',
        '"\\u0000"',
        '"\\/"',
        '"\\ud83d\\ude00"',
        '"\U0001f600"',
        '"\u202e\u200b"',
        '"line\\nline"',
        '"' + "x" * 100_000 + '"',
    ],
)
@pytest.mark.parametrize("kind", ["json", "text"])
def test_data_is_exact(data: str, kind: str) -> None:
    key = "data" if kind == "json" else "text"
    body = around(f'"handle_inputs":{{"h":{{"type":"{kind}","{key}":{data}}}}}')
    found = rf.read_content(body)
    assert found.handle_inputs["data"].tolist() == [data]
    assert found.jobs["handle_inputs.h.data"].tolist() == [data]
    assert data in found.raw["body"][0]
    assert issues_of(found) == []


def test_empty_null_and_missing_data_differ() -> None:
    jobs = [
        job(1, handle_inputs={"h": {"type": "json", "data": {}}}),
        job(2, handle_inputs={"h": {"type": "json", "data": None}}),
        job(3, handle_inputs={"h": {"type": "json"}}),
        job(4, handle_inputs={}),
        job(5, handle_inputs=None),
        job(6),
    ]
    found = rf.read_content(content(*jobs))
    rows = rows_of(found.jobs)
    assert [(row["handle_inputs.h.type"], row["handle_inputs.h.data"]) for row in rows] == [
        ("json", "{}"),
        ("json", "null"),
        ("json", None),
        *[(None, None)] * 3,
    ]
    assert found.handle_inputs["job_id"].tolist() == ["expjob_1", "expjob_2", "expjob_3"]
    # null is told apart from none and from missing
    assert issues_of(found) == [("expjob_5", "handle_inputs", "null", "kept as no handles")]


# Odd handles


@pytest.mark.parametrize(
    ("value", "data"),
    [("null", "null"), ("5", "5"), ('"a"', '"a"'), ("[1,  2]", "[1,  2]"), ("true", "true")],
)
def test_handle_that_is_no_object(value: str, data: str) -> None:
    body = around(f'"handle_inputs":{{"ok":{{"type":"json","data":1.50}},"h":{value}}}')
    found = rf.read_content(body)
    rows = rows_of(found.handle_inputs)
    assert [(row["handle"], row["type"], row["data"]) for row in rows] == [
        ("ok", "json", "1.50"),
        ("h", None, data),
    ]
    assert issues_of(found) == [
        ("expjob_1", "handle_inputs.h", value, "kept as data"),
        ("expjob_1", "handle_inputs.h.type", "", "kept"),
    ]
    assert value in found.raw["body"][0]


@pytest.mark.parametrize("side", ["handle_inputs", "handle_outputs"])
@pytest.mark.parametrize("handle", [{}, {"type": None}, {"data": {"type": "x"}}])
def test_handle_without_a_type(side: str, handle: JsonObject) -> None:
    found = rf.read_content(content(job(1), job(2, **{side: {"h": handle}})))
    assert rows_of(found.jobs)[1][f"{side}.h.type"] is None
    assert rows_of(found.issues) == [
        {
            "run_id": "exprun_1",
            "job_id": "expjob_2",
            "field": f"{side}.h.type",
            "problem": "a handle without a type",
            "value": "",
            "action": "kept",
        }
    ]


@pytest.mark.parametrize("side", ["handle_inputs", "handle_outputs"])
def test_unknown_type_is_kept_and_counted(side: str) -> None:
    video = {"h": {"type": "video", "data": 1}}
    found = rf.read_content(content(job(1, **{side: video}), job(2, **{side: video}), job(3)))
    assert found.jobs[f"{side}.h.type"].dropna().tolist() == ["video", "video"]
    [issue] = rows_of(found.issues)
    assert issue["problem"] == "unknown value 'video'"
    assert issues_of(found) == [(None, f"{side}.type", "2 times", "kept")]


@pytest.mark.parametrize("size", [-1, 2**70])
def test_size_that_does_not_fit(size: int) -> None:
    handle = {"h": {"type": "file", "document": {"id": "f", "size_bytes": size}}}
    found = rf.read_content(content(job(1, handle_inputs=handle)))
    [row] = rows_of(found.handle_inputs)
    assert (row["size_bytes"], row["file_id"]) == (None, "f")
    path = "handle_inputs.h.document.size_bytes"
    assert issues_of(found) == [("expjob_1", path, str(size), "null, kept in raw")]


# Names


@pytest.mark.parametrize(
    "name",
    [
        *("input-document-0", "a.b", "", ".", "type", "x.type", "é漢", "e\u0301", "a b", "*", "$"),
        *("a\nb", "a\x00b", "\u202e", 'q"', "back\\slash", "x" * 500),
    ],
)
def test_name_is_kept(name: str) -> None:
    found = rf.read_content(content(job(1, handle_inputs={name: FILE})))
    assert found.handle_inputs["handle"].tolist() == [name]
    assert rows_of(found.jobs)[0][f"handle_inputs.{name}.file_id"] == "file_1"
    assert found.jobs["filename"].tolist() == ["a.pdf"]
    assert issues_of(found) == []


def test_dotted_names_do_not_collide() -> None:
    handles = {
        name: {"type": "json", "data": name}
        for name in ("a", "a.b", "a.type", "a.data", "", ".", "type")
    }
    found = rf.read_content(content(job(1, handle_inputs=handles)))
    [row] = rows_of(found.jobs)
    assert {name: row[f"handle_inputs.{name}.data"] for name in handles} == {
        name: f'"{name}"' for name in handles
    }
    assert len(set(found.jobs.columns)) == len(found.jobs.columns) == 19 + 2 * len(handles)


def test_same_letters_composed_and_not_stay_apart() -> None:
    handles = {"\u00e9": JSON, "e\u0301": FILE}
    found = rf.read_content(encoded(content(job(1, handle_inputs=handles))))
    assert found.handle_inputs["handle"].tolist() == ["\u00e9", "e\u0301"]
    [row] = rows_of(found.jobs)
    assert row["handle_inputs.\u00e9.data"] == '{"a":1}'
    assert row["handle_inputs.e\u0301.file_id"] == "file_1"


# Which columns they add to the jobs

FILE_COLUMNS = ("type", "filename", "file_id", "mime_type")


@pytest.mark.parametrize(
    ("handles", "fields"),
    [
        ([FILE], FILE_COLUMNS),
        ([{"type": "file"}], FILE_COLUMNS),
        ([{"type": "scan", "filename": "a"}], FILE_COLUMNS),
        ([{"type": "scan", "document": {"mime_type": "m"}}], FILE_COLUMNS),
        ([JSON], ("type", "data")),
        ([{"type": "json"}], ("type", "data")),
        ([TEXT_HANDLE], ("type", "data")),
        ([{"type": "video"}], ("type",)),
        ([{"type": "video", "data": 1}], ("type", "data")),
        ([{}], ("type",)),
        ([FILE, JSON], (*FILE_COLUMNS, "data")),
        ([{"type": "file", "data": 1}], (*FILE_COLUMNS, "data")),
    ],
)
def test_wide_columns(handles: list[object], fields: tuple[str, ...]) -> None:
    assert wide_columns(*({"h": one} for one in handles)) == [
        f"handle_inputs.h.{f}" for f in fields
    ]


def test_wide_columns_in_order_of_first_appearance() -> None:
    columns = wide_columns({"b": JSON}, {"a": JSON, "b": JSON}, {"c": JSON, "a": JSON})
    assert columns == [f"handle_inputs.{name}.{f}" for name in "bac" for f in ("type", "data")]


def test_wide_columns_of_outputs_follow_inputs() -> None:
    jobs = [job(1, handle_outputs={"o": JSON}), job(2, handle_inputs={"i": JSON})]
    columns = list(rf.read_content(content(*jobs)).jobs)[19:]
    assert columns == [
        "handle_inputs.i.type",
        "handle_inputs.i.data",
        "handle_outputs.o.type",
        "handle_outputs.o.data",
    ]


def test_same_handle_differs_by_row() -> None:
    values: list[Any] = [5, "a", [1], {"k": None}, None]
    jobs = [
        job(n, handle_inputs={"h": {"type": "json", "data": one}}) for n, one in enumerate(values)
    ]
    jobs.append(job(9, handle_inputs={"h": FILE}))
    rows = rows_of(rf.read_content(encoded(content(*jobs))).jobs)
    assert [row["handle_inputs.h.data"] for row in rows] == [
        *("5", '"a"', "[1]", '{"k":null}', "null"),
        None,
    ]
    assert [row["handle_inputs.h.file_id"] for row in rows] == [None] * 5 + ["file_1"]


def test_only_so_many_handles_become_columns() -> None:
    handles = {f"h{n}": JSON for n in range(201)}
    found = rf.read_content(content(job(1, handle_inputs=handles)))
    assert list(found.jobs)[-1] == "handle_inputs.h199.data"
    assert found.handle_inputs["handle"].tolist() == list(handles)
    assert issues_of(found) == [
        (
            None,
            "handle_inputs",
            "201 handles",
            "the first 200 are columns, all are in handle_inputs",
        )
    ]


# The filename of the job


@pytest.mark.parametrize(
    ("handles", "filename"),
    [
        ({"a": {"type": "file", "filename": "1"}, "b": {"type": "file", "filename": "2"}}, "1"),
        ({"a": JSON, "b": FILE}, "a.pdf"),
        ({"a": {"type": "file"}, "b": FILE}, "a.pdf"),
        ({"a": {"type": "file", "filename": "flat", "document": {"filename": "in"}}}, "flat"),
        ({"a": {"type": "file", "filename": None, "document": {"filename": "in"}}}, "in"),
        ({"a": JSON}, None),
        ({}, None),
        (None, None),
    ],
)
def test_filename_of_the_job(handles: object, filename: str | None) -> None:
    found = rf.read_content(content(job(1, handle_inputs=handles), job(2)))
    assert [row["filename"] for row in rows_of(found.jobs)] == [filename, None]


def test_filename_is_not_taken_from_outputs() -> None:
    found = rf.read_content(content(job(1, handle_outputs={"o": FILE})))
    assert rows_of(found.jobs)[0]["filename"] is None


def test_filename_stays_with_its_job() -> None:
    jobs = [
        job(n, handle_inputs={"h": {"type": "file", "filename": f"{n}.pdf"}} if n % 3 else None)
        for n in range(10)
    ]
    rows = rows_of(rf.read_content(content(*jobs)).jobs)
    assert [row["filename"] for row in rows] == [f"{n}.pdf" if n % 3 else None for n in range(10)]


# The long frame


def test_long_rows_follow_jobs_and_handles() -> None:
    pages = [page(job(2, handle_inputs={"b": JSON, "a": FILE}), after="c"), page(job(1), job(3))]
    pages[1]["data"][1]["handle_inputs"] = {"a": JSON}
    found = rf.read_content(pages)
    rows = rows_of(found.handle_inputs)
    assert [
        (row["job_id"], row["document_id"], row["handle"], row["position"]) for row in rows
    ] == [
        ("expjob_2", "expdoc_2", "b", 0),
        ("expjob_2", "expdoc_2", "a", 1),
        ("expjob_3", "expdoc_3", "a", 0),
    ]


@pytest.mark.parametrize(
    ("handle", "extra"),
    [
        ('{"type":"file","document":{"gcs_uri":"gs://b"}}', '{"document":{"gcs_uri":"gs://b"}}'),
        ('{"type":"file","document":{"n":1.50}}', '{"document":{"n":1.50}}'),
        ('{"type":"file","document":{"id":"a","original_id":"a"}}', None),
        (
            '{"type":"file","document":{"id":"a","original_id":"b"}}',
            '{"document":{"original_id":"b"}}',
        ),
        ('{"type":"file","filename":"a","document":{"filename":"a"}}', None),
        (
            '{"type":"file","filename":"a","document":{"filename":"b"}}',
            '{"document":{"filename":"b"}}',
        ),
        ('{"type":"json","data":1,"text":"t  t"}', '{"text":"t  t"}'),
        ('{"type":"json","data":null,"text":null}', '{"text":null}'),
        (
            '{"type":"json","score":1.50}',
            '{"score":1.50}',
        ),
        (
            '{"type":"file","url":null,"document":{"page":{"n":1.0}}}',
            '{"url":null,"document":{"page":{"n":1.0}}}',
        ),
    ],
)
def test_extra_holds_what_has_no_column(handle: str, extra: str | None) -> None:
    found = rf.read_content(around(f'"handle_inputs":{{"h":{handle}}}'))
    [row] = rows_of(found.handle_inputs)
    assert row["extra"] == extra
    assert handle in found.raw["body"][0]


def test_extra_is_of_its_own_handle() -> None:
    more = {"type": "file", "document": {"id": "f", "gcs_uri": "gs://b"}}
    found = rf.read_content(
        encoded(content(job(1, handle_inputs={"a": FILE, "b": more, "c": JSON})))
    )
    assert [row["extra"] for row in rows_of(found.handle_inputs)] == [
        None,
        '{"document":{"gcs_uri":"gs://b"}}',
        None,
    ]
    assert issues_of(found) == [(None, "document.gcs_uri", "1 times", "kept in raw")]
