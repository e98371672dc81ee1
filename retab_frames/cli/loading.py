"""Commands that talk to the API, and the sandbox that stands in for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from retab_frames.cli.analysis import brief_documents, brief_stats, jobs_of
from retab_frames.cli.commands import Form, Refusal, form_option, main, say, show, store_option

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.api.client import Client
    from retab_frames.sandbox import Sandbox
    from retab_frames.store.snapshots import Snapshot, SnapshotStore


@main.command()
@click.argument("workflow_id")
@click.argument("experiment_id")
@click.option(
    "--run", "run_ids", multiple=True, metavar="RUN_ID", help="Only this run; repeatable."
)
@click.option("--latest", is_flag=True, help="Only the latest run.")
@click.option("--base-url", help="Instead of RETAB_API_BASE_URL or https://api.retab.com.")
@store_option
@form_option
def pull(
    *,
    workflow_id: str,
    experiment_id: str,
    run_ids: tuple[str, ...],
    latest: bool,
    base_url: str | None,
    root: str,
    form: Form,
) -> None:
    """Load all runs of an experiment and write a snapshot of each.

    Example: retab-frames pull wf_abc123 exp_abc --latest
    """
    from retab_frames.api.client import Client  # noqa: PLC0415 - help must not load httpx
    from retab_frames.store.snapshots import SnapshotStore  # noqa: PLC0415

    chosen: Any = list(run_ids) or (None if latest else "all")
    with Client(base_url=base_url) as client:
        store = SnapshotStore(root)
        written = store.pull(workflow_id, experiment_id, run_id=chosen, client=client)
    show(_written(written), form)


@main.command()
@click.option("--port", default=8788, show_default=True, help="0 takes a free one.")
@click.option("--seed", default=0, show_default=True, help="What the data is drawn from.")
@click.option("--documents", default=12, show_default=True, help="Documents of each experiment.")
def sandbox(port: int, seed: int, documents: int) -> None:
    """Serve a local Retab API with synthetic experiments, until Ctrl-C.

    Example: retab-frames sandbox --port 8788
    """
    from retab_frames.sandbox import Sandbox  # noqa: PLC0415

    try:
        server = Sandbox(seed, port=port, documents=documents)
        server.start()
    except OSError as error:
        reason = error.strerror or str(error)
        raise Refusal(f"port {port}: {reason}; --port 0 takes a free one") from None
    with server:
        click.echo(f"A synthetic Retab workspace at {server.url}; Ctrl-C stops it.\n")
        click.echo(f"  export RETAB_API_BASE_URL={server.url}")
        click.echo(f"  export RETAB_API_KEY={server.api_key}")
        click.echo(f"  retab-frames pull {server.workflow_id} {server.experiment_ids[0]}\n")
        click.echo(f"Experiments: {', '.join(server.experiment_ids)}")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            click.echo("Stopped.")


@main.command()
@click.option(
    "--store", "root", default="demo-snapshots", show_default=True, help="Where to write."
)
def demo(root: str) -> None:
    """Run the main job on the built-in sandbox: load, snapshot, measure, compare.

    Example: retab-frames demo
    """
    from retab_frames.api.client import Client  # noqa: PLC0415
    from retab_frames.sandbox import Sandbox  # noqa: PLC0415
    from retab_frames.store.snapshots import SnapshotStore  # noqa: PLC0415

    store = SnapshotStore(root)
    with Sandbox() as server, Client(server.api_key, base_url=server.url) as client:
        click.echo(f"1. A synthetic Retab workspace answers at {server.url}.\n")
        _demo_pull(store, server, client)
    _demo_measure(store, server.experiment_ids[0])
    _, baseline, slow, broken, _ = server.run_ids(server.experiment_ids[0])
    _demo_compare(store, baseline, slow, broken)
    click.echo("\nThe same in Python, from the files alone:\n")
    click.echo("  import retab_frames as rf")
    click.echo(f"  read = rf.SnapshotStore({root!r}).read")
    click.echo(f"  print(rf.compare_runs(read({baseline!r}), read({broken!r})).summary())")


def _demo_pull(store: SnapshotStore, server: Sandbox, client: Client) -> None:
    click.echo(f"2. Every run of two experiments, loaded and written to {store.root}:\n")
    written = [
        snapshot
        for experiment_id in server.experiment_ids[:2]
        for snapshot in store.pull(server.workflow_id, experiment_id, run_id="all", client=client)
    ]
    show(_written(written), None)


def _demo_measure(store: SnapshotStore, experiment_id: str) -> None:
    from retab_frames.stats.durations import duration_stats  # noqa: PLC0415

    click.echo(f"\n3. How long the completed jobs of {experiment_id} took:\n")
    table = duration_stats(jobs_of(store, experiment_id), "run_id")
    show(table, None, brief_stats(table, ["run_id"]))
    click.echo("\n   (low and high: 95 % interval of the median)")


def _demo_compare(store: SnapshotStore, baseline: str, slow: str, broken: str) -> None:
    from retab_frames.compare.two_runs import compare_runs  # noqa: PLC0415

    click.echo("\n4. Is the larger model slower?\n")
    say(compare_runs(store.read(baseline), store.read(slow)).summary())
    click.echo("\n5. What the new schema changed, document by document:\n")
    comparison = compare_runs(store.read(baseline), store.read(broken))
    show(comparison.documents, None, brief_documents(comparison.documents))
    click.echo()
    say(comparison.summary())


def _written(snapshots: list[Snapshot]) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415

    columns = ["experiment_id", "run_id", "jobs", "complete", "revision", "action"]
    return pd.DataFrame([vars(snapshot) for snapshot in snapshots], columns=columns)
