"""`df.retab`: the verbs of this library as methods of any frame of jobs; delegation only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["JobPlots", "RetabAccessor"]

_NEEDED = ("run_id", "job_id", "document_id", "status", "is_placeholder", "duration_ms")


@pd.api.extensions.register_dataframe_accessor("retab")
class RetabAccessor:
    """The verbs of `retab_frames` for a frame of jobs, wherever it came from.

    Each takes the options of the function of its name.

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
        missing = [name for name in _NEEDED if name not in jobs.columns]
        if missing:
            # pandas shows any other error as if the frame had no `retab` at all
            raise AttributeError(
                f"this is no frame of jobs: it has no column {', '.join(missing)}; "
                "rf.load_jobs, RunContent.jobs and the files in <store>/jobs are"
            )
        self._jobs = jobs

    def duration_stats(self, by: Any = None, **options: Any) -> pd.DataFrame:
        """Return `duration_stats` of the jobs."""
        from retab_frames.stats.durations import duration_stats  # noqa: PLC0415 - on first use

        return duration_stats(self._jobs, by, **options)

    def cumulative_incidence(self, **options: Any) -> pd.DataFrame:
        """Return `cumulative_incidence` of the jobs."""
        from retab_frames.stats.incidence import cumulative_incidence  # noqa: PLC0415

        return cumulative_incidence(self._jobs, **options)

    def timeline(self, **options: Any) -> pd.DataFrame:
        """Return the `timeline` of the jobs."""
        from retab_frames.stats.timeline import timeline  # noqa: PLC0415

        return timeline(self._jobs, **options)

    def slowest(self, n: int = 10, **options: Any) -> pd.DataFrame:
        """Return the `slowest` jobs."""
        from retab_frames.stats.durations import slowest  # noqa: PLC0415

        return slowest(self._jobs, n, **options)

    def failures(self, by: Any = None) -> pd.DataFrame:
        """Return why jobs failed, as `failures` does."""
        from retab_frames.stats.failures import failures  # noqa: PLC0415

        return failures(self._jobs, by)

    def handle_inputs(self) -> pd.DataFrame:
        """Return one row per job and handle input; fits HandlesSchema.

        What the wide columns do not hold (`size_bytes`, `content_fingerprint`, `extra`) is null;
        `load_handle_inputs` has it.
        """
        from retab_frames.schemas.handle_columns import handles_of_jobs  # noqa: PLC0415
        from retab_frames.schemas.models import HandlesSchema  # noqa: PLC0415
        from retab_frames.schemas.validation import validate  # noqa: PLC0415

        return validate(handles_of_jobs(self._jobs), HandlesSchema)

    def validate(self) -> pd.DataFrame:
        """Return the frame if it fits JobsSchema, else raise SchemaError."""
        from retab_frames.schemas.models import JobsSchema  # noqa: PLC0415
        from retab_frames.schemas.validation import validate  # noqa: PLC0415

        return validate(self._jobs, JobsSchema)

    @property
    def plot(self) -> JobPlots:
        """The plots of the jobs: `df.retab.plot.timeline()` and its like."""
        return JobPlots(self._jobs)


class JobPlots:
    """The plots of `retab_frames.plots` for a frame of jobs; each takes `ax=` and returns Axes."""

    def __init__(self, jobs: pd.DataFrame) -> None:
        self._jobs = jobs

    def __call__(self, by: Any = None, **options: Any) -> Axes:
        """Draw the durations, a row per group."""
        return self.durations(by, **options)

    def durations(self, by: Any = None, **options: Any) -> Axes:
        """Draw the durations of completed jobs, a row per group."""
        from retab_frames.plots import durations  # noqa: PLC0415 - matplotlib is optional

        return durations(self._jobs, by, **options)

    def ecdf(self, by: Any = None, **options: Any) -> Axes:
        """Draw which share of the completed jobs took at most how long, a line per group."""
        from retab_frames.plots import ecdf  # noqa: PLC0415

        return ecdf(self._jobs, by, **options)

    def timeline(self, **options: Any) -> Axes:
        """Draw when the jobs of one run waited and worked, and how many at a time."""
        from retab_frames.plots import timeline  # noqa: PLC0415

        return timeline(self._jobs, **options)

    def trend(self, **options: Any) -> Axes:
        """Draw quantiles of the durations over the runs."""
        from retab_frames.plots import trend  # noqa: PLC0415

        return trend(self._jobs, **options)
