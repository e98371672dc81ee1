from __future__ import annotations

import json
from typing import Any, cast

import pytest
from factories import JsonObject, around, content, encoded, issues_of, job, page, rows_of

import retab_frames as rf
from retab_frames.wire.misfits import Misfit
from retab_frames.wire.records import MISSING, Row, unknown_fields
from retab_frames.wire.rows import RowReader, split_rows

LOST = "null, kept in raw"


def read(rows: list[JsonObject]) -> tuple[Any, list[Misfit], RowReader]:
    reader = RowReader()
    return *reader.read(encoded(rows)), reader


def test_rows_that_fit_need_no_mending() -> None:
    rows, misfits, reader = read([job(1, attempt=3, timing={"duration_ms": 5}), job(2)])
    assert [row.id for row in rows] == ["expjob_1", "expjob_2"]
    assert (rows[0].attempt, rows[1].attempt) == (3, None)
    assert rows[0].timing is not None
    assert rows[0].timing.duration_ms == 5
    assert (reader.unknown, misfits) == ((), [])


# A value that does not fit costs its cell

ODD_CELLS = [
    ("status", 5, "5", "Expected `str | null`, got `int`"),
    ("block_kind", [], "[]", "Expected `str | null`, got `array`"),
    ("attempt", "2", '"2"', "Expected `int | null`, got `str`"),
    ("attempt", 1.5, "1.5", "Expected `int | null`, got `float`"),
    ("attempt", True, "true", "Expected `int | null`, got `bool`"),
    ("duration_ms", "4120", '"4120"', "Expected `int | float | null`, got `str`"),
    ("duration_ms", {}, "{}", "Expected `int | float | null`, got `object`"),
    ("is_placeholder", "yes", '"yes"', "Expected `bool | null`, got `str`"),
    ("created_at", 1777723200, "1777723200", "Expected `str | null`, got `int`"),
    ("timing", [1], "[1]", "Expected `object | null`, got `array`"),
    ("lifecycle", "completed", '"completed"', "Expected `object | null`, got `str`"),
    ("artifact", "ext_1", '"ext_1"', "Expected `object | null`, got `str`"),
    ("handle_inputs", [1], "[1]", "Expected `object | null`, got `array`"),
    ("handle_outputs", "x", '"x"', "Expected `object | null`, got `str`"),
    ("experiment_id", 5, "5", "Expected `str | null`, got `int`"),
]


@pytest.mark.parametrize(("field", "value", "shown", "problem"), ODD_CELLS)
def test_odd_cell(field: str, value: object, shown: str, problem: str) -> None:
    rows, misfits, _ = read([job(1, attempt=7), {**job(2, attempt=8), field: value}])
    assert misfits == [Misfit(1, field, problem, shown, LOST)]
    assert not getattr(rows[1], field)
    assert rows[0].attempt == 7
    assert rows[1].attempt == (None if field == "attempt" else 8)


@pytest.mark.parametrize(("field", "value", "shown", "problem"), ODD_CELLS)
def test_odd_cell_in_the_frames(field: str, value: object, shown: str, problem: str) -> None:
    odd = {**job(2, artifact={"operation": "extraction", "id": "ext_2"}), field: value}
    found = rf.read_content(content(job(1), odd))
    assert len(found.jobs) == 2
    assert rows_of(found.issues) == [
        {
            "run_id": "exprun_1",
            "job_id": "expjob_2",
            "field": field,
            "problem": problem,
            "value": shown,
            "action": LOST,
        }
    ]
    # every other cell of the row is that of a row that lacks the field
    without = {name: cell for name, cell in odd.items() if name != field}
    assert rows_of(found.jobs) == rows_of(rf.read_content(content(job(1), without)).jobs)
    assert json.loads(found.raw["body"][1]) == odd


@pytest.mark.parametrize(
    ("fields", "path", "shown"),
    [
        ({"timing": {"duration_ms": "5", "created_at": None}}, "timing.duration_ms", '"5"'),
        ({"timing": {"started_at": 5}}, "timing.started_at", "5"),
        ({"lifecycle": {"status": 1, "message": "m"}}, "lifecycle.status", "1"),
        ({"lifecycle": {"message": {"a": 1}}}, "lifecycle.message", '{"a":1}'),
        ({"artifact": {"operation": 1, "id": "ext"}}, "artifact.operation", "1"),
        ({"handle_inputs": {"h": {"type": 5}}}, "handle_inputs.h.type", "5"),
        ({"handle_inputs": {"h": {"filename": 5}}}, "handle_inputs.h.filename", "5"),
        ({"handle_inputs": {"h": {"document": "f"}}}, "handle_inputs.h.document", '"f"'),
        (
            {"handle_outputs": {"h": {"document": {"size_bytes": "3"}}}},
            "handle_outputs.h.document.size_bytes",
            '"3"',
        ),
        ({"handle_inputs": {"a.b": {"type": []}}}, "handle_inputs.a.b.type", "[]"),
    ],
)
def test_odd_nested_cell(fields: JsonObject, path: str, shown: str) -> None:
    _, misfits, _ = read([job(1, **fields)])
    assert [(m.row, m.field, m.value, m.action) for m in misfits] == [(0, path, shown, LOST)]


def test_neighbours_of_odd_nested_cells_stay() -> None:
    odd = job(
        1,
        timing={"duration_ms": "5", "created_at": "2026-05-02T12:00:00Z"},
        handle_inputs={
            "h": {
                "type": "file",
                "document": {"id": "f", "size_bytes": "3", "mime_type": "m"},
                "data": [1.50],
            },
            "i": {"type": 5, "text": "t"},
        },
    )
    [row], misfits, _ = read([odd])
    assert row.timing is not None
    assert (row.timing.duration_ms, row.timing.created_at) == (None, "2026-05-02T12:00:00Z")
    assert isinstance(row.handle_inputs, dict)
    document = row.handle_inputs["h"].document
    assert document is not None
    assert (document.id, document.size_bytes, document.mime_type) == ("f", None, "m")
    assert bytes(row.handle_inputs["h"].data) == b"[1.5]"
    assert (row.handle_inputs["i"].type, bytes(row.handle_inputs["i"].text)) == (None, b'"t"')
    assert [misfit.field for misfit in misfits] == [
        "timing.duration_ms",
        "handle_inputs.h.document.size_bytes",
        "handle_inputs.i.type",
    ]


def test_several_odd_cells_are_told_in_turn() -> None:
    found = rf.read_content(content(job(1, attempt="a", status=5), job(2), job(3, attempt="b")))
    assert issues_of(found) == [
        ("expjob_1", "status", "5", LOST),
        ("expjob_1", "attempt", '"a"', LOST),
        ("expjob_3", "attempt", '"b"', LOST),
    ]
    assert found.jobs["job_id"].tolist() == ["expjob_1", "expjob_2", "expjob_3"]


def test_long_odd_value_is_cut_and_escaped() -> None:
    [misfit] = read([job(1, attempt="\x1b[2J\u202e" + "x" * 500)])[1]
    assert misfit.value is not None
    assert misfit.value.startswith('"\\u001b[2J\\u202exxx')
    assert len(misfit.value) == 200


@pytest.mark.parametrize("field", ["duration_ms", "attempt"])
@pytest.mark.parametrize("number", ["9" * 5000, "1e999", "-1e999"])
def test_number_beyond_python_costs_its_cell(field: str, number: str) -> None:
    found = rf.read_content(around(f'"{field}":{number}'))
    assert rows_of(found.jobs)[0][field] is None
    assert [issue[:2] for issue in issues_of(found)] == [("expjob_1", field)]


# Rows that contradict the contract


@pytest.mark.parametrize(
    ("row", "match"),
    [
        (5, "row 1 does not fit at .*Expected `object`, got `int`"),
        (None, "row 1 does not fit"),
        ([], "row 1 does not fit"),
        ("x", "row 1 does not fit"),
        ({}, "row 1 has no `id`: expected text, got nothing"),
        ({"document_id": "d"}, "row 1 has no `id`: expected text, got nothing"),
        ({"id": None, "document_id": "d"}, "row 1 has no `id`: expected text, got null"),
        ({"id": 5, "document_id": "d"}, "row 1 has no `id`: expected text, got 5"),
        ({"id": "a"}, "row 1 has no `document_id`: expected text, got nothing"),
        ({"id": "a", "document_id": None}, "row 1 has no `document_id`: expected text, got null"),
    ],
)
def test_row_against_the_contract(row: object, match: str) -> None:
    for body in (content(job(5), row), page(job(5), row)):
        with pytest.raises(rf.MalformedResponseError, match=match) as caught:
            rf.read_content(encoded(body))
        assert type(caught.value) is rf.MalformedResponseError


def test_where_of_a_row_without_id() -> None:
    with pytest.raises(rf.MalformedResponseError) as caught:
        rf.read_content(content(job(1), {"document_id": "d"}))
    assert caught.value.where == "$[1].id"


# Unknown fields are learned

LEVELS = [
    ({"novel": 1}, "", "novel"),
    ({"timing": {"novel": 1}}, "timing", "timing.novel"),
    ({"lifecycle": {"novel": 1}}, "lifecycle", "lifecycle.novel"),
    ({"artifact": {"novel": 1}}, "artifact", "artifact.novel"),
    ({"handle_inputs": {"h": {"type": "file", "document": {"novel": 1}}}}, "document", None),
    ({"handle_inputs": {"h": {"type": "json", "novel": 1}}}, "handle", None),
    ({"handle_outputs": {"a.b": {"type": "json", "novel": 1}}}, "handle", None),
]


@pytest.mark.parametrize(("fields", "level", "path"), LEVELS)
def test_unknown_field_is_learned(fields: JsonObject, level: str, path: str | None) -> None:
    rows, misfits, reader = read([job(1), job(2, **fields), job(3, **fields)])
    assert reader.unknown == ((level, "novel"),)
    assert misfits == []
    reader.count(rows)
    assert reader.counts == {(level, "novel"): 2}
    assert path in (None, f"{level}.novel".lstrip("."))


@pytest.mark.parametrize(("fields", "level", "path"), LEVELS)
def test_unknown_field_in_the_frames(fields: JsonObject, level: str, path: str | None) -> None:
    found = rf.read_content(content(job(1, **fields)))
    assert issues_of(found) == [(None, path or f"{level}.novel", "1 times", "kept in raw")]
    assert found.issues["run_id"].tolist() == ["exprun_1"]
    assert json.loads(found.raw["body"][0]) == job(1, **fields)


@pytest.mark.parametrize("value", ["null", "1.50", "[1,  2]", '{"a":"e\u0301"}', '"\\u0000"'])
def test_learned_value_is_exact(value: str) -> None:
    reader = RowReader()
    [row], _ = reader.read(f'[{{"id":"1","document_id":"d","novel":{value}}}]'.encode())
    assert {name: bytes(raw).decode() for name, raw in unknown_fields(row).items()} == {
        "novel": value
    }
    assert unknown_fields(cast("Any", row).timing) == {}


def test_null_is_sent_and_missing_is_not() -> None:
    rows, _, _ = read([job(1, novel=None), job(2)])
    assert [list(unknown_fields(row)) for row in rows] == [["novel"], []]


@pytest.mark.parametrize(
    "name", ["", " ", "a`b", "é漢", "e\u0301", "class", "__init__", "unknown_0", "x` - at `$[0].a"]
)
def test_unknown_name(name: str) -> None:
    found = rf.read_content(encoded(content(job(1, **{name: 1}))))
    assert issues_of(found) == [(None, name, "1 times", "kept in raw")]


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a\x00b"])
def test_unknown_name_that_json_escapes(name: str) -> None:
    found = rf.read_content(content(job(1, **{name: 1})))
    assert [issue[1] for issue in issues_of(found)] == [name]
    assert json.loads(found.raw["body"][0])[name] == 1


@pytest.mark.parametrize("order", [("attempt", "novel"), ("novel", "attempt")])
@pytest.mark.parametrize("jobs", [1, 3])
def test_unknown_field_beside_an_odd_cell(order: tuple[str, str], jobs: int) -> None:
    cells = {"attempt": "odd", "novel": 1}
    odd = {name: cells[name] for name in order}
    found = rf.read_content(content(*(job(n, **odd) for n in range(1, jobs + 1))))
    assert issues_of(found) == [
        *((f"expjob_{n}", "attempt", '"odd"', LOST) for n in range(1, jobs + 1)),
        (None, "novel", f"{jobs} times", "kept in raw"),
    ]


@pytest.mark.parametrize(("fields", "level", "path"), LEVELS)
def test_unknown_field_behind_an_odd_cell(fields: JsonObject, level: str, path: str | None) -> None:
    odd = {"attempt": "odd", **job(1), **fields}
    reader = RowReader()
    rows, misfits = reader.read(encoded([odd]))
    assert reader.unknown == ((level, "novel"),)
    assert [misfit.field for misfit in misfits] == ["attempt"]
    reader.count(rows)
    assert reader.counts == {(level, "novel"): 1}
    assert path in (None, f"{level}.novel".lstrip("."))


def test_extra_of_a_mended_row() -> None:
    handles = {"h": {"type": "json", "novel": 1.5, "document": {"new": None}}}
    found = rf.read_content(content({"attempt": "odd", **job(1, handle_inputs=handles)}))
    assert found.handle_inputs["extra"].tolist() == ['{"novel":1.5,"document":{"new":null}}']


class CountingReader(RowReader):
    """Counts the rows that went the slow way."""

    mended = 0

    def _read_row(self, n: int, text: bytes, misfits: list[Misfit]) -> Row:
        self.mended += 1
        return super()._read_row(n, text, misfits)


@pytest.mark.parametrize(("fields", "level", "path"), LEVELS)
def test_new_field_at_any_level_goes_the_fast_way(
    fields: JsonObject, level: str, path: str | None
) -> None:
    reader = CountingReader()
    rows, misfits = reader.read(encoded([job(n, **fields) for n in range(1000)]))
    assert (reader.unknown, reader.mended, misfits) == (((level, "novel"),), 0, [])
    reader.count(rows)
    assert reader.counts == {(level, "novel"): 1000}
    assert path in (None, f"{level}.novel".lstrip("."))


def test_new_field_on_every_row_goes_the_fast_way() -> None:
    reader = CountingReader()
    jobs = [job(n, novel={"n": n}, timing={"new": n}) for n in range(1000)]
    rows, misfits = reader.read(encoded(jobs))
    assert reader.unknown == (("", "novel"), ("timing", "new"))
    assert (reader.mended, misfits) == (0, [])
    novel = [bytes(unknown_fields(row)["novel"]) for row in rows]
    assert novel == [b'{"n":%d}' % n for n in range(1000)]
    reader.count(rows)
    assert [*reader.counts.values()] == [1000, 1000]


def test_one_odd_row_of_many_stays_alone() -> None:
    rows = [job(n, novel=n) for n in range(1000)]
    rows[500]["status"] = 5
    found = rf.read_content(content(*rows))
    lost = [issue for issue in issues_of(found) if issue[3] == LOST]
    assert lost == [("expjob_500", "status", "5", LOST)]
    assert found.jobs["status"].value_counts().to_dict() == {"completed": 999}
    assert found.raw["body"].map(json.loads).tolist() == rows


def test_what_was_learned_holds_for_the_next_page() -> None:
    reader = CountingReader()
    reader.read(encoded([job(1, novel=1)]))
    [row], _ = reader.read(encoded([job(2, novel=2, other=3)]))
    assert reader.unknown == (("", "novel"), ("", "other"))
    assert {name: bytes(raw) for name, raw in unknown_fields(row).items()} == {
        "novel": b"2",
        "other": b"3",
    }
    assert reader.mended == 0


def test_unknown_fields_are_counted_once_over_all_pages() -> None:
    found = rf.read_content([page(job(1, novel=1), after="c"), page(job(2, novel=1), job(3))])
    assert issues_of(found) == [(None, "novel", "2 times", "kept in raw")]


MANY = {f"field_{n:03}": n for n in range(100)}


def test_more_unknown_fields_than_are_learned_lose_nothing() -> None:
    jobs = [job(n, **MANY, duration_ms=n) for n in range(1, 4)]
    found = rf.read_content(content(*jobs))
    assert found.jobs["duration_ms"].tolist() == [1, 2, 3]
    assert found.jobs["status"].tolist() == ["completed"] * 3
    assert found.raw["body"].map(json.loads).tolist() == jobs
    assert {field for _, field, _, _ in issues_of(found)} == set(MANY)


@pytest.mark.parametrize("fields", [MANY, {'a"b': 1}])
def test_unknown_fields_that_are_not_learned_are_told_once_each(fields: JsonObject) -> None:
    found = rf.read_content(content(*(job(n, **fields) for n in range(1, 4))))
    assert sorted(str(field) for _, field, _, _ in issues_of(found)) == sorted(fields)


def test_missing_optional_fields_are_null() -> None:
    [row], _, _ = read([{"id": "1", "document_id": "d"}])
    values: list[Any] = [
        getattr(row, name)
        for name in row.__struct_fields__
        if name not in ("id", "document_id", "error")
    ]
    assert not any(values)
    assert row.error is MISSING


# Rows are split where one seems to end


def pieces_of(rows: str, size: int) -> list[str]:
    return [bytes(piece).decode() for piece in split_rows(memoryview(rows.encode()), size)]


def row(number: int) -> str:
    return f'{{"id":"{number}","document_id":"d","data":[{{"id":1}},{{"id":2}}]}}'


@pytest.mark.parametrize("between", [",", " ,\n "])
def test_pieces_are_whole_rows(between: str) -> None:
    rows = [row(n) for n in range(10)]
    found = pieces_of(between.join(rows), 2 * len(rows[0]) + 9)
    assert [len(json.loads(f"[{piece}]")) for piece in found] == [3, 3, 3, 1]
    assert json.loads(f"[{','.join(found)}]") == [*map(json.loads, rows)]


@pytest.mark.parametrize(
    "rows",
    ["", " ", "1,2", '{"id":{},"x":2},{"id":{},"x":2}', '{"id":"1"},{"id":"2"}', "}, {", "{"],
)
def test_what_does_not_begin_like_a_row_is_one_piece(rows: str) -> None:
    assert pieces_of(rows, 1) == [rows]


@pytest.mark.parametrize("first", ["null", "-1.5e3", "true", '"a\\\\\\"/b"'])
def test_the_first_key_may_hold_any_scalar(first: str) -> None:
    row = f'{{"x":{first},"id":"1"}}'
    assert pieces_of(f"{row},{row},{row}", 1) == [row] * 3


def test_a_cut_within_a_row_cannot_be_decoded() -> None:
    inner = [f'{{"id":"{n}","document_id":"d"}}' for n in range(3)]
    found = pieces_of(f'{{"id":"0","document_id":"d","data":[{",".join(inner)}]}}', 1)
    assert len(found) > 1
    for piece in found[:1] + found[-1:]:
        with pytest.raises(ValueError, match=r"Expecting|Extra data"):
            json.loads(f"[{piece}]")
