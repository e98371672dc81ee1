"""Give retab_frames what the SDK returns, and print the frames that it makes of them.

Arguments: the release of the SDK, the base URL, the key, the workflow id. It prints JSON: for each
kind of object the jobs and the handle inputs of the slow run of the invoices.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from retab import Retab  # type: ignore[import-not-found]

import retab_frames as rf

RUN = "exprun_invoices_3"


def frames(source: Any) -> dict[str, Any]:
    content = rf.read_content(source, workflow_id="wf_sandbox")
    return {
        name: json.loads(getattr(content, name).to_json(orient="records", date_format="iso"))
        for name in ("jobs", "handle_inputs")
    }


def early(client: Any, workflow_id: str) -> dict[str, Any]:
    content = client.workflows.experiments.get_content(workflow_id, "exp_invoices", run_id=RUN)
    return {
        "object": frames(content),
        "model_dump": frames(content.model_dump()),
        "model_dump_json": frames(content.model_dump_json()),
        "jobs": frames(content.content.jobs),
    }


def newest(client: Any) -> dict[str, Any]:
    results = client.workflows.experiments.results
    first = results.list(run_id=RUN)
    return {
        "rows": frames(list(first)),
        "model_dump": frames([row.model_dump() for row in first]),
        "page": frames(first),
    }


def made(release: str, url: str, key: str, workflow_id: str) -> dict[str, Any]:
    if release == "136":
        return early(Retab(api_key=key, base_url=f"{url}/v1"), workflow_id)
    return newest(Retab(api_key=key, base_url=url))


sys.stdout.write(json.dumps(made(*sys.argv[1:])))
