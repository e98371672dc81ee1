"""What did not fit or is not known, as the rows of the issues table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.flatten.handles import MAX_HANDLE_COLUMNS
from retab_frames.schemas.models import IssuesSchema, arrow_schema, empty_table
from retab_frames.schemas.vocabulary import KNOWN_HANDLE_TYPES, KNOWN_VALUES
from retab_frames.text.messages import printable
from retab_frames.wire.misfits import Misfit

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Mapping, Sequence

    from retab_frames.flatten.handles import HandleTable, Indices

__all__ = ["Issue", "IssuesByRun", "issues_table"]


class Issue(NamedTuple):
    """A row of the issues table; its fields are the columns of IssuesSchema."""

    run_id: str | None
    job_id: str | None
    field: str | None
    problem: str
    value: str | None
    action: str


class IssuesByRun:
    """Collects the issues of runs that are flattened together.

    Attributes:
        by_run: The issues of each run.
    """

    def __init__(self) -> None:
        self.by_run: list[list[Issue]] = []
        self._run_ids: list[str | None] = []
        self._unknown: list[Counter[tuple[str, str]]] = []

    def add_run(self, run_id: str | None, unknown: Counter[tuple[str, str]]) -> None:
        """Begin a run; `unknown` has its unknown fields, and how often each of them came."""
        self.by_run.append([])
        self._run_ids.append(run_id)
        self._unknown.append(unknown)

    def add_misfits(
        self, columns: Mapping[str, pa.Array], run: Indices, misfits: Iterable[Misfit]
    ) -> None:
        """Report cells that did not fit.

        Args:
            columns: What holds the `run_id` and `job_id` of each row.
            run: The number of the run of each row.
            misfits: The cells.
        """
        for row, field, problem, value, action in sorted(misfits, key=lambda one: one.row):
            run_id, job_id = (columns[name][row].as_py() for name in ("run_id", "job_id"))
            self.by_run[run[row]].append(Issue(run_id, job_id, field, problem, value, action))

    def add_unknown_fields(self) -> None:
        """Report the unknown fields of each run."""
        for issues, run_id, unknown in zip(self.by_run, self._run_ids, self._unknown, strict=True):
            for (level, key), count in sorted(unknown.items()):  # however the rows were split
                field = f"{level}.{key}".lstrip(".")
                times = f"{count} times"
                issues.append(Issue(run_id, None, field, "unknown field", times, "kept in raw"))

    def add_handles(self, side: str, handles: HandleTable, run: Indices) -> None:
        """Report the misfits of handles, and handles without a type.

        Args:
            side: "handle_inputs" or "handle_outputs".
            handles: The handles.
            run: The number of the run of each job.
        """
        names, types = (handles.columns[name] for name in ("handle", "type"))
        misfits = [
            one._replace(field=f"{side}.{names[one.row]}.{one.field}") for one in handles.misfits
        ]
        if types.null_count:
            rows = types.is_null().to_numpy(zero_copy_only=False).nonzero()[0].tolist()
            misfits += [
                Misfit(row, f"{side}.{names[row]}.type", "a handle without a type", "", "kept")
                for row in rows
            ]
        self.add_misfits(handles.columns, run[handles.job], misfits)

    def add_new_values(self, jobs: Mapping[str, pa.ChunkedArray], run: Indices) -> None:
        """Report statuses, block kinds and operations that this library does not know."""
        for name, known in KNOWN_VALUES.items():
            self._add_new(jobs[name], known, name, run)

    def add_new_handle_types(self, side: str, types: pa.ChunkedArray, run: Indices) -> None:
        """Report types of handles that this library does not know."""
        self._add_new(types, KNOWN_HANDLE_TYPES, f"{side}.type", run)

    def add_handle_count(self, side: str, count: int) -> None:
        """Report more handles than become columns."""
        if count > MAX_HANDLE_COLUMNS:
            action = f"the first {MAX_HANDLE_COLUMNS} are columns, all are in {side}"
            self.by_run[-1].append(
                Issue(None, None, side, "very many handles", f"{count} handles", action)
            )

    def _add_new(
        self, column: pa.ChunkedArray, known: frozenset[str], field: str, run: Indices
    ) -> None:
        """Report each value that is not known: once per run, with how often it came."""
        values = column.unique().to_pylist()
        new = [value for value in values if value is not None and value not in known]
        if not new:
            return
        rows = pa.table({"run": run, "value": column}).filter(pc.is_in(column, pa.array(new)))
        counts = rows.group_by(["run", "value"], use_threads=False).aggregate([([], "count_all")])
        for row in counts.to_pylist():
            problem = f"unknown value {printable(row['value'])!r}"
            times = f"{row['count_all']} times"
            run_id = self._run_ids[row["run"]]
            self.by_run[row["run"]].append(Issue(run_id, None, field, problem, times, "kept"))


def issues_table(issues: Sequence[Issue]) -> pa.Table:
    """Return the issues as a table that fits IssuesSchema."""
    if not issues:
        return empty_table(IssuesSchema)
    rows = [issue._asdict() for issue in issues]
    return pa.Table.from_pylist(rows, schema=arrow_schema(IssuesSchema))
