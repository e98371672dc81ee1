"""The same work with retab_frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import retab_frames as rf
from retab_frames.flatten.run_rows import RunResponses
from retab_frames.flatten.tables import flatten
from retab_frames.schemas.frames import frame_of
from retab_frames.schemas.models import HandlesSchema, JobsSchema
from retab_frames.schemas.validation import to_frame
from retab_frames.wire.envelopes import parse_rows_response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.peers import Frames


def each_read(bodies: Sequence[bytes]) -> list[Frames]:
    """Read each response into its own frames, as a user does, both frames validated."""
    return [(one.jobs, one.handle_inputs) for one in rf.read_contents(list(bodies))]


def read_one(bodies: Sequence[bytes]) -> Frames:
    """Read one response into both frames, as a user does, both frames validated."""
    found = rf.read_content(*bodies)
    return found.jobs, found.handle_inputs


def unvalidated(bodies: Sequence[bytes]) -> Frames:
    """Do the same without pandera."""
    tables = rf.read_content(*bodies).tables
    return frame_of(tables.jobs), frame_of(tables.handle_inputs)


def batched(bodies: Sequence[bytes]) -> Frames:
    """Read all responses into one frame of jobs and one of handles, validated: as `load_jobs`."""
    tables = flatten(_run(body) for body in bodies)
    return to_frame(tables.jobs, JobsSchema), to_frame(tables.handle_inputs, HandlesSchema)


def _run(body: bytes) -> RunResponses:
    found = parse_rows_response(body)
    return RunResponses(None, found.experiment_id, found.run_id, (found,), None)


def fetch(url: str, key: str, workflow: str, experiment: str, runs: list[str], most: int) -> int:
    """Load the jobs of all the runs with so many connections; their rows."""
    with rf.Client(key, base_url=url, api="content", max_connections=most) as client:
        return len(rf.load_jobs(workflow, experiment, run_id=runs, client=client, progress=False))
