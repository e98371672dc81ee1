"""The flat routes: runs and results of generation B; also experiments, of generation C."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from retab_frames.sandbox.paging import select_page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from retab_frames.sandbox.parameters import QueryParameters
    from retab_frames.sandbox.records import Experiment, Job, Run
    from retab_frames.sandbox.routes import PathParameters, Route
    from retab_frames.sandbox.serializers import JsonObject, Serializer
    from retab_frames.sandbox.workspace import Workspace

_ROOT = "/v1/workflows/experiments"
_RUN = f"{_ROOT}/runs/{{run_id}}"
_STATUSES = ("pending", "queued", "running", "completed", "error", "cancelled")

Record = TypeVar("Record", "Experiment", "Job", "Run")


class FlatRoutes:
    """The routes below `/v1/workflows/experiments`.

    Args:
        workspace: The records that are served.
        serializer: Of generation B, or one of C1 to C4.
        page_limit: The largest number of rows per page, whatever limit is asked for.
    """

    def __init__(self, workspace: Workspace, serializer: Serializer, *, page_limit: int) -> None:
        self._workspace = workspace
        self._serializer = serializer
        self._page_limit = page_limit

    def list_routes(self) -> list[Route]:
        """Return the path patterns of this generation, each with its handler."""
        runs: list[Route] = [(f"{_ROOT}/runs", self._list_runs), (_RUN, self._get_run)]
        if self._serializer.family == "B":
            return [
                *runs,
                (f"{_RUN}/results", self._list_results_of_run),
                (f"{_RUN}/results/{{document_id}}", self._get_result_of_run),
            ]
        return [
            *runs,
            (f"{_ROOT}/results", self._list_results),
            (f"{_ROOT}/results/{{result_id}}", self._get_result),
            (_ROOT, self._list_experiments),
            (f"{_ROOT}/{{experiment_id}}", self._get_experiment),
        ]

    def _list_experiments(self, _: PathParameters, query: QueryParameters) -> object:
        self._workspace.find_workflow(query.require_text("workflow_id"))
        block_id = query.get_text("block_id")
        experiments = [
            experiment
            for experiment in self._workspace.experiments()
            if block_id in (None, experiment.block.id)
        ]
        return self._list_page(experiments, query, self._serializer.dump_experiment, default=50)

    def _get_experiment(self, path: PathParameters, _: QueryParameters) -> object:
        return self._serializer.dump_experiment(self._workspace.experiment(path["experiment_id"]))

    def _list_runs(self, _: PathParameters, query: QueryParameters) -> object:
        status = query.get_choice("status", _STATUSES, None)
        excluded = query.get_choice("exclude_status", _STATUSES, None)
        runs = [
            run
            for run in self._workspace.runs()
            if query.get_text("workflow_id") in (None, run.workflow.id)
            and query.get_text("experiment_id") in (None, run.experiment_id)
            and query.get_text("block_id") in (None, run.block.id)
            and status in (None, run.status)
            and excluded != run.status
        ]
        return self._list_page(runs, query, self._serializer.dump_run, default=20)

    def _get_run(self, path: PathParameters, _: QueryParameters) -> object:
        return self._serializer.dump_run(self._workspace.run(path["run_id"]))

    def _list_results(self, _: PathParameters, query: QueryParameters) -> object:
        jobs = self._workspace.jobs(query.require_text("run_id"))
        return self._list_page(jobs, query, self._serializer.dump_job, default=100)

    def _get_result(self, path: PathParameters, _: QueryParameters) -> object:
        return self._serializer.dump_job(self._workspace.job(path["result_id"]))

    def _list_results_of_run(self, path: PathParameters, query: QueryParameters) -> object:
        # Generation B sends a cursor to the next page, but has no parameter to request it.
        jobs = self._workspace.jobs(path["run_id"])[::-1]
        size = min(query.get_limit(20), self._page_limit)
        after = jobs[size - 1].id if size < len(jobs) else None
        rows = [self._serializer.dump_job(job) for job in jobs[:size]]
        return self._serializer.dump_listing(rows, name="results", after=after)

    def _get_result_of_run(self, path: PathParameters, _: QueryParameters) -> object:
        return self._serializer.dump_job(
            self._workspace.find_job(path["run_id"], path["document_id"])
        )

    def _list_page(
        self,
        records: Sequence[Record],
        query: QueryParameters,
        dump: Callable[[Record], JsonObject],
        *,
        default: int,
    ) -> object:
        rows = [(record.id, record) for record in records]
        page = select_page(rows, query, default=default, largest=self._page_limit)
        dumped = [dump(record) for record in page.rows]
        return self._serializer.dump_listing(
            dumped, name="rows", before=page.before, after=page.after
        )
