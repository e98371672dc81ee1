"""The examples in the docstrings run."""

from __future__ import annotations

import doctest
from importlib import import_module
from pkgutil import walk_packages
from typing import TYPE_CHECKING

import pytest

import retab_frames

if TYPE_CHECKING:
    from pathlib import Path

MODULES = [
    module.name
    for module in walk_packages(retab_frames.__path__, "retab_frames.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert doctest.testmod(import_module(name)).failed == 0


def test_there_are_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tried = sum(doctest.testmod(import_module(name)).attempted for name in MODULES)

    assert tried >= 10
