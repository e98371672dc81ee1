"""A page of sentences, tables and plots, as HTML that stands alone or as Markdown."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa

from retab_frames.text import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["Page", "Plot", "Section", "as_html", "as_markdown", "write_whole"]

_MOST_ROWS = {"html": 200, "markdown": 20}


@dataclass(frozen=True)
class Plot:
    """A plot of a page; drawn only where the page can show it.

    Attributes:
        draw: Returns matplotlib axes.
        told: What it shows, in words.
    """

    draw: Callable[[], Any]
    told: str


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it: sentences, frames and plots.

    The ends of an interval, which have columns of their own, stand beside the estimate.
    """

    title: str
    parts: Sequence[str | pd.DataFrame | Plot]


@dataclass(frozen=True)
class Page:
    """A title, what is to be known first, and the sections.

    Attributes:
        title: The heading of the page.
        told: Sentences.
        sections: Those without parts are left out.
    """

    title: str
    told: Sequence[str]
    sections: Sequence[Section]


def as_html(page: Page) -> str:
    """Return the page as one HTML document without scripts, whose plots are SVG.

    It loads nothing and holds no time of its making, so that an equal page is equal text.

    Raises:
        MissingExtraError: If it has plots and matplotlib is not installed.
    """
    title = tables.escape_html(page.title)
    told = "".join(f"<li>{tables.escape_html(line)}</li>" for line in page.told)
    sections = [
        _html_section(section, f"p{n}") for n, section in enumerate(page.sections) if section.parts
    ]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{_POLICY}\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{title}</h1>\n<ul>{told}</ul>\n{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def as_markdown(page: Page) -> str:
    """Return the page as Markdown for a pull request: without plots, tables of at most 20 rows."""
    lines = [f"## {tables.escape_markdown(page.title)}"]
    lines.append("\n".join(f"- {tables.escape_markdown(line)}" for line in page.told))
    for section in page.sections:
        parts = [_markdown_part(part) for part in section.parts if not isinstance(part, Plot)]
        if parts:
            lines += [f"### {tables.escape_markdown(section.title)}", *parts]
    return "\n\n".join(lines) + "\n"


def write_whole(path: Path, text: str) -> None:
    """Write a text file, in place of one that is there, so that it is seen whole or not at all.

    Raises:
        OSError: If it cannot be written; what was there before is untouched.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        # one that stays must not hide what went wrong before
        with suppress(OSError):
            temporary.unlink()


def _html_section(section: Section, prefix: str) -> str:
    parts = (_html_part(part, f"{prefix}-{n}") for n, part in enumerate(section.parts))
    title = tables.escape_html(section.title)
    return f"<section>\n<h2>{title}</h2>\n{''.join(parts)}</section>\n"


def _html_part(part: str | pd.DataFrame | Plot, prefix: str) -> str:
    if isinstance(part, str):
        return f"<p>{tables.escape_html(part)}</p>\n"
    if isinstance(part, Plot):
        from retab_frames.plots.images import svg  # noqa: PLC0415  (loads matplotlib)

        drawn = svg(part.draw(), prefix=prefix, told=part.told)
        return f"<figure>{drawn}<figcaption>{tables.escape_html(part.told)}</figcaption></figure>\n"
    most = _MOST_ROWS["html"]
    more = f"<p>{_more(part, most)}</p>\n" if len(part) > most else ""
    return f'<div class="table">{tables.render_html(_brief(part.head(most)))}</div>\n{more}'


def _markdown_part(part: str | pd.DataFrame) -> str:
    if isinstance(part, str):
        return tables.escape_markdown(part)
    most = _MOST_ROWS["markdown"]
    more = f"\n\n{_more(part, most)}" if len(part) > most else ""
    return f"{tables.render_markdown(_brief(part.head(most)))}{more}"


def _brief(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with each estimate and its interval in one column: `4.1 s (3.6 s to 5 s)`.

    Three columns for each would make most tables too wide for a page.
    """
    columns = {}
    for name in frame.columns:
        stem, unit = (name[:-3], "_ms") if str(name).endswith("_ms") else (name, "")
        ends = [f"{stem}_low{unit}", f"{stem}_high{unit}"]
        if set(ends) <= set(frame.columns):
            shown = tables.format_duration if unit else _number
            cells = frame[[name, *ends]].to_numpy(np.float64, na_value=np.nan)
            texts = [_interval(*row, shown=shown) for row in cells.tolist()]
            columns[stem] = pd.Series(texts, dtype=pd.ArrowDtype(pa.string()))
        elif not str(name).removesuffix(unit).endswith(("_low", "_high")):
            columns[name] = frame[name].reset_index(drop=True)
    return pd.DataFrame(columns)


def _interval(
    value: float, low: float, high: float, *, shown: Callable[[float], str]
) -> str | None:
    if np.isnan(value):
        return None
    if np.isnan(low) and np.isnan(high):
        return f"{shown(value)} (unbounded)"
    ends = ("unbounded" if np.isnan(end) else shown(end) for end in (low, high))
    return f"{shown(value)} ({' to '.join(ends)})"


def _number(value: float) -> str:
    return f"{value:.2f}"


def _more(frame: pd.DataFrame, most: int) -> str:
    return f"and {len(frame) - most} more"


_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
)
"""Should anything ever get past the escaping, a browser still loads and runs nothing."""

_STYLE = """
:root { color-scheme: light dark; --line: rgba(128, 128, 128, .4); }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0; background: Canvas; color: CanvasText; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
ul { padding-left: 1.2rem; overflow-wrap: anywhere; }
.table { overflow-x: auto; margin: .5rem 0; }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { white-space: nowrap; }
td { max-width: 26rem; overflow-wrap: break-word; }
td[style$="right"] { white-space: nowrap; }
figure { margin: .8rem 0; padding: .6rem; background: #fff; color: #222; border-radius: .4rem; }
figcaption { font-size: .85rem; }
svg { max-width: 100%; height: auto; stroke-linejoin: round; stroke-linecap: butt; }
@page { margin: 14mm; }
@media print {
  :root { color-scheme: light; }
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  .table { overflow: visible; }
  table { font-size: 8pt; }
  th, td { padding: .15rem .35rem; }
  th { white-space: normal; overflow-wrap: anywhere; }
  h2 { break-after: avoid; }
  figure, tr { break-inside: avoid; }
  figure { padding: 0; }
  svg { max-height: 235mm; }
  thead { display: table-header-group; }
}
"""
