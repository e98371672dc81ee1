"""Commands that ask the API: what there is, and its runs into a store."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from retab_frames.cli.application import main
from retab_frames.cli.exit_codes import EXIT_FOUND
from retab_frames.cli.options import (
    OutputFormat,
    add_client_options,
    add_format_options,
    check_once,
    store_option,
)
from retab_frames.cli.output import fits, print_table, print_text
from retab_frames.cli.streams import echo, is_terminal
from retab_frames.schemas.vocabulary import ALL, ENDED, LATEST, LATEST_ENDED, RUN_WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from retab_frames.store.pulling import PulledRun

__all__ = ["print_pulled"]

_WRITTEN = ("created", "revised", "repaired", "unchanged")
_KEPT, _FAILED = "kept", "failed"


def _check_runs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> Any:
    """Return the ids as a list, or the one word; a word among ids is refused."""
    words = [one for one in values if one in RUN_WORDS]
    if words and len(values) > 1:
        raise click.BadParameter(f"{words[0]} stands alone, without other runs.", ctx, param)
    return words[0] if words else list(check_once(ctx, param, values)) or ALL


def _check_since(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    if value is None:
        return None
    from retab_frames.schemas.moments import parse_moment  # noqa: PLC0415 - help must not load pandas

    try:
        return parse_moment(value, "the time")
    except ValueError as error:
        raise click.BadParameter(f"{error}.", ctx, param) from None


workflow_argument = click.argument("workflow_id")
experiments_argument = click.argument(
    "experiment_ids", nargs=-1, metavar="[EXPERIMENT_ID]...", callback=check_once
)


@main.command()
@workflow_argument
@experiments_argument
@click.option(
    "--run",
    "runs",
    multiple=True,
    callback=_check_runs,
    metavar="RUN",
    help=f"A run id, can be repeated; or one of the words {LATEST}, {LATEST_ENDED} (the newest "
    f"run of each experiment, the newest that has ended) and {ALL}.  [default: {ALL}]",
)
@click.option(
    "--since",
    callback=_check_since,
    metavar="TIME",
    help="Only runs created at or after this time with its zone, as "
    "2026-09-29T08:30:00Z.  [default: any time]",
)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    callback=check_once,
    metavar="STATUS",
    help=f"Only runs of this status, can be repeated; {ENDED} is any that is final.  "
    "[default: any]",
)
@click.option("--refresh", is_flag=True, help="Fetch also runs that the store has complete.")
@click.option(
    "--keep-going",
    is_flag=True,
    help="Go on after a run that fails.  [default: stop at the first]",
)
@store_option
@add_client_options
@add_format_options
def pull(
    *,
    workflow_id: str,
    experiment_ids: tuple[str, ...],
    runs: str | list[str],
    since: datetime | None,
    statuses: tuple[str, ...],
    refresh: bool,
    keep_going: bool,
    root: str,
    output_format: OutputFormat,
    **client: Any,
) -> None:
    """Store each run that the store does not have complete.

    Without EXPERIMENT_ID all experiments of the workflow. Where the output is no terminal, each run
    is a line as soon as it is done. Exit code 1: a run failed, the others are stored.

    Example: retab-frames pull wf_abc123 --keep-going
    """
    from retab_frames.api.client import Client  # noqa: PLC0415 - help must not load httpx
    from retab_frames.store.pulling import pull_runs, tabulate_pulled  # noqa: PLC0415
    from retab_frames.store.snapshots import SnapshotStore  # noqa: PLC0415

    in_lines = output_format is None and not is_terminal()
    rows: list[PulledRun] = []

    def finish(*, ended: bool) -> None:
        if output_format is not None:
            print_table(tabulate_pulled(rows), output_format)
            return
        if not in_lines:
            print_pulled(tabulate_pulled(rows))
        _print_counts(rows)
        if ended and all(row.action is None for row in rows):
            print_text("No run to pull.")

    with Client(**client) as api:
        pulled = pull_runs(
            SnapshotStore(root),
            workflow_id,
            experiment_ids or None,
            run_id=runs,
            refresh=refresh,
            since=since,
            status=statuses or None,
            errors="collect" if keep_going else "raise",
            client=api,
            progress=False if in_lines else None,
        )
        try:
            for row in pulled:
                rows.append(row)
                if in_lines and row.action != _KEPT:
                    _print_line(row)
        except BaseException:
            # what was written is shown before the error
            if rows:
                finish(ended=False)
            raise
    finish(ended=True)
    if any(row.action == _FAILED for row in rows):
        raise click.exceptions.Exit(EXIT_FOUND)


@main.command()
@workflow_argument
@add_client_options
@add_format_options
def experiments(*, workflow_id: str, output_format: OutputFormat, **client: Any) -> None:
    """List the experiments of a workflow.

    Example: retab-frames experiments wf_abc123
    """
    from retab_frames.api.client import Client  # noqa: PLC0415 - as above
    from retab_frames.load.from_api import load_experiments  # noqa: PLC0415

    with Client(**client) as api:
        found = load_experiments(workflow_id, client=api)
    names = {
        "experiment_id": "experiment",
        "name": "name",
        "block_kind": "kind",
        "document_count": "documents",
        "status": "status",
        "score": "score",
        "last_run_id": "last_run",
    }
    _print_found(
        found,
        output_format,
        names,
        ("score", "kind", "documents"),
        f"Workflow {workflow_id} has no experiments.",
    )


@main.command()
@workflow_argument
@experiments_argument
@add_client_options
@add_format_options
def runs(
    *,
    workflow_id: str,
    experiment_ids: tuple[str, ...],
    output_format: OutputFormat,
    **client: Any,
) -> None:
    """List the runs of experiments, or of a workflow.

    The newest of each experiment comes first.

    Example: retab-frames runs wf_abc123 exp_abc
    """
    from retab_frames.api.client import Client  # noqa: PLC0415 - as above
    from retab_frames.load.from_api import load_runs  # noqa: PLC0415

    with Client(**client) as api:
        found = load_runs(workflow_id, experiment_ids or None, client=api)
    names = {
        "run_id": "run",
        "experiment_id": "experiment",
        "status": "status",
        "created_at": "created",
        "document_count": "docs",
        "error_count": "errors",
        "score": "score",
        "duration_ms": "duration_ms",
    }
    if len(experiment_ids) == 1:
        del names["experiment_id"]
    asked = ", ".join(experiment_ids) or f"workflow {workflow_id}"
    _print_found(
        found,
        output_format,
        names,
        ("score", "docs", "duration_ms"),
        f"There are no runs of {asked}.",
    )


def print_pulled(pulled: pd.DataFrame) -> None:
    """Print the runs that were fetched as a table, and their notes below it, which may be long."""
    rows = pulled[pulled["action"].fillna(_KEPT) != _KEPT]
    if len(rows):
        names = ["experiment_id", "run_id", "action", "complete", "jobs", "revision"]
        print_table(rows[names], None)
    noted = pulled[pulled["note"].notna()]
    subjects = noted["run_id"].fillna(noted["experiment_id"])
    for name, note in zip(subjects, noted["note"], strict=True):
        print_text(f"{name}: {note}")


def _print_line(row: PulledRun) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    name = " of ".join(filter(None, (row.run_id, row.experiment_id)))
    facts = [] if row.revision is None else [f"{row.jobs} jobs", f"revision {row.revision}"]
    told = ", ".join([*facts, *([row.note] if row.note else [])])
    echo(f"{now} {row.action or 'skipped'} {name}: {told}")


def _print_counts(rows: Sequence[PulledRun]) -> None:
    from retab_frames.text.tables import format_count  # noqa: PLC0415 - help must not load pandas

    counts = Counter(row.action for row in rows)
    kept = counts[_KEPT]
    parts = [f"{counts[one]} {one}" for one in (*_WRITTEN, _FAILED) if counts[one]]
    if parts:
        done = sum(counts[one] for one in (*_WRITTEN, _FAILED))
        print_text(f"{format_count(done, 'run')}: {', '.join(parts)}.")
    if kept:
        one = kept == 1
        print_text(
            f"{format_count(kept, 'run')} {'is' if one else 'are'} complete in the store and "
            f"{'was' if one else 'were'} not fetched: --refresh fetches {'it' if one else 'them'} "
            "again."
        )
    if counts[_FAILED]:
        print_text("The same command tries what failed again.")


def _print_found(
    found: pd.DataFrame,
    output_format: OutputFormat,
    names: dict[str, str],
    optional: Sequence[str],
    otherwise: str,
) -> None:
    """Print a frame, or a sentence if it has no rows.

    Args:
        found: The frame, for JSON and CSV.
        output_format: As in `print_table`.
        names: The columns of the table, and their headers.
        optional: Headers that are left out, one after the other, while ids would be cut.
        otherwise: The sentence.
    """
    if output_format is None and found.empty:
        echo(otherwise)
        return
    table = found[list(names)].rename(columns=names)
    while optional and not fits(table):
        table, optional = table.drop(columns=optional[0]), optional[1:]
    print_table(found, output_format, table)
