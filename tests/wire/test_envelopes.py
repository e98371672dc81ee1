from __future__ import annotations

import json
import subprocess
import sys

import pytest
from factories import DEEPEST, DOCUMENTED, around, content, encoded, job, page
from msgspec import Raw

import retab_frames as rf
from retab_frames.wire.envelopes import RecordsResponse, parse_records, parse_rows_response
from retab_frames.wire.json_text import join_array

RICH = job(
    1,
    handle_inputs={"é": {"type": "json", "data": {"a": [1, 2.5, None, "\u202e"]}}},
    timing={"duration_ms": 1.5, "created_at": "2026-05-02T11:00:00Z"},
    error={"message": "no"},
)


def test_documented_content_is_recognised() -> None:
    found = parse_rows_response(DOCUMENTED)
    assert (found.experiment_id, found.run_id) == ("exp_abc", "exprun_1")
    assert (found.after, found.has_envelope, found.is_empty) == (None, True, False)
    assert found.rows == [Raw(DOCUMENTED[DOCUMENTED.index(b"[{") + 1 : -3])]


@pytest.mark.parametrize(
    ("body", "rows", "after"),
    [
        (
            b'{"data":[{"id":"1"}, 2],"list_metadata":{"before":null,"after":"c"}}',
            [b'{"id":"1"}', b"2"],
            "c",
        ),
        (b'{"data":[],"list_metadata":{"before":null,"after":null,"total":3}}', [], None),
        (b'{"data":[ ]}', [], None),
        (b'{"data":[],"list_metadata":null}', [], None),
        (b"[]", [], None),
        (b' \n[{"id":"1"}]', [b'{"id":"1"}'], None),
        (b'{"id":"1","document_id":"d"}', [b'{"id":"1","document_id":"d"}'], None),
    ],
)
def test_page_is_recognised(body: bytes, rows: list[bytes], after: str | None) -> None:
    found = parse_rows_response(body)
    assert (found.experiment_id, found.run_id, found.has_envelope) == (None, None, False)
    assert (found.rows, found.after) == ([*map(Raw, rows)], after)
    assert json.loads(bytes(found.array)) == [*map(json.loads, rows)]


@pytest.mark.parametrize(
    ("rows", "empty"), [(b"[]", True), (b"[ \n]", True), (b"[1]", False), (b"[{}]", False)]
)
def test_is_empty(rows: bytes, *, empty: bool) -> None:
    assert parse_rows_response(b'{"data":' + rows + b"}").is_empty is empty


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (b"", "^the response is not JSON: it is empty$"),
        (b" \n", "^the response is not JSON: it is empty$"),
        (b"null", "does not fit at"),
        (b"1", "Expected `object`, got `int`"),
        (b'"text"', "Expected `object`, got `str`"),
        (b"{}", "holds no jobs: it has neither `content.jobs` nor `data`"),
        (b'{"detail":"Not Found"}', r"begins '\{\"detail\":\"Not Found\"\}'"),
        (b'{"runs":[]}', "these are run records, see load_runs"),
        (b'{"id":"exprun_1","status":"completed"}', "holds no jobs"),
        (b'{"content":null}', "holds no jobs"),
        (b'{"content":{}}', r"does not fit at \$.content: Object missing required field `jobs`"),
        (b'{"content":{"jobs":null}}', r"at \$.content.jobs: Expected `array`, got `null`"),
        (b'{"content":{"jobs":{}}}', r"at \$.content.jobs: Expected `array`, got `object`"),
        (b'{"content":[]}', r"does not fit at \$.content"),
        (b'{"data":{"id":"1"}}', r"at \$.data: Expected `array`, got `object`"),
        (b'{"data":null}', r"at \$.data: Expected `array`, got `null`"),
        (b'{"data":[],"list_metadata":{"after":5}}', r"does not fit at \$.list_metadata.after"),
        (b'{"run_id":5,"content":{"jobs":[]}}', r"does not fit at \$.run_id"),
        (b"<html>", r"not JSON: .*begins '<html>'"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        ("{}".encode("utf-16"), "not JSON"),
        ("{}".encode("utf-16-be"), "not JSON"),
        ("{}".encode("utf-32"), "not JSON"),
        (b'{"content":{"jobs":[]},"x":"\xff"}', "invalid start byte"),
        (b'{"content":{"jobs":[]},"x":"\xed\xa0\x80"}', "invalid continuation byte"),
        (b'{"content":{"jobs":[]},"x":"\xc0\x80"}', "invalid start byte"),
        (b'{"content":{"jobs":[]}} {}', "not JSON"),
        (b"{'content':{'jobs':[]}}", "not JSON"),
        (b'{"content":{"jobs":[]},}', "not JSON"),
        (b'{"content":{"jobs":[,]}}', "not JSON"),
    ],
)
def test_malformed_response(body: bytes, match: str) -> None:
    with pytest.raises(rf.MalformedResponseError, match=match) as caught:
        rf.read_content(body)
    assert type(caught.value) is rf.MalformedResponseError
    # nothing of a library below shows through
    assert caught.value.__context__ is None


# What surrounds the rows is looked at by itself

ROWS = b'[{"id":"1","document_id":"d"},{"id":"2","document_id":"e"}]'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"experiment_id":"e","run_id":"r","content":{"jobs":', b"}}"),
        (
            b' {"run_id":"r","x":[{"data":[]}],"experiment_id":"e","content" : {"jobs"\n:\t',
            b" }\n} ",
        ),
        (b'{"content":{"jobs":', b'},"run_id":"r","experiment_id":"e"}'),
        (b'{"content":{"jobs":', b'},"run_id":"r","experiment_id":"e","x":{"y":[1]}}'),
        (b'{"experiment_id":"e","run_id":"r","content":{"jobs":', b',"x":[1]}}'),
        (b'{"experiment_id":"e","run_id":"r","content":{"jobs":', b'},"x":{"y":[]}}'),
        (b'{"experiment_id":"e","run_id":"r","content":{"jobs":', b',"x":"] [ ]}}"}}'),
        (b'{"experiment_id":"e","run_id":"r","content":{"jobs":[]},"content":{"jobs":', b"}}"),
        (
            b'{"run_id":"r","experiment_id":"e","x":{"content":{"jobs":[]}},"content":{"jobs":',
            b"}}",
        ),
        (
            b'{"run_id":"r","x":"\\"content\\":{\\"jobs\\":[","experiment_id":"e","content":{"jobs":',
            b"}}",
        ),
        (b'{"run_id":"r","experiment_id":"e","x":"%b","content":{"jobs":' % (b"x" * 9_000), b"}}"),
    ],
)
def test_the_rows_are_where_they_belong(before: bytes, after: bytes) -> None:
    found = parse_rows_response(before + ROWS + after)
    assert (found.experiment_id, found.run_id, found.after) == ("e", "r", None)
    assert (found.has_envelope, found.is_empty) == (True, False)
    assert join_array(found.rows) == ROWS
    assert bytes(found.array) == ROWS
    assert rf.read_content(before + ROWS + after).jobs["job_id"].tolist() == ["1", "2"]


def test_a_run_that_is_named_twice() -> None:
    body = b'{"experiment_id":"e","run_id":"r","content":{"jobs":%b},"run_id":"s","x":{"y":[]}}'
    assert parse_rows_response(body % ROWS).run_id == "s"
    with pytest.raises(rf.MalformedResponseError, match="names its run or experiment twice"):
        rf.read_content(body % ROWS)


@pytest.mark.parametrize(
    "body",
    [
        b'{"experiment_id":"e","run_id":"r","content":{"jobs":%b}}',
        b'{"experiment_id":"e","run_id":"r","content":{"jobs":%b},"x":{"y":[]}}',
        b'{"content":{"jobs":%b},"experiment_id":"e","run_id":"r"}',
    ],
)
def test_rows_that_are_checked_later_are_the_same(body: bytes) -> None:
    checked, later = (parse_rows_response(body % ROWS, check_rows=now) for now in (True, False))
    assert (checked.run_id, later.run_id) == ("r", "r")
    assert later.rows == checked.rows


def test_rows_that_are_checked_later_and_are_not_json() -> None:
    body = b'{"experiment_id":"e","run_id":"r","content":{"jobs":[{"id":}]}}'
    later = parse_rows_response(body, check_rows=False)
    with pytest.raises(rf.MalformedResponseError, match="the response is not JSON"):
        _ = later.rows
    with pytest.raises(rf.MalformedResponseError, match="the response is not JSON"):
        parse_rows_response(body)


def test_a_page_with_an_array_behind_its_rows() -> None:
    found = parse_rows_response(b'{"data":%b,"list_metadata":{"after":"c"},"x":[1]}' % ROWS)
    assert (found.after, join_array(found.rows)) == ("c", ROWS)


def test_the_last_of_two_keys_counts() -> None:
    body = b'{"content":{"jobs":%b},"content":{"jobs":[]}}' % ROWS
    assert parse_rows_response(body).is_empty
    assert parse_rows_response(body).rows == []


def test_where_is_the_path() -> None:
    with pytest.raises(rf.MalformedResponseError) as caught:
        parse_rows_response(b'{"content":{"jobs":null}}')
    assert caught.value.where == "$.content.jobs"


@pytest.mark.parametrize(
    "value",
    [
        *("NaN", "Infinity", "-Infinity", "nan", "01", "1.", ".5", "+1", "0x10", "-", "1e"),
        *("'a'", '"\\x"', '"\\u12"', '"\\ud800"', '"\\udc00\\ud800"', '"a\nb"', '"a\x00b"', "True"),
    ],
)
@pytest.mark.parametrize(
    "fields",
    [
        '"status":%s',
        '"duration_ms":%s',
        '"error":%s',
        '"novel":%s',
        '"attempt":"odd","novel":%s',
        '"lifecycle":{"details":%s}',
        '"handle_inputs":{"h":{"type":"json","data":%s}}',
    ],
)
def test_no_json_anywhere(fields: str, value: str) -> None:
    with pytest.raises(rf.MalformedResponseError, match="the response is not JSON"):
        rf.read_content(around(fields.replace("%s", value)))


# Cut bodies: a whole one is an object or an array, so that no part of it is one


@pytest.mark.parametrize(
    "body",
    [
        DOCUMENTED,
        encoded(content(RICH, job(2))),
        encoded(page(RICH, job(2), after="expjob_2")),
        encoded([RICH]),
        encoded(RICH),
    ],
    ids=["documented", "content", "page", "array", "job"],
)
def test_every_cut_is_refused(body: bytes) -> None:
    assert len(rf.read_content(body).jobs) >= 1
    for length in range(len(body)):
        with pytest.raises(rf.MalformedResponseError, match="not JSON"):
            rf.read_content(body[:length])


# Nesting: whatever the depth, read or refused

DEEP = [
    '"novel":%s',
    '"error":%s',
    '"attempt":%s',
    '"attempt":"odd","novel":%s',
    '"handle_inputs":{"h":{"type":"json","data":%s}}',
    '"handle_inputs":{"h":[%s]}',
    '"timing":[%s]',
]


def nested(depth: int, opening: str, closing: str) -> str:
    return f"{opening * depth}1{closing * depth}"


@pytest.mark.parametrize("fields", DEEP)
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_json_is_exact(fields: str, opening: str, closing: str) -> None:
    body = around(fields.replace("%s", nested(64, opening, closing)))
    assert rf.read_content(body).raw["body"].tolist() == [body[body.index(b'{"id"') : -3].decode()]


@pytest.mark.parametrize("fields", DEEP)
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("depth", [DEEPEST, 20_000, 500_000])
def test_too_deep_is_refused(fields: str, opening: str, closing: str, depth: int) -> None:
    with pytest.raises(rf.MalformedResponseError, match="nested too deep"):
        rf.read_content(around(fields.replace("%s", nested(depth, opening, closing))))


@pytest.mark.parametrize("fields", DEEP)
def test_depth_at_the_limit_is_read_or_refused(fields: str) -> None:
    """The stack left differs by stage: one may read what the next refuses."""
    refused = []
    depths = range(DEEPEST - 200, DEEPEST)
    for depth in depths:
        try:
            rf.read_content(around(fields.replace("%s", nested(depth, "[", "]"))))
        except rf.MalformedResponseError:
            refused.append(depth)
    assert refused == list(depths)[-len(refused) :]


CHILD = """
import sys
import retab_frames as rf
sys.setrecursionlimit(10**6)
body = sys.stdin.buffer.read()
try:
    rf.read_content(body)
except rf.MalformedResponseError as error:
    print(error)
"""


def test_too_deep_is_refused_whatever_the_recursion_limit() -> None:
    """The decoder recurses in C, where no limit of Python's may mean a crash."""
    body = around(f'"novel":{nested(300_000, "[", "]")}')
    done = subprocess.run(
        [sys.executable, "-c", CHILD], input=body, capture_output=True, check=True
    )
    assert b"nested too deep" in done.stdout


# Listings of runs and experiments


@pytest.mark.parametrize(
    ("body", "records", "after"),
    [
        (b'[{"id":"1"},{"id":"2"}]', [{"id": "1"}, {"id": "2"}], None),
        (b'{"runs":[{"id":"1"}]}', [{"id": "1"}], None),
        (b'{"data":[{"id":"1"}],"list_metadata":{"after":"1"}}', [{"id": "1"}], "1"),
        (b'{"data":[]}', [], None),
    ],
)
def test_listing(body: bytes, records: list[dict[str, str]], after: str | None) -> None:
    found = parse_records(body)
    assert found == RecordsResponse(records, after)
    assert found.is_empty is (records == [])


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (b"{}", "holds no records"),
        (b"[1]", r"listing does not fit at \$\[0\]: Expected `object`, got `int`"),
        (b'{"runs":null}', r"at \$.runs: Expected `array`, got `null`"),
        (b'{"data":[null]}', r"the listing does not fit at \$.data\[0\]"),
        (b'[{"id":"1"}', "the listing is not JSON"),
        (b'[{"id":NaN}]', "the listing is not JSON"),
        (b'{"id":' + b"[" * 5 * DEEPEST, "nested too deep"),
    ],
)
def test_malformed_listing(body: bytes, match: str) -> None:
    with pytest.raises(rf.MalformedResponseError, match=match):
        parse_records(body)
