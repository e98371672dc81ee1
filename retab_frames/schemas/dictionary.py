"""The data dictionary: the columns of every frame, with type, unit and meaning.

Those of loaded and stored frames are declared by their models, those of what is computed from them
here. A test builds each of these frames, and compares its columns and types with the dictionary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from retab_frames.schemas.frames import BOOL, FLOAT64, INT64, STRING, TIME, frame_of_rows
from retab_frames.schemas.models import (
    ExperimentsSchema,
    HandlesSchema,
    IssuesSchema,
    JobsSchema,
    PulledSchema,
    RawSchema,
    RunsSchema,
    SnapshotsSchema,
)
from retab_frames.text.messages import did_you_mean, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import pyarrow as pa

    from retab_frames.schemas.models import Model

__all__ = ["TYPE_NAMES", "Column", "describe", "list_columns", "list_names"]

TYPE_NAMES: dict[pa.DataType, str] = {
    STRING: "string",
    INT64: "int64",
    FLOAT64: "double",
    BOOL: "bool",
    TIME: "time",
}
"""What the dictionary calls the types of Arrow; a time is in UTC, in microseconds."""


class Column(NamedTuple):
    """What is said of a column, or of the columns that a pattern such as `p<q>_ms` stands for."""

    type: str
    null: bool
    unit: str | None
    meaning: str


def _text(meaning: str, *, null: bool = False) -> Column:
    return Column("string", null, None, meaning)


def _count(meaning: str, unit: str, *, null: bool = False) -> Column:
    return Column("int64", null, unit, meaning)


def _number(meaning: str, unit: str | None = None, *, null: bool = True) -> Column:
    return Column("double", null, unit, meaning)


def _flag(meaning: str, *, null: bool = False) -> Column:
    return Column("bool", null, None, meaning)


def _time(meaning: str, *, null: bool = False) -> Column:
    return Column("time", null, None, meaning)


def _interval(name: str, unit: str = "", *, of: str, measured_in: str | None = None) -> Columns:
    """Return an estimate and the ends of its interval; `unit` ends their names, such as `_ms`."""
    return {
        f"{name}{unit}": _number(of, measured_in),
        f"{name}_low{unit}": _number("the lower end of its interval; null: unbounded", measured_in),
        f"{name}_high{unit}": _number(
            "the upper end of its interval; null: unbounded", measured_in
        ),
    }


Columns = dict[str, Column]


def _list_of_model(model: Model) -> Columns:
    return {
        (column.pattern or name).strip("^$").replace(r"\..*\.", ".<handle>."): Column(
            TYPE_NAMES[model.kinds[name]], column.nullable, column.unit, column.meaning
        )
        for name, column in model.columns.items()
    }


_GROUP: Columns = {
    "<by>": Column("as it is", null=True, unit=None, meaning="the group: a column of `by`")
}
_JOB: Columns = {
    "run_id": _text("the run", null=True),
    "document_id": _text("the document"),
    "job_id": _text("the job"),
    "filename": _text("the name of its first file", null=True),
}
_COUNTED: Columns = {
    "jobs": _count("jobs of the group; the counts up to `other` add up to it", "jobs"),
    "completed": _count("completed jobs", "jobs"),
    "error": _count("failed jobs", "jobs"),
    "cancelled": _count("cancelled jobs", "jobs"),
    "skipped": _count("skipped jobs", "jobs"),
    "unfinished": _count("jobs that have not ended", "jobs"),
    "placeholders": _count("documents for which no job was ever run", "jobs"),
    "other": _count("jobs with no status, or one that is unknown to this library", "jobs"),
}
_CHANGES: Columns = {
    "broken": _count("completed in the baseline, failed in the run", "documents"),
    "still_failing": _count("failed in both", "documents"),
    "pending": _count("not ended in one of them", "documents"),
    "cancelled": _count("cancelled or skipped in one of them", "documents"),
    "removed": _count("only in the baseline", "documents"),
    "added": _count("only in the run", "documents"),
    "fixed": _count("failed in the baseline, completed in the run", "documents"),
    "unchanged": _count("completed in both", "documents"),
}
_SPEED: Columns = {
    "pairs": _count("completed in both runs by jobs of their own, with a duration", "documents"),
    "left_out": _count("completed in both, but without a duration", "documents"),
    "zeros": _count("pairs with 0 ms on a side, which counts as 0.5 ms", "documents"),
    "same_job": _count("no pairs, because one job stands on both sides", "documents"),
    **_interval("ratio", of="the typical change: candidate / baseline, 1.2 for 20 % longer"),
    "p_value": _number("of no change; null without pairs"),
    "interval": _text("its method: signed_rank, student_t, runs (earlier runs), or none"),
    "total_ratio": _number("the change of the total time of the pairs", "ratio"),
    "total_low": _number("the lower end of its interval; null: unbounded", "ratio"),
    "total_high": _number("the upper end of its interval; null: unbounded", "ratio"),
    "total_delta_ms": _number("candidate - baseline, in total", "ms"),
    "much_slower": _count("pairs with a ratio above 1.5", "documents"),
    "much_faster": _count("pairs with a ratio below 1 / 1.5", "documents"),
    "movers_p": _number("p-value of as many much slower as much faster documents"),
    "composite_low": _number("the lower end, with broken documents as the slowest", "ratio"),
    "composite_high": _number("the upper end, with fixed documents as the fastest", "ratio"),
    "p95_ratio": _number("the change of the 95th percentile; null below 72 pairs", "ratio"),
    "p95_low": _number("the lower end of its interval", "ratio"),
    "p95_high": _number("the upper end of its interval", "ratio"),
    "median_delta_ms": _number("the median of candidate - baseline", "ms"),
}
_DETECTABLE: Columns = {
    "detectable_ratio": _number("the slowdown that so many documents would show", "ratio"),
}
_DOCUMENTS: Columns = {
    "document_id": _text("the document"),
    "filename": _text("the name of its first file", null=True),
    "change": _text(", ".join(_CHANGES)),
    "baseline_status": _text("null: the baseline lacks it", null=True),
    "candidate_status": _text("null: the candidate lacks it", null=True),
    "baseline_<measure>_ms": Column(
        "int64 or double", null=True, unit="ms", meaning="the measure in the baseline"
    ),
    "candidate_<measure>_ms": Column(
        "int64 or double", null=True, unit="ms", meaning="the measure in the candidate"
    ),
    "delta_ms": Column(
        "int64 or double",
        null=True,
        unit="ms",
        meaning="candidate - baseline; null unless both were completed",
    ),
    "ratio": _number("candidate / baseline; null unless both were completed", "ratio"),
    "baseline_job_id": _text("its job in the baseline; null: no such document", null=True),
    "candidate_job_id": _text("its job in the candidate; null: no such document", null=True),
    "same_job": _flag("one job stands on both sides; null: a side lacks it", null=True),
    "baseline_attempt": _count("retries in the baseline", "retries", null=True),
    "candidate_attempt": _count("retries in the candidate", "retries", null=True),
    "error_message": _text("of the job in the candidate; null: none", null=True),
    "inputs_changed": _flag("other inputs; null: not known", null=True),
    "artifact_changed": _flag("another artifact; null: a side has none", null=True),
}
_BROKEN_MESSAGES: Columns = {
    "template": _text("a message with its variables masked"),
    "documents": _count("documents that broke with it", "documents"),
    "runs": _count("runs in which they did", "runs"),
    "example_document_id": _text("one of the documents"),
    "example_filename": _text("the name of its first file", null=True),
    "example_job_id": _text("its job"),
    "example_message": _text("its message; null: none", null=True),
}
_FILES: Columns = {
    "file": _text("the name of the file below the root of the store"),
    "size_bytes": _count("its size", "bytes", null=True),
    "modified_at": _time("when it was written, by the clock of the store", null=True),
    "problem": _text("why it is listed"),
    "action": _text("what was done with it, or would be"),
}

_MODELS: dict[str, tuple[str, Model]] = {
    "jobs": ("load_jobs, SnapshotStore.jobs, RunContent.jobs: one row per job", JobsSchema),
    "handle_inputs": (
        "load_handle_inputs, SnapshotStore.handle_inputs, RunContent: one row per job and input",
        HandlesSchema,
    ),
    "handle_outputs": ("RunContent.handle_outputs: one row per job and output", HandlesSchema),
    "runs": ("load_runs, SnapshotStore.runs, RunContent.run: one row per run", RunsSchema),
    "experiments": ("load_experiments: one row per experiment", ExperimentsSchema),
    "issues": (
        "SnapshotStore.issues, RunContent.issues: one row per value that did not fit",
        IssuesSchema,
    ),
    "raw": ("RunContent.raw: one row per job, as it came", RawSchema),
    "pull": ("SnapshotStore.pull: one row per run that was asked for", PulledSchema),
    "snapshots": ("SnapshotStore.list(): one row per stored run", SnapshotsSchema),
}
"""The frames that have a model, and where they are returned."""

_COMPUTED: dict[str, tuple[str, Columns]] = {
    "duration_stats": (
        "one row per group of jobs; durations end in _s with unit='s'",
        {
            **_GROUP,
            **dict(list(_COUNTED.items())[:2]),
            "p<q>_ms": _number("a quantile, p50 is the median", "ms"),
            "mean_ms": _number("the mean; null where nothing was measured", "ms"),
            "min_ms": _number("the shortest; null where nothing was measured", "ms"),
            "max_ms": _number("the longest; null where nothing was measured", "ms"),
            "std_ms": _number("the standard deviation (n - 1); null below two", "ms"),
            "total_ms": _number("the sum; null where nothing was measured", "ms"),
            "p<q>_low_ms": _number("the lower end of its interval; null: unbounded", "ms"),
            "p<q>_high_ms": _number("the upper end of its interval; null: unbounded", "ms"),
            **dict(list(_COUNTED.items())[2:]),
            "measured": _count("completed jobs with the measure: the sample", "jobs"),
            "censored": _count("unfinished jobs that count with their time so far", "jobs"),
            "outliers": _count("far from the rest of the group; null below 12", "jobs", null=True),
            "note": _text("which jobs the statistics leave out; null: none", null=True),
        },
    ),
    "slowest": (
        "the completed jobs that took longest, the longest first",
        {
            **_JOB,
            "<measure>_ms": _number("how long it took: the measure asked for", "ms", null=False),
            "ratio_to_run_median": _number(
                "its ratio to the median of its run; null where that is 0", "ratio"
            ),
            "is_outlier": _flag("far from the rest of its run; null below 12 jobs", null=True),
        },
    ),
    "failed_jobs": (
        "one row per failed job",
        {
            name: _list_of_model(JobsSchema)[name]
            for name in (*_JOB, "status", "error_message", "error_details", "completed_at")
        },
    ),
    "failures": (
        "one row per group, error message (its template) and status",
        {
            **_GROUP,
            "template": _text("the message without ids, numbers and names"),
            "status": _text("error, cancelled or skipped"),
            "jobs": _count("jobs with this message", "jobs"),
            "documents": _count("documents of these jobs", "documents"),
            "runs": _count("runs of these jobs", "runs"),
            "share": _number("of the failed jobs of the group", "0 to 1", null=False),
            "example_document_id": _text("the document of the first such job"),
            "example_filename": _text("its file", null=True),
            "example_job_id": _text("the first such job"),
        },
    ),
    "cumulative_incidence": (
        "the shares of jobs that have ended, by duration",
        {
            **_GROUP,
            "after_ms": _number("a duration after which a job ended", "ms", null=False),
            "completed": _number("share completed by then; null: no job counts", "0 to 1"),
            "failed": _number("share failed by then; null: no job counts", "0 to 1"),
            "stopped": _number("share cancelled or skipped; null: no job counts", "0 to 1"),
            "open": _number("share still open; null: no job counts", "0 to 1"),
            "at_risk": _count("jobs that ended, or were last seen, no earlier", "jobs"),
            "left_out": _count("jobs of the group that are in no share", "jobs"),
        },
    ),
    "timeline": (
        "one row per run and moment at which a job was created, started or ended",
        {
            "run_id": _text("the run", null=True),
            "at": _time("the moment (UTC)"),
            "waiting": _count("jobs that wait from then on", "jobs"),
            "running": _count("jobs that run from then on", "jobs"),
            "ended": _count("jobs that have ended", "jobs"),
            "wall_clock_ms": _number("since the first start of the run", "ms", null=False),
            "work_ms": _number("the time that all jobs have run so far", "ms", null=False),
            "parallelism": _number("work / wall clock; null where that is 0", "jobs"),
            "left_out": _count("jobs of the run whose times do not say when they ran", "jobs"),
        },
    ),
    "verify": (
        "SnapshotStore.verify(): one row per problem of the store",
        {
            "run_id": _text("the run; null: a file of no run", null=True),
            "experiment_id": _text("its experiment", null=True),
            "revision": _count("its revision", "number", null=True),
            "file": _text("the name of the file below the root of the store"),
            "kind": _text("damaged, newer, older, stray, differs or leftover"),
            "problem": _text("what is wrong"),
            "action": _text("what to do"),
        },
    ),
    "clean": ("SnapshotStore.clean(), prune, publish and remove: one row per file", _FILES),
    "comparison.comparability": (
        "compare_runs(...): one row per check whether the runs compare",
        {
            "check": _text("what is compared"),
            "baseline": _text("the fact of the baseline; null: not recorded", null=True),
            "candidate": _text("the fact of the candidate; null: not recorded", null=True),
            "result": _text("yes, warning, no or unknown"),
            "reason": _text("why; null for a yes", null=True),
        },
    ),
    "comparison.documents": ("one row per document of the two runs", _DOCUMENTS),
    "comparison.runs": (
        "one row per side: the run, and its score",
        {
            "side": _text("baseline or candidate"),
            "run_id": _text("the run", null=True),
            "experiment_id": _text("its experiment", null=True),
            "created_at": _time("when it was created; null: not recorded", null=True),
            "status": _text("its status; null: not recorded", null=True),
            "n_consensus": _count(
                "votes for each document; null: not recorded", "votes", null=True
            ),
            "documents": _count("its documents", "documents"),
            "completed": _count("those completed", "documents"),
            "failed": _count("those that failed", "documents"),
            "score": _number("consensus score of the documents completed"),
            "score_delta": _number("candidate - baseline; null unless both are of the same"),
        },
    ),
    "comparison.definition": (
        "one row per value of the block's configuration that differs",
        {
            "path": _text("keys and positions in lists, with dots between them"),
            "baseline": _text("its value as text or JSON; null: none", null=True),
            "candidate": _text("its value as text or JSON; null: none", null=True),
        },
    ),
    "comparison.broken_messages": (
        "one row per template of the messages of documents that broke",
        _BROKEN_MESSAGES,
    ),
    "comparison.transitions": (
        "one row per pair of statuses",
        {
            "baseline_status": _text("null: the baseline lacks the documents", null=True),
            "candidate_status": _text("null: the candidate lacks the documents", null=True),
            "documents": _count("how many documents", "documents"),
        },
    ),
    "comparison.failure_rates": (
        "one row per side, of the documents that completed or failed on both",
        {
            "side": _text("baseline or candidate"),
            "run_id": _text("the run", null=True),
            "documents": _count("documents that completed or failed on both sides", "documents"),
            "failed": _count("those that failed on this side", "documents"),
            **_interval("rate", of="failed / documents; null: none", measured_in="0 to 1"),
            "p_value": _number("of equal rates (McNemar), in the row of the candidate"),
        },
    ),
    "comparison.durations": (
        "one row per side, of the documents completed on both by jobs of its own",
        {
            "side": _text("baseline or candidate"),
            "run_id": _text("the run", null=True),
            "documents": _count("documents with the measure on both sides", "documents"),
            **_interval("mean", "_ms", of="the mean", measured_in="ms"),
            **_interval("geometric_mean", "_ms", of="null if a duration is 0", measured_in="ms"),
            **_interval("median", "_ms", of="the median", measured_in="ms"),
            **_interval("p95", "_ms", of="the 95th percentile", measured_in="ms"),
        },
    ),
    "comparison.movers": ("the documents with a large change, the slowest first", _DOCUMENTS),
    "comparison.speed": (
        "one row: the change of speed and its verdict",
        {
            "verdict": _text("faster, slower, equivalent or inconclusive"),
            **_SPEED,
            "margin": _number("the largest slowdown that does not matter", "share", null=False),
            "confidence": _number("of the intervals", "0 to 1", null=False),
            **_DETECTABLE,
        },
    ),
    "comparison.earlier.runs": (
        "with earlier runs: one row per run of the baseline's definition",
        {
            "run_id": _text("the run", null=True),
            "pairs": _count("completed in it and in the candidate", "documents"),
            "ratio": _number("the typical change from it to the candidate", "ratio"),
            "used": _flag("whether the verdict rests on it"),
        },
    ),
    "gate.checks": (
        "`checks` of a GateError: one row per check",
        {
            "check": _text("what is checked"),
            "found": _text("what was found", null=True),
            "allowed": _text("what is allowed", null=True),
            "outcome": _text("pass, regression, inconclusive or missing"),
            "reason": _text("why; null for a pass", null=True),
            "sentence": _text("all of it in words"),
        },
    ),
    "compare_many.runs": (
        "one row per run, against the baseline",
        {
            "run_id": _text("the run", null=True),
            "created_at": _time("when it was created; null: not recorded", null=True),
            "comparable": _text("yes, warnings or no"),
            "documents": _count("documents of either run", "documents"),
            **_CHANGES,
            **_interval("failure_rate", of="failed, of those ended in both", measured_in="0 to 1"),
            "failure_p": _number("of equal failure rates (McNemar)"),
            **_SPEED,
            **_DETECTABLE,
            "score": _number("consensus score of the documents completed"),
            "score_delta": _number("score - that of the baseline; null unless of the same"),
            "slower_p": _number("one-sided p-value of slower by more than the margin"),
            "faster_p": _number("one-sided p-value of faster by more than the margin"),
            "equivalent_p": _number("p-value of a change within the margin"),
            "failure_p_adjusted": _number("failure_p, corrected for the number of runs"),
            "speed_p_adjusted": _number("that of the verdict, corrected for their number"),
            "verdict": _text("faster, slower, equivalent or inconclusive"),
        },
    ),
    "compare_many.run_failures": (
        "one row per run: whether too many documents failed in it at once",
        {
            "run_id": _text("the run", null=True),
            "definition": _text("its fingerprint; null: not recorded", null=True),
            "documents": _count("documents completed or failed", "documents"),
            "failed": _count("those that failed", "documents"),
            "expected": _number("those expected by how often each fails", "documents"),
            "p_value": _number("of so many or more, corrected for the number of runs"),
            "left_out": _flag("whether the failure rates of documents leave the run out"),
        },
    ),
    "compare_many.broken_messages": (
        "one row per template of the messages of documents that broke in any run",
        _BROKEN_MESSAGES,
    ),
    "compare_many.documents": (
        "one row per document of all runs, those that need attention first",
        {
            "document_id": _text("the document"),
            "filename": _text("the name of its first file", null=True),
            "runs": _count("runs that have it", "runs"),
            "completed": _count("runs in which it was completed", "runs"),
            "failed": _count("runs in which it failed", "runs"),
            "rate_runs": _count("runs of one definition that the rate is of", "runs"),
            **_interval("failure_rate", of="failed, of these runs", measured_in="0 to 1"),
            "flaky": _flag("changed twice in these runs, rate shown to be above flaky_rate"),
            "fixed_since": _text("the run since which it is completed; null: none", null=True),
            "broken_since": _text("the run since which it fails; null: none", null=True),
            "always_failing": _flag("failed in two runs or more, never completed"),
            "slow_runs": _count("runs in which it was slow", "runs"),
            "always_slow": _flag("slow in three runs or more, and whenever completed"),
            "median_ms": _number("the median of the measure; null: never measured", "ms"),
            "median_ratio": _number("the median of its ratios to the run's median", "ratio"),
        },
    ),
    "compare_many.cells": (
        "one row per document and run",
        {
            "document_id": _text("the document"),
            "filename": _text("the name of its first file", null=True),
            "run_id": _text("the run", null=True),
            "began_at": _time("when the run began (UTC); null: not known", null=True),
            "definition": _text("its fingerprint; null: not recorded", null=True),
            "status": _text("of the final job; null for a placeholder", null=True),
            "job_id": _text("the final job"),
            "error_message": _text("of the final job; null: none", null=True),
            "<measure>_ms": Column(
                "int64 or double", null=True, unit="ms", meaning="the measure, if completed"
            ),
            "ratio_to_run_median": _number("to the median of the run, if completed", "ratio"),
            "slow": _flag("in the slowest tenth, and 1.5 times the median or more"),
        },
    ),
    "compare_many.matrix": (
        "ManyComparison.matrix(): one row per document, one column per run",
        {
            "document_id": _text("the document"),
            "filename": _text("the name of its first file", null=True),
            "<run_id>": Column(
                "as it is", null=True, unit=None, meaning="the value; null: the run lacks it"
            ),
        },
    ),
    "plan.noise": (
        "two rows: how much durations vary within runs, and between them",
        {
            "component": _text("within runs or between runs"),
            **_interval("log_sd", of="the deviation: 0.15 is about 15 %", measured_in="log ratio"),
            "runs": _count("runs it is estimated from", "runs"),
            "documents": _count("documents in two runs or more", "documents"),
        },
    ),
    "plan.needed": (
        "one row per number of runs on each side",
        {
            "runs_a_side": _count("runs of each definition", "runs"),
            "documents_needed": _count(
                "to show the slowdown; null: no number does", "documents", null=True
            ),
            "detectable_ratio": _number("the smallest slowdown shown by those at hand", "ratio"),
            "limit_ratio": _number("the smallest shown by any number", "ratio"),
        },
    ),
    "trend.runs": (
        "one row per run, in the order in which they began",
        {
            "run_id": _text("the run", null=True),
            "began_at": _time("when it was created (UTC)", null=True),
            "documents": _count("completed in it and in the first run", "documents"),
            "unfinished": _count("documents whose jobs have not ended", "documents"),
            **_interval("ratio", of="the typical change from the first run", measured_in="ratio"),
            "segment": _count("0, and one more with each change", "number"),
            "deviate": _number("how far from those before; null: too few", "deviations"),
            "cusum": _number("the sum of these; null: too few", "deviations"),
            "alarm": _flag("whether the sum is beyond its limit"),
        },
    ),
    "trend.changes": (
        "one row per change",
        {
            "run_id": _text("the run since which it is so", null=True),
            "began_at": _time("when that was created (UTC)", null=True),
            **_interval("ratio", of="after to before, 1.2 for 20 % longer", measured_in="ratio"),
            "p_value": _number("of a chance order of the runs"),
            "verdict": _text("slower, faster, equivalent or inconclusive"),
        },
    ),
    "show_versions": (
        "one row per package",
        {
            "package": _text("the package"),
            "version": _text("its version; null: not installed", null=True),
            "extra": _text("the extra that installs it; null: always there", null=True),
        },
    ),
}
"""The frames that are computed, what a row is, and their columns in order."""

_DESCRIBED = {"column": STRING, "type": STRING, "null": BOOL, "unit": STRING, "meaning": STRING}
_LISTED = {"name": STRING, "columns": INT64, "meaning": STRING}


def describe(name: str | None = None) -> pd.DataFrame:
    """Return what the columns of a frame are: the data dictionary.

    Args:
        name: The frame, such as "jobs", "duration_stats" or "comparison.speed"; None lists them.

    Returns:
        One row per column in order: `column`, its name, in which `<...>` stands for what varies;
        `type` (string, int64, double, bool, or time: UTC in microseconds); `null`, whether it may
        be null; `unit` (null where it has none); `meaning`. Without a name one row per frame:
        `name`, `columns` (how many), `meaning`.

    Raises:
        TypeError: If the name is not text.
        ValueError: If there is no frame of that name.

    Example:
        >>> import retab_frames as rf
        >>> jobs = rf.describe("jobs").set_index("column")
        >>> jobs.loc["duration_ms", ["unit", "meaning"]].tolist()
        ['ms', 'how long the job took, as the API reports it']
    """
    if name is None:
        titles = {key: title for key, (title, _) in {**_MODELS, **_COMPUTED}.items()}
        listed = ((key, len(list_columns(key)), title) for key, title in titles.items())
        return frame_of_rows(listed, _LISTED)
    if not isinstance(name, str):
        raise TypeError(
            f'describe takes the name of a frame, such as "jobs", not {type(name).__name__}'
        )
    if name not in list_names():
        raise ValueError(
            f"there is no frame {printable(name)}{did_you_mean(name, list_names(), 3)}; "
            "describe() lists them"
        )
    rows = ((column, *said) for column, said in list_columns(name).items())
    return frame_of_rows(rows, _DESCRIBED)


def list_names() -> list[str]:
    """Return the names of all frames of the dictionary."""
    return [*_MODELS, *_COMPUTED]


def list_columns(name: str) -> Mapping[str, Column]:
    """Return the columns of a frame, those of a pattern with `<...>` for what varies."""
    if name in _MODELS:
        return _list_of_model(_MODELS[name][1])
    return _COMPUTED[name][1]
