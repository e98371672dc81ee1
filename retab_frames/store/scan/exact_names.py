"""Columns that DuckDB cannot tell apart: names of SQL have no case, the names of handles have.

DuckDB renames the second of two such columns to `…_1`, and gives the first for either name. So in
a query each has a name of its own, which replaces the exact name where the SQL has it in quotes;
in a relation each is a MAP that holds the values of all of them by their exact names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "keep_case",
    "map_values",
    "part_names_in_sql",
    "rename_in_sql",
    "restore_names",
    "with_own_names",
]


def keep_case(names: Iterable[str]) -> dict[str, str]:
    """Return, of the names that differ from another in case only, a name that differs in more.

    It is the same in every store, and no name of a column of ours.
    """
    alike = (name for group in _alike(names) for name in group)
    return {name: "exact:" + re.sub(r"[A-Z^]", r"^\g<0>", name) for name in alike}


def with_own_names(relation: Any, names: Iterable[str], own: Mapping[str, str]) -> Any:
    """Return the relation with these names for its columns, some replaced by their own."""
    columns = (f"#{n} AS {_quote(own.get(name, name))}" for n, name in enumerate(names, 1))
    return relation.project(", ".join(columns))


def map_values(relation: Any, names: Iterable[str]) -> Any:
    """Return the relation with these names, where columns whose names differ in case are MAPs."""
    places = {name: f"#{n}" for n, name in enumerate(names, 1)}
    values = dict(places)
    for group in _alike(places):
        values |= dict.fromkeys(group, _map_of({name: places[name] for name in group}))
    return relation.project(
        ", ".join(f"{value} AS {_quote(name)}" for name, value in values.items())
    )


def _alike(names: Iterable[str]) -> list[list[str]]:
    """Return the names that differ from another in case only, in groups."""
    groups: dict[bytes, list[str]] = {}
    for name in names:
        # DuckDB too lowers ASCII letters only
        groups.setdefault(name.encode().lower(), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _map_of(places: Mapping[str, str]) -> str:
    keys = ", ".join("'" + name.replace("'", "''") + "'" for name in places)
    values = ", ".join(places.values())
    return f"CASE WHEN coalesce({values}) IS NOT NULL THEN map([{keys}], [{values}]) END"


def rename_in_sql(duckdb: Any, sql: str, own: Mapping[str, str]) -> str:
    """Return the SQL with its own name for each column that it names exactly, in quotes."""
    if not own:
        return sql
    text = sql.encode()
    parts, done = [], 0
    for start, end, name in _find_quoted(duckdb, sql):
        if name in own:
            parts += [text[done:start], _quote(own[name]).encode()]
            done = end
    return b"".join([*parts, text[done:]]).decode()


def part_names_in_sql(duckdb: Any, sql: str) -> str:
    """Return the SQL with names that differ in more, where its own differ in case only.

    To be parsed: DuckDB's parser refuses two such names in one EXCLUDE.
    """
    names = dict.fromkeys(name for *_, name in _find_quoted(duckdb, sql))
    return rename_in_sql(duckdb, sql, keep_case(names))


def _find_quoted(duckdb: Any, sql: str) -> Iterator[tuple[int, int, str]]:
    """Yield each name in quotes: where its bytes begin and end, and the name."""
    text = sql.encode()
    for start, kind in duckdb.tokenize(sql):
        found = re.compile(rb'"((?:[^"]|"")*)"').match(text, start)
        if kind == duckdb.token_type.identifier and found:
            yield start, found.end(), found[1].decode().replace('""', '"')


def restore_names(text: str, own: Mapping[str, str]) -> str:
    """Return a name or a message of DuckDB with the exact names of the columns."""
    for name, mark in own.items():
        text = text.replace(mark, name)
    return text


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
