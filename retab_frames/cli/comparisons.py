"""Commands that compare the runs of a store, and write reports."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import click

from retab_frames.cli.application import main
from retab_frames.cli.exit_codes import (
    EXIT_ERROR,
    EXIT_FOUND,
    EXIT_INCONCLUSIVE,
    MissingError,
    describe_exit_codes,
)
from retab_frames.cli.options import (
    Count,
    OutputFormat,
    add_format_options,
    check_once,
    confidence_option,
    margin_option,
    measure_option,
    one_experiment_option,
    store_option,
)
from retab_frames.cli.output import find_width, print_object, print_table, print_text
from retab_frames.cli.snapshots import open_store
from retab_frames.cli.streams import echo
from retab_frames.errors import SnapshotNotFoundError
from retab_frames.schemas.vocabulary import LATEST_ENDED
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from retab_frames.compare.two_runs import RunComparison
    from retab_frames.store.snapshots import SnapshotStore

__all__ = ["condense_documents"]

_MAX_DOCUMENTS = 30
_OTHER_COLUMNS = 50
"""How many characters the columns beside the name of a document take."""
_BASELINE = "baseline"
"""The label of the run that others are compared with where none is named."""
_COUNT = Count(0, 1_000_000_000)


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


_CODES = (0, EXIT_FOUND, EXIT_ERROR, EXIT_INCONCLUSIVE)


@main.command(epilog=describe_exit_codes(*_CODES))
@click.argument("runs", nargs=-1, metavar="[[BASELINE] CANDIDATE...]", callback=check_once)
@one_experiment_option
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
@click.option(
    "--markdown",
    is_flag=True,
    help="Print Markdown, for a pull request: the first line says pass, fail or inconclusive.",
)
@store_option
@add_format_options
def compare(
    *,
    runs: tuple[str, ...],
    experiment_id: str | None,
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
    """Compare runs of a store with a baseline run.

    Each is compared document by document.

    A run is an id, a label, latest, latest_ended or previous. Without any, the latest ended run is
    compared with the one that has the label baseline, or else with the one before; so is a run that
    is given alone. --json prints one object with the verdict, the gate and the documents.

    ratio is the typical change relative to the baseline; low and high are the ends of its interval.

    Example: retab-frames compare exprun_1 exprun_2 --fail-on broken,slower
    """
    source = click.get_current_context().get_parameter_source("max_broken")
    is_limited = source is not click.core.ParameterSource.DEFAULT
    limits = _parse_limits(fail_on, max_broken, margin, strict=strict, is_limited=is_limited)
    if markdown and output_format is not None:
        raise click.UsageError(f"--markdown and --{output_format} are two formats: give one")
    if len(runs) > 2:  # noqa: PLR2004 - a baseline and more than one candidate
        for option, given in (("--fail-on", limits), ("--earlier", earlier)):
            if given:
                raise click.UsageError(f"{option} takes one candidate")
    store = open_store(root)
    baseline, *candidates = _choose_runs(store, runs, experiment_id)
    levels = {"margin": margin, "confidence": confidence, "measure": measure}
    contents = [store.read(run) for run in (baseline, *candidates)]
    if len(candidates) > 1:
        _print_many(contents, levels, output_format, markdown=markdown)
        return
    from retab_frames.compare.gate import check_regression  # noqa: PLC0415 - help must not load pandas
    from retab_frames.compare.two_runs import compare_runs  # noqa: PLC0415

    comparison = compare_runs(*contents, **levels, earlier="store" if earlier else None)
    checks = check_regression(comparison, **limits) if limits else None
    _print_comparison(comparison, checks, output_format, markdown=markdown)
    if checks is not None:
        _finish(checks, strict=strict)
    elif comparison.comparable == "no":
        _end_without_comparison([comparison.candidate_run_id])


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
@one_experiment_option
@store_option
def report(
    *, runs: tuple[str, ...], output: str, title: str | None, experiment_id: str | None, root: str
) -> None:
    """Write a page about a run, or about runs compared.

    Several runs are compared with the first of them.

    A run is an id, a label, latest, latest_ended or previous.

    Example: retab-frames report exprun_1 exprun_2 -o report.html
    """
    from retab_frames.compare.many_runs import compare_many  # noqa: PLC0415 - as above
    from retab_frames.compare.two_runs import compare_runs  # noqa: PLC0415
    from retab_frames.reports import report as write_report  # noqa: PLC0415

    store = open_store(root)
    contents = [store.read(run) for run in _resolve(store, runs, experiment_id)]
    subject: Any = compare_many(contents) if len(contents) > 1 else contents[0]
    if len(contents) == 2:  # noqa: PLR2004 - a pair, whose page says more
        subject = compare_runs(*contents)
    echo(f"Wrote {write_report(subject, output, title=title)}.")


def _choose_runs(
    store: SnapshotStore, names: tuple[str, ...], experiment_id: str | None
) -> list[str]:
    """Return the ids of the baseline and the candidates."""
    if len(names) > 1:
        return _resolve(store, names, experiment_id)
    (candidate,) = _resolve(store, names or (LATEST_ENDED,), experiment_id)
    baseline = _find_baseline(store, candidate)
    if baseline == candidate:
        raise MissingError(
            f"run {candidate} is the baseline itself: there is no other run to compare with it"
        )
    return [baseline, candidate]


def _resolve(store: SnapshotStore, names: tuple[str, ...], experiment_id: str | None) -> list[str]:
    """Return the runs that these ids, labels and words stand for."""
    found = [store.resolve(name, experiment_id=experiment_id) for name in names]
    if experiment_id is not None and found == list(names):
        raise click.UsageError("--experiment needs a label or a word: an id says its experiment")
    twice = next((n for n, run in enumerate(found) if run in found[:n]), None)
    if twice is not None:
        same = " and ".join(map(printable, (names[found.index(found[twice])], names[twice])))
        raise MissingError(f"{same} are one run, {printable(found[twice])}: give another one")
    return found


def _find_baseline(store: SnapshotStore, candidate: str) -> str:
    """Return the run of the label, or else the complete run before the candidate."""
    stored = store.list()
    experiment_id = stored.loc[stored["run_id"] == candidate, "experiment_id"].iloc[0]
    runs = stored[stored["experiment_id"] == experiment_id]
    with suppress(SnapshotNotFoundError):
        return store.resolve(_BASELINE, experiment_id=experiment_id)
    # the list has the oldest first
    before = runs[: (runs["run_id"] == candidate).to_numpy(bool).argmax()]
    complete = before.loc[before["complete"], "run_id"]
    if complete.empty:
        raise MissingError(
            f"there is no complete run of {experiment_id} before {candidate}, and none has the "
            f"label {_BASELINE}: pull an earlier run, or label one"
        )
    return str(complete.iloc[-1])


def _parse_limits(
    fail_on: str | None, max_broken: Any, margin: float, *, strict: bool, is_limited: bool
) -> dict[str, Any]:
    """Return the arguments of the gate; none without --fail-on."""
    known = {"broken": ("max_broken", max_broken), "slower": ("max_slowdown", margin)}
    words = [word.strip() for word in fail_on.split(",")] if fail_on is not None else []
    unknown = [word for word in words if word not in known]
    if unknown:
        raise click.UsageError(f"--fail-on takes broken, slower or both, not {unknown[0]!r}")
    if len(set(words)) < len(words):
        raise click.UsageError(f"--fail-on has {words[0]} twice")
    # without its condition an option of the gate would do nothing, and the gate seem to pass
    if strict and not words:
        raise click.UsageError("--strict needs --fail-on")
    if is_limited and "broken" not in words:
        raise click.UsageError("--max-broken needs --fail-on broken")
    return {"max_broken": None} | dict(known[word] for word in words) if words else {}


def _finish(checks: pd.DataFrame, *, strict: bool) -> None:
    """Say what the checks come to, and exit with its code; see EXIT_CODES."""
    from retab_frames.compare.outcome import (  # noqa: PLC0415 - as above
        decide_outcome,
        describe_checks,
        is_stopped,
    )

    outcome = decide_outcome(checks)
    echo(f"\n{outcome.capitalize()}. {describe_checks(checks)}", err=True)
    if is_stopped(checks, strict=strict):
        raise click.exceptions.Exit(EXIT_FOUND if outcome == "fail" else EXIT_INCONCLUSIVE)


def _end_without_comparison(run_ids: Sequence[str | None]) -> NoReturn:
    """Exit since runs cannot be compared, which the output says, too."""
    names = ", ".join(map(printable, run_ids))
    echo(f"\nNot comparable with the baseline: {names}.", err=True)
    raise click.exceptions.Exit(EXIT_INCONCLUSIVE)


def _print_comparison(
    comparison: RunComparison,
    checks: pd.DataFrame | None,
    output_format: OutputFormat,
    *,
    markdown: bool,
) -> None:
    from retab_frames.compare.documents import sort_by_change  # noqa: PLC0415 - as above

    if markdown:
        echo(comparison.to_markdown(checks=checks))
    elif output_format == "json":
        print_object(comparison.to_dict(checks=checks))
    elif output_format is not None:
        print_table(sort_by_change(comparison.documents), output_format)
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
    counts = ["broken", "fixed", "pending"]
    interval = {"ratio_low": "low", "ratio_high": "high"}
    condensed = comparison.runs[["run_id", *counts, "ratio", *interval, "verdict"]]
    if markdown:
        echo(comparison.to_markdown())
    elif output_format == "json":
        print_object(comparison.to_dict())
    else:
        if output_format is None:
            print_text(comparison.summary())
            echo()
        print_table(comparison.runs, output_format, condensed.rename(columns=interval))
    is_missing = comparison.runs["comparable"] == "no"
    if is_missing.any():
        _end_without_comparison(comparison.runs.loc[is_missing, "run_id"].tolist())


def condense_documents(documents: pd.DataFrame, measure: str = "duration") -> pd.DataFrame:
    """Return the columns that fit into the terminal, what needs attention first."""
    from retab_frames.compare.documents import sort_by_change  # noqa: PLC0415 - as above
    from retab_frames.compare.summary import name_documents  # noqa: PLC0415

    found = sort_by_change(documents)
    names = {f"{side}_{measure}_ms": f"{side}_ms" for side in ("baseline", "candidate")}
    columns = ["document", "change", *names, "delta_ms", "ratio"]
    width = find_width()
    label = name_documents(found, width=None if width is None else max(width - _OTHER_COLUMNS, 0))
    return found.assign(document=label)[columns].rename(columns=names)
