"""A table of many runs as one validated frame of pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retab_frames.errors import SnapshotNotFoundError
from retab_frames.schemas.frames import check_backend, convert_backend, frame_of
from retab_frames.schemas.run_columns import join_runs
from retab_frames.schemas.validation import to_frame
from retab_frames.schemas.vocabulary import ALL
from retab_frames.store.catalog import Catalog, unknown_experiment
from retab_frames.store.listing import list_runs
from retab_frames.store.run_names import find_runs
from retab_frames.store.scan.datasets import SelectedFiles
from retab_frames.store.scan.selection import check_ids, newest_revisions, select
from retab_frames.store.table_versions import TABLES
from retab_frames.text.messages import printable
from retab_frames.text.next_steps import PULL

if TYPE_CHECKING:
    import pandas as pd

    from retab_frames.schemas.frames import DtypeBackend
    from retab_frames.store.files.storage import Storage
    from retab_frames.store.scan.selection import Chosen, Ids, Moment, Selection

__all__ = ["read_frame", "read_selection"]


def read_frame(
    storage: Storage,
    table: str,
    *,
    experiment_id: Ids = None,
    run_id: Ids = ALL,
    since: Moment = None,
    until: Moment = None,
    with_runs: bool = False,
    dtype_backend: DtypeBackend = "pyarrow",
) -> pd.DataFrame:
    """Return a table of the newest revision of many runs; see `SnapshotStore.jobs`."""
    check_backend(dtype_backend)
    experiments = check_ids(experiment_id, "experiment_id")
    names = check_ids(run_id, "run_id")
    catalog = Catalog(storage)
    runs = None if names is None else find_runs(storage, catalog, names, experiments)
    chosen = newest_revisions(
        storage, experiment_id=experiments, run_id=runs, since=since, until=until
    )
    _check_experiments(storage, catalog, experiments, chosen)
    selection = select(storage, chosen, table)
    if not with_runs:
        return convert_backend(read_selection(selection), dtype_backend)
    jobs = SelectedFiles(selection).to_table()
    records = SelectedFiles(select(storage, chosen, "runs")).to_table()
    return convert_backend(to_frame(join_runs(jobs, records), TABLES[table]), dtype_backend)


def read_selection(selection: Selection) -> pd.DataFrame:
    """Return the rows of a selection as a validated frame.

    Raises:
        SchemaError: If they do not fit the model of the table.
    """
    rows = SelectedFiles(selection).to_table()
    # one job can be in several runs, and the rows of `raw` are only told apart by job
    return frame_of(rows) if selection.table == "raw" else to_frame(rows, TABLES[selection.table])


def _check_experiments(
    storage: Storage, catalog: Catalog, experiments: list[str] | None, chosen: list[Chosen]
) -> None:
    """Tell an experiment without such runs from one that the store does not have.

    Raises:
        SnapshotNotFoundError: If there is no store, or no run of one of the experiments in it.
    """
    found = {one.experiment_id for one in chosen}
    missing = [one for one in experiments or () if one not in found]
    if not missing and (chosen or catalog.exists()):
        return
    stored = list_runs(storage, catalog).column("experiment_id").unique().to_pylist()
    if not stored and not catalog.exists():
        raise SnapshotNotFoundError(f"there is no store in {printable(str(storage))}").advise(PULL)
    for one in missing:
        if one not in stored:
            raise unknown_experiment(storage, one, stored)
