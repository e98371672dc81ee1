"""The results of the other simulations, which run before this, equal findings.txt."""

from __future__ import annotations

from pathlib import Path

import pytest

FINDINGS = Path(__file__).parent / "findings.txt"


def test_the_results_equal_the_file(found: list[str]) -> None:
    if not found:
        pytest.skip("no other simulation ran")
    assert found == FINDINGS.read_text(encoding="utf-8").splitlines()
