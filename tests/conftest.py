from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import stamina

from retab_frames import Client, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RETAB_API_KEY", raising=False)
    monkeypatch.delenv("RETAB_API_BASE_URL", raising=False)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with Client(sandbox.api_key, base_url=sandbox.url) as made:
        yield made


@pytest.fixture
def no_waits() -> Iterator[None]:
    """Retry as often as ever, but at once."""
    with stamina.set_testing(True, attempts=1_000, cap=True):
        yield
