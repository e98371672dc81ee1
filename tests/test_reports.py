from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pytest
from compare.series import runs_of
from factories import jobs_of, seconds, texts, timed_jobs

import retab_frames as rf
from retab_frames import plots
from retab_frames.plots.images import svg_data_uri
from retab_frames.reports import report
from retab_frames.text import tables

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = [
    "<script>alert(1)</script>.pdf",
    "\"><img src=x onerror='alert(1)'>",
    "--><script>alert(2)</script><!--",
    "]]></style></svg><iframe src='https://example.com'>",
    "javascript:alert(1) & co.pdf",
    "[a](https://example.com) ![b](https://example.com/b.png) @someone | `c` #1",
    "請求書 \U0001f9fe.pdf",
    "a\nb\x00\x1b[31m\u202e.pdf",
    "$\\frac{1}$",
    None,
]
TAGS = {
    "b",
    *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "ul", "li", "section"),
    *("p", "div", "table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "img"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "style", "src", "alt"),
}
VOID = {"meta", "img"}


class Reader(HTMLParser):
    """Collects the tags, attributes and texts of a page, and checks that tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert reader.open == []
    return reader


def hostile_jobs(run: str = "<b>exprun</b>", failed: int = 1) -> pd.DataFrame:
    count = len(HOSTILE)
    status = ["error"] * failed + ["completed"] * (count - failed)
    return jobs_of(
        [1000 + 100 * n for n in range(count)],
        run_id=texts(*[run] * count),
        document_id=texts(*[f"<i>{n}</i>" for n in range(count)]),
        filename=texts(*HOSTILE),
        status=texts(*status),
        error_message=texts(*["<script>alert(3)</script> & more"] * count),
        created_at=seconds(*[0] * count),
        started_at=seconds(*range(count)),
        completed_at=seconds(*[n + 1 for n in range(count)]),
    )


def subjects() -> dict[str, Any]:
    first, second = hostile_jobs(), hostile_jobs("'run' \"2\" <b>", failed=3)
    return {
        "jobs": first,
        "jobs of runs": pd.concat([first, second], ignore_index=True),
        "comparison": rf.compare_runs(first, second),
        "many": rf.compare_many([first, second]),
    }


@pytest.fixture
def content(client: rf.Client) -> rf.RunContent:
    return rf.load_content("wf_sandbox", "exp_invoices", run_id="exprun_invoices_4", client=client)


@pytest.mark.parametrize("name", subjects())
def test_a_page_holds_nothing_but_its_own_tags(name: str, tmp_path: Path) -> None:
    page = read(report(subjects()[name], tmp_path / "a.html", title="<script>title</script>"))
    assert page.tags <= TAGS
    assert {key for key, _ in page.attributes} <= ATTRIBUTES
    assert "img" in page.tags
    assert any("<script>title</script>" in text for text in page.texts)


@pytest.mark.parametrize("name", subjects())
def test_a_page_loads_nothing(name: str, tmp_path: Path) -> None:
    page = read(report(subjects()[name], tmp_path / "a.html"))
    sources = [value or "" for key, value in page.attributes if key == "src"]
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert not [
        value for key, value in page.attributes if key == "style" and "url(" in (value or "")
    ]
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:") in [
        (key, value) for key, value in page.attributes
    ]


def test_a_page_shows_the_plots_of_its_subject(tmp_path: Path) -> None:
    jobs = subjects()["jobs"]
    page = read(report(jobs, tmp_path / "a.html"))
    images = [value for key, value in page.attributes if key == "src"]
    assert images == [
        svg_data_uri(plots.durations(jobs)),
        svg_data_uri(plots.ecdf(jobs)),
        svg_data_uri(plots.timeline(jobs)),
    ]
    captions = [value for key, value in page.attributes if key == "alt"]
    assert captions[2] == "When each job waited and ran, and how many did so at a time"


def headings(path: Path) -> list[str]:
    return re.findall(r"<th [^>]*>([^<]*)</th>", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", [*subjects(), "plan", "trend", "run"])
def test_headings_of_tables_are_words(name: str, content: rf.RunContent, tmp_path: Path) -> None:
    runs = runs_of(12, changes={6: 1.5})
    found = subjects() | {"plan": rf.plan(runs), "trend": rf.trend(runs), "run": content}
    shown = headings(report(found[name], tmp_path / "a.html"))
    assert len(shown) > 5
    assert [heading for heading in shown if "_" in heading or "(ms)" in heading] == []


def test_a_report_says_of_what_it_is_and_when_it_was_fetched(tmp_path: Path) -> None:
    first = timed_jobs(("completed", 0, 1, 61)).assign(run_id="exprun_1")
    second = timed_jobs(("running", 7200, 7201, None)).assign(run_id="exprun_2")
    jobs = pd.concat([second, first], ignore_index=True)
    jobs["fetched_at"] = seconds(7320, 7260)
    lines = report(jobs, tmp_path / "a.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "## 2 runs"
    assert lines[2] == (
        "- Began 1970-01-01 00:00 to 1970-01-01 02:00 UTC. "
        "Fetched 1970-01-01 02:01 to 1970-01-01 02:02 UTC."
    )
    start = lines.index("### Runs")
    assert lines[start + 4 : start + 6] == [
        "| exprun\\_1 | 1970-01-01 00:00 | 1970-01-01 00:01 | 1970-01-01 02:01 | 1 | 1 | 0 |",
        "| exprun\\_2 | 1970-01-01 02:00 | - | 1970-01-01 02:02 | 1 | 0 | 1 |",
    ]


def test_a_report_of_many_documents_is_bounded(tmp_path: Path) -> None:
    size, rows = {}, {}
    for count in (500, 1500):
        runs = [one.assign(status=texts(*["completed"] * count)) for one in runs_of(2, count)]
        runs[1]["status"] = texts(*["error"] * (count // 2), *["completed"] * (count // 2))
        path = report(rf.compare_runs(*runs), tmp_path / f"{count}.html")
        text = path.read_text(encoding="utf-8")
        size[count], rows[count] = len(text), text.count("<tr>")
        assert f"and {count // 2 - 50} more; all {count // 2} are in" in text
    assert rows[500] == rows[1500] < 120
    assert size[1500] < 1_000_000


@pytest.mark.parametrize("name", ["comparison", "many"])
def test_a_page_about_a_comparison_is_its_markdown_and_plots(name: str, tmp_path: Path) -> None:
    subject = subjects()[name]
    text = report(subject, tmp_path / "a.md").read_text(encoding="utf-8")
    assert subject.to_markdown() == text
    page = read(report(subject, tmp_path / "a.html"))
    captions = [value for key, value in page.attributes if key == "alt"]
    expected = {
        "comparison": [
            "The duration of each completed document",
            "Each document's duration in the candidate",
        ],
        "many": [
            "The duration of each completed document, the baseline on top",
            "The duration by run",
            "The status of each document in each run",
        ],
    }
    assert len(captions) == len(expected[name])
    for caption, start in zip(captions, expected[name], strict=True):
        assert (caption or "").startswith(start)


@pytest.mark.parametrize("name", subjects())
@pytest.mark.parametrize("ending", ["html", "md"])
def test_an_equal_subject_gives_an_equal_file(name: str, ending: str, tmp_path: Path) -> None:
    first, second = (report(subjects()[name], tmp_path / f"{n}.{ending}") for n in "ab")
    assert first.read_bytes() == second.read_bytes()


FAILED_3_OF_12 = "Failed: 3 of the 12 that completed or failed (25 %, 95 % interval 9 % to 53 %)."


def test_only_errors_are_failures_in_words(tmp_path: Path) -> None:
    status = ["error", *["completed"] * 3, "cancelled", "cancelled", "skipped", None, "odd"]
    jobs = jobs_of([1, None, 3, 4, 5, 6, 7, 8, 9], status=texts(*status))
    jobs["error_message"] = texts("it broke", None, None, None, *["stopped by hand"] * 5)
    text = report(jobs, tmp_path / "jobs.md").read_text(encoding="utf-8")

    assert "9 jobs: 3 completed, 1 failed, 2 cancelled, 1 skipped, 2 other." in text
    assert "Failed: 1 of the 4 that completed or failed (25 %, 95 % interval 5 % to 70 %)." in text
    assert "The most frequent failure (1 of 1): it broke" in text
    assert "Of 1 completed job no duration is known." in text


def test_a_run_of_stopped_jobs_has_no_failures(tmp_path: Path) -> None:
    jobs = jobs_of([1, 2], status=texts("cancelled", "odd"))
    assert "Failed:" not in report(jobs, tmp_path / "jobs.md").read_text(encoding="utf-8")


def test_a_run_is_told_in_words_first(content: rf.RunContent, tmp_path: Path) -> None:
    page = read(report(content, tmp_path / "run.html"))
    text = "\n".join(page.texts)
    stats = rf.duration_stats(content.jobs).iloc[0]
    half = tables.format_duration(stats["p50_ms"])
    assert "exprun_invoices_4 of exp_invoices" in page.texts
    assert "Run exprun_invoices_4 of experiment exp_invoices: complete." in text
    assert "12 jobs: 9 completed, 3 failed." in page.texts
    assert FAILED_3_OF_12 in page.texts
    assert f"Half of the completed jobs took at most {half} (95 % interval: " in text
    assert "from 3.68 s, too few jobs to say up to what" in text
    order = [
        page.texts.index(title)
        for title in ("Run", "Durations of completed jobs", "Failures", "Slowest jobs")
    ]
    assert order == sorted(order)
    slowest = rf.slowest(content.jobs)["filename"].iloc[0]
    assert slowest in page.texts


def test_issues_are_counted_by_kind(tmp_path: Path) -> None:
    row = {
        "id": "expjob_1",
        "experiment_id": "exp_1",
        "experiment_run_id": "exprun_1",
        "document_id": "expdoc_1",
        "block_type": "extract",
        "lifecycle": {"status": "resting"},
        "handle_inputs": {},
    }
    rows = [row, row | {"id": "expjob_2", "document_id": "expdoc_2"}]
    content = rf.read_content({"data": rows, "list_metadata": {}}, workflow_id="wf_1")
    assert len(content.issues)
    page = read(report(content, tmp_path / "run.html"))
    assert "Issues in the API's data" in page.texts
    assert content.issues["problem"].iloc[0] in page.texts


def test_a_comparison_begins_with_its_summary(tmp_path: Path) -> None:
    comparison = subjects()["comparison"]
    title, *told = comparison.summary().splitlines()
    texts_of = read(report(comparison, tmp_path / "a.html")).texts
    assert texts_of[texts_of.index(title, 3) + 1] != title
    for line in told:
        assert line in texts_of
    assert [t for t in texts_of if t in {"broken", "fixed"}] == ["broken", "broken"]


def test_many_runs_begin_with_their_summary(tmp_path: Path) -> None:
    many = subjects()["many"]
    page = report(many, tmp_path / "a.md").read_text(encoding="utf-8")
    title, *told = map(tables.escape_markdown, many.summary().splitlines())
    lines = "\n".join(f"- {line}" for line in told)
    outcome, rest = page.split("\n\n", maxsplit=1)
    assert outcome == "**1 inconclusive**: documents broke in 1 of 1 run."
    assert rest.startswith(f"## {title}\n\n{lines}\n\n### Runs")
    assert "| run |" in page


def test_plans_and_trends_have_a_page_with_a_plot(tmp_path: Path) -> None:
    runs = runs_of(4)
    for found, section in ((rf.plan(runs), "To show 10 %"), (rf.trend(runs), "Runs")):
        page = report(found, tmp_path / "page.html").read_text()
        plot = page.index("data:image/svg+xml")
        assert page.index(f"<h2>{section}</h2>") < plot
        assert page.count("data:image/svg+xml") == 1
        assert report(found, tmp_path / "page.md").read_text() == found.to_markdown()


@pytest.mark.parametrize("name", subjects())
def test_markdown_shows_names_as_they_are(name: str, tmp_path: Path) -> None:
    text = report(subjects()[name], tmp_path / "a.md").read_text(encoding="utf-8")
    assert not re.search(r"(?<!\\)<", text)
    assert not re.search(r"(?<!\\)\]\(", text)
    assert not re.search(r"@\w", text)


def test_markdown_needs_no_matplotlib(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import retab_frames as rf\n"
        "from retab_frames.reports import report\n"
        "from factories import jobs_of\n"
        f"report(jobs_of([1, 2]), {str(tmp_path / 'a.md')!r})\n"
        f"try: report(jobs_of([1, 2]), {str(tmp_path / 'a.html')!r})\n"
        "except rf.MissingExtraError as error: print(error)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd="tests"
    )
    assert "pip install 'retab-frames[plots]'" in told.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["a.md"]


def test_a_report_replaces_one_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("old")
    assert report(jobs_of([1]), str(path)) == path
    assert path.read_text().startswith("## exprun\\_1\n")
    assert [p.name for p in tmp_path.iterdir()] == ["a.md"]


def test_a_report_needs_a_folder_a_known_ending_and_a_subject(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere to write a\.md in"):
        report(jobs_of([1]), tmp_path / "nowhere" / "a.md")
    with pytest.raises(ValueError, match=r"ends in \.html or \.md, not .*a\.pdf"):
        report(jobs_of([1]), tmp_path / "a.pdf")
    with pytest.raises(TypeError, match="or a jobs frame, not dict"):
        report({}, tmp_path / "a.md")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"or a jobs frame, not DataFrame of polars; .*to_pandas"):
        report(pl.from_pandas(jobs_of([1])), tmp_path / "a.md")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"no frame of jobs|not a jobs frame"):
        report(pd.DataFrame({"a": [1]}), tmp_path / "a.md")


def test_a_report_on_a_frame_of_text_is_that_of_the_jobs(tmp_path: Path) -> None:
    jobs = timed_jobs(*[("completed", 0, n, 2 * n) for n in range(5)], ("error", 0, 1, 2))
    jobs["duration_ms"] = range(6)
    text = jobs.astype(str).where(jobs.notna(), "").set_axis(jobs["run_id"], axis=0)
    first, second = (report(one, tmp_path / f"{n}.html") for n, one in enumerate((jobs, text)))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("ending", ["html", "md"])
def test_no_jobs_make_a_report_too(ending: str, tmp_path: Path) -> None:
    text = report(jobs_of([]), tmp_path / f"a.{ending}").read_text(encoding="utf-8")
    assert "0 jobs." in text


def test_a_report_of_many_runs_shows_what_they_are_compared_by(tmp_path: Path) -> None:
    many = rf.compare_many(runs_of(3, 8), measure="queue")

    text = rf.report(many, tmp_path / "queue.html").read_text(encoding="utf-8")

    assert "The time in the queue by run" in text
