"""What the other simulations found, which run before, is what the repository quotes."""

from __future__ import annotations

from pathlib import Path

import pytest

FINDINGS = Path(__file__).parent / "findings.txt"


def test_the_figures_are_those_kept(found: list[str]) -> None:
    if not found:
        pytest.skip("no other simulation ran")
    assert found == FINDINGS.read_text(encoding="utf-8").splitlines()
