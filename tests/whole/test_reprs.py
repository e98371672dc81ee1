"""What a notebook shows of each object: the words of its repr, and nothing that documents bring."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from factories import JsonObject, content, job

import retab_frames as rf

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
TAGS = {"div", "b", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "p"}


class Tags(HTMLParser):
    """Collects the tags and the attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def payload(run_id: str, status: str = "completed") -> JsonObject:
    hostile = job(
        run_id=run_id,
        status=status,
        document_id=HOSTILE,
        error=HOSTILE,
        duration_ms=10,
        handle_inputs={"input-file": {"type": "file", "filename": HOSTILE}},
    )
    return content(hostile, run_id=run_id)


@pytest.fixture
def contents() -> list[rf.RunContent]:
    return [
        rf.read_content(payload("run_1")),
        rf.read_content(payload("run_2", "error")),
        rf.read_content(payload(HOSTILE)),
    ]


def test_nothing_that_a_document_says_is_markup(
    contents: list[rf.RunContent], tmp_path: Path
) -> None:
    store = rf.SnapshotStore(tmp_path / "store")
    written = [store.write(content) for content in contents]
    shown: list[Any] = [
        *contents,
        *written,
        store,
        rf.compare_runs(*contents[:2]),
        rf.compare_many(contents),
        rf.trend(contents),
    ]

    pages = [one._repr_html_() for one in shown]

    assert [Tags(page).tags - TAGS for page in pages] == [set()] * len(pages)
    assert [Tags(page).attributes - {"style"} for page in pages] == [set()] * len(pages)
    assert all("run_1" in page or "run_2" in page or "script" in page for page in pages)


def test_a_content_shows_its_first_jobs(contents: list[rf.RunContent]) -> None:
    page = contents[1]._repr_html_()

    assert "1 error" in page
    assert "10 ms" in page


def test_a_store_shows_its_runs(contents: list[rf.RunContent], tmp_path: Path) -> None:
    store = rf.SnapshotStore(tmp_path)
    assert "SnapshotStore" in store._repr_html_()

    for n in range(12):
        store.write(rf.read_content(payload(f"run_{n:02}")))

    assert "12 runs, the last 10 of them above" in store._repr_html_()
    assert "created" in store.write(contents[0])._repr_html_()
