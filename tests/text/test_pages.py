from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from retab_frames.text.pages import (
    Page,
    Plot,
    Section,
    render_fragment,
    render_html,
    render_markdown,
    write_file,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_an_interval_stands_beside_its_estimate() -> None:
    frame = pd.DataFrame(
        {
            "p50_ms": [1000.0, 2000.0, 3000.0, None],
            "p50_low_ms": [900.0, None, None, None],
            "p50_high_ms": [1100.0, 2500.0, None, None],
            "rate": [0.25, 0.5, 0.5, 0.5],
            "rate_low": [0.1, 0.2, 0.2, 0.2],
            "rate_high": [0.3, 0.7, 0.7, 0.7],
            "below": [1, 2, 3, 4],
        }
    )
    table = render_markdown(Page("a", ["b"], [Section("c", [frame])]))
    assert table == (
        "## a\n\n- b\n\n### c\n\n| median | rate | below |\n| ---: | ---: | ---: |\n"
        "| 1.00 s (900 ms to 1.10 s) | 25 % (10 % to 30 %) | 1 |\n"
        "| 2.00 s (up to 2.50 s) | 50 % (20 % to 70 %) | 2 |\n"
        "| 3.00 s (too few jobs to say) | 50 % (20 % to 70 %) | 3 |\n"
        "| - | 50 % (20 % to 70 %) | 4 |\n\n"
        "An interval with one end, such as “from 5 s”: too few jobs to say where the other end "
        "is.\n"
    )


def test_long_tables_are_cut_and_say_so() -> None:
    page = Page("a", [], [Section("b", [pd.DataFrame({"n": range(250)})])])
    assert "and 230 more" in render_markdown(page)
    assert render_markdown(page).count("\n| ") == 22
    assert "and 200 more" in render_html(page)
    assert render_html(page).count("<td") == 50
    assert "<p>and 230 more</p>" in render_fragment(page)
    assert render_fragment(page).count("<td") == 20


def test_a_table_that_is_cut_says_where_all_rows_are() -> None:
    page = Page("a", [], [Section("b", [pd.DataFrame({"n": range(60)})], "`stats` (shell)")])
    assert "<p>and 10 more; all 60 are in `stats` (shell)</p>" in render_html(page)
    assert "\n\nand 40 more; all 60 are in \\`stats\\` (shell)\n" in render_markdown(page)


def test_paper_has_numbered_pages_and_headings_on_each() -> None:
    style = render_html(Page("a", [], [])).partition("<style>")[2].partition("</style>")[0]
    printed = style.partition("@media print")[2]
    assert re.search(r"@page \{[^@]*@bottom-right \{[^}]*counter\(page\)", style)
    assert "thead { display: table-header-group; }" in printed
    assert "color-scheme: light;" in printed
    assert "word-break" not in style
    # words of a page are whole; only the ids, which may be longer than a page is wide, are not
    assert re.findall(r"([^\n{]*)\{[^}]*overflow-wrap: anywhere", printed) == [
        '  td[style$="anywhere"] '
    ]


def test_sections_with_nothing_to_show_are_left_out() -> None:
    no_rows = pd.DataFrame({"a": []})
    page = Page(
        "a", [], [Section("empty", []), Section("rowless", [no_rows]), Section("full", ["b"])]
    )
    for text in (render_html(page), render_fragment(page), render_markdown(page)):
        assert "empty" not in text
        assert "rowless" not in text
        assert "full" in text
    assert "<p>b</p>" in render_html(page)
    assert render_fragment(page) == ("<div><b>a</b><ul></ul>\n<p><b>full</b></p>\n<p>b</p>\n</div>")
    assert render_markdown(page) == "## a\n\n### full\n\nb\n"


def draw_never() -> str:
    raise AssertionError("this plot is not shown")


def test_a_plot_is_an_image_with_a_caption() -> None:
    plot = Plot(lambda: "data:image/svg+xml;base64,AAAA", 'told "so" & <b>')
    caption = "told &quot;so&quot; &amp; &lt;b&gt;"
    assert (
        f'<figure><img src="data:image/svg+xml;base64,AAAA" alt="{caption}">'
        f"<figcaption>{caption}</figcaption></figure>"
    ) in render_html(Page("a", [], [Section("b", [plot])]))


def test_only_an_html_file_draws_plots() -> None:
    page = Page("a", ["b"], [Section("plot", [Plot(draw_never, "c")]), Section("d", ["e"])])
    assert "plot" not in render_markdown(page)
    assert "plot" not in render_fragment(page)
    with pytest.raises(AssertionError, match="not shown"):
        render_html(page)


def test_a_plot_is_added_to_its_section_or_to_a_new_one() -> None:
    page = Page("a", [], [Section("b", ["c"]), Section("d", ["e"])])
    plot = Plot(draw_never, "f")
    assert page.with_plot("b", plot).sections == [Section("b", ["c", plot]), Section("d", ["e"])]
    assert page.with_plot("g", plot).sections == [*page.sections, Section("g", [plot])]
    assert page.sections == [Section("b", ["c"]), Section("d", ["e"])]


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_file(path, "new" * 10_000 + "\udcff")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.md"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("- a", "\\- a"),
        ("+ a", "\\+ a"),
        ("1. a", "1\\. a"),
        ("12) a", "12\\) a"),
        ("= a", "\\= a"),
        ("# a", "\\#&#8203; a"),
        ("    a", "a"),
        ("a\nb", "a\\\\nb"),
        ("12 documents", "12 documents"),
    ],
)
def test_no_text_begins_a_list_or_a_heading_in_markdown(text: str, shown: str) -> None:
    page = Page("a", [text], [Section("b", [text])])
    assert render_markdown(page) == f"## a\n\n- {shown}\n\n### b\n\n{shown}\n"


def test_no_title_has_a_control_character() -> None:
    page = Page("\x1b[2J\u202e", [], [])
    for text in (render_html(page), render_fragment(page), render_markdown(page)):
        assert text.replace("\n", "").isprintable()
        assert "u202e" in text
