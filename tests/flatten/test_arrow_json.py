"""Arrow's reader makes of rows what the other one makes of them, or refuses them."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import pyarrow as pa
import pytest
from factories import JsonObject, content, encoded, job
from load.test_content import mutant, odd_value

import retab_frames as rf
from retab_frames.flatten import arrow_json
from retab_frames.flatten.arrow_json import ArrowJsonReader
from retab_frames.flatten.run_rows import Sizes
from retab_frames.flatten.tables import flatten_runs
from retab_frames.wire.envelopes import RunResponses, parse_rows_response
from retab_frames.wire.records import row_struct

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENT = {"id": "f", "filename": "a.pdf", "mime_type": "m"}
FILE = {"type": "file", "document": DOCUMENT}


def plain_job(number: int, **fields: object) -> JsonObject:
    """Return a job with one file and every field of an older generation."""
    whole: JsonObject = {
        "handle_inputs": {"file": {**FILE, "document": {**DOCUMENT, "id": f"f{number}"}}},
        "artifact": {"operation": "extraction", "id": f"ext_{number}"},
        "error": None,
        "duration_ms": 4120 + number,
        "created_at": "2026-05-02T11:00:00Z",
        "completed_at": "2026-05-02T11:00:05.25+02:00",
        "attempt": 0,
        "is_placeholder": False,
    }
    return job(number, **{**whole, **fields})


def bare_job(number: int, **fields: object) -> JsonObject:
    """Return a job with a file, and with no more than a job must have."""
    return {"id": f"j{number}", "document_id": "d", "handle_inputs": {"f": {}}, **fields}


def newer_job(number: int, **fields: object) -> JsonObject:
    """Return a job of a newer generation."""
    timing = {"created_at": "2026-05-02T11:00:00Z", "started_at": None, "duration_ms": 7}
    whole = {"lifecycle": {"status": "completed"}, "timing": timing}
    row = {**job(number), "handle_inputs": {"file": FILE}, **whole, **fields}
    return {name: value for name, value in row.items() if name != "status"}


def read(*rows: object) -> Any:
    """Return what the reader of the first of the rows makes of all of them."""
    inside = memoryview(encoded(rows)[1:-1])
    reader = ArrowJsonReader.for_rows(inside)
    return None if reader is None else reader.read(inside)


SMALL = Sizes(large=0, large_part=100)
"""Arrow's reader is tried on any response, a row or two at a time."""
NEVER = Sizes(large=2**60)
"""Arrow's reader is never tried."""


def frames_of(body: bytes, sizes: Sizes) -> list[list[JsonObject]] | str:
    """Return all the tables of a response, or why it is refused."""
    try:
        found = parse_rows_response(body)
        run = RunResponses(None, found.experiment_id, found.run_id, (found,), None)
        return [table.to_pylist() for table in flatten_runs([run], sizes).tables]
    except rf.MalformedResponseError as error:
        return str(error)


@pytest.fixture
def parts_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the list that gets the size of each part that Arrow's reader accepted."""
    return count_parts(monkeypatch.setattr)


def count_parts(replace: Callable[[object, str, object], None]) -> list[int]:
    sizes: list[int] = []
    read = ArrowJsonReader.read

    def counting(self: ArrowJsonReader, rows: memoryview) -> Any:
        values = read(self, rows)
        if values is not None:
            sizes.append(values.size)
        return values

    replace(ArrowJsonReader, "read", counting)
    return sizes


# The schema is that of the wire


def leaves(fields: dict[str, Any], above: str = "") -> dict[str, pa.DataType]:
    found: dict[str, pa.DataType] = {}
    for name, kind in fields.items():
        if isinstance(kind, dict):
            found |= leaves(kind, f"{above}{name}.")
        else:
            found[above + name] = kind
    return found


def wire_leaves(struct: Any, above: str = "") -> dict[str, pa.DataType]:
    types = {str: pa.string(), int: pa.int64(), bool: pa.bool_()}
    found: dict[str, pa.DataType] = {}
    for field in msgspec.structs.fields(struct):
        options = get_args(field.type) or (field.type,)
        [kind] = [one for one in options if one not in (float, type(None))][:1]
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            found |= wire_leaves(kind, f"{above}{field.name}.")
        else:
            found[above + field.name] = types.get(kind, kind)
    return found


def test_every_field_of_a_row_has_its_type() -> None:
    expected = wire_leaves(row_struct())
    json_texts = {name for name, kind in expected.items() if kind is msgspec.Raw}
    assert json_texts == {"error", "lifecycle.details"}
    left_out = {"lifecycle.details", "handle_inputs", "handle_outputs"}
    wanted = {name: kind for name, kind in expected.items() if name not in left_out}
    assert leaves(arrow_json._ROW_TYPES) == {**wanted, "error": pa.string()}


def test_every_field_of_a_file_has_its_type() -> None:
    row: Any = row_struct()
    [handles] = [one.type for one in msgspec.structs.fields(row) if one.name == "handle_inputs"]
    expected = wire_leaves(get_args(get_args(handles)[0])[1])
    left_out = {"data", "text"}
    wanted = {name: kind for name, kind in expected.items() if name not in left_out}
    assert leaves(arrow_json._HANDLE_TYPES) == wanted


# What is read is what the other reader makes of it


@pytest.mark.parametrize("make", [plain_job, newer_job, bare_job, job])
@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"duration_ms": -5},
        {"duration_ms": None, "artifact": None},
        {"created_at": "soon"},
        {"created_at": "2026-05-02T11:00:00"},
        {"created_at": "0001-01-01T00:00:00Z"},
        {"completed_at": "9999-12-31T23:59:59.999999Z"},
        {"completed_at": "2026-05-02T11:00:00.123456789Z"},
        {"experiment_id": ""},
        {"experiment_id": None},
        {"experiment_id": "exp_other"},
        {"run_id": ""},
        {"run_id": "exprun_0"},
        {"experiment_run_id": "exprun_1"},
        {"status": "paused", "block_kind": None, "block_type": "split"},
        {"error": "no"},
        {"error": ""},
        {"error": "", "lifecycle": {"status": "error", "message": "m", "reason": "r"}},
        {"error": None, "lifecycle": {"status": "error", "message": "", "reason": "r"}},
        {"error": "e", "lifecycle": {"status": "error", "message": "m"}},
        {"lifecycle": {"reason": ""}, "timing": {}},
        {"lifecycle": None, "timing": None},
        {"artifact": {}},
        {"attempt": None, "is_placeholder": True},
        {"is_placeholder": None},
        {"handle_inputs": {"file": {}}},
        {"handle_inputs": {"file": {"type": "json"}}},
        {"handle_inputs": {"file": {"type": None, "document": None}}},
        {"handle_inputs": {"file": {"type": "file", "document": {}}}},
        {"handle_inputs": {"file": {"type": "file", "document": {"id": "", "filename": ""}}}},
        {"handle_inputs": {"file": {"document": {"size_bytes": 5, "content_fingerprint": "é"}}}},
        {"handle_inputs": {"file": {"document": {"size_bytes": -5}}}},
        {"handle_inputs": {"file": {"type": "file", "filename": "b.pdf"}}},
        {"id": ""},
        {"id": "expjob_2"},
        {"novel": 1},
        {"attempt": "odd"},
        {"error": {"message": "m"}},
        {"handle_inputs": {"file": {**FILE, "data": 1}}},
        {"handle_inputs": {"file": FILE, "other": FILE}},
        {"handle_inputs": {"file": None}},
        {"handle_inputs": {}},
        {"handle_inputs": None},
        {"handle_outputs": {}},
        {"handle_outputs": None},
        {"document_id": "d\u0000\U0001f600 \u2028"},
    ],
)
@pytest.mark.parametrize("at", [0, 5])
def test_the_same_by_both_readers(
    make: Any, odd: JsonObject, at: int, parts_read: list[int]
) -> None:
    rows = [make(n) for n in range(6)]
    rows[at] = {**rows[at], **odd}
    body = encoded(content(*rows))
    found = frames_of(body, SMALL)
    if at == 5:
        assert bool(parts_read) is (make is not job)
    assert found == frames_of(body, NEVER)


@pytest.mark.parametrize("seed", range(8))
def test_mutants_are_the_same_by_both_readers(seed: int, parts_read: list[int]) -> None:
    rng = random.Random(seed)
    seeds = [content(*map(make, range(3))) for make in (plain_job, newer_job, bare_job)]
    values = [json.dumps(odd_value(rng.choice(seeds), rng)).encode() for _ in range(60)]
    bodies = [*values, *(mutant(encoded(rng.choice(seeds)), rng) for _ in range(120))]
    found = [frames_of(body, SMALL) for body in bodies]
    assert len(parts_read) > 50
    assert found == [frames_of(body, NEVER) for body in bodies]


# What is refused


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ('"attempt":0', '"attempt":0.0'),
        ('"attempt":0', '"attempt":1e2'),
        ('"attempt":0', '"attempt":"0"'),
        ('"attempt":0', '"attempt":01'),
        ('"attempt":0', '"attempt":NaN'),
        ('"attempt":0', '"attempt":9223372036854775808'),
        ('"attempt":0', '"attempt":0,"attempt":0'),
        ('"attempt":0', '"attempt":0,'),
        ('"attempt":0', '"novel":0'),
        ('"attempt":0', '"attempt":0/**/'),
        ('"status":"completed"', '"status":5'),
        ('"status":"completed"', '"status":"\\ud800"'),
        ('"status":"completed"', '"status":"\\udc00"'),
        ('"status":"completed"', '"status":"\x01"'),
        ('"is_placeholder":false', '"is_placeholder":"false"'),
        ('"is_placeholder":false', '"is_placeholder":0'),
        ('"artifact":{', '"artifact":[{'),
        ('"id":"expjob_1"', '"id":null'),
        ('"id":"expjob_1",', ""),
        ('"document_id":"expdoc_1"', '"document_id":null'),
        ('{"file":{', '{"file":null,"more":{'),
        ('"handle_inputs":{"file"', '"handle_inputs":null,"more":{"file"'),
        ("false}", "false},null"),
        ("false}", "false},5"),
        ("false}", "false},"),
        ("false}", 'false}]} {"rows":[{}'),
        ("false}", 'false}],"rows":['),
        ("false}", "false"),
        ("false}", "false}}"),
        ("false}", "false}]"),
        ("false}", "false}]}"),
    ],
)
def test_refused(text: str, other: str) -> None:
    row = encoded(plain_job(1))
    reader = ArrowJsonReader.for_rows(memoryview(row))
    assert reader is not None
    assert reader.read(memoryview(row + b"\n")) is not None
    odd = row.decode().replace(text, other)
    assert odd != row.decode()
    assert reader.read(memoryview(odd.encode())) is None


@pytest.mark.parametrize(
    "first",
    [
        job(1),
        plain_job(1, novel=1),
        plain_job(1, handle_outputs={}),
        plain_job(1, handle_inputs={"a": FILE, "b": FILE}),
        plain_job(1, handle_inputs={"a": {**FILE, "filename": "b.pdf"}}),
        plain_job(1, handle_inputs={"a": {"type": "json", "data": {}}}),
        plain_job(1, handle_inputs={"a": {"type": "text", "text": "t"}}),
        plain_job(1, handle_inputs={"a": None}),
        plain_job(1, handle_inputs={"a": {"document": {"id": "i", "original_id": "o"}}}),
        plain_job(1, lifecycle={"details": {}}),
        {},
        5,
        None,
        [],
    ],
)
def test_a_first_row_that_is_not_plain(first: object) -> None:
    assert read(first) is None


@pytest.mark.parametrize("rows", [b"", b" ", b'{"id":', b"[" * 70_000])
def test_no_first_row(rows: bytes) -> None:
    assert ArrowJsonReader.for_rows(memoryview(rows)) is None


def test_text_beyond_ascii_at_the_end_of_what_is_looked_at() -> None:
    rows = [plain_job(1), *(plain_job(n, error="é" * 100) for n in range(2, 400))]
    assert read(*rows).size == 399


# A response whose rows hold rows


@pytest.mark.parametrize("size", [1, 200, 1_000, 10_000])
def test_rows_within_rows_are_read_all_the_same(size: int) -> None:
    inner = [job(n, novel=n) for n in range(3)]
    handles = {"h": {"type": "json", "data": inner}, "i": {"type": "json", "data": [inner]}}
    body = encoded(content(*(job(n, handle_inputs=handles) for n in range(20))))
    found = frames_of(body, Sizes(large=size, large_part=size, part=size))
    assert found == frames_of(body, Sizes())
    assert not isinstance(found, str)
    assert [json.loads(row["handle_inputs.h.data"]) for row in found[0]] == [inner] * 20
