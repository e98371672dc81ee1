from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from factories import arrow, jobs_of, seconds, texts
from hypothesis import given, settings, strategies as st
from pandas.testing import assert_frame_equal

import retab_frames as rf
from retab_frames.stats.failures import MAX_MESSAGE_CHARS, MAX_TEMPLATE_CHARS, make_templates

if TYPE_CHECKING:
    from random import Random

    import pandas as pd


def template(message: str) -> str:
    found: str = make_templates(pa.array([message]))[0].as_py()
    return found


def failed_jobs(*messages: str | None, **columns: pd.Series[Any]) -> pd.DataFrame:
    count = len(messages)
    plain = {"status": texts(*["error"] * count), "error_message": texts(*messages)}
    return jobs_of([None] * count, **plain | columns)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Model answered with 28488 tokens (request req_xswMyMDEVB9A)",
         "Model answered with <n> tokens (request <id>)"),
        ("expdoc_vDM0R9icXmPjBqo- has no text", "<id> has no text"),
        ("line_items[4].unit_price must be set", "line_items[<n>].unit_price must be set"),
        ("Could not read gs://b/expdoc_x1/page_19.png: HTTP 503, 3 tries",
         "Could not read <url>: HTTP 503, <n> tries"),
        ("status: 429, status code 500, code 12", "status: 429, status code 500, code 12"),
        ("HTTP/1.1 404 Not Found", "HTTP/<n> 404 Not Found"),
        ("can't open 'a/b c.pdf' since it isn't there",
         "can't open <text> since it isn't there"),
        ("the documents' size '5 MB' is over 4.5 MB", "the documents' size <text> is over <n> MB"),
        ('"a \\" b" “c” «d» \N{LEFT SINGLE QUOTATION MARK}e\N{RIGHT SINGLE QUOTATION MARK} `f`',
         "<text> <text> <text> <text> <text>"),
        ("sent to jane.doe+x@mail.example.com now", "sent to <email> now"),
        ("at 2026-09-29T08:18:50.329Z, 2026-09-29 08:18:50 +0200, 08:18:50 and 2026-09-29",
         "at <time>, <time>, <time> and <time>"),
        ("no /var/lib/x.y/z. Next ./a/b and/or C:\\Users\\x",
         "no <path>. Next <path> and/or <path>"),
        ("Rechnungsübersicht_3.PDF is broken", "<path> is broken"),
        ("a 550e8400-e29b-41d4-a716-446655440000 deadbeef12 0xFF 9f86d081884c7d65",
         "a <id> <id> <id> <id>"),
        ("12s, 45%, 1e-5, 1,234.5, 123456789012345", "<n>s, <n>%, <n>, <n>, <n>"),
        ("RATE_LIMIT_EXCEEDED in utf8 on page2", "RATE_LIMIT_EXCEEDED in utf8 on page2"),
        ("see (https://x.example/a?b=1#c).", "see (<url>)."),
        ("第3页为空", "第<n>页为空"),
        ("  a \n\t b ", "a b"),
    ],
)  # fmt: skip
def test_what_is_masked(message: str, expected: str) -> None:
    assert template(message) == expected


@pytest.mark.parametrize(
    "message",
    [
        "429 Too Many Requests", "500 Internal Server Error", "503 - Service Unavailable",
        "404 Client Error: Not Found", "Too Many Requests (429)", "503 error", "a 502 response",
        "HTTPError: 502", "HTTP 503", "status=429", "http_status: 503",
        "statusCode: 500", "Error code: 404 - gone", "rate limited (429)", "[503] upstream", "429",
        "error 504", "error 504 while reading", "returned 500", "responded with 503 from upstream",
        "exited with code 137", "exit code 1", "exited with 139", "exitCode: 2", "exit code -9",
        "returned non-zero exit status 1", "exit code 0xC0000005", "exception 0xC0000005",
        "signal 9", "died with signal 11 (core dumped)", "SIGKILL (9)",
        "errno 28", "[Errno 28] No space left on device", "[WinError 5] Access is denied",
        "SQLSTATE 23505", "SQLSTATE[42P01]: no relation", "ORA-00942: no table",
        "MySQL error 1213: Deadlock", "grpc code 14", "rpc error: code = 14 desc = x",
        "code 5, code 7, status 3",
    ],
)  # fmt: skip
def test_codes_say_what_failed_and_are_not_masked(message: str) -> None:
    assert template(message) == message
    assert template(template(message)) == message


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("HTTP/2 502", "HTTP/<n> 502"),
        ("500 pages", "<n> pages"),
        ("404 pages not found", "<n> pages not found"),
        ("took 429 ms", "took <n> ms"),
        ("429 ms", "<n> ms"),
        ("limit of 400", "limit of <n>"),
        ("over the limit (500)", "over the limit (<n>)"),
        ("too many pages (500)", "too many pages (<n>)"),
        ("Error: 500 pages are too many", "Error: <n> pages are too many"),
        ("ValueError: 3 rows", "ValueError: <n> rows"),
        ("500 errors", "<n> errors"),
        ("returned 500 rows", "returned <n> rows"),
        ("got 503 tokens", "got <n> tokens"),
        ("answered with 429 tokens", "answered with <n> tokens"),
        ("amount 429.00", "amount <n>"),
        ("error 0.5 %", "error <n> %"),
        ("error 08:18:50", "error <time>"),
        ("error 2026-09-29", "error <time>"),
        ("code 12345678", "code <n>"),
        ("zip code 12345 is not valid", "zip code <n> is not valid"),
        ("country_code: 49", "country_code: <n>"),
        ("page 404 not found", "page <n> not found"),
        ("line 500: bad request", "line <n>: bad request"),
        ("items[404] is missing", "items[<n>] is missing"),
        ("could not decode 12 pages", "could not decode <n> pages"),
        ("INV-2024 is missing", "INV-<n> is missing"),
        ("HTTP 503, 500 ms, 12 tries", "HTTP 503, <n> ms, <n> tries"),
        ("waited 500 s, got 503", "waited <n> s, got 503"),
        ("exit code 1 after 137 s", "exit code 1 after <n> s"),
        ('{"code": 429, "message": "x"}', "{<text>: 429, <text>: <text>}"),
        ("see https://x.example/status/500 (code 7)", "see <url> (code 7)"),
    ],
)
def test_counts_say_how_much_and_are_masked(message: str, expected: str) -> None:
    assert template(message) == expected


def test_failures_with_other_codes_are_counted_apart() -> None:
    messages = ["429 Too Many Requests, 3 tries", "500 Internal Server Error, 3 tries"]
    messages += ["exited with code 137 after 5 s", "exited with code 1 after 7 s"]
    found = rf.failures(failed_jobs(*messages, *[m.replace("3", "4") for m in messages[:2]]))
    assert found["jobs"].tolist() == [2, 2, 1, 1]
    assert found["template"].nunique() == 4


def test_codes_in_long_messages_take_no_longer_than_their_length() -> None:
    short, long = ("error code status 5 " * n + "( [" * n for n in (50, 400))
    assert template(short)[:19] == template(long)[:19] == "error code status 5"


words = st.lists(
    st.from_regex(r"[A-Za-zäé]{1,9}[,:]?", fullmatch=True), min_size=0, max_size=4
).map(" ".join)
token = st.text("ABCdefgh0123-_", min_size=10, max_size=20)
variable = {
    "an id": token.map(lambda text: f"expdoc_{text}9"),
    "a request": token.map(lambda text: f"req_{text}X"),
    "a UUID": st.uuids().map(str),
    "a hash": st.binary(min_size=16, max_size=16).map(lambda b: f"{b.hex()}a1"),
    "a number": st.integers(0, 10**20).map(str) | st.floats(0, 1e6).map(lambda x: f"{x:.3f}"),
    "a path": st.from_regex(r"(/[a-zA-Z0-9_.-]{0,8}[a-z0-9]){1,4}", fullmatch=True),
    "a file": st.from_regex(r"[\w.-]{1,12}\.(pdf|png|PDF|docx)", fullmatch=True),
    "an URL": st.from_regex(r"(https?|gs)://[a-z0-9./?=&_-]{0,20}[a-z0-9]", fullmatch=True),
    "an address": st.from_regex(r"[a-z0-9.]{1,8}@[a-z]{1,8}\.(com|de)", fullmatch=True),
    "a quotation": st.text("abc /\\5'.", max_size=10).map(lambda text: f'"{text.rstrip(chr(92))}"'),
    "a time": st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z"),
}  # fmt: skip


@settings(deadline=None)
@given(st.data(), st.sampled_from(sorted(variable)), words, words)
def test_messages_that_differ_only_in_it_have_one_template(
    data: st.DataObject, what: str, before: str, after: str
) -> None:
    """Masking takes away which id, number, path, ... a message names, and leaves its words."""
    first, second = (f"{before} {data.draw(variable[what])} {after}" for _ in range(2))

    assert template(first) == template(second)
    assert template(f"{before} and {after}") == " ".join(f"{before} and {after}".split())


@settings(deadline=None)
@given(st.text(max_size=60))
def test_a_template_is_its_own_template(message: str) -> None:
    once = template(message)
    assert len(once) <= MAX_TEMPLATE_CHARS
    assert "\n" not in once
    assert make_templates(pa.array([None, message], pa.string())).to_pylist() == [None, once]


def test_long_messages_are_cut() -> None:
    long = "word " * MAX_MESSAGE_CHARS
    assert template(long + "a") == template(long + "b")
    assert len(template(long)) == MAX_TEMPLATE_CHARS
    assert template(long).endswith("…")


def test_the_names_of_the_job_itself_are_masked_whatever_they_look_like() -> None:
    jobs = failed_jobs(
        "Could not read Invoice ACME Corp, gs://b/acme-final/x for acme-final",
        "Could not read Brief an die Eltern, gs://b/brief-neu/x for brief-neu",
        filename=texts("Invoice ACME Corp", "Brief an die Eltern"),
        document_id=texts("acme-final", "brief-neu"),
    )
    assert rf.failures(jobs)["template"].tolist() == ["Could not read <path>, <url> for <id>"]


def test_worked_by_hand() -> None:
    jobs = failed_jobs(
        "page 3 is blank", None, "page 4 is blank", " ", "page 5 is blank", "odd", None, "fine"
    )
    jobs["status"] = texts(*["error"] * 4, "cancelled", "skipped", "cancelled", "completed")
    jobs["run_id"] = texts("b", "b", "a", *["b"] * 5)
    jobs["document_id"] = texts("d1", "d1", "d1", "d2", *["d3"] * 4)
    found = rf.failures(jobs)

    assert list(found.columns) == [
        *("template", "status", "jobs", "documents", "runs", "share"),
        *("example_document_id", "example_filename", "example_job_id"),
    ]
    assert found.to_numpy().tolist() == [
        ["(no message)", "error", 2, 2, 1, 2 / 7, "d1", "invoice_2.pdf", "expjob_2"],
        ["page <n> is blank", "error", 2, 1, 2, 2 / 7, "d1", "invoice_3.pdf", "expjob_3"],
        ["(no message)", "cancelled", 1, 1, 1, 1 / 7, "d3", "invoice_7.pdf", "expjob_7"],
        ["odd", "skipped", 1, 1, 1, 1 / 7, "d3", "invoice_6.pdf", "expjob_6"],
        ["page <n> is blank", "cancelled", 1, 1, 1, 1 / 7, "d3", "invoice_5.pdf", "expjob_5"],
    ]


def test_placeholders_and_others_are_no_failures() -> None:
    jobs = failed_jobs("a", "b", "c")
    jobs["status"] = texts("error", "running", "paused_by_hand")
    jobs["is_placeholder"] = arrow([True, False, False], pa.bool_())
    found = rf.failures(jobs)

    assert len(found) == 0
    assert_frame_equal(found, rf.failures(failed_jobs("a")).iloc[:0])


def test_groups_are_counted_apart() -> None:
    jobs = failed_jobs("a 1", "a 2", "b", "a 3", run_id=texts("r2", "r1", "r1", "r1"))
    found = rf.failures(jobs, "run_id")

    assert found[["run_id", "template", "jobs", "share"]].to_numpy().tolist() == [
        ["r2", "a <n>", 1, 1],
        ["r1", "a <n>", 2, 2 / 3],
        ["r1", "b", 1, 1 / 3],
    ]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["error", "skipped", "cancelled", "completed"]),
            st.none() | st.sampled_from(["a 1", "a 2", "b"]),
            st.sampled_from(["r1", "r2"]),
        ),
        max_size=20,
    ),
    st.randoms(use_true_random=False),
)
def test_counts_add_up_and_the_order_of_rows_changes_nothing(
    rows: list[tuple[str, str | None, str]], random: Random
) -> None:
    """The rows share out the failed jobs."""
    jobs = failed_jobs(
        *[row[1] for row in rows],
        status=texts(*[row[0] for row in rows]),
        run_id=texts(*[row[2] for row in rows]),
    )
    found = rf.failures(jobs)
    order = random.sample(range(len(rows)), len(rows))

    assert found["jobs"].sum() == sum(row[0] != "completed" for row in rows)
    assert found["share"].sum() == pytest.approx(1 if len(found) else 0)
    assert found["jobs"].is_monotonic_decreasing
    assert (found["documents"] == found["jobs"]).all()
    assert_frame_equal(rf.failures(jobs.iloc[order]), found)


def test_a_frame_without_messages() -> None:
    with pytest.raises(ValueError, match="it lacks the column error_message"):
        rf.failures(jobs_of([1]).drop(columns="error_message"))


def test_failed_jobs_of_the_newest_run_come_first() -> None:
    runs = ["old", "new", None, "new", "old", "undated", "new"]
    status = ["error", "error", "error", "completed", "cancelled", "error", "error"]
    created = [1.0, 9.0, 5.0, 9.0, 2.0, None, 8.0]
    jobs = jobs_of(
        [None] * 7,
        run_id=texts(*runs),
        status=texts(*status),
        created_at=seconds(*created),
        error_message=texts("a", "b", "c", None, "e", "f", "g"),
        error_details=texts(*['{"code": 1}'] * 7),
    )

    found = rf.failed_jobs(jobs)

    assert found["error_message"].tolist() == ["b", "g", "c", "a", "f"]
    assert list(found)[:4] == ["run_id", "document_id", "job_id", "filename"]
    assert list(found)[4:] == ["status", "error_message", "error_details", "completed_at"]
    assert found.dtypes.to_dict() == jobs[list(found)].dtypes.to_dict()
    assert found["job_id"].tolist() == [f"expjob_{n}" for n in (2, 7, 3, 1, 6)]
    turned = jobs.iloc[::-1].set_axis(range(5, 12))
    assert_frame_equal(rf.failed_jobs(turned), found)
    assert_frame_equal(turned.retab.failed_jobs(), found)
    assert rf.failed_jobs(jobs[jobs["status"] == "completed"]).shape == (0, 8)


def test_failed_jobs_need_a_frame_of_jobs() -> None:
    with pytest.raises(ValueError, match="it lacks the column error_details"):
        rf.failed_jobs(failed_jobs("a"))
