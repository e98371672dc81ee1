"""Reads a sandbox with the official SDK 0.0.136, and prints all it read as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from retab import Retab  # type: ignore[import-not-found]


def read(url: str, api_key: str, workflow_id: str) -> dict[str, Any]:
    client = Retab(api_key=api_key, base_url=f"{url}/v1", max_retries=0)
    experiments = client.workflows.experiments
    listed = experiments.list(workflow_id)
    runs = {one.id: experiments.runs.list(workflow_id, one.id).runs for one in listed}
    return {
        "experiments": [dumped(one) for one in listed],
        "experiment": [dumped(experiments.get(workflow_id, one.id)) for one in listed],
        "runs": {known: [dumped(run) for run in rows] for known, rows in runs.items()},
        "latest": {one.id: dumped(experiments.get_content(workflow_id, one.id)) for one in listed},
        "contents": {
            run.id: dumped(experiments.get_content(workflow_id, known, run_id=run.id))
            for known, rows in runs.items()
            for run in rows
        },
    }


def dumped(model: Any) -> Any:
    return model.model_dump(mode="json")


sys.stdout.write(json.dumps(read(*sys.argv[1:])))
