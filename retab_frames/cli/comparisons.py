"""Commands that compare the runs of a store, and write reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from retab_frames.cli.application import main
from retab_frames.cli.exit_codes import EXIT_FOUND, EXIT_INCONCLUSIVE
from retab_frames.cli.options import (
    OutputFormat,
    add_format_options,
    check_once,
    confidence_option,
    margin_option,
    measure_option,
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
_COUNT = click.IntRange(0, 1_000_000_000)


class MaxBroken(click.ParamType):  # type: ignore[type-arg]  # generic for type checkers alone
    """A count of documents, or chance."""

    name = "documents"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | str:
        """Return the count, or the word."""
        if value == "chance":
            return str(value)
        try:
            count = int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a whole number nor chance.", param, ctx)
        return _COUNT.convert(count, param, ctx)


@main.command()
@click.argument("baseline")
@click.argument("candidates", nargs=-1, required=True, metavar="CANDIDATE...", callback=check_once)
@margin_option
@confidence_option
@click.option(
    "--fail-on",
    metavar="CONDITIONS",
    help="broken, slower, or both with a comma: exit 1 if this is shown, 3 if it cannot be "
    "checked; if the numbers allow either, a note and exit 0.  [default: exit 0]",
)
@click.option(
    "--strict",
    is_flag=True,
    help="With --fail-on: exit 3 also if the numbers allow either.",
)
@click.option(
    "--max-broken",
    type=MaxBroken(),
    metavar="DOCUMENTS",
    default="chance",
    show_default=True,
    help="With --fail-on broken: how many broken documents are allowed; chance: so many that "
    "chance explains them.",
)
@measure_option
@click.option(
    "--earlier",
    is_flag=True,
    help="Judge the definition, not the two runs: take up to ten earlier runs of the baseline's "
    "definition from the store.",
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
    strict: bool,
    max_broken: Any,
    measure: Any,
    earlier: bool,
    markdown: bool,
    root: str,
    output_format: OutputFormat,
) -> None:
    """Compare runs of a store with a baseline run, document by document.

    ratio is the typical change relative to the baseline; low and high are the ends of its interval.

    Example: retab-frames compare exprun_1 exprun_2 --fail-on broken,slower
    """
    source = click.get_current_context().get_parameter_source("max_broken")
    is_limited = source is not click.core.ParameterSource.DEFAULT
    limits = _parse_limits(fail_on, max_broken, margin, strict=strict, is_limited=is_limited)
    store = open_store(root)
    if len(candidates) > 1:
        for option, given in (("--fail-on", limits), ("--earlier", earlier)):
            if given:
                raise click.UsageError(f"{option} takes one candidate")
        runs = [store.read(run) for run in (baseline, *candidates)]
        levels = {"margin": margin, "confidence": confidence, "measure": measure}
        _print_many(runs, levels, output_format, markdown=markdown)
        return
    from retab_frames.compare.two_runs import compare_runs  # noqa: PLC0415 - help must not load pandas

    comparison = compare_runs(
        store.read(baseline),
        store.read(candidates[0]),
        margin=margin,
        confidence=confidence,
        measure=measure,
        earlier="store" if earlier else None,
    )
    _print_comparison(comparison, output_format, markdown=markdown)
    if limits:
        _check_limits(comparison, limits, strict=strict)


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


def _parse_limits(
    fail_on: str | None, max_broken: Any, margin: float, *, strict: bool, is_limited: bool
) -> dict[str, Any]:
    """Return the arguments of the gate; none without --fail-on."""
    known = {"broken": ("max_broken", max_broken), "slower": ("max_slowdown", margin)}
    words = [word.strip() for word in fail_on.split(",")] if fail_on is not None else []
    unknown = [word for word in words if word not in known]
    if unknown:
        raise click.UsageError(f"--fail-on takes broken, slower or both, not {unknown[0]!r}")
    # without its condition an option of the gate would do nothing, and the gate seem to pass
    if strict and not words:
        raise click.UsageError("--strict needs --fail-on")
    if is_limited and "broken" not in words:
        raise click.UsageError("--max-broken needs --fail-on broken")
    return {"max_broken": None} | dict(known[word] for word in words) if words else {}


def _check_limits(comparison: RunComparison, limits: dict[str, Any], *, strict: bool) -> None:
    """Exit with 1 for a regression, with 3 if a check could not be made; see EXIT_CODES."""
    from retab_frames.compare.gate import assert_no_regression, describe_checks  # noqa: PLC0415

    try:
        assert_no_regression(comparison, **limits, strict=strict)
    except RegressionError as error:
        word, checks, code = "Regression", error.checks, EXIT_FOUND
    except InconclusiveError as error:
        word, checks, code = "Inconclusive", error.checks, EXIT_INCONCLUSIVE
    else:
        return
    echo(f"\n{word}. {describe_checks(checks)}", err=True)
    raise click.exceptions.Exit(code)


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
        documents = condense_documents(comparison.documents, comparison.measure)
        print_table(documents.head(_MAX_DOCUMENTS), None)
        if len(documents) > _MAX_DOCUMENTS:
            echo(f"and {len(documents) - _MAX_DOCUMENTS} more: --csv and --json print all")


def _print_many(
    runs: list[Any],
    levels: dict[str, Any],
    output_format: OutputFormat,
    *,
    markdown: bool,
) -> None:
    from retab_frames.compare.many_runs import compare_many  # noqa: PLC0415 - as above

    comparison = compare_many(runs, **levels)
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


def condense_documents(documents: pd.DataFrame, measure: str = "duration") -> pd.DataFrame:
    """Return the columns that fit into 80 characters, broken documents first."""
    from retab_frames.compare.documents import sort_by_change  # noqa: PLC0415 - as above

    found = sort_by_change(documents)
    label = found["filename"].fillna(found["document_id"])
    names = {f"{side}_{measure}_ms": f"{side}_ms" for side in ("baseline", "candidate")}
    columns = ["document", "change", *names, "delta_ms", "ratio"]
    return found.assign(document=label)[columns].rename(columns=names)
