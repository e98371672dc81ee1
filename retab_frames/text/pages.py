"""A page of sentences, tables and plots: as an HTML file, for a notebook, or as Markdown."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

import pandas as pd

from retab_frames.text import tables
from retab_frames.text.page_tables import lay_out

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from retab_frames.text.tables import Table

__all__ = [
    "Page",
    "Plot",
    "Section",
    "render_fragment",
    "render_html",
    "render_markdown",
    "write_file",
]

_MAX_ROWS_FILE = 50
"""Of a table in an HTML file."""
_MAX_ROWS_SHORT = 20
"""Of a table in a notebook or a pull request."""


@dataclass(frozen=True)
class Plot:
    """A plot of a page, drawn only where the page can show it.

    Attributes:
        image: Draws it and returns the image as a data URI.
        caption: What it shows; also the text for readers who cannot see it.
    """

    image: Callable[[], str]
    caption: str


Part = str | pd.DataFrame | Plot


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it: sentences, frames and plots.

    Attributes:
        title: The heading.
        parts: What stands below it; `page_tables.lay_out` says how a frame is shown.
        source: Where all rows are if a table is cut, in Python and in the shell.
    """

    title: str
    parts: Sequence[Part]
    source: str = ""


@dataclass(frozen=True)
class Page:
    """A title, the main findings, and the sections with the details.

    Attributes:
        title: The heading of the page.
        sentences: The main findings in words.
        sections: The details; frames without rows and sections with nothing to show are left out.
        outcome: What it comes to in a word, and why: the first line; None where there is none.
    """

    title: str
    sentences: Sequence[str]
    sections: Sequence[Section]
    outcome: tuple[str, str] | None = None

    def with_plot(self, title: str, plot: Plot) -> Page:
        """Return the page with a plot at the end of the section of this title, or in a new one."""
        sections = [
            replace(one, parts=[*one.parts, plot]) if one.title == title else one
            for one in self.sections
        ]
        if not any(one.title == title for one in self.sections):
            sections.append(Section(title, [plot]))
        return replace(self, sections=sections)


def render_html(page: Page) -> str:
    """Return the page as an HTML file that needs no other file: no scripts, plots as images in it.

    Tables have at most 50 rows. Equal pages give equal text: it does not contain the current time.

    Raises:
        MissingExtraError: If it has plots and matplotlib is not installed.
    """
    title = tables.escape_html(page.title)
    sentences = "".join(f"<li>{tables.escape_html(line)}</li>" for line in page.sentences)
    sections = [
        f"<section>\n<h2>{tables.escape_html(section.title)}</h2>\n"
        f"{_render_html_parts(section, _MAX_ROWS_FILE)}</section>\n"
        for section in _select_sections(page, plots=True)
    ]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{_CONTENT_POLICY}\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{title}</h1>\n{_render_html_outcome(page)}<ul>{sentences}</ul>\n{''.join(sections)}"
        "</main>\n</body>\n</html>\n"
    )


def render_fragment(page: Page) -> str:
    """Return the page as HTML for a notebook: without plots, tables of at most 20 rows."""
    sentences = "".join(f"<li>{tables.escape_html(line)}</li>" for line in page.sentences)
    sections = [
        f"<p><b>{tables.escape_html(section.title)}</b></p>\n"
        f"{_render_html_parts(section, _MAX_ROWS_SHORT)}"
        for section in _select_sections(page, plots=False)
    ]
    title = tables.escape_html(page.title)
    outcome = _render_html_outcome(page)
    return f"<div><b>{title}</b>{outcome}<ul>{sentences}</ul>\n{''.join(sections)}</div>"


def _render_html_outcome(page: Page) -> str:
    if page.outcome is None:
        return ""
    word, why = map(tables.escape_html, page.outcome)
    return f"<p><b>{word}</b>: {why}</p>\n"


def _render_html_parts(section: Section, max_rows: int) -> str:
    parts = []
    for part in section.parts:
        if isinstance(part, str):
            parts.append(f"<p>{tables.escape_html(part)}</p>\n")
        elif isinstance(part, Plot):
            caption = tables.escape_html(part.caption)
            image = f'<img src="{tables.escape_html(part.image())}" alt="{caption}">'
            parts.append(f"<figure>{image}<figcaption>{caption}</figcaption></figure>\n")
        else:
            table, lines = _shorten(section, part, max_rows)
            parts.append(f"<div>{tables.render_html(table)}</div>\n")
            parts += [f"<p>{tables.escape_html(line)}</p>\n" for line in lines]
    return "".join(parts)


def render_markdown(page: Page) -> str:
    """Return the page as Markdown for a pull request: without plots, tables of at most 20 rows."""
    sentences = (f"- {_escape_paragraph(line)}" for line in page.sentences)
    paragraphs = [f"## {tables.escape_markdown(page.title)}", "\n".join(sentences)]
    if page.outcome is not None:
        word, why = map(tables.escape_markdown, page.outcome)
        paragraphs.insert(0, f"**{word}**: {why}")
    for section in _select_sections(page, plots=False):
        paragraphs.append(f"### {tables.escape_markdown(section.title)}")
        for part in section.parts:
            if isinstance(part, str):
                paragraphs.append(_escape_paragraph(part))
            elif isinstance(part, pd.DataFrame):
                table, lines = _shorten(section, part, _MAX_ROWS_SHORT)
                paragraphs += [tables.render_markdown(table), *map(_escape_paragraph, lines)]
    return "\n\n".join(filter(None, paragraphs)) + "\n"


def _escape_paragraph(text: str) -> str:
    """Return one line that begins no list, heading or code, and contains no markup."""
    return re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", tables.escape_markdown(text.strip()))


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file, replacing one that exists; a reader sees the old file or the new one.

    Unlike the files of a store, which are never replaced, a report may be written again.

    Raises:
        OSError: If it cannot be written; what was there before is untouched.
    """
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} in")
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        # its own text has the name of the temporary file
        raise type(error)(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        # it is gone unless writing failed, and then that error must be the one to be raised
        with suppress(OSError):
            temporary.unlink()


def _select_sections(page: Page, *, plots: bool) -> list[Section]:
    """Return the sections that have something to show, without empty frames."""
    sections = []
    for section in page.sections:
        parts = [
            part
            for part in section.parts
            if not (isinstance(part, pd.DataFrame) and part.empty)
            and (plots or not isinstance(part, Plot))
        ]
        if parts:
            sections.append(replace(section, parts=parts))
    return sections


def _shorten(section: Section, frame: pd.DataFrame, max_rows: int) -> tuple[Table, list[str]]:
    """Return what fits a page, and the lines below it: what its words mean, what is left out."""
    table, note = lay_out(frame.head(max_rows))
    more = ""
    if len(frame) > max_rows:
        more = f"and {len(frame) - max_rows} more"
        more += f"; all {len(frame)} are in {section.source}" if section.source else ""
    return table, [line for line in (note, more) if line]


_CONTENT_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
)
"""A second line of defence behind the escaping: a browser loads and runs nothing."""

_STYLE = """
:root { color-scheme: light dark; --line: rgba(128, 128, 128, .4); }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0; background: Canvas; color: CanvasText; }
main { max-width: 66rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
ul { padding-left: 1.2rem; overflow-wrap: anywhere; }
section > div { overflow-x: auto; margin: .5rem 0; }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
th { vertical-align: bottom; }
td { max-width: 26rem; vertical-align: top; }
td[style$="right"] { white-space: nowrap; }
td[style$="anywhere"] { overflow-wrap: break-word !important; }
figure { margin: .8rem 0; }
figcaption { font-size: .85rem; }
img { max-width: 100%; height: auto; }
@page { margin: 14mm 14mm 18mm; @bottom-right {
  content: counter(page) " / " counter(pages); font: 8pt system-ui, sans-serif; } }
@media print {
  :root { color-scheme: light; }
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  section > div { overflow: visible; }
  table { font-size: 7.5pt; }
  th, td { padding: .12rem .3rem; }
  td[style$="anywhere"] { overflow-wrap: anywhere !important; min-width: 5rem; }
  h2 { break-after: avoid; }
  figure, tr { break-inside: avoid; }
  img { max-height: 235mm; }
  thead { display: table-header-group; }
}
"""
