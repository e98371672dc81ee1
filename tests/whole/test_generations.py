"""The same runs served by every wire generation give equal frames, but for what is named here."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import retab_frames as rf

NEWEST = "C4"
KEYS = {
    "jobs": ["job_id"],
    "handle_inputs": ["job_id", "position"],
    "handle_outputs": ["job_id", "position"],
    "run": ["run_id"],
}

NO_MIME_TYPE = {
    "jobs": {
        "handle_inputs.input-file-document.mime_type",
        "handle_inputs.input-file-0.mime_type",
    },
    "handle_inputs": {"mime_type"},
}
NO_FILE_ID = {
    "jobs": {"handle_inputs.input-file-document.file_id", "handle_inputs.input-file-0.file_id"},
    "handle_inputs": {"file_id"},
}
NO_OUTPUTS = {"jobs": {"handle_outputs.output-json-0.type", "handle_outputs.output-json-0.data"}}
NO_ERROR_DETAILS = {"jobs": {"error_details"}}
NO_METRICS_FINGERPRINT = {
    "run": {
        "block_version_id",
        "metrics_validity_fingerprint",
        "metrics_validity_fingerprint_version",
    }
}
EARLY_RUN = {
    "run": {"block_id", "error_message", "started_at", "trigger_type", "workflow_version_id"}
}
NO_SPLIT_COUNTS = {"run": {"total_document_count", "completed_document_count"}}

LACKS: dict[str, list[dict[str, set[str]]]] = {
    "A1": [
        *(NO_MIME_TYPE, NO_FILE_ID, NO_OUTPUTS, NO_ERROR_DETAILS),
        *(NO_METRICS_FINGERPRINT, EARLY_RUN, NO_SPLIT_COUNTS),
    ],
    "A2": [NO_MIME_TYPE, NO_OUTPUTS, NO_ERROR_DETAILS, NO_METRICS_FINGERPRINT, EARLY_RUN],
    "A3": [NO_MIME_TYPE, NO_OUTPUTS, NO_ERROR_DETAILS, NO_METRICS_FINGERPRINT, EARLY_RUN],
    "B": [NO_MIME_TYPE, NO_OUTPUTS, NO_ERROR_DETAILS, NO_METRICS_FINGERPRINT],
    "C1": [NO_OUTPUTS, NO_METRICS_FINGERPRINT],
    "C2": [NO_OUTPUTS, NO_METRICS_FINGERPRINT],
    "C3": [],
}
"""What a generation does not send and the newest does: there the columns are null, or missing."""

MORE: dict[str, dict[str, set[str]]] = {
    "A1": {"run": {"block_config", "server_job_id"}},
    "A2": {"run": {"block_config", "server_job_id"}},
    "A3": {"run": {"block_config", "server_job_id"}},
    "B": {"run": {"requested_version", "workflow_name"}},
    "C1": {
        "run": {"requested_version", "workflow_name"},
        "handle_inputs": {"size_bytes", "content_fingerprint", "extra"},
    },
    "C2": {"handle_inputs": {"size_bytes", "content_fingerprint", "extra"}},
}
"""What a generation sends and the newest does not."""


def contents(generation: str) -> dict[str, rf.RunContent]:
    with (
        rf.Sandbox(generations=(generation,)) as sandbox,
        rf.Client(sandbox.api_key, base_url=sandbox.url) as client,
    ):
        return {
            run_id: rf.load_content(
                sandbox.workflow_id, experiment_id, run_id=run_id, client=client
            )
            for experiment_id in sandbox.experiment_ids
            for run_id in sandbox.run_ids(experiment_id)
        }


@pytest.fixture(scope="module")
def newest() -> dict[str, rf.RunContent]:
    return contents(NEWEST)


def different(old: pd.DataFrame, new: pd.DataFrame, key: list[str]) -> dict[str, str]:
    """Return the columns that are not equal, and whether the old, the new or neither is empty."""
    old, new = (frame.sort_values(key).reset_index(drop=True) for frame in (old, new))
    found = {}
    for column in dict.fromkeys([*old.columns, *new.columns]):
        sides = [f[column] if column in f else pd.Series(dtype=object) for f in (old, new)]
        if column != "fetched_at" and not sides[0].equals(sides[1]):
            empty = [side.isna().all() for side in sides]
            found[column] = "lacks" if empty[0] else "more" if empty[1] else "differs"
    return found


@pytest.mark.parametrize("generation", LACKS)
def test_equal_but_for_what_the_generation_does_not_carry(
    generation: str, newest: dict[str, rf.RunContent]
) -> None:
    found: dict[str, dict[str, set[str]]] = {"lacks": {}, "more": {}, "differs": {}}
    for run_id, old in contents(generation).items():
        for frame, key in KEYS.items():
            if frame == "handle_outputs" and old.handle_outputs.empty:
                continue
            columns = different(getattr(old, frame), getattr(newest[run_id], frame), key)
            for column, how in columns.items():
                found[how].setdefault(frame, set()).add(column)

    assert found["lacks"] == merged(LACKS[generation])
    assert found["more"] == MORE.get(generation, {})
    assert found["differs"] == {}


@pytest.mark.parametrize("generation", ["C3", "C4"])
def test_the_newest_send_outputs(generation: str) -> None:
    outputs = contents(generation)["exprun_invoices_2"].handle_outputs

    assert outputs["handle"].tolist() == ["output-json-0"] * 12


@pytest.mark.parametrize("generation", [*LACKS, NEWEST])
def test_whether_a_run_is_complete_is_told_by_every_generation(generation: str) -> None:
    found = {run_id: content.complete for run_id, content in contents(generation).items()}

    assert found == {run_id: not run_id.endswith("_5") for run_id in found}
    assert len(found) == 15


def merged(parts: list[dict[str, set[str]]]) -> dict[str, set[str]]:
    whole: dict[str, set[str]] = {}
    for part in parts:
        for frame, columns in part.items():
            whole.setdefault(frame, set()).update(columns)
    return whole


def test_nothing_is_odd_about_the_newest(newest: dict[str, Any]) -> None:
    assert [content for content in newest.values() if len(content.issues)] == []
