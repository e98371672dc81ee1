"""SQL over the tables of a store, by a DuckDB that can read nothing else."""

from __future__ import annotations

from itertools import count
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from retab_frames.errors import QueryError
from retab_frames.schemas.frames import frame_of
from retab_frames.store.catalog import Catalog
from retab_frames.store.listing import list_runs
from retab_frames.store.scan.datasets import SelectedFiles
from retab_frames.store.scan.scan import import_extra, storage_of
from retab_frames.store.scan.selection import newest_revisions, select
from retab_frames.store.table_versions import TABLES
from retab_frames.text.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from retab_frames.store.files.storage import Storage
    from retab_frames.store.scan.scan import Store

__all__ = ["SQL_TABLES", "query"]

SQL_TABLES = (*TABLES, "snapshots")
"""The tables of the store, and the frame that `SnapshotStore.list` returns."""

_READ_ONLY = ("SELECT", "EXPLAIN", "MULTI")
"""The types of statement that return rows and change nothing; PIVOT is a MULTI."""
_LONGEST_LINE = 400


def query(store: Store, sql: str) -> pd.DataFrame:
    """Return the rows of a query over the newest revision of every run.

    The tables are `jobs` (with the handle columns of all runs; quote their dots, as in
    `"handle_inputs.document.filename"`), `handle_inputs`, `handle_outputs`, `issues`, `raw` (with
    `run_id`), `runs`, and `snapshots`, one row per run. Only the files and columns that the query
    needs are read. It cannot read or write any other file, or load an extension.

    Args:
        store: A SnapshotStore, or the folder or URL of one.
        sql: One SELECT (or WITH, FROM, DESCRIBE, SHOW TABLES, EXPLAIN; with DuckDB 2 PIVOT) of
            DuckDB's SQL.

    Returns:
        A frame of Arrow-backed columns, in the order that the query gives. Times are UTC; a sum of
        whole numbers is int64 where it fits.

    Raises:
        QueryError: If it is not one such statement, or DuckDB refuses it, for the reason given; or
            if a page that it reads is damaged.
        MissingExtraError: If DuckDB is not installed.
        SnapshotCorruptError: If a file is missing or cut.

    Example:
        >>> from retab_frames.store.scan.sql import query
        >>> query("snapshots", "select count(*) as jobs from jobs").jobs.tolist()
        [0]
    """
    duckdb = import_extra("duckdb", "duckdb")
    storage = storage_of(store)
    with (
        # a query larger than the memory spills to a folder, by default one in the current folder
        TemporaryDirectory(prefix="retab-frames-") as folder,
        duckdb.connect(config={"temp_directory": folder}) as connection,
    ):
        sources: dict[str, Any] = {}
        try:
            _check_statement(duckdb, sql)
            for name, source in _sources(storage, _named(connection, sql)):
                sources[name] = source
                connection.register(name, source)
            connection.execute(_LOCK_DOWN)
            found = connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            for source in sources.values():
                # of an error of ours DuckDB passes on the words alone
                if isinstance(source, SelectedFiles):
                    source.raise_failure()
            raise QueryError(f"DuckDB refused the query: {_reason(error)}") from error
    return frame_of(_convert(found))


_LOCK_DOWN = """
SET TimeZone = 'UTC';
SET autoinstall_known_extensions = false;
SET autoload_known_extensions = false;
SET enable_progress_bar = false;
SET enable_external_access = false;
SET lock_configuration = true;
"""


def _check_statement(duckdb: Any, sql: str) -> None:
    statements = duckdb.extract_statements(sql)
    kinds = [statement.type.name for statement in statements]
    if len(kinds) != 1:
        raise QueryError(f"a query is one statement, this has {len(kinds)}: {printable(sql)}")
    if kinds[0] not in _READ_ONLY:
        raise QueryError(
            f"a query is a SELECT or another statement that only reads; this is {kinds[0]}: "
            f"{printable(sql)}"
        )


def _named(connection: Any, sql: str) -> list[str]:
    """Return the tables of the store that a query names.

    All of them where it names none (SHOW TABLES), where it calls a table function, whose text may
    name some, or where DuckDB does not give the tree of the statement (EXPLAIN, PIVOT).
    """
    [(found, functions)] = connection.execute(_NAMES, [sql]).fetchall()
    lowered = {name.lower() for name in found}
    named = [name for name in SQL_TABLES if name in lowered]
    return list(SQL_TABLES) if functions or not named else named


_NAMES = """
WITH parsed AS (SELECT json_serialize_sql($1) AS tree)
SELECT json_extract_string(tree, '$..table_name'),
    list_contains(json_extract_string(tree, '$..type'), 'TABLE_FUNCTION')
FROM parsed
"""
"""Only parses the query: `get_table_names` opens the files that a table function reads."""


def _sources(storage: Storage, names: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield each table by name, as a dataset or a table of Arrow."""
    chosen = newest_revisions(storage) if names != ["snapshots"] else []
    for name in names:
        if name == "snapshots":
            yield name, list_runs(storage, Catalog(storage))
        else:
            yield name, SelectedFiles(select(storage, chosen, name))


def _reason(error: Exception) -> str:
    """Return DuckDB's message, with the line that it points at, safe to print."""
    lines = str(error).rstrip().splitlines()
    return "\n".join(printable(line, _LONGEST_LINE) for line in lines)


def _convert(table: pa.Table) -> pa.Table:
    """Return the table without types that only DuckDB uses, and with distinct column names."""
    return pa.table(
        [_column(table.column(n)) for n in range(table.num_columns)], _names(table.column_names)
    )


def _names(names: list[str]) -> list[str]:
    """Return the names, a repeated one with a number: a join may return two of a name."""
    distinct: list[str] = []
    for name in names:
        free = (f"{name}_{number}" for number in count(1))
        taken = names + distinct
        distinct.append(name if name not in distinct else next(n for n in free if n not in taken))
    return distinct


def _column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type)
    if pa.types.is_decimal(kind) and kind.scale == 0:
        try:
            return pc.cast(column, pa.int64())
        except pa.ArrowInvalid:
            return column
    return column
