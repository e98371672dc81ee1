"""Checks that the output of a cell is visible, not only present in the page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Locator

MIN_PIXELS = 10
WIDGET = "application/vnd.jupyter.widget-view+json"


def assert_visible(shown: Locator, what: str) -> None:
    """Check that the first match has a size and is not hidden."""
    assert shown.count(), f"no {what}"
    shown.first.scroll_into_view_if_needed()
    box = shown.first.bounding_box()
    assert shown.first.is_visible() and box, f"the {what} is hidden"  # noqa: PT018 - for mypy
    assert min(box["width"], box["height"]) >= MIN_PIXELS, f"the {what} has no size: {box}"


def assert_table(cell: Locator) -> None:
    table = cell.locator(".jp-OutputArea-output.jp-RenderedHTML table")
    assert_visible(table, "table")
    assert table.first.locator("tbody tr").count()
    assert any(text.strip() for text in table.first.locator("td").all_inner_texts())


def assert_progress(cell: Locator) -> None:
    """Check that the bar is at 100 %, and drawn as wide as its frame."""
    output = cell.locator(".jp-OutputArea-output")
    label = re.compile(r"(Loading|Pulling)\s+runs:\s+100%")
    assert_visible(output.get_by_text(label), "label of progress")
    bar = output.locator(".progress-bar")
    assert_visible(bar, "progress bar")
    drawn, whole = bar.bounding_box(), bar.locator("..").bounding_box()
    assert drawn and whole  # noqa: PT018 - for mypy
    assert drawn["width"] == pytest.approx(whole["width"], rel=0.05)


def assert_plot(cell: Locator) -> None:
    plot = cell.locator(".jp-OutputArea-output").locator("img, svg")
    assert_visible(plot, "plot")
    assert plot.first.evaluate("plot => plot.tagName === 'svg' || plot.naturalWidth > 100")


def assert_says(cell: Locator, *words: str) -> None:
    """Check that the text of the output contains all the words."""
    output = cell.locator(".jp-OutputArea-output")
    assert_visible(output, "output")
    text = " ".join(output.all_inner_texts())
    assert [word for word in words if word not in text] == [], text


CHECK_BY_MIME_TYPE = {
    "text/html": assert_table,
    WIDGET: assert_progress,
    "image/png": assert_plot,
    "image/svg+xml": assert_plot,
}
"""How an output of each MIME type is checked."""
