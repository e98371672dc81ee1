"""SQL over the tables of a store, by a DuckDB that can read nothing else."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from retab_frames.errors import QueryError
from retab_frames.schemas.frames import frame_of
from retab_frames.store.catalog import Catalog
from retab_frames.store.listing import list_runs
from retab_frames.store.scan.datasets import SelectedFiles
from retab_frames.store.scan.duckdb_types import fetch
from retab_frames.store.scan.exact_names import (
    keep_case,
    part_names_in_sql,
    rename_in_sql,
    restore_names,
    with_own_names,
)
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

    SQL ignores case, but handles of different case are different. Where names of columns differ
    only in case, each is asked for by its exact name in quotes, and any other case is an error.
    DESCRIBE shows such names with a mark, which can be asked for as well.

    Args:
        store: A SnapshotStore, or the folder or URL of one.
        sql: One SELECT (or WITH, FROM, DESCRIBE, SHOW TABLES, EXPLAIN; with DuckDB 2 PIVOT) of
            DuckDB's SQL.

    Returns:
        A frame of Arrow-backed columns, in the order that the query gives, which can be shown,
        sorted and written to any file. Times are UTC, dates are timestamps, and a column with a
        time that Python has not (infinity, 24:00) is text. Whole numbers of any size are int64
        where they fit, else a decimal, and decimals are exact. Lists, structs, maps and other
        nested values are JSON text. An interval is a duration, where days have 24 hours; if one in
        the column has months, which have no length, the column is text. Other types of DuckDB
        (BLOB, BIT, TIME WITH TIME ZONE, ...) are text as DuckDB writes it.

    Raises:
        QueryError: If it is not one such statement, or DuckDB refuses it, for the reason given; or
            if a page that it reads is damaged.
        TypeError: If `sql` is not text.
        MissingExtraError: If DuckDB is not installed.
        SnapshotCorruptError: If a file is missing or cut.

    Example:
        >>> from retab_frames.store.scan.sql import query
        >>> query("snapshots", "select count(*) as jobs from jobs").jobs.tolist()
        [0]
    """
    duckdb = import_extra("duckdb", "duckdb")
    _check_text(sql)
    storage = storage_of(store)
    with (
        # a query larger than the memory spills to a folder, by default one in the current folder
        TemporaryDirectory(prefix="retab-frames-") as folder,
        duckdb.connect(config={"temp_directory": folder}) as connection,
    ):
        sources: dict[str, Any] = {}
        own: dict[str, str] = {}
        try:
            parted = part_names_in_sql(duckdb, sql)
            _check_statement(duckdb, parted)
            for name, source in _sources(storage, _named(connection, parted)):
                sources[name] = source
                own |= _register(connection, name, source)
            with suppress(duckdb.Error):
                # in a notebook without ipywidgets it may not be named; then there is none
                connection.execute("SET enable_progress_bar = false")
            connection.execute(_LOCK_DOWN)
            relation = connection.sql(rename_in_sql(duckdb, sql, own))
            names = [restore_names(name, own) for name in relation.columns]
            found = fetch(connection, relation)
        except duckdb.Error as error:
            for source in sources.values():
                # of an error of ours DuckDB passes on the words alone
                if isinstance(source, SelectedFiles):
                    source.raise_failure()
            reason = restore_names(_reason(error), own) + _hint(sql, own)
            raise QueryError(f"DuckDB refused the query: {reason}") from error
        except RuntimeError as error:
            if str(error) == "Query interrupted":
                # so DuckDB calls Ctrl-C
                raise KeyboardInterrupt from error
            raise
    return frame_of(found.rename_columns(_distinct(names)))


def _check_text(sql: object) -> None:
    if not isinstance(sql, str):
        raise TypeError(f"sql takes a text, not {type(sql).__name__}")
    if "\0" in sql or _has_surrogate(sql):
        raise QueryError("the query is not valid text: it has a NUL or half a character")


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


_LOCK_DOWN = """
SET TimeZone = 'UTC';
SET autoinstall_known_extensions = false;
SET autoload_known_extensions = false;
SET enable_external_access = false;
SET lock_configuration = true;
"""


def _register(connection: Any, name: str, source: Any) -> dict[str, str]:
    """Make a table of DuckDB; return the columns that have a name of their own there."""
    own = keep_case(source.schema.names)
    if own:
        relation = connection.from_arrow(source)
        with_own_names(relation, source.schema.names, own).create_view(name)
    else:
        connection.register(name, source)
    return own


def _hint(sql: str, own: dict[str, str]) -> str:
    """Return what to write for a column whose name the SQL has in another case."""
    names = [name for name in own if name.lower() in sql.lower()]
    if not names:
        return ""
    choices = " or ".join(f'"{printable(name)}"' for name in names)
    return f"\nNames that differ only in case are told apart: write exactly {choices}, in quotes."


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


def _distinct(names: list[str]) -> list[str]:
    """Return the names, a repeated one with a number: a join may return two of a name."""
    distinct: list[str] = []
    for name in names:
        free = (f"{name}_{number}" for number in count(1))
        taken = names + distinct
        distinct.append(name if name not in distinct else next(n for n in free if n not in taken))
    return distinct
