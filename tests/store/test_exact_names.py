# ruff: noqa: S608 - a test builds its own SQL
"""Handles whose names differ only in case, in DuckDB, which ignores case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest
from factories import content, job

import retab_frames as rf
from retab_frames.store.scan.exact_names import keep_case, restore_names
from retab_frames.store.scan.sql import query

if TYPE_CHECKING:
    from pathlib import Path

HANDLES = ("Invoice", "invoice", 'a"b', 'A"b', "über", "Über", "^b", "B", "^B", "b", "alone")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> rf.SnapshotStore:
    made = rf.SnapshotStore(tmp_path_factory.mktemp("names"))
    handles = {
        name: {"type": "file", "document": {"id": "file_1", "filename": f"of {name}"}}
        for name in HANDLES
    }
    made.write(rf.read_content(content(job(1, handle_inputs=handles))))
    return made


def column(handle: str) -> str:
    return f"handle_inputs.{handle}.filename"


def quoted(handle: str) -> str:
    return '"' + column(handle).replace('"', '""') + '"'


@pytest.mark.parametrize("handle", HANDLES)
def test_a_query_gives_the_values_of_the_handle_that_it_names(
    store: rf.SnapshotStore, handle: str
) -> None:
    name = quoted(handle)
    found = query(store, f"select {name}, lower({name}) as low from jobs j where j.{name} like '%'")

    assert found.columns.tolist() == [column(handle), "low"]
    assert found.iloc[0].tolist() == [f"of {handle}", f"of {handle}".lower().replace("Ü", "ü")]


def test_all_columns_have_the_names_and_values_that_reading_gives(store: rf.SnapshotStore) -> None:
    found = query(store, "from jobs")
    jobs = store.read("exprun_1").jobs

    assert sorted(found.columns) == sorted(jobs.columns)
    assert {name: found[name][0] for name in map(column, HANDLES)} == {
        column(handle): f"of {handle}" for handle in HANDLES
    }


@pytest.mark.parametrize(
    "sql",
    [
        f"explain select {quoted('Invoice')} from jobs",
        f"summarize select {quoted('Invoice')} from jobs",
        f"select * exclude ({quoted('Invoice')}) from jobs",
        f"with a as (from jobs) select {quoted('Invoice')} from a order by {quoted('invoice')}",
        f"select 'ä', {quoted('Invoice')} /* {quoted('invoice')} */ from jobs -- {quoted('b')}",
    ],
)
def test_names_are_told_apart_in_every_statement(store: rf.SnapshotStore, sql: str) -> None:
    assert len(query(store, sql))


def test_a_text_in_the_query_is_no_name(store: rf.SnapshotStore) -> None:
    found = query(store, f"select '{column('invoice')}' as x, '{quoted('b')}' as y from jobs")
    assert found.iloc[0].tolist() == [column("invoice"), quoted("b")]


@pytest.mark.parametrize(
    "sql",
    [
        f"select {quoted('INVOICE')} from jobs",
        f"select count({quoted('iNVOICE')}) from jobs",
        f"from query('select {quoted('invoice')} from jobs')",
    ],
)
def test_a_name_that_means_none_exactly_is_told_with_the_choices(
    store: rf.SnapshotStore, sql: str
) -> None:
    with pytest.raises(rf.QueryError) as caught:
        query(store, sql)

    last = str(caught.value).splitlines()[-1]
    choices = f'"{column("Invoice")}" or "{column("invoice")}"'
    assert last == (
        f"Names that differ only in case are told apart: write exactly {choices}, in quotes."
    )


def test_a_relation_has_the_columns_and_keeps_their_values_apart(store: rf.SnapshotStore) -> None:
    relation = rf.scan(store, engine="duckdb")

    assert sorted(relation.columns) == sorted(rf.scan(store).schema.names)
    both = {column("Invoice"): "of Invoice", column("invoice"): "of invoice"}
    name = quoted("invoice")
    assert relation.select(name).fetchall() == [(both,)]
    assert relation.select(f"{name}['{column('invoice')}']").fetchall() == [("of invoice",)]
    assert relation.select(f"{quoted('Über')}, {quoted('alone')}").fetchall() == [
        ("of Über", "of alone")
    ]
    with pytest.raises(duckdb.Error, match="MAP"):
        relation.filter(f"{name} = 'of Invoice'").fetchall()


def test_a_run_without_such_handles_has_null_in_the_relation(tmp_path: Path) -> None:
    made = rf.SnapshotStore(tmp_path)
    handles = {name: {"type": "json", "data": 1} for name in ("a", "A")}
    made.write(rf.read_content(content(job(1, handle_inputs=handles), job(2))))

    found = rf.scan(made, engine="duckdb").order("job_id").select('"handle_inputs.a.data"')
    assert found.fetchall() == [
        ({"handle_inputs.a.data": "1", "handle_inputs.A.data": "1"},),
        (None,),
    ]


def test_own_names_differ_in_duckdb_and_turn_back() -> None:
    names = ["a", "A", "^a", "^A", "^^a", "^^A", "b", "B"]
    own = keep_case(names)

    assert list(own) == names
    assert len({mark.lower() for mark in own.values()}) == len(names)
    assert [restore_names(mark, own) for mark in own.values()] == names


@pytest.mark.parametrize("names", [["a", "b"], ["ä", "Ä"], ["\u017f", "s"], ["K", "k"]])
def test_names_have_own_names_only_where_duckdb_ignores_their_case(names: list[str]) -> None:
    table = pa.table([[1], [2]], names)
    renamed = duckdb.from_arrow(table).columns != names
    assert bool(keep_case(names)) == renamed


@pytest.mark.parametrize(
    "form",
    [
        "select * exclude ({0}, {1}) from jobs",
        "select columns(* exclude ({0}, {1})) from jobs",
        "select * replace ('x' as {0}, 'y' as {1}) from jobs",
        "select * rename ({0} as p, {1} as q) from jobs",
    ],
)
def test_both_of_two_names_stand_in_one_list(store: rf.SnapshotStore, form: str) -> None:
    one, two = "Invoice", "invoice"
    found = query(store, form.format(quoted(one), quoted(two)))
    left = [name for name in (column(one), column(two)) if name in found.columns]
    assert left == ([column(one), column(two)] if "replace" in form else [])
    if "replace" in form:
        assert found[left].iloc[0].tolist() == ["x", "y"]
    assert found[column("alone")].tolist() == ["of alone"]
