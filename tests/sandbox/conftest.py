from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from retab_frames.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running
