"""Commands that measure and compare the runs of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from retab_frames.cli.commands import (
    FOUND,
    Form,
    Refusal,
    form_option,
    main,
    opened,
    say,
    show,
    store_option,
)
from retab_frames.errors import InconclusiveError, RegressionError
from retab_frames.text.messages import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.compare.two_runs import RunComparison
    from retab_frames.store.snapshots import SnapshotStore

__all__ = ["brief_documents", "brief_stats", "jobs_of"]

_MOST_DOCUMENTS = 30

_experiment = click.option(
    "--experiment", "experiment_id", help="Only the runs of this experiment."
)
_run = click.option(
    "--run", "run_ids", multiple=True, metavar="RUN_ID", help="Only this run; repeatable."
)


@main.command()
@_experiment
@_run
@click.option(
    "--by", multiple=True, metavar="COLUMN", help="Group by; default: run_id. Repeatable."
)
@click.option(
    "--measure",
    type=click.Choice(["duration", "queue", "elapsed", "turnaround"]),
    default="duration",
    show_default=True,
)
@click.option("--censor", is_flag=True, help="Let running jobs count with their time so far.")
@store_option
@form_option
def stats(
    *,
    experiment_id: str | None,
    run_ids: tuple[str, ...],
    by: tuple[str, ...],
    measure: Any,
    censor: bool,
    root: str,
    form: Form,
) -> None:
    """Show how long the completed jobs of each run took.

    Example: retab-frames stats --experiment exp_abc --by run_id
    """
    from retab_frames.stats.durations import duration_stats  # noqa: PLC0415 - help must not load pandas

    groups = list(by) or ["run_id"]
    jobs = jobs_of(opened(root), experiment_id, run_ids)
    unfinished: Any = "censor" if censor else "exclude"
    table = duration_stats(jobs, groups, measure=measure, unfinished=unfinished)
    show(table, form, brief_stats(table, groups))
    for note in table["note"].dropna().unique() if form is None else ():
        click.echo(f"Note: {note}")


@main.command()
@_experiment
@_run
@click.option("-n", "count", default=10, show_default=True, help="How many.")
@store_option
@form_option
def slowest(
    *,
    experiment_id: str | None,
    run_ids: tuple[str, ...],
    count: int,
    root: str,
    form: Form,
) -> None:
    """Show the slowest jobs, and how far they are from the rest of their run.

    Example: retab-frames slowest --run exprun_1 -n 5
    """
    from retab_frames.stats.durations import slowest as slowest_jobs  # noqa: PLC0415

    found = slowest_jobs(jobs_of(opened(root), experiment_id, run_ids), count)
    names = ["run_id", "filename", "duration_ms", "ratio_to_run_median", "is_outlier"]
    show(found, form, found[names])


@main.command()
@_experiment
@_run
@store_option
@form_option
def failures(*, experiment_id: str | None, run_ids: tuple[str, ...], root: str, form: Form) -> None:
    """Show why jobs failed: messages that differ only in ids and numbers are one.

    Example: retab-frames failures --experiment exp_abc
    """
    from retab_frames.stats.failures import failures as failed_jobs  # noqa: PLC0415

    found = failed_jobs(jobs_of(opened(root), experiment_id, run_ids))
    show(found, form, found[["template", "status", "jobs", "share", "example_filename"]])


@main.command()
@click.argument("baseline")
@click.argument("candidates", nargs=-1, required=True, metavar="CANDIDATE...")
@click.option(
    "--margin", default=0.05, show_default=True, help="The slowdown that does not matter."
)
@click.option("--confidence", default=0.95, show_default=True, help="Of the intervals.")
@click.option(
    "--fail-on",
    metavar="WHAT",
    help="broken, slower, or both with a comma: exit 1 if so, 2 if it cannot be told.",
)
@click.option("--max-broken", default=0, show_default=True, help="Broken documents allowed.")
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@store_option
@form_option
def compare(
    *,
    baseline: str,
    candidates: tuple[str, ...],
    margin: float,
    confidence: float,
    fail_on: str | None,
    max_broken: int,
    markdown: bool,
    root: str,
    form: Form,
) -> None:
    """Compare runs of a store with a baseline, document by document.

    Example: retab-frames compare exprun_1 exprun_2 --fail-on broken,slower
    """
    gates = _gates(fail_on, max_broken, margin)
    store = opened(root)
    if len(candidates) > 1:
        if gates:
            raise click.UsageError("--fail-on takes one candidate")
        runs = [store.read(run) for run in (baseline, *candidates)]
        _show_many(runs, {"margin": margin, "confidence": confidence}, form, markdown=markdown)
        return
    from retab_frames.compare.two_runs import compare_runs  # noqa: PLC0415

    sides = store.read(baseline), store.read(candidates[0])
    comparison = compare_runs(*sides, margin=margin, confidence=confidence)
    _show_comparison(comparison, form, markdown=markdown)
    if gates:
        _judge(comparison, gates)


@main.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("-o", "--output", required=True, help="A file that ends in .html or .md.")
@click.option("--title", help="The heading.")
@store_option
def report(*, runs: tuple[str, ...], output: str, title: str | None, root: str) -> None:
    """Write a page about a run, or about runs compared with the first of them.

    Example: retab-frames report exprun_1 exprun_2 -o report.html
    """
    from retab_frames.compare.many_runs import compare_many  # noqa: PLC0415
    from retab_frames.compare.two_runs import compare_runs  # noqa: PLC0415
    from retab_frames.reports import report as write_report  # noqa: PLC0415

    store = opened(root)
    contents = [store.read(run) for run in runs]
    subject: Any = contents[0]
    if len(contents) > 1:
        several = len(contents) > 2  # noqa: PLR2004 - two runs are a pair
        subject = compare_many(contents) if several else compare_runs(*contents)
    click.echo(f"Wrote {write_report(subject, output, title=title)}.")


def _gates(fail_on: str | None, max_broken: int, margin: float) -> dict[str, Any]:
    """Return the limits of the gate; none where nothing was asked for."""
    limits = {"broken": ("max_broken", max_broken), "slower": ("max_slowdown", margin)}
    asked = [word.strip() for word in fail_on.split(",")] if fail_on is not None else []
    odd = [word for word in asked if word not in limits]
    if odd:
        raise click.UsageError(f"--fail-on takes broken, slower or both, not {odd[0]!r}")
    return {"max_broken": None} | dict(limits[word] for word in asked) if asked else {}


def _judge(comparison: RunComparison, gates: dict[str, Any]) -> None:
    """Exit with 1 for a regression and 2 where the comparison cannot tell."""
    from retab_frames.compare.gate import assert_no_regression  # noqa: PLC0415

    try:
        assert_no_regression(comparison, **gates)
    except RegressionError as error:
        click.echo(f"\nRegression. {_told(error.checks)}", err=True)
        raise click.exceptions.Exit(FOUND) from None
    except InconclusiveError as error:
        raise Refusal(f"could not tell. {_told(error.checks)}") from None


def _told(checks: pd.DataFrame) -> str:
    """Return the checks of a gate, one after the other, in words."""
    return " ".join(
        f"{row['check']}: found {row['found']}, allowed {row['allowed']}, {row['outcome']}"
        + (f" ({row['reason']})." if isinstance(row["reason"], str) else ".")
        for row in checks.to_dict("records")
    )


def _show_comparison(comparison: RunComparison, form: Form, *, markdown: bool) -> None:
    if markdown:
        click.echo(comparison.to_markdown())
    elif form is not None:
        show(comparison.documents, form)
    else:
        say(comparison.summary())
        click.echo()
        brief = brief_documents(comparison.documents)
        show(brief, None, brief.head(_MOST_DOCUMENTS))
        if len(brief) > _MOST_DOCUMENTS:
            click.echo(f"and {len(brief) - _MOST_DOCUMENTS} more; --csv and --json have all")


def _show_many(runs: list[Any], options: dict[str, Any], form: Form, *, markdown: bool) -> None:
    from retab_frames.compare.many_runs import compare_many  # noqa: PLC0415

    found = compare_many(runs, **options)
    if markdown:
        click.echo(found.to_markdown())
        return
    if form is None:
        say(found.summary())
        click.echo()
    names = ["run_id", "broken", "fixed", "pending", "ratio", "ratio_low", "ratio_high", "verdict"]
    show(found.runs, form, found.runs[names])


def jobs_of(
    store: SnapshotStore, experiment_id: str | None, run_ids: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Return the jobs of the runs chosen, of all if none is."""
    import pandas as pd  # noqa: PLC0415

    every = runs = store.list()
    if experiment_id is not None:
        runs = every[every["experiment_id"] == experiment_id]
    if runs.empty:
        known = f" of experiment {experiment_id}" if experiment_id else ""
        hint = did_you_mean(experiment_id or "", every["experiment_id"].unique())
        raise Refusal(f"there is no run{known} in {store.root}{hint}: `retab-frames ls` lists them")
    chosen = run_ids or tuple(runs["run_id"])
    return pd.concat([store.read(run).jobs for run in chosen], ignore_index=True)


def brief_stats(table: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """Return the columns that fit a screen."""
    interval = ["p50_low_ms", "p50_high_ms"] if len(groups) == 1 else []
    names = [*groups, "jobs", "completed", "p50_ms", *interval, "p95_ms", "max_ms"]
    return table[names].rename(columns={"completed": "done"})


def brief_documents(documents: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that fit a screen, the documents that need a look first."""
    from retab_frames.compare.documents import sort_by_change  # noqa: PLC0415

    found = sort_by_change(documents)
    label = found["filename"].fillna(found["document_id"])
    names = {"baseline_duration_ms": "baseline_ms", "candidate_duration_ms": "candidate_ms"}
    columns = ["document", "change", *names, "delta_ms", "ratio"]
    return found.assign(document=label)[columns].rename(columns=names)
