from __future__ import annotations

import re
from datetime import time
from decimal import Decimal
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from factories import REAL

from retab_frames.text.messages import printable
from retab_frames.text.tables import (
    escape_html,
    escape_markdown,
    format_count,
    format_duration,
    render_html,
    render_markdown,
    render_terminal,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("ms", "expected"),
    [
        (None, "-"),
        (float("nan"), "-"),
        (0, "0 ms"),
        (87, "87 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (4120, "4.12 s"),
        (9996, "10.0 s"),
        (12_267, "12.3 s"),
        (59_960, "1 min 00 s"),
        (185_000, "3 min 05 s"),
        (3_599_700, "1 h 00 min"),
        (7_800_000, "2 h 10 min"),
        (-381, "-381 ms"),
        (-2630, "-2.63 s"),
        (-61_000, "-1 min 01 s"),
        (-7_860_000, "-2 h 11 min"),
        (59_949, "59.9 s"),
        (59_951, "1 min 00 s"),
        (2**63, "2562047788015 h 13 min"),
        (float("inf"), "∞"),
    ],
)
def test_durations_have_a_unit_and_few_digits(ms: float | None, expected: str) -> None:
    assert format_duration(ms) == expected


def test_numbers_stand_to_the_right_and_null_is_a_dash() -> None:
    frame = pd.DataFrame({"run": ["a", None], "jobs": [7, 120], "delta_ms": [1310.0, None]})

    assert (
        render_terminal(frame)
        == "run  jobs    delta\n---  ----  -------\na       7  +1.31 s\n-     120        -"
    )


def test_the_widest_name_is_cut_in_the_middle() -> None:
    frame = pd.DataFrame({"name": [f"{'n' * 100}.pdf"], "other": ["o" * 20]})

    lines = render_terminal(frame, width=40).splitlines()

    assert max(map(len, lines)) == 40
    assert lines[2] == f"{'n' * 12}…nn.pdf  {'o' * 12}…{'o' * 6}"


LONG = f"exprun_{'0123456789' * 3}abc"


@pytest.mark.parametrize("width", [20, 40, 80])
def test_ids_are_whole_and_columns_that_do_not_fit_are_named(width: int) -> None:
    frame = pd.DataFrame(
        {
            "run_id": [LONG],
            "filename": [f"{'f' * 60}.pdf"],
            **{name: [7] for name in ("jobs", "completed", "error", "cancelled", "skipped")},
        }
    )

    text = render_terminal(frame, width=width, elsewhere="--csv has them")

    lines = text.splitlines()
    assert lines[2].startswith(f"{LONG}  fff")
    if width == 80:
        assert max(map(len, lines)) <= 80
        assert lines[3:] == ["Too wide to show: error, cancelled, skipped; --csv has them"]
        assert ".pdf  " in lines[2]
    else:  # no room for others beside the id: nothing is left out
        assert lines[0].split()[-1] == "skipped"
        assert len(lines) == 3


def test_messages_are_wrapped_and_bounded() -> None:
    message = "the request was refused because it has " + "too " * 40 + "many tokens"
    frame = pd.DataFrame({"run_id": ["r1"], "error_message": [message], "jobs": [1]})

    lines = render_terminal(frame, width=50).splitlines()

    assert lines[2:] == [
        "r1      the request was refused because it       1",
        "        has too too too too too too too too",
        "        too too too too too too too too too",
        "        too too too too too too too too too…",
    ]
    one_word = render_terminal(frame.assign(error_message="x" * 60), width=50).splitlines()
    assert [line.count("x") for line in one_word[2:]] == [36, 24]


def test_without_a_width_nothing_is_cut() -> None:
    texts = {"name": "n" * 300, "error_message": "m " * 300, "run_id": "r" * 300}
    frame = pd.DataFrame({name: [text] for name, text in texts.items()})

    lines = render_terminal(frame, width=None).splitlines()

    assert re.split("  +", lines[2].strip()) == [text.strip() for text in texts.values()]
    assert len(lines) == 3


def test_control_characters_do_not_reach_the_terminal() -> None:
    text = render_terminal(pd.DataFrame({"id\x1b[2J": ["\x1b[31mred\u202e", "a\nb"]}))

    assert text.splitlines()[2:] == [r"\x1b[31mred\u202e", r"a\nb"]
    assert "\x1b" not in text


def test_wide_characters_take_two_columns() -> None:
    frame = pd.DataFrame({"name": ["請求書_2026_09.pdf", "e\u0301te\u0301.pdf"], "n": [1, 2]})

    lines = render_terminal(frame, width=20).splitlines()

    assert lines[2:] == ["請求書_2026…9.pdf  1", "e\u0301te\u0301.pdf            2"]


def test_no_rows_are_told_with_the_columns() -> None:
    assert render_terminal(pd.DataFrame({"a": [], "b": []})) == "(no rows; columns: a, b)"


def test_booleans_and_times_are_words() -> None:
    when = pd.Timestamp("2026-09-01T07:24:55Z")

    assert render_terminal(pd.DataFrame({"ok": [True], "at": [when]})).splitlines()[2] == (
        "yes  2026-09-01 07:24"
    )


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 documents"), (1, "1 document"), (2, "2 documents")]
)
def test_counts_agree_with_their_noun(number: int, expected: str) -> None:
    assert format_count(number, "document") == expected


VALUES = pd.DataFrame(
    {
        "text": pd.array(["a", None], "string[pyarrow]"),
        "share": [0.5, float("nan")],
        "p": [0.0001, 0.0],
        "count": [3, -4],
        "ok": [True, False],
        "at": [pd.Timestamp("2026-09-01T07:24:55Z"), pd.NaT],
        "delta_ms": [61_000, -61_000],
    }
)
CELLS = [
    ["a", "0.50", "0.0001", "3", "yes", "2026-09-01 07:24", "+1 min 01 s"],
    ["-", "-", "0.00", "-4", "no", "-", "-1 min 01 s"],
]


def test_all_three_show_a_value_in_the_same_words() -> None:
    head = ["text", "share", "p", "count", "ok", "at", "delta"]
    lines = [line.strip("| ").split(" | ") for line in render_markdown(VALUES).splitlines()]
    assert lines[0] == head
    assert lines[1] == ["---", "---:", "---:", "---:", "---", "---", "---:"]
    assert lines[2:] == CELLS

    first = render_terminal(VALUES).splitlines()[2]
    assert re.split("  +", first) == CELLS[0]

    page = Cells(render_html(VALUES))
    assert page.rows == [head, *CELLS]


@pytest.mark.parametrize("dtype", ["float64", REAL])
def test_the_missing_end_of_an_interval_says_why(dtype: Any) -> None:
    frame = pd.DataFrame(
        {
            "p90_ms": [4000.0, None],
            "p90_low_ms": [1000.0, None],
            "p90_high_ms": [None, None],
            "ratio": [1.5, None],
            "ratio_low": [None, None],
            "low": [None, None],
        }
    ).astype(dtype)

    lines = [line.strip("| ").split(" | ") for line in render_markdown(frame).splitlines()]

    assert lines[2] == [
        "4.00 s",
        "1.00 s",
        "too few",
        "1.50",
        "too few",
        "-",
    ]
    assert lines[3] == ["-"] * 6


HOSTILE = [
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "</td></tr></table><h1>x",
    "&lt;b&gt;",
    "[link](javascript:alert(1))",
    "![](http://x/y.png)",
    "a|b",
    "`code` *bold* _it_ ~~no~~ # h $m$",
    "back\\slash\\|",
    "@everyone",
    "\x1b[31mred",
    "a\nb\r\u2028c",
    "\u202eevil",
    "see https://evil.example/log-in or FTP://evil.example",
    "(www.evil.example) WWW.evil.example",
    "mailto:me@evil.example, you@evil.example",
    "#12 owner/repo#12 GH-12 gh-12",
    "3fa9bc21d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f owner/repo@deadbeef1",
    ":tada: :white_check_mark: :+1: :100:",
    "[^1] https:\\/\\/evil.example",
    "\x7f\x85\u061c\u200e\u2066\ufeff",
]
LINKS = re.compile(
    r"\w://|www\.|\w@\w|@\w|#\w|GH-\d|\b(?=\d*[a-f])[0-9a-f]{7,40}\b|:[a-z+][\w+]*:|:100:",
    re.IGNORECASE,
)
"""What GitHub makes a link, a mention or an emoji of, in the text of a finished page."""


class Cells(HTMLParser):
    """The tags of a page, and the texts of its table."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.rows: list[list[str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        self.rows[-1][-1] += data


def test_hostile_text_is_text_in_a_page() -> None:
    page = Cells(render_html(pd.DataFrame(dict.fromkeys(HOSTILE[:3], HOSTILE))))

    assert page.tags == {"table", "thead", "tbody", "tr", "th", "td"}
    assert page.attributes == {"style"}
    assert page.rows[0] == HOSTILE[:3]
    assert [row[0] for row in page.rows[1:]] == [printable(text) for text in HOSTILE]
    assert escape_html("<a href='x'>&\"") == "&lt;a href=&#x27;x&#x27;&gt;&amp;&quot;"


def unescaped(text: str) -> str:
    """Return what Markdown shows: without backslashes, and with the character referred to."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text.replace("&#8203;", "\u200b"))


def test_hostile_text_is_text_in_markdown() -> None:
    lines = render_markdown(pd.DataFrame({"name": HOSTILE})).splitlines()

    assert len(lines) == len(HOSTILE) + 2
    for line, text in zip(lines[2:], HOSTILE, strict=True):
        cell = line.removeprefix("| ").removesuffix(" |")
        # nothing that Markdown gives a meaning to stands without a backslash
        assert not re.search(r"[`*_{}\[\]<>|~#&$]", re.sub(r"\\.|&#8203;", "", cell))
        assert unescaped(cell).replace("\u200b", "") == printable(text)
        assert LINKS.findall(unescaped(cell)) == []
    assert [text for text in HOSTILE if LINKS.search(text)] == [
        HOSTILE[5],
        HOSTILE[9],
        *HOSTILE[13:19],
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@me", "@&#8203;me"),
        ("https://a.b", "https:&#8203;//a.b"),
        ("www.a.b", "www&#8203;.a.b"),
        ("#1", "\\#&#8203;1"),
        ("GH-1", "GH-&#8203;1"),
        (
            "2026-09-01 07:24:55, 1234567, exprun_3fa9bc21",
            "2026-09-01 07:24:55, 1234567, exprun\\_3fa9bc21",
        ),
    ],
)
def test_markdown_divides_what_would_become_a_link(text: str, expected: str) -> None:
    assert escape_markdown(text) == expected


@pytest.mark.parametrize(
    ("values", "head", "cell"),
    [
        (pd.array([1500], "int64[pyarrow]"), "took", "1.50 s"),
        (pd.array([None], "string[pyarrow]"), "took", "-"),
        (pd.array(["1 month"], "string[pyarrow]"), "took_ms", "1 month"),
        (pd.array([pd.Timedelta("90 s")], "duration[us][pyarrow]"), "took_ms", "1 min 30 s"),
        ([Decimal("1.10")], "took_ms", "1.10"),
        ([True], "took_ms", "yes"),
        ([time(12, 0, 1)], "took_ms", "12:00:01"),
    ],
)
def test_only_numbers_are_durations_by_their_name(values: Any, head: str, cell: str) -> None:
    lines = render_terminal(pd.DataFrame({"took_ms": values})).splitlines()
    assert [lines[0].strip(), lines[2].strip()] == [head, cell]


@pytest.mark.parametrize("show", [render_terminal, render_markdown, render_html])
def test_frames_without_rows_or_columns_can_be_shown(show: Callable[[pd.DataFrame], str]) -> None:
    assert "one" in show(pd.DataFrame({"one": []}))
    assert isinstance(show(pd.DataFrame()), str)
