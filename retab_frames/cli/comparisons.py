"""Commands that compare the runs of a store, and write reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from retab_frames.cli.application import main
from retab_frames.cli.exit_codes import EXIT_FOUND, CommandError
from retab_frames.cli.options import (
    FRACTION,
    MARGIN,
    OutputFormat,
    add_format_options,
    check_once,
    store_option,
)
from retab_frames.cli.output import print_table, print_text
from retab_frames.cli.snapshots import open_store
from retab_frames.cli.streams import echo
from retab_frames.errors import InconclusiveError, RegressionError

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.compare.two_runs import RunComparison

__all__ = ["condense_documents"]

_MAX_DOCUMENTS = 30


@main.command()
@click.argument("baseline")
@click.argument("candidates", nargs=-1, required=True, metavar="CANDIDATE...", callback=check_once)
@click.option(
    "--margin",
    type=MARGIN,
    metavar="FRACTION",
    default=0.05,
    show_default=True,
    help="The largest slowdown that counts as equivalent; 0.05 is 5 %.",
)
@click.option(
    "--confidence",
    type=FRACTION,
    metavar="FRACTION",
    default=0.95,
    show_default=True,
    help="The confidence level of the intervals; 0.95 is 95 %.",
)
@click.option(
    "--fail-on",
    metavar="CONDITIONS",
    help="broken, slower, or both with a comma: exit 1 if this is the case, 2 if that is "
    "inconclusive.  [default: exit 0]",
)
@click.option(
    "--max-broken",
    type=click.IntRange(0, 1_000_000_000),
    metavar="DOCUMENTS",
    default=0,
    show_default=True,
    help="With --fail-on broken: how many broken documents are allowed.",
)
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@store_option
@add_format_options
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
    output_format: OutputFormat,
) -> None:
    """Compare runs of a store with a baseline run, document by document.

    ratio is the duration relative to the baseline; low and high are the ends of its interval.

    Example: retab-frames compare exprun_1 exprun_2 --fail-on broken,slower
    """
    limits = _parse_limits(fail_on, max_broken, margin)
    store = open_store(root)
    if len(candidates) > 1:
        if limits:
            raise click.UsageError("--fail-on takes one candidate")
        runs = [store.read(run) for run in (baseline, *candidates)]
        _print_many(runs, margin, confidence, output_format, markdown=markdown)
        return
    from retab_frames.compare.two_runs import compare_runs  # noqa: PLC0415 - help must not load pandas

    comparison = compare_runs(
        store.read(baseline), store.read(candidates[0]), margin=margin, confidence=confidence
    )
    _print_comparison(comparison, output_format, markdown=markdown)
    if limits:
        _check_limits(comparison, limits)


@main.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", callback=check_once)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    help="The file to write, which ends in .html or .md.",
)
@click.option("--title", metavar="TEXT", help="The heading.  [default: the names of the runs]")
@store_option
def report(*, runs: tuple[str, ...], output: str, title: str | None, root: str) -> None:
    """Write a page about one run, or about runs compared with the first of them.

    Example: retab-frames report exprun_1 exprun_2 -o report.html
    """
    from retab_frames.compare.many_runs import compare_many  # noqa: PLC0415 - as above
    from retab_frames.compare.two_runs import compare_runs  # noqa: PLC0415
    from retab_frames.reports import report as write_report  # noqa: PLC0415

    store = open_store(root)
    contents = [store.read(run) for run in runs]
    subject: Any = compare_many(contents) if len(contents) > 1 else contents[0]
    if len(contents) == 2:  # noqa: PLR2004 - a pair, whose page says more
        subject = compare_runs(*contents)
    echo(f"Wrote {write_report(subject, output, title=title)}.")


def _parse_limits(fail_on: str | None, max_broken: int, margin: float) -> dict[str, Any]:
    """Return the arguments of the gate; none without --fail-on."""
    known = {"broken": ("max_broken", max_broken), "slower": ("max_slowdown", margin)}
    words = [word.strip() for word in fail_on.split(",")] if fail_on is not None else []
    unknown = [word for word in words if word not in known]
    if unknown:
        raise click.UsageError(f"--fail-on takes broken, slower or both, not {unknown[0]!r}")
    return {"max_broken": None} | dict(known[word] for word in words) if words else {}


def _check_limits(comparison: RunComparison, limits: dict[str, Any]) -> None:
    """Exit with 1 for a regression, with 2 if the comparison is inconclusive."""
    from retab_frames.compare.gate import assert_no_regression  # noqa: PLC0415 - as above

    try:
        assert_no_regression(comparison, **limits)
    except RegressionError as error:
        echo(f"\nRegression. {_describe_checks(error.checks)}", err=True)
        raise click.exceptions.Exit(EXIT_FOUND) from None
    except InconclusiveError as error:
        raise CommandError(f"inconclusive. {_describe_checks(error.checks)}") from None


def _describe_checks(checks: pd.DataFrame) -> str:
    return " ".join(
        f"{row['check']}: found {row['found']}, allowed {row['allowed']}, {row['outcome']}"
        + (f" ({row['reason']})." if isinstance(row["reason"], str) else ".")
        for row in checks.to_dict("records")
    )


def _print_comparison(
    comparison: RunComparison, output_format: OutputFormat, *, markdown: bool
) -> None:
    if markdown:
        echo(comparison.to_markdown())
    elif output_format is not None:
        print_table(comparison.documents, output_format)
    else:
        print_text(comparison.summary())
        echo()
        documents = condense_documents(comparison.documents)
        print_table(documents.head(_MAX_DOCUMENTS), None)
        if len(documents) > _MAX_DOCUMENTS:
            echo(f"and {len(documents) - _MAX_DOCUMENTS} more: --csv and --json print all")


def _print_many(
    runs: list[Any],
    margin: float,
    confidence: float,
    output_format: OutputFormat,
    *,
    markdown: bool,
) -> None:
    from retab_frames.compare.many_runs import compare_many  # noqa: PLC0415 - as above

    comparison = compare_many(runs, margin=margin, confidence=confidence)
    if markdown:
        echo(comparison.to_markdown())
        return
    if output_format is None:
        print_text(comparison.summary())
        echo()
    counts = ["broken", "fixed", "pending"]
    interval = {"ratio_low": "low", "ratio_high": "high"}
    condensed = comparison.runs[["run_id", *counts, "ratio", *interval, "verdict"]]
    print_table(comparison.runs, output_format, condensed.rename(columns=interval))


def condense_documents(documents: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that fit into 80 characters, broken documents first."""
    from retab_frames.compare.documents import sort_by_change  # noqa: PLC0415 - as above

    found = sort_by_change(documents)
    label = found["filename"].fillna(found["document_id"])
    names = {"baseline_duration_ms": "baseline_ms", "candidate_duration_ms": "candidate_ms"}
    columns = ["document", "change", *names, "delta_ms", "ratio"]
    return found.assign(document=label)[columns].rename(columns=names)
