from __future__ import annotations

import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from browser.lab import running_lab, show_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

PACKAGES = ("jupyterlab>=4.2", "playwright>=1.49")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_MS = 30_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def executable() -> str:
    """Return the path of the browser; without one the tests fail, as they were asked for."""
    missing = [package for package in PACKAGES if find_spec(package.partition(">=")[0]) is None]
    if missing:
        asked = " ".join(f"'{package}'" for package in missing)
        pytest.fail(f"the browser tests need more packages: pip install {asked}", pytrace=False)
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        install = "apt-get update && apt-get install -y chromium"
        pytest.fail(f"the browser tests need Chromium: {install}", pytrace=False)
    return found


@pytest.fixture(scope="session")
def lab_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="session")
def lab(executable: str, lab_folder: Path) -> Iterator[str]:
    """Return the address of a JupyterLab, started only if there is a browser."""
    assert executable
    with running_lab(lab_folder) as address:
        yield address


@pytest.fixture(scope="session")
def browser(executable: str) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only these tests need it

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox"], timeout=TIMEOUT_MS
        )
        yield made
        made.close()


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """Return a new window, 1,200 pixels wide; a screenshot of its end state is in `tmp_path`."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(TIMEOUT_MS)
    opened = context.new_page()
    yield opened
    if opened.locator(".jp-WindowedPanel-outer").count():
        show_whole(opened)
    opened.screenshot(path=tmp_path / "page.png")
    context.close()
