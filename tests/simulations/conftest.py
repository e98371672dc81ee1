"""What the simulations found is printed at the end, one line each, and kept in findings.txt."""

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
    """Return the lines found so far."""
    return request.config.stash.setdefault(FOUND, [])


@pytest.fixture
def figure(found: list[str]) -> Callable[[str], None]:
    """Return what takes a line of findings."""
    return found.append


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    lines = config.stash.get(FOUND, [])
    if lines:
        terminalreporter.section("what the simulations found")
        for line in lines:
            terminalreporter.write_line(line)
