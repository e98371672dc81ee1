from __future__ import annotations

import struct
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from retab_frames.errors import SnapshotCorruptError
from retab_frames.schemas.models import (
    ExperimentsSchema,
    HandlesSchema,
    IssuesSchema,
    JobsSchema,
    Model,
    RawSchema,
    RunsSchema,
    SnapshotsSchema,
    arrow_schema,
    empty_table,
)
from retab_frames.store.parquet import decode, encode

MODELS = [
    ExperimentsSchema,
    HandlesSchema,
    IssuesSchema,
    JobsSchema,
    RawSchema,
    RunsSchema,
    SnapshotsSchema,
]
FILE = "jobs/exp/run.parquet"
ODD_VALUES: dict[pa.DataType, list[object]] = {
    pa.string(): [
        "a\x00b",
        "",
        "\x00",
        "é",
        "e\u0301",
        "日本語 🧾",
        "\u202e\r\n\t\"'",
        "x" * 70_000,
    ],
    pa.int64(): [0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 7, 7, 7],
    pa.float64(): [0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1, -1.5, float("inf"), 1 / 3],
    pa.bool_(): [True, False, True, True, False, False, True, False],
    pa.timestamp("us", tz="UTC"): [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2026, 2, 28, 12, 0, 0, 1, tzinfo=UTC),
        *[datetime(2026, 7, 1, tzinfo=UTC)] * 3,
    ],
}


def odd_table(model: Model) -> pa.Table:
    """Return a table of the model with odd values in every column, and nulls where it has them."""
    schema = arrow_schema(model)
    columns = [
        pa.array(ODD_VALUES[field.type] + [None if field.nullable else ODD_VALUES[field.type][0]])
        for field in schema
    ]
    return pa.table(
        [column.cast(field.type) for column, field in zip(columns, schema, strict=True)],
        schema=schema,
    )


def small_table() -> pa.Table:
    return pa.table(
        [["job_a", "job_b"], [0, 1], ['{"id":"job_a"}', '{"id":"job_b","é":null}']],
        schema=arrow_schema(RawSchema),
    )


def footer_start(data: bytes) -> int:
    """Return where the footer begins, which has no checksum of its own."""
    return len(data) - 8 - int(struct.unpack("<I", data[-8:-4])[0])


@pytest.mark.parametrize("model", MODELS)
def test_odd_values_come_back(model: Model) -> None:
    table = odd_table(model)
    back = decode(encode(table), FILE)
    assert back.schema == table.schema
    for name in table.column_names:
        assert back.column(name).to_pylist() == table.column(name).to_pylist(), name
    assert back.schema.metadata is None
    back.validate(full=True)


@pytest.mark.parametrize("model", MODELS)
def test_no_rows_come_back_with_every_column(model: Model) -> None:
    back = decode(encode(empty_table(model)), FILE)
    assert back.schema == arrow_schema(model)
    assert back.num_rows == 0


@pytest.mark.parametrize("model", MODELS)
def test_columns_of_nulls_keep_their_types(model: Model) -> None:
    fields = [field for field in arrow_schema(model) if field.nullable]
    table = pa.table([pa.nulls(5, field.type) for field in fields], schema=pa.schema(fields))
    back = decode(encode(table), FILE)
    assert back.schema == table.schema
    assert [column.null_count for column in back.columns] == [5] * len(fields)


@pytest.mark.parametrize("handle", ["", "a.b", "A", "nul\x00", "é", "e\u0301", "a b/c=d", "type"])
def test_handle_columns_keep_their_names(handle: str) -> None:
    names = [f"handle_inputs.{handle}.type", f"handle_inputs.{handle}.data"]
    table = pa.table([["json", None], ["{}", None]], names=names)
    back = decode(encode(table), FILE)
    assert back.column_names == names
    assert back.to_pydict() == table.to_pydict()


def test_chunks_and_many_rows_come_back() -> None:
    part = pa.table([["a", None] * 5_000], names=["status"])
    table = pa.concat_tables([part, part.slice(3, 11), part])
    assert decode(encode(table), FILE).column("status").to_pylist() == (
        table.column("status").to_pylist()
    )


def test_equal_tables_give_equal_bytes() -> None:
    one, other = (encode(odd_table(JobsSchema)) for _ in range(2))
    assert one == other


def test_attrs_of_a_table_do_not_travel() -> None:
    table = small_table().replace_schema_metadata({"pandas": '{"attributes": {"key": "rt_live"}}'})
    assert b"rt_live" not in encode(table)


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_flipped_byte_of_the_data_is_found(flip: int) -> None:
    # the footer has no checksum in Parquet: the store finds what happens there by its hash
    table = small_table()
    whole = encode(table)
    found = 0
    for at in range(footer_start(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= flip
        try:
            back = decode(bytes(damaged), FILE)
        except SnapshotCorruptError:
            found += 1
        else:
            assert back.equals(table), f"byte {at}"
    assert found > footer_start(whole) // 3


def test_flipped_byte_of_the_footer_raises_nothing_of_others() -> None:
    whole = encode(small_table())
    outcomes = set()
    for at in range(footer_start(whole), len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        try:
            decode(bytes(damaged), FILE)
            outcomes.add("read")
        except SnapshotCorruptError as error:
            outcomes.add(error.file)
    assert outcomes == {"read", FILE}


@pytest.mark.parametrize("table", [small_table(), empty_table(RawSchema)], ids=["rows", "empty"])
def test_cut_file_is_found(table: pa.Table) -> None:
    whole = encode(table)
    for length in range(len(whole)):
        with pytest.raises(SnapshotCorruptError, match=r"^jobs/exp/run\.parquet is damaged: "):
            decode(whole[:length], FILE)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1PAR1", b"{}", b"\x00" * 1_000])
def test_what_is_no_parquet_is_refused(data: bytes) -> None:
    with pytest.raises(SnapshotCorruptError, match="is damaged") as caught:
        decode(data, FILE)
    assert caught.value.file == FILE


def test_pages_have_checksums() -> None:
    # so short a text stands in its page as it is, and decompresses whatever it says
    table = pa.table([["job"], [0], ["text"]], schema=arrow_schema(RawSchema))
    whole = encode(table)
    at = whole.rfind(b"text", 0, footer_start(whole))
    damaged = whole[:at] + b"next" + whole[at + 4 :]
    with pytest.raises(SnapshotCorruptError, match="CRC checksum verification failed"):
        decode(damaged, FILE)
