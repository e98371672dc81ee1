"""The command that shows the main use of the library, on the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from retab_frames.cli.application import main
from retab_frames.cli.comparisons import condense_documents
from retab_frames.cli.measurements import condense_stats, read_jobs
from retab_frames.cli.output import print_table, print_text
from retab_frames.cli.pulls import print_pulled
from retab_frames.cli.streams import echo

if TYPE_CHECKING:
    from retab_frames.api.client import Client
    from retab_frames.sandbox import Sandbox
    from retab_frames.store.snapshots import SnapshotStore


@main.command()
@click.option(
    "--store",
    "root",
    metavar="PATH",
    default="demo-snapshots",
    show_default=True,
    help="The folder to write the snapshots to.",
)
def demo(root: str) -> None:
    """Load, store, measure and compare runs of the sandbox.

    Example: retab-frames demo
    """
    from retab_frames.api.client import Client  # noqa: PLC0415 - help must not load httpx
    from retab_frames.sandbox import Sandbox  # noqa: PLC0415
    from retab_frames.store.snapshots import SnapshotStore  # noqa: PLC0415

    store = SnapshotStore(root)
    with Sandbox() as server, Client(server.api_key, base_url=server.url) as client:
        echo(f"1. A synthetic Retab workspace runs at {server.url}.\n")
        _show_snapshots(store, server, client)
    _show_durations(store, server.experiment_ids[0])
    _, baseline, slow, broken, _ = server.run_ids(server.experiment_ids[0])
    _show_comparisons(store, baseline, slow, broken)
    echo("\nThe same comparison in Python, from the files:\n")
    echo("  import retab_frames as rf")
    echo(f"  read = rf.SnapshotStore({root!r}).read")
    echo(f"  print(rf.compare_runs(read({baseline!r}), read({broken!r})).summary())")


def _show_snapshots(store: SnapshotStore, server: Sandbox, client: Client) -> None:
    echo(f"2. Every run of two experiments, loaded and stored in {store.root}:\n")
    pulled = store.pull(server.workflow_id, server.experiment_ids[:2], client=client)
    print_pulled(pulled)


def _show_durations(store: SnapshotStore, experiment_id: str) -> None:
    from retab_frames.stats.durations import duration_stats  # noqa: PLC0415 - as above

    echo(f"\n3. How long the completed jobs of {experiment_id} took:\n")
    table = duration_stats(read_jobs(store, experiment_id), "run_id")
    print_table(condense_stats(table, ["run_id"]), None)
    echo("\n   (p50_low and p50_high: the 95 % interval of the median, p50)")


def _show_comparisons(store: SnapshotStore, baseline: str, slow: str, broken: str) -> None:
    from retab_frames.compare.two_runs import compare_runs  # noqa: PLC0415 - as above

    echo("\n4. Is the larger model slower?\n")
    print_text(compare_runs(store.read(baseline), store.read(slow)).summary())
    echo("\n5. What did the new schema change, document by document?\n")
    comparison = compare_runs(store.read(baseline), store.read(broken))
    print_table(condense_documents(comparison.documents), None)
    echo()
    print_text(comparison.summary())
