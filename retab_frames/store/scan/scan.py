"""The tables of a store over all its runs, in the engine of the caller's choice."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, overload

from retab_frames.errors import MissingExtraError
from retab_frames.forks import ProcessThreads
from retab_frames.schemas.frames import frame_of
from retab_frames.stats.on_dask import DASK
from retab_frames.store.files.local import LocalStorage
from retab_frames.store.files.storage import open_storage
from retab_frames.store.scan.datasets import SelectedFiles
from retab_frames.store.scan.exact_names import keep_case, map_values
from retab_frames.store.scan.frames import read_selection
from retab_frames.store.scan.selection import check_table, newest_revisions, select
from retab_frames.text.messages import did_you_mean, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias, Unpack

    import dask.dataframe
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow.dataset as ds

    from retab_frames.store.files.storage import Storage
    from retab_frames.store.scan.selection import Ids, Moment, Selection

    Store: TypeAlias = "_Rooted | str | os.PathLike[str]"

__all__ = ["Engine", "import_extra", "scan", "storage_of"]

Engine = Literal["arrow", "pandas", "duckdb", "polars", "dask"]

PARTITION_ROWS = 100_000
PARTITION_BYTES = 32 * 2**20
"""A Dask partition holds whole runs, and no more than this of them unless one run is larger."""
POLARS_ROWS = 2_000_000
POLARS_BYTES = 256 * 2**20
"""Polars reads so much at once: more than a core needs, and what fits into memory."""


class _Rooted(Protocol):
    """A SnapshotStore, which is a floor above."""

    @property
    def root(self) -> str: ...


class _Filters(TypedDict, total=False):
    experiment_id: Ids
    run_id: Ids
    since: Moment
    until: Moment


@overload
def scan(
    store: Store,
    table: str = ...,
    *,
    engine: Literal["arrow"] = ...,
    **filters: Unpack[_Filters],
) -> ds.Dataset: ...
@overload
def scan(
    store: Store, table: str = ..., *, engine: Literal["pandas"], **filters: Unpack[_Filters]
) -> pd.DataFrame: ...
@overload
def scan(
    store: Store, table: str = ..., *, engine: Literal["duckdb"], **filters: Unpack[_Filters]
) -> duckdb.DuckDBPyRelation: ...
@overload
def scan(
    store: Store, table: str = ..., *, engine: Literal["polars"], **filters: Unpack[_Filters]
) -> pl.LazyFrame: ...
@overload
def scan(
    store: Store, table: str = ..., *, engine: Literal["dask"], **filters: Unpack[_Filters]
) -> dask.dataframe.DataFrame: ...
def scan(
    store: Store,
    table: str = "jobs",
    *,
    engine: Engine = "arrow",
    experiment_id: Ids = None,
    run_id: Ids = None,
    since: Moment = None,
    until: Moment = None,
) -> Any:
    """Return a table over the newest revision of every run, for an engine that reads lazily.

    Only manifests are read to choose the files. Each experiment has handle columns of its own: the
    result has all of them, null where a run lacks one. A compacted file is read where all its runs
    are selected and none has a newer revision, which gives the same rows. `raw` has `run_id` as its
    first column. The checksums of pages are compared, except by Polars; `SnapshotStore.verify` and
    `read` compare the hashes of whole files.

    The result is a snapshot: the revisions chosen here are what is read later too, however often
    the runs are revised or compacted meanwhile. If a run of it is removed, or such a revision is
    pruned, or `clean` removes a compacted file that was made anew, reading it raises a
    SnapshotNotFoundError, which DuckDB, and older versions of Polars, wrap in errors of their own.

    Args:
        store: A SnapshotStore, or the folder or URL of one. In a bucket each file is read whole, by
            Arrow for DuckDB and Polars too; `memory://` exists in this process only, so not for
            the workers of a cluster.
        table: "jobs", "handle_inputs", "handle_outputs", "issues", "raw" or "runs".
        engine: "pandas", which reads the whole table now; "arrow", "duckdb" or "polars", which read
            on this machine what a query needs, when it needs it; or "dask", for which
            `duration_stats` and similar functions run on the cluster that one is connected to; on
            one machine with two cores that took 1.6 to 4 times as long as pandas (10,000 to
            2,400,000 jobs, `python -m benchmarks --rows dask`). DuckDB, Polars and Dask are extras
            of the same name.
        experiment_id: One id, or several.
        run_id: One id, or several; their order does not matter. Files of others are not opened.
        since: Only runs created at or after this, a datetime or ISO 8601 text with a time zone. A
            run without a creation time is left out by this and by `until`.
        until: Only runs created before this.

    Returns:
        A `pyarrow.dataset.Dataset`; a frame of pandas, validated, as `SnapshotStore.jobs` gives
        one; a `duckdb.DuckDBPyRelation` of the default connection, a
        `polars.LazyFrame`, or a `dask.dataframe.DataFrame` whose columns are Arrow-backed and whose
        partitions hold whole runs. Runs are in the order of `SnapshotStore.list`, which SQL does
        not promise to keep. Columns and types are those of the schema: text is `string`, times are
        in microseconds UTC (DuckDB shows TIMESTAMP WITH TIME ZONE in its own time zone). DuckDB
        cannot tell apart columns whose names differ only in case: there each of these is a MAP of
        the values of all of them, `"handle_inputs.invoice.id"['handle_inputs.Invoice.id']`.
        Nothing found gives zero rows.

    Raises:
        ValueError: If there is no such table or engine.
        MissingExtraError: If the engine is not installed.
        ForkError: If this process was forked from one that has scanned with this engine (Arrow
            and pandas aside): its threads are not here.
        SnapshotCorruptError: If a file is missing or cut, or the manifest of a run in `run_id` is
            damaged; without `run_id` such a run is left out, with a warning.

    Example:
        >>> import retab_frames as rf
        >>> store = rf.SnapshotStore("snapshots")
        >>> rf.scan(store, since="2026-01-01T00:00:00Z").count_rows()
        0
    """
    check_table(table)
    if engine not in _ENGINES:
        near = did_you_mean(str(engine), _ENGINES, as_text=repr)
        raise ValueError(
            f"engine must be one of {', '.join(_ENGINES)}, not {printable(repr(engine))}{near}"
        )
    if engine in _THREADS:
        _THREADS[engine].check()
    storage = storage_of(store)
    chosen = newest_revisions(
        storage, experiment_id=experiment_id, run_id=run_id, since=since, until=until
    )
    return _ENGINES[engine](select(storage, chosen, table))


def storage_of(store: Store) -> Storage:
    """Return the files of a store."""
    return open_storage(store if isinstance(store, str | os.PathLike) else store.root)


def import_extra(module: str, extra: str) -> Any:
    """Return an optional module.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"this needs {module}, which is not installed: pip install 'retab-frames[{extra}]'"
        ) from error


def _relation(selection: Selection) -> Any:
    duckdb = import_extra("duckdb", "duckdb")
    relation = duckdb.from_arrow(SelectedFiles(selection)).set_alias(selection.table)
    names = selection.schema.names
    return map_values(relation, names) if keep_case(names) else relation


def _lazy_frame(selection: Selection) -> Any:
    polars = import_extra("polars", "polars")
    plugins = import_extra("polars.io.plugins", "polars")
    is_raw = selection.table == "raw" and any(one.run_id is not None for one in selection.sources)
    if not isinstance(selection.storage, LocalStorage) or is_raw or not selection.sources:
        return polars.scan_pyarrow_dataset(SelectedFiles(selection))
    # its own reader is several times as fast, but knows neither buckets nor constant columns
    schema = polars.from_arrow(selection.schema.empty_table()).schema

    def read(
        columns: list[str] | None, predicate: Any | None, rows: int | None, _batch: int | None
    ) -> Iterator[Any]:
        """Yield what Polars needs of some files at a time."""
        for part in _partitions(selection, POLARS_ROWS, POLARS_BYTES):
            lazy = polars.scan_parquet(
                [f"{part.root}/{source.file}" for source in part.sources],
                glob=False,
                hive_partitioning=False,
                schema=schema,
                missing_columns="insert",
            )
            if rows is not None:
                lazy = lazy.head(rows)
                rows = max(0, rows - sum(source.rows for source in part.sources))
            if predicate is not None:
                lazy = lazy.filter(predicate)
            try:
                frame = lazy.collect() if columns is None else lazy.select(columns).collect()
            except Exception:
                # where a file is the reason, say so
                part.check()
                raise
            yield frame
            if rows == 0:
                return

    return plugins.register_io_source(read, schema=schema, is_pure=True)


def _dask_frame(selection: Selection) -> Any:
    dask = import_extra("dask.dataframe", "dask")
    return dask.from_map(
        _partition,
        list(_partitions(selection, PARTITION_ROWS, PARTITION_BYTES)),
        meta=frame_of(selection.schema.empty_table()),
        label=f"scan-{selection.table}",
    )


def _partitions(selection: Selection, most_rows: int, most_bytes: int) -> Iterator[Selection]:
    """Yield parts of the selection that hold whole runs; one without any if it has none."""
    part: list[Any] = []
    rows = size = 0
    for source in selection.sources:
        rows, size = rows + source.rows, size + source.size
        if part and (rows > most_rows or size > most_bytes):
            yield replace(selection, sources=tuple(part))
            part, rows, size = [], source.rows, source.size
        part.append(source)
    if part or not selection.sources:
        yield replace(selection, sources=tuple(part))


def _partition(selection: Selection, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a part; Dask asks for the columns that are needed."""
    return frame_of(SelectedFiles(selection).to_table(columns))


_THREADS = {
    "duckdb": ProcessThreads("DuckDB's default connection"),
    "polars": ProcessThreads("Polars"),
    "dask": DASK,
}
_ENGINES: dict[str, Callable[[Selection], Any]] = {
    "arrow": SelectedFiles,
    "pandas": read_selection,
    "duckdb": _relation,
    "polars": _lazy_frame,
    "dask": _dask_frame,
}
