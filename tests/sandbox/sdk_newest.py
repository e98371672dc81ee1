"""Reads a sandbox with the official SDK 0.0.160, and prints all it read as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from retab import Retab  # type: ignore[import-not-found]


def read(url: str, api_key: str, workflow_id: str) -> dict[str, Any]:
    client = Retab(api_key=api_key, base_url=url, max_retries=0)
    experiments = client.workflows.experiments
    listed = list(experiments.list(workflow_id, limit=3))
    runs = {one.id: list(experiments.runs.list(experiment_id=one.id, limit=2)) for one in listed}
    run_ids = [run.id for rows in runs.values() for run in rows]
    results = {known: list(experiments.results.list(known)) for known in run_ids}
    return {
        "experiments": [dumped(one) for one in listed],
        "experiment": [dumped(experiments.get(one.id)) for one in listed],
        "runs": {known: [dumped(run) for run in rows] for known, rows in runs.items()},
        "run": {known: dumped(experiments.runs.get(known)) for known in run_ids},
        "results": {known: [dumped(row) for row in rows] for known, rows in results.items()},
        "result": {
            known: dumped(experiments.results.get(rows[0].id)) for known, rows in results.items()
        },
    }


def dumped(model: Any) -> Any:
    return model.model_dump(mode="json")


sys.stdout.write(json.dumps(read(*sys.argv[1:])))
