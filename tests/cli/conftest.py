from __future__ import annotations

import pytest

import retab_frames as rf

from .shell import shell


@pytest.fixture(scope="session")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a store with every run of an experiment; tests only read it."""
    root = tmp_path_factory.mktemp("pulled") / "snapshots"
    with rf.Sandbox() as sandbox:
        result = shell(
            *("pull", sandbox.workflow_id, "exp_invoices", "--store", str(root)),
            RETAB_API_KEY=sandbox.api_key,
            RETAB_API_BASE_URL=sandbox.url,
        )
    assert result.exit_code == 0, result.output
    return str(root)
