"""The routes nested below the workflow: all of generation A, and the experiments of B."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retab_frames.sandbox.workspace import RecordNotFoundError

if TYPE_CHECKING:
    from retab_frames.sandbox.parameters import QueryParameters
    from retab_frames.sandbox.records import Experiment, Job
    from retab_frames.sandbox.routes import PathParameters, Route
    from retab_frames.sandbox.serializers import Serializer
    from retab_frames.sandbox.workspace import Workspace

_ROOT = "/v1/workflows/{workflow_id}/experiments"
_EXPERIMENT = f"{_ROOT}/{{experiment_id}}"


class NestedRoutes:
    """The routes below `/v1/workflows/{workflow_id}/experiments`.

    Args:
        workspace: The records that are served.
        serializer: Of generation A1, A2, A3 or B.
    """

    def __init__(self, workspace: Workspace, serializer: Serializer) -> None:
        self._workspace = workspace
        self._serializer = serializer

    def list_routes(self) -> list[Route]:
        """Return the path patterns of this generation, each with its handler."""
        routes: list[Route] = [
            (_ROOT, self._list_experiments),
            (_EXPERIMENT, self._get_experiment),
        ]
        if self._serializer.family == "A":
            routes.append((f"{_EXPERIMENT}/runs", self._list_runs))
            routes.append((f"{_EXPERIMENT}/content", self._get_content))
        if self._serializer.generation == "A1":
            job = f"{_EXPERIMENT}/runs/{{run_id}}/documents/{{document_id}}"
            routes.append((job, self._get_job))
        return routes

    def _list_experiments(self, path: PathParameters, _: QueryParameters) -> object:
        self._workspace.find_workflow(path["workflow_id"])
        newest_first = self._workspace.experiments()[::-1]
        rows = [self._serializer.dump_experiment(experiment) for experiment in newest_first]
        return self._serializer.dump_listing(rows, name="experiments")

    def _get_experiment(self, path: PathParameters, _: QueryParameters) -> object:
        return self._serializer.dump_experiment(self._find_experiment(path))

    def _list_runs(self, path: PathParameters, _: QueryParameters) -> object:
        newest_first = self._workspace.runs(self._find_experiment(path).id)[::-1]
        return self._serializer.dump_listing(
            [self._serializer.dump_run(run) for run in newest_first], name="runs"
        )

    def _get_content(self, path: PathParameters, query: QueryParameters) -> object:
        experiment = self._find_experiment(path)
        run_id = query.get_text("run_id") or experiment.last_run_id
        if run_id is None:
            jobs = self._workspace.placeholders(experiment.id)
            return self._serializer.dump_content(experiment.id, "", jobs)
        return self._serializer.dump_content(
            experiment.id, run_id, self._find_jobs(experiment, run_id)
        )

    def _get_job(self, path: PathParameters, _: QueryParameters) -> object:
        self._find_jobs(self._find_experiment(path), path["run_id"])
        return self._serializer.dump_job(
            self._workspace.find_job(path["run_id"], path["document_id"])
        )

    def _find_experiment(self, path: PathParameters) -> Experiment:
        self._workspace.find_workflow(path["workflow_id"])
        return self._workspace.experiment(path["experiment_id"])

    def _find_jobs(self, experiment: Experiment, run_id: str) -> tuple[Job, ...]:
        if run_id not in self._workspace.run_ids(experiment.id):
            raise RecordNotFoundError("Experiment run", run_id)
        return self._workspace.jobs(run_id)
