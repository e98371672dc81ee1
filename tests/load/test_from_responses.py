from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from factories import (
    DEEPEST,
    DOCUMENTED,
    DOCUMENTED_JOB,
    JsonObject,
    content,
    encoded,
    job,
    page,
    rows_of,
)

import retab_frames as rf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Model:
    """Holds JSON the way a pydantic model of an SDK does."""

    def __init__(self, value: JsonObject) -> None:
        self.value = value

    def model_dump(self, *, mode: str) -> JsonObject:
        assert mode == "json"
        return self.value


class Page:
    """Iterates over its rows, as an SDK's page does."""

    def __init__(self, *rows: object) -> None:
        self.rows = rows

    def __iter__(self) -> Any:
        return iter(self.rows)


SAMPLE: JsonObject = json.loads(DOCUMENTED)
ROW: JsonObject = SAMPLE["content"]["jobs"][0]


@pytest.mark.parametrize(
    "source",
    [
        SAMPLE,
        DOCUMENTED,
        bytearray(DOCUMENTED),
        memoryview(DOCUMENTED),
        DOCUMENTED.decode(),
        f"\n {DOCUMENTED.decode()}\n",
        json.dumps(SAMPLE, indent=2),
        [SAMPLE],
        Model(SAMPLE),
        page(ROW),
        [page(ROW)],
        (page(ROW),),
        [encoded(page(ROW))],
        [encoded(page(ROW)).decode()],
        [Model(page(ROW))],
        [ROW],
        [Model(ROW)],
        Page(ROW),
        Page(Model(ROW)),
        ROW,
        encoded(ROW),
        encoded([ROW]),
        Model(ROW),
        {"data": [Model(ROW)]},
    ],
    ids=lambda source: type(source).__name__,
)
def test_source(source: object) -> None:
    found = rf.read_content(source)
    assert rows_of(found.jobs) == [DOCUMENTED_JOB]
    assert json.loads(found.raw["body"][0]) == ROW
    assert (found.experiment_id, found.run_id, found.complete) == ("exp_abc", "exprun_1", True)


def test_path(tmp_path: Path) -> None:
    file = tmp_path / "content.json"
    file.write_bytes(DOCUMENTED)
    assert rows_of(rf.read_content(file).jobs) == [DOCUMENTED_JOB]


def test_paths_of_pages(tmp_path: Path) -> None:
    files = [tmp_path / "1.json", tmp_path / "2.json"]
    for file, one in zip(files, (page(job(1), after="c"), page(job(2))), strict=True):
        file.write_bytes(encoded(one))
    assert rf.read_content(files).jobs["job_id"].tolist() == ["expjob_1", "expjob_2"]


def test_generator_of_pages() -> None:
    found = rf.read_content(page(job(n), after=f"expjob_{n}" if n < 3 else None) for n in (1, 2, 3))
    assert found.jobs["job_id"].tolist() == ["expjob_1", "expjob_2", "expjob_3"]
    assert found.complete


def test_mixed_forms_of_pages() -> None:
    pages = [page(job(1)), encoded(page(job(2))), Model(page(job(3))), encoded([job(4)]).decode()]
    assert rf.read_content(pages).jobs["job_id"].tolist() == [f"expjob_{n}" for n in (1, 2, 3, 4)]


def test_source_is_not_changed() -> None:
    source = content(job(1, handle_inputs={"h": {"type": "json", "data": [1.5]}}))
    before = json.dumps(source)
    rf.read_content(source)
    assert json.dumps(source) == before


def test_bytes_are_kept_and_dicts_encoded_once() -> None:
    body = b'{"id":"1","run_id":"r","experiment_id":"e","document_id":"d",  "novel":1.50}'
    assert rf.read_content(body).raw["body"].tolist() == [body.decode()]
    decoded = json.loads(rf.read_content(json.loads(body)).raw["body"][0])
    assert decoded == json.loads(body)


def test_python_values_in_a_dict() -> None:
    moment = datetime(2026, 5, 2, 12, tzinfo=UTC)
    found = rf.read_content(content(job(1, created_at=moment, attempt=2**60 + 1, status="é\x00")))
    [row] = rows_of(found.jobs)
    assert (row["created_at"], row["attempt"], row["status"]) == (moment, 2**60 + 1, "é\x00")


# What is no source


@pytest.mark.parametrize("text", ["content.json", "", "  ", "/data/run.json", "null", "5"])
def test_text_that_is_no_json(text: str) -> None:
    with pytest.raises(
        rf.MalformedResponseError, match=r"text is read as JSON, .* for a file give a pathlib\.Path"
    ):
        rf.read_content(text)


def test_text_with_a_lone_surrogate() -> None:
    with pytest.raises(rf.MalformedResponseError, match="not valid Unicode"):
        rf.read_content('{"id":"\ud800"}')


def circular() -> JsonObject:
    source = content(job(1))
    source["self"] = source
    return source


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("source", "match"),
    [
        (content(job(1, duration_ms=float("nan"))), "source is not JSON: .*not JSON compliant"),
        (content(job(1, duration_ms=float("inf"))), "source is not JSON: .*not JSON compliant"),
        (content(job(1, error={"x": [float("-inf")]})), "source is not JSON"),
        (content(job(1, status="\ud800")), "source is not JSON"),
        (content(job(1, score=Decimal("1.5"))), "Decimal is not JSON"),
        (content(job(1, data=b"x")), "bytes is not JSON"),
        (content(job(1, data={1, 2})), "set is not JSON"),
        (content(job(1, data={(1, 2): 3})), "source is not JSON: keys must be"),
        (circular(), "source is not JSON: Circular reference"),
        (content(job(1, data=deep(5 * DEEPEST))), "source is not JSON"),
    ],
)
def test_dict_that_is_no_json(source: object, match: str) -> None:
    with pytest.raises(rf.MalformedResponseError, match=match) as caught:
        rf.read_content(source)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("source", [None, 5, 1.5, True, object(), Model, [None], [5], [page(), 5]])
def test_no_source(source: object) -> None:
    with pytest.raises(TypeError, match="expected a dict, JSON text or bytes, a path, pages"):
        rf.read_content(source)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        rf.read_content(tmp_path / "none.json")


def test_run_records_are_told() -> None:
    with pytest.raises(rf.MalformedResponseError, match="these are run records, see load_runs"):
        rf.read_content({"runs": [{"id": "exprun_1"}]})


# Many runs


def two_runs() -> list[JsonObject]:
    """Return four pages of two runs, in turns."""
    rows = [job(n, run_id=f"exprun_{1 + n % 2}") for n in range(4)]
    return [page(row) for row in rows]


def test_pages_are_grouped_by_run() -> None:
    found = list(rf.read_contents(two_runs()))
    assert [(one.run_id, one.jobs["job_id"].tolist()) for one in found] == [
        ("exprun_1", ["expjob_0", "expjob_2"]),
        ("exprun_2", ["expjob_1", "expjob_3"]),
    ]


@pytest.mark.parametrize("form", [encoded, Model, lambda one: encoded(one).decode()])
def test_pages_in_any_form_are_grouped_by_run(form: Callable[[JsonObject], object]) -> None:
    found = rf.read_contents(form(one) for one in two_runs())
    assert [one.run_id for one in found] == ["exprun_1", "exprun_2"]


def test_newer_name_of_the_run_groups_too() -> None:
    rows: list[JsonObject] = []
    for n in range(4):
        row = job(n, experiment_run_id=f"exprun_{1 + n % 2}")
        del row["run_id"]
        rows.append(row)
    found = list(rf.read_contents(page(row) for row in rows))
    assert [(one.run_id, len(one.jobs)) for one in found] == [("exprun_1", 2), ("exprun_2", 2)]


def test_each_content_is_a_run() -> None:
    responses = [content(job(1)), content(job(2)), content(job(3, run_id="x"), run_id="x")]
    found = list(rf.read_contents(responses))
    assert [(one.run_id, one.jobs["job_id"].tolist()) for one in found] == [
        ("exprun_1", ["expjob_1"]),
        ("exprun_1", ["expjob_2"]),
        ("x", ["expjob_3"]),
    ]


def test_folder_is_read_by_name(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(DOCUMENTED)
    (tmp_path / "a.json").write_bytes(encoded(page(job(2, run_id="exprun_2"), after="c")))
    (tmp_path / "c.json").write_bytes(encoded(page(job(3, run_id="exprun_2"))))
    (tmp_path / "notes.txt").write_text("no response", encoding="utf-8")
    found = list(rf.read_contents(tmp_path, workflow_id="wf_1"))
    assert [(one.run_id, one.jobs["job_id"].tolist()) for one in found] == [
        ("exprun_2", ["expjob_2", "expjob_3"]),
        ("exprun_1", ["expjob_1"]),
    ]
    assert {name for one in found for name in one.jobs["workflow_id"]} == {"wf_1"}


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (b"", r"^b\.json: the response is not JSON: it is empty$"),
        (b"<html>", r"^b\.json: the response is not JSON: .*begins '<html>'$"),
        (b'{"runs":[]}', r"^b\.json: the response holds no jobs"),
        (b"[\xff]", r"^b\.json: the response is not JSON"),
    ],
)
def test_the_file_that_cannot_be_read_is_named(tmp_path: Path, body: bytes, match: str) -> None:
    (tmp_path / "a.json").write_bytes(DOCUMENTED)
    (tmp_path / "b.json").write_bytes(body)
    for read in (
        lambda: list(rf.read_contents(tmp_path)),
        lambda: rf.read_content(tmp_path / "b.json"),
    ):
        with pytest.raises(rf.MalformedResponseError, match=match) as caught:
            read()
        assert caught.value.__context__ is None


def test_the_run_whose_rows_cannot_be_read_is_named() -> None:
    bad = content({**job(2), "id": None}, run_id="exprun_2")
    with pytest.raises(
        rf.MalformedResponseError, match=r"^run exprun_2: row 0 has no `id`"
    ) as caught:
        list(rf.read_contents([content(job(1)), bad]))
    assert caught.value.__context__ is None


def test_folder_without_responses(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no \.json file in"):
        list(rf.read_contents(tmp_path))


def test_page_of_two_runs_raises() -> None:
    with pytest.raises(rf.MalformedResponseError, match="is of run exprun_2, not of exprun_1"):
        list(rf.read_contents([page(job(1), job(2, run_id="exprun_2"))]))


def test_no_sources_give_nothing() -> None:
    assert list(rf.read_contents([])) == []
