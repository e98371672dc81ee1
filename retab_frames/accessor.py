"""`df.retab`: the functions of this library as methods of any jobs frame.

This module is imported as soon as pandas is, which may be in the middle of the import of another
module of this library. So it imports only the root at its top.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

import retab_frames as rf

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["JobPlots", "RetabAccessor"]

_NEEDED = ("run_id", "job_id", "document_id", "status", "is_placeholder", "duration_ms")


@pd.api.extensions.register_dataframe_accessor("retab")
class RetabAccessor:
    """The functions of `retab_frames` that take a jobs frame, as its methods.

    Each method has the options of the function of its name.

    Example:
        >>> import pandas as pd
        >>> import retab_frames as rf
        >>> with rf.Sandbox() as sandbox:
        ...     with rf.Client(sandbox.api_key, base_url=sandbox.url) as client:
        ...         jobs = rf.load_jobs("wf_sandbox", "exp_invoices", client=client)
        >>> jobs[jobs.status == "completed"].retab.slowest(1)["duration_ms"].tolist()
        [4496.0]
    """

    def __init__(self, jobs: pd.DataFrame) -> None:
        from retab_frames.schemas.intake import check_columns  # noqa: PLC0415 - see above

        try:
            check_columns(jobs, _NEEDED, reader="df.retab")
        except ValueError as error:
            # hasattr(df, "retab") must be False, not an error, as pandas asks of accessors
            raise AttributeError(str(error)) from None
        self._jobs = jobs

    def duration_stats(self, by: Any = None, **options: Any) -> pd.DataFrame:
        """Return `duration_stats` of the jobs."""
        return rf.duration_stats(self._jobs, by, **options)

    def cumulative_incidence(self, by: Any = None, **options: Any) -> pd.DataFrame:
        """Return `cumulative_incidence` of the jobs."""
        return rf.cumulative_incidence(self._jobs, by, **options)

    def timeline(self, **options: Any) -> pd.DataFrame:
        """Return the `timeline` of the jobs."""
        return rf.timeline(self._jobs, **options)

    def slowest(self, n: int = 10, **options: Any) -> pd.DataFrame:
        """Return the `slowest` jobs."""
        return rf.slowest(self._jobs, n, **options)

    def failures(self, by: Any = None) -> pd.DataFrame:
        """Return the `failures` of the jobs: their error messages by template."""
        return rf.failures(self._jobs, by)

    def plan(self, **options: Any) -> rf.RunPlan:
        """Return the `plan` that the runs of these jobs give."""
        return rf.plan(self._jobs, **options)

    def trend(self, **options: Any) -> rf.RunTrend:
        """Return the `trend` of the runs of these jobs."""
        return rf.trend(self._jobs, **options)

    def handle_inputs(self) -> pd.DataFrame:
        """Return one row per job and handle input; fits HandlesSchema.

        What a jobs frame lacks (`size_bytes`, `content_fingerprint`, `extra`) is null;
        `load_handle_inputs` has it.
        """
        from retab_frames.schemas.handle_columns import handles_of_jobs  # noqa: PLC0415 - see above
        from retab_frames.schemas.intake import list_handle_columns, take_columns  # noqa: PLC0415
        from retab_frames.schemas.models import HandlesSchema  # noqa: PLC0415

        names = ("run_id", "job_id", "document_id", *list_handle_columns(self._jobs))
        reader = "handle_inputs"
        jobs = take_columns(self._jobs, names, reader=reader, optional=("experiment_id",))
        return rf.validate(handles_of_jobs(jobs), HandlesSchema)

    def validate(self) -> pd.DataFrame:
        """Return the frame with the types of JobsSchema if it fits, else raise SchemaError."""
        from retab_frames.schemas.models import JobsSchema  # noqa: PLC0415 - see above

        return rf.validate(self._jobs, JobsSchema)

    @property
    def plot(self) -> JobPlots:
        """The plots of the jobs, such as `df.retab.plot.timeline()`."""
        return JobPlots(self._jobs)


class JobPlots:
    """The functions of `retab_frames.plots` that take a jobs frame; each returns Axes.

    Each method has the options of the function of its name, `ax=` among them.
    """

    def __init__(self, jobs: pd.DataFrame) -> None:
        self._jobs = jobs

    def __call__(self, by: Any = None, **options: Any) -> Axes:
        """Draw the durations, a row per group."""
        return self.durations(by, **options)

    def durations(self, by: Any = None, **options: Any) -> Axes:
        """Draw the durations of completed jobs, a row per group."""
        return self._draw("durations", by, **options)

    def ecdf(self, by: Any = None, **options: Any) -> Axes:
        """Draw the share of completed jobs that took at most each duration, a line per group."""
        return self._draw("ecdf", by, **options)

    def timeline(self, **options: Any) -> Axes:
        """Draw when each job of one run waited and ran, and how many at a time."""
        return self._draw("timeline", **options)

    def trend(self, **options: Any) -> Axes:
        """Draw quantiles of the durations over the runs."""
        return self._draw("trend", **options)

    def _draw(self, name: str, *arguments: Any, **options: Any) -> Axes:
        from retab_frames import plots  # noqa: PLC0415 - matplotlib is optional

        axes: Axes = getattr(plots, name)(self._jobs, *arguments, **options)
        return axes
