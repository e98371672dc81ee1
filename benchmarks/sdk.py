"""The official SDK's models and a DataFrame; runs in an environment of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
from retab.types.workflows.experiments import (  # type: ignore[import-not-found]
    ExperimentContentResponse,
)

from benchmarks.peers import Frames, handle_rows, typed

if TYPE_CHECKING:
    from collections.abc import Sequence


def sdk_models(bodies: Sequence[bytes]) -> Frames:
    """Do what the SDK does with a response, then make the frames of its models."""
    jobs = [
        job.model_dump(mode="json")
        for body in bodies
        for job in ExperimentContentResponse.model_validate(json.loads(body)).content.jobs
    ]
    return typed(pd.json_normalize(jobs)), typed(pd.DataFrame(handle_rows(jobs)))


def fetch_in_turn(url: str, key: str, workflow: str, experiment: str, runs: list[str]) -> int:
    """Fetch the runs one after the other with the SDK, and make one frame of all; its rows."""
    from retab import Retab  # type: ignore[import-not-found]

    client = Retab(api_key=key, base_url=f"{url}/v1")
    contents = [
        client.workflows.experiments.get_content(workflow, experiment, run_id=run) for run in runs
    ]
    jobs = [job.model_dump(mode="json") for content in contents for job in content.content.jobs]
    typed(pd.DataFrame(handle_rows(jobs)))
    return len(typed(pd.json_normalize(jobs)))
