"""The flat routes: runs and results of generations B and C."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from retab_frames.sandbox.query import keyset_page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from retab_frames.sandbox.dialects import Dialect, Wire
    from retab_frames.sandbox.query import Names, Query, Route
    from retab_frames.sandbox.records import Experiment, Job, Run
    from retab_frames.sandbox.workspace import Workspace

_ROOT = "/v1/workflows/experiments"
_RUN = f"{_ROOT}/runs/{{run_id}}"
_STATUSES = ("pending", "queued", "running", "completed", "error", "cancelled")

Record = TypeVar("Record", "Experiment", "Job", "Run")


class FlatRoutes:
    """What stands under `/v1/workflows/experiments`.

    Args:
        workspace: What is served.
        dialect: Generation B, or one of C1 to C4.
        page_limit: The largest page given, whatever limit is asked for.
    """

    def __init__(self, workspace: Workspace, dialect: Dialect, *, page_limit: int) -> None:
        """Take what is served and how it is written."""
        self._workspace = workspace
        self._dialect = dialect
        self._page_limit = page_limit

    def routes(self) -> list[Route]:
        """Return the path patterns of this generation with what answers them."""
        runs: list[Route] = [(f"{_ROOT}/runs", self._list_runs), (_RUN, self._get_run)]
        if self._dialect.family == "B":
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

    def _list_experiments(self, _: Names, query: Query) -> object:
        self._workspace.find_workflow(query.required("workflow_id"))
        block_id = query.text("block_id")
        experiments = [
            experiment
            for experiment in self._workspace.experiments()
            if block_id in (None, experiment.block.id)
        ]
        return self._page(experiments, query, self._dialect.experiment, default=50)

    def _get_experiment(self, names: Names, _: Query) -> object:
        return self._dialect.experiment(self._workspace.experiment(names["experiment_id"]))

    def _list_runs(self, _: Names, query: Query) -> object:
        status = query.choice("status", _STATUSES, None)
        excluded = query.choice("exclude_status", _STATUSES, None)
        runs = [
            run
            for run in self._workspace.runs()
            if query.text("workflow_id") in (None, run.workflow.id)
            and query.text("experiment_id") in (None, run.experiment_id)
            and query.text("block_id") in (None, run.block.id)
            and status in (None, run.status)
            and excluded != run.status
        ]
        return self._page(runs, query, self._dialect.run, default=20)

    def _get_run(self, names: Names, _: Query) -> object:
        return self._dialect.run(self._workspace.run(names["run_id"]))

    def _list_results(self, _: Names, query: Query) -> object:
        jobs = self._workspace.jobs(query.required("run_id"))
        return self._page(jobs, query, self._dialect.job, default=100)

    def _get_result(self, names: Names, _: Query) -> object:
        return self._dialect.job(self._workspace.job(names["result_id"]))

    def _list_results_of_run(self, names: Names, query: Query) -> object:
        # Generation B tells that there is more, and has no parameter to ask for it.
        jobs = self._workspace.jobs(names["run_id"])[::-1]
        size = min(query.limit(20), self._page_limit)
        after = jobs[size - 1].id if size < len(jobs) else None
        rows = [self._dialect.job(job) for job in jobs[:size]]
        return self._dialect.listing(rows, name="results", after=after)

    def _get_result_of_run(self, names: Names, _: Query) -> object:
        return self._dialect.job(self._workspace.job_of(names["run_id"], names["document_id"]))

    def _page(
        self,
        records: Sequence[Record],
        query: Query,
        written: Callable[[Record], Wire],
        *,
        default: int,
    ) -> object:
        rows = [(record.id, record) for record in records]
        page = keyset_page(rows, query, default=default, most=self._page_limit)
        listed = [written(record) for record in page.rows]
        return self._dialect.listing(listed, name="rows", before=page.before, after=page.after)
