"""The URLs of the API: which generation has which route.

Below `/v1/workflows`, by generation:

                content                   nested                     results
    experiments /{wf}/experiments         as content                 /experiments?workflow_id={wf}
    experiment  /{wf}/experiments/{exp}   as content                 /experiments/{exp}
    runs        .../{exp}/runs            /experiments/runs?...      as nested
    run         (none)                    /experiments/runs/{run}    as nested
    rows        .../{exp}/content?run_id= .../runs/{run}/results     /experiments/results?run_id=

`content`, the first, gives all rows of a run in one response. `nested`, short-lived, gives at most
one page of them and takes no cursor. `results`, the current one, gives pages with cursors.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "PAGE_SIZE",
    "Generation",
    "Route",
    "locate_content",
    "locate_experiment",
    "locate_experiments",
    "locate_results",
    "locate_run",
    "locate_runs",
]

Generation = Literal["content", "nested", "results"]

PAGE_SIZE = 100
"""How many records or rows a page has at most; the API allows no more."""


@dataclass(frozen=True)
class Route:
    """What a GET asks for.

    Attributes:
        segments: The path after `/v1`, as plain text: each is escaped as one segment.
        query: The query parameters; one that is None is left out.
    """

    segments: tuple[str, ...]
    query: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path from `/v1` on, escaped.

        Raises:
            TypeError: If a segment is not text.
            ValueError: If one is empty or a relative path, which no escaping makes safe.
        """
        for segment in self.segments:
            if not isinstance(segment, str):
                raise TypeError(f"an id must be text, not {type(segment).__name__}")
            if segment in ("", ".", ".."):
                raise ValueError(f"{segment!r} is not an id")
        return "/v1/" + "/".join(quote(segment, safe="") for segment in self.segments)

    def with_cursor(self, cursor: str | None) -> Route:
        """Return the route of the page after the cursor; None is the first page."""
        return replace(self, query={**self.query, "after": cursor})


def locate_experiments(generation: Generation, workflow_id: str) -> Route:
    """Return where the experiments of a workflow are listed."""
    if generation == "results":
        query = {"workflow_id": workflow_id, "limit": str(PAGE_SIZE)}
        return Route(("workflows", "experiments"), query)
    return Route(("workflows", workflow_id, "experiments"))


def locate_experiment(generation: Generation, workflow_id: str, experiment_id: str) -> Route:
    """Return where the record of an experiment is."""
    if generation == "results":
        return Route(("workflows", "experiments", experiment_id))
    return Route(("workflows", workflow_id, "experiments", experiment_id))


def locate_runs(
    generation: Generation, workflow_id: str, experiment_id: str, *, limit: int = PAGE_SIZE
) -> Route:
    """Return where the runs of an experiment are listed, newest first."""
    if generation == "content":
        return Route(("workflows", workflow_id, "experiments", experiment_id, "runs"))
    query = {
        "workflow_id": workflow_id,
        "experiment_id": experiment_id,
        "limit": str(limit),
        "sort_by": "created_at",
        "order": "desc",
    }
    return Route(("workflows", "experiments", "runs"), query)


def locate_run(run_id: str) -> Route:
    """Return where `nested` and `results` have the record of a run; `content` has it nowhere."""
    return Route(("workflows", "experiments", "runs", run_id))


def locate_content(workflow_id: str, experiment_id: str, run_id: str | None) -> Route:
    """Return where `content` has the rows of a run; None is the latest run."""
    segments = ("workflows", workflow_id, "experiments", experiment_id, "content")
    return Route(segments, {"run_id": run_id})


def locate_results(generation: Generation, run_id: str, *, order: str = "asc") -> Route:
    """Return where `nested` and `results` have the rows of a run.

    The oldest row comes first, so that rows added meanwhile come at the end.
    """
    if generation == "nested":
        query = {"limit": str(PAGE_SIZE)}
        return Route(("workflows", "experiments", "runs", run_id, "results"), query)
    query = {"run_id": run_id, "limit": str(PAGE_SIZE), "order": order}
    return Route(("workflows", "experiments", "results"), query)
