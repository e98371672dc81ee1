"""The shell commands; the only file that prints or exits."""

from __future__ import annotations

import shutil
import time
import warnings
from typing import TYPE_CHECKING, Any

import click

from retab_frames.errors import RetabFramesError

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.client import Client
    from retab_frames.sandbox import Sandbox
    from retab_frames.snapshots import Snapshot, SnapshotStore

__all__ = ["main"]

COULD_NOT_RUN = 2


class _Failure(click.ClickException):
    """An error of one line, with the exit code that means: could not run."""

    exit_code = COULD_NOT_RUN


class _Commands(click.Group):
    """Shows the library's own errors as one line instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except (RetabFramesError, ValueError, OSError) as error:
            message = str(error)
        raise _Failure(message)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"Note: {message}", err=True)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.version_option(package_name="retab-frames")
def main() -> None:
    """Retab workflow experiments as dataframes, snapshots and statistics.

    The key is read from RETAB_API_KEY. Begin with: retab-frames demo
    """


_store = click.option(
    "--store",
    "root",
    default="snapshots",
    show_default=True,
    type=click.Path(file_okay=False),
    help="The folder of snapshots.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@main.command()
@click.argument("workflow_id")
@click.argument("experiment_id")
@click.option(
    "--run", "run_ids", multiple=True, metavar="RUN_ID", help="Only this run; repeatable."
)
@click.option("--latest", is_flag=True, help="Only the latest run.")
@click.option("--base-url", help="Instead of RETAB_API_BASE_URL or https://api.retab.com.")
@_store
@_json
def pull(
    *,
    workflow_id: str,
    experiment_id: str,
    run_ids: tuple[str, ...],
    latest: bool,
    base_url: str | None,
    root: str,
    as_json: bool,
) -> None:
    """Load all runs of an experiment and write a snapshot of each.

    Example: retab-frames pull wf_abc123 exp_abc --latest
    """
    from retab_frames.client import Client  # noqa: PLC0415 - help must not load httpx
    from retab_frames.snapshots import SnapshotStore  # noqa: PLC0415

    chosen: Any = list(run_ids) or (None if latest else "all")
    with Client(base_url=base_url) as client:
        store = SnapshotStore(root)
        written = store.pull(workflow_id, experiment_id, run_id=chosen, client=client)
    _show(_written(written), as_json=as_json)


@main.command("ls")
@_store
@_json
def list_snapshots(*, root: str, as_json: bool) -> None:
    """List the runs in a store.

    Example: retab-frames ls --store snapshots
    """
    found = _open(root).list()
    brief = found[
        ["run_id", "revision", "complete", "jobs", "completed", "error", "run_created_at"]
    ]
    _show(
        found if as_json else brief.rename(columns={"run_created_at": "created"}), as_json=as_json
    )


@main.command()
@click.option("--experiment", "experiment_id", help="Only the runs of this experiment.")
@click.option(
    "--by", multiple=True, metavar="COLUMN", help="Group by; default: run_id. Repeatable."
)
@click.option(
    "--measure",
    type=click.Choice(["duration", "queue", "elapsed", "turnaround"]),
    default="duration",
    show_default=True,
)
@_store
@_json
def stats(
    *,
    experiment_id: str | None,
    by: tuple[str, ...],
    measure: Any,
    root: str,
    as_json: bool,
) -> None:
    """Show how long the completed jobs of each run took.

    Example: retab-frames stats --experiment exp_abc --by run_id
    """
    from retab_frames.durations import duration_stats  # noqa: PLC0415

    groups = list(by) or ["run_id"]
    table = duration_stats(_jobs(_open(root), experiment_id), groups, measure=measure)
    _show(table if as_json else _brief_stats(table, groups), as_json=as_json)


@main.command()
@click.argument("baseline")
@click.argument("candidate")
@_store
@_json
def compare(*, baseline: str, candidate: str, root: str, as_json: bool) -> None:
    """Compare two runs of a store, document by document.

    Example: retab-frames compare exprun_1 exprun_2
    """
    from retab_frames.comparison import compare_runs  # noqa: PLC0415

    store = _open(root)
    comparison = compare_runs(store.read(baseline), store.read(candidate))
    if as_json:
        _show(comparison.documents, as_json=True)
        return
    _show(_brief_documents(comparison.documents), as_json=False)
    click.echo(f"\n{comparison.summary()}")


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
        raise _Failure(f"port {port}: {reason}; --port 0 takes a free one") from None
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
    from retab_frames.client import Client  # noqa: PLC0415
    from retab_frames.sandbox import Sandbox  # noqa: PLC0415
    from retab_frames.snapshots import SnapshotStore  # noqa: PLC0415

    store = SnapshotStore(root)
    with Sandbox() as server, Client(server.api_key, base_url=server.url) as client:
        click.echo(f"1. A synthetic Retab workspace answers at {server.url}.\n")
        _demo_pull(store, server, client)
    _demo_measure(store, server.experiment_ids[0])
    _, baseline, _, candidate, _ = server.run_ids(server.experiment_ids[0])
    _demo_compare(store, baseline, candidate)
    click.echo("\nThe same in Python, from the files alone:\n")
    click.echo("  import retab_frames as rf")
    click.echo(f"  read = rf.SnapshotStore({root!r}).read")
    click.echo(f"  rf.compare_runs(read({baseline!r}), read({candidate!r})).documents")


def _demo_pull(store: SnapshotStore, server: Sandbox, client: Client) -> None:
    click.echo(f"2. Every run of two experiments, loaded and written to {store.root}:\n")
    written = [
        snapshot
        for experiment_id in server.experiment_ids[:2]
        for snapshot in store.pull(server.workflow_id, experiment_id, run_id="all", client=client)
    ]
    _show(_written(written), as_json=False)


def _demo_measure(store: SnapshotStore, experiment_id: str) -> None:
    from retab_frames.durations import duration_stats  # noqa: PLC0415

    click.echo(f"\n3. How long the completed jobs of {experiment_id} took:\n")
    table = duration_stats(_jobs(store, experiment_id), "run_id")
    _show(_brief_stats(table, ["run_id"]), as_json=False)
    click.echo("\n   (low and high: 95 % interval of the median; - where there are too few jobs)")


def _demo_compare(store: SnapshotStore, baseline: str, candidate: str) -> None:
    from retab_frames.comparison import compare_runs  # noqa: PLC0415

    click.echo("\n4. What the new schema changed, document by document:\n")
    comparison = compare_runs(store.read(baseline), store.read(candidate))
    _show(_brief_documents(comparison.documents), as_json=False)
    click.echo(f"\n{comparison.summary()}")


def _open(root: str) -> SnapshotStore:
    from retab_frames.snapshots import SnapshotStore  # noqa: PLC0415

    store = SnapshotStore(root)
    if not store.exists():
        raise _Failure(f"there is no store in {root}: `retab-frames pull` writes one")
    return store


def _jobs(store: SnapshotStore, experiment_id: str | None) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415

    runs = store.list()
    if experiment_id is not None:
        runs = runs[runs["experiment_id"] == experiment_id]
    if runs.empty:
        known = f" of experiment {experiment_id}" if experiment_id else ""
        raise _Failure(f"there is no run{known} in {store.root}: `retab-frames ls` lists them")
    return pd.concat([store.read(run).jobs for run in runs["run_id"]], ignore_index=True)


def _written(snapshots: list[Snapshot]) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415

    columns = ["experiment_id", "run_id", "jobs", "complete", "revision", "action"]
    return pd.DataFrame([vars(snapshot) for snapshot in snapshots], columns=columns)


def _brief_stats(table: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """Return the columns that fit a screen."""
    interval = ["p50_low_ms", "p50_high_ms"] if len(groups) == 1 else []
    shown = [*groups, "jobs", "completed", "mean_ms", "p50_ms", *interval]
    names = {"completed": "done", "p50_ms": "median_ms", "p50_low_ms": "low_ms"}
    return table[[*shown, "p95_ms", "max_ms"]].rename(columns=names | {"p50_high_ms": "high_ms"})


def _brief_documents(documents: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that fit a screen, the documents that need a look first."""
    from retab_frames.comparison import CHANGES  # noqa: PLC0415

    order = documents["change"].map({change: n for n, change in enumerate(CHANGES)})
    found = documents.iloc[order.argsort(kind="stable")]
    label = found["filename"].fillna(found["document_id"])
    names = {"baseline_duration_ms": "baseline_ms", "candidate_duration_ms": "candidate_ms"}
    columns = ["document", "change", *names, "delta_ms", "ratio"]
    return found.assign(document=label)[columns].rename(columns=names)


def _show(frame: pd.DataFrame, *, as_json: bool) -> None:
    from retab_frames.tables import terminal  # noqa: PLC0415

    if as_json:
        click.echo(frame.to_json(orient="records", date_format="iso", date_unit="us", indent=2))
        return
    click.echo(terminal(frame, width=shutil.get_terminal_size().columns))
