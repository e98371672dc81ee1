"""The routes nested under the workflow: generation A, and B's experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retab_frames.sandbox.workspace import NoRecord

if TYPE_CHECKING:
    from retab_frames.sandbox.dialects import Dialect
    from retab_frames.sandbox.query import Names, Query, Route
    from retab_frames.sandbox.records import Experiment, Job
    from retab_frames.sandbox.workspace import Workspace

_ROOT = "/v1/workflows/{workflow_id}/experiments"
_EXPERIMENT = f"{_ROOT}/{{experiment_id}}"


class NestedRoutes:
    """What stands under `/v1/workflows/{workflow_id}/experiments`.

    Args:
        workspace: What is served.
        dialect: Generation A1, A2, A3 or B.
    """

    def __init__(self, workspace: Workspace, dialect: Dialect) -> None:
        """Take what is served and how it is written."""
        self._workspace = workspace
        self._dialect = dialect

    def routes(self) -> list[Route]:
        """Return the path patterns of this generation with what answers them."""
        routes: list[Route] = [
            (_ROOT, self._list_experiments),
            (_EXPERIMENT, self._get_experiment),
        ]
        if self._dialect.family == "A":
            routes.append((f"{_EXPERIMENT}/runs", self._list_runs))
            routes.append((f"{_EXPERIMENT}/content", self._get_content))
        if self._dialect.generation == "A1":
            job = f"{_EXPERIMENT}/runs/{{run_id}}/documents/{{document_id}}"
            routes.append((job, self._get_job))
        return routes

    def _list_experiments(self, names: Names, _: Query) -> object:
        self._workspace.find_workflow(names["workflow_id"])
        newest_first = self._workspace.experiments()[::-1]
        rows = [self._dialect.experiment(experiment) for experiment in newest_first]
        return self._dialect.listing(rows, name="experiments")

    def _get_experiment(self, names: Names, _: Query) -> object:
        return self._dialect.experiment(self._experiment(names))

    def _list_runs(self, names: Names, _: Query) -> object:
        newest_first = self._workspace.runs(self._experiment(names).id)[::-1]
        return self._dialect.listing([self._dialect.run(run) for run in newest_first], name="runs")

    def _get_content(self, names: Names, query: Query) -> object:
        experiment = self._experiment(names)
        run_id = query.text("run_id") or experiment.last_run_id
        if run_id is None:
            jobs = self._workspace.placeholders(experiment.id)
            return self._dialect.content(experiment.id, "", jobs)
        return self._dialect.content(experiment.id, run_id, self._jobs(experiment, run_id))

    def _get_job(self, names: Names, _: Query) -> object:
        self._jobs(self._experiment(names), names["run_id"])
        return self._dialect.job(self._workspace.job_of(names["run_id"], names["document_id"]))

    def _experiment(self, names: Names) -> Experiment:
        self._workspace.find_workflow(names["workflow_id"])
        return self._workspace.experiment(names["experiment_id"])

    def _jobs(self, experiment: Experiment, run_id: str) -> tuple[Job, ...]:
        if run_id not in self._workspace.run_ids(experiment.id):
            raise NoRecord("Experiment run", run_id)
        return self._workspace.jobs(run_id)
