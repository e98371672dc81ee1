"""The results are printed at the end, one line each; findings.txt holds the same lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

FOUND = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "simulations" in item.path.parts:
            item.add_marker(pytest.mark.simulations)


@pytest.fixture
def found(request: pytest.FixtureRequest) -> list[str]:
    """Return the lines of results so far."""
    return request.config.stash.setdefault(FOUND, [])


@pytest.fixture
def figure(found: list[str]) -> Callable[[str], None]:
    """Return the function that adds a line of results."""
    return found.append


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    lines = config.stash.get(FOUND, [])
    if lines:
        terminalreporter.section("results of the simulations")
        for line in lines:
            terminalreporter.write_line(line)
